"""The files of a run: it writes over none that it reads or that is not its own, and shares none."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import attrs

from alphaweave.core.errors import ConfigError, Problem, StateError
from alphaweave.core.outputs import Output, OutputKind, output_problems, real_path
from alphaweave.live.config import LiveConfig
from alphaweave.live.run_lock import RunLock
from alphaweave.monitoring.plugin import DashboardOptions
from alphaweave.strategy.strategy import Strategy

__all__ = ["check_files", "state_lock"]


def check_files(
    config: LiveConfig,
    *,
    strategy: Strategy,
    feed_options: object,
    monitor_options: Sequence[object],
    also: Sequence[Output] = (),
) -> None:
    """Refuse a run that would write over what it reads, over another of its files, or over somebody's file.

    Args:
        feed_options: the parsed options of the datafeed; every path in them is read.
        monitor_options: those of the config's monitors, in its order; every path in them is written.
        also: what the caller is going to write.

    Raises:
        ConfigError: with everything that is wrong.
    """
    inputs: dict[str, Path] = {}
    if config.source is not None:
        inputs["the config"] = config.source
    file = getattr(sys.modules.get(type(strategy).__module__), "__file__", None)
    if file is not None:
        inputs["the strategy's file"] = Path(file)
    for name, path in _paths(feed_options):
        inputs[f"datafeed.options.{config.datafeed.name}.{name}"] = path
    outputs = []
    state_path = config.persistence.state_path
    if state_path is not None:
        outputs.append(Output("persistence.state_path", state_path, OutputKind.STATE))
        outputs.append(Output("persistence.state_path", _lock_path(state_path), OutputKind.LOCK))
    for number, (section, options) in enumerate(zip(config.monitors, monitor_options, strict=True)):
        kind = OutputKind.DASHBOARD if isinstance(options, DashboardOptions) else None
        outputs += [
            Output(f"monitors[{number}].options.{section.name}.{name}", path, kind)
            for name, path in _paths(options)
        ]
    problems = output_problems([*outputs, *also], inputs)
    journal = config.persistence.journal
    if journal is not None and (trouble := _no_place(journal)) is not None:
        problems.append(Problem("persistence.journal", f"{journal} {trouble}; name another path."))
    if problems:
        raise ConfigError(problems, config.source)


@contextmanager
def state_lock(state_path: Path | None) -> Iterator[None]:
    """Keep other runs off a state file; they are refused, and so is this one if it is not the first.

    The lock is the operating system's and ends with the process. Its file stays, and means nothing.

    Raises:
        LockHeld: another run has it.
        RunRefused: there cannot be a lock here.
        StateError: its folder cannot be made.
    """
    # Windows has no such lock; there it is for the user not to start a run twice.
    if state_path is None or os.name != "posix":
        yield
        return
    path = _lock_path(state_path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StateError(
            f"its folder cannot be made: {error.strerror or error}; choose another `persistence.state_path`",
            state_path,
        ) from error
    lock = RunLock.acquire(path, what=f"the state {state_path}")
    try:
        yield
    finally:
        lock.release()


def _paths(options: object) -> Iterator[tuple[str, Path]]:
    """The paths among parsed options."""
    if attrs.has(type(options)):
        for name, value in attrs.asdict(cast("Any", options), recurse=False).items():
            if isinstance(value, Path):
                yield name, value


def _no_place(path: Path) -> str | None:
    """Why there can be no database at ``path``, whose folder is made if need be."""
    if path.is_dir():
        return "is a folder"
    folder = next(one for one in real_path(path).parents if one.exists())
    if not folder.is_dir():
        return f"would lie in {folder}, which is no folder"
    return (
        None if os.access(folder, os.W_OK | os.X_OK) else f"would lie in {folder}, which cannot be written to"
    )


def _lock_path(state_path: Path) -> Path:
    """Beside the file itself, so that whoever comes by a link finds the same lock."""
    real = real_path(state_path)
    return real.with_name(f"{real.name}.lock")
