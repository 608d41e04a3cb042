"""The gateway's time, of a gateway that tells it in whole seconds."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

__all__ = ["GatewayClock"]

_SECOND: Final = timedelta(seconds=1)


class GatewayClock:
    """How far the gateway's clock is ahead of this machine's, as far as its answers prove it.

    A whole second that is taken for the instant is up to a second late, and a run holds its orders back from
    half a second on. What is shown lies between that second and the next; with each answer the bounds become
    narrower, and within them the clocks are taken to agree.
    """

    def __init__(self) -> None:
        self._bounds: tuple[timedelta, timedelta] | None = None

    def learn(self, asked_at: datetime, answered_at: datetime, said: datetime) -> datetime:
        """What the gateway's clock showed when the answer came, UTC.

        Args:
            asked_at: when it was asked, by this machine's clock.
            answered_at: when its answer came, by this machine's clock.
            said: the answer, in whole seconds.
        """
        least, most = said - answered_at, said + _SECOND - asked_at
        if self._bounds is not None:
            low, high = max(least, self._bounds[0]), min(most, self._bounds[1])
            # Where no time agrees with all of them a clock was set, or wandered off: the newest counts.
            if low < high:
                least, most = low, high
        self._bounds = (least, most)
        return answered_at + min(max(timedelta(), least), most)
