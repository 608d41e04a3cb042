"""Who is told what happens at the venue, in which order, and how often."""

from __future__ import annotations

from collections.abc import Callable

from alphaweave_broker_ibkr.sandbox import order_messages as say
from alphaweave_broker_ibkr.sandbox.contracts import Contract
from alphaweave_broker_ibkr.sandbox.faults import Commissions
from alphaweave_broker_ibkr.sandbox.gateway import Gateway
from alphaweave_broker_ibkr.sandbox.orders import Execution, Order
from alphaweave_broker_ibkr.sandbox.session import Session

__all__ = ["Broadcast"]


class Broadcast:
    """Tells an order's events to the client that placed it, and to the master client.

    Attributes:
        on_moved: told what moved in the account.
    """

    def __init__(self, gateway: Gateway, master: int | None) -> None:
        self._gateway, self._master = gateway, master
        self._unreported: list[Execution] = []
        # What happened while the gateway had no servers to hear it from.
        self._missed: list[Callable[[], None]] = []
        self.on_moved: Callable[[Contract | None], None] = lambda contract: None

    def told(self, order: Order) -> None:
        """As `Listener` has it."""
        body, status = say.open_order(order), say.order_status(order)
        quirks, venue = self._gateway.quirks, self._gateway.venue
        priced = order.form.kind == "MKT" and order.contract.con_id in venue.last and not order.held
        if quirks.executions_first and priced and order.status == "PreSubmitted" and not order.deferred:
            return
        bodies = [body]
        if not (quirks.no_status and order.status == "Filled"):
            bodies.append(status)
        cancelled = order.status in {"Cancelled", "ApiCancelled"}
        self._tell(order, [status] if cancelled else bodies)

    def executed(self, execution: Execution) -> None:
        """As `Listener` has it."""
        execution.unheard = self._gateway.venue.cut_off
        self._tell(
            execution.order, [say.exec_details(execution, bare=self._gateway.quirks.bare_times)], once=True
        )

    def charged(self, execution: Execution) -> None:
        """As `Listener` has it."""
        when = self._gateway.quirks.commissions
        if when is Commissions.AT_ONCE or execution.told:
            self._charge(execution)
        elif when is Commissions.LATE:
            self._unreported.append(execution)

    def report_late(self) -> None:
        """Report the commissions that are late."""
        late, self._unreported = self._unreported, []
        for execution in late:
            self._charge(execution)

    def _charge(self, execution: Execution) -> None:
        execution.told = True
        order = execution.order
        bodies = [say.commission_report(execution)]
        if order.status == "Filled":
            bodies.insert(0, say.open_order(order, commission=True))
        self._tell(order, bodies, once=True)

    def complained(self, order: Order, code: int, text: str) -> None:
        """As `Listener` has it."""
        self._tell(order, [say.error(order.order_id, code, text)], once=True)

    def moved(self, contract: Contract | None) -> None:
        """As `Listener` has it."""
        self._now_or_later(lambda: self.on_moved(contract))

    def reconnect(self) -> None:
        """Tell what happened meanwhile."""
        for execution in self._gateway.venue.executions:
            execution.unheard = False
        missed, self._missed = self._missed, []
        for tell in missed:
            tell()

    def _tell(self, order: Order, bodies: list[bytes], *, once: bool = False) -> None:
        said = [body for body in bodies for _ in range(1 if once else self._gateway.quirks.repeats)]
        self._now_or_later(lambda: self._say(order, said))

    def _now_or_later(self, tell: Callable[[], None]) -> None:
        if self._gateway.venue.cut_off:
            self._missed.append(tell)
        else:
            tell()

    def _say(self, order: Order, bodies: list[bytes]) -> None:
        for session in self._ears(order):
            for body in bodies:
                session.say(body, event=self._is_event(session, order))

    def _ears(self, order: Order) -> list[Session]:
        wanted = {order.client_id, self._master}
        return [one for one in self._gateway.clients() if one.client_id in wanted]

    def _is_event(self, session: Session, order: Order) -> bool:
        """Whether this is more than an answer to the order's own request: an execution ends the answer."""
        request = session.under_way
        if request is None or request.order_id is None or order.client_id != session.client_id:
            return True
        family = {order.order_id, order.parent.order_id if order.parent is not None else order.order_id}
        family |= {child.order_id for child in (order.parent or order).children}
        return request.order_id not in family or self._gateway.executions() > request.executions
