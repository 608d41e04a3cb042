"""Time: UTC everywhere, injected everywhere."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol

from attrs import define

__all__ = ["EPOCH", "Clock", "ManualClock", "SystemClock", "from_ns", "require_utc", "to_ns"]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def to_ns(moment: datetime) -> int:
    """Nanoseconds since the epoch of a timezone-aware datetime (exact to the microsecond).

    Raises:
        ValueError: if the datetime carries no time zone.
    """
    if moment.tzinfo is None:
        raise ValueError(f"{moment!r} has no time zone; AlphaWeave accepts aware datetimes only")
    return (moment - EPOCH) // _MICROSECOND * 1000


def from_ns(ns: int) -> datetime:
    """The UTC datetime of an epoch nanosecond count, cut to the microsecond."""
    # Whole seconds apart, for timedelta is slow to split a large number itself.
    seconds, rest = divmod(ns, 1_000_000_000)
    return EPOCH + timedelta(0, seconds, rest // 1000)


def require_utc(moment: datetime) -> datetime:
    """The same instant in UTC.

    Raises:
        ValueError: if the datetime carries no time zone.
    """
    if moment.tzinfo is None:
        raise ValueError(f"{moment!r} has no time zone; AlphaWeave accepts aware datetimes only")
    return moment.astimezone(UTC)


class Clock(Protocol):
    """Where the time comes from. Adapters and drivers read it; the kernel never does."""

    def now(self) -> datetime:
        """The current instant, timezone-aware UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds on a clock that never steps back; only differences mean anything."""
        ...


class SystemClock:
    """The machine's own clock."""

    __slots__ = ()

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()


@define(eq=False)
class ManualClock:
    """A clock that moves only when told to: for tests, replay and sandboxes."""

    _now: datetime = EPOCH
    # An odd offset, so that a monotonic reading mixed up with epoch seconds shows at once.
    _monotonic: float = 1_000_003.0

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return self._monotonic

    def advance(self, seconds: float) -> None:
        """Move both readings forward.

        Raises:
            ValueError: if ``seconds`` is negative.
        """
        if seconds < 0:
            raise ValueError("time does not run backwards")
        self._now += timedelta(seconds=seconds)
        self._monotonic += seconds

    def set(self, moment: datetime) -> None:
        """Jump forward to an instant.

        Raises:
            ValueError: if it lies before the current one or has no time zone.
        """
        self.advance((require_utc(moment) - self._now).total_seconds())
