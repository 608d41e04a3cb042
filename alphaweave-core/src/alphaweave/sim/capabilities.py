"""What a simulated venue can do, as an adapter declares it."""

from __future__ import annotations

from typing import Final

from alphaweave.core.order import GroupKind, OrderType, TimeInForce
from alphaweave.live.adapters.capabilities import Capabilities, ClientIdRules, ClientIdUniqueness

__all__ = ["SIM_CAPABILITIES"]

_RESTING: Final = (TimeInForce.DAY, TimeInForce.GTC, TimeInForce.GTD)

_PAIRS: Final = frozenset(
    [(kind, tif) for kind in (OrderType.MARKET, OrderType.LIMIT) for tif in TimeInForce]
    + [
        (kind, tif)
        for kind in OrderType
        if kind not in {OrderType.MARKET, OrderType.LIMIT}
        for tif in _RESTING
    ]
)

SIM_CAPABILITIES: Final = Capabilities(
    order_types=_PAIRS,
    quote_quantity=frozenset((OrderType.MARKET, tif) for tif in TimeInForce),
    fractional=_PAIRS,
    extended_hours=_PAIRS,
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
    client_ids=ClientIdRules(alphabet=r"[!-~]", max_length=128, unique=ClientIdUniqueness.FOREVER),
    not_found_is_final_after=0.0,
)
