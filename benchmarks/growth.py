"""How a replay's cost grows: `make bench-growth`, or `make bench-growth ARGS="--only orders --scale 0.1"`.

Along each axis one thing grows and all else stands still. Each run is a process of its own, so that its peak
is its own too; sizes take turns, round after round, and the fastest round counts. The command ends with 1 if
an event costs more at the largest size than the axis allows: everything is to be linear at worst.
"""

from __future__ import annotations

import argparse
import gc
import json
import subprocess
import sys
import tempfile
from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import compress
from pathlib import Path
from random import Random
from time import process_time
from typing import Any

from alphaweave_runs import Cross, Rotation, replay
from page import into
from probe import anonymous_bytes, peak_bytes

from alphaweave.data.loaders import load_bars
from alphaweave.data.series import Series
from alphaweave.monitoring.memory import InMemoryMonitor
from alphaweave.monitoring.monitor import BarColumns, BarSnapshot
from alphaweave.strategy.events import OrderHandle
from alphaweave.strategy.strategy import Strategy

__all__ = ["AXES", "Axis", "Growth", "Measured", "main", "table", "walk"]

BEGIN, END = "<!-- growth -->", "<!-- end of growth -->"
FLAT = 1.2
"""How many times the memory of the smallest size counts as the same."""
MINUTE = 60 * 10**9
START = 1_577_836_800_000_000_000  # 2020-01-01 UTC, nanoseconds since the epoch


class Resting(Strategy):
    """Leaves so many limit orders far from the price; with ``change``, cancels the oldest of them and places
    another in each bar."""

    count = 0
    change = False
    since = 0.0  # when all of them rested

    def init(self) -> None:
        self.resting: list[OrderHandle] = []
        self.oldest = 0

    def next(self, i: int) -> None:
        if i == 0:
            self.resting = [self.place(number) for number in range(self.count)]
        if i == 1:
            self.since = process_time()
        elif self.change and self.resting:
            position = self.oldest % len(self.resting)
            self.resting[position].cancel()
            self.resting[position] = self.place(self.oldest)
            self.oldest += 1

    def place(self, number: int) -> OrderHandle:
        return self.order_limit(None, 1, 100.0 + number % 1000 / 100, tif="gtc")


class EachBar(InMemoryMonitor):
    """One that wants every bar for itself, as a monitor of a user's may."""

    on_bars = None  # type: ignore[assignment]

    def on_bar(self, snapshot: BarSnapshot) -> None:
        self.last = snapshot


class Watching(Cross):
    """Sees the averages cross, and does nothing about it."""

    def next(self, i: int) -> None:
        self.above = self.fast.value > self.slow.value


class Forgetful(InMemoryMonitor):
    """Keeps nothing but the most memory that was not a file's at the end of a stretch of bars."""

    held = 0

    def on_bars(self, columns: BarColumns) -> None:
        self.held = max(self.held, anonymous_bytes())


Job = tuple[Callable[[], tuple[float, int]], int]
"""What is timed, and how many events that is. It returns when it began, in `process_time`'s seconds, and the
most memory it held; 0 leaves that to be asked of the process."""


@dataclass(frozen=True, slots=True)
class Axis:
    """One thing that grows.

    Attributes:
        unit: what there are more and more of.
        prepare: makes the run of a size; the second argument shortens it.
        most: how many times as much as at the smallest size an event may cost at the largest.
        flat: nor may memory grow; what is mapped from a file does not count.
    """

    unit: str
    sizes: Sequence[int]
    prepare: Callable[[int, float], Job]
    most: float
    flat: bool = False


def bars(size: int, scale: float) -> Job:
    """One symbol, two averages that cross, about an order in thirty bars."""
    count = max(50, round(size * scale))
    series = walk(1, count)
    return lambda: whole(Cross(), series), count


def symbols(size: int, scale: float, *, gaps: bool = False) -> Job:
    """The ten strongest, chosen anew every 21 bars."""
    series = walk(size, max(90, round(1_000 * scale)), gaps=gaps)
    events = sum(len(each) for each in series.values())
    return lambda: whole(Rotation(every=21), series), events


