"""What an order needs on the wire, decided before it is committed, and what cannot be sent at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from alphaweave.core.errors import Unsupported
from alphaweave.core.order import OrderChange, OrderGroup, OrderRef, OrderRequest, OrderType
from alphaweave_broker_binance.mapping import basis_points

__all__ = ["list_name", "wires_of"]


def wires_of(
    request: OrderRequest | OrderGroup | OrderChange, refs: Sequence[OrderRef], venue_symbol: str
) -> Sequence[Mapping[str, str]]:
    """For each of ``refs``, what it is found by for ever.

    Raises:
        Unsupported: Binance's orders cannot say it.
    """
    if isinstance(request, OrderGroup):
        entry = request.entry
        if entry is not None and entry.type is not OrderType.LIMIT:
            what = f"the entry of a bracket at Binance is a limit order, not {entry.type.value}"
            raise Unsupported(f"{refs[0].symbol}: {what}", code="unsupported", text=what)
        roles = ("entry", "take_profit", "stop_loss")[-len(refs) :]
        return [{"symbol": venue_symbol, "list": list_name(refs), "leg": role} for role in roles]
    trail = request.trail
    if trail is not None and trail.percent is not None:
        basis_points(trail.percent, refs[0].symbol)
    return [{"symbol": venue_symbol} for _ in refs]


def list_name(refs: Sequence[OrderRef]) -> str:
    """What a list of orders is called: it has to differ from the names of its legs."""
    return refs[0].wire.get("list") or f"{refs[0].client_order_id}-l"
