"""``alphaweave run`` and ``alphaweave replay``."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any, Final
from zoneinfo import ZoneInfo

import click
from attrs import asdict

from alphaweave.cli.exits import FAILED, INTERRUPTED
from alphaweave.core.errors import AlphaweaveError
from alphaweave.core.outputs import Output, OutputKind, real_path
from alphaweave.core.scrubber import Scrubber
from alphaweave.live.config import load_live_config
from alphaweave.live.runner import LiveRunner
from alphaweave.monitoring.dashboard import DashboardPage
from alphaweave.monitoring.monitor import RunSummary
from alphaweave.monitoring.order_ends import OrderEnds
from alphaweave.monitoring.progress import ProgressMonitor
from alphaweave.monitoring.run import RunMonitor

__all__ = ["run_config"]

_STOPPING: Final = b"stopping after this bar, with what is to be kept; a second interrupt breaks off\n"
_STDERR: Final = 2


def run_config(
    path: Path,
    overrides: Sequence[str],
    *,
    fresh: bool,
    until: int | None,
    summary: Path | None,
    as_json: bool,
    confirm_live: str | None = None,
) -> int:
    """Run a config and print how it went; the exit code.

    Raises:
        AlphaweaveError: whatever stopped the run, or kept its state from being saved.
    """
    config = load_live_config(path, overrides=overrides)
    runner = LiveRunner.from_config(config, watchers=(ProgressMonitor(),))
    also = () if summary is None else (Output("--summary", summary, OutputKind.SUMMARY),)
    runner.notices.tell(partial(_tell, runner.scrubber))
    late: AlphaweaveError | None = None
    interrupted: list[int] = []
    try:
        with _stopping_on_signal(runner.request_stop, interrupted):
            runner.run(until=until, fresh=fresh, also=also, confirm_live=confirm_live)
    except AlphaweaveError as error:
        ended = runner.summary
        if ended is None:
            raise
        # What the run came to is told all the same, and an older summary does not outlive it.
        late = error
        if ended.outcome != "failed":
            late.exit_code = FAILED
    ended = runner.summary
    assert ended is not None
    failures = [str(failure) for failure in runner.monitor_failures]
    for failure in failures:
        click.echo(f"error: {failure}", err=True)
    watched = RunMonitor(runner.memory)
    pages = [monitor.path for monitor in runner.monitors.values() if isinstance(monitor, DashboardPage)]
    document = {
        "summary": _plain(ended),
        "orders": asdict(OrderEnds.of(runner.memory.orders)),
        "metrics": watched.metrics(),
        "state": None if late is not None else _shown(config.persistence.state_path),
        "dashboards": [_shown(page) for page in pages],
        "monitor_failures": failures,
    }
    text = json.dumps(document, indent=2, allow_nan=False)
    if as_json:
        click.echo(text)
    elif ended.outcome != "failed":
        _print(ended, document, config.run.currency, ZoneInfo(config.datafeed.timezone))
    if summary is not None:
        problem = _write(summary, text)
        if problem is not None:
            failures.append(problem)
            click.echo(f"error: {problem}", err=True)
        elif not as_json:
            click.echo(f"{'summary':<11}{_shown(summary)}")
    if late is not None:
        raise late
    if failures or ended.halted is not None:
        return FAILED
    return INTERRUPTED if interrupted and ended.outcome == "stopped" else 0


def _write(path: Path, text: str) -> str | None:
    """Write the summary through a link, if it is one; why it cannot be written, if so."""
    try:
        target = real_path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(f"{text}\n", encoding="utf-8")
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        return f"the summary is not written: {path}: {reason}; name another --summary"
    return None


@contextmanager
def _stopping_on_signal(stop: Callable[[], None], seen: list[int]) -> Iterator[None]:
    """The first SIGINT or SIGTERM calls ``stop``, the second is a KeyboardInterrupt; notes those ``seen``."""

    def on_signal(number: int, frame: FrameType | None) -> None:
        if seen:
            raise KeyboardInterrupt
        seen.append(number)
        # Not through sys.stderr, which the run may be in the middle of writing to.
        os.write(_STDERR, _STOPPING)
        stop()

    before = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _tell(scrubber: Scrubber, notice: str) -> None:
    text = scrubber.text(notice)
    # It comes in the midst of a run, which does not end because nobody reads.
    with suppress(OSError):
        click.echo(text if text.startswith("warning: ") else f"note: {text}", err=True)


def _shown(path: Path | None) -> str | None:
    """A path as a person would write it from here."""
    if path is None:
        return None
    near = os.path.relpath(path)
    return str(path.resolve()) if near.startswith(os.pardir) else near


def _plain(summary: RunSummary) -> dict[str, Any]:
    plain = asdict(summary)
    for name in ("started_at", "ended_at"):
        plain[name] = None if plain[name] is None else plain[name].isoformat()
    return plain


def _orders(summary: RunSummary, ends: dict[str, Any]) -> Iterator[str]:
    """What became of the orders; why, where they were refused."""
    yield f"{summary.orders:,} placed"
    yield f"{summary.fills:,} fills"
    for name, count in {"denied": summary.denials, "rejected": ends["rejected"]}.items():
        reasons = ", ".join(
            f"{reason} {number:,}" for reason, number in ends["reasons"].get(name, {}).items()
        )
        if count or name == "denied":
            yield f"{count:,} {name}" + (f" ({reasons})" if reasons else "")
    for name in ("cancelled", "expired"):
        if ends[name]:
            yield f"{ends[name]:,} {name}"


def _print(summary: RunSummary, document: dict[str, Any], currency: str, zone: ZoneInfo) -> None:
    metrics = document["metrics"]

    def percent(name: str) -> str:
        value = metrics.get(name)
        return "-" if value is None else f"{value:.2%}"

    def number(name: str) -> str:
        value = metrics.get(name)
        return "-" if value is None else f"{value:.2f}"

    span = ""
    if summary.started_at is not None and summary.ended_at is not None:
        # A bar ends with the first instant that is no longer its own: midnight, for a day.
        first, last = (
            (end - timedelta(microseconds=1)).astimezone(zone)
            for end in (summary.started_at, summary.ended_at)
        )
        span = f", {first:%Y-%m-%d} to {last:%Y-%m-%d}"
    rows = [
        ("run", f"{summary.run_id} {summary.outcome}: {summary.slices:,} slices{span}"),
        ("halted", summary.halted),
        ("orders", ", ".join(_orders(summary, document["orders"]))),
        (
            "equity",
            f"{summary.equity:,.2f} {currency}, return {percent('total_return')} ({percent('cagr')} a year)",
        ),
        (
            "risk",
            f"max drawdown {percent('max_drawdown')}, Sharpe {number('sharpe')}, Sortino {number('sortino')}",
        ),
        ("trades", f"{metrics.get('round_trips') or 0:,.0f} round trips, win rate {percent('win_rate')}"),
        ("state", document["state"]),
        *(("dashboard", page) for page in document["dashboards"]),
    ]
    for name, text in rows:
        if text is not None:
            click.echo(f"{name:<11}{text}")
