"""The parts of a paper or live run, made for each other: instruments, journal, books, rules, core."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from hashlib import blake2b

from attrs import evolve, field, frozen

from alphaweave.core.clock import Clock, to_ns
from alphaweave.core.errors import RunRefused
from alphaweave.core.instrument import Instrument
from alphaweave.core.interval import parse_interval
from alphaweave.core.scrubber import Scrubber
from alphaweave.data.series import Series
from alphaweave.live.adapters.base import BrokerAdapter, RunMode, Services
from alphaweave.live.config import LiveConfig
from alphaweave.live.config_live import reconcile_settings, risk_board
from alphaweave.live.journal import Journal, RunIdentity
from alphaweave.live.journal_records import Recovered, canonical
from alphaweave.live.kernel import KernelSettings
from alphaweave.live.kernel_live import LiveKernel
from alphaweave.live.ledger import Ledger
from alphaweave.live.live_books import LiveBooks
from alphaweave.live.live_core import LiveCore
from alphaweave.live.live_driver import DriverSettings
from alphaweave.live.live_journal import AdapterStore
from alphaweave.live.live_ports import JournalWriter, NullJournal
from alphaweave.live.live_settings import LiveSettings
from alphaweave.live.orders import SymbolBook
from alphaweave.live.party import Party
from alphaweave.live.plugins import BrokerPlugin, DatafeedPlugin
from alphaweave.live.proposal import RiskRule
from alphaweave.live.reconcile import Reconciler
from alphaweave.live.reports import BrokerAccountState
from alphaweave.live.terms import run_terms
from alphaweave.monitoring.monitor import Monitor
from alphaweave.strategy.strategy import Strategy

__all__ = ["LivePlan", "built_core", "found_instruments", "opened_journal"]


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


def opened_journal(
    plan: LivePlan, account: BrokerAccountState, instruments: Mapping[str, Instrument]
) -> tuple[JournalWriter, Recovered | None]:
    """The journal, with what it knows of earlier parts of the run; one that keeps nothing if none is named.

    Raises:
        JournalError: it cannot be used.
    """
    config = plan.config
    terms = run_terms(config, broker_options=plan.broker_options, instruments=instruments)
    digest = blake2b(canonical(plan.scrubber.tree(terms)).encode(), digest_size=16).hexdigest()
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
    except BaseException:
        journal.close()
        raise
    if recovered.seq and recovered.config_digest != digest:
        plan.notices.append("warning: the terms of the config are not those of the last start")
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
    interval = parse_interval(config.datafeed.interval)
    books = {symbol: SymbolBook(one, Series(symbol, interval.text)) for symbol, one in instruments.items()}
    currency = config.run.currency
    ledger = Ledger(currency=currency, cash=account.balances[currency].total, account=account.account_id)
    capabilities = plan.broker.capabilities
    board = risk_board(config, books, ledger, capabilities, extra=plan.rules)
    kernel = LiveKernel(
        strategy=plan.strategy,
        settings=KernelSettings(
            run_id=config.run.id,
            strategy=config.strategy.class_path,
            account=account.account_id,
            interval=interval.text,
            warmup=config.run.warmup,
            capital=None if config.run.capital is None else float(config.run.capital),
            prepare=broker.prepare,
        ),
        books=books,
        ledger=ledger,
        chain=board,
        capabilities=capabilities,
    )
    view = LiveBooks(kernel)
    reconciling = reconcile_settings(config, plan.mode, capabilities, account.account_id)
    return LiveCore(
        kernel,
        journal=journal,
        risk=board,
        reconciler=Reconciler(reconciling, view),
        books=view,
        settings=LiveSettings(
            adopt_foreign=config.reconciliation.foreign == "adopt",
            # What is older is history: it is taken in after an outage, and not traded on.
            max_slice_age=None if interval.seconds is None else max(30.0, 1.5 * interval.seconds),
        ),
        store=store,
    )
