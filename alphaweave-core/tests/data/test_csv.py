"""CSV files as people have them: how they are laid out, headed and punctuated."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alphaweave.core.errors import DataError
from alphaweave.data.loaders import load_bars
from alphaweave.data.series import Series

WriteFile = Callable[..., Path]

HEADER = "date,open,high,low,close,volume"
FIRST = "2020-11-19,1,4,0.5,2,100"
SECOND = "2020-11-20,2,5,1.5,3,200"
BARS = [(1.0, 4.0, 0.5, 2.0, 100.0), (2.0, 5.0, 1.5, 3.0, 200.0)]


def rows(series: Series) -> list[tuple[float, ...]]:
    """The numbers of a series, a tuple a bar."""
    return list(zip(series.open, series.high, series.low, series.close, series.volume, strict=True))


def load(path: Path, **options: object) -> Series:
    """The one series of a file, daily unless told otherwise."""
    (series,) = load_bars(path, **({"interval": "1d"} | options)).values()  # type: ignore[arg-type]
    return series


def reasons(path: Path, **options: object) -> list[tuple[int | None, str]]:
    """What was adjusted in a file, and in which line."""
    report = load_bars(path, **({"interval": "1d"} | options)).report  # type: ignore[arg-type]
    assert {adjustment.path for adjustment in report.adjustments} <= {str(path)}
    return [(adjustment.line, adjustment.reason) for adjustment in report.adjustments]


def refusal(path: Path, **options: object) -> tuple[int | None, str]:
    """Why a file is refused, and for which line."""
    with pytest.raises(DataError) as raised:
        load(path, **options)
    assert raised.value.path == str(path)
    return raised.value.line, raised.value.reason


def test_csv_reads_a_plain_file(write: WriteFile) -> None:
    """Nothing to say about a file that is as it should be."""
    path = write(HEADER, FIRST, SECOND)
    assert rows(load(path)) == BARS
    assert reasons(path) == []


@pytest.mark.parametrize(
    "header",
    [
        "Date,Open,High,Low,Close,Volume",
        "DATETIME,OPEN,HIGH,LOW,CLOSE,VOL",
        "timestamp,o,h,l,c,v",
        "time,Open Price,High Price,Low Price,Close Price,Volume",
        "<DATE>,<OPEN>,<HIGH>,<LOW>,<CLOSE>,<VOL>",
        "timestamp,1. open,2. high,3. low,4. close,5. volume",
        "open_time,open,high,low,close,volume",
        "Date,Open,High,Low,Close/Last,Volume",
        "Date,Open,High,Low,Price,Vol.",
        "Unnamed: 0,open,high,low,close,volume",
        ",open,high,low,close,volume",
        "unix,open,high,low,close,tick_volume",
        '"Date","Open","High","Low","Close","Volume"',
        " Date , Open , High , Low , Close , Volume ",
    ],
)
def test_csv_understands_common_headers(write: WriteFile, header: str) -> None:
    """A column is known by any usual name for it."""
    assert rows(load(write(header, FIRST, SECOND))) == BARS


def test_csv_takes_columns_by_name_not_by_place(write: WriteFile) -> None:
    """Columns may stand in any order, with others among them."""
    path = write(
        "Volume,Trades,Close,Low,High,Open,Date", "100,7,2,0.5,4,1,2020-11-19", "200,9,3,1.5,5,2,2020-11-20"
    )
    assert rows(load(path)) == BARS


def test_csv_reads_a_date_and_a_time_column_together(write: WriteFile) -> None:
    """Where date and time stand apart, they are one stamp, in whichever order they come."""
    path = write("Time,Date,Open,High,Low,Close", "09:30,2020-11-19,1,4,0.5,2", "09:31,2020-11-19,2,5,1.5,3")
    series = load(path, interval=None)
    assert series.interval == "1m"
    assert series.window(0).start == []
    series.cursor.count = 2
    assert [f"{start:%H:%M}" for start in series.window(2).start] == ["09:30", "09:31"]


@pytest.mark.parametrize(
    "line",
    [
        '"2020-11-19","1","4","0.5","2","100"',
        "2020-11-19, 1, 4, 0.5, 2, 100",
        '2020-11-19, "1", 4,0.5,2, "100"',
        FIRST,
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_csv_reads_any_quoting_and_line_ends(write: WriteFile, line: str, end: str) -> None:
    """Quotes, blanks after commas and Windows line ends change nothing."""
    assert rows(load(write(HEADER, line, SECOND, end=end))) == BARS


@pytest.mark.parametrize(
    "lines",
    [
        (HEADER, FIRST, SECOND),
        (HEADER, ",SPY,SPY,SPY,SPY,SPY", FIRST, SECOND),
        ("", HEADER, FIRST.replace(",", ", "), SECOND),
        ("symbol," + HEADER, "SPY," + FIRST, "SPY," + SECOND),
    ],
    ids=["plain", "second header", "blanks", "symbols"],
)
def test_csv_reads_plain_files_the_fast_way(
    write: WriteFile, monkeypatch: pytest.MonkeyPatch, lines: tuple[str, ...]
) -> None:
    """A file without quotes and holes never meets the reader that goes row by row."""

    monkeypatch.setattr("alphaweave.data.csv._read_any", careful)
    assert rows(load(write(*lines))) == BARS


def test_csv_reads_long_files_in_chunks(write: WriteFile, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a chunk ends, or numbers are no longer remembered, no bar is lost or changed."""
    monkeypatch.setattr("alphaweave.data.csv._read_any", careful)
    monkeypatch.setattr("alphaweave.data.csv._CHUNK", 256)
    monkeypatch.setattr("alphaweave.data.csv._FLOATS", 50)
    days = [f"{date.fromordinal(730_000 + n)},{n + 1},{n + 3},{n + 0.5},{n + 2},{n}" for n in range(300)]
    expected = [(n + 1.0, n + 3.0, n + 0.5, n + 2.0, float(n)) for n in range(300)]
    assert rows(load(write(HEADER, *days))) == expected
    assert refusal(write(HEADER, *days[:200], f"{date.fromordinal(730_200)},1,1,1,1,-1")) == (
        202,
        "volume is -1.0; it must be 0 or more",
    )


