"""The brokers `mock` and `paper` keep the Broker contract."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TypeVar

import pytest
from attrs import evolve

from alphaweave.core.clock import ManualClock, to_ns
from alphaweave.core.errors import (
    AuthenticationFailed,
    BrokerUnavailable,
    CancelRejected,
    NotSent,
    OptionsError,
    OrderRejected,
    OrderState,
    OutcomeUnknown,
    ReplaceRejected,
    Unsupported,
)
from alphaweave.core.instrument import Instrument
from alphaweave.core.market import Bar
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
)
from alphaweave.data.series import Series
from alphaweave.live.adapters.base import BrokerAdapter, BrokerConfig, RunMode, Services
from alphaweave.live.broker import BrokerEvent, BrokerFill, FillQuery, OrderUpdate
from alphaweave.sim.costs import SlippageModel
from alphaweave_broker_mock import MockBrokerAdapter, PaperBrokerAdapter, PaperOptions
from alphaweave_broker_mock.adapter import SimulatedBroker
from alphaweave_broker_mock.options import FeeOptions
from alphaweave_broker_mock.venue import make_venue

T = TypeVar("T")
Broker = TypeVar("Broker", bound=SimulatedBroker)

MONDAY = datetime(2024, 3, 4, tzinfo=UTC)
NOON = datetime(2024, 3, 20, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def bar(number: int, prices: str, *, symbol: str = "SPY") -> Bar:
    """The daily bar `number` days after Monday; prices are open, high, low, close."""
    opened, high, low, close = map(float, prices.split())
    start = MONDAY + number * DAY
    return Bar(symbol, "1d", start, start + DAY, opened, high, low, close, 1000.0)


def services(**changes: object) -> Services:
    """A run over SPY and QQQ at a clock that stands still."""
    values: dict[str, object] = {"clock": ManualClock(NOON), "symbols": ("SPY", "QQQ"), **changes}
    return Services(**values)  # type: ignore[arg-type]


def ref(name: str, symbol: str = "SPY") -> OrderRef:
    return OrderRef(name, symbol)


def market(side: Side = Side.BUY, quantity: int = 10, symbol: str = "SPY") -> OrderRequest:
    return OrderRequest(symbol, side, Decimal(quantity), tif=TimeInForce.GTC)


def limit(price: str, side: Side = Side.BUY, quantity: int = 10, symbol: str = "SPY") -> OrderRequest:
    kind, tif = OrderType.LIMIT, TimeInForce.GTC
    return OrderRequest(symbol, side, Decimal(quantity), type=kind, tif=tif, limit_price=Decimal(price))


def stop(price: str, side: Side = Side.SELL, quantity: int = 10) -> OrderRequest:
    kind, tif = OrderType.STOP, TimeInForce.GTC
    return OrderRequest("SPY", side, Decimal(quantity), type=kind, tif=tif, stop_price=Decimal(price))


def play(broker: Broker, script: Callable[[Broker], Awaitable[T]]) -> tuple[T, list[BrokerEvent]]:
    """Run a script against a connected broker; return its answer and every event it caused."""

    async def session() -> tuple[T, list[BrokerEvent]]:
        events = broker.events()
        await broker.connect()
        answer = await script(broker)
        await broker.disconnect()
        return answer, [event async for event in events]

    return asyncio.run(session())


def told(events: Sequence[BrokerEvent]) -> list[tuple[object, ...]]:
    """Events in short: fills with size and price, updates with status and reason."""
    return [
        ("fill", event.client_order_id, str(event.size), str(event.price))
        if isinstance(event, BrokerFill)
        else (event.status.value, event.ref.client_order_id, event.reason)
        for event in events
        if isinstance(event, BrokerFill | OrderUpdate)
    ]


def free() -> PaperOptions:
    """Paper without costs, for round figures."""
    return PaperOptions(fees=FeeOptions(), slippage=SlippageModel())


def test_adapters_are_broker_adapters() -> None:
    """Both satisfy the protocol, so that a type checker sees every method of the contract."""
    adapters: tuple[BrokerAdapter, ...] = (MockBrokerAdapter(), PaperBrokerAdapter())
    assert all(adapter.capabilities.simulated for adapter in adapters)


def test_mock_fills_market_order_at_once_at_the_last_price() -> None:
    """Acceptance, fill and completion follow the submission, without fees."""

    async def script(broker: MockBrokerAdapter) -> OrderRef:
        broker.on_market([bar(0, "100 102 99 101.5")])
        ack = await broker.submit_order(ref("a"), market())
        return ack.ref

    answered, events = play(MockBrokerAdapter(services=services()), script)
    assert answered == OrderRef("a", "SPY", "sim-1")
    assert told(events) == [("accepted", "a", None), ("fill", "a", "10", "101.5"), ("filled", "a", None)]
    fill = next(event for event in events if isinstance(event, BrokerFill))
    assert fill.fees == ()
    assert fill.executed_at == MONDAY + DAY


def test_paper_fills_market_order_at_the_next_open_with_costs() -> None:
    """Nothing happens until the next bar; then one basis point against the order and the fee."""

    async def script(broker: PaperBrokerAdapter) -> list[OrderStatus]:
        broker.on_market([bar(0, "100 102 99 101")])
        await broker.submit_order(ref("a"), market())
        before = [order.status for order in await broker.get_open_orders()]
        broker.on_market([bar(1, "200 210 190 205")])
        return before

    before, events = play(PaperBrokerAdapter(services=services()), script)
    assert before == [OrderStatus.ACCEPTED]
    assert told(events)[1:] == [("fill", "a", "10", "200.02"), ("filled", "a", None)]
    fill = next(event for event in events if isinstance(event, BrokerFill))
    assert fill.fees is not None
    assert [(fee.asset, fee.amount) for fee in fill.fees] == [("USD", Decimal("1.0001000"))]


def test_paper_rejects_what_the_cash_cannot_buy() -> None:
    """A final no is raised with its reason, and told where it happened among all else."""

    async def script(broker: PaperBrokerAdapter) -> OrderRejected:
        broker.on_market([bar(0, "100 102 99 101")])
        with pytest.raises(OrderRejected, match="paper refused the order") as refusal:
            await broker.submit_order(ref("a"), market(quantity=100))
        await broker.submit_order(ref("b"), market(quantity=1))
        return refusal.value

    refusal, events = play(PaperBrokerAdapter(services=services(capital="10000")), script)
    assert (refusal.reason, refusal.code) == (RejectReason.INSUFFICIENT_FUNDS, "insufficient_funds")
    assert told(events) == [("rejected", "a", "insufficient_funds"), ("accepted", "b", None)]


def test_mock_takes_what_the_cash_cannot_buy() -> None:
    """Funds are not its business unless it is told so."""

    async def script(broker: MockBrokerAdapter) -> Decimal:
        broker.on_market([bar(0, "100 102 99 101")])
        await broker.submit_order(ref("a"), market(quantity=100))
        return (await broker.get_account_state()).balances["USD"].total

    cash, _ = play(MockBrokerAdapter(services=services(capital="10000")), script)
    assert cash == Decimal(-100)


def test_rejected_group_is_refused_whole() -> None:
    """One exception for the group; no leg of it works."""
    group = OrderGroup(
        GroupKind.BRACKET,
        limit("110", Side.SELL, 1000),
        stop("90", quantity=1000),
        entry=market(quantity=1000),
    )

    async def script(broker: PaperBrokerAdapter) -> int:
        broker.on_market([bar(0, "100 102 99 101")])
        with pytest.raises(OrderRejected) as refusal:
            await broker.submit_group([ref("e"), ref("t"), ref("s")], group)
        assert refusal.value.code == "insufficient_funds"
        return len(await broker.get_open_orders())

    working, events = play(PaperBrokerAdapter(services=services(capital="1000")), script)
    assert working == 0
    assert told(events) == [("rejected", leg, "insufficient_funds") for leg in ("e", "t", "s")]


def test_bracket_enters_and_takes_profit() -> None:
    """Exits are held until the entry is filled; the one that fills cancels the other."""
    group = OrderGroup(GroupKind.BRACKET, limit("110", Side.SELL), stop("90"), entry=market())

    async def script(broker: PaperBrokerAdapter) -> list[str]:
        broker.on_market([bar(0, "100 102 99 101")])
        acks = await broker.submit_group([ref("e"), ref("t"), ref("s")], group)
        broker.on_market([bar(1, "101 103 100 102")])
        broker.on_market([bar(2, "103 111 102 108")])
        return [ack.ref.client_order_id for ack in acks]

    acked, events = play(PaperBrokerAdapter(free(), services()), script)
    assert acked == ["e", "t", "s"]
    assert told(events) == [
        ("accepted", "e", None),
        ("accepted", "t", "held"),
        ("accepted", "s", "held"),
        ("fill", "e", "10", "101.0"),
        ("filled", "e", None),
        ("fill", "t", "10", "110"),
        ("filled", "t", None),
        ("cancelled", "s", "oco"),
    ]


def test_cancel_ends_the_order_and_says_so() -> None:
    """The cancel returns; the end is an update. A second cancel is refused."""

    async def script(broker: PaperBrokerAdapter) -> OrderStatus:
        await broker.submit_order(ref("a"), limit("90"))
        await broker.cancel_order(ref("a"))
        with pytest.raises(CancelRejected) as refusal:
            await broker.cancel_order(ref("a"))
        assert refusal.value.order_state is OrderState.GONE
        with pytest.raises(CancelRejected) as refusal:
            await broker.cancel_order(ref("never"))
        assert refusal.value.order_state is OrderState.UNKNOWN
        order = await broker.get_order(ref("a"))
        assert order is not None
        return order.status

    status, events = play(PaperBrokerAdapter(services=services()), script)
    assert status is OrderStatus.CANCELLED
    assert told(events) == [("accepted", "a", None), ("cancelled", "a", "requested")]


def test_cancel_all_keeps_to_the_symbols() -> None:
    """None is every symbol; a list is those in it."""

    async def script(broker: PaperBrokerAdapter) -> list[list[str]]:
        await broker.submit_order(ref("a"), limit("90"))
        await broker.submit_order(ref("b", "QQQ"), limit("90", symbol="QQQ"))
        await broker.cancel_all(["QQQ"])
        left = [[order.ref.client_order_id for order in await broker.get_open_orders()]]
        await broker.cancel_all(None)
        return [*left, [order.ref.client_order_id for order in await broker.get_open_orders()]]

    left, events = play(PaperBrokerAdapter(services=services()), script)
    assert left == [["a"], []]
    assert told(events)[2:] == [("cancelled", "b", "requested"), ("cancelled", "a", "requested")]


def test_replace_puts_a_new_version_in_place() -> None:
    """The old version ends naming the new one, which fills at its own price."""

    async def script(broker: PaperBrokerAdapter) -> OrderRef:
        await broker.submit_order(ref("a"), limit("90"))
        change = OrderChange(limit_price=Decimal(95), quantity=Decimal(4))
        ack = await broker.replace_order(ref("a"), ref("a2"), change)
        found = await broker.get_order(ref("a"))
        assert found is not None
        assert (found.status, found.replaced_by) == (OrderStatus.CANCELLED, "a2")
        broker.on_market([bar(30, "97 98 94 96")])
        return ack.ref

    answered, events = play(PaperBrokerAdapter(free(), services()), script)
    assert answered.client_order_id == "a2"
    assert answered.broker_order_id is not None
    updates = [event for event in events if isinstance(event, OrderUpdate)]
    assert (updates[1].ref.client_order_id, updates[1].replaced_by) == ("a", "a2")
    assert told(events)[-2:] == [("fill", "a2", "4", "95"), ("filled", "a2", None)]


def test_replace_of_an_ended_order_is_refused() -> None:
    """The refusal says that the order is gone."""

    async def script(broker: PaperBrokerAdapter) -> OrderState:
        await broker.submit_order(ref("a"), limit("90"))
        await broker.cancel_order(ref("a"))
        with pytest.raises(ReplaceRejected) as refusal:
            await broker.replace_order(ref("a"), ref("a2"), OrderChange(limit_price=Decimal(95)))
        return refusal.value.order_state

    state, _ = play(PaperBrokerAdapter(services=services()), script)
    assert state is OrderState.GONE


def test_repeated_client_id_leaves_the_outcome_unknown() -> None:
    """An id that was used names an order already: the caller looks it up, and the first one stays."""

    async def script(broker: PaperBrokerAdapter) -> int:
        await broker.submit_order(ref("a"), limit("90"))
        with pytest.raises(OutcomeUnknown, match="used before"):
            await broker.submit_order(ref("a"), limit("91"))
        return len(await broker.get_open_orders())

    working, events = play(PaperBrokerAdapter(services=services()), script)
    assert (working, told(events)) == (1, [("accepted", "a", None)])


def test_open_orders_are_narrowed_to_symbols() -> None:
    """None is the account; a list is those in it."""

    async def script(broker: PaperBrokerAdapter) -> list[list[str]]:
        await broker.submit_order(ref("a"), limit("90"))
        await broker.submit_order(ref("b", "QQQ"), limit("90", symbol="QQQ"))
        asked = [await broker.get_open_orders(symbols) for symbols in (None, ["QQQ"], [])]
        return [[order.ref.client_order_id for order in orders] for orders in asked]

    assert play(PaperBrokerAdapter(services=services()), script)[0] == [["a", "b"], ["b"], []]


def test_names_of_an_order_come_back_as_they_went() -> None:
    """Wire names and the instant of the decision are the order's for ever."""
    named = OrderRef("a", "SPY", None, {"con_id": "756733"}, MONDAY)

    async def script(broker: PaperBrokerAdapter) -> list[OrderRef]:
        ack = await broker.submit_order(named, limit("90"))
        found = await broker.get_order(named)
        assert found is not None
        return [ack.ref, found.ref]

    answers, _ = play(PaperBrokerAdapter(services=services()), script)
    assert answers == [evolve(named, broker_order_id="sim-1")] * 2


