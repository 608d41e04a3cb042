"""What crypto costs: a share of what is credited, taken at once, and told among the activities later."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import ROUND_CEILING, Decimal

from attrs import frozen

from alphaweave.core.money import ZERO, Money

__all__ = ["Charge", "Charges"]

_MAKER, _TAKER = Decimal("0.0015"), Decimal("0.0025")
_COIN_STEP, _CENT = Decimal("1e-9"), Decimal("0.01")


@frozen
class Charge:
    """The fee of one execution.

    Attributes:
        coins: taken from a purchase; ``cash`` from the proceeds of a sale. One of them is zero.
        due: when it is told, nanoseconds.
    """

    symbol: str
    coins: Decimal
    cash: Decimal
    price: Decimal
    due: int

    @property
    def fee(self) -> Money:
        """It, in what it is taken in."""
        if self.coins:
            return Money(self.symbol.partition("/")[0], self.coins)
        return Money("USD", self.cash)


class Charges:
    """Works fees out, each rounded up, and keeps those that are not told yet.

    Args:
        delay: seconds until one is told.
    """

    def __init__(self, delay: float) -> None:
        self._delay = round(delay * 1_000_000_000)
        self._untold: list[Charge] = []

    def charge(  # noqa: PLR0917 - an execution, as it is
        self, symbol: str, buy: bool, qty: Decimal, price: Decimal, at: int, maker: bool
    ) -> Charge:
        """Charge an execution; who rests in the book pays less."""
        rate = _MAKER if maker else _TAKER
        coins = (qty * rate).quantize(_COIN_STEP, ROUND_CEILING) if buy else ZERO
        cash = ZERO if buy else (qty * price * rate).quantize(_CENT, ROUND_CEILING)
        made = Charge(symbol, coins, cash, price, at + self._delay)
        self._untold.append(made)
        return made

    def told_by(self, now: int) -> Iterator[Charge]:
        """Those that are told by now, each once."""
        due = [one for one in self._untold if one.due <= now]
        self._untold = [one for one in self._untold if one.due > now]
        yield from due
