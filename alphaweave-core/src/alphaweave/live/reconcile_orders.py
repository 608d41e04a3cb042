"""What is known of each order version that may be at the broker: found, over, or not there after all.

A query that failed proves nothing, and a "no such order" alone proves little. A version never arrived only if
the open orders, a lookup of it and the executions were all asked for, and answered without it, after the last
moment at which it could still have come up.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from attrs import evolve, field, frozen

from alphaweave.core.clock import from_ns
from alphaweave.core.order import OrderRef, OrderStatus
from alphaweave.live.actions import Forgotten
from alphaweave.live.reconcile_books import BooksView, OpenVersion, ReconcileSettings
from alphaweave.live.reconcile_findings import (
    Finding,
    ForeignOrder,
    FoundOrder,
    Revived,
    Settled,
    Settlement,
)
from alphaweave.live.reports import BrokerOrder, OrderUpdate

__all__ = ["FILLS", "LOOKUP", "OPEN", "OrderDoubts"]

OPEN, LOOKUP, FILLS = "open orders", "lookup", "executions"
# A lookup beyond the memory of the broker, which has no executions of then either.
_FORGOTTEN = "forgotten"
_IN_DOUBT = (OrderStatus.PENDING, OrderStatus.UNKNOWN)
_SECOND_NS = 1_000_000_000


@frozen
class _Absence:
    """Since when a version is missed, and which queries were answered without it once that was final."""

    since: int
    proofs: set[str] = field(factory=set)


class OrderDoubts:
    """The open versions of the run's orders against what the broker answers.

    Attributes:
        due: client order id -> when a version is to be looked up next, in nanoseconds.
        behind: the broker has counted executions that the books lack.
    """

    def __init__(self, settings: ReconcileSettings, books: BooksView) -> None:
        self._settings = settings
        self._books = books
        self._absent: dict[str, _Absence] = {}
        self._settled: set[str] = set()
        self._foreign: set[str] = set()
        self._undead: set[str] = set()
        self.due: dict[str, int] = {}
        self.behind = False

    def versions(self) -> dict[str, OpenVersion]:
        """Everything that may be at the broker and is not settled, by client order id."""
        versions = {version.ref.client_order_id: version for version in self._books.open_versions()}
        self._settled &= versions.keys()
        for gone in self._absent.keys() - versions.keys():
            del self._absent[gone]
        for gone in self.due.keys() - versions.keys():
            del self.due[gone]
        return {name: version for name, version in versions.items() if name not in self._settled}

    def busy(self) -> frozenset[str]:
        """Symbols with an order that is in flight or UNKNOWN."""
        return frozenset(
            version.ref.symbol for version in self.versions().values() if version.status in _IN_DOUBT
        )

    def plan(self) -> dict[str, OpenVersion]:
        """The versions to be looked up, with `due` brought up to date."""
        versions = self.versions()
        wait = _ns(self._settings.in_flight_after)
        for name, version in versions.items():
            if version.status in _IN_DOUBT and name not in self.due:
                self.due[name] = version.decided_at + wait if version.status is _IN_DOUBT[0] else 0
        return {name: version for name, version in versions.items() if name in self.due}

    def final_from(self, version: OpenVersion) -> int | None:
        """From when on a query that does not find it proves something; None where it is not in doubt, or may
        still be leaving."""
        since = version.quiet_since
        absence = self._absent.get(version.ref.client_order_id)
        if version.taken:
            since = None if absence is None else absence.since
        elif version.status is not OrderStatus.UNKNOWN:
            return None
        return None if since is None else since + _ns(self._settings.not_found_is_final_after)

    def lacking(self, version: OpenVersion) -> frozenset[str]:
        """The proofs that are still wanted."""
        absence = self._absent.get(version.ref.client_order_id)
        proofs = set() if absence is None else absence.proofs
        wanted = {OPEN} if _FORGOTTEN in proofs else {OPEN, LOOKUP, FILLS}
        return frozenset(wanted - proofs)

    def opened(self, orders: Sequence[BrokerOrder], asked_at: int, at: int) -> list[Finding]:
        """The broker's working orders."""
        findings: list[Finding] = []
        versions = self.versions()
        busy = self.busy()
        named = self._named(versions, orders)
        for name, version in versions.items():
            order = named.get(name)
            if order is not None:
                findings += self._found(version, order, at)
            elif version.decided_at <= asked_at:
                if version.status not in _IN_DOUBT:
                    self.due[name] = min(at, self.due.get(name, at))
                findings += self._missed(version, OPEN, asked_at)
        ours = {id(order) for order in named.values()}
        undead = set()
        for order in orders:
            name = order.client_order_id or ""
            if id(order) in ours or name in versions:
                continue
            if name and self._books.knows_order(name):
                # An answer may be older than the end that the books know; a second one is not.
                if name in self._undead:
                    findings.append(Revived(order))
                else:
                    undead.add(name)
            elif order.ref.symbol not in busy:
                identity = order.ref.broker_order_id or name
                if identity not in self._foreign:
                    self._foreign.add(identity)
                    findings.append(ForeignOrder(order))
        self._undead = undead
        return findings

    @staticmethod
    def _named(versions: Mapping[str, OpenVersion], orders: Sequence[BrokerOrder]) -> dict[str, BrokerOrder]:
        """The orders that are versions of ours, by our name: some bear only names of the broker's own."""
        known = {
            version.ref.broker_order_id: name
            for name, version in versions.items()
            if version.ref.broker_order_id
        }
        found: dict[str, BrokerOrder] = {}
        for order in orders:
            name = order.client_order_id or ""
            if name not in versions:
                name = known.get(order.ref.broker_order_id or "", "")
            if name:
                found.setdefault(name, order)
        return found

    def adopted(self, orders: Iterable[BrokerOrder]) -> None:
        """These are known to be other people's, and were told."""
        self._foreign.update(order.ref.broker_order_id or order.client_order_id or "" for order in orders)

    def looked_up(
        self, name: str, order: BrokerOrder | Forgotten | None, asked_at: int, at: int
    ) -> list[Finding]:
        """The answer to a lookup of one version; None is the broker's word that there is no such order."""
        version = self.versions().get(name)
        if version is None:
            return []
        self.due[name] = at + _ns(self._settings.in_flight)
        if order is None:
            return self._missed(version, LOOKUP, asked_at)
        if isinstance(order, Forgotten):
            return self._missed(version, _FORGOTTEN, asked_at)
        return self._found(version, order, at)

    def executions_asked(
        self, whole_from: Mapping[str, int], seen: Collection[str], asked_at: int
    ) -> list[Finding]:
        """Executions were answered: of each symbol nothing is missing from that instant on, and there were
        some of the versions that were ``seen``."""
        findings: list[Finding] = []
        for name, version in self.versions().items():
            whole = whole_from.get(version.ref.symbol)
            if name not in seen and whole is not None and whole <= version.decided_at:
                findings += self._missed(version, FILLS, asked_at)
        return findings

    def _found(self, version: OpenVersion, order: BrokerOrder, at: int) -> list[Finding]:
        name = version.ref.client_order_id
        self._absent.pop(name, None)
        if order.filled > version.filled:
            self.behind = True
        if order.status is OrderStatus.UNKNOWN:
            return []
        working = not order.status.terminal
        if working:
            self.due.pop(name, None)
            if version.status not in _IN_DOUBT and order.replaced_by is None:
                return []
        return [FoundOrder(_update(version, order, at))]

    def _missed(self, version: OpenVersion, proof: str, asked_at: int) -> list[Finding]:
        name = version.ref.client_order_id
        if name not in self._absent:
            if version.taken and proof not in {LOOKUP, _FORGOTTEN}:
                # A working order that is on no list was looked for in the wrong place until it is looked up.
                return []
            self._absent[name] = _Absence(asked_at)
        final = self.final_from(version)
        if final is None or asked_at < final:
            return []
        proofs = self._absent[name].proofs
        proofs.add(proof)
        if _FORGOTTEN in proofs and OPEN in proofs:
            outcome = Settlement.FORGOTTEN
        elif proofs == {OPEN, LOOKUP, FILLS}:
            outcome = Settlement.VANISHED if version.taken else Settlement.NEVER_ARRIVED
        else:
            return []
        self._settled.add(name)
        return [Settled(name, outcome, version.ref.symbol)]


def _update(version: OpenVersion, order: BrokerOrder, at: int) -> OrderUpdate:
    return OrderUpdate(
        # Lookups may go by the broker's id, and an answer need not bear ours.
        version.ref if order.ref.broker_order_id is None else _named(version, order),
        order.status,
        from_ns(at),
        cumulative=order.filled,
        average_price=order.average_price,
        reason=order.reason,
        text=order.text,
        broker_time=order.as_of,
        replaced_by=order.replaced_by,
    )


def _named(version: OpenVersion, order: BrokerOrder) -> OrderRef:
    return evolve(version.ref, broker_order_id=order.ref.broker_order_id)


def _ns(seconds: float) -> int:
    return int(seconds * _SECOND_NS)
