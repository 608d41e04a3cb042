"""What the account owns: free and locked of each asset, and what an execution costs."""

from __future__ import annotations

from decimal import Decimal

from attrs import define, frozen

from alphaweave.core.money import CONTEXT, ZERO, Money
from alphaweave_broker_binance.sandbox.figures import cut, product
from alphaweave_broker_binance.sandbox.pairs import Pair

__all__ = ["Account", "Balance", "Rates"]

_FEE_ASSET = "BNB"
_DISCOUNTED = Decimal("0.75")


@define
class Balance:
    free: Decimal = ZERO
    locked: Decimal = ZERO

    @property
    def total(self) -> Decimal:
        return CONTEXT.add(self.free, self.locked)


@frozen
class Rates:
    """Commission as a share of what is traded."""

    maker: Decimal
    taker: Decimal


class Account:
    """One spot account.

    Attributes:
        uid: its number.
        trades: it may.
        updated: milliseconds, of the last change.
    """

    uid = 354_937_868

    def __init__(self, rates: Rates, *, trades: bool = True) -> None:
        self.rates, self.trades = rates, trades
        self.updated = 0
        self._assets: dict[str, Balance] = {}

    def of(self, asset: str) -> Balance:
        return self._assets.setdefault(asset, Balance())

    def balances(self) -> dict[str, Balance]:
        """By asset, those without anything too."""
        return dict(sorted(self._assets.items()))

    def move(self, asset: str, amount: Decimal) -> None:
        """Let there be so much more of an asset that is free; signed."""
        balance = self.of(asset)
        balance.free = CONTEXT.add(balance.free, amount)

    def lock(self, asset: str, amount: Decimal) -> None:
        """Lock so much more of what is free; less, if negative."""
        balance = self.of(asset)
        balance.free = CONTEXT.subtract(balance.free, amount)
        balance.locked = CONTEXT.add(balance.locked, amount)

    def book(
        self,
        pair: Pair,
        *,
        buy: bool,
        size: Decimal,
        price: Decimal,
        maker: bool,
        fee_price: Decimal | None,
    ) -> Money:
        """Move what an execution moves, all of it free, and charge its commission.

        Args:
            fee_price: quote asset for one BNB; None where nobody knows.

        Returns:
            The commission.
        """
        value = product(size, price)
        sign = 1 if buy else -1
        self.move(pair.base, size * sign)
        self.move(pair.quote, -value * sign)
        rate = self.rates.maker if maker else self.rates.taker
        fee = self._fee(pair, rate, buy=buy, size=size, value=value, fee_price=fee_price)
        self.move(fee.asset, -fee.amount)
        return fee

    def _fee(
        self,
        pair: Pair,
        rate: Decimal,
        *,
        buy: bool,
        size: Decimal,
        value: Decimal,
        fee_price: Decimal | None,
    ) -> Money:
        """In BNB while there is enough of it, else in what the execution brought."""
        price = value if pair.quote == _FEE_ASSET else fee_price
        if price is not None and price > ZERO:
            worth = value if pair.quote == _FEE_ASSET else CONTEXT.divide(value, price)
            due = cut(CONTEXT.multiply(CONTEXT.multiply(worth, rate), _DISCOUNTED))
            if due <= self.of(_FEE_ASSET).free and self.of(_FEE_ASSET).free > ZERO:
                return Money(_FEE_ASSET, due)
        if buy:
            return Money(pair.base, product(size, rate))
        return Money(pair.quote, product(value, rate))
