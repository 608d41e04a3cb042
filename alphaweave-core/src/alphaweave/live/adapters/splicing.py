"""Bars of a stream and of history joined: each once, in order, none missing without a word."""

from __future__ import annotations

from collections import deque
from typing import Final

from attrs import evolve, frozen

from alphaweave.core.clock import from_ns, to_ns
from alphaweave.core.market import Bar, BarCorrection, BarSource
from alphaweave.live.datafeed import FeedGap, History, Subscription

__all__ = ["BarSplicer", "Stretch"]

# A bar that comes after later ones is told from one that was handed out before among so many.
_REMEMBERED: Final = 256


@frozen
class Stretch:
    """Bars that end after ``start``, up to and including ``end``: nanoseconds since the epoch, UTC."""

    start: int
    end: int


class BarSplicer:
    """Joins what streams in of one subscription to what history answers.

    It holds streamed bars back while something before them is wanted from history. Nothing comes out of
    it before `begin`.

    Attributes:
        watermark: every bar that ends at or before it was handed out or reported missing; None before
            `begin`.
        repeated: bars that came once more, and were not handed out again.
    """

    def __init__(self, subscription: Subscription, *, fills_holes: bool = True) -> None:
        """Join the bars of one symbol and interval.

        Args:
            fills_holes: the venue sends a bar for every interval, or nearly so: a streamed bar that does
                not follow on the last one waits until history has said what is between. False takes the
                venue's word that intervals without a bar are empty.
        """
        self.subscription = subscription
        self.watermark: int | None = None
        self.repeated = 0
        self._fills_holes = fills_holes
        self._target: int | None = None
        self._interrupted = False
        self._held: dict[int, Bar] = {}
        self._last: Bar | None = None
        # The ends of the newest that were handed out; of what ends at or before the floor, nothing is known.
        self._given: deque[int] = deque()
        self._floor: int | None = None

    @property
    def wanted(self) -> Stretch | None:
        """What to ask history for now; None if nothing is missing."""
        if self._target is None or self.watermark is None:
            return None
        return Stretch(self.watermark, self._target)

    def begin(self, at: int) -> tuple[Bar | BarCorrection, ...]:
        """The stream begins: bars that end at or before ``at`` are not to come on it."""
        self.watermark, self._interrupted, self._floor = at, False, at
        return self._release()

    def interrupt(self) -> None:
        """The stream broke off: what comes of the next one is held until `resume` says where it begins."""
        self._interrupted = True

    def resume(self, until: int) -> tuple[Bar | BarCorrection, ...]:
        """The stream begins again: what ends at or before ``until`` may have been missed.

        Raises:
            ValueError: it never began.
        """
        if self.watermark is None:
            raise ValueError(f"{self.subscription.symbol}: the stream resumes, but it never began")
        self._interrupted = False
        if until > max(self.watermark, self._target or 0):
            self._target = until
        return self._release()

    def live(self, bar: Bar) -> tuple[Bar | BarCorrection, ...]:
        """Take a streamed bar. Look at `wanted` afterwards."""
        start, end = to_ns(bar.start), to_ns(bar.end)
        if self.watermark is None or self._interrupted:
            self._held[end] = bar
            return ()
        if end <= self.watermark:
            if self.is_new(bar):
                return self.late(bar)
            self.repeated += 1
            return self._restated(bar)
        if start > self.watermark and (self._fills_holes or self._target is not None):
            self._held[end] = bar
            if self._target is None:
                self._target = start
            return ()
        # It follows on what was handed out, so nothing is missing in between.
        return (*self._hand_out(bar, end), *self._release())

    def is_new(self, bar: Bar) -> bool:
        """Whether a bar that ends at or before the watermark was certainly never handed out."""
        end = to_ns(bar.end)
        return self._floor is not None and end > self._floor and end not in self._given

    def late(self, bar: Bar) -> tuple[Bar, ...]:
        """Take a bar that `is_new`, although later ones were handed out: its interval was taken for empty."""
        self._remember(to_ns(bar.end))
        return (bar,)

    def answered(self, history: History) -> tuple[Bar | BarCorrection | FeedGap, ...]:
        """Take history's answer to what was `wanted`. Something may still be wanted afterwards.

        Only the stretch for which history is complete counts: a bar beyond it may have one missing before.
        """
        if self.watermark is None or self._target is None:
            return ()
        out: list[Bar | BarCorrection | FeedGap] = []
        complete_from, complete_to = to_ns(history.complete_from), to_ns(history.complete_to)
        if complete_from >= complete_to:
            return ()
        if complete_from > self.watermark:
            out += self._skip(min(complete_from, self._target), "history does not reach back so far")
        for bar in history.bars:
            end = to_ns(bar.end)
            if self.watermark < end <= min(complete_to, self._target):
                # The source tells how the bar came to be known here, whatever the answer says.
                out += self._hand_out(evolve(bar, source=BarSource.BACKFILL), end)
        self.watermark = max(self.watermark, min(complete_to, self._target))
        return (*out, *self._release())

    def give_up(self, reason: str) -> tuple[Bar | BarCorrection | FeedGap, ...]:
        """History does not answer: report what is missing, and go on with what streams in."""
        if self.watermark is None or self._target is None:
            return ()
        return (*self._skip(self._target, reason), *self._release())

    def _skip(self, until: int, reason: str) -> list[Bar | BarCorrection | FeedGap]:
        """Go on at an instant, with what streamed in before it, and report what lies between."""
        out: list[Bar | BarCorrection | FeedGap] = []
        for end in sorted(self._held):
            start = to_ns(self._held[end].start)
            if start >= until:
                break
            out += self._gap(start, reason)
            bar = self._held.pop(end)
            if self.watermark is not None and end > self.watermark:
                out += self._hand_out(bar, end)
        out += self._gap(until, reason)
        return out

    def _gap(self, until: int, reason: str) -> tuple[FeedGap, ...]:
        if self.watermark is None or until <= self.watermark:
            return ()
        one = self.subscription
        gap = FeedGap(
            one.symbol, one.interval, from_ns(self.watermark), from_ns(until), filled=False, reason=reason
        )
        self.watermark = until
        return (gap,)

    def _hand_out(self, bar: Bar, end: int) -> tuple[Bar, ...]:
        self.watermark, self._last = end, bar
        self._remember(end)
        return (bar,)

    def _remember(self, end: int) -> None:
        self._given.append(end)
        if len(self._given) > _REMEMBERED:
            self._floor = max(self._given.popleft(), self._floor or 0)

    def _release(self) -> tuple[Bar | BarCorrection, ...]:
        """Hand out what is held and follows on, and find the next hole."""
        out: list[Bar | BarCorrection] = []
        watermark = self.watermark
        if watermark is None or self._interrupted:
            return ()
        if self._target is not None and watermark >= self._target:
            self._target = None
        for end in sorted(self._held):
            bar = self._held[end]
            start = to_ns(bar.start)
            if end <= watermark:
                del self._held[end]
                if self.is_new(bar):
                    out += self.late(bar)
                else:
                    self.repeated += 1
                    out += self._restated(bar)
            elif start <= watermark or (self._target is None and not self._fills_holes):
                del self._held[end]
                out += self._hand_out(bar, end)
                watermark = end
                if self._target is not None and watermark >= self._target:
                    self._target = None
            elif self._target is None:
                self._target = start
                break
        return tuple(out)

    def _restated(self, bar: Bar) -> tuple[BarCorrection, ...]:
        last = self._last
        if last is None or last.end != bar.end or evolve(bar, source=last.source) == last:
            return ()
        self._last = bar
        return (BarCorrection(bar),)
