"""What the gateway says no to, with which code, and what becomes of the order."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from ib_async import (
    ComboLeg,
    Contract,
    Crypto,
    ExecutionCondition,
    LimitOrder,
    MarginCondition,
    MarketOrder,
    Order,
    PercentChangeCondition,
    PriceCondition,
    Stock,
    StopOrder,
    TagValue,
    TimeCondition,
    VolumeCondition,
)

from alphaweave.core.order import OrderStatus
from alphaweave.testing.sandbox import Action

Run = Callable[..., None]
Site = Any


def _order(kind: str, **named: Any) -> Order:
    return Order(**{"action": "BUY", "totalQuantity": 10, "orderType": kind, "tif": "DAY", **named})


@pytest.mark.parametrize(
    ("code", "contract", "order"),
    [
        (200, Stock("NOSUCH", "SMART", "USD"), _order("MKT")),
        (110, None, _order("LMT", lmtPrice=50.001)),
        (110, None, _order("STP", auxPrice=60.125)),
        (10243, None, _order("MKT", totalQuantity=0.5)),
        (434, None, _order("MKT", totalQuantity=0)),
        (387, None, _order("MIDPRICE")),
        (201, None, _order("LMT", lmtPrice=50, tif="GTX")),
        (391, None, _order("LMT", lmtPrice=50, tif="GTD", goodTillDate="soon")),
        (321, None, _order("LMT")),
        (321, None, _order("TRAIL")),
        (321, None, _order("LMT", lmtPrice=50, account="DU9")),
        (10006, None, _order("LMT", lmtPrice=50, parentId=777)),
        (10289, Crypto("BTC", "PAXOS", "USD"), _order("MKT", totalQuantity=1, tif="IOC")),
        (201, Crypto("BTC", "PAXOS", "USD"), _order("LMT", totalQuantity=1, lmtPrice=50, tif="DAY")),
        (201, Stock("GME", "SMART", "USD"), _order("MKT", action="SELL")),
    ],
    ids=lambda value: str(value) if isinstance(value, int) else "",
)
def test_order_is_refused(at_gateway: Run, code: int, contract: Contract | None, order: Order) -> None:
    """The refusal bears the order's id and its code, and nothing is at the venue, or an order rejected."""

    async def scenario(site: Site) -> None:
        ib = await site.client()
        await site.venue.set_price("ONE", Decimal(60))
        trade = ib.placeOrder(contract or site.stock, order)
        await site.until_said(code)
        assert (trade.order.orderId, code) in {(number, one) for number, one, _ in site.errors}
        assert {one.status for one in site.venue.truth().orders} <= {OrderStatus.REJECTED}
        assert site.venue.truth().executions == ()

    at_gateway(scenario)


def test_price_steps_depend_on_the_band(at_gateway: Run) -> None:
    """Below one dollar this contract has finer steps."""

    async def scenario(site: Site) -> None:
        ib = await site.client()
        await site.placed(ib, site.limit(price=0.5005))
        ib.placeOrder(site.stock, site.limit(price=1.0005))
        await site.until_said(110)
        assert len(site.venue.truth().orders) == 1

    at_gateway(scenario)


def test_order_that_the_account_does_not_carry_is_rejected(at_gateway: Run) -> None:
    """201 and Inactive: the order is in the books as rejected."""

    async def scenario(site: Site) -> None:
        ib = await site.client()
        trade = await site.placed(ib, site.limit(size=900_000))
        assert "INITIAL MARGIN" in await site.until_said(201)
        assert site.venue.truth().orders[0].status is OrderStatus.REJECTED
        await site.until_status(trade, "Inactive")

    at_gateway(scenario)


def test_refused_change_leaves_the_order(at_gateway: Run) -> None:
    """A change is refused with a code of its own; the order works on, whatever the client library thinks."""

    async def scenario(site: Site) -> None:
        ib = await site.client()
        trade = await site.placed(ib, site.limit(orderRef="aw-1"))
        trade.order.lmtPrice = 50.001
        ib.placeOrder(site.stock, trade.order)
        await site.until_said(110)
        other = StopOrder("BUY", 10, 61, tif="DAY", orderId=trade.order.orderId)
        ib.client.placeOrder(other.orderId, site.stock, other)
        await site.until_said(105)
        assert trade.orderStatus.status == "ValidationError"
        (order,) = site.venue.truth().orders
        assert (order.status, order.request.limit_price) == (OrderStatus.ACCEPTED, 50)
        await site.venue.fill("aw-1")
        assert site.venue.truth().orders[0].status is OrderStatus.FILLED

    at_gateway(scenario)


