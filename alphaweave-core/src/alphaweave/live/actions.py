"""What the core of a live run wants done: all that leaves it, and the only way anything does.

The decision that an action came of is in the journal before the action is handed out. Whoever carries one out
reports back by an input (`alphaweave.live.inputs`). Times are nanoseconds since the epoch, UTC.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from attrs import field, frozen

from alphaweave.core.order import OrderChange, OrderGroup, OrderRef, OrderRequest
from alphaweave.live.effects import Note
from alphaweave.live.reports import FillQuery
from alphaweave.monitoring.monitor import BarSnapshot

__all__ = [
    "FORGOTTEN",
    "AccountQuery",
    "Action",
    "Ask",
    "FillsQuery",
    "Finish",
    "Forgotten",
    "Gate",
    "InstrumentsQuery",
    "OpenOrdersQuery",
    "OrderQuery",
    "Query",
    "Reply",
    "SendCancel",
    "SendGroup",
    "SendReplace",
    "SendSubmit",
    "Tell",
    "TimeQuery",
]


@frozen
class OrderQuery:
    """``Broker.get_order``."""

    ref: OrderRef
    number: int


FORGOTTEN: Final = "beyond_history"
"""The code of a `BrokerUnavailable` from `Broker.get_order`: the broker has no such order now, and its memory
does not reach back to all of the time in which it may have had one."""


@frozen
class Forgotten:
    """What such an error says of an order."""


@frozen
class OpenOrdersQuery:
    """``Broker.get_open_orders``; ``symbols`` None is the whole account."""

    number: int
    symbols: tuple[str, ...] | None = None


@frozen
class FillsQuery:
    """``Broker.get_fills``."""

    query: FillQuery
    number: int


@frozen
class AccountQuery:
    """``Broker.get_account_state``."""

    number: int


@frozen
class InstrumentsQuery:
    """``Broker.get_instruments``."""

    symbols: tuple[str, ...]
    number: int


@frozen
class TimeQuery:
    """``Broker.get_time``; ``asked_at`` is this clock's, so that the answer can be compared with it."""

    number: int
    asked_at: int


Query = OrderQuery | OpenOrdersQuery | FillsQuery | AccountQuery | InstrumentsQuery | TimeQuery
"""What the broker is asked. ``number`` tells each apart from all others of one process."""


@frozen
class SendSubmit:
    """Send an order, at most once, ever.

    Attributes:
        intent: its name in `OutcomeInput`, which is the client order id.
        decided_at: when the input came that it was decided on.
        deadline: not to be sent any more after it; None is no limit.
        exit: an order of the engine's own that closes a position: a gate that only the trading state has
            shut lets it pass.
    """

    intent: str
    ref: OrderRef
    request: OrderRequest
    decided_at: int
    deadline: int | None = None
    exit: bool = False


@frozen
class SendGroup:
    """Send a bracket or OCO, once; ``intent`` is the client order id of the first leg."""

    intent: str
    refs: tuple[OrderRef, ...]
    group: OrderGroup
    decided_at: int
    deadline: int | None = None


@frozen
class SendCancel:
    """Ask for a cancel. It passes every gate, and overtakes submits, but for its own order's: one that has
    not been handed over is withdrawn, and reported as NOT_SENT, and the cancel with it.

    Attributes:
        intent: another for each time that it is asked.
    """

    intent: str
    ref: OrderRef


@frozen
class SendReplace:
    """Replace the version ``ref`` by ``new_ref``; ``intent`` is the client order id of the new one."""

    intent: str
    ref: OrderRef
    new_ref: OrderRef
    change: OrderChange
    decided_at: int
    deadline: int | None = None


@frozen
class Ask:
    """Ask the broker; the answer, or the error, comes back as an `AnswerInput`."""

    query: Query


@frozen
class Gate:
    """Whether anything but cancels may be sent, from now on.

    Attributes:
        symbols_shut: symbols in which nothing is sent although the gate is open.
        reason: why it is shut; empty while it is open.
        exits: where it is shut, or a symbol is: by the trading state alone, so that orders of the engine that
            close positions may pass.
    """

    open: bool
    symbols_shut: frozenset[str] = frozenset()
    reason: str = ""
    exits: bool = False


@frozen
class Tell:
    """What monitors should hear, in order: ``notes``, then ``bars``, one for each slice."""

    notes: tuple[Note, ...] = ()
    bars: tuple[BarSnapshot, ...] = ()


@frozen
class Reply:
    """The answer to an operator's command."""

    command: int
    document: Mapping[str, Any] = field(hash=False)


@frozen
class Finish:
    """The run ends, once what was handed out before is done; ``exit_code`` is the process's."""

    exit_code: int
    reason: str


Action = SendSubmit | SendGroup | SendCancel | SendReplace | Ask | Gate | Tell | Reply | Finish
