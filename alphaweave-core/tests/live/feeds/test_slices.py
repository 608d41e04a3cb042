"""Slices: when they close, what is late, how warm-up and stream are joined."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from alphaweave.core.clock import from_ns
from alphaweave.core.market import Bar, BarSource
from alphaweave.live.datafeed import History, Watermark
from alphaweave.live.slices import LateBar, Missing, Slice, SliceAssembler

MINUTE = 60_000_000_000
SECOND = 1_000_000_000


def bar(symbol: str, minute: int) -> Bar:
    price = float(minute)
    start, end = from_ns((minute - 1) * MINUTE), from_ns(minute * MINUTE)
    return Bar(symbol, "1m", start, end, price, price, price, price, 1.0)


def until(minute: int, *symbols: str) -> Watermark:
    return Watermark(symbols, "1m", from_ns(minute * MINUTE))


def history(symbol: str, minutes: Iterable[int], start: int, end: int) -> History:
    bars = tuple(bar(symbol, minute) for minute in minutes)
    return History(bars, from_ns(start * MINUTE), from_ns(end * MINUTE))


def told(events: Iterable[Slice | LateBar]) -> list[str]:
    def text(event: Slice | LateBar) -> str:
        if isinstance(event, LateBar):
            return f"late {event.bar.symbol}{event.bar.close:g}"
        return f"{event.end // MINUTE}:{''.join(one.symbol for one in event.bars)}"

    return [text(event) for event in events]


def started(*symbols: str, grace: float = 2, begin: int = 0) -> SliceAssembler:
    one = SliceAssembler(symbols, "1m", grace=grace)
    one.mark(until(begin, *symbols), 0)
    for symbol in symbols:
        one.history(symbol, history(symbol, [], begin, begin))
    assert one.start(begin * MINUTE) == ()
    return one


def test_a_slice_closes_when_all_have_reported() -> None:
    """In the order of the run's symbols, not of arrival."""
    one = started("A", "B")
    assert told(one.add(bar("B", 1), MINUTE)) == []
    assert told(one.add(bar("A", 1), MINUTE)) == ["1:AB"]
    assert one.closed_to == MINUTE
    assert one.deadline is None


def test_a_slice_closes_at_the_feeds_word_that_no_bar_will_come() -> None:
    """Also when the word comes first; one for another interval says nothing."""
    one = started("A", "B")
    one.add(bar("A", 1), MINUTE)
    assert told(one.mark(Watermark(("B",), "5m", from_ns(5 * MINUTE)), MINUTE)) == []
    assert told(one.mark(until(2, "B", "unknown"), MINUTE)) == ["1:A"]
    assert told(one.add(bar("A", 2), 2 * MINUTE)) == ["2:A"]


def test_a_slice_closes_after_the_grace() -> None:
    """Not a moment earlier; a later bar of the silent symbol is no word that none will come."""
    one = started("A", "B")
    one.add(bar("A", 1), MINUTE)
    assert one.deadline == MINUTE + 2 * SECOND
    assert told(one.tick(one.deadline - 1)) == []
    assert told(one.add(bar("B", 2), one.deadline - 1)) == []
    assert told(one.tick(MINUTE + 2 * SECOND)) == ["1:A"]


def test_the_grace_of_bars_that_come_long_after_their_end_counts_from_the_first() -> None:
    """A feed that is a quarter of an hour late is late for every symbol."""
    one = started("A", "B")
    assert told(one.add(bar("A", 1), 16 * MINUTE)) == []
    assert one.deadline == 16 * MINUTE + 2 * SECOND
    assert told(one.add(bar("B", 1), 16 * MINUTE + SECOND)) == ["1:AB"]


def test_slices_close_in_rising_order() -> None:
    """One that is complete waits for those before it."""
    one = started("A", "B")
    one.add(bar("A", 1), MINUTE)
    assert told((*one.add(bar("B", 2), MINUTE), *one.add(bar("A", 2), MINUTE))) == []
    assert told(one.add(bar("B", 1), MINUTE)) == ["1:AB", "2:AB"]


