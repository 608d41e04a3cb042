"""The monitor that writes what a run tells it as JSON, one line each."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from math import isfinite
from pathlib import Path
from typing import Any, Final

from attrs import asdict

from alphaweave.core.money import plain
from alphaweave.monitoring.monitor import Alert, BarSnapshot, OrderRecord, RunSummary, TradeRecord

__all__ = ["JsonLinesMonitor"]

_MARK: Final = b'{"kind": "'
# What a run says of itself, less its config, which is long and not for a log that is sent elsewhere.
_META: Final = (
    "run_id",
    "mode",
    "strategy",
    "symbols",
    "capital",
    "currency",
    "broker",
    "datafeed",
    "interval",
)


class JsonLinesMonitor:
    """Appends to a file that only its owner may read; each line is written through at once.

    A line is an object whose ``kind`` is ``run_start``, ``bar``, ``trade``, ``order``, ``metric``, ``alert``
    or ``run_end``, and which otherwise has the fields of the record. Times are ISO 8601 in UTC, exact
    numbers are texts, what is not finite is null.

    When a line cannot be written, the file is closed and the error raised, once: the run goes on without
    a log, and says so.
    """

    def __init__(self, path: Path, *, max_bytes: int | None = None, keep: int = 5) -> None:
        """Raises ValueError for a size or a number below one.

        Args:
            path: the file; its folder is made if need be.
            max_bytes: a file that would grow above it is moved to ``path.1``, and that to ``path.2``;
                None never does.
            keep: how many such files are kept.
        """
        if keep < 1 or (max_bytes is not None and max_bytes < 1):
            raise ValueError("a log keeps at least one older file, and max_bytes is above zero")
        self._path = Path(path)
        self._max_bytes = max_bytes
        self._keep = keep
        self._file: int | None = None
        self._size = 0

    def on_run_start(self, meta: Mapping[str, Any]) -> None:
        if self._file is None:
            self._open()
        self._write("run_start", {name: meta[name] for name in _META if name in meta})

    def on_bar(self, snapshot: BarSnapshot) -> None:
        self._write("bar", asdict(snapshot))

    def on_trade(self, trade: TradeRecord) -> None:
        self._write("trade", asdict(trade))

    def on_order(self, order: OrderRecord) -> None:
        self._write("order", asdict(order))

    def on_metric(self, name: str, value: float, timestamp: datetime) -> None:
        self._write("metric", {"timestamp": timestamp, "name": name, "value": value})

    def on_alert(self, alert: Alert) -> None:
        self._write("alert", asdict(alert))

    def on_run_end(self, summary: RunSummary) -> None:
        self._write("run_end", asdict(summary))
        self._close()

    def _write(self, kind: str, facts: Mapping[str, Any]) -> None:
        if self._file is None:
            return
        # The kind stands first, so that a log can be recognised.
        told = {"kind": kind, **{name: _plain(each) for name, each in facts.items()}}
        line = json.dumps(told).encode() + b"\n"
        try:
            if self._max_bytes is not None and self._size and self._size + len(line) > self._max_bytes:
                self._rotate()
            self._append(line)
        except OSError as error:
            self._close()
            raise OSError(
                error.errno,
                f"cannot write the log, which ends here: {error.strerror or error}",
                str(self._path),
            ) from error

    def _append(self, line: bytes) -> None:
        if self._file is None:
            return
        while line:
            written = os.write(self._file, line)
            self._size += written
            line = line[written:]

    def _open(self) -> None:
        path = self._path
        path.parent.mkdir(parents=True, exist_ok=True)
        # Without O_NONBLOCK a FIFO that nobody reads would stop the run's log here for ever.
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
        try:
            self._adopt(file)
        except BaseException:
            os.close(file)
            raise
        self._file = file

    def _adopt(self, file: int) -> None:
        """See that an existing file is a log of ours, and end a line that a crash cut."""
        facts = os.fstat(file)
        if not stat.S_ISREG(facts.st_mode):
            raise FileExistsError(f"{self._path} is no regular file; name another path for the log")
        if facts.st_size and os.pread(file, len(_MARK), 0) != _MARK:
            raise FileExistsError(
                f"{self._path} exists and is no log of AlphaWeave; remove it or name another path"
            )
        os.fchmod(file, 0o600)
        self._size = facts.st_size
        if self._size and os.pread(file, 1, self._size - 1) != b"\n":
            self._size += os.write(file, b"\n")

    def _rotate(self) -> None:
        self._close()
        path = self._path
        for number in range(self._keep - 1, 0, -1):
            older = path.with_name(f"{path.name}.{number}")
            if older.exists():
                older.replace(path.with_name(f"{path.name}.{number + 1}"))
        path.replace(path.with_name(f"{path.name}.1"))
        self._open()

    def _close(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            os.close(file)


def _plain(value: object) -> Any:
    if isinstance(value, float):
        return value if isfinite(value) else None
    if isinstance(value, Decimal):
        return plain(value)
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value if value is None or isinstance(value, bool | int | str) else str(value)
