"""How much may be asked of a broker, and by what: cancels come first, queries last."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from enum import IntEnum
from typing import Final

from attrs import field, frozen
from attrs.validators import ge, gt

__all__ = ["RateBudget", "RateLimit", "Use", "asked_again", "objection"]

_SECOND_NS: Final = 1_000_000_000
_Why = Callable[[], str | None]
_why: ContextVar[_Why] = ContextVar("why", default=lambda: None)


def objection() -> str | None:
    """Why the order that is being sent may not leave any more; None: it may.

    It is said of the task that called `Broker.submit_order`, and of tasks made there. An adapter that let an
    order wait (for room in a limit, say) asks before the first byte, and raises `NotSent` with the answer:
    the run may have been halted meanwhile, or the decision be too old.
    """
    return _why.get()()


@contextmanager
def asked_again(why: _Why) -> Iterator[None]:
    """Let `objection` give this answer."""
    token = _why.set(why)
    try:
        yield
    finally:
        _why.reset(token)


class Use(IntEnum):
    """What a request is for. Each leaves alone what is kept for those above it."""

    QUERY = 0
    ORDER = 1
    CANCEL = 2


@frozen(kw_only=True)
class RateLimit:
    """One limit of a broker: at most so much weight within any stretch of so many seconds.

    Attributes:
        name: how reports of the broker's own count name it.
        kept_for_cancels: weight that only cancels use.
        kept_for_orders: weight that orders and cancels use, and queries do not.
    """

    name: str
    weight: int = field(validator=gt(0))
    seconds: float = field(validator=gt(0))
    kept_for_cancels: int = field(default=0, validator=ge(0))
    kept_for_orders: int = field(default=0, validator=ge(0))

    def __attrs_post_init__(self) -> None:
        if self.kept_for_cancels + self.kept_for_orders >= self.weight:
            raise ValueError(
                f"{self.name}: {self.kept_for_cancels} for cancels and {self.kept_for_orders} for orders "
                f"leave nothing of {self.weight} for queries"
            )

    def share(self, use: Use) -> int:
        """How much of the limit is for this use, with all that came before it counted."""
        kept = self.kept_for_cancels if use < Use.CANCEL else 0
        return self.weight - kept - (self.kept_for_orders if use < Use.ORDER else 0)


class _Window:
    """What was spent within the last stretch of one limit, request by request."""

    __slots__ = ("limit", "span", "spent", "total")

    def __init__(self, limit: RateLimit) -> None:
        self.limit = limit
        self.span = round(limit.seconds * _SECOND_NS)
        self.spent: deque[tuple[int, int]] = deque()
        self.total = 0

    def forget(self, now: int) -> None:
        while self.spent and self.spent[0][0] <= now - self.span:
            self.total -= self.spent.popleft()[1]

    def add(self, now: int, cost: int) -> None:
        if cost:
            self.spent.append((now, cost))
            self.total += cost

    def wait(self, now: int, cost: int, use: Use) -> int:
        """Nanoseconds until so much fits."""
        excess = self.total + cost - self.limit.share(use)
        if excess <= 0:
            return 0
        for at, spent in self.spent:
            excess -= spent
            if excess <= 0:
                return at + self.span - now
        return self.span


class RateBudget:
    """The requests that all limits of a broker allow. It waits for nobody: it says how long to wait.

    What is counted is never more than a limit within any stretch of its length, wherever the broker's own
    windows begin. Times are nanoseconds of any clock that does not run back.
    """

    def __init__(self, limits: Sequence[RateLimit]) -> None:
        """Raises ValueError if there is no limit, or two have one name."""
        if not limits or len({limit.name for limit in limits}) != len(limits):
            raise ValueError("a budget has one limit or more, each with a name of its own")
        self._windows = {limit.name: _Window(limit) for limit in limits}
        self._barred_until = 0
        self._cancels_barred_until = 0

    def take(self, now: int, use: Use, cost: int = 1) -> float:
        """Spend ``cost`` in every limit, or nothing in any.

        Returns:
            0 if it was spent; otherwise the seconds after which to try again. A query raises
            `BrokerUnavailable` with them, an order waits, and others may have come first by then.

        Raises:
            ValueError: the cost is more than this use can ever have, or negative.
        """
        for window in self._windows.values():
            if not 0 <= cost <= window.limit.share(use):
                raise ValueError(
                    f"{window.limit.name}: a {use.name.lower()} of weight {cost} can never be sent; "
                    f"{window.limit.share(use)} in {window.limit.seconds:g} s are for it"
                )
            window.forget(now)
        barred = self._cancels_barred_until if use is Use.CANCEL else self._barred_until
        wait = max(barred - now, *(window.wait(now, cost, use) for window in self._windows.values()))
        if wait > 0:
            return wait / _SECOND_NS
        for window in self._windows.values():
            window.add(now, cost)
        return 0.0

    def left(self, now: int, use: Use) -> int:
        """The weight that this use can spend at once."""
        for window in self._windows.values():
            window.forget(now)
        return max(min(one.limit.share(use) - one.total for one in self._windows.values()), 0)

    def report(self, now: int, name: str, used: int) -> None:
        """The broker said what was used of one limit (a response header).

        It counts if it is more than what was counted here: others may use the same key or address. It is
        never less, for the broker's window may have begun anew.

        Raises:
            KeyError: there is no limit of that name.
        """
        window = self._windows[name]
        window.forget(now)
        window.add(now, max(used - window.total, 0))

    def bar(self, now: int, seconds: float, *, cancels: bool) -> None:
        """The broker wants no request for so long (``Retry-After``).

        Args:
            cancels: it wants no cancel either, and bans who goes on; otherwise cancels still go out.
        """
        until = now + round(seconds * _SECOND_NS)
        self._barred_until = max(self._barred_until, until)
        if cancels:
            self._cancels_barred_until = max(self._cancels_barred_until, until)
