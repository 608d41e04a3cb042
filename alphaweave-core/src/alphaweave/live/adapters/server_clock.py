"""What time it is at the other end."""

from __future__ import annotations

from collections import deque
from datetime import datetime, timedelta

from attrs import frozen

from alphaweave.core.clock import Clock

__all__ = ["ServerClock"]


@frozen
class _Sample:
    offset: timedelta
    error: timedelta


class ServerClock:
    """The server's time, estimated from what it said and how long it took to say it.

    Of the last few samples the one with the shortest round trip counts: half of that is all it can be
    wrong by. Without a sample the server's time is this machine's.
    """

    def __init__(self, clock: Clock, samples: int = 8) -> None:
        """Raises ValueError if no sample is to be kept."""
        if samples < 1:
            raise ValueError(f"a server clock keeps one sample or more, not {samples}")
        self._clock = clock
        self._samples: deque[_Sample] = deque(maxlen=samples)

    @property
    def offset(self) -> timedelta:
        """How far the server's clock is ahead of this machine's; negative if behind."""
        return min(self._samples, key=lambda one: one.error).offset if self._samples else timedelta()

    @property
    def error(self) -> timedelta | None:
        """How far off the estimate can be; None before the first sample."""
        return min((one.error for one in self._samples), default=None)

    def learn(self, *, asked_at: datetime, answered_at: datetime, said: datetime) -> None:
        """Take in one answer: when it was asked for and came, by this machine's clock, and what it was.

        Raises:
            ValueError: it was answered before it was asked for (the clock was set back in between: take
                another sample).
        """
        if answered_at < asked_at:
            raise ValueError(f"answered at {answered_at}, before it was asked for at {asked_at}")
        half = (answered_at - asked_at) / 2
        self._samples.append(_Sample(said - (asked_at + half), half))

    def now(self) -> datetime:
        """The server's time now, UTC."""
        return self._clock.now() + self.offset
