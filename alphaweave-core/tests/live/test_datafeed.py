"""The replay feed: history with its limits, the stream with its watermarks, refusals by name."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from attrs import evolve
from attrs.exceptions import FrozenInstanceError

from alphaweave.core.clock import to_ns
from alphaweave.core.errors import Unsupported
from alphaweave.core.market import Bar, BarSource
from alphaweave.data.series import Series
from alphaweave.live import datafeed
from alphaweave.live.datafeed import (
    DataFeed,
    FeedCapabilities,
    FeedEvent,
    FeedKind,
    History,
    ReplayDataFeed,
    Session,
    Subscription,
    Watermark,
)

MONDAY = datetime(2024, 3, 4, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
SPY = Subscription("SPY")


def series(symbol: str, days: Sequence[int], interval: str = "1d", length: timedelta = DAY) -> Series:
    """Bars that begin on these days after Monday; the number of its day is a bar's close."""
    starts = [MONDAY + day * DAY for day in days]
    closes = [float(day) for day in days]
    return Series.from_columns(
        symbol,
        interval,
        start=[to_ns(start) for start in starts],
        end=[to_ns(start + length) for start in starts],
        open=closes,
        high=closes,
        low=closes,
        close=closes,
        volume=[10.0] * len(closes),
    )


def feed() -> ReplayDataFeed:
    """SPY on days 0, 1, 2 and 4; QQQ on day 1; nothing of IWM; hours of BTC on days 0 and 1."""
    return ReplayDataFeed(
        {
            "SPY": series("SPY", [0, 1, 2, 4]),
            "QQQ": series("QQQ", [1]),
            "IWM": series("IWM", []),
            "BTC": series("BTC", [0, 1], "1h", HOUR),
        }
    )


def ask(subscription: Subscription = SPY, **limits: Any) -> History:
    return asyncio.run(feed().history(subscription, **limits))


def at(day: float) -> datetime:
    """An instant so many days after Monday."""
    return MONDAY + day * DAY


async def events(one: ReplayDataFeed) -> list[FeedEvent]:
    return [event async for event in one.stream()]


def told(stream: Sequence[FeedEvent]) -> list[str]:
    """Bars as symbol and close, watermarks as their symbols, interval and day."""
    return [
        f"{event.symbol} {event.close:g}"
        if isinstance(event, Bar)
        else f"{'+'.join(event.symbols)} {event.interval} {(event.end - MONDAY) / DAY:.2f}"
        for event in stream
        if isinstance(event, Bar | Watermark)
    ]


@pytest.mark.parametrize(
    ("limits", "closes", "complete"),
    [
        # bars that end after `start`, at or before `end`
        ({"start": at(0), "end": at(9)}, [0, 1, 2, 4], (0, 5)),
        ({"start": at(1), "end": at(3)}, [1, 2], (1, 3)),
        ({"start": at(0.5), "end": at(2.5)}, [0, 1], (0.5, 2.5)),
        ({"start": at(3), "end": at(4.5)}, [], (3, 4.5)),
        # it knows nothing of what came before its first bar, or comes after its last
        ({"start": at(-9), "end": at(1)}, [0], (0, 1)),
        ({"start": at(4), "end": at(99)}, [4], (4, 5)),
        ({"start": at(-9), "end": at(-1)}, [], (-1, -1)),
        ({"start": at(7), "end": at(9)}, [], (5, 5)),
        ({"start": at(3), "end": at(2)}, [], (2, 2)),
        # the last so many
        ({"bars": 2, "end": at(9)}, [2, 4], (2, 5)),
        ({"bars": 2, "end": at(3)}, [1, 2], (1, 3)),
        ({"bars": 1, "end": at(2.9)}, [1], (1, 2.9)),
        ({"bars": 9, "end": at(2)}, [0, 1], (0, 2)),
        ({"bars": 9, "end": at(0.5)}, [], (0, 0.5)),
        ({"bars": 9, "end": at(-1)}, [], (-1, -1)),
    ],
    ids=str,
)
def test_history_says_how_far_it_is_complete(
    limits: dict[str, Any], closes: list[int], complete: tuple[float, float]
) -> None:
    """The bars asked for, oldest first, and the stretch in which none is missing."""
    answer = ask(**limits)
    assert [bar.close for bar in answer.bars] == closes
    assert (answer.complete_from, answer.complete_to) == (at(complete[0]), at(complete[1]))


