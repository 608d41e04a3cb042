"""What the broker knows to be so, whatever it told anybody."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from decimal import Decimal

from attrs import define, evolve, field

from alphaweave.core.money import ZERO
from alphaweave.live.reports import BrokerFill, CashFlow

__all__ = ["Truth"]


@define
class Truth:
    """The broker's books.

    Attributes:
        opening: cash at the start.
        accepted: client order id -> how many orders the broker made of it.
        asked: intent of a cancel -> how often this process asked for it.
        executions: by key, as they are now; a busted one is gone.
        revisions: by key, also of busted ones.
        aliases: another key that an execution was told under -> its own.
        listed: what a query of executions goes through, oldest first.
        flows: by key.
    """

    opening: Decimal
    accepted: Counter[str] = field(factory=Counter)
    asked: Counter[str] = field(factory=Counter)
    executions: dict[str, BrokerFill] = field(factory=dict)
    revisions: dict[str, int] = field(factory=dict)
    aliases: dict[str, str] = field(factory=dict)
    listed: list[tuple[int, BrokerFill | CashFlow]] = field(factory=list)
    flows: dict[str, CashFlow] = field(factory=dict)

    def executed(self, fill: BrokerFill, now: int) -> None:
        """An execution, or the next revision of one."""
        self.executions[fill.execution_key] = fill
        self.revisions[fill.execution_key] = fill.revision
        self.listed.append((now, fill))

    def bust(self, key: str) -> int:
        """An execution is taken back; the revision that says so."""
        del self.executions[key]
        self.revisions[key] += 1
        self.listed = [
            (at, item)
            for at, item in self.listed
            if not (isinstance(item, BrokerFill) and item.execution_key == key)
        ]
        return self.revisions[key]

    def restate(self, key: str, price: Decimal, now: int) -> BrokerFill:
        """An execution had another price."""
        fill = self.executions[key]
        restated = evolve(fill, price=price, revision=fill.revision + 1)
        self.executed(restated, now)
        return restated

    def flow(self, flow: CashFlow, now: int) -> None:
        """Money moved."""
        self.flows[flow.key] = flow
        self.listed.append((now, flow))

    def position(self, symbol: str) -> Decimal:
        """Signed units."""
        return _units(fill for fill in self.executions.values() if fill.symbol == symbol)

    def positions(self) -> dict[str, Decimal]:
        """Signed units of what is held."""
        symbols = dict.fromkeys(fill.symbol for fill in self.executions.values())
        return {symbol: units for symbol in symbols if (units := self.position(symbol))}

    def filled(self, client_order_id: str) -> Decimal:
        """Units of one order version's own executions."""
        return sum(
            (fill.size for fill in self.executions.values() if fill.client_order_id == client_order_id), ZERO
        )

    def cash(self) -> Decimal:
        """Opening, legs, fees and flows."""
        cash = self.opening
        for fill in self.executions.values():
            cash -= fill.side.sign * fill.size * fill.price
            cash -= sum((fee.amount for fee in fill.fees or ()), ZERO)
        return cash + sum((flow.amount.amount for flow in self.flows.values()), ZERO)


def _units(fills: Iterable[BrokerFill]) -> Decimal:
    return sum((fill.side.sign * fill.size for fill in fills), ZERO)
