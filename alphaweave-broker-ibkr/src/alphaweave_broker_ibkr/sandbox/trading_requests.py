"""What clients ask about orders and executions."""

from __future__ import annotations

from alphaweave_broker_ibkr.sandbox import order_messages as say
from alphaweave_broker_ibkr.sandbox.account import commission_of
from alphaweave_broker_ibkr.sandbox.admission import Refused
from alphaweave_broker_ibkr.sandbox.contracts import Wanted
from alphaweave_broker_ibkr.sandbox.gateway import Gateway
from alphaweave_broker_ibkr.sandbox.hours import midnight_before
from alphaweave_broker_ibkr.sandbox.order_form import OrderForm
from alphaweave_broker_ibkr.sandbox.orders import Execution, Order, moment_of
from alphaweave_broker_ibkr.sandbox.session import Session
from alphaweave_broker_ibkr.sandbox.wire import Fields, encode

__all__ = ["TradingRequests"]

_READ_ONLY = "Error validating request.-'b2' : cause - The API interface is currently in Read-Only mode."


class TradingRequests:
    """Answers them.

    Attributes:
        read_only: the gateway takes no orders, and shows none.
    """

    def __init__(self, gateway: Gateway, *, read_only: bool) -> None:
        self._gateway, self._venue = gateway, gateway.venue
        self.read_only = read_only
        gateway.handlers |= {
            3: self._place,
            4: self._cancel,
            5: self._open_orders,
            7: self._executions,
            15: self._auto_open_orders,
            16: self._all_open_orders,
            58: self._global_cancel,
            99: self._completed_orders,
        }

    def _place(self, session: Session, fields: Fields) -> None:
        order_id = fields.integer()
        wanted = Wanted.read(fields)
        form = OrderForm.read(fields, wanted)
        client_id = session.client_id or 0
        try:
            self._check_writable()
            if len(self._gateway.accounts) > 1 and not form.raw["account"]:
                raise Refused(435, "You must specify an account.")
            if form.flag("whatIf"):
                self._say_what_if(session, self._venue.would_be(wanted, form, client_id, order_id))
            else:
                self._venue.place(client_id, order_id, wanted, form)
        except Refused as refusal:
            session.refuse(order_id, refusal.code, refusal.text)

    def _say_what_if(self, session: Session, order: Order) -> None:
        account, form = self._venue.account, order.form
        price = form.limit or self._venue.last.get(order.contract.con_id) or form.aux
        if price is None:
            session.refuse(order.order_id, 201, "Order rejected - reason:No price is known")
            return
        locks = account.locks(order.contract, order.quantity, price)
        before, equity = account.margin(), account.equity()
        cost = commission_of(order.contract, order.quantity, price)
        figures = {
            "initMarginBefore": before,
            "initMarginChange": locks,
            "initMarginAfter": before + locks,
            "maintMarginBefore": before,
            "maintMarginChange": locks,
            "maintMarginAfter": before + locks,
            "equityWithLoanBefore": equity,
            "equityWithLoanChange": -cost,
            "equityWithLoanAfter": equity - cost,
            "commission": cost,
        }
        session.say(say.open_order(order, what_if={**figures, "commissionCurrency": "USD"}))

    def _cancel(self, session: Session, fields: Fields) -> None:
        fields.text()
        order_id = fields.integer()
        fields.text()
        try:
            self._check_writable()
            self._venue.cancel(session.client_id or 0, order_id)
        except Refused as refusal:
            session.refuse(order_id, refusal.code, refusal.text)

    def _global_cancel(self, session: Session, fields: Fields) -> None:
        if self.read_only:
            session.refuse(-1, 321, _READ_ONLY)
            return
        self._venue.cancel_all()

    def _check_writable(self) -> None:
        if self.read_only:
            raise Refused(321, _READ_ONLY)

    # Questions -----------------------------------------------------------------------------------------

    def _open_orders(self, session: Session, fields: Fields) -> None:
        own = {session.client_id}
        self._say_open(session, [one for one in self._living(session) if one.client_id in own])

    def _all_open_orders(self, session: Session, fields: Fields) -> None:
        self._say_open(session, self._living(session))

    def _auto_open_orders(self, session: Session, fields: Fields) -> None:
        if session.client_id != 0:
            session.refuse(-1, 321, "Error validating request.-'bx' : cause - Only client 0 may bind orders")

    def _living(self, session: Session) -> list[Order]:
        self._venue.settle()
        return [one for one in self._venue.living() if one.transmitted or one.client_id == session.client_id]

    def _say_open(self, session: Session, orders: list[Order]) -> None:
        if self._mute_read_only(session):
            return
        for order in orders:
            session.say(say.open_order(order))
            session.say(say.order_status(order))
        session.say(encode((53, 1)))

    def _completed_orders(self, session: Session, fields: Fields) -> None:
        api_only = fields.flag()
        if self._mute_read_only(session):
            return
        since = midnight_before(self._gateway.now())
        for order in self._venue.orders:
            if order.ended_at is not None and order.ended_at >= since and not (api_only and order.foreign):
                session.say(say.completed_order(order))
        session.say(encode((102,)))

    def _mute_read_only(self, session: Session) -> bool:
        """A gateway for reading only refuses, and sends no end marker."""
        if self.read_only:
            session.refuse(-1, 321, _READ_ONLY)
        return self.read_only

    def _executions(self, session: Session, fields: Fields) -> None:
        fields.text()
        number = fields.integer()
        client_id = fields.integer()
        account, time, *wanted = fields.texts(6)
        wanted.insert(0, account)
        if self._gateway.quirks.silent_executions and not client_id:
            return
        since = midnight_before(self._gateway.now())
        if time:
            asked = moment_of(time)
            if asked is None:
                session.refuse(number, 321, "Error validating request.-'bN' : cause - Invalid time format")
                return
            since = max(since, asked)
        for execution in self._venue.executions:
            if (
                execution.unheard
                or execution.at < since
                or (client_id and execution.order.client_id != client_id)
            ):
                continue
            if _fits(execution, wanted):
                bare = self._gateway.quirks.bare_times
                session.say(say.exec_details(execution, number, bare=bare))
                if execution.told:
                    session.say(say.commission_report(execution))
        session.say(encode((55, 1, number)))


def _fits(execution: Execution, wanted: list[str]) -> bool:
    account, symbol, kind, exchange, side = wanted
    order = execution.order
    contract = order.contract
    sides = {"": {True, False}, "BUY": {True}, "SELL": {False}, "SSHORT": {False}}
    return (
        account in {"", order.account}
        and symbol in {"", contract.symbol}
        and kind in {"", contract.sec_type}
        and exchange in {"", contract.primary, "SMART"}
        and order.form.buy in sides.get(side.upper(), set())
    )
