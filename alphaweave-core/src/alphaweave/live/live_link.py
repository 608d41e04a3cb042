"""Whether the broker may be sent to: its connection, its maintenance, and whether the books are its own."""

from __future__ import annotations

from typing import Final

from alphaweave.core.clock import from_ns
from alphaweave.live.inputs import BrokerInput, Input, SliceInput
from alphaweave.live.kernel_live import LiveKernel
from alphaweave.live.live_facts import ORDERS
from alphaweave.live.live_ports import ReconcilerPort
from alphaweave.live.live_settings import LiveSettings
from alphaweave.live.reconcile_findings import Why
from alphaweave.live.reports import ConnectionLost, ConnectionRestored
from alphaweave.live.risk_board import RiskBoard
from alphaweave.live.risk_facts import LinkRestored
from alphaweave.live.rounding import Refused
from alphaweave.live.sessions import Span, coming

__all__ = ["BrokerLink"]

_SECOND_NS: Final = 1_000_000_000


class BrokerLink:
    """Follows it, has the books compared where they may differ, and says why nothing may be sent.

    In a maintenance window the broker is asked for nothing and sent nothing but cancels; what it misses then
    is no alarm, and the books are compared at its end.

    Attributes:
        linked: order entry and events of the broker are up.
        reconciled: the books agree with the broker's, as far as anybody knows.
        upkeep: the maintenance window that this is in; None outside.
    """

    def __init__(
        self, kernel: LiveKernel, board: RiskBoard, reconciler: ReconcilerPort, settings: LiveSettings
    ) -> None:
        self.linked = True
        self.reconciled = False
        self.upkeep: Span | None = None
        self._kernel = kernel
        self._board = board
        self._reconciler = reconciler
        self._settings = settings
        self._next: Span | None = None
        self._why = Why.START

    @property
    def up(self) -> bool:
        """Whether orders may be sent, as far as this goes."""
        return self.linked and self.reconciled

    def begin(self, at: int) -> None:
        """The run starts."""
        self._reconciler.begin(at, Why.START)
        self._keep_time(at)

    def look(self, given: Input) -> None:
        """What an input, or its time, means for it; after an absence the books are compared first."""
        self._keep_time(given.at)
        event = given.event if isinstance(given, BrokerInput) else None
        if isinstance(event, ConnectionLost):
            self.linked = self.reconciled = False
            self._reconciler.lost()
        elif isinstance(event, ConnectionRestored):
            self.linked = True
            self._compare(given.at)
        elif self.up and ORDERS in self._board.down():
            # It was silent for too long, and what it may have said meanwhile has to be asked for.
            self._kernel.alert("warning", "connection_silent", "the broker was silent for too long")
            self._compare(given.at)

    def passed(self, at: int) -> None:
        """The books were compared, and agree."""
        # In maintenance it is the answer to what was asked before, and proves nothing for after it.
        if self.linked and self.upkeep is None:
            self.reconciled, self._why = True, Why.RECONNECT
            self._board.heard(LinkRestored(ORDERS, at))

    def refusal(self, given: Input | None) -> Refused | None:
        """Why no order is taken from the strategy now."""
        if self.upkeep is not None:
            text = f"the broker is in maintenance until {from_ns(self.upkeep.end):%Y-%m-%d %H:%M} UTC"
            return Refused("maintenance", text)
        if not self.linked:
            return Refused("connection_lost", "the connection to the broker is lost")
        if not self.reconciled:
            return Refused("not_reconciled", "the books are not reconciled with the broker's yet")
        oldest = self._settings.max_slice_age
        if isinstance(given, SliceInput) and oldest is not None:
            age = (given.at - given.slice.end) / _SECOND_NS
            if age > oldest:
                text = f"the slice is {age:.1f} s old when it comes in, and past {oldest:g} s it is history"
                return Refused("stale_slice", text)
        return None

    def next_due(self) -> int | None:
        """When to look again although nothing comes in: maintenance begins or ends."""
        if self.upkeep is not None:
            return self.upkeep.end
        return None if self._next is None else self._next.start

    def _compare(self, at: int) -> None:
        self.reconciled = False
        if self.upkeep is None:
            self._reconciler.begin(at, self._why)

    def _keep_time(self, at: int) -> None:
        calendar = self._settings.maintenance
        if calendar is None:
            return
        if self.upkeep is not None and at >= self.upkeep.end:
            self.upkeep = None
            self._kernel.alert("info", "maintenance_ended", "the broker's maintenance is over")
            if self.linked:
                self._compare(at)
            else:
                text = "the connection to the broker is still lost after its maintenance"
                self._kernel.alert("error", "connection_lost", text)
        if self._next is None or at >= self._next.end:
            self._next = coming(calendar, at)
        if self.upkeep is None and self._next is not None and self._next.start <= at:
            self.upkeep, self.reconciled = self._next, False
            self._reconciler.lost()
            text = f"until {from_ns(self.upkeep.end):%Y-%m-%d %H:%M} UTC nothing is sent but cancels"
            self._kernel.alert("info", "maintenance_began", text)