def test_ended_order_cannot_be_changed_or_cancelled(at_gateway: Run) -> None:
    """104 for a filled order, 103 for another id that was used, 10148 and 10147 for cancels."""

    async def scenario(site: Site) -> None:
        ib = await site.client()
        await site.venue.set_price("ONE", Decimal(60))
        filled = ib.placeOrder(site.stock, MarketOrder("BUY", 1, tif="DAY"))
        await site.until_status(filled, "Filled")
        ended = await site.placed(ib, site.limit())
        ib.cancelOrder(ended.order)
        await site.until_status(ended, "Cancelled")
        client = ib.client
        client.placeOrder(filled.order.orderId, site.stock, site.limit())
        await site.until_said(104)
        client.placeOrder(ended.order.orderId, site.stock, site.limit())
        await site.until_said(103)
        client.cancelOrder(filled.order.orderId, "")
        assert "state: Filled" in await site.until_said(10148)
        client.cancelOrder(5000, "")
        await site.until_said(10147)

    at_gateway(scenario)


def test_id_below_an_earlier_one_is_a_duplicate(at_gateway: Run) -> None:
    """An order id has to be greater than all before it."""

    async def scenario(site: Site) -> None:
        ib = await site.client()
        ib.client.placeOrder(500, site.stock, site.limit())
        ib.client.placeOrder(499, site.stock, site.limit())
        await site.until_said(103)
        assert len(site.venue.truth().orders) == 1

    at_gateway(scenario)


def test_remarks_change_nothing(at_gateway: Run) -> None:
    """A time in force that is left out, and one that cannot matter, are remarked on: 10349 and 2109."""

    async def scenario(site: Site) -> None:
        ib = await site.client()
        await site.venue.set_price("ONE", Decimal(60))
        ib.placeOrder(site.stock, LimitOrder("BUY", 1, 50, tif=""))
        await site.until_said(10349)
        ib.placeOrder(site.stock, MarketOrder("BUY", 1, tif="DAY", outsideRth=True))
        await site.until_said(2109)
        await site.until(lambda: site.venue.truth().executions)
        assert [order.status for order in site.venue.truth().orders] == [
            OrderStatus.ACCEPTED,
            OrderStatus.FILLED,
        ]

    at_gateway(scenario)


def test_read_only_gateway_takes_no_orders(at_gateway: Run) -> None:
    """321 for orders and cancels; questions for orders have no end."""

    async def scenario(site: Site) -> None:
        ib = await site.client(readonly=True)
        ib.placeOrder(site.stock, site.limit())
        await site.until_said(321)
        assert site.venue.truth().orders == ()
        site.errors.clear()
        asked = asyncio.ensure_future(ib.reqOpenOrdersAsync())
        await site.until_said(321)
        assert not asked.done()
        assert site.errors == [(-1, 321, site.errors[0][2])]
        asked.cancel()

    at_gateway(scenario, read_only=True)


def test_messages_in_haste_are_refused(at_gateway: Run) -> None:
    """More than the rate allows within a second is refused with 100, and not done."""

    async def scenario(site: Site) -> None:
        ib = await site.client()
        site.stop_the_clock()
        client = ib.client
        for number in range(60):
            client.placeOrder(1000 + number, site.stock, site.limit())
        await site.until_said(100)
        await site.until(lambda: sum("placeOrder" in one.what for one in site.venue.requests) == 60)
        taken = len(site.venue.truth().orders)
        assert 0 < taken < 60
        site.stop_the_clock(1.1)
        await site.placed(ib, site.limit())
        assert len(site.venue.truth().orders) == taken + 1

    at_gateway(scenario, rate=30)


def test_next_request_is_refused_as_told(at_gateway: Run) -> None:
    """Any code can be had, and any remark about a living order."""

    async def scenario(site: Site) -> None:
        ib = await site.client()
        site.venue.troubles.refuse_next(Action.SUBMIT, 460, "No trading permissions.")
        ib.placeOrder(site.stock, site.limit())
        await site.until_said(460)
        assert site.venue.truth().orders == ()
        await site.placed(ib, site.limit(orderRef="aw-1"))
        site.venue.troubles.complain("aw-1", 404, "Order held while securities are located.")
        await site.until_said(404)
        site.venue.troubles.notice(2107, "HMDS data farm connection is inactive")
        await site.until_said(2107)

    at_gateway(scenario)


def test_cash_buys_fractions(at_gateway: Run) -> None:
    """An order that is sized in money buys what it can, in fractions where nothing else may."""

    async def scenario(site: Site) -> None:
        ib = await site.client()
        await site.venue.set_price("ONE", Decimal(60))
        order = MarketOrder("BUY", 0, tif="DAY", cashQty=100, orderRef="aw-1")
        trade = ib.placeOrder(site.stock, order)
        await site.until_status(trade, "Filled")
        (execution,) = site.venue.truth().executions
        assert execution.size == Decimal("1.6666")

    at_gateway(scenario)


