"""Everything that can go wrong between a client and the gateway, on demand; the books stay true."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from ib_async import LimitOrder, MarketOrder, StartupFetch

from alphaweave.core.money import Money
from alphaweave.core.order import OrderStatus, Side
from alphaweave.testing.sandbox import Action, Fault, Power
from alphaweave_broker_ibkr.sandbox.control import IbkrSandbox
from alphaweave_broker_ibkr.sandbox.faults import Commissions

Run = Callable[..., None]
Site = Any


async def _place(site: Site, ib: Any, ref: str, kind: type = LimitOrder) -> Any:
    order = site.limit(orderRef=ref) if kind is LimitOrder else kind("BUY", 10, tif="DAY", orderRef=ref)
    trade = ib.placeOrder(site.stock, order)
    await site.until(lambda: any(ref in one.client_order_ids for one in site.venue.requests), "the request")
    return trade


@pytest.mark.parametrize(
    ("fault", "code", "there"),
    [
        (Fault.REJECT, 201, False),
        (Fault.DUPLICATE_ID, 103, False),
        (Fault.THROTTLE, 100, False),
        (Fault.ERROR_BEFORE, 322, False),
        (Fault.ERROR_AFTER, 322, True),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_fault_befalls_one_order(at_gateway: Run, fault: Fault, code: int, there: bool) -> None:
    """The next order meets it, the one after does not; whether it is in the books is the fault's affair."""

    async def scenario(site: Site) -> None:
        ib = await site.client()
        await site.venue.arm(Action.SUBMIT, fault)
        trade = await _place(site, ib, "aw-1")
        await site.until_said(code)
        assert (trade.order.orderId, code) in {(number, one) for number, one, _ in site.errors}
        assert (site.venue.truth().order("aw-1") is not None) is there
        await site.placed(ib, site.limit(orderRef="aw-2"))
        assert site.venue.truth().order("aw-2") is not None

    at_gateway(scenario)


def test_lost_request_is_not_done(at_gateway: Run) -> None:
    """It is neither answered nor in the books."""

    async def scenario(site: Site) -> None:
        ib = await site.client()
        await site.venue.arm(Action.SUBMIT, Fault.LOSE_REQUEST)
        trade = await _place(site, ib, "aw-1")
        await ib.reqCurrentTimeAsync()
        assert (trade.order.permId, site.venue.truth().orders) == (0, ())

    at_gateway(scenario)


def test_lost_answer_does_not_lose_the_execution(at_gateway: Run) -> None:
    """The order is never acknowledged; its execution is told all the same."""

    async def scenario(site: Site) -> None:
        ib = await site.client()
        await site.venue.set_price("ONE", Decimal(60))
        await site.venue.arm(Action.SUBMIT, Fault.LOSE_ANSWER)
        trade = await _place(site, ib, "aw-1", MarketOrder)
        await site.until(lambda: trade.fills, "the execution")
        assert trade.log[0].status == "PendingSubmit"
        assert "PreSubmitted" not in [entry.status for entry in trade.log]

    at_gateway(scenario)


def test_held_answer_comes_after_the_execution(at_gateway: Run) -> None:
    """The acknowledgement waits until it is released."""

    async def scenario(site: Site) -> None:
        ib = await site.client()
        await site.venue.arm(Action.SUBMIT, Fault.HOLD)
        trade = await _place(site, ib, "aw-1")
        assert site.venue.truth().order("aw-1") is not None
        await site.venue.fill("aw-1", Decimal(4))
        await site.until(lambda: trade.filled() == 4)
        statuses = [entry.status for entry in trade.log]
        assert "PreSubmitted" not in statuses
        await site.venue.release_answers()
        await site.until(lambda: "PreSubmitted" in [entry.status for entry in trade.log])

    at_gateway(scenario)


def test_hung_up_order_is_done(at_gateway: Run) -> None:
    """The connection ends without an answer; the order is there, and found again."""

    async def scenario(site: Site) -> None:
        ib = await site.client()
        await site.venue.arm(Action.SUBMIT, Fault.HANG_UP)
        await _place(site, ib, "aw-1")
        await site.until(lambda: not ib.isConnected(), "the end")
        again = await site.client()
        assert [trade.order.orderRef for trade in again.openTrades()] == ["aw-1"]

    at_gateway(scenario)


