"""What the risk chain judges, and how a rule answers."""

from __future__ import annotations

from decimal import Decimal
from typing import Protocol

from attrs import field, frozen

from alphaweave.core.instrument import Instrument
from alphaweave.core.money import ZERO
from alphaweave.core.order import OrderRequest, Side, TimeInForce

__all__ = ["Denial", "Proposal", "Requested", "RiskRule"]


class Requested(Protocol):
    """Whatever has an order's terms."""

    @property
    def request(self) -> OrderRequest: ...


class Proposal:
    """One order before it leaves, with what it would do to the position. Mutable; the kernel reuses one.

    Attributes:
        request: the order's terms. Without one nothing can be judged, and the chain denies.
        plain: the time in force of a market order in units with no other terms; None for any other.
        source: whoever makes the request of such an order, once a rule looks at it; ``terms``: what it made.
        quantity: units it may fill at worst; estimated for an order sized in quote currency.
        price: conservative reference in quote currency (limit, stop or last); None when there is none.
        notional: value at that price in settle currency; None leaves it to quantity, price and multiplier.
        position: signed units held now.
        worst_long, worst_short: signed position after every open, in-flight and UNKNOWN order of the
            buy (sell) side has filled, before this one.
        reduces: it strictly reduces the worst-case position.
    """

    __slots__ = (
        "instrument",
        "notional",
        "plain",
        "position",
        "price",
        "quantity",
        "reduces",
        "side",
        "source",
        "symbol",
        "terms",
        "worst_long",
        "worst_short",
    )

    def __init__(
        self,
        symbol: str,
        instrument: Instrument,
        side: Side,
        quantity: Decimal,
        *,
        request: OrderRequest | None = None,
        price: Decimal | None = None,
        notional: Decimal | None = None,
        position: Decimal = ZERO,
        worst_long: Decimal = ZERO,
        worst_short: Decimal = ZERO,
        reduces: bool = False,
    ) -> None:
        self.symbol = symbol
        self.instrument = instrument
        self.side = side
        self.quantity = quantity
        self.terms = request
        self.source: Requested | None = None
        self.plain: TimeInForce | None = None
        self.price = price
        self.notional = notional
        self.position = position
        self.worst_long = worst_long
        self.worst_short = worst_short
        self.reduces = reduces

    @property
    def request(self) -> OrderRequest | None:
        if self.terms is None and self.source is not None:
            self.terms = self.source.request
        return self.terms

    @request.setter
    def request(self, request: OrderRequest | None) -> None:
        self.terms = request
        self.source = None
        self.plain = None


@frozen
class Denial:
    """Why an order does not leave this machine.

    Attributes:
        code: stable, lower case, for machines.
        error: what the rule raised, when the code is ``risk_rule_failed``.
    """

    code: str
    text: str
    error: Exception | None = field(default=None, eq=False)


class RiskRule(Protocol):
    """One rule. It is called on the kernel thread for every order, does no I/O and keeps no proposal.

    Attributes:
        code: the reason code of its denials.
        applies_to_reductions: whether orders that strictly reduce the worst-case position are judged too.
    """

    code: str
    applies_to_reductions: bool

    def check(self, proposal: Proposal) -> Denial | str | None:
        """None lets the order pass; a text denies it under the rule's code, a Denial under its own."""
        ...
