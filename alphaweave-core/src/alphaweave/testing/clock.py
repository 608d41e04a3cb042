"""The clock of a conformance run: it runs by itself, can be moved, and is nobody else's."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

from alphaweave.core.clock import require_utc

__all__ = ["KIT_NOW", "RunningClock"]

KIT_NOW = datetime(2031, 3, 4, 15, 30, tzinfo=UTC)
"""A Tuesday on which New York, London and every crypto venue trade, far from the machine's own time: what
reads the wrong clock shows at once."""


class RunningClock:
    """Runs at the machine's pace from an instant of its own.

    Adapters with real sockets wait in real time, so the clock they are handed has to pass as well.
    """

    __slots__ = ("_ahead", "_began", "_start")

    def __init__(self, start: datetime = KIT_NOW) -> None:
        self._start = require_utc(start)
        self._began = time.monotonic()
        self._ahead = 0.0

    def now(self) -> datetime:
        passed = time.monotonic() - self._began
        return self._start + timedelta(seconds=passed + self._ahead)

    def monotonic(self) -> float:
        # An odd offset, so that a monotonic reading mixed up with epoch seconds shows at once.
        return 1_000_003.0 + time.monotonic() - self._began

    def advance(self, seconds: float) -> None:
        """Set the time forward by so many seconds; `monotonic` goes on, and no timer is any nearer.

        Raises:
            ValueError: if ``seconds`` is negative.
        """
        if seconds < 0:
            raise ValueError("time does not run backwards")
        self._ahead += seconds
