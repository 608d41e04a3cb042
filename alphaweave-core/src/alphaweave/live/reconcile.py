"""The reconciler: what to ask the broker, when, and what the answers mean. It has no clock and does no I/O.

At a start and after every reconnection it asks, in this order, for the open orders, for each order in doubt,
for the executions and for the account; only then has it passed. After that the same four are asked for again
and again. What fails proves nothing and is asked again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, TypeVar

from attrs import define, evolve

from alphaweave.core.errors import InvariantViolation, StateCorrupt
from alphaweave.core.instrument import Instrument
from alphaweave.live.actions import (
    AccountQuery,
    FillsQuery,
    Forgotten,
    InstrumentsQuery,
    OpenOrdersQuery,
    OrderQuery,
    Query,
    TimeQuery,
)
from alphaweave.live.reconcile_account import AccountComparison, Look
from alphaweave.live.reconcile_books import BooksView, OpenVersion, ReconcileSettings
from alphaweave.live.reconcile_fills import FillWatch
from alphaweave.live.reconcile_findings import (
    Finding,
    Passed,
    RulesChanged,
    Settled,
    StartRefused,
    Unanswered,
    Why,
)
from alphaweave.live.reconcile_orders import FILLS, OPEN, OrderDoubts
from alphaweave.live.reports import BrokerAccountState, BrokerOrder, FillReport

__all__ = ["BooksView", "OpenVersion", "ReconcileSettings", "Reconciler", "Why"]

_VERSION: Final = 1
_SECOND_NS: Final = 1_000_000_000
_TELL_AT: Final = 3
_ORDERS, _FILLS, _ACCOUNT, _CLOCK, _RULES = "open orders", "executions", "account", "clock", "trading rules"
# So soon again after an order was refused by them, or while an instrument is not traded.
_RULES_SOON_NS: Final = 60 * _SECOND_NS
# An answer that took longer says little of the other clock.
_PROMPT_NS: Final = _SECOND_NS
_T = TypeVar("_T")


@define
class _Round:
    """One kind of question. ``due`` None is not now; ``answered`` since this session began."""

    name: str
    due: int | None = None
    answered: bool = False
    asked_at: int = 0
    booked: int = 0
    number: int | None = None
    failures: int = 0

    def ask(self, at: int) -> None:
        """Not later than that."""
        self.due = at if self.due is None else min(self.due, at)


class Reconciler:
    """Compares the run's books with the broker's.

    Inputs are `begin`, `lost`, `answered`, `failed`; the questions come from `due`, in the order in which
    they are to be asked. The facts that it finds have to be in the books before the next input.

    Attributes:
        passed: what was begun has passed; only then may anything be sent.
        refused: the run must not start.
    """

    def __init__(self, settings: ReconcileSettings, books: BooksView) -> None:
        self.settings = settings
        self._books = books
        self._doubts = OrderDoubts(settings, books)
        self._fills = FillWatch(settings, books)
        self._account = AccountComparison(settings, books)
        self._rounds = {name: _Round(name) for name in (_ORDERS, _FILLS, _ACCOUNT, _CLOCK, _RULES)}
        self._lookups: dict[str, _Round] = {}
        self._first: set[str] = set()
        self._others: tuple[BrokerOrder, ...] = ()
        self._why: Why | None = None
        self._active = False
        self._number = 0
        self._executions = 0
        self.passed = False
        self.refused = False

    # Inputs.

    def begin(self, at: int, why: Why) -> None:
        """Start anew: the run starts, or the connection is back. What was asked before is asked again."""
        self._active, self.passed, self._why = True, False, why
        rules = self._rounds[_RULES]
        self._rounds = {name: _Round(name) for name in self._rounds}
        self._lookups = {}
        if self.settings.rules is not None:
            # A run begins with rules that were just asked for; later they are looked at when it was due.
            later = at + _ns(self.settings.rules) if why is Why.START else at
            self._rounds[_RULES].due = later if rules.due is None else rules.due
        self._rounds[_ORDERS].due = at
        self._rounds[_CLOCK].due = None if self.settings.clock is None else at
        self._first = set(self._doubts.versions())
        self._others = ()
        self._account.begin()
        if self._opened:
            self._fills.cover(at)

    def doubt_rules(self, at: int) -> None:
        """An order was refused by the broker's trading rules: they may be others by now."""
        rules = self._rounds[_RULES]
        if self.settings.rules is not None and rules.number is None:
            rules.ask(max(at, rules.asked_at + _RULES_SOON_NS))

    def lost(self) -> None:
        """The connection is gone: nothing is asked until `begin`."""
        self._active = self.passed = False

    def due(self, at: int) -> tuple[Query, ...]:
        """The queries to ask now. Each is asked once, and has to be answered or to fail."""
        if not self._active or self.refused:
            return ()
        queries: list[Query] = []
        self._hurry(at)
        orders, fills, account = (self._rounds[name] for name in (_ORDERS, _FILLS, _ACCOUNT))
        if _is_due(orders, at):
            queries.append(OpenOrdersQuery(self._asked(orders, at)))
        if orders.answered:
            for name, version in self._doubts.plan().items():
                lookup = self._lookups.setdefault(name, _Round(f"order {name}"))
                if lookup.number is None and self._doubts.due[name] <= at:
                    queries.append(OrderQuery(version.ref, self._asked(lookup, at)))
        if _is_due(fills, at):
            queries.append(FillsQuery(self._fills.query(at), self._asked(fills, at)))
        if _is_due(account, at):
            queries.append(AccountQuery(self._asked(account, at)))
        if _is_due(self._rounds[_CLOCK], at):
            queries.append(TimeQuery(self._asked(self._rounds[_CLOCK], at), at))
        if self.passed and _is_due(self._rounds[_RULES], at):
            symbols = tuple(self._books.instruments())
            queries.append(InstrumentsQuery(symbols, self._asked(self._rounds[_RULES], at)))
        return tuple(queries)

    def next_due(self) -> int | None:
        """When `due` has something next; None while everything is asked, or nothing is to be."""
        if not self._active or self.refused:
            return None
        rounds = [each for each in self._rounds.values() if self.passed or each.name != _RULES]
        times = [each.due for each in rounds if each.number is None and each.due is not None]
        orders = self._rounds[_ORDERS]
        if orders.answered:
            for name in self._doubts.plan():
                lookup = self._lookups.get(name)
                if lookup is None or lookup.number is None:
                    times.append(self._doubts.due[name])
        for final, wanted in self._finals():
            if any(each.number is None for each in wanted):
                times.append(final)
        return min(times, default=None)

    def answered(self, query: Query, answer: object, at: int) -> tuple[Finding, ...]:
        """What an answer means. One that was asked before the last `begin` still tells of executions, and
        proves nothing."""
        asked = self._taken(query)
        if asked is None:
            if isinstance(query, FillsQuery) and isinstance(answer, FillReport) and self._opened:
                return tuple(self._fills.facts(answer, self._doubts.busy()))
            return ()
        asked.answered = True
        findings: list[Finding]
        if isinstance(query, OpenOrdersQuery):
            findings = self._on_orders(_orders_of(answer), asked, at)
        elif isinstance(query, OrderQuery):
            findings = self._on_lookup(query, answer, asked, at)
        elif isinstance(query, FillsQuery):
            findings = self._on_fills(query, _of(FillReport, answer), asked, at)
        elif isinstance(query, TimeQuery):
            findings = self._on_time(_of(datetime, answer), asked, at)
        elif isinstance(query, InstrumentsQuery):
            findings = self._on_rules(answer, asked, at)
        else:
            findings = self._on_account(_of(BrokerAccountState, answer), asked, at)
        if asked.answered:
            asked.failures = 0
        if self.passed and self._fills.held() and any(isinstance(each, Settled) for each in findings):
            self._rounds[_FILLS].ask(at)
        if self._doubts.behind:
            self._doubts.behind = False
            if self.passed:
                self._rounds[_FILLS].ask(at)
        return (*findings, *self._proceed(at))

    def failed(self, query: Query, error: str, at: int) -> tuple[Finding, ...]:
        """There is no answer, and nothing is known by it."""
        asked = self._taken(query)
        if asked is None:
            return ()
        if isinstance(query, OrderQuery):
            self._doubts.due[query.ref.client_order_id] = at + _ns(self.settings.retry)
        return tuple(self._again(asked, error, at))

    # Memory.

    def snapshot(self) -> dict[str, Any]:
        """What survives a restart, as JSON values; it belongs into the transaction of what was found."""
        return {
            "version": _VERSION,
            "fills": self._fills.snapshot(),
            "account": self._account.snapshot(),
        }

    def restore(self, saved: Mapping[str, Any]) -> None:
        """What `snapshot` gave, before the first `begin`.

        Raises:
            StateCorrupt: it is not that.
        """
        try:
            if saved["version"] != _VERSION:
                raise ValueError(f"version {saved['version']!r}")
            fills, account = saved["fills"], saved["account"]
        except (KeyError, TypeError, ValueError) as error:
            raise StateCorrupt(f"the saved reconciliation cannot be read ({error})") from error
        self._fills.restore(fills)
        self._account.restore(account)

    # Within.

    @property
    def _opened(self) -> bool:
        return self._fills.opened_at is not None

    def _again(self, asked: _Round, error: str, at: int) -> list[Finding]:
        asked.answered = False
        asked.failures += 1
        # Nothing waits for the rules, and a broker may have to be asked for them one by one.
        asked.due = at + (_RULES_SOON_NS if asked.name == _RULES else _ns(self.settings.retry))
        return [Unanswered(asked.name, error, asked.failures)] if asked.failures == _TELL_AT else []

    def _on_orders(self, orders: Sequence[BrokerOrder], asked: _Round, at: int) -> list[Finding]:
        asked.due = at + _ns(self.settings.open_orders)
        named = {order.client_order_id for order in orders}
        for name in self._first & self._doubts.versions().keys():
            if name not in named:
                self._doubts.due[name] = at
        self._first -= named
        if not self._opened:
            self._others = tuple(
                order for order in orders if not self._books.knows_order(order.client_order_id or "")
            )
            self._doubts.adopted(self._others)
        return self._doubts.opened(orders, asked.asked_at, at)

    def _on_lookup(self, query: OrderQuery, answer: object, asked: _Round, at: int) -> list[Finding]:
        name = query.ref.client_order_id
        self._first.discard(name)
        self._lookups.pop(name, None)
        order = answer if answer is None or isinstance(answer, Forgotten) else _of(BrokerOrder, answer)
        return self._doubts.looked_up(name, order, asked.asked_at, at)

    def _on_fills(self, query: FillsQuery, report: FillReport, asked: _Round, at: int) -> list[Finding]:
        if not self._opened:
            self._fills.before(report)
            return []
        findings, missing = self._fills.answered(query.query, report, asked.asked_at, self._doubts.busy())
        if missing:
            findings += self._again(asked, f"the answer leaves out {', '.join(missing)}", at)
        else:
            self._executions = query.number
            if self.passed:
                self._rounds[_ACCOUNT].ask(at)
        # What is held back bears no name of ours. It is no reason to doubt for ever: were it of an order that
        # is missed, the lookup, which goes by all its names, would have found that.
        whole = {symbol: since for symbol, since in self._fills.whole_from.items() if symbol not in missing}
        seen = {fill.client_order_id for fill in report.fills if fill.client_order_id is not None}
        return [*findings, *self._doubts.executions_asked(whole, seen, asked.asked_at)]

    def _on_account(self, state: BrokerAccountState, asked: _Round, at: int) -> list[Finding]:
        wanted = self.settings.account
        if wanted and state.account_id != wanted:
            self.refused = True
            self.passed = False
            return [StartRefused(f"the broker answers for account {state.account_id}, not for {wanted}")]
        if not state.complete:
            return self._again(asked, "the answer is not complete", at)
        if not self._opened:
            opening, allowed = self._account.first(state, self._others)
            self.refused = not allowed
            if allowed:
                self._fills.open(asked.asked_at)
                self._rounds[_FILLS].ask(at)
            return [opening]
        calm = not self.passed
        busy = self._doubts.busy() | self._fills.held()
        look = Look(asked.asked_at, asked.booked, self._number, self._executions)
        findings = self._account.compare(state, look, at, busy, calm=calm)
        if self._account.suspected:
            self._rounds[_FILLS].answered = asked.answered = False
            self._rounds[_FILLS].ask(at + _ns(self.settings.retry))
        elif self.passed:
            self._rounds[_FILLS].ask(at + _ns(self.settings.positions))
        return findings

    def _on_time(self, told: datetime, asked: _Round, at: int) -> list[Finding]:
        if at - asked.asked_at > _PROMPT_NS:
            return self._again(asked, "the answer took too long to compare clocks by", at)
        asked.due = at + _ns(self.settings.clock or 0)
        return []

    def _on_rules(self, answer: object, asked: _Round, at: int) -> list[Finding]:
        if not isinstance(answer, Mapping):
            raise InvariantViolation(f"a {type(answer).__name__} came where instruments were asked for")
        findings: list[Finding] = []
        idle = False
        for symbol, ours in self._books.instruments().items():
            found = answer.get(symbol)
            theirs = evolve(ours, tradable=False) if found is None else _of(Instrument, found)
            theirs = evolve(theirs, **self.settings.written.get(symbol, {}))
            idle = idle or not theirs.tradable
            if theirs != ours:
                findings.append(RulesChanged(theirs))
        asked.due = at + (_RULES_SOON_NS if idle else _ns(self.settings.rules or 0))
        return findings

    def _proceed(self, at: int) -> tuple[Finding, ...]:
        """What a start or a reconnection asks for next, or that it has passed."""
        if self.passed or self.refused or not self._active or self._why is None:
            return ()
        orders, fills, account = (self._rounds[name] for name in (_ORDERS, _FILLS, _ACCOUNT))
        if not orders.answered or self._first & self._doubts.versions().keys():
            return ()
        if not fills.answered:
            if fills.number is None and fills.due is None:
                fills.due = at
            return ()
        if not account.answered:
            if account.number is None and account.due is None:
                account.due = at
            return ()
        if self.settings.clock is not None and not self._rounds[_CLOCK].answered:
            return ()
        self.passed = True
        fills.ask(at + _ns(self.settings.positions))
        return (Passed(self._why),)

    def _hurry(self, at: int) -> None:
        """Ask at once for what may settle a doubt, as soon as an answer is proof."""
        for final, wanted in self._finals():
            if final <= at:
                for each in wanted:
                    each.ask(max(final, at))

    def _finals(self) -> list[tuple[int, list[_Round]]]:
        """When a version that is missed can be settled, and the rounds that lack their proof."""
        if not self.passed:
            return []
        found = []
        for version in self._doubts.versions().values():
            final = self._doubts.final_from(version)
            if final is None:
                continue
            lacking = self._doubts.lacking(version)
            rounds = [
                self._rounds[which]
                for which, proof in ((_ORDERS, OPEN), (_FILLS, FILLS))
                if proof in lacking and self._rounds[which].asked_at < final
            ]
            if rounds:
                found.append((final, rounds))
        return found

    def _asked(self, each: _Round, at: int) -> int:
        self._number += 1
        each.number, each.asked_at, each.due = self._number, at, None
        each.booked = self._books.booked()
        return self._number

    def _taken(self, query: Query) -> _Round | None:
        """The question that a number was given for, if it still stands."""
        for each in (*self._rounds.values(), *self._lookups.values()):
            if each.number == query.number:
                each.number = None
                return each
        return None


def _is_due(each: _Round, at: int) -> bool:
    return each.number is None and each.due is not None and each.due <= at


def _of(kind: type[_T], answer: object) -> _T:
    if not isinstance(answer, kind):
        raise InvariantViolation(f"a {type(answer).__name__} came where a {kind.__name__} was asked for")
    return answer


def _orders_of(answer: object) -> Sequence[BrokerOrder]:
    if not isinstance(answer, Sequence):
        raise InvariantViolation(f"a {type(answer).__name__} came where open orders were asked for")
    return [_of(BrokerOrder, each) for each in answer]


def _ns(seconds: float) -> int:
    return int(seconds * _SECOND_NS)
