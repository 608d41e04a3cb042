"""Time: UTC, injected, and nanoseconds where it must be fast."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alphaweave.core import clock
from alphaweave.core.clock import EPOCH, ManualClock, SystemClock, from_ns, require_utc, to_ns

NOON = datetime(2024, 3, 4, 12, tzinfo=UTC)
NEPAL = timezone(timedelta(hours=5, minutes=45))
NAIVE = datetime(2024, 3, 4, 12)  # noqa: DTZ001 - what is refused

moments = st.datetimes(timezones=st.sampled_from([UTC, NEPAL, timezone(-timedelta(hours=9, seconds=1))]))


@pytest.mark.parametrize(
    ("moment", "ns"),
    [
        (EPOCH, 0),
        (datetime(1970, 1, 1, 0, 0, 0, 1, tzinfo=UTC), 1_000),
        (datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC), -1_000),
        (datetime(1970, 1, 1, 5, 45, tzinfo=NEPAL), 0),
        (datetime(2024, 3, 4, tzinfo=UTC), 1_709_510_400_000_000_000),
    ],
)
def test_to_ns_counts_from_the_epoch(moment: datetime, ns: int) -> None:
    """Worked by hand: any zone, before the epoch too, exact to the microsecond."""
    assert to_ns(moment) == ns
    assert from_ns(ns) == moment
    assert from_ns(ns).tzinfo is UTC


@given(moments)
def test_moment_survives_the_way_through_nanoseconds(moment: datetime) -> None:
    """No microsecond is lost, in whatever zone and century."""
    assert from_ns(to_ns(moment)) == moment


@given(st.integers(-(2**62), 2**62))
def test_nanoseconds_are_cut_to_the_microsecond_before(ns: int) -> None:
    """An instant is never put later than it is, on either side of the epoch."""
    assert to_ns(from_ns(ns)) == ns // 1000 * 1000


def test_naive_times_are_refused() -> None:
    """Without a zone nobody knows which instant is meant."""
    for convert in (to_ns, require_utc):
        with pytest.raises(ValueError, match="has no time zone; AlphaWeave accepts aware datetimes only"):
            convert(NAIVE)


def test_require_utc_keeps_the_instant() -> None:
    """Another zone's clock reading becomes the UTC one of the same instant."""
    converted = require_utc(datetime(2024, 3, 4, 17, 45, tzinfo=NEPAL))
    assert converted == NOON
    assert converted.tzinfo is UTC


def test_manual_clock_moves_only_when_told() -> None:
    """Both readings stand still, and move on together."""
    manual = ManualClock(NOON)
    before = manual.monotonic()
    assert (manual.now(), manual.monotonic()) == (NOON, before)
    manual.advance(1.5)
    assert manual.now() == NOON + timedelta(seconds=1.5)
    assert manual.monotonic() == before + 1.5
    manual.set(NOON + timedelta(seconds=2))
    assert manual.now() == NOON + timedelta(seconds=2)
    assert manual.monotonic() == before + 2
    manual.set(manual.now())
    manual.advance(0)
    assert manual.monotonic() == before + 2


def test_manual_clock_never_runs_backwards() -> None:
    """A step back is an error, and leaves the clock as it was."""
    manual = ManualClock(NOON)
    with pytest.raises(ValueError, match="time does not run backwards"):
        manual.advance(-0.001)
    with pytest.raises(ValueError, match="time does not run backwards"):
        manual.set(NOON - timedelta(microseconds=1))
    with pytest.raises(ValueError, match="has no time zone"):
        manual.set(NAIVE)
    assert manual.now() == NOON


def test_manual_clock_tells_its_readings_apart() -> None:
    """A monotonic reading taken for seconds since the epoch would show at once."""
    assert ManualClock().now() == EPOCH
    assert ManualClock().monotonic() != EPOCH.timestamp()


def test_system_clock_is_aware_and_does_not_step_back() -> None:
    """The machine's own time, in UTC."""
    machine = SystemClock()
    first, second = machine.monotonic(), machine.monotonic()
    assert machine.now().tzinfo is UTC
    assert machine.now() > NOON
    assert second >= first


def test_clock_offers_exactly_its_names() -> None:
    """What a module offers is a promise."""
    assert clock.__all__ == [
        "EPOCH",
        "Clock",
        "ManualClock",
        "SystemClock",
        "from_ns",
        "require_utc",
        "to_ns",
    ]
