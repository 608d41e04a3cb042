"""What a reconciliation finds: facts to book, doubts that are settled, differences that nobody explained.

The reconciler changes nothing itself. Each finding says what is so; the core books it, tells it, and halts
what has to be halted.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from enum import Enum

from attrs import field, frozen

from alphaweave.core.instrument import Instrument
from alphaweave.live.reports import BrokerFill, BrokerOrder, CashFlow, OrderUpdate

__all__ = [
    "Adopt",
    "CashDiffers",
    "FillGap",
    "Finding",
    "ForeignFill",
    "ForeignOrder",
    "FoundFill",
    "FoundFlow",
    "FoundOrder",
    "Passed",
    "PositionDiffers",
    "Revived",
    "RulesChanged",
    "Settled",
    "Settlement",
    "StartRefused",
    "Unanswered",
    "Why",
]


class Why(Enum):
    """What a reconciliation was begun for. Until one of a start has passed, nothing may be sent."""

    START = "start"
    RECONNECT = "reconnect"


class Settlement(Enum):
    """How a doubt ended without an order being found.

    NEVER_ARRIVED: the submit or replacement did not reach the broker; nothing of it will ever trade.
    VANISHED: the broker had taken the order and denies it now; it is over, and its symbol is to be halted,
    for one of the two answers was wrong.
    FORGOTTEN: it works no more, and what became of it the broker does not remember. It is over, and its
    symbol is to be halted: it may have been filled.
    """

    NEVER_ARRIVED = "never_arrived"
    VANISHED = "vanished"
    FORGOTTEN = "forgotten"


@frozen
class FoundFill:
    """An execution of this run that the books lack, or have in an older revision."""

    fill: BrokerFill


@frozen
class FoundFlow:
    """A cash flow that was listed with the executions; the ledger knows those it has by their key."""

    flow: CashFlow


@frozen
class FoundOrder:
    """What the broker says of an order version of this run, where the books say otherwise."""

    update: OrderUpdate


@frozen
class Revived:
    """An order of this run that the books have as over works at the broker, seen twice: it is to be cancelled
    and its symbol halted."""

    order: BrokerOrder


@frozen
class Settled:
    """A version whose outcome was open has one; ``client_order_id`` is that version's."""

    client_order_id: str
    outcome: Settlement
    symbol: str

    @property
    def said(self) -> str:
        """What the broker says of it."""
        if self.outcome is Settlement.NEVER_ARRIVED:
            return f"the broker never had order {self.client_order_id}"
        if self.outcome is Settlement.VANISHED:
            return f"the broker had order {self.client_order_id} and denies it now"
        return (
            f"order {self.client_order_id} works no more, and whether it was filled the broker has "
            "forgotten: compare the position with the broker's, and resume"
        )


@frozen
class ForeignOrder:
    """A working order that this run did not place; told once."""

    order: BrokerOrder


@frozen
class ForeignFill:
    """An execution of no order of this run. ``halt`` where it is in a symbol of this run and the config does
    not say ``adopt``."""

    fill: BrokerFill
    halt: bool


@frozen
class PositionDiffers:
    """Units that nothing explains, seen twice with the executions asked for in between; halts the symbol."""

    symbol: str
    ours: Decimal
    theirs: Decimal


@frozen
class CashDiffers:
    """A balance that nothing explains: an alert, told again only when the difference is another."""

    asset: str
    ours: Decimal
    theirs: Decimal


@frozen
class FillGap:
    """Executions between ``since`` and ``complete_from`` cannot be had any more in these symbols. Positions
    are compared next, and those that differ are halted by that."""

    symbols: tuple[str, ...]
    since: datetime
    complete_from: datetime


@frozen
class StartRefused:
    """The run must not start; the text says what to write or to close."""

    text: str


@frozen
class Adopt:
    """The first start of a run: what the account holds becomes the books' opening.

    Attributes:
        balances: asset -> total, to become the ledger's.
        positions: config symbol -> signed units, to become the ledger's; empty where they are ignored.
        orders: other people's working orders that were found. They stay what they are.
        ignored: config symbol -> signed units that are left out of the books by ``first_start: ignore``.
    """

    as_of: datetime
    balances: Mapping[str, Decimal]
    positions: Mapping[str, Decimal]
    orders: tuple[BrokerOrder, ...] = ()
    ignored: Mapping[str, Decimal] = field(factory=dict)


@frozen
class RulesChanged:
    """The broker trades an instrument by other rules than the run: these hold from now on."""

    instrument: Instrument


@frozen
class Unanswered:
    """A query failed ``failures`` times in a row: nothing is known by it. Told at the third time only."""

    what: str
    error: str
    failures: int


@frozen
class Passed:
    """Everything that was begun is answered: sending may go on, but for what was halted or is UNKNOWN."""

    why: Why


Finding = (
    FoundFill
    | FoundFlow
    | FoundOrder
    | Revived
    | Settled
    | ForeignOrder
    | ForeignFill
    | PositionDiffers
    | CashDiffers
    | FillGap
    | StartRefused
    | Adopt
    | RulesChanged
    | Unanswered
    | Passed
)
