"""What is asked of the venue: orders, trades, prices and terms, page by page, and what it does not answer."""

from __future__ import annotations

import sys
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from alphaweave.core.clock import SystemClock
from alphaweave.core.errors import RunRefused
from alphaweave.live.adapters.base import Services
from alphaweave.live.registry import Registry
from alphaweave.testing.clock import RunningClock
from alphaweave.testing.sandbox import Action, Fault

DAY = 86_400_000


async def ask(site: Any, name: str, **params: Any) -> Any:
    """The body of an answer about BTCUSDT."""
    return (await site.ask("GET", f"/api/v3/{name}", symbol="BTCUSDT", **params)).body


def test_orders_and_trades_are_paged(at_sandbox: Callable[..., None]) -> None:
    """From an id or a time the first ones, else the last ones; bounds are included."""
    clock = RunningClock()

    async def scenario(site: Any) -> None:
        await site.venue.set_price("ONE", Decimal(100))
        for _ in range(4):
            await site.placed(type="MARKET")
            clock.advance(60)

        async def orders(**params: Any) -> list[int]:
            return [row["orderId"] for row in await ask(site, "allOrders", **params)]

        async def trades(**params: Any) -> list[int]:
            return [row["orderId"] for row in await ask(site, "myTrades", **params)]

        first = (await ask(site, "myTrades"))[0]["id"]
        for found, name in ((orders, "allOrders"), (trades, "myTrades")):
            # An order is there a moment before it is executed.
            times = [row["time"] for row in await ask(site, name)]
            assert await found() == [1, 2, 3, 4]
            assert await found(limit=2) == [3, 4]
            assert await found(startTime=times[1], limit=2) == [2, 3]
            assert await found(startTime=times[1], endTime=times[2]) == [2, 3]
            assert await found(endTime=times[1]) == [1, 2]
        assert await orders(orderId=2, limit=2) == [2, 3]
        assert await trades(fromId=first + 1, limit=2) == [2, 3]
        assert await trades(orderId=3) == [3]
        assert (await ask(site, "allOrders", startTime=0, endTime=DAY + 1))["code"] == -1127
        assert (await ask(site, "myTrades", fromId=1, startTime=0))["code"] == -1128
        assert (await ask(site, "myTrades", limit=0))["code"] == -1130

    at_sandbox(scenario, clock=clock)


def test_order_is_named_by_an_id(at_sandbox: Callable[..., None]) -> None:
    """By either; both have to be of one order; one that never was does not exist."""

    async def scenario(site: Any) -> None:
        await site.placed(newClientOrderId="one", strategyId=7, strategyType=1_000_001)
        found = await ask(site, "order", orderId=1, origClientOrderId="one")
        assert (found["strategyId"], found["strategyType"]) == (7, 1_000_001)
        assert (await ask(site, "order", orderId=1, origClientOrderId="two"))["code"] == -2039
        assert (await ask(site, "order", orderId=2))["code"] == -2013
        assert (await ask(site, "order"))["code"] == -1102
        none = await site.ask("GET", "/api/v3/orderList", orderListId=1)
        assert none.refusal == (400, -2018, "Order list does not exist.")
        gone = await site.ask("DELETE", "/api/v3/order", symbol="BTCUSDT")
        assert gone.body["code"] == -1102
        lists = await site.ask("DELETE", "/api/v3/orderList", symbol="BTCUSDT", orderListId=9)
        assert lists.refusal == (400, -2011, "Unknown order list sent.")

    at_sandbox(scenario)


def test_prices_and_commissions_are_told(at_sandbox: Callable[..., None]) -> None:
    """Of one symbol, of some, of all."""

    async def scenario(site: Any) -> None:
        await site.venue.set_price("ONE", Decimal(100))
        one = await site.ask("GET", "/api/v3/ticker/price", signed=False, symbol="BTCUSDT")
        assert one.body == {"symbol": "BTCUSDT", "price": "100.00000000"}
        some = await site.ask("GET", "/api/v3/ticker/price", signed=False, symbols='["BTCUSDT"]')
        assert some.body == [one.body]
        every = await site.ask("GET", "/api/v3/ticker/price", signed=False)
        assert {row["symbol"] for row in every.body} >= {"BTCUSDT", "ETHUSDT", "BNBUSDT"}
        wrong = await site.ask("GET", "/api/v3/ticker/price", signed=False, symbols="BTCUSDT")
        assert wrong.body["code"] == -1100
        rates = (await ask(site, "account/commission"))["standardCommission"]
        assert (rates["maker"], rates["taker"]) == ("0.00020000", "0.00100000")
        account = (await site.ask("GET", "/api/v3/account")).body
        assert (account["makerCommission"], account["takerCommission"]) == (2, 10)
        odd = await site.ask("GET", "/api/v3/account", omitZeroBalances="perhaps")
        assert odd.body["code"] == -1100

    at_sandbox(scenario, maker=Decimal("0.0002"))


