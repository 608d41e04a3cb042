"""The prices that ship with the project are what their README says."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

import pytest

from alphaweave.data.loaders import LoadedBars, load_bars

FOLDER = Path(__file__).parents[1] / "examples" / "data"


@pytest.fixture(scope="module")
def bars() -> LoadedBars:
    """Every series of the folder."""
    return load_bars(FOLDER, interval="1d", timezone="America/New_York")


def days(bars: LoadedBars, symbol: str) -> list[date]:
    """The exchange dates of a series."""
    series = bars[symbol]
    series.cursor.count = len(series)
    return [start.date() for start in series.window(len(series)).start]


def test_example_data_load_as_they_are(bars: LoadedBars) -> None:
    """Nothing is dropped, moved or filled in; all there is to say is which days nothing traded."""
    reasons = [adjustment.reason for adjustment in bars.report.adjustments]
    assert len(reasons) == len(bars) == 5
    assert all("weekdays without a bar, holidays included; kept as gaps" in reason for reason in reasons)


def test_example_data_match_their_readme(bars: LoadedBars) -> None:
    """The table of files, days and dates is right."""
    readme = (FOLDER / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"\| `(\w+)\.csv` \|[^|]*\| ([\d,]+) \| (\S+) \| (\S+) \|", readme)
    table = {symbol: (int(count.replace(",", "")), first, last) for symbol, count, first, last in rows}
    assert table == {
        symbol: (len(series), f"{days(bars, symbol)[0]}", f"{days(bars, symbol)[-1]}")
        for symbol, series in bars.items()
    }


def test_example_data_end_with_traded_prices(bars: LoadedBars) -> None:
    """The last close of each stock is what it closed at on 1 March 2013."""
    closes = {symbol: series.close[-1] for symbol, series in bars.items()}
    assert closes == {"AAPL": 430.47, "FB": 27.78, "GOOG": 806.19, "IBM": 202.91, "MSFT": 27.95}


def test_example_data_have_no_split_in_them(bars: LoadedBars) -> None:
    """A split would halve a price overnight; only Apple's real fall of 2000 comes near."""
    falls = [
        (symbol, day)
        for symbol, series in bars.items()
        for day, before, now in zip(days(bars, symbol)[1:], series.close, series.close[1:], strict=False)
        if not 0.7 < now / before < 1.43
    ]
    assert falls == [("AAPL", date(2000, 9, 29))]
