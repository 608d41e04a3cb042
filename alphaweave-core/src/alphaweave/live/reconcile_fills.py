"""Which executions were asked for, how far back the answers can be trusted, and whose they are."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from alphaweave.core.clock import from_ns, to_ns
from alphaweave.core.errors import StateCorrupt
from alphaweave.live.reconcile_books import BooksView, ReconcileSettings
from alphaweave.live.reconcile_findings import FillGap, Finding, ForeignFill, FoundFill, FoundFlow
from alphaweave.live.reports import BrokerFill, FillQuery, FillReport

__all__ = ["FillWatch"]

_SECOND_NS = 1_000_000_000
_KEPT = 10_000


class FillWatch:
    """Executions, asked for again and again, each handed on once.

    Attributes:
        opened_at: where the books begin: an execution of nobody's before it is in what was adopted.
        whole_from: symbol -> from when on no execution is missing, up to the last answer.
    """

    def __init__(self, settings: ReconcileSettings, books: BooksView) -> None:
        self._settings = settings
        self._books = books
        self.opened_at: int | None = None
        self.whole_from: dict[str, int] = {}
        self._until: dict[str, int] = {}
        self._cursor: str | None = None
        self._gaps: dict[str, int] = {}
        # Executions that are in no book, so that they are told once or never; the newest are kept.
        self._elsewhere: dict[str, None] = {}
        self._held: dict[str, BrokerFill] = {}

    def before(self, report: FillReport) -> None:
        """These are in what will be adopted, whoever placed them: also a run of this name whose journal is
        lost."""
        for fill in report.fills:
            self._pass_over(_identity(fill))

    def open(self, at: int) -> None:
        """The books begin here."""
        self.opened_at = at
        self._until = dict.fromkeys(self._books.instruments(), at)
        self.whole_from = dict(self._until)
        self._cursor = None

    def cover(self, at: int) -> None:
        """A symbol that is new in the config is watched from here on."""
        for symbol in self._books.instruments():
            self._until.setdefault(symbol, at)
            self.whole_from.setdefault(symbol, at)

    def held(self) -> frozenset[str]:
        """Symbols with an execution of which nobody knows whose it is."""
        return frozenset(fill.symbol for fill in self._held.values())

    def query(self, at: int) -> FillQuery:
        """What to ask for now."""
        origin = at if self.opened_at is None else self.opened_at
        since = min((self._until.get(symbol, origin) for symbol in self._books.instruments()), default=origin)
        return FillQuery(
            from_ns(max(0, since - int(self._settings.overlap * _SECOND_NS))), None, self._cursor
        )

    def answered(
        self, query: FillQuery, report: FillReport, asked_at: int, busy: Collection[str]
    ) -> tuple[list[Finding], tuple[str, ...]]:
        """What is new in a report, and the symbols that it does not answer for."""
        findings = self.facts(report, busy)
        missing = []
        late: dict[datetime, list[str]] = {}
        for symbol in self._books.instruments():
            complete = report.complete_from.get(symbol)
            if complete is None:
                missing.append(symbol)
                continue
            from_when = to_ns(complete)
            # An account that was opened later than what was asked for has no gap before it was.
            wanted = max(to_ns(query.since), self.opened_at or 0)
            if from_when > wanted:
                self.whole_from[symbol] = max(from_when, self.whole_from.get(symbol, from_when))
                if self._gaps.get(symbol) != from_when:
                    self._gaps[symbol] = from_when
                    late.setdefault(complete, []).append(symbol)
            self._until[symbol] = max(asked_at, self._until.get(symbol, 0))
        if not missing:
            self._cursor = report.cursor
        findings += [FillGap(tuple(symbols), query.since, complete) for complete, symbols in late.items()]
        return findings, tuple(missing)

    def facts(self, report: FillReport, busy: Collection[str]) -> list[Finding]:
        """Executions that are news, whenever the report was asked for."""
        findings: list[Finding] = [
            FoundFlow(flow)
            for flow in report.flows
            if not self._books.knows_flow(flow.key) and not self._before_opening(flow.at)
        ]
        fills = {**self._held, **{_identity(fill): fill for fill in report.fills}}
        self._held = {}
        for identity, fill in fills.items():
            ours = fill.client_order_id is not None and self._books.knows_order(fill.client_order_id)
            if self._books.knows_execution(fill.execution_key, fill.revision):
                if fill.fees is not None and not self._books.knows_fees(fill.execution_key):
                    findings.append(FoundFill(fill))
            elif identity in self._elsewhere:
                continue
            elif ours:
                findings.append(FoundFill(fill))
            elif self._before_opening(fill.executed_at):
                continue
            elif fill.symbol not in self._books.instruments():
                self._pass_over(identity)
                findings.append(ForeignFill(fill, halt=False))
            elif fill.symbol in busy:
                # It may be of a leg whose name is in an answer that is still to come.
                self._held[identity] = fill
            else:
                findings.append(ForeignFill(fill, halt=self._settings.foreign == "halt"))
        return findings

    def snapshot(self) -> dict[str, Any]:
        """As JSON values. What is held back is asked for again."""
        until = dict(self._until)
        for fill in self._held.values():
            until[fill.symbol] = min(to_ns(fill.executed_at), until.get(fill.symbol, self.opened_at or 0))
        return {
            "opened_at": self.opened_at,
            "until": until,
            "whole_from": dict(self.whole_from),
            "cursor": None if self._held else self._cursor,
            "gaps": dict(self._gaps),
            "elsewhere": list(self._elsewhere),
        }

    def restore(self, saved: Mapping[str, Any]) -> None:
        """What `snapshot` gave.

        Raises:
            StateCorrupt: it is not that.
        """
        try:
            opened, cursor = saved["opened_at"], saved["cursor"]
            times = [
                {str(symbol): int(at) for symbol, at in saved[name].items()}
                for name in ("until", "whole_from", "gaps")
            ]
            elsewhere = dict.fromkeys(str(identity) for identity in saved["elsewhere"])
            if not (opened is None or type(opened) is int) or not (cursor is None or isinstance(cursor, str)):
                raise ValueError("its parts are of the wrong kind")
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise StateCorrupt(f"what was known of executions cannot be read ({error})") from error
        self.opened_at, self._cursor, self._elsewhere = opened, cursor, elsewhere
        self._until, self.whole_from, self._gaps = times

    def _before_opening(self, at: datetime) -> bool:
        return self.opened_at is None or to_ns(at) <= self.opened_at

    def _pass_over(self, identity: str) -> None:
        self._elsewhere[identity] = None
        while len(self._elsewhere) > _KEPT:
            del self._elsewhere[next(iter(self._elsewhere))]


def _identity(fill: BrokerFill) -> str:
    return f"{fill.execution_key}:{fill.revision}"
