"""Orders as ib_async places them: what comes back, in which order, and what is in the books."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from ib_async import (
    CommissionReport,
    ExecutionFilter,
    Fill,
    LimitOrder,
    MarketOrder,
    Order,
    StartupFetch,
    Stock,
    StopOrder,
    Trade,
)

from alphaweave.core.order import OrderStatus
from alphaweave.testing.sandbox import Action

Run = Callable[..., None]
Site = Any


def test_client_connects_and_finds_the_account(at_gateway: Run) -> None:
    """Every request that the client library makes at its start is answered."""

    async def scenario(site: Site) -> None:
        ib = await site.client(raiseSyncErrors=True)
        assert ib.managedAccounts() == ["DU1234567"]
        assert ib.client.serverVersion() == 178
        cash = {(row.tag, row.currency): row.value for row in ib.accountValues()}
        assert cash["TotalCashBalance", "USD"] == "1000000"
        assert {row.tag for row in await ib.accountSummaryAsync()} >= {"NetLiquidation", "BuyingPower"}
        assert abs((await ib.reqCurrentTimeAsync() - site.venue.now()).total_seconds()) < 30

    at_gateway(scenario)


def test_market_order_is_told_in_the_real_order(at_gateway: Run) -> None:
    """A market order is accepted, executed, filled and charged, in that order."""

    async def scenario(site: Site) -> None:
        ib = await site.client()
        await site.venue.set_price("ONE", Decimal("60.25"))
        said: list[str] = []
        ib.client.wrapper.execDetails = _spy(ib.client.wrapper.execDetails, said, "execution")
        ib.client.wrapper.openOrder = _spy(ib.client.wrapper.openOrder, said, "order")
        ib.client.wrapper.orderStatus = _spy(ib.client.wrapper.orderStatus, said, "status")
        ib.client.wrapper.commissionReport = _spy(ib.client.wrapper.commissionReport, said, "commission")
        ib.client.decoder.handlers[59] = ib.client.decoder.commissionReport
        trade = ib.placeOrder(site.stock, MarketOrder("BUY", 100, tif="DAY", orderRef="aw-1"))
        await site.until(lambda: said[-1:] == ["commission"], "the commission")
        assert said == ["order", "status", "execution", "order", "status", "order", "commission"]
        assert trade.orderStatus.status == "Filled"
        (fill,) = trade.fills
        assert (fill.execution.side, fill.execution.shares, fill.execution.price) == ("BOT", 100, 60.25)
        assert (fill.execution.orderRef, fill.execution.permId) == ("aw-1", trade.order.permId)
        assert fill.commissionReport.commission == 1.0
        assert fill.commissionReport.realizedPNL == 0.0
        truth = site.venue.truth()
        assert truth.positions == {"ONE": Decimal(100)}
        assert truth.balances == {"USD": Decimal(1_000_000) - Decimal(6025) - 1}

    at_gateway(scenario)


def _spy(method: Callable[..., Any], said: list[str], word: str) -> Callable[..., Any]:
    def heard(*words: Any) -> Any:
        said.append(word)
        return method(*words)

    return heard


def test_limit_order_rests_and_is_cancelled(at_gateway: Run) -> None:
    """A limit order rests below the market; its cancel is told by a status and then by 202."""

    async def scenario(site: Site) -> None:
        ib = await site.client()
        await site.venue.set_price("ONE", Decimal(60))
        trade = await site.placed(ib, site.limit(orderRef="aw-2"))
        await site.until_status(trade, "Submitted")
        ib.cancelOrder(trade.order)
        await site.until_said(202)
        statuses = [entry.status for entry in trade.log]
        assert statuses.index("Cancelled") < len(statuses)
        (order,) = site.venue.truth().orders
        assert (order.client_order_id, order.status) == ("aw-2", OrderStatus.CANCELLED)
        assert order.venue_order_id == str(trade.order.permId)

    at_gateway(scenario)


def test_modified_order_keeps_its_id_and_what_was_filled(at_gateway: Run) -> None:
    """A second message under one id changes price and size; the new size is the total."""

    async def scenario(site: Site) -> None:
        ib = await site.client()
        await site.venue.set_price("ONE", Decimal(60))
        trade = await site.placed(ib, site.limit(size=10, orderRef="aw-3"))
        await site.venue.fill("aw-3", Decimal(4))
        await site.until(lambda: trade.filled() == 4, "the first part")
        perm_id = trade.order.permId
        trade.order.lmtPrice, trade.order.totalQuantity = 61, 6
        ib.placeOrder(site.stock, trade.order)
        await site.until_status(trade, "Filled")
        assert (trade.filled(), trade.order.permId) == (6, perm_id)
        assert [one.action for one in site.venue.requests if one.what.startswith("placeOrder")] == [
            Action.SUBMIT,
            Action.REPLACE,
        ]
        (order,) = site.venue.truth().orders
        assert (order.quantity, order.filled) == (6, 6)

    at_gateway(scenario)


def test_order_that_is_cut_to_what_was_filled_is_over(at_gateway: Run) -> None:
    """It is Filled, and what belongs to it follows."""

    async def scenario(site: Site) -> None:
        ib = await site.client()
        await site.venue.set_price("ONE", Decimal(60))
        group = {"ocaGroup": "g", "ocaType": 3}
        other = await site.placed(ib, site.limit(**group))
        trade = await site.placed(ib, site.limit(orderRef="aw-1", **group))
        await site.venue.fill("aw-1", Decimal(4))
        await site.until(lambda: trade.filled() == 4, "the first part")
        trade.order.totalQuantity = 4
        ib.placeOrder(site.stock, trade.order)
        await site.until_status(trade, "Filled")
        await site.until_status(other, "Cancelled")

    at_gateway(scenario)


def test_change_counts_what_was_sold_already(at_gateway: Run) -> None:
    """What of a sale is executed needs no units any more."""

    async def scenario(site: Site) -> None:
        ib = await site.client()
        (stock,) = await ib.qualifyContractsAsync(Stock("GME", "SMART", "USD"))
        await site.venue.move_position("GME", Decimal(10))
        trade = await site.placed(ib, site.limit("SELL", 10, 50, orderRef="aw-1"), stock)
        await site.venue.fill("aw-1", Decimal(4))
        await site.until(lambda: trade.filled() == 4, "the first part")
        trade.order.lmtPrice = 49
        ib.placeOrder(stock, trade.order)
        await site.until(lambda: site.venue.truth().orders[0].request.limit_price == 49, "the change")
        trade.order.totalQuantity = 11
        ib.placeOrder(stock, trade.order)
        assert "short" in await site.until_said(201)

    at_gateway(scenario)


def test_changed_reference_is_another_version(at_gateway: Run) -> None:
    """A modification with another reference ends the version before, which keeps what was filled under it."""

    async def scenario(site: Site) -> None:
        ib = await site.client()
        trade = await site.placed(ib, site.limit(size=10, orderRef="aw-a"))
        await site.venue.fill("aw-a", Decimal(4))
        trade.order.orderRef = "aw-b"
        ib.placeOrder(site.stock, trade.order)
        await site.until(lambda: site.venue.truth().order("aw-b"), "the change")
        await site.venue.fill("aw-b", Decimal(6))
        truth = site.venue.truth()
        old, new = truth.orders
        assert (old.client_order_id, old.status, old.filled) == ("aw-a", OrderStatus.CANCELLED, 4)
        assert (new.client_order_id, new.status, new.filled) == ("aw-b", OrderStatus.FILLED, 10)
        assert [one.size for one in truth.executions_of("aw-b")] == [6]
        request = next(one for one in site.venue.requests if one.action is Action.REPLACE)
        assert request.client_order_ids == ("aw-a", "aw-b")

    at_gateway(scenario)


def test_executions_are_told_again_on_request(at_gateway: Run) -> None:
    """Executions of this day, with their commissions, by client or for all."""

    async def scenario(site: Site) -> None:
        ib = await site.client(1)
        other = await site.client(2)
        await site.venue.set_price("ONE", Decimal(60))
        for one in (ib, other):
            trade = one.placeOrder(site.stock, MarketOrder("BUY", 1, tif="DAY"))
            await site.until_status(trade, "Filled")
        fills: list[Fill] = await ib.reqExecutionsAsync()
        assert {fill.execution.clientId for fill in fills} == {1, 2}
        third = await site.client(3, fetchFields=StartupFetch.POSITIONS)
        fills = await third.reqExecutionsAsync(ExecutionFilter(clientId=2))
        assert [fill.execution.clientId for fill in fills] == [2]
        assert isinstance(fills[0].commissionReport, CommissionReport)
        assert fills[0].commissionReport.commission == 1.0

    at_gateway(scenario)


def test_executions_are_sifted(at_gateway: Run) -> None:
    """By side, symbol, kind, account and time."""

    async def scenario(site: Site) -> None:
        ib = await site.client()
        await site.venue.set_price("ONE", Decimal(60))
        for action in ("BUY", "SELL"):
            trade = ib.placeOrder(site.stock, MarketOrder(action, 1, tif="DAY"))
            await site.until_status(trade, "Filled")
        later = f"{site.venue.now() + timedelta(minutes=1):%Y%m%d-%H:%M:%S}"
        sieves: tuple[tuple[int, dict[str, Any]], ...] = (
            (2, {"acctCode": "DU1234567", "secType": "STK"}),
            (1, {"side": "BUY"}),
            (1, {"side": "SELL", "symbol": "KO"}),
            (0, {"symbol": "IBM"}),
            (0, {"secType": "FUT"}),
            (0, {"acctCode": "DU9"}),
            (0, {"time": later}),
        )
        for count, wanted in sieves:
            assert len(await ib.reqExecutionsAsync(ExecutionFilter(**wanted))) == count, wanted
        unanswered = asyncio.ensure_future(ib.reqExecutionsAsync(ExecutionFilter(time="noon")))
        await site.until_said(321)
        unanswered.cancel()

    at_gateway(scenario)


def test_executions_of_yesterday_are_gone(at_gateway: Run) -> None:
    """The gateway knows executions since its last midnight only; the books keep them."""

    async def scenario(site: Site) -> None:
        ib = await site.client()
        await site.venue.set_price("ONE", Decimal(60))
        trade = ib.placeOrder(site.stock, MarketOrder("BUY", 1, tif="DAY"))
        await site.until_status(trade, "Filled")
        assert len(await ib.reqExecutionsAsync()) == 1
        await site.venue.skew(14 * 3600)
        late = await site.client(2)
        assert await late.reqExecutionsAsync() == []
        assert await late.reqCompletedOrdersAsync(False) == []
        assert len(site.venue.truth().executions) == 1

    at_gateway(scenario)


@pytest.mark.parametrize(
    ("order", "before", "after"),
    [
        (StopOrder("BUY", 10, 62, tif="GTC"), 60, 62),
        (
            Order(action="BUY", totalQuantity=10, orderType="STP LMT", auxPrice=62, lmtPrice=63, tif="GTC"),
            60,
            62,
        ),
        (Order(action="SELL", totalQuantity=10, orderType="TRAIL", auxPrice=2, tif="GTC"), 60, 58),
        (Order(action="SELL", totalQuantity=10, orderType="TRAIL", trailingPercent=5, tif="GTC"), 60, 57),
    ],
    ids=["stop", "stop limit", "trailing amount", "trailing percent"],
)
def test_stops_wait_for_their_trigger(at_gateway: Run, order: Order, before: int, after: int) -> None:
    """A stop is simulated (PreSubmitted, held for its trigger) until the market reaches it."""

    async def scenario(site: Site) -> None:
        ib = await site.client()
        await site.venue.set_price("ONE", Decimal(before))
        trade = await site.placed(ib, order)
        assert (trade.orderStatus.status, trade.orderStatus.whyHeld) == ("PreSubmitted", "trigger")
        await site.venue.set_price("ONE", Decimal(after))
        await site.until_status(trade, "Filled")
        assert trade.fills[0].execution.price == after

    at_gateway(scenario)


def test_bracket_waits_for_transmission_and_for_its_parent(at_gateway: Run) -> None:
    """Nothing of a bracket is at the venue before its last leg; the exits wait, then end each other."""

    async def scenario(site: Site) -> None:
        ib = await site.client()
        await site.venue.set_price("ONE", Decimal(60))
        bracket = ib.bracketOrder("BUY", 10, 55, 65, 50)
        trades: list[Trade] = []
        for order in bracket:
            order.tif = "GTC"
            trades.append(ib.placeOrder(site.stock, order))
        entry, target, stop = trades
        await site.until(lambda: all(trade.order.permId for trade in trades), "the acceptance")
        assert target.orderStatus.whyHeld == "child"
        assert stop.orderStatus.whyHeld == "child,trigger"
        await site.venue.set_price("ONE", Decimal(66))
        assert target.filled() == 0
        await site.venue.set_price("ONE", Decimal(55))
        await site.until_status(entry, "Filled")
        await site.venue.set_price("ONE", Decimal(65))
        await site.until_status(target, "Filled")
        await site.until_status(stop, "Cancelled")
        groups = {order.group for order in site.venue.truth().orders}
        assert len(groups) == 1
        assert None not in groups

    at_gateway(scenario)


def test_bracket_whose_entry_is_filled_at_once(at_gateway: Run) -> None:
    """The exits come to the venue after that, and no word of them comes before they are there."""

    async def scenario(site: Site) -> None:
        ib = await site.client()
        await site.venue.set_price("ONE", Decimal(60))
        said: list[tuple[int, int]] = []
        told = ib.client.wrapper.orderStatus

        def note(*words: Any) -> None:
            said.append((words[0], words[5]))
            told(*words)

        ib.client.wrapper.orderStatus = note
        entry, target, stop = ib.bracketOrder("BUY", 10, 60, 65, 50)
        trades = []
        for order in (entry, target, stop):
            order.tif = "GTC"
            trades.append(ib.placeOrder(site.stock, order))
        await site.until_status(trades[0], "Filled")
        await site.until_status(trades[1], "Submitted")
        await site.until_status(trades[2], "PreSubmitted")
        assert all(perm_id for _, perm_id in said)
        await site.venue.set_price("ONE", Decimal(65))
        await site.until_status(trades[1], "Filled")
        await site.until_status(trades[2], "Cancelled")

    at_gateway(scenario)


def test_untransmitted_order_is_not_at_the_venue(at_gateway: Run) -> None:
    """An order that was not transmitted is not executed, and nobody else sees it."""

    async def scenario(site: Site) -> None:
        ib = await site.client(1)
        ib.placeOrder(site.stock, site.limit(price=70, transmit=False, orderRef="aw-x"))
        await ib.reqCurrentTimeAsync()
        await site.venue.set_price("ONE", Decimal(60))
        assert site.venue.truth().executions == ()
        other = await site.client(2)
        assert await other.reqAllOpenOrdersAsync() == []
        (trade,) = ib.openTrades()
        ib.cancelOrder(trade.order)
        await site.until_status(trade, "ApiCancelled")

    at_gateway(scenario)


def test_part_ends_the_group_that_says_so(at_gateway: Run) -> None:
    """In a group of the first type a part is enough to end the others."""

    async def scenario(site: Site) -> None:
        ib = await site.client()
        group = {"ocaGroup": "g", "ocaType": 1}
        first = await site.placed(ib, site.limit(orderRef="aw-50", **group))
        second = await site.placed(ib, site.limit(orderRef="aw-51", **group))
        await site.venue.fill("aw-51", Decimal(4))
        await site.until_status(first, "Cancelled")
        assert second.isActive()

    at_gateway(scenario)


def test_one_cancels_all(at_gateway: Run) -> None:
    """An execution ends or reduces the other orders of the group."""

    async def scenario(site: Site) -> None:
        ib = await site.client()
        await site.venue.set_price("ONE", Decimal(60))
        group = {"ocaGroup": "g", "ocaType": 2}
        first = await site.placed(ib, site.limit(price=50, orderRef="aw-50", **group))
        second = await site.placed(ib, site.limit(price=51, orderRef="aw-51", **group))
        await site.venue.fill("aw-51", Decimal(4))
        await site.until(lambda: first.orderStatus.remaining == 6, "the reduction")
        await site.venue.fill("aw-51")
        await site.until_status(second, "Filled")
        await site.until_status(first, "Cancelled")

    at_gateway(scenario)


def test_completed_orders_name_no_order_id(at_gateway: Run) -> None:
    """An order that was filled while its client was away comes back as completed, by its permId."""

    async def scenario(site: Site) -> None:
        ib = await site.client()
        trade = await site.placed(ib, site.limit(orderRef="aw-9"))
        perm_id = trade.order.permId
        ib.disconnect()
        await site.venue.set_price("ONE", Decimal(49))
        again = await site.client()
        (known,) = [one for one in again.trades() if one.order.permId == perm_id]
        assert (known.order.orderId, known.order.orderRef) == (0, "aw-9")
        assert (known.orderStatus.status, known.order.filledQuantity) == ("Filled", 10)
        assert known.order.parentPermId == 0
        assert again.openTrades() == []

    at_gateway(scenario)


def test_what_if_changes_nothing(at_gateway: Run) -> None:
    """An order that is only asked about is answered with its margin, and is not at the venue."""

    async def scenario(site: Site) -> None:
        ib = await site.client()
        state = await ib.whatIfOrderAsync(site.stock, site.limit(size=100, price=50))
        assert float(state.initMarginChange) == 1250
        assert state.commission == 1.0
        assert site.venue.truth().orders == ()

    at_gateway(scenario)


def test_global_cancel_ends_everything(at_gateway: Run) -> None:
    """All orders of all clients end."""

    async def scenario(site: Site) -> None:
        one, two = await site.client(1), await site.client(2)
        trades = [await site.placed(one, site.limit()), await site.placed(two, site.limit())]
        one.reqGlobalCancel()
        for trade in trades:
            await site.until_status(trade, "Cancelled")

    at_gateway(scenario)


def test_next_id_goes_back_where_no_order_came(at_gateway: Run) -> None:
    """The gateway counts the orders that it saw: an id that only its client has used comes again."""

    async def scenario(site: Site) -> None:
        ib = await site.client()
        trade = await site.placed(ib, site.limit())
        placed = trade.order.orderId
        await site.venue.mute(True)
        lost = ib.placeOrder(site.stock, site.limit(orderRef="aw-lost"))
        await site.until(lambda: any("aw-lost" in one.client_order_ids for one in site.venue.requests))
        await site.venue.mute(False)
        ib.disconnect()
        assert site.venue.venue.next_id(1) == placed + 1 == lost.order.orderId

    at_gateway(scenario)


def test_two_clients_trade_at_once(at_gateway: Run) -> None:
    """Each is told of its own orders alone, and may cancel only these."""

    async def scenario(site: Site) -> None:
        one, two = await site.client(1), await site.client(2)
        trade = await site.placed(one, site.limit())
        assert two.openTrades() == []
        (seen,) = await two.reqAllOpenOrdersAsync()
        assert (seen.order.permId, seen.order.clientId) == (trade.order.permId, 1)
        two.client.cancelOrder(trade.order.orderId, "")
        assert "not found" in await site.until_said(10147)
        assert trade.isActive()

    at_gateway(scenario)


def test_same_symbol_elsewhere_is_another_contract(at_gateway: Run) -> None:
    """A contract that could be two is refused for an order too."""

    async def scenario(site: Site) -> None:
        ib = await site.client()
        ib.placeOrder(Stock("TWIN", "SMART", "USD"), LimitOrder("BUY", 1, 10, tif="DAY"))
        assert "ambiguous" in await site.until_said(200)
        assert site.venue.truth().orders == ()

    at_gateway(scenario)
