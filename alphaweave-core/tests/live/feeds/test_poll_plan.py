"""When polls are due, and what their answers say."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alphaweave.core.clock import from_ns, to_ns
from alphaweave.core.market import Bar
from alphaweave.data.grid import BarGrid
from alphaweave.live.adapters.backoff import Backoff
from alphaweave.live.adapters.poll_plan import Ask, PollPlan
from alphaweave.live.datafeed import FeedEvent, FeedGap, History, Subscription, Watermark
from alphaweave.live.reports import ConnectionLost, ConnectionRestored
from alphaweave.live.sessions import AROUND_THE_CLOCK, Calendar, read_calendar

MINUTE = 60_000_000_000
SECOND = 1_000_000_000
A, B = Subscription("A", interval="1m"), Subscription("B", interval="1m")


def plan(calendar: Calendar = AROUND_THE_CLOCK, settle: float = 1, seed: int = 3) -> PollPlan:
    random = Random(seed)
    return PollPlan(
        grid=BarGrid, backoff=lambda: Backoff(random=random, cap=20), calendar=calendar, settle=settle
    )


def bar(symbol: str, minute: int) -> Bar:
    price = float(minute)
    start, end = from_ns((minute - 1) * MINUTE), from_ns(minute * MINUTE)
    return Bar(symbol, "1m", start, end, price, price, price, price, 1.0)


def answer(ask: Ask, minutes: Iterable[int], complete_to: int | None = None) -> History:
    bars = tuple(bar(ask.subscription.symbol, minute) for minute in minutes)
    return History(
        bars, from_ns(ask.start), from_ns(ask.end if complete_to is None else complete_to * MINUTE)
    )


def told(events: Iterable[FeedEvent]) -> list[str]:
    def text(event: FeedEvent) -> str:
        match event:
            case Bar():
                return f"{event.symbol}{event.close:g}"
            case Watermark():
                return f"{''.join(event.symbols)} to {event.end.minute}"
            case FeedGap():
                return f"gap {event.start.minute}-{event.end.minute} {event.filled}"
        return type(event).__name__

    return [text(event) for event in events]


def test_a_bar_is_asked_for_after_its_end_and_told_with_a_watermark() -> None:
    """The first watermark says where the stream begins."""
    one = plan()
    assert told(one.subscribe([A], 5 * MINUTE + 30 * SECOND)) == ["A to 5"]
    assert one.next_due() == 6 * MINUTE + SECOND
    assert one.due(6 * MINUTE + SECOND - 1) == ()
    (ask,) = one.due(6 * MINUTE + SECOND)
    assert ask == Ask(A, 5 * MINUTE, 6 * MINUTE)
    assert one.due(8 * MINUTE) == ()
    assert one.next_due() is None
    assert told(one.answered(ask, answer(ask, [6]), 6 * MINUTE)) == ["A6", "A to 6"]
    assert one.next_due() == 7 * MINUTE + SECOND


def test_an_interval_without_a_bar_is_told_by_its_watermark() -> None:
    """History says that it is complete, and has none."""
    one = plan()
    one.subscribe([A], 5 * MINUTE)
    (ask,) = one.due(6 * MINUTE + SECOND)
    assert told(one.answered(ask, answer(ask, []), 6 * MINUTE)) == ["A to 6"]


def test_an_answer_that_is_not_complete_is_asked_for_again() -> None:
    """Soon, and without a word of loss."""
    one = plan()
    one.subscribe([A], 5 * MINUTE)
    now = 6 * MINUTE + SECOND
    (ask,) = one.due(now)
    assert told(one.answered(ask, answer(ask, [], complete_to=5), now)) == []
    due = one.next_due()
    assert due is not None
    assert now < due <= now + SECOND
    assert one.due(due) == (ask,)


def test_a_failure_is_a_loss_at_once_and_restored_after_what_was_missed() -> None:
    """Two symbols: restored when neither fails."""
    one = plan()
    one.subscribe([A, B], 5 * MINUTE)
    first, second = one.due(6 * MINUTE + SECOND)
    assert told(one.failed(first, 6 * MINUTE, "no answer", retry_after=130)) == ["ConnectionLost"]
    assert told(one.failed(second, 6 * MINUTE, "no answer")) == []
    assert one.is_failing
    (second,) = one.due(7 * MINUTE)
    assert told(one.answered(second, answer(second, [6]), 7 * MINUTE)) == ["B6", "gap 5-6 True", "B to 6"]
    one.due(8 * MINUTE + SECOND)
    (first,) = one.due(8 * MINUTE + 12 * SECOND)
    assert first == Ask(A, 5 * MINUTE, 8 * MINUTE)
    assert told(one.answered(first, answer(first, [6, 8]), 9 * MINUTE)) == [
        "A6",
        "A8",
        "gap 5-8 True",
        "A to 8",
        "ConnectionRestored",
    ]


def test_polls_rest_while_the_market_is_closed() -> None:
    """The first of Monday asks from Friday's last bar on."""
    calendar = read_calendar(
        {"timezone": "UTC", **{day: ["09:30-16:00"] for day in ("mon", "tue", "wed", "thu", "fri")}}
    )
    one = plan(calendar)
    friday = to_ns(datetime(2024, 3, 1, 15, 59, 30, tzinfo=UTC))
    monday = to_ns(datetime(2024, 3, 4, 9, 31, 1, tzinfo=UTC))
    one.subscribe([A], friday)
    (ask,) = one.due(friday + 31 * SECOND)
    one.answered(ask, answer(ask, []), friday + 31 * SECOND)
    assert one.next_due() == monday
    (ask,) = one.due(monday)
    assert (from_ns(ask.start).day, from_ns(ask.end).day) == (1, 4)


