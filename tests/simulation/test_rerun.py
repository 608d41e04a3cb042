"""Days of lost answers, outages and crashes, decided on again from their journals: nothing differs."""

from __future__ import annotations

from pathlib import Path

import pytest

from alphaweave.live.journal_reader import JournalReader
from alphaweave.live.journal_records import Decision
from alphaweave.live.live_core import LiveCore
from alphaweave.live.tape import Rerun, Tape, TapeReconciler, rerun
from simulation.day import Day
from simulation.script import draw

SEEDS = range(40)


def again(day: Day, journal: Path) -> Rerun:
    """What the strategy of that day would decide today."""

    def core_of(tape: Tape, start: Decision) -> LiveCore:
        core = day.build(tape).core
        core.reconciler = TapeReconciler(tape)
        return core

    return rerun(JournalReader(journal).decisions(), core_of, path=str(journal))


@pytest.mark.parametrize("seed", SEEDS)
def test_day_of_faults_is_decided_as_it_was(seed: int, tmp_path: Path) -> None:
    """Every start that a crash led to included."""
    day = Day(draw(seed), tmp_path)
    assert day.run().violation is None
    (journal,) = tmp_path.glob("*.db")
    found = again(day, journal)
    assert found.difference is None, found.difference
    assert found.decisions == JournalReader(journal).seq
