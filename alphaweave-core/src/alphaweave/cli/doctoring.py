"""``alphaweave doctor``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import click
from attrs import asdict

from alphaweave.cli.exits import FAILED
from alphaweave.core.errors import RunRefused
from alphaweave.live.adapters.base import RunMode
from alphaweave.live.config import load_live_config
from alphaweave.live.doctor import Doctor
from alphaweave.live.findings import Finding, Verdict
from alphaweave.live.runner import LiveRunner

__all__ = ["examine_run"]

_BY_WEIGHT: Final = (Verdict.FAILURE, Verdict.WARNING, Verdict.OK)
_VERDICT: Final = 9


def examine_run(path: Path, overrides: Sequence[str], *, wait: float, as_json: bool) -> int:
    """Connect what a config names, print what was found; the exit code.

    Args:
        wait: seconds for each answer.

    Raises:
        AlphaweaveError: what a run is refused for before it connects, or a replay is to be examined.
    """
    config = load_live_config(path, overrides=overrides)
    runner = LiveRunner.from_config(config)
    if runner.mode is RunMode.REPLAY:
        raise RunRefused(
            f"{path} makes a replay, which connects to nothing: alphaweave check {path} looks at it; "
            "for a paper run name a datafeed with real-time data"
        )
    strategy = runner.load_strategy()
    runner.check_files(strategy)
    doctor = Doctor(runner.plan(strategy), patience=wait)
    found = doctor.examine()
    worst = min((one.verdict for one in found), key=_BY_WEIGHT.index, default=Verdict.OK)
    if as_json:
        document = {
            "config": str(path),
            "run": config.run.id,
            "mode": runner.mode.value,
            "broker": config.broker.name,
            "datafeed": config.datafeed.name,
            "account": doctor.account,
            "verdict": worst.value,
            "findings": [asdict(one) for one in found],
            "notices": [runner.scrubber.text(notice) for notice in runner.notices],
        }
        click.echo(json.dumps(document, indent=2))
    else:
        _print(found, [runner.scrubber.text(notice) for notice in runner.notices])
    return FAILED if worst is Verdict.FAILURE else 0


def _print(found: Sequence[Finding], notices: Sequence[str]) -> None:
    width = max([len("SUBJECT"), *(len(one.subject) for one in found)])
    click.echo(f"{'VERDICT':<{_VERDICT}}{'SUBJECT':<{width}}  FINDING")
    for one in found:
        click.echo(f"{one.verdict:<{_VERDICT}}{one.subject:<{width}}  {one.text}")
        if one.advice:
            click.echo(f"{'':<{_VERDICT + width}}  -> {one.advice}")
    for notice in notices:
        click.echo(f"note: {notice}")
    failures, warnings, well = (sum(one.verdict is verdict for one in found) for verdict in _BY_WEIGHT)
    click.echo(
        f"{failures} {'failure' if failures == 1 else 'failures'}, "
        f"{warnings} {'warning' if warnings == 1 else 'warnings'}, {well} ok; no order was sent"
    )
