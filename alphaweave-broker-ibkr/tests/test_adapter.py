"""The adapter at a gateway that forgets, refuses, answers halfway, or has lost its servers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from attrs import define, evolve, field
from ib_async import Execution

from alphaweave.core.errors import (
    AuthenticationFailed,
    BrokerUnavailable,
    CancelRejected,
    NotSent,
    OutcomeUnknown,
    Unsupported,
)
from alphaweave.core.order import (
    GroupKind,
    OrderChange,
    OrderGroup,
    OrderRef,
    OrderRequest,
    OrderStatus,
    OrderType,
    Side,
    TimeInForce,
)
from alphaweave.live.adapters.base import Services
from alphaweave.live.broker import (
    BrokerEvent,
    BrokerFill,
    BrokerNotice,
    ConnectionLost,
    ConnectionRestored,
    FillQuery,
    OrderUpdate,
)
from alphaweave.testing.clock import RunningClock
from alphaweave.testing.sandbox import Action
from alphaweave_broker_ibkr.adapter import IbkrAdapter
from alphaweave_broker_ibkr.gateway import NoAnswer
from alphaweave_broker_ibkr.questions import executed
from alphaweave_broker_ibkr.sandbox.control import IbkrSandbox
from alphaweave_broker_ibkr.sandbox.options import SandboxOptions
from alphaweave_broker_ibkr.settings import IbkrOptions
from alphaweave_broker_ibkr.tracked import OrderKey, Tracked

# An upper bound only: what is waited for comes at once, unless the machine is busy.
_PATIENCE = 15.0
LIMIT = OrderRequest("KO", Side.BUY, Decimal(10), type=OrderType.LIMIT, limit_price=Decimal(50))
MARKET = OrderRequest("KO", Side.BUY, Decimal(10))


@define
class Site:
    """A gateway, and the adapter that trades on it."""

    venue: IbkrSandbox
    clock: RunningClock = field(factory=RunningClock)
    store: dict[str, str] = field(factory=dict)
    events: list[BrokerEvent] = field(factory=list)
    _made: list[IbkrAdapter] = field(factory=list)
    _reading: list[asyncio.Task[None]] = field(factory=list)
    _count: int = 0

    async def adapter(self, account: str | None = None, **named: Any) -> IbkrAdapter:
        """One that is connected; it is the same user's each time."""
        options = IbkrOptions(port=self.venue.port, retry=0.01, **{"client_id": 7, **named})
        services = Services(clock=self.clock, symbols=("KO",), store=self.store, account_id=account)
        made = IbkrAdapter(options, services)
        self._made.append(made)
        self._reading.append(asyncio.ensure_future(self._read(made)))
        await made.connect()
        return made

    async def _read(self, broker: IbkrAdapter) -> None:
        async for event in broker.events():
            self.events.append(event)

    async def close(self) -> None:
        for one in self._made:
            await one.disconnect()
        await asyncio.gather(*self._reading)

    def prepared(
        self,
        broker: IbkrAdapter,
        what: OrderRequest | OrderGroup | OrderChange,
        replaces: OrderRef | None = None,
    ) -> list[OrderRef]:
        count = len(what.legs) if isinstance(what, OrderGroup) else 1
        self._count += count
        now = self.clock.now()
        refs = [
            OrderRef(f"awkit00-{number:022d}", "KO", decided_at=now)
            for number in range(self._count - count, self._count)
        ]
        wires = broker.prepare(what, refs, replaces)
        return [evolve(ref, wire=dict(wire)) for ref, wire in zip(refs, wires, strict=True)]

    async def placed(self, broker: IbkrAdapter, what: OrderRequest = LIMIT) -> OrderRef:
        (ref,) = self.prepared(broker, what)
        ack = await broker.submit_order(ref, what)
        return evolve(ref, broker_order_id=ack.ref.broker_order_id)

    async def until(self, true: Callable[[], Any], what: str) -> None:
        end = time.monotonic() + _PATIENCE
        while not true():
            assert time.monotonic() < end, f"{what} did not come: {self.events}"
            await asyncio.sleep(0.002)

    def of(self, kind: type[BrokerEvent]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]


Scenario = Callable[[Site], Awaitable[None]]


def at_gateway(scenario: Scenario, **options: Any) -> None:
    async def whole() -> None:
        venue = IbkrSandbox(SandboxOptions(**options), Services(clock=RunningClock()))
        await venue.start()
        site = Site(venue)
        try:
            await venue.set_price("ONE", Decimal(60))
            await scenario(site)
        finally:
            await site.close()
            await venue.stop()

    asyncio.run(whole())