def test_maker_pays_the_makers_rate(at_sandbox: Callable[..., None]) -> None:
    """An order that rested, not one that took."""

    async def scenario(site: Any) -> None:
        await site.venue.set_price("ONE", Decimal(100))
        await site.placed(price="90")
        await site.venue.set_price("ONE", Decimal(89))
        await site.placed(price="90")
        rows = await ask(site, "myTrades")
        assert [(row["isMaker"], row["price"], row["commission"]) for row in rows] == [
            (True, "90.00000000", "0.00020000"),
            (False, "89.00000000", "0.00100000"),
        ]

    at_sandbox(scenario, maker=Decimal("0.0002"), bnb=Decimal(0))


def test_lists_are_bounded_and_named_once(at_sandbox: Callable[..., None]) -> None:
    """So many are at work in a symbol; a client id of one that works is taken."""

    async def scenario(site: Any) -> None:
        await site.venue.set_price("ONE", Decimal(100))
        await site.venue.move_position("ONE", Decimal(5))
        pair = site.venue.venue.pairs["BTCUSDT"]
        pair.max_lists = 1
        oco = {
            "symbol": "BTCUSDT",
            "side": "SELL",
            "quantity": "1",
            "aboveType": "LIMIT_MAKER",
            "abovePrice": "120",
            "belowType": "STOP_LOSS",
            "belowStopPrice": "80",
            "listClientOrderId": "both",
        }
        assert (await site.ask("POST", "/api/v3/orderList/oco", **oco)).status == 200
        full = await site.ask("POST", "/api/v3/orderList/oco", **oco)
        assert full.refusal == (400, -1013, "Filter failure: MAX_NUM_ORDER_LISTS")
        pair.max_lists = 2
        twice = await site.ask("POST", "/api/v3/orderList/oco", **oco)
        assert twice.refusal == (400, -2010, "Duplicate order sent.")
        gone = await site.ask("DELETE", "/api/v3/openOrders", symbol="BTCUSDT")
        assert [row["listClientOrderId"] for row in gone.body] == ["both"]

    at_sandbox(scenario)


def test_amendments_are_bounded(at_sandbox: Callable[..., None]) -> None:
    """In number, and to the steps of the symbol."""

    async def scenario(site: Any) -> None:
        await site.placed(quantity="3")
        site.venue.venue.pairs["BTCUSDT"].max_amends = 1
        path, names = "/api/v3/order/amend/keepPriority", {"symbol": "BTCUSDT", "orderId": 1}
        odd = await site.ask("PUT", path, **names, newQty="2.000001")
        assert odd.refusal == (400, -1013, "Filter failure: LOT_SIZE")
        assert (await site.ask("PUT", path, **names)).body["code"] == -1102
        assert (await site.ask("PUT", path, **names, newQty="2")).status == 200
        again = await site.ask("PUT", path, **names, newQty="1")
        assert again.refusal == (400, -1013, "Filter failure: MAX_NUM_ORDER_AMENDS")

    at_sandbox(scenario)


def test_trailing_begins_where_it_is_told(at_sandbox: Callable[..., None]) -> None:
    """With a stop price it follows from there on, and not before."""

    async def scenario(site: Any) -> None:
        await site.venue.set_price("ONE", Decimal(100))
        await site.venue.move_position("ONE", Decimal(1))
        await site.placed(type="TAKE_PROFIT", side="SELL", stopPrice="110", trailingDelta="500")
        for price in (104, 99, 106):
            await site.venue.set_price("ONE", Decimal(price))
        (waiting,) = (await site.ask("GET", "/api/v3/openOrders")).body
        assert (waiting["trailingDelta"], "trailingTime" in waiting) == (500, False)
        await site.venue.set_price("ONE", Decimal(111))
        (following,) = (await site.ask("GET", "/api/v3/openOrders")).body
        assert "trailingTime" in following
        await site.venue.set_price("ONE", Decimal(108))
        assert not site.venue.truth().executions
        await site.venue.set_price("ONE", Decimal(114))
        (execution,) = site.venue.truth().executions
        assert execution.price == Decimal(114)

    at_sandbox(scenario)


