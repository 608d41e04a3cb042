"""The venue behind the gateway: what it makes of the orders that are placed with it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal

from alphaweave.core.money import ZERO
from alphaweave_broker_ibkr.sandbox.admission import (
    Refused,
    check_change,
    check_form,
    check_funds,
    find_contract,
)
from alphaweave_broker_ibkr.sandbox.contracts import Catalog, Contract, Wanted
from alphaweave_broker_ibkr.sandbox.floor import Floor
from alphaweave_broker_ibkr.sandbox.hours import Hours
from alphaweave_broker_ibkr.sandbox.order_form import OrderForm
from alphaweave_broker_ibkr.sandbox.orders import AUCTIONS, Order, Version, moment_of

__all__ = ["Venue"]

_FIVE_MINUTES = timedelta(minutes=5)


class Venue(Floor):
    """Takes orders.

    Attributes:
        cut_off: the gateway has no connection to its servers; what is placed waits.
    """

    def __init__(
        self,
        catalog: Catalog,
        account_number: str,
        *,
        cash: Decimal,
        hours: Hours,
        now: Callable[[], datetime],
        partial_fills: float,
        seed: int,
    ) -> None:
        super().__init__(
            catalog,
            account_number,
            cash=cash,
            hours=hours,
            now=now,
            partial_fills=partial_fills,
            seed=seed,
        )
        self.cut_off = False
        self._by_id: dict[tuple[int, int], Order] = {}
        self._highest: dict[int, int] = {}
        self._waiting: list[Callable[[], None]] = []
        self._perm_id = 1_200_000_000

    # Orders --------------------------------------------------------------------------------------------

    def find(self, client_id: int, order_id: int) -> Order | None:
        """The order that a client names so."""
        return self._by_id.get((client_id, order_id))

    def next_id(self, client_id: int) -> int:
        """The least order id that this client can use: as far as orders of it have come in."""
        return self._highest.get(client_id, 0) + 1

    def by_ref(self, ref: str) -> Order | None:
        """The order that bears a reference, or bore it."""
        for order in reversed(self.orders):
            if ref in {order.form.ref, *(version.form.ref for version in order.versions)}:
                return order
        return None

    def place(self, client_id: int, order_id: int, wanted: Wanted, form: OrderForm) -> Order:
        """Take a new order, or change the one that has this id.

        Raises:
            Refused: nothing changed, unless it says that the order was rejected.
        """
        self.settle()
        contract = find_contract(self.catalog, wanted)
        known = self.find(client_id, order_id)
        own = self.catalog.by_id(contract.con_id)
        assert own is not None
        if known is not None:
            return self._modify(known, own, form, contract.exchange)
        if order_id < self.next_id(client_id):
            raise Refused(103, "Duplicate order id")
        check_form(form, own, contract.exchange)
        if form.raw["account"] not in {"", self.account.number}:
            raise Refused(321, "Error validating request.-'bN' : cause - Invalid account code")
        order = Order(client_id, order_id, own, contract.exchange, form, self.account.number, self.now())
        order.quantity = form.quantity
        if form.parent_id:
            order.parent = self.find(client_id, form.parent_id)
            if order.parent is None:
                raise Refused(10006, "Missing parent order. Unable to submit child order.")
            if not order.parent.open and order.parent.status != "Filled":
                raise Refused(201, "Order rejected - reason:Parent order is being cancelled.")
            order.parent.children.append(order)
            order.held = order.parent.status != "Filled"
        self._enter(order)
        if form.flag("transmit"):
            root = order.parent or order
            for one in [root, *root.children]:
                if not one.transmitted:
                    self._transmit(one)
        return order

    def outside(self, contract: Contract, form: OrderForm) -> Order:
        """Let somebody else's order rest in the account, whether it carries it or not."""
        order = Order(0, 0, contract, contract.exchange, form, self.account.number, self.now())
        order.quantity, order.foreign, order.transmitted = form.quantity, True, True
        order.perm_id, order.status = self._next_perm_id(), "Submitted"
        self._add(order)
        self.listener.told(order)
        return order

    def would_be(self, wanted: Wanted, form: OrderForm, client_id: int, order_id: int) -> Order:
        """An order that is only asked about.

        Raises:
            Refused: if it would be.
        """
        contract = find_contract(self.catalog, wanted)
        check_form(form, contract, contract.exchange)
        check_funds(form, contract, self.account, self._margined())
        order = Order(client_id, order_id, contract, contract.exchange, form, self.account.number, self.now())
        order.quantity, order.status = form.quantity, "PreSubmitted"
        return order

    def cancel(self, client_id: int, order_id: int) -> None:
        """End an order because the client that placed it asks.

        Raises:
            Refused: if there is none, or it has ended.
        """
        self.settle()
        order = self.find(client_id, order_id)
        if order is None:
            raise Refused(10147, f"OrderId {order_id} that needs to be cancelled is not found.")
        if not order.open:
            raise Refused(
                10148,
                f"OrderId {order_id} that needs to be cancelled cannot be cancelled, state: {order.status}.",
            )
        self._end_as_asked(order)

    def cancel_all(self) -> None:
        """End every order, whoever placed it."""
        self.settle()
        for order in self.living():
            self._end_as_asked(order)

    def _end_as_asked(self, order: Order) -> None:
        if self.cut_off and order.perm_id:
            self._waiting.append(lambda: self.end(order, ""))
        else:
            self.end(order, "")

    def _modify(self, order: Order, contract: Contract, form: OrderForm, exchange: str) -> Order:
        if not order.open:
            if order.status == "Filled":
                raise Refused(104, "Cannot modify a filled order.")
            raise Refused(103, "Duplicate order id")
        check_change(order, form, contract)
        check_form(form, contract, exchange)
        others = [one for one in self._margined() if one is not order]
        check_funds(form, contract, self.account, others, filled=order.filled)
        if self.cut_off and order.perm_id:
            self._waiting.append(lambda: self._double(order, form))
            return order
        order.versions.append(Version(order.form, order.filled))
        order.form, order.quantity = form, form.quantity
        order.triggered = order.triggered and form.aux == order.versions[-1].form.aux
        order.expires_at = self._expiry(order)
        if not order.transmitted:
            if form.flag("transmit"):
                self._transmit(order)
            return order
        if form.cash is None and order.remaining <= ZERO:
            self._complete(order)
            self.listener.told(order)
            self._follow(order, done=True)
        else:
            order.status = order.working_status()
            self.listener.told(order)
            self._match_last(order)
        return order

    def _enter(self, order: Order) -> None:
        self._add(order)
        self._by_id[order.client_id, order.order_id] = order
        self._highest[order.client_id] = max(order.order_id, self._highest.get(order.client_id, 0))

    def _next_perm_id(self) -> int:
        self._perm_id += 1
        return self._perm_id

    def _transmit(self, order: Order) -> None:
        order.transmitted = True
        if self.cut_off:
            self._waiting.append(lambda: self._accept(order))
            return
        self._accept(order)

    def reconnect(self) -> None:
        """The servers are there again: what waited goes to them."""
        self.cut_off = False
        waiting, self._waiting = self._waiting, []
        for work in waiting:
            work()

    def _double(self, order: Order, form: OrderForm) -> None:
        """A change that waited finds its order unknown to this session, and becomes a second one."""
        if order.open:
            names = (order.client_id, order.order_id, order.contract, order.exchange)
            twin = Order(*names, form, order.account, self.now())
            twin.quantity, twin.transmitted = form.quantity, True
            self._enter(twin)
            self._accept(twin)

    def _accept(self, order: Order) -> None:
        if not order.open:
            return
        order.perm_id = self._next_perm_id()
        others = [one for one in self._margined() if one is not order]
        try:
            if not order.held:
                check_funds(order.form, order.contract, self.account, others)
        except Refused as refusal:
            order.status, order.ended_at, order.end_text = "Inactive", self.now(), refusal.text
            self.listener.complained(order, refusal.code, refusal.text)
            self.listener.told(order)
            for child in order.children:
                self.end(child, "Parent order is rejected")
            return
        order.expires_at = self._expiry(order)
        order.deferred = not self._startable(order)
        order.status = "PreSubmitted"
        self.listener.told(order)
        self._remark(order)
        if order.held:
            return
        if not order.deferred:
            self._start(order)
        elif order.form.tif in {"IOC", "FOK"}:
            self.end(order, "The market is closed")

    def _remark(self, order: Order) -> None:
        form, tell = order.form, self.listener.complained
        if not form.raw["tif"]:
            tell(order, 10349, "Order TIF was set to DAY based on order preset.")
        if form.flag("outsideRth") and form.kind in {"MKT", "MOC", "LOC"}:
            tell(
                order,
                2109,
                "Order Event Warning: Attribute 'Outside Regular Trading Hours' is ignored based on the "
                "order type and destination. PlaceOrder is now being processed.",
            )
        if order.deferred and form.kind not in AUCTIONS and form.tif != "OPG":
            opens = self.hours.open_after(order.contract.sec_type, self.now(), regular=self._regular(order))
            tell(
                order,
                399,
                f"Order Message:\n{form.raw['action']} {order.quantity} {order.contract.local_symbol}\n"
                "Warning: Your order will not be placed at the exchange until "
                f"{opens:%Y-%m-%d %H:%M:%S} UTC",
            )

    def _margined(self) -> list[Order]:
        return [order for order in self.living() if order.transmitted and not order.held]

    def _expiry(self, order: Order) -> datetime | None:
        form, now = order.form, self.now()
        close = self.hours.close_after(order.contract.sec_type, now, regular=self._regular(order))
        if form.kind in AUCTIONS:
            return close
        if form.tif == "Minutes":
            return now + _FIVE_MINUTES
        if form.tif == "GTD":
            return moment_of(form.raw["goodTillDate"])
        return close if form.tif == "DAY" else None