def test_what_was_executed_while_away_is_told() -> None:
    """The gateway repeats it where it is asked, once it is asked; the client library told nobody."""

    async def scenario(site: Site) -> None:
        broker = await site.adapter()
        ref = await site.placed(broker)
        since = site.clock.now() - timedelta(minutes=1)
        await site.venue.drop()
        await site.venue.fill(ref.client_order_id)
        await site.until(lambda: site.of(ConnectionRestored), "the connection")
        report = await broker.get_fills(FillQuery(since))
        (fill,) = report.fills
        assert (fill.client_order_id, fill.size) == (ref.client_order_id, 10)
        assert [one.execution_key for one in site.of(BrokerFill)] == [fill.execution_key]
        found = await broker.get_order(ref)
        assert found is not None
        assert (found.status, found.filled) == (OrderStatus.FILLED, 10)

    at_gateway(scenario)


def test_nothing_is_sent_while_the_servers_are_lost() -> None:
    """The gateway takes it, and what waits there becomes a second order when it is changed."""

    async def scenario(site: Site) -> None:
        broker = await site.adapter()
        ref = await site.placed(broker)
        await site.venue.troubles.lose_servers()
        await site.until(lambda: site.of(ConnectionLost), "the loss")
        with pytest.raises(NotSent):
            await site.placed(broker)
        change = OrderChange(limit_price=Decimal(51))
        (new,) = site.prepared(broker, change, ref)
        with pytest.raises(NotSent):
            await broker.replace_order(ref, new, change)
        questions: list[Awaitable[Any]] = [
            broker.get_open_orders(),
            broker.get_order(ref),
            broker.get_fills(FillQuery(site.clock.now())),
            broker.get_account_state(),
        ]
        for each in questions:
            with pytest.raises(BrokerUnavailable, match="no connection to Interactive Brokers"):
                await each
        await site.venue.troubles.find_servers()
        await site.until(lambda: site.of(ConnectionRestored), "the return")
        assert len(site.venue.truth().orders) == 1
        assert [order.request for order in await broker.get_open_orders()] == [LIMIT]

    at_gateway(scenario)


def test_questions_for_everybody_s_executions_may_stay_unanswered() -> None:
    """Then ours are asked for, and nobody is told that they are all."""

    async def scenario(site: Site) -> None:
        broker = await site.adapter(timeout=0.5)
        ref = await site.placed(broker, MARKET)
        site.venue.quirks.silent_executions = True
        report = await broker.get_fills(FillQuery(site.clock.now() - timedelta(minutes=1)))
        assert [fill.client_order_id for fill in report.fills] == [ref.client_order_id]
        assert report.complete_from == {}

    at_gateway(scenario)


def test_one_order_is_looked_up_without_everybody_s_executions() -> None:
    """A question that may stay unanswered is not asked for it."""

    async def scenario(site: Site) -> None:
        broker = await site.adapter(timeout=3600.0)
        ref = await site.placed(broker, MARKET)
        site.venue.quirks.silent_executions = True
        found = await asyncio.wait_for(broker.get_order(ref), _PATIENCE)
        assert found is not None
        assert found.status is OrderStatus.FILLED

    at_gateway(scenario)


def test_everybody_may_be_whoever_has_the_client_id_0() -> None:
    """Such a gateway answers at once, without our own executions."""

    class Half:
        """What it answers is of the client that is asked for, 0 like any other."""

        client: Any

        def __init__(self) -> None:
            self.client = self
            self.wanted = 0

        def reqExecutions(self, _: int, wanted: Any) -> None:  # noqa: N802 - the library's name
            self.wanted = wanted.clientId

        async def ask(self, write: Callable[[int], None], **_: Any) -> list[tuple[Any, ...]]:
            write(1)
            return [(None, Execution(execId=f"x.{self.wanted}.01"))]

    gateway: Any = Half()
    told, everybodys = asyncio.run(executed(gateway, "DU1", 7))
    assert [execution.execId for _, execution in told] == ["x.0.01", "x.7.01"]
    assert not everybodys


