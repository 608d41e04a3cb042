"""Orders in the gateway's words and back, their numbers, and what is kept of them."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from attrs import evolve
from ib_async import Client, Order

from alphaweave.core.errors import Unsupported
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
    Trail,
)
from alphaweave_broker_ibkr.order_wire import Listing, OrderNumbers, OrderWire, wires_of
from alphaweave_broker_ibkr.orders import contract_of, order_of, refuse_unsendable, request_of, status_of

STOCK = Listing(8894, "STK", "SMART", "USD")
NAME = "awkit00-0000000000000000000001"
OTHER = "awkit00-0000000000000000000002"
THIRD = "awkit00-0000000000000000000003"
LAST = "awkit00-0000000000000000000004"
UNTIL = datetime(2031, 3, 4, 18, 0, tzinfo=UTC)


def request(**named: Any) -> OrderRequest:
    if "quote_quantity" not in named:
        named.setdefault("quantity", Decimal(10))
    return OrderRequest("KO", named.pop("side", Side.BUY), **named)


def wired(terms: OrderRequest, **named: Any) -> OrderWire:
    return OrderWire(client=7, order=42, listing=STOCK, terms=terms, **named)


TERMS = [
    request(),
    request(tif=TimeInForce.AT_OPEN),
    request(tif=TimeInForce.AT_CLOSE),
    request(quantity=None, quote_quantity=Decimal("250.5")),
    request(type=OrderType.LIMIT, limit_price=Decimal("60.25"), tif=TimeInForce.GTC),
    request(type=OrderType.LIMIT, limit_price=Decimal("60.25"), tif=TimeInForce.AT_CLOSE),
    request(type=OrderType.LIMIT, limit_price=Decimal(60), tif=TimeInForce.GTD, expire_at=UNTIL),
    request(type=OrderType.LIMIT, limit_price=Decimal(60), tif=TimeInForce.IOC, side=Side.SELL),
    request(type=OrderType.LIMIT, limit_price=Decimal(60), tif=TimeInForce.FOK, extended_hours=True),
    request(type=OrderType.STOP, stop_price=Decimal("0.0001")),
    request(type=OrderType.STOP_LIMIT, stop_price=Decimal(59), limit_price=Decimal("58.5")),
    request(type=OrderType.TRAILING_STOP, trail=Trail(amount=Decimal("1.5")), tif=TimeInForce.GTC),
    request(type=OrderType.TRAILING_STOP, trail=Trail(percent=Decimal(5)), tif=TimeInForce.GTC),
]


@pytest.mark.parametrize("terms", TERMS, ids=lambda one: f"{one.type.value}-{one.tif.value}")
def test_order_comes_back_as_it_was_sent(terms: OrderRequest) -> None:
    """The terms of an order survive the gateway's words, and those of the journal."""
    order = order_of(wired(terms), NAME, "DU1")
    assert request_of(order, "KO") == terms
    assert OrderWire.read(wired(terms).write()) == wired(terms)
    assert (order.orderRef, order.account, order.orderId) == (NAME, "DU1", 42)


@pytest.mark.parametrize("terms", TERMS, ids=lambda one: f"{one.type.value}-{one.tif.value}")
def test_time_in_force_is_always_said(terms: OrderRequest) -> None:
    """The gateway would put in its own, and tell that by an error that reads like a refusal."""
    assert order_of(wired(terms), NAME, "DU1").tif


def _sent(order: Order, wire: OrderWire) -> list[str]:
    """The fields of the message that the client library makes of an order."""
    # The library's own classes are not annotated.
    client: Any = Client(wrapper=type("Deaf", (), {})())  # type: ignore[no-untyped-call]
    client._serverVersion, client.connState = 178, Client.CONNECTED
    messages: list[str] = []
    client.sendMsg = messages.append
    client.placeOrder(wire.order, contract_of(wire), order)
    return messages[0].split("\0")


def test_numbers_are_sent_digit_for_digit() -> None:
    """A float would be sent as 0.30000000000000004, a small decimal with an exponent."""
    terms = request(
        quantity=Decimal("0.00000001"),
        type=OrderType.STOP_LIMIT,
        limit_price=Decimal("0.1") + Decimal("0.2"),
        stop_price=Decimal("1E+2"),
    )
    fields = _sent(order_of(wired(terms), NAME, "DU1"), wired(terms))
    assert fields[:3] == ["3", "42", "8894"]
    assert fields[16:22] == ["BUY", "0.00000001", "STP LMT", "0.3", "100", "DAY"]
    assert not [field for field in fields if "e-" in field.lower() and field[:1].isdigit()]


