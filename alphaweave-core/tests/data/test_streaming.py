"""Bars that are streamed from Parquet: the same bars, in little memory."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from alphaweave.core.errors import DataError
from alphaweave.core.instrument import Instrument
from alphaweave.data import streaming
from alphaweave.data.loaders import LoadedBars, load_bars
from alphaweave.data.series import Series
from alphaweave.data.spool import Spool
from alphaweave.live.engine import EngineSettings, LiveEngine
from alphaweave.live.state import rows_seen
from alphaweave.monitoring.memory import InMemoryMonitor
from alphaweave.sim.capabilities import SIM_CAPABILITIES
from alphaweave.sim.settings import VenueSettings
from alphaweave.sim.venue import SimVenue
from alphaweave.strategy.strategy import Strategy

BEGIN = datetime(2024, 3, 1, tzinfo=UTC)
COLUMNS = ("start", "end", "open", "high", "low", "close", "volume")


def bars(minutes: Sequence[int], **columns: Sequence[Any]) -> dict[str, Any]:
    """A table of bars that start at these minutes; columns given replace those made up."""
    random = Random(3)
    close = [round(100 + random.random(), 2) for _ in minutes]
    made = {
        "time": [BEGIN + timedelta(minutes=minute) for minute in minutes],
        "open": close,
        "high": [price + 0.5 for price in close],
        "low": [price - 0.5 for price in close],
        "close": [price + 0.25 for price in close],
        "volume": [float(minute) for minute in minutes],
    }
    return {**made, **columns}


def save(path: Path, table: dict[str, Any], group: int = 1 << 20) -> Path:
    pq.write_table(pa.table(table), path, row_group_size=group)
    return path


def both(path: Path, **options: Any) -> tuple[LoadedBars, LoadedBars]:
    """Read whole, and streamed."""
    options = {"interval": "1m", **options}
    return load_bars(path, **options), load_bars(path, **options, stream=True)


def columns_of(series: Series) -> list[Any]:
    return [getattr(series, name).tolist() for name in COLUMNS]


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Enough of them in files of a few hundred rows."""
    monkeypatch.setattr(streaming, "_PIECE", 100)


@pytest.mark.parametrize("group", [7, 1 << 20])
def test_a_stream_has_the_bars_of_the_file(tmp_path: Path, group: int) -> None:
    """Those of several symbols whose rows stand among each other, with gaps, whatever the groups of rows."""
    random = Random(1)
    rows = [(minute, symbol) for minute in range(300) for symbol in "ABC" if random.random() < 0.8]
    symbols = [symbol for _, symbol in rows]
    path = save(tmp_path / "all.parquet", bars([minute for minute, _ in rows], symbol=symbols), group)
    whole, streamed = both(path, symbols=["C", "A"])
    assert list(streamed) == ["C", "A"]
    for symbol, series in whole.items():
        assert columns_of(streamed[symbol]) == columns_of(series)
        assert (streamed[symbol].interval, len(streamed[symbol])) == ("1m", len(series))
    assert streamed.report == whole.report
    assert "kept as gaps" in str(streamed.report)


def test_a_stream_adjusts_and_reports_as_a_load_does(tmp_path: Path) -> None:
    """What is of the whole file is said once, and what is of a row with its line."""
    table = bars(range(250))
    table["volume"] = [None] * 250
    table["high"][130] = table["close"][130] - 1e-9
    for name in ("open", "high", "low", "close", "volume"):
        table[name][240] = None
    table["time"][241] = table["time"][242]
    for name in ("open", "high", "low", "close"):
        table[name][241] = table[name][242]
    table["time"][50], table["time"][51] = table["time"][51], table["time"][50]
    whole, streamed = both(save(tmp_path / "SPY.parquet", table))
    assert columns_of(streamed["SPY"]) == columns_of(whole["SPY"])
    assert sorted(map(str, streamed.report.adjustments)) == sorted(map(str, whole.report.adjustments))
    assert len(streamed.report.adjustments) == 6


def late(table: dict[str, Any]) -> None:
    table["time"][150] = table["time"][20]


def repeated(table: dict[str, Any]) -> None:
    table["time"][100] = table["time"][99]


def wrong(table: dict[str, Any]) -> None:
    table["low"][170] = 200.0


def overlapping(table: dict[str, Any]) -> None:
    table["time"][120] += timedelta(seconds=5)


def without_volume(table: dict[str, Any]) -> None:
    table["volume"][100:200] = [None] * 100


def nameless(table: dict[str, Any]) -> None:
    table["symbol"] = ["SPY"] * 180 + [""] + ["SPY"] * 69


@pytest.mark.parametrize(
    ("harm", "line", "text"),
    [
        (late, 151, "a stream takes rows in rising order of time: sort the file"),
        (repeated, 101, "a bar of 2024-03-01T01:39:00+00:00 after that of 2024-03-01T01:39:00+00:00"),
        (wrong, 171, "is below low 200.0"),
        (overlapping, 122, "this bar starts before the 1m bar of line 121 ends"),
        (without_volume, 101, "no number for volume"),
        (nameless, 181, "a row without a symbol"),
    ],
)
def test_a_stream_refuses_a_row_by_its_line(
    tmp_path: Path, harm: Callable[[dict[str, Any]], None], line: int, text: str
) -> None:
    """What can be told of a piece is told as of a whole file; order is not mended from piece to piece."""
    table = bars(range(250))
    harm(table)
    with pytest.raises(DataError) as refused:
        load_bars(save(tmp_path / "SPY.parquet", table), interval="1m", stream=True)
    assert text in str(refused.value)
    assert refused.value.line == line