def test_first_of_two_exits_that_is_refused_takes_the_other_along() -> None:
    """They are sent one by one, and the second is not to work alone."""
    exits: dict[str, Any] = {"side": Side.SELL, "tif": TimeInForce.GTC}
    pair = OrderGroup(
        GroupKind.OCO,
        evolve(LIMIT, limit_price=Decimal(70), **exits),
        OrderRequest("KO", quantity=Decimal(10), type=OrderType.STOP, stop_price=Decimal(55), **exits),
    )

    async def scenario(site: Site) -> None:
        broker = await site.adapter()
        await site.placed(broker, MARKET)
        site.venue.troubles.refuse_next(Action.SUBMIT, 201, "Order rejected - reason:no")
        refs = site.prepared(broker, pair)
        with pytest.raises(OutcomeUnknown):
            await broker.submit_group(refs, pair)
        name = refs[1].client_order_id

        def over() -> bool:
            return all(order.status.terminal for order in site.venue.truth().orders)

        await site.until(over, "the end of the other")
        told = [one.status for one in site.of(OrderUpdate) if one.ref.client_order_id == name]
        assert told in ([], [OrderStatus.ACCEPTED, OrderStatus.CANCELLED], [OrderStatus.CANCELLED])

    at_gateway(scenario)


def test_farms_that_break_are_told_and_nothing_more() -> None:
    """They come and go for minutes at night; orders do not go through them."""

    async def scenario(site: Site) -> None:
        broker = await site.adapter()
        for broken in (True, False):
            site.events.clear()
            await site.venue.troubles.break_farms(broken)
            await site.until(lambda: site.of(BrokerNotice), "the notice")
            assert not site.of(ConnectionLost)
        assert (await site.placed(broker)).broker_order_id is not None

    at_gateway(scenario)


def test_client_id_that_is_still_held_is_waited_for() -> None:
    """It stays the same for ever: only with it can the orders of before be changed or cancelled."""

    async def scenario(site: Site) -> None:
        await site.venue.troubles.take_client_id(7, True)
        connecting = asyncio.ensure_future(site.adapter())

        def knocked() -> bool:
            return sum(one.what.startswith("startApi") for one in site.venue.requests) > 1

        await site.until(lambda: connecting.done() or knocked(), "the second attempt")
        await site.venue.troubles.take_client_id(7, False)
        broker = await connecting
        assert (await site.placed(broker)).broker_order_id is not None

    at_gateway(scenario)


def test_account_is_asked_for_without_a_subscription_that_stays() -> None:
    """Summaries are two at most, and the client library opens another each time the servers come back."""

    async def scenario(site: Site) -> None:
        broker = await site.adapter()
        for _ in range(2):
            await broker.get_account_state()
            await site.venue.troubles.lose_servers()
            await site.until(lambda: site.of(ConnectionLost), "the loss")
            await site.venue.troubles.find_servers()
            await site.until(lambda: site.of(ConnectionRestored), "the return")
            site.events.clear()
        asked = [one.what.partition(" ")[0] for one in site.venue.requests]
        assert not [what for what in asked if "Summary" in what]
        assert asked.count("reqAccountUpdatesMulti") == asked.count("cancelAccountUpdatesMulti") == 2
        assert asked.count("reqPositions") == asked.count("cancelPositions") == 2

    at_gateway(scenario)


def test_read_only_gateway_is_watched() -> None:
    """The account is there; orders are neither shown nor sent."""

    async def scenario(site: Site) -> None:
        broker = await site.adapter(read_only=True)
        assert (await broker.get_account_state()).account_id == "DU1234567"
        with pytest.raises(Unsupported, match="read_only"):
            site.prepared(broker, LIMIT)
        with pytest.raises(BrokerUnavailable, match="read-only"):
            await broker.get_order(OrderRef("awkit00-0000000000000000000001", "KO"))

    at_gateway(scenario, read_only=True)


def test_orders_at_a_gateway_that_is_watched_are_not_cancelled() -> None:
    """Nor is it said that they were."""

    async def scenario(site: Site) -> None:
        broker = await site.adapter(read_only=True)
        for symbols in (None, ["KO"]):
            with pytest.raises(NotSent, match="read_only"):
                await broker.cancel_all(symbols)

    at_gateway(scenario, read_only=True)


def test_cancel_of_all_does_not_wait_behind_questions() -> None:
    """What is known to work is cancelled before the list of all is asked for."""

    async def scenario(site: Site) -> None:
        broker = await site.adapter()
        await site.placed(broker)
        # Questions have no room for a while, and one of them waits for it.
        broker._pace.slow_down()
        broker._pace._budget.bar(broker._pace._now(), 5.0, cancels=False)
        asking = asyncio.ensure_future(broker.get_open_orders())
        await site.until(broker._listing.locked, "the question")
        cancelling = asyncio.ensure_future(broker.cancel_all(["KO"]))
        await site.until(lambda: site.venue.truth().orders[0].status.terminal, "the cancel")
        assert not asking.done()
        for each in (cancelling, asking):
            each.cancel()
        await asyncio.gather(cancelling, asking, return_exceptions=True)

    at_gateway(scenario)