def orders(size: int, scale: float, *, change: bool) -> Job:
    """Orders that rest while bars go by."""
    count = max(50, round((5_000 if change else 100_000) * scale))
    series = walk(1, count)

    def run() -> tuple[float, int]:
        strategy = Resting(count=size, change=change)
        whole(strategy, series)
        return strategy.since, 0

    return run, count


def monitors(size: int, scale: float, kind: type[InMemoryMonitor]) -> Job:
    """As `bars`, for so many monitors."""
    count = max(50, round(50_000 * scale))
    series = walk(1, count)
    return lambda: whole(Cross(), series, [kind() for _ in range(size)]), count


def whole(
    strategy: Strategy, series: dict[str, Series], monitors: Sequence[InMemoryMonitor] | None = None
) -> tuple[float, int]:
    """A whole run, for one monitor if nothing else is said."""
    start = process_time()
    replay(strategy, series, (InMemoryMonitor(),) if monitors is None else monitors)
    return start, 0


def streamed(size: int, scale: float) -> Job:
    """Bars that are read from a file, by a strategy that looks at them and places no order."""
    count = max(100, round(size * scale))

    def run() -> tuple[float, int]:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "S000.parquet")
            subprocess.run([sys.executable, __file__, "--write", str(path), str(count)], check=True)
            start, monitor = process_time(), Forgetful()
            replay(Watching(), load_bars(path, interval="1m", stream=True), (monitor,))
        return start, monitor.held

    return run, count


