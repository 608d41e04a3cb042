"""Makes the CSV files beside it from the `bokeh_sampledata` package.

    pip install bokeh_sampledata==2026.1
    python examples/data/make_data.py

The package holds prices as they were traded, and closes adjusted for every split and dividend up to a
snapshot years later. Here each price is multiplied by adjusted close / close, scaled so that the last
day keeps its traded price: splits and dividends within the span vanish, later ones do not show. Volume
is multiplied by the splits alone.
"""

from __future__ import annotations

import csv
import importlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

SYMBOLS = ("AAPL", "FB", "GOOG", "IBM", "MSFT")
FOLDER = Path(__file__).parent
# A dividend moves the ratio by far less than a split, which at least doubles it.
SPLIT = 1.5


def splits(ratios: Sequence[float]) -> list[int]:
    """How many shares of the last day one share of each day has become."""
    shares = [1]
    for later, earlier in zip(reversed(ratios[1:]), reversed(ratios[:-1]), strict=True):
        step = later / earlier
        shares.append(shares[-1] * (round(step) if step > SPLIT else 1))
    return shares[::-1]


def rows(columns: Mapping[str, Sequence[Any]]) -> Iterator[tuple[str, ...]]:
    """The adjusted bars of one symbol, prices to the cent."""
    ratios = [
        adjusted / close for adjusted, close in zip(columns["adj_close"], columns["close"], strict=True)
    ]
    shares = splits(ratios)
    for row, day in enumerate(columns["date"]):
        factor = ratios[row] / ratios[-1]
        prices = (f"{columns[name][row] * factor:.2f}" for name in ("open", "high", "low", "close"))
        yield day, *prices, str(int(columns["volume"][row]) * shares[row])


def main() -> None:
    stocks = importlib.import_module("bokeh_sampledata.stocks")
    for symbol in SYMBOLS:
        path = FOLDER / f"{symbol}.csv"
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(("date", "open", "high", "low", "close", "volume"))
            writer.writerows(rows(getattr(stocks, symbol)))
        print(f"{path.name}: {len(getattr(stocks, symbol)['date'])} days")


if __name__ == "__main__":
    main()
