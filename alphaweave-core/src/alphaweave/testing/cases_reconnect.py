"""Broker cases: connections that end, and what comes after."""

from __future__ import annotations

from datetime import timedelta

from alphaweave.core.errors import BrokerUnavailable, NotSent, OutcomeUnknown
from alphaweave.core.order import OrderStatus
from alphaweave.live.broker import BrokerFill, ConnectionLost, ConnectionRestored, FillQuery
from alphaweave.testing.bench import Bench, distinct
from alphaweave.testing.case import in_group
from alphaweave.testing.sandbox import Action, Power

__all__ = ["ReconnectCases"]

_case = in_group("Reconnect")
_restart = in_group("Restart")


async def _lost(bench: Bench, *, after: int = 0) -> None:
    await bench.event(lambda event: isinstance(event, ConnectionLost), "ConnectionLost", after=after)


async def _restored(bench: Bench, *, after: int = 0) -> None:
    def fits(event: object) -> bool:
        return isinstance(event, ConnectionRestored)

    await bench.event(fits, "ConnectionRestored", after=after)


class ReconnectCases:
    """Connections that end, and what comes after."""

    @_case("BRK-710", powers=[Power.DROP])
    async def test_dropped_connection_comes_back(self, bench: Bench) -> None:
        """A connection that ends is told as ConnectionLost, then comes back by itself: ConnectionRestored."""
        await bench.open()
        await bench.venue.drop()
        await _lost(bench)
        await _restored(bench)
        await bench.bought()

    @_case("BRK-715", powers=[Power.REFUSE])
    async def test_outage_lasts_until_it_is_over(self, bench: Bench) -> None:
        """While the venue is away nothing is told as restored; an order is NotSent or OutcomeUnknown."""
        broker = await bench.open()
        await bench.venue.refuse(True)
        await _lost(bench)
        sent = bench.written(bench.orders.limit(bench.symbol))
        call = broker.submit_order(sent.ref, sent.request)
        await bench.refused((NotSent, OutcomeUnknown), call, "an order during an outage")
        assert not bench.all_of(ConnectionRestored), "ConnectionRestored was told while the venue is away"
        await bench.venue.refuse(False)
        await _restored(bench)
        assert bench.truth(sent) is None, "an order that was not sent during an outage was sent after it"
        await bench.bought()

    @_case("BRK-720", powers=[Power.REFUSE])
    async def test_query_during_an_outage_is_no_answer(self, bench: Bench) -> None:
        """A query while the venue is away is BrokerUnavailable, never an empty answer or an old one."""
        broker = await bench.open()
        await bench.submit(bench.orders.limit(bench.symbol))
        await bench.venue.refuse(True)
        await _lost(bench)
        await bench.refused(BrokerUnavailable, broker.get_open_orders(), "get_open_orders() in an outage")
        await bench.refused(BrokerUnavailable, broker.get_account_state(), "get_account_state() in an outage")

    @_case("BRK-725", powers=[Power.MUTE])
    async def test_silence_counts_as_lost(self, bench: Bench) -> None:
        """A connection that merely goes silent is told as ConnectionLost."""
        await bench.open()
        await bench.venue.mute(True)
        await _lost(bench)
        await bench.venue.mute(False)
        await _restored(bench)
        await bench.bought()

    @_case("BRK-730", powers=[Power.REFUSE, Power.FILL])
    async def test_fills_of_an_outage_are_found(self, bench: Bench) -> None:
        """Executions that happened during an outage are told afterwards, or found by `get_fills`."""
        broker = await bench.open()
        sent = await bench.submit(bench.orders.limit(bench.symbol, 2))
        await bench.venue.refuse(True)
        await _lost(bench)
        await bench.venue.fill(sent.id)
        await bench.venue.refuse(False)
        await _restored(bench)
        since = bench.venue.clock.now() - timedelta(hours=1)
        report = await bench.within(broker.get_fills(FillQuery(since)), "get_fills()")
        found = distinct([*bench.fills(sent), *report.fills])
        assert sum(fill.size for fill in found) == sent.request.quantity, f"found: {found}"

    @_case("BRK-735", powers=[Power.REFUSE, Power.CANCEL])
    async def test_order_that_ended_in_an_outage_is_found_ended(self, bench: Bench) -> None:
        """An order that ended during an outage is found as ended, and is no open order any more."""
        broker = await bench.open()
        sent = await bench.submit(bench.orders.limit(bench.symbol))
        await bench.venue.refuse(True)
        await _lost(bench)
        await bench.venue.cancel(sent.id)
        await bench.venue.refuse(False)
        await _restored(bench)
        found = await bench.within(broker.get_order(bench.known(sent)), "get_order()")
        assert found is None or found.status.terminal, f"it is found as {found}"
        working = await bench.within(broker.get_open_orders(), "get_open_orders()")
        assert sent.id not in {order.client_order_id for order in working}, "it is still an open order"

    @_case("BRK-740", powers=[Power.DROP])
    async def test_reconnect_sends_no_order(self, bench: Bench) -> None:
        """A reconnect sends, cancels and changes nothing."""
        await bench.open()
        sent = await bench.submit(bench.orders.limit(bench.symbol))
        before = len(bench.requests(Action.SUBMIT, Action.CANCEL, Action.REPLACE))
        await bench.venue.drop()
        await _lost(bench)
        await _restored(bench)
        after = len(bench.requests(Action.SUBMIT, Action.CANCEL, Action.REPLACE))
        assert before == after, "orders were sent, cancelled or changed by a reconnect"
        assert bench.working(sent), f"after a reconnect {sent.id} is {bench.truth(sent)}"

    @_case("BRK-745", powers=[Power.DROP])
    async def test_repeated_drops_are_each_told(self, bench: Bench) -> None:
        """Connections that end one after another are each told as lost, and the last comes back."""
        await bench.open()
        for _ in range(3):
            begun = len(bench.events)
            await bench.venue.drop()
            await _lost(bench, after=begun)
            await _restored(bench, after=begun)
        told = [
            type(event) for event in bench.events if isinstance(event, ConnectionLost | ConnectionRestored)
        ]
        assert told == [ConnectionLost, ConnectionRestored] * 3, "lost and restored do not take turns"
        await bench.bought()

    @_case("BRK-747", powers=[Power.HOLD_EVENTS, Power.LOSE_EVENTS])
    async def test_lost_event_is_noticed(self, bench: Bench) -> None:
        """An event that a connection lost, as its number shows, is told after all, or ends the connection."""
        await bench.open()
        sent = await bench.submit(bench.orders.limit(bench.symbol))
        await bench.submit(bench.orders.limit(bench.other))
        await bench.venue.hold_events()
        await bench.venue.set_price(bench.symbol, bench.orders.price(bench.symbol, "0.5"))
        await bench.venue.release_events(times=0)
        await bench.venue.set_price(bench.other, bench.orders.price(bench.other, "0.5"))
        await bench.event(
            lambda event: isinstance(event, ConnectionLost) or bench.filled(sent) == sent.request.quantity,
            f"the execution of {sent.id}, of which the venue's event was lost, or a lost connection",
        )
        if bench.all_of(ConnectionLost):
            await _restored(bench)
        since = bench.venue.clock.now() - timedelta(hours=1)
        report = await bench.within(bench.broker.get_fills(FillQuery(since)), "get_fills()")
        keys = {fill.execution_key for fill in (*bench.all_of(BrokerFill), *report.fills)}
        true = len(bench.venue.truth().executions)
        assert len(keys) == true, f"{true} executions, known are {sorted(keys)}"

    @_case("BRK-750", powers=[Power.RESTART])
    async def test_restarted_venue_is_found_again(self, bench: Bench) -> None:
        """A venue that restarts is told as lost, then restored, and its orders are found again."""
        broker = await bench.open()
        sent = await bench.submit(bench.orders.limit(bench.symbol))
        await bench.venue.restart()
        await _lost(bench)
        await _restored(bench)
        working = await bench.within(broker.get_open_orders(), "get_open_orders()")
        assert sent.id in {order.client_order_id for order in working}, "the order is not found again"
        await bench.venue.set_price(bench.symbol, bench.orders.price(bench.symbol, "0.5"))
        await bench.until_filled(sent)

    @_restart("BRK-810")
    async def test_open_order_is_found_by_a_new_process(self, bench: Bench) -> None:
        """A new process finds an open order by the names that were committed, without the broker's id."""
        await bench.open()
        sent = bench.written(bench.orders.limit(bench.symbol))
        await bench.within(bench.broker.submit_order(sent.ref, sent.request), "submit_order()")
        broker = await bench.reopen()
        found = await bench.within(broker.get_order(sent.ref), "get_order() of a new process")
        assert found is not None, "the order is not found"
        told = (found.ref.client_order_id, found.side, found.quantity)
        wanted = (sent.id, sent.request.side, sent.request.quantity)
        assert told == wanted, f"client id, side and quantity are {told}, not {wanted}"
        working = await bench.within(broker.get_open_orders(), "get_open_orders()")
        listed = [order.client_order_id for order in working]
        assert listed == [sent.id], f"get_open_orders has {listed}, working is {sent.id}"

    @_restart("BRK-815")
    async def test_open_order_is_cancelled_by_a_new_process(self, bench: Bench) -> None:
        """A new process cancels an order of the one before, and hears of its end."""
        await bench.open()
        sent = await bench.submit(bench.orders.limit(bench.symbol))
        broker = await bench.reopen()
        await bench.within(broker.cancel_order(sent.ref), "cancel_order() of a new process")
        await bench.until_status(sent, OrderStatus.CANCELLED)

    @_restart("BRK-820", powers=[Power.FILL])
    async def test_fills_between_processes_are_found(self, bench: Bench) -> None:
        """Executions that happened while no process ran are found by `get_fills`."""
        await bench.open()
        sent = await bench.submit(bench.orders.limit(bench.symbol, 2))
        await bench.within(bench.broker.disconnect(), "disconnect()")
        await bench.venue.fill(sent.id)
        broker = await bench.reopen()
        since = bench.venue.clock.now() - timedelta(hours=1)
        report = await bench.within(broker.get_fills(FillQuery(since)), "get_fills()")
        found = distinct([fill for fill in report.fills if fill.symbol == bench.symbol])
        assert sum(fill.size for fill in found) == sent.request.quantity, f"found: {report.fills}"

    @_restart("BRK-822", powers=[Power.FILL])
    async def test_order_that_ended_between_processes_is_found(self, bench: Bench) -> None:
        """A new process finds an order that ended while none ran by the committed names, as it ended."""
        await bench.open()
        sent = bench.written(bench.orders.limit(bench.symbol, 2))
        await bench.within(bench.broker.submit_order(sent.ref, sent.request), "submit_order()")
        await bench.within(bench.broker.disconnect(), "disconnect()")
        await bench.venue.fill(sent.id)
        broker = await bench.reopen()
        found = await bench.within(broker.get_order(sent.ref), "get_order() of a new process")
        told = None if found is None else (found.status, found.filled)
        wanted = (OrderStatus.FILLED, sent.request.quantity)
        assert told == wanted, f"{sent.id} is {wanted} at the venue, get_order says {told}"

    @_restart("BRK-825")
    async def test_keys_outlive_the_process(self, bench: Bench) -> None:
        """A new process names an execution as the one before did."""
        await bench.open()
        sent = await bench.bought()
        before = bench.fills(sent)
        broker = await bench.reopen()
        since = bench.venue.clock.now() - timedelta(hours=1)
        report = await bench.within(broker.get_fills(FillQuery(since)), "get_fills()")
        assert len(distinct([*before, *report.fills])) == len(before), "an execution has another name now"

    @_restart("BRK-830")
    async def test_reserved_names_are_not_used_twice(self, bench: Bench) -> None:
        """What `prepare` reserved in one process is reserved for no other order in the next."""
        await bench.open()
        first = [await bench.submit(bench.orders.limit(bench.symbol)) for _ in range(2)]
        await bench.reopen()
        second = [await bench.submit(bench.orders.limit(bench.symbol)) for _ in range(2)]
        orders = bench.venue.truth().orders
        ids = [order.venue_order_id for order in orders]
        assert len(orders) == len(set(ids)) == 4, f"4 orders were sent, the venue has {len(set(ids))}"
        for one in (*first, *second):
            assert bench.working(one), "an order of the first process was changed by one of the second"

    @_restart("BRK-835")
    async def test_store_is_written_by_prepare_alone(self, bench: Bench) -> None:
        """The durable store is written by `prepare`, and by nothing else."""
        await bench.open()
        sent = bench.written(bench.orders.limit(bench.symbol))
        kept = dict(bench.store)
        await bench.within(bench.broker.submit_order(sent.ref, sent.request), "submit_order()")
        await bench.cancel(sent)
        assert bench.store == kept, "the store was written by something else than prepare()"

    @_restart("BRK-840")
    async def test_new_process_leaves_orders_alone(self, bench: Bench) -> None:
        """A new process sends, cancels and changes nothing when it connects."""
        await bench.open()
        sent = await bench.submit(bench.orders.limit(bench.symbol))
        before = len(bench.requests(Action.SUBMIT, Action.CANCEL, Action.REPLACE))
        await bench.reopen()
        after = len(bench.requests(Action.SUBMIT, Action.CANCEL, Action.REPLACE))
        assert before == after, "a new process sent, cancelled or changed something when it connected"
        assert bench.working(sent), f"after a new process connected {sent.id} is {bench.truth(sent)}"
