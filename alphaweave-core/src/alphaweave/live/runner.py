"""The runner: from a config to a finished run. Wiring only; nothing here decides about an order."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from alphaweave.core.clock import Clock, SystemClock
from alphaweave.core.errors import AlphaweaveError, ConfigError, RunRefused, StateError
from alphaweave.core.instrument import Instrument
from alphaweave.core.outputs import Output
from alphaweave.core.scrubber import Scrubber
from alphaweave.data.series import Series
from alphaweave.live.adapter_services import adapter_services
from alphaweave.live.adapters.base import RunMode, Services
from alphaweave.live.config import (
    LiveConfig,
    check_mode,
    datafeed_block,
    load_live_config,
    parse_options,
    redacted,
)
from alphaweave.live.config_live import calendars
from alphaweave.live.datafeed import DataFeed, ReplayDataFeed
from alphaweave.live.discretion import (
    discreet_failure,
    discreet_monitor,
    discreet_record,
    discreet_state,
    discreetly,
)
from alphaweave.live.engine import EngineSettings, LiveEngine
from alphaweave.live.fanout import MonitorFailure
from alphaweave.live.instrument_rules import instrument_rules
from alphaweave.live.notices import Notices
from alphaweave.live.party import FAILURES, Party
from alphaweave.live.plugin_parts import PartMaker
from alphaweave.live.plugins import BrokerPlugin, DatafeedPlugin, MonitorPlugin, RiskRulePlugin
from alphaweave.live.registry import Registry
from alphaweave.live.reports import BrokerAccountState
from alphaweave.live.resume import state_to_resume
from alphaweave.live.run_files import check_files, state_lock
from alphaweave.live.state import LiveState, save_live_state
from alphaweave.live.strategy_loader import load_strategy
from alphaweave.live.terms import run_terms
from alphaweave.monitoring.memory import InMemoryMonitor
from alphaweave.monitoring.monitor import Monitor, RunSummary
from alphaweave.monitoring.run import RunMonitor
from alphaweave.sim.venue import SimVenue
from alphaweave.strategy.strategy import Strategy

if TYPE_CHECKING:
    from alphaweave.live.live_run import LiveRun
    from alphaweave.live.live_wiring import LivePlan

__all__ = ["LiveRunner"]


class LiveRunner:
    """One run of one config.

    Attributes:
        config: what it was made from.
        mode: what the run is.
        notices: what the operator should read: deprecated spellings, the broker's caveats, rules that are
            assumed, bars that were adjusted on loading, whether it resumes, what is not kept.
        engine, live: what drives a replay, or a paper or live run.
        memory: what was recorded; complete after `run`.
        monitors: name -> who is told: ``recorder`` (`memory`), the watchers, those of the config.
        scrubber: knows the run's secrets, and keeps them out of all that leaves the run.
    """

    def __init__(
        self,
        config: LiveConfig,
        *,
        broker: BrokerPlugin,
        datafeed: DatafeedPlugin,
        monitors: Sequence[MonitorPlugin] = (),
        risk_rules: Sequence[RiskRulePlugin] = (),
        watchers: Sequence[Monitor] = (),
        clock: Clock | None = None,
        origin: Callable[[object], str | None] = lambda record: None,
    ) -> None:
        """Check that the parts go together; nothing is connected, read or written yet.

        ``origin`` tells who ships a plugin, for messages.

        Raises:
            ConfigError: an options block or the risk section is wrong.
            RunRefused: mode, feed and broker do not go together.
            AdapterFailed: the plugin of a monitor or of a risk rule raised.
        """
        self.scrubber = Scrubber()
        self.config = config
        self.mode = check_mode(config, datafeed.capabilities, broker.capabilities)
        if self.mode is RunMode.REPLAY and config.persistence.journal is not None:
            raise RunRefused(
                "persistence.journal: a replay writes no journal; leave it out, and keep the run with "
                "persistence.state_path"
            )
        self.notices = Notices(config.deprecations)
        self.notices += [f"broker {broker.name!r}: {caveat}" for caveat in broker.capabilities.caveats]
        problems = config.risk.problems(config.symbols, config.run.capital)
        if problems:
            raise ConfigError(problems, config.source)
        self.memory = InMemoryMonitor()
        self._broker = broker
        self._datafeed = datafeed
        self._clock = clock or SystemClock()
        self._broker_party = Party("broker", broker.name, origin(broker))
        self._feed_party = Party("datafeed", datafeed.name, origin(datafeed))
        self._broker_options = self._parsed(
            broker.options, config.broker.block, f"broker.options.{broker.name}"
        )
        self._feed_options = self._parsed(
            datafeed.options, datafeed_block(config, datafeed.options), f"datafeed.options.{datafeed.name}"
        )
        named: dict[str, Monitor] = {"recorder": self.memory}
        # Before the others, so that a progress line counts the run and not the writing of a page.
        for number, watcher in enumerate(watchers):
            named[f"watcher-{number}"] = watcher
        maker = PartMaker(self._parsed, self._services, self.scrubber, origin)
        self._rules = maker.rules(risk_rules, config.risk_rules)
        parts = maker.monitors(monitors, config.monitors, self.memory)
        named |= {f"{part.party.name}-{number}": part.made for number, part in enumerate(parts)}
        self._monitor_options = [part.options for part in parts]
        self._monitor_parties = [(part.made, part.party) for part in parts]
        self.monitors: Mapping[str, Monitor] = named
        self.engine: LiveEngine | None = None
        self.live: LiveRun | None = None
        self._stop = False

    @classmethod
    def from_config(
        cls,
        config: LiveConfig | str | Path,
        *,
        registry: Registry | None = None,
        watchers: Sequence[Monitor] = (),
        clock: Clock | None = None,
    ) -> Self:
        """Find the adapters that the config names, and only those.

        Args:
            config: a parsed config, or the path of a file.
            registry: where to look; a new one over what is installed by default.
            watchers: monitors besides those that the config names.
            clock: for the adapters; the machine's by default.

        Raises:
            ConfigError: the file is wrong, or as the constructor.
            AdapterError: an adapter cannot be found, imported or trusted.
            RunRefused: as the constructor.
        """
        parsed = config if isinstance(config, LiveConfig) else load_live_config(config)
        found = registry or Registry()
        return cls(
            parsed,
            broker=found.broker(parsed.broker.name, distribution=parsed.broker.distribution),
            datafeed=found.datafeed(parsed.datafeed.name, distribution=parsed.datafeed.distribution),
            monitors=[
                found.monitor(section.name, distribution=section.distribution) for section in parsed.monitors
            ],
            risk_rules=[
                found.risk_rule(one.name, distribution=one.distribution) for one in parsed.risk_rules
            ],
            watchers=watchers,
            clock=clock,
            origin=found.origin,
        )

    @property
    def summary(self) -> RunSummary | None:
        """How the run ended; None before that."""
        summary = getattr(self.engine or self.live, "summary", None)
        return None if summary is None else discreet_record(summary, self.scrubber)

    @property
    def monitor_failures(self) -> tuple[MonitorFailure, ...]:
        """Monitors that raised and were put aside; of a paper or live run, also those that were too slow."""
        parties = self._monitor_parties
        driver = self.engine or self.live
        failures = () if driver is None else driver.monitor_failures
        return tuple(discreet_failure(failure, self.scrubber, parties) for failure in failures)

    def load_strategy(self) -> Strategy:
        """A new instance of the config's strategy; its file may lie beside the config.

        Raises:
            ConfigError: there is no such module, class or parameter.
            StrategyError: the module or the constructor raised.
        """
        section = self.config.strategy
        load = partial(load_strategy, folder=self.config.base_dir)
        try:
            return discreetly(self.scrubber, load, section.class_path, section.params)
        except ConfigError as error:
            raise ConfigError(error.problems, self.config.source) from error

    def request_stop(self) -> None:
        """End the run after the present slice, its state saved; safe to call from a signal handler.

        Before the first slice, the run ends before it.
        """
        self._stop = True
        if driver := self.engine or self.live:
            driver.request_stop()

    def check_files(self, strategy: Strategy, also: Sequence[Output] = ()) -> None:
        """Refuse to write over what the run reads, or over a file that is not AlphaWeave's.

        Args:
            strategy: as of `load_strategy`.
            also: what the caller is going to write besides.

        Raises:
            ConfigError: with everything that is wrong.
        """
        check_files(
            self.config,
            strategy=strategy,
            feed_options=self._feed_options,
            monitor_options=self._monitor_options,
            also=also,
        )

    def run(
        self,
        *,
        until: int | None = None,
        fresh: bool = False,
        also: Sequence[Output] = (),
        confirm_live: str | None = None,
    ) -> RunMonitor:
        """Run to the end, or until stopped, and save the state where the config says.

        Where the state of a run that ended cannot be saved, `summary` and `memory` tell how it went.

        Args:
            until: number of slices after which to stop.
            fresh: start anew even if there is a state to go on from.
            also: files that the caller is going to write, to be checked with the run's own.
            confirm_live: the account that may be traded with real money.

        Raises:
            ConfigError: a file that the run would write is not its own.
            RunRefused: the run needs what this version does not have, or another one has its state.
            DataError: the bars cannot be used.
            StateError: the saved state does not fit, or cannot be written.
            StrategyError: the strategy raised.
            AdapterFailed: a plugin raised.
        """
        try:
            return discreetly(self.scrubber, self._run, until, fresh, also, confirm_live)
        except ConfigError as error:
            if error.source is not None:
                raise
            # A plugin does not know where its part of the config stands.
            raise type(error)(error.problems, self.config.source) from error

    def plan(self, strategy: Strategy, confirmed: str | None = None) -> LivePlan:
        """What a paper or live run is made of; ``confirmed`` as of `run`. Nothing is connected."""
        from alphaweave.live.live_wiring import LivePlan

        return LivePlan(
            config=self.config,
            mode=self.mode,
            strategy=strategy,
            broker=self._broker,
            broker_options=self._broker_options,
            broker_party=self._broker_party,
            datafeed=self._datafeed,
            feed_options=self._feed_options,
            feed_party=self._feed_party,
            monitors={name: discreet_monitor(one, self.scrubber) for name, one in self.monitors.items()},
            services=self._services,
            clock=self._clock,
            scrubber=self.scrubber,
            notices=self.notices,
            rules=self._rules,
            confirmed=confirmed,
        )

    # Within.

    def _run(
        self, until: int | None, fresh: bool, also: Sequence[Output], confirm_live: str | None
    ) -> RunMonitor:
        strategy = self.load_strategy()
        self.check_files(strategy, also)
        if self.mode is not RunMode.REPLAY:
            return self._run_live(strategy, until, fresh, confirm_live)
        with state_lock(self.config.persistence.state_path):
            return self._run_locked(strategy, until, fresh)

    def _run_live(
        self, strategy: Strategy, until: int | None, fresh: bool, confirm_live: str | None
    ) -> RunMonitor:
        # Not at the top: a replay has no need of a database.
        from alphaweave.live.live_run import LiveRun

        self.live = LiveRun(self.plan(strategy, confirm_live), until=until, fresh=fresh)
        if self._stop:
            self.live.request_stop()
        self.live.run()
        return RunMonitor(self.memory)

    def _run_locked(self, strategy: Strategy, until: int | None, fresh: bool) -> RunMonitor:
        config = self.config
        path = config.persistence.state_path
        series = self._recorded_series()
        rules = instrument_rules(config, self._broker.name, series)
        self.notices += rules.notices
        instruments = rules.instruments
        terms = run_terms(config, broker_options=self._broker_options, instruments=instruments)
        terms = self.scrubber.tree(terms)
        state: LiveState | None = None
        if path is not None and not fresh:
            state, notice = state_to_resume(
                path, strategy=config.strategy.class_path, run_id=config.run.id, series=series, terms=terms
            )
            self.notices += [] if notice is None else [notice]
        venue = self._venue(instruments)
        opening = self._broker_party.ask("account_state", BrokerAccountState, venue.account_state, 0)
        if config.run.currency not in opening.balances:
            raise RunRefused(
                f"broker {self._broker.name!r} has an account in {', '.join(opening.balances) or 'nothing'}, "
                f"and run.currency is {config.run.currency}; make them equal"
            )
        self.engine = LiveEngine(
            EngineSettings(
                run_id=config.run.id,
                strategy=config.strategy.class_path,
                cash=opening.balances[config.run.currency].total,
                currency=config.run.currency,
                account=opening.account_id,
                interval=config.datafeed.interval,
                warmup=config.run.warmup,
                capital=config.run.capital,
                mode=self.mode,
                risk=config.risk,
                rules=self._rules,
                calendars=calendars(config) if self._rules or config.risk.remembering() else {},
                timezone=config.datafeed.timezone,
                terms=terms,
                meta={
                    "broker": config.broker.name,
                    "datafeed": config.datafeed.name,
                    "timezone": config.datafeed.timezone,
                    "config": redacted(config),
                    "notices": tuple(self.notices),
                },
            ),
            {name: discreet_monitor(one, self.scrubber) for name, one in self.monitors.items()},
        )
        if self._stop:
            self.engine.request_stop()
        try:
            self.engine.replay(
                strategy,
                series,
                venue=venue,
                instruments=instruments,
                capabilities=self._broker.capabilities,
                state=state,
                until=until,
            )
        except StateError as error:
            if error.path is not None or state is None:
                raise
            raise type(error)(str(error), path) from error
        except AlphaweaveError:
            raise
        except FAILURES as error:
            raise self._broker_party.blame(error, venue) or error from error
        if path is not None:
            save_live_state(path, discreet_state(self.engine.state(), self.scrubber))
            unsaved = self.engine.unsaved()
            if unsaved:
                self.notices.append(
                    f"{config.strategy.class_path} changed {', '.join(unsaved)} during the run and has no "
                    "get_state: a run resumed from this state begins without; write get_state and set_state"
                )
        return RunMonitor(self.memory)

    def _parsed(self, options: type, block: Mapping[str, Any], path: str) -> Any:
        try:
            return parse_options(
                options, block, path=path, base_dir=self.config.base_dir, scrubber=self.scrubber
            )
        except ConfigError as error:
            raise type(error)(error.problems, self.config.source) from None

    def _services(self, adapter: str) -> Services:
        return adapter_services(self.config, self.mode, self._clock, adapter)

    def _recorded_series(self) -> Mapping[str, Series]:
        services = self._services(self._datafeed.name)
        feed = self._feed_party.ask("create", DataFeed, self._datafeed.create, self._feed_options, services)
        if not isinstance(feed, ReplayDataFeed):
            raise RunRefused(
                f"datafeed {self._datafeed.name!r} holds no recorded bars; set datafeed.name: replay"
            )
        report = getattr(feed.series, "report", None)
        if report is not None:
            self.notices += map(self.scrubber.text, report.lines())
        return feed.series

    def _venue(self, instruments: Mapping[str, Instrument]) -> SimVenue:
        make = self._broker.venue
        if make is None:
            raise RunRefused(f"broker {self._broker.name!r} has no simulated venue; use paper or mock")
        parts = self._broker_options, self._services(self._broker.name), instruments
        venue: SimVenue = self._broker_party.ask("venue", SimVenue, make, *parts)
        return venue
