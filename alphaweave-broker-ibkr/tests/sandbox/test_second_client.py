"""Interactive Brokers' own client library trades on the gateway as well, in an environment of its own."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, NoReturn

import pytest

from alphaweave.core.market import Bar
from alphaweave.core.order import OrderStatus

_LIBRARY = "nautilus-ibapi==10.30.1"
Run = Callable[..., None]
Site = Any


@pytest.fixture
def library(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    unproven: Callable[[str], NoReturn],
) -> Path:
    """A folder with the library. It is not of ours: where it cannot be had, nothing is proved."""
    # Fetched once for a checkout; a run without a cache fetches it for itself.
    cache = getattr(request.config, "cache", None)
    folder = tmp_path if cache is None else cache.mkdir(_LIBRARY.replace("==", "-"))
    if not (folder / "ibapi" / "client.py").exists():
        words = ["install", "--quiet", "--no-deps", "--retries", "0", "--target", str(folder)]
        done = subprocess.run(
            [sys.executable, "-m", "pip", *words, _LIBRARY], capture_output=True, text=True, check=False
        )
        if done.returncode:
            unproven(f"needs {_LIBRARY}, which pip cannot install")
    return folder


def test_another_client_library_trades(at_gateway: Run, library: Path) -> None:
    """It connects, finds a contract, trades, changes, cancels, and asks what became of it."""

    async def scenario(site: Site) -> None:
        venue = site.venue
        end = venue.now().replace(second=0, microsecond=0)
        minute = timedelta(minutes=1)
        bars = [
            Bar("ONE", "1m", end - minute * n, end - minute * (n - 1), 59, 61, 58, 60 - n, 1000.0)
            for n in (3, 2, 1)
        ]
        await venue.load(bars)
        await venue.set_price("ONE", Decimal("60.5"))
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-W",
            "ignore",
            str(Path(__file__).with_name("second_client.py")),
            str(venue.port),
            env={"PYTHONPATH": str(library), "PATH": os.environ.get("PATH", "")},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        out, complaints = await process.communicate()
        assert process.returncode == 0, complaints.decode()
        assert b"Traceback" not in complaints, complaints.decode()
        told = json.loads(out)
        assert told["server"] == 178
        assert told["accounts"] == "DU1234567"
        assert told["contract"] == [8894, "NYSE", 0.0001]
        assert told["hours"] == "20310304:0930-20310304:1600"
        assert told["execution"] == ["second-MKT", "BOT", "30", 60.5]
        assert told["commission"] == [True, 1.0, "USD"]
        assert told["realized"] == 1.7976931348623157e308
        assert told["filled"] == ["PreSubmitted", "Filled", "Filled"]
        assert told["modified"] == [41.5, "second-LMT", True]
        assert told["completed"] == ["second-LMT", "second-MKT"]
        assert told["positions"] == [["KO", "30", 60.5]]
        assert told["cash"] == "998184"
        assert told["bars"] == [[int(bar.start.timestamp()), bar.close] for bar in bars]
        assert told["last"] == 60.5
        assert told["portfolio"] == ["30", 60.5]
        assert (told["multi"], told["gain"], told["held"]) == ("998184", 0, ["30", 1815])
        assert told["rule"] == [0.0001, 0.01]
        assert told["samples"] == [610000001, 610000002]
        assert int(told["head"]) == int(bars[0].start.timestamp())
        assert told["schedule"] == ["20310303", "20310304"]
        assert told["ticks"] == [60.5]
        assert abs(told["time"] - venue.now().timestamp()) < 60
        assert told["errors"] == [202, 2104, 2106, 2158]
        market, changed = venue.truth().orders
        assert (market.status, changed.status) == (OrderStatus.FILLED, OrderStatus.CANCELLED)
        assert (market.client_order_id, market.filled, changed.quantity) == ("second-MKT", 30, 7)

    at_gateway(scenario)
