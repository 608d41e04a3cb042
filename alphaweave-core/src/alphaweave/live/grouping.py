"""From what a strategy asked for to the legs of a bracket or an OCO, on the instrument's grids."""

from __future__ import annotations

from alphaweave.core.instrument import Instrument
from alphaweave.core.money import Number
from alphaweave.core.order import GroupKind, OrderGroup, OrderRequest, OrderType, TimeInForce
from alphaweave.live.adapters.capabilities import Capabilities, usual_group_tif
from alphaweave.live.rounding import (
    limit_on_grid,
    sized,
    stop_on_grid,
    whole_where_needed,
)

__all__ = ["group_of"]


def group_of(
    instrument: Instrument,
    capabilities: Capabilities,
    size: Number,
    *,
    bracket: bool,
    take_profit: Number,
    stop_loss: Number,
    stop_limit: Number | None,
    limit_price: Number | None,
    tif: TimeInForce | str | None,
    adjustments: list[str],
) -> OrderGroup:
    """The group; the arguments are those of ``Strategy.order_bracket`` and ``order_oco``.

    Args:
        size: signed; of the entry of a bracket, of the exits of an OCO.
        adjustments: gets a line for everything that rounding changed.

    Raises:
        Refused: nothing is left of the size.
        TypeError, ValueError: something is no number, or the legs do not go together.
    """
    kind = OrderType.LIMIT if limit_price is not None else OrderType.MARKET
    side, quantity, _ = sized(instrument, size, None, adjustments)
    exit_side = side.opposite if bracket else side
    stop_kind = OrderType.STOP if stop_limit is None else OrderType.STOP_LIMIT
    kinds = (OrderType.LIMIT, stop_kind, *((kind,) if bracket else ()))
    tif = TimeInForce(tif) if tif is not None else usual_group_tif(capabilities, instrument, kinds)
    if quantity is not None:
        pairs = [(each, tif) for each in kinds]
        quantity = whole_where_needed(capabilities, quantity, pairs, adjustments, grouped=True)
    entry = None
    if bracket:
        entry = OrderRequest(
            symbol=instrument.symbol,
            side=side,
            quantity=quantity,
            type=kind,
            tif=tif,
            limit_price=limit_on_grid(instrument, limit_price, side, adjustments),
        )
    return OrderGroup(
        kind=GroupKind.BRACKET if bracket else GroupKind.OCO,
        entry=entry,
        take_profit=OrderRequest(
            symbol=instrument.symbol,
            side=exit_side,
            quantity=quantity,
            type=OrderType.LIMIT,
            tif=tif,
            limit_price=limit_on_grid(instrument, take_profit, exit_side, adjustments),
        ),
        stop_loss=OrderRequest(
            symbol=instrument.symbol,
            side=exit_side,
            quantity=quantity,
            type=stop_kind,
            tif=tif,
            stop_price=stop_on_grid(instrument, stop_loss, exit_side, stop_kind, adjustments),
            limit_price=limit_on_grid(instrument, stop_limit, exit_side, adjustments),
        ),
    )
