"""Locks of the operating system: they die with the process that holds them, so none is ever stale."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

from alphaweave.core.errors import LockHeld, RunRefused

__all__ = ["RunLock", "account_lock_name", "account_lock_path", "lock_account"]

_ELSEWHERE: Final = "set XDG_STATE_HOME to a folder that every run of this account can write to"


class RunLock:
    """An exclusive lock on a file, held until `release` or the end of the process.

    The file itself means nothing and is never removed: removing it would let two processes lock two files
    of one name.
    """

    __slots__ = ("_descriptor", "path")

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._descriptor: int | None = descriptor

    @classmethod
    def acquire(cls, path: str | Path, *, what: str) -> RunLock:
        """Take the lock, now or not at all.

        Args:
            path: the lock's own file, which is made if it is not there.
            what: what it guards, for the message: ``the journal run.db``.

        Raises:
            LockHeld: another process has it.
            RunRefused: there cannot be a lock here.
        """
        try:
            import fcntl
        except ImportError as error:
            raise RunRefused(
                f"{what} cannot be locked: this system has no flock; use Linux or macOS"
            ) from error
        target = Path(path)
        try:
            descriptor = os.open(target, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise RunRefused(
                f"{what} cannot be locked: {target}: {error.strerror or error}; make its folder writable, or "
                "remove what stands there"
            ) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            pid, holder = _pid(descriptor), _holder(descriptor)
            os.close(descriptor)
            raise LockHeld(
                f"{what} is in use by {holder} (lock {target}); stop that run first", path=target, pid=pid
            ) from error
        except OSError as error:
            os.close(descriptor)
            raise RunRefused(
                f"{what} cannot be locked: {target}: {error.strerror or error}; put it on a local disk"
            ) from error
        # On a full disk the lock still holds; only its message will lack the pid.
        with suppress(OSError):
            # Of one width, so that nothing of a longer one is left.
            os.pwrite(descriptor, f"{os.getpid():<20}\n".encode(), 0)
        return cls(target, descriptor)

    @staticmethod
    def holder(path: str | Path) -> str | None:
        """Who has the lock just now, in words; None where nobody does. Nothing is made or written."""
        try:
            import fcntl

            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
        except (ImportError, OSError):
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return _holder(descriptor)
        except OSError:
            return None
        else:
            return None
        finally:
            os.close(descriptor)

    @property
    def held(self) -> bool:
        return self._descriptor is not None

    def release(self) -> None:
        """Let go; a second call does nothing."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def account_lock_name(broker: str, account: str) -> str:
    """The file name of the lock that one run per account holds: two accounts never share one."""
    return f"{_plain(broker)}@{_plain(account)}.lock"


def account_lock_path(broker: str, account: str) -> Path:
    """Where that lock is, in this user's folder for state.

    Raises:
        RunRefused: this user has none.
    """
    named = os.environ.get("XDG_STATE_HOME")
    try:
        home = Path(named) if named else Path.home() / ".local" / "state"
    except RuntimeError as error:
        raise RunRefused(
            f"account {account} at {broker} cannot be locked: this user has no home folder; {_ELSEWHERE}"
        ) from error
    return home / "alphaweave" / account_lock_name(broker, account)


def lock_account(broker: str, account: str) -> RunLock:
    """Take the lock that one run per account holds, now or not at all.

    Raises:
        LockHeld: another process has it.
        RunRefused: there cannot be a lock.
    """
    path = account_lock_path(broker, account)
    what = f"account {account} at {broker}"
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise RunRefused(
            f"{what} cannot be locked: {path.parent}: {error.strerror or error}; {_ELSEWHERE}"
        ) from error
    return RunLock.acquire(path, what=what)


def _plain(name: str) -> str:
    return "".join(c if c.isascii() and (c.isalnum() or c in "._-") else f"%{ord(c):x}%" for c in name)


def _holder(descriptor: int) -> str:
    pid = _pid(descriptor)
    return "another process" if pid is None else f"process {pid}"


def _pid(descriptor: int) -> int | None:
    text = os.pread(descriptor, 32, 0).strip()
    return int(text) if text.isdigit() else None
