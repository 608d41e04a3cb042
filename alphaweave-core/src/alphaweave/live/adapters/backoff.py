"""How long to wait before trying again: exponential, with full jitter, capped."""

from __future__ import annotations

from random import Random

from attrs import define, field
from attrs.validators import ge, gt

__all__ = ["Backoff"]


@define(kw_only=True)
class Backoff:
    """The waits between attempts. Whoever waits tells how long the connection lived, and nothing else.

    Each wait is drawn between nothing and a bound that doubles with every attempt, so that many clients
    that lost one server together do not come back together.

    Attributes:
        random: where the jitter comes from.
        base: the first bound, in seconds.
        factor: how much larger the bound is after each attempt.
        cap: the largest bound, in seconds.
        stable_after: seconds that a connection lives before what went wrong earlier is forgotten. One
            that is accepted and dropped at once is no success.
        attempt: waits drawn since then.
    """

    random: Random
    base: float = field(default=1.0, validator=gt(0))
    factor: float = field(default=2.0, validator=ge(1))
    cap: float = field(default=60.0, validator=gt(0))
    stable_after: float = field(default=60.0, validator=ge(0))
    attempt: int = field(default=0, init=False)

    @property
    def bound(self) -> float:
        """The longest that the next wait can be, in seconds."""
        bound = self.base
        for _ in range(self.attempt):
            if bound >= self.cap:
                break
            bound *= self.factor
            if self.factor == 1:
                break
        return min(bound, self.cap)

    def next_wait(self, at_least: float | None = None) -> float:
        """Seconds to wait before the next attempt.

        Args:
            at_least: what the other side asked for (``retry_after``). It is kept even beyond ``cap``, and
                the jitter comes on top, for the others were asked for the same.
        """
        wait = self.random.uniform(0.0, self.bound)
        self.attempt += 1
        return wait if at_least is None else max(at_least, 0.0) + wait

    def lived(self, seconds: float) -> None:
        """What was connected worked for that long and is gone, or works still."""
        if seconds >= self.stable_after:
            self.attempt = 0