def test_garbled_answer_is_nothing_a_client_understands(at_gateway: Run) -> None:
    """The client library complains of it, and goes on."""

    async def scenario(site: Site) -> None:
        site.tolerated = ("ib_async.Decoder: Error handling fields: ['5', 'garbled']",)
        ib = await site.client()
        await site.venue.arm(Action.SUBMIT, Fault.GARBLE)
        trade = await _place(site, ib, "aw-1")
        await ib.reqCurrentTimeAsync()
        assert trade.order.permId == 0
        assert site.venue.truth().order("aw-1") is not None

    at_gateway(scenario)


def test_group_suffers_one_fault(at_gateway: Run) -> None:
    """What befalls the parent of a bracket befalls its legs; the next bracket is unharmed."""

    async def scenario(site: Site) -> None:
        ib = await site.client()
        await site.venue.arm(Action.SUBMIT, Fault.LOSE_ANSWER)
        for expected in (3, 6):
            trades = []
            for order in ib.bracketOrder("BUY", 10, 55, 65, 50):
                order.tif = "GTC"
                trades.append(ib.placeOrder(site.stock, order))
            await site.until(lambda count=expected: len(site.venue.truth().orders) == count)
            await ib.reqCurrentTimeAsync()
            known = [bool(trade.order.permId) for trade in trades]
            assert known == [expected == 6] * 3

    at_gateway(scenario)


def test_cancel_and_change_meet_faults_of_their_own(at_gateway: Run) -> None:
    """A refused cancel, and a refused change, leave the order as it is."""

    async def scenario(site: Site) -> None:
        ib = await site.client()
        trade = await site.placed(ib, site.limit(orderRef="aw-1"))
        await site.venue.arm(Action.CANCEL, Fault.REJECT)
        ib.client.cancelOrder(trade.order.orderId, "")
        await site.until_said(161)
        await site.venue.arm(Action.REPLACE, Fault.REJECT)
        trade.order.lmtPrice = 51
        ib.client.placeOrder(trade.order.orderId, site.stock, trade.order)
        await site.until_said(201)
        (order,) = site.venue.truth().orders
        assert (order.status, order.request.limit_price) == (OrderStatus.ACCEPTED, 50)

    at_gateway(scenario)


@pytest.mark.parametrize("fault", [Fault.LOSE_ANSWER, Fault.ERROR_AFTER, Fault.HANG_UP])
def test_end_of_an_order_is_told_though_the_answer_is_not(at_gateway: Run, fault: Fault) -> None:
    """A cancel without its 202 still ends the order, and the order's own status says so, if anything can."""

    async def scenario(site: Site) -> None:
        ib = await site.client()
        trade = await site.placed(ib, site.limit(orderRef="aw-1"))
        said: list[Any] = []
        ib.client.wrapper.orderStatus = lambda *words: said.append(words[1])
        ib.client.wrapper.error = lambda *words: said.append(words[1])
        await site.venue.arm(Action.CANCEL, fault)
        ib.client.cancelOrder(trade.order.orderId, "")
        if fault is Fault.HANG_UP:
            await site.until(lambda: not ib.isConnected(), "the end")
            assert said == []
        else:
            await site.until(lambda: "Cancelled" in said, "the status")
            assert said == ([322] if fault is Fault.ERROR_AFTER else []) + ["Cancelled"]
        assert site.venue.truth().orders[0].status is OrderStatus.CANCELLED

    at_gateway(scenario)


def test_events_are_held_repeated_and_turned_round(at_gateway: Run) -> None:
    """Held events are nowhere; released they come as often, and in the order, that was asked for."""

    async def scenario(site: Site) -> None:
        ib = await site.client()
        trade = await site.placed(ib, site.limit(orderRef="aw-1"))
        heard: list[tuple[str, float]] = []
        ib.client.wrapper.execDetails = lambda number, contract, one: heard.append((one.execId, one.shares))
        await site.venue.hold_events()
        await site.venue.fill("aw-1", Decimal(4))
        await site.venue.fill("aw-1", Decimal(6))
        await ib.reqCurrentTimeAsync()
        assert heard == []
        assert trade.orderStatus.filled == 0
        await site.venue.release_events(times=2, backwards=True)
        await site.until(lambda: len(heard) == 4)
        assert [shares for _, shares in heard] == [6, 6, 4, 4]
        assert len({key for key, _ in heard}) == 2

    at_gateway(scenario)