def test_time_is_this_machines() -> None:
    """The venue is here, so that its clock cannot be off."""

    async def script(broker: PaperBrokerAdapter) -> datetime:
        broker.on_market([bar(0, "100 102 99 101")])
        return await broker.get_time()

    assert play(PaperBrokerAdapter(services=services()), script)[0] == NOON


def test_order_nobody_sent_is_not_found() -> None:
    """None is the broker's own "no such order"."""

    async def script(broker: PaperBrokerAdapter) -> object:
        return await broker.get_order(ref("never"))

    assert play(PaperBrokerAdapter(services=services()), script)[0] is None


def test_fills_are_reported_once_for_each_cursor() -> None:
    """Without a cursor every fill comes; with the last report's, only later ones."""

    async def script(broker: MockBrokerAdapter) -> list[list[str | None]]:
        broker.on_market([bar(0, "100 102 99 101"), bar(0, "50 52 49 51", symbol="QQQ")])
        await broker.submit_order(ref("a"), market())
        await broker.submit_order(ref("b", "QQQ"), market(symbol="QQQ"))
        first = await broker.get_fills(FillQuery(NOON, cursor=None))
        await broker.submit_order(ref("c"), market(Side.SELL))
        later = await broker.get_fills(FillQuery(NOON, cursor=first.cursor))
        one = await broker.get_fills(FillQuery(NOON, symbols=("QQQ",)))
        assert set(first.complete_from) == {"SPY", "QQQ"}
        assert set(one.complete_from) == {"QQQ"}
        assert max(first.complete_from.values()) <= NOON
        return [[fill.client_order_id for fill in report.fills] for report in (first, later, one)]

    reports, _ = play(MockBrokerAdapter(services=services()), script)
    assert reports == [["a", "b"], ["c"], ["b"]]


