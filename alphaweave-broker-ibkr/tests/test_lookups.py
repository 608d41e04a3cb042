"""One order looked for in the three answers, and what lies before midnight."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from attrs import evolve
from ib_async import Contract, Order, OrderState

from alphaweave.core.errors import BrokerUnavailable
from alphaweave.core.order import OrderChange, OrderRef, OrderRequest, OrderStatus, OrderType, Side
from alphaweave.live.broker import BrokerFill, FillQuery
from alphaweave_broker_ibkr.lookups import (
    Answers,
    completed_order,
    fill_report,
    memory_begins,
    open_orders,
)
from alphaweave_broker_ibkr.names import Symbols
from alphaweave_broker_ibkr.order_wire import Listing, OrderNumbers, OrderWire, wires_of
from alphaweave_broker_ibkr.orders import order_of
from alphaweave_broker_ibkr.tracked import OrderKey, Tracked

NAME, NEXT, LAST = (f"awkit00-000000000000000000000{number}" for number in (1, 2, 3))
NEW_YORK = ZoneInfo("America/New_York")
AT = datetime(2031, 3, 4, 15, 0, tzinfo=UTC)
BEGINS = datetime(2031, 3, 4, 5, 0, tzinfo=UTC)
STOCK = Contract(conId=8894, symbol="KO", localSymbol="KO", secType="STK", exchange="SMART")
LISTING = Listing(8894, "STK", "SMART", "USD")
TERMS = OrderRequest("COLA", Side.BUY, Decimal(10), type=OrderType.LIMIT, limit_price=Decimal(60))


def ref_of(what: OrderRequest | OrderChange, name: str, replaces: OrderRef | None = None) -> OrderRef:
    ref = OrderRef(name, "COLA")
    (wire,) = wires_of(what, [ref], replaces, client=7, numbers=OrderNumbers({}), listing=LISTING)
    return OrderRef(name, "COLA", None, wire.write(), AT)


REF = ref_of(TERMS, NAME)


def tracked(ref: OrderRef = REF, name: str | None = None, said: str = "Submitted", **named: Any) -> Tracked:
    """An order that is listed, with the terms of this version."""
    wire = OrderWire.read(ref.wire)
    order = order_of(wire, ref.client_order_id, "DU1")
    one = Tracked(7, wire.order, name or ref.client_order_id, "COLA", foreign=False, perm_id=900, **named)
    one.order, one.said = order, said
    return one


def completed(name: str = NAME, status: str = "Filled", **named: Any) -> Order:
    words = {"action": "BUY", "orderType": "LMT", "tif": "DAY", "lmtPrice": 60.0, "permId": 900, **named}
    return Order(orderRef=name, **words)


def symbols() -> Symbols:
    known = Symbols()
    known.learn(8894, "COLA")
    return known


def fill(size: int, name: str | None = NAME, broker_order_id: str = "900") -> BrokerFill:
    figures = (Side.BUY, Decimal(size), Decimal(60))
    return BrokerFill("DU1", f"e.{size}", broker_order_id, name, "COLA", *figures, AT, AT)


def answers(
    *listed: Tracked,
    done: list[tuple[Order, OrderState]] | None = None,
    fills: list[BrokerFill] | None = None,
) -> Answers:
    keys: dict[OrderKey, Tracked] = {(one.client, one.number): one for one in listed}
    over = [completed_order(STOCK, order, state, symbols(), AT) for order, state in done or ()]
    return Answers(listed=keys, completed=over, fills=fills or [], begins=BEGINS, as_of=AT)


def test_open_order_is_found_by_its_number() -> None:
    """With its terms and what is filled of it."""
    found = answers(tracked(filled=Decimal(4))).find(REF, None)
    assert found is not None
    assert (found.status, found.filled, found.request) == (OrderStatus.PARTIALLY_FILLED, 4, TERMS)
    assert (found.ref.client_order_id, found.ref.broker_order_id) == (NAME, "900")
    assert (found.quantity, found.foreign, found.as_of) == (10, False, AT)


def test_order_that_ended_in_this_session_is_known() -> None:
    """The list of completed orders need not have it yet."""
    known = tracked(said="Filled", ended=OrderStatus.FILLED, filled=Decimal(10))
    found = answers().find(REF, known)
    assert found is not None
    assert found.status is OrderStatus.FILLED


def test_order_that_was_only_sent_is_not_there() -> None:
    """That something was sent proves nothing."""
    only_sent = Tracked(7, 1, NAME, "COLA", foreign=False)
    assert answers().find(REF, only_sent) is None


def test_completed_order_is_found_by_its_name() -> None:
    """It bears no number, and its size is what was filled."""
    state = OrderState(status="Filled", completedStatus="Filled Size: 10")
    found = answers(done=[(completed(filledQuantity=10.0), state)]).find(REF, None)
    assert found is not None
    assert (found.status, found.quantity, found.filled) == (OrderStatus.FILLED, 10, 10)
    assert found.request == TERMS


def test_completed_order_counts_its_executions() -> None:
    """Where it does not say what was filled."""
    order = completed(totalQuantity=10.0)
    state = OrderState(status="Cancelled", completedStatus="Cancelled by Trader")
    found = answers(done=[(order, state)], fills=[fill(3), fill(1)]).find(REF, None)
    assert found is not None
    assert (found.status, found.filled, found.text) == (OrderStatus.CANCELLED, 4, "Cancelled by Trader")


@pytest.mark.parametrize(
    ("status", "text", "filled", "wanted"),
    [
        ("Filled", "", 10.0, OrderStatus.FILLED),
        ("Odd", "", 10.0, OrderStatus.FILLED),
        ("Cancelled", "", 3.0, OrderStatus.CANCELLED),
        ("Cancelled", "Rejected by System: margin", 0.0, OrderStatus.REJECTED),
        ("Inactive", "", 0.0, OrderStatus.REJECTED),
        ("Odd", "", 0.0, OrderStatus.CANCELLED),
    ],
)
def test_completed_order_has_ended(status: str, text: str, filled: float, wanted: OrderStatus) -> None:
    """Whatever its word is."""
    order = completed(totalQuantity=10.0, filledQuantity=filled)
    state = OrderState(status=status, completedStatus=text)
    assert completed_order(STOCK, order, state, symbols(), AT).status is wanted


def test_completed_order_of_somebody_else_is_foreign() -> None:
    """It bears no name of ours, or is in nothing of the config's."""
    state = OrderState(status="Filled")
    other = Contract(conId=1, symbol="PEP")
    assert completed_order(STOCK, completed("mine"), state, symbols(), AT).foreign
    assert completed_order(other, completed(), state, symbols(), AT).foreign