def test_words_about_orders_are_held_alone(at_gateway: Run) -> None:
    """Ticks and notices go on while executions wait."""

    async def scenario(site: Site) -> None:
        ib = await site.client()
        trade = await site.placed(ib, site.limit(orderRef="aw-1"))
        ticker = ib.reqMktData(site.stock)
        await ib.reqCurrentTimeAsync()
        site.venue.troubles.hold_orders()
        await site.venue.set_price("ONE", Decimal(40))
        await site.until(lambda: ticker.last == 40, "the tick")
        site.venue.troubles.notice(2108, "Market data farm connection is inactive")
        await site.until_said(2108)
        assert trade.fills == []
        await site.venue.release_events()
        await site.until(lambda: trade.filled() == 10, "the execution")
        await site.venue.hold_events()
        await site.venue.set_price("ONE", Decimal(41))
        await ib.reqCurrentTimeAsync()
        assert ticker.last == 40

    at_gateway(scenario)


def test_mute_gateway_keeps_the_connection(at_gateway: Run) -> None:
    """Nothing is said, what is asked is lost, and afterwards all is well."""

    async def scenario(site: Site) -> None:
        ib = await site.client()
        await site.venue.mute(True)
        asked = asyncio.ensure_future(ib.reqCurrentTimeAsync())
        await site.until(lambda: site.venue.requests[-1].what == "reqCurrentTime")
        await site.venue.mute(False)
        assert ib.isConnected()
        assert not asked.done()
        await ib.reqCurrentTimeAsync()
        asked.cancel()

    at_gateway(scenario)


def test_restart_ends_connections_and_keeps_the_books(at_gateway: Run) -> None:
    """Connections end; orders live on, and are found by the next client on the same port."""

    async def scenario(site: Site) -> None:
        ib = await site.client()
        await site.placed(ib, site.limit(orderRef="aw-1"))
        port = site.venue.port
        await site.venue.restart()
        await site.until(lambda: not ib.isConnected(), "the end")
        assert site.venue.port == port
        again = await site.client()
        assert len(again.openTrades()) == 1
        await site.venue.refuse(True)
        await site.until(lambda: not again.isConnected(), "the end")
        with pytest.raises(ConnectionRefusedError):
            await site.client(3)
        await site.venue.refuse(False)
        assert (await site.client(4)).isConnected()

    at_gateway(scenario)


def test_gateway_resets_at_night(at_gateway: Run) -> None:
    """At its hour it ends every connection, once."""

    async def scenario(site: Site) -> None:
        ib = await site.client()
        await site.venue.skew(13 * 3600 + 1801)
        await site.until(lambda: not ib.isConnected(), "the reset")
        again = await site.client()
        await again.reqCurrentTimeAsync()
        assert again.isConnected()

    at_gateway(scenario, reset="23:45")


def test_gateway_is_away_for_a_while_at_night(at_gateway: Run) -> None:
    """It takes no connection before it is back, on the same port, with the same books."""

    async def scenario(site: Site) -> None:
        ib = await site.client()
        await site.placed(ib, site.limit(orderRef="aw-1", tif="GTC"))
        port = site.venue.port

        def listens() -> bool:
            with socket.socket() as one:
                return one.connect_ex(("127.0.0.1", port)) == 0

        away = 13 * 3600 + 15 * 60 + 1
        await site.venue.skew(away)
        await site.until(lambda: not ib.isConnected(), "the reset")
        assert not listens()
        await site.venue.skew(away + 100)
        await site.until(listens, "its return")
        again = await site.client()
        assert [trade.order.orderRef for trade in again.openTrades()] == ["aw-1"]

    at_gateway(scenario, reset="23:45", away=100)


