"""Stream and history joined: holes, repetitions, gaps, and any sequence of losses."""

from __future__ import annotations

from collections.abc import Iterable

from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from alphaweave.core.clock import from_ns
from alphaweave.core.market import Bar, BarCorrection, BarSource
from alphaweave.live.adapters.splicing import BarSplicer, Stretch
from alphaweave.live.datafeed import FeedGap, History, Subscription

MINUTE = 60_000_000_000
SPY = Subscription("SPY", interval="1m")


def bar(minute: int) -> Bar:
    """The bar that ends at that minute."""
    price = float(minute)
    start, end = from_ns((minute - 1) * MINUTE), from_ns(minute * MINUTE)
    return Bar("SPY", "1m", start, end, price, price, price, price, 1.0)


def answer(minutes: Iterable[int], start: int, end: int) -> History:
    return History(tuple(map(bar, minutes)), from_ns(start * MINUTE), from_ns(end * MINUTE))


def told(events: Iterable[Bar | BarCorrection | FeedGap]) -> list[str]:
    def minute(one: Bar) -> str:
        return f"{one.close:g}{'h' if one.source is BarSource.BACKFILL else ''}"

    def text(event: Bar | BarCorrection | FeedGap) -> str:
        if isinstance(event, FeedGap):
            return f"gap {event.start.minute}-{event.end.minute}"
        return minute(event) if isinstance(event, Bar) else f"corrected {minute(event.bar)}"

    return [text(event) for event in events]


def begun(at: int = 5, *, fills_holes: bool = True) -> BarSplicer:
    splicer = BarSplicer(SPY, fills_holes=fills_holes)
    splicer.begin(at * MINUTE)
    return splicer


def test_nothing_comes_out_before_the_beginning() -> None:
    """And then only what ends after it."""
    splicer = BarSplicer(SPY)
    assert splicer.live(bar(6)) == splicer.live(bar(5)) == ()
    assert splicer.wanted is None
    assert told(splicer.begin(5 * MINUTE)) == ["6"]
    assert splicer.watermark == 6 * MINUTE


def test_a_hole_waits_for_history() -> None:
    """Streamed bars wait, too; then all come in order."""
    splicer = begun()
    assert told(splicer.live(bar(6))) == ["6"]
    assert told(splicer.live(bar(9))) == []
    assert told(splicer.live(bar(10))) == []
    assert splicer.wanted == Stretch(6 * MINUTE, 8 * MINUTE)
    assert told(splicer.answered(answer([7, 8], 6, 8))) == ["7h", "8h", "9", "10"]
    assert splicer.wanted is None


def test_a_hole_is_taken_for_empty_where_the_venue_leaves_intervals_out() -> None:
    """No question is asked; but after a loss there is one."""
    splicer = begun(fills_holes=False)
    assert told((*splicer.live(bar(6)), *splicer.live(bar(9)))) == ["6", "9"]
    splicer.interrupt()
    assert told(splicer.live(bar(13))) == []
    assert splicer.resume(11 * MINUTE) == ()
    assert splicer.wanted == Stretch(9 * MINUTE, 11 * MINUTE)
    assert told(splicer.answered(answer([10], 9, 11))) == ["10h", "13"]


def test_a_bar_that_closes_the_hole_itself_is_not_asked_for() -> None:
    """Two bars in the wrong order."""
    splicer = begun()
    assert splicer.live(bar(7)) == ()
    assert told(splicer.live(bar(6))) == ["6", "7"]
    assert splicer.wanted is None


def test_repetitions_are_dropped_and_restatements_are_corrections() -> None:
    """Of the last bar; older ones are only dropped."""
    splicer = begun()
    splicer.live(bar(6))
    assert splicer.live(bar(6)) == ()
    assert splicer.live(evolve(bar(6), source=BarSource.BACKFILL)) == ()
    assert told(splicer.live(evolve(bar(6), volume=9.0))) == ["corrected 6"]
    splicer.live(bar(7))
    assert splicer.live(evolve(bar(6), volume=3.0)) == ()
    assert splicer.repeated == 4


def test_only_the_complete_part_of_an_answer_counts() -> None:
    """What lies beyond may have something missing before it."""
    splicer = begun()
    splicer.resume(10 * MINUTE)
    assert told(splicer.answered(answer([6, 7, 9], 5, 7))) == ["6h", "7h"]
    assert splicer.wanted == Stretch(7 * MINUTE, 10 * MINUTE)
    assert splicer.answered(answer([], 9, 9)) == ()
    assert told(splicer.answered(answer([8, 9, 10, 11], 7, 11))) == ["8h", "9h", "10h"]


