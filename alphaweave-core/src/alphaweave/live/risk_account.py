"""Rules about the whole account, with everything that is open, in flight or unknown counted at its worst.

What they look at is the kernel's (`AccountView`), asked for when an order is judged. What cannot be valued
denies: a position without a price, an account without an equity.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Protocol

from attrs import frozen

from alphaweave.core.money import CONTEXT, ZERO, plain
from alphaweave.core.order import OrderRequest, OrderType, Side
from alphaweave.live.risk_rules import Denial, Proposal

__all__ = [
    "AccountView",
    "BuyingPower",
    "MaxGrossExposure",
    "MaxLeverage",
    "MaxNetExposure",
    "MaxOpenOrders",
    "SelfMatch",
    "SymbolExposure",
]

_add = CONTEXT.add
_multiply = CONTEXT.multiply
_subtract = CONTEXT.subtract


@frozen
class SymbolExposure:
    """What one symbol may come to.

    Attributes:
        worst_long, worst_short: signed units after every open, in-flight and UNKNOWN order of the buy
            (sell) side has filled.
        price: last price in quote currency; None when there is none.
        weight: what one unit gains in the run's currency when the price rises by one; None when the
            rate of exchange is not known.
    """

    symbol: str
    worst_long: Decimal
    worst_short: Decimal
    price: Decimal | None
    weight: Decimal | None = Decimal(1)


class AccountView(Protocol):
    """The account as the kernel sees it when an order is judged, that order not included."""

    def exposures(self) -> Iterable[SymbolExposure]:
        """The symbol that is judged, and every one held or ordered, also those the run does not trade."""
        ...

    def equity(self) -> Decimal | None:
        """In the run's currency; None when it is not known."""
        ...

    def buying_power(self) -> Decimal | None:
        """The broker's figure, in the run's currency; None when it is not known."""
        ...

    def unseen(self) -> Decimal | None:
        """What orders that figure does not know yet take of it: in flight, UNKNOWN, sent since."""
        ...

    def open_orders(self) -> int:
        """How many are open, in flight or UNKNOWN."""
        ...

    def resting(self, symbol: str, side: Side) -> Iterable[Decimal]:
        """The limit prices of own orders on that side that may rest in the book, UNKNOWN ones too."""
        ...


@frozen
class _Worst:
    """The account at its worst, in the run's currency, an order included."""

    gross: Decimal
    long: Decimal
    short: Decimal
    added: Decimal


class _Valued:
    """A rule that values the account."""

    code = ""
    applies_to_reductions = False

    def __init__(self, view: AccountView, limit: Decimal) -> None:
        if not limit > ZERO:
            raise ValueError("a limit is above zero; leave the rule out for none")
        self._view = view
        self._limit = limit

    def check(self, proposal: Proposal) -> Denial | str | None:
        worst = self._worst(proposal)
        return worst if isinstance(worst, Denial) else self._judge(worst)

    def _judge(self, worst: _Worst) -> Denial | str | None:
        return "the rule judges nothing"

    def _over(self, what: str, value: Decimal) -> str | None:
        if value <= self._limit:
            return None
        return f"{what} could reach {plain(value)}, above the limit, {plain(self._limit)}"

    def _worst(self, proposal: Proposal) -> _Worst | Denial:
        gross = long = short = added = ZERO
        met = False
        for each in self._view.exposures():
            highest, lowest, price = each.worst_long, each.worst_short, each.price
            if each.symbol == proposal.symbol:
                met = True
                before = max(highest, -lowest, ZERO)
                if proposal.price is not None:
                    price = proposal.price if price is None else max(price, proposal.price)
                if proposal.side is Side.BUY:
                    highest = _add(highest, proposal.quantity)
                else:
                    lowest = _subtract(lowest, proposal.quantity)
                units = _subtract(max(highest, -lowest, ZERO), before)
                if price is not None and each.weight is not None:
                    added = _multiply(_multiply(units, price), each.weight)
            elif not highest and not lowest:
                continue
            if price is None or each.weight is None:
                text = f"{each.symbol} has no price in the run's currency, so the account cannot be valued"
                return Denial("no_reference_price", text)
            unit = abs(_multiply(price, each.weight))
            gross = _add(gross, _multiply(max(highest, -lowest, ZERO), unit))
            long = _add(long, _multiply(highest, unit))
            short = _add(short, _multiply(lowest, unit))
        if not met:
            return Denial(self.code, f"{proposal.symbol} is not among what the account is valued by")
        return _Worst(gross, long, short, added)


