"""The sandbox of Binance, under control."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Self

from attrs import evolve

from alphaweave.core.clock import to_ns
from alphaweave.core.instrument import Instrument
from alphaweave.core.market import Bar, Quote, Trade
from alphaweave.core.money import Money
from alphaweave.core.order import Side
from alphaweave.live.adapters.base import Services
from alphaweave.testing.clock import RunningClock
from alphaweave.testing.feed_venue import FeedControl
from alphaweave.testing.playback import Playback
from alphaweave.testing.venue import Action, Fault, Power, Truth, VenueControl, WireRequest
from alphaweave_broker_binance.sandbox.account import Account, Rates
from alphaweave_broker_binance.sandbox.books import truth_of, venue_id
from alphaweave_broker_binance.sandbox.desk import Desk
from alphaweave_broker_binance.sandbox.figures import number
from alphaweave_broker_binance.sandbox.gate import Gate
from alphaweave_broker_binance.sandbox.keys import Keys, ed25519_key, hmac_key
from alphaweave_broker_binance.sandbox.limits import Limits
from alphaweave_broker_binance.sandbox.lines import LineState
from alphaweave_broker_binance.sandbox.market import Market
from alphaweave_broker_binance.sandbox.market_stream import MarketStream
from alphaweave_broker_binance.sandbox.options import SandboxOptions
from alphaweave_broker_binance.sandbox.orders import Order
from alphaweave_broker_binance.sandbox.pairs import Pair, known_pairs
from alphaweave_broker_binance.sandbox.prices import Minute, Prices
from alphaweave_broker_binance.sandbox.queries import query_operations
from alphaweave_broker_binance.sandbox.server import Server, Waits
from alphaweave_broker_binance.sandbox.terms import limit_terms, new_id
from alphaweave_broker_binance.sandbox.trading import trading_operations
from alphaweave_broker_binance.sandbox.user_stream import UserStream
from alphaweave_broker_binance.sandbox.venue import Venue
from alphaweave_broker_binance.sandbox.wire import Armed, Recorder
from alphaweave_broker_binance.sandbox.ws_api import WebSocketApi

__all__ = ["BinanceSandbox"]

_LOCAL = "127.0.0.1"
_BEAT = 0.05
_KIT_NAMES = {"ONE": "BTCUSDT", "TWO": "ETHUSDT"}
# What commissions in BNB are reckoned at until it trades.
_BNB_PRICE = Decimal(600)


def _digits(what: str) -> str:
    """64 letters and digits, as Binance's keys have."""
    return hashlib.sha256(f"alphaweave sandbox: {what}".encode()).hexdigest()


