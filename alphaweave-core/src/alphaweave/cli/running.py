"""``alphaweave run`` and ``alphaweave replay``."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import click
from attrs import asdict

from alphaweave.live.config import load_live_config
from alphaweave.live.runner import LiveRunner
from alphaweave.monitoring.monitor import RunSummary
from alphaweave.monitoring.progress import ProgressMonitor

__all__ = ["run_config"]

_INTERRUPTED = 130


def run_config(
    path: Path, overrides: Sequence[str], *, fresh: bool, until: int | None, as_json: bool
) -> int:
    """Run a config and print how it went; the exit code.

    Raises:
        AlphaweaveError: whatever stopped the run.
    """
    config = load_live_config(path, overrides=overrides)
    runner = LiveRunner.from_config(config, watchers=(ProgressMonitor(),))
    shown = len(runner.notices)
    for notice in runner.notices:
        click.echo(f"note: {notice}", err=True)
    try:
        with _stopping_on_interrupt(runner.request_stop) as interrupted:
            watched = runner.run(until=until, fresh=fresh)
    finally:
        for notice in runner.notices[shown:]:
            click.echo(f"note: {notice}", err=True)
    summary = runner.summary
    assert summary is not None
    failures = [str(failure) for failure in runner.monitor_failures]
    for failure in failures:
        click.echo(f"error: {failure}", err=True)
    metrics = watched.metrics()
    state = config.persistence.state_path
    if as_json:
        click.echo(json.dumps(_as_json(summary, metrics, state, failures)))
    else:
        _print(summary, metrics, config.run.currency, state)
    if interrupted:
        return _INTERRUPTED
    return 1 if failures else 0


@contextmanager
def _stopping_on_interrupt(stop: Callable[[], None]) -> Iterator[list[bool]]:
    """The first Ctrl-C asks the run to stop after the present slice; the second is a KeyboardInterrupt."""
    seen: list[bool] = []

    def on_interrupt(number: int, frame: FrameType | None) -> None:
        if seen:
            raise KeyboardInterrupt
        seen.append(True)
        click.echo("stopping after this bar; interrupt again to break off without saving", err=True)
        stop()

    before = signal.signal(signal.SIGINT, on_interrupt)
    try:
        yield seen
    finally:
        signal.signal(signal.SIGINT, before)


def _as_json(
    summary: RunSummary, metrics: dict[str, Any], state: Path | None, failures: list[str]
) -> dict[str, Any]:
    plain = asdict(summary)
    for name in ("started_at", "ended_at"):
        plain[name] = None if plain[name] is None else plain[name].isoformat()
    return {
        "summary": plain,
        "metrics": metrics,
        "state": None if state is None else str(state),
        "monitor_failures": failures,
    }


def _print(summary: RunSummary, metrics: dict[str, Any], currency: str, state: Path | None) -> None:
    def percent(name: str) -> str:
        value = metrics.get(name)
        return "-" if value is None else f"{value:.2%}"

    def number(name: str) -> str:
        value = metrics.get(name)
        return "-" if value is None else f"{value:.2f}"

    span = ""
    if summary.started_at is not None and summary.ended_at is not None:
        span = f", {summary.started_at:%Y-%m-%d} to {summary.ended_at:%Y-%m-%d}"
    rows = [
        ("run", f"{summary.run_id} {summary.outcome}: {summary.slices:,} slices{span}"),
        ("orders", f"{summary.orders:,} placed, {summary.fills:,} fills, {summary.denials:,} denied"),
        ("equity", f"{summary.equity:,.2f} {currency} (return {percent('total_return')}, a year {percent('cagr')})"),
        ("risk", f"max drawdown {percent('max_drawdown')}, Sharpe {number('sharpe')}, Sortino {number('sortino')}"),
        ("trades", f"{metrics.get('round_trips') or 0:,.0f} round trips, win rate {percent('win_rate')}"),
    ]
    if state is not None:
        rows.append(("state", str(state)))
    for name, text in rows:
        click.echo(f"{name:<8}{text}")
