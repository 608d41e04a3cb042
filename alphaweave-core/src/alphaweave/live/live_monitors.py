"""What the monitors of a live run are told: the core's notes, slices as columns, and how the engine is."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable
from datetime import datetime

from alphaweave.core.clock import to_ns
from alphaweave.live.actions import Gate, Tell
from alphaweave.live.monitor_queue import MonitorQueues, MonitorTrouble
from alphaweave.live.reports import BrokerNotice
from alphaweave.monitoring.monitor import Alert, BarColumns, BarSnapshot

__all__ = ["LiveMonitors"]


class LiveMonitors:
    """Stands between the driver and the queues; on the loop's thread.

    Attributes:
        troubles: what the monitors themselves did wrong, so far.
    """

    def __init__(
        self,
        queues: MonitorQueues,
        *,
        state: Callable[[], str],
        now: Callable[[], datetime],
        quiet: Callable[[], bool] = lambda: False,
    ) -> None:
        """Set up.

        Args:
            state: answers ``active``, ``reducing`` or ``halted``.
            quiet: whether the broker is in maintenance, where what adapters warn of is no alarm.
        """
        self.troubles: list[MonitorTrouble] = []
        self._queues = queues
        self._state = state
        self._now = now
        self._quiet = quiet
        self._before: dict[str, float] = {}
        self._held: str | None = None
        # What was told before the core came to it.
        self._early: Counter[tuple[str, str, str | None]] = Counter()

    def tell(self, told: Tell) -> None:
        self._queues.notes(tuple(note for note in told.notes if not self._was_told(note)))
        for bar in told.bars:
            self._queues.bars(self._columns(bar))

    def alert(self, severity: str, code: str, text: str, at: datetime, symbol: str | None = None) -> None:
        self._queues.notes((Alert(at, severity, code, text, symbol),))

    def hear(self, notice: BrokerNotice) -> None:
        """Tell what the broker says, at once: the core, which tells it as well, may be busy for long."""
        self.notice(notice)
        self._early[notice.code, notice.text, notice.symbol] += 1

    def notice(self, notice: BrokerNotice) -> None:
        quiet = notice.severity == "warning" and self._quiet()
        self.alert("info" if quiet else notice.severity, notice.code, notice.text, notice.at, notice.symbol)

    def _was_told(self, note: object) -> bool:
        if not self._early or not isinstance(note, Alert):
            return False
        name = (note.code, note.message, note.symbol)
        if not self._early[name]:
            return False
        self._early -= Counter({name: 1})
        return True

    def gate(self, gate: Gate) -> None:
        """A change is told at once, not with the next pulse."""
        self.pulse(held=self._held)

    def pulse(self, *, busy_seconds: float = 0.0, held: str | None = None) -> None:
        """Tell how the engine is; what a monitor did wrong is an alert to the others.

        Args:
            busy_seconds: for how long the core has been busy with one input.
            held: why orders are held back whatever the core says.
        """
        self._held = held
        troubles = self._queues.pulse(self._state(), busy_seconds=busy_seconds, held=held)
        self.troubles += troubles
        for trouble in troubles:
            self.alert("error", trouble.code, trouble.text, self._now())

    def _columns(self, bar: BarSnapshot) -> BarColumns:
        """One slice as columns, for monitors that take nothing else."""
        before, after = self._before, dict(bar.positions)
        self._before = after
        changes = [
            (0, symbol, after.get(symbol, 0.0))
            for symbol in {**before, **after}
            if before.get(symbol, 0.0) != after.get(symbol, 0.0)
        ]
        return BarColumns(
            first_index=bar.index,
            ends=array("q", (to_ns(bar.timestamp),)),
            equity=array("d", (bar.equity,)),
            cash=array("d", (bar.cash,)),
            gross=array("d", (bar.gross,)),
            net=array("d", (bar.net,)),
            closes={symbol: array("d", (price,)) for symbol, price in bar.prices.items()},
            positions=tuple(changes),
            positions_before=before,
        )