def careful(*_: object) -> None:
    """Stand in for the reader that goes row by row."""
    raise AssertionError("read row by row")


@pytest.mark.parametrize("mark", [";", "\t", "|"])
def test_csv_reads_other_delimiters(write: WriteFile, mark: str) -> None:
    """The header shows what parts the fields."""
    assert rows(load(write(*(line.replace(",", mark) for line in (HEADER, FIRST, SECOND))))) == BARS


def test_csv_reads_a_byte_order_mark(write: WriteFile) -> None:
    """What Excel puts before the first letter is not part of the header."""
    assert rows(load(write(raw=f"\ufeff{HEADER}\n{FIRST}\n{SECOND}".encode()))) == BARS


def test_csv_skips_blank_lines(write: WriteFile) -> None:
    """Blank lines before, between and after are no rows, and lines are still counted as they stand."""
    path = write("", HEADER, "", FIRST, "", SECOND, "", "", "2020-11-23,x,1,1,1,1")
    assert refusal(path) == (9, "open: 'x' is not a number")
    assert rows(load(write("", HEADER, "", FIRST, "", SECOND, "", ""))) == BARS


def test_csv_drops_a_row_of_empty_fields(write: WriteFile) -> None:
    """A row of commas is dropped, and said to be."""
    path = write(HEADER, FIRST, ",,,,,", SECOND)
    assert rows(load(path)) == BARS
    assert reasons(path) == [(3, "a row without anything in it; dropped")]


