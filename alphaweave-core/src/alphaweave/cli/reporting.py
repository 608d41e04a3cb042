"""``alphaweave report``."""

from __future__ import annotations

import json
from pathlib import Path

import click

from alphaweave.core.errors import StateCorrupt
from alphaweave.live.state import load_live_state
from alphaweave.monitoring.dashboard import write_dashboard
from alphaweave.monitoring.memory import InMemoryMonitor
from alphaweave.monitoring.run import RunMonitor

__all__ = ["write_report"]


def write_report(state_path: Path, out: Path, *, title: str | None, as_json: bool) -> None:
    """Write the page of a run from its state file, and say where it is.

    Raises:
        StateError: the file cannot be used.
    """
    state = load_live_state(state_path)
    recorded = state.monitors.get("recorder")
    if recorded is None:
        raise StateCorrupt("it holds no record of the run", state_path)
    memory = InMemoryMonitor()
    memory.set_state(recorded)
    run = RunMonitor(memory)
    write_dashboard(out, run, title=title or f"Run {state.run_id}")
    if as_json:
        click.echo(json.dumps({"report": str(out), "metrics": run.metrics()}))
    else:
        click.echo(f"wrote {out}")