def test_order_in_cash_has_no_size() -> None:
    """It is bought for an amount, and a size beside it would be refused."""
    terms = request(quantity=None, quote_quantity=Decimal("99.90"))
    order = order_of(wired(terms), NAME, "DU1")
    assert (order.totalQuantity, order.cashQty) == ("0", "99.90")


def test_what_was_filled_has_its_size_elsewhere() -> None:
    """A completed order that was filled is told with a size of 0."""
    order = Order(action="BUY", orderType="MKT", tif="DAY", totalQuantity=0.0, filledQuantity=10.0)
    found = request_of(order, "KO")
    assert found is not None
    assert found.quantity == 10


@pytest.mark.parametrize("odd", [{"orderType": "PEG MID"}, {"tif": "DTC"}, {"action": "SSHORT"}])
def test_other_orders_have_no_terms_here(odd: dict[str, str]) -> None:
    """An order that cannot be said here is told without its terms, not with wrong ones."""
    words = {"action": "BUY", "orderType": "MKT", "tif": "DAY", "totalQuantity": 1.0, **odd}
    assert request_of(Order(**words), "KO") is None  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["20310304-18:00:00", "20310304 13:00:00 US/Eastern"])
def test_end_of_an_order_is_read_in_its_zone(text: str) -> None:
    """The gateway may tell it in its own zone."""
    order = Order(
        action="BUY", orderType="LMT", lmtPrice=5.0, tif="GTD", totalQuantity=1.0, goodTillDate=text
    )
    found = request_of(order, "KO")
    assert found is not None
    assert found.expire_at == UNTIL


@pytest.mark.parametrize(
    ("word", "filled", "status"),
    [
        ("PendingSubmit", 0, OrderStatus.PENDING),
        ("PreSubmitted", 0, OrderStatus.ACCEPTED),
        ("Submitted", 3, OrderStatus.PARTIALLY_FILLED),
        ("PendingCancel", 0, OrderStatus.ACCEPTED),
        ("Inactive", 0, OrderStatus.ACCEPTED),
        ("Whatever", 0, OrderStatus.ACCEPTED),
        ("Filled", 10, OrderStatus.FILLED),
        ("ApiCancelled", 0, OrderStatus.CANCELLED),
    ],
)
def test_status_says_where_an_order_stands(word: str, filled: int, status: OrderStatus) -> None:
    """A word that is not known, and one that may mean "held", is an order that works."""
    assert status_of(word, Decimal(filled)) is status


@pytest.mark.parametrize(
    ("kind", "terms", "why"),
    [
        ("STK", request(quantity=Decimal("1.5")), "whole units"),
        ("FUT", request(quantity=None, quote_quantity=Decimal(5)), "an amount of money"),
        ("CRYPTO", request(tif=TimeInForce.IOC), "for an amount of money"),
        ("CRYPTO", request(type=OrderType.LIMIT, limit_price=Decimal(5)), "ioc"),
    ],
)
def test_what_the_gateway_would_refuse_is_not_sent(kind: str, terms: OrderRequest, why: str) -> None:
    """What depends on what is traded is refused before it is committed."""
    with pytest.raises(Unsupported, match=why):
        refuse_unsendable(terms, kind)


@pytest.mark.parametrize(
    ("kind", "terms"),
    [
        ("CRYPTO", request(quantity=None, quote_quantity=Decimal(5), tif=TimeInForce.IOC)),
        ("CRYPTO", request(side=Side.SELL, quantity=Decimal("0.5"), tif=TimeInForce.IOC)),
        ("STK", request(quantity=None, quote_quantity=Decimal(5))),
        ("CASH", request(quantity=None, quote_quantity=Decimal(5))),
        ("FUT", request()),
    ],
)
def test_what_the_gateway_takes_is_sent(kind: str, terms: OrderRequest) -> None:
    """Coins are bought for money, pairs are either way."""
    refuse_unsendable(terms, kind)


def prepared(
    what: OrderRequest | OrderGroup | OrderChange,
    names: list[str],
    replaces: OrderRef | None = None,
    store: dict[str, str] | None = None,
    client: int = 7,
) -> list[OrderWire]:
    numbers = OrderNumbers({} if store is None else store)
    refs = [OrderRef(name, "KO") for name in names]
    return wires_of(what, refs, replaces, client=client, numbers=numbers, listing=STOCK)


