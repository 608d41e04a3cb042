"""``alphaweave check``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import click

from alphaweave.live.config import load_live_config
from alphaweave.live.runner import LiveRunner

__all__ = ["check_config"]


def check_config(path: Path, overrides: Sequence[str], *, as_json: bool) -> None:
    """Read the config, find its adapters, make its strategy; print what was found.

    Raises:
        AlphaweaveError: what is wrong.
    """
    config = load_live_config(path, overrides=overrides)
    runner = LiveRunner.from_config(config)
    runner.check_files(runner.load_strategy())
    found = {
        "config": str(path),
        "run": config.run.id,
        "mode": runner.mode.value,
        "broker": config.broker.name,
        "datafeed": config.datafeed.name,
        "interval": config.datafeed.interval,
        "instruments": list(config.symbols),
        "strategy": config.strategy.class_path,
        "monitors": [section.name for section in config.monitors],
        "notices": list(runner.notices),
    }
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    for name, value in found.items():
        if name != "notices":
            text = ", ".join(value) if isinstance(value, list) else value
            click.echo(f"{name:<12}{text or '-'}")
    for notice in runner.notices:
        click.echo(f"note: {notice}")
    click.echo("ok: nothing was connected, and no bar was read")