def test_client_id_is_taken_once(at_gateway: Run) -> None:
    """A second client of one id is told 326, and is sent away; so is one whose id the gateway still holds."""

    async def scenario(site: Site) -> None:
        first = await site.client(5)
        for client_id in (5, 6):
            await site.venue.troubles.take_client_id(6, True)
            knocking = asyncio.ensure_future(site.client(client_id))
            await site.until_said(326)
            site.errors.clear()
            # The client library would wait out its time limit.
            knocking.cancel()
            await asyncio.gather(knocking, return_exceptions=True)
        await site.venue.troubles.take_client_id(6, False)
        assert (await site.client(6)).isConnected()
        assert first.isConnected()

    at_gateway(scenario)


def test_servers_are_lost_and_found(at_gateway: Run) -> None:
    """1100: orders wait and executions are told later; 1102: all comes. A change meanwhile makes a twin."""

    async def scenario(site: Site) -> None:
        ib = await site.client()
        await site.venue.set_price("ONE", Decimal(60))
        resting = await site.placed(ib, site.limit(orderRef="aw-1"))
        changed = await site.placed(ib, site.limit(orderRef="aw-2"))
        ended = await site.placed(ib, site.limit(orderRef="aw-4"))
        await site.venue.troubles.lose_servers()
        await site.until_said(1100)
        waiting = ib.placeOrder(site.stock, MarketOrder("BUY", 1, tif="DAY", orderRef="aw-3"))
        changed.order.lmtPrice = 51
        ib.placeOrder(site.stock, changed.order)
        ib.client.cancelOrder(ended.order.orderId, "")
        await site.venue.fill("aw-1")
        assert await ib.reqExecutionsAsync() == []
        assert site.venue.truth().order("aw-4").status is OrderStatus.ACCEPTED
        assert (resting.filled(), waiting.order.permId) == (0, 0)
        await site.venue.troubles.find_servers()
        await site.until_said(1102)
        await site.until_status(resting, "Filled")
        await site.until_status(waiting, "Filled")
        await site.until_status(ended, "Cancelled")
        assert len(await ib.reqExecutionsAsync()) == 2
        twins = [order for order in site.venue.truth().orders if order.client_order_id == "aw-2"]
        assert len({order.venue_order_id for order in twins}) == 2
        assert {order.status for order in twins} == {OrderStatus.ACCEPTED}

    at_gateway(scenario)


def test_port_changes(at_gateway: Run) -> None:
    """1300, and the gateway is elsewhere."""

    async def scenario(site: Site) -> None:
        ib = await site.client()
        before = site.venue.port
        await site.venue.troubles.change_port()
        await site.until_said(1300)
        await site.until(lambda: not ib.isConnected(), "the end")
        assert site.venue.port != before
        assert (await site.client()).isConnected()

    at_gateway(scenario)


def test_commissions_come_late_or_never(at_gateway: Run) -> None:
    """An execution is told without its commission, on the stream and on request, until that is reported."""

    async def scenario(site: Site) -> None:
        ib = await site.client()
        await site.venue.set_price("ONE", Decimal(60))
        site.venue.quirks.commissions = Commissions.LATE
        trade = await _place(site, ib, "aw-1", MarketOrder)
        await site.until_status(trade, "Filled")
        fills = await (await site.client(2)).reqExecutionsAsync()
        assert fills[0].commissionReport.execId == ""
        assert trade.fills[0].commissionReport.execId == ""
        site.venue.troubles.report_commissions()
        await site.until(lambda: trade.fills[0].commissionReport.commission == 1.0, "the commission")

    at_gateway(scenario)


def test_late_fee_restates_the_commission(at_gateway: Run) -> None:
    """A commission is told once more, as a whole."""

    async def scenario(site: Site) -> None:
        ib = await site.client()
        await site.venue.set_price("ONE", Decimal(60))
        trade = await _place(site, ib, "aw-1", MarketOrder)
        await site.until_status(trade, "Filled")
        said: list[float] = []
        ib.commissionReportEvent += lambda trade, fill, report: said.append(report.commission)
        (execution,) = site.venue.truth().executions
        await site.venue.late_fee(execution.id, Money("USD", Decimal("0.25")))
        await site.until(lambda: said == [1.25], "the new commission")
        assert site.venue.truth().executions[0].fees == (Money("USD", Decimal("1.25")),)
        assert site.venue.truth().balances["USD"] == Decimal(1_000_000) - 600 - Decimal("1.25")

    at_gateway(scenario)


