"""Fills that a broker counts and does not have: of an order whose executions were all taken back, say."""

from __future__ import annotations

from typing import Final

from alphaweave.core.clock import from_ns
from alphaweave.core.order import OrderStatus
from alphaweave.live.actions import FillsQuery
from alphaweave.live.inputs import AnswerInput
from alphaweave.live.kernel_live import LiveKernel
from alphaweave.live.reconcile_findings import FoundOrder
from alphaweave.live.reports import FillReport, OrderUpdate
from alphaweave.live.succession import EXECUTIONS_MISSING, retired

__all__ = ["MissingFills"]

# How long, and for how many answers, an order waits for executions that its end counts.
_WAIT_NS: Final = 20_000_000_000
_ANSWERS: Final = 2


class MissingFills:
    """Orders that are over once fills come that nobody has.

    Executions are what was traded, and an order's own count is not: an order whose missing fills are in no
    answer for long enough ends with those that are booked. Should one come after all, it is booked as any
    late fill is; and positions are compared all the while.
    """

    def __init__(self, kernel: LiveKernel) -> None:
        self._kernel = kernel
        # When an order began to wait, and how many answers did not have its fills.
        self._waits: dict[str, tuple[int, int]] = {}

    def given_up(self, given: AnswerInput) -> tuple[FoundOrder, ...]:
        """The orders that an answer on executions leaves without theirs for good."""
        report = given.answer
        if not isinstance(given.query, FillsQuery) or not isinstance(report, FillReport):
            return ()
        before, self._waits = self._waits, {}
        found = []
        for book in self._kernel.books.values():
            complete_from = report.complete_from.get(book.symbol)
            for order in book.orders.values():
                if order.ending is None or (order.change is not None and not order.retiring):
                    continue
                if retired(order):
                    continue  # all are here, and its next version waits for something else
                since, answers = before.get(order.id, (given.at, 0))
                if complete_from is not None and complete_from <= given.query.query.since:
                    answers += 1
                self._waits[order.id] = since, answers
                if answers > _ANSWERS and given.at - since >= _WAIT_NS:
                    status = order.ending[0]
                    if status is OrderStatus.FILLED and order.filled != order.quantity:
                        status = OrderStatus.CANCELLED
                    text = f"{order.ending[3]} units are counted and {order.filled} were executed"
                    at = from_ns(given.at)
                    found.append(
                        FoundOrder(
                            OrderUpdate(
                                order.ref, status, at, order.own_filled, reason=EXECUTIONS_MISSING, text=text
                            )
                        )
                    )
        return tuple(found)
