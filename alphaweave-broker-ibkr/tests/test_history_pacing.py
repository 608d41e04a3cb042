"""The gateway is not asked for more of the past than it answers."""

from __future__ import annotations

from alphaweave_broker_ibkr.history_pacing import HistoryPacing

SECOND = 10**9


def test_same_question_waits_fifteen_seconds() -> None:
    """The same question about short bars is asked again after 15 seconds, and no sooner."""
    pacing = HistoryPacing()
    assert pacing.take(0, 1, "a", 5) == 0
    assert pacing.take(SECOND, 1, "a", 5) == 14
    assert pacing.take(SECOND, 1, "b", 5) == 0
    assert pacing.take(15 * SECOND, 1, "a", 5) == 0


def test_five_questions_of_a_contract_in_two_seconds() -> None:
    """The sixth question about a contract within two seconds waits; others do not."""
    pacing = HistoryPacing()
    for number in range(5):
        assert pacing.take(number, 1, number, 5) == 0
    assert pacing.take(SECOND, 1, "sixth", 5) == 1
    assert pacing.take(SECOND, 2, "other", 5) == 0
    assert pacing.take(2 * SECOND, 1, "sixth", 5) == 0


def test_sixty_questions_in_ten_minutes() -> None:
    """The sixty-first question within ten minutes waits for the first to be forgotten."""
    pacing = HistoryPacing()
    for number in range(60):
        assert pacing.take(number * SECOND, number, number, 30) == 0
    assert pacing.take(60 * SECOND, 99, "more", 30) == 540
    assert pacing.take(600 * SECOND, 99, "more", 30) == 0


def test_longer_bars_are_not_counted() -> None:
    """Of bars of a minute any number is asked for, until the gateway says that it is too much."""
    pacing = HistoryPacing()
    assert [pacing.take(0, 1, "a", 60) for _ in range(100)] == [0.0] * 100
    pacing.bar(0, 15)
    assert pacing.take(5 * SECOND, 1, "a", 60) == 10
    assert pacing.take(15 * SECOND, 1, "a", 60) == 0