class MaxGrossExposure(_Valued):
    """Sum over symbols of the larger of the two sides each may come to."""

    code = "max_gross_exposure"

    def _judge(self, worst: _Worst) -> str | None:
        return self._over("gross exposure", worst.gross)


class MaxNetExposure(_Valued):
    """What all together may come to in one direction."""

    code = "max_net_exposure"

    def _judge(self, worst: _Worst) -> str | None:
        return self._over("net exposure", max(worst.long, -worst.short))


class MaxLeverage(_Valued):
    """Gross exposure over equity."""

    code = "max_leverage"

    def _judge(self, worst: _Worst) -> Denial | str | None:
        equity = self._view.equity()
        if equity is None or not equity > ZERO:
            return _no_equity(equity)
        if worst.gross <= _multiply(equity, self._limit):
            return None
        exact = CONTEXT.divide(worst.gross, equity)
        # As few digits as show that it is above.
        rounded = (round(exact, digits) for digits in range(2, 12))
        share = next((one for one in rounded if one > self._limit), exact)
        return f"leverage could reach {plain(share)}, above the limit, {plain(self._limit)}"


class BuyingPower(_Valued):
    """What the account can carry, by its own books and by the broker's figure.

    By the books, gross exposure times ``margin`` stays within equity: with a margin of 1 that is what cash
    can pay. By the broker's figure, what the order adds, times ``margin``, stays within what the figure
    leaves after orders it does not know. Where the broker has no such figure, say ``broker=False``.
    """

    code = "buying_power"

    def __init__(self, view: AccountView, *, margin: Decimal = Decimal(1), broker: bool = True) -> None:
        super().__init__(view, margin)
        self._broker = broker

    def _judge(self, worst: _Worst) -> Denial | str | None:
        equity = self._view.equity()
        if equity is None:
            return _no_equity(equity)
        needed = _multiply(worst.gross, self._limit)
        if needed > equity:
            return f"with everything open it could need {plain(needed)}; the account has {plain(equity)}"
        if not self._broker:
            return None
        figure, unseen = self._view.buying_power(), self._view.unseen()
        if figure is None or unseen is None:
            return "the broker's buying power is not known"
        left = _subtract(figure, unseen)
        needed = _multiply(worst.added, self._limit)
        if needed <= max(left, ZERO):
            return None
        return f"it could need {plain(needed)}; the broker's buying power leaves {plain(left)}"


class MaxOpenOrders:
    """Orders that are open, in flight or UNKNOWN, this one included."""

    code = "max_open_orders"
    applies_to_reductions = False

    def __init__(self, view: AccountView, limit: int = 50) -> None:
        if limit < 1:
            raise ValueError("a limit is at least one order")
        self._view = view
        self._limit = limit

    def check(self, proposal: Proposal) -> str | None:
        count = self._view.open_orders()
        return f"{count} orders are open, which is all there may be" if count >= self._limit else None


class SelfMatch:
    """The order would trade at once with one of this account that rests on the other side. Stops are not
    judged: nobody knows what rests when they are triggered."""

    code = "self_match"
    applies_to_reductions = False

    def __init__(self, view: AccountView) -> None:
        self._view = view

    def check(self, proposal: Proposal) -> str | None:
        request = proposal.request
        if request is None:
            return "the proposal carries no order to judge"
        if request.type not in {OrderType.MARKET, OrderType.LIMIT}:
            return None
        for price in self._view.resting(proposal.symbol, proposal.side.opposite):
            if _crosses(request, price):
                return f"it would trade with an own order that rests at {plain(price)}"
        return None


def _crosses(request: OrderRequest, price: Decimal) -> bool:
    if request.limit_price is None:
        return True
    return request.limit_price >= price if request.side is Side.BUY else request.limit_price <= price


def _no_equity(equity: Decimal | None) -> Denial:
    if equity is None:
        return Denial("equity_unknown", "the account's equity is not known")
    return Denial("no_equity", f"the account's equity is {plain(equity)}")
