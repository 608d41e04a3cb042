"""What a reconciliation found that changes nothing in the books: it is told, or halts a symbol."""

from __future__ import annotations

from collections.abc import Callable

from alphaweave.live.kernel_live import LiveKernel
from alphaweave.live.reconcile_findings import (
    CashDiffers,
    FillGap,
    Finding,
    ForeignOrder,
    Passed,
    PositionDiffers,
    StartRefused,
    Unanswered,
)

__all__ = ["told"]


def told(finding: Finding, kernel: LiveKernel, halt: Callable[[str, str, str], None]) -> None:
    """Tell it; ``halt`` takes a code, a text and the symbol that is not to be traded any more."""
    match finding:
        case ForeignOrder():
            ref = finding.order.ref
            name = ref.client_order_id or ref.broker_order_id
            kernel.alert("warning", "foreign_order", f"{ref.symbol}: order {name} is not ours", ref.symbol)
        case PositionDiffers():
            text = f"{finding.symbol}: the books have {finding.ours} units, the broker {finding.theirs}"
            halt("position_differs", text, finding.symbol)
        case CashDiffers():
            text = f"{finding.asset}: the books have {finding.ours}, the broker {finding.theirs}"
            kernel.alert("warning", "cash_differs", text)
        case FillGap():
            text = f"executions from {finding.since} to {finding.complete_from} cannot be had any more"
            kernel.alert("error", "fill_gap", f"{', '.join(finding.symbols)}: {text}")
        case Unanswered():
            text = f"{finding.what} was not answered {finding.failures} times: {finding.error}"
            kernel.alert("warning", "unanswered", text)
        case StartRefused():
            kernel.alert("error", "start_refused", finding.text)
        case Passed():
            kernel.alert("info", "reconciled", f"the books agree with the broker ({finding.why.value})")
        case _:
            pass
