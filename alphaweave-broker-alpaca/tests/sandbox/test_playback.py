"""A file of minutes is history up to the present and played from there, and a day of it adds up."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

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


def test_old_file_is_played_from_its_first_minute(at_sandbox: Callable[..., None], tmp_path: Path) -> None:
    """Its dates are the present's, and the market does not close."""
    path = minutes(tmp_path / "a.csv", datetime(2012, 5, 18, tzinfo=UTC), [10.0, 11.0])

    async def scenario(site: Any) -> None:
        assert await site.call(site.stocks().get, "/stocks/bars/latest", {"symbols": "FB"}) == {"bars": {}}
        site.venue.clock.advance(12 * 3600)
        clock = await site.call(site.trading(raw=False).get_clock)
        assert clock.is_open
        (bar,) = (await site.call(site.stocks().get, "/stocks/bars/latest", {"symbols": "FB"}))[
            "bars"
        ].values()
        assert (bar["t"][:16], bar["c"]) == ("2031-03-04T15:31", 11.0)

    at_sandbox(scenario, data=path)


def test_played_minutes_trade_and_are_told(at_sandbox: Callable[..., None], tmp_path: Path) -> None:
    """Orders are executed inside a minute, its bar comes on the socket, and is history afterwards."""
    path = minutes(tmp_path / "a.csv", NOW - timedelta(minutes=2), [10.0, 11.0, 12.0, 13.0])

    async def scenario(site: Any) -> None:
        client, stream = site.trading(), site.stock_stream()
        stream.subscribe_bars(site.hear, "FB")
        await site.watch(stream)
        body = {"symbol": "FB", "qty": "1", "side": "buy", "type": "limit", "time_in_force": "gtc"}
        sent = await site.call(client.post, "/orders", {**body, "limit_price": "12.5"})
        assert (await site.call(client.get_order_by_id, sent["id"]))["filled_avg_price"] == "11"
        sold = await site.call(client.post, "/orders", {**body, "side": "sell", "limit_price": "13.5"})
        site.venue.clock.advance(60)
        await site.until(lambda: len(site.heard) == 1)
        assert (await site.call(client.get_order_by_id, sold["id"]))["status"] == "new"
        site.venue.clock.advance(60)
        await site.until(lambda: len(site.heard) == 2)
        assert (await site.call(client.get_order_by_id, sold["id"]))["filled_avg_price"] == "13.5"
        assert [row["c"] for row in site.heard] == [12.0, 13.0]
        query = {"symbols": "FB", "timeframe": "1Min", "start": "2031-03-04T15:00:00Z"}
        found = await site.call(site.stocks().get, "/stocks/bars", query)
        assert [row["c"] for row in found["bars"]["FB"]] == [10.0, 11.0, 12.0, 13.0]
        assert site.venue.truth().balances == {"USD": Decimal("1000002.5")}

    at_sandbox(scenario, data=path)


def test_minute_meets_who_was_there_and_the_stop_first(
    at_sandbox: Callable[..., None], tmp_path: Path
) -> None:
    """A minute that could meet both exits meets the stop; who came during it gets its close alone."""
    path = minutes(tmp_path / "a.csv", NOW - timedelta(minutes=1), [50.0, 50.0])

    async def scenario(site: Any) -> None:
        client = site.trading()
        body = {"symbol": "FB", "qty": "1", "side": "buy", "time_in_force": "gtc"}
        exits = {"take_profit": {"limit_price": "50.5"}, "stop_loss": {"stop_price": "49.5"}}
        await site.call(client.post, "/orders", {**body, "type": "market"})
        await site.venue.set_price("FB", Decimal(50))
        oco = {"side": "sell", "type": "limit", "order_class": "oco", **exits}
        late = await site.call(client.post, "/orders", {**body, **oco})
        site.venue.clock.advance(60)
        assert (await site.call(client.get_order_by_id, late["id"]))["status"] == "new"
        at = site.venue.now() - timedelta(seconds=1)
        await site.venue.play(Bar("FB", "1m", at, at + timedelta(minutes=1), 50.0, 51.0, 49.0, 50.0, 100.0))
        assert [one.price for one in site.venue.truth().executions] == [50, Decimal("49.5")]

    at_sandbox(scenario, data=path)


def test_day_passes_in_a_moment(at_sandbox: Callable[..., None], tmp_path: Path) -> None:
    """However many minutes come at once, each meets the orders of its own time, up to the close."""
    begin = datetime(2031, 3, 5, 14, 30, tzinfo=UTC)
    path = minutes(tmp_path / "a.csv", begin, [100.0 - number / 10 for number in range(390)])

    async def scenario(site: Any) -> None:
        client, body = site.trading(), {"symbol": "FB", "qty": "1", "side": "buy"}
        site.venue.clock.advance(22 * 3600)
        terms = (
            {"type": "market"},
            {"type": "limit", "limit_price": "62"},
            {"type": "limit", "limit_price": "50"},
        )
        for one in terms:
            await site.call(client.post, "/orders", {**body, **one, "time_in_force": "day"})
        site.venue.clock.advance(12 * 3600)
        found = await site.call(client.get, "/orders", {"status": "all", "direction": "asc"})
        assert [(order["status"], order["filled_avg_price"]) for order in found] == [
            ("filled", "100"),
            ("filled", "62"),
            ("expired", None),
        ]

    at_sandbox(scenario, data=path)


def test_burst_of_a_thousand_orders_meets_the_limit(at_sandbox: Callable[..., None]) -> None:
    """Each is either taken or answered with 429, and the venue has exactly those that were taken."""

    async def scenario(site: Any) -> None:
        client = site.trading()
        client._retry = 0
        answers: list[int] = []
        client._session.hooks["response"] = lambda answer, **_: answers.append(answer.status_code)
        body = {"symbol": "KO", "qty": "1", "side": "buy", "type": "limit", "time_in_force": "gtc"}

        def burst() -> None:
            for _ in range(1000):
                keys = client._get_auth_headers()
                url = f"{site.venue.options()['trading_url']}/v2/orders"
                client._session.post(url, json={**body, "limit_price": "10"}, headers=keys)

        await site.call(burst)
        assert (answers.count(200), answers.count(429)) == (300, 700)
        assert len(site.venue.truth().orders) == 300

    at_sandbox(scenario, quota=300)


def test_command_starts_it_on_loopback(tmp_path: Path) -> None:
    """`alphaweave sandbox alpaca` listens with the symbols of its file until it is interrupted."""
    path = minutes(tmp_path / "a.csv", NOW, [10.0])
    command = [sys.executable, "-m", "alphaweave", "sandbox", "alpaca", "--port", "0", "--data", str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line == "# alpaca sandbox listens. Ctrl-C ends it.\n"
        process.send_signal(signal.SIGINT)
        rest = process.stdout.read()
    assert "FB" in rest
    assert process.returncode == 0
