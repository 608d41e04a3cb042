"""The journal on a disk that fails, forgets or tears, and under a process that is killed.

Faults are injected below the library that `sqlite3` uses, or by the kernel itself; nothing of the journal is
replaced.
"""

from __future__ import annotations

import importlib.util
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from random import Random
from types import ModuleType
from typing import Any

import pytest
from attrs import evolve

from alphaweave.core.errors import InvariantViolation, JournalCorrupt, JournalFailed, JournalLocked
from alphaweave.live import journal as journal_module
from alphaweave.live.journal import Decision, Journal
from alphaweave.live.journal_reader import JournalReader

IMAGES = int(os.environ.get("ALPHAWEAVE_POWER_LOSS_IMAGES", "200"))


def _module(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules.setdefault(name, module)
    spec.loader.exec_module(module)
    return module


disks = _module("disk")
model = _module("journal_model")


def opened(path: Path) -> Journal:
    return Journal.open(path, run=model.RUN, clock_ns=iter(range(10**18, 10**19)).__next__)


def states(seed: int, count: int) -> list[dict[str, Any]]:
    """What a journal must say after each number of the decisions of `seed`."""
    one = model.Model(Random(seed))
    found = [one.expected()]
    for _ in range(count):
        one.decide()
        found.append(one.expected())
    return found


def facts(path: Path) -> dict[str, Any]:
    """What it says after a start."""
    journal = opened(path)
    found: dict[str, Any] = model.facts(journal.recover(), JournalReader(path))
    journal.close()
    return found


@pytest.fixture
def disk() -> Iterator[Any]:
    with disks.Disk().default() as one:
        yield one


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Path]:
    """A folder whose syncs cost nothing, where there is one: this file loses power by itself."""
    shared = Path("/dev/shm")
    if not os.access(shared, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=shared) as folder:
        yield Path(folder)


class Failing:
    """Fails the one operation of that number and kind, and all that follow if it is to stay so."""

    def __init__(
        self, code: int, at: int, kinds: tuple[str, ...], name: str = "", *, stays: bool = True
    ) -> None:
        self.code = code
        self.left = at
        self.kinds = kinds
        self.name = name
        self.stays = stays
        self.failed = False
        self.after = 0

    def __call__(self, op: Any) -> int:
        self.after += self.failed
        if op.kind in self.kinds and op.name.endswith(self.name):
            self.left -= 1
            if self.left == 0 or (self.left < 0 and self.stays):
                self.failed = True
                return self.code
        return 0


FAULTS = {
    "full disk": (disks.FULL, ("write",)),
    "EIO on write": (disks.IOERR_WRITE, ("write",)),
    "EIO on fsync": (disks.IOERR_FSYNC, ("sync",)),
    "read-only": (disks.READONLY, ("write", "truncate")),
}


@pytest.mark.parametrize("stays", [True, False], ids=["for good", "once"])
@pytest.mark.parametrize("fault", FAULTS)
def test_fault_while_writing_ends_it(disk: Any, memory: Path, fault: str, stays: bool) -> None:
    """At whichever operation of a commit: it says so, asks the disk for nothing more, and loses nothing."""
    code, kinds = FAULTS[fault]
    reached = 0
    for at in range(1, 30):
        path = memory / f"{at}" / "j.db"
        expected = states(at, 5)
        decisions = model.Model(Random(at))
        journal = opened(path)
        for _ in range(3):
            journal.commit(decisions.decide())
        disk.fault = failing = Failing(code, at, kinds, stays=stays)
        done = 3
        error = None
        while done < 5 and error is None:
            try:
                journal.commit(decisions.decide())
                done += 1
            except JournalFailed as failed:
                error = failed
        if error is not None:
            reached += 1
            assert (error.path, journal.broken) == (str(path), True)
            assert error.cause is not None
            assert "cannot be written" in str(error)
            with pytest.raises(JournalFailed, match="takes nothing more"):
                journal.commit(Decision(input_kind="x", input_key="x", at_ns=1))
            journal.close()
            assert failing.after == 0
        disk.fault = None
        journal.close()
        assert facts(path) in expected[done:]
        if not failing.failed:
            break
    assert reached >= 2


@pytest.mark.parametrize(("at", "name"), [(1, "-wal"), (1, "j.db"), (2, "")])
def test_failed_checkpoint_is_never_tried_again(
    disk: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int, name: str
) -> None:
    """The kernel may have dropped what did not reach the disk: what the log has must stay in the log."""
    monkeypatch.setattr(journal_module, "_CHECKPOINT_EVERY", 4)
    path = tmp_path / "j.db"
    decisions = model.Model(Random(3))
    journal = opened(path)
    for _ in range(3):
        journal.commit(decisions.decide())
    disk.fault = failing = Failing(disks.IOERR_FSYNC, at, ("sync",), name, stays=False)
    with pytest.raises(JournalFailed):
        journal.commit(decisions.decide())
    log = path.with_name("j.db-wal").read_bytes()
    journal.close()
    assert failing.failed
    assert failing.after == 0
    assert path.with_name("j.db-wal").read_bytes() == log
    disk.fault = None
    assert facts(path) in states(3, 4)[3:]


