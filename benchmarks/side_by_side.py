"""AlphaWeave, the bare loop and other engines: `make bench-peers`, or with `ARGS="--only W1 --rounds 5"`.

Each run is a process of its own, in the engine's own environment, in turn, round after round: only runs side
by side compare. Timed is the engine's run call; data are loaded before. A run that did not trade as the floor
did is said to, and the command ends with 1.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import monotonic_ns
from typing import Any

from outcome import Disagreement, Outcome, agree
from page import into
from workloads import Workload, cut, make, save

__all__ = ["ENGINES", "Series", "main", "side_by_side", "table"]

HERE = Path(__file__).parent
WORKLOADS = ("W1", "W2", "W2d", "W3")
ENGINES: Mapping[str, tuple[str, ...]] = {
    "floor": WORKLOADS,
    "alphaweave": WORKLOADS,
    "vnpy_cta": ("W1", "W3"),  # it has one symbol
    "nautilus": WORKLOADS,
    "backtrader": WORKLOADS,
}
"""Which workloads an engine can play. The first two are in the environment that this runs in."""
BEGIN, END = "<!-- side by side -->", "<!-- end of side by side -->"


@dataclass(slots=True)
class Series:
    """The runs of one engine on one workload, in the order of the rounds."""

    engine: str
    workload: Workload
    answers: list[dict[str, Any]]
    problem: str = ""

    def seconds(self, name: str = "seconds") -> float:
        """The median run."""
        return float(median(answer[name] for answer in self.answers))

    def ratio(self, floor: Series) -> float:
        """The median of the rounds' ratios to the floor."""
        pairs = zip(self.answers, floor.answers, strict=True)
        return float(median(ours["seconds"] / bare["seconds"] for ours, bare in pairs))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what was asked for and print it as Markdown.

    Returns:
        0, or 1 if an engine did not trade as the floor did.
    """
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--only", nargs="+", choices=WORKLOADS, default=list(WORKLOADS), metavar="NAME")
    parser.add_argument("--engines", nargs="+", choices=tuple(ENGINES), default=list(ENGINES), metavar="NAME")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rows", type=int, help="the first so many rows of each workload, to try it out")
    parser.add_argument("--environments", type=Path, default=HERE.parent / "build" / "peers")
    parser.add_argument("--into", type=Path, help="a page whose tables these replace")
    options = parser.parse_args(arguments)
    engines = ["floor", *(name for name in options.engines if name != "floor")]
    pythons = {name: interpreter(name, options.environments) for name in engines}
    printed, problems = [], []
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder, "home")
        home.mkdir()
        for name in options.only:
            workload = cut(make(name), options.rows)
            players = {each: python for each, python in pythons.items() if name in ENGINES[each]}
            series = side_by_side(workload, players, options.rounds, home, Path(folder, name))
            printed.append(table(series))
            problems += [one.problem for one in series if one.problem]
            print(f"{printed[-1]}\n", flush=True)
        printed.append(starts(pythons, options.rounds, home, Path(folder, "W4")))
        print(f"{printed[-1]}\n", flush=True)
    if options.into is not None:
        into(options.into, BEGIN, END, "\n\n".join(printed))
    for line in problems:
        print(f"DISAGREEMENT: {line}", file=sys.stderr)
    return 1 if problems else 0


def interpreter(engine: str, environments: Path) -> str:
    """The Python that has the engine."""
    if engine in {"floor", "alphaweave"}:
        return sys.executable
    python = environments / engine / "bin" / "python"
    if not python.exists():
        raise SystemExit(f"{engine} has no environment: there is no {python}; `make bench-peers` builds it")
    # Absolute, for it is started in another folder; not resolved, for its environment is where it lies.
    return str(python.absolute())


def side_by_side(
    workload: Workload, pythons: Mapping[str, str], rounds: int, home: Path, folder: Path
) -> list[Series]:
    """Every engine in turn, round after round; the floor comes first."""
    folder.mkdir()
    save(workload, folder)
    series = [Series(engine, workload, []) for engine in pythons]
    for _ in range(rounds):
        for one in series:
            one.answers.append(probe("timed", one.engine, folder, pythons[one.engine], home))
        bare = Outcome(**series[0].answers[-1]["outcome"])
        for one in series[1:]:
            try:
                agree(f"{workload.name}, {one.engine}", bare, Outcome(**one.answers[-1]["outcome"]))
            except Disagreement as error:
                one.problem = str(error)
    return series


def table(series: Sequence[Series]) -> str:
    """One workload's table; the floor comes first."""
    floor = series[0]
    lines = [
        f"{floor.workload.name}, {floor.workload.events:,} events:",
        "",
        "| engine | k/s | times the floor | fills | denials | rules asked | peak MB | loading s |",
        "|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for one in series:
        outcome = one.answers[-1]["outcome"]
        traded = f"{outcome['fills']:,}" + (" (not the floor's)" if one.problem else "")
        cells = (
            one.engine,
            f"{one.workload.events / one.seconds() / 1e3:,.1f}",
            f"{one.ratio(floor):.2f}",
            traded,
            f"{outcome['denials']:,}",
            f"{outcome['rules']:,}" if outcome["rules"] else "none",
            f"{one.seconds('peak') / 1e6:,.0f}",
            f"{one.seconds('prepare'):.1f}",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def starts(pythons: Mapping[str, str], rounds: int, home: Path, folder: Path) -> str:
    """What a fresh process of each engine costs until its strategy is called."""
    folder.mkdir()
    save(make("W4"), folder)
    lines = [
        "From the start of the process, with 1,000 bars:",
        "",
        "| engine | import s | first bar s | MB after import |",
        "|---|--:|--:|--:|",
    ]
    firsts: dict[str, list[float]] = {engine: [] for engine in pythons}
    imports: dict[str, list[dict[str, Any]]] = {engine: [] for engine in pythons}
    for _ in range(rounds):
        for engine, python in pythons.items():
            begun = monotonic_ns()
            at = probe("first", engine, folder, python, home)["at"]
            firsts[engine].append((at - begun) / 1e9)
            imports[engine].append(probe("import", engine, folder, python, home))
    for engine in pythons:
        seconds = median(one["seconds"] for one in imports[engine])
        memory = median(one["peak"] for one in imports[engine]) / 1e6
        lines.append(f"| {engine} | {seconds:.2f} | {median(firsts[engine]):.2f} | {memory:,.0f} |")
    return "\n".join(lines)


def probe(what: str, engine: str, path: Path, python: str, home: Path) -> dict[str, Any]:
    """Ask ``probe.py`` in a fresh process of that interpreter.

    An engine may write to the home folder what it likes: it is one of its own.
    """
    command = [python, str(HERE / "probe.py"), what, engine, str(path)]
    environment = {**os.environ, "HOME": str(home)}
    answer = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=home)
    if answer.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{answer.stderr}")
    found: dict[str, Any] = json.loads(answer.stdout.splitlines()[-1])
    return found


if __name__ == "__main__":
    sys.exit(main())