def test_account_state_is_of_the_moment_of_asking() -> None:
    """Cash, position and equity at the last price, as of this machine's clock."""

    async def script(broker: MockBrokerAdapter) -> None:
        broker.on_market([bar(0, "100 102 99 101")])
        await broker.submit_order(ref("a"), market())
        broker.on_market([bar(1, "101 107 100 106")])
        state = await broker.get_account_state()
        assert (state.account_id, state.base_currency, state.complete) == ("DU1", "EUR", True)
        assert state.as_of == NOON
        assert state.balances["EUR"].total == Decimal("98990.0")
        assert state.positions == {"SPY": Decimal(10)}
        assert state.equity == Decimal("100050.0")

    play(MockBrokerAdapter(services=services(account_id="DU1", currency="EUR")), script)


def test_instruments_are_assumed_unless_given() -> None:
    """Without rules the defaults stand in, flagged; a symbol the broker was not told of is absent."""
    given = Instrument(symbol="SPY", venue_symbol="SPY.US", size_step=Decimal("0.1"), fractional=True)

    async def script(broker: PaperBrokerAdapter) -> dict[str, tuple[str, bool]]:
        found = await broker.get_instruments(["SPY", "QQQ", "IWM"])
        return {symbol: (rules.venue_symbol, rules.assumed) for symbol, rules in found.items()}

    named = services(names={"QQQ": "QQQ.O"})
    assert play(PaperBrokerAdapter(services=named), script)[0] == {
        "SPY": ("SPY", True),
        "QQQ": ("QQQ.O", True),
    }
    told_rules = PaperBrokerAdapter(services=named, instruments={"SPY": given})
    assert play(told_rules, script)[0] == {"SPY": ("SPY.US", False)}


