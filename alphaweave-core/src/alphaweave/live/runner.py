"""The runner: from a config to a finished run. Wiring only; nothing here decides about an order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from attrs import evolve

from alphaweave.core.clock import Clock, SystemClock
from alphaweave.core.errors import ConfigError, RunRefused
from alphaweave.core.instrument import Instrument
from alphaweave.data.series import Series
from alphaweave.live.adapters.base import RunMode, Services
from alphaweave.live.config import (
    LiveConfig,
    check_mode,
    datafeed_block,
    load_live_config,
    parse_options,
    redacted,
)
from alphaweave.live.datafeed import ReplayDataFeed
from alphaweave.live.engine import EngineSettings, LiveEngine
from alphaweave.live.fanout import MonitorFailure
from alphaweave.live.plugins import BrokerPlugin, DatafeedPlugin, MonitorPlugin
from alphaweave.live.registry import Registry
from alphaweave.live.state import LiveState, load_live_state, save_live_state
from alphaweave.live.strategy_loader import load_strategy
from alphaweave.monitoring.memory import InMemoryMonitor
from alphaweave.monitoring.monitor import Monitor, RunSummary
from alphaweave.monitoring.run import RunMonitor
from alphaweave.strategy.strategy import Strategy

__all__ = ["LiveRunner"]


class LiveRunner:
    """One run of one config.

    Attributes:
        config: what it was made from.
        mode: what the run is.
        notices: what the operator should read before the run: deprecated spellings, the broker's
            caveats, rules that are assumed, bars that were adjusted on loading, whether it resumes.
        engine: drives the run.
        memory: what was recorded; complete after `run`.
        monitors: name -> who is told: ``recorder`` (`memory`), the watchers, those of the config.
    """

    def __init__(
        self,
        config: LiveConfig,
        *,
        broker: BrokerPlugin,
        datafeed: DatafeedPlugin,
        monitors: Sequence[MonitorPlugin] = (),
        watchers: Sequence[Monitor] = (),
        clock: Clock | None = None,
    ) -> None:
        """Check that the parts go together; nothing is connected, read or written yet.

        Raises:
            ConfigError: an options block or the risk section is wrong.
            RunRefused: mode, feed and broker do not go together.
        """
        self.config = config
        self.mode = check_mode(config, datafeed.capabilities, broker.capabilities)
        if self.mode is RunMode.REPLAY and config.persistence.journal is not None:
            raise RunRefused(
                "persistence.journal: a replay writes no journal; leave it out, and keep the run with "
                "persistence.state_path"
            )
        self.notices: list[str] = list(config.deprecations)
        self.notices += [f"broker {broker.name!r}: {caveat}" for caveat in broker.capabilities.caveats]
        problems = config.risk.problems(config.symbols, config.run.capital)
        if problems:
            raise ConfigError(problems, config.source)
        self.memory = InMemoryMonitor()
        self._broker = broker
        self._datafeed = datafeed
        self._clock = clock or SystemClock()
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
        for number, (plugin, section) in enumerate(zip(monitors, config.monitors, strict=True)):
            path = f"monitors[{number}].options.{plugin.name}"
            options = self._parsed(plugin.options, section.block, path)
            named[f"{plugin.name}-{number}"] = plugin.create(options, self._services(section.name))
        self.monitors: Mapping[str, Monitor] = named
        self.engine: LiveEngine | None = None
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
            watchers=watchers,
            clock=clock,
        )

    @property
    def summary(self) -> RunSummary | None:
        """How the run ended; None before that."""
        return None if self.engine is None else self.engine.summary

    @property
    def monitor_failures(self) -> tuple[MonitorFailure, ...]:
        """Monitors that raised and were put aside."""
        return () if self.engine is None else self.engine.monitor_failures

    def load_strategy(self) -> Strategy:
        """A new instance of the config's strategy; its file may lie beside the config.

        Raises:
            ConfigError: there is no such module, class or parameter.
            StrategyError: the module or the constructor raised.
        """
        section = self.config.strategy
        # Real money runs installed code only: what lies in a folder may be anybody's.
        folder = None if self.mode is RunMode.LIVE else self.config.base_dir
        try:
            return load_strategy(section.class_path, section.params, folder=folder)
        except ConfigError as error:
            raise ConfigError(error.problems, self.config.source) from error

    def request_stop(self) -> None:
        """End the run after the present slice, its state saved; safe to call from a signal handler.

        Before the first slice, the run ends before it.
        """
        self._stop = True
        if self.engine is not None:
            self.engine.request_stop()

    def run(self, *, until: int | None = None, fresh: bool = False) -> RunMonitor:
        """Run to the end, or until stopped, and save the state where the config says.

        Args:
            until: number of slices after which to stop.
            fresh: start anew even if there is a state to go on from.

        Raises:
            RunRefused: the run needs what this version does not have.
            DataError: the bars cannot be used.
            StateError: the saved state does not fit, or cannot be written.
            StrategyError: the strategy raised.
        """
        if self.mode is not RunMode.REPLAY:
            raise RunRefused(
                f"a {self.mode.value} run needs the live driver, which this version does not have; "
                "set run.mode: replay and name a feed of recorded bars (datafeed.name: replay)"
            )
        config = self.config
        strategy = self.load_strategy()
        series = self._recorded_series()
        instruments = self._instruments()
        state = None if fresh else self._saved_state(series)
        if self._broker.venue is None:
            raise RunRefused(f"broker {self._broker.name!r} has no simulated venue; use paper or mock")
        services = self._services(self._broker.name)
        venue = self._broker.venue(self._broker_options, services, instruments)
        opening = venue.account_state(0)
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
                meta={
                    "broker": config.broker.name,
                    "datafeed": config.datafeed.name,
                    "timezone": config.datafeed.timezone,
                    "config": redacted(config),
                    "notices": tuple(self.notices),
                },
            ),
            self.monitors,
        )
        if self._stop:
            self.engine.request_stop()
        self.engine.replay(
            strategy,
            series,
            venue=venue,
            instruments=instruments,
            capabilities=self._broker.capabilities,
            state=state,
            until=until,
        )
        path = config.persistence.state_path
        if path is not None:
            save_live_state(path, self.engine.state())
            unsaved = self.engine.unsaved()
            if unsaved:
                self.notices.append(
                    f"{config.strategy.class_path} changed {', '.join(unsaved)} during the run and has no "
                    "get_state: a run resumed from this state begins without; write get_state and set_state"
                )
        return RunMonitor(self.memory)

    # Within.

    def _parsed(self, options: type, block: Mapping[str, Any], path: str) -> Any:
        try:
            return parse_options(options, block, path=path, base_dir=self.config.base_dir)
        except ConfigError as error:
            raise type(error)(error.problems, self.config.source) from None

    def _services(self, adapter: str) -> Services:
        config = self.config
        return Services(
            clock=self._clock,
            mode=self.mode,
            account_id=config.broker.account_id,
            names=config.venue_names(adapter),
            symbols=config.symbols,
            interval=config.datafeed.interval,
            timezone=config.datafeed.timezone,
            currency=config.run.currency,
            capital=None if config.run.capital is None else str(config.run.capital),
            seed=config.run.seed,
        )

    def _recorded_series(self) -> Mapping[str, Series]:
        feed = self._datafeed.create(self._feed_options, self._services(self._datafeed.name))
        if not isinstance(feed, ReplayDataFeed):
            raise RunRefused(
                f"datafeed {self._datafeed.name!r} holds no recorded bars; set datafeed.name: replay"
            )
        report = getattr(feed.series, "report", None)
        if report is not None:
            self.notices += report.lines()
        return feed.series

    def _instruments(self) -> dict[str, Instrument]:
        """Rules from the config, else the defaults, which is said."""
        currency = self.config.run.currency
        rules: dict[str, Instrument] = {}
        for entry in self.config.instruments:
            given = entry.rules()
            default = Instrument(
                symbol=entry.symbol,
                venue_symbol=entry.names.get(self._broker.name, entry.symbol),
                quote=currency,
                settle=currency,
                assumed="price_steps" not in given or "size_step" not in given,
            )
            rules[entry.symbol] = evolve(default, **given)
        assumed = [symbol for symbol, one in rules.items() if one.assumed]
        if assumed:
            self.notices.append(
                f"trading rules of {', '.join(assumed)} are assumed: ticks of 0.01 and whole units where "
                "`instruments:` does not say otherwise"
            )
        return rules

    def _saved_state(self, series: Mapping[str, Series]) -> LiveState | None:
        path = self.config.persistence.state_path
        if path is None or not path.exists():
            return None
        state = load_live_state(path, strategy=self.config.strategy.class_path, run_id=self.config.run.id)
        rows = {symbol: len(one) for symbol, one in series.items()}
        if all(state.feed.get(symbol, {}).get("rows") == count for symbol, count in rows.items()):
            self.notices.append(f"the run saved in {path} had reached the end of these bars: starting anew")
            return None
        self.notices.append(f"resuming after slice {state.position} from {path}")
        return state
