"""The money and the holdings of the account."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import ROUND_HALF_EVEN, Decimal

from attrs import define

from alphaweave.core.money import CONTEXT, ZERO
from alphaweave_broker_ibkr.sandbox.contracts import Contract

__all__ = ["BASE", "Account", "Position", "commission_of"]

BASE = "USD"
_CENT = Decimal("0.01")


def commission_of(contract: Contract, size: Decimal, price: Decimal) -> Decimal:
    """What an execution costs, in the contract's currency."""
    value = size * price
    rates = {
        "STK": max(Decimal(1), size * Decimal("0.005")),
        "CASH": max(Decimal(2), value * Decimal("0.00002")),
        "FUT": size * Decimal("2.25"),
        "CRYPTO": max(Decimal("0.10"), value * Decimal("0.0018")),
    }
    return rates[contract.sec_type].quantize(_CENT, ROUND_HALF_EVEN)


@define(eq=False)
class Position:
    """Units of one contract; a pair of currencies has one beside the balances.

    Attributes:
        cost: average, for one unit of the position (with the multiplier).
    """

    contract: Contract
    size: Decimal = ZERO
    cost: Decimal = ZERO
    realized: Decimal = ZERO


class Account:
    """One account in US dollars.

    Attributes:
        number: its name; one of paper money begins with DU.
        cash: balances by currency.
        last: a contract's last price; None if there is none.
    """

    def __init__(self, number: str, cash: Decimal, last: Callable[[Contract], Decimal | None]) -> None:
        self.number = number
        self.cash: dict[str, Decimal] = {BASE: cash}
        self.positions: dict[int, Position] = {}
        self._last = last
        self.rates: Callable[[str], Decimal] = lambda currency: Decimal(1)

    def position(self, contract: Contract) -> Position:
        return self.positions.setdefault(contract.con_id, Position(contract))

    def pay(self, currency: str, amount: Decimal) -> None:
        """Add an amount to a balance."""
        self.cash[currency] = CONTEXT.add(self.cash.get(currency, ZERO), amount)

    def book(self, contract: Contract, size: Decimal, price: Decimal) -> Decimal | None:
        """Take an execution in.

        Args:
            size: signed units.

        Returns:
            What it realized; None if it closed nothing.
        """
        value = size * price * contract.multiplier
        realized = self._carry(self.position(contract), size, price * contract.multiplier)
        if contract.sec_type == "FUT":
            self.pay(contract.currency, realized or ZERO)
            return realized
        self.pay(contract.currency, -value)
        if contract.sec_type == "CASH":
            self.pay(contract.symbol, size)
        return realized

    @staticmethod
    def _carry(held: Position, size: Decimal, cost: Decimal) -> Decimal | None:
        before, after = held.size, held.size + size
        realized = None
        if before and (before > 0) != (size > 0):
            closed = min(abs(before), abs(size))
            realized = closed * (cost - held.cost) * (1 if before > 0 else -1)
            held.realized += realized
            if abs(size) > abs(before):
                held.cost = cost
        elif after:
            held.cost = CONTEXT.divide(abs(before) * held.cost + abs(size) * cost, abs(after))
        held.size = after
        if not after:
            held.cost = ZERO
        return realized

    # Figures -------------------------------------------------------------------------------------------

    def price(self, held: Position) -> Decimal:
        """What a unit is worth now, without the multiplier."""
        last = self._last(held.contract)
        return CONTEXT.divide(held.cost, held.contract.multiplier) if last is None else last

    def value(self, held: Position) -> Decimal:
        """Market value, in the contract's currency."""
        return held.size * self.price(held) * held.contract.multiplier

    def gain(self, held: Position) -> Decimal:
        """What it would realize now."""
        return self.value(held) - held.size * held.cost

    def held(self) -> Iterable[Position]:
        return [one for one in self.positions.values() if one.size]

    def total_cash(self) -> Decimal:
        """All balances, in dollars."""
        return sum((amount * self.rates(currency) for currency, amount in self.cash.items()), ZERO)

    def equity(self) -> Decimal:
        """Net liquidation value, in dollars."""
        worth = ZERO
        for held in self.held():
            kind = held.contract.sec_type
            # A pair's position is already in the balances.
            if kind != "CASH":
                figure = self.gain(held) if kind == "FUT" else self.value(held)
                worth += figure * self.rates(held.contract.currency)
        return self.total_cash() + worth

    def margin(self) -> Decimal:
        """What the positions lock up, in dollars."""
        return sum((self.locks(one.contract, one.size, self.price(one)) for one in self.held()), ZERO)

    def locks(self, contract: Contract, size: Decimal, price: Decimal) -> Decimal:
        """What so many units lock up, in dollars."""
        if contract.sec_type == "FUT":
            return abs(size) * contract.margin
        return abs(size) * price * contract.multiplier * contract.margin * self.rates(contract.currency)