def test_orders_are_timed_by_the_market() -> None:
    """A decision on a slice is eligible for the next bar, however late this machine's clock is."""

    async def script(broker: PaperBrokerAdapter) -> None:
        broker.on_market([bar(0, "100 102 99 101")])
        ack = await broker.submit_order(ref("a"), market())
        assert ack.broker_time == MONDAY + DAY
        assert ack.received_at == NOON
        broker.on_market([bar(1, "103 104 102 103")])

    _, events = play(PaperBrokerAdapter(free(), services()), script)
    assert ("fill", "a", "10", "103.0") in told(events)


def test_late_bar_does_not_turn_time_back() -> None:
    """A bar of another symbol that comes after its slice leaves the market's time where it was."""

    async def script(broker: PaperBrokerAdapter) -> datetime | None:
        broker.on_market([bar(1, "100 102 99 101")])
        broker.on_market([bar(0, "50 52 49 51", symbol="QQQ")])
        return (await broker.submit_order(ref("a"), market())).broker_time

    assert play(PaperBrokerAdapter(services=services()), script)[0] == MONDAY + 2 * DAY


def test_fills_are_those_of_a_replay() -> None:
    """The same slices, decisions and seed give the same events, driven through the shell or directly."""
    rng = random.Random(7)
    prices = [round(100 + 5 * rng.random(), 2) for _ in range(30)]
    bars = [bar(n, f"{price} {price + 2} {price - 2} {price + 1}") for n, price in enumerate(prices)]
    decisions = [
        rng.choice([market(quantity=n), market(Side.SELL, n), limit("101", quantity=n), stop("99")])
        for n in range(1, 31)
    ]
    run = services()
    venue = make_venue(PaperOptions(), run, {"SPY": Instrument(symbol="SPY", venue_symbol="SPY")})
    series = Series("SPY", "1d")
    venue.board = {"SPY": series}
    replayed: list[BrokerEvent] = []

    async def script(broker: PaperBrokerAdapter) -> None:
        for number, (shown, request) in enumerate(zip(bars, decisions, strict=True)):
            series.append(
                to_ns(shown.start),
                to_ns(shown.end),
                shown.open,
                shown.high,
                shown.low,
                shown.close,
                shown.volume,
            )
            series.cursor.count += 1
            venue.on_slice(to_ns(shown.end))
            venue.submit(ref(str(number)), request, to_ns(shown.end))
            replayed.extend(venue.take())
            broker.on_market([shown])
            await broker.submit_order(ref(str(number)), request)

    _, events = play(PaperBrokerAdapter(services=run), script)
    assert events == replayed
    assert sum(isinstance(event, BrokerFill) for event in events) > 20


