"""How many bytecode instructions an event costs: `make instructions`, or `make instructions ARGS=--renew`.

The same on every machine, however busy it is, so a slow-down is told from noise. What is done inside of
C functions (decimal arithmetic, sorting) is not counted, only that they are called. Each minor version of
Python has instructions, and so figures, of its own in `instructions.json`; one that is off by more than the
tolerance, either way, ends the command with 1: the old figure of one that fell leaves room for a slow-down.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import alphaweave_runs
import floor
from outcome import Run
from workloads import Workload, cut, make

__all__ = ["CASES", "FIGURES", "TOLERANCE", "Case", "astray", "figures", "instructions", "main", "per_event"]

FIGURES = Path(__file__).parent / "instructions.json"
TOLERANCE = 0.02
"""How far a figure may be from the recorded one: what another version of attrs may change."""


@dataclass(frozen=True, slots=True)
class Case:
    """A workload's first rows, twice, so that what a run costs once cancels out.

    Attributes:
        symbols: the first so many of the workload's.
        rows: of the shorter and of the longer run.
    """

    workload: str
    prepare: Callable[[Workload], Run]
    rows: tuple[int, int]
    symbols: int = 1


CASES: Mapping[str, Case] = {
    # As many as a replay works out averages ahead for; in the others of W1 they take one close after another.
    "W1": Case("W1", alphaweave_runs.prepare, (2_000, 2_800)),
    "W1, no straight way": Case("W1", alphaweave_runs.prepare_ordinary, (500, 1_300)),
    "W1, records read": Case("W1", alphaweave_runs.prepare_read, (500, 1_300)),
    "W2": Case("W2", alphaweave_runs.prepare, (85, 148), 20),
    "W2d": Case("W2d", alphaweave_runs.prepare, (65, 85), 20),
    "W3": Case("W3", alphaweave_runs.prepare, (1_000, 3_000)),
}


def instructions(run: Callable[[], Any]) -> int:
    """Run it on this thread and count. It takes some fifty times as long as otherwise."""
    executed = 0

    def count(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal executed
        if event == "call":
            frame.f_trace_opcodes, frame.f_trace_lines = True, False
        elif event == "opcode":
            executed += 1
        return count

    before = sys.gettrace()
    sys.settrace(count)
    try:
        run()
    finally:
        sys.settrace(before)
    return executed


def per_event(case: Case, prepare: Callable[[Workload], Run] | None = None) -> float:
    """Instructions that each further event of the case costs; ``prepare``: another engine's."""
    prepare = prepare or case.prepare
    whole = make(case.workload)
    short, long = (cut(whole, rows, case.symbols) for rows in case.rows)
    # What is imported or made when it is first needed; and Python 3.12 counts from the second trace on.
    instructions(prepare(short))
    counted = [instructions(prepare(workload)) for workload in (short, long)]
    return round((counted[1] - counted[0]) / (long.events - short.events), 1)


def figures(path: Path = FIGURES) -> dict[str, dict[str, float]]:
    """What was recorded: Python's minor version -> case -> instructions an event."""
    if not path.exists():
        return {}
    found: dict[str, dict[str, float]] = json.loads(path.read_text(encoding="utf-8"))
    return found


def astray(name: str, counted: float, recorded: float | None) -> str | None:
    """What is wrong with a figure; None if it is as recorded."""
    if recorded is None:
        return f"{name}: {counted} instructions an event, and none are recorded for this Python"
    if abs(counted - recorded) <= TOLERANCE * recorded:
        return None
    return f"{name}: {counted} instructions an event, {recorded} are recorded ({counted / recorded - 1:+.1%})"


def version() -> str:
    """Python's minor version, whose instructions these are."""
    return ".".join(map(str, sys.version_info[:2]))


def main(arguments: Sequence[str] | None = None) -> int:
    """Count, print, and compare with what is recorded or record it.

    Returns:
        0, or 1 if a figure is not as recorded.
    """
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--renew", action="store_true", help="record the figures for this Python")
    parser.add_argument("--file", type=Path, default=FIGURES, help="where they are recorded")
    options = parser.parse_args(arguments)
    recorded = figures(options.file)
    known, found, wrong = recorded.get(version(), {}), {}, []
    print(f"Python {version()}, bytecode instructions an event")
    for name, case in CASES.items():
        found[name] = counted = per_event(case)
        bare = per_event(case, floor.prepare)
        was = "" if name not in known else f"{known[name]:>10} recorded"
        print(f"{name:24}{counted:>10}{bare:>10} bare loop{counted / bare:>8.2f}{was}")
        problem = astray(name, counted, known.get(name))
        wrong += [problem] if problem else []
    if options.renew:
        text = json.dumps({**recorded, version(): found}, indent=2, sort_keys=True)
        options.file.write_text(f"{text}\n", encoding="utf-8")
        return 0
    for line in wrong:
        print(f"ASTRAY: {line}; `make instructions ARGS=--renew` records it", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
