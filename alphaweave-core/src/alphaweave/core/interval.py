"""How long a bar lasts, in one spelling."""

from __future__ import annotations

import re
from typing import Final

from attrs import frozen

__all__ = ["DAY_SECONDS", "Interval", "interval_of", "parse_interval"]

DAY_SECONDS: Final = 86_400

_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": DAY_SECONDS, "w": 7 * DAY_SECONDS}
_SPELLINGS: Final = {
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), "s"),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), "m"),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), "h"),
    **dict.fromkeys(("d", "day", "days", "daily"), "d"),
    **dict.fromkeys(("w", "wk", "week", "weeks", "weekly"), "w"),
}
_FORM: Final = re.compile(r"(\d*)\s*([a-z]+)")


@frozen
class Interval:
    """A bar interval, or ``tick`` for trades.

    Attributes:
        text: the one spelling: a count and the largest unit that divides it (``90s``, ``5m``, ``1d``).
        seconds: its nominal length; None for ``tick``. A bar of whole days spans local midnights, so
            that a day on which the clocks change lasts 23 or 25 hours.
    """

    text: str
    seconds: int | None

    @property
    def days(self) -> int | None:
        """Whole days in it; None for a shorter interval and for ``tick``."""
        if self.seconds is None or self.seconds < DAY_SECONDS:
            return None
        return self.seconds // DAY_SECONDS

    def __str__(self) -> str:
        return self.text


def interval_of(seconds: int) -> Interval:
    """The interval of that many seconds.

    Raises:
        ValueError: for less than a second, or more than a day that is not a number of whole days.
    """
    if seconds < 1:
        raise ValueError(f"a bar interval is at least one second, not {seconds}")
    if seconds > DAY_SECONDS and seconds % DAY_SECONDS:
        raise ValueError(f"a bar interval longer than a day is a number of whole days, not {seconds} seconds")
    unit = max((name for name, size in _UNITS.items() if seconds % size == 0), key=_UNITS.__getitem__)
    return Interval(f"{seconds // _UNITS[unit]}{unit}", seconds)


def parse_interval(text: str) -> Interval:
    """Read ``5m``, ``1min``, ``1D``, ``60s``, ``2 hours``, ``daily``, ``tick``, in either case.

    ``m`` and ``M`` are a minute and, elsewhere, often a month: a lone capital M is refused.

    Raises:
        ValueError: for anything else; the message names the spellings that are read.
    """
    cleaned = text.strip()
    if cleaned.lower() in {"tick", "ticks"}:
        return Interval("tick", None)
    match = _FORM.fullmatch(cleaned.lower())
    unit = _SPELLINGS.get(match[2]) if match else None
    if match is None or unit is None:
        raise ValueError(f"{text!r} is not a bar interval; write 30s, 1m, 5m, 1h, 1d, 1w or tick")
    if cleaned.endswith("M"):
        raise ValueError(
            f"{text!r} could mean minutes or months; write 1m for a minute (months are not read)"
        )
    return interval_of(int(match[1] or 1) * _UNITS[unit])
