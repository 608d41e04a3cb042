"""A datafeed of the script's bars, read by the run's own pump, that loses, doubles, restates and is late."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from datetime import datetime
from functools import partial
from random import Random
from typing import Any

from alphaweave.core.clock import EPOCH, from_ns, to_ns
from alphaweave.core.errors import BrokerUnavailable
from alphaweave.core.market import Bar, BarCorrection
from alphaweave.live.adapters.timer import LoopTimer
from alphaweave.live.datafeed import (
    FeedCapabilities,
    FeedEvent,
    FeedGap,
    FeedKind,
    History,
    Session,
    Subscription,
    Watermark,
)
from alphaweave.live.feed_pump import FeedLink, FeedPump, Pumped
from alphaweave.live.inputs import (
    CorrectionInput,
    FeedLinkInput,
    GapInput,
    Input,
    LateBarInput,
    SliceInput,
)
from alphaweave.live.reports import ConnectionLost, ConnectionRestored
from alphaweave.live.slices import LateBar, Slice
from simulation.clock import MILLISECOND, SECOND, Agenda
from simulation.script import SYMBOLS, FaultKind, Script

__all__ = ["ScriptedFeed"]

_INTERVAL = "10s"
_GRACE = 2.0
_Values = tuple[float, float, float, float, float]
_Take = Callable[[Callable[[int], Input]], None]
_Had = Mapping[str, Sequence[int]]


class ScriptedFeed:
    """Where the run's bars come from.

    Attributes:
        said: by symbol and end, what was ever said of a bar, the newest last.
        told: the bars whose last word reached the present process, and those words.
    """

    capabilities = FeedCapabilities(
        kinds=frozenset({FeedKind.BAR}), intervals=frozenset({_INTERVAL}), historical=True, realtime=True
    )

    def __init__(self, script: Script, agenda: Agenda, struck: Counter[FaultKind]) -> None:
        self.script = script
        self.said: dict[tuple[str, int], list[_Values]] = {}
        self.told: dict[tuple[str, int], _Values] = {}
        self._agenda = agenda
        self._struck = struck
        self._random = Random(f"feed {script.seed}")
        # Of a slow feed the bars of one slice come well apart.
        self._slowest = self._random.choice((60 * MILLISECOND, 60 * MILLISECOND, 1_500 * MILLISECOND))
        self._line: _Line | None = None
        self._waits: tuple[_Take, int | None, _Had] | None = None
        self._lost = False
        self._missed: list[int] = []
        self._ended = script.ends[0] - 10 * SECOND
        for begins, until in script.feed_outages:
            agenda.at(begins, self._lose)
            agenda.at(until, self._restore)

    # The process's side.

    def attach(self, take: _Take, after: int | None, had: _Had) -> None:
        """A process reads from now on, which has the slices that ended up to ``after``, and these bars."""
        self._line, self.told = None, {}
        self._waits = take, after, had
        if not self._lost:
            self._begin()

    def detach(self) -> None:
        """Nobody reads."""
        self._line = self._waits = None

    # The market's side.

    def on_bar(self, number: int) -> None:
        """Bar ``number`` of each symbol has ended."""
        self._ended = end = self.script.ends[number]
        for symbol in SYMBOLS:
            self.said[symbol, end] = [self.script.bars[symbol][number]]
        if self._lost:
            self._missed.append(number)
            return
        for symbol in SYMBOLS:
            self._send(symbol, end, self._fault())

    # The contract's side.

    async def history(
        self,
        subscription: Subscription,
        *,
        end: datetime,
        start: datetime | None = None,
        bars: int | None = None,
    ) -> History:
        """What is asked for, less of it, or nothing."""
        calm = self._agenda.now >= self.script.calm_from
        fails, lags = (self._random.random() < self.script.queries / 2 and not calm for _ in range(2))
        if fails:
            self._struck[FaultKind.HISTORY_FAILED] += 1
            raise BrokerUnavailable("502 bad gateway")
        known = [one for one in self.script.ends if one <= min(to_ns(end), self._ended)]
        until = to_ns(end)
        if lags and known:
            self._struck[FaultKind.HISTORY_BEHIND] += 1
            until = known.pop() - 10 * SECOND
        if start is not None:
            known = [one for one in known if one > to_ns(start)]
        elif bars is not None:
            known = known[-bars:]
        found = tuple(self._bar(subscription.symbol, one) for one in known)
        begins = start or (EPOCH if not found else found[0].start)
        return History(found, min(begins, from_ns(until)), from_ns(until))

    async def connect(self) -> None:
        """The line is made by `attach`."""

    async def disconnect(self) -> None:
        """And ends with its process."""

    async def subscribe(self, subscriptions: Sequence[Subscription]) -> None:
        """All that there is comes anyway."""

    def stream(self) -> AsyncIterator[FeedEvent]:
        """Nobody iterates: each event is handed to the pump when it is due.

        Raises:
            AssertionError: somebody does.
        """
        raise AssertionError("the pump is fed by hand")

    async def sessions(self, symbols: Sequence[str], start: datetime, end: datetime) -> Sequence[Session]:
        """It is always open."""
        return ()

    # Within.

    def _fault(self) -> FaultKind | None:
        struck, kind = self._random.random() < self.script.feed, self._random.choice(_FAULTS)
        return kind if struck and self._agenda.now < self.script.calm_from else None

    def _send(self, symbol: str, end: int, kind: FaultKind | None) -> None:
        line = self._line
        soon = self._random.randrange(2 * MILLISECOND, self._slowest)
        later = self._random.randrange(SECOND // 10, 8 * SECOND)
        if line is None:
            return
        if kind is not None:
            self._struck[kind] += 1
        if kind is FaultKind.FEED_GAP:
            self._agenda.after(soon, partial(line.hear, self._gap(symbol, end, filled=False)))
            self._agenda.after(soon, partial(line.hear, Watermark((symbol,), _INTERVAL, from_ns(end))))
            return
        late = 2 * SECOND + later if kind is FaultKind.LATE_BAR else soon
        self._agenda.after(late, lambda: line.hear(self._bar(symbol, end)))
        if kind is FaultKind.DOUBLED_BAR:
            self._agenda.after(late + later, lambda: line.hear(self._bar(symbol, end)))
        elif kind is FaultKind.BAR_CORRECTION:
            # Half of them while a slice may still wait for another symbol.
            soon = self._random.choice((later, later // 8))
            self._agenda.after(late + soon, lambda: self._correct(symbol, end))

    def _correct(self, symbol: str, end: int) -> None:
        opens, high, low, closes, volume = self.said[symbol, end][-1]
        self.said[symbol, end].append((opens, high, low, low if closes != low else high, volume + 1))
        if self._line is not None and not self._lost:
            self._line.hear(BarCorrection(self._bar(symbol, end)))

    def _lose(self) -> None:
        self._lost = True
        self._struck[FaultKind.FEED_LOST] += 1
        if self._line is not None:
            self._line.hear(ConnectionLost(from_ns(self._agenda.now), "the feed does not answer"))

    def _restore(self) -> None:
        self._lost = False
        missed, self._missed = self._missed, []
        line = self._line
        if line is None:
            if self._waits is not None:
                self._begin()
            return
        for number in missed:
            end = self.script.ends[number]
            for symbol in SYMBOLS:
                filled = self._random.random() < 0.8
                if filled:
                    line.hear(self._bar(symbol, end))
                line.hear(self._gap(symbol, end, filled=filled))
        line.hear(ConnectionRestored(from_ns(self._agenda.now), "the feed is back"))

    def _begin(self) -> None:
        assert self._waits is not None
        self._line, self._missed = _Line(self, self._agenda, *self._waits), []
        self._line.begin(self._ended)

    def _gap(self, symbol: str, end: int, *, filled: bool) -> FeedGap:
        return FeedGap(symbol, _INTERVAL, from_ns(end - 10 * SECOND), from_ns(end), filled, "missed")

    def _bar(self, symbol: str, end: int) -> Bar:
        values = self.said[symbol, end][-1]
        return Bar(symbol, _INTERVAL, from_ns(end - 10 * SECOND), from_ns(end), *values)


_FAULTS = (FaultKind.FEED_GAP, FaultKind.LATE_BAR, FaultKind.DOUBLED_BAR, FaultKind.BAR_CORRECTION)


class _Line:
    """One process's subscription: the run's own pump, with nothing to wait for."""

    def __init__(self, feed: ScriptedFeed, agenda: Agenda, take: _Take, after: int | None, had: _Had) -> None:
        self._feed = feed
        self._agenda = agenda
        self._take = take
        self._heard: dict[tuple[str, int], _Values] = {}
        self._pump = FeedPump(
            feed,
            symbols=SYMBOLS,
            interval=_INTERVAL,
            grace=_GRACE,
            warmup=2,
            timer=_NoWait(),
            now=lambda: agenda.now,
            after=after,
            had=had,
            retry=1.0,
            patience=3.0,
        )

    def begin(self, ended: int) -> None:
        """The stream begins: what had ended by then is history."""
        self._give((FeedLink(up=True, reason="subscribed"),))
        self.hear(Watermark(SYMBOLS, _INTERVAL, from_ns(ended)))

    def hear(self, event: FeedEvent) -> None:
        """Something comes down the line, unless its process is gone."""
        if self._feed._line is self:
            bar = event.bar if isinstance(event, BarCorrection) else event
            if isinstance(bar, Bar):
                self._heard[bar.symbol, to_ns(bar.end)] = _values(bar)
            self._give(_done(self._pump._taken(event)))
            self._wake()

    def _wake(self) -> None:
        due = self._pump._assembler.deadline
        if due is not None:
            self._agenda.at(due, self._tick)

    def _tick(self) -> None:
        if self._feed._line is self:
            self._give(self._pump._assembler.tick(self._agenda.now))

    def _give(self, pumped: Sequence[Pumped]) -> None:
        for one in pumped:
            if self._feed._line is not self:
                return
            if isinstance(one, Slice):
                self._note(*one.bars)
                self._take(partial(SliceInput, slice=one))
            elif isinstance(one, LateBar):
                self._note(one.bar)
                self._take(partial(LateBarInput, late=one))
            elif isinstance(one, BarCorrection):
                if (one.bar.symbol, to_ns(one.bar.end)) in self._feed.told:
                    self._note(one.bar)
                self._take(partial(CorrectionInput, correction=one))
            elif isinstance(one, FeedGap):
                self._take(partial(GapInput, gap=one))
            elif isinstance(one, FeedLink):
                self._take(partial(FeedLinkInput, up=one.up, reason=one.reason))

    def _note(self, *bars: Bar) -> None:
        for bar in bars:
            key = bar.symbol, to_ns(bar.end)
            # A bar that waited for its slice may have been restated meanwhile.
            self._feed.told[key] = self._heard.get(key, _values(bar))


class _NoWait(LoopTimer):
    """Whoever waits for history to answer asks again at once: nothing else happens meanwhile."""

    async def sleep(self, seconds: float) -> None:
        return


def _values(bar: Bar) -> _Values:
    return bar.open, bar.high, bar.low, bar.close, bar.volume


def _done(work: Coroutine[Any, Any, Sequence[Pumped]]) -> Sequence[Pumped]:
    """What a coroutine comes to that waits for nobody."""
    try:
        work.send(None)
    except StopIteration as end:
        answer: Sequence[Pumped] = end.value
        return answer
    raise AssertionError("the pump waits for something")
