"""One order as the gateway has told of it, whatever it left out, repeated or told too late."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal

from attrs import define, field, frozen
from ib_async import Order

from alphaweave.core.errors import OrderState
from alphaweave.core.money import ZERO
from alphaweave.core.order import OrderRef, OrderRequest, OrderStatus, Side
from alphaweave.live.broker import BrokerOrder
from alphaweave_broker_ibkr.codes import Meaning, Subject
from alphaweave_broker_ibkr.figures import exact
from alphaweave_broker_ibkr.orders import request_of, status_of

__all__ = ["Answer", "Change", "OrderKey", "Reply", "Tracked"]

OrderKey = tuple[int, int]
"""Client id and number of an order; -1 and its permId where it has no number."""


@frozen
class Reply:
    """What the gateway made of a request about an order.

    Attributes:
        meaning: None where it took the request.
        state: what became of the order whose cancel or change was refused.
    """

    meaning: Meaning | None = None
    code: int | None = None
    text: str = ""
    state: OrderState = OrderState.UNKNOWN


Answer = Callable[[Reply], None]
"""Takes the reply; it is called once, or never."""


@frozen
class Change:
    """A change that is on its way: the names and the terms of the next version."""

    ref: OrderRef
    terms: OrderRequest


@define
class Tracked:
    """An order, as far as it is known.

    Attributes:
        name: the client order id of the version that works; empty for one that bears none.
        said: the gateway's last word for where it stands.
        filled: what is executed of it, by executions or by statuses, whichever says more.
        taken: the gateway has said that it has it, so that what it refuses later is something else.
        ended: how it ended, as that was told.
        told: what was last told of it.
        change: a replacement that was sent, until the gateway says what became of it, however late.
        cancelling: a cancel was sent.
        awaiting: who waits for the reply to a placement, a change or a cancel.
        successors: which version a version was replaced by.
    """

    client: int
    number: int
    name: str
    symbol: str
    foreign: bool
    perm_id: int = 0
    order: Order | None = None
    said: str = ""
    filled: Decimal = ZERO
    average: Decimal | None = None
    taken: bool = False
    ended: OrderStatus | None = None
    told: tuple[OrderStatus, Decimal | None, int] | None = None
    change: Change | None = None
    cancelling: bool = False
    awaiting: dict[Subject, Answer] = field(factory=dict)
    successors: dict[str, str] = field(factory=dict)

    @property
    def ref(self) -> OrderRef:
        """The names that it bears."""
        return OrderRef(self.name, self.symbol, str(self.perm_id) if self.perm_id else None)

    @property
    def total(self) -> Decimal:
        """Its size; nothing for one that is sized in cash, or of which nothing is known."""
        return ZERO if self.order is None else exact(self.order.totalQuantity) or ZERO

    @property
    def status(self) -> OrderStatus:
        """Where it stands."""
        return self.ended or status_of(self.said, self.filled)

    def is_changed_to(self, terms: OrderRequest) -> bool:
        """Whether the gateway has it with these terms."""
        has = None if self.order is None else request_of(self.order, self.symbol)
        return has is not None and all(
            getattr(has, name) == getattr(terms, name)
            for name in ("quantity", "limit_price", "stop_price", "trail")
        )

    def adopt(self, name: str) -> None:
        """From now on it is the version of that name."""
        self.successors[self.name] = name
        self.name = name

    def answer(self, subject: Subject, reply: Reply) -> bool:
        """Hand the reply to whoever waits for a placement, a change or a cancel; whether anybody did."""
        waiting = self.awaiting.pop(subject, None)
        if waiting is not None:
            waiting(reply)
        return waiting is not None

    def as_found(self, as_of: datetime) -> BrokerOrder | None:
        """The order as a query found it; None where no message had its terms."""
        order = self.order
        if order is None:
            return None
        total = self.total
        return BrokerOrder(
            ref=self.ref,
            client_order_id=self.name or None,
            status=self.status,
            side=Side[order.action],
            quantity=total if total > ZERO else None,
            filled=self.filled,
            as_of=as_of,
            request=request_of(order, self.symbol),
            average_price=self.average,
            foreign=self.foreign,
        )