@pytest.mark.parametrize(
    ("lines", "symbol"),
    [
        (["datetime,open,high,low,close,volume", ",SPY,SPY,SPY,SPY,SPY"], "SPY"),
        (["Price,Open,High,Low,Close,Volume", "Ticker,SPY,SPY,SPY,SPY,SPY", "Date,,,,,"], "SPY"),
        (["Date,Open,High,Low,Close,Volume", ",^SPY,^SPY,^SPY,^SPY,^SPY"], "^SPY"),
    ],
)
def test_csv_skips_a_second_header_row(write: WriteFile, lines: list[str], symbol: str) -> None:
    """The row in which yfinance repeats the symbol is no bar; it is skipped, and said to be."""
    path = write(*lines, FIRST, SECOND)
    assert rows(load(path)) == BARS
    assert reasons(path) == [(2, f"a second header row naming {symbol}; skipped")]
    bad = write(*lines, FIRST, "2020-11-20,2,5,1.5,x,200")
    assert refusal(bad) == (len(lines) + 2, f"{lines[0].split(',')[4]}: 'x' is not a number")


@pytest.mark.parametrize(
    ("row", "refused"),
    [
        ("2020-11-18,x,x,x,x,x", (2, "open: 'x' is not a number")),
        (",x,x,1,x,x", (2, "open: 'x' is not a number")),
        (",x,x,x,x,", (2, "open: 'x' is not a number")),
        (",$5,$5,$5,$5,$5", (2, "a row without a date")),
    ],
)
def test_csv_takes_no_bad_row_for_a_second_header(
    write: WriteFile, row: str, refused: tuple[int, str]
) -> None:
    """A row with a date, a number or a hole in it is a bar, and a bad one."""
    assert refusal(write(HEADER, row, FIRST, SECOND)) == refused


def test_csv_refuses_a_second_header_of_another_symbol(write: WriteFile) -> None:
    """A file named after one symbol with another one in its header is one of two mistakes."""
    path = write("Date,Open,High,Low,Close,Volume", ",QQQ,QQQ,QQQ,QQQ,QQQ", FIRST, SECOND)
    assert refusal(path) == (
        None,
        "its header says QQQ, but it is read as SPY; rename the file, or ask for that symbol alone",
    )
    assert list(load_bars(path, ["QQQ"], interval="1d")) == ["QQQ"]


def test_csv_refuses_symbols_side_by_side(write: WriteFile) -> None:
    """A table with a column for each symbol is not read as if it were one symbol's."""
    path = write(
        "Price,Close,Close,Open,Open,High,High,Low,Low",
        "Ticker,A,B,A,B,A,B,A,B",
        "Date,,,,,,,,",
        "2020-11-19" + ",1" * 8,
    )
    assert refusal(path) == (2, "several symbols side by side (A, B); write a file for each")


@pytest.mark.parametrize(
    ("header", "missing"),
    [
        ("date,open,high,low,last_trade,volume", "close"),
        ("when,open,high,low,close,volume", "time"),
        ("date,first,second,third,fourth,fifth", "open, high, low, close"),
    ],
)
def test_csv_refuses_a_missing_column(write: WriteFile, header: str, missing: str) -> None:
    """The refusal names what is missing and what there is."""
    path = write("", header, FIRST)
    listing = ", ".join(map(repr, header.split(",")))
    assert refusal(path) == (
        2,
        f"no column for {missing}; the header has {listing}; name others with columns={{...}}",
    )


def test_csv_takes_columns_that_are_named(write: WriteFile) -> None:
    """What a header does not say by itself, the caller may."""
    path = write(
        "when,first,high,low,close,open,lots", "2020-11-19,1,4,0.5,2,9,100", "2020-11-20,2,5,1.5,3,9,200"
    )
    assert rows(load(path, columns={"time": "when", "open": "first", "volume": "lots"})) == BARS
    with pytest.raises(ValueError, match="'Open' is not a field of a bar; columns takes time, open, high"):
        load(path, columns={"Open": "first"})
    assert refusal(path, columns={"time": "wen"})[1].startswith(
        "no column 'wen' for time; the header has 'when'"
    )


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        (
            "date,open,Open,high,low,close",
            "'open' and 'Open' could each be open; name one with columns={'open': ...}",
        ),
        (
            "unix,date,open,high,low,close",
            "'unix' and 'date' could each be time; name one with columns={'time': ...}",
        ),
    ],
)
def test_csv_refuses_two_columns_for_one_field(write: WriteFile, header: str, reason: str) -> None:
    """It is not for the reader to choose; the caller can."""
    path = write(header, "2020-11-19,2020-11-19,2,2,2,2", "1605744000,2020-11-20,3,3,3,3")
    assert refusal(path) == (1, reason)


