"""Planted bugs: patches of the program, each of which an invariant has to catch."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from attrs import frozen

__all__ = ["MUTANTS", "Caught", "Mutant", "applied", "hunt", "mutants"]

ROOT = Path(__file__).parents[2]
MUTANTS = ROOT / "tests" / "mutants"
_SOURCE = Path("alphaweave-core") / "src"
_VIOLATION = re.compile(r"^seed (\d+): (\S+) at \d+: (.*)$", re.MULTILINE)


@frozen
class Mutant:
    """One patch.

    Attributes:
        planted: what is wrong with it.
        seen: in whose software.
        caught_by: the invariants that have to catch it; one of them is enough.
        seed: of a day that caught it once, to be lived first; any other may catch it.
    """

    path: Path
    planted: str
    seen: str
    caught_by: tuple[str, ...]
    seed: int | None = None

    @property
    def name(self) -> str:
        return self.path.stem


@frozen
class Caught:
    """The first violation that a mutant led to."""

    seed: int
    invariant: str
    text: str


def mutants() -> list[Mutant]:
    """All of them, by name."""
    return [_read(path) for path in sorted(MUTANTS.glob("*.patch"))]


def applied(mutant: Mutant, folder: Path) -> Path:
    """The sources with the bug in them, below ``folder``; the answer is what to put on the path.

    Raises:
        ValueError: the patch does not fit the sources any more.
    """
    shutil.copytree(ROOT / _SOURCE, folder / _SOURCE, ignore=shutil.ignore_patterns("__pycache__"))
    done = subprocess.run(
        ["git", "apply", "--whitespace=nowarn", str(mutant.path)],
        cwd=folder,
        env={**os.environ, "GIT_CEILING_DIRECTORIES": str(folder.parent)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise ValueError(f"{mutant.path.name} does not fit the sources any more: {done.stderr.strip()}")
    return folder / _SOURCE


def hunt(mutant: Mutant, folder: Path, days: int, seed: int = 0) -> Caught | None:
    """Run days with the bug until an invariant catches it; None if none does.

    Raises:
        ValueError: the patch does not fit, or the simulation itself fails under it.
    """
    source = applied(mutant, folder)
    first = [] if mutant.seed is None else ["--first", str(mutant.seed)]
    done = subprocess.run(
        [sys.executable, "-m", "simulation", "--days", str(days), "--seed", str(seed), *first],
        cwd=ROOT / "tests",
        env={**os.environ, "PYTHONPATH": str(source), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    found = _VIOLATION.search(done.stdout)
    if found is None and done.returncode not in {0, 1}:
        raise ValueError(f"{mutant.name} ends the simulation itself: {done.stderr.strip()[-2000:]}")
    return None if found is None else Caught(int(found[1]), found[2], found[3])


def _read(path: Path) -> Mutant:
    heads = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        name, _, text = line.partition(": ")
        if not text:
            break
        heads[name] = text
    seed = int(heads["Seed"]) if "Seed" in heads else None
    return Mutant(path, heads["Planted"], heads["Seen in"], tuple(heads["Caught by"].split(", ")), seed)
