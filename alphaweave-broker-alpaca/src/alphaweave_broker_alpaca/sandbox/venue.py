"""The account at the venue: orders in, executions and events out. Its own ledger is the truth."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from random import Random
from typing import Any
from uuid import uuid4

from alphaweave.core.clock import from_ns, to_ns
from alphaweave.core.money import ZERO, Money
from alphaweave.sim.market import BarView
from alphaweave_broker_alpaca.sandbox.account import Account
from alphaweave_broker_alpaca.sandbox.activities import Activities
from alphaweave_broker_alpaca.sandbox.assets import Asset
from alphaweave_broker_alpaca.sandbox.fees import Charges
from alphaweave_broker_alpaca.sandbox.funds import check_funds, reserved
from alphaweave_broker_alpaca.sandbox.hours import Hours
from alphaweave_broker_alpaca.sandbox.matching import bar_of, tick, touch
from alphaweave_broker_alpaca.sandbox.orders import Execution, Order
from alphaweave_broker_alpaca.sandbox.prices import MinuteBar
from alphaweave_broker_alpaca.sandbox.refusals import Refused, invalid, malformed, not_found
from alphaweave_broker_alpaca.sandbox.replacement import replacement
from alphaweave_broker_alpaca.sandbox.terms import read_order
from alphaweave_broker_alpaca.sandbox.updates import trade_update

__all__ = ["Venue"]


class Venue:
    """Orders of one account, matched against the last price of each asset.

    Attributes:
        assets: by symbol.
        orders: by id, oldest first; ended ones too.
        executions: oldest first.
        last: asset symbol -> the last price.
        tell: takes each message of the ``trade_updates`` stream.
        market: called before time does anything; whoever plays prices catches up there.
    """

    def __init__(
        self,
        assets: Mapping[str, Asset],
        *,
        account: Account,
        hours: Hours,
        now: Callable[[], datetime],
        partial_fills: float,
        seed: int,
        fee_delay: float = 0.0,
    ) -> None:
        self.assets = dict(assets)
        self.account = account
        self.activities = Activities()
        self.orders: dict[str, Order] = {}
        self.executions: list[Execution] = []
        self.last: dict[str, Decimal] = {}
        self.tell: Callable[[dict[str, Any]], None] = lambda _: None
        self.market: Callable[[], None] = lambda: None
        self._hours = hours
        self._now = now
        self._stamped = 0
        self._open: dict[str, Order] = {}
        self._by_client: dict[str, Order] = {}
        self._partial = partial_fills
        self._rng = Random(seed)
        self._charges = Charges(fee_delay)

    # Time ----------------------------------------------------------------------------------------------

    def stamp(self) -> int:
        """The present, in nanoseconds; never the same twice."""
        self._stamped = max(to_ns(self._now()), self._stamped + 1)
        return self._stamped

    def settle(self) -> None:
        """Let happen what only time brings about: sessions that begin, orders whose time is over."""
        self.market()
        now = self._now()
        for charge in self._charges.told_by(to_ns(now)):
            self.activities.charge(self.stamp(), charge)
        self._open_session(now)
        for order in self.working():
            if order.open and order.expires_at is not None and to_ns(now) >= order.expires_at:
                self._over(order)

    def _over(self, order: Order) -> None:
        price = self.last.get(order.asset.symbol)
        if order.tif == "cls" and price is not None:
            hit = touch(order, tick(price))
            if hit is not None:
                self._execute(order, hit)
        if order.open:
            self.end(order, "canceled" if order.tif in {"gtc", "cls"} else "expired")

    def _in_session(self, order: Order, at: datetime | None = None) -> bool:
        now = at or self._now()
        if order.asset.crypto or self._hours.is_open(now):
            return True
        return order.extended_hours and self._hours.is_extended(now)

    # Orders --------------------------------------------------------------------------------------------

    def working(self) -> list[Order]:
        """The orders that have not ended, oldest first."""
        for order in [one for one in self._open.values() if not one.open]:
            del self._open[order.id]
        return list(self._open.values())

    def reserved(self) -> Decimal:
        """Dollars that working orders bind."""
        return reserved(self.working(), self.account, self.last.get)

    def available(self, asset: Asset) -> Decimal:
        """Signed units of a position that no order binds."""
        held = self.account.held(asset)
        side = "sell" if held > ZERO else "buy"
        bound = [o.left for o in self.working() if o.asset is asset and o.side == side and o.status != "held"]
        free = max(ZERO, abs(held) - sum(bound, ZERO))
        return free if held > ZERO else -free

    def asset(self, symbol: str) -> Asset:
        """The asset under a symbol or id.

        Raises:
            Refused: there is none.
        """
        for asset in self.assets.values():
            if symbol in {asset.symbol, asset.id, asset.symbol.replace("/", "")}:
                return asset
        raise not_found(f"asset not found for {symbol}")

    def order(self, order_id: str) -> Order:
        """The order under Alpaca's id.

        Raises:
            Refused: there is none.
        """
        found = self.orders.get(order_id)
        if found is None:
            raise not_found(f"order not found for {order_id}")
        return found

    def by_client(self, client_order_id: str) -> Order | None:
        """The order under the client's id; ids are never forgotten."""
        return self._by_client.get(client_order_id)

    def submit(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Take an order, its legs with it; the answer to the request.

        Raises:
            Refused: nothing was made, and no client order id is used up.
        """
        self.settle()
        symbol = body.get("symbol")
        if not symbol:
            raise malformed("symbol is required")
        try:
            asset = self.asset(str(symbol))
        except Refused:
            raise invalid(f'asset "{symbol}" not found') from None
        if not asset.tradable:
            raise invalid(f'asset "{symbol}" is not tradable')
        at = self.stamp()
        order = read_order(body, asset, at)
        self._check_id(order.client_order_id)
        if order.tif in {"opg", "cls"} and self._hours.refuses_auction(from_ns(at), order.tif):
            raise invalid(f"{order.tif} orders are not accepted at this time")
        if order.type == "trailing_stop" and not self._hours.is_open(from_ns(at)):
            raise invalid("trailing stop orders are accepted during regular trading hours only")
        check_funds(order, self.working(), self.account, self.last.get)
        for one in (order, *order.legs):
            one.expires_at = self._expiry(one, from_ns(at))
            self._enter(one)
        started = self._in_session(order) and order.tif not in {"opg", "cls"}
        order.status = "pending_new" if started else "accepted"
        answer = order.wire(nested=True)
        self._say(order, order.status)
        if started:
            self._activate(order)
        return answer

    def outside(self, body: Mapping[str, Any]) -> Order:
        """Let somebody else's order rest in the account, whether it carries it or not."""
        at = self.stamp()
        order = read_order(body, self.asset(str(body["symbol"])), at)
        order.foreign, order.status = True, "new"
        order.expires_at = self._expiry(order, from_ns(at))
        self._enter(order)
        self._say(order, "new")
        return order

    def cancel(self, order: Order, *, asked: bool = True) -> None:
        """End an order, and with it what depends on it.

        Raises:
            Refused: it has ended.
        """
        if not order.open:
            raise invalid(f'order is already in "{order.status}" state')
        if asked:
            self._say(order, "pending_cancel")
        self.end(order, "canceled")

    def end(self, order: Order, status: str, *, alone: bool = False) -> None:
        """End an order, and with it the orders that it joins unless it goes ``alone``."""
        if not order.open:
            return
        order.status = status
        at = self.stamp()
        order.updated_at = at
        if status == "canceled":
            order.canceled_at = at
        elif status == "expired":
            order.expired_at = at
        self._say(order, status)
        for other in () if alone else order.joined():
            self.end(other, status)

    def replace(self, order: Order, changes: Mapping[str, Any]) -> dict[str, Any]:
        """Put another order in the place of ``order``; the answer to the request.

        Raises:
            Refused: nothing changed.
        """
        self.settle()
        new = replacement(order, changes, self.stamp())
        self._check_id(new.client_order_id)
        check_funds(new, [one for one in self.working() if one is not order], self.account, self.last.get)
        new.submitted_at = new.updated_at = at = self.stamp()
        self._enter(new)
        held = order.status == "held"
        self._say(order, "pending_replace")
        if order.parent is not None:
            order.parent.legs = [new if leg is order else leg for leg in order.parent.legs]
        for leg in new.legs:
            leg.parent = new
        order.status, order.replaced_by, order.replaced_at = "replaced", new.id, at
        order.updated_at = at
        new.status = "held" if held else "pending_new"
        answer = new.wire(nested=True)
        self._say(order, "replaced")
        if not held:
            self._activate(new)
        return answer

    def _check_id(self, client_order_id: str) -> None:
        known = self._by_client.get(client_order_id)
        if known is not None:
            refusal = invalid if known.open else malformed
            raise refusal("client_order_id must be unique")

    def _enter(self, order: Order) -> None:
        order.submitted_at = order.submitted_at or order.at
        order.updated_at = order.updated_at or order.at
        self.orders[order.id] = self._open[order.id] = order
        self._by_client[order.client_order_id] = order

    def _expiry(self, order: Order, now: datetime) -> int | None:
        if order.asset.crypto or order.tif in {"ioc", "fok"}:
            return None
        if order.tif == "gtc":
            return to_ns(self._hours.in_ninety_days(now))
        return to_ns(self._hours.close_after(now, extended=order.extended_hours))

    # Executions ----------------------------------------------------------------------------------------

    def trade(self, symbol: str, price: Decimal) -> None:
        """Let the market trade at a price: what can be executed there is."""
        self.settle()
        self.last[symbol] = price
        for order in self._working_in(symbol):
            self._match(order, tick(price))

    def trade_minute(self, symbol: str, bar: MinuteBar) -> None:
        """Let the market go through a minute that is over. Who came during it gets its close alone."""
        begin = to_ns(bar.start)
        self._open_session(bar.start)
        there = [order for order in self._working_in(symbol) if order.submitted_at <= begin and order.armed]
        # Where both exits could be met, nobody knows which was first: the stop is the worse one.
        there.sort(key=lambda order: order.status != "held")
        view = bar_of(bar.open, bar.high, bar.low, bar.close)
        self.last[symbol] = price = Decimal(repr(bar.close))
        for order in there:
            self._match(order, view, bar.start)
        for order in self._working_in(symbol):
            if order not in there:
                self._match(order, tick(price), bar.start)

    def _working_in(self, symbol: str) -> list[Order]:
        return [order for order in self.working() if order.asset.symbol == symbol]

    def fill(self, order: Order, qty: Decimal | None, price: Decimal) -> Execution:
        """Execute so many units at a price, whatever the market does.

        Args:
            qty: None is all that is left.
        """
        if qty is None:
            qty = order.rest(price)
        if order.status == "held":
            order.status = "new"
        return self._book(order, qty, price)

    def _open_session(self, at: datetime) -> None:
        """Let orders work that waited for a session; the first price of it is theirs."""
        for order in self.working():
            if order.status == "accepted" and order.tif != "cls" and self._in_session(order, at):
                self._begin(order)

    def _begin(self, order: Order) -> None:
        order.status, order.updated_at = "new", self.stamp()
        self._say(order, "new")

    def _activate(self, order: Order) -> None:
        """Let an order work, at the price that the market is at."""
        self._begin(order)
        price = self.last.get(order.asset.symbol)
        if price is not None:
            self._match(order, tick(price))
        elif order.tif in {"ioc", "fok"}:
            self.end(order, "canceled")
        order.rested = True

    def _match(self, order: Order, bar: BarView, at: datetime | None = None) -> None:
        if not order.open or not order.armed or order.tif == "cls" or not self._in_session(order, at):
            return
        hit = touch(order, bar)
        if hit is not None:
            self._execute(order, hit)
        if order.open and order.tif in {"ioc", "fok", "opg"}:
            self.end(order, "canceled")

    def _execute(self, order: Order, price: Decimal) -> None:
        """Fill all that is left at ``price``; if chance has it, in two parts."""
        if order.status == "held":
            # The stop of a pair goes to an exchange in the place of the target.
            order.status = "new"
            for other in order.joined():
                self.end(other, "canceled", alone=True)
        rest = order.rest(price)
        if (
            self._partial
            and order.qty is not None
            and order.tif != "fok"
            and self._rng.random() < self._partial
        ):
            step = order.asset.step if rest % 1 else Decimal(1)
            part = (rest / 2 // step) * step
            if ZERO < part < rest:
                self._book(order, part, price)
                rest -= part
        self._book(order, rest, price)

    def _book(self, order: Order, qty: Decimal, price: Decimal) -> Execution:
        order.filled += qty
        order.value += qty * price
        late = not order.open
        done = order.qty is None or order.left <= ZERO
        at = self.stamp()
        order.updated_at = at
        if not late:
            order.status = "filled" if done else "partially_filled"
        if done:
            order.filled_at = at
        fees: tuple[Money, ...] = ()
        position = self.account.book(order.asset, qty * order.sign, price)
        if order.asset.crypto:
            maker = order.rested and order.type == "limit"
            charge = self._charges.charge(order.asset.symbol, order.buy, qty, price, at, maker)
            position = self.account.charge(order.asset, charge)
            fees = (charge.fee,)
        execution = Execution(
            id=str(uuid4()),
            order=order,
            qty=qty,
            price=price,
            at=at,
            cumulative=order.filled,
            remaining=order.left,
            status="filled" if done else "partially_filled",
            position=position,
            fees=fees,
        )
        self.executions.append(execution)
        self.activities.fill(execution)
        self._say(order, "fill" if done else "partial_fill", execution)
        if not late:
            self._follow(order, done=done)
        return execution

    def _follow(self, order: Order, *, done: bool) -> None:
        """What an execution means for the orders around it."""
        if order.bracket:
            if done:
                for leg in order.legs:
                    if leg.open and (leg.type == "limit" or order.order_class == "oto"):
                        self._activate(leg)
            return
        for other in order.joined():
            if done:
                self.end(other, "canceled")
            elif other.qty is not None:
                other.qty = other.filled + order.left

    def _say(self, order: Order, event: str, execution: Execution | None = None) -> None:
        self.tell(trade_update(order, event, execution))
