"""The simulated account on disk: what a broker knows outlives the programs that trade there."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from alphaweave.core.errors import StateCorrupt, StateSchemaTooNew
from alphaweave.data.series import Series
from alphaweave.sim.venue import SimVenue

__all__ = ["AccountFile"]

_MARK: Final = "alphaweave_account"
_VERSION: Final = 1


class AccountFile:
    """Keeps one venue in one file, which is whole whenever the process ends."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def load(self, venue: SimVenue, board: dict[str, Series]) -> int | None:
        """Bring a venue, and the last bars that it saw, to where they were; when that was, in nanoseconds.

        Returns:
            None where there is no file: the account is a new one.

        Raises:
            StateError: the file cannot be used, or is another account's.
        """
        try:
            text = self.path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        try:
            document = json.loads(text)
            if document[_MARK] > _VERSION:
                raise StateSchemaTooNew(f"it has version {document[_MARK]}; upgrade this package", self.path)
            bars, time = document["bars"], document["time"]
            for symbol, (interval, *row) in bars.items():
                series = board[symbol] = Series(symbol, interval)
                series.append(*row)
                series.cursor.count = 1
        except (KeyError, TypeError, ValueError) as error:
            raise StateCorrupt(
                f"it is no account of a simulated broker, or damaged ({error}); to begin with a new account, "
                "move it away together with the journal",
                self.path,
            ) from error
        venue.restore(document["venue"])
        return None if time is None else int(time)

    def save(self, venue: SimVenue, board: Mapping[str, Series], time: int | None) -> None:
        """Write it all, durably.

        Raises:
            OSError: it cannot be written.
        """
        document: dict[str, Any] = {
            _MARK: _VERSION,
            "time": time,
            "venue": venue.snapshot(),
            "bars": {symbol: _last(series) for symbol, series in board.items() if len(series)},
        }
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = self.path.with_name(f"{self.path.name}.new")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
                stream.write(json.dumps(document))
                stream.flush()
                os.fsync(stream.fileno())
            draft.replace(self.path)
        except BaseException:
            # Where the disk is full there is no use in half a file.
            draft.unlink(missing_ok=True)
            raise


def _last(series: Series) -> list[Any]:
    columns = (series.start, series.end, series.open, series.high, series.low, series.close, series.volume)
    return [series.interval, *(column[-1] for column in columns)]