def test_cancel_of_all_says_if_more_may_be_open() -> None:
    """Where the known ones are cancelled, and nobody says what else there is."""

    async def scenario(site: Site) -> None:
        async def unknown() -> Mapping[OrderKey, Tracked]:
            raise NoAnswer("no answer within 10 s")

        broker = await site.adapter()
        with pytest.raises(NotSent, match="open orders are not known"):
            await broker._sender.cancel_all(["KO"], unknown)
        await site.placed(broker)
        with pytest.raises(OutcomeUnknown, match="1 cancels left; what else is open"):
            await broker._sender.cancel_all(["KO"], unknown)

    at_gateway(scenario)


def test_cancel_of_all_leaves_other_accounts_alone() -> None:
    """The gateway's own word for all is of every account of the login."""

    async def scenario(site: Site) -> None:
        broker = await site.adapter(account="DU1234567")
        refs = [await site.placed(broker) for _ in range(2)]
        await broker.cancel_all(None)
        await site.until(lambda: all(one.status.terminal for one in site.venue.truth().orders), "the cancels")
        asked = [one.what.partition(" ")[0] for one in site.venue.requests]
        assert "reqGlobalCancel" not in asked
        assert asked.count("cancelOrder") == len(refs)

    at_gateway(scenario, other_accounts=("DU7654321",))


def test_orders_of_another_client_id_are_told_once() -> None:
    """A run that was given another one can neither change nor cancel what it placed before."""

    async def scenario(site: Site) -> None:
        first = await site.adapter()
        ref = await site.placed(first)
        assert await first.get_open_orders()
        await first.disconnect()
        second = await site.adapter(client_id=8)
        with pytest.raises(CancelRejected, match="was placed by client id 7, which alone can cancel it"):
            await second.cancel_order(ref)
        for _ in range(2):
            assert [one.client_order_id for one in await second.get_open_orders()] == [ref.client_order_id]
        # They come in their order, and this is the last.
        await second.disconnect()
        await asyncio.gather(*site._reading)
        (notice,) = (one for one in site.of(BrokerNotice) if one.code == "client_id")
        assert notice.severity == "warning"
        assert notice.text.startswith("this run has client id 8, and orders of AlphaWeave's work that were")

    at_gateway(scenario)


def test_orders_have_no_number_of_a_question(monkeypatch: pytest.MonkeyPatch) -> None:
    """An error bears one number, and would be taken for the other's."""
    monkeypatch.setattr("alphaweave_broker_ibkr.gateway._FIRST_QUESTION", 1)

    async def scenario(site: Site) -> None:
        with pytest.raises(AuthenticationFailed, match="reset the API order ID sequence"):
            await site.adapter()

    at_gateway(scenario)


def test_numbers_rise_over_restarts() -> None:
    """Whatever the gateway says is next, and whether it saw what was prepared."""

    async def scenario(site: Site) -> None:
        first = await site.adapter()
        ref = await site.placed(first)
        (never_sent,) = site.prepared(first, LIMIT)
        await first.disconnect()
        second = await site.adapter()
        later = await site.placed(second)
        numbers = [int(one.wire["order"]) for one in (ref, never_sent, later)]
        assert numbers == sorted(set(numbers))

    at_gateway(scenario)


def test_midnight_is_the_gateway_s() -> None:
    """Whatever this machine takes the time for."""

    async def scenario(site: Site) -> None:
        broker = await site.adapter()
        # A quarter past midnight in New York.
        site.clock.advance(13.75 * 3600)
        since = site.clock.now() - timedelta(hours=1)
        assert (await broker.get_fills(FillQuery(since))).complete_from["KO"] == since
        (ref,) = site.prepared(broker, MARKET)
        before = evolve(ref, decided_at=since)
        assert await broker.get_order(before) is None

    at_gateway(scenario)


def test_yesterday_is_not_known() -> None:
    """What ended before the gateway's midnight is told as not known, and the gap with it."""

    async def scenario(site: Site) -> None:
        broker = await site.adapter()
        since = site.clock.now() - timedelta(minutes=1)
        (ref,) = site.prepared(broker, MARKET)
        await site.venue.skew(24 * 3600.0)
        site.clock.advance(24 * 3600.0)
        with pytest.raises(BrokerUnavailable) as caught:
            await broker.get_order(ref)
        assert caught.value.code == "beyond_history"
        report = await broker.get_fills(FillQuery(since))
        assert report.complete_from["KO"] > since

    at_gateway(scenario)
