"""The live engine's own figures: `make bench-live`, or `make bench-live ARGS="--only restart --scale 0.1"`.

Paper runs under the live driver at the broker mock, with a journal in a file. How long a commit takes
hangs on the disk: --folder says on which one. Nothing is compared with anything, so run it on a machine that
does nothing else.
"""

from __future__ import annotations

import argparse
import gc
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path

import live_runs
from page import Table, into

from alphaweave.data.series import Series
from alphaweave.live.journal_reader import JournalReader

HERE = Path(__file__).parent
WEEK = 7 * 24 * 60
"""Slices of a minute, around the clock."""
Rows = Iterator[tuple[str, str, str]]
"""What is measured, the figure, and what it was measured of."""
BEGIN, END = "<!-- live -->", "<!-- end of live -->"


def intent_to_send(folder: Path, scale: float) -> Rows:
    """From the strategy's order, through risk, journal and gate, to the adapter's call."""
    sends = live_runs.Sends()
    live_runs.run(folder, live_runs.minutes(["AAA"], max(20, round(2000 * scale))), every=1, sends=sends)
    # The first ones pay for what is imported when it is first needed.
    waited = sorted(sends.waited[10:])
    yield ("intent to send, p50", f"{waited[len(waited) // 2] / 1e6:.2f} ms", f"{len(waited):,} orders")
    yield ("intent to send, p99", f"{waited[len(waited) * 99 // 100] / 1e6:.2f} ms", "")


def throughput(folder: Path, scale: float) -> Rows:
    """As many slices as go through, with a journal and three monitors."""
    symbols = ("AAA", "BBB", "CCC", "DDD", "EEE")
    for every in (10, 1):
        own = folder / f"every-{every}"
        own.mkdir()
        series = live_runs.minutes(symbols, max(20, round(1000 * scale * (1 if every > 1 else 0.2))))
        _, seconds = live_runs.run(own, series, every=every, monitors=("jsonl", "prometheus", "memory"))
        slices, inputs = len(series["AAA"]), JournalReader(own / "run.db").seq
        events = slices * len(symbols) + inputs - slices
        yield (
            f"events through the driver, orders every {every}",
            f"{events / seconds:,.0f} /s",
            f"{events:,} bars, answers, updates and fills; {inputs / seconds:,.0f} decisions /s",
        )


def restart(folder: Path, scale: float) -> Rows:
    """From the start of a process until an order could leave, with a journal of 10,000 orders."""
    series = live_runs.minutes(["AAA", "BBB", "CCC", "DDD"], max(5, round(2500 * scale)))
    for name, snapshots in (("as written", None), ("no snapshot but the first", 10**9)):
        with tempfile.TemporaryDirectory(dir=in_memory()) as made:
            runner, _ = live_runs.run(Path(made), series, every=1, snapshots=snapshots)
            assert runner.summary is not None
            decisions = JournalReader(Path(made) / "run.db").seq
            seconds = [gate_opens(Path(made), folder / f"{name} {again}", series) for again in range(3)]
        yield (
            f"restart, {name}",
            f"{sorted(seconds)[1]:.2f} s",
            f"{runner.summary.orders:,} orders, {decisions:,} decisions",
        )


def gate_opens(made: Path, copy: Path, series: Mapping[str, Series]) -> float:
    """Seconds from starting a process to its open gate, over a copy of the journal that was made."""
    copy.mkdir()
    for path in made.glob("run.db*"):
        shutil.copy(path, copy)
    end, symbols = live_runs.journal_end(series), tuple(series)
    start = time.monotonic_ns()
    command = [sys.executable, str(HERE / "live.py"), "--gate", str(copy), end.isoformat(), *symbols]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    if answer.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{answer.stderr}")
    return (int(answer.stdout) - start) / 1e9


def memory(folder: Path, scale: float) -> Rows:
    """What the process holds after each of four weeks of minutes, with an order in every half hour."""
    week = max(20, round(WEEK * scale))
    held: list[int] = []

    def at(slices: int) -> None:
        if slices % week == 0:
            gc.collect()
            held.append(resident())

    # Nothing here hangs on the disk but how long it takes.
    with tempfile.TemporaryDirectory(dir=in_memory()) as made:
        _, seconds = live_runs.run(Path(made), live_runs.minutes(["AAA"], 4 * week), every=30, at=at)
        size = (Path(made) / "run.db").stat().st_size
    weeks = ", ".join(f"{each / 1e6:.1f}" for each in held)
    yield (
        "memory after weeks 1 to 4",
        f"{(held[3] - held[0]) / 1e6:+.1f} MB",
        f"{weeks} MB; {seconds:.0f} s",
    )
    yield ("journal of that month", f"{size / 1e6:.0f} MB", "")


def in_memory() -> Path | None:
    """Where files are made that have to be there, and not on a disk; None: no such place is known."""
    place = Path("/dev/shm")
    return place if place.is_dir() else None


def resident() -> int:
    """Bytes that this process holds now."""
    status = Path("/proc/self/status")
    line = next(line for line in status.read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) * 1024


BENCHMARKS: Mapping[str, Callable[[Path, float], Rows]] = {
    "latency": intent_to_send,
    "throughput": throughput,
    "restart": restart,
    "memory": memory,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what was asked for and print it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--only", nargs="+", choices=tuple(BENCHMARKS), default=list(BENCHMARKS))
    parser.add_argument("--scale", type=float, default=1.0, help="part of the usual size")
    parser.add_argument("--folder", type=Path, help="where the journals lie while it runs")
    parser.add_argument("--into", type=Path, help="a page whose table this replaces")
    parser.add_argument("--gate", nargs="+", metavar="WORD", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.gate is not None:
        folder, end, *symbols = options.gate
        print(live_runs.wait_for_gate(Path(folder), symbols, datetime.fromisoformat(end)))
        return 0
    said = f"Python {'.'.join(map(str, sys.version_info[:3]))}, {os.cpu_count()} cores:"
    print(f"{said}\n")
    table = Table("figure", "", "", figures=False)
    for name in options.only:
        with tempfile.TemporaryDirectory(prefix="alphaweave-bench-", dir=options.folder) as folder:
            for cells in BENCHMARKS[name](Path(folder), options.scale):
                table.row(*cells)
    if options.into is not None:
        into(options.into, BEGIN, END, f"{said}\n\n{table}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