@pytest.mark.parametrize(
    ("action", "status", "code"),
    [(Action.CANCEL, 400, -2011), (Action.REPLACE, 400, -2022), (Action.QUERY, 401, -2015)],
)
def test_each_kind_of_request_is_refused_in_its_words(
    at_sandbox: Callable[..., None], action: Action, status: int, code: int
) -> None:
    """What a fault refuses reads as the venue's own refusal, and nothing is done."""

    async def scenario(site: Any) -> None:
        await site.placed(newClientOrderId="one")
        await site.venue.arm(action, Fault.REJECT)
        names = {"symbol": "BTCUSDT", "origClientOrderId": "one"}
        match action:
            case Action.CANCEL:
                reply = await site.ask("DELETE", "/api/v3/order", **names)
            case Action.REPLACE:
                reply = await site.ask("PUT", "/api/v3/order/amend/keepPriority", **names, newQty="0.5")
                assert reply.body["data"]["newOrderResult"] == "NOT_ATTEMPTED"
            case _:
                reply = await site.ask("GET", "/api/v3/order", **names)
        assert reply.refusal[:2] == (status, code)
        assert (await site.ask("GET", "/api/v3/order", **names)).body["status"] == "NEW"

    at_sandbox(scenario)


def test_websocket_api_tells_a_half_done_replacement(at_sandbox: Callable[..., None]) -> None:
    """409 and -2021, with what was done and what not."""

    async def scenario(site: Any) -> None:
        await site.placed(newClientOrderId="old")
        await site.venue.break_replacements()
        socket = await site.connect()
        told = await socket.ask(
            "order.cancelReplace",
            signed=True,
            symbol="BTCUSDT",
            side="BUY",
            type="LIMIT",
            timeInForce="GTC",
            quantity="1",
            price="60",
            cancelReplaceMode="STOP_ON_FAILURE",
            cancelOrigClientOrderId="old",
        )
        assert (told["status"], told["error"]["code"]) == (409, -2021)
        assert told["error"]["data"]["cancelResponse"]["status"] == "CANCELED"

    at_sandbox(scenario)


def test_websocket_api_answers_for_its_sessions(at_sandbox: Callable[..., None]) -> None:
    """Who is logged on, and which subscriptions there are."""

    async def scenario(site: Any) -> None:
        socket = await site.connect()
        assert (await socket.ask("session.status"))["result"]["apiKey"] is None
        assert (await socket.ask("userDataStream.subscribe"))["error"]["code"] == -2015
        await socket.ask("session.logon", signed=True)
        assert (await socket.ask("session.status"))["result"]["apiKey"] == site.key
        await socket.ask("userDataStream.subscribe")
        assert (await socket.ask("session.subscriptions"))["result"] == [{"subscriptionId": 0}]
        wrong = await socket.ask("userDataStream.unsubscribe", subscriptionId=3)
        assert wrong["error"]["code"] == -2036

    at_sandbox(scenario, keys="ed25519")


@pytest.mark.parametrize("message", ["{", "[]", "7", '{"id": 1}', '{"id": 1, "method": "ping", "params": 7}'])
def test_websocket_message_that_is_none_is_refused(at_sandbox: Callable[..., None], message: str) -> None:
    """The connection stays; a method that is none is refused as well, under its id."""

    async def scenario(site: Any) -> None:
        socket = await site.connect()
        await socket.wire.send_str(message)
        await site.until(lambda: socket.heard)
        assert (socket.heard[0]["id"], socket.heard[0]["error"]["code"]) == (None, -1000)
        socket.count = 9
        unknown = await socket.ask("userDataStream.start")
        assert (unknown["status"], unknown["error"]["code"]) == (400, -1000)

    at_sandbox(scenario)


def test_path_that_is_none_is_not_found(at_sandbox: Callable[..., None]) -> None:
    """The listen key, which Binance has removed, too."""

    async def scenario(site: Any) -> None:
        reply = await site.raw("POST", "/api/v3/userDataStream")
        assert (reply.status, reply.body[:6]) == (404, "<html>")

    at_sandbox(scenario)


def test_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """With what to install; another missing module is not taken for it."""
    plugin = Registry().sandbox("binance")
    options = plugin.options()
    for name in [name for name in sys.modules if name.startswith("alphaweave_broker_binance.sandbox.")]:
        if name.rpartition(".")[2] in {
            "control",
            "lines",
            "server",
            "ws_api",
            "market_stream",
            "user_stream",
        }:
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "aiohttp", None)
    with pytest.raises(RunRefused, match=r"pip install 'alphaweave-broker-binance\[sandbox\]'"):
        plugin.create(options, Services(clock=SystemClock()))
