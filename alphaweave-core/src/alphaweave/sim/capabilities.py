"""What a simulated venue can do, as an adapter declares it."""

from __future__ import annotations

from typing import Final

from alphaweave.core.order import GroupKind, OrderType, TimeInForce
from alphaweave.live.adapters.capabilities import Capabilities, ClientIdRules, ClientIdUniqueness

__all__ = ["SIM_CAPABILITIES"]

_RESTING: Final = (TimeInForce.DAY, TimeInForce.GTC, TimeInForce.GTD)

SIM_CAPABILITIES: Final = Capabilities(
    order_types=frozenset(
        [(kind, tif) for kind in (OrderType.MARKET, OrderType.LIMIT) for tif in TimeInForce]
        + [
            (kind, tif)
            for kind in (OrderType.STOP, OrderType.STOP_LIMIT, OrderType.TRAILING_STOP)
            for tif in _RESTING
        ]
    ),
    quote_quantity=frozenset((OrderType.MARKET, tif) for tif in TimeInForce),
    fractional=True,
    shorting=True,
    replace=frozenset({"quantity", "limit_price", "stop_price", "trail"}),
    groups=frozenset(GroupKind),
    post_only=True,
    reduce_only=True,
    extended_hours=True,
    trail_amount=True,
    trail_percent=True,
    simulated=True,
    client_ids=ClientIdRules(alphabet=r"[!-~]", max_length=128, unique=ClientIdUniqueness.FOREVER),
    not_found_is_final_after=0.0,
)
