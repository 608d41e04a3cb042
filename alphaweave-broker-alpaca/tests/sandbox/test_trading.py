"""Alpaca's own clients trade on the sandbox, with plain dictionaries and with their models."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from alpaca.common.enums import Sort
from alpaca.trading.enums import OrderSide, QueryOrderStatus, TimeInForce
from alpaca.trading.requests import (
    GetOrdersRequest,
    LimitOrderRequest,
    MarketOrderRequest,
    ReplaceOrderRequest,
)

ORDER_KEYS = {
    "asset_class",
    "asset_id",
    "canceled_at",
    "client_order_id",
    "created_at",
    "expired_at",
    "expires_at",
    "extended_hours",
    "failed_at",
    "filled_at",
    "filled_avg_price",
    "filled_qty",
    "hwm",
    "id",
    "legs",
    "limit_price",
    "notional",
    "order_class",
    "order_type",
    "position_intent",
    "qty",
    "replaced_at",
    "replaced_by",
    "replaces",
    "side",
    "source",
    "status",
    "stop_price",
    "submitted_at",
    "subtag",
    "symbol",
    "time_in_force",
    "trail_percent",
    "trail_price",
    "type",
    "updated_at",
}


def body(**changes: Any) -> dict[str, Any]:
    """The body of a small limit order."""
    plain = {"symbol": "KO", "qty": "2", "side": "buy", "type": "limit", "time_in_force": "gtc"}
    return {**plain, "limit_price": "50", **changes}


def test_models_of_the_client_library_trade(at_sandbox: Callable[..., None]) -> None:
    """A market order is filled, told on the stream, and found wherever one asks."""

    async def scenario(site: Any) -> None:
        client = site.trading(raw=False)
        await site.venue.set_price("PART", Decimal("60.5"))
        await site.listen(raw=False)
        request = MarketOrderRequest(symbol="KO", qty=3, side=OrderSide.BUY, time_in_force=TimeInForce.DAY)
        sent = await site.call(client.submit_order, request)
        await site.until(lambda: len(site.heard) == 3)
        assert [str(update.event) for update in site.heard] == ["pending_new", "new", "fill"]
        fill = site.heard[-1]
        assert (fill.qty, fill.price, fill.position_qty, fill.order.id) == (3, 60.5, 3, sent.id)
        found = await site.call(client.get_order_by_id, sent.id)
        assert (found.status.value, found.filled_qty, found.filled_avg_price) == ("filled", "3", "60.5")
        (position,) = await site.call(client.get_all_positions)
        assert (position.symbol, position.qty, position.side.value) == ("KO", "3", "long")
        account = await site.call(client.get_account)
        assert account.cash == "999818.5"
        assert site.venue.truth().balances == {"USD": Decimal("999818.5")}
        activities = await site.call(client.get, "/account/activities/FILL")
        assert [(one["order_id"], one["qty"], one["price"]) for one in activities] == [
            (str(sent.id), "3", "60.5")
        ]

    at_sandbox(scenario)


def test_order_bears_every_recorded_key(at_sandbox: Callable[..., None]) -> None:
    """What POST answers has the keys of a recorded order, money as strings, and a status that waits."""

    async def scenario(site: Any) -> None:
        client = site.trading()
        sent = await site.call(client.post, "/orders", body(client_order_id="one"))
        assert set(sent) == ORDER_KEYS
        assert (sent["status"], sent["qty"], sent["limit_price"]) == ("pending_new", "2", "50")
        assert (sent["order_class"], sent["filled_qty"], sent["notional"]) == ("", "0", None)
        found = await site.call(client.get_order_by_client_id, "one")
        assert (found["id"], found["status"]) == (sent["id"], "new")

    at_sandbox(scenario)


def test_activity_and_stream_name_an_execution_differently(at_sandbox: Callable[..., None]) -> None:
    """The FILL activity of an execution has an id that does not contain the stream's."""

    async def scenario(site: Any) -> None:
        client = site.trading()
        await site.listen()
        await site.venue.set_price("PART", Decimal(50))
        await site.call(client.post, "/orders", body())
        await site.until(lambda: len(site.heard) == 3)
        execution = site.heard[-1]["data"]["execution_id"]
        (activity,) = await site.call(client.get, "/account/activities/FILL")
        assert activity["id"].startswith("20310304103")
        assert execution not in activity["id"]

    at_sandbox(scenario)


def test_notional_order_is_filled_to_nine_digits(at_sandbox: Callable[..., None]) -> None:
    """An order in dollars keeps no qty, and buys as much as the dollars carry."""

    async def scenario(site: Any) -> None:
        client = site.trading(raw=False)
        await site.venue.set_price("PART", Decimal("87.05"))
        request = MarketOrderRequest(
            symbol="KO", notional=5, side=OrderSide.BUY, time_in_force=TimeInForce.DAY
        )
        sent = await site.call(client.submit_order, request)
        found = await site.call(client.get_order_by_id, sent.id)
        assert (found.qty, found.filled_qty, found.status.value) == (None, "0.057438253", "filled")

    at_sandbox(scenario)


