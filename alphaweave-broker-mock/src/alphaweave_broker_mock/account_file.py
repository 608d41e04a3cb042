"""The simulated account on disk: what a broker knows outlives the programs that trade there.

A file of lines, each of which has what changed and a checksum that the line before is part of. The first has
everything. Only the last can be half, if the program ended while it was written, and of that nobody heard.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final

from alphaweave.core.errors import StateCorrupt, StateFailed, StateSchemaTooNew
from alphaweave.data.series import Series
from alphaweave.sim.snapshot import Mark, merged
from alphaweave.sim.venue import SimVenue

__all__ = ["AccountFile"]

_MARK: Final = "alphaweave_account"
_VERSION: Final = 2
# A file is written anew when what was added to it is more than it began with, and more than this (bytes).
_ROOM: Final = 1 << 20


class AccountFile:
    """Keeps one venue in one file, which can be read whenever the process ends."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._mark: Mark | None = None
        self._ends: dict[str, int] = {}
        self._sum = ""
        self._first = self._size = 0

    def load(self, venue: SimVenue, board: dict[str, Series]) -> int | None:
        """Bring a venue, and the last bars that it saw, to where they were; when that was, in nanoseconds.

        Returns:
            None where there is no file: the account is a new one.

        Raises:
            StateError: the file cannot be used, or is another account's.
        """
        try:
            # What a power loss left of the last line may be no text at all.
            text = self.path.read_text(encoding="ascii", errors="replace")
        except FileNotFoundError:
            return None
        try:
            changes = list(self._changes(text))
            bars: dict[str, list[Any]] = {}
            for change in changes:
                bars.update(change["bars"])
            time = changes[-1]["time"]
            for symbol, (interval, *row) in bars.items():
                series = board[symbol] = Series(symbol, interval)
                series.append(*row)
                series.cursor.count = 1
            whole = merged(change["venue"] for change in changes)
        except (KeyError, TypeError, ValueError) as error:
            raise StateCorrupt(
                f"it is no account of a simulated broker, or damaged ({error}); to begin with a new account, "
                "move it away together with the journal",
                self.path,
            ) from error
        venue.restore(whole)
        return None if time is None else int(time)

    def save(self, venue: SimVenue, board: Mapping[str, Series], time: int | None) -> None:
        """Write what has changed, durably.

        Raises:
            StateFailed: it cannot be written.
        """
        try:
            self._save(venue, board, time)
        except OSError as error:
            raise StateFailed(
                f"the simulated account cannot be written ({error.strerror or error}), so the run ends; see "
                "to the disk, and start it again: what was told before is in the journal",
                self.path,
            ) from error

    def _save(self, venue: SimVenue, board: Mapping[str, Series], time: int | None) -> None:
        grown = self._size - self._first > max(self._first, _ROOM)
        mark = None if grown else self._mark
        # Until it is there, nothing is known to be: after an error, all is written again.
        self._mark = None
        if mark is None or not self._append(self._line(self._change(venue, board, time, mark), self._sum)):
            mark = Mark()
            self._ends.clear()
            self._replace(self._line({_MARK: _VERSION, **self._change(venue, board, time, mark)}, ""))
        self._mark = mark

    def _changes(self, text: str) -> Iterator[dict[str, Any]]:
        first, _ = json.JSONDecoder().raw_decode(text)
        if first[_MARK] > _VERSION:
            raise StateSchemaTooNew(f"it has version {first[_MARK]}; upgrade this package", self.path)
        if first[_MARK] == 1:
            yield json.loads(text)  # one document, without a checksum
            return
        before, lines = "", text.split("\n")
        for number, line in enumerate(lines, 1):
            body, _, told = line.rpartition("\t")
            if told == _sum(before, body):
                yield json.loads(body)
                before = told
            elif number == 1 or any(lines[number:]):
                raise ValueError(f"the checksum of line {number} does not match")
            else:
                return

    def _change(
        self, venue: SimVenue, board: Mapping[str, Series], time: int | None, mark: Mark
    ) -> dict[str, Any]:
        ends = {symbol: series.end[-1] for symbol, series in board.items() if len(series)}
        bars = {symbol: _last(board[symbol]) for symbol, end in ends.items() if self._ends.get(symbol) != end}
        self._ends = ends
        return {"time": time, "venue": venue.changes(mark), "bars": bars}

    def _line(self, change: Mapping[str, Any], before: str) -> bytes:
        body = json.dumps(change)
        self._sum = _sum(before, body)
        return f"{body}\t{self._sum}\n".encode("ascii")

    def _append(self, line: bytes) -> bool:
        """Add to the file; False if it is not the one that was written last."""
        try:
            descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW)
        except FileNotFoundError:
            return False
        with os.fdopen(descriptor, "wb", buffering=0) as stream:
            if os.fstat(descriptor).st_size != self._size:
                return False
            _write(descriptor, line)
            os.fsync(stream.fileno())
        self._size += len(line)
        return True

    def _replace(self, line: bytes) -> None:
        """Begin the file anew; whenever the process ends, the old one or the new one is there."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = self.path.with_name(f"{self.path.name}.new")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        try:
            with os.fdopen(descriptor, "wb", buffering=0) as stream:
                _write(descriptor, line)
                os.fsync(stream.fileno())
            draft.replace(self.path)
        except BaseException:
            # Where the disk is full there is no use in half a file.
            draft.unlink(missing_ok=True)
            raise
        folder = os.open(self.path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        self._first = self._size = len(line)


def _write(descriptor: int, line: bytes) -> None:
    left = memoryview(line)
    while left:
        left = left[os.write(descriptor, left) :]


def _sum(before: str, body: str) -> str:
    return blake2b(f"{before}\n{body}".encode(), digest_size=16).hexdigest()


def _last(series: Series) -> list[Any]:
    columns = (series.start, series.end, series.open, series.high, series.low, series.close, series.volume)
    return [series.interval, *(column[-1] for column in columns)]