def test_what_history_cannot_reach_is_a_gap() -> None:
    """Between what is known and where it begins; a streamed bar in there is not lost."""
    splicer = begun()
    splicer.resume(12 * MINUTE)
    splicer.live(bar(8))
    assert told(splicer.answered(answer([11, 12], 10, 12))) == ["gap 5-7", "8", "gap 8-10", "11h", "12h"]


def test_giving_up_reports_exactly_what_is_missing() -> None:
    """What streamed in meanwhile is handed out."""
    splicer = begun()
    splicer.resume(9 * MINUTE)
    splicer.live(bar(8))
    splicer.live(bar(10))
    assert told(splicer.give_up("refused")) == ["gap 5-7", "8", "gap 8-9", "10"]
    assert splicer.wanted is None
    assert splicer.give_up("again") == ()


@given(
    exist=st.sets(st.integers(1, 40), max_size=40),
    sparse=st.booleans(),
    data=st.data(),
)
@settings(max_examples=150, deadline=None)
def test_no_bar_is_missing_or_doubled_whatever_is_lost(
    exist: set[int], sparse: bool, data: st.DataObject
) -> None:
    """Connections come and go, messages are dropped, repeated and reordered, history is short or refuses."""
    splicer = BarSplicer(SPY, fills_holes=not sparse)
    out: list[Bar | BarCorrection | FeedGap] = []
    now = data.draw(st.integers(0, 5))
    begin = now
    splicer.begin(begin * MINUTE)
    while now < 40:
        until = data.draw(st.integers(now + 1, 41))
        sent = [minute for minute in range(now + 1, until + 1) if minute in exist]
        if not sparse:
            # This venue's own losses are found by the next bar.
            sent = (
                data.draw(st.permutations(sent + data.draw(st.lists(st.sampled_from(sent), max_size=3))))
                if sent
                else []
            )
            sent = [minute for minute in sent if data.draw(st.integers(0, 4))]
        for minute in sent:
            out += splicer.live(bar(minute))
            if splicer.wanted is not None and data.draw(st.booleans()):
                out += ask(splicer, exist, until, data)
        now = data.draw(st.integers(until, 42))
        splicer.interrupt()
        # The next connection is faster than whoever notes when it began.
        out += [one for minute in (now + 1, now + 2) if minute in exist for one in splicer.live(bar(minute))]
        out += splicer.resume(now * MINUTE)
        for _ in range(data.draw(st.integers(0, 2))):
            out += ask(splicer, exist, now, data)
    while splicer.wanted is not None:
        out += ask(splicer, exist, 99, None)
    ends = [round(one.close) for one in out if isinstance(one, Bar)]
    assert ends == sorted(minute for minute in exist if begin < minute)
    assert not [one for one in out if isinstance(one, FeedGap)]


def ask(
    splicer: BarSplicer, exist: set[int], now: int, data: st.DataObject | None
) -> tuple[Bar | BarCorrection | FeedGap, ...]:
    wanted = splicer.wanted
    if wanted is None:
        return ()
    start, end = wanted.start // MINUTE, wanted.end // MINUTE
    reach = min(end, now) if data is None else data.draw(st.integers(start, max(start, min(end, now))))
    return splicer.answered(answer(sorted(m for m in exist if start < m <= end), start, reach))


def test_a_bar_of_an_interval_that_was_taken_for_empty_comes_late() -> None:
    """Once, and it is no repetition; of what ends before the beginning, history had it."""
    splicer = begun(fills_holes=False)
    assert told((*splicer.live(bar(6)), *splicer.live(bar(9)))) == ["6", "9"]
    assert splicer.is_new(bar(7))
    assert told((*splicer.live(bar(7)), *splicer.live(bar(7)), *splicer.live(bar(6)))) == ["7"]
    assert told((*splicer.live(bar(5)), *splicer.live(bar(10)))) == ["10"]
    assert not splicer.is_new(bar(7))
    assert splicer.repeated == 3


def test_a_bar_that_history_left_out_is_not_lost_with_the_connection() -> None:
    """It waited for history, which called its interval empty."""
    splicer = begun(fills_holes=False)
    splicer.interrupt()
    assert splicer.live(bar(8)) == ()
    splicer.resume(9 * MINUTE)
    assert told(splicer.answered(answer([7], 5, 9))) == ["7h", "8"]


def test_only_what_is_remembered_tells_a_late_bar_from_a_repeated_one() -> None:
    """Of bars of long ago nobody knows whether they were handed out."""
    splicer = begun()
    for minute in range(6, 300):
        splicer.live(bar(minute))
    assert not splicer.is_new(bar(6))
    assert told(splicer.live(bar(6))) == []
