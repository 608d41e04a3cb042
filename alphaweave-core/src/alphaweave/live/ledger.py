"""The ledger: exact books of one account, built from fills, fees and flows in whatever order they come.

Each execution is entered once. What is known of it (its newest revision, a bust, late fees) only grows, and
the books always show the effect of all that is known; so duplicates, corrections and late events end in the
same books whichever way they arrive. Within a symbol, average price and realised profit follow the order of
``executed_at``, ties in order of arrival.

Sums are exact while they fit the 40 digits of `alphaweave.core.money.CONTEXT`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from math import isnan, nan
from typing import Any

from alphaweave.core.errors import InvariantViolation, StateMismatch
from alphaweave.core.instrument import Instrument
from alphaweave.core.money import CONTEXT, ZERO
from alphaweave.live.ledger_archive import LedgerArchive
from alphaweave.live.ledger_codec import pack_books, unpack_accounts, unpack_books
from alphaweave.live.ledger_entries import (
    Adjustment,
    Booking,
    BookingKind,
    Execution,
    Position,
    terms,
)
from alphaweave.live.reports import BrokerFill, CashFlow, FeeReport, FillCorrection, PositionChange

__all__ = ["Booking", "BookingKind", "Execution", "Ledger", "Position"]

_FILL, _CORRECTION, _BUST, _FEES = BookingKind
_Sum = Callable[[Decimal, Decimal], Decimal]
_add, _subtract = CONTEXT.add, CONTEXT.subtract


class Ledger:
    """The books of one run in one account.

    Attributes:
        currency: the run's currency.
        account: the broker's account id; empty until it matters.
        balances: asset -> exact amount: opening cash, legs of fills, fees, flows.
        positions: by symbol, created by its first fill or change.
        cash: the balance in ``currency``, as a float.
        executions: by execution key; two keys of one execution share an entry.
        archive: where those of long ago are; None: they are all here.
        unpriced: assets (and symbols) that the last `equity` left out for want of a price.
    """

    __slots__ = (
        "_amounts",
        "_changes",
        "_flows",
        "_pricers",
        "account",
        "archive",
        "balances",
        "cash",
        "currency",
        "executions",
        "positions",
        "unpriced",
    )

    def __init__(self, *, currency: str, cash: Decimal, account: str = "") -> None:
        self.currency = currency
        self.account = account
        self.balances: dict[str, Decimal] = {currency: cash}
        self.positions: dict[str, Position] = {}
        self.cash = float(cash)
        self.executions: dict[str, Execution] = {}
        self.archive: LedgerArchive | None = None
        self.unpriced: tuple[str, ...] = ()
        self._amounts: dict[str, float] = {}  # float mirrors of the other balances, made when asked for
        self._pricers: dict[str, str] = {}  # asset -> symbol whose price is that asset in the run's currency
        self._flows: dict[str, None] = {}
        self._changes: dict[str, None] = {}

    def book(self, fill: BrokerFill, instrument: Instrument) -> Booking | None:
        """Enter an execution, or a higher revision of one that is known; None if it is a duplicate.

        Raises:
            InvariantViolation: the fill belongs to another account or symbol, contradicts what was
                booked under its key, or the instrument's accounting terms have changed.
        """
        if fill.account != self.account:
            self._check_account(fill.account)
        position = self.positions.get(fill.symbol)
        if position is None or position.instrument is not instrument:
            position = self._open(fill.symbol, instrument)
        key = fill.execution_key
        if self.archive is not None:
            self.archive.recall(fill)
        if key in self.executions:
            return self._receive(key, fill, fill.revision, position)
        if fill.cumulative is not None:
            signature = (fill.broker_order_id, fill.cumulative, fill.size, fill.price)
            if position.signatures.setdefault(signature, key) != key:
                return self._receive(key, fill, fill.revision, position)
        self.executions[key] = execution = Execution(fill, fill.revision)
        before = position.quantity
        self._post(execution, fill, position)
        return execution.booking(_FILL, position, before, self.currency)

    def enter(  # noqa: PLR0917 - runs for every fill of a replay, and keywords cost
        self,
        execution: Execution,
        key: str,
        instrument: Instrument,
        buy: bool,
        size: Decimal,
        price: Decimal,
        notional: Decimal,
    ) -> Decimal | None:
        """Enter an execution that nobody has heard of, as `book` would its fill; its fee and time (`charged`,
        `at`) are set, ``notional`` is unsigned. The answer is what it realised after its fee, None for a
        pure opening."""
        position = self.positions.get(instrument.symbol)
        if position is None or position.instrument is not instrument:
            position = self._open(instrument.symbol, instrument)
        asset = position.asset
        if buy:
            value, cash = notional, notional.copy_negate()
        else:
            size, value, cash = size.copy_negate(), notional.copy_negate(), notional
        balances = self.balances
        if position.base is not None:
            balances[position.base] = _add(balances.get(position.base, ZERO), size)
        balance = _add(balances.get(asset, ZERO), cash)
        fee = execution.charged
        if fee:
            balance = _subtract(balance, fee)
        balances[asset] = balance
        self.cash = float(balances[self.currency])
        if self._amounts:
            self._amounts.clear()
        self.executions[key] = execution
        execution.units = execution.delta = size
        execution.value, execution.cash = value, cash
        return position.take(execution, price)

    def correct(self, correction: FillCorrection, instrument: Instrument | None) -> Booking | None:
        """Take an execution out of the books, or restate it; None if nothing changed.

        A correction that overtakes its fill is remembered. ``instrument`` may be None for a bust.

        Raises:
            InvariantViolation: as `book`.
        """
        self._check_account(correction.account)
        key, fill, revision = correction.execution_key, correction.fill, correction.revision
        if self.archive is not None:
            self.archive.recall_key(key) if fill is None else self.archive.recall(fill)
        if fill is not None:
            if instrument is None:
                raise InvariantViolation(f"execution {key} is restated, and its instrument is not given")
            return self._receive(key, fill, revision, self._open(fill.symbol, instrument))
        execution = self.executions.setdefault(key, Execution())
        if revision < execution.revision:
            return None
        execution.revision, execution.busted = revision, True
        return self._settle(execution)

    def report_fees(self, report: FeeReport) -> Booking | None:
        """Enter fees that came late, in place of earlier figures; None if nothing changed (yet).

        A report that overtakes its fill is remembered. Of two reports the later received one counts.

        Raises:
            InvariantViolation: the report belongs to another account.
        """
        self._check_account(report.account)
        if self.archive is not None:
            self.archive.recall_key(report.execution_key)
        execution = self.executions.setdefault(report.execution_key, Execution())
        execution.learn_fees(report)
        return self._settle(execution)

    def flow(self, flow: CashFlow) -> bool:
        """Enter money that moved without a fill; False if its key is known. Positions do not move.

        Raises:
            InvariantViolation: the flow belongs to another account.
        """
        self._check_account(flow.account)
        if flow.key in self._flows:
            return False
        self._flows[flow.key] = None
        asset, balances = flow.amount.asset, self.balances
        balances[asset] = _add(balances.get(asset, ZERO), flow.amount.amount)
        self.cash = float(balances[self.currency])
        self._amounts.clear()
        return True

    def change_position(self, change: PositionChange) -> bool:
        """Enter units that came or went without a fill; False if the key is known. Balances do not move.

        A split keeps the cost of the position; other units come and go at its average price.

        Raises:
            InvariantViolation: the change belongs to another account.
        """
        self._check_account(change.account)
        if change.key in self._changes:
            return False
        self._changes[change.key] = None
        position = self.positions.get(change.symbol)
        if position is None:
            position = self.positions[change.symbol] = Position(
                change.symbol, self.currency, None, Decimal(1)
            )
        if self.archive is not None:
            self.archive.recall_before(position, change.at)
        position.insert(Adjustment(change))
        position.rebuild()
        return True

    def execution(self, key: str) -> Execution | None:
        """What is known of one, however long ago it was; to look at."""
        found = self.executions.get(key)
        return self.archive.peek(key) if found is None and self.archive is not None else found

    def add_instrument(self, instrument: Instrument) -> None:
        """Let `equity` value a balance in this instrument's base asset before its first fill."""
        if instrument.base is not None and instrument.quote == self.currency:
            self._pricers.setdefault(instrument.base, instrument.symbol)

    def equity(self, price_of: Callable[[str], float]) -> float:
        """Cash and all that can be priced, in the run's currency; ``unpriced`` names the rest.

        Args:
            price_of: the last price of a symbol, NaN where there is none yet.
        """
        currency = self.currency
        total = self.cash
        missing: list[str] = []
        elsewhere: dict[str, float] = {}
        for symbol, position in self.positions.items():
            if position.units and position.base is None:
                price = price_of(symbol)
                if isnan(price):
                    missing.append(symbol)
                elif position.asset == currency:
                    total += position.units * price * position.factor
                else:
                    worth = position.units * price * position.factor
                    elsewhere[position.asset] = elsewhere.get(position.asset, 0.0) + worth
        if len(self.balances) > 1 or elsewhere:
            for asset in {**self.balances, **elsewhere}:
                amount = self._amount(asset) + elsewhere.get(asset, 0.0)
                if asset == currency or not amount:
                    continue
                pricer = self._pricers.get(asset)
                price = price_of(pricer) if pricer is not None else nan
                if isnan(price):
                    missing.append(asset)
                else:
                    total += amount * price
        self.unpriced = tuple(missing)
        return total

    def snapshot(self) -> dict[str, Any]:
        """The books as JSON: Decimals as text, times as nanoseconds since the epoch."""
        return {
            "currency": self.currency,
            "account": self.account,
            "balances": {asset: str(amount) for asset, amount in self.balances.items()},
            "pricers": dict(self._pricers),
            "flows": list(self._flows),
            "changes": list(self._changes),
            **pack_books(self.executions, self.positions),
        }

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Take over the books that `snapshot` wrote, in place of these.

        Raises:
            StateCorrupt: it is no snapshot, or its figures contradict each other. Nothing has changed.
            StateMismatch: it is in another currency, or of another account.
        """
        currency, account, balances, pricers, flows, changes = unpack_accounts(snapshot)
        executions, positions = unpack_books(snapshot)
        if currency != self.currency or (self.account and account and account != self.account):
            raise StateMismatch(
                f"the books are in {currency} of account {account!r}, and this run's are in "
                f"{self.currency} of account {self.account!r}"
            )
        self.account = self.account or account
        self.balances, self.cash, self.positions = balances, float(balances[currency]), positions
        self.executions, self._flows, self._changes = executions, flows, changes
        self._pricers.update(pricers)
        self._amounts.clear()

    def _check_account(self, account: str) -> None:
        if self.account and account and account != self.account:
            raise InvariantViolation(
                f"the ledger of account {self.account} was handed an event of account {account}"
            )

    def _open(self, symbol: str, instrument: Instrument) -> Position:
        """The position that an instrument is booked in, made if need be."""
        if symbol != instrument.symbol:
            raise InvariantViolation(f"a fill in {symbol} came with the instrument of {instrument.symbol}")
        asset = instrument.settle if instrument.base is None else instrument.quote
        booked_in = (asset, instrument.base, instrument.multiplier)
        position = self.positions.get(symbol)
        if position is None:
            position = self.positions[symbol] = Position(symbol, *booked_in)
        elif position.folded is None and not any(isinstance(item, Execution) for item in position.history):
            position.set_terms(*booked_in)
        elif booked_in != (position.asset, position.base, position.multiplier):
            raise InvariantViolation(
                f"{symbol} was booked in {position.asset} with base {position.base} and multiplier "
                f"{position.multiplier}; its instrument now says {asset}, {instrument.base}, "
                f"{instrument.multiplier}. Start a new run, or correct the instrument"
            )
        position.instrument = instrument
        self.add_instrument(instrument)
        return position

    def _receive(self, key: str, fill: BrokerFill, revision: int, position: Position) -> Booking | None:
        """Take in a fill that is known already, restated, or bears a second key."""
        twin = None
        if fill.cumulative is not None:
            signature = (fill.broker_order_id, fill.cumulative, fill.size, fill.price)
            twin = self.executions.get(position.signatures.setdefault(signature, key))
        execution = self.executions.get(key) or twin or Execution()
        execution.learn(fill, revision)
        self.executions[key] = execution
        bust = None
        if twin is not None and twin is not execution:
            execution, bust = self._unite(twin, execution)
        settled = self._settle(execution)
        return bust or settled

    def _unite(self, one: Execution, other: Execution) -> tuple[Execution, Booking | None]:
        """Two keys turned out to be one execution: keep the entry that knows the newer revision."""
        keep, drop = one, other
        if (other.revision, other.busted) > (one.revision, one.busted):
            keep, drop = other, one
        if drop.fill is not None:
            keep.learn(drop.fill, drop.revision)
        if drop.report is not None:
            keep.learn_fees(drop.report)
        for key, execution in self.executions.items():
            if execution is drop:
                self.executions[key] = keep
        drop.busted = True
        return keep, self._settle(drop)

    def _settle(self, execution: Execution) -> Booking | None:
        """Make the books show what is known of an execution."""
        fill, position = execution.fill, execution.position
        if fill is None or execution.busted:
            if position is None:
                return None
            before = position.quantity
            self._withdraw(execution, position)
            return Booking(_BUST, execution.booked, position_before=before, position_after=position.quantity)
        target = self.positions[fill.symbol]
        before = target.quantity
        if position is None:
            self._post(execution, fill, target)
            return execution.booking(_FILL, target, before, self.currency)
        booked = execution.booked
        if terms(booked) != terms(fill):
            self._withdraw(execution, position)
            self._post(execution, fill, target)
            return execution.booking(_CORRECTION, target, before, self.currency, booked)
        if execution.known_fees(fill) == execution.fees:
            execution.booked = fill
            return None
        delta, charged = execution.delta, execution.charged
        self._enter(execution, position, _subtract, _add)
        execution.work_out(fill, position)
        self._enter(execution, position, _add, _subtract)
        if execution.delta == delta:
            position.realised = _add(position.realised, _subtract(charged, execution.charged))
        else:
            position.rebuild()
        return execution.booking(_FEES, position, before, self.currency)

    def _post(self, execution: Execution, fill: BrokerFill, position: Position) -> None:
        execution.work_out(fill, position)
        execution.position = position
        self._enter(execution, position, _add, _subtract)
        if position.insert(execution):
            execution.apply(position)
            position.units = float(position.quantity)
        else:
            position.rebuild()

    def _withdraw(self, execution: Execution, position: Position) -> None:
        self._enter(execution, position, _subtract, _add)
        execution.position = None
        position.history.remove(execution)
        position.rebuild()

    def _enter(self, execution: Execution, position: Position, plus: _Sum, minus: _Sum) -> None:
        """Book legs and fees into the balances; with ``plus`` and ``minus`` swapped, out of them."""
        balances = self.balances
        asset, base = position.asset, position.base
        balances[asset] = plus(balances.get(asset, ZERO), execution.cash)
        if base is not None:
            balances[base] = plus(balances.get(base, ZERO), execution.units)
        if execution.fees:
            for fee in execution.fees:
                balances[fee.asset] = minus(balances.get(fee.asset, ZERO), fee.amount)
        self.cash = float(balances[self.currency])
        if self._amounts:
            self._amounts.clear()

    def _amount(self, asset: str) -> float:
        if asset not in self._amounts:
            self._amounts[asset] = float(self.balances.get(asset, ZERO))
        return self._amounts[asset]
