"""Executions, which alone say what was traded: their revisions, and the commissions that come for them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final

from attrs import define, evolve
from ib_async import CommissionReport, Contract, Execution

from alphaweave.core.money import ZERO, Money
from alphaweave.core.order import Side
from alphaweave.live.broker import BrokerFill, FeeReport, FillCorrection
from alphaweave_broker_ibkr.figures import exact
from alphaweave_broker_ibkr.names import Symbols, is_ours

__all__ = ["Executions", "key_of"]

_SIDES: Final = {"BOT": Side.BUY, "SLD": Side.SELL}
# The gateway itself forgets at midnight; what is restated later is told as new, in its revision.
_KEPT: Final = timedelta(days=3)
_MOST_UNKNOWN: Final = 1000


@define
class _Known:
    """One execution. ``fill`` is None once it was taken back; ``size`` is what it counts for."""

    revision: int
    fill: BrokerFill | None
    at: datetime
    size: Decimal


@define
class _Charged:
    revision: int
    fees: tuple[Money, ...]


def key_of(exec_id: str) -> tuple[str, int]:
    """What an execution is called for ever, and its revision: a correction changes the last part only."""
    key, dot, last = exec_id.rpartition(".")
    return (key, int(last)) if dot and key and last.isdigit() else (exec_id, 0)


class Executions:
    """Every execution that was told of, in whatever order and however often, each as it last was.

    Attributes:
        account: whose they are; those of others are not listened to.
        count: how many messages had something to tell.
    """

    def __init__(self, symbols: Symbols) -> None:
        self.account = ""
        self.count = 0
        self._symbols = symbols
        self._known: dict[str, _Known] = {}
        self._charged: dict[str, _Charged] = {}
        self._theirs: dict[str, None] = {}

    def told(
        self, contract: Contract, execution: Execution, at: datetime
    ) -> tuple[BrokerFill | FillCorrection, Decimal] | None:
        """One message of an execution: what there is to tell, and what it adds to what was filled. None if
        it is known, or is nobody's here.

        Raises:
            ValueError: it lacks what it cannot do without.
        """
        key, revision = key_of(execution.execId)
        if not key or execution.time.tzinfo is None:
            raise ValueError(f"an execution has an id, and a time with its zone: {execution}")
        if execution.acctNumber != self.account or contract.secType == "BAG":
            # A combination is bought leg by leg, and each leg has executions of its own.
            self._theirs[key] = None
            self._charged.pop(key, None)
            if len(self._theirs) > _MOST_UNKNOWN:
                del self._theirs[next(iter(self._theirs))]
            return None
        before = self._known.get(key)
        if before is not None and revision <= before.revision:
            return None
        size = exact(execution.shares) or ZERO
        fill = self._fill(contract, execution, at) if size > ZERO else None
        moment = execution.time.astimezone(UTC)
        self._known[key] = _Known(revision, fill, moment, size)
        self.count += 1
        self._forget(moment)
        if before is None and fill is not None:
            return fill, size
        added = size - (ZERO if before is None else before.size)
        return FillCorrection(self.account, key, revision, fill, at), added

    def _fill(self, contract: Contract, execution: Execution, at: datetime) -> BrokerFill:
        key, revision = key_of(execution.execId)
        side, price = _SIDES.get(execution.side), exact(execution.price)
        if side is None or price is None:
            raise ValueError(f"an execution has a side and a price: {execution}")
        charged = self._charged.get(key)
        return BrokerFill(
            account=self.account,
            execution_key=key,
            broker_order_id=_order_id(execution, key),
            client_order_id=execution.orderRef or None,
            symbol=self._symbols.symbol(contract),
            side=side,
            size=exact(execution.shares) or ZERO,
            price=price,
            executed_at=execution.time.astimezone(UTC),
            received_at=at,
            revision=revision,
            # Of a trade from outside it is of an order that has no name, so that it tells nothing apart.
            cumulative=(exact(execution.cumQty) or None) if execution.permId else None,
            fees=None if charged is None else charged.fees,
            foreign=not (self._symbols.is_named(contract) and is_ours(execution.orderRef)),
        )

    def charged(self, report: CommissionReport, at: datetime) -> FeeReport | None:
        """What an execution costs, after it or never; None where that is known or not said. What comes before
        it is told with it: whose it is only the execution says."""
        key, revision = key_of(report.execId)
        commission = exact(report.commission)
        before = self._charged.get(key)
        if commission is None or not report.currency or key in self._theirs:
            return None
        if before is not None and revision < before.revision:
            return None
        fees = () if commission == ZERO else (Money(report.currency, commission),)
        self._charged[key] = _Charged(revision, fees)
        known = self._known.get(key)
        if known is None:
            self._forget_unknown()
            return None
        if before is not None and before.fees == fees:
            return None
        if known.fill is not None:
            known.fill = evolve(known.fill, fees=fees)
        return FeeReport(self.account, key, fees, at)

    def fills(self, keys: Iterable[str]) -> tuple[BrokerFill, ...]:
        """Those of these that were not taken back, as they are now."""
        found = (self._known.get(key) for key in keys)
        return tuple(one.fill for one in found if one is not None and one.fill is not None)

    def size_of(self, broker_order_id: str | None) -> Decimal:
        """What is known to be executed of an order."""
        fills = (one.fill for one in self._known.values())
        mine = (fill.size for fill in fills if fill is not None and fill.broker_order_id == broker_order_id)
        return sum(mine, ZERO)

    def _forget(self, now: datetime) -> None:
        while (oldest := next(iter(self._known))) and self._known[oldest].at < now - _KEPT:
            del self._known[oldest]
            self._charged.pop(oldest, None)

    def _forget_unknown(self) -> None:
        if len(self._charged) > len(self._known) + _MOST_UNKNOWN:
            oldest = next(key for key in self._charged if key not in self._known)
            del self._charged[oldest]


def _order_id(execution: Execution, key: str) -> str:
    if execution.permId:
        return str(execution.permId)
    if execution.orderId:
        return f"{execution.clientId}/{execution.orderId}"
    return f"execution {key}"
