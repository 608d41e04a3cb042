"""Files, folders and the symbols in them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from alphaweave.core.errors import DataError
from alphaweave.data.loaders import load_bars

WriteFile = Callable[..., Path]

HEADER = "date,open,high,low,close,volume"


def bars(volume: int) -> tuple[str, str, str]:
    """Two days whose volume tells one file from another."""
    return (HEADER, f"2020-11-19,1,1,1,1,{volume}", f"2020-11-20,1,1,1,1,{volume}")


LONG = (
    "date,symbol,open,high,low,close,volume",
    "2020-11-19,MSFT,1,1,1,1,1",
    "2020-11-19,AAPL,1,1,1,1,2",
    "2020-11-20,MSFT,1,1,1,1,3",
    "2020-11-20,AAPL,1,1,1,1,4",
)


def refusal(path: Path, symbols: list[str] | None = None) -> str:
    """Why a load is refused."""
    with pytest.raises(DataError) as raised:
        load_bars(path, symbols)
    return str(raised.value).removeprefix(f"{path}").removeprefix("/")


@pytest.mark.parametrize(
    ("name", "symbol"),
    [
        ("SPY.csv", "SPY"),
        ("SPY_daily.csv", "SPY"),
        ("SPY-1d.CSV", "SPY"),
        ("SPY_5min_ohlcv.csv", "SPY"),
        ("SPY_D1.txt", "SPY"),
        ("BRK.B_daily.csv", "BRK.B"),
        ("BTC-USD.csv", "BTC-USD"),
        ("BTC-USD_1h.csv", "BTC-USD"),
        ("6E.csv", "6E"),
    ],
)
def test_load_takes_the_symbol_from_the_file_name(write: WriteFile, name: str, symbol: str) -> None:
    """What people add to a symbol is dropped; what belongs to it is not."""
    loaded = load_bars(write(*bars(1), name=name))
    assert list(loaded) == [symbol]
    assert loaded[symbol].symbol == symbol


def test_load_reads_a_folder(write: WriteFile, tmp_path: Path) -> None:
    """Every file of bars in it, by name; other files, hidden ones and folders are passed over."""
    for name, volume in (
        ("QQQ_daily.csv", 1),
        ("AAPL.csv", 2),
        (".SPY.csv", 3),
        ("README.md", 4),
        ("old.csv/X.csv", 5),
    ):
        write(*bars(volume), name=name)
    loaded = load_bars(str(tmp_path))
    assert {symbol: series.volume[0] for symbol, series in loaded.items()} == {"AAPL": 2.0, "QQQ": 1.0}
    assert list(loaded) == ["AAPL", "QQQ"]


def test_load_takes_the_symbols_it_is_asked_for(write: WriteFile, tmp_path: Path) -> None:
    """In the order asked; files of other symbols are not even opened."""
    write(*bars(1), name="QQQ.csv")
    write(*bars(2), name="AAPL.csv")
    write("rubbish", name="OTHER.csv")
    assert list(load_bars(tmp_path, ["QQQ", "AAPL", "QQQ"])) == ["QQQ", "AAPL"]
    assert list(load_bars(tmp_path, iter(["AAPL"]))) == ["AAPL"]
    assert list(load_bars(tmp_path, "AAPL")) == ["AAPL"]
    assert refusal(tmp_path, ["AAPL", "SPY"]) == ": no bars of SPY; there are AAPL, OTHER, QQQ"
    assert refusal(tmp_path).startswith("OTHER.csv:1: no column for")


def test_load_splits_a_file_by_its_symbol_column(write: WriteFile, tmp_path: Path) -> None:
    """Rows of many symbols in one file become a series each, without mixing."""
    path = write(*LONG, name="all.csv")
    loaded = load_bars(path)
    assert {symbol: list(series.volume) for symbol, series in loaded.items()} == {
        "MSFT": [1.0, 3.0],
        "AAPL": [2.0, 4.0],
    }
    assert list(load_bars(path, ["AAPL"])) == ["AAPL"]
    assert refusal(path, ["SPY"]) == ": no bars of SPY; there are none"
    assert refusal(path, ["AAPL", "SPY"]) == ": no bars of SPY; there are AAPL"
    write(*bars(9), name="SPY.csv")
    assert list(load_bars(tmp_path, ["SPY", "AAPL"])) == ["SPY", "AAPL"]


def test_load_finds_a_symbol_column_by_the_name_it_is_given(write: WriteFile, tmp_path: Path) -> None:
    """A mapping of columns holds for finding symbols as well."""
    write(*(line.replace("symbol", "name") for line in LONG), name="all.csv")
    assert list(load_bars(tmp_path, ["AAPL"], columns={"symbol": "name"})) == ["AAPL"]


def test_load_checks_only_the_rows_it_is_asked_for(write: WriteFile) -> None:
    """A bad row of another symbol stops nobody; one of this symbol is named with its line in the file."""
    path = write(*LONG, "2020-11-23,MSFT,1,1,1,-1,5", name="all.csv")
    assert len(load_bars(path, ["AAPL"])["AAPL"]) == 2
    assert refusal(path) == ":6: close is -1.0; a price must be above 0"


@pytest.mark.parametrize("line", ["2020-11-23,,1,1,1,1,5", '2020-11-23,"",1,1,1,1,5'])
def test_load_refuses_a_row_without_a_symbol(write: WriteFile, line: str) -> None:
    """A row that could be anybody's is nobody's."""
    assert refusal(write(*LONG, line)) == ":6: a row without a symbol"


def test_load_reads_symbols_with_blanks_around_them(write: WriteFile) -> None:
    """Blanks are not part of a symbol."""
    assert list(load_bars(write(*(line.replace("AAPL", " AAPL ") for line in LONG)))) == ["MSFT", "AAPL"]


def test_load_refuses_a_symbol_that_is_there_twice(write: WriteFile, tmp_path: Path) -> None:
    """Which of two files is right is not for the loader to say."""
    write(*bars(1), name="SPY.csv")
    write(*bars(1), name="SPY_daily.csv")
    assert refusal(tmp_path) == "SPY_daily.csv: SPY is in SPY.csv too; keep one of them"


def test_load_renames_one_file_for_one_symbol(write: WriteFile) -> None:
    """A file that is asked for one symbol is of that symbol, and that its name says otherwise is said."""
    path = write(*bars(1), name="download.csv")
    loaded = load_bars(path, ["SPY"])
    assert loaded["SPY"].symbol == "SPY"
    assert [adjustment.reason for adjustment in loaded.report.adjustments] == [
        "read as SPY, though its name says download"
    ]
    assert refusal(path, ["SPY", "QQQ"]) == ": no bars of SPY, QQQ; there are none"


@pytest.mark.parametrize(
    ("header", "name", "symbol"), [("^NDX", "NDX_daily.csv", "NDX"), ("BTC-USD", "btcusd.csv", "btcusd")]
)
def test_load_lets_vendors_punctuate_symbols(write: WriteFile, header: str, name: str, symbol: str) -> None:
    """A second header that differs in punctuation alone is of the same symbol."""
    first, *rest = bars(1)
    assert list(load_bars(write(first, "," + ",".join([header] * 5), *rest, name=name))) == [symbol]


def test_load_reports_what_each_file_needed(write: WriteFile, tmp_path: Path) -> None:
    """One report for the folder, each line with its file."""
    write(*bars(1), "2020-11-20,1,1,1,1,1", name="A.csv")
    write(*(line.rsplit(",", 1)[0] for line in bars(1)), name="B.csv")
    assert str(load_bars(tmp_path).report).splitlines() == [
        f"{tmp_path}/A.csv:4: the same bar as line 3; dropped",
        f"{tmp_path}/B.csv: there is no volume; every bar has volume 0",
    ]


def test_load_refuses_what_it_cannot_find(write: WriteFile, tmp_path: Path) -> None:
    """No such path, a folder without bars, and a file of another kind are each named."""
    assert refusal(tmp_path / "nowhere") == ": no such file or folder"
    assert refusal(tmp_path) == ": no CSV or Parquet file in this folder"
    path = write("{}", name="SPY.json")
    assert refusal(path) == ": bars are read from .csv, .parquet, .pq, .tsv, .txt files"
    write(*bars(1))
    write(raw=b"", name="EMPTY.csv")
    assert refusal(tmp_path, ["QQQ"]) == ": no bars of QQQ; there are EMPTY, SPY"


def test_load_imports_no_heavy_library(write: WriteFile) -> None:
    """A CSV file reaches its first bar without numpy, pandas or pyarrow."""
    script = (
        "import sys\n"
        "from alphaweave.data.loaders import load_bars\n"
        "from alphaweave.data.frames import series_from_frame\n"
        "from alphaweave.data.timeline import Timeline\n"
        "series = load_bars(sys.argv[1])['SPY']\n"
        "series.cursor.count = 1\n"
        "assert series.window(1).close == [1.0]\n"
        "print(sorted({'numpy', 'pandas', 'pyarrow'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, write(*bars(1))], capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_loader_refuses_a_pipe_instead_of_waiting_for_it(tmp_path: Path) -> None:
    """Nobody may ever write to it; nor is it looked at in a folder."""
    os.mkfifo(tmp_path / "SPY.csv")
    with pytest.raises(DataError, match="not a regular file; copy the bars into one"):
        load_bars(tmp_path / "SPY.csv")
    with pytest.raises(DataError, match="no CSV or Parquet file in this folder"):
        load_bars(tmp_path)
