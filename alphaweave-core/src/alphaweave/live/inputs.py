"""What the core of a live run is told: every input there is, as a record that the journal keeps.

``at`` is when the driver took it in, in nanoseconds since the epoch, UTC: the only time that the core knows.
``kind`` and ``key`` name it in the journal. Of kinds in `ONCE` an input is decided once for ever; the others
come as often as they come, and their keys are words for readers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import Enum
from typing import Final

from attrs import frozen

from alphaweave.core.clock import to_ns
from alphaweave.core.instrument import Instrument
from alphaweave.core.market import BarCorrection
from alphaweave.live.actions import Forgotten, Query
from alphaweave.live.control_records import Command
from alphaweave.live.datafeed import FeedGap
from alphaweave.live.reports import (
    BrokerAccountState,
    BrokerEvent,
    BrokerFill,
    BrokerOrder,
    CashFlow,
    FeeReport,
    FillCorrection,
    FillReport,
    OrderAck,
    OrderUpdate,
    PositionChange,
)
from alphaweave.live.slices import LateBar, Slice

__all__ = [
    "ONCE",
    "Answer",
    "AnswerInput",
    "BrokerInput",
    "CommandInput",
    "CorrectionInput",
    "FeedLinkInput",
    "GapInput",
    "Input",
    "LateBarInput",
    "OutcomeInput",
    "OutcomeKind",
    "SendOutcome",
    "SliceInput",
    "TimerInput",
]

ONCE: Final = frozenset({"slice", "command"})
"""Kinds whose keys come once in a run's life."""


@frozen
class SliceInput:
    """The bars of one end are known."""

    at: int
    slice: Slice

    kind = "slice"

    @property
    def key(self) -> str:
        return str(self.slice.end)


@frozen
class LateBarInput:
    """A bar whose slice had closed without it."""

    at: int
    late: LateBar

    kind = "late_bar"

    @property
    def key(self) -> str:
        return f"{self.late.bar.symbol}:{to_ns(self.late.bar.end)}"


@frozen
class CorrectionInput:
    """A final bar was restated."""

    at: int
    correction: BarCorrection

    kind = "bar_correction"

    @property
    def key(self) -> str:
        return f"{self.correction.bar.symbol}:{to_ns(self.correction.bar.end)}"


@frozen
class GapInput:
    """Bars were missed on the way."""

    at: int
    gap: FeedGap

    kind = "gap"

    @property
    def key(self) -> str:
        return f"{self.gap.symbol}:{to_ns(self.gap.start)}:{to_ns(self.gap.end)}"


@frozen
class FeedLinkInput:
    """The connection of the feed is lost, or is back."""

    at: int
    up: bool
    reason: str = ""

    kind = "feed_link"

    @property
    def key(self) -> str:
        return "up" if self.up else "down"


@frozen
class BrokerInput:
    """Something out of the broker's stream of events."""

    at: int
    event: BrokerEvent

    kind = "broker"

    @property
    def key(self) -> str:
        event = self.event
        name = type(event).__name__
        if isinstance(event, BrokerFill | FillCorrection):
            return f"{name}:{event.execution_key}:{event.revision}"
        if isinstance(event, OrderUpdate):
            return f"{name}:{event.ref.client_order_id}:{event.status.value}"
        if isinstance(event, CashFlow | PositionChange):
            return f"{name}:{event.key}"
        if isinstance(event, FeeReport):
            return f"{name}:{event.execution_key}"
        return name


class OutcomeKind(Enum):
    """How a send ended.

    ACKED: the broker has it. REJECTED: a final no of the broker's. UNKNOWN: a byte may have left and nobody
    knows more. NOT_SENT: nothing left. CANCEL_TAKEN: the cancel was taken, which is not yet the order's end.
    CANCEL_REJECTED, REPLACE_REJECTED: refused; ``order_state`` says what it said of the order.
    """

    ACKED = "acked"
    REJECTED = "rejected"
    UNKNOWN = "unknown"
    NOT_SENT = "not_sent"
    CANCEL_TAKEN = "cancel_taken"
    CANCEL_REJECTED = "cancel_rejected"
    REPLACE_REJECTED = "replace_rejected"


@frozen
class SendOutcome:
    """What became of a send.

    Attributes:
        acks: of ACKED: one, or for a group one for each leg, in the order of its refs.
        order_state: `alphaweave.core.errors.OrderState`'s value, of a refused cancel or replacement.
        code: of a refusal: the reason in words that are the same for every broker; else the broker's code.
        text: the broker's own words, or why nothing left.
    """

    kind: OutcomeKind
    acks: tuple[OrderAck, ...] = ()
    order_state: str | None = None
    code: str | None = None
    text: str = ""


@frozen
class OutcomeInput:
    """What became of a Send action; ``intent`` is that action's."""

    at: int
    intent: str
    outcome: SendOutcome

    kind = "outcome"

    @property
    def key(self) -> str:
        return f"{self.intent}:{self.outcome.kind.value}"


Answer = (
    BrokerOrder
    | Forgotten
    | Sequence[BrokerOrder]
    | FillReport
    | BrokerAccountState
    | Mapping[str, Instrument]
    | datetime
    | None
)
"""To an order query None says "no such order"."""


@frozen
class AnswerInput:
    """The broker's answer to an `Ask`; with an ``error`` there is none, and nothing is known by it."""

    at: int
    query: Query
    answer: Answer = None
    error: str | None = None

    kind = "answer"

    @property
    def key(self) -> str:
        return f"{type(self.query).__name__}:{self.query.number}"


@frozen
class CommandInput:
    """An operator said something."""

    at: int
    command: Command

    kind = "command"

    @property
    def key(self) -> str:
        return str(self.command.id)


@frozen
class TimerInput:
    """The time that `LiveCore.next_wakeup` named has come, or any other."""

    at: int

    kind = "timer"

    @property
    def key(self) -> str:
        return str(self.at)


Input = (
    SliceInput
    | LateBarInput
    | CorrectionInput
    | GapInput
    | FeedLinkInput
    | BrokerInput
    | OutcomeInput
    | AnswerInput
    | CommandInput
    | TimerInput
)