def test_csv_fills_a_missing_volume(write: WriteFile) -> None:
    """Bars without volume have volume 0, and that is said."""
    path = write("date,open,high,low,close", "2020-11-19,1,4,0.5,2", "2020-11-20,2,5,1.5,3")
    assert list(load(path).volume) == [0.0, 0.0]
    assert reasons(path) == [(None, "there is no volume; every bar has volume 0")]
    empty = write(HEADER, "2020-11-19,1,4,0.5,2,", "2020-11-20,2,5,1.5,3,")
    assert list(load(empty).volume) == [0.0, 0.0]
    assert reasons(empty) == [(None, "there is no volume; every bar has volume 0")]


@pytest.mark.parametrize(
    ("row", "fields"),
    [("2020-11-20,2,5,1.5,3", 5), ("2020-11-20,2,5,1.5,3,200,9", 7), ("2020-11-20", 1)],
)
def test_csv_refuses_a_ragged_row(write: WriteFile, row: str, fields: int) -> None:
    """A row with a field too few or too many has its numbers in the wrong columns."""
    assert refusal(write(HEADER, FIRST, row)) == (3, f"{fields} fields where the header has 6")


def test_csv_refuses_rows_whose_fields_only_add_up(write: WriteFile) -> None:
    """One field too few and then one too many is not the right number of fields."""
    path = write(HEADER, "1605744000,1,4,0.5,2", "1605830400,1605830400,2,5,1.5,3,200")
    assert refusal(path) == (2, "5 fields where the header has 6")


@pytest.mark.parametrize("raw", [b"", b"\n\n  \n"])
def test_csv_refuses_an_empty_file(write: WriteFile, raw: bytes) -> None:
    """A file without a header is empty."""
    assert refusal(write(raw=raw)) == (None, "the file is empty")


def test_csv_refuses_a_file_without_a_bar(write: WriteFile) -> None:
    """A header alone is no data."""
    for lines in ([HEADER], [HEADER, ",SPY,SPY,SPY,SPY,SPY"]):
        assert refusal(write(*lines)) == (None, "SPY: there is not one bar")


def test_csv_refuses_what_is_no_text(write: WriteFile) -> None:
    """Another encoding is named as what it is, not read as rubbish."""
    assert refusal(write(raw=f"{HEADER}\n".encode("utf-16"))) == (
        None,
        "not UTF-8 text; save it as CSV in UTF-8",
    )
    late = f"{HEADER}\n{FIRST}\n".encode() + b"2020-11-20,2,5,1.5,3,\xff\n"
    assert refusal(write(raw=late)) == (None, "not UTF-8 text; save it as CSV in UTF-8")


def test_csv_refuses_an_open_quote(write: WriteFile) -> None:
    """A quote that is never closed would swallow the rest of the file."""
    line, reason = refusal(write(HEADER, FIRST, '"2020-11-20,2,5,1.5,3,200', "2020-11-23,2,5,1.5,3,200"))
    assert reason.startswith("not CSV: ")
    assert line == 4
    line, reason = refusal(write(HEADER, "x" * 200_000))
    assert (line, reason) == (2, "not CSV: field larger than field limit (131072)")


