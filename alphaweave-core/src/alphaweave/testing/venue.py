"""What a broker's sandbox offers the kit: the market in its hands, and its own ledger of truth.

One sandbox serves the kit, a user (``alphaweave sandbox acme``) and an adapter's own tests. Its entry point
is in the group ``alphaweave.sandboxes``, under the name of the broker, and yields an
`alphaweave.live.plugins.SandboxPlugin` whose ``create`` returns a `VenueControl` (or a `FeedControl`, or what
is both), not started. ``services.clock`` is the clock it has to use. Options named ``port`` and ``data`` take
what ``--port`` and ``--data`` of that command say.

Symbols here are the config's, as in ``names``. Sizes, prices and amounts are exact ``Decimal``: sizes in
units, prices in quote currency for a unit. Times are timezone-aware UTC.

How the market of a sandbox behaves:

* Nothing is filled but by `set_price` and `fill`, and where an order can trade at the last price as it comes.
* `set_price` lets the market trade at a price, as much as anybody wants: what can trade there does, by the
  venue's own rules, a market order included. Whether a market order is filled when it comes or at the next
  price is the venue's affair: the kit sets the price again.
* The account that `options` open holds nothing but cash: enough for 100 units of each symbol at 100. Every
  start of a sandbox that was made anew begins there.
* What the last price does not reach rests until it does, or until `fill`.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal

from attrs import field, frozen

from alphaweave.core.money import Money
from alphaweave.core.order import OrderRequest, OrderStatus, Side
from alphaweave.live.plugins import SandboxPlugin
from alphaweave.testing.sandbox import Action, Fault, Power, Sandbox, WireRequest, powerless

__all__ = [
    "Action",
    "Fault",
    "Power",
    "SandboxPlugin",
    "Truth",
    "TruthExecution",
    "TruthOrder",
    "VenueControl",
    "WireRequest",
]


@frozen(kw_only=True)
class TruthOrder:
    """One order version as the venue has it.

    Attributes:
        venue_order_id: the venue's own id.
        client_order_id: as it came; None for an order that was placed without one.
        symbol: the config's symbol; the venue's, where the config names none.
        request: its terms as the venue understood them, in AlphaWeave's words; None where it cannot be said
            (an order of somebody else's).
        status: where it stands; a version that a replacement ended is CANCELLED.
        quantity: total units; None while unknown, for an order sized in quote currency.
        filled: units executed.
        foreign: placed by `VenueControl.foreign_order` or `foreign_trade`.
        group: what joins the legs of one group, None for an order that is in none.
    """

    venue_order_id: str
    client_order_id: str | None
    symbol: str
    side: Side
    status: OrderStatus
    quantity: Decimal | None
    filled: Decimal
    request: OrderRequest | None = None
    foreign: bool = False
    group: str | None = None


@frozen(kw_only=True)
class TruthExecution:
    """One execution as the venue has it now, corrections included; a bust one has size zero.

    Attributes:
        id: the venue's own, what `VenueControl.bust` and its kin take. It need not be the adapter's
            ``execution_key``.
        fees: what was charged, late fees included.
    """

    id: str
    venue_order_id: str
    client_order_id: str | None
    symbol: str
    side: Side
    size: Decimal
    price: Decimal
    at: datetime
    fees: tuple[Money, ...] = ()


@frozen(kw_only=True)
class Truth:
    """The venue's own books.

    Attributes:
        orders: every order version, oldest first, ended ones too.
        executions: every execution, oldest first.
        balances: asset -> total owned, fees and flows included.
        positions: config symbol (the venue's, where the config names none) -> signed units; empty where
            holdings are balances. A symbol at zero may be absent.
    """

    orders: tuple[TruthOrder, ...] = ()
    executions: tuple[TruthExecution, ...] = ()
    balances: Mapping[str, Decimal] = field(factory=dict)
    positions: Mapping[str, Decimal] = field(factory=dict)

    def order(self, client_order_id: str) -> TruthOrder | None:
        """The order version under this id; the first, should there wrongly be several."""
        return next((order for order in self.orders if order.client_order_id == client_order_id), None)

    def executions_of(self, client_order_id: str) -> tuple[TruthExecution, ...]:
        """The executions of one order version."""
        return tuple(one for one in self.executions if one.client_order_id == client_order_id)


class VenueControl(Sandbox):
    """A broker's venue under control. All verbs that are not abstract are powers.

    Attributes:
        account_id: what the broker calls the account that `options` open; a paper account.
        currency: of the account.
    """

    account_id: str
    currency: str

    @abstractmethod
    def truth(self) -> Truth:
        """The books as they are now. They outlive connections and `restart`."""

    @abstractmethod
    async def set_price(self, symbol: str, price: Decimal) -> None:
        """Let the market trade at ``price`` now. The kit calls it for every symbol before anything else."""

    async def fill(
        self, client_order_id: str, size: Decimal | None = None, price: Decimal | None = None
    ) -> None:
        """Execute ``size`` units of a working order in one execution (FILL).

        Args:
            client_order_id: the order; one that rests.
            size: units; None is all that is left.
            price: None is its limit price, else the last price.
        """
        raise powerless("fill part of an order")

    async def cancel(self, client_order_id: str) -> None:
        """End a working order though nobody asked (CANCEL)."""
        raise powerless("cancel by itself")

    async def expire(self, client_order_id: str) -> None:
        """Let a working order reach the end of its time in force (EXPIRE)."""
        raise powerless("let an order expire")

    async def bust(self, execution_id: str) -> None:
        """Take an execution back, and say so on the event stream (BUST)."""
        raise powerless("bust an execution")

    async def correct(self, execution_id: str, size: Decimal, price: Decimal) -> None:
        """Restate an execution, and say so on the event stream (CORRECT)."""
        raise powerless("correct an execution")

    async def late_fee(self, execution_id: str, fee: Money) -> None:
        """Charge a fee for an execution after it was told (LATE_FEE)."""
        raise powerless("charge late")

    async def cash_flow(self, amount: Money, kind: str = "deposit") -> None:
        """Move money for another reason than a fill; signed, what the account has more of (CASH_FLOW)."""
        raise powerless("move cash")

    async def move_position(self, symbol: str, quantity: Decimal) -> None:
        """Change a position, or a holding, by so many signed units, without an execution (MOVE_POSITION)."""
        raise powerless("move a position")

    async def foreign_order(self, symbol: str, side: Side, size: Decimal, limit_price: Decimal) -> str:
        """Let somebody else place a resting limit order in the account (FOREIGN_ORDER).

        Args:
            symbol: one of the config's, or a venue symbol that the config does not name.

        Returns:
            The venue's order id.
        """
        raise powerless("place somebody else's order")

    async def foreign_trade(self, symbol: str, side: Side, size: Decimal, price: Decimal) -> str:
        """Let somebody else trade in the account (FOREIGN_TRADE).

        Returns:
            The venue's order id.
        """
        raise powerless("trade for somebody else")

    async def halt(self, symbol: str, halted: bool) -> None:
        """While True: take no order in ``symbol``, and say so in its rules (HALT)."""
        raise powerless("halt trading")
