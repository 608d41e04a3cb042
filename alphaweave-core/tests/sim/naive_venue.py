"""The simulated venue a second time, as plain as docs/simulation.md puts it: slow, without second thoughts.

Every bar is shown to every order, nothing is looked up that can be added up again, and prices are told from
one another by the side's sign alone. Section numbers are those of the page.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from decimal import ROUND_CEILING, ROUND_DOWN, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal, localcontext
from functools import wraps
from typing import Any, ParamSpec, TypeVar
from zoneinfo import ZoneInfo

from attrs import define, evolve, field

from alphaweave.core.clock import from_ns, to_ns
from alphaweave.core.errors import CancelRejected, OrderState, OutcomeUnknown, ReplaceRejected
from alphaweave.core.instrument import Instrument
from alphaweave.core.money import CONTEXT, Money
from alphaweave.core.order import (
    OrderChange,
    OrderGroup,
    OrderRef,
    OrderRequest,
    OrderStatus,
    OrderType,
    TimeInForce,
)
from alphaweave.live.reports import BrokerFill, OrderUpdate
from alphaweave.sim.settings import VenueSettings

ZERO = Decimal(0)
AT_ONCE = {TimeInForce.IOC, TimeInForce.FOK}
AUCTIONS = {TimeInForce.AT_OPEN, TimeInForce.AT_CLOSE}
UNFILLED = {
    TimeInForce.IOC: "ioc_remainder",
    TimeInForce.FOK: "fok_not_filled",
    TimeInForce.AT_OPEN: "auction_ended",
    TimeInForce.AT_CLOSE: "auction_ended",
}

P = ParamSpec("P")
R = TypeVar("R")


def exact(method: Callable[P, R]) -> Callable[P, R]:
    """Calculate under the money context."""

    @wraps(method)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        with localcontext(CONTEXT):
            return method(*args, **kwargs)

    return call


@define(eq=False)
class Bar:
    start: int
    end: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    room: Decimal | None = None

    @property
    def opening(self) -> int:
        return self.start - 1 if self.start == self.end else self.start


@define(eq=False)
class Order:
    ref: OrderRef
    request: OrderRequest
    submitted: int
    earliest: int
    role: str = ""
    group: dict[str, Order] = field(factory=dict)
    held: bool = False
    status: OrderStatus = OrderStatus.ACCEPTED
    filled: Decimal = ZERO
    value: Decimal = ZERO
    figures: Decimal = ZERO
    paid: Decimal = ZERO
    triggered: bool = False
    reference: Decimal | None = None
    session: date | None = None
    latest_session: date | None = None

    @property
    def sign(self) -> int:
        return self.request.side.sign

    @property
    def left(self) -> Decimal:
        assert self.request.quantity is not None
        return self.request.quantity - self.filled

    @property
    def kind(self) -> OrderType:
        """What it is by now: section 5 makes something else of a triggered stop."""
        if not self.triggered:
            return self.request.type
        return OrderType.LIMIT if self.request.limit_price is not None else OrderType.MARKET


@define(eq=False)
class Match:
    """Where a bar meets an order; no price: it triggers only."""

    price: Decimal | None
    at_open: bool
    slips: bool
    maker: bool


@define(eq=False)
class Moment:
    """Where an execution, or an end, takes place; no bar: outside of any slice."""

    bar: Bar | None
    at_open: bool = False


def multiple(value: Decimal, step: Decimal, mode: str) -> Decimal:
    return (value / step).to_integral_value(mode) * step


class NaiveVenue:
    """Symbols, a list of orders, and money."""

    def __init__(
        self,
        instruments: Mapping[str, Instrument],
        intervals: Mapping[str, str],
        settings: VenueSettings,
        cash: Decimal,
        seed: int,
    ) -> None:
        self.instruments = instruments
        self.intervals = intervals
        self.settings = settings
        self.random = random.Random(seed)
        self.now = 0
        self.bars: dict[str, list[Bar]] = {symbol: [] for symbol in instruments}
        self.slice: set[str] = set()
        self.orders: list[Order] = []
        self.ended: list[Order] = []
        self.versions = self.submissions = self.cancels = self.executions = 0
        self.cash = cash
        self.positions: dict[str, Decimal] = {}
        self.last: dict[str, Decimal] = {}
        self.events: list[BrokerFill | OrderUpdate] = []

    # --- calls ----------------------------------------------------------------------------------------

    @exact
    def on_slice(self, end: int, bars: Mapping[str, Bar]) -> None:
        self.now = max(self.now, end)
        self.slice = set(bars)
        for symbol, bar in bars.items():
            self.bars[symbol].append(bar)
            if self.settings.volume_share is not None:
                share = self.settings.volume_share * bar.volume
                bar.room = multiple(share, self.instruments[symbol].size_step, ROUND_DOWN)
        for order in list(self.orders):
            if order.request.symbol not in bars or order.held or order.status.terminal:
                continue
            bar = bars[order.request.symbol]
            if order.role == "take_profit":
                self._meet_exits(order, order.group["stop_loss"], bar)
            elif order.role != "stop_loss":
                self._meet(order, bar)
        self.slice = set()

    @exact
    def submit(self, ref: OrderRef, request: OrderRequest, now: int) -> None:
        self._submit([ref], [request], [""], now)

    @exact
    def submit_group(self, refs: Sequence[OrderRef], group: OrderGroup, now: int) -> None:
        roles = ["take_profit", "stop_loss"] if group.entry is None else ["entry", "take_profit", "stop_loss"]
        self._submit(refs, group.legs, roles, now)

    @exact
    def cancel(self, name: str, now: int) -> None:
        self.now = max(self.now, now)
        order = self._find(name)
        if order is None:
            raise CancelRejected(name, code="unknown_order")
        if order.status.terminal:
            raise CancelRejected(name, code="not_working", order_state=OrderState.GONE)
        self.cancels += 1
        for fault in self.settings.faults:
            if fault.kind == "cancel_reject" and fault.nth == self.cancels:
                raise CancelRejected(name, code=fault.reason, order_state=OrderState.ALIVE)
        self._end(order, OrderStatus.CANCELLED, "requested", Moment(None))

    @exact
    def cancel_all(self, symbols: Sequence[str] | None, now: int) -> None:
        self.now = max(self.now, now)
        refused = None
        for order in list(self.orders):
            if not order.status.terminal and (symbols is None or order.request.symbol in symbols):
                try:
                    self.cancel(order.ref.client_order_id, now)
                except CancelRejected as error:
                    refused = error
        if refused is not None:
            raise refused

    @exact
    def replace(self, name: str, new_ref: OrderRef, change: OrderChange, now: int) -> None:
        self.now = max(self.now, now)
        if self._find(new_ref.client_order_id) is not None:
            raise OutcomeUnknown(new_ref.client_order_id)
        order = self._find(name)
        if order is None or order.status.terminal:
            raise ReplaceRejected(name, code="not_working", order_state=OrderState.GONE)
        wanted: dict[str, Any] = {
            "quantity": change.quantity,
            "limit_price": change.limit_price,
            "stop_price": change.stop_price,
            "trail": change.trail,
        }
        wanted = {term: value for term, value in wanted.items() if value is not None}
        reason = None
        request = order.request
        if any(getattr(request, term) is None for term in wanted):
            reason = "unsupported_change"
        elif order.triggered and ("stop_price" in wanted or "trail" in wanted):
            reason = "already_triggered"
        elif change.quantity is not None and change.quantity <= order.filled:
            reason = "quantity_filled"
        else:
            request = evolve(request, **wanted)
            size = None if request.quantity is None else request.quantity - order.filled
            reason = self._refusal(request, size, funds=not order.held)
        if reason is not None:
            raise ReplaceRejected(name, code=reason, order_state=OrderState.ALIVE)
        self.versions += 1
        new = copy.copy(order)
        new.ref = evolve(new_ref, broker_order_id=f"sim-{self.versions}")
        new.request = request
        new.submitted = self.now
        new.earliest = self.now + self.settings.latency_ns
        if new.group:
            new.group[new.role] = new
        self.orders[self.orders.index(order)] = new
        order.status = OrderStatus.CANCELLED
        self.ended.append(order)
        self._tell(order, "replaced", new_ref.client_order_id)
        new.status = OrderStatus.ACCEPTED
        self._tell(new, "held" if new.held else None)

    def take(self) -> list[BrokerFill | OrderUpdate]:
        events, self.events = self.events, []
        return events

    @exact
    def account_state(self) -> dict[str, Any]:
        gross, equity = self._worth()
        spot = {instrument.base for instrument in self.instruments.values() if self._balance(instrument)}
        return {
            "cash": self.cash,
            "assets": {key: size for key, size in self.positions.items() if size and key in spot},
            "positions": {key: size for key, size in self.positions.items() if size and key not in spot},
            "equity": equity,
            "buying_power": max(ZERO, self.settings.leverage * equity - gross),
        }

    def working(self) -> list[tuple[Any, ...]]:
        """Name, status, quantity, what is filled of it."""
        return [
            (order.ref, order.status, order.request.quantity, order.filled)
            for order in self.orders
            if not order.status.terminal
        ]

    # --- 3: arrival -----------------------------------------------------------------------------------

    def _find(self, name: str) -> Order | None:
        ended = self.ended
        if self.settings.history is not None:
            ended = ended[len(ended) - min(len(ended), self.settings.history) :]
        working = [order for order in self.orders if not order.status.terminal]
        for order in working + ended:
            if order.ref.client_order_id == name:
                return order
        return None

    def _submit(
        self, refs: Sequence[OrderRef], requests: Sequence[OrderRequest], roles: Sequence[str], now: int
    ) -> None:
        self.now = max(self.now, now)
        names = [ref.client_order_id for ref in refs]
        if len(set(names)) < len(names) or any(self._find(name) is not None for name in names):
            raise OutcomeUnknown(" ".join(names))
        legs = []
        group: dict[str, Order] = {}
        for ref, request, role in zip(refs, requests, roles, strict=True):
            self.versions += 1
            named = evolve(ref, broker_order_id=f"sim-{self.versions}")
            order = Order(named, request, self.now, self.now + self.settings.latency_ns, role, group)
            order.held = "entry" in roles and role != "entry"
            if role:
                group[role] = order
            legs.append(order)
        reasons: list[str | None] = []
        for _ in legs:
            self.submissions += 1
            reasons += [
                fault.reason
                for fault in self.settings.faults
                if fault.kind == "reject_order" and fault.nth == self.submissions
            ]
        for order in legs:
            request = order.request
            reasons += [self._refusal(request, request.quantity, funds=not order.held)]
        reason = next((reason for reason in reasons if reason is not None), None)
        for order in legs:
            if reason is not None:
                order.status = OrderStatus.REJECTED
                self.ended.append(order)
                self._tell(order, reason)
                continue
            self.orders.append(order)
            bars = self.bars[order.request.symbol]
            order.reference = bars[-1].close if bars else None
            order.latest_session = self._session(bars[-1]) if bars else None
            self._tell(order, "held" if order.held else None)
        if reason is None and self._at_last(legs[0].request):
            self._execute(legs[0], self.bars[legs[0].request.symbol][-1], None)

    def _at_last(self, request: OrderRequest) -> bool:
        """Matched when it arrives."""
        return (
            self.settings.fill_at == "last"
            and request.type is OrderType.MARKET
            and request.tif not in AUCTIONS
        )

    def _refusal(self, request: OrderRequest, size: Decimal | None, *, funds: bool) -> str | None:
        """Rules 2 to 8."""
        instrument = self.instruments.get(request.symbol)
        if instrument is None:
            return "unknown_symbol"
        if instrument.settle != "USD":
            return "unsupported_currency"
        resting = request.tif not in AT_ONCE | AUCTIONS
        if not resting and request.type not in {OrderType.MARKET, OrderType.LIMIT}:
            return "unsupported_tif"
        if request.quote_quantity is not None and request.type is not OrderType.MARKET:
            return "unsupported_order"
        if request.post_only and (request.type is not OrderType.LIMIT or not resting):
            return "unsupported_order"
        if request.tif is TimeInForce.AT_CLOSE and self.intervals.get(request.symbol) != "1d":
            return "unsupported_interval"
        bars = self.bars[request.symbol]
        if self.settings.fill_at == "last" and request.type is OrderType.MARKET and not bars:
            return "no_market_price"
        if request.post_only and bars:
            assert request.limit_price is not None
            if (request.limit_price - bars[-1].close) * request.side.sign >= 0:
                return "post_only_would_cross"
        return self._unaffordable_on_arrival(request, size, instrument) if funds else None

    # --- 5, 6, 7: which order meets which bar where ----------------------------------------------------

    def _session(self, bar: Bar) -> date:
        return from_ns(bar.end - 1).astimezone(ZoneInfo(self.settings.session_timezone)).date()

    def _time_is_up(self, order: Order, bar: Bar) -> bool:
        """Section 7, before matching."""
        moment = Moment(bar, at_open=True)
        expire_at = order.request.expire_at
        if expire_at is not None and bar.start >= to_ns(expire_at):
            self._end(order, OrderStatus.EXPIRED, "expire_at", moment, expiry=True)
        if order.request.tif is TimeInForce.DAY:
            if order.session is None and bar.opening >= order.earliest:
                order.session = self._session(bar)
            if order.session is not None and self._session(bar) > order.session:
                self._end(order, OrderStatus.EXPIRED, "day_ended", moment, expiry=True)
        return order.status.terminal

    def _meet(self, order: Order, bar: Bar) -> None:
        if self._time_is_up(order, bar):
            return
        if order.request.tif is TimeInForce.AT_OPEN:
            before, order.latest_session = order.latest_session, self._session(bar)
            if before is not None and self._session(bar) <= before:
                return
        if bar.opening < order.earliest:
            return
        self._apply(order, bar, self._look(order, bar))
        if order.request.tif in UNFILLED and not order.status.terminal:
            self._end(order, OrderStatus.EXPIRED, UNFILLED[order.request.tif], Moment(bar))

    def _meet_exits(self, target: Order, stop: Order, bar: Bar) -> None:
        if self._time_is_up(target, bar) or self._time_is_up(stop, bar):
            return
        target_hit = self._look(target, bar) if bar.opening >= target.earliest else None
        stop_hit = self._look(stop, bar) if bar.opening >= stop.earliest else None
        if target_hit is not None and stop_hit is None:
            self._apply(target, bar, target_hit)
        elif target_hit is not None and stop_hit is not None and target_hit.at_open and not stop_hit.at_open:
            self._apply(target, bar, target_hit)
            if not stop.status.terminal:
                self._apply(stop, bar, stop_hit)
        elif stop_hit is not None:
            self._apply(stop, bar, stop_hit)

    def _apply(self, order: Order, bar: Bar, match: Match | None) -> None:
        stop = order.request.type not in {OrderType.MARKET, OrderType.LIMIT}
        if match is not None:
            order.triggered = stop
            if match.price is not None:
                self._execute(order, bar, match)
        elif order.kind is OrderType.TRAILING_STOP:
            best = bar.low if order.sign > 0 else bar.high
            if order.reference is None or (order.reference - best) * order.sign > 0:
                order.reference = best

    def _look(self, order: Order, bar: Bar) -> Match | None:
        """Section 5, of an order that can match in this bar."""
        request, sign = order.request, order.sign
        if request.tif in UNFILLED:
            price = bar.close if request.tif is TimeInForce.AT_CLOSE else bar.open
            if request.limit_price is not None and (price - request.limit_price) * sign > 0:
                return None
            slips = request.type is OrderType.MARKET
            return Match(price, request.tif is not TimeInForce.AT_CLOSE, slips, maker=False)
        if order.kind is OrderType.MARKET:
            return Match(bar.open, at_open=True, slips=True, maker=False)
        if order.kind is OrderType.LIMIT:
            return self._look_limit(order, bar, resting=True)
        stop = self._level(order)
        if stop is None:
            return None
        limited_kinds = {OrderType.STOP_LIMIT, OrderType.TAKE_PROFIT_LIMIT}
        # A take profit is touched by a price that comes down to a purchase, and up to a sale.
        touched = order.kind in {OrderType.TAKE_PROFIT, OrderType.TAKE_PROFIT_LIMIT}
        toward = -sign if touched else sign
        farthest = bar.high if toward > 0 else bar.low
        if (bar.open - stop) * toward >= 0:
            if order.kind not in limited_kinds:
                return Match(bar.open, at_open=True, slips=True, maker=False)
            limited = self._look_limit(order, bar, resting=True)
            if limited is None:
                return Match(None, at_open=True, slips=False, maker=False)
            return Match(limited.price, limited.at_open, slips=False, maker=limited.maker)
        if (farthest - stop) * toward >= 0:
            if order.kind not in limited_kinds:
                return Match(stop, at_open=False, slips=True, maker=False)
            assert request.limit_price is not None
            reached = (request.limit_price - stop) * sign >= 0
            return Match(stop if reached else None, at_open=False, slips=False, maker=False)
        return None

    def _look_limit(self, order: Order, bar: Bar, *, resting: bool) -> Match | None:
        limit, sign = order.request.limit_price, order.sign
        assert limit is not None
        best = bar.low if sign > 0 else bar.high
        never_better = order.request.post_only or (resting and self.settings.limit_fill == "limit")
        if not never_better and (limit - bar.open) * sign >= 0:
            return Match(bar.open, at_open=True, slips=False, maker=False)
        if (limit - best) * sign >= 0:
            return Match(limit, at_open=False, slips=False, maker=True)
        return None

    def _level(self, order: Order) -> Decimal | None:
        trail = order.request.trail
        if trail is None:
            return order.request.stop_price
        if order.reference is None:
            return None
        if trail.amount is not None:
            level = order.reference + order.sign * trail.amount
        else:
            assert trail.percent is not None
            level = order.reference * (1 + order.sign * trail.percent / 100)
        step = self.instruments[order.request.symbol].price_step(level)
        return multiple(level, step, ROUND_CEILING if order.sign > 0 else ROUND_FLOOR)

    # --- 8 to 11: an execution --------------------------------------------------------------------------

    def _execute(self, order: Order, bar: Bar, match: Match | None) -> None:  # noqa: PLR0912 - as the page goes
        """No match: at once, at the last close."""
        price, slips, maker = bar.close, True, False
        if match is not None:
            assert match.price is not None
            price, slips, maker = match.price, match.slips, match.maker
        moment = Moment(None if match is None else bar, match is not None and match.at_open)
        instrument = self.instruments[order.request.symbol]
        share = self._partial(order)
        whole, size = self._size(order, price, bar, share, capped=match is not None)
        if slips:
            price = self._slipped(order, price, bar, size)
            if order.request.quote_quantity is not None:
                whole, size = self._size(order, price, bar, share, capped=match is not None)
        if not whole:
            self._refuse(order, "below_min_size", moment)
            return
        if order.request.reduce_only and not self._opposite(order.request):
            self._end(order, OrderStatus.CANCELLED, "reduce_only", evolve(moment, at_open=False))
            return
        if order.request.tif is TimeInForce.FOK and size < whole:
            self._end(order, OrderStatus.EXPIRED, "fok_not_filled", moment)
            return
        if not size:
            return
        reason = self._unaffordable(
            order.request,
            size,
            size * price * instrument.multiplier,
            price,
            {self._key(order.request.symbol): price},
        )
        if reason is not None:
            self._refuse(order, reason, moment)
            return
        if bar.room is not None and match is not None:
            bar.room -= size
        self._book(order, size, price, moment, maker)
        if size == whole:
            self._end(order, OrderStatus.FILLED, None, moment)
            return
        order.status = OrderStatus.PARTIALLY_FILLED
        self._tell(order, None)
        other = order.group.get({"take_profit": "stop_loss", "stop_loss": "take_profit"}.get(order.role, ""))
        if other is not None and other.left > order.left:
            other.request = evolve(other.request, quantity=other.filled + order.left)
        if order.request.reduce_only and not self._opposite(order.request):
            self._end(order, OrderStatus.CANCELLED, "reduce_only", moment)
        elif match is None and order.request.tif in UNFILLED:
            self._end(order, OrderStatus.EXPIRED, UNFILLED[order.request.tif], moment)

    def _partial(self, order: Order) -> Decimal | None:
        probability = self.settings.random_partials
        if not probability or order.request.tif is TimeInForce.FOK or self.random.random() >= probability:
            return None
        return Decimal(repr(self.random.random()))

    def _size(
        self, order: Order, price: Decimal, bar: Bar, share: Decimal | None, *, capped: bool
    ) -> tuple[Decimal, Decimal]:
        """What *whole* is, and the size after rules 2 to 4."""
        request = order.request
        instrument = self.instruments[request.symbol]
        step = instrument.size_step
        if request.quote_quantity is None:
            whole = order.left
        else:
            amount = request.quote_quantity - order.value * instrument.multiplier
            whole = multiple(amount / (price * instrument.multiplier), step, ROUND_DOWN)
        size = whole
        if request.reduce_only:
            size = min(size, self._opposite(request))
        if capped and bar.room is not None and size > bar.room:
            cut = max(ZERO, multiple(bar.room, step, ROUND_DOWN))
            if not (cut > 0 and size - cut < step):
                size = cut
        if share is not None:
            part = multiple(size * share, step, ROUND_DOWN)
            size = part or size
        return whole, size

    def _slipped(self, order: Order, price: Decimal, bar: Bar, size: Decimal) -> Decimal:
        model = self.settings.slippage
        instrument = self.instruments[order.request.symbol]
        share = min(Decimal(1), size / bar.volume) if bar.volume else Decimal(1)
        slip = (
            price * model.bps / 10_000
            + model.ticks * instrument.price_step(price)
            + price * model.impact * share
        )
        if not slip:
            return price
        if order.sign > 0:
            value = min(price + slip, bar.high)
            value = multiple(value, instrument.price_step(value), ROUND_HALF_EVEN)
            return min(max(value, price), bar.high)
        value = max(price - slip, bar.low)
        value = multiple(value, instrument.price_step(value), ROUND_HALF_EVEN)
        return max(min(value, price), bar.low)

    def _book(self, order: Order, size: Decimal, price: Decimal, moment: Moment, maker: bool) -> None:
        request, model = order.request, self.settings.fees
        instrument = self.instruments[request.symbol]
        worth = size * price * instrument.multiplier
        rate = model.maker_rate if maker and model.maker_rate is not None else model.taker_rate
        order.figures += model.per_unit * size + rate * worth + model.fixed
        due = max(model.minimum, order.figures) if model.minimum else order.figures
        fee, order.paid = due - order.paid, due
        self.cash -= order.sign * worth + fee
        key = self._key(request.symbol)
        self.positions[key] = self.positions.get(key, ZERO) + order.sign * size
        self.last[key] = price
        order.filled += size
        order.value += size * price
        self.executions += 1
        start = moment.bar.start if moment.bar is not None and moment.at_open else self.now
        self.events.append(
            BrokerFill(
                account="sim",
                execution_key=f"sim:{self.executions}",
                broker_order_id=order.ref.broker_order_id or "",
                client_order_id=order.ref.client_order_id,
                symbol=request.symbol,
                side=request.side,
                size=size,
                price=price,
                executed_at=from_ns(start),
                received_at=from_ns(self.now),
                cumulative=order.filled,
                fees=(Money("USD", fee),) if fee else (),
            )
        )

    # --- 10: the account --------------------------------------------------------------------------------

    def _balance(self, instrument: Instrument) -> bool:
        return instrument.kind == "spot" and instrument.base is not None

    def _key(self, symbol: str) -> str:
        instrument = self.instruments[symbol]
        return instrument.base if instrument.base is not None and self._balance(instrument) else symbol

    def _opposite(self, request: OrderRequest) -> Decimal:
        """The position on the other side."""
        return max(ZERO, -request.side.sign * self.positions.get(self._key(request.symbol), ZERO))

    def _mark(self, key: str, given: Mapping[str, Decimal]) -> tuple[Decimal, Decimal]:
        """Price and multiplier of what is held under ``key``."""
        symbol = next(symbol for symbol in self.instruments if self._key(symbol) == key)
        bars = self.bars[symbol]
        if key in given:
            price = given[key]
        elif not bars:
            price = self.last[key]
        elif symbol not in self.slice:
            price = bars[-1].close
        else:
            price = bars[-2].close if len(bars) > 1 else bars[-1].open
        return price, self.instruments[symbol].multiplier

    def _worth(self, given: Mapping[str, Decimal] | None = None) -> tuple[Decimal, Decimal]:
        """Gross exposure, equity."""
        gross, equity = ZERO, self.cash
        for key, size in self.positions.items():
            if size:
                price, multiplier = self._mark(key, given or {})
                gross += abs(size) * price * multiplier
                equity += size * price * multiplier
        return gross, equity

    def _unaffordable_on_arrival(
        self, request: OrderRequest, size: Decimal | None, instrument: Instrument
    ) -> str | None:
        if request.reduce_only:
            return None
        bars = self.bars[request.symbol]
        price = request.limit_price or request.stop_price or (bars[-1].close if bars else None)
        if size is not None:
            worth = None if price is None else size * price * instrument.multiplier
            return self._unaffordable(request, size, worth, price, {}, arrival=True)
        if price is None:
            return None
        worth = request.quote_quantity
        assert worth is not None
        size = worth / (price * instrument.multiplier)
        return self._unaffordable(request, size, worth, price, {}, arrival=True)

    def _unaffordable(
        self,
        request: OrderRequest,
        size: Decimal,
        worth: Decimal | None,
        price: Decimal | None,
        given: Mapping[str, Decimal],
        *,
        arrival: bool = False,
    ) -> str | None:
        instrument = self.instruments[request.symbol]
        closing = min(size, self._opposite(request))
        if size <= closing:
            return None
        if request.side.sign < 0 and self._balance(instrument):
            return "insufficient_funds"
        if request.side.sign < 0 and not (self.settings.allow_short and instrument.shortable):
            return "short_not_allowed"
        if not self.settings.check_funds or worth is None or price is None:
            return None
        gross, equity = self._worth(given)
        if arrival:
            gross -= self._freed(self._key(request.symbol))
        if closing:
            mark, multiplier = self._mark(self._key(request.symbol), given)
            gross -= closing * mark * multiplier
        gross += worth - closing * price * instrument.multiplier
        return None if gross <= self.settings.leverage * equity else "insufficient_funds"

    def _freed(self, own: str) -> Decimal:
        freed = ZERO
        for key, size in self.positions.items():
            left = sum(
                (
                    order.left
                    for order in self.orders
                    if not order.status.terminal
                    and order.request.type is OrderType.MARKET
                    and order.request.quantity is not None
                    and self._key(order.request.symbol) == key
                    and order.sign * size < 0
                    and order.submitted == self.now
                ),
                ZERO,
            )
            if size and key != own:
                price, multiplier = self._mark(key, {})
                freed += min(left, abs(size)) * price * multiplier
        return freed

    # --- 2, 6: ends, and what follows --------------------------------------------------------------------

    def _refuse(self, order: Order, reason: str, moment: Moment) -> None:
        status = OrderStatus.CANCELLED if order.filled else OrderStatus.REJECTED
        self._end(order, status, reason, moment)

    def _end(
        self, order: Order, status: OrderStatus, reason: str | None, moment: Moment, *, expiry: bool = False
    ) -> None:
        order.status = status
        self.ended.append(order)
        self._tell(order, reason)
        exits = [order.group[role] for role in ("take_profit", "stop_loss") if role in order.group]
        exits = [each for each in exits if each is not order and not each.status.terminal]
        if order.role != "entry" or not order.filled:
            for each in exits:
                why = "entry_ended" if order.role == "entry" else "oco"
                each.status = OrderStatus.CANCELLED
                self.ended.append(each)
                self._tell(each, why)
            return
        for each in exits:
            each.held = False
            each.request = evolve(each.request, quantity=min(each.left, order.filled))
            if moment.bar is None:
                each.earliest = self.now
            elif expiry or (each.role == "stop_loss" and moment.at_open and reason in {None, "reduce_only"}):
                each.earliest = moment.bar.opening
            else:
                each.earliest = moment.bar.end

    def _tell(self, order: Order, reason: str | None, replaced_by: str | None = None) -> None:
        self.events.append(
            OrderUpdate(
                ref=order.ref,
                status=order.status,
                received_at=from_ns(self.now),
                cumulative=order.filled,
                average_price=order.value / order.filled if order.filled else None,
                reason=reason,
                broker_time=from_ns(self.now),
                replaced_by=replaced_by,
            )
        )