def test_start_writes_again_what_the_log_has(disk: Any, tmp_path: Path) -> None:
    """After a failed fsync its pages may be in memory only; they are synced anew before the first commit."""
    path = tmp_path / "j.db"
    journal = opened(path)
    journal.commit(model.Model(Random(1)).decide())
    # As a process that died leaves it.
    journal._file.abandon()
    journal._lock.release()
    disk.recording = True
    again = opened(path)
    done = [(op.kind, op.name) for op in disk.ops]
    assert done.index(("sync", "j.db")) > done.index(("write", "j.db"))
    assert ("truncate", "j.db-wal") in done
    disk.recording = False
    again.close()


def test_fault_while_closing_is_told(disk: Any, tmp_path: Path) -> None:
    """What is durable in the log stays there."""
    path = tmp_path / "j.db"
    journal = opened(path)
    journal.commit(model.Model(Random(1)).decide())
    disk.fault = failing = Failing(disks.IOERR_FSYNC, 1, ("sync",), "j.db", stays=False)
    with pytest.raises(JournalFailed):
        journal.close()
    assert failing.after == 0
    journal.close()
    disk.fault = None
    assert facts(path) == states(1, 1)[1]


@pytest.mark.parametrize("fault", FAULTS)
def test_fault_at_the_start_refuses_it(disk: Any, memory: Path, fault: str) -> None:
    """At whichever operation; the journal is free and whole afterwards."""
    code, kinds = FAULTS[fault]
    path = memory / "j.db"
    journal = opened(path)
    journal.commit(model.Model(Random(1)).decide())
    journal.close()
    at = 1
    while True:
        disk.fault = failing = Failing(code, at, kinds)
        try:
            journal = opened(path)
        except JournalFailed:
            assert failing.failed
        else:
            assert not failing.failed
            break
        at += 1
    disk.fault = None
    journal.close()
    assert at > 1
    assert facts(path) == states(1, 1)[1]


def _unlink(path: Path) -> None:
    path.unlink()


def _replace(path: Path) -> None:
    shutil.copy(path, path.with_name("copy"))
    path.with_name("copy").replace(path)


@pytest.mark.parametrize("harm", [_unlink, _replace])
@pytest.mark.parametrize("name", ["j.db", "j.db-wal"])
@pytest.mark.parametrize("act", ["commit", "snapshot"])
def test_deleted_or_replaced_file_ends_it(
    tmp_path: Path, harm: Callable[[Path], None], name: str, act: str
) -> None:
    """SQLite would write on into a file without a name."""
    journal = opened(tmp_path / "j.db")
    decisions = model.Model(Random(1))
    journal.commit(decisions.decide())
    harm(tmp_path / name)
    with pytest.raises(JournalFailed, match=rf"cannot be written: .*{name}"):
        journal.commit(decisions.decide()) if act == "commit" else journal.snapshot({})
    assert journal.broken
    journal.close()


def test_failure_quotes_nothing_of_the_decision(disk: Any, tmp_path: Path) -> None:
    """However long its traceback is: a strategy's values are nobody's business."""
    value = chr(113) * 40
    journal = opened(tmp_path / "j.db")
    disk.fault = Failing(disks.FULL, 1, ("write",))
    with pytest.raises(JournalFailed) as caught:
        journal.commit(Decision(input_kind="bar", input_key="1", at_ns=1, state={value: value}))
    assert value not in "".join(traceback.format_exception(caught.value))
    again = Decision(input_kind="bar", input_key="1", at_ns=1, store={"a": "b"})
    disk.fault = None
    other = opened(tmp_path / "other.db")
    other.commit(again)
    with pytest.raises(InvariantViolation) as conflict:
        other.commit(evolve(again, store={"a": value}))
    assert value not in "".join(traceback.format_exception(conflict.value))
    journal.close()
    other.close()


def forked(work: Callable[[int], None]) -> tuple[int, int]:
    """Run `work` in a child with a pipe to tell through; returns the child and where to read."""
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        # Threads that other tests left behind hold nothing that the child needs.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        try:
            os.close(reading)
            work(writing)
        finally:
            os._exit(0)
    os.close(writing)
    return child, reading


def told(reading: int) -> bytes:
    with os.fdopen(reading, "rb") as stream:
        return stream.read()


