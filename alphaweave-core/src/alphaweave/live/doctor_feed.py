"""Whether a feed has what the run is going to ask of it: history, fresh bars, a stream, hours."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from alphaweave.core.clock import from_ns, to_ns
from alphaweave.core.errors import BrokerError
from alphaweave.core.interval import parse_interval
from alphaweave.core.market import Bar
from alphaweave.live.broker import BrokerNotice, ConnectionLost
from alphaweave.live.config_live import calendars
from alphaweave.live.datafeed import DataFeed, FeedEvent, FeedGap, Session, Subscription, Watermark
from alphaweave.live.findings import Finding, Verdict
from alphaweave.live.live_wiring import LivePlan
from alphaweave.live.party import FAILURES, Party

__all__ = ["FeedExamination"]

_GRACE: Final = 1.0
_AHEAD: Final = timedelta(days=8)
_BACK: Final = timedelta(days=8)
# A bar takes its time to be made and sent.
_SLACK: Final = 60.0

_Ask = Callable[..., Awaitable[Any]]
"""Asks one party, in bounded time: `alphaweave.live.doctor.Doctor`'s."""


class FeedExamination:
    """Asks a feed that is connected, question by question.

    Attributes:
        found: what came out of it so far.
    """

    def __init__(self, plan: LivePlan, ask: _Ask, listen: float) -> None:
        """``listen`` is for how many seconds a stream is waited for to say anything."""
        self.found: list[Finding] = []
        self._plan = plan
        self._ask = ask
        self._listen = listen
        self._latest: dict[str, datetime] = {}
        self._sessions: dict[str, list[Session]] = {}

    def looks(self, feed: DataFeed) -> Iterator[tuple[str, Callable[[], Awaitable[None]]]]:
        """Each question, under its subject, in the order in which they are to be asked."""
        yield "subscription", lambda: self._subscribe(feed)
        yield "history", lambda: self._history(feed)
        yield "market hours", lambda: self._hours(feed)
        yield "latest data", self._delay

    @property
    def _party(self) -> Party:
        return self._plan.feed_party

    async def _subscribe(self, feed: DataFeed) -> None:
        config = self._plan.config
        symbols, interval = config.symbols, config.datafeed.interval
        await self._ask(
            self._party, feed.subscribe, [Subscription(one, interval=interval) for one in symbols]
        )
        stream: AsyncIterator[FeedEvent] = self._party.ask("stream", AsyncIterator, feed.stream)
        heard: set[str] = set()
        listening = asyncio.ensure_future(self._heard(stream, heard))
        await asyncio.wait({listening}, timeout=self._listen)
        listening.cancel()
        await asyncio.wait({listening}, timeout=_GRACE)
        silent = [symbol for symbol in symbols if symbol not in heard]
        if silent:
            text = f"accepted, and nothing was heard of {', '.join(silent)} within {self._listen:g} s"
            self._say(
                "subscription", Verdict.WARNING, text, "is the market open, and the symbol in your plan?"
            )
        else:
            self._say("subscription", Verdict.OK, f"accepted: {interval} bars of {', '.join(symbols)}")

    async def _heard(self, stream: AsyncIterator[FeedEvent], heard: set[str]) -> None:
        """Listen until every symbol was heard of."""
        try:
            async for event in stream:
                if isinstance(event, Watermark):
                    heard.update(event.symbols)
                elif isinstance(event, Bar):
                    heard.add(event.symbol)
                elif isinstance(event, ConnectionLost):
                    self._say("datafeed", Verdict.FAILURE, f"the connection was lost: {event.reason}")
                elif isinstance(event, FeedGap) and not event.filled:
                    self._say(
                        "datafeed", Verdict.WARNING, f"{event.symbol}: bars are missing: {event.reason}"
                    )
                elif isinstance(event, BrokerNotice) and event.severity != "info":
                    verdict = Verdict.WARNING if event.severity == "warning" else Verdict.FAILURE
                    self._say("datafeed", verdict, f"it says: {event.text} ({event.code})")
                if heard.issuperset(self._plan.config.symbols):
                    return
        except FAILURES as error:
            failure = error if isinstance(error, BrokerError) else self._party.failed("stream", error)
            self._say("subscription", Verdict.FAILURE, str(failure))

    async def _history(self, feed: DataFeed) -> None:
        config = self._plan.config
        warmup, now = config.run.warmup, self._plan.clock.now()
        if not feed.capabilities.historical:
            verdict = Verdict.WARNING if warmup else Verdict.OK
            advice = "the strategy waits for live bars instead" if warmup else ""
            self._say("history", verdict, f"{config.datafeed.name} has none", advice)
            return
        short = 0
        for symbol in config.symbols:
            wanted = Subscription(symbol, interval=config.datafeed.interval)
            try:
                answer = await self._ask(self._party, feed.history, wanted, end=now, bars=max(warmup, 1))
            except BrokerError as error:
                short += 1
                verdict = Verdict.FAILURE if warmup else Verdict.WARNING
                advice = (
                    "the warm-up cannot be had: see the feed's plan, limits and interval" if warmup else ""
                )
                text = str(error)
                self._say("history", verdict, text if symbol in text else f"{symbol}: {text}", advice)
                continue
            if answer.bars:
                self._latest[symbol] = answer.bars[-1].end
            if len(answer.bars) < warmup:
                short += 1
                text = f"{symbol}: {len(answer.bars)} of the {warmup} bars of the warm-up"
                self._say("history", Verdict.WARNING, text, "the strategy decides later; lower run.warmup")
        if not short:
            text = (
                f"the {warmup} bars of the warm-up are there"
                if warmup
                else "it answers; no warm-up is asked for"
            )
            self._say("history", Verdict.OK, text)

    async def _hours(self, feed: DataFeed) -> None:
        config, now = self._plan.config, self._plan.clock.now()
        own = calendars(config)
        asked = [symbol for symbol in config.symbols if symbol not in own]
        told: Sequence[Session] = ()
        if asked:
            told = await self._ask(self._party, feed.sessions, asked, now - _BACK, now + _AHEAD)
        for one in told:
            self._sessions.setdefault(one.symbol, []).append(one)
        groups: dict[tuple[Verdict, str, str], list[str]] = {}
        for symbol in config.symbols:
            if symbol in own:
                start, end = to_ns(now - _BACK), to_ns(now + _AHEAD)
                self._sessions[symbol] = [
                    Session(symbol, from_ns(span.start), from_ns(span.end))
                    for span in own[symbol].spans(start, end)
                ]
            groups.setdefault(self._hours_of(symbol, now), []).append(symbol)
        for (verdict, text, advice), symbols in groups.items():
            self._say("market hours", verdict, f"{', '.join(symbols)}: {text}", advice)

    def _hours_of(self, symbol: str, now: datetime) -> tuple[Verdict, str, str]:
        sessions = self._sessions.get(symbol)
        if sessions is None:
            return Verdict.WARNING, "not known", "write instruments[].calendar, so that the run knows them"
        for one in sessions:
            if one.start <= now < one.end:
                if one.end >= now + _AHEAD:
                    return Verdict.OK, "open around the clock", ""
                return Verdict.OK, f"open until {one.end:%Y-%m-%d %H:%M} UTC", ""
        opening = min((one.start for one in sessions if one.start > now), default=None)
        when = "for the next week" if opening is None else f"until {opening:%Y-%m-%d %H:%M} UTC"
        return Verdict.WARNING, f"closed {when}", "a run may start, and gets no bars before that"

    async def _delay(self) -> None:
        if self._plan.datafeed.capabilities.delayed:
            text = f"{self._plan.config.datafeed.name} delivers late, by its own word"
            self._say(
                "latest data", Verdict.WARNING, text, "a plan with real-time data, or a slower strategy"
            )
        seconds, now = parse_interval(self._plan.config.datafeed.interval).seconds, self._plan.clock.now()
        late = []
        for symbol, end in self._latest.items():
            missed = self._open_seconds(symbol, end, now)
            if missed is not None and seconds is not None and missed > 2 * seconds + _SLACK:
                late.append(symbol)
                when = f"{end:%Y-%m-%d %H:%M} UTC, {missed / 60:.0f} open minutes ago"
                text = f"{symbol}: the latest bar ended at {when}"
                self._say(
                    "latest data", Verdict.WARNING, text, "is the feed delayed, or the symbol rarely traded?"
                )
        if self._latest and not late:
            newest = max(self._latest.values())
            self._say("latest data", Verdict.OK, f"the latest bar ended at {newest:%Y-%m-%d %H:%M} UTC")

    def _open_seconds(self, symbol: str, start: datetime, end: datetime) -> float | None:
        """For how long the market was open in between; None where its hours are not known so far back."""
        sessions = self._sessions.get(symbol)
        if sessions is None:
            return None
        spans = [(max(one.start, start), min(one.end, end)) for one in sessions]
        return sum((close - opening).total_seconds() for opening, close in spans if opening < close)

    def _say(self, subject: str, verdict: Verdict, text: str, advice: str = "") -> None:
        self.found.append(Finding(subject, verdict, text, advice))
