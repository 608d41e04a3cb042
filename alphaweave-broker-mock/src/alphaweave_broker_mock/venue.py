"""The simulated venue behind both brokers."""

from __future__ import annotations

from collections.abc import Mapping

from alphaweave.core.instrument import Instrument
from alphaweave.live.adapters.base import Services
from alphaweave.sim.venue import SimVenue
from alphaweave_broker_mock.options import VenueOptions

__all__ = ["make_venue"]


def make_venue(options: VenueOptions, services: Services, instruments: Mapping[str, Instrument]) -> SimVenue:
    """A fresh venue that trades ``instruments``; whoever drives it gives it its ``board``.

    Raises:
        RunRefused: the options name another currency than the run's.
    """
    return SimVenue(
        instruments=instruments,
        settings=options.settings(services.timezone),
        cash=options.opening_cash(services),
        currency=options.account_currency(services),
        account=services.account_id or "sim",
        seed=services.seed,
    )
