"""The parts of a paper or live run, made for each other: instruments, journal, books, rules, core."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from hashlib import blake2b
from pathlib import Path
from typing import Any

from attrs import evolve, field, frozen

from alphaweave.core.clock import Clock, from_ns, to_ns
from alphaweave.core.errors import RunRefused
from alphaweave.core.instrument import Instrument
from alphaweave.core.interval import parse_interval
from alphaweave.core.scrubber import Scrubber
from alphaweave.data.series import Series
from alphaweave.live.adapters.base import BrokerAdapter, RunMode, Services
from alphaweave.live.adapters.capabilities import Capabilities
from alphaweave.live.config import LiveConfig
from alphaweave.live.config_live import maintenance, reconcile_settings, risk_board
from alphaweave.live.control import ControlStore
from alphaweave.live.control_records import Verb
from alphaweave.live.effects import Prepare, Reservations
from alphaweave.live.input_codec import to_document
from alphaweave.live.instrument_rules import instrument_rules
from alphaweave.live.journal import Journal, RunIdentity
from alphaweave.live.journal_reader import JournalReader
from alphaweave.live.journal_records import Recovered, canonical
from alphaweave.live.kernel import KernelSettings
from alphaweave.live.kernel_live import LiveKernel
from alphaweave.live.ledger import Ledger
from alphaweave.live.live_books import LiveBooks
from alphaweave.live.live_core import LiveCore
from alphaweave.live.live_driver import DriverSettings
from alphaweave.live.live_journal import AdapterStore
from alphaweave.live.live_ports import JournalWriter, NullJournal, ReconcilerPort
from alphaweave.live.live_settings import LiveSettings
from alphaweave.live.orders import SymbolBook
from alphaweave.live.party import Party
from alphaweave.live.plugins import BrokerPlugin, DatafeedPlugin
from alphaweave.live.proposal import RiskRule
from alphaweave.live.reconcile import Reconciler
from alphaweave.live.reports import BrokerAccountState
from alphaweave.live.risk_bounded import bounded
from alphaweave.live.terms import run_terms, term_changes
from alphaweave.live.trading_state import KillStep, TradingStates
from alphaweave.monitoring.monitor import Monitor
from alphaweave.strategy.strategy import Strategy

__all__ = [
    "LivePlan",
    "assembled_core",
    "broker_services",
    "built_core",
    "check_not_stopped",
    "found_instruments",
    "opened_journal",
]


@frozen(kw_only=True)
class LivePlan:
    """What a run is made of, found and checked by the runner.

    Attributes:
        monitors: those of the config and the recorder, by name, behind the scrubber.
        services: what an adapter of that name gets; the run adds its store.
        confirmed: the account that the operator confirmed to be traded with real money.
        rules: risk rules of plugins.
        notices: what the operator should read; the run adds to it.
    """

    config: LiveConfig
    mode: RunMode
    strategy: Strategy
    broker: BrokerPlugin
    broker_options: object
    broker_party: Party
    datafeed: DatafeedPlugin
    feed_options: object
    feed_party: Party
    monitors: Mapping[str, Monitor]
    services: Callable[[str], Services]
    clock: Clock
    scrubber: Scrubber
    notices: list[str]
    rules: tuple[RiskRule, ...] = ()
    confirmed: str | None = None
    settings: DriverSettings = field(factory=DriverSettings)


def broker_services(plan: LivePlan, store: AdapterStore) -> Services:
    """What the broker's adapter gets."""
    rules = instrument_rules(plan.config, plan.broker.name, {})
    journal = plan.config.persistence.journal
    kept = None if journal is None else journal.with_name(f"{journal.name}.account")
    return evolve(
        plan.services(plan.broker.name),
        store=store,
        instruments=rules.instruments,
        account_path=kept if plan.broker.capabilities.simulated else None,
    )


async def found_instruments(plan: LivePlan, broker: BrokerAdapter) -> Mapping[str, Instrument]:
    """The broker's rules, and those of the config over them.

    Raises:
        RunRefused: the broker does not know a symbol, or one has another currency than the run.
    """
    config = plan.config
    found = await broker.get_instruments(config.symbols)
    absent = [symbol for symbol in config.symbols if symbol not in found]
    if absent:
        raise RunRefused(
            f"broker {config.broker.name!r} does not know {', '.join(absent)}; correct instruments, or "
            "give the venue's own name under names:"
        )
    rules = {entry.symbol: evolve(found[entry.symbol], **entry.rules()) for entry in config.instruments}
    for symbol, one in rules.items():
        settle = one.quote if one.kind == "spot" else one.settle
        if settle != config.run.currency:
            raise RunRefused(
                f"{symbol} settles in {settle}, the run's currency is {config.run.currency}; one run has "
                "one currency: set run.currency, or leave the symbol to another run"
            )
    assumed = [symbol for symbol, one in rules.items() if one.assumed]
    if assumed:
        plan.notices.append(
            f"trading rules of {', '.join(assumed)} are assumed where `instruments:` does not say otherwise"
        )
    return rules


