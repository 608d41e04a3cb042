"""Boundaries of bars: days, weeks, cut days, clocks that change."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alphaweave.core.clock import to_ns
from alphaweave.data.grid import BarGrid

NEW_YORK = ZoneInfo("America/New_York")


def at(*parts: int, zone: ZoneInfo | None = None) -> int:
    return to_ns(datetime(*parts, tzinfo=zone or UTC).astimezone(UTC))  # type: ignore[arg-type, misc]


@pytest.mark.parametrize(
    ("interval", "inside", "floor", "after"),
    [
        ("5m", (2024, 3, 4, 9, 33), (2024, 3, 4, 9, 30), (2024, 3, 4, 9, 35)),
        ("5m", (2024, 3, 4, 9, 35), (2024, 3, 4, 9, 35), (2024, 3, 4, 9, 40)),
        ("7h", (2024, 3, 4, 22), (2024, 3, 4, 21), (2024, 3, 5)),
        ("1d", (2024, 3, 4, 12), (2024, 3, 4), (2024, 3, 5)),
        ("1w", (2024, 3, 6), (2024, 3, 4), (2024, 3, 11)),
        ("1w", (2024, 3, 4), (2024, 3, 4), (2024, 3, 11)),
        ("3d", (1970, 1, 5), (1970, 1, 4), (1970, 1, 7)),
    ],
)
def test_grid_has_boundaries_in_utc(
    interval: str, inside: tuple[int, ...], floor: tuple[int, ...], after: tuple[int, ...]
) -> None:
    """Counted from midnight; weeks from Monday; the last bar of a day is cut at midnight."""
    grid = BarGrid(interval)
    assert (grid.floor(at(*inside)), grid.after(at(*inside))) == (at(*floor), at(*after))


def test_grid_days_are_local_also_when_the_clocks_change() -> None:
    """A day in New York on which the clocks go forward lasts 23 hours."""
    grid = BarGrid("1d", "America/New_York")
    noon = at(2024, 3, 10, 12, zone=NEW_YORK)
    assert grid.floor(noon) == at(2024, 3, 10, zone=NEW_YORK)
    assert grid.after(noon) - grid.floor(noon) == 23 * 3_600_000_000_000


def test_grid_hours_count_from_local_midnight() -> None:
    """Kolkata is half an hour off."""
    grid = BarGrid("1h", "Asia/Kolkata")
    assert grid.floor(at(2024, 3, 4, 4, 0)) == at(2024, 3, 4, 3, 30)
    assert grid.is_boundary(at(2024, 3, 4, 3, 30))
    assert not grid.is_boundary(at(2024, 3, 4, 4, 0))


def test_grid_refuses_ticks() -> None:
    """They have no length."""
    with pytest.raises(ValueError, match="ticks have no length"):
        BarGrid("tick")


@given(
    instant=st.integers(at(2000, 1, 1), at(2030, 1, 1)),
    interval=st.sampled_from(["1s", "1m", "45m", "1h", "7h", "1d", "3d", "1w"]),
    zone=st.sampled_from(["UTC", "America/New_York", "Asia/Kolkata", "Pacific/Auckland"]),
)
def test_grid_covers_time_without_gap_or_overlap(instant: int, interval: str, zone: str) -> None:
    """Every instant is in one bar, whose end starts the next."""
    grid = BarGrid(interval, zone)
    floor, after = grid.floor(instant), grid.after(instant)
    assert floor <= instant < after
    assert grid.floor(floor) == floor
    assert grid.floor(after) == after
    assert grid.after(floor) == grid.after(after - 1) == after
