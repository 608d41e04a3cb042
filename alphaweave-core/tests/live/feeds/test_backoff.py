"""Waits between attempts."""

from __future__ import annotations

from random import Random

import pytest

from alphaweave.live.adapters.backoff import Backoff


def test_waits_are_drawn_below_a_bound_that_doubles_up_to_its_cap() -> None:
    """And use the random numbers they are given."""
    one = Backoff(random=Random(7), base=1, cap=10)
    bounds, waits = [], []
    for _ in range(7):
        bounds.append(one.bound)
        waits.append(one.next_wait())
    assert bounds == [1, 2, 4, 8, 10, 10, 10]
    expected = Random(7)
    assert waits == [expected.uniform(0, bound) for bound in bounds]


def test_a_wait_the_other_side_asked_for_is_kept() -> None:
    """With jitter on top, also beyond the cap."""
    one = Backoff(random=Random(1), cap=10)
    assert 300 <= one.next_wait(300) <= 301
    assert 0 <= one.next_wait(-5) <= 2


def test_only_a_connection_that_was_stable_starts_over() -> None:
    """One that is dropped at once is no success."""
    one = Backoff(random=Random(1), stable_after=60)
    one.next_wait()
    one.next_wait()
    one.lived(59.9)
    assert one.attempt == 2
    one.lived(60)
    assert (one.attempt, one.bound) == (0, 1)


def test_a_year_of_attempts_stays_at_the_cap() -> None:
    """No number grows without end."""
    one = Backoff(random=Random(1), cap=30)
    one.attempt = 10**6
    assert one.bound == 30
    flat = Backoff(random=Random(1), factor=1, cap=30)
    flat.attempt = 10**6
    assert flat.bound == 1


@pytest.mark.parametrize("wrong", [{"base": 0}, {"factor": 0.5}, {"cap": 0}, {"stable_after": -1}])
def test_bounds_that_make_no_sense_are_refused(wrong: dict[str, float]) -> None:
    """At construction."""
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Backoff(random=Random(1), **wrong)
