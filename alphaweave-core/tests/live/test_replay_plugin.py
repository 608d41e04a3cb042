"""The datafeed `replay`: recorded bars by the options of a config."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from alphaweave.core.errors import ConfigError, DataError, OptionsError
from alphaweave.core.market import Bar
from alphaweave.data.loaders import LoadedBars
from alphaweave.live.adapters.base import Services
from alphaweave.live.config_options import parse_options
from alphaweave.live.datafeed import FeedKind, ReplayDataFeed
from alphaweave.live.registry import Registry
from alphaweave.live.replay_plugin import ReplayOptions

ROWS = "{head},open,high,low,close,volume\n{days}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three days of two symbols."""
    for symbol in ("SPY", "QQQ"):
        days = "".join(f"2024-03-0{day},1,2,1,2,{day}\n" for day in (4, 5, 6))
        (tmp_path / f"{symbol}.csv").write_text(ROWS.format(head="date", days=days))
    return tmp_path


def load(options: Mapping[str, object], services: Services | None = None) -> ReplayDataFeed:
    """What the installed plugin makes of a config's options."""
    plugin = Registry().datafeed("replay")
    parsed: object = parse_options(plugin.options, options, path="datafeed.options.replay")
    feed = plugin.create(parsed, services or Services())
    assert isinstance(feed, ReplayDataFeed)
    return feed


def test_replay_is_a_historical_feed_of_bars() -> None:
    """What it declares makes a run a replay."""
    capabilities = Registry().datafeed("replay").capabilities
    assert (capabilities.historical, capabilities.realtime) == (True, False)
    assert capabilities.kinds == {FeedKind.BAR}


def test_replay_loads_the_symbols_of_the_run(folder: Path) -> None:
    """Those of the config, in its order; without any, all there are."""
    everything = {"path": str(folder)}
    assert set(load(everything).series) == {"SPY", "QQQ"}
    assert list(load(everything, Services(symbols=("SPY", "QQQ"))).series) == ["SPY", "QQQ"]
    assert set(load(everything, Services(symbols=("SPY",))).series) == {"SPY"}


def test_replay_finds_symbols_under_the_names_that_the_config_gives(folder: Path) -> None:
    """Above the feed they have the config's name only."""
    services = Services(symbols=("S&P", "QQQ"), names={"S&P": "SPY"})
    feed = load({"path": str(folder)}, services)
    assert {symbol: (one.symbol, len(one)) for symbol, one in feed.series.items()} == {
        "S&P": ("S&P", 3),
        "QQQ": ("QQQ", 3),
    }
    with pytest.raises(ConfigError, match="instruments: more than one symbol has the name 'SPY'"):
        load({"path": str(folder)}, Services(symbols=("SPY", "S&P"), names={"S&P": "SPY"}))
    with pytest.raises(DataError, match="no bars of VOO"):
        load({"path": str(folder)}, Services(symbols=("SPY",), names={"SPY": "VOO"}))


@pytest.mark.parametrize(
    ("options", "services", "message"),
    [
        (
            {},
            Services(interval="tick"),
            "datafeed.interval: the replay feed reads bars, which have an interval",
        ),
        (
            {"columns": {"shut": "C"}},
            Services(),
            "datafeed.options.replay.columns: 'shut' is not a field of a bar; columns takes time, open,",
        ),
    ],
)
def test_replay_refuses_what_it_cannot_read_as_a_problem_of_the_config(
    folder: Path, options: dict[str, object], services: Services, message: str
) -> None:
    """With the path of the key that is wrong, before a file is opened."""
    with pytest.raises(ConfigError) as caught:
        load({"path": str(folder), **options}, services)
    assert message in str(caught.value.problems[0])


def test_replay_reads_bars_on_the_clock_of_the_feed(folder: Path) -> None:
    """Interval and time zone are the config's; stamps may be the end of their bars."""
    path = {"path": str(folder / "SPY.csv")}
    new_york = load(path, Services(timezone="America/New_York", interval="1d")).series["SPY"]
    utc = load(path).series["SPY"]
    assert new_york.end[0] - utc.end[0] == 5 * 3600 * 10**9
    hourly = folder / "SPX.csv"
    hours = "".join(f"2024-03-04 {hour}:00,1,2,1,2,9\n" for hour in (10, 11, 12))
    hourly.write_text(ROWS.format(head="date", days=hours))
    run = Services(interval="1h")
    starts = load({"path": str(hourly)}, run).series["SPX"]
    ends = load({"path": str(hourly), "stamp": "end"}, run).series["SPX"]
    assert starts.start[0] == ends.end[0]