def test_a_bar_that_waits_for_its_slice_is_in_it_as_it_was_restated() -> None:
    """One that does not wait is left to whoever has its series."""
    one = started("A", "B")
    restated = evolve(bar("A", 1), close=0.5)
    assert not one.correct(restated)
    one.add(bar("A", 1), MINUTE)
    assert not one.correct(evolve(restated, interval="5m"))
    assert one.correct(restated)
    (closed,) = one.add(bar("B", 1), MINUTE)
    assert isinstance(closed, Slice)
    assert [each.close for each in closed.bars] == [0.5, 1.0]
    assert not one.correct(restated)


def test_a_bar_after_its_slice_is_late_once() -> None:
    """Whatever closed meanwhile; what was had is dropped."""
    one = started("A", "B")
    one.add(bar("A", 1), MINUTE)
    one.tick(2 * MINUTE)
    one.add(bar("A", 2), 2 * MINUTE)
    one.add(bar("B", 2), 2 * MINUTE)
    assert told(one.add(bar("B", 1), 2 * MINUTE)) == ["late B1"]
    assert one.add(bar("B", 1), 2 * MINUTE) == one.add(bar("A", 2), 2 * MINUTE) == ()
    assert one.repeated == 2


def test_no_grace_runs_while_the_connection_is_lost() -> None:
    """What is fetched afterwards fills the slices; then it runs from the release."""
    one = started("A", "B")
    one.hold()
    one.add(bar("A", 1), 9 * MINUTE)
    assert one.deadline is None
    assert told(one.tick(10 * MINUTE)) == []
    assert told(one.add(bar("B", 1), 10 * MINUTE)) == ["1:AB"]
    one.add(bar("A", 2), 10 * MINUTE)
    assert told(one.release(11 * MINUTE)) == []
    assert one.deadline == 11 * MINUTE + 2 * SECOND
    assert told(one.tick(11 * MINUTE + 2 * SECOND)) == ["2:A"]


def test_the_start_waits_for_history_up_to_the_stream() -> None:
    """It says what to ask for, until nothing is missing."""
    one = SliceAssembler(["A", "B"], "1m", grace=2)
    one.mark(until(5, "A"), 0)
    assert one.missing() is None
    one.mark(until(6, "B"), 0)
    one.mark(until(9, "A"), 0)
    assert one.missing() == (Missing("A", None, 5 * MINUTE), Missing("B", None, 6 * MINUTE))
    one.history("A", history("A", [3, 4, 5], 2, 5))
    one.history("B", history("B", [4], 2, 4))
    assert one.missing() == (Missing("B", 4 * MINUTE, 6 * MINUTE),)
    with pytest.raises(ValueError, match=r"missing: .*symbol='B'"):
        one.start(0)
    assert told(one.add(bar("A", 6), 0)) == []
    assert one.history("B", history("B", [5, 6], 4, 6)) == ()
    warm = one.start(6 * MINUTE)
    assert told(warm) == ["3:A", "4:AB", "5:AB", "6:AB"]
    assert isinstance(warm[0], Slice)
    assert warm[0].bars[0].source is BarSource.WARMUP
    with pytest.raises(ValueError, match="started before"):
        one.start(0)


def test_the_warm_up_keeps_its_last_slices() -> None:
    """What is dropped does not come back."""
    one = SliceAssembler(["A"], "1m", grace=2)
    one.mark(until(5, "A"), 0)
    one.history("A", history("A", [1, 2, 3, 4, 5], 0, 5))
    assert told(one.start(5 * MINUTE, keep=2)) == ["4:A", "5:A"]
    assert one.add(bar("A", 3), 5 * MINUTE) == ()
    assert told(one.add(bar("A", 6), 6 * MINUTE)) == ["6:A"]


