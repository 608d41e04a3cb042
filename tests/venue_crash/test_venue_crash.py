"""One kill at each named point, and the campaign's own eye: what it must notice, it notices."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import pytest
from venue_day.stages import BROKERS, stage_of

from venue_crash.campaign import POINTS, Siege


@pytest.mark.parametrize("broker", BROKERS)
def test_run_at_a_sandbox_outlives_a_kill_at_each_point(broker: str, tmp_path: Path) -> None:
    """No execution is lost, no order doubled, and in the end both sides say the same."""
    kills = asyncio.run(Siege(stage_of(broker), POINTS, 1, tmp_path).run())
    assert [kill for kill in kills if kill.bad] == []
    assert [kill.point for kill in kills[:-1] if kill.counts] == list(POINTS)
    assert any(kill.unanswered for kill in kills)


def test_an_order_sent_twice_and_an_execution_forgotten_are_noticed(tmp_path: Path) -> None:
    """The venue counts what arrives, and the journal is held against its executions."""

    class Tampered(Siege):
        def _arrived(self) -> list[str]:
            names = super()._arrived()
            return [*names, *names[:1], *(["aw-nobody"] if names else [])]

        def _booked(self) -> Counter[tuple[str | None, object]]:  # type: ignore[override]
            found = super()._booked()
            for key in list(found)[:1]:
                del found[key]
            return found  # type: ignore[return-value]

        def _is_settled(self) -> bool:
            return self._executed() >= set(self._booked())

    siege = Tampered(stage_of("alpaca"), [], 2, tmp_path)
    (end,) = asyncio.run(siege.run())
    assert siege._last.doubled == 1
    assert end.lost >= 1
    assert [text for text in end.wrong if "aw-nobody" in text]
