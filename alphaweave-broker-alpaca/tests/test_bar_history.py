"""Past bars: pages, what they are complete for, and longer bars."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
from attrs import define, field

from alphaweave.core.clock import ManualClock
from alphaweave.core.errors import BrokerUnavailable, Unsupported
from alphaweave.core.secret import Secret
from alphaweave.data.grid import BarGrid
from alphaweave.live.datafeed import History
from alphaweave_broker_alpaca.bar_history import BarHistory
from alphaweave_broker_alpaca.feed_settings import AlpacaFeedOptions
from alphaweave_broker_alpaca.transport import Refused, Transport, Unsent

OPEN = datetime(2026, 10, 8, 14, 30, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def row(number: int) -> dict[str, Any]:
    return {"t": at(number).isoformat(), "o": 10, "h": 12, "l": 9, "c": 10 + number % 3, "v": 100}


def at(number: float) -> datetime:
    return OPEN + number * MINUTE


@define
class Venue:
    """Has minutes by number, and gives so many a page."""

    minutes: list[int]
    page: int = 3
    now: datetime = field(factory=lambda: at(1000))
    asked: list[tuple[str, Mapping[str, Any]]] = field(factory=list)
    change: Callable[[dict[str, Any]], dict[str, Any]] = lambda answer: answer
    no: Refused | None = None
    spent: list[float] = field(factory=list)
    slept: list[float] = field(factory=list)

    @property
    def clock(self) -> ManualClock:
        return ManualClock()

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    async def call(
        self, use: object, method: str, path: str, query: Mapping[str, Any], *, version: str
    ) -> dict[str, Any]:
        self.asked.append((f"{version}{path}", dict(query)))
        if self.no is not None:
            raise self.no
        if self.spent and "page_token" in query:
            raise Unsent("the request limit is spent", self.spent.pop())
        start, end = (datetime.fromisoformat(query[name]) for name in ("start", "end"))
        found = [number for number in self.minutes if start <= at(number) <= end]
        if query["sort"] == "desc":
            found.reverse()
        token = query.get("page_token")
        done = int(token) if token in {str(number) for number in range(len(found))} else 0
        following = str(done + self.page) if len(found) > done + self.page else None
        rows = [row(number) for number in found[done : done + self.page]]
        return self.change({"bars": {query["symbols"]: rows} if rows else {}, "next_page_token": following})


def history(venue: Venue, **options: Any) -> BarHistory:
    given = AlpacaFeedOptions(key=Secret("k"), secret=Secret("s"), **options)
    return BarHistory(given, cast(Transport, venue), venue, lambda: venue.now, "UTC")


def since(venue: Venue, interval: str, start: float, end: float, **options: Any) -> History:
    asked = history(venue, **options).since("SPY", "SPY", BarGrid(interval), at(start), at(end))
    return asyncio.run(asked)


def latest(venue: Venue, interval: str, count: int, end: float, **options: Any) -> History:
    asked = history(venue, **options).latest("SPY", "SPY", BarGrid(interval), count, at(end))
    return asyncio.run(asked)


def numbers(found: History) -> list[float]:
    return [(bar.start - OPEN) / MINUTE for bar in found.bars]


def test_pages_are_read_to_the_last() -> None:
    """Each bar once, and whole: an empty minute is none."""
    venue = Venue([0, 1, 2, 4, 5, 6, 7])
    found = since(venue, "1m", 1, 7)
    assert numbers(found) == [1, 2, 4, 5, 6]
    assert (found.complete_from, found.complete_to) == (at(1), at(7))
    assert [query.get("page_token") for _, query in venue.asked] == [None, "3"]


def test_longer_bars_are_whole_or_not_there() -> None:
    """A bar that contains the start is fetched from its beginning; one that goes on after the end is not."""
    found = since(Venue(list(range(20))), "5m", 3, 13)
    assert numbers(found) == [0, 5]
    assert [bar.volume for bar in found.bars] == [500.0, 500.0]
    assert (found.complete_from, found.complete_to) == (at(3), at(13))


def test_minute_that_is_only_just_over_may_be_missing() -> None:
    """The answer is complete for what is settled, and for what it has."""
    venue = Venue([0, 1, 2], now=at(4) + timedelta(seconds=2))
    assert since(venue, "1m", 0, 4).complete_to == at(4) - timedelta(seconds=3)
    venue = Venue([0, 1, 2, 3], now=at(4) + timedelta(seconds=2))
    assert since(venue, "1m", 0, 4).complete_to == at(4)
    assert since(Venue([], now=at(4)), "1m", 0, 9).complete_to == at(4) - timedelta(seconds=5)


def test_last_bars_are_counted_over_pages_and_empty_hours() -> None:
    """No more is read than it takes to know that the oldest is whole."""
    venue = Venue([*range(10), *range(600, 612)], page=4)
    found = latest(venue, "5m", 3, 612)
    assert numbers(found) == [5, 600, 605]
    assert [bar.volume for bar in found.bars] == [500.0, 500.0, 500.0]
    assert (found.complete_from, found.complete_to) == (at(5), at(612))
    assert len(venue.asked) < 6 + 1


def test_fewer_bars_are_all_there_are() -> None:
    """Complete from the beginning of time."""
    found = latest(Venue([0, 1]), "1m", 5, 10)
    assert numbers(found) == [0, 1]
    assert found.complete_from.year == 1970


@pytest.mark.parametrize("adjustment", ["raw", "split", "dividend", "spin-off", "all"])
def test_question_has_alpaca_s_word_for_each_adjustment(adjustment: str) -> None:
    """The option is handed on as it is, and said of the feed."""
    venue = Venue([0])
    since(venue, "1m", 0, 1, adjustment=adjustment)
    assert venue.asked[0][1]["adjustment"] == adjustment


def test_question_says_which_data() -> None:
    """Feed and adjustment of stocks; crypto has another address, and neither."""
    venue = Venue([0])
    since(venue, "1m", 0, 1, feed="delayed_sip", adjustment="all")
    since(venue, "1m", 0, 1, feed="crypto")
    (stocks, asked), (crypto, other) = venue.asked
    assert (stocks, asked["feed"], asked["adjustment"], asked["timeframe"]) == (
        "v2/stocks/bars",
        "sip",
        "all",
        "1Min",
    )
    assert (crypto, "feed" in other, "adjustment" in other) == ("v1beta3/crypto/us/bars", False, False)


def test_delayed_data_is_not_asked_for_before_it_is_there() -> None:
    """What is younger than a quarter of an hour is not complete, and no question."""
    venue = Venue(list(range(100)), now=at(100))
    found = since(venue, "1m", 80, 100, feed="delayed_sip")
    assert numbers(found) == [80, 81, 82, 83]
    assert found.complete_to == at(85) - timedelta(seconds=15)


def test_subscription_that_has_no_such_data_is_told_with_what_to_write() -> None:
    """It is no matter of asking again."""
    no = Refused(422, "42210000", "subscription does not permit querying recent SIP data")
    with pytest.raises(Unsupported, match="write feed: iex"):
        since(Venue([0], no=no), "1m", 0, 1, feed="sip")
    with pytest.raises(BrokerUnavailable, match="too many requests"):
        since(Venue([0], no=Refused(429, None, "too many requests.")), "1m", 0, 1)


def test_page_waits_for_room_in_the_request_limit() -> None:
    """What was read is not read again; a wait of more than two minutes is for whoever asked."""
    venue = Venue(list(range(7)), spent=[50.0, 40.0])
    assert numbers(since(venue, "1m", 0, 7)) == [0, 1, 2, 3, 4, 5, 6]
    assert (venue.slept, len(venue.asked)) == ([40.0, 50.0], 5)
    with pytest.raises(BrokerUnavailable, match="spent") as caught:
        since(Venue(list(range(7)), spent=[50.0, 40.0, 40.0]), "1m", 0, 7)
    assert caught.value.retry_after == 50.0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda answer: {**answer, "next_page_token": 7}, "next_page_token leads nowhere"),
        (lambda answer: {**answer, "next_page_token": "again"}, "next_page_token leads nowhere"),
        (lambda answer: {**answer, "bars": [1]}, "cannot be read: it is no object"),
        (lambda answer: {**answer, "bars": {"SPY": [{"t": "soon"}]}}, "RFC 3339"),
        (lambda answer: {**answer, "bars": {"SPY": [row(1), row(0)]}}, "not in order"),
        (lambda answer: {**answer, "bars": {"SPY": [row(1), row(1)]}}, "not in order"),
    ],
)
def test_answer_that_cannot_be_read_is_none(
    change: Callable[[dict[str, Any]], dict[str, Any]], words: str
) -> None:
    """Whoever asked asks again, rather than trade on it."""
    with pytest.raises(BrokerUnavailable, match=words):
        since(Venue([0, 1], change=change), "1m", 0, 2)
