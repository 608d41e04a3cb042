"""What a reconciliation is told of the run's own books, and how it is set."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, Literal, Protocol

from attrs import field, frozen
from attrs.validators import ge, gt, optional

from alphaweave.core.instrument import Instrument
from alphaweave.core.order import OrderRef, OrderStatus, Side

__all__ = ["BooksView", "OpenVersion", "ReconcileSettings"]


@frozen
class OpenVersion:
    """One order version that may still be at the broker, as the books know it.

    An order with a replacement on its way is two of them.

    Attributes:
        ref: its names, ``wire`` and ``decided_at`` included.
        status: UNKNOWN also for a version in the journal of which a restart knows no outcome; PENDING while
            its send is under way.
        filled: units executed of it; where the broker replaces orders, of all versions together.
        decided_at: nanoseconds since the epoch, UTC; no byte of it left before.
        quiet_since: from when on no byte of it can leave any more: when its outcome was reported as unknown,
            or when the process that might have sent it was gone. None while its send is under way.
        taken: the broker has said that it has it.
    """

    ref: OrderRef
    status: OrderStatus
    side: Side
    filled: Decimal
    decided_at: int
    quiet_since: int | None = None
    taken: bool = False


class BooksView(Protocol):
    """The books as they are now. Times are nanoseconds since the epoch, UTC."""

    def instruments(self) -> Mapping[str, Instrument]:
        """The run's, by symbol."""
        ...

    def open_versions(self) -> Iterable[OpenVersion]:
        """Everything that is open, in flight or UNKNOWN."""
        ...

    def knows_order(self, client_order_id: str) -> bool:
        """Whether it is or was a version of an order of this run, however long ago."""
        ...

    def knows_execution(self, execution_key: str, revision: int) -> bool:
        """Whether it is booked, in that revision or a later one, or was taken back."""
        ...

    def knows_fees(self, execution_key: str) -> bool:
        """Whether the fees of that execution are booked."""
        ...

    def knows_flow(self, key: str) -> bool:
        """Whether that cash flow is booked."""
        ...

    def positions(self) -> Mapping[str, Decimal]:
        """Signed units by symbol; one that is absent is flat."""
        ...

    def balances(self) -> Mapping[str, Decimal]:
        """By asset."""
        ...

    def changed_at(self, name: str) -> int:
        """When the position of a symbol, or the balance of an asset, was last changed: the later of the
        broker's time and this machine's; 0 for never."""
        ...

    def booked(self) -> int:
        """How often anything was booked so far."""
        ...

    def last_booked(self, name: str) -> int:
        """The number of the booking that changed the position of a symbol, or the balance of an asset, last;
        0 for none."""
        ...


@frozen(kw_only=True)
class ReconcileSettings:
    """How a run reconciles. Times are seconds.

    Attributes:
        live: real money: a first start that finds something refuses, unless ``first_start`` says what to do.
        not_found_is_final_after: the adapter's (`Capabilities`).
        in_flight_after: an order without an answer is looked up once it is that old.
        in_flight, open_orders, positions: between two looks, while all is well.
        retry: before a query that failed is asked again.
        quiet: a symbol with activity within that time is not compared.
        clock: between two comparisons of the clocks; None compares none.
        rules: between two looks at the instruments' trading rules; None looks at none.
        written: what the config says of an instrument, by symbol: it holds whatever the broker says.
        overlap: how far executions are asked for again, for those that a broker lists late.
    """

    live: bool = False
    account: str = ""
    currency: str = "USD"
    first_start: Literal["adopt", "ignore"] | None = None
    foreign: Literal["halt", "adopt"] = "halt"
    not_found_is_final_after: float = field(default=60.0, validator=ge(0))
    in_flight_after: float = field(default=5.0, validator=ge(0))
    in_flight: float = field(default=2.0, validator=gt(0))
    open_orders: float = field(default=10.0, validator=gt(0))
    positions: float = field(default=30.0, validator=gt(0))
    retry: float = field(default=1.0, validator=gt(0))
    clock: float | None = field(default=None, validator=optional(gt(0)))
    quiet: float = field(default=10.0, validator=ge(0))
    rules: float | None = field(default=None, validator=optional(gt(0)))
    written: Mapping[str, Mapping[str, Any]] = field(factory=dict)
    overlap: float = field(default=60.0, validator=ge(0))
