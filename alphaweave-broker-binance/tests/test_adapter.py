"""Orders and questions, at a venue that answers by a script."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from alphaweave.core.clock import ManualClock
from alphaweave.core.errors import (
    BrokerUnavailable,
    CancelRejected,
    NotSent,
    OptionsError,
    OrderRejected,
    OrderState,
    OutcomeUnknown,
    Unsupported,
)
from alphaweave.core.money import Money
from alphaweave.core.order import (
    GroupKind,
    OrderChange,
    OrderGroup,
    OrderRef,
    OrderRequest,
    OrderStatus,
    OrderType,
    RejectReason,
    Side,
    TimeInForce,
    Trail,
)
from alphaweave.live.adapters.base import BrokerConfig, Services
from alphaweave.live.broker import FillQuery
from alphaweave_broker_binance.adapter import BinanceAdapter
from alphaweave_broker_binance.transport import Call, Transport

At = Callable[[Callable[[Any], Awaitable[None]]], None]
Steps = Callable[[Any, Any], Awaitable[None]]
ORDER, OPEN, TRADES = "/api/v3/order", "/api/v3/openOrders", "/api/v3/myTrades"
REF = OrderRef(f"awabcde-{1:022d}", "BTCUSDT", wire={"symbol": "BTCUSDT"})
TAKEN = {
    "symbol": "BTCUSDT",
    "orderId": 28,
    "orderListId": -1,
    "clientOrderId": REF.client_order_id,
    "transactTime": 1507725176595,
}
UNKNOWN = {"code": -2011, "msg": "Unknown order sent."}
GTC = TimeInForce.GTC


def order(**changes: Any) -> dict[str, Any]:
    """An order as a question is answered."""
    usual = {
        "symbol": "BTCUSDT",
        "orderId": 28,
        "orderListId": -1,
        "clientOrderId": REF.client_order_id,
        "price": "100.00000000",
        "origQty": "1.00000000",
        "executedQty": "0.00000000",
        "cummulativeQuoteQty": "0.00000000",
        "status": "NEW",
        "timeInForce": "GTC",
        "type": "LIMIT",
        "side": "BUY",
        "stopPrice": "0.00000000",
        "time": 1499827319559,
        "updateTime": 1499827319559,
    }
    return {**usual, **changes}


def trade(number: int, at: datetime, order_id: int = 28, symbol: str = "BTCUSDT") -> dict[str, Any]:
    """An execution as a question is answered."""
    return {
        "symbol": symbol,
        "id": number,
        "orderId": order_id,
        "price": "100.00000000",
        "qty": "0.10000000",
        "commission": "0.00007500",
        "commissionAsset": "BNB",
        "time": int(at.timestamp() * 1000),
        "isBuyer": True,
        "isMaker": False,
    }


def limit(**terms: Any) -> OrderRequest:
    usual: dict[str, Any] = {"type": OrderType.LIMIT, "tif": GTC, "limit_price": Decimal(100)}
    return OrderRequest("BTCUSDT", Side.BUY, Decimal("1E-7"), **{**usual, **terms})


def connected(at_venue: At, steps: Steps, services: Services | None = None, **changes: Any) -> None:
    async def scenario(venue: Any) -> None:
        adapter = venue.adapter(services, **changes)
        await adapter.connect()
        await steps(venue, adapter)

    at_venue(scenario)


def test_order_is_posted_once_and_acknowledged(at_venue: At) -> None:
    """Its id at Binance has the symbol in it, and fills never come in the answer."""

    async def steps(venue: Any, adapter: Any) -> None:
        venue.answers["POST", ORDER] = (200, TAKEN)
        ack = await adapter.submit_order(REF, limit())
        assert ack.ref.broker_order_id == "BTCUSDT:28"
        assert ack.broker_time == datetime(2017, 10, 11, 12, 32, 56, 595000, tzinfo=UTC)
        (sent,) = venue.params("POST", ORDER)
        assert (sent["quantity"], sent["newOrderRespType"]) == ("0.0000001", "ACK")

    connected(at_venue, steps)


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (
            400,
            {"code": -2010, "msg": "Account has insufficient balance for requested action."},
            RejectReason.INSUFFICIENT_FUNDS,
        ),
        (400, {"code": -1013, "msg": "Filter failure: NOTIONAL"}, RejectReason.INVALID_SIZE),
        (429, {"code": -1003, "msg": "Too much request weight used."}, RejectReason.RATE_LIMITED),
        (418, {"code": -1003, "msg": "IP banned."}, RejectReason.RATE_LIMITED),
        (400, {"code": -1021, "msg": "Timestamp for this request is off."}, RejectReason.OTHER),
    ],
)
def test_final_no_is_a_rejection(at_venue: At, status: int, body: Any, reason: RejectReason) -> None:
    """With a reason, the code and the text."""

    async def steps(venue: Any, adapter: Any) -> None:
        venue.answers["POST", ORDER] = (status, body)
        with pytest.raises(OrderRejected) as told:
            await adapter.submit_order(REF, limit())
        assert (told.value.reason, told.value.code, told.value.text) == (
            reason,
            str(body["code"]),
            body["msg"],
        )
        assert len(venue.params("POST", ORDER)) == 1

    connected(at_venue, steps)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (503, {"code": -1007, "msg": "Timeout waiting for response from backend server."}),
        (400, {"code": -1006, "msg": "An unexpected response was received."}),
        (400, {"code": -2010, "msg": "Duplicate order sent."}),
        (502, "<html>"),
        (403, "<html>"),
        (200, {"symbol": "BTCUSDT"}),
        (200, "<html>"),
    ],
)
def test_anything_else_is_unknown_and_never_sent_again(at_venue: At, status: int, body: Any) -> None:
    """A name that an open order has is perhaps this very order's."""

    async def steps(venue: Any, adapter: Any) -> None:
        venue.answers["POST", ORDER] = (status, body)
        with pytest.raises(OutcomeUnknown):
            await adapter.submit_order(REF, limit())
        assert len(venue.params("POST", ORDER)) == 1

    connected(at_venue, steps)


