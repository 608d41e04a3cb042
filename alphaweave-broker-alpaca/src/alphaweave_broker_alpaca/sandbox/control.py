"""The sandbox of Alpaca, under control."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Self

from attrs import evolve

from alphaweave.core.clock import to_ns
from alphaweave.core.instrument import Instrument
from alphaweave.core.market import Bar, Quote, Trade
from alphaweave.core.money import Money, plain
from alphaweave.core.order import Side
from alphaweave.live.adapters.base import Services
from alphaweave.testing.clock import RunningClock
from alphaweave.testing.feed_venue import FeedControl
from alphaweave.testing.playback import MINUTE, Playback
from alphaweave.testing.venue import (
    Action,
    Fault,
    Power,
    Truth,
    VenueControl,
    WireRequest,
)
from alphaweave_broker_alpaca.sandbox.account import Account
from alphaweave_broker_alpaca.sandbox.assets import Asset, crypto, stock
from alphaweave_broker_alpaca.sandbox.books import truth_of
from alphaweave_broker_alpaca.sandbox.data_routes import DataRoutes
from alphaweave_broker_alpaca.sandbox.data_stream import DataStream
from alphaweave_broker_alpaca.sandbox.hours import Hours
from alphaweave_broker_alpaca.sandbox.lines import LineState
from alphaweave_broker_alpaca.sandbox.options import SandboxOptions
from alphaweave_broker_alpaca.sandbox.orders import Order
from alphaweave_broker_alpaca.sandbox.prices import DAY_MINUTES, MinuteBar, Prices
from alphaweave_broker_alpaca.sandbox.server import Server
from alphaweave_broker_alpaca.sandbox.trade_stream import TradeStream
from alphaweave_broker_alpaca.sandbox.trading_routes import TradingRoutes
from alphaweave_broker_alpaca.sandbox.venue import Venue
from alphaweave_broker_alpaca.sandbox.wire import Armed, Quota, Recorder

__all__ = ["AlpacaSandbox"]

_KEY, _SECRET = "PKSANDBOX0000000KIT1", "sandbox-secret-0123456789-abcdefghijklmn"
_FEEDS = ("iex", "sip", "delayed_sip", "test")
_CRYPTO = "crypto"
_FREE_SYMBOLS = 30
_BEAT = 0.05
_KIT_NAMES = {"ONE": "BRK.A", "TWO": "NVR", "PART": "KO"}


class AlpacaSandbox(VenueControl, FeedControl):
    """REST and sockets on one loopback port, over one account.

    With ``symbols`` or ``data`` the config's symbols are the venue's own; without, they are the kit's.
    """

    account_id: str
    currency = "USD"
    interval = "1m"
    powers = frozenset(
        {
            *(Power(fault.value) for fault in Fault),
            Power.FRESH,
            Power.WRONG_KEYS,
            Power.DROP,
            Power.REFUSE,
            Power.MUTE,
            Power.RESTART,
            Power.SKEW,
            Power.HOLD_EVENTS,
            Power.DUPLICATE,
            Power.REORDER,
            Power.FILL,
            Power.CANCEL,
            Power.EXPIRE,
            Power.CASH_FLOW,
            Power.MOVE_POSITION,
            Power.FOREIGN_ORDER,
            Power.FOREIGN_TRADE,
            Power.HALT,
            Power.HISTORY,
            Power.CORRECT_BAR,
            Power.TRADES,
            Power.QUOTES,
        }
    )

    def __init__(self, options: SandboxOptions, services: Services) -> None:
        self._options = options
        self.name = "alpaca sandbox"
        self.clock = services.clock
        self.secrets: Sequence[str] = (_KEY, _SECRET)
        self._origin, self._skew = self.clock.now(), timedelta(0)
        now = self.now
        self._playback = Playback(options.data, options.begin, now())
        own = tuple(dict.fromkeys((*options.symbols, *self._playback.symbols)))
        self.names: Mapping[str, str] = {symbol: symbol for symbol in own} or _KIT_NAMES
        self._ours = {theirs: ours for ours, theirs in self.names.items()}
        assets = _assets(own)
        self.instruments: Mapping[str, Instrument] = {
            ours: assets[theirs].instrument(ours) for ours, theirs in self.names.items()
        }
        hours = Hours(options.holidays, always_open=options.always_open or self._playback.old)
        account = Account(options.cash, options.multiplier, to_ns(now()))
        self.account_id = account.number
        self.venue = Venue(
            assets,
            account=account,
            hours=hours,
            now=now,
            partial_fills=options.partial_fills,
            seed=options.seed,
            fee_delay=options.fee_delay,
        )
        self.prices = Prices()
        self._recorder = Recorder(self.clock.now)
        self._state = LineState(self._recorder)
        self._trades = TradeStream(self._state, self._knows)
        self.venue.tell = self._trades.tell
        free = None if options.sip else _FREE_SYMBOLS
        self._feeds = {
            feed: DataStream(
                feed,
                self._state,
                self._knows,
                entitled=feed != "sip" or options.sip,
                symbols=free if feed == "iex" else None,
                connections=options.data_connections or None,
            )
            for feed in (*_FEEDS, _CRYPTO)
        }
        self._quotas = (
            Quota(options.quota, options.window, now),
            Quota(options.data_quota, options.window, now),
        )
        trading = TradingRoutes(self.venue, hours, now)
        data = DataRoutes(self.prices, lambda: self.venue.assets, now, entitled=options.sip)
        sockets = {f"/v2/{feed}": self._feeds[feed].serve for feed in _FEEDS}
        self._server = Server(
            [*trading.routes(), *data.routes()],
            {"/stream": self._trades.serve, "/v1beta3/crypto/us": self._feeds[_CRYPTO].serve, **sockets},
            state=self._state,
            recorder=self._recorder,
            knows=self._knows,
            quotas=self._quotas,
            port=options.port,
        )
        self._heart: asyncio.Task[None] | None = None

    # The sandbox ---------------------------------------------------------------------------------------

    def now(self) -> datetime:
        """The venue's own time: the clock's, scaled and skewed."""
        return self._origin + (self.clock.now() - self._origin) * self._options.speed + self._skew

    @property
    def port(self) -> int:
        """Where it listens, once it has started."""
        return self._server.port

    @property
    def requests(self) -> Sequence[WireRequest]:
        return tuple(self._recorder.requests)

    async def start(self) -> None:
        for bar in self._playback.until(self.now()):
            self.prices.add_bar(bar.symbol, _minute(bar))
            self.venue.last[bar.symbol] = Decimal(repr(bar.close))
        self.venue.market = self._play_due
        await self._server.start()
        self._heart = asyncio.ensure_future(self._beat())

    async def stop(self) -> None:
        heart, self._heart = self._heart, None
        if heart is not None:
            heart.cancel()
            await asyncio.gather(heart, return_exceptions=True)
            await self._server.stop()

    def options(self) -> dict[str, Any]:
        here = f"127.0.0.1:{self.port}"
        return {
            "key": _KEY,
            "secret": _SECRET,
            "trading_url": f"http://{here}",
            "trading_stream_url": f"ws://{here}/stream",
            "data_url": f"http://{here}",
            "data_stream_url": f"ws://{here}",
            # An adapter's own limits, far below the patience of whoever waits for it.
            "timeout": 1.5,
            "heartbeat": 0.8,
            "retry": 0.1,
        }

    def wrong_options(self) -> dict[str, Any]:
        return {**self.options(), "secret": "not-the-secret-of-this-account"}

    def fresh(self) -> Self:
        return type(self)(evolve(self._options, port=0), Services(clock=RunningClock()))

    def _knows(self, key: str, secret: str) -> bool:
        return (key, secret) == (_KEY, _SECRET)

    async def _beat(self) -> None:
        while True:
            self.venue.settle()
            await asyncio.sleep(_BEAT)

    # Faults --------------------------------------------------------------------------------------------

    async def arm(self, action: Action, fault: Fault, *, times: int = 1, retry_after: float = 1.0) -> None:
        if times == 0:
            self._recorder.armed.pop(action, None)
        else:
            self._recorder.armed[action] = Armed(fault, times, retry_after)

    async def release_answers(self) -> None:
        self._server.release()

    async def hold_events(self) -> None:
        self._trades.held = []

    async def release_events(self, *, times: int = 1, backwards: bool = False) -> None:
        self._trades.release(times=times, backwards=backwards)

    async def drop(self) -> None:
        await self._server.abort()

    async def refuse(self, refused: bool) -> None:
        if refused:
            await self._server.deafen()
        else:
            await self._server.listen()

    async def mute(self, muted: bool) -> None:
        self._state.muted = muted

    async def restart(self) -> None:
        await self._server.deafen()
        await self._server.listen()

    async def skew(self, seconds: float) -> None:
        self._skew = timedelta(seconds=seconds)

    # The account ---------------------------------------------------------------------------------------

    def truth(self) -> Truth:
        return truth_of(self.venue, self._ours)

    async def fill(
        self, client_order_id: str, size: Decimal | None = None, price: Decimal | None = None
    ) -> None:
        """As the contract has it. An order that has ended is executed all the same: a late fill."""
        order = self._order(client_order_id)
        at = price or order.limit_price or self.venue.last[order.asset.symbol]
        self.venue.fill(order, size, at)

    async def cancel(self, client_order_id: str) -> None:
        self.venue.cancel(self._order(client_order_id), asked=False)

    async def expire(self, client_order_id: str) -> None:
        self.venue.end(self._order(client_order_id), "expired")

    async def cash_flow(self, amount: Money, kind: str = "deposit") -> None:
        self.venue.account.cash += amount.amount
        self.venue.activities.cash(self.venue.stamp(), kind, amount.amount)

    async def move_position(self, symbol: str, quantity: Decimal) -> None:
        asset = self._asset(symbol)
        self.venue.account.of(asset).qty += quantity
        self.venue.activities.units(self.venue.stamp(), asset.symbol, quantity)

    async def foreign_order(self, symbol: str, side: Side, size: Decimal, limit_price: Decimal) -> str:
        return self._foreign(symbol, side, size, limit_price).id

    async def foreign_trade(self, symbol: str, side: Side, size: Decimal, price: Decimal) -> str:
        order = self._foreign(symbol, side, size, price)
        self.venue.fill(order, None, price)
        return order.id

    async def halt(self, symbol: str, halted: bool) -> None:
        asset = self._asset(symbol)
        asset.tradable = not halted
        code, message = ("H", "Trading Halt") if halted else ("T", "Trading Resumption")
        row = {"t": self.now(), "sc": code, "sm": message, "rc": "", "rm": "", "z": "C"}
        self._publish("s", asset, row)

    def _order(self, client_order_id: str) -> Order:
        order = self.venue.by_client(client_order_id)
        assert order is not None, f"the venue has no order {client_order_id}"
        return order

    def _asset(self, symbol: str) -> Asset:
        return self.venue.asset(self.names.get(symbol, symbol))

    def _foreign(self, symbol: str, side: Side, size: Decimal, price: Decimal) -> Order:
        body = {
            "symbol": self._asset(symbol).symbol,
            "qty": plain(size),
            "side": side.value,
            "type": "limit",
            "time_in_force": "gtc" if size % 1 == 0 else "day",
            "limit_price": plain(price),
        }
        return self.venue.outside(body)

    # The market ----------------------------------------------------------------------------------------

    async def set_price(self, symbol: str, price: Decimal) -> None:
        asset, at, value = self._asset(symbol), self.now(), float(price)
        self._publish("q", asset, self.prices.add_quote(asset.symbol, at, (value, 100.0), (value, 100.0)))
        self._publish("t", asset, self.prices.add_trade(asset.symbol, at, value, 100.0))
        self.venue.trade(asset.symbol, price)

    async def play(self, bar: Bar) -> None:
        """Let the market go through a minute that is over: orders meet it, then its bar is told."""
        self._play(self._asset(bar.symbol), _minute(bar))

    def _play_due(self) -> None:
        for bar in self._playback.until(self.now()):
            self._play(self._asset(bar.symbol), _minute(bar))

    def _play(self, asset: Asset, bar: MinuteBar) -> None:
        end = bar.start + MINUTE
        self._publish("t", asset, self.prices.add_trade(asset.symbol, end, bar.close, bar.volume))
        sides = (bar.close, 100.0)
        self._publish("q", asset, self.prices.add_quote(asset.symbol, end, sides, sides))
        self.venue.trade_minute(asset.symbol, bar)
        self._tell_bar(asset, bar)

    def _tell_bar(self, asset: Asset, bar: MinuteBar) -> None:
        """A minute that is over, and the day so far."""
        self._publish("b", asset, self.prices.add_bar(asset.symbol, bar))
        day = self.prices.bars(asset.symbol, DAY_MINUTES, bar.start - timedelta(days=1), bar.start)[-1]
        self._publish("d", asset, day)

    async def publish(self, bar: Bar) -> None:
        self._tell_bar(self._asset(bar.symbol), _minute(bar))

    async def load(self, bars: Sequence[Bar]) -> None:
        for bar in bars:
            self.prices.add_bar(self._asset(bar.symbol).symbol, _minute(bar))

    async def correct_bar(self, bar: Bar) -> None:
        asset = self._asset(bar.symbol)
        self._publish("u", asset, self.prices.add_bar(asset.symbol, _minute(bar)))

    async def publish_trade(self, trade: Trade) -> None:
        asset = self._asset(trade.symbol)
        self._publish("t", asset, self.prices.add_trade(asset.symbol, trade.at, trade.price, trade.size))

    async def publish_quote(self, quote: Quote) -> None:
        asset = self._asset(quote.symbol)
        # A side without a quote is zero at Alpaca's.
        bid, ask = (quote.bid or 0.0, quote.bid_size or 0.0), (quote.ask or 0.0, quote.ask_size or 0.0)
        self._publish("q", asset, self.prices.add_quote(asset.symbol, quote.at, bid, ask))

    def _publish(self, kind: str, asset: Asset, row: dict[str, Any]) -> None:
        for feed, stream in self._feeds.items():
            if (feed == _CRYPTO) == asset.crypto and feed != "test":
                stream.publish(kind, asset.symbol, row)


def _minute(bar: Bar) -> MinuteBar:
    return MinuteBar(bar.start, bar.open, bar.high, bar.low, bar.close, bar.volume)


def _assets(own: Sequence[str]) -> dict[str, Asset]:
    """What the sandbox trades by itself, and the symbols it was told."""
    usual = [
        stock("AAPL"),
        stock("KO"),
        stock("SPY"),
        stock("NVR", fractionable=False),
        stock("BRK.A", fractionable=False),
        stock("GME", shortable=False),
        crypto("BTC/USD", least=Decimal("0.0001"), step=Decimal("1e-9"), tick=Decimal(1)),
        crypto("ETH/USD", least=Decimal("0.001"), step=Decimal("1e-9"), tick=Decimal("0.1")),
    ]
    found = {asset.symbol: asset for asset in usual}
    for symbol in own:
        if symbol not in found:
            found[symbol] = stock(symbol)
    return found