def test_history_gives_whole_bars_marked_as_backfill() -> None:
    """What is known of a bar is in it, in UTC."""
    (bar,) = ask(start=at(1), end=at(2)).bars
    assert bar == Bar("SPY", "1d", at(1), at(2), 1.0, 1.0, 1.0, 1.0, 10.0, BarSource.BACKFILL)
    assert bar.end.tzinfo is UTC


def test_history_of_a_symbol_without_bars_answers_for_nothing() -> None:
    """No bars and no stretch: not a word about whether there were any."""
    assert ask(Subscription("IWM"), bars=5, end=at(3)) == History((), at(3), at(3))
    assert ask(Subscription("IWM"), start=at(0), end=at(3)) == History((), at(3), at(3))


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ({}, "exactly one of start and bars"),
        ({"start": at(0), "bars": 1}, "exactly one of start and bars"),
        ({"bars": 0}, "one bar or more, not 0"),
        ({"bars": -1}, "one bar or more, not -1"),
    ],
)
def test_history_is_asked_for_one_thing(limits: dict[str, Any], said: str) -> None:
    """From an instant or so many bars, and at least one."""
    with pytest.raises(ValueError, match=said):
        ask(end=at(3), **limits)


def test_history_refuses_naive_times() -> None:
    """Without a zone nobody knows which bars are meant."""
    naive = datetime(2024, 3, 6)  # noqa: DTZ001 - what is refused
    for limits in ({"start": naive, "end": at(3)}, {"bars": 1, "end": naive}):
        with pytest.raises(ValueError, match="has no time zone"):
            ask(**limits)


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        (Subscription("TLT"), "TLT: not in this replay, which has BTC, IWM, QQQ, SPY"),
        (Subscription("SPY", FeedKind.QUOTE), "SPY: a replay feed has bars only, no quotes"),
        (Subscription("SPY", FeedKind.TRADE), "SPY: a replay feed has bars only, no trades"),
        (Subscription("SPY", interval="1h"), "SPY: this replay has 1d bars, not 1h"),
    ],
    ids=lambda value: value.symbol if isinstance(value, Subscription) else "",
)
def test_subscription_to_what_is_not_there_is_refused(wanted: Subscription, said: str) -> None:
    """By history and by subscribe alike; what was subscribed to before stays."""
    with pytest.raises(Unsupported, match=f"^{said}$"):
        ask(wanted, bars=1, end=at(9))

    async def session() -> list[str]:
        one = feed()
        await one.subscribe([Subscription("QQQ")])
        with pytest.raises(Unsupported, match=f"^{said}$"):
            await one.subscribe([SPY, wanted])
        return told(await events(one))

    assert asyncio.run(session()) == ["QQQ 1", "QQQ 1d 2.00"]


def test_stream_gives_bars_by_their_ends_and_says_when_an_instant_is_done() -> None:
    """Bars of one end come together, by symbol, then a watermark for each interval: none is to come."""
    assert told(asyncio.run(events(feed()))) == [
        *("BTC 0", "BTC 1h 0.04", "IWM+QQQ+SPY 1d 0.04"),
        *("SPY 0", "BTC 1h 1.00", "IWM+QQQ+SPY 1d 1.00"),
        *("BTC 1", "BTC 1h 1.04", "IWM+QQQ+SPY 1d 1.04"),
        *("QQQ 1", "SPY 1", "BTC 1h 2.00", "IWM+QQQ+SPY 1d 2.00"),
        *("SPY 2", "BTC 1h 3.00", "IWM+QQQ+SPY 1d 3.00"),
        *("SPY 4", "BTC 1h 5.00", "IWM+QQQ+SPY 1d 5.00"),
    ]