def test_order_is_not_sent_while_events_do_not_flow(at_venue: At) -> None:
    """Nobody would hear what became of it; a cancel is tried all the same."""

    async def steps(venue: Any, adapter: Any) -> None:
        venue.subscriptions = [{"status": 500, "error": {"code": -1000, "msg": "x"}}] * 1000
        await venue.sockets[0].close()
        await venue.until(lambda: venue.events)
        with pytest.raises(NotSent, match="not connected"):
            await adapter.submit_order(REF, limit())
        venue.answers["DELETE", ORDER] = (200, {})
        await adapter.cancel_order(REF)
        assert venue.params("POST", ORDER) == []

    connected(at_venue, steps)


def test_before_and_after_a_connection_nothing_is_asked(at_venue: At) -> None:
    """A question fails, and an order is not sent."""

    async def scenario(venue: Any) -> None:
        adapter = venue.adapter()
        with pytest.raises(BrokerUnavailable, match="not connected"):
            await adapter.get_open_orders()
        with pytest.raises(NotSent):
            await adapter.submit_order(REF, limit())
        await adapter.connect()
        await adapter.disconnect()
        with pytest.raises(BrokerUnavailable, match="not connected"):
            await adapter.get_time()

    at_venue(scenario)


def group(kind: GroupKind, entry: OrderRequest | None = None) -> OrderGroup:
    profit = limit(limit_price=Decimal(120))
    loss = OrderRequest(
        "BTCUSDT", Side.SELL, profit.quantity, type=OrderType.STOP, tif=GTC, stop_price=Decimal(90)
    )
    profit = OrderRequest(
        "BTCUSDT", Side.SELL, profit.quantity, type=OrderType.LIMIT, tif=GTC, limit_price=Decimal(120)
    )
    return OrderGroup(kind, profit, loss, entry)


