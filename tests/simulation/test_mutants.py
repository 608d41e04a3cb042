"""Bugs that have cost others money, planted here: each is caught, by the invariant that it names."""

from __future__ import annotations

from pathlib import Path

import pytest

from simulation.mutants import Mutant, applied, hunt, mutants

_ALL = mutants()
_LEAST = 20
_INVARIANTS = {f"I{number}" for number in range(1, 10)} | {"data", "progress"}
_SEEDS = 1_000


def test_twenty_bugs_and_more_are_planted() -> None:
    """Each says what is wrong, who had it, and which invariants have to catch it."""
    assert len(_ALL) >= _LEAST
    assert len({mutant.planted for mutant in _ALL}) == len(_ALL)
    for mutant in _ALL:
        assert mutant.seen
        assert set(mutant.caught_by) <= _INVARIANTS, mutant.name


@pytest.mark.parametrize("mutant", _ALL, ids=[mutant.name for mutant in _ALL])
def test_a_planted_bug_is_caught_by_the_invariant_that_it_names(mutant: Mutant, tmp_path: Path) -> None:
    """Within a thousand seeds; most within a few."""
    caught = hunt(mutant, tmp_path, _SEEDS)
    assert caught is not None, f"{mutant.name} survived {_SEEDS} days"
    assert caught.invariant in mutant.caught_by, caught


def test_a_patch_that_does_not_fit_any_more_is_refused(tmp_path: Path) -> None:
    """A mutant that is silently none would prove nothing."""
    stale = tmp_path / "stale.patch"
    stale.write_text(
        "Planted: x\nSeen in: y\nCaught by: I1\n\n--- a/gone.py\n+++ b/gone.py\n@@ -1 +1 @@\n-a\n+b\n"
    )
    mutant = Mutant(stale, "x", "y", ("I1",))
    with pytest.raises(ValueError, match=r"stale\.patch does not fit the sources any more"):
        applied(mutant, tmp_path / "sources")