def test_limit_of_the_kernel_ends_it(tmp_path: Path) -> None:
    """A file that may not grow: the refusal is the kernel's own."""
    path = tmp_path / "j.db"

    def work(writing: int) -> None:
        journal = opened(path)
        decisions = model.Model(Random(2))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, resource.RLIM_INFINITY))
        try:
            for _ in range(200):
                journal.commit(decisions.decide())
                os.write(writing, b".")
        except JournalFailed as error:
            os.write(writing, type(error.cause.orig).__name__.encode())  # type: ignore[union-attr]

    child, reading = forked(work)
    said = told(reading)
    os.waitpid(child, 0)
    acknowledged = said.count(b".")
    assert said.endswith(b"OperationalError")
    assert acknowledged > 2
    assert facts(path) in states(2, acknowledged + 1)[acknowledged:]


def test_file_that_may_not_be_written_is_refused(tmp_path: Path) -> None:
    """By a user who has no right to."""
    folder = tmp_path / "runs"
    opened(folder / "j.db").close()
    for file, mode in ((folder / "j.db", 0o400), (folder / "j.db.lock", 0o600), (folder, 0o700)):
        file.chmod(mode)
        if os.geteuid() == 0:
            os.chown(file, 65534, 65534)

    def work(writing: int) -> None:
        if os.geteuid() == 0:
            os.setuid(65534)
        # By its name alone: the folders above are another user's.
        try:
            opened(Path("j.db"))
        except JournalFailed as error:
            os.write(writing, str(error).encode())

    before = Path.cwd()
    os.chdir(folder)
    try:
        child, reading = forked(work)
        said = told(reading).decode()
        os.waitpid(child, 0)
    finally:
        os.chdir(before)
    assert "attempt to write a readonly database" in said or "Permission denied" in said


def test_forked_child_does_not_write(tmp_path: Path) -> None:
    """It has the parent's connection, but not its locks."""
    journal = opened(tmp_path / "j.db")
    decisions = model.Model(Random(1))
    journal.commit(decisions.decide())

    def work(writing: int) -> None:
        try:
            journal.commit(decisions.decide())
        except JournalFailed as error:
            journal.close()
            os.write(writing, str(error).encode())

    child, reading = forked(work)
    assert told(reading).endswith(b"the journal is closed, or another process opened it")
    os.waitpid(child, 0)
    with pytest.raises(JournalLocked):
        opened(tmp_path / "j.db")
    assert journal.commit(decisions.decide()) == 2
    journal.close()
    assert facts(tmp_path / "j.db") == states(1, 2)[2]


@pytest.mark.parametrize("seed", range(20))
def test_killed_writer_loses_nothing_it_acknowledged(memory: Path, seed: int) -> None:
    """At any operation on its files: there is what was acknowledged, or one decision more."""
    path = memory / "j.db"
    random = Random(seed)
    opened(path).close()

    def work(writing: int) -> None:
        left = random.randrange(1, 90)

        def fault(_: Any) -> int:
            nonlocal left
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return 0

        journal_module._CHECKPOINT_EVERY = 7
        with disks.Disk().default() as disk:
            journal = opened(path)
            disk.fault = fault
            decisions = model.Model(Random(seed))
            for number in range(1, 60):
                journal.commit(decisions.decide())
                os.write(writing, b".")
                if number % 5 == 0:
                    journal.snapshot({"index": number})

    child, reading = forked(work)
    acknowledged = len(told(reading))
    _, status = os.waitpid(child, 0)
    assert os.WTERMSIG(status) == signal.SIGKILL
    assert facts(path) in states(seed, acknowledged + 1)[acknowledged:]


def recorded(folder: Path, seed: int, count: int) -> tuple[dict[str, bytes], list[Any], list[int]]:
    """A journal's day: its files before, all that was done to them, and when each commit returned."""
    path = folder / "j.db"
    with disks.Disk().default() as disk:
        journal = opened(path)
        before = {name: (folder / name).read_bytes() for name in ("j.db", "j.db-wal")}
        disk.recording = True
        decisions = model.Model(Random(seed))
        acknowledged = []
        for number in range(1, count + 1):
            journal.commit(decisions.decide())
            acknowledged.append(len(disk.ops))
            if number % 9 == 0:
                journal.snapshot({"index": number})
        disk.recording = False
        journal.close()
    return before, disk.ops, acknowledged


def images(
    folder: Path, day: tuple[dict[str, bytes], list[Any], list[int]], count: int, seed: int
) -> Iterator[tuple[Path, int]]:
    """Files as a power loss may leave them, each with how many commits had returned by then."""
    before, ops, acknowledged = day
    random = Random(seed)
    platter = disks.Platter(before)
    moments = sorted(random.randrange(len(ops) + 1) for _ in range(count))
    done = 0
    for number, moment in enumerate(moments):
        while done < moment:
            platter.apply(ops[done])
            done += 1
        place = folder / str(number)
        place.mkdir()
        for name, content in platter.image(random).items():
            (place / name).write_bytes(content)
        yield place / "j.db", sum(ops_then <= moment for ops_then in acknowledged)
        shutil.rmtree(place)


