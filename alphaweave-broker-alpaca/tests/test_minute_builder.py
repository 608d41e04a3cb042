"""Minutes to longer bars."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from alphaweave.core.clock import to_ns
from alphaweave.core.market import Bar
from alphaweave.data.grid import BarGrid
from alphaweave_broker_alpaca.minute_builder import MinuteBuilder

OPEN = datetime(2026, 10, 8, 14, 30, tzinfo=UTC)


def minute(number: int, close: float = 10.0) -> Bar:
    start = OPEN + timedelta(minutes=number)
    return Bar("SPY", "1m", start, start + timedelta(minutes=1), 10.0, max(close, 10.0), 9.0, close, 100.0)


def span(number: int) -> int:
    return to_ns(OPEN + timedelta(minutes=number))


def builder() -> MinuteBuilder:
    return MinuteBuilder("SPY", BarGrid("5m"), "UTC")


def test_bar_is_made_of_the_minutes_that_there_are() -> None:
    """An empty minute has no part in it."""
    one = builder()
    assert [one.add(minute(number)) for number in (0, 2)] == [span(0), span(0)]
    assert not one.is_full(span(0))
    one.add(minute(4, close=12.0))
    assert one.is_full(span(0))
    bar = one.bar(span(0))
    assert bar is not None
    assert (bar.interval, bar.start, bar.close, bar.high, bar.volume) == ("5m", OPEN, 12.0, 12.0, 300.0)


def test_restated_minute_takes_the_place_of_the_first_word() -> None:
    """Before and after the bar was handed out."""
    one = builder()
    one.add(minute(4, close=12.0))
    one.add(minute(4, close=11.0))
    first = one.bar(span(0))
    one.add(minute(4, close=13.0))
    again = one.bar(span(0))
    assert (first and first.close, again and again.close, again and again.volume) == (11.0, 13.0, 100.0)


def test_history_fills_in_and_does_not_overrule_the_stream() -> None:
    """The stream's word is the newer one."""
    one = builder()
    one.add(minute(3, close=12.0))
    one.fill([minute(1), minute(3, close=99.0)])
    bar = one.bar(span(0))
    assert bar is not None
    assert (bar.close, bar.volume) == (12.0, 200.0)


def test_minute_of_a_span_that_is_long_over_is_let_go() -> None:
    """Nothing grows, and no old bar is made anew of a part of it."""
    one = builder()
    for number in range(0, 50, 5):
        one.add(minute(number))
        one.bar(span(number))
    assert one.add(minute(1)) is None
    assert one.add(minute(41)) == span(40)
    assert one.spans_before(span(90)) == []
