"""A paper or live run, from its parts to its end: connect, recover, wire, drive, and let go of everything.

Wiring only; nothing here decides about an order.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import ExitStack
from decimal import localcontext
from pathlib import Path
from typing import Any, Final, TypeVar

from alphaweave.core.clock import from_ns
from alphaweave.core.errors import AlphaweaveError, RunRefused
from alphaweave.core.money import CONTEXT
from alphaweave.live.adapters.base import BrokerAdapter, RunMode
from alphaweave.live.adapters.timer import LoopTimer
from alphaweave.live.config import redacted
from alphaweave.live.control import ControlStore
from alphaweave.live.datafeed import DataFeed
from alphaweave.live.discreet_stores import DiscreetControl, DiscreetJournal
from alphaweave.live.fanout import MonitorFailure
from alphaweave.live.feed_pump import FeedPump
from alphaweave.live.journal import Journal
from alphaweave.live.journal_opening import check_unlocked
from alphaweave.live.journal_reader import JournalReader
from alphaweave.live.journal_records import Recovered
from alphaweave.live.live_core import LiveCore
from alphaweave.live.live_driver import LiveDriver
from alphaweave.live.live_journal import AdapterStore
from alphaweave.live.live_monitors import LiveMonitors
from alphaweave.live.live_ports import JournalWriter
from alphaweave.live.live_wiring import (
    LivePlan,
    broker_services,
    built_core,
    check_not_stopped,
    found_instruments,
    opened_journal,
)
from alphaweave.live.monitor_queue import MonitorQueues
from alphaweave.live.party import FAILURES, Party
from alphaweave.live.reports import BrokerAccountState, BrokerEvent
from alphaweave.live.run_lock import lock_account
from alphaweave.live.trading_state import TradingState, TradingStates
from alphaweave.monitoring.monitor import RunSummary

__all__ = ["LiveRun"]

_GRACE: Final = 5.0
# Among so many bars a restart looks for those that were late for their slice when the process died.
_LATEST: Final = 16
_T = TypeVar("_T")


class LiveRun:
    """One run, once.

    Attributes:
        summary: how it ended; None before that.
        monitor_failures: monitors that raised, hung or could not keep up.
    """

    def __init__(self, plan: LivePlan, *, until: int | None = None, fresh: bool = False) -> None:
        """``until`` and ``fresh`` are what a replay can be told.

        Raises:
            RunRefused: one of them is given, a run with real money has no journal, or a journal is to be
                kept without inputs.
        """
        persistence = plan.config.persistence
        if until is not None or fresh:
            raise RunRefused(
                f"--until and --fresh are for replays, and this is a {plan.mode.value} run; it goes on from "
                "persistence.journal, and `alphaweave stop` ends it"
            )
        if plan.mode is RunMode.LIVE and persistence.journal is None:
            raise RunRefused("run.mode is live, which needs a journal; set persistence.journal")
        if persistence.journal is not None and not persistence.record_inputs:
            raise RunRefused(
                "persistence.record_inputs is false, and a restart needs the inputs since the last snapshot: "
                "leave it out, or leave out persistence.journal to keep nothing at all"
            )
        if persistence.state_path is not None:
            plan.notices.append(
                f"a {plan.mode.value} run keeps its state in persistence.journal; persistence.state_path is "
                "left as it is"
            )
        self.summary: RunSummary | None = None
        self.monitor_failures: tuple[MonitorFailure, ...] = ()
        self._plan = plan
        self._loop: asyncio.AbstractEventLoop | None = None
        self._driver: LiveDriver | None = None
        self._stop: str | None = None

    def request_stop(self) -> None:
        """End the run in good order; safe to call from a signal handler."""
        self._stop = "it was asked to stop"
        if self._loop is not None and self._driver is not None:
            self._loop.call_soon_threadsafe(self._driver.request_stop, self._stop)

    def run(self) -> RunSummary:
        """Run until the feed ends, somebody stops it, or it has to end.

        Raises:
            RunRefused: account, mode, journal and config do not go together, or the books cannot be adopted.
            BrokerError: the broker or the feed cannot be reached, or its stream ended.
            JournalError: the journal cannot be used.
            AlphaweaveError: the run had to end: its journal could not be written, or a limit demanded it.
        """
        with localcontext(CONTEXT):
            return asyncio.run(self._run())

    async def _run(self) -> RunSummary:
        plan = self._plan
        self._loop = asyncio.get_running_loop()
        path = plan.config.persistence.journal
        check_not_stopped(path)
        with ExitStack() as held:
            # Before anything is connected: a second run would disturb the first, and be refused in the
            # broker's words, if at all.
            if path is not None:
                check_unlocked(path)
            named = plan.config.broker.account_id
            if named is not None:
                held.callback(self._account_lock(named).release)
            store = AdapterStore(_kept(path))
            broker: BrokerAdapter = plan.broker_party.ask(
                "create", BrokerAdapter, plan.broker.create, plan.broker_options, broker_services(plan, store)
            )
            feed: DataFeed = plan.feed_party.ask(
                "create",
                DataFeed,
                plan.datafeed.create,
                plan.feed_options,
                plan.services(plan.datafeed.name),
            )
            events = plan.broker_party.ask("events", AsyncIterator, broker.events)
            try:
                await _asked(plan.broker_party, "connect", broker.connect())
                await _asked(plan.feed_party, "connect", feed.connect())
                account = await _asked(plan.broker_party, "get_account_state", broker.get_account_state())
                self._check_account(account)
                if named is None:
                    held.callback(self._account_lock(account.account_id).release)
                instruments = await _asked(
                    plan.broker_party, "get_instruments", found_instruments(plan, broker)
                )
                journal, recovered = opened_journal(plan, account, instruments)
                held.callback(self._close, journal)
                core = built_core(
                    plan,
                    broker,
                    account=account,
                    instruments=instruments,
                    journal=self._discreet(journal),
                    store=store,
                )
                meta = self._meta(account, recovered)
                return await self._drive(core, broker, events, feed, meta, recovered)
            finally:
                await _let_go(broker, feed)

    async def _drive(  # noqa: PLR0917 - the parts of a run
        self,
        core: LiveCore,
        broker: BrokerAdapter,
        events: AsyncIterator[BrokerEvent],
        feed: DataFeed,
        meta: Mapping[str, Any],
        recovered: Recovered | None,
    ) -> RunSummary:
        plan, config = self._plan, self._plan.config
        path = config.persistence.journal
        queues = MonitorQueues(tuple(plan.monitors.items()), clock=plan.clock)
        monitors = LiveMonitors(
            queues,
            state=lambda: core.board.states.state().value,
            now=plan.clock.now,
            quiet=lambda: core.link.upkeep is not None,
        )
        queues.start(meta)
        control = None if path is None else DiscreetControl(ControlStore.beside(path).path, plan.scrubber)
        timer = LoopTimer(plan.clock)
        driver = self._driver = LiveDriver(
            core,
            broker=broker,
            events=events,
            pump=lambda now: FeedPump(
                feed,
                symbols=config.symbols,
                interval=config.datafeed.interval,
                grace=_GRACE,
                warmup=config.run.warmup,
                timer=timer,
                now=now,
                after=core.closed_to,
                had=core.latest_bars(_LATEST),
            ),
            monitors=monitors,
            control=control,
            settings=plan.settings,
            timer=timer,
        )
        if self._stop is not None:
            driver.request_stop(self._stop)
        outcome, error = "failed", None
        try:
            finish = await driver.run(recovered)
            if finish.exit_code:
                error = finish.reason
            else:
                outcome = "finished" if driver.fed else "stopped"
        except BaseException as failure:
            error = str(failure) or type(failure).__name__
            raise
        finally:
            self.summary = self._summary(core, outcome, error)
            queues.end(self.summary)
            troubles = (*monitors.troubles, *queues.stop(plan.settings.stop_within))
            self.monitor_failures = tuple(
                MonitorFailure(plan.monitors[one.monitor], one.code, one.error or TimeoutError(one.text))
                for one in troubles
            )
        if error is not None:
            raise AlphaweaveError(error) if driver.opened else RunRefused(error)
        return self.summary

    def _discreet(self, journal: JournalWriter) -> JournalWriter:
        if not isinstance(journal, Journal):
            return journal
        return DiscreetJournal(journal, self._plan.scrubber, journal.path)

    def _close(self, journal: JournalWriter) -> None:
        # A strategy that never came back still has the core, and with it the journal.
        if isinstance(journal, Journal) and (self._driver is None or self._driver.ended):
            journal.close()

    # The parts.

    def _check_account(self, account: BrokerAccountState) -> None:
        config, mode = self._plan.config, self._plan.mode
        wanted, real = config.broker.account_id, account.account_id
        if wanted is not None and wanted != real:
            raise RunRefused(
                f"broker.account_id is {wanted}, and the broker has connected to {real}; "
                "correct the one or the credentials of the other"
            )
        if mode is RunMode.LIVE and self._plan.confirmed != real:
            raise RunRefused(f"this run trades real money in account {real}; say --confirm-live {real}")
        if config.run.currency not in account.balances:
            raise RunRefused(
                f"broker {config.broker.name!r} has an account in "
                f"{', '.join(account.balances) or 'nothing'}, and run.currency is {config.run.currency}; "
                "make them equal"
            )

    def _account_lock(self, account: str) -> Any:
        broker = self._plan.broker
        if broker.capabilities.simulated:
            return _NoLock()  # the account is this process's own
        return lock_account(broker.name, account)

    def _meta(self, account: BrokerAccountState, recovered: Recovered | None) -> dict[str, Any]:
        plan, config = self._plan, self._plan.config
        return {
            "run_id": config.run.id,
            "mode": plan.mode.value,
            "strategy": config.strategy.class_path,
            "symbols": config.symbols,
            "capital": float(account.balances[config.run.currency].total),
            "currency": config.run.currency,
            "interval": config.datafeed.interval,
            "warmup": config.run.warmup,
            "resumed": recovered is not None and recovered.seq > 0,
            "broker": config.broker.name,
            "datafeed": config.datafeed.name,
            "timezone": config.datafeed.timezone,
            "config": redacted(config),
            "notices": tuple(plan.notices),
        }

    def _summary(self, core: LiveCore, outcome: str, error: str | None) -> RunSummary:
        kernel = core.kernel
        first = min((one.series.end[0] for one in kernel.books.values() if len(one.series)), default=None)
        return RunSummary(
            run_id=self._plan.config.run.id,
            outcome=outcome,
            slices=kernel.index + 1,
            orders=kernel.orders_placed,
            fills=kernel.fills,
            denials=kernel.denials,
            rule_evaluations=core.board.evaluations,
            equity=kernel.equity(),
            cash=kernel.ledger.cash,
            started_at=None if first is None else from_ns(first),
            ended_at=from_ns(kernel.now) if kernel.index >= 0 else None,
            error=error,
            halted=_halted(core.board.states),
        )


def _halted(states: TradingStates) -> str | None:
    """What the engine itself latched for the whole account, the first cause first."""
    if states.state() is TradingState.ACTIVE:
        return None
    own = [f"{cause.code}: {cause.reason}" for cause in states.causes() if cause.who == "engine"]
    return "; ".join(own) or None


class _NoLock:
    def release(self) -> None: ...


def _kept(path: Path | None) -> Mapping[str, str]:
    """What the adapter kept in an earlier part of the run: it is made before its account is known."""
    return {} if path is None or not path.is_file() else JournalReader(path).latest("store")


async def _let_go(*adapters: BrokerAdapter | DataFeed) -> None:
    for adapter in adapters:
        try:
            await adapter.disconnect()
        except (Exception, SystemExit, GeneratorExit):
            # What it must not do; the run is over, and how it ended is what has to be told.
            continue


async def _asked(party: Party, callback: str, waiting: Awaitable[_T]) -> _T:
    """What an adapter answers; what it must not raise is told in its name."""
    try:
        return await waiting
    except AlphaweaveError:
        raise
    except FAILURES as error:
        raise party.failed(callback, error) from error