def test_a_stream_opens_few_groups_of_rows_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of them takes a buffer for each column as long as it is open."""
    opened: list[int] = []
    read = pq.ParquetFile.iter_batches

    def watched(self: Any, *, row_groups: list[int], **words: Any) -> Any:
        opened.append(len(row_groups))
        return read(self, row_groups=row_groups, **words)

    monkeypatch.setattr(pq.ParquetFile, "iter_batches", watched)
    path = save(tmp_path / "SPY.parquet", bars(range(700)), group=7)
    assert len(load_bars(path, interval="1m", stream=True)["SPY"]) == 700
    assert max(opened) == 15
    assert sum(opened) == 100


@pytest.mark.parametrize("interval", [None, "1d", "1w"])
def test_a_stream_needs_an_interval_of_less_than_a_day(tmp_path: Path, interval: str | None) -> None:
    path = save(tmp_path / "SPY.parquet", bars(range(3)))
    with pytest.raises(ValueError, match="a stream needs the interval of its bars, less than a day"):
        load_bars(path, interval=interval, stream=True)


def test_a_stream_needs_parquet(tmp_path: Path) -> None:
    path = tmp_path / "SPY.csv"
    path.write_text("date,open,high,low,close\n2024-01-02 00:00,10,11,9,10\n2024-01-02 00:01,10,11,9,10\n")
    with pytest.raises(DataError, match="a stream reads Parquet; write the bars as such"):
        load_bars(path, interval="1m", stream=True)


def test_a_stream_without_a_bar_or_a_symbol_is_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "SPY.parquet", bars([]))
    with pytest.raises(DataError, match="SPY: there is not one bar"):
        load_bars(path, interval="1m", stream=True)
    path = save(tmp_path / "all.parquet", bars([1, 2], symbol=["A", "B"]))
    with pytest.raises(DataError, match="no bars of C; there are A"):
        load_bars(path, ["A", "C"], interval="1m", stream=True)


def test_a_full_disk_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With where else the file could be."""

    class Full:
        def seek(self, place: int) -> None:
            """Any place will do."""

        def write(self, values: object) -> None:
            raise OSError(28, "No space left on device")

        def close(self) -> None:
            """Nothing is open."""

    monkeypatch.setattr("tempfile.TemporaryFile", lambda **words: Full())
    with pytest.raises(DataError, match=r"No space left on device\); have TMPDIR name another place"):
        load_bars(save(tmp_path / "SPY.parquet", bars([1, 2])), interval="1m", stream=True)


def test_a_column_has_the_room_that_was_reserved() -> None:
    """More would be written over the next one."""
    from array import array

    spool = Spool()
    first, second = spool.column("q", 2), spool.column("d", 2)
    second.extend(array("d", [0.5]))
    first.extend(array("q", [-7]))
    first.extend(array("q", [8]))
    with pytest.raises(ValueError, match="room for 2 rows, not for 3"):
        first.extend(array("q", [9]))
    assert (first.view().tolist(), second.view().tolist()) == ([-7, 8], [0.5])


class Trader(Strategy):
    """Orders of several kinds, indicators, and a look back."""

    def init(self) -> None:
        self.fast = self.sma("A", 5)
        self.range = self.atr("B", 5)

    def next(self, i: int) -> None:
        if i % 7 == 3:
            self.order_market("A", 1 if i % 14 == 3 else -1)
        if i % 11 == 4:
            self.order_limit("B", 2 if i % 22 == 4 else -2, self.close("B") - 0.3, tif="day")
        if i % 13 == 5:
            self.order_stop("A", -1, min(self.history("A", 10).low), tif="gtc")
        self.log_metric("seen", sum(self.series("B").close[-3:]) + self.fast.value)


def replayed(loaded: LoadedBars, venue_settings: VenueSettings) -> tuple[Any, ...]:
    """All that a run comes to: what was recorded, its state, and how it ended."""
    instruments = {symbol: Instrument(symbol=symbol, venue_symbol=symbol) for symbol in loaded}
    cash = Decimal(10_000)
    venue = SimVenue(
        instruments=instruments, board=loaded, settings=venue_settings, cash=cash, currency="USD"
    )
    monitor = InMemoryMonitor()
    engine = LiveEngine(EngineSettings(run_id="r", strategy="s", cash=cash, interval="1m"), (monitor,))
    summary = engine.replay(
        Trader(), loaded, venue=venue, instruments=instruments, capabilities=SIM_CAPABILITIES
    )
    return monitor.get_state(), engine.state(), summary.equity, summary.fills


@pytest.mark.parametrize("share", [1.0, 0.9])
@pytest.mark.parametrize("history", [0, None])
def test_a_replay_of_a_stream_is_that_of_the_file(tmp_path: Path, share: float, history: int | None) -> None:
    """Series that advance together and ones that do not: orders, fills, figures and the saved state."""
    random = Random(2)
    rows = [(minute, symbol) for minute in range(400) for symbol in "AB" if random.random() < share]
    table = bars([minute for minute, _ in rows], symbol=[symbol for _, symbol in rows])
    loaded = both(save(tmp_path / "all.parquet", table))
    whole, streamed = (replayed(each, VenueSettings(history=history)) for each in loaded)
    assert whole == streamed
    assert whole[-1] > 50


def test_a_stream_takes_little_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of rows, a piece; what is mapped is the system's to keep or to drop."""
    monkeypatch.setattr(streaming, "_PIECE", 2_000)
    path = save(tmp_path / "SPY.parquet", bars(range(40_000)), group=2_000)

    def peak(stream: bool) -> int:
        tracemalloc.start()
        try:
            loaded = load_bars(path, interval="1m", stream=stream)["SPY"]
            rows_seen(loaded, len(loaded))
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(stream=False)  # what is imported when it is first needed
    whole, streamed = peak(stream=False), peak(stream=True)
    assert whole > 40_000 * 56
    assert streamed < whole / 8