def test_a_resumed_run_goes_on_after_its_last_slice() -> None:
    """History overlaps it."""
    one = SliceAssembler(["A"], "1m", grace=2, after=3 * MINUTE)
    one.mark(until(5, "A"), 0)
    one.history("A", history("A", [2, 3, 4, 5], 1, 5))
    assert told(one.start(5 * MINUTE)) == ["4:A", "5:A"]


def test_a_bar_that_waits_for_the_start_of_a_resumed_run_is_told_as_it_was_restated() -> None:
    one = SliceAssembler(["A"], "1m", grace=2, after=3 * MINUTE, had={"A": [MINUTE, 3 * MINUTE]})
    assert one.add(bar("A", 2), 3 * MINUTE) == ()
    assert one.correct(evolve(bar("A", 2), close=2.5))
    one.mark(until(3, "A"), 0)
    assert one.missing() == (Missing("A", MINUTE, 3 * MINUTE),)
    one.history("A", history("A", [], 1, 3))
    assert told(one.start(3 * MINUTE)) == ["late A2.5"]


def test_a_resumed_run_tells_of_a_late_bar_that_is_not_to_be_had() -> None:
    """History does not reach back to it."""
    had = {"A": [2 * MINUTE, 3 * MINUTE], "B": [2 * MINUTE]}
    one = SliceAssembler(["A", "B"], "1m", grace=2, after=3 * MINUTE, had=had)
    one.mark(until(5, "A", "B"), 0)
    (gap,) = one.history("B", history("B", [5], 4, 5))
    assert (gap.symbol, gap.start.minute, gap.end.minute, gap.filled) == ("B", 2, 4, False)


def test_a_resumed_run_is_given_what_was_late_when_its_process_died() -> None:
    """Each bar once, whether history or the stream has it, and before the slices that follow."""
    had = {"A": [MINUTE, 2 * MINUTE, 4 * MINUTE], "B": [MINUTE, 4 * MINUTE]}
    one = SliceAssembler(["A", "B"], "1m", grace=2, after=4 * MINUTE, had=had)
    one.mark(until(5, "A", "B"), 0)
    assert one.add(bar("A", 3), 5 * MINUTE) == ()
    one.history("A", history("A", [1, 2, 3, 4, 5], 1, 5))
    one.history("B", history("B", [1, 2, 4, 5], 1, 5))
    assert told(one.start(5 * MINUTE)) == ["late B2", "late A3", "5:AB"]
    assert told(one.add(bar("B", 3), 5 * MINUTE)) == ["late B3"]
    assert one.add(bar("B", 2), 5 * MINUTE) == ()


def test_history_that_does_not_reach_back_to_the_last_slice_is_a_gap() -> None:
    """What a resumed run cannot be given, it is told of."""
    one = SliceAssembler(["A"], "1m", grace=2, after=3 * MINUTE)
    one.mark(until(9, "A"), 0)
    (gap,) = one.history("A", history("A", [8, 9], 7, 9))
    assert (gap.start.minute, gap.end.minute, gap.filled) == (3, 7, False)
    assert told(one.start(9 * MINUTE)) == ["8:A", "9:A"]


def test_history_that_cannot_answer_is_a_gap() -> None:
    """Which a run may start with, if told to."""
    one = SliceAssembler(["A"], "1m", grace=2)
    with pytest.raises(ValueError, match="stream of some symbol has not begun"):
        one.start(0)
    one.mark(until(9, "A"), 0)
    one.history("A", history("A", [2], 1, 2))
    (gap,) = one.history("A", history("A", [7], 6, 7))
    assert (gap.start.minute, gap.end.minute, gap.filled) == (2, 6, False)
    assert told(one.start(9 * MINUTE, with_gaps=True)) == ["2:A", "7:A"]


