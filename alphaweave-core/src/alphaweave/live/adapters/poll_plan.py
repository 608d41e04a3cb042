"""When to ask a venue for which bars, and what its answers say: polling, without the waiting."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from attrs import define, frozen

from alphaweave.core.clock import from_ns
from alphaweave.core.market import Bar
from alphaweave.data.grid import BarGrid
from alphaweave.live.adapters.backoff import Backoff
from alphaweave.live.adapters.splicing import BarSplicer
from alphaweave.live.datafeed import FeedEvent, FeedGap, History, Subscription, Watermark
from alphaweave.live.reports import ConnectionLost, ConnectionRestored
from alphaweave.live.sessions import AROUND_THE_CLOCK, Calendar, next_open

__all__ = ["Ask", "PollPlan"]

_SECOND_NS: Final = 1_000_000_000


@frozen
class Ask:
    """One question: bars of a subscription that end after ``start``, up to and including ``end``."""

    subscription: Subscription
    start: int
    end: int


@define
class _Poll:
    """Where one subscription is."""

    splicer: BarSplicer
    grid: BarGrid
    backoff: Backoff
    boundary: int
    due: int
    asked: bool = False
    failing: bool = False


class PollPlan:
    """The polls of all subscriptions of a feed.

    A bar is asked for ``settle`` seconds after its end. An answer that is not complete to that end, and a
    question that failed, are asked again at growing intervals; what was not had by then is in the next
    question as well, so that nothing is skipped, and what was had is never asked for or told twice.

    Instants are nanoseconds since the epoch, UTC, by the venue's clock.
    """

    def __init__(
        self,
        *,
        grid: Callable[[str], BarGrid],
        backoff: Callable[[], Backoff],
        calendar: Calendar = AROUND_THE_CLOCK,
        settle: float = 1.0,
    ) -> None:
        """Raises ValueError if ``settle`` is negative."""
        if settle < 0:
            raise ValueError(f"settle is in seconds, 0 or more, not {settle}")
        self._grid = grid
        self._backoff = backoff
        self._calendar = calendar
        self._settle = round(settle * _SECOND_NS)
        self._polls: dict[Subscription, _Poll] = {}

    def subscribe(self, subscriptions: Sequence[Subscription], now: int) -> tuple[FeedEvent, ...]:
        """Poll these and no others. New ones begin with the first bar that ends after now.

        The other events are a `ConnectionRestored`, if only what was dropped was failing.
        """
        events: list[FeedEvent] = []
        polls: dict[Subscription, _Poll] = {}
        was_failing = self.is_failing
        for subscription in subscriptions:
            poll = self._polls.get(subscription)
            if poll is None:
                grid = self._grid(subscription.interval)
                begin = grid.floor(now)
                splicer = BarSplicer(subscription)
                splicer.begin(begin)
                poll = _Poll(splicer, grid, self._backoff(), begin, 0)
                self._go_on(poll)
                events.append(Watermark((subscription.symbol,), subscription.interval, from_ns(begin)))
            polls[subscription] = poll
        self._polls = polls
        if was_failing and not self.is_failing:
            events.append(ConnectionRestored(from_ns(now), "what could not be had is not asked for any more"))
        return tuple(events)

    @property
    def is_failing(self) -> bool:
        """Whether the last question of some subscription failed."""
        return any(poll.failing for poll in self._polls.values())

    def next_due(self) -> int | None:
        """When to look at `due` again; None while every answer is awaited."""
        return min((poll.due for poll in self._polls.values() if not poll.asked), default=None)

    def due(self, now: int) -> tuple[Ask, ...]:
        """What to ask now. Each question is answered by `answered` or `failed` before it comes again."""
        asks = []
        for subscription, poll in self._polls.items():
            if poll.asked or poll.due > now:
                continue
            # After a delay more than one bar may have ended.
            latest = poll.grid.floor(now - self._settle)
            poll.boundary = max(poll.boundary, latest)
            poll.splicer.resume(poll.boundary)
            wanted = poll.splicer.wanted
            if wanted is None:
                self._go_on(poll)
            else:
                poll.asked = True
                asks.append(Ask(subscription, wanted.start, wanted.end))
        return tuple(asks)

    def answered(self, ask: Ask, history: History, now: int) -> tuple[FeedEvent, ...]:
        """Take an answer; what comes of it, in order."""
        poll = self._polls.get(ask.subscription)
        if poll is None:
            return ()
        poll.asked = False
        events: list[FeedEvent] = list(poll.splicer.answered(history))
        symbol, interval = ask.subscription.symbol, ask.subscription.interval
        if poll.failing:
            poll.failing = False
            if any(isinstance(event, Bar) for event in events):
                start, end = from_ns(ask.start), from_ns(poll.splicer.watermark or ask.end)
                events.append(FeedGap(symbol, interval, start, end, filled=True, reason="polls failed"))
            restored = not self.is_failing
        else:
            restored = False
        if poll.splicer.wanted is None:
            poll.backoff.lived(poll.backoff.stable_after)
            events.append(Watermark((symbol,), interval, from_ns(poll.boundary)))
            self._go_on(poll)
        else:
            poll.due = now + self._wait(poll)
        if restored:
            events.append(ConnectionRestored(from_ns(now), "polls are answered again"))
        return tuple(events)

    def failed(
        self, ask: Ask, now: int, reason: str, retry_after: float | None = None
    ) -> tuple[FeedEvent, ...]:
        """A question got no answer. The first that fails is a `ConnectionLost`."""
        poll = self._polls.get(ask.subscription)
        if poll is None:
            return ()
        first = not self.is_failing
        poll.asked, poll.failing = False, True
        poll.due = now + self._wait(poll, retry_after)
        return (ConnectionLost(from_ns(now), f"{ask.subscription.symbol}: {reason}"),) if first else ()

    def _wait(self, poll: _Poll, at_least: float | None = None) -> int:
        return round(poll.backoff.next_wait(at_least) * _SECOND_NS)

    def _go_on(self, poll: _Poll) -> None:
        """On to the end of the next bar in which the market is open."""
        opening = next_open(self._calendar, poll.boundary)
        poll.boundary = poll.grid.after(poll.boundary if opening is None else opening)
        poll.due = poll.boundary + self._settle