def check_not_stopped(path: Path | None) -> None:
    """What stopped a run for good has to be looked into before it starts again.

    Raises:
        RunRefused: something did, and nobody has resumed it since.
        JournalError: the journal cannot be read.
        StateCorrupt: its trading state cannot be.
    """
    saved = JournalReader(path).latest("risk").get("") if path is not None and path.is_file() else None
    if path is None or saved is None:
        return
    stops = [
        cause for cause in TradingStates.restore(saved["states"]).causes() if cause.step is KillStep.STOP
    ]
    said = ControlStore.beside(path).pending() if stops else ()
    if stops and not any(one.verb is Verb.RESUME and not one.scope for one in said):
        cause = stops[-1]
        raise RunRefused(
            f"this run was stopped by {cause.who} at {from_ns(cause.at_ns):%Y-%m-%d %H:%M} UTC "
            f"({cause.code}: {cause.reason}); "
            f"look into it, then: alphaweave resume {path} --operator NAME --reason WHY"
        )


def opened_journal(
    plan: LivePlan, account: BrokerAccountState, instruments: Mapping[str, Instrument]
) -> tuple[JournalWriter, Recovered | None]:
    """The journal, with what it knows of earlier parts of the run; one that keeps nothing if none is named.

    Raises:
        JournalError: it cannot be used.
    """
    config = plan.config
    terms = _terms(plan, instruments)
    digest = blake2b(canonical(terms).encode(), digest_size=16).hexdigest()
    path = config.persistence.journal
    if path is None:
        plan.notices.append(
            "this run keeps no journal: it cannot go on after a restart, and no command reaches it; "
            "set persistence.journal"
        )
        return NullJournal(), None
    run = RunIdentity(
        run_id=config.run.id,
        broker=config.broker.name,
        account=account.account_id,
        strategy=config.strategy.class_path,
        mode=plan.mode.value,
        config_digest=digest,
    )
    journal = Journal.open(path, run=run, clock_ns=lambda: to_ns(plan.clock.now()))
    try:
        recovered = journal.recover()
        if recovered.seq and recovered.config_digest != digest:
            plan.notices.append(_changed(path, terms))
    except BaseException:
        journal.close()
        raise
    return journal, recovered


def built_core(
    plan: LivePlan,
    broker: BrokerAdapter,
    *,
    account: BrokerAccountState,
    instruments: Mapping[str, Instrument],
    journal: JournalWriter,
    store: AdapterStore,
) -> LiveCore:
    """The core, with everything that it looks at."""
    config = plan.config
    cash = account.balances[config.run.currency].total
    opening = {
        "account": account.account_id,
        "cash": str(cash),
        "instruments": to_document(instruments),
        "terms": _terms(plan, instruments),
    }
    capabilities = plan.broker.capabilities
    reconciling = reconcile_settings(config, plan.mode, capabilities, account.account_id)
    return assembled_core(
        config,
        strategy=plan.strategy,
        account=account.account_id,
        cash=cash,
        instruments=instruments,
        capabilities=capabilities,
        prepare=broker.prepare,
        rules=tuple(bounded(rule, plan.clock.monotonic) for rule in plan.rules),
        journal=journal,
        reconciler=lambda view: Reconciler(reconciling, view),
        opening=opening,
        store=store,
    )


def assembled_core(
    config: LiveConfig,
    *,
    strategy: Strategy,
    account: str,
    cash: Decimal,
    instruments: Mapping[str, Instrument],
    capabilities: Capabilities,
    prepare: Prepare,
    rules: Sequence[RiskRule],
    journal: JournalWriter,
    reconciler: Callable[[LiveBooks], ReconcilerPort],
    opening: Mapping[str, Any],
    store: AdapterStore | None = None,
) -> LiveCore:
    """A core of a config's settings, for an account that holds so much cash; ``opening`` goes into its
    journal."""
    interval = parse_interval(config.datafeed.interval)
    books = {symbol: SymbolBook(one, Series(symbol, interval.text)) for symbol, one in instruments.items()}
    ledger = Ledger(currency=config.run.currency, cash=cash, account=account)
    board = risk_board(config, books, ledger, capabilities, extra=rules)
    kernel = LiveKernel(
        strategy=strategy,
        settings=KernelSettings(
            run_id=config.run.id,
            strategy=config.strategy.class_path,
            account=account,
            interval=interval.text,
            warmup=config.run.warmup,
            capital=None if config.run.capital is None else float(config.run.capital),
            prepare=Reservations(prepare),
        ),
        books=books,
        ledger=ledger,
        chain=board,
        capabilities=capabilities,
    )
    view = LiveBooks(kernel)
    return LiveCore(
        kernel,
        journal=journal,
        risk=board,
        reconciler=reconciler(view),
        books=view,
        settings=LiveSettings(
            adopt_foreign=config.reconciliation.foreign == "adopt",
            # What is older is history: it is taken in after an outage, and not traded on.
            max_slice_age=None if interval.seconds is None else max(30.0, 1.5 * interval.seconds),
            opening=opening,
            maintenance=maintenance(config),
        ),
        store=store,
    )


def _changed(path: Path, terms: Mapping[str, Any]) -> str:
    start = JournalReader(path).newest("start")
    before = None if start is None else start.decision.payload.get("terms")
    # A journal of an older version has only their digest.
    changes = [] if before is None else term_changes(before, terms)
    text = "warning: the terms of the config are not those of the last start"
    return f"{text}: {'; '.join(changes)}" if changes else text


def _terms(plan: LivePlan, instruments: Mapping[str, Instrument]) -> Any:
    terms = run_terms(plan.config, broker_options=plan.broker_options, instruments=instruments)
    return plan.scrubber.tree(terms)
