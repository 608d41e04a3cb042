"""Virtual time: what is due happens next, and nothing ever waits."""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush

__all__ = ["MICROSECOND", "MILLISECOND", "SECOND", "Agenda", "Happening"]

MICROSECOND = 1_000
MILLISECOND = 1_000_000
SECOND = 1_000_000_000


class Happening:
    """Something that is due, unless it is called off."""

    __slots__ = ("act", "at", "off")

    def __init__(self, at: int, act: Callable[[], None]) -> None:
        self.at = at
        self.act = act
        self.off = False

    def cancel(self) -> None:
        """Call it off."""
        self.off = True


class Agenda:
    """What is due when, in nanoseconds since the epoch; of two things due at once the first entered is first.

    Attributes:
        now: the time of what happens at present.
    """

    def __init__(self, now: int) -> None:
        self.now = now
        self._due: list[tuple[int, int, Happening]] = []
        self._entered = 0

    def at(self, when: int, act: Callable[[], None]) -> Happening:
        """Let ``act`` happen at ``when``, or now if that is past."""
        happening = Happening(max(when, self.now), act)
        self._entered += 1
        heappush(self._due, (happening.at, self._entered, happening))
        return happening

    def after(self, delay: int, act: Callable[[], None]) -> Happening:
        """Let ``act`` happen ``delay`` nanoseconds from now."""
        return self.at(self.now + delay, act)

    def step(self, until: int) -> bool:
        """Let the next thing happen that is due by ``until``; False if there is none, and it is ``until``."""
        while self._due and self._due[0][0] <= until:
            when, _, happening = heappop(self._due)
            if happening.off:
                continue
            self.now = when
            happening.act()
            return True
        self.now = max(self.now, until)
        return False