def test_cancel_answers_nothing_and_is_told(at_sandbox: Callable[..., None]) -> None:
    """DELETE answers 204 without a body; the stream says that the order is cancelled; a second one is 422."""

    async def scenario(site: Any) -> None:
        client = site.trading()
        await site.listen()
        sent = await site.call(client.post, "/orders", body())
        await site.call(client.cancel_order_by_id, sent["id"])
        await site.until(lambda: len(site.heard) == 4)
        assert [one["data"]["event"] for one in site.heard][-2:] == ["pending_cancel", "canceled"]
        error = await site.refused(client.cancel_order_by_id, sent["id"])
        assert error.status_code == 422
        assert 'order is already in \\"canceled\\" state' in str(error)

    at_sandbox(scenario)


def test_replacement_is_another_order(at_sandbox: Callable[..., None]) -> None:
    """PATCH makes an order with an id of its own, each of the two names the other, and qty is the total."""

    async def scenario(site: Any) -> None:
        client = site.trading(raw=False)
        request = LimitOrderRequest(
            symbol="KO",
            qty=4,
            side=OrderSide.BUY,
            time_in_force=TimeInForce.GTC,
            limit_price=50,
            client_order_id="a",
        )
        old = await site.call(client.submit_order, request)
        await site.venue.fill("a", Decimal(1))
        new = await site.call(
            client.replace_order_by_id,
            old.id,
            ReplaceOrderRequest(qty=3, limit_price=51, client_order_id="b"),
        )
        before = await site.call(client.get_order_by_id, old.id)
        assert (before.status.value, before.replaced_by, new.replaces) == ("replaced", new.id, old.id)
        await site.venue.fill("b")
        after = await site.call(client.get_order_by_id, new.id)
        assert (after.status.value, after.qty, after.filled_qty) == ("filled", "3", "3")
        assert sum(one.size for one in site.venue.truth().executions) == 3

    at_sandbox(scenario)


def test_listing_takes_filters(at_sandbox: Callable[..., None]) -> None:
    """Orders are listed by status, symbol, time and direction; open is what is asked for by default."""

    async def scenario(site: Any) -> None:
        client = site.trading(raw=False)
        raw = site.trading()
        ids = [(await site.call(raw.post, "/orders", body()))["id"] for _ in range(3)]
        await site.call(raw.cancel_order_by_id, ids[1])
        assert [str(order.id) for order in await site.call(client.get_orders)] == [ids[2], ids[0]]
        closed = await site.call(client.get_orders, GetOrdersRequest(status=QueryOrderStatus.CLOSED))
        assert [str(order.id) for order in closed] == [ids[1]]
        first = site.venue.venue.order(ids[0])
        everything = GetOrdersRequest(
            status=QueryOrderStatus.ALL,
            after=first.wire()["submitted_at"],
            direction=Sort.ASC,
            symbols=["KO"],
            limit=1,
        )
        assert [str(order.id) for order in await site.call(client.get_orders, everything)] == [ids[1]]

    at_sandbox(scenario)


def test_positions_are_closed_by_orders(at_sandbox: Callable[..., None]) -> None:
    """DELETE of a position sells it; of all, it answers 207 with a row for each."""

    async def scenario(site: Any) -> None:
        client = site.trading()
        await site.venue.set_price("PART", Decimal(60))
        await site.call(client.post, "/orders", body(limit_price="60"))
        closing = await site.call(client.delete, "/positions/KO", {"qty": "0.5"})
        assert (closing["side"], closing["qty"]) == ("sell", "0.5")
        (row,) = await site.call(client.close_all_positions, cancel_orders=True)
        assert (row["symbol"], row["status"], row["body"]["qty"]) == ("KO", 200, "1.5")
        assert await site.call(client.get_all_positions) == []
        error = await site.refused(client.get_open_position, "KO")
        assert (error.status_code, error.code, error.message) == (404, 40410000, "position does not exist")

    at_sandbox(scenario)


def test_all_orders_are_cancelled_at_once(at_sandbox: Callable[..., None]) -> None:
    """DELETE of all orders answers 207 and names each."""

    async def scenario(site: Any) -> None:
        client = site.trading()
        sent = [await site.call(client.post, "/orders", body()) for _ in range(2)]
        rows = await site.call(client.cancel_orders)
        assert rows == [{"id": order["id"], "status": 200} for order in sent]
        assert await site.call(client.get_orders) == []

    at_sandbox(scenario)


def test_crypto_trades_around_the_clock(at_sandbox: Callable[..., None]) -> None:
    """A pair is bought with its own step and time in force."""

    async def scenario(site: Any) -> None:
        client = site.trading(raw=False)
        await site.venue.set_price("BTC/USD", Decimal(90000))
        request = MarketOrderRequest(
            symbol="BTC/USD", qty=0.0003, side=OrderSide.BUY, time_in_force=TimeInForce.GTC
        )
        sent = await site.call(client.submit_order, request)
        found = await site.call(client.get_order_by_id, sent.id)
        assert (found.status.value, found.filled_qty) == ("filled", "0.0003")
        asset = await site.call(client.get_asset, "BTC%2FUSD")
        assert (asset.symbol, asset.min_trade_increment) == ("BTC/USD", 1e-9)
        (position,) = await site.call(client.get_all_positions)
        assert (position.symbol, position.qty) == ("BTCUSD", "0.00029925")

    at_sandbox(scenario)
