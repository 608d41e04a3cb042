"""A paper run killed at each point of an order's way, and started again: nothing is lost or doubled."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from alphaweave.live.journal_reader import JournalReader
from alphaweave.sim.snapshot import merged

CHILD = Path(__file__).with_name("live_child.py")
POINTS = (
    "before the intent",
    "before the send",
    "out and unanswered",
    "answered",
    "before the fill",
    "after it",
)


def child(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(CHILD), str(folder), *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def at_the_broker(folder: Path) -> Counter[str]:
    """Executions in the broker's own account, by key."""
    lines = (folder / "run.db.account").read_text().splitlines()
    venue = merged(json.loads(line.rpartition("\t")[0])["venue"] for line in lines)
    return Counter(fill["execution_key"] for _, fill in venue["book"]["fills"])


@pytest.mark.parametrize("point", POINTS)
def test_killed_run_loses_no_fill_and_doubles_no_order(tmp_path: Path, point: str) -> None:
    """Whatever the broker executed is in the books once, and the run goes on to the last bar."""
    killed = child(tmp_path, point, "5")
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    again = child(tmp_path)
    assert again.returncode == 0, again.stderr
    assert again.stdout.startswith("finished"), again.stdout
    assert "error" not in {line.split()[0] for line in again.stdout.splitlines()}, again.stdout
    reader = JournalReader(tmp_path / "run.db")
    booked = Counter(entry.execution_key for entry in reader.executions())
    assert sum(booked.values()) > 10
    assert booked == at_the_broker(tmp_path)
    # One slice is decided once, on either side of the crash.
    slices = Counter(row.decision.input_key for row in reader.tape("slice"))
    assert set(slices.values()) == {1}
    assert len(slices) == 16
    assert not [row for row in reader.orders() if row.state.value in {"unknown", "intent", "sent"}]
