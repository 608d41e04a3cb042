"""Bars of many symbols to slices: what a strategy sees at one instant, whichever way the bars came.

A slice holds the bars of one ``end``. It closes when every symbol has reported (by its bar, or by the feed's
word that none will come), or after a grace; slices close in rising order. A bar that comes after its slice
closed is handed out as late, by itself.

Instants are nanoseconds since the epoch, UTC. Nothing here reads a clock.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from attrs import evolve, frozen

from alphaweave.core.clock import from_ns, to_ns
from alphaweave.core.market import Bar, BarSource
from alphaweave.live.datafeed import FeedGap, History, Watermark

__all__ = ["LateBar", "Missing", "Slice", "SliceAssembler"]

_SECOND_NS: Final = 1_000_000_000
# How many bars of a symbol are remembered, to tell a late one from one that was had.
_MEMORY: Final = 4096


@frozen
class Slice:
    """The bars of one ``end``, in the order of the run's symbols; a symbol without one is absent."""

    end: int
    bars: tuple[Bar, ...]


@frozen
class LateBar:
    """A bar whose slice had closed without it. It joins its series and never re-runs ``next``."""

    bar: Bar


@frozen
class Missing:
    """History that the run cannot start without: bars that end after ``start``, up to ``end``.

    Attributes:
        start: None while nothing of the symbol's history is known: ask for as many bars as the run's
            warm-up has.
    """

    symbol: str
    start: int | None
    end: int


