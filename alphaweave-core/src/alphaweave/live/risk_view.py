"""The account as the risk rules see it, read from the run's own books when an order is judged."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from math import isfinite, nan

from alphaweave.core.money import CONTEXT, ZERO
from alphaweave.core.order import OrderStatus, Side
from alphaweave.live.ledger import Ledger
from alphaweave.live.orders import Order, SymbolBook
from alphaweave.live.proposal import Proposal
from alphaweave.live.risk_account import SymbolExposure

__all__ = ["BooksAccount", "UnknownOutcome"]

_add, _multiply, _subtract = CONTEXT.add, CONTEXT.multiply, CONTEXT.subtract
_UNSEEN = (OrderStatus.PENDING, OrderStatus.UNKNOWN)


class BooksAccount:
    """`alphaweave.live.risk_account.AccountView` over books and ledger.

    The broker's buying power is what `told` said last; before that, and after a restart, it is not known.

    Attributes:
        power_at: the instant of that figure, epoch nanoseconds UTC.
    """

    def __init__(self, books: Mapping[str, SymbolBook], ledger: Ledger) -> None:
        self._books = books
        self._ledger = ledger
        self._power: Decimal | None = None
        self.power_at = 0
        self._sent: list[tuple[int, Decimal | None]] = []

    @property
    def symbols(self) -> tuple[str, ...]:
        """The run's, in order."""
        return tuple(sorted(self._books))

    def told(self, buying_power: Decimal | None, as_of_ns: int) -> None:
        """The broker's figure, and the instant that it is certainly not older than."""
        if as_of_ns < self.power_at:
            return
        self._power, self.power_at = buying_power, as_of_ns
        self._sent = [(at, value) for at, value in self._sent if at >= as_of_ns]

    def sent(self, proposal: Proposal, now_ns: int) -> None:
        """An order passed the chain; the broker's figure does not know it yet."""
        if proposal.reduces or self._power is None:
            return
        value = proposal.notional
        if value is None and proposal.price is not None:
            value = proposal.instrument.notional(proposal.quantity, proposal.price)
        self._sent.append((now_ns, value))

    def exposures(self) -> Iterator[SymbolExposure]:
        for symbol, book in self._books.items():
            yield SymbolExposure(
                symbol,
                _add(book.quantity, book.open_buy),
                _subtract(book.quantity, book.open_sell),
                _price(book),
                self._weight(book),
            )
        for symbol, position in self._ledger.positions.items():
            if symbol not in self._books and position.quantity:
                yield SymbolExposure(symbol, position.quantity, position.quantity, None)

    def equity(self) -> Decimal | None:
        def price_of(symbol: str) -> float:
            book = self._books.get(symbol)
            last = None if book is None else book.last()
            return nan if last is None else last

        equity = self._ledger.equity(price_of)
        if not isfinite(equity) or not all(map(self._lies_aside, self._ledger.unpriced)):
            return None
        return Decimal(repr(equity))

    def _lies_aside(self, asset: str) -> bool:
        """Whether it is owned, and nothing that the run trades is bought, priced or settled in it: what was
        in the account before is left out of its value, but for debts."""
        traded = {
            name
            for book in self._books.values()
            for name in (book.instrument.base, book.instrument.quote, book.instrument.settle)
        }
        return asset not in traded and self._ledger.balances.get(asset, ZERO) > ZERO

    def buying_power(self) -> Decimal | None:
        return self._power

    def unseen(self) -> Decimal | None:
        total = ZERO
        for _, value in self._sent:
            if value is None:
                return None
            total = _add(total, value)
        for book in self._books.values():
            for order in book.orders.values():
                # Later ones are among those that were sent since.
                if order.status in _UNSEEN and order.decided_at < self.power_at and order.reserved:
                    price = _price(book)
                    if price is None:
                        return None
                    total = _add(total, book.instrument.notional(order.reserved, price))
        return total

    def open_orders(self) -> int:
        return sum(len(book.orders) for book in self._books.values())

    def waiting(self, symbol: str) -> tuple[int, int]:
        """How many orders are open, in flight or UNKNOWN in a symbol, and how many of them may wait for a
        trigger."""
        book = self._books.get(symbol)
        orders = () if book is None else tuple(book.orders.values())
        return len(orders), sum(1 for order in orders if not order.intends)

    def resting(self, symbol: str, side: Side) -> Iterator[Decimal]:
        book = self._books.get(symbol)
        if book is None:
            return
        for order in book.orders.values():
            if order.side is side:
                yield from _limits(order)

    def in_doubt(self, symbol: str) -> str | None:
        """The order of a symbol whose outcome is not known, if there is one."""
        book = self._books.get(symbol)
        if book is None:
            return None
        unknown = (order.id for order in book.orders.values() if order.status is OrderStatus.UNKNOWN)
        return next(unknown, None)

    def _weight(self, book: SymbolBook) -> Decimal | None:
        instrument = book.instrument
        asset = instrument.settle if instrument.base is None else instrument.quote
        return instrument.multiplier if asset == self._ledger.currency else None


class UnknownOutcome:
    """Nothing new in a symbol while the outcome of one of its orders is not known."""

    code = "unknown_outcome"
    applies_to_reductions = False

    def __init__(self, account: BooksAccount) -> None:
        self._account = account

    def check(self, proposal: Proposal) -> str | None:
        order = self._account.in_doubt(proposal.symbol)
        return None if order is None else f"what became of order {order} in {proposal.symbol} is not known"


def _price(book: SymbolBook) -> Decimal | None:
    last = book.last()
    return None if last is None or not isfinite(last) else Decimal(repr(last))


def _limits(order: Order) -> Iterator[Decimal]:
    if order.request.limit_price is not None:
        yield order.request.limit_price
    if order.change is not None and order.change.limit_price is not None:
        yield order.change.limit_price