def test_replay_passes_on_what_only_a_person_knows(folder: Path) -> None:
    """Which column is which, how a date is read, whether prices are adjusted."""
    odd = folder / "ODD.csv"
    odd.write_text("When,Von,Bis,Tief,Schluss,Adj Close\n03/04/2024,10,12,8,10,5\n04/04/2024,10,12,8,10,5\n")
    columns = {"time": "When", "open": "Von", "high": "Bis", "low": "Tief", "close": "Schluss"}
    options: dict[str, object] = {"path": str(odd), "columns": columns, "date_order": "dmy"}
    assert load(options).series["ODD"].close[0] == 10
    adjusted = load({**options, "adjust": True}).series["ODD"]
    assert (adjusted.open[0], adjusted.close[0]) == (5, 5)
    days = (adjusted.end[1] - adjusted.end[0]) // (86400 * 10**9)
    assert days == 1


def test_replay_feed_carries_the_report_of_its_loader(folder: Path) -> None:
    """Whoever runs on the bars can say what was adjusted in them."""
    (folder / "SPY.csv").write_text(
        ROWS.format(head="date", days="2024-03-05,1,2,1,2,1\n2024-03-04,1,2,1,2,1\n")
    )
    series = load({"path": str(folder / "SPY.csv")}).series
    assert isinstance(series, LoadedBars)
    assert [adjustment.path for adjustment in series.report.adjustments] == [str(folder / "SPY.csv")]


def test_replay_streams_what_it_loaded(folder: Path) -> None:
    """The feed is the contract's own: its bars come in order of their ends."""

    async def closes() -> list[tuple[str, int]]:
        feed = load({"path": str(folder)})
        return [(each.symbol, int(each.volume)) async for each in feed.stream() if isinstance(each, Bar)]

    assert asyncio.run(closes()) == [(symbol, day) for day in (4, 5, 6) for symbol in ("QQQ", "SPY")]


def test_replay_refuses_what_it_cannot_load(folder: Path) -> None:
    """A wrong option is the config's error, a missing symbol the data's."""
    with pytest.raises(OptionsError, match="path"):
        load({})
    with pytest.raises(OptionsError, match="Did you mean 'stamp'"):
        load({"path": str(folder), "stamps": "end"})
    with pytest.raises(DataError, match="IWM"):
        load({"path": str(folder)}, Services(symbols=("IWM",)))


def test_replay_plugin_is_light() -> None:
    """Importing the record loads no reader of files."""
    script = "import sys, alphaweave.live.replay_plugin\nprint('alphaweave.data.loaders' in sys.modules)"
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "False"


def test_replay_options_default_to_the_plain_case() -> None:
    """Only the path has to be written."""
    options = ReplayOptions(path=Path("bars"))
    assert (options.columns, options.stamp, options.date_order, options.adjust) == (
        None,
        "start",
        None,
        False,
    )


def test_replay_streams_what_is_to_be_streamed(tmp_path: Path) -> None:
    """The columns are views of a file, and the bars are those that a load would give."""
    start = datetime(2024, 3, 4, tzinfo=UTC)
    columns = {name: [1.0, 2.0] for name in ("open", "high", "low", "close", "volume")}
    table = pa.table({"time": [start, start + timedelta(minutes=1)], **columns})
    pq.write_table(table, tmp_path / "SPY.parquet")
    options = {"path": str(tmp_path)}
    whole = load(options, Services(interval="1m")).series["SPY"]
    streamed = load({**options, "stream": True}, Services(interval="1m")).series["SPY"]
    assert isinstance(streamed.close, memoryview)
    assert (streamed.end.tolist(), streamed.close.tolist()) == (whole.end.tolist(), whole.close.tolist())


def test_replay_streams_no_bars_of_days(folder: Path) -> None:
    """They are few, and what a day is hangs on all rows of a file."""
    with pytest.raises(OptionsError, match=r"replay\.stream: bars of 1d are read whole"):
        load({"path": str(folder), "stream": True}, Services(interval="1d"))