def test_stream_keeps_to_what_was_subscribed() -> None:
    """Symbols that nobody asked for are in no bar and no watermark; bars are marked live."""

    async def session() -> list[FeedEvent]:
        one = feed()
        await one.subscribe([SPY, Subscription("IWM")])
        return await events(one)

    stream = asyncio.run(session())
    assert told(stream)[:4] == ["SPY 0", "IWM+SPY 1d 1.00", "SPY 1", "IWM+SPY 1d 2.00"]
    assert {bar.source for bar in stream if isinstance(bar, Bar)} == {BarSource.LIVE}
    for kind in (Bar, Watermark):
        ends = [event.end for event in stream if isinstance(event, kind)]
        assert ends == [at(1), at(2), at(3), at(5)]


def test_replay_knows_no_sessions_and_needs_no_connection() -> None:
    """Empty is "not known"; connecting and disconnecting, also twice, do nothing."""

    async def session() -> None:
        one: DataFeed = feed()
        await one.connect()
        assert list(await one.sessions(["SPY"], at(0), at(9))) == []
        await one.disconnect()
        await one.disconnect()

    asyncio.run(session())


def test_replay_declares_history_and_bars() -> None:
    """It is historical and not real time, which makes a run a replay; its adjustment is not known."""
    declared = ReplayDataFeed.capabilities
    assert (declared.historical, declared.realtime, declared.delayed) == (True, False, False)
    assert (declared.kinds, declared.intervals, declared.adjustment) == ({FeedKind.BAR}, frozenset(), None)


def test_replay_of_nothing_is_refused() -> None:
    """There is no run without a symbol."""
    with pytest.raises(ValueError, match="a replay needs at least one symbol"):
        ReplayDataFeed({})


@pytest.mark.parametrize("adjustment", [None, "raw", "split", "dividend", "spin-off", "all"])
def test_feed_has_one_adjustment(adjustment: Any) -> None:
    """One word for history and stream together, of those that there are."""
    assert FeedCapabilities(kinds=frozenset(), adjustment=adjustment).adjustment == adjustment


def test_unknown_adjustment_is_refused() -> None:
    """A word that nobody checks for would pass for any."""
    with pytest.raises(ValueError, match="adjustment"):
        FeedCapabilities(kinds=frozenset(), adjustment="dividends")  # type: ignore[arg-type]


def test_feed_declares_nothing_by_default() -> None:
    """Only kinds must be given."""
    bare = FeedCapabilities(kinds=frozenset({FeedKind.BAR}))
    assert (bare.intervals, bare.historical, bare.realtime, bare.delayed) == (
        frozenset(),
        False,
        False,
        False,
    )
    assert (SPY.kind, SPY.interval) == (FeedKind.BAR, "1d")


def test_history_stretch_does_not_run_backwards() -> None:
    """Equal instants answer for nothing; the other way round is a mistake."""
    empty = History((), at(1), at(1))
    assert empty.bars == ()
    with pytest.raises(ValueError, match=r"complete_from .* is after complete_to"):
        evolve(empty, complete_from=at(2))


@pytest.mark.parametrize("end", [at(0), at(-1)])
def test_session_lasts(end: datetime) -> None:
    """Its end lies after its start, or there is none."""
    assert Session("SPY", at(-2), end).end == end
    with pytest.raises(ValueError, match="a session of SPY cannot end at"):
        Session("SPY", at(0), end)


@pytest.mark.parametrize(
    "record",
    [
        SPY,
        FeedCapabilities(kinds=frozenset()),
        Session("SPY", at(0), at(1)),
        History((), at(0), at(1)),
        Watermark(("SPY",), "1d", at(1)),
    ],
    ids=lambda record: type(record).__name__,
)
def test_feed_records_are_frozen_and_can_be_keys(record: Any) -> None:
    """Facts that cross the boundary do not change."""
    name = record.__attrs_attrs__[0].name
    with pytest.raises(FrozenInstanceError):
        setattr(record, name, getattr(record, name))
    assert {record: 1}[evolve(record)] == 1


def test_datafeed_offers_exactly_its_names() -> None:
    """What a module offers is a promise."""
    assert datafeed.__all__ == [
        "DataFeed",
        "FeedCapabilities",
        "FeedEvent",
        "FeedGap",
        "FeedKind",
        "History",
        "ReplayDataFeed",
        "Session",
        "Subscription",
        "Watermark",
    ]
