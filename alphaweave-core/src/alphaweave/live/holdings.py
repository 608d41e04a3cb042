"""What a run holds of its spot instruments, as its account has it: balances, whatever moved them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from alphaweave.core.money import CONTEXT, ZERO, Money
from alphaweave.live.bookkeeper import Bookkeeper
from alphaweave.live.orders import SymbolBook
from alphaweave.live.reports import CashFlow

__all__ = ["HoldingsKeeper"]

_subtract = CONTEXT.subtract


class HoldingsKeeper(Bookkeeper):
    """Books in which a spot position is the balance of its base asset.

    Not fills alone move that: commissions of other symbols are taken out of it, it pays for what is quoted in
    it, it is deposited and withdrawn, and a first start finds some. Of several instruments with one base
    asset the first has what the fills of the others did not bring. Cost and profit stay those of fills.
    """

    def __init__(self, **parts: Any) -> None:
        super().__init__(**parts)
        self._homes: dict[str, tuple[SymbolBook, list[str]]] = {}
        for symbol, book in self.books.items():
            base = book.instrument.base
            self.ledger.add_instrument(book.instrument)
            # What cash is counted in is no position.
            if base is None or base == self.ledger.currency:
                continue
            if base in self._homes:
                self._homes[base][1].append(symbol)
            else:
                self._homes[base] = (book, [])

    def refresh(self, book: SymbolBook) -> None:
        super().refresh(book)
        if self._homes:
            self.follow_balances()

    def on_cash_flow(self, flow: CashFlow) -> None:
        super().on_cash_flow(flow)
        self.follow_balances()

    def follow_balances(self) -> None:
        """Take over from the ledger what is held of each base asset."""
        positions, balances = self.ledger.positions, self.ledger.balances
        moved = False
        for base, (book, others) in self._homes.items():
            quantity = balances.get(base, ZERO)
            for symbol in others:
                if symbol in positions:
                    quantity = _subtract(quantity, positions[symbol].quantity)
            if quantity != book.quantity:
                book.quantity, book.units = quantity, float(quantity)
                book.weight = book.units * book.multiplier
                self.moves.append((self.row, book.symbol, book.units))
                moved = True
        if moved:
            self.held = [each for each in self.books.values() if each.units != 0.0]

    def equity(self) -> float:
        net = 0.0
        for book in self.held:
            # What a first start finds may be there before its first price.
            if book.cursor.count:
                net += book.weight * book.closes[book.cursor.count - 1]
        return self.ledger.cash + net

    def worth(self, money: Money) -> Decimal | None:
        """It in the run's currency, at the last price; None while that cannot be said."""
        currency = self.ledger.currency
        if money.asset == currency:
            return money.amount
        for book in self.books.values():
            if (book.instrument.base, book.instrument.quote) == (money.asset, currency):
                last = book.last()
                return None if last is None else CONTEXT.multiply(money.amount, Decimal(repr(last)))
        return None
