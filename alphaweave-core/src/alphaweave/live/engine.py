"""The engine: a strategy, its data and a venue, run from the first slice to the last.

`LiveEngine.replay` is the synchronous driver over history. It saves and restores everything, so that a
run that was stopped after any slice and resumed is the run that was never stopped.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal, localcontext
from typing import Any, Final

from attrs import field, frozen

from alphaweave.core.clock import from_ns
from alphaweave.core.errors import AlphaweaveError, RunRefused, StateMismatch, StrategyError
from alphaweave.core.instrument import Instrument
from alphaweave.core.interval import parse_interval
from alphaweave.core.money import CONTEXT
from alphaweave.data.series import Series
from alphaweave.data.timeline import Timeline
from alphaweave.live.adapters.base import RunMode
from alphaweave.live.adapters.capabilities import Capabilities
from alphaweave.live.fanout import Fanout, MonitorFailure
from alphaweave.live.kernel import Kernel, KernelSettings
from alphaweave.live.kernel_state import capture_kernel, restore_kernel
from alphaweave.live.ledger import Ledger
from alphaweave.live.orders import SymbolBook
from alphaweave.live.proposal import RiskRule
from alphaweave.live.replay import ReplayDriver
from alphaweave.live.risk import RiskSettings, build_chain
from alphaweave.live.sessions import Calendar
from alphaweave.live.state import LiveState, rows_seen
from alphaweave.live.values import decode, encode, marks
from alphaweave.monitoring.monitor import Monitor, RunSummary
from alphaweave.sim.venue import SimVenue
from alphaweave.strategy.strategy import Strategy

__all__ = ["EngineSettings", "LiveEngine"]

# What a strategy or monitor that would end the process raises; it has failed like any other.
_LEAVING: Final = (SystemExit, GeneratorExit)


@frozen(kw_only=True)
class EngineSettings:
    """What the engine needs to know of a run.

    Attributes:
        run_id: stable over restarts; part of every client order id.
        strategy: how the run calls the strategy, ``module:Class``.
        cash: opening cash of the account, in ``currency``.
        capital: cap on the equity used for sizing; None is no cap.
        warmup: slices before the first decision.
        rules: of plugins, asked after those of ``risk``.
        calendars: when symbols are traded, for `risk.stale_data`; one without is always open.
        timezone: whose days losses and counts are of, unless ``risk`` has one.
        terms: saved with the state, for whoever resumes it to compare.
        meta: what monitors are told at the start, besides what is here.
    """

    run_id: str
    strategy: str
    cash: Decimal
    currency: str = "USD"
    account: str = "sim"
    interval: str = "1d"
    warmup: int = 0
    capital: Decimal | None = None
    mode: RunMode = RunMode.REPLAY
    risk: RiskSettings = field(factory=RiskSettings)
    rules: Sequence[RiskRule] = ()
    calendars: Mapping[str, Calendar] = field(factory=dict)
    timezone: str = "UTC"
    terms: Mapping[str, Any] = field(factory=dict)
    meta: Mapping[str, Any] = field(factory=dict)


class LiveEngine:
    """Runs one strategy once.

    Attributes:
        summary: how the run ended; None before that.
        monitor_failures: monitors that raised and were put aside.
    """

    def __init__(
        self, settings: EngineSettings, monitors: Mapping[str, Monitor] | Sequence[Monitor] = ()
    ) -> None:
        named = monitors if isinstance(monitors, Mapping) else dict(_named(monitors))
        self.settings = settings
        self.summary: RunSummary | None = None
        self._monitors = dict(named)
        self._fanout = Fanout(tuple(named.values()))
        self._driver: ReplayDriver | None = None
        self._strategy: Strategy | None = None
        self._series: Mapping[str, Series] = {}
        self._marks: Mapping[str, object] = {}
        self._saved: Any = None
        self._stop = False

    @property
    def monitor_failures(self) -> tuple[MonitorFailure, ...]:
        return tuple(self._fanout.failures)

    def request_stop(self) -> None:
        """End the run after the present slice, or before the first; safe to call from a signal handler."""
        self._stop = True
        if self._driver is not None:
            self._driver.request_stop()

    def replay(
        self,
        strategy: Strategy,
        series: Mapping[str, Series],
        *,
        venue: SimVenue,
        instruments: Mapping[str, Instrument],
        capabilities: Capabilities,
        state: LiveState | None = None,
        until: int | None = None,
    ) -> RunSummary:
        """Run over history.

        Args:
            strategy: a fresh instance.
            series: symbol -> bars; their cursors are set by the run.
            venue: fresh; what trades are made at.
            instruments: symbol -> rules, for every symbol of ``series``.
            capabilities: what the venue's broker declares.
            state: go on from there.
            until: number of slices after which to stop; None is the end of the data.

        Raises:
            StrategyError: the strategy raised. The summary says ``failed``, and there is no state to
                save: what was saved before stays the place to go on from.
            StateMismatch: ``state`` does not fit the strategy, the data or the instruments.
            RunRefused: an instrument settles in another currency than the run's.
        """
        # Decimals of a run never depend on what the process around it did to its context.
        with localcontext(CONTEXT):
            return self._replay(strategy, series, venue, instruments, capabilities, state, until)

    def _replay(  # noqa: PLR0917 - those of `replay`
        self,
        strategy: Strategy,
        series: Mapping[str, Series],
        venue: SimVenue,
        instruments: Mapping[str, Instrument],
        capabilities: Capabilities,
        state: LiveState | None,
        until: int | None,
    ) -> RunSummary:
        self._check(series, instruments)
        timeline = Timeline(tuple(series.values()))
        if timeline.ends and self.settings.warmup >= len(timeline):
            raise RunRefused(
                f"run.warmup is {self.settings.warmup} slices and the data have {len(timeline)}: nothing "
                "would ever be decided; shorten the warm-up, or load more data"
            )
        kernel, driven = self._kernel(strategy, series, instruments, capabilities)
        venue.board = series
        driver = driven(kernel=kernel, venue=venue, timeline=timeline, fanout=self._fanout)
        self._driver = driver
        if self._stop:
            driver.request_stop()
        self._strategy = strategy
        self._series = series
        self._fanout.start(self._meta(series, timeline, resumed=state is not None))
        outcome = "failed"
        error: str | None = None
        try:
            kernel.start()
            _check_names(strategy)
            self._check_state_of(strategy)
            self._marks = marks(strategy)
            if state is not None:
                self._restore(state, kernel, driver, venue)
            finished = driver.run(until)
            outcome = "finished" if finished else "stopped"
            # Before on_stop, which is the end of this run and no part of one that goes on.
            self._saved = _own_state(strategy)
            if finished:
                driver.finish()
        except AlphaweaveError as failure:
            error = str(failure)
            raise
        finally:
            self.summary = self._summary(driver, outcome, error)
            self._fanout.end(self.summary)
        return self.summary

    def unsaved(self) -> tuple[str, ...]:
        """Attributes that the strategy changed during the run although it has no ``get_state``.

        A run resumed from `state` begins without them, and may then decide otherwise.
        """
        strategy = self._strategy
        if strategy is None or type(strategy).get_state is not Strategy.get_state:
            return ()
        return tuple(name for name, mark in marks(strategy).items() if self._marks.get(name, marks) != mark)

    def state(self) -> LiveState:
        """The run as it stands after the last slice.

        Raises:
            StateError: the strategy's state cannot be saved.
            RunRefused: there has been no run, or it failed within a slice.
        """
        driver, strategy, saved = self._driver, self._strategy, self._saved
        if isinstance(saved, AlphaweaveError):
            raise saved
        if driver is None or strategy is None or self.summary is None:
            raise RunRefused("there is no state before a run")
        if self.summary.outcome == "failed":
            raise RunRefused("a run that failed within a slice has no state to go on from")
        kernel = driver.kernel
        recorded = {name: self._fanout.state_of(one) for name, one in self._monitors.items()}
        return LiveState(
            run_id=self.settings.run_id,
            strategy=self.settings.strategy,
            state_version=strategy.state_version,
            timestamp=from_ns(kernel.now).isoformat() if kernel.index >= 0 else None,
            position=driver.position,
            kernel={**capture_kernel(driver.kernel), "judged": driver.snapshot()},
            strategy_state=saved,
            venue=driver.venue.snapshot(),
            feed={symbol: rows_seen(one, one.cursor.count) for symbol, one in self._series.items()},
            terms=self.settings.terms,
            monitors={name: part for name, part in recorded.items() if part is not None},
        )

    # Within.

    def _kernel(
        self,
        strategy: Strategy,
        series: Mapping[str, Series],
        instruments: Mapping[str, Instrument],
        capabilities: Capabilities,
    ) -> tuple[Kernel, Callable[..., ReplayDriver]]:
        """The kernel, and what drives it."""
        settings = self.settings
        books = {symbol: SymbolBook(instruments[symbol], one) for symbol, one in series.items()}
        ledger = Ledger(currency=settings.currency, cash=settings.cash, account=settings.account)
        parts: dict[str, Any] = {
            "strategy": strategy,
            "settings": KernelSettings(
                run_id=settings.run_id,
                strategy=settings.strategy,
                account=settings.account,
                interval=settings.interval,
                warmup=settings.warmup,
                capital=None if settings.capital is None else float(settings.capital),
            ),
            "books": books,
            "ledger": ledger,
            "capabilities": capabilities,
        }
        if not settings.rules and not settings.risk.remembering():
            return Kernel(
                chain=build_chain(settings.risk, tuple(series), capabilities), **parts
            ), ReplayDriver
        # Most replays start without what judges a live run, and start sooner.
        from alphaweave.live.replay_risk import JudgedDriver, JudgedKernel, ReplayBoard

        seconds = parse_interval(settings.interval).seconds
        board = ReplayBoard(
            settings.risk,
            books=books,
            ledger=ledger,
            capabilities=capabilities,
            interval_ns=None if seconds is None else seconds * 1_000_000_000,
            timezone=settings.timezone,
            capital=settings.capital,
            calendars=settings.calendars,
            extra=settings.rules,
        )
        return JudgedKernel(chain=board, **parts), JudgedDriver

    def _check(self, series: Mapping[str, Series], instruments: Mapping[str, Instrument]) -> None:
        for symbol in series:
            rules = instruments[symbol]
            settle = rules.quote if rules.kind == "spot" else rules.settle
            if settle != self.settings.currency:
                raise RunRefused(
                    f"{symbol} settles in {settle}, the run's currency is {self.settings.currency}; one run "
                    "has one currency: set run.currency, or leave the symbol to another run"
                )

    def _check_state_of(self, strategy: Strategy) -> None:
        """State that could not be restored is refused before the first bar, not after the last."""
        saved = encode(_asked(strategy, "get_state"), "get_state()")
        if not saved:
            return
        _asked(strategy, "set_state", decode(saved))
        if encode(_asked(strategy, "get_state"), "get_state()") != saved:
            name = type(strategy).__qualname__
            raise StrategyError(
                f"{name}.set_state does not bring back what get_state returned; a restart would trade on "
                "other values than the run that was stopped",
                strategy=name,
                callback="set_state",
            )

    def _restore(self, state: LiveState, kernel: Kernel, driver: ReplayDriver, venue: SimVenue) -> None:
        strategy = kernel.strategy
        if set(state.feed) != set(self._series):
            raise StateMismatch(
                f"the state was saved with {', '.join(sorted(state.feed))}, the run has "
                f"{', '.join(sorted(self._series))}; resume with the same instruments"
            )
        for symbol, one in self._series.items():
            rows = state.feed[symbol]["rows"]
            one.cursor.count = rows
            # A bar that joined the past since would put its symbol out of step with the slices.
            if driver.rows_by(state.position, one) != rows or rows_seen(one, rows) != state.feed[symbol]:
                raise StateMismatch(
                    f"the bars of {symbol} are not those that the state was saved with; resume on the same "
                    "data (later bars may be added), or start anew"
                )
        restore_kernel(kernel, state.kernel)
        venue.restore(state.venue)
        driver.position = state.position
        driver.restore(state.kernel.get("judged", {}))
        saved = decode(state.strategy_state)
        if state.state_version != strategy.state_version:
            saved = _asked(strategy, "migrate_state", saved, state.state_version)
        _asked(strategy, "set_state", saved)
        for name, monitor in self._monitors.items():
            if name in state.monitors and hasattr(monitor, "set_state"):
                try:
                    monitor.set_state(state.monitors[name])
                except AlphaweaveError:
                    raise
                except (Exception, *_LEAVING) as error:
                    # Without its past its record would begin in the middle and look whole.
                    raise StateMismatch(
                        f"monitor {name} does not take back what it saved: its set_state raised "
                        f"{type(error).__name__}: {error}; start anew with --fresh, or leave the monitor out"
                    ) from error

    def _meta(self, series: Mapping[str, Series], timeline: Timeline, *, resumed: bool) -> dict[str, Any]:
        settings = self.settings
        return {
            "run_id": settings.run_id,
            "mode": settings.mode.value,
            "strategy": settings.strategy,
            "symbols": tuple(series),
            "capital": float(settings.cash),
            "currency": settings.currency,
            "interval": settings.interval,
            "warmup": settings.warmup,
            "slices": len(timeline),
            "resumed": resumed,
            **settings.meta,
        }

    def _summary(self, driver: ReplayDriver, outcome: str, error: str | None) -> RunSummary:
        kernel = driver.kernel
        first = min((one.end[0] for one in self._series.values() if len(one)), default=None)
        return RunSummary(
            run_id=self.settings.run_id,
            outcome=outcome,
            slices=driver.position,
            orders=kernel.orders_placed,
            fills=kernel.fills,
            denials=kernel.denials,
            rule_evaluations=kernel.chain.evaluations,
            equity=kernel.equity(),
            cash=kernel.ledger.cash,
            started_at=None if first is None else from_ns(first),
            ended_at=from_ns(kernel.now) if kernel.index >= 0 else None,
            error=error,
        )


def _named(monitors: Sequence[Monitor]) -> list[tuple[str, Monitor]]:
    return [(f"{type(monitor).__name__}-{number}", monitor) for number, monitor in enumerate(monitors)]


def _asked(strategy: Strategy, callback: str, *arguments: Any) -> Any:
    """What a callback answers that is not the kernel's to call.

    Raises:
        StrategyError: it raised.
    """
    try:
        return getattr(strategy, callback)(*arguments)
    except StrategyError:
        raise
    except (Exception, *_LEAVING) as error:
        name = type(strategy).__qualname__
        raise StrategyError(
            f"{name}.{callback} raised {type(error).__name__}: {error}", strategy=name, callback=callback
        ) from error


def _check_names(strategy: Strategy) -> None:
    """What `init` stores under a name of the API would be read in place of it, without a word."""
    hidden = [
        name for name, value in vars(strategy).items() if hasattr(Strategy, name) and not callable(value)
    ]
    if hidden:
        name = type(strategy).__qualname__
        text = f"{name}.init sets {', '.join(sorted(hidden))}, which the Strategy API needs; rename it"
        raise StrategyError(text, strategy=name, callback="init")


def _own_state(strategy: Strategy) -> Any:
    """What the strategy saves, encoded; or the error that says why it cannot be, for whoever asks."""
    try:
        return encode(_asked(strategy, "get_state"), "get_state()")
    except AlphaweaveError as error:
        return error
