"""Columns that lie in a file and are read as if they were in memory.

What is written is of one process and gone with it. The system brings parts of the file to memory as they are
read and takes the memory back as it likes, so that columns may be larger than it.
"""

from __future__ import annotations

import mmap
import tempfile
import weakref
from array import array
from typing import Any, Final, Literal

from alphaweave.core.errors import DataError

__all__ = ["Column", "Spool"]

_WIDTH: Final = 8


class Spool:
    """A file of columns without a name. Room is reserved, then written from its beginning on, then read."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile(prefix="alphaweave-")  # noqa: SIM115 - open as long as it is mapped
        weakref.finalize(self, self._file.close)
        self._size = 0
        self._whole: memoryview | None = None

    def column(self, typecode: Literal["q", "d"], rows: int) -> Column:
        """Room for a column of at most so many rows."""
        place, self._size = self._size, self._size + rows * _WIDTH
        return Column(self, typecode, place, rows)

    def write(self, place: int, values: array[Any]) -> None:
        """Write at a place of the file.

        Raises:
            DataError: it cannot be written, for want of room on the disk, say.
        """
        try:
            self._file.seek(place)
            self._file.write(values)
            self._file.flush()
        except OSError as error:
            reason = error.strerror or str(error)
            raise DataError(
                tempfile.gettempdir(),
                f"no temporary file of {self._size:,} bytes ({reason}); have TMPDIR name another place",
            ) from error

    def view(self, place: int, size: int) -> memoryview:
        """What lies at a place; nothing is written after this."""
        if self._whole is None:
            self._file.truncate(max(self._size, 1))  # nothing at all cannot be mapped
            self._whole = memoryview(mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ))
            self._file.close()  # what is mapped stays
        return self._whole[place : place + size]


class Column:
    """One column.

    Attributes:
        rows: how many are written.
    """

    __slots__ = ("_place", "_room", "_spool", "_typecode", "rows")

    def __init__(self, spool: Spool, typecode: Literal["q", "d"], place: int, room: int) -> None:
        self._spool, self._typecode, self._place, self._room = spool, typecode, place, room
        self.rows = 0

    def extend(self, values: array[Any]) -> None:
        """Write further rows."""
        if self.rows + len(values) > self._room:
            raise ValueError(f"there is room for {self._room} rows, not for {self.rows + len(values)}")
        self._spool.write(self._place + self.rows * _WIDTH, values)
        self.rows += len(values)

    def view(self) -> memoryview[Any]:
        """All rows, to be indexed and sliced as an array is. It keeps the file."""
        return self._spool.view(self._place, self.rows * _WIDTH).cast(self._typecode)