def test_subscribing_anew_keeps_what_stays() -> None:
    """A question under way for what was dropped is answered to nobody, and its failing is over."""
    one = plan()
    one.subscribe([A, B], 5 * MINUTE)
    first, second = one.due(6 * MINUTE + SECOND)
    one.answered(second, answer(second, [6]), 6 * MINUTE + SECOND)
    one.failed(first, 6 * MINUTE + SECOND, "x")
    assert told(one.subscribe([B], 6 * MINUTE + SECOND)) == ["ConnectionRestored"]
    assert one.answered(first, answer(first, [6]), 7 * MINUTE) == ()
    assert one.failed(first, 7 * MINUTE, "x") == ()
    assert one.due(7 * MINUTE + SECOND) == (Ask(B, 6 * MINUTE, 7 * MINUTE),)


def test_a_negative_settle_is_refused() -> None:
    """It would ask for a bar that is still forming."""
    with pytest.raises(ValueError, match="0 or more"):
        plan(settle=-1)


@given(exist=st.sets(st.integers(6, 30)), seed=st.integers(0, 99), data=st.data())
@settings(max_examples=80, deadline=None)
def test_no_bar_is_missing_or_doubled_whatever_fails(exist: set[int], seed: int, data: st.DataObject) -> None:
    """Requests fail, answers are short, the process is busy for minutes."""
    one = plan(seed=seed)
    out = list(one.subscribe([A], 5 * MINUTE))
    now = 5 * MINUTE
    while now < 30 * MINUTE:
        due = one.next_due()
        assert due is not None
        now = max(now, due) + data.draw(st.sampled_from([0, 0, SECOND, 200 * SECOND]))
        for ask in one.due(now):
            start, end = ask.start // MINUTE, ask.end // MINUTE
            assert ask.end <= now
            if data.draw(st.integers(0, 3)) == 0:
                out += one.failed(ask, now, "no")
                continue
            reach = data.draw(st.integers(start, end))
            had = sorted(minute for minute in exist if start < minute <= end)
            out += one.answered(ask, answer(ask, had, reach), now)
    last = [event.end for event in out if isinstance(event, Watermark)][-1]
    bars = [round(event.close) for event in out if isinstance(event, Bar)]
    assert bars == sorted(set(bars))
    assert set(bars) >= {minute for minute in exist if from_ns(minute * MINUTE) <= last}
    links = [type(event) for event in out if isinstance(event, ConnectionLost | ConnectionRestored)]
    assert links[::2] == [ConnectionLost] * len(links[::2])
    assert links[1::2] == [ConnectionRestored] * len(links[1::2])
