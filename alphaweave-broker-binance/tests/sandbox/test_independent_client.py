"""A client of somebody else's trades on the sandbox, in an environment of its own."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from alphaweave.core.order import OrderStatus

REQUIREMENT = "python-binance==1.0.37"
SCRIPT = """
import asyncio, json, sys
from binance import AsyncClient, BinanceSocketManager
from binance.exceptions import BinanceAPIException
from binance.ws.reconnecting_websocket import ReconnectingWebsocket

# It closes a socket when its wait for a message ends.
ReconnectingWebsocket.TIMEOUT = 0.2
port, key, secret = sys.argv[1:]


class Client(AsyncClient):
    API_URL = f"http://127.0.0.1:{port}/api"
    WS_API_URL = f"ws://127.0.0.1:{port}/ws-api/v3"


class Sockets(BinanceSocketManager):
    STREAM_URL = f"ws://127.0.0.1:{port}/"


async def main():
    client = await Client.create(key, secret)
    found = {}
    try:
        sockets = Sockets(client)
        async with sockets.user_socket() as user:
            bought = await client.create_order(
                symbol="BTCUSDT", side="BUY", type="MARKET", quantity="2", newClientOrderId="bought"
            )
            found["bought"] = [bought["status"], bought["fills"][0]["price"]]
            await client.create_order(
                symbol="BTCUSDT",
                side="SELL",
                type="LIMIT",
                timeInForce="GTC",
                quantity="1",
                price="150",
                newClientOrderId="resting",
            )
            found["open"] = [row["clientOrderId"] for row in await client.get_open_orders(symbol="BTCUSDT")]
            await client.cancel_order(symbol="BTCUSDT", origClientOrderId="resting")
            placed = await client.ws_create_order(
                symbol="BTCUSDT",
                side="BUY",
                type="LIMIT",
                timeInForce="GTC",
                quantity="1",
                price="50",
                newClientOrderId="over-the-socket",
            )
            found["placed"] = placed["status"]
            try:
                await client.create_order(symbol="BTCUSDT", side="BUY", type="MARKET", quantity="0.000001")
            except BinanceAPIException as error:
                found["refused"] = [error.status_code, error.code, error.message]
            reports = []
            while len(reports) < 5:
                event = await asyncio.wait_for(user.recv(), 20)
                event = event.get("event", event)
                if event["e"] == "executionReport":
                    reports.append([event["x"], event["C"] or event["c"]])
            found["reports"] = reports
        trades = await client.get_my_trades(symbol="BTCUSDT")
        found["trades"] = [row["qty"] for row in trades]
        found["klines"] = len(await client.get_klines(symbol="BTCUSDT", interval="1m"))
    finally:
        await client.close_connection()
    print(json.dumps(found))


asyncio.run(main())
"""


@pytest.fixture
def other_python(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """An interpreter that has the client; made once, and kept with what pytest keeps."""
    cache = getattr(request.config, "cache", None)
    kept = tmp_path if cache is None else Path(cache.mkdir("python-binance"))
    folder = kept / f"{REQUIREMENT}-{sys.implementation.cache_tag}"
    if not folder.exists():
        # Made aside: whoever runs the same test meanwhile never sees half of it.
        with tempfile.TemporaryDirectory(dir=kept) as aside:
            made = Path(aside) / "made"
            if not _installed(made):
                reason = f"needs {REQUIREMENT}, which cannot be installed here"
                request.getfixturevalue("unproven")(reason)
            with suppress(OSError):
                made.rename(folder)
    return folder / "bin" / "python"


def _installed(folder: Path) -> bool:
    """Whether an environment with the client could be made there."""
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    for command in ([sys.executable, "-m", "venv", str(folder)], [*pip, REQUIREMENT]):
        try:
            subprocess.run(command, capture_output=True, timeout=300, check=True)
        except (OSError, subprocess.SubprocessError):
            return False
    return True


def test_python_binance_trades(at_sandbox: Callable[..., None], other_python: Path) -> None:
    """Over REST and the WebSocket API, with the user data: what it is told is what the books say."""

    async def scenario(site: Any) -> None:
        await site.venue.set_price("ONE", Decimal(100))
        run = await asyncio.create_subprocess_exec(
            str(other_python),
            "-c",
            SCRIPT,
            str(site.venue.port),
            site.key,
            site.secret,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        output, errors = await asyncio.wait_for(run.communicate(), 60)
        assert run.returncode == 0, errors.decode()
        assert json.loads(output) == {
            "bought": ["FILLED", "100.00000000"],
            "open": ["resting"],
            "placed": "NEW",
            "refused": [400, -1013, "Filter failure: LOT_SIZE"],
            "reports": [
                ["NEW", "bought"],
                ["TRADE", "bought"],
                ["NEW", "resting"],
                ["CANCELED", "resting"],
                ["NEW", "over-the-socket"],
            ],
            "trades": ["2.00000000"],
            "klines": 0,
        }
        orders = {order.client_order_id: order.status for order in site.venue.truth().orders}
        assert orders == {
            "bought": OrderStatus.FILLED,
            "resting": OrderStatus.CANCELLED,
            "over-the-socket": OrderStatus.ACCEPTED,
        }

    at_sandbox(scenario)
