"""What the exits of a group could still trade, by what is so."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from attrs import evolve

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
from alphaweave.live.actions import SendGroup, SendReplace
from alphaweave.live.reports import BrokerFill, BrokerOrder
from simulation.exits import Exits

AT = datetime(2024, 1, 2, tzinfo=UTC)
TEN, GTC = Decimal(10), TimeInForce.GTC


def group(*, entry: bool) -> SendGroup:
    """Sell ten at 110, or at 90 if it falls, after buying them if there is an entry."""
    exits = (
        OrderRequest("ABC", Side.SELL, TEN, None, OrderType.LIMIT, GTC, limit_price=Decimal(110)),
        OrderRequest("ABC", Side.SELL, TEN, None, OrderType.STOP, GTC, stop_price=Decimal(90)),
    )
    bought = OrderRequest("ABC", Side.BUY, TEN, None, OrderType.MARKET, GTC) if entry else None
    kind = GroupKind.BRACKET if entry else GroupKind.OCO
    refs = tuple(OrderRef(name, "ABC") for name in ("entry", "profit", "loss")[0 if entry else 1 :])
    return SendGroup(refs[0].client_order_id, refs, OrderGroup(kind, *exits, bought), 0, None)


def working(name: str, filled: int = 0) -> BrokerOrder:
    """A leg at the broker."""
    ref = OrderRef(name, "ABC")
    return BrokerOrder(ref, name, OrderStatus.ACCEPTED, Side.SELL, TEN, Decimal(filled), AT)


def fill(name: str, size: int) -> BrokerFill:
    """An execution of a leg."""
    side = Side.BUY if name == "entry" else Side.SELL
    return BrokerFill("A", name, "b", name, "ABC", side, Decimal(size), TEN, AT, AT)


@pytest.mark.parametrize(
    ("entry", "filled", "booked", "units"),
    [
        (False, {}, [], 10),
        (False, {"profit": 4}, [], 14),
        (False, {"profit": 4}, ["profit"], 10),
        (True, {}, [], None),
        (True, {"entry": 6}, ["entry"], 6),
        (True, {"entry": 6}, [], None),
        (True, {"entry": 10, "loss": 4}, ["entry", "loss"], 6),
    ],
)
def test_exits_count_as_the_larger_one_and_as_what_was_entered(
    entry: bool, filled: dict[str, int], booked: list[str], units: int | None
) -> None:
    """What is executed and not booked is still to come, as far as the run knows."""
    exits = Exits()
    exits.sent(group(entry=entry))
    orders = {name: working(name) for name in ("profit", "loss")}
    executions = {name: fill(name, size) for name, size in filled.items()}
    found = list(exits.needs(orders, executions, booked, (), lambda name: True))
    assert found == ([] if units is None else [("ABC", Side.SELL, Decimal(units))])


def test_exits_that_were_resized_are_not_bound_by_what_was_entered() -> None:
    """The broker keeps to the last size that it was told."""
    exits = Exits()
    exits.sent(group(entry=True))
    old, new = OrderRef("loss", "ABC"), OrderRef("grown", "ABC")
    exits.replaced(SendReplace("grown", old, new, OrderChange(quantity=Decimal(30)), 0, None))
    grown = evolve(working("grown"), quantity=Decimal(30))
    found = list(exits.needs({"profit": working("profit"), "grown": grown}, {}, (), (), lambda name: True))
    assert found == [("ABC", Side.SELL, Decimal(30))]


def test_exits_on_their_way_count_whole() -> None:
    """The broker may have them any moment."""
    exits = Exits()
    exits.sent(group(entry=False))
    assert not list(exits.needs({}, {}, (), (), lambda name: True))
    assert list(exits.needs({}, {}, (), ("profit",), lambda name: True)) == [("ABC", Side.SELL, TEN)]
