"""Order lists: OCO, OTO and OTOCO, from their placement to their end."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from alphaweave.core.market import Bar
from alphaweave.core.order import OrderStatus
from alphaweave.testing.clock import RunningClock

OCO = {
    "symbol": "BTCUSDT",
    "side": "SELL",
    "quantity": "2",
    "aboveType": "LIMIT_MAKER",
    "abovePrice": "120",
    "aboveClientOrderId": "target",
    "belowType": "STOP_LOSS",
    "belowStopPrice": "80",
    "belowClientOrderId": "stop",
}
OTOCO = {
    "symbol": "BTCUSDT",
    "workingType": "LIMIT",
    "workingSide": "BUY",
    "workingTimeInForce": "GTC",
    "workingQuantity": "2",
    "workingPrice": "90",
    "workingClientOrderId": "entry",
    "pendingSide": "SELL",
    "pendingQuantity": "2",
    "pendingAboveType": "LIMIT_MAKER",
    "pendingAbovePrice": "120",
    "pendingAboveClientOrderId": "target",
    "pendingBelowType": "STOP_LOSS_LIMIT",
    "pendingBelowStopPrice": "80",
    "pendingBelowPrice": "79",
    "pendingBelowTimeInForce": "GTC",
    "pendingBelowClientOrderId": "stop",
}


async def placed(site: Any, kind: str, terms: dict[str, str], **changes: Any) -> Any:
    """A list that is taken, at a market of 100 where two coins are owned for an OCO."""
    await site.venue.set_price("ONE", Decimal(100))
    if kind == "oco":
        await site.venue.move_position("ONE", Decimal(2))
    reply = await site.ask("POST", f"/api/v3/orderList/{kind}", **{**terms, **changes})
    assert reply.status == 200, reply.body
    return reply.body


def statuses(site: Any) -> dict[str, OrderStatus]:
    return {order.client_order_id: order.status for order in site.venue.truth().orders}


def test_oco_is_placed_and_locked_once(at_sandbox: Callable[..., None]) -> None:
    """Both orders are told with their list, and what they sell is bound once."""

    async def scenario(site: Any) -> None:
        body = await placed(site, "oco", OCO, listClientOrderId="both")
        assert (body["contingencyType"], body["listStatusType"], body["listOrderStatus"]) == (
            "OCO",
            "EXEC_STARTED",
            "EXECUTING",
        )
        reports = {row["clientOrderId"]: row for row in body["orderReports"]}
        assert reports["target"]["type"] == "LIMIT_MAKER"
        assert reports["stop"]["stopPrice"] == "80.00000000"
        assert {row["orderListId"] for row in body["orderReports"]} == {body["orderListId"]}
        balance = site.venue.venue.account.of("BTC")
        assert (balance.free, balance.locked) == (Decimal(0), Decimal(2))
        groups = {order.group for order in site.venue.truth().orders}
        assert len(groups) == 1
        assert groups != {None}

    at_sandbox(scenario)


@pytest.mark.parametrize(
    ("price", "filled", "other", "at"), [(121, "target", "stop", "120"), (79, "stop", "target", "79")]
)
def test_one_order_of_an_oco_expires_the_other(
    at_sandbox: Callable[..., None], price: int, filled: str, other: str, at: str
) -> None:
    """The one is filled, the other expires for it, and the list is done."""

    async def scenario(site: Any) -> None:
        socket = await site.listen()
        await placed(site, "oco", OCO)
        await site.venue.set_price("ONE", Decimal(price))
        assert statuses(site) == {filled: OrderStatus.FILLED, other: OrderStatus.EXPIRED}
        (execution,) = site.venue.truth().executions
        assert (execution.price, execution.size) == (Decimal(at), Decimal(2))
        await site.settled(socket)
        lists = socket.of("listStatus")
        assert [(one["l"], one["L"]) for one in lists] == [
            ("EXEC_STARTED", "EXECUTING"),
            ("ALL_DONE", "ALL_DONE"),
        ]
        (expired,) = (one for one in socket.of("executionReport") if one["x"] == "EXPIRED")
        assert (expired["c"], expired["eR"]) == (other, "OCO_TRIGGER")
        assert expired["g"] == lists[0]["g"]
        assert site.venue.venue.account.of("BTC").locked == 0

    at_sandbox(scenario)


def test_minute_that_could_meet_both_meets_the_stop(at_sandbox: Callable[..., None]) -> None:
    """Nobody knows which was first, and the stop is the worse one."""
    clock = RunningClock()

    async def scenario(site: Any) -> None:
        await placed(site, "oco", OCO)
        clock.advance(60)
        begin = site.venue.now()
        end = begin + timedelta(minutes=1)
        await site.venue.play(Bar("ONE", "1m", begin, end, 100.0, 125.0, 75.0, 100.0, 5.0))
        assert statuses(site) == {"stop": OrderStatus.FILLED, "target": OrderStatus.EXPIRED}
        assert site.venue.truth().executions[0].price == Decimal(80)

    at_sandbox(scenario, clock=clock)


def test_part_of_an_order_expires_the_other_too(at_sandbox: Callable[..., None]) -> None:
    """The rest of what trades goes on, and alone binds what is left."""

    async def scenario(site: Any) -> None:
        await placed(site, "oco", OCO)
        await site.venue.fill("target", Decimal("0.5"))
        assert statuses(site) == {"target": OrderStatus.PARTIALLY_FILLED, "stop": OrderStatus.EXPIRED}
        assert site.venue.venue.account.of("BTC").locked == Decimal("1.5")

    at_sandbox(scenario)


def test_cancel_of_one_order_cancels_the_list(at_sandbox: Callable[..., None]) -> None:
    """Whichever is named, both are cancelled."""

    async def scenario(site: Any) -> None:
        await placed(site, "oco", OCO)
        await site.ask("DELETE", "/api/v3/order", symbol="BTCUSDT", origClientOrderId="stop")
        assert set(statuses(site).values()) == {OrderStatus.CANCELLED}
        assert (await site.ask("GET", "/api/v3/openOrderList")).body == []

    at_sandbox(scenario)


def test_list_is_cancelled_and_asked_for_by_its_names(at_sandbox: Callable[..., None]) -> None:
    """By the venue's number and by the client's id; a second cancel finds nothing open."""

    async def scenario(site: Any) -> None:
        body = await placed(site, "oco", OCO, listClientOrderId="both")
        for names in ({"orderListId": body["orderListId"]}, {"origClientOrderId": "both"}):
            found = await site.ask("GET", "/api/v3/orderList", **names)
            assert {row["clientOrderId"] for row in found.body["orders"]} == {"target", "stop"}
        gone = await site.ask("DELETE", "/api/v3/orderList", symbol="BTCUSDT", listClientOrderId="both")
        assert gone.body["listStatusType"] == "ALL_DONE"
        assert {row["status"] for row in gone.body["orderReports"]} == {"CANCELED"}
        again = await site.ask("DELETE", "/api/v3/orderList", symbol="BTCUSDT", listClientOrderId="both")
        assert again.body["code"] == -2011
        (done,) = (await site.ask("GET", "/api/v3/allOrderList")).body
        assert done["listOrderStatus"] == "ALL_DONE"

    at_sandbox(scenario)


@pytest.mark.parametrize(
    ("changes", "code", "text"),
    [
        ({"abovePrice": "90"}, -2010, "The relationship of the prices for the orders is not correct."),
        ({"belowStopPrice": "101"}, -2010, "The relationship of the prices for the orders is not correct."),
        ({"aboveType": "STOP_LOSS"}, -1106, "Parameter 'abovePrice' sent when not required."),
        ({"belowType": "TAKE_PROFIT"}, -1116, "Invalid orderType."),
        ({"quantity": "3"}, -2010, "Account has insufficient balance for requested action."),
        ({"belowClientOrderId": "target"}, -2010, "Duplicate order sent."),
        ({"belowStopPrice": "80.001"}, -1013, "Filter failure: PRICE_FILTER"),
        ({"quantity": None}, -1102, "Mandatory parameter 'quantity' was not sent"),
    ],
)
def test_list_is_taken_whole_or_not_at_all(
    at_sandbox: Callable[..., None], changes: dict[str, Any], code: int, text: str
) -> None:
    """One order that is refused leaves nothing of the list."""

    async def scenario(site: Any) -> None:
        await site.venue.set_price("ONE", Decimal(100))
        await site.venue.move_position("ONE", Decimal(2))
        given = {name: value for name, value in {**OCO, **changes}.items() if value is not None}
        reply = await site.ask("POST", "/api/v3/orderList/oco", **given)
        assert (reply.status, reply.body["code"]) == (400, code)
        assert text in reply.body["msg"]
        assert not site.venue.truth().orders
        assert site.venue.venue.account.of("BTC").locked == 0

    at_sandbox(scenario)


def test_exits_of_an_otoco_wait_for_its_entry(at_sandbox: Callable[..., None]) -> None:
    """Pending until the entry is completely filled, then an OCO."""

    async def scenario(site: Any) -> None:
        body = await placed(site, "otoco", OTOCO)
        assert body["contingencyType"] == "OTO"
        rows = {row["clientOrderId"]: row for row in body["orderReports"]}
        assert [rows[name]["status"] for name in ("entry", "target", "stop")] == [
            "NEW",
            "PENDING_NEW",
            "PENDING_NEW",
        ]
        assert rows["target"]["workingTime"] == -1
        await site.venue.fill("entry", Decimal(1))
        pending = await site.ask("GET", "/api/v3/order", symbol="BTCUSDT", origClientOrderId="target")
        assert (pending.body["status"], pending.body["isWorking"]) == ("PENDING_NEW", False)
        await site.venue.fill("entry")
        assert statuses(site)["target"] is OrderStatus.ACCEPTED
        await site.venue.set_price("ONE", Decimal(125))
        assert statuses(site) == {
            "entry": OrderStatus.FILLED,
            "target": OrderStatus.FILLED,
            "stop": OrderStatus.EXPIRED,
        }
        balance = site.venue.venue.account.of("BTC")
        assert (balance.free, balance.locked) == (Decimal(0), Decimal(0))

    at_sandbox(scenario)


def test_stop_of_an_otoco_sells(at_sandbox: Callable[..., None]) -> None:
    """Triggered, it expires the target, and trades once its limit does."""

    async def scenario(site: Any) -> None:
        await placed(site, "otoco", OTOCO)
        await site.venue.set_price("ONE", Decimal(90))
        await site.venue.set_price("ONE", Decimal(70))
        assert statuses(site)["target"] is OrderStatus.EXPIRED
        assert statuses(site)["stop"] is OrderStatus.ACCEPTED
        await site.venue.set_price("ONE", Decimal(85))
        assert statuses(site)["stop"] is OrderStatus.FILLED

    at_sandbox(scenario)


def test_exits_end_with_an_entry_that_ends(at_sandbox: Callable[..., None]) -> None:
    """A cancelled entry cancels them, an expired one lets them expire and says why."""

    async def scenario(site: Any) -> None:
        await placed(site, "otoco", OTOCO)
        await site.ask("DELETE", "/api/v3/order", symbol="BTCUSDT", origClientOrderId="entry")
        assert set(statuses(site).values()) == {OrderStatus.CANCELLED}
        body = await placed(site, "otoco", OTOCO, workingTimeInForce="IOC")
        rows = {row["clientOrderId"]: row for row in body["orderReports"]}
        assert {row["status"] for row in rows.values()} == {"EXPIRED"}
        assert rows["stop"]["expiryReason"] == "OTO_PHASE_ONE_EXPIRED"

    at_sandbox(scenario)


def test_exits_that_cannot_work_are_rejected(at_sandbox: Callable[..., None]) -> None:
    """A commission in coins leaves too few to sell: the entry stands without its exits."""

    async def scenario(site: Any) -> None:
        socket = await site.listen()
        await placed(site, "otoco", OTOCO)
        await site.venue.set_price("ONE", Decimal(90))
        assert statuses(site) == {
            "entry": OrderStatus.FILLED,
            "target": OrderStatus.REJECTED,
            "stop": OrderStatus.REJECTED,
        }
        await site.settled(socket)
        rejected = [one for one in socket.of("executionReport") if one["x"] == "REJECTED"]
        assert [one["r"] for one in rejected] == ["INSUFFICIENT_BALANCES"] * 2
        assert socket.of("listStatus")[-1]["L"] == "ALL_DONE"

    at_sandbox(scenario, bnb=Decimal(0))


def test_oto_has_one_order_that_waits(at_sandbox: Callable[..., None]) -> None:
    """It works as soon as the first is filled."""

    async def scenario(site: Any) -> None:
        terms = {name: value for name, value in OTOCO.items() if not name.startswith("pendingA")}
        terms = {name.replace("pendingBelow", "pending"): value for name, value in terms.items()}
        await placed(site, "oto", terms)
        await site.venue.set_price("ONE", Decimal(90))
        assert statuses(site) == {"entry": OrderStatus.FILLED, "stop": OrderStatus.ACCEPTED}

    at_sandbox(scenario)


def test_sdk_places_lists(at_sandbox: Callable[..., None]) -> None:
    """Binance's own client places an OCO and an OTOCO."""

    async def scenario(site: Any) -> None:
        await site.venue.set_price("ONE", Decimal(100))
        await site.venue.move_position("ONE", Decimal(2))
        rest = site.spot().rest_api
        oco = await site.got(
            rest.order_list_oco,
            symbol="BTCUSDT",
            side="SELL",
            quantity="1",
            above_type="LIMIT_MAKER",
            above_price="120",
            below_type="STOP_LOSS",
            below_stop_price="80",
        )
        assert oco["listOrderStatus"] == "EXECUTING"
        otoco = await site.got(
            rest.order_list_otoco,
            symbol="BTCUSDT",
            working_type="LIMIT",
            working_side="BUY",
            working_time_in_force="GTC",
            working_price="90",
            working_quantity="1",
            pending_side="SELL",
            pending_quantity="1",
            pending_above_type="LIMIT_MAKER",
            pending_above_price="120",
            pending_below_type="STOP_LOSS",
            pending_below_stop_price="80",
        )
        assert len(otoco["orders"]) == 3

    at_sandbox(scenario)
