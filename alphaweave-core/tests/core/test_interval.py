"""Bar intervals: many spellings in, one out."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alphaweave.core.interval import Interval, interval_of, parse_interval


@pytest.mark.parametrize(
    ("text", "spelled", "seconds"),
    [
        ("1m", "1m", 60),
        ("5m", "5m", 300),
        ("1min", "1m", 60),
        ("60s", "1m", 60),
        ("60 min", "1h", 3600),
        ("90s", "90s", 90),
        ("1h", "1h", 3600),
        ("2 hours", "2h", 7200),
        ("24h", "1d", 86_400),
        ("1D", "1d", 86_400),
        ("daily", "1d", 86_400),
        ("DAY", "1d", 86_400),
        ("3d", "3d", 259_200),
        ("7d", "1w", 604_800),
        ("1W", "1w", 604_800),
        ("weekly", "1w", 604_800),
        (" 15Min ", "15m", 900),
        ("tick", "tick", None),
        ("Ticks", "tick", None),
    ],
)
def test_parse_interval_reads_common_spellings(text: str, spelled: str, seconds: int | None) -> None:
    """Whatever it was called, an interval ends up in its one spelling."""
    assert parse_interval(text) == Interval(spelled, seconds)


@pytest.mark.parametrize("text", ["", "m5", "1y", "1.5h", "-1m", "1 m 30 s", "fortnight", "5"])
def test_parse_interval_refuses_what_it_cannot_read(text: str) -> None:
    """The message shows what was written and what could have been."""
    with pytest.raises(
        ValueError, match="is not a bar interval; write 30s, 1m, 5m, 1h, 1d, 1w or tick"
    ) as raised:
        parse_interval(text)
    assert repr(text) in str(raised.value)


@pytest.mark.parametrize("text", ["1M", "M", "3M"])
def test_parse_interval_refuses_a_capital_m(text: str) -> None:
    """A capital M is a month elsewhere, so nobody's months become minutes."""
    with pytest.raises(ValueError, match="minutes or months"):
        parse_interval(text)


def test_interval_of_refuses_less_than_a_second() -> None:
    """A bar of no length is no bar."""
    with pytest.raises(ValueError, match="at least one second, not 0"):
        parse_interval("0m")


def test_interval_of_refuses_a_day_and_a_half() -> None:
    """Above a day, bars follow local midnights and so have whole days."""
    with pytest.raises(ValueError, match="whole days, not 129600 seconds"):
        parse_interval("36h")


@settings(deadline=None)
@given(st.integers(1, 86_400) | st.integers(1, 400).map(lambda days: days * 86_400))
def test_interval_of_is_read_back_from_its_text(seconds: int) -> None:
    """The one spelling means the interval it was made from."""
    interval = interval_of(seconds)
    assert parse_interval(interval.text) == interval
    assert interval.seconds == seconds
    assert str(interval) == interval.text


def test_interval_counts_days_only_when_it_has_whole_ones() -> None:
    """An hour, a tick and 23 hours have no days; a week has seven."""
    assert [parse_interval(text).days for text in ("tick", "1h", "23h", "1d", "1w")] == [
        None,
        None,
        None,
        1,
        7,
    ]
