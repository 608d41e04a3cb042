"""The books of a live run as its reconciliation sees them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal

from alphaweave.core.clock import to_ns
from alphaweave.core.instrument import Instrument
from alphaweave.live.kernel_live import Fact, LiveKernel
from alphaweave.live.ledger_archive import Archive, LedgerArchive
from alphaweave.live.live_intents import Intents
from alphaweave.live.reconcile_books import OpenVersion
from alphaweave.live.reports import BrokerFill, CashFlow, FeeReport, FillCorrection

__all__ = ["LiveBooks"]


class LiveBooks:
    """`alphaweave.live.reconcile_books.BooksView` over a kernel and its intents.

    It is made before the core, for the reconciler needs it.
    """

    def __init__(self, kernel: LiveKernel) -> None:
        self.kernel = kernel
        self.intents = Intents()
        self._changed: dict[str, int] = {}
        self._booked = 0
        self._last: dict[str, int] = {}

    def archived_in(self, archive: Archive | None) -> None:
        """Executions of long ago are there, if anywhere."""
        ledger = self.kernel.ledger
        ledger.archive = None if archive is None else LedgerArchive(ledger, archive)

    def changed(self, fact: Fact, at: int) -> None:
        """Something was booked, of an input that was taken in at ``at``."""
        event = fact.event
        fill = event.fill if isinstance(event, FillCorrection) else event
        names: set[str] = {self.kernel.ledger.currency}
        if isinstance(fill, BrokerFill):
            at = max(at, to_ns(fill.executed_at))
            names.update(fee.asset for fee in fill.fees or ())
        if isinstance(event, FeeReport):
            names.update(fee.asset for fee in event.fees)
        if isinstance(event, CashFlow):
            at = max(at, to_ns(event.at))
            names.add(event.amount.asset)
        if fact.symbol is not None:
            names.add(fact.symbol)
            book = self.kernel.books.get(fact.symbol)
            if book is not None:
                instrument = book.instrument
                names.update(name for name in (instrument.base, instrument.quote, instrument.settle) if name)
        self._booked += 1
        for name in names:
            self._changed[name] = max(at, self._changed.get(name, 0))
            self._last[name] = self._booked

    def instruments(self) -> Mapping[str, Instrument]:
        return {symbol: book.instrument for symbol, book in self.kernel.books.items()}

    def open_versions(self) -> Iterable[OpenVersion]:
        return tuple(self.intents.open_versions(self.kernel))

    def knows_order(self, client_order_id: str) -> bool:
        # Ids are digests of this run's own: one with its prefix is of this run, however long ago.
        return client_order_id.startswith(self.kernel.ids.prefix) or (
            self.kernel.order_of(client_order_id) is not None
        )

    def knows_execution(self, execution_key: str, revision: int) -> bool:
        known = self.kernel.ledger.execution(execution_key)
        return known is not None and known.revision >= revision and (known.busted or known.fill is not None)

    def knows_fees(self, execution_key: str) -> bool:
        known = self.kernel.ledger.execution(execution_key)
        return known is not None and (known.busted or known.fees is not None)

    def knows_flow(self, key: str) -> bool:
        return key in self.kernel.flows

    def positions(self) -> Mapping[str, Decimal]:
        return {symbol: book.quantity for symbol, book in self.kernel.books.items() if book.quantity}

    def balances(self) -> Mapping[str, Decimal]:
        return dict(self.kernel.ledger.balances)

    def changed_at(self, name: str) -> int:
        return self._changed.get(name, 0)

    def booked(self) -> int:
        return self._booked

    def last_booked(self, name: str) -> int:
        return self._last.get(name, 0)
