"""The sandbox of Interactive Brokers, under control."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime, time, timedelta
from decimal import Decimal
from typing import Any, Self

from attrs import evolve

from alphaweave.core.instrument import Instrument
from alphaweave.core.market import Bar, Quote, Trade
from alphaweave.core.money import Money, plain
from alphaweave.core.order import Side
from alphaweave.live.adapters.base import Services
from alphaweave.testing.clock import RunningClock
from alphaweave.testing.feed_venue import FeedControl
from alphaweave.testing.playback import Playback
from alphaweave.testing.venue import Action, Fault, Power, Truth, VenueControl, WireRequest
from alphaweave_broker_ibkr.sandbox.account_requests import AccountRequests
from alphaweave_broker_ibkr.sandbox.books import truth_of
from alphaweave_broker_ibkr.sandbox.broadcast import Broadcast
from alphaweave_broker_ibkr.sandbox.contract_requests import ContractRequests
from alphaweave_broker_ibkr.sandbox.contracts import Catalog, Contract
from alphaweave_broker_ibkr.sandbox.data_requests import DataRequests
from alphaweave_broker_ibkr.sandbox.faults import Quirks
from alphaweave_broker_ibkr.sandbox.gateway import Gateway
from alphaweave_broker_ibkr.sandbox.history_requests import HistoryRequests
from alphaweave_broker_ibkr.sandbox.hours import NEW_YORK, Hours
from alphaweave_broker_ibkr.sandbox.matching import bar_of, tick
from alphaweave_broker_ibkr.sandbox.options import SandboxOptions
from alphaweave_broker_ibkr.sandbox.order_form import plain_form
from alphaweave_broker_ibkr.sandbox.orders import Execution, Order
from alphaweave_broker_ibkr.sandbox.prices import MinuteBar, Prices, QuoteTick, TradeTick
from alphaweave_broker_ibkr.sandbox.trading_requests import TradingRequests
from alphaweave_broker_ibkr.sandbox.troubles import Troubles
from alphaweave_broker_ibkr.sandbox.venue import Venue

__all__ = ["IbkrSandbox"]

_BEAT = 0.05
_CLIENT = 11
_KIT_NAMES = {"ONE": "KO", "TWO": "IBM", "THREE": "MSFT"}


class IbkrSandbox(VenueControl, FeedControl):
    """A gateway on one loopback port, over one account.

    With ``symbols`` or ``data`` the config's symbols are the venue's own; without, they are the kit's.

    Three powers it has not: the protocol has no key that could be wrong, its events bear no number that would
    show a loss, and the rules of a contract do not say that it is halted (`Troubles.halt` is what there is).

    Attributes:
        quirks: what the gateway does oddly; change it at any time.
        troubles: what befalls gateways of Interactive Brokers alone.
    """

    account_id: str
    currency = "USD"
    interval = "1m"
    powers = frozenset(
        {
            *(Power(fault.value) for fault in Fault),
            Power.FRESH,
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
            Power.BUST,
            Power.CORRECT,
            Power.LATE_FEE,
            Power.CASH_FLOW,
            Power.MOVE_POSITION,
            Power.FOREIGN_ORDER,
            Power.FOREIGN_TRADE,
            Power.HISTORY,
            Power.FORMING,
            Power.CORRECT_BAR,
            Power.TRADES,
            Power.QUOTES,
        }
    )

    def __init__(self, options: SandboxOptions, services: Services) -> None:
        self._options = options
        self.name = "ibkr sandbox"
        self.clock = services.clock
        self._origin, self._skew = self.clock.now(), timedelta(0)
        now = self.now
        self._playback = Playback(options.data, options.begin, now())
        own = tuple(dict.fromkeys((*options.symbols, *self._playback.symbols)))
        catalog = Catalog(own, now())
        self.names: Mapping[str, str] = {symbol: symbol for symbol in own} or _KIT_NAMES
        contracts = {ours: catalog.named(theirs) for ours, theirs in self.names.items()}
        self._ours = {contract.con_id: ours for ours, contract in contracts.items()}
        self.instruments: Mapping[str, Instrument] = {
            ours: contract.instrument(ours) for ours, contract in contracts.items()
        }
        self.account_id = options.account
        hours = Hours(options.holidays, always_open=options.always_open or self._playback.old)
        self.venue = Venue(
            catalog,
            options.account,
            cash=options.cash,
            hours=hours,
            now=now,
            partial_fills=options.partial_fills,
            seed=options.seed,
        )
        self.gateway = Gateway(
            self.venue,
            accounts=(options.account, *options.other_accounts),
            now=now,
            monotonic=self.clock.monotonic,
            port=options.port,
            rate=options.rate,
        )
        self._broadcast = self.venue.listener = Broadcast(self.gateway, options.master)
        self._prices = Prices(hours)
        TradingRequests(self.gateway, read_only=options.read_only)
        ContractRequests(self.gateway)
        self._accounts = AccountRequests(self.gateway)
        self._broadcast.on_moved = self._accounts.moved
        data = options.market_data
        self._data = DataRequests(self.gateway, self._prices, market_data=data, lines=options.lines)
        self._history = HistoryRequests(self.gateway, self._prices, entitled=data != "none")
        self.troubles = Troubles(self.gateway, self._broadcast, self._data, self._history)
        self._reset_at = self._next_reset()
        self._back_at: datetime | None = None
        self._heart: asyncio.Task[None] | None = None

    # The sandbox ---------------------------------------------------------------------------------------

    def now(self) -> datetime:
        """The venue's own time: the clock's, scaled and skewed."""
        return self._origin + (self.clock.now() - self._origin) * self._options.speed + self._skew

    @property
    def port(self) -> int:
        """Where it listens, once it has started."""
        return self.gateway.port

    @property
    def quirks(self) -> Quirks:
        return self.gateway.quirks

    @property
    def requests(self) -> Sequence[WireRequest]:
        return tuple(self.gateway.requests)

    async def start(self) -> None:
        for bar in self._playback.until(self.now()):
            contract = self._contract(bar.symbol)
            self._prices.add_bar(contract.con_id, _minute(bar))
            self.venue.last[contract.con_id] = Decimal(repr(bar.close))
        await self.gateway.listen()
        self._heart = asyncio.ensure_future(self._beat())

    async def stop(self) -> None:
        heart, self._heart = self._heart, None
        if heart is not None:
            heart.cancel()
            await asyncio.gather(heart, return_exceptions=True)
            await self.gateway.deafen()

    def options(self) -> dict[str, Any]:
        # An adapter's own limits, far below the patience of whoever waits for it.
        here = {"host": "127.0.0.1", "port": self.port, "client_id": _CLIENT}
        return {**here, "timeout": 1.5, "heartbeat": 0.8, "retry": 0.1}

    def feed_options(self) -> dict[str, Any]:
        # A client id is for one connection.
        return {**self.options(), "client_id": _CLIENT + 1, "settle": 0.2}

    def fresh(self) -> Self:
        return type(self)(evolve(self._options, port=0), Services(clock=RunningClock()))

    async def _beat(self) -> None:
        while True:
            for bar in self._playback.until(self.now()):
                self._play(self._contract(bar.symbol), _minute(bar))
            self.venue.settle()
            self._accounts.beat()
            if self._reset_at is not None and self.now() >= self._reset_at:
                self._back_at = self._reset_at + timedelta(seconds=self._options.away)
                self._reset_at = self._next_reset()
                await self.gateway.deafen()
            if self._back_at is not None and self.now() >= self._back_at:
                self._back_at = None
                await self.gateway.listen()
            await asyncio.sleep(_BEAT)

    def _next_reset(self) -> datetime | None:
        if self._options.reset is None:
            return None
        local = self.now().astimezone(NEW_YORK)
        at = datetime.combine(local.date(), time.fromisoformat(self._options.reset), NEW_YORK)
        return at if at > local else at + timedelta(days=1)

    # Faults --------------------------------------------------------------------------------------------

    async def arm(self, action: Action, fault: Fault, *, times: int = 1, retry_after: float = 1.0) -> None:
        self.gateway.faults.arm(action, fault, times)

    async def release_answers(self) -> None:
        self.gateway.release_answers()

    async def hold_events(self) -> None:
        self.gateway.hold_events(data=True)

    async def release_events(self, *, times: int = 1, backwards: bool = False) -> None:
        self.gateway.release_events(times=times, backwards=backwards)

    async def drop(self) -> None:
        await self.gateway.abort()

    async def refuse(self, refused: bool) -> None:
        if refused:
            await self.gateway.deafen()
        else:
            await self.gateway.listen()

    async def mute(self, muted: bool) -> None:
        self.gateway.muted = muted

    async def restart(self) -> None:
        await self.gateway.deafen()
        await self.gateway.listen()

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
        self.venue.fill(order, size, price or order.form.limit or self.venue.last[order.contract.con_id])

    async def cancel(self, client_order_id: str) -> None:
        self.venue.end(self._order(client_order_id), "Cancelled by the exchange")

    async def expire(self, client_order_id: str) -> None:
        self.venue.end(self._order(client_order_id), "Order has expired", expired=True)

    async def bust(self, execution_id: str) -> None:
        execution = self._execution(execution_id)
        self.venue.restate(execution, Decimal(0), execution.price)

    async def correct(self, execution_id: str, size: Decimal, price: Decimal) -> None:
        self.venue.restate(self._execution(execution_id), size, price)

    async def late_fee(self, execution_id: str, fee: Money) -> None:
        self.venue.charge(self._execution(execution_id), fee.amount)

    async def cash_flow(self, amount: Money, kind: str = "deposit") -> None:
        self.venue.account.pay(amount.asset, amount.amount)
        self.venue.listener.moved(None)

    async def move_position(self, symbol: str, quantity: Decimal) -> None:
        contract = self._contract(symbol)
        self.venue.account.position(contract).size += quantity
        self.venue.listener.moved(contract)

    async def foreign_order(self, symbol: str, side: Side, size: Decimal, limit_price: Decimal) -> str:
        return str(self._foreign(symbol, side, size, limit_price).perm_id)

    async def foreign_trade(self, symbol: str, side: Side, size: Decimal, price: Decimal) -> str:
        order = self._foreign(symbol, side, size, price)
        self.venue.fill(order, None, price)
        return str(order.perm_id)

    def _order(self, client_order_id: str) -> Order:
        order = self.venue.by_ref(client_order_id)
        assert order is not None, f"the venue has no order {client_order_id}"
        return order

    def _execution(self, key: str) -> Execution:
        return next(one for one in self.venue.executions if one.key == key)

    def _contract(self, symbol: str) -> Contract:
        return self.venue.catalog.named(self.names.get(symbol, symbol))

    def _foreign(self, symbol: str, side: Side, size: Decimal, price: Decimal) -> Order:
        action = "BUY" if side is Side.BUY else "SELL"
        form = plain_form(action=action, totalQuantity=plain(size), lmtPrice=plain(price), tif="GTC")
        return self.venue.outside(self._contract(symbol), form)

    # The market ----------------------------------------------------------------------------------------

    async def set_price(self, symbol: str, price: Decimal) -> None:
        contract, at, value = self._contract(symbol), self.now(), float(price)
        self._data.quote(contract, QuoteTick(at, value, 100.0, value, 100.0))
        self._data.trade(contract, TradeTick(at, value, 100.0))
        self.venue.trade(contract, tick(price))

    async def play(self, bar: Bar) -> None:
        """Let the market go through a minute that is over: orders meet it, then its bar is told."""
        self._play(self._contract(bar.symbol), _minute(bar))

    def _play(self, contract: Contract, bar: MinuteBar) -> None:
        end = bar.start + timedelta(minutes=1)
        self._data.quote(contract, QuoteTick(end, bar.close, 100.0, bar.close, 100.0))
        self._data.trade(contract, TradeTick(end, bar.close, bar.volume))
        self.venue.trade(contract, bar_of(bar.open, bar.high, bar.low, bar.close))
        self._tell_bar(contract, bar)

    def _tell_bar(self, contract: Contract, bar: MinuteBar) -> None:
        self._prices.add_bar(contract.con_id, bar)
        self._data.bar(contract, bar)
        self._history.bar(contract, bar, over=True)

    async def publish(self, bar: Bar) -> None:
        self._tell_bar(self._contract(bar.symbol), _minute(bar))

    async def correct_bar(self, bar: Bar) -> None:
        """As the contract has it; bars of five seconds are not told again."""
        contract, minute = self._contract(bar.symbol), _minute(bar)
        self._prices.add_bar(contract.con_id, minute)
        self._history.restate(contract, minute)

    async def load(self, bars: Sequence[Bar]) -> None:
        for bar in bars:
            self._prices.add_bar(self._contract(bar.symbol).con_id, _minute(bar))

    async def form(self, bar: Bar) -> None:
        contract, minute = self._contract(bar.symbol), _minute(bar)
        self._prices.of(contract.con_id).forming = minute
        self._history.bar(contract, minute, over=False)

    async def publish_trade(self, trade: Trade) -> None:
        self._data.trade(self._contract(trade.symbol), TradeTick(trade.at, trade.price, trade.size))

    async def publish_quote(self, quote: Quote) -> None:
        sides = (quote.bid or 0.0, quote.bid_size or 0.0, quote.ask or 0.0, quote.ask_size or 0.0)
        self._data.quote(self._contract(quote.symbol), QuoteTick(quote.at, *sides))


def _minute(bar: Bar) -> MinuteBar:
    return MinuteBar(bar.start, bar.open, bar.high, bar.low, bar.close, bar.volume)