@pytest.mark.parametrize(
    ("row", "marked"),
    [
        ('2020-11-19,"$1,001.00",$4000.5,"1,000","2,000.25","59,940,900"', "$1,001.00"),
        ('2020-11-19,1001,4000.5,1000,2000.25,"59,940,900"', "59,940,900"),
        ("2020-11-19,1001,4000.5,1000,2000.25,59.9409M", "59.9409M"),
        ("2020-11-19,1001,4000.5,1000,2000.25,59940.9k", "59940.9k"),
        ("2020-11-19,1001,4000.5,1000,2000.25,0.0599409B", "0.0599409B"),
    ],
)
def test_csv_reads_numbers_dressed_for_people(write: WriteFile, row: str, marked: str) -> None:
    """Dollar signs, thousands commas and a volume's K, M and B are read, and said to be there."""
    path = write(HEADER, row, "2020-11-20,1500,1500,1500,1500,1")
    *prices, volume = rows(load(path))[0]
    assert prices == [1001.0, 4000.5, 1000.0, 2000.25]
    assert volume == pytest.approx(59_940_900.0, rel=1e-15)
    assert reasons(path) == [(2, f"numbers written like {marked!r}, in 1 rows; read without the marks")]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("2020-11-19,1_000,4,0.5,2,100", "open: '1_000' is not a number"),
        ("2020-11-19,1,4e,0.5,2,100", "high: '4e' is not a number"),
        ("2020-11-19,1,4K,0.5,2,100", "high: '4K' is not a number"),
        ('2020-11-19,"1,23",4,0.5,2,100', "open: '1,23' is not a number (a decimal comma is not read)"),
        ("2020-11-19,1,4,0.5,€2,100", "close: '€2' is not a number"),
    ],
)
def test_csv_refuses_what_is_no_number(write: WriteFile, row: str, reason: str) -> None:
    """The refusal names the column and shows the field."""
    assert refusal(write(HEADER, SECOND, row)) == (3, reason)


def test_csv_refuses_a_decimal_comma(write: WriteFile) -> None:
    """Where semicolons part the fields, 1,234 could be a little more than one."""
    path = write(HEADER.replace(",", ";"), "2020-11-19;1,234;4;1;2;100")
    assert refusal(path) == (2, "open: '1,234' is not a number (a decimal comma is not read)")


@pytest.mark.parametrize("nothing", ["", "nan", "NaN", "NA", "N/A", "null", "None", "-"])
def test_csv_takes_any_word_for_nothing(write: WriteFile, nothing: str) -> None:
    """A row in which no number is written is dropped, whatever stands there instead."""
    path = write(HEADER, FIRST, ",".join(["2020-11-18"] + [nothing] * 5), SECOND)
    assert rows(load(path)) == BARS
    assert reasons(path) == [(3, "a row without numbers; dropped")]


def test_csv_says_what_the_system_said(write: WriteFile, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that cannot be opened is refused with the system's reason."""
    path = write(HEADER, FIRST)

    def denied(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", denied)
    assert refusal(path) == (None, "Permission denied")


PRICE = st.integers(1, 10**7).map(lambda cents: cents / 100)


@settings(deadline=None, max_examples=60)
@given(
    bars=st.lists(st.tuples(PRICE, PRICE, PRICE, PRICE, st.integers(0, 10**9)), min_size=1, max_size=6),
    quoted=st.booleans(),
    grid=st.booleans(),
)
def test_csv_gives_back_the_numbers_that_were_written(
    tmp_path_factory: pytest.TempPathFactory,
    bars: list[tuple[float, float, float, float, int]],
    quoted: bool,
    grid: bool,
) -> None:
    """A plain file, read in chunks, and a quoted one, read row by row, hold the same bars bit for bit."""
    scale = 1.0 if grid else 1 / 3
    bars = [(p * scale, max(o, p, q) * scale, min(o, p, q) * scale, q * scale, v) for o, p, q, _, v in bars]
    lines = [",".join([f"2020-01-{day:02}", *map(repr, bar)]) for day, bar in enumerate(bars, 1)]
    if quoted:
        lines = [",".join(f'"{field}"' for field in line.split(",")) for line in lines]
    path = tmp_path_factory.mktemp("csv") / "SPY.csv"
    path.write_text("\n".join([HEADER, *lines]))
    assert rows(load(path)) == [tuple(map(float, bar)) for bar in bars]