def test_power_loss_loses_nothing_acknowledged(memory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever of the unsynced writes is kept, dropped or torn: what is there is a beginning of the day."""
    monkeypatch.setattr(journal_module, "_CHECKPOINT_EVERY", 6)
    count = 30
    expected = states(11, count)
    day = recorded(memory, 11, count)
    seen = 0
    for path, acknowledged in images(memory, day, IMAGES, 12):
        assert facts(path) in expected[acknowledged:]
        seen += acknowledged > 0
    assert seen > IMAGES // 2


def test_power_loss_is_noticed_where_nothing_is_synced(memory: Path) -> None:
    """The images can tell: of a disk that acknowledges syncs and does none, commits are gone."""
    count = 12
    expected = states(11, count)
    before, ops, acknowledged = recorded(memory, 11, count)
    kept = [(number, op) for number, op in enumerate(ops) if op.kind != "sync"]
    moved = [sum(number < then for number, _ in kept) for then in acknowledged]
    lost = 0
    for path, number in images(memory, (before, [op for _, op in kept], moved), 20, 13):
        with suppress(JournalCorrupt):
            lost += facts(path) not in expected[number:]
    assert lost > 3


def test_damage_is_never_believed(memory: Path) -> None:
    """A byte anywhere in the file: it is refused, or it says what it said."""
    path = memory / "whole" / "j.db"
    journal = opened(path)
    decisions = model.Model(Random(4))
    for number in range(1, 41):
        journal.commit(decisions.decide())
        if number == 20:
            journal.snapshot({"index": 20})
    journal.close()
    whole = path.read_bytes()
    said = JournalReader(path).export()
    believed = states(4, 40)[40]
    random = Random(6)
    refused = 0
    target = memory / "j.db"
    for position in [*range(0, 100, 7), *(random.randrange(len(whole)) for _ in range(120))]:
        damaged = bytearray(whole)
        damaged[position] ^= random.randrange(1, 256)
        target.write_bytes(damaged)
        try:
            assert facts(target) == believed
            assert {**JournalReader(target).export(), "config_digest": "c1"} == said
        except (JournalCorrupt, JournalFailed):
            refused += 1
        for file in memory.glob("j.db*"):
            file.unlink()
    assert refused > 30


SHIM = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
static int hit(int fd) {
    char link[64], name[4096];
    const char *from = getenv("FAIL_FROM");
    static long seen = 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, name, sizeof name - 1);
    if (length < 0) return 0;
    name[length] = 0;
    return strstr(name, "j.db-wal") && ++seen >= atol(from);
}
int fdatasync(int fd) {
    if (hit(fd)) { errno = EIO; return -1; }
    return ((int (*)(int)) dlsym(RTLD_NEXT, "fdatasync"))(fd);
}
int fsync(int fd) {
    if (hit(fd)) { errno = EIO; return -1; }
    return ((int (*)(int)) dlsym(RTLD_NEXT, "fsync"))(fd);
}
"""
WRITER = """
import sys
from alphaweave.core.errors import JournalFailed
from alphaweave.live.journal import Decision, Journal, RunIdentity
run = RunIdentity(run_id="sma", broker="paper", account="DU1", strategy="m:Sma", mode="live",
    config_digest="c1")
journal = Journal.open(sys.argv[1], run=run, clock_ns=lambda: 1)
try:
    for number in range(100):
        journal.commit(Decision(input_kind="bar", input_key=str(number), at_ns=number))
        print("acknowledged")
except JournalFailed as error:
    print(error.cause.orig, journal.broken)
journal.close()
"""


@pytest.mark.needs("cc", "gcc")
def test_eio_of_the_kernel_on_fsync_ends_it(tmp_path: Path) -> None:
    """The system call itself fails, as it does on a dying disk."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    assert compiler is not None
    (tmp_path / "shim.c").write_text(SHIM)
    subprocess.run(
        [compiler, "-shared", "-fPIC", "-o", "shim.so", "shim.c", "-ldl"], cwd=tmp_path, check=True
    )
    answer = subprocess.run(
        [sys.executable, "-c", WRITER, str(tmp_path / "j.db")],
        env={**os.environ, "LD_PRELOAD": str(tmp_path / "shim.so"), "FAIL_FROM": "6"},
        capture_output=True,
        text=True,
        check=False,
    )
    *acknowledged, said = answer.stdout.splitlines()
    assert said == "disk I/O error True", answer.stderr
    assert 0 < len(acknowledged) < 10
    journal = opened(tmp_path / "j.db")
    assert journal.seq >= len(acknowledged)
    journal.close()
