"""Brackets, OCO and OTO: what waits for what, and what ends what."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from alpaca.trading.enums import OrderClass, OrderSide, TimeInForce
from alpaca.trading.requests import LimitOrderRequest, StopLossRequest, TakeProfitRequest


def bracket() -> LimitOrderRequest:
    """Buys four at fifty, sells them at sixty or at forty."""
    return LimitOrderRequest(
        symbol="KO",
        qty=4,
        side=OrderSide.BUY,
        time_in_force=TimeInForce.GTC,
        limit_price=50,
        order_class=OrderClass.BRACKET,
        take_profit=TakeProfitRequest(limit_price=60),
        stop_loss=StopLossRequest(stop_price=40),
    )


async def statuses(site: Any, client: Any, sent: Any) -> list[str]:
    """Where the orders of a group stand: entry, target, stop."""
    ids = [sent.id, *(leg.id for leg in sent.legs)]
    return [(await site.call(client.get_order_by_id, one)).status.value for one in ids]


def test_bracket_waits_for_its_whole_entry(at_sandbox: Callable[..., None]) -> None:
    """The exits are held until the entry is completely filled; then the target works, the stop is held."""

    async def scenario(site: Any) -> None:
        client = site.trading(raw=False)
        sent = await site.call(client.submit_order, bracket())
        assert [leg.type.value for leg in sent.legs] == ["limit", "stop"]
        entry = site.venue.truth().orders[0].client_order_id
        await site.venue.fill(entry, Decimal(1))
        await site.venue.set_price("PART", Decimal(60))
        assert await statuses(site, client, sent) == ["partially_filled", "held", "held"]
        await site.venue.set_price("PART", Decimal(51))
        await site.venue.set_price("PART", Decimal(50))
        assert await statuses(site, client, sent) == ["filled", "new", "held"]

    at_sandbox(scenario)


def test_one_exit_ends_the_other(at_sandbox: Callable[..., None]) -> None:
    """When the target is filled the stop is cancelled, and the other way round."""

    async def scenario(site: Any) -> None:
        client = site.trading(raw=False)
        for price, ended in ((60, ["filled", "filled", "canceled"]), (39, ["filled", "canceled", "filled"])):
            await site.venue.set_price("PART", Decimal(50))
            sent = await site.call(client.submit_order, bracket())
            await site.venue.set_price("PART", Decimal(price))
            assert await statuses(site, client, sent) == ended
        assert not site.venue.truth().positions

    at_sandbox(scenario)


def test_part_of_an_exit_leaves_less_for_the_other(at_sandbox: Callable[..., None]) -> None:
    """A target that is partly filled makes the stop smaller by as much."""

    async def scenario(site: Any) -> None:
        client = site.trading(raw=False)
        await site.venue.set_price("PART", Decimal(50))
        sent = await site.call(client.submit_order, bracket())
        target = next(
            order for order in site.venue.truth().orders if order.venue_order_id == str(sent.legs[0].id)
        )
        await site.venue.fill(target.client_order_id, Decimal(3))
        stop = await site.call(client.get_order_by_id, sent.legs[1].id)
        assert (stop.qty, stop.status.value) == ("1", "held")

    at_sandbox(scenario)


def test_cancel_of_one_cancels_all(at_sandbox: Callable[..., None]) -> None:
    """The entry takes its exits along."""

    async def scenario(site: Any) -> None:
        client = site.trading(raw=False)
        sent = await site.call(client.submit_order, bracket())
        await site.call(client.cancel_order_by_id, sent.id)
        assert await statuses(site, client, sent) == ["canceled"] * 3

    at_sandbox(scenario)


def test_legs_are_orders_unless_nested(at_sandbox: Callable[..., None]) -> None:
    """A listing has three orders, or one with two legs; a leg bears an id that nobody gave it."""

    async def scenario(site: Any) -> None:
        client = site.trading()
        sent = await site.call(site.trading(raw=False).submit_order, bracket())
        flat = await site.call(client.get, "/orders")
        assert {order["id"] for order in flat} == {str(sent.id), *(str(leg.id) for leg in sent.legs)}
        assert [order["legs"] for order in flat] == [None] * 3
        (parent,) = await site.call(client.get, "/orders", {"nested": True})
        assert [leg["id"] for leg in parent["legs"]] == [str(leg.id) for leg in sent.legs]
        assert len({order["client_order_id"] for order in flat}) == 3

    at_sandbox(scenario)


def test_oco_protects_a_position(at_sandbox: Callable[..., None]) -> None:
    """The target is the parent, the stop its leg; without a position both are refused."""

    async def scenario(site: Any) -> None:
        client = site.trading(raw=False)
        await site.venue.set_price("PART", Decimal(50))
        request = LimitOrderRequest(
            symbol="KO",
            qty=4,
            side=OrderSide.SELL,
            time_in_force=TimeInForce.GTC,
            limit_price=60,
            order_class=OrderClass.OCO,
            take_profit=TakeProfitRequest(limit_price=60),
            stop_loss=StopLossRequest(stop_price=40, limit_price=38),
        )
        error = await site.refused(client.submit_order, request)
        assert error.status_code == 403
        await site.call(
            client.submit_order,
            bracket().model_copy(update={"order_class": None, "take_profit": None, "stop_loss": None}),
        )
        sent = await site.call(client.submit_order, request)
        assert (sent.type.value, sent.legs[0].type.value, sent.legs[0].status.value) == (
            "limit",
            "stop_limit",
            "held",
        )
        await site.venue.set_price("PART", Decimal("39.5"))
        assert await statuses(site, client, sent) == ["canceled", "filled"]
        assert site.venue.truth().executions[-1].price == Decimal("39.5")

    at_sandbox(scenario)


def test_stop_is_met_only_with_its_whole_entry(at_sandbox: Callable[..., None]) -> None:
    """A price that is below the stop fills the entry; while a part of that was missing, it met no stop."""

    async def scenario(site: Any) -> None:
        client = site.trading()
        body = {"symbol": "KO", "qty": "4", "side": "sell", "type": "limit", "time_in_force": "gtc"}
        exits = {"take_profit": {"limit_price": "40"}, "stop_loss": {"stop_price": "70"}}
        short = {**body, "limit_price": "60", "order_class": "bracket", **exits, "client_order_id": "one"}
        sent = await site.call(client.post, "/orders", short)
        await site.venue.fill("one", Decimal(1))
        site.venue.venue.order(sent["id"]).limit_price = Decimal(90)
        await site.venue.set_price("PART", Decimal(75))
        assert len(site.venue.truth().executions) == 1
        await site.venue.fill("one")
        await site.venue.set_price("PART", Decimal(70))
        assert [(one.side.value, one.size) for one in site.venue.truth().executions] == [
            ("sell", 1),
            ("sell", 3),
            ("buy", 4),
        ]

    at_sandbox(scenario)


def test_stop_to_buy_buys_only_so_far_above(at_sandbox: Callable[..., None]) -> None:
    """It is worked as a stop limit: two and a half percent above the stop, four below fifty dollars."""

    async def scenario(site: Any) -> None:
        client = site.trading()
        for stop, beyond, within in (("60", "61.51", "61.5"), ("40", "41.61", "41.6")):
            body = {"symbol": "KO", "qty": "1", "side": "buy", "type": "stop", "time_in_force": "day"}
            sent = await site.call(client.post, "/orders", {**body, "stop_price": stop})
            await site.venue.set_price("PART", Decimal(beyond))
            assert (await site.call(client.get_order_by_id, sent["id"]))["status"] == "new"
            await site.venue.set_price("PART", Decimal(within))
            assert (await site.call(client.get_order_by_id, sent["id"]))["filled_avg_price"] == within
            await site.venue.set_price("PART", Decimal(1))

    at_sandbox(scenario)


def test_trailing_stop_follows_the_market(at_sandbox: Callable[..., None]) -> None:
    """Its high-water mark rises with the price, and it sells below it by the distance."""

    async def scenario(site: Any) -> None:
        client = site.trading()
        await site.venue.set_price("PART", Decimal(50))
        trailing = {"type": "trailing_stop", "trail_price": "2", "side": "sell", "time_in_force": "day"}
        await site.call(
            client.post,
            "/orders",
            {"symbol": "KO", "qty": "1", **trailing, "side": "buy", "type": "market", "trail_price": None},
        )
        sent = await site.call(client.post, "/orders", {"symbol": "KO", "qty": "1", **trailing})
        for price in ("55", "53.5"):
            await site.venue.set_price("PART", Decimal(price))
        found = await site.call(client.get_order_by_id, sent["id"])
        assert (found["hwm"], found["status"]) == ("55", "new")
        await site.venue.set_price("PART", Decimal(53))
        found = await site.call(client.get_order_by_id, sent["id"])
        assert (found["filled_avg_price"], found["status"]) == ("53", "filled")

    at_sandbox(scenario)
