"""What the machine holds ready for a run: journal, locks, disk, ports. It is read, and nothing is made."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from attrs import frozen

from alphaweave.core.clock import from_ns
from alphaweave.core.errors import AlphaweaveError, JournalError, JournalForeign
from alphaweave.core.ids import ClientIds
from alphaweave.core.instrument import Instrument
from alphaweave.core.order import OrderRef
from alphaweave.live.config_live import reconcile_settings
from alphaweave.live.control import ControlStore
from alphaweave.live.findings import Finding, Verdict
from alphaweave.live.journal_reader import JournalReader
from alphaweave.live.journal_records import Recovered
from alphaweave.live.live_ladder import latches_of
from alphaweave.live.live_ports import NullJournal
from alphaweave.live.live_recovery import Recovery
from alphaweave.live.live_wiring import LivePlan, assembled_core, check_not_stopped
from alphaweave.live.reconcile import Reconciler
from alphaweave.live.reports import BrokerAccountState
from alphaweave.live.run_lock import RunLock
from alphaweave.live.trading_state import TradingStates
from alphaweave.strategy.strategy import Strategy

__all__ = ["KnownBooks", "journal_writer", "known_books", "run_findings"]

_HOST: Final = "127.0.0.1"
_MIB: Final = 1 << 20
_SCARCE: Final = 1024 * _MIB
_FULL: Final = 64 * _MIB


@frozen
class KnownBooks:
    """What a run knows of the account by its journal.

    Attributes:
        prefix: what its client order ids begin with.
        positions: symbol -> signed units; those that are none are not there.
        ignored: units that the first start left out of the books.
        working: symbols in which an order may be at the broker.
        names: client order ids of what may be there.
        first_start: the account was never taken over.
    """

    prefix: str
    positions: Mapping[str, Decimal]
    ignored: Mapping[str, Decimal]
    working: frozenset[str]
    names: frozenset[str]
    first_start: bool = False

    @classmethod
    def none(cls, plan: LivePlan) -> KnownBooks:
        """Those of a run that has no journal yet: orders under its ids are its own all the same."""
        ids = ClientIds(account="", run_id=plan.config.run.id, strategy="")
        return cls(ids.prefix, {}, {}, frozenset(), frozenset(), first_start=True)

    def knows(self, client_order_id: str) -> bool:
        """Whether an order of that id is this run's."""
        return client_order_id.startswith(self.prefix) or client_order_id in self.names


def run_findings(plan: LivePlan) -> Iterator[Finding]:
    """Journal, disk and ports; what is wrong with one is said, and the others are looked at all the same."""
    yield from _journal_findings(plan)
    yield from _port_findings(plan)


def journal_writer(plan: LivePlan) -> str | None:
    """The process that writes the run's journal, in words; None where nobody does."""
    path = plan.config.persistence.journal
    return None if path is None else RunLock.holder(_resolved(path, ".lock"))


def known_books(
    plan: LivePlan, account: BrokerAccountState, instruments: Mapping[str, Instrument]
) -> KnownBooks | None:
    """The books as a restart would make them; None before the first start.

    The strategy is not asked: all that it did is in the journal.

    Raises:
        JournalError: it cannot be read, or is of another account.
        StateMismatch: it holds a symbol that the run does not have any more.
        StateCorrupt, InvariantViolation: it does not give the books that it says.
    """
    path = plan.config.persistence.journal
    if path is None or not path.is_file():
        return None
    reader = JournalReader(path)
    theirs, ours = reader.identity.account, account.account_id
    if theirs != ours:
        text = f"this journal is of account {theirs}, and the broker has connected to {ours}"
        raise JournalForeign(text, path, {"account": (theirs, ours)})
    snapshot = reader.snapshot()
    reconciled = reader.latest("watermark").get("reconciler")
    if not reader.seq or reconciled is None or reconciled["fills"]["opened_at"] is None:
        return None
    settings = reconcile_settings(plan.config, plan.mode, plan.broker.capabilities, account.account_id)
    core = assembled_core(
        plan.config,
        strategy=Strategy(),
        account=account.account_id,
        cash=account.balances[plan.config.run.currency].total,
        instruments=instruments,
        capabilities=plan.broker.capabilities,
        prepare=_unsent,
        rules=(),
        journal=NullJournal(),
        reconciler=lambda view: Reconciler(settings, view),
        opening={},
    )
    core.kernel.start()
    Recovery(core.books, core.intake).run(
        Recovered(
            seq=reader.seq,
            epoch=0,
            config_digest=None,
            snapshot=snapshot,
            tail=reader.decisions(0 if snapshot is None else snapshot.seq),
            open_intents=tuple(row for row in reader.orders() if row.is_open),
            state=None,
            adapter_store={},
            watermarks={},
            risk_state=None,
            archive=reader.archive,
        )
    )
    versions = tuple(core.books.open_versions())
    return KnownBooks(
        prefix=core.kernel.ids.prefix,
        positions=core.books.positions(),
        ignored={name: Decimal(units) for name, units in reconciled["account"]["ignored"].items()},
        working=frozenset(one.ref.symbol for one in versions),
        names=frozenset(one.ref.client_order_id for one in versions),
    )


