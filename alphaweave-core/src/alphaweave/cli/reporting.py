"""``alphaweave report``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

import click

from alphaweave.core.errors import StateCorrupt
from alphaweave.core.outputs import Output, OutputKind, output_problems
from alphaweave.live.state import load_live_state
from alphaweave.monitoring.dashboard import write_dashboard
from alphaweave.monitoring.memory import InMemoryMonitor
from alphaweave.monitoring.run import RunMonitor

__all__ = ["write_report"]

_SQLITE: Final = b"SQLite format 3\0"


def write_report(state_path: Path, out: Path, *, title: str | None, as_json: bool) -> None:
    """Write the page of a run from its state file or its journal, and say where it is.

    Raises:
        UsageError: the page would replace a file that is no page of AlphaWeave.
        StateError, JournalError: the file cannot be used.
        OSError: the page cannot be written.
    """
    problems = output_problems([Output("--out", out, OutputKind.DASHBOARD)], {"the state file": state_path})
    if problems:
        raise click.UsageError("\n".join(map(str, problems)))
    run_id, strategy, memory = _journaled(state_path) if _is_journal(state_path) else _saved(state_path)
    run = RunMonitor(memory)
    try:
        write_dashboard(out, run, title=title or f"Run {run_id}")
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(out)) from error
    if as_json:
        document = {
            "run": run_id,
            "strategy": strategy,
            "report": str(out),
            "metrics": run.metrics(),
        }
        click.echo(json.dumps(document, indent=2, allow_nan=False))
    else:
        click.echo(f"wrote {out}")


def _saved(path: Path) -> tuple[str, str, InMemoryMonitor]:
    state = load_live_state(path)
    recorded = state.monitors.get("recorder")
    if recorded is None:
        raise StateCorrupt("the file holds no record of the run, only where it stood", path)
    memory = InMemoryMonitor()
    memory.set_state(recorded)
    return state.run_id, state.strategy, memory


def _journaled(path: Path) -> tuple[str, str, InMemoryMonitor]:
    from alphaweave.live.control import ControlStore
    from alphaweave.live.journal_reader import JournalReader
    from alphaweave.live.journal_report import recorded_run

    reader = JournalReader(path)
    memory = recorded_run(reader)
    if ControlStore.path_beside(path).exists():
        latches = ControlStore.beside(path).latches()
        told = [
            f"{latch.state.lower()}{f' in {scope}' if scope else ''}: {latch.reason or latch.operator}"
            for scope, latch in sorted(latches.items())
            if latch.state != "ACTIVE"
        ]
        memory.on_run_start({**memory.meta, "latched": tuple(told)})
    return reader.identity.run_id, reader.identity.strategy, memory


def _is_journal(path: Path) -> bool:
    """By how it begins, as SQLite's files do."""
    try:
        with path.open("rb") as stream:
            return stream.read(len(_SQLITE)) == _SQLITE
    except OSError:
        return False  # the reader of states says what is wrong