def test_corrections_and_busts_are_revisions(at_gateway: Run) -> None:
    """The last part of the execution's id counts up; the books have the new figures."""

    async def scenario(site: Site) -> None:
        ib = await site.client()
        await site.venue.set_price("ONE", Decimal(60))
        trade = await _place(site, ib, "aw-1", MarketOrder)
        await site.until_status(trade, "Filled")
        (one,) = site.venue.truth().executions
        await site.venue.correct(one.id, Decimal(8), Decimal("60.5"))
        await site.until(lambda: len(trade.fills) == 2, "the correction")
        await site.venue.bust(one.id)
        await site.until(lambda: len(trade.fills) == 3, "the bust")
        ids = [fill.execution.execId for fill in trade.fills]
        assert [key.rpartition(".")[2] for key in ids] == ["01", "02", "03"]
        assert len({key.rpartition(".")[0] for key in ids}) == 1
        told = [(fill.execution.shares, fill.execution.price) for fill in trade.fills]
        assert told == [(10, 60), (8, 60.5), (0, 60.5)]
        truth = site.venue.truth()
        assert truth.executions[0].size == 0
        assert truth.positions == {}
        assert truth.balances["USD"] == Decimal(1_000_000) - 1

    at_gateway(scenario)


def test_events_can_be_lost(at_gateway: Run) -> None:
    """What was held back is never told, unless somebody asks."""

    async def scenario(site: Site) -> None:
        ib = await site.client()
        trade = await site.placed(ib, site.limit(orderRef="aw-1"))
        await site.venue.hold_events()
        await site.venue.set_price("ONE", Decimal(40))
        await site.venue.release_events(times=0)
        await ib.reqCurrentTimeAsync()
        assert (trade.fills, trade.orderStatus.status) == ([], "Submitted")
        assert len(await ib.reqExecutionsAsync()) == 1

    at_gateway(scenario)


def test_every_power_but_three_is_there() -> None:
    """There is no key, no number on an event, and no word of a halt among a contract's rules."""
    missing = {power.name for power in set(Power) - IbkrSandbox.powers}
    assert missing == {"WRONG_KEYS", "LOSE_EVENTS", "HALT"}


def test_quirks_of_real_gateways(at_gateway: Run) -> None:
    """Executions before their order, no status for what is filled, everything twice."""

    async def scenario(site: Site) -> None:
        ib = await site.client()
        await site.venue.set_price("ONE", Decimal(60))
        said: list[str] = []
        for name in ("execDetails", "openOrder", "orderStatus"):
            setattr(ib.client.wrapper, name, lambda *words, name=name: said.append(name))
        quirks = site.venue.quirks
        quirks.executions_first, quirks.no_status, quirks.repeats = True, True, 2
        ib.placeOrder(site.stock, MarketOrder("BUY", 1, tif="DAY"))
        await site.until(lambda: len(said) >= 4)
        assert said[:4] == ["execDetails", "openOrder", "openOrder", "openOrder"]
        assert "orderStatus" not in said

    at_gateway(scenario)


def test_times_may_lack_their_zone(at_gateway: Run) -> None:
    """Older gateways write New York's time, and do not say whose it is."""

    async def scenario(site: Site) -> None:
        ib = await site.client()
        ib.TimezoneTWS = "America/New_York"
        await site.venue.set_price("ONE", Decimal(60))
        site.venue.quirks.bare_times = True
        trade = await _place(site, ib, "aw-1", MarketOrder)
        await site.until(lambda: trade.fills, "the execution")
        true = site.venue.truth().executions[0].at
        assert trade.fills[0].execution.time == true.replace(microsecond=0)

    at_gateway(scenario)


def test_inactive_order_may_work_again(at_gateway: Run) -> None:
    """An order that is held back is Inactive, is not executed, and lives."""

    async def scenario(site: Site) -> None:
        ib = await site.client()
        trade = await site.placed(ib, site.limit(orderRef="aw-1"))
        site.venue.troubles.idle("aw-1", True)
        await site.until_status(trade, "Inactive")
        await site.venue.set_price("ONE", Decimal(40))
        assert site.venue.truth().orders[0].status is OrderStatus.ACCEPTED
        site.venue.troubles.idle("aw-1", False)
        await site.until_status(trade, "Submitted")
        await site.venue.set_price("ONE", Decimal(41))
        await site.until_status(trade, "Filled")

    at_gateway(scenario)