def test_number_is_never_used_twice() -> None:
    """A number that the gateway rolls back to is not given again, nor one that it has seen."""
    store: dict[str, str] = {}
    numbers = OrderNumbers(store)
    numbers.seen(100)
    assert [numbers.reserve(1), numbers.reserve(3), numbers.reserve(1)] == [100, 101, 104]
    after = OrderNumbers(store)
    after.seen(57)
    assert after.reserve(1) == 105
    after.seen(400)
    assert after.reserve(1) == 400


def group(kind: GroupKind) -> OrderGroup:
    exits = {"side": Side.SELL, "tif": TimeInForce.GTC}
    return OrderGroup(
        kind,
        request(type=OrderType.LIMIT, limit_price=Decimal(70), **exits),
        request(type=OrderType.STOP, stop_price=Decimal(50), **exits),
        request(tif=TimeInForce.GTC) if kind is GroupKind.BRACKET else None,
    )


def test_bracket_hangs_together_by_its_parent() -> None:
    """The exits name the entry, and each other; the entry waits at the gateway for both."""
    entry, target, stop = prepared(group(GroupKind.BRACKET), [NAME, OTHER, THIRD])
    assert (entry.order, entry.parent, entry.oca, entry.pair) == (1, 0, "", 0)
    assert (target.order, target.parent, target.oca, target.pair) == (2, 1, NAME, 3)
    assert (stop.order, stop.parent, stop.oca, stop.pair) == (3, 1, NAME, 2)
    sent = [order_of(one, NAME, "DU1") for one in (entry, target, stop)]
    assert [order.transmit for order in sent] == [False, False, True]
    assert (sent[2].parentId, sent[2].ocaGroup) == (1, NAME)
    assert [OrderWire.read(one.write()) for one in (entry, target, stop)] == [entry, target, stop]
    (changed,) = prepared(OrderChange(limit_price=Decimal(71)), [LAST], ref_of(target, OTHER))
    assert order_of(changed, LAST, "DU1").transmit


def test_exits_take_off_each_other_what_is_filled() -> None:
    """Both are never at the market at once, and a part that is filled leaves the rest protected."""
    target, stop = prepared(group(GroupKind.OCO), [NAME, OTHER])
    assert (target.parent, stop.parent, target.pair, stop.pair) == (0, 0, 2, 1)
    sent = [order_of(one, NAME, "DU1") for one in (target, stop)]
    assert [(order.ocaType, order.transmit) for order in sent] == [(2, True)] * 2


def ref_of(wire: OrderWire, name: str) -> OrderRef:
    return OrderRef(name, "KO", "900", wire.write())


def test_change_keeps_the_number_and_everything_else() -> None:
    """A change is the whole order again, under the number that it has."""
    store: dict[str, str] = {}
    before = prepared(group(GroupKind.OCO), [NAME, OTHER], store=store)[0]
    change = OrderChange(limit_price=Decimal(71))
    (after,) = prepared(change, [THIRD], ref_of(before, NAME), store)
    wanted = evolve(before.terms, limit_price=Decimal(71))
    assert after == evolve(before, terms=wanted, replaces=NAME, first=NAME)
    (last,) = prepared(OrderChange(quantity=Decimal(4)), [OTHER], ref_of(after, THIRD), store)
    assert (last.replaces, last.first, last.terms.quantity) == (THIRD, NAME, 4)
    assert store == {"next_order": "3"}


def test_change_of_another_client_s_order_is_refused() -> None:
    """Only the client that placed an order changes it."""
    before = ref_of(prepared(request(), [NAME])[0], NAME)
    with pytest.raises(Unsupported, match="placed by client id 7"):
        prepared(OrderChange(quantity=Decimal(4)), [OTHER], before, client=8)


def test_change_of_what_an_order_has_not_says_so() -> None:
    """Its terms stay what they are."""
    before = ref_of(prepared(request(), [NAME])[0], NAME)
    (wire,) = prepared(OrderChange(limit_price=Decimal(4)), [OTHER], before)
    assert wire.impossible == "a market order has no limit_price"
    assert wire.terms == request()
    assert OrderWire.read(wire.write()) == wire


@pytest.mark.parametrize("wire", [None, OrderRef(NAME, "KO", None, {"order": "1"})])
def test_change_of_what_is_not_ours_is_refused(wire: OrderRef | None) -> None:
    """There is no number to change it under."""
    with pytest.raises(Unsupported):
        prepared(OrderChange(quantity=Decimal(4)), [OTHER], wire)


def test_wire_of_another_broker_is_not_read() -> None:
    """What lacks its number is no order here."""
    with pytest.raises(ValueError, match="'client'"):
        OrderWire.read({"symbol": "KO"})
