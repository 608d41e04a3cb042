"""AlphaWeave beside the bare loop: `make bench`, or `make bench ARGS="--only W1 --rounds 9"`.

Both run the same workloads in one process, in turn, round after round; the ratio is the median of the
rounds' ratios, since on a shared machine only runs side by side compare. The run ends with an error if the
two did not trade alike, or if a gate was missed.
"""

from __future__ import annotations

import argparse
import csv
import gc
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from time import monotonic_ns, perf_counter
from typing import Any

import floor
from outcome import Disagreement, Outcome, Run, agree
from page import Table, into
from workloads import Workload, cut, make, save

HERE = Path(__file__).parent
GATES = {"W1": (3.5, 2.5), "W2": (4.0, 2.5), "W2d": (7.0, 4.0), "W3": (4.0, 2.0)}
"""Slowdown against the floor: what must hold, and what is aimed at."""
FIRST_BAR_GOALS = {"arrays": 0.6, "CSV": 1.2}
MEMORY_GOAL = 1.3


@dataclass(frozen=True, slots=True)
class Timing:
    """A workload, timed: seconds per run, a figure for each round."""

    workload: Workload
    seconds: Mapping[str, Sequence[float]]
    outcome: Outcome

    def speed(self, engine: str) -> float:
        """Events per second of the median run."""
        return self.workload.events / median(self.seconds[engine])

    def ratio(self, engine: str = "alphaweave") -> float:
        """The median slowdown against the floor."""
        pairs = zip(self.seconds[engine], self.seconds["floor"], strict=True)
        return median(ours / bare for ours, bare in pairs)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what was asked for and print it.

    Returns:
        0, or 1 if a gate was missed.
    """
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--only", nargs="+", choices=tuple(GATES), default=list(GATES), metavar="NAME")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--floor-only", action="store_true", help="time the bare loop alone")
    parser.add_argument("--rows", type=int, help="the first so many rows of each workload, to try it out")
    parser.add_argument("--into", type=Path, help="a page whose tables these replace")
    options = parser.parse_args(arguments)
    engines = ["floor"] if options.floor_only else ["floor", "alphaweave"]
    prepare = {"floor": floor.prepare}
    if not options.floor_only:
        import alphaweave_runs

        prepare["alphaweave"] = alphaweave_runs.prepare
        prepare[READ] = alphaweave_runs.prepare_read
    version = ".".join(map(str, sys.version_info[:3]))
    print(f"Python {version}, {options.rounds} rounds; k/s is a thousand events a second, the median\n")
    missed, printed = [], Table("", "events", *[f"{name} k/s" for name in engines], *FIGURES)
    for name in options.only:
        workload = cut(make(name), options.rows)
        timing = measure(
            workload, {name: make_run(workload) for name, make_run in prepare.items()}, options.rounds
        )
        ratio = timing.ratio() if len(engines) > 1 else 1.0
        read = timing.ratio(READ) if len(engines) > 1 else 1.0
        gate, goal = GATES[name]
        printed.row(
            name,
            f"{workload.events:,}",
            *[f"{timing.speed(engine) / 1e3:,.0f}" for engine in engines],
            f"{ratio:.2f}",
            f"{gate:.1f}",
            f"{goal:.1f}",
            f"{read:.2f}",
            *[f"{getattr(timing.outcome, count):,}" for count in COUNTS],
        )
        if ratio > gate:
            missed.append(f"{name} is {ratio:.2f} times slower than the floor, the gate is {gate}")
    with tempfile.TemporaryDirectory() as folder:
        more = processes(engines, options.only, options.rows, options.rounds, Path(folder))
    if options.into is not None:
        said = f"Python {version}, {os.cpu_count()} cores, {options.rounds} rounds:"
        into(options.into, BEGIN, END, "\n\n".join([said, *map(str, [printed, *more])]))
    for line in missed:
        print(f"MISSED: {line}", file=sys.stderr)
    return 1 if missed else 0


COUNTS = ("fills", "denials", "rules")
READ = "records read"
FIGURES = ("ratio", "gate", "goal", READ, *COUNTS)
BEGIN, END = "<!-- replay -->", "<!-- end of replay -->"


def measure(workload: Workload, runs: Mapping[str, Run], rounds: int) -> Timing:
    """Time each run in turn, round after round; the last one's outcome is kept.

    Raises:
        Disagreement: a run did not trade as the floor did.
    """
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    outcome = Outcome(0, 0.0, 0)
    for _ in range(rounds):
        bare: Outcome | None = None
        for name, run in runs.items():
            gc.collect()
            start = perf_counter()
            outcome = run()
            seconds[name].append(perf_counter() - start)
            bare = bare or outcome
            agree(workload.name, bare, outcome)
    return Timing(workload, seconds, outcome)


def processes(
    engines: Sequence[str], names: Sequence[str], rows: int | None, rounds: int, folder: Path
) -> list[Table]:
    """What a fresh process costs: import, way to the first bar, peak memory."""
    start = make("W4")
    arrays, text = folder / "W4", folder / "W4.csv"
    arrays.mkdir()
    save(start, arrays)
    write_csv(start, text)
    print()
    starts = Table("seconds", *engines, "goal")
    if "alphaweave" in engines:
        bare = ("",) * (len(engines) - 1)
        imported = median(probe("import", "alphaweave", text)["seconds"] for _ in range(rounds))
        starts.row("import", *bare, f"{imported:.2f}", "")
        for label, command in COMMANDS.items():
            starts.row(label, *bare, f"{median(lasts(command) for _ in range(rounds)):.2f}", "")
    for source, path in (("arrays", arrays), ("CSV", text)):
        figures = [
            f"{median(first_bar(engine, path) for _ in range(rounds)):.2f}"
            if engine != "floor" or source == "arrays"
            else ""
            for engine in engines
        ]
        starts.row(f"start to first bar, {source}", *figures, f"{FIRST_BAR_GOALS[source]:.1f}")
    print()
    peak = Table("peak MB", *engines, "ratio", "goal")
    for name in names:
        saved = folder / name
        saved.mkdir()
        save(cut(make(name), rows), saved)
        answers = {engine: probe("peak", engine, saved) for engine in engines}
        peaks = [answer["peak"] for answer in answers.values()]
        outcomes = [Outcome(**answer["outcome"]) for answer in answers.values()]
        agree(name, outcomes[0], outcomes[-1])
        figures = [f"{each / 1e6:,.0f}" for each in peaks]
        peak.row(name, *figures, f"{peaks[-1] / peaks[0]:.2f}", f"{MEMORY_GOAL:.1f}")
    return [starts, peak]


COMMANDS = {
    "`python -c pass`": (sys.executable, "-c", "pass"),
    "`python -c 'import alphaweave'`": (sys.executable, "-c", "import alphaweave"),
    "`alphaweave --help`": (sys.executable, "-m", "alphaweave", "--help"),
}


def lasts(command: Sequence[str]) -> float:
    """Seconds that a process takes from its start to its end."""
    start = perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    return perf_counter() - start


def first_bar(engine: str, path: Path) -> float:
    """Seconds from starting a process to the first call of the strategy."""
    start = monotonic_ns()
    at: int = probe("first", engine, path)["at"]
    return (at - start) / 1e9


def probe(what: str, engine: str, path: Path) -> dict[str, Any]:
    """Ask ``probe.py`` in a fresh process."""
    command = [sys.executable, str(HERE / "probe.py"), what, engine, str(path)]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    if answer.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{answer.stderr}")
    found: dict[str, Any] = json.loads(answer.stdout)
    return found


def write_csv(workload: Workload, path: Path) -> None:
    """Write the bars of one symbol as a vendor's file has them; a row's time is its bar's start."""
    (columns,) = workload.columns.values()
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("Datetime", "Open", "High", "Low", "Close", "Volume"))
        for end, *values in zip(workload.end, *columns, strict=True):
            opened = datetime.fromtimestamp(end / 1e9 - 60, UTC)
            writer.writerow((opened.strftime("%Y-%m-%d %H:%M:%S"), *values))


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Disagreement as error:
        sys.exit(f"DISAGREEMENT: {error}")