def test_question_for_executions_may_stay_unanswered(at_gateway: Run) -> None:
    """A question that names no client is not answered; one that does is."""

    async def scenario(site: Site) -> None:
        from ib_async import ExecutionFilter

        ib = await site.client(fetchFields=StartupFetch.POSITIONS)
        site.venue.quirks.silent_executions = True
        asked = asyncio.ensure_future(ib.reqExecutionsAsync())
        assert await ib.reqExecutionsAsync(ExecutionFilter(clientId=1)) == []
        assert not asked.done()
        asked.cancel()

    at_gateway(scenario)


def test_others_trade_in_the_account(at_gateway: Run) -> None:
    """A client hears of others by position and on request; the master client hears of everything."""

    async def scenario(site: Site) -> None:
        ib = await site.client(1)
        master = await site.client(7)
        heard: list[str] = []
        master.execDetailsEvent += lambda trade, fill: heard.append(fill.execution.side)
        moved: list[float] = []
        ib.positionEvent += lambda position: moved.append(position.position)
        await site.venue.foreign_order("ONE", Side.BUY, Decimal(3), Decimal(40))
        await site.venue.foreign_trade("ONE", Side.SELL, Decimal(2), Decimal(61))
        await site.until(lambda: moved == [-2], "the position")
        assert ib.fills() == []
        orders = await ib.reqAllOpenOrdersAsync()
        assert [(one.order.orderId, one.order.totalQuantity) for one in orders] == [(0, 3)]
        assert [fill.execution.shares for fill in await ib.reqExecutionsAsync()] == [2]
        await site.until(lambda: heard == ["SLD"], "the master's news")
        await site.venue.move_position("ONE", Decimal(12))
        await site.until(lambda: moved[-1] == 10)
        await site.venue.cash_flow(Money("USD", Decimal(500)))
        assert site.venue.truth().balances["USD"] == Decimal(1_000_000) + 122 - 1 + 500

    at_gateway(scenario, master=7)


def test_orders_end_by_themselves(at_gateway: Run) -> None:
    """An order that the venue cancels, and one whose time is over, are told as cancelled; the books know."""

    async def scenario(site: Site) -> None:
        ib = await site.client()
        first = await site.placed(ib, site.limit(orderRef="aw-1"))
        second = await site.placed(ib, site.limit(orderRef="aw-2"))
        await site.venue.cancel("aw-1")
        await site.venue.expire("aw-2")
        await site.until_status(first, "Cancelled")
        await site.until_status(second, "Cancelled")
        statuses = [order.status for order in site.venue.truth().orders]
        assert statuses == [OrderStatus.CANCELLED, OrderStatus.EXPIRED]
        await site.venue.fill("aw-1", Decimal(2))
        await site.until(lambda: first.filled() == 2, "the late execution")

    at_gateway(scenario)


def test_dropped_client_comes_back(at_gateway: Run) -> None:
    """Every connection ends; the same client id is taken at once, by broker and feed each their own."""

    async def scenario(site: Site) -> None:
        options, feed = site.venue.options(), site.venue.feed_options()
        assert options["client_id"] != feed["client_id"]
        clients = [await site.client(one["client_id"]) for one in (options, feed)]
        await site.venue.drop()
        for ib in clients:
            await site.until(lambda ib=ib: not ib.isConnected(), "the end")
        assert (await site.client(options["client_id"])).isConnected()

    at_gateway(scenario)


def test_another_sandbox_begins_anew(at_gateway: Run) -> None:
    """A fresh one has the same rules, another port, and books without a past."""

    async def scenario(site: Site) -> None:
        ib = await site.client()
        await site.venue.set_price("ONE", Decimal(60))
        trade = await _place(site, ib, "aw-1", MarketOrder)
        await site.until_status(trade, "Filled")
        other = site.venue.fresh()
        await other.start()
        try:
            assert other.port != site.venue.port
            assert other.instruments == site.venue.instruments
            assert other.truth().orders == ()
            assert other.truth().balances == {"USD": Decimal(1_000_000)}
        finally:
            await other.stop()

    at_gateway(scenario)
