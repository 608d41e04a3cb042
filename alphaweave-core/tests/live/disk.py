"""A disk that fails, forgets and tears, below SQLite: below the very library that Python's `sqlite3` uses.

SQLite reaches a disk through a table of functions, its VFS. `Disk` makes a copy of the default one, in which
writing, truncating and syncing a file pass through here, and makes it the default. Nothing above can tell.
"""

from __future__ import annotations

import _sqlite3
import ctypes
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

OK, READONLY, FULL = 0, 8, 13
IOERR_WRITE, IOERR_FSYNC = 10 | 3 << 8, 10 | 4 << 8
SECTOR = 512

_P, _I, _L = ctypes.c_void_p, ctypes.c_int, ctypes.c_int64
_OPEN = ctypes.CFUNCTYPE(_I, _P, _P, _P, _I, _P)
_WRITE = ctypes.CFUNCTYPE(_I, _P, _P, _I, _L)
_TRUNCATE = ctypes.CFUNCTYPE(_I, _P, _L)
_SYNC = ctypes.CFUNCTYPE(_I, _P, _I)
_CLOSE = ctypes.CFUNCTYPE(_I, _P)


class _Methods(ctypes.Structure):
    """`sqlite3_io_methods`: what comes after `xSync` is copied unseen."""

    _fields_ = (
        ("iVersion", _I),
        ("xClose", _P),
        ("xRead", _P),
        ("xWrite", _P),
        ("xTruncate", _P),
        ("xSync", _P),
        ("rest", _P * 13),
    )


class _Vfs(ctypes.Structure):
    """`sqlite3_vfs`: likewise after `xOpen`."""

    _fields_ = (
        ("iVersion", _I),
        ("szOsFile", _I),
        ("mxPathname", _I),
        ("pNext", _P),
        ("zName", ctypes.c_char_p),
        ("pAppData", _P),
        ("xOpen", _P),
        ("rest", _P * 15),
    )


def _library() -> ctypes.CDLL:
    library = ctypes.CDLL(getattr(_sqlite3, "__file__", None))
    library.sqlite3_vfs_find.restype = _P
    library.sqlite3_vfs_find.argtypes = (ctypes.c_char_p,)
    library.sqlite3_vfs_register.argtypes = (_P, _I)
    library.sqlite3_vfs_unregister.argtypes = (_P,)
    return library


class Op:
    """One thing done to a file: a write, a truncation, or a sync."""

    __slots__ = ("data", "kind", "name", "offset")

    def __init__(self, kind: str, name: str, offset: int = 0, data: bytes = b"") -> None:
        self.kind = kind
        self.name = name
        self.offset = offset
        self.data = data


Fault = Callable[[Op], int]


class Disk:
    """What was done to files, and a rule that may make any of it fail.

    Attributes:
        ops: everything done, once `recording` is on.
        fault: answers each operation with a result code of SQLite; 0 lets it pass.
    """

    def __init__(self) -> None:
        self.ops: list[Op] = []
        self.recording = False
        self.fault: Fault | None = None
        self._library = _library()
        self._original = self._library.sqlite3_vfs_find(None)
        original = _Vfs.from_address(self._original)
        self._vfs = _Vfs.from_buffer_copy(original)
        self._vfs.zName = b"failing"
        self._vfs.pNext = None
        self._open = _OPEN(original.xOpen)
        self._names: dict[int, str] = {}
        self._methods: dict[int, _Methods] = {}
        self._own: Any = (
            _OPEN(self._opened),
            _WRITE(self._write),
            _TRUNCATE(self._truncate),
            _SYNC(self._sync),
        )
        self._vfs.xOpen = ctypes.cast(self._own[0], _P)
        self._real: dict[int, tuple[Any, Any, Any]] = {}

    @contextmanager
    def default(self) -> Iterator[Disk]:
        """While this lasts, every file that SQLite opens is on this disk."""
        address = ctypes.addressof(self._vfs)
        self._library.sqlite3_vfs_register(address, 1)
        try:
            yield self
        finally:
            self._library.sqlite3_vfs_unregister(address)
            self._library.sqlite3_vfs_register(self._original, 1)

    def _opened(self, _: int, name: int | None, file: int, flags: int, out: int) -> int:
        answer: int = self._open(self._original, name, file, flags, out)
        pointer = _P.from_address(file)
        if answer == OK and pointer.value is not None:
            known = self._methods.get(pointer.value)
            if known is None:
                real = _Methods.from_address(pointer.value)
                known = _Methods.from_buffer_copy(real)
                for slot, own in zip(("xWrite", "xTruncate", "xSync"), self._own[1:], strict=True):
                    setattr(known, slot, ctypes.cast(own, _P))
                self._methods[pointer.value] = known
                self._real[ctypes.addressof(known)] = (
                    _WRITE(real.xWrite),
                    _TRUNCATE(real.xTruncate),
                    _SYNC(real.xSync),
                )
            self._names[file] = Path(ctypes.string_at(name).decode()).name if name else ""
            pointer.value = ctypes.addressof(known)
        return answer

    def _done(self, file: int, op: Op) -> int:
        if self.fault is not None:
            code = self.fault(op)
            if code != OK:
                return code
        if self.recording:
            self.ops.append(op)
        return OK

    def _functions(self, file: int) -> tuple[Any, Any, Any]:
        return self._real[_P.from_address(file).value or 0]

    def _write(self, file: int, data: int, size: int, offset: int) -> int:
        op = Op("write", self._names[file], offset, ctypes.string_at(data, size))
        return self._done(file, op) or self._functions(file)[0](file, data, size, offset)

    def _truncate(self, file: int, size: int) -> int:
        return self._done(file, Op("truncate", self._names[file], size)) or self._functions(file)[1](
            file, size
        )

    def _sync(self, file: int, flags: int) -> int:
        return self._done(file, Op("sync", self._names[file])) or self._functions(file)[2](file, flags)


class Platter:
    """What a disk would hold if the power failed at any moment between what was done to it."""

    def __init__(self, before: dict[str, bytes]) -> None:
        self._durable = {name: bytearray(data) for name, data in before.items()}
        self._pending: dict[str, list[Op]] = {}

    def apply(self, op: Op) -> None:
        """Go on past one operation: a sync makes what its file waits for durable."""
        if op.kind != "sync":
            self._pending.setdefault(op.name, []).append(op)
            return
        durable = self._durable.setdefault(op.name, bytearray())
        for waiting in self._pending.pop(op.name, []):
            _put(durable, waiting)

    def image(self, random: Random) -> dict[str, bytes]:
        """One of the things it could hold: of what no sync made durable, each is kept, dropped or torn."""
        files = {name: bytearray(data) for name, data in self._durable.items()}
        fate = random.choice(("drop", "keep", "each", "each", "torn"))
        for name, waiting in self._pending.items():
            content = files.setdefault(name, bytearray())
            for op in waiting:
                happens = random.choice(("drop", "keep", "torn")) if fate == "each" else fate
                if happens == "keep" or (happens == "torn" and op.kind == "truncate"):
                    _put(content, op)
                elif happens == "torn":
                    for start in range(0, len(op.data), SECTOR):
                        if random.random() < 0.5:
                            part = op.data[start : start + SECTOR]
                            _put(content, Op("write", name, op.offset + start, part))
        return {name: bytes(data) for name, data in files.items()}


def _put(content: bytearray, op: Op) -> None:
    if op.kind == "truncate":
        del content[op.offset :]
        return
    if len(content) < op.offset:
        content.extend(bytes(op.offset - len(content)))
    content[op.offset : op.offset + len(op.data)] = op.data