def test_market_slice_is_of_one_instant() -> None:
    """Bars that end at different instants are two slices."""
    broker = PaperBrokerAdapter(services=services())
    with pytest.raises(ValueError, match="one instant, not of 2"):
        broker.on_market([bar(0, "100 102 99 101"), bar(1, "50 52 49 51", symbol="QQQ")])


def test_events_are_taken_once() -> None:
    """A second reader would miss what the first one got."""
    broker = PaperBrokerAdapter(services=services())
    broker.events()
    with pytest.raises(Unsupported, match="taken once"):
        broker.events()


def test_events_end_with_the_connection() -> None:
    """Disconnecting is idempotent, ends the stream, and nothing is sent or answered after it."""

    async def session() -> None:
        broker = MockBrokerAdapter(services=services())
        events = broker.events()
        await broker.connect()
        await broker.disconnect()
        await broker.disconnect()
        assert [event async for event in events] == []
        for call in (
            broker.submit_order(ref("a"), market()),
            broker.cancel_order(ref("a")),
            broker.cancel_all(None),
            broker.replace_order(ref("a"), ref("b"), OrderChange(quantity=Decimal(1))),
        ):
            with pytest.raises(NotSent):
                await call
        for query in (
            broker.get_order(ref("a")),
            broker.get_open_orders(),
            broker.get_fills(FillQuery(NOON)),
            broker.get_account_state(),
            broker.get_instruments(["SPY"]),
            broker.get_time(),
        ):
            with pytest.raises(BrokerUnavailable):
                await query

    asyncio.run(session())


