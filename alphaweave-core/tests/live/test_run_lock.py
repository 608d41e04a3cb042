"""Locks that die with their process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from alphaweave.core.errors import LockHeld, RunRefused
from alphaweave.live.run_lock import RunLock, account_lock_name, account_lock_path, lock_account

HOLDER = """
import sys
from alphaweave.live.run_lock import RunLock
lock = RunLock.acquire(sys.argv[1], what="the journal run.db")
print("held", flush=True)
sys.stdin.read()
"""


def test_lock_of_another_process_is_refused_with_its_pid(tmp_path: Path) -> None:
    """And is free as soon as that process is dead, however it died."""
    path = tmp_path / "run.db.lock"
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert holder.stdout is not None
    assert holder.stdin is not None
    assert holder.stdout.readline() == b"held\n"
    with pytest.raises(LockHeld) as caught:
        RunLock.acquire(path, what="the journal run.db")
    assert (caught.value.pid, caught.value.path) == (holder.pid, str(path))
    assert str(caught.value) == (
        f"the journal run.db is in use by process {holder.pid} (lock {path}); stop that run first"
    )
    holder.kill()
    holder.wait()
    holder.stdin.close()
    holder.stdout.close()
    lock = RunLock.acquire(path, what="the journal run.db")
    assert path.read_text().split() == [str(os.getpid())]
    lock.release()


def test_lock_is_taken_once_in_one_process_too(tmp_path: Path) -> None:
    """Until it is released; its file stays, readable by its owner only."""
    path = tmp_path / "a.lock"
    lock = RunLock.acquire(path, what="a")
    with pytest.raises(LockHeld):
        RunLock.acquire(path, what="a")
    assert lock.held
    lock.release()
    lock.release()
    assert not lock.held
    assert path.stat().st_mode & 0o777 == 0o600
    RunLock.acquire(path, what="a").release()


def test_lock_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    """A link would lock another file; a folder is no file."""
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    for name in ("link", "gone/a.lock", "."):
        with pytest.raises(RunRefused, match="the journal cannot be locked"):
            RunLock.acquire(tmp_path / name, what="the journal")
    assert not (tmp_path / "elsewhere").exists()


def test_account_locks_have_names_of_their_own() -> None:
    """Whatever a broker calls an account."""
    accounts = [
        ("a", "b/c"),
        ("a", "b_c"),
        ("a", "b%2f%c"),
        ("a", "../x"),
        ("a@b", "c"),
        ("a", "b@c"),
        ("a", "é"),
    ]
    names = {account_lock_name(*account) for account in accounts}
    assert len(names) == len(accounts)
    assert all("/" not in name and name.isascii() for name in names)
    assert account_lock_name("ibkr", "DU12345") == "ibkr@DU12345.lock"


def test_account_is_locked_in_the_folder_for_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which is made, for this user alone."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    lock = lock_account("ibkr", "DU1")
    assert lock.path == account_lock_path("ibkr", "DU1") == tmp_path / "state/alphaweave/ibkr@DU1.lock"
    assert lock.path.parent.stat().st_mode & 0o777 == 0o700
    with pytest.raises(LockHeld, match="account DU1 at ibkr is in use"):
        lock_account("ibkr", "DU1")
    lock.release()


def test_user_without_a_home_is_told_where_the_lock_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user of a container may have none, and be in no list of users."""

    def unknown(uid: int) -> None:
        raise KeyError(uid)

    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    monkeypatch.setattr("pwd.getpwuid", unknown)
    with pytest.raises(RunRefused, match=r"has no home folder.*set XDG_STATE_HOME to"):
        account_lock_path("ibkr", "DU1")


def test_state_folder_that_cannot_be_made_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As where the home of a container's user is the root of its files."""
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    with pytest.raises(RunRefused, match=r"account DU1 at ibkr cannot be locked.*set XDG_STATE_HOME to"):
        lock_account("ibkr", "DU1")
