"""The order in which bars of many series become known."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from alphaweave.data.series import Series
from alphaweave.data.timeline import Timeline


def series_of(symbol: str, ends: list[int]) -> Series:
    """A series that ends when told."""
    prices = [float(end) for end in ends]
    return Series.from_columns(
        symbol, "1m", start=ends, end=ends, open=prices, high=prices, low=prices, close=prices, volume=prices
    )


def test_timeline_of_equal_ends_is_one_group() -> None:
    """Series that move together share one cursor, and need no list of groups."""
    a, b = series_of("A", [1, 2, 5]), series_of("B", [1, 2, 5])
    timeline = Timeline([a, b])
    (group,) = timeline.groups
    assert group.series == (a, b)
    assert a.cursor is b.cursor is group.cursor
    assert list(group.end) == list(timeline.ends) == [1, 2, 5]
    assert timeline.groups_at is None
    assert len(timeline) == 3
    assert list(timeline) == [(1, (group,)), (2, (group,)), (5, (group,))]


def test_timeline_keeps_series_apart_that_differ_in_the_middle() -> None:
    """Equal length and equal ends at both sides do not make equal columns."""
    a, b, c = series_of("A", [1, 2, 5]), series_of("B", [1, 3, 5]), series_of("C", [1, 2, 5])
    timeline = Timeline([a, b, c])
    first, second = timeline.groups
    assert (first.series, second.series) == ((a, c), (b,))
    assert a.cursor is c.cursor
    assert a.cursor is not b.cursor
    assert list(timeline) == [(1, (first, second)), (2, (first,)), (3, (second,)), (5, (first, second))]
    assert list(timeline.ends) == [1, 2, 3, 5]


def test_timeline_gives_fresh_cursors() -> None:
    """Series of an earlier run start at their first bar again."""
    a = series_of("A", [1, 2])
    Timeline([a])
    a.cursor.count = 2
    Timeline([a])
    assert a.cursor.count == 0


def test_timeline_of_nothing_is_empty() -> None:
    """No series and series without bars make no slices."""
    assert list(Timeline([])) == []
    assert len(Timeline([])) == 0
    empty = Timeline([series_of("A", []), series_of("B", [])])
    assert (len(empty), len(empty.groups)) == (0, 1)
    one = Timeline([series_of("A", []), series_of("B", [1])])
    assert [(end, [s.symbol for g in groups for s in g.series]) for end, groups in one] == [(1, ["B"])]


def test_timeline_stays_when_a_series_grows() -> None:
    """A bar appended later is not part of a timeline built before."""
    a = series_of("A", [1, 2])
    timeline = Timeline([a])
    a.append(3, 3, 1.0, 1.0, 1.0, 1.0, 1.0)
    assert list(timeline.ends) == [1, 2]


@settings(deadline=None)
@given(st.lists(st.sets(st.integers(0, 12), max_size=8), max_size=5))
def test_timeline_shows_every_bar_once_in_order(columns: list[set[int]]) -> None:
    """Advancing the cursors slice by slice walks every series to its end, each bar at its own end."""
    series = [series_of(str(n), sorted(ends)) for n, ends in enumerate(columns)]
    timeline = Timeline(series)
    seen: dict[str, list[int]] = {one.symbol: [] for one in series}
    slices = []
    for end, groups in timeline:
        slices.append(end)
        for group in groups:
            assert all(one.cursor is group.cursor for one in group.series)
            group.cursor.count += 1
            for one in group.series:
                seen[one.symbol].append(one.end[one.cursor.count - 1])
                assert seen[one.symbol][-1] == end
        order = [one.symbol for group in groups for one in group.series]
        by_group = [one.symbol for group in timeline.groups for one in group.series if one.symbol in order]
        assert order == by_group
    assert slices == sorted(set().union(*columns)) if columns else slices == []
    assert len(timeline) == len(slices)
    assert seen == {one.symbol: list(one.end) for one in series}
