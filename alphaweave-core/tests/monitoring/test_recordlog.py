"""A list of records of which some are made when somebody reads it."""

from __future__ import annotations

from typing import ClassVar

import pytest

from alphaweave.monitoring.recordlog import RecordLog


class Draft(tuple[str]):
    """Makes its record, and counts how often."""

    made: ClassVar[list[str]] = []

    def record(self) -> str:
        Draft.made.append(self[0])
        return self[0].upper()


@pytest.fixture(autouse=True)
def _nothing_made() -> None:
    Draft.made.clear()


def test_drafts_are_made_once_and_only_when_read() -> None:
    log: RecordLog[str] = RecordLog(["A"])
    log.draft(Draft(("b",)))
    log.append("C")
    assert (len(log), Draft.made) == (3, [])
    assert list(log) == ["A", "B", "C"]
    log.draft(Draft(("d",)))
    assert log[-1] == "D"
    assert log[1:3] == ["B", "C"]
    assert Draft.made == ["b", "d"]


def test_log_reads_like_a_list() -> None:
    """Compared, added to, shown."""
    log: RecordLog[str] = RecordLog()
    log.draft(Draft(("a",)))
    other: RecordLog[str] = RecordLog(["A"])
    assert log == ["A"] == other
    assert log == other
    assert log != ["B"]
    assert log.__add__(["B"]) == ["A", "B"]
    assert repr(log) == "['A']"
    assert "A" in log


def test_restored_log_goes_on_where_its_writers_are() -> None:
    """Whoever took `append` or `draft` before writes into the restored records."""
    log: RecordLog[str] = RecordLog()
    append, draft = log.append, log.draft
    draft(Draft(("lost",)))
    log.restore(["A"])
    append("B")
    draft(Draft(("c",)))
    assert list(log) == ["A", "B", "C"]
    assert Draft.made == ["c"]
