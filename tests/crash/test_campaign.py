"""One kill at each named point, and the campaign's own eye: what it must notice, it notices."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from crash.campaign import Batch, Kill, Seen, look, run_batches
from crash.points import POINTS, Point, pointed_out


async def _lived(batches: Sequence[tuple[Sequence[Point | None], int]], folder: Path) -> list[Kill]:
    return [kill async for batch in run_batches(batches, 3, folder) for kill in batch.kills]


def test_a_run_outlives_a_kill_at_each_point(tmp_path: Path) -> None:
    """No fill is lost, no order doubled, and the next process trades. How soon is the campaign's business,
    for here others use the machine."""
    kills = asyncio.run(_lived([((*POINTS[::3], None), 1), (POINTS[1::3], 2), (POINTS[2::3], 3)], tmp_path))
    assert [kill for kill in kills if kill.broken] == []
    named = {kill.point for kill in kills if kill.counts}
    assert {point.name for point in POINTS} <= named
    assert any(kill.unanswered for kill in kills)


def test_an_order_asked_for_twice_and_a_fill_forgotten_are_noticed(tmp_path: Path) -> None:
    """The venue counts what arrives, and the journal is held against its executions."""

    class Tampered(Batch):
        async def _stopped(self) -> None:
            seen = self._seen
            self._venue.arrived[next(iter(seen.names))] += 1
            self._venue.arrived["aw-nobody"] += 1
            key = next(iter(seen.executions))
            del seen.executions[key]
            await super()._stopped()

    *_, before, end = asyncio.run(Tampered([pointed_out("a checkpoint")], 3, tmp_path).run())
    assert (before.doubled, before.lost, end.lost) == (1, 1, 1)
    assert [text for text in end.wrong if "aw-nobody" in text]


def test_a_journal_that_forgot_decisions_is_noticed(tmp_path: Path) -> None:
    """A commit that was acknowledged is never gone."""
    asyncio.run(Batch([], 4, tmp_path).run())
    seen = Seen()
    assert look(tmp_path / "run.db", seen) == []
    assert seen.seq > 3
    seen.seq += 1
    assert look(tmp_path / "run.db", seen) == [
        f"the journal ends at {seen.seq - 1}, and had {seen.seq} decisions"
    ]


@pytest.mark.parametrize(
    "kill",
    [
        Kill("p", ordered=1.0, lost=1),
        Kill("p", ordered=1.0, doubled=1),
        Kill("p", ordered=1.0, wrong=["odd"]),
        Kill("p", ordered=5.1),
        Kill("p"),
    ],
)
def test_a_kill_that_was_not_outlived_is_bad(kill: Kill) -> None:
    """Also one after which nothing traded, or too late."""
    assert kill.bad
    assert not Kill("p", ordered=4.9).bad
