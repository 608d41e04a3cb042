"""When the next version of an order that was cancelled for it may be placed in a live run."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final

from alphaweave.core.order import OrderRef, OrderRequest
from alphaweave.live.follow_up import follow_up
from alphaweave.live.kernel_live import LiveKernel
from alphaweave.live.orders import Order
from alphaweave.live.risk_market import ClockSkew, ConnectionSilence, StaleData
from alphaweave.live.rounding import Refused
from alphaweave.live.trading_state import Escalation

__all__ = ["place_successors"]

# Why an order may be refused that is not for long: it waits, as long as its decision may be old.
_PASSING: Final = frozenset({StaleData.code, ClockSkew.code, ConnectionSilence.code})


def place_successors(kernel: LiveKernel, wanted: Sequence[Escalation]) -> None:
    """Place those that may be placed now, after an input that came to ``wanted``.

    Raises:
        StrategyError: ``on_order`` failed for an order whose replacement was refused.
    """
    if kernel.retiring:
        follow_up(kernel, partial(_next_version, kernel, wanted))


def _next_version(
    kernel: LiveKernel, wanted: Sequence[Escalation], order: Order, request: OrderRequest
) -> OrderRef | None:
    for each in wanted:
        if each.symbol in {None, order.symbol}:
            raise Refused(each.code, each.reason)
    if kernel.refusal is not None:
        return None  # of the connection, which comes back
    try:
        return kernel.desk.next_version(order, request)
    except Refused as refusal:
        if refusal.reason in _PASSING:
            return None
        raise
