"""Replacement, which can be half done, and the amendment that keeps its place."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from binance_common.errors import ClientError

from alphaweave.core.order import OrderStatus


async def replaced(site: Any, **changes: Any) -> Any:
    """The answer to a replacement of the order ``old`` by one at 60."""
    terms = {
        "symbol": "BTCUSDT",
        "side": "BUY",
        "type": "LIMIT",
        "timeInForce": "GTC",
        "quantity": "1",
        "price": "60",
        "cancelReplaceMode": "STOP_ON_FAILURE",
        "cancelOrigClientOrderId": "old",
        "newClientOrderId": "new",
    }
    return await site.ask("POST", "/api/v3/order/cancelReplace", **{**terms, **changes})


def statuses(site: Any) -> dict[str, OrderStatus]:
    return {order.client_order_id: order.status for order in site.venue.truth().orders}


def test_replacement_cancels_and_places(at_sandbox: Callable[..., None]) -> None:
    """Both answers are in one, and the requests name both orders, the new one last."""

    async def scenario(site: Any) -> None:
        await site.venue.set_price("ONE", Decimal(100))
        await site.placed(newClientOrderId="old")
        reply = await replaced(site, cancelNewClientOrderId="the-cancel")
        assert reply.status == 200
        assert (reply.body["cancelResult"], reply.body["newOrderResult"]) == ("SUCCESS", "SUCCESS")
        assert reply.body["cancelResponse"]["origClientOrderId"] == "old"
        assert reply.body["cancelResponse"]["clientOrderId"] == "the-cancel"
        assert reply.body["newOrderResponse"]["status"] == "NEW"
        assert statuses(site) == {"old": OrderStatus.CANCELLED, "new": OrderStatus.ACCEPTED}
        assert site.venue.requests[-1].client_order_ids == ("old", "new")

    at_sandbox(scenario)


def test_replacement_is_half_done(at_sandbox: Callable[..., None]) -> None:
    """The old order is gone and the new one refused: 409, and what is which is in ``data``."""

    async def scenario(site: Any) -> None:
        await site.venue.set_price("ONE", Decimal(100))
        await site.placed(newClientOrderId="old")
        await site.venue.break_replacements()
        reply = await replaced(site)
        assert reply.refusal == (409, -2021, "Order cancel-replace partially failed.")
        data = reply.body["data"]
        assert (data["cancelResult"], data["newOrderResult"]) == ("SUCCESS", "FAILURE")
        assert data["cancelResponse"]["status"] == "CANCELED"
        assert data["newOrderResponse"]["code"] == -2010
        assert statuses(site) == {"old": OrderStatus.CANCELLED}
        again = await replaced(site)
        assert again.refusal == (400, -2022, "Order cancel-replace failed.")

    at_sandbox(scenario)


def test_engine_may_refuse_the_new_order_alone(at_sandbox: Callable[..., None]) -> None:
    """Funds are looked at once the old order is gone."""

    async def scenario(site: Any) -> None:
        await site.venue.set_price("ONE", Decimal(100))
        await site.placed(newClientOrderId="old")
        reply = await replaced(site, quantity="5000", price="400")
        assert (reply.status, reply.body["code"]) == (409, -2021)
        filtered = await replaced(site, price="60.001")
        assert filtered.refusal == (400, -1013, "Filter failure: PRICE_FILTER")

    at_sandbox(scenario)


@pytest.mark.parametrize(
    ("mode", "status", "code", "new"),
    [("STOP_ON_FAILURE", 400, -2022, "NOT_ATTEMPTED"), ("ALLOW_FAILURE", 409, -2021, "SUCCESS")],
)
def test_old_order_that_has_ended(
    at_sandbox: Callable[..., None], mode: str, status: int, code: int, new: str
) -> None:
    """Whether the new one is placed all the same is the client's to say."""

    async def scenario(site: Any) -> None:
        await site.venue.set_price("ONE", Decimal(100))
        await site.placed(newClientOrderId="old", price="100")
        reply = await replaced(site, cancelReplaceMode=mode)
        assert (reply.status, reply.body["code"]) == (status, code)
        data = reply.body["data"]
        assert (data["cancelResult"], data["newOrderResult"]) == ("FAILURE", new)
        assert data["cancelResponse"] == {"code": -2011, "msg": "Unknown order sent."}
        assert ("new" in statuses(site)) is (new == "SUCCESS")

    at_sandbox(scenario)


def test_cancel_restrictions_hold_an_order_back(at_sandbox: Callable[..., None]) -> None:
    """An order that is partly filled is not cancelled by who wants a new one."""

    async def scenario(site: Any) -> None:
        await site.placed(newClientOrderId="old", quantity="2")
        await site.venue.fill("old", Decimal(1))
        names = {"symbol": "BTCUSDT", "origClientOrderId": "old"}
        refused = await site.ask("DELETE", "/api/v3/order", **names, cancelRestrictions="ONLY_NEW")
        assert refused.refusal == (400, -2011, "Order was not canceled due to cancel restrictions.")
        gone = await site.ask("DELETE", "/api/v3/order", **names, cancelRestrictions="ONLY_PARTIALLY_FILLED")
        assert gone.body["status"] == "CANCELED"

    at_sandbox(scenario)


def test_sdk_loses_what_a_half_done_replacement_says(at_sandbox: Callable[..., None]) -> None:
    """Its error has no code, while the body that it threw away has all there is to know."""

    async def scenario(site: Any) -> None:
        await site.placed(newClientOrderId="old")
        await site.venue.break_replacements()
        rest = site.spot().rest_api
        with pytest.raises(ClientError) as caught:
            await site.call(
                rest.order_cancel_replace,
                symbol="BTCUSDT",
                side="BUY",
                type="LIMIT",
                time_in_force="GTC",
                quantity="1",
                price="40",
                cancel_replace_mode="STOP_ON_FAILURE",
                cancel_orig_client_order_id="old",
            )
        assert type(caught.value) is ClientError

    at_sandbox(scenario)


def test_amendment_keeps_the_order(at_sandbox: Callable[..., None]) -> None:
    """It may only become less than it was and more than is filled; its id may change."""

    async def scenario(site: Any) -> None:
        socket = await site.listen()
        placed = await site.placed(quantity="3", newClientOrderId="old")
        await site.venue.fill("old", Decimal(1))
        path, names = "/api/v3/order/amend/keepPriority", {"symbol": "BTCUSDT", "orderId": placed["orderId"]}
        for quantity in ("3", "4", "1"):
            refused = await site.ask("PUT", path, **names, newQty=quantity)
            assert refused.body["code"] == -2038
        reply = await site.ask("PUT", path, **names, newQty="2", newClientOrderId="less")
        assert (reply.body["amendedOrder"]["qty"], reply.body["amendedOrder"]["orderId"]) == (
            "2.00000000",
            placed["orderId"],
        )
        (order,) = site.venue.truth().orders
        assert (order.client_order_id, order.quantity, order.filled) == ("less", Decimal(2), Decimal(1))
        assert site.venue.venue.account.of("USDT").locked == Decimal(50)
        await site.settled(socket)
        report = socket.of("executionReport")[-1]
        assert (report["x"], report["c"], report["q"]) == ("REPLACED", "less", "2.00000000")

    at_sandbox(scenario)