def write(path: Path, count: int) -> None:
    """One symbol's bars as a Parquet file, written a piece at a time."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = ("start", "open", "high", "low", "close", "volume")
    types = [pa.int64(), *[pa.float64()] * 5]
    (series,) = walk(1, 10_000).values()
    with pq.ParquetWriter(path, pa.schema(zip(("time", *names[1:]), types, strict=True))) as file:
        for first in range(0, count, len(series)):
            rows = min(len(series), count - first)
            columns = [list(getattr(series, name)[:rows]) for name in names]
            columns[0] = [START + MINUTE * row for row in range(first, first + rows)]
            file.write_table(pa.table(columns, schema=file.schema))


AXES: Mapping[str, Axis] = {
    "bars": Axis("bars", (10_000, 100_000, 1_000_000), bars, 1.3),
    "symbols": Axis("symbols", (1, 10, 100, 300), symbols, 1.3),
    "gaps": Axis(
        "symbols, each without a twentieth of its bars",
        (1, 10, 100, 300),
        lambda size, scale: symbols(size, scale, gaps=True),
        1.3,
    ),
    "streamed": Axis(
        "bars streamed from Parquet, memory without mapped files",
        (100_000, 1_000_000),
        streamed,
        1.3,
        flat=True,
    ),
    "orders": Axis(
        "orders that rest", (0, 30, 300, 3_000), lambda size, scale: orders(size, scale, change=False), 2.0
    ),
    "changes": Axis(
        "orders that rest, one of them changed in each bar",
        (1, 30, 300, 3_000),
        lambda size, scale: orders(size, scale, change=True),
        2.0,
    ),
    "monitors": Axis(
        "monitors that take columns",
        (0, 1, 3, 5),
        lambda size, scale: monitors(size, scale, InMemoryMonitor),
        1.5,
    ),
    "each bar": Axis(
        "monitors that take each bar", (1, 3, 5), lambda size, scale: monitors(size, scale, EachBar), 5.0
    ),
}


@dataclass(frozen=True, slots=True)
class Measured:
    """One run: how many events, seconds, peak memory of its process in bytes."""

    events: int
    seconds: float
    peak: int


@dataclass(slots=True)
class Growth:
    """The runs along an axis: size -> rounds."""

    axis: Axis
    runs: dict[int, list[Measured]]

    def cost(self, size: int) -> float:
        """Microseconds of the processor an event in the fastest round."""
        return min(each.seconds / each.events for each in self.runs[size]) * 1e6

    def peak(self, size: int) -> int:
        """Bytes in the round that took least."""
        return min(each.peak for each in self.runs[size])

    def problem(self) -> str | None:
        """What grew too much; None if nothing did."""
        first, last = min(self.runs), max(self.runs)
        more = self.peak(last) / self.peak(first)
        if self.axis.flat and more > FLAT:
            return f"with {last:,} {self.axis.unit} is {more:.1f} times what it is with {first:,}"
        times = self.cost(last) / self.cost(first)
        if times <= self.axis.most:
            return None
        return (
            f"with {last:,} {self.axis.unit} an event costs {times:.1f} times what it costs with {first:,}, "
            f"{self.axis.most} is allowed"
        )


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what was asked for and print it as Markdown.

    Returns:
        0, or 1 if something grew too much.
    """
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--only", nargs="+", choices=tuple(AXES), default=list(AXES), metavar="AXIS")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--scale", type=float, default=1.0, help="part of the usual number of bars")
    parser.add_argument("--into", type=Path, help="a page whose table this replaces")
    parser.add_argument("--one", nargs=2, metavar=("AXIS", "SIZE"), help=argparse.SUPPRESS)
    parser.add_argument("--write", nargs=2, metavar=("FILE", "BARS"), help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.write is not None:
        write(Path(options.write[0]), int(options.write[1]))
        return 0
    if options.one is not None:
        print(json.dumps(one(options.one[0], int(options.one[1]), options.scale)))
        return 0
    found = [measure(name, options.rounds, options.scale) for name in options.only]
    said = f"Python {'.'.join(map(str, sys.version_info[:3]))}, the fastest of {options.rounds} rounds:"
    printed = f"{said}\n\n{table(found)}"
    print(printed)
    if options.into is not None:
        into(options.into, BEGIN, END, printed)
    problems = [problem for each in found if (problem := each.problem())]
    for line in problems:
        print(f"GROWS: {line}", file=sys.stderr)
    return 1 if problems else 0


def measure(name: str, rounds: int, scale: float) -> Growth:
    """Every size in turn, each in a fresh process."""
    growth = Growth(AXES[name], {size: [] for size in AXES[name].sizes})
    for _ in range(rounds):
        for size, runs in growth.runs.items():
            command = [sys.executable, __file__, "--scale", str(scale), "--one", name, str(size)]
            answer = subprocess.run(command, capture_output=True, text=True, check=False)
            if answer.returncode:
                raise RuntimeError(f"{' '.join(command)} failed:\n{answer.stderr}")
            runs.append(Measured(**json.loads(answer.stdout)))
    return growth


def one(name: str, size: int, scale: float) -> dict[str, Any]:
    """Time one run in this process."""
    AXES[name].prepare(AXES[name].sizes[0], 0.0)[0]()  # what is imported when it is first needed
    run, events = AXES[name].prepare(size, scale)
    gc.collect()
    start, held = run()
    return {"events": events, "seconds": process_time() - start, "peak": held or peak_bytes()}


def table(growths: Sequence[Growth]) -> str:
    """The figures as Markdown."""
    lines = [
        "| what grows | from size to size | CPU microseconds an event | peak MB |",
        "|---|--:|--:|--:|",
    ]
    for growth in growths:
        cells = (
            growth.axis.unit,
            ", ".join(f"{size:,}" for size in growth.runs),
            ", ".join(f"{growth.cost(size):.2f}" for size in growth.runs),
            ", ".join(f"{growth.peak(size) / 1e6:,.0f}" for size in growth.runs),
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def walk(count: int, rows: int, *, gaps: bool = False) -> dict[str, Series]:
    """A random walk in cents for each symbol; with ``gaps``, each lacks a twentieth of its bars."""
    random, found = Random(5), {}
    ends = array("q", range(START + MINUTE, START + MINUTE * (rows + 1), MINUTE))
    for number in range(count):
        cents, closes = 100_000, array("d")
        for step in random.choices((-12, -7, -3, 0, 3, 7, 12), k=rows):
            cents += step
            closes.append(cents / 100)
        kept = [random.random() > 0.05 for _ in range(rows)] if gaps else [True] * rows
        own = array("q", compress(ends, kept)) if gaps else ends
        close = array("d", compress(closes, kept)) if gaps else closes
        opened = close[:1] + close[:-1]
        found[f"S{number:03d}"] = Series.from_columns(
            f"S{number:03d}",
            "1m",
            start=array("q", (end - MINUTE for end in own)) if gaps else ends[:1] + ends[:-1],
            end=own,
            open=opened,
            high=array("d", map(max, opened, close)),
            low=array("d", map(min, opened, close)),
            close=close,
            volume=array("d", [1e9]) * len(close),
        )
    return found


if __name__ == "__main__":
    sys.exit(main())
