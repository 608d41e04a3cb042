"""Keeps a run's secrets out of what leaves it: exceptions, what monitors are told, what is saved."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar, cast

import attrs
from attrs import frozen

from alphaweave.core.errors import Problem, Redacted, StateError
from alphaweave.core.scrubber import Scrubber
from alphaweave.live.fanout import MonitorFailure
from alphaweave.live.party import Party
from alphaweave.live.state import LiveState
from alphaweave.monitoring.monitor import (
    Alert,
    BarColumns,
    BarSnapshot,
    ColumnMonitor,
    Monitor,
    OrderRecord,
    RunSummary,
    TradeRecord,
)

__all__ = [
    "PluginFailure",
    "discreet_failure",
    "discreet_monitor",
    "discreet_record",
    "discreet_state",
    "discreetly",
]

R = TypeVar("R")
T = TypeVar("T")


def discreetly(scrubber: Scrubber, call: Callable[..., T], *arguments: Any) -> T:
    """What the call answers. The run's secrets are taken out of what it raises, and out of what caused it."""
    try:
        return call(*arguments)
    except BaseException as error:
        if scrubber.empty:
            raise
        washed = _washed(error, scrubber, {})
    # Outside the handler, for the error must not be the context of what may stand for it.
    raise washed


def discreet_record(record: R, scrubber: Scrubber) -> R:
    """A record with its texts scrubbed."""
    changes: dict[str, Any] = {}
    for attribute in attrs.fields(cast("type[Any]", type(record))):
        value = getattr(record, attribute.name)
        if isinstance(value, str | Mapping | list | tuple) and (new := scrubber.tree(value)) != value:
            changes[attribute.alias] = new
    return cast("R", attrs.evolve(cast("Any", record), **changes)) if changes else record


def discreet_monitor(monitor: Monitor, scrubber: Scrubber) -> Monitor:
    """A monitor that passes on everything, scrubbed; the monitor itself if there are no secrets."""
    if scrubber.empty:
        return monitor
    columns = isinstance(monitor, ColumnMonitor)
    return (_DiscreetColumns if columns else _Discreet)(monitor, scrubber)


@frozen(eq=False)
class PluginFailure(MonitorFailure):
    """The same of a monitor that a plugin made."""

    party: Party

    def __str__(self) -> str:
        return str(self.party.failed(self.callback, self.error))


def discreet_failure(
    failure: MonitorFailure, scrubber: Scrubber, parties: Sequence[tuple[Monitor, Party]] = ()
) -> MonitorFailure:
    """The failure in words that may be shown: of the monitor that stands behind a discreet one, and in the
    name of the plugin that made it, where one did."""
    monitor, error = failure.monitor, failure.error
    if isinstance(monitor, _Discreet):
        monitor = monitor.monitor
    if not scrubber.empty:
        error = cast("Exception", _washed(error, scrubber, {}))
    for made, party in parties:
        if made is monitor:
            return PluginFailure(monitor, failure.callback, error, party)
    return MonitorFailure(monitor, failure.callback, error)


def discreet_state(state: LiveState, scrubber: Scrubber) -> LiveState:
    """The state without secrets.

    Raises:
        StateError: the strategy's own state holds one. It is not cut out, for the strategy that is handed
            back what is left would be another.
    """
    if scrubber.empty:
        return state
    found = _path_of(state.strategy_state, "get_state()", scrubber)
    if found is not None:
        raise StateError(f"{found} holds a secret of this run, and a secret is never saved; leave it out")
    return attrs.evolve(
        state,
        kernel=scrubber.tree(state.kernel),
        venue=scrubber.tree(state.venue),
        monitors=scrubber.tree(state.monitors),
    )


class _Discreet:
    """Passes on to one monitor. What it does not have is asked of that monitor (a saved state, say)."""

    def __init__(self, monitor: Monitor, scrubber: Scrubber) -> None:
        self.monitor = monitor
        self._scrubber = scrubber

    def __getattr__(self, name: str) -> Any:
        # What it might be told besides would go past the scrubber; a status has no text of the run's.
        if name.startswith("on_") and name != "on_status":
            raise AttributeError(name)
        return getattr(self.monitor, name)

    def on_run_start(self, meta: Mapping[str, Any]) -> None:
        self.monitor.on_run_start(self._scrubber.tree(meta))

    def on_bar(self, snapshot: BarSnapshot) -> None:
        self.monitor.on_bar(snapshot)

    def on_trade(self, trade: TradeRecord) -> None:
        self.monitor.on_trade(discreet_record(trade, self._scrubber))

    def on_order(self, order: OrderRecord) -> None:
        self.monitor.on_order(discreet_record(order, self._scrubber))

    def on_metric(self, name: str, value: float, timestamp: datetime) -> None:
        self.monitor.on_metric(self._scrubber.text(name), value, timestamp)

    def on_alert(self, alert: Alert) -> None:
        self.monitor.on_alert(discreet_record(alert, self._scrubber))

    def on_run_end(self, summary: RunSummary) -> None:
        self.monitor.on_run_end(discreet_record(summary, self._scrubber))


class _DiscreetColumns(_Discreet):
    def on_bars(self, columns: BarColumns) -> None:
        cast("ColumnMonitor", self.monitor).on_bars(columns)


def _path_of(value: Any, path: str, scrubber: Scrubber) -> str | None:
    """Where in a tree a secret stands."""
    if isinstance(value, str):
        return path if scrubber.holds(value) else None
    if isinstance(value, Mapping):
        for key, item in value.items():
            if scrubber.holds(str(key)):
                return f"a key of {path}"
            if found := _path_of(item, f"{path}.{key}", scrubber):
                return found
    elif isinstance(value, list):
        for number, item in enumerate(value):
            if found := _path_of(item, f"{path}[{number}]", scrubber):
                return found
    return None


def _washed(error: BaseException, scrubber: Scrubber, known: dict[int, BaseException]) -> BaseException:
    """The exception without secrets, or a `Redacted` with its words and its traceback."""
    if id(error) in known:
        return known[id(error)]
    known[id(error)] = error
    inner = [_washed(one, scrubber, known) for one in getattr(error, "exceptions", ())]
    error.args = scrubber.tree(error.args)
    facts: dict[str, Any] = vars(error)
    facts.update({name: _fact(fact, scrubber) for name, fact in facts.items()})
    if isinstance(error, OSError):
        for name in ("filename", "filename2", "strerror"):
            setattr(error, name, scrubber.tree(getattr(error, name)))
    words = "".join(traceback.format_exception_only(error)).rstrip("\n")
    washed = error
    if scrubber.holds(f"{words} {error!r}") or any(isinstance(one, Redacted) for one in inner):
        washed = known[id(error)] = Redacted(scrubber.text(words)).with_traceback(error.__traceback__)
    cause, context, quiet = error.__cause__, error.__context__, error.__suppress_context__
    washed.__cause__ = None if cause is None else _washed(cause, scrubber, known)
    washed.__context__ = None if context is None else _washed(context, scrubber, known)
    washed.__suppress_context__ = quiet
    return washed


def _fact(fact: Any, scrubber: Scrubber) -> Any:
    """What an exception carries besides its words."""
    if isinstance(fact, Problem):
        return Problem(
            scrubber.text(fact.path),
            scrubber.text(fact.message),
            None if fact.suggestion is None else scrubber.text(fact.suggestion),
        )
    if type(fact) in {list, tuple}:
        return type(fact)(_fact(one, scrubber) for one in fact)
    return scrubber.tree(fact)