def test_executions_prove_that_an_order_was_there() -> None:
    """How it ended they say only where they are all of it."""
    found = answers(fills=[fill(4)]).find(REF, None)
    assert found is not None
    assert (found.status, found.filled) == (OrderStatus.UNKNOWN, 4)
    whole = answers(fills=[fill(4), fill(6)]).find(REF, None)
    assert whole is not None
    assert (whole.status, whole.ref.broker_order_id) == (OrderStatus.FILLED, "900")


def test_executions_of_other_orders_prove_nothing() -> None:
    """Their names differ."""
    assert answers(fills=[fill(10, NEXT, "901")]).find(REF, None) is None


def test_order_of_today_that_nobody_knows_never_arrived() -> None:
    """All three answered, and reach back to before it was decided."""
    assert answers().find(REF, None) is None


@pytest.mark.parametrize("after", [None, -1, 30, 10 * 60])
def test_order_from_before_midnight_is_not_known(after: int | None) -> None:
    """It is never told as one that is not there: the gateway has forgotten. Nor is one that was decided just
    after it: a clock may have been set meanwhile."""
    decided_at = None if after is None else BEGINS + timedelta(seconds=after)
    old = evolve(REF, decided_at=decided_at)
    with pytest.raises(BrokerUnavailable) as caught:
        answers().find(old, None)
    assert caught.value.code == "beyond_history"
    assert answers(tracked()).find(old, None) is not None


@pytest.mark.parametrize("echo", [NAME, NEXT])
def test_version_that_was_replaced_says_by_which(echo: str) -> None:
    """Both have one number; which works is told by the name or by the terms."""
    new = ref_of(OrderChange(limit_price=Decimal(61)), NEXT, REF)
    one = tracked(new, name=echo)
    if echo == NAME:
        one.adopt(NEXT)
    found = answers(one).find(REF, None)
    assert found is not None
    assert (found.status, found.replaced_by) == (OrderStatus.CANCELLED, NEXT)
    assert found.ref == OrderRef(NAME, "COLA", "900")
    now = answers(one).find(new, None)
    assert now is not None
    assert (now.client_order_id, now.status, now.replaced_by) == (NEXT, OrderStatus.ACCEPTED, None)


def test_change_that_did_not_arrive_is_not_there() -> None:
    """The order has its first name and its first terms."""
    new = ref_of(OrderChange(limit_price=Decimal(61)), NEXT, REF)
    assert answers(tracked()).find(new, None) is None


