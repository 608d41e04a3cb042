"""A file of minutes is history up to the present and played from there; the sandbox's time may run fast."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from ib_async import LimitOrder, Stock

from alphaweave.core.errors import RunRefused
from alphaweave.core.market import Bar
from alphaweave_broker_ibkr.sandbox.playback import Playback

NOW = datetime(2031, 3, 4, 15, 30, tzinfo=UTC)
HEAD = "symbol,date,open,high,low,close,volume\n"


def minutes(path: Path, begin: datetime, closes: list[float]) -> Path:
    """A file with one minute after another."""
    rows = [
        f"FB,{(begin + timedelta(minutes=number)).isoformat()},{close},{close + 1},{close - 1},{close},100\n"
        for number, close in enumerate(closes)
    ]
    path.write_text(HEAD + "".join(rows))
    return path


def test_minutes_are_handed_out_when_they_end(tmp_path: Path) -> None:
    """Not before, and once; from the instant that is named, if one is."""
    played = Playback(minutes(tmp_path / "a.csv", NOW, [1.0, 2.0, 3.0]), None, NOW)
    assert played.symbols == ("FB",)
    assert [bar.close for _, bar in played.until(NOW + timedelta(seconds=119))] == [1.0]
    assert [bar.close for _, bar in played.until(NOW + timedelta(seconds=180))] == [2.0, 3.0]
    begin = datetime(2012, 5, 18, 9, 30, tzinfo=UTC)
    moved = Playback(minutes(tmp_path / "b.csv", begin, [1.0, 2.0]), "2012-05-18T09:31:00Z", NOW)
    starts = [bar.start for _, bar in moved.until(NOW + timedelta(minutes=1))]
    assert starts == [NOW - timedelta(minutes=1), NOW]
    # However far the present is in its minute, minutes begin with those of the clock.
    late = NOW + timedelta(seconds=45)
    for begin_at in ("2012-05-18T09:31:20Z", None):
        moved = Playback(tmp_path / "b.csv", begin_at, late)
        starts = [bar.start for _, bar in moved.until(late + timedelta(minutes=5))]
        assert {one.second for one in starts} == {0}
        assert abs(starts[0] - NOW) <= timedelta(minutes=1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("symbol,date,open\n", "has no column close, high, low, volume"),
        (HEAD + "FB,2031-03-04T09:30,1,1,1,one,1\n", "line 2: could not convert"),
        (HEAD + "FB,yesterday,1,1,1,1,1\n", "line 2: 'yesterday' is no date"),
    ],
)
def test_file_that_is_none_is_refused(tmp_path: Path, text: str, message: str) -> None:
    """With its line."""
    path = tmp_path / "a.csv"
    path.write_text(text)
    with pytest.raises(RunRefused, match=message):
        Playback(path, None, NOW)


def test_file_is_traded_on(at_gateway: Callable[..., None], tmp_path: Path) -> None:
    """What is past is history; what comes is played, and orders meet it, in a market that never closes."""
    path = minutes(tmp_path / "a.csv", NOW - timedelta(minutes=2), [50.0, 51.0, 52.0, 45.0])

    async def scenario(site: Any) -> None:
        ib = await site.client()
        (stock,) = await ib.qualifyContractsAsync(Stock("FB", "SMART", "USD"))
        bars = await ib.reqHistoricalDataAsync(
            stock, "", "600 S", "1 min", "TRADES", False, 2, keepUpToDate=True
        )
        assert [bar.close for bar in bars] == [50, 51]
        trade = await site.placed(ib, LimitOrder("BUY", 10, 46, tif="GTC"), stock)
        site.venue.clock.advance(120)
        await site.until_status(trade, "Filled")
        await site.until(lambda: [bar.close for bar in bars[:4]] == [50, 51, 52, 45])
        assert site.venue.truth().positions == {"FB": Decimal(10)}

    at_gateway(scenario, data=path)


def test_time_runs_as_fast_as_it_is_told(at_gateway: Callable[..., None]) -> None:
    """A minute of the clock is an hour of the sandbox, and what is due by then happens."""

    async def scenario(site: Any) -> None:
        ib = await site.client()
        trade = await site.placed(ib, site.limit())
        before = site.venue.now()
        site.venue.clock.advance(330)
        assert timedelta(minutes=330) <= site.venue.now() - before < timedelta(minutes=400)
        await site.until_status(trade, "Cancelled")

    at_gateway(scenario, speed=60.0)


def test_command_listens_until_it_is_interrupted() -> None:
    """``alphaweave sandbox ibkr`` says where it is, and goes when it is told to."""
    words = [sys.executable, "-m", "alphaweave", "sandbox", "ibkr", "--port", "0"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "# ibkr sandbox listens. Ctrl-C ends it.\n"
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
    assert process.returncode in {0, 130}


def test_minute_is_played_by_hand(at_gateway: Callable[..., None]) -> None:
    """Orders meet the minute's prices, and its bar is history afterwards."""

    async def scenario(site: Any) -> None:
        ib = await site.client()
        trade = await site.placed(ib, site.limit(price=58))
        start = NOW - timedelta(minutes=1)
        await site.venue.play(Bar("ONE", "1m", start, NOW, 60, 61, 57, 60, 500.0))
        await site.until_status(trade, "Filled")
        assert trade.fills[0].execution.price == 58
        bars = await ib.reqHistoricalDataAsync(site.stock, "", "600 S", "1 min", "TRADES", False, 2)
        assert [(bar.low, bar.volume) for bar in bars] == [(57, 500)]

    at_gateway(scenario)
