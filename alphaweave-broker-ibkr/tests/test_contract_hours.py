"""The hours of a contract, as the gateway writes them."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from ib_async import HistoricalSession

from alphaweave.core.clock import from_ns
from alphaweave.live.sessions import Span
from alphaweave_broker_ibkr.contract_hours import gateway_zone, joined, read_hours, read_schedule

NEW_YORK = ZoneInfo("America/New_York")


def spans(found: tuple[Span, ...]) -> list[tuple[str, str]]:
    return [(f"{from_ns(one.start):%d %H:%M}", f"{from_ns(one.end):%d %H:%M}") for one in found]


def test_hours_are_read_in_their_zone() -> None:
    """Each day has its hours, by the clock of the exchange; a holiday has none."""
    text = "20261125:0930-20261125:1600;20261126:CLOSED;20261127:0930-20261127:1300"
    assert spans(read_hours(text, NEW_YORK)) == [("25 14:30", "25 21:00"), ("27 14:30", "27 18:00")]


def test_session_begins_the_day_before() -> None:
    """A day of a future begins in the evening before it, and may pause."""
    text = "20261122:1700-20261123:1515,20261123:1530-20261123:1600"
    chicago = ZoneInfo("America/Chicago")
    assert spans(read_hours(text, chicago)) == [("22 23:00", "23 21:15"), ("23 21:30", "23 22:00")]


def test_older_form_has_the_date_once() -> None:
    """Older gateways write the date once, and an end before its beginning is on the next day."""
    assert spans(read_hours("20261123:0930-1600;20261124:1800-1700", NEW_YORK)) == [
        ("23 14:30", "23 21:00"),
        ("24 23:00", "25 22:00"),
    ]


def test_day_may_end_at_midnight() -> None:
    """A day that ends at 24:00 ends with the next day."""
    assert spans(read_hours("20261123:0000-20261123:2400", UTC_ZONE)) == [("23 00:00", "24 00:00")]


UTC_ZONE = ZoneInfo("UTC")


@pytest.mark.parametrize("text", ["20261123:0930", "soon:0930-soon:1600", "20261123:1600-20261123:0930"])
def test_hours_that_are_none_are_refused(text: str) -> None:
    """What cannot be read is not taken for closed."""
    with pytest.raises(ValueError, match=r".+"):
        read_hours(text, NEW_YORK)


def test_zones_have_several_names() -> None:
    """A zone is told as a name, an older name, or what people call it."""
    at = datetime(2026, 7, 1, 12, tzinfo=UTC)
    offsets = {
        at.astimezone(gateway_zone(name)).utcoffset()
        for name in ("US/Eastern", "America/New_York", "EST (Eastern Standard Time)", "EST5EDT")
    }
    assert len(offsets) == 1
    with pytest.raises(ValueError, match="Nowhere"):
        gateway_zone("Nowhere/At_All")


def test_schedule_is_read_and_joined() -> None:
    """What has been and what is to come are one list, in which the days to come count."""
    past = read_schedule(
        [
            HistoricalSession("20261120-09:30:00", "20261120-16:00:00", "20261120"),
            HistoricalSession("20261123-09:30:00", "20261123-16:00:00", "20261123"),
        ],
        NEW_YORK,
    )
    future = read_hours("20261123:0930-20261123:1300", NEW_YORK)
    assert spans(joined(past, future)) == [("20 14:30", "20 21:00"), ("23 14:30", "23 18:00")]