class SliceAssembler:
    """Assembles the slices of one interval: first out of history, then out of the stream.

    Hand it the stream's events from the first on, and histories until nothing is `missing`; then `start`.
    The same bars make the same slices in whatever order they arrive within the grace, which counts from
    the end of a slice, from its first bar, or from the end of a `hold`, whichever is last.

    Attributes:
        repeated: bars that were had already, and were dropped.
        closed_to: the end of the last slice that closed; None before the first.
    """

    def __init__(
        self,
        symbols: Sequence[str],
        interval: str,
        *,
        grace: float,
        after: int | None = None,
        had: Mapping[str, Sequence[int]] | None = None,
    ) -> None:
        """Set up for a run.

        Args:
            grace: seconds that a slice waits for symbols that have not reported.
            after: the last slice that an earlier part of this run saw; what ends by then is known.
            had: ends of the latest bars of each symbol that it saw: what it has not since the first of them
                is not known, and late when it comes.

        Raises:
            ValueError: no symbol, one symbol twice, or a negative grace.
        """
        if not symbols or len(set(symbols)) != len(symbols):
            raise ValueError("slices need one symbol or more, each once")
        if not grace >= 0:
            raise ValueError(f"grace is in seconds, 0 or more, not {grace}")
        self.symbols = tuple(symbols)
        self.interval = interval
        self.repeated = 0
        self.closed_to = after
        self._grace = round(grace * _SECOND_NS)
        self._started = False
        self._held = False
        self._released = 0
        self._pending: dict[int, dict[str, Bar]] = {}
        self._seen: dict[int, int] = {}
        # What came too late for its slice, before the start.
        self._late: dict[int, dict[str, Bar]] = {}
        had = had or {}
        self._delivered: dict[str, dict[int, None]] = {
            symbol: dict.fromkeys(had.get(symbol, ())) for symbol in self.symbols
        }
        # No bar of the symbol that ends by then is to come; while warming up, where its stream begins.
        self._marks: dict[str, int] = {}
        self._covered: dict[str, int] = {}
        self._known_to = after
        if after is not None:
            self._known_to = min((end for ends in had.values() for end in ends), default=after)
            self._covered = dict.fromkeys(symbols, self._known_to)

    def history(self, symbol: str, history: History) -> tuple[FeedGap, ...]:
        """Take in what history knows of a symbol, before `start`; each answer goes on where the last ended.

        Returns:
            the stretch that it cannot answer for, between what is known and where it begins.
        """
        self._check(symbol)
        complete_from, complete_to = to_ns(history.complete_from), to_ns(history.complete_to)
        covered = self._covered.get(symbol)
        gap: tuple[FeedGap, ...] = ()
        if covered is not None and complete_from > covered and complete_to > covered:
            span = (from_ns(covered), from_ns(complete_from))
            reason = "history does not reach back so far"
            gap = (FeedGap(symbol, self.interval, *span, filled=False, reason=reason),)
        for bar in history.bars:
            end = to_ns(bar.end)
            if not complete_from < end <= complete_to or self._is_had(symbol, end):
                continue
            known = evolve(bar, source=BarSource.WARMUP)
            if self._is_late(end):
                self._late.setdefault(end, {})[symbol] = known
            else:
                self._pending.setdefault(end, {})[symbol] = known
        self._covered[symbol] = complete_to if covered is None else max(covered, complete_to)
        return gap

    def missing(self) -> tuple[Missing, ...] | None:
        """What to ask history for before `start`; None until the stream of every symbol has begun."""
        if len(self._marks) < len(self.symbols):
            return None
        found = []
        for symbol in self.symbols:
            covered, begin = self._covered.get(symbol), self._marks[symbol]
            if covered is None or covered < begin:
                found.append(Missing(symbol, covered, begin))
        return tuple(found)

    def start(
        self, now: int, *, keep: int | None = None, with_gaps: bool = False
    ) -> tuple[Slice | LateBar, ...]:
        """The warm-up slices, and whatever has closed since.

        Args:
            keep: only the last so many warm-up slices; what is older is dropped.
            with_gaps: start although something is missing.

        Raises:
            ValueError: it was started before, or something is missing.
        """
        missing = self.missing()
        if self._started:
            raise ValueError("the slices were started before")
        if not with_gaps and (missing is None or missing):
            what = "the stream of some symbol has not begun" if missing is None else f"missing: {missing}"
            raise ValueError(f"the warm-up is not complete; {what}")
        self._started = True
        for symbol in self.symbols:
            begin, covered = self._marks.get(symbol), self._covered.get(symbol)
            self._marks[symbol] = max(begin or 0, covered or 0)
        known = min(self._marks.values())
        warm = sorted(end for end in self._pending if end <= known)
        dropped = warm[: max(len(warm) - keep, 0)] if keep is not None else []
        for end in dropped:
            del self._pending[end]
        if dropped:
            self._known_to = max(dropped[-1], self._known_to or 0)
        self._released = now
        late, self._late = [bar for _, bars in sorted(self._late.items()) for bar in bars.values()], {}
        for bar in late:
            self._remember(bar.symbol, to_ns(bar.end))
        return (*map(LateBar, late), *self._close(now))

    def add(self, bar: Bar, now: int) -> tuple[Slice | LateBar, ...]:
        """Take a bar of the stream; what has closed by it.

        Raises:
            ValueError: it is of a symbol or an interval that this run does not have.
        """
        self._check(bar.symbol)
        if bar.interval != self.interval:
            raise ValueError(f"a bar of {bar.interval} cannot be in a slice of {self.interval} bars")
        end = to_ns(bar.end)
        if self._has(bar.symbol, end):
            self.repeated += 1
            return ()
        if self._is_late(end):
            if not self._started:
                self._late.setdefault(end, {})[bar.symbol] = bar
                return ()
            self._remember(bar.symbol, end)
            return (LateBar(bar), *self._close(now))
        self._pending.setdefault(end, {})[bar.symbol] = bar
        self._seen.setdefault(end, now)
        return tuple(self._close(now))

    def correct(self, bar: Bar) -> bool:
        """Take the restatement of a bar that waits for its slice or the start; False where none waits."""
        end = to_ns(bar.end)
        waiting = self._pending.get(end) or self._late.get(end, {})
        if bar.interval != self.interval or bar.symbol not in waiting:
            return False
        waiting[bar.symbol] = evolve(bar, source=waiting[bar.symbol].source)
        return True

    def mark(self, watermark: Watermark, now: int) -> tuple[Slice | LateBar, ...]:
        """The feed says that no bar of some symbols is to come; what has closed by that."""
        if watermark.interval != self.interval:
            return ()
        end = to_ns(watermark.end)
        for symbol in watermark.symbols:
            if symbol not in self._delivered:
                continue
            if self._started:
                self._marks[symbol] = max(end, self._marks[symbol])
            else:
                # The first says where the stream begins, and later ones only that it goes on.
                self._marks.setdefault(symbol, end)
        return tuple(self._close(now))

    def hold(self) -> None:
        """The connection is lost: what is missing will be fetched, and no grace runs until `release`."""
        self._held = True

    def release(self, now: int) -> tuple[Slice | LateBar, ...]:
        """The connection is back, and what was missed has been handed over: the grace runs from now."""
        self._held, self._released = False, now
        return tuple(self._close(now))

    @property
    def deadline(self) -> int | None:
        """When to call `tick` unless something closes before; None while nothing waits."""
        if not self._started or self._held or not self._pending:
            return None
        return self._deadline_of(min(self._pending))

    def tick(self, now: int) -> tuple[Slice | LateBar, ...]:
        """Let the grace run out."""
        return tuple(self._close(now))

    def _close(self, now: int) -> Iterator[Slice]:
        while self._started and self._pending:
            end = min(self._pending)
            bars = self._pending[end]
            complete = all(symbol in bars or self._marks[symbol] >= end for symbol in self.symbols)
            if not complete and (self._held or now < self._deadline_of(end)):
                return
            del self._pending[end]
            self._seen.pop(end, None)
            for symbol in bars:
                self._remember(symbol, end)
            self.closed_to = end
            yield Slice(end, tuple(bars[symbol] for symbol in self.symbols if symbol in bars))

    def _deadline_of(self, end: int) -> int:
        return max(end, self._seen.get(end, 0), self._released) + self._grace

    def _has(self, symbol: str, end: int) -> bool:
        waits = symbol in self._pending.get(end, ()) or symbol in self._late.get(end, ())
        return waits or self._is_had(symbol, end)

    def _is_late(self, end: int) -> bool:
        return self.closed_to is not None and end <= self.closed_to

    def _is_had(self, symbol: str, end: int) -> bool:
        known = self._known_to is not None and end <= self._known_to
        return known or end in self._delivered[symbol]

    def _remember(self, symbol: str, end: int) -> None:
        delivered = self._delivered[symbol]
        delivered[end] = None
        if len(delivered) > _MEMORY:
            del delivered[next(iter(delivered))]

    def _check(self, symbol: str) -> None:
        if symbol not in self._delivered:
            raise ValueError(f"{symbol} is not in this run, which has {', '.join(self.symbols)}")