def _journal_findings(plan: LivePlan) -> Iterator[Finding]:
    path = plan.config.persistence.journal
    if path is None:
        text = "there is none: the run cannot go on after a restart, and no command reaches it"
        yield Finding("journal", Verdict.WARNING, text, "set persistence.journal")
        return
    yield from _disk_findings(path)
    if not path.is_file():
        yield Finding("journal", Verdict.OK, f"{path} is yet to be made, by the first start")
        return
    try:
        reader = JournalReader(path)
        differences = _differences(plan, reader)
        seq, states = reader.seq, reader.latest("risk").get("")
    except JournalError as error:
        yield Finding("journal", Verdict.FAILURE, str(error), "restore it from a copy, or name another one")
        return
    if differences:
        text = f"{path} belongs to another run: {'; '.join(differences)}"
        yield Finding("journal", Verdict.FAILURE, text, "name another persistence.journal")
        return
    yield Finding("journal", Verdict.OK, f"{path} can be read: {seq:,} decisions")
    yield from _state_findings(path, states)


def _differences(plan: LivePlan, reader: JournalReader) -> list[str]:
    """Where the journal is not this run's, but for the account, which is not known yet."""
    config, theirs = plan.config, reader.identity
    ours = {
        "run_id": config.run.id,
        "broker": config.broker.name,
        "strategy": config.strategy.class_path,
        "mode": plan.mode.value,
        "account": config.broker.account_id or theirs.account,
    }
    return [
        f"its {name} is {getattr(theirs, name)!r}, this run's is {value!r}"
        for name, value in ours.items()
        if getattr(theirs, name) != value
    ]


def _state_findings(path: Path, saved: Any) -> Iterator[Finding]:
    """What is latched, for it holds from the next start on."""
    try:
        check_not_stopped(path)
        shown = {} if saved is None else latches_of(TradingStates.restore(saved["states"]))
        if ControlStore.path_beside(path).exists():
            shown |= ControlStore.beside(path).latches()
    except AlphaweaveError as error:
        yield Finding("trading state", Verdict.FAILURE, str(error))
        return
    for scope, latch in shown.items():
        if latch.state != "ACTIVE":
            at = f"{from_ns(latch.at_ns):%Y-%m-%d %H:%M} UTC"
            text = f"{latch.state} for {scope or 'everything'}, by {latch.operator} at {at}: {latch.reason}"
            advice = f"look into it, then: alphaweave resume {path} --operator NAME --reason WHY"
            yield Finding("trading state", Verdict.WARNING, text, advice)


def _disk_findings(path: Path) -> Iterator[Finding]:
    folder = next(one for one in path.resolve().parents if one.exists())
    try:
        free = shutil.disk_usage(folder).free
    except OSError as error:
        yield Finding("disk", Verdict.WARNING, f"{folder}: {error.strerror or error}")
        return
    text = f"{free // _MIB:,} MiB are free in {folder}"
    verdict = Verdict.FAILURE if free < _FULL else Verdict.WARNING if free < _SCARCE else Verdict.OK
    advice = "" if verdict is Verdict.OK else "make room: a run whose journal cannot be written ends"
    yield Finding("disk", verdict, text, advice)


def _port_findings(plan: LivePlan) -> Iterator[Finding]:
    """Ports that monitors of the config are going to serve on."""
    for name, monitor in plan.monitors.items():
        port = getattr(monitor, "port", None)
        if not isinstance(port, int) or not port:
            continue
        subject, said = "monitor port", f"{name.rpartition('-')[0]}: {_HOST}:{port}"
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            # As the server itself does: what is still closing is no hindrance.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((_HOST, port))
            except OSError as error:
                text = f"{said}: {(error.strerror or str(error)).lower()}"
                yield Finding(subject, Verdict.FAILURE, text, "set another port, or stop who has it")
            else:
                yield Finding(subject, Verdict.OK, f"{said} is free")


def _resolved(path: Path, suffix: str) -> Path:
    real = path.resolve()
    return real.with_name(f"{real.name}{suffix}")


def _unsent(
    request: object, refs: Sequence[OrderRef], replaces: OrderRef | None = None
) -> Sequence[dict[str, str]]:
    """In place of the adapter's ``prepare``, which would reserve names for what is never sent."""
    return tuple({} for _ in refs)
