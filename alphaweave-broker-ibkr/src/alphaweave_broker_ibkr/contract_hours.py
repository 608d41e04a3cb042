"""When a contract is traded, by what the gateway says of it: the days to come, and those that have been."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from alphaweave.core.clock import from_ns, to_ns
from alphaweave.live.sessions import Span

__all__ = ["gateway_zone", "joined", "read_hours", "read_schedule"]

# Older gateways name a zone by what people call it.
_ZONES: Final = {"EST5EDT": "America/New_York", "CST6CDT": "America/Chicago", "JST": "Asia/Tokyo"}
_SPOKEN: Final = {"EST": "America/New_York", "CST": "America/Chicago", "MST": "America/Denver"}


def gateway_zone(name: str) -> ZoneInfo:
    """The zone that a contract's hours are in.

    Raises:
        ValueError: nobody knows it.
    """
    first = name.split(" ", maxsplit=1)[0]
    # EST alone is a zone that never changes its clocks; "EST (Eastern Standard Time)" is New York.
    try:
        return ZoneInfo(_ZONES.get(first) or _SPOKEN.get(first) or first)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"{name!r} is no time zone that is known here") from None


def read_hours(text: str, zone: ZoneInfo) -> tuple[Span, ...]:
    """The sessions of the days to come, as ``20261123:0930-20261123:1600;20261126:CLOSED``, in order.

    Raises:
        ValueError: it is something else.
    """
    found = []
    for day in filter(None, (one.strip() for one in text.split(";"))):
        date, _, hours = day.partition(":")
        if hours == "CLOSED":
            continue
        for stretch in hours.split(","):
            opening, dash, closing = stretch.partition("-")
            if not dash:
                raise ValueError(f"{day!r} are no hours of a day")
            # The first of a list has no date of its own; the others may have one.
            start = _instant(opening if ":" in opening else f"{date}:{opening}", zone)
            end = _instant(closing if ":" in closing else f"{date}:{closing}", zone)
            if ":" not in closing and end <= start:
                end += timedelta(days=1)
            found.append((start, end))
    return _spans(found)


def read_schedule(sessions: Iterable[Any], zone: ZoneInfo) -> tuple[Span, ...]:
    """The sessions that a schedule tells of, in order.

    Raises:
        ValueError: an instant is none.
    """
    return _spans(
        (_wall(one.startDateTime, "%Y%m%d-%H:%M:%S", zone), _wall(one.endDateTime, "%Y%m%d-%H:%M:%S", zone))
        for one in sessions
    )


def joined(past: Iterable[Span], future: Iterable[Span]) -> tuple[Span, ...]:
    """Both together; where they overlap, what is said of the days to come counts."""
    later = tuple(future)
    kept = [
        one for one in past if not any(one.start < other.end and other.start < one.end for other in later)
    ]
    return tuple(sorted({*kept, *later}))


def _instant(text: str, zone: ZoneInfo) -> datetime:
    return _wall(text, "%Y%m%d:%H%M", zone)


def _wall(text: str, form: str, zone: ZoneInfo) -> datetime:
    if text.endswith("2400"):
        return _wall(f"{text[:-4]}0000", form, zone) + timedelta(days=1)
    return datetime.strptime(text, form).replace(tzinfo=zone)


def _spans(found: Iterable[tuple[datetime, datetime]]) -> tuple[Span, ...]:
    spans = sorted({Span(to_ns(start.astimezone(UTC)), to_ns(end.astimezone(UTC))) for start, end in found})
    for span in spans:
        if span.start >= span.end:
            raise ValueError(f"a session from {from_ns(span.start)} to {from_ns(span.end)}")
    return tuple(spans)
