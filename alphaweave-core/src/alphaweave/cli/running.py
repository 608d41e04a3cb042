"""``alphaweave run`` and ``alphaweave replay``."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from types import FrameType
from typing import Any, Final
from zoneinfo import ZoneInfo

import click
from attrs import asdict

from alphaweave.cli.exits import FAILED, INTERRUPTED
from alphaweave.live.config import load_live_config
from alphaweave.live.runner import LiveRunner
from alphaweave.monitoring.dashboard import DashboardMonitor
from alphaweave.monitoring.monitor import RunSummary
from alphaweave.monitoring.progress import ProgressMonitor

__all__ = ["run_config"]

_STOPPING: Final = b"stopping after this bar, and saving the state; a second interrupt breaks off\n"
_STDERR: Final = 2


def run_config(
    path: Path,
    overrides: Sequence[str],
    *,
    fresh: bool,
    until: int | None,
    summary: Path | None,
    as_json: bool,
) -> int:
    """Run a config and print how it went; the exit code.

    Raises:
        AlphaweaveError: whatever stopped the run.
        OSError: the summary cannot be written.
    """
    config = load_live_config(path, overrides=overrides)
    runner = LiveRunner.from_config(config, watchers=(ProgressMonitor(),))
    if summary is not None:
        summary.parent.mkdir(parents=True, exist_ok=True)
    told = len(runner.notices)
    _tell(runner.notices)
    try:
        with _stopping_on_signal(runner.request_stop) as interrupted:
            watched = runner.run(until=until, fresh=fresh)
    finally:
        _tell(runner.notices[told:])
    ended = runner.summary
    assert ended is not None
    failures = [str(failure) for failure in runner.monitor_failures]
    for failure in failures:
        click.echo(f"error: {failure}", err=True)
    pages = [monitor.path for monitor in runner.monitors.values() if isinstance(monitor, DashboardMonitor)]
    document = {
        "summary": _plain(ended),
        "metrics": watched.metrics(),
        "state": _shown(config.persistence.state_path),
        "dashboards": [_shown(page) for page in pages],
        "monitor_failures": failures,
    }
    text = json.dumps(document, indent=2, allow_nan=False)
    if summary is not None:
        summary.write_text(f"{text}\n", encoding="utf-8")
    if as_json:
        click.echo(text)
    else:
        _print(ended, document, config.run.currency, ZoneInfo(config.datafeed.timezone))
        if summary is not None:
            click.echo(f"{'summary':<11}{_shown(summary)}")
    if interrupted and ended.outcome == "stopped":
        return INTERRUPTED
    return FAILED if failures else 0


@contextmanager
def _stopping_on_signal(stop: Callable[[], None]) -> Iterator[list[int]]:
    """The first SIGINT or SIGTERM calls ``stop``, the second is a KeyboardInterrupt; yields those seen."""
    seen: list[int] = []

    def on_signal(number: int, frame: FrameType | None) -> None:
        if seen:
            raise KeyboardInterrupt
        seen.append(number)
        # Not through sys.stderr, which the run may be in the middle of writing to.
        os.write(_STDERR, _STOPPING)
        stop()

    before = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield seen
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _tell(notices: Sequence[str]) -> None:
    for notice in notices:
        click.echo(f"note: {notice}", err=True)


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
        ("orders", f"{summary.orders:,} placed, {summary.fills:,} fills, {summary.denials:,} denied"),
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
