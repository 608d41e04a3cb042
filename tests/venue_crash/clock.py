"""One clock for several processes: it runs by itself, and a small file says how far it was moved."""

from __future__ import annotations

import mmap
import struct
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

__all__ = ["SharedClock"]

_FORM = struct.Struct("=ddd")


class SharedClock:
    """Whoever opens the file has the same time. The machine's own monotonic clock is one for all of them."""

    def __init__(self, path: Path, start: datetime | None = None) -> None:
        """``start`` makes the file; without it, it is there."""
        if start is not None:
            path.write_bytes(_FORM.pack(start.timestamp(), time.monotonic(), 0.0))
        with path.open("r+b") as file:
            self._shared = mmap.mmap(file.fileno(), _FORM.size)

    def now(self) -> datetime:
        start, began, ahead = _FORM.unpack_from(self._shared)
        passed = timedelta(seconds=time.monotonic() - began + ahead)
        return datetime.fromtimestamp(start, UTC) + passed

    def monotonic(self) -> float:
        return time.monotonic()

    def advance(self, seconds: float) -> None:
        """Set the time forward, for everybody."""
        start, began, ahead = _FORM.unpack_from(self._shared)
        _FORM.pack_into(self._shared, 0, start, began, ahead + seconds)
