"""The books against a snapshot of the account: positions and balances.

A difference counts only if it is seen twice in the same books, with the executions asked for in between: what
the broker has traded and not told yet explains the first. What is in motion is not compared; by the order of
questions and bookings, for clocks leap and two machines' disagree.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from decimal import Decimal
from typing import Any

from attrs import frozen

from alphaweave.core.clock import to_ns
from alphaweave.core.errors import StateCorrupt
from alphaweave.core.money import CONTEXT, ZERO
from alphaweave.live.reconcile_books import BooksView, ReconcileSettings
from alphaweave.live.reconcile_findings import Adopt, CashDiffers, Finding, PositionDiffers, StartRefused
from alphaweave.live.reports import BrokerAccountState, BrokerOrder

__all__ = ["AccountComparison", "Look"]

_SECOND_NS = 1_000_000_000
# Cash that is told without cents was hardly rounded to them.
_CENT = Decimal("0.01")
# So often a start looks at what differs by another amount each time, before it tells of it as it is.
_LOOKS = 5


@frozen
class Look:
    """Where questions and books stood.

    Attributes:
        asked_at: when the account was asked for, in nanoseconds.
        booked: how much was booked by then.
        number: of the last question that was asked until the answer came.
        executions: of the last question for executions that was wholly answered.
    """

    asked_at: int
    booked: int
    number: int
    executions: int


@frozen
class _Compared:
    """One name, ``is_cash`` or a symbol's position, on both sides."""

    name: str
    is_cash: bool
    ours: Decimal
    theirs: Decimal
    booked: int

    @property
    def difference(self) -> Decimal:
        """Theirs, less ours; of cash that the broker tells to fewer digits, what those digits show."""
        digits = Decimal(1).scaleb(int(self.theirs.as_tuple().exponent))
        if self.is_cash and digits <= _CENT and self.ours.quantize(digits, context=CONTEXT) == self.theirs:
            return ZERO
        return CONTEXT.subtract(self.theirs, self.ours)


@frozen
class _Seen:
    """A difference that was seen, ``looks`` times in a row by whatever amount."""

    difference: Decimal
    booked: int
    number: int
    looks: int