def _combo() -> Contract:
    legs = [ComboLeg(8894, 1, "BUY", "SMART"), ComboLeg(8314, 1, "SELL", "SMART")]
    return Contract(symbol="KO,IBM", secType="BAG", exchange="SMART", currency="USD", comboLegs=legs)


@pytest.mark.parametrize(
    ("contract", "order", "why"),
    [
        (
            _combo(),
            _order("LMT", lmtPrice=1, smartComboRoutingParams=[TagValue("NonGuaranteed", "1")]),
            "200",
        ),
        (
            None,
            _order("LMT", lmtPrice=1, algoStrategy="Adaptive", algoParams=[TagValue("a", "b")]),
            "algorithm",
        ),
        (None, _order("LMT", lmtPrice=1, hedgeType="B", hedgeParam="1"), "hedge"),
        (None, _order("LMT", lmtPrice=1, scaleInitLevelSize=5, scalePriceIncrement=0.5), "scale"),
        (None, _order("LMT", lmtPrice=1, deltaNeutralOrderType="MKT"), "delta neutral"),
        (None, _order("PEG BENCH", lmtPrice=1, referenceContractId=8314), "peg"),
        (None, _order("PEG BEST", lmtPrice=1, minCompeteSize=5, competeAgainstBestOffset=0.01), "387"),
        (None, _order("PEG MID", lmtPrice=1, midOffsetAtWhole=0.01), "387"),
        (
            None,
            _order(
                "LMT",
                lmtPrice=1,
                conditions=[
                    PriceCondition(price=5, conId=8894, exch="SMART"),
                    TimeCondition(time="20310304 10:00:00"),
                    MarginCondition(percent=5),
                    ExecutionCondition(secType="STK", exch="SMART", symbol="KO"),
                    VolumeCondition(volume=5, conId=8894, exch="SMART"),
                    PercentChangeCondition(changePercent=5, conId=8894, exch="SMART"),
                ],
            ),
            "condition",
        ),
    ],
    ids=["combo", "algo", "hedge", "scale", "delta", "peg bench", "peg best", "peg mid", "conditions"],
)
def test_whole_order_language_is_read(
    at_gateway: Run, contract: Contract | None, order: Order, why: str
) -> None:
    """What the gateway does not trade it reads to the last field, and says what it is."""

    async def scenario(site: Site) -> None:
        ib = await site.client()
        ib.placeOrder(contract or site.stock, order)
        await site.until(site.codes, "the refusal")
        ((_, code, text),) = [one for one in site.errors if one[1] not in {2104, 2106, 2158}]
        assert code in {200, 321, 387}, text
        assert why in text or why == str(code), text

    at_gateway(scenario)


def test_message_that_is_no_message_ends_the_connection(at_gateway: Run) -> None:
    """What has too many fields is refused with 320; what is no frame ends the connection."""

    async def scenario(site: Site) -> None:
        ib = await site.client()
        ib.client.send(3, 900, *["x"] * 20)
        await site.until_said(320)
        ib.client.conn.sendMsg(b"\xff" * 8)
        await site.until(lambda: not ib.isConnected(), "the end")

    at_gateway(scenario)


def test_client_that_speaks_other_versions_is_sent_away(at_gateway: Run) -> None:
    """The gateway speaks one version, and says nothing to whom it does not suit."""

    async def scenario(site: Site) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", site.venue.port)
        offer = b"v100..157"
        writer.write(b"API\0" + len(offer).to_bytes(4, "big") + offer)
        assert await asyncio.wait_for(reader.read(), 10) == b""
        writer.close()

    at_gateway(scenario)


@pytest.mark.parametrize(("ahead", "hour"), [(0, 10), (60, 11)])
def test_greeting_shows_the_wall_clock_of_new_york(at_gateway: Run, ahead: int, hour: int) -> None:
    """In winter and, so many days later, in summer, under the same name."""

    async def scenario(site: Site) -> None:
        await site.venue.skew(ahead * 86_400)
        reader, writer = await asyncio.open_connection("127.0.0.1", site.venue.port)
        offer = b"v178..178"
        writer.write(b"API\0" + len(offer).to_bytes(4, "big") + offer)
        size = int.from_bytes(await asyncio.wait_for(reader.readexactly(4), 10), "big")
        version, said, rest = (await reader.readexactly(size)).split(b"\0")
        writer.close()
        assert (version, rest) == (b"178", b"")
        day, clock, zone = said.decode().split(" ")
        assert (day, clock[:5], zone) == ("20310503" if ahead else "20310304", f"{hour}:30", "EST")

    at_gateway(scenario)
