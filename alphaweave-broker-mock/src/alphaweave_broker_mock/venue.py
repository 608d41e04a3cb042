"""The simulated venue behind both brokers."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import evolve

from alphaweave.core.instrument import Instrument
from alphaweave.live.adapters.base import RunMode, Services
from alphaweave.sim.venue import SimVenue
from alphaweave_broker_mock.options import VenueOptions

__all__ = ["make_venue"]


def make_venue(options: VenueOptions, services: Services, instruments: Mapping[str, Instrument]) -> SimVenue:
    """A fresh venue that trades ``instruments``; whoever drives it gives it its ``board``.

    Raises:
        RunRefused: the options name another currency than the run's.
    """
    settings = options.settings(services.timezone)
    if services.mode is RunMode.REPLAY:
        # Nobody queries the past of a replay: what has ended need not fill memory and the saved state.
        settings = evolve(settings, history=0)
    return SimVenue(
        instruments=instruments,
        settings=settings,
        cash=options.opening_cash(services),
        currency=options.account_currency(services),
        account=services.account_id or "sim",
        seed=services.seed,
    )
