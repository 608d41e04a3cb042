"""The log of JSON lines."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from alphaweave.monitoring.jsonlog import JsonLinesMonitor
from alphaweave.monitoring.monitor import Alert, OrderRecord

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def opened(path: Path, **options: Any) -> JsonLinesMonitor:
    monitor = JsonLinesMonitor(path, **options)
    monitor.on_run_start({"run_id": "r"})
    return monitor


def test_log_holds_everything_a_run_tells(scripted: Callable[..., Any], tmp_path: Path) -> None:
    """One line each, in order, with the kind first; the config stays out."""
    run = scripted(bars=60)
    path = tmp_path / "logs" / "run.jsonl"
    monitor = JsonLinesMonitor(path)
    monitor.on_run_start(run.meta)
    run.tell(monitor, chunk=0)
    monitor.on_run_end(run.summary())
    told = lines(path)
    kinds = [line["kind"] for line in told]
    assert (kinds[0], kinds[-1]) == ("run_start", "run_end")
    assert kinds.count("bar") == 60
    assert kinds.count("trade") == kinds.count("order") == len(run.trades) > 0
    assert kinds.count("metric") == 6
    assert kinds.count("alert") == 1
    assert told[0]["symbols"] == ["SPY", "QQQ"]
    assert "config" not in told[0]
    bar = next(line for line in told if line["kind"] == "bar")
    assert bar["equity"] == 100_000.0
    assert bar["timestamp"] == run.snapshots[0].timestamp.isoformat()


def test_line_is_in_the_file_at_once(tmp_path: Path) -> None:
    """Exact numbers are texts, what is not finite is null, and nothing waits in a buffer."""
    monitor = opened(tmp_path / "run.jsonl")
    monitor.on_metric("spread", float("nan"), NOON)
    monitor.on_order(
        OrderRecord(NOON, "o", "SPY", "buy", "limit", "day", "accepted", Decimal("1.50"), Decimal("1E+2"))
    )
    metric, order = lines(tmp_path / "run.jsonl")[1:]
    assert metric == {
        "kind": "metric",
        "timestamp": "2026-01-05T12:00:00+00:00",
        "name": "spread",
        "value": None,
    }
    assert (order["quantity"], order["filled"], order["limit_price"]) == ("1.5", "100", None)
    monitor.on_run_end(_summary())


def _summary() -> Any:
    from alphaweave.monitoring.monitor import RunSummary

    return RunSummary("r", "finished", 0, 0, 0, 0, 0, 1.0, 1.0)


def test_log_is_for_its_owner_only(tmp_path: Path) -> None:
    """Also where it was there before with wider rights."""
    path = tmp_path / "run.jsonl"
    opened(path).on_run_end(_summary())
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o644)
    opened(path).on_run_end(_summary())
    assert path.stat().st_mode & 0o777 == 0o600
    assert [line["kind"] for line in lines(path)] == ["run_start", "run_end"] * 2


def test_line_that_a_crash_cut_is_ended(tmp_path: Path) -> None:
    """The next run's first line stands on a line of its own."""
    path = tmp_path / "run.jsonl"
    path.write_text('{"kind": "bar", "time', encoding="utf-8")
    opened(path).on_run_end(_summary())
    cut, first, _ = path.read_text(encoding="utf-8").splitlines()
    assert cut == '{"kind": "bar", "time'
    assert json.loads(first)["kind"] == "run_start"


def test_file_that_is_no_log_is_left_alone(tmp_path: Path) -> None:
    """A strategy, a device or a pipe as the path is refused, and nothing is written to it."""
    path = tmp_path / "strategy.py"
    path.write_text("class Sma: ...\n", encoding="utf-8")
    with pytest.raises(FileExistsError, match=r"strategy\.py exists and is no log of AlphaWeave"):
        opened(path)
    assert path.read_text(encoding="utf-8") == "class Sma: ...\n"
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(FileExistsError, match="no regular file"):
        opened(tmp_path / "pipe")


def test_log_is_moved_aside_before_it_grows_too_large(tmp_path: Path) -> None:
    """A line is never split over two files, and the oldest beyond what is kept goes."""
    path = tmp_path / "run.jsonl"
    monitor = opened(path, max_bytes=250, keep=2)
    for number in range(12):
        monitor.on_metric(f"m{number:02}", 1.0, NOON)
    monitor.on_run_end(_summary())
    assert sorted(each.name for each in tmp_path.iterdir()) == ["run.jsonl", "run.jsonl.1", "run.jsonl.2"]
    names = [line["name"] for name in ("run.jsonl.2", "run.jsonl.1") for line in lines(tmp_path / name)]
    assert names == [f"m{number:02}" for number in range(12)][-len(names) :]
    assert all((tmp_path / name).stat().st_size <= 250 for name in ("run.jsonl.1", "run.jsonl.2"))
    assert (tmp_path / "run.jsonl.1").stat().st_mode & 0o777 == 0o600


def test_line_that_fills_the_file_exactly_stays(tmp_path: Path) -> None:
    """The bound itself is allowed."""
    path = tmp_path / "run.jsonl"
    opened(path).on_alert(Alert(NOON, "info", "x", "text"))
    size = path.stat().st_size
    other = tmp_path / "other.jsonl"
    opened(other, max_bytes=size).on_alert(Alert(NOON, "info", "x", "text"))
    assert other.stat().st_size == size
    opened(tmp_path / "third.jsonl", max_bytes=size - 1).on_alert(Alert(NOON, "info", "x", "text"))
    assert (tmp_path / "third.jsonl.1").exists()


def test_write_error_ends_the_log_loudly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is raised once, with the path; after that nothing is written and nothing raised."""
    monitor = opened(tmp_path / "run.jsonl")
    real = os.write

    def full(file: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(
        OSError, match=r"cannot write the log, which ends here: No space.*run\.jsonl"
    ) as caught:
        monitor.on_alert(Alert(NOON, "error", "x", "text"))
    assert caught.value.errno == errno.ENOSPC
    monkeypatch.setattr(os, "write", real)
    monitor.on_alert(Alert(NOON, "error", "x", "text"))
    monitor.on_run_end(_summary())
    assert [line["kind"] for line in lines(tmp_path / "run.jsonl")] == ["run_start"]


def test_half_written_line_is_finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system may take a part of a line at a time."""
    monitor = opened(tmp_path / "run.jsonl")
    real = os.write
    monkeypatch.setattr(os, "write", lambda file, data: real(file, data[:7]))
    monitor.on_alert(Alert(NOON, "error", "x", "text"))
    assert lines(tmp_path / "run.jsonl")[1]["message"] == "text"


@pytest.mark.parametrize("options", [{"keep": 0}, {"max_bytes": 0}])
def test_log_refuses_sizes_below_one(options: dict[str, int], tmp_path: Path) -> None:
    """They would keep nothing."""
    with pytest.raises(ValueError, match="above zero"):
        JsonLinesMonitor(tmp_path / "run.jsonl", **options)
