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

from ib_async import LimitOrder, Stock

from alphaweave.core.market import Bar

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
