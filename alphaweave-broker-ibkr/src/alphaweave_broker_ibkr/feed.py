"""Interactive Brokers as a datafeed: bars that are kept up to date, trades, quotes, the past, and hours."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from ib_async import Contract

from alphaweave.core.clock import from_ns, to_ns
from alphaweave.core.errors import BrokerUnavailable, Unsupported
from alphaweave.live.adapters.backoff import Backoff
from alphaweave.live.adapters.base import Services
from alphaweave.live.adapters.streaming import FeedSink, StreamingDataFeed
from alphaweave.live.adapters.supervisor import SupervisorLimits
from alphaweave.live.adapters.timer import Timer
from alphaweave.live.datafeed import FeedKind, History, Session, Subscription
from alphaweave.live.sessions import Span
from alphaweave_broker_ibkr.bar_builder import Recipe
from alphaweave_broker_ibkr.bar_history import BarHistory, what_to_show
from alphaweave_broker_ibkr.contract_hours import gateway_zone, joined, read_hours, read_schedule
from alphaweave_broker_ibkr.contracts import Found, find_contract
from alphaweave_broker_ibkr.data_refusals import data_error
from alphaweave_broker_ibkr.feed_link import GatewayLink
from alphaweave_broker_ibkr.feed_settings import IbkrFeedOptions
from alphaweave_broker_ibkr.gateway import Gateway, NoAnswer, Refused
from alphaweave_broker_ibkr.market_rows import FIVE_SECONDS, Part, part_of
from alphaweave_broker_ibkr.pace import Pace, Unsent

__all__ = ["IbkrFeed"]

_SECOND: Final = timedelta(seconds=1)
_SHORTEST_KEPT_UP: Final = 60
_DAY_SECONDS: Final = 86_400
_DAYS: Final = Part("1 day", _DAY_SECONDS, 365 * _DAY_SECONDS)
_IN_USE: Final = "326"
# The gateway has fifty questions for bars open at a time, and some are for the past.
_MOST_BARS: Final = 40


class IbkrFeed(StreamingDataFeed):
    """One feed, over a connection of its own to the gateway.

    Attributes:
        past: what has been.
    """

    # A bar without a trade is left out: a hole is no sign that something was missed.
    fills_holes = False

    def __init__(self, options: IbkrFeedOptions, services: Services, *, timer: Timer | None = None) -> None:
        # The base asks for a backoff at once.
        self.options = options
        super().__init__(
            services,
            timer=timer,
            limits=SupervisorLimits(
                silence=2.5 * options.heartbeat, opening=options.patience + 2 * options.timeout
            ),
            answer=2 * options.timeout + options.settle,
            name="ibkr data",
        )
        self.capabilities = options.capabilities
        self._names = dict(services.names)
        self._pace = Pace(options.rate, options.patience, self.timer)
        self._gateway: Gateway | None = None
        self._found: dict[str, Found] = {}
        self.past = BarHistory(options, self.gateway, self.timer, self.server_now)

    def gateway(self) -> Gateway:
        """The connection.

        Raises:
            BrokerUnavailable: there is none.
        """
        if self._gateway is None or not self._gateway.is_open:
            raise BrokerUnavailable("the gateway is not connected")
        return self._gateway

    def is_real_time(self, subscription: Subscription) -> bool:
        """Whether its bars are made of those of five seconds; short ones always are, for the gateway keeps
        them up to date at its leisure, and counts each question for their history."""
        if subscription.kind is not FeedKind.BAR:
            return False
        short = part_of(subscription.interval).seconds < _SHORTEST_KEPT_UP
        return short or self.options.bars == "real_time"

    def recipe(self, subscription: Subscription, *, live: bool) -> Recipe:
        """How its bars are made, of a stream or of history."""
        part = FIVE_SECONDS if live and self.is_real_time(subscription) else part_of(subscription.interval)
        traded = what_to_show(self._found[subscription.symbol].listing.kind) != "MIDPOINT"
        return Recipe(
            subscription.symbol, self.grid(subscription.interval), part, self.services.timezone, traded
        )

    def contract(self, symbol: str) -> Contract:
        """What to ask the gateway for, once it was found."""
        listing = self._found[symbol].listing
        return Contract(
            conId=listing.con_id, secType=listing.kind, exchange=listing.exchange, currency=listing.currency
        )

    def usual_backoff(self) -> Backoff:
        return Backoff(random=self._random, base=self.options.retry, cap=30.0)

    def whole_from(self, subscription: Subscription, at: int) -> int:
        if self.is_real_time(subscription):
            return self.grid(subscription.interval).after(at)
        return super().whole_from(subscription, at)

    def check(self, subscription: Subscription) -> None:
        if self.options.data == "delayed" and subscription.kind is FeedKind.BAR:
            raise Unsupported(
                f"{subscription.symbol}: the gateway keeps no bars up to date out of delayed data: take a "
                "subscription, and write data: live"
            )
        super().check(subscription)
        if subscription.kind is not FeedKind.BAR:
            return
        grid, part = self.grid(subscription.interval), part_of(subscription.interval)
        if grid.floor(self.server_now()) % part.length:
            raise Unsupported(
                f"{subscription.symbol}: bars of {subscription.interval} in {self.services.timezone} do not "
                f"begin with the gateway's {part.words}: write datafeed.timezone: UTC"
            )

    async def subscribe(self, subscriptions: Sequence[Subscription]) -> None:
        for subscription in subscriptions:
            self.check(subscription)
        if sum(one.kind is FeedKind.BAR for one in set(subscriptions)) > _MOST_BARS:
            raise Unsupported(f"the gateway keeps {_MOST_BARS} streams of bars up to date, and no more")
        for subscription in subscriptions:
            found = await self._look_up(subscription.symbol)
            if subscription.kind is FeedKind.TRADE and found.listing.kind == "CASH":
                raise Unsupported(f"{subscription.symbol}: of currencies nobody reports trades; take quotes")
        await super().subscribe(subscriptions)

    async def history(
        self,
        subscription: Subscription,
        *,
        end: datetime,
        start: datetime | None = None,
        bars: int | None = None,
    ) -> History:
        if (start is None) == (bars is None):
            raise ValueError("history takes exactly one of start and bars")
        if bars is not None and bars < 1:
            raise ValueError(f"history gives one bar or more, not {bars}")
        self.check(subscription)
        self.gateway()
        if subscription.kind is not FeedKind.BAR:
            raise Unsupported(f"{subscription.symbol}: history has bars, and no {subscription.kind.value}s")
        await self._look_up(subscription.symbol)
        recipe, contract = self.recipe(subscription, live=False), self.contract(subscription.symbol)
        if start is not None:
            return await self.past.since(recipe, contract, min(start, end), end)
        assert bars is not None
        return await self.past.latest(recipe, contract, bars, end)

    async def sessions(self, symbols: Sequence[str], start: datetime, end: datetime) -> Sequence[Session]:
        """By the contract's own hours, in the time zone that the gateway says, holidays included."""
        found = []
        for symbol in dict.fromkeys(symbols):
            spans = await self._hours_of(symbol, start)
            found += [Session(symbol, from_ns(one.start), from_ns(one.end)) for one in spans]
        return sorted(
            (one for one in found if one.start < end and one.end > start),
            key=lambda one: (one.start, one.symbol),
        )

    async def open_link(self, sink: FeedSink) -> GatewayLink:
        """A connection; for a while the gateway takes the last one with this client id for alive."""
        until = self.timer.clock.monotonic() + self.options.patience
        while True:
            gateway = Gateway(self.options, self.timer, self._pace, sink.beat)
            # It listens from the first: what the gateway lacks it says as soon as somebody connects.
            link = GatewayLink(self, gateway, sink)
            try:
                await gateway.open()
                await self._learn_time(gateway)
                await link.choose_data()
            except BaseException as error:
                await gateway.close()
                if isinstance(error, NoAnswer | Unsent):
                    raise BrokerUnavailable(str(error)) from None
                held = isinstance(error, BrokerUnavailable) and error.code == _IN_USE
                if not held or self.timer.clock.monotonic() + self.options.retry > until:
                    raise
            else:
                self._gateway = gateway
                return link
            await self.timer.sleep(self.options.retry)

    async def _learn_time(self, gateway: Gateway) -> None:
        asked_at = self.timer.clock.now()
        told = await gateway.time()
        answered_at = self.timer.clock.now()
        if answered_at >= asked_at:
            # It says whole seconds: what agrees with this machine's clock is no news.
            middle = asked_at + (answered_at - asked_at) / 2
            said = min(max(middle, told), told + _SECOND)
            self.server_clock.learn(asked_at=asked_at, answered_at=answered_at, said=said)

    async def _look_up(self, symbol: str) -> Found:
        known = self._found.get(symbol)
        if known is not None:
            return known
        text = self._names.get(symbol, symbol)
        try:
            found = await find_contract(self.gateway(), symbol, text)
        except Refused as no:
            raise data_error(no, symbol) from None
        except (NoAnswer, Unsent) as error:
            raise BrokerUnavailable(f"the contract of {symbol}: {error}") from None
        if found is None:
            raise Unsupported(
                f"{symbol}: Interactive Brokers has no {text}; write its short form, or the number of its "
                "contract, under names"
            )
        self._found[symbol] = found
        return found

    async def _hours_of(self, symbol: str, start: datetime) -> Sequence[Span]:
        details = (await self._look_up(symbol)).details
        regular = self.options.hours == "regular"
        try:
            zone = gateway_zone(details.timeZoneId)
            coming = read_hours(details.liquidHours if regular else details.tradingHours, zone)
            if coming and to_ns(start) >= coming[0].start:
                return coming
            days = max((from_ns(self.server_now()) - start).days + 2, 2)
            told = await self.past.ask(
                self.contract(symbol), symbol, _DAYS, end="", seconds=days * _DAY_SECONDS, show="SCHEDULE"
            )
            # Start, end, zone, sessions.
            been = [read_schedule(one[3], gateway_zone(one[2])) for one in told]
        except ValueError as error:
            raise BrokerUnavailable(f"the hours of {symbol} cannot be read: {error}") from None
        return joined((span for spans in been for span in spans), coming)
