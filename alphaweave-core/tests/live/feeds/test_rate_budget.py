"""The budget of requests: limits, and what is kept for whom."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alphaweave.live.adapters.rate_budget import RateBudget, RateLimit, Use

SECOND = 1_000_000_000


def limit(weight: int = 10, seconds: float = 60, **kept: int) -> RateLimit:
    return RateLimit(name="minute", weight=weight, seconds=seconds, **kept)


def test_what_is_kept_for_cancels_goes_to_nothing_else() -> None:
    """Queries stop first, then orders, cancels last."""
    budget = RateBudget([limit(10, kept_for_cancels=2, kept_for_orders=3)])
    spent = dict.fromkeys(Use, 0)
    for use in (Use.QUERY, Use.ORDER, Use.CANCEL):
        while budget.take(0, use) == 0:
            spent[use] += 1
    assert spent == {Use.QUERY: 5, Use.ORDER: 3, Use.CANCEL: 2}
    assert budget.left(0, Use.CANCEL) == 0


def test_the_wait_is_until_enough_was_spent_long_enough_ago() -> None:
    """And trying again then succeeds, and not a moment earlier."""
    budget = RateBudget([limit(10, 60)])
    assert budget.take(0, Use.ORDER, 6) == 0
    assert budget.take(10 * SECOND, Use.ORDER, 4) == 0
    assert budget.take(20 * SECOND, Use.ORDER, 7) == 50
    assert budget.take(20 * SECOND, Use.ORDER, 6) == 40
    assert budget.take(60 * SECOND - 1, Use.ORDER, 6) > 0
    assert budget.take(60 * SECOND, Use.ORDER, 6) == 0


def test_every_limit_must_allow_it_or_none_is_spent() -> None:
    """Ten seconds and a minute."""
    budget = RateBudget([limit(10, 60), RateLimit(name="ten", weight=2, seconds=10)])
    assert [budget.take(0, Use.ORDER) for _ in range(3)] == [0, 0, 10]
    assert budget.left(10 * SECOND, Use.ORDER) == 2
    assert budget.take(10 * SECOND, Use.ORDER, 2) == 0
    assert budget.left(20 * SECOND, Use.ORDER) == 2


def test_the_brokers_own_count_only_adds() -> None:
    """Somebody else uses the key; a window that began anew takes nothing away."""
    budget = RateBudget([limit(10, 60)])
    budget.take(0, Use.QUERY, 3)
    budget.report(SECOND, "minute", 8)
    assert budget.left(SECOND, Use.QUERY) == 2
    budget.report(SECOND, "minute", 1)
    assert budget.left(SECOND, Use.QUERY) == 2
    assert budget.left(60 * SECOND, Use.QUERY) == 5


@pytest.mark.parametrize(("cancels", "wait"), [(False, 0.0), (True, 30.0)])
def test_a_bar_holds_cancels_only_where_the_broker_bans(cancels: bool, wait: float) -> None:
    """A Retry-After of 30 seconds."""
    budget = RateBudget([limit(10)])
    budget.bar(0, 30, cancels=cancels)
    assert budget.take(0, Use.ORDER) == 30
    assert budget.take(0, Use.CANCEL) == wait
    assert budget.take(30 * SECOND, Use.ORDER) == 0


def test_what_can_never_be_sent_is_refused_at_once() -> None:
    """It would wait for ever."""
    with pytest.raises(ValueError, match="a query of weight 6 can never be sent; 5 in 60 s"):
        RateBudget([limit(10, kept_for_orders=5)]).take(0, Use.QUERY, 6)
    with pytest.raises(ValueError, match="leave nothing of 10"):
        limit(10, kept_for_orders=5, kept_for_cancels=5)
    with pytest.raises(ValueError, match="a name of its own"):
        RateBudget([limit(), limit()])


@given(
    steps=st.lists(
        st.tuples(st.integers(0, 5 * SECOND), st.sampled_from(list(Use)), st.integers(1, 4)), max_size=60
    )
)
@settings(max_examples=60, deadline=None)
def test_no_stretch_of_time_sees_more_than_the_limit_and_waits_are_exact(
    steps: list[tuple[int, Use, int]],
) -> None:
    """Wherever the window is laid; and a cancel always finds its share, whatever else was sent."""
    budget = RateBudget([RateLimit(name="x", weight=10, seconds=10, kept_for_cancels=4)])
    now, sent = 0, []
    for step, use, cost in steps:
        now += step
        wait = budget.take(now, use, cost)
        if wait == 0:
            sent.append((now, use, cost))
        recent = [(at, what, weight) for at, what, weight in sent if at > now - 10 * SECOND]
        assert sum(weight for _, _, weight in recent) <= 10
        cancels = sum(weight for _, what, weight in recent if what is Use.CANCEL)
        if use is Use.CANCEL and wait:
            assert cancels + cost > 4
