"""Each guard against a trap of the gateway is taken away in a copy of the sources, and its test sees it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from attrs import frozen

HERE = Path(__file__).parent
DISTRIBUTION = HERE.parents[1]
# As the patches name it.
SOURCE = Path("alphaweave-broker-ibkr") / "src"


@frozen
class Trap:
    """A patch that takes one guard away.

    Attributes:
        what: the trap.
        test: the test that has to fail then.
    """

    path: Path
    what: str
    test: str


def read(path: Path) -> Trap:
    what, test = path.read_text(encoding="utf-8").splitlines()[:2]
    return Trap(path, what.removeprefix("Trap: "), test.removeprefix("Test: "))


ALL = [read(path) for path in sorted(HERE.glob("*.patch"))]
# Two stand for all of them.
_QUICK = frozenset({"information_is_a_cancel", "numbers_are_floats"})
TRIED = [trap for trap in ALL if trap.path.stem in _QUICK or os.environ.get("ALPHAWEAVE_TRAPS") == "all"]


def copied(folder: Path) -> Path:
    """The sources, below a folder as patches name them."""
    source = folder / SOURCE
    shutil.copytree(DISTRIBUTION / "src", source, ignore=shutil.ignore_patterns("__pycache__"))
    return source


def apply(path: Path, folder: Path, *options: str) -> None:
    """Take the guard away from the sources below a folder.

    Raises:
        ValueError: the patch does not fit them any more.
    """
    done = subprocess.run(
        ["git", "apply", "--whitespace=nowarn", *options, str(path)],
        cwd=folder,
        env={**os.environ, "GIT_CEILING_DIRECTORIES": str(folder.parent)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise ValueError(f"{path.name} does not fit the sources any more: {done.stderr.strip()}")


def test_traps_are_listed_with_their_tests() -> None:
    """The table has one row for each patch, in its words."""
    told = (HERE / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (.*) \| `(\S+)` \| `(\S+)` \|$", told, re.MULTILINE)
    assert sorted(rows) == sorted((trap.what, trap.test, trap.path.name) for trap in ALL)


def test_patches_fit_the_sources(tmp_path: Path) -> None:
    """One that does not would prove nothing."""
    copied(tmp_path)
    for trap in ALL:
        apply(trap.path, tmp_path, "--check")


@pytest.mark.parametrize("trap", TRIED, ids=lambda trap: trap.path.stem)
def test_a_trap_without_its_guard_is_seen(trap: Trap, tmp_path: Path) -> None:
    """The test that the patch names fails, and does not merely end."""
    source = copied(tmp_path)
    apply(trap.path, tmp_path)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", str(HERE.parent / trap.test)],
        cwd=DISTRIBUTION.parent,
        env={**os.environ, "PYTHONPATH": str(source), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, f"{trap.test} sees nothing:\n{done.stdout}\n{done.stderr}"
    assert re.search(rf"^FAILED \S*{re.escape(trap.test)}", done.stdout, re.MULTILINE), done.stdout


def test_a_patch_that_does_not_fit_any_more_is_refused(tmp_path: Path) -> None:
    """A guard that is silently there would prove nothing."""
    stale = tmp_path / "stale.patch"
    stale.write_text("Trap: x\nTest: y\n\n--- a/gone.py\n+++ b/gone.py\n@@ -1 +1 @@\n-a\n+b\n")
    with pytest.raises(ValueError, match=r"stale\.patch does not fit the sources any more"):
        apply(stale, tmp_path)