def test_real_money_is_refused() -> None:
    """A simulated broker does not connect in a live run."""
    broker = PaperBrokerAdapter(services=services(mode=RunMode.LIVE))
    with pytest.raises(AuthenticationFailed, match="simulated and cannot trade real money"):
        asyncio.run(broker.connect())


def test_from_config_reads_the_options() -> None:
    """The section's own options are parsed, and all that is wrong in them is said."""
    config = BrokerConfig("paper", options={"initial_cash": 500, "fees": {"rate": "0.01"}})

    async def script(broker: PaperBrokerAdapter) -> Decimal:
        return (await broker.get_account_state()).balances["USD"].total

    assert play(PaperBrokerAdapter.from_config(config, services()), script)[0] == Decimal(500)
    with pytest.raises(OptionsError) as wrong:
        MockBrokerAdapter.from_config(BrokerConfig("mock", options={"cahs": 1, "leverage": 0}))
    assert {problem.path for problem in wrong.value.problems} == {
        "broker.options.mock.cahs",
        "broker.options.mock.leverage",
    }


def test_prepare_reserves_nothing() -> None:
    """A simulated broker needs no wire ids: an empty mapping for each order."""
    broker = PaperBrokerAdapter(services=services())
    assert list(broker.prepare(market(), [ref("a")])) == [{}]
    legs = OrderGroup(GroupKind.OCO, limit("110", Side.SELL), stop("90"))
    assert list(broker.prepare(legs, [ref("t"), ref("s")])) == [{}, {}]
    assert list(broker.prepare(OrderChange(quantity=Decimal(1)), [ref("a2")], ref("a"))) == [{}]
