"""A replay in one call, for a notebook or a script: no config, no plugin, the same loop."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from attrs import evolve

from alphaweave.core.errors import StrategyError
from alphaweave.core.instrument import Instrument
from alphaweave.core.money import Number, decimal_of
from alphaweave.data.frames import series_of
from alphaweave.data.series import Series
from alphaweave.live.engine import EngineSettings, LiveEngine
from alphaweave.live.risk import RiskSettings
from alphaweave.live.strategy_loader import strategy_problems
from alphaweave.monitoring.memory import InMemoryMonitor
from alphaweave.monitoring.monitor import Monitor
from alphaweave.monitoring.run import RunMonitor
from alphaweave.sim.capabilities import SIM_CAPABILITIES
from alphaweave.sim.settings import VenueSettings
from alphaweave.sim.venue import SimVenue
from alphaweave.strategy.strategy import Strategy

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["VectorBacktester"]


class VectorBacktester:
    """Replays a strategy over data at hand.

    Args:
        venue: how orders fill; the default fills market orders at the next bar's open.
        risk: limits; none by default.
        currency: of the account and of every instrument not given in ``instruments``.
    """

    def __init__(
        self,
        *,
        venue: VenueSettings | None = None,
        risk: RiskSettings | None = None,
        currency: str = "USD",
    ) -> None:
        self._venue = venue or VenueSettings()
        self._risk = risk or RiskSettings()
        self._currency = currency

    def run(
        self,
        strategy_cls: type[Strategy],
        data: Series | pd.DataFrame | Mapping[str, Series | pd.DataFrame],
        *,
        capital: Number = 100_000,
        monitor: Monitor | None = None,
        params: Mapping[str, Any] | None = None,
        warmup: int = 0,
        instruments: Mapping[str, Instrument] | None = None,
        seed: int = 0,
    ) -> RunMonitor:
        """Run to the end of the data.

        Args:
            strategy_cls: instantiated with ``params``.
            data: bars of one symbol (named ``ASSET`` if it is a bare DataFrame), or symbol -> bars.
            capital: opening cash; profits are reinvested.
            monitor: told everything, besides the recorder that the answer reads.
            warmup: slices before the first decision.
            instruments: rules of symbols that are not traded in whole units and cents.

        Raises:
            DataError: a column is missing or damaged.
            StrategyError: the strategy raised, or its class breaks a part of Strategy.
        """
        series = series_of(data)
        cash = decimal_of(capital)
        given = instruments or {}
        rules = {
            symbol: given.get(symbol)
            or Instrument(
                symbol=symbol,
                venue_symbol=symbol,
                quote=self._currency,
                settle=self._currency,
                assumed=True,
            )
            for symbol in series
        }
        name = f"{strategy_cls.__module__}:{strategy_cls.__qualname__}"
        if problems := strategy_problems(strategy_cls):
            text = f"{name}: {'; '.join(problems)}"
            raise StrategyError(text, strategy=strategy_cls.__qualname__, callback="__init__")
        memory = InMemoryMonitor()
        engine = LiveEngine(
            EngineSettings(
                run_id="backtest",
                strategy=name,
                cash=cash,
                currency=self._currency,
                interval=next(iter(series.values())).interval,
                warmup=warmup,
                risk=self._risk,
                meta={"broker": "simulated", "datafeed": "memory"},
            ),
            (memory,) if monitor is None else (memory, monitor),
        )
        engine.replay(
            strategy_cls(**(params or {})),
            series,
            venue=SimVenue(
                instruments=rules,
                board=series,
                # nobody queries the past of a replay
                settings=evolve(self._venue, history=0),
                cash=cash,
                currency=self._currency,
                seed=seed,
            ),
            instruments=rules,
            capabilities=SIM_CAPABILITIES,
        )
        return RunMonitor(memory)