class AccountComparison:
    """Positions and balances, ours and theirs.

    Attributes:
        suspected: something differs for the first time; the executions are to be asked for, then the account.
    """

    def __init__(self, settings: ReconcileSettings, books: BooksView) -> None:
        self._settings = settings
        self._books = books
        self._ignored: dict[str, Decimal] = {}
        self._seen: dict[tuple[str, bool], _Seen] = {}
        self._told: dict[tuple[str, bool], Decimal] = {}
        self.suspected = False

    def begin(self) -> None:
        """A start or a reconnection: what was seen before has to be seen again."""
        self._seen = {}

    def first(
        self, state: BrokerAccountState, orders: tuple[BrokerOrder, ...]
    ) -> tuple[Adopt | StartRefused, bool]:
        """The first start: what is there, and whether the run may go on with it."""
        holdings = self._holdings(state)
        elsewhere = sorted(symbol for symbol in state.foreign if state.positions.get(symbol))
        found = [f"{quantity} {symbol}" for symbol, quantity in holdings.items() if quantity]
        found += [f"{state.positions[symbol]} {symbol}" for symbol in elsewhere]
        found += [f"an order in {order.ref.symbol}" for order in orders]
        policy = self._settings.first_start
        if found and policy is None and self._settings.live:
            text = (
                f"account {state.account_id} is not empty: {', '.join(found)}. Close it, or write "
                "reconciliation.first_start: adopt, to take it over, or ignore, to leave it out of the books"
            )
            return StartRefused(text), False
        bases = {each.base for each in self._books.instruments().values() if each.base is not None}
        balances = {asset: balance.total for asset, balance in state.balances.items()}
        ignored: dict[str, Decimal] = {}
        if policy == "ignore":
            ignored = {symbol: quantity for symbol, quantity in holdings.items() if quantity}
            balances = {asset: total for asset, total in balances.items() if asset not in bases}
        self._ignored = ignored
        positions = {
            symbol: quantity
            for symbol, quantity in holdings.items()
            if quantity and symbol not in ignored and self._books.instruments()[symbol].base is None
        }
        return Adopt(state.as_of, balances, positions, orders, ignored), True

    def compare(
        self, state: BrokerAccountState, look: Look, at: int, busy: Collection[str], *, calm: bool
    ) -> list[Finding]:
        """What differs for good. ``calm`` where nothing moved before either: a start or a reconnection."""
        self.suspected = False
        if not state.complete:
            return []
        findings: list[Finding] = []
        seen: dict[tuple[str, bool], _Seen] = {}
        for each in self._comparable(state, look, at, busy, calm=calm):
            key, difference = (each.name, each.is_cash), each.difference
            before = self._seen.get(key)
            again = before is not None and (before.difference, before.booked) == (difference, each.booked)
            if not difference:
                self._told.pop(key, None)
            elif self._told.get(key) == difference:
                continue
            elif (
                before is not None
                and look.executions > before.number
                and (again or (calm and before.looks >= _LOOKS - 1))
            ):
                self._told[key] = difference
                kind = CashDiffers if each.is_cash else PositionDiffers
                findings.append(kind(each.name, each.ours, each.theirs))
            elif before is not None and again:
                seen[key] = before
            else:
                looks = 1 if before is None else before.looks + 1
                seen[key] = _Seen(difference, each.booked, look.number, looks)
        self._seen = seen
        self.suspected = bool(seen)
        return findings

    def snapshot(self) -> dict[str, Any]:
        """As JSON values: what stays out of the books, and what was told."""
        return {
            "ignored": {symbol: str(quantity) for symbol, quantity in self._ignored.items()},
            "told": [[name, is_cash, str(amount)] for (name, is_cash), amount in self._told.items()],
        }

    def restore(self, saved: Mapping[str, Any]) -> None:
        """What `snapshot` gave.

        Raises:
            StateCorrupt: it is not that.
        """
        try:
            ignored = {str(symbol): Decimal(quantity) for symbol, quantity in saved["ignored"].items()}
            told = {(str(name), bool(cash)): Decimal(amount) for name, cash, amount in saved["told"]}
        except (ArithmeticError, AttributeError, KeyError, TypeError, ValueError) as error:
            raise StateCorrupt(f"what was known of the account cannot be read ({error})") from error
        self._ignored, self._told = ignored, told

    def _holdings(self, state: BrokerAccountState) -> dict[str, Decimal]:
        """Units of each symbol of the run, wherever the venue keeps them."""
        holdings = {}
        for symbol, instrument in self._books.instruments().items():
            if instrument.base is None:
                holdings[symbol] = state.positions.get(symbol, ZERO)
            else:
                balance = state.balances.get(instrument.base)
                holdings[symbol] = ZERO if balance is None else balance.total
        return holdings

    def _comparable(
        self, state: BrokerAccountState, look: Look, at: int, busy: Collection[str], *, calm: bool
    ) -> list[_Compared]:
        instruments = self._books.instruments()
        quiet = 0 if calm else int(self._settings.quiet * _SECOND_NS)
        positions, balances = self._books.positions(), self._books.balances()
        of_positions = to_ns(state.as_of)
        of_balances = of_positions if state.balances_as_of is None else to_ns(state.balances_as_of)

        def settled(name: str, as_of: int) -> bool:
            changed = self._books.changed_at(name)
            still = self._books.last_booked(name) <= look.booked
            return still and min(as_of, look.asked_at) > changed and at - changed >= quiet

        found = []
        for symbol, held in self._holdings(state).items():
            base = instruments[symbol].base
            ours = positions.get(symbol, ZERO) if base is None else balances.get(base, ZERO)
            as_of = of_positions if base is None else of_balances
            if symbol not in busy and settled(symbol, as_of) and (base is None or settled(base, as_of)):
                theirs = CONTEXT.subtract(held, self._ignored.get(symbol, ZERO))
                booked = max(map(self._books.last_booked, (symbol,) if base is None else (symbol, base)))
                found.append(_Compared(symbol, False, ours, theirs, booked))
        if busy:
            return found  # any of them may have moved cash
        bases = {each.base for each in instruments.values() if each.base is not None}
        for asset in sorted({*balances, *state.balances} - bases):
            balance = state.balances.get(asset)
            if settled(asset, of_balances):
                theirs = ZERO if balance is None else balance.total
                booked = self._books.last_booked(asset)
                found.append(_Compared(asset, True, balances.get(asset, ZERO), theirs, booked))
        return found
