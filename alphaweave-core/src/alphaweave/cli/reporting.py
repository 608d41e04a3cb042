"""``alphaweave report``."""

from __future__ import annotations

import json
from pathlib import Path

import click

from alphaweave.core.errors import StateCorrupt
from alphaweave.core.outputs import Output, OutputKind, output_problems
from alphaweave.live.state import load_live_state
from alphaweave.monitoring.dashboard import write_dashboard
from alphaweave.monitoring.memory import InMemoryMonitor
from alphaweave.monitoring.run import RunMonitor

__all__ = ["write_report"]


def write_report(state_path: Path, out: Path, *, title: str | None, as_json: bool) -> None:
    """Write the page of a run from its state file, and say where it is.

    Raises:
        UsageError: the page would replace a file that is no page of AlphaWeave.
        StateError: the file cannot be used.
        OSError: the page cannot be written.
    """
    problems = output_problems([Output("--out", out, OutputKind.DASHBOARD)], {"the state file": state_path})
    if problems:
        raise click.UsageError("\n".join(map(str, problems)))
    state = load_live_state(state_path)
    recorded = state.monitors.get("recorder")
    if recorded is None:
        raise StateCorrupt("the file holds no record of the run, only where it stood", state_path)
    memory = InMemoryMonitor()
    memory.set_state(recorded)
    run = RunMonitor(memory)
    try:
        write_dashboard(out, run, title=title or f"Run {state.run_id}")
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(out)) from error
    if as_json:
        document = {
            "run": state.run_id,
            "strategy": state.strategy,
            "report": str(out),
            "metrics": run.metrics(),
        }
        click.echo(json.dumps(document, indent=2, allow_nan=False))
    else:
        click.echo(f"wrote {out}")
