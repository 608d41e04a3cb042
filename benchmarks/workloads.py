"""The data of the benchmarks: seeded, made on demand, kept nowhere.

W1   1 symbol, 500,000 minute bars; SMA 10/30 cross, in at 0.95 of equity, out at 0
W2   100 symbols, 5,000 days; every 21 days the top 10 by 60-bar momentum, equal weight
W2d  the first 2,000 days of W2, rebalanced every day
W3   1,000,000 trades; a resting limit order every 1,000, 5 cents behind the price, buy and sell in turn
W4   the first 1,000 bars of W1

Common to all: cash 10,000,000, a commission of 1e-6 of notional, market orders filled at the next bar's open,
limit orders filled at their price as soon as it trades.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

__all__ = [
    "CASH",
    "FAST",
    "FEE",
    "HELD",
    "INVESTED",
    "LIMIT_DISTANCE",
    "LIMIT_EVERY",
    "LOOKBACK",
    "NAMES",
    "SLOW",
    "TIE",
    "Workload",
    "cut",
    "load",
    "make",
    "save",
]

CASH = 10_000_000.0
FEE = 1e-6
INVESTED = 0.95  # not 1: a gap at the next open must never get an order refused
FAST, SLOW = 10, 30
TIE = 1e-6  # prices in cents make equal averages common; one within this of the other is not above it,
# so that two ways of summing the same closes, which round differently, still trade alike
LOOKBACK, HELD = 60, 10
LIMIT_EVERY, LIMIT_DISTANCE = 1_000, 0.05
NAMES = ("W1", "W2", "W2d", "W3", "W4")

START = 1_577_836_800_000_000_000  # 2020-01-01 UTC, nanoseconds since the epoch
SECOND, MINUTE, DAY = 10**9, 60 * 10**9, 86_400 * 10**9
DEEP = 1e9  # a volume that caps no fill


@dataclass(frozen=True, slots=True)
class Workload:
    """Columns of one workload.

    Attributes:
        name: one of ``NAMES``.
        interval: ``1m`` or ``1d``; for trades ``tick``.
        every: bars between two rebalances (W2), else 0.
        end: the time of each row, int nanoseconds since the epoch, UTC; for a bar, its end.
        columns: per symbol open, high, low, close, volume of each bar; for trades price and size.
    """

    name: str
    interval: str
    every: int
    end: array[int]
    columns: dict[str, tuple[array[float], ...]] = field(repr=False)

    @property
    def events(self) -> int:
        """Rows over all symbols."""
        return len(self.end) * len(self.columns)


def make(name: str) -> Workload:
    """Make the data of one workload; the same on every call."""
    makers: dict[str, Callable[[], Workload]] = {
        "W1": lambda: _minutes("W1", 500_000),
        "W2": lambda: _days("W2", 5_000, every=21),
        "W2d": lambda: _days("W2d", 2_000, every=1),
        "W3": _trades,
        "W4": lambda: _minutes("W4", 1_000),
    }
    return makers[name]()


def cut(workload: Workload, rows: int | None = None, symbols: int | None = None) -> Workload:
    """The first rows of the first symbols; None is all of them."""
    columns = {
        symbol: tuple(column[:rows] for column in workload.columns[symbol])
        for symbol in list(workload.columns)[:symbols]
    }
    return replace(workload, end=workload.end[:rows], columns=columns)


def save(workload: Workload, folder: Path) -> None:
    """Write raw columns, so that a measured process can read them without numpy."""
    about = {"name": workload.name, "interval": workload.interval, "every": workload.every}
    shape = {"rows": len(workload.end), "symbols": list(workload.columns)}
    (folder / "about.json").write_text(json.dumps({**about, **shape}))
    with (folder / "columns").open("wb") as file:
        workload.end.tofile(file)
        for columns in workload.columns.values():
            for column in columns:
                column.tofile(file)


def load(folder: Path) -> Workload:
    """Read what ``save`` wrote."""
    about = json.loads((folder / "about.json").read_text())
    rows = about["rows"]
    width = 2 if about["interval"] == "tick" else 5
    with (folder / "columns").open("rb") as file:

        def column(code: str) -> array[Any]:
            values = array(code)
            values.fromfile(file, rows)
            return values

        end = column("q")
        columns = {symbol: tuple(column("d") for _ in range(width)) for symbol in about["symbols"]}
    return Workload(about["name"], about["interval"], about["every"], end, columns)


def _minutes(name: str, count: int) -> Workload:
    import numpy as np

    rng = np.random.default_rng(7)
    full = 500_000  # drawn whole, so that W4 is the beginning of W1
    close = 1000.0 * np.exp(np.cumsum(rng.normal(0.0, 3e-4, full)))
    before = np.concatenate(([1000.0], close[:-1]))
    opened = before * np.exp(rng.normal(0.0, 5e-5, full))
    high = np.maximum(opened, close) * (1.0 + np.abs(rng.normal(0.0, 1e-4, full)))
    low = np.minimum(opened, close) * (1.0 - np.abs(rng.normal(0.0, 1e-4, full)))
    columns = _bars([column[:count] for column in (opened, high, low, close)])
    return Workload(name, "1m", 0, _ends(count, MINUTE), {"AAA": columns})


def _days(name: str, count: int, every: int) -> Workload:
    import numpy as np

    rng = np.random.default_rng(11)
    full, symbols = 5_000, 100  # drawn whole, so that W2d is the beginning of W2
    drifts = np.linspace(-1e-4, 3e-4, symbols)
    close = 1000.0 * np.exp(np.cumsum(rng.normal(0.0, 0.012, (full, symbols)) + drifts, axis=0))
    before = np.vstack((np.full(symbols, 1000.0), close[:-1]))
    opened = before * np.exp(rng.normal(0.0, 5e-4, (full, symbols)))
    high = np.maximum(opened, close) * (1.0 + np.abs(rng.normal(0.0, 1e-3, (full, symbols))))
    low = np.minimum(opened, close) * (1.0 - np.abs(rng.normal(0.0, 1e-3, (full, symbols))))
    columns = {
        f"S{index:03d}": _bars([column[:count, index] for column in (opened, high, low, close)])
        for index in range(symbols)
    }
    return Workload(name, "1d", every, _ends(count, DAY), columns)


def _trades() -> Workload:
    import numpy as np

    rng = np.random.default_rng(13)
    count = 1_000_000
    cents = 100_000 + np.cumsum(rng.integers(-1, 2, count))
    price = array("d", (cents / 100.0).tobytes())
    return Workload("W3", "tick", 0, _ends(count, SECOND), {"AAA": (price, array("d", [DEEP]) * count)})


def _bars(prices: Sequence[Any]) -> tuple[array[float], ...]:
    rounded = [array("d", column.round(2).tobytes()) for column in prices]
    return (*rounded, array("d", [DEEP]) * len(rounded[0]))


def _ends(count: int, step: int) -> array[int]:
    return array("q", range(START + step, START + step * (count + 1), step))
