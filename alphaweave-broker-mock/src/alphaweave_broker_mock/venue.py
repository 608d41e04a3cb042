"""The simulated venue behind both brokers, and what it can do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from alphaweave.core.instrument import Instrument
from alphaweave.core.order import GroupKind, OrderType, TimeInForce
from alphaweave.live.adapters.base import Services
from alphaweave.live.adapters.capabilities import Capabilities, ClientIdRules, ClientIdUniqueness
from alphaweave.sim.venue import SimVenue
from alphaweave_broker_mock.options import VenueOptions

__all__ = ["CAPABILITIES", "make_venue"]

_RESTING: Final = frozenset({TimeInForce.DAY, TimeInForce.GTC, TimeInForce.GTD})

_PAIRS: Final = frozenset(
    (kind, tif)
    for kind in OrderType
    for tif in TimeInForce
    if tif in _RESTING or kind in {OrderType.MARKET, OrderType.LIMIT}
)

CAPABILITIES: Final = Capabilities(
    order_types=_PAIRS,
    quote_quantity=frozenset((OrderType.MARKET, tif) for tif in TimeInForce),
    fractional=_PAIRS,
    shorting=True,
    fractional_short=True,
    groups=frozenset(GroupKind),
    fractional_groups=True,
    replace=frozenset({"quantity", "limit_price", "stop_price", "trail"}),
    post_only=True,
    trail_amount=True,
    trail_percent=True,
    fee_reports=True,
    simulated=True,
    client_ids=ClientIdRules(unique=ClientIdUniqueness.FOREVER),
    not_found_is_final_after=0.0,
)


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
