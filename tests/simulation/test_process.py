"""The simulated process: it deals with what comes as a real one does."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from alphaweave.live.inputs import FeedLinkInput, Input
from simulation.clock import SECOND
from simulation.day import Day
from simulation.process import Process
from simulation.script import draw


def test_what_comes_while_the_strategy_thinks_is_dealt_with_in_that_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also what came before it began to think about something else."""
    given: list[Input] = []
    day = Day(draw(1), tmp_path)
    monkeypatch.setattr(day, "before", lambda process, one: given.append(one))
    process, now = Process(day), day.agenda.now
    process.start()
    process._busy_until = now + SECOND
    process.take(partial(FeedLinkInput, up=True, reason="first"))
    process._busy_until = now + 2 * SECOND
    process.take(partial(FeedLinkInput, up=True, reason="second"))
    while day.agenda.step(now + 3 * SECOND):
        pass
    process.die()
    assert [one.reason for one in given if isinstance(one, FeedLinkInput)] == ["first", "second"]