def test_what_is_not_of_the_run_is_refused() -> None:
    """Symbols, intervals, settings."""
    one = started("A")
    with pytest.raises(ValueError, match="X is not in this run, which has A"):
        one.add(bar("X", 1), 0)
    with pytest.raises(ValueError, match="5m cannot be in a slice of 1m"):
        one.add(Bar("A", "5m", from_ns(0), from_ns(5 * MINUTE), 1, 1, 1, 1, 1), 0)
    for symbols, grace in (([], 1.0), (["A", "A"], 1.0), (["A"], -1.0)):
        with pytest.raises(ValueError, match=r"one symbol or more|grace is in seconds"):
            SliceAssembler(symbols, "1m", grace=grace)


BARS = st.sets(st.tuples(st.sampled_from("ABC"), st.integers(6, 20)), min_size=1)


@given(bars=BARS, data=st.data())
@settings(max_examples=100, deadline=None)
def test_any_order_of_arrival_within_the_grace_makes_the_same_slices(
    bars: set[tuple[str, int]], data: st.DataObject
) -> None:
    """Each bar comes within a grace of two minutes after its end, twice now and then."""
    one = started("A", "B", "C", grace=120, begin=5)
    delays = st.integers(0, 120 * SECOND - 1)
    arrivals = [(m * MINUTE + data.draw(delays), symbol, m) for symbol, m in sorted(bars)]
    arrivals += [
        (at + data.draw(delays), s, m) for at, s, m in data.draw(st.lists(st.sampled_from(arrivals)))
    ]
    out: list[Slice | LateBar] = []
    for now, symbol, minute in sorted(arrivals):
        while one.deadline is not None and one.deadline <= now:
            out += one.tick(one.deadline)
        out += one.add(bar(symbol, minute), now)
    out += one.tick(99 * MINUTE)
    ends = sorted({minute for _, minute in bars})
    assert told(out) == [f"{end}:{''.join(s for s in 'ABC' if (s, end) in bars)}" for end in ends]


@given(bars=st.sets(st.tuples(st.sampled_from("ABC"), st.integers(1, 20))), data=st.data())
@settings(max_examples=100, deadline=None)
def test_warm_up_and_stream_join_without_a_missing_or_a_doubled_bar(
    bars: set[tuple[str, int]], data: st.DataObject
) -> None:
    """Wherever the streams begin, the histories end, and the run starts."""
    one = SliceAssembler("ABC", "1m", grace=1)
    begins = {symbol: data.draw(st.integers(3, 9)) for symbol in "ABC"}
    starting = data.draw(st.integers(max(begins.values()), 14))
    streamed = sorted((m, s) for s, m in bars if m > begins[s])
    out: list[Slice | LateBar] = []
    for symbol, begin in begins.items():
        one.mark(until(begin, symbol), begin * MINUTE)
    for minute, symbol in (each for each in streamed if each[0] <= starting):
        out += one.add(bar(symbol, minute), minute * MINUTE)
    while missing := one.missing():
        for each in missing:
            start = 0 if each.start is None else each.start // MINUTE
            end = data.draw(st.integers(start + 1, max(start + 1, starting)))
            had = sorted(m for s, m in bars if s == each.symbol and start < m <= end)
            assert one.history(each.symbol, history(each.symbol, had, start, end)) == ()
    out += one.start(starting * MINUTE)
    # Some bars come long after the grace.
    rest = sorted(
        (minute * MINUTE + data.draw(st.sampled_from([0, SECOND, 5 * MINUTE])), minute, symbol)
        for minute, symbol in streamed
        if minute > starting
    )
    for now, minute, symbol in rest:
        out += one.tick(now)
        out += one.add(bar(symbol, minute), now)
    out += one.tick(99 * MINUTE)
    seen = [
        (each.symbol, round(each.close))
        for event in out
        for each in (event.bars if isinstance(event, Slice) else (event.bar,))
    ]
    assert sorted(seen) == sorted(bars)
    ends = [event.end for event in out if isinstance(event, Slice)]
    assert ends == sorted(set(ends))