class BinanceSandbox(VenueControl, FeedControl):
    """REST, WebSocket API and streams on one loopback port, over one spot account.

    With ``symbols`` or ``data`` the config's symbols are the venue's own; without, they are the kit's.
    """

    currency = "USDT"
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
            Power.FORMING,
            Power.TRADES,
            Power.QUOTES,
        }
    )

    def __init__(self, options: SandboxOptions, services: Services) -> None:
        self._options = options
        self.name = "binance sandbox"
        self.clock = services.clock
        self._origin, self._skew = self.clock.now(), timedelta(0)
        self._hmac = hmac_key(_digits("key"), _digits("secret"))
        self._ed25519 = ed25519_key(_digits("other key"), hashlib.sha256(b"alphaweave sandbox").digest())
        self.secrets: Sequence[str] = tuple(
            text for key in (self._hmac, self._ed25519) for text in (key.name, key.secret)
        )
        self._playback = Playback(options.data, options.begin, self.now())
        own = tuple(dict.fromkeys((*options.symbols, *self._playback.symbols)))
        self.names: Mapping[str, str] = {symbol: symbol for symbol in own} or _KIT_NAMES
        self._ours = {theirs: ours for ours, theirs in self.names.items()}
        pairs = known_pairs(own)
        self.instruments: Mapping[str, Instrument] = {
            ours: pairs[theirs].instrument(ours) for ours, theirs in self.names.items()
        }
        account = Account(Rates(options.maker, options.taker), trades=options.trading)
        account.updated = self._ms()
        account.move(self.currency, options.cash)
        account.move("BNB", options.bnb)
        self.account_id = str(account.uid)
        self._limits = Limits(
            self._ms, options.weight, options.orders_10s, options.orders_day, options.connects
        )
        self.venue = Venue(
            pairs,
            account,
            self._limits,
            now=self.now,
            partial_fills=options.partial_fills,
            seed=options.seed,
        )
        self.venue.last["BNBUSDT"] = _BNB_PRICE
        self._desk = Desk(self.venue)
        self.prices = Prices(self._ms)
        self._stream = UserStream()
        self.venue.tell = self._stream.tell
        self._wire()
        self._heart: asyncio.Task[None] | None = None

    def _wire(self) -> None:
        options = self._options
        self._recorder = Recorder(self.clock.now)
        self._state = LineState(options.ping, options.pong, options.lifetime)
        waits = self._waits = Waits()
        keys = self._keys = Keys((self._hmac, self._ed25519))
        gate = Gate(self._limits, keys, self._stream, self._ms, events_first=options.events_first)
        lag = int(options.lag * 1000)
        operations = [
            *trading_operations(self._desk),
            *query_operations(self.venue, self.prices, lag=lag, withdrawals=options.withdrawals),
        ]
        self._ws_api = WebSocketApi(
            operations,
            gate,
            keys,
            self._limits,
            self._stream,
            now=self._ms,
            state=self._state,
            recorder=self._recorder,
            waits=waits,
        )
        self._streams = MarketStream(self._state, self._recorder, self._limits)
        self._market = Market(self.venue, self.prices, self._streams, self._ms)
        self.venue.average = self._market.average
        market = self._streams.serve
        self._server = Server(
            operations,
            {"/ws-api/v3": self._ws_api.serve, "/stream": market, "/ws": market, "/ws/{streams:.*}": market},
            gate,
            self._stream,
            state=self._state,
            recorder=self._recorder,
            waits=waits,
            port=options.port,
        )

    # The sandbox ---------------------------------------------------------------------------------------

    def now(self) -> datetime:
        """The venue's own time: the clock's, scaled and skewed."""
        return self._origin + (self.clock.now() - self._origin) * self._options.speed + self._skew

    def _ms(self) -> int:
        return to_ns(self.now()) // 1_000_000

    @property
    def port(self) -> int:
        """Where it listens, once it has started."""
        return self._server.port

    @property
    def requests(self) -> Sequence[WireRequest]:
        return tuple(self._recorder.requests)

    async def start(self) -> None:
        for bar in self._playback.until(self.now()):
            self._market.begin(self.venue.pair(bar.symbol), _minute(bar))
        await self._server.start()
        self._heart = asyncio.ensure_future(self._beat())

    async def stop(self) -> None:
        heart, self._heart = self._heart, None
        if heart is not None:
            heart.cancel()
            await asyncio.gather(heart, return_exceptions=True)
            await self._server.stop()

    def options(self) -> dict[str, Any]:
        key = self._ed25519 if self._options.keys == "ed25519" else self._hmac
        here = f"{_LOCAL}:{self.port}"
        return {
            "key": key.name,
            "secret": key.secret,
            "rest_url": f"http://{here}",
            "ws_api_url": f"ws://{here}/ws-api/v3",
            "stream_url": f"ws://{here}",
            # An adapter's own limits, far below the patience of whoever waits for it.
            "timeout": 1.5,
            "heartbeat": 0.8,
            "retry": 0.1,
        }

    def wrong_options(self) -> dict[str, Any]:
        if self._options.keys == "ed25519":
            other = ed25519_key(self._ed25519.name, hashlib.sha256(b"not this account").digest())
            return {**self.options(), "secret": other.secret}
        return {**self.options(), "secret": _digits("not this account")}

    def fresh(self) -> Self:
        return type(self)(evolve(self._options, port=0), Services(clock=RunningClock()))

    async def _beat(self) -> None:
        while True:
            for bar in self._playback.until(self.now()):
                self._market.play(self.venue.pair(bar.symbol), _minute(bar))
            await asyncio.sleep(_BEAT)

    # Faults --------------------------------------------------------------------------------------------

    async def arm(self, action: Action, fault: Fault, *, times: int = 1, retry_after: float = 1.0) -> None:
        if times == 0:
            self._recorder.armed.pop(action, None)
        else:
            self._recorder.armed[action] = Armed(fault, times, retry_after)

    async def release_answers(self) -> None:
        self._waits.release()

    async def hold_events(self) -> None:
        self._stream.held = []

    async def release_events(self, *, times: int = 1, backwards: bool = False) -> None:
        self._stream.release(times=times, backwards=backwards)

    async def lose_events(self, count: int) -> None:
        """Tell nobody of the next ``count`` events."""
        self._stream.lose = count

    async def break_replacements(self, times: int = 1) -> None:
        """Let the next replacements cancel the old order and refuse the new one."""
        self._desk.broken = times

    async def ban(self, seconds: int = 120) -> None:
        """Take no request from this machine for a while (418)."""
        self._limits.ban(_LOCAL, seconds)

    async def revoke(self, revoked: bool) -> None:
        """While True: the keys of the account are good for nothing, and sockets that used one are told."""
        self._keys.revoked = revoked
        if revoked:
            self._ws_api.log_out()

    async def wall(self, times: int = 1) -> None:
        """Let the firewall answer the next REST requests (403)."""
        self._server.walled = times

    async def roll_over(self, notice: float = 0.0) -> None:
        """Say that the servers shut down, and close every socket.

        Args:
            notice: real seconds from one to the other.
        """
        lines = tuple(self._state.lines)
        self._ws_api.announce_end()
        self._streams.announce_end(self._ms())
        await asyncio.sleep(notice)
        await asyncio.gather(*(line.close() for line in lines))

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
        return truth_of(self.venue, self._ours, self.currency)

    async def fill(
        self, client_order_id: str, size: Decimal | None = None, price: Decimal | None = None
    ) -> None:
        order = self._order(client_order_id)
        at = price or order.price or self.venue.last[order.pair.name]
        self.venue.fill(order, size, at)

    async def cancel(self, client_order_id: str) -> None:
        """As the contract has it: by somebody at the venue's own page."""
        self.venue.end(self._order(client_order_id), "CANCELED", cancel_id=self._foreign_id())

    async def expire(self, client_order_id: str) -> None:
        self.venue.end(self._order(client_order_id), "EXPIRED", reason="EXCHANGE_CANCELED")

    async def cash_flow(self, amount: Money, kind: str = "deposit") -> None:
        self.venue.flow(amount.asset, amount.amount)

    async def move_position(self, symbol: str, quantity: Decimal) -> None:
        self.venue.flow(self._pair(symbol).base, quantity)

    async def foreign_order(self, symbol: str, side: Side, size: Decimal, limit_price: Decimal) -> str:
        return venue_id(self._foreign(symbol, side, size, limit_price))

    async def foreign_trade(self, symbol: str, side: Side, size: Decimal, price: Decimal) -> str:
        order = self._foreign(symbol, side, size, price)
        if order.open:
            self.venue.fill(order, None, price)
        return venue_id(order)

    async def halt(self, symbol: str, halted: bool) -> None:
        self._pair(symbol).status = "HALT" if halted else "TRADING"

    def _order(self, client_order_id: str) -> Order:
        order = next((one for one in self.venue.working() if one.client_id == client_order_id), None)
        assert order is not None, f"the venue has no open order {client_order_id}"
        return order

    def _pair(self, symbol: str) -> Pair:
        return self.venue.pair(self.names.get(symbol, symbol))

    def _foreign_id(self) -> str:
        return f"web_{new_id(self.venue.rng)}"

    def _foreign(self, symbol: str, side: Side, size: Decimal, price: Decimal) -> Order:
        terms = limit_terms("BUY" if side is Side.BUY else "SELL", size, price, self._foreign_id())
        return self._desk.outside(terms, self._pair(symbol))

    # The market ----------------------------------------------------------------------------------------

    async def set_price(self, symbol: str, price: Decimal) -> None:
        self._market.trade_at(self._pair(symbol), price)

    async def play(self, bar: Bar) -> None:
        """Let the market go through a minute that is over: orders meet it, then its kline is told."""
        self._market.play(self._pair(bar.symbol), _minute(bar))

    async def publish(self, bar: Bar) -> None:
        self._market.minute(self._pair(bar.symbol), _minute(bar))

    async def load(self, bars: Sequence[Bar]) -> None:
        for bar in bars:
            self.prices.put(self._pair(bar.symbol).name, _minute(bar))

    async def form(self, bar: Bar) -> None:
        self._market.minute(self._pair(bar.symbol), evolve(_minute(bar), final=False))

    async def publish_trade(self, trade: Trade) -> None:
        at = to_ns(trade.at) // 1_000_000
        price, size = Decimal(repr(trade.price)), Decimal(repr(trade.size))
        self._market.trade(self._pair(trade.symbol), at, price, size)

    async def publish_quote(self, quote: Quote) -> None:
        bid = number(quote.bid or 0.0), number(quote.bid_size or 0.0)
        ask = number(quote.ask or 0.0), number(quote.ask_size or 0.0)
        self._market.quote(self._pair(quote.symbol), bid, ask)


def _minute(bar: Bar) -> Minute:
    start = to_ns(bar.start) // 1_000_000
    return Minute(start, bar.open, bar.high, bar.low, bar.close, bar.volume)
