"""Symbols that fell silent."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from alphaweave.core.clock import to_ns
from alphaweave.live.adapters.staleness import StalenessWatch
from alphaweave.live.sessions import read_calendar

SECOND = 1_000_000_000


def test_a_symbol_is_stale_once_and_fresh_once() -> None:
    """Each by itself, at the limit and not before."""
    watch = StalenessWatch(5)
    watch.watch(["A", "B"], 0)
    assert watch.next_check(0) == 5 * SECOND
    assert not watch.saw("A", 3 * SECOND)
    assert watch.check(5 * SECOND - 1) == ()
    assert watch.check(5 * SECOND) == ("B",)
    assert watch.check(6 * SECOND) == ()
    assert watch.next_check(6 * SECOND) == 8 * SECOND
    assert watch.check(8 * SECOND) == ("A",)
    assert watch.stale == {"A", "B"}
    assert watch.next_check(8 * SECOND) is None
    assert watch.saw("B", 9 * SECOND)
    assert not watch.saw("B", 9 * SECOND)
    assert not watch.saw("C", 9 * SECOND)
    assert watch.stale == {"A"}


def test_what_is_not_watched_any_more_is_forgotten() -> None:
    """And what stays keeps its time."""
    watch = StalenessWatch(5)
    watch.watch(["A", "B"], 0)
    watch.check(5 * SECOND)
    watch.watch(["B", "C"], 6 * SECOND)
    assert watch.stale == {"B"}
    assert watch.check(11 * SECOND) == ("C",)


def test_only_time_in_session_counts() -> None:
    """Two seconds before the close and three after the opening of Monday make five."""
    calendar = read_calendar(
        {"timezone": "UTC", **{day: ["09:30-16:00"] for day in ("mon", "tue", "wed", "thu", "fri")}}
    )
    close = to_ns(datetime(2024, 3, 1, 16, tzinfo=UTC))
    opening = to_ns(datetime(2024, 3, 4, 9, 30, tzinfo=UTC))
    watch = StalenessWatch(5, calendar)
    watch.watch(["A"], close - 2 * SECOND)
    assert watch.next_check(close) == opening + 3 * SECOND
    assert watch.check(opening + 3 * SECOND - 1) == ()
    assert watch.check(opening + 3 * SECOND) == ("A",)


def test_a_limit_is_positive() -> None:
    """Zero would make everything stale."""
    with pytest.raises(ValueError, match="after some seconds"):
        StalenessWatch(0)