def test_change_is_known_by_its_terms_after_a_restart() -> None:
    """Where the order keeps its first name, and nobody remembers the change."""
    new = ref_of(OrderChange(limit_price=Decimal(61)), NEXT, REF)
    last = ref_of(OrderChange(limit_price=Decimal(62)), LAST, new)
    found = answers(tracked(new, name=NAME)).find(new, None)
    assert found is not None
    assert (found.ref.client_order_id, found.client_order_id) == (NEXT, NEXT)
    assert answers(tracked(new, name=NAME)).find(last, None) is None
    assert answers(tracked(last, name=NAME)).find(last, None) is not None


def test_completed_order_of_another_version_is_found_by_its_broker_id() -> None:
    """The version before was replaced by it."""
    known = Tracked(7, 1, NAME, "COLA", foreign=False, perm_id=900)
    state = OrderState(status="Filled")
    found = answers(done=[(completed(NEXT, filledQuantity=10.0), state)]).find(REF, known)
    assert found is not None
    assert (found.status, found.replaced_by, found.filled) == (OrderStatus.CANCELLED, NEXT, 10)


def test_open_orders_are_those_that_work() -> None:
    """One that ended while they were listed is not open, and one without terms cannot be told."""
    bare = Tracked(7, 3, NAME, "COLA", foreign=False)
    listed = {(7, 1): tracked(), (7, 2): tracked(said="Filled"), (7, 3): bare}
    assert [order.status for order in open_orders(listed, AT)] == [OrderStatus.ACCEPTED]


@pytest.mark.parametrize(
    ("now", "begins"),
    [
        ("2031-03-04T15:00+00:00", "2031-03-04T05:00+00:00"),
        ("2031-03-05T04:59:57+00:00", "2031-03-04T05:00+00:00"),
        # It may be past midnight at the gateway by now.
        ("2031-03-05T04:59:59+00:00", "2031-03-05T04:59:59+00:00"),
        ("2031-03-05T05:00+00:00", "2031-03-05T05:00+00:00"),
        # The day on which clocks are put forward.
        ("2031-03-09T20:00+00:00", "2031-03-09T05:00+00:00"),
    ],
)
def test_memory_begins_at_the_gateway_s_midnight(now: str, begins: str) -> None:
    """And never later than now."""
    at = datetime.fromisoformat(now)
    assert memory_begins(at, NEW_YORK, None) == datetime.fromisoformat(begins)


@pytest.mark.parametrize("ahead", [timedelta(minutes=-12), timedelta(0), timedelta(minutes=12)])
def test_order_of_before_the_gateway_s_midnight_is_not_known_to_a_clock_that_is_off(ahead: timedelta) -> None:
    """Whether this machine's clock is off all the time, or was set right since the order was decided."""
    ours, sent = AT + ahead, BEGINS - timedelta(seconds=1)
    for now in (ours, AT):
        begins = memory_begins(AT, NEW_YORK, None) + (now - AT)
        ref = evolve(REF, decided_at=sent + ahead)
        with pytest.raises(BrokerUnavailable):
            evolve(answers(), begins=begins).find(ref, None)


@pytest.mark.parametrize("off", [0, 170, -170])
def test_gateway_of_another_zone_forgets_at_its_own_midnight(off: int) -> None:
    """The clock on its wall says when that was, whatever the config says; the later of both counts."""
    connected = AT - timedelta(hours=3)
    at = connected + timedelta(seconds=off)
    tokyo = connected.astimezone(ZoneInfo("Asia/Tokyo")).replace(tzinfo=UTC)
    london = connected.astimezone(ZoneInfo("Europe/London")).replace(tzinfo=UTC)
    assert memory_begins(AT, NEW_YORK, (tokyo, at)) == AT
    later = AT + timedelta(hours=2)
    assert memory_begins(later, NEW_YORK, (tokyo, at)) == AT
    assert memory_begins(AT, NEW_YORK, (london, at)) == BEGINS
    assert memory_begins(AT, ZoneInfo("Asia/Tokyo"), (london, at)) == AT


def test_executions_before_midnight_are_a_gap() -> None:
    """What happened then and was not heard of is told as missing, for every symbol that was asked for."""
    since = BEGINS - timedelta(hours=3)
    report = fill_report(FillQuery(since), [fill(4)], BEGINS, ["COLA", "PEP"])
    assert report.complete_from == {"COLA": BEGINS, "PEP": BEGINS}
    assert [one.size for one in report.fills] == [4]
    later = fill_report(FillQuery(AT, ("PEP",)), [], BEGINS, ["COLA", "PEP"])
    assert later.complete_from == {"PEP": AT}
    assert fill_report(FillQuery(AT), [fill(4)], BEGINS, []).complete_from == {}