@pytest.mark.parametrize("kind", GroupKind)
def test_group_is_one_list_with_a_name_for_each_leg(
    at_venue: At, kind: GroupKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ids of its orders are found by their names, whatever order they come in; and each is counted."""
    call, placed = Transport.call, list[int]()

    async def counting(transport: Transport, one: Call) -> Any:
        placed.append(one.orders)
        return await call(transport, one)

    monkeypatch.setattr(Transport, "call", counting)
    bracket = kind is GroupKind.BRACKET
    whole = group(kind, limit() if bracket else None)
    path = "/api/v3/orderList/otoco" if bracket else "/api/v3/orderList/oco"

    async def steps(venue: Any, adapter: Any) -> None:
        bare = [OrderRef(f"awabcde-{number:022d}", "BTCUSDT") for number in range(len(whole.legs))]
        wires = adapter.prepare(whole, bare)
        assert [wire["leg"] for wire in wires] == ["entry", "take_profit", "stop_loss"][-len(bare) :]
        refs = [
            OrderRef(ref.client_order_id, "BTCUSDT", wire=wire) for ref, wire in zip(bare, wires, strict=True)
        ]
        orders = [
            {"symbol": "BTCUSDT", "orderId": 40 + number, "clientOrderId": ref.client_order_id}
            for number, ref in enumerate(refs)
        ]
        venue.answers["POST", path] = (200, {"orderListId": 1, "orders": orders[::-1]})
        acks = await adapter.submit_group(refs, whole)
        assert [ack.ref.broker_order_id for ack in acks] == [
            f"BTCUSDT:{40 + number}" for number in range(len(refs))
        ]
        (sent,) = venue.params("POST", path)
        assert sent["listClientOrderId"] not in {ref.client_order_id for ref in refs}
        assert len(sent["listClientOrderId"]) <= 36
        assert placed[-1] == len(refs)

    connected(at_venue, steps)


def test_what_binance_cannot_say_is_refused_before_it_is_decided(at_venue: At) -> None:
    """Brackets begin with a limit order, trails are whole basis points, and no order is replaced."""

    async def steps(venue: Any, adapter: Any) -> None:
        refs = [OrderRef(f"aw-{number}", "BTCUSDT") for number in range(3)]
        stop = limit(type=OrderType.STOP, limit_price=None, stop_price=Decimal(110))
        with pytest.raises(Unsupported, match="limit order"):
            adapter.prepare(group(GroupKind.BRACKET, stop), refs)
        trail = limit(type=OrderType.TRAILING_STOP, limit_price=None, trail=Trail(percent=Decimal("0.125")))
        with pytest.raises(Unsupported, match="hundredths"):
            adapter.prepare(trail, refs[:1])
        with pytest.raises(Unsupported):
            adapter.prepare(OrderChange(quantity=Decimal(1)), refs[:1], REF)
        with pytest.raises(Unsupported):
            await adapter.replace_order(REF, refs[0], OrderChange(quantity=Decimal(1)))
        with pytest.raises(Unsupported):
            adapter.prepare(limit(tif=TimeInForce.DAY), refs[:1])

    connected(at_venue, steps)


def test_venues_symbol_is_the_one_that_was_committed(at_venue: At) -> None:
    """Also when the config has another name for it by then."""

    async def steps(venue: Any, adapter: Any) -> None:
        (wire,) = adapter.prepare(limit(), [OrderRef("aw-1", "BTCUSDT")])
        assert wire == {"symbol": "BTCFDUSD"}
        venue.answers["DELETE", ORDER] = (200, {})
        await adapter.cancel_order(REF)
        (sent,) = venue.params("DELETE", ORDER)
        assert (sent["symbol"], sent["origClientOrderId"]) == ("BTCUSDT", REF.client_order_id)

    services = Services(symbols=("BTCUSDT",), names={"BTCUSDT": "BTCFDUSD"})
    connected(at_venue, steps, services)


@pytest.mark.parametrize(
    ("answer", "error", "state"),
    [
        ((400, UNKNOWN), CancelRejected, OrderState.UNKNOWN),
        ((429, {"code": -1003, "msg": "Too much request weight used."}), CancelRejected, OrderState.ALIVE),
        ((503, {"code": -1007, "msg": "Timeout."}), OutcomeUnknown, None),
        ((502, "<html>"), OutcomeUnknown, None),
    ],
)
def test_refused_cancel_says_what_is_known_of_the_order(
    at_venue: At, answer: Any, error: type[Exception], state: OrderState | None
) -> None:
    """Binance's words for an order that ended and for one that never was are the same."""

    async def steps(venue: Any, adapter: Any) -> None:
        venue.answers["DELETE", ORDER] = answer
        with pytest.raises(error) as told:
            await adapter.cancel_order(REF)
        assert getattr(told.value, "order_state", None) is state

    connected(at_venue, steps)


def test_all_orders_are_cancelled_symbol_by_symbol(at_venue: At) -> None:
    """There is no call for all; a symbol with nothing open is no failure, and others are not left out."""

    async def steps(venue: Any, adapter: Any) -> None:
        venue.answers["DELETE", OPEN] = [(400, UNKNOWN), (503, ""), (200, [])]
        with pytest.raises(OutcomeUnknown):
            await adapter.cancel_all(["BNBUSDT", "BTCUSDT", "ETHUSDT"])
        assert [sent["symbol"] for sent in venue.params("DELETE", OPEN)] == [
            "BNBUSDT",
            "BTCUSDT",
            "ETHUSDT",
        ]
        venue.answers["GET", OPEN] = (200, [order(), order(symbol="ETHBTC", orderId=1)])
        venue.answers["DELETE", OPEN] = [(200, []), (400, UNKNOWN)]
        await adapter.cancel_all(None)
        assert [sent["symbol"] for sent in venue.params("DELETE", OPEN)[3:]] == ["BTCUSDT", "ETHBTC"]

    connected(at_venue, steps)


def test_order_is_looked_up_by_its_number_or_its_name(at_venue: At) -> None:
    """Only Binance's word that there is none means none."""

    async def steps(venue: Any, adapter: Any) -> None:
        venue.answers["GET", ORDER] = (200, order(executedQty="0.50000000", status="CANCELED"))
        found = await adapter.get_order(REF)
        assert (found.status, found.filled) == (OrderStatus.CANCELLED, Decimal("0.5"))
        await adapter.get_order(found.ref)
        by_name, by_number = venue.params("GET", ORDER)
        assert (by_name["origClientOrderId"], "orderId" in by_name) == (REF.client_order_id, False)
        assert (by_number["orderId"], "origClientOrderId" in by_number) == ("28", False)
        venue.answers["GET", ORDER] = (400, {"code": -2013, "msg": "Order does not exist."})
        assert await adapter.get_order(REF) is None
        answers: list[tuple[int, Any]] = [
            (400, {"code": -2026, "msg": "Order was canceled or expired and archived."}),
            (404, "<html>"),
            (500, ""),
            (200, []),
        ]
        for answer in answers:
            venue.answers["GET", ORDER] = answer
            with pytest.raises(BrokerUnavailable):
                await adapter.get_order(REF)

    connected(at_venue, steps)


def test_order_that_was_acknowledged_a_moment_ago_is_not_absent(at_venue: At) -> None:
    """Questions are answered from copies that lag; after a minute they are believed."""
    clock = ManualClock(datetime.now(UTC))

    async def steps(venue: Any, adapter: Any) -> None:
        venue.answers["POST", ORDER] = (200, TAKEN)
        ack = await adapter.submit_order(REF, limit())
        venue.answers["GET", ORDER] = (400, {"code": -2013, "msg": "Order does not exist."})
        for ref in (REF, ack.ref):
            with pytest.raises(BrokerUnavailable, match="does not exist"):
                await adapter.get_order(ref)
        clock.advance(60.0)
        assert await adapter.get_order(ack.ref) is None

    connected(at_venue, steps, Services(symbols=("BTCUSDT",), currency="USDT", clock=clock))


def test_open_orders_are_asked_for_where_it_is_cheap(at_venue: At) -> None:
    """By symbol for a few, at once for all; other people's are told as well."""

    async def steps(venue: Any, adapter: Any) -> None:
        venue.answers["GET", OPEN] = (
            200,
            [order(), order(orderId=29, clientOrderId="web_1"), order(orderId=30, status="FILLED")],
        )
        found = await adapter.get_open_orders()
        assert [(one.ref.broker_order_id, one.foreign) for one in found] == [
            ("BTCUSDT:28", False),
            ("BTCUSDT:29", True),
        ]
        await adapter.get_open_orders(["BTCUSDT", "BNBUSDT"])
        assert [sent.get("symbol") for sent in venue.params("GET", OPEN)] == [None, "BTCUSDT", "BNBUSDT"]
        await adapter.get_open_orders([f"S{number}" for number in range(14)])
        assert venue.params("GET", OPEN)[3:][0].get("symbol") is None

    connected(at_venue, steps)


def test_fills_are_asked_for_by_symbol_and_go_on_from_the_last(at_venue: At) -> None:
    """Whose they are is looked up; what is a minute old is not asked for again."""
    now = datetime.now(UTC)

    async def steps(venue: Any, adapter: Any) -> None:
        theirs = order(orderId=99, clientOrderId="web_1")
        venue.answers["GET", ORDER] = [(200, order()), (200, theirs)]
        old = [
            trade(5, now - timedelta(days=2)),
            trade(7, now - timedelta(minutes=5)),
            trade(9, now - timedelta(minutes=4), order_id=99),
        ]
        recent = trade(11, now)
        venue.answers["GET", TRADES] = [(200, [*old, recent]), (200, [])]
        since = now - timedelta(hours=1)
        report = await adapter.get_fills(FillQuery(since))
        assert [(fill.execution_key, fill.client_order_id, fill.foreign) for fill in report.fills] == [
            ("BTCUSDT:7", REF.client_order_id, False),
            ("BTCUSDT:9", None, True),
            ("BTCUSDT:11", REF.client_order_id, False),
        ]
        assert report.fills[0].fees == (Money("BNB", Decimal("0.000075")),)
        assert dict(report.complete_from) == {"BTCUSDT": since, "BNBUSDT": since}
        venue.answers["GET", TRADES] = [(200, [recent]), (200, [])]
        again = await adapter.get_fills(FillQuery(since, cursor=report.cursor))
        asked = venue.params("GET", TRADES)[2:]
        assert [(sent["symbol"], sent.get("fromId")) for sent in asked] == [
            ("BTCUSDT", "10"),
            ("BNBUSDT", None),
        ]
        assert [fill.execution_key for fill in again.fills] == ["BTCUSDT:11"]
        with pytest.raises(BrokerUnavailable, match="cursor"):
            await adapter.get_fills(FillQuery(since, cursor="not json"))

    connected(at_venue, steps)


def test_fill_whose_order_is_not_listed_yet_is_asked_for_again(at_venue: At) -> None:
    """What was executed a moment ago has an order; nobody else's was executed because the answer is late."""

    async def steps(venue: Any, adapter: Any) -> None:
        now = datetime.now(UTC)
        query = FillQuery(now - timedelta(hours=1), ("BTCUSDT",))
        missing = (400, {"code": -2013, "msg": "Order does not exist."})
        venue.answers["GET", TRADES] = (200, [trade(7, now)])
        venue.answers["GET", ORDER] = missing
        with pytest.raises(BrokerUnavailable, match="does not exist"):
            await adapter.get_fills(query)
        venue.answers["GET", ORDER] = (200, order())
        (fill,) = (await adapter.get_fills(query)).fills
        assert (fill.client_order_id, fill.foreign) == (REF.client_order_id, False)
        venue.answers["GET", TRADES] = (200, [trade(8, now - timedelta(minutes=5), order_id=29)])
        venue.answers["GET", ORDER] = missing
        (old,) = (await adapter.get_fills(query)).fills
        assert old.foreign

    connected(at_venue, steps)


def test_order_that_is_found_by_its_name_bears_it(at_venue: At) -> None:
    """Also where Binance tells the name of the cancel that ended it."""

    async def steps(venue: Any, adapter: Any) -> None:
        venue.answers["GET", ORDER] = (200, order(clientOrderId="7bXk0cancel", status="CANCELED"))
        found = await adapter.get_order(REF)
        assert (found.ref.client_order_id, found.client_order_id) == (REF.client_order_id,) * 2
        assert not found.foreign

    connected(at_venue, steps)


def test_long_list_of_fills_is_read_day_by_day_and_page_by_page(at_venue: At) -> None:
    """Trades of others are numbered alike, and a window is a day at most."""
    now = datetime.now(UTC)

    async def steps(venue: Any, adapter: Any) -> None:
        venue.answers["GET", ORDER] = (200, order())
        since = now - timedelta(days=3)
        recent = [trade(3000 + number, now - timedelta(minutes=5)) for number in range(1000)]
        older = [trade(number, now - timedelta(days=1, hours=12)) for number in range(1, 1001)]
        venue.answers["GET", TRADES] = [
            (200, recent),
            (200, []),
            (200, older[:3]),
            (200, older),
            (200, recent[:5]),
        ]
        report = await adapter.get_fills(FillQuery(since, ("BTCUSDT",)))
        assert len(report.fills) == 1005
        asked = venue.params("GET", TRADES)
        windows = [(int(sent["startTime"]), int(sent["endTime"])) for sent in asked[1:3]]
        assert windows[0][0] == int(since.timestamp() * 1000)
        assert all(end - start == 86_400_000 - 1 for start, end in windows)
        assert windows[1][0] == windows[0][1] + 1
        assert [sent.get("fromId") for sent in asked[3:]] == ["1", "1001"]
        assert json.loads(report.cursor) == {"BTCUSDT": 3004}

    connected(at_venue, steps)


def test_account_is_a_snapshot_of_what_is_held(at_venue: At) -> None:
    """Its instant is the moment before it was asked for."""

    async def steps(venue: Any, adapter: Any) -> None:
        before = datetime.now(UTC)
        state = await adapter.get_account_state()
        assert (state.account_id, state.base_currency, state.complete) == ("354937868", "USDT", True)
        assert before <= state.as_of <= datetime.now(UTC)
        assert state.balances["BTC"].total == Decimal("1.25")
        venue.answers["GET", "/api/v3/account"] = (200, {"uid": 1})
        with pytest.raises(BrokerUnavailable):
            await adapter.get_account_state()

    connected(at_venue, steps)


RULES = {
    "status": "TRADING",
    "quoteAsset": "USDT",
    "quoteAssetPrecision": 8,
    "orderTypes": ["LIMIT", "MARKET"],
    "filters": [{"filterType": "LOT_SIZE", "minQty": "0.1", "maxQty": "9", "stepSize": "0.1"}],
}
LIMITS = [{"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 100}]


def test_unknown_symbol_is_absent_and_spoils_no_other(at_venue: At) -> None:
    """Binance refuses the whole question for one."""

    async def steps(venue: Any, adapter: Any) -> None:
        invalid = (400, {"code": -1121, "msg": "Invalid symbol."})
        known = [
            (200, {"rateLimits": LIMITS, "symbols": [{**RULES, "symbol": name, "baseAsset": name[:3]}]})
            for name in ("BTCUSDT", "BNBUSDT")
        ]
        venue.answers["GET", "/api/v3/exchangeInfo"] = [invalid, known[0], invalid, invalid, known[1]]
        found = await adapter.get_instruments(["BTCUSDT", "NOSUCH", "BNBUSDT"])
        assert set(found) == {"BTCUSDT", "BNBUSDT"}
        assert found["BNBUSDT"].size_step == Decimal("0.1")
        asked = [sent["symbols"] for sent in venue.params("GET", "/api/v3/exchangeInfo")]
        assert asked[0] == '["BTCUSDT","NOSUCH","BNBUSDT"]'
        assert "signature" not in venue.params("GET", "/api/v3/exchangeInfo")[0]

    connected(at_venue, steps)


def test_limits_that_binance_tells_hold(at_venue: At) -> None:
    """They are in the answer that has the rules."""

    async def steps(venue: Any, adapter: Any) -> None:
        rules = {"rateLimits": LIMITS, "symbols": [{**RULES, "symbol": "BTCUSDT", "baseAsset": "BTC"}]}
        spent = {"X-MBX-USED-WEIGHT-1M": "85"}
        venue.answers["GET", "/api/v3/exchangeInfo"] = (200, rules, spent)
        await adapter.get_instruments(["BTCUSDT"])
        with pytest.raises(BrokerUnavailable, match="limits are spent") as told:
            await adapter.get_account_state()
        assert told.value.retry_after is not None

    connected(at_venue, steps)


def test_questions_weigh_what_binance_counts(at_venue: At, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever counts less is refused, and then banned."""
    counted: set[tuple[str, bool, int]] = set()
    call = Transport.call

    async def counting(transport: Transport, one: Call) -> Any:
        counted.add((one.path.removeprefix("/api/v3/"), "symbol" in one.params, one.weight))
        return await call(transport, one)

    monkeypatch.setattr(Transport, "call", counting)

    async def steps(venue: Any, adapter: Any) -> None:
        now = datetime.now(UTC)
        venue.answers["GET", ORDER] = (200, order())
        venue.answers["GET", OPEN] = (200, [])
        venue.answers["GET", "/api/v3/allOrders"] = (200, [order(orderId=number) for number in range(9)])
        venue.answers["GET", TRADES] = [
            (200, [trade(number, now, order_id=number) for number in range(9)]),
            (200, [trade(9, now, order_id=9)]),
        ]
        venue.answers["GET", "/api/v3/exchangeInfo"] = (200, {"rateLimits": LIMITS, "symbols": []})
        await adapter.get_order(REF)
        await adapter.get_open_orders()
        await adapter.get_open_orders(["BTCUSDT"])
        await adapter.get_fills(FillQuery(now - timedelta(hours=1), ("BTCUSDT",)))
        await adapter.get_instruments(["BTCUSDT"])

    connected(at_venue, steps)
    assert {one for one in counted if not one[0].startswith("/sapi")} == {
        ("account", False, 20),
        ("order", True, 4),
        ("openOrders", False, 80),
        ("openOrders", True, 6),
        ("myTrades", True, 20),
        ("allOrders", True, 20),
        ("exchangeInfo", False, 20),
    }


def test_events_are_taken_once(at_venue: At) -> None:
    """The stream of a run has one reader."""

    async def steps(venue: Any, adapter: Any) -> None:
        with pytest.raises(Unsupported):
            adapter.events()

    connected(at_venue, steps)


def test_options_of_a_config_are_parsed_and_complained_about() -> None:
    """What is wrong is said by its place."""
    config = BrokerConfig("binance", None, {"environment": "real", "kee": 1})
    with pytest.raises(OptionsError) as told:
        BinanceAdapter.from_config(config)
    assert {problem.path for problem in told.value.problems} >= {"broker.options.binance.kee"}
