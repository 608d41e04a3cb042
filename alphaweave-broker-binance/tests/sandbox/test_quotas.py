"""Request weight, order counts, and what becomes of who uses too much."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from binance_common.errors import RateLimitBanError, TooManyRequestsError

from alphaweave.testing.clock import RunningClock
from alphaweave_broker_binance.sandbox.limits import Limits
from alphaweave_broker_binance.sandbox.refusals import Refused

WEIGHTS: tuple[tuple[str, dict[str, Any], int], ...] = (
    ("ping", {}, 1),
    ("time", {}, 1),
    ("exchangeInfo", {}, 20),
    ("klines", {"symbol": "BTCUSDT", "interval": "1m"}, 2),
    ("ticker/bookTicker", {"symbol": "BTCUSDT"}, 2),
    ("ticker/bookTicker", {}, 4),
    ("account", {}, 20),
    ("openOrders", {"symbol": "BTCUSDT"}, 6),
    ("openOrders", {}, 80),
    ("allOrders", {"symbol": "BTCUSDT"}, 20),
    ("myTrades", {"symbol": "BTCUSDT"}, 20),
    ("myTrades", {"symbol": "BTCUSDT", "orderId": 1}, 5),
    ("rateLimit/order", {}, 40),
)
OPEN = {"ping", "time", "exchangeInfo", "klines", "ticker/bookTicker"}


@pytest.mark.parametrize(("name", "params", "weight"), WEIGHTS)
def test_weight_is_counted_and_told(
    at_sandbox: Callable[..., None], name: str, params: dict[str, Any], weight: int
) -> None:
    """Every answer bears what was used in this minute."""

    async def scenario(site: Any) -> None:
        used = [
            (await site.ask("GET", f"/api/v3/{name}", signed=name not in OPEN, **params)).headers[
                "X-MBX-USED-WEIGHT-1M"
            ]
            for _ in range(2)
        ]
        assert [int(text) for text in used] == [weight, 2 * weight]

    at_sandbox(scenario, clock=RunningClock())


def test_orders_that_are_taken_cost_no_weight(at_sandbox: Callable[..., None]) -> None:
    """They are counted as orders instead; a refused one costs its weight, and is not counted."""

    async def scenario(site: Any) -> None:
        reply = await site.order()
        assert reply.headers["X-MBX-USED-WEIGHT-1M"] == "0"
        assert (reply.headers["X-MBX-ORDER-COUNT-10S"], reply.headers["X-MBX-ORDER-COUNT-1D"]) == ("1", "1")
        reply = await site.order(price="50.001")
        assert reply.headers["X-MBX-USED-WEIGHT-1M"] == "1"
        assert "X-MBX-ORDER-COUNT-10S" not in reply.headers
        counts = await site.ask("GET", "/api/v3/rateLimit/order")
        assert [row["count"] for row in counts.body] == [1, 1]

    at_sandbox(scenario, clock=RunningClock())


def test_filled_order_counts_no_more(at_sandbox: Callable[..., None]) -> None:
    """Only unfilled orders do; with too many of them the next is refused until the interval ends."""
    clock = RunningClock()

    async def scenario(site: Any) -> None:
        await site.venue.set_price("ONE", Decimal(100))
        for _ in range(5):
            await site.placed(type="MARKET")
        for _ in range(2):
            await site.placed()
        refused = await site.order()
        assert refused.refusal == (
            429,
            -1015,
            "Too many new orders; current limit is 2 orders per 10 SECOND.",
        )
        assert 1 <= int(refused.headers["Retry-After"]) <= 10
        clock.advance(10)
        await site.placed()

    at_sandbox(scenario, clock=clock, orders_10s=2)


def test_too_much_weight_is_refused_then_banned(at_sandbox: Callable[..., None]) -> None:
    """429 with the seconds to wait; who does not wait is banned, on every channel, and longer each time."""
    clock = RunningClock()

    async def scenario(site: Any) -> None:
        ask = "GET", "/api/v3/time"
        for _ in range(3):
            assert (await site.ask(*ask, signed=False)).status == 200
        refused = [await site.ask(*ask, signed=False) for _ in range(10)]
        assert {reply.refusal[:2] for reply in refused} == {(429, -1003)}
        assert 1 <= int(refused[0].headers["Retry-After"]) <= 60
        banned = await site.ask(*ask, signed=False)
        assert banned.refusal[:2] == (418, -1003)
        assert "IP banned until" in banned.body["msg"]
        assert banned.headers["Retry-After"] == "120"
        with pytest.raises(Exception, match="418"):
            await site.connect()
        clock.advance(121)
        assert (await site.ask(*ask, signed=False)).status == 200

    at_sandbox(scenario, clock=clock, weight=3)


def test_websocket_api_tells_limits_with_every_answer(at_sandbox: Callable[..., None]) -> None:
    """Connecting costs two; errors bear them too; a client may do without."""

    async def scenario(site: Any) -> None:
        socket = await site.connect()
        told = await socket.ask("ping")
        assert told["rateLimits"] == [
            {
                "rateLimitType": "REQUEST_WEIGHT",
                "interval": "MINUTE",
                "intervalNum": 1,
                "limit": 6000,
                "count": 3,
            }
        ]
        wrong = await socket.ask("klines", symbol="NONE", interval="1m")
        assert (wrong["status"], wrong["error"]["code"]) == (400, -1121)
        assert wrong["rateLimits"]
        placed = await socket.ask(
            "order.place",
            signed=True,
            symbol="BTCUSDT",
            side="BUY",
            type="LIMIT",
            timeInForce="GTC",
            quantity="1",
            price="50",
        )
        kinds = [row["rateLimitType"] for row in placed["rateLimits"]]
        assert kinds == ["ORDERS", "ORDERS", "REQUEST_WEIGHT"]
        quiet = await site.connect("/ws-api/v3?returnRateLimits=false")
        assert "rateLimits" not in await quiet.ask("ping")

    at_sandbox(scenario, clock=RunningClock())


def test_requests_are_counted_whatever_they_weigh() -> None:
    """61 000 in five minutes, and not one more."""
    limits = Limits(lambda: 1_000_000, weight=1, orders_10s=1, orders_day=1, connects=1)
    for _ in range(61_000):
        limits.spend("here", 0)
    with pytest.raises(Refused, match="current limit is 61000 requests per 5 MINUTE"):
        limits.spend("here", 0)
    limits.spend("elsewhere", 0)


def test_connections_are_counted(at_sandbox: Callable[..., None]) -> None:
    """Those of the streams with those of the WebSocket API, in five minutes."""
    clock = RunningClock()

    async def scenario(site: Any) -> None:
        await site.connect("/ws")
        await site.connect()
        for path in ("/ws", "/ws-api/v3"):
            with pytest.raises(Exception, match="429"):
                await site.connect(path)
        clock.advance(300)
        await site.connect("/ws")

    at_sandbox(scenario, clock=clock, connects=2)


def test_times_are_milliseconds_or_refused(at_sandbox: Callable[..., None]) -> None:
    """Whoever asks for microseconds is not answered in something else."""

    async def scenario(site: Any) -> None:
        for path in ("/ws?timeUnit=MICROSECOND", "/ws-api/v3?timeUnit=MICROSECOND"):
            with pytest.raises(Exception, match="400"):
                await site.connect(path)
        site.session.headers["X-MBX-TIME-UNIT"] = "MICROSECOND"
        assert (await site.ask("GET", "/api/v3/time", signed=False)).body["code"] == -1130

    at_sandbox(scenario)


def test_sdk_knows_throttle_and_ban(at_sandbox: Callable[..., None]) -> None:
    """Binance's own client raises for each, with the time to wait."""

    async def scenario(site: Any) -> None:
        rest = site.spot().rest_api
        await site.venue.ban(60)
        with pytest.raises(RateLimitBanError) as banned:
            await site.call(rest.time)
        assert banned.value.retry_after in {59, 60}
        await site.venue.ban(0)
        await site.call(rest.time)
        with pytest.raises(TooManyRequestsError):
            await site.call(rest.exchange_info)

    at_sandbox(scenario, weight=20, clock=RunningClock())
