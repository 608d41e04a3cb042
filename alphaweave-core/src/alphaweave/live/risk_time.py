"""Time, as risk rules know it: that of the input being decided, in nanoseconds since the epoch, UTC."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from alphaweave.core.errors import StateCorrupt
from alphaweave.data.zones import DAY_NS, Zone
from alphaweave.live.trading_state import Escalation, KillStep

__all__ = ["SECOND_NS", "Timed", "Window", "local_day", "reading", "time_of"]

SECOND_NS: Final = 1_000_000_000


def local_day(zone: Zone, at_ns: int) -> int:
    """The calendar date of an instant in a zone, in days since 1970-01-01."""
    return zone.to_wall((at_ns,))[0] // DAY_NS


class Timed:
    """A rule that lives in time: it never goes back, and collects what it wants latched."""

    def __init__(self) -> None:
        self.now_ns: int | None = None
        self._wanted: list[Escalation] = []

    def advance(self, now_ns: int) -> None:
        if self.now_ns is None or now_ns > self.now_ns:
            self.now_ns = now_ns
            self.moved(now_ns)

    def escalations(self) -> tuple[Escalation, ...]:
        wanted, self._wanted = tuple(self._wanted), []
        return wanted

    def moved(self, now_ns: int) -> None:
        """The time is another."""

    def time(self) -> int:
        """Now.

        Raises:
            ValueError: it was never told; the chain denies when a rule raises.
        """
        if self.now_ns is None:
            raise ValueError("a rule was asked before it was told the time")
        return self.now_ns

    def want(self, step: KillStep, code: str, reason: str, symbol: str | None = None) -> None:
        """Ask for a rung of the kill ladder."""
        self._wanted.append(Escalation(step, code, reason, symbol))


class Window:
    """Instants within the last so many seconds; one that is exactly that old is out."""

    __slots__ = ("_span", "_times")

    def __init__(self, seconds: int) -> None:
        self._span = seconds * SECOND_NS
        self._times: deque[int] = deque()

    def add(self, now_ns: int) -> None:
        self._times.append(now_ns)

    def count(self, now_ns: int) -> int:
        while self._times and now_ns - self._times[0] >= self._span:
            self._times.popleft()
        return len(self._times)

    def last(self) -> int | None:
        return self._times[-1] if self._times else None

    def snapshot(self) -> list[int]:
        return list(self._times)

    def restore(self, saved: Sequence[int]) -> None:
        self._times = deque(sorted(int(time) for time in saved))


@contextmanager
def reading(code: str) -> Iterator[None]:
    """Turn what an odd snapshot of a rule provokes into StateCorrupt."""
    try:
        yield
    except (ArithmeticError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise StateCorrupt(f"the saved state of risk rule {code} cannot be read ({error})") from error


def time_of(saved: Any) -> int | None:
    """A time, or none, from a snapshot."""
    return None if saved is None else int(saved)
