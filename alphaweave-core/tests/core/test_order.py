"""What can be asked of a broker: every request says one thing, or is refused where it is made."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any

import pytest
from attrs import evolve
from attrs.exceptions import FrozenInstanceError

from alphaweave.core import order
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

D = Decimal
BUY, SELL = Side.BUY, Side.SELL
LAST = datetime(2024, 3, 4, tzinfo=UTC)

# What an order of each type carries besides its size.
TERMS: dict[OrderType, dict[str, Any]] = {
    OrderType.MARKET: {},
    OrderType.LIMIT: {"limit_price": D(100)},
    OrderType.STOP: {"stop_price": D(99)},
    OrderType.STOP_LIMIT: {"stop_price": D(99), "limit_price": D(98)},
    OrderType.TRAILING_STOP: {"trail": Trail(percent=D(5))},
    OrderType.TAKE_PROFIT: {"stop_price": D(99)},
    OrderType.TAKE_PROFIT_LIMIT: {"stop_price": D(99), "limit_price": D(98)},
}


def request(kind: OrderType = OrderType.MARKET, **changes: Any) -> OrderRequest:
    """An order of ten units of SPY."""
    terms = {"quantity": D(10), "type": kind, **TERMS[kind], **changes}
    return OrderRequest("SPY", terms.pop("side", BUY), **terms)


def exits(**changes: Any) -> tuple[OrderRequest, OrderRequest]:
    """A take profit and a stop loss for ten units of SPY."""
    common = {"side": SELL, "tif": TimeInForce.GTC, **changes}
    return (
        request(OrderType.LIMIT, **{**common, "limit_price": D(110)}),
        request(OrderType.STOP, **{**common, "stop_price": D(90)}),
    )


def every(change: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """One change for all legs of a bracket."""
    return dict.fromkeys(("entry", "take_profit", "stop_loss"), change)


def bracket(**changes: Any) -> OrderGroup:
    """A bracket whose legs can be changed one by one: entry, take_profit, stop_loss."""
    target, stop = exits()
    legs = {"entry": request(tif=TimeInForce.GTC), "take_profit": target, "stop_loss": stop}
    return OrderGroup(
        GroupKind.BRACKET, **{name: evolve(leg, **changes.get(name, {})) for name, leg in legs.items()}
    )


@pytest.mark.parametrize("kind", OrderType)
def test_order_of_each_type_carries_its_terms_and_no_others(kind: OrderType) -> None:
    """A missing price, or one that means nothing for the type, is refused by name."""
    assert request(kind).type is kind
    every: dict[str, Any] = {"limit_price": D(1), "stop_price": D(1), "trail": Trail(amount=D(1))}
    for name, value in every.items():
        if name in TERMS[kind]:
            with pytest.raises(ValueError, match=f"a {kind.value} order needs {name}"):
                request(kind, **{name: None})
        else:
            with pytest.raises(ValueError, match=f"a {kind.value} order has no {name}"):
                request(kind, **{name: value})


@pytest.mark.parametrize("kind", OrderType)
def test_order_has_one_size(kind: OrderType) -> None:
    """Units or quote currency: not both, and not neither."""
    for sizes in ({"quantity": None}, {"quote_quantity": D(500)}):
        with pytest.raises(ValueError, match="exactly one of quantity and quote_quantity"):
            request(kind, **sizes)
    assert request(kind, quantity=None, quote_quantity=D(500)).quote_quantity == 500


@pytest.mark.parametrize("value", ["0", "-1", "-0"])
@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (OrderType.MARKET, "quantity"),
        (OrderType.MARKET, "quote_quantity"),
        (OrderType.LIMIT, "quantity"),
        (OrderType.LIMIT, "limit_price"),
        (OrderType.STOP, "stop_price"),
    ],
)
def test_sizes_and_prices_are_above_zero(kind: OrderType, name: str, value: str) -> None:
    """The side has the sign; nothing and less than nothing are refused by name."""
    amounts = {"quantity": None} if name == "quote_quantity" else {}
    with pytest.raises(ValueError, match=f"{name} must be greater than zero, not {value}"):
        request(kind, **{**amounts, name: D(value)})


@pytest.mark.parametrize("kind", [OrderType.MARKET, OrderType.LIMIT])
def test_expiry_and_gtd_go_together(kind: OrderType) -> None:
    """An instant without GTD would be ignored, and GTD without one never ends."""
    assert request(kind, tif=TimeInForce.GTD, expire_at=LAST).expire_at == LAST
    for wrong in ({"tif": TimeInForce.GTD}, {"expire_at": LAST}):
        with pytest.raises(ValueError, match="expire_at belongs to time in force GTD, and GTD needs it"):
            request(kind, **wrong)


def test_request_defaults_are_a_plain_market_order_for_the_day() -> None:
    """Nothing is asked for that was not written."""
    plain = OrderRequest("SPY", BUY, D(1))
    assert (plain.type, plain.tif) == (OrderType.MARKET, TimeInForce.DAY)
    names = ("quote_quantity", "expire_at", "limit_price", "stop_price", "trail")
    assert [getattr(plain, name) for name in names] == [None] * 5
    assert (plain.post_only, plain.reduce_only, plain.extended_hours) == (False, False, False)


@pytest.mark.parametrize("given", [{}, {"amount": D(1), "percent": D(1)}])
def test_trail_is_an_amount_or_a_percentage(given: dict[str, Decimal]) -> None:
    """Exactly one of them says how far a stop follows."""
    with pytest.raises(ValueError, match="a trail has exactly one of amount and percent"):
        Trail(**given)


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (Trail, "amount"),
        (Trail, "percent"),
        (OrderChange, "quantity"),
        (OrderChange, "limit_price"),
        (OrderChange, "stop_price"),
    ],
)
def test_trails_and_changes_are_above_zero(make: type[Any], name: str) -> None:
    """A change to nothing is a cancel, and a trail of nothing no trail."""
    assert getattr(make(**{name: D("0.01")}), name) == D("0.01")
    for value in ("0", "-1"):
        with pytest.raises(ValueError, match=f"{name} must be greater than zero, not {value}"):
            make(**{name: D(value)})


def test_change_changes_something() -> None:
    """Each field alone is a change; none at all is refused."""
    assert OrderChange(trail=Trail(amount=D(1))).quantity is None
    with pytest.raises(ValueError, match="a replacement changes at least one thing"):
        OrderChange()


def test_group_is_of_legs_that_belong_together() -> None:
    """A bracket and an OCO as every venue can have them; the legs come in wire order."""
    target, stop = exits()
    oco = OrderGroup(GroupKind.OCO, target, stop)
    assert oco.legs == (target, stop)
    assert oco.entry is None
    whole = bracket(stop_loss={"type": OrderType.STOP_LIMIT, "limit_price": D(89)})
    assert whole.entry is not None
    assert whole.legs == (whole.entry, whole.take_profit, whole.stop_loss)


@pytest.mark.parametrize("tif", [TimeInForce.DAY, TimeInForce.GTC, TimeInForce.GTD])
def test_group_may_rest_as_long_as_all_its_legs(tif: TimeInForce) -> None:
    """Any time in force that rests, the same for each leg."""
    common = {"tif": tif, "expire_at": LAST if tif is TimeInForce.GTD else None}
    assert bracket(entry=common, take_profit=common, stop_loss=common).take_profit.tif is tif


MARKET = {"type": OrderType.MARKET, "limit_price": None, "stop_price": None}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"take_profit": {"side": BUY}}, "both exits of a group are on one side"),
        ({"entry": {"side": SELL}}, "the exits of a bracket are opposite to its entry"),
        ({"take_profit": {"symbol": "QQQ"}}, "all legs of a group are in one symbol"),
        ({"entry": {"symbol": "QQQ"}}, "all legs of a group are in one symbol"),
        ({"take_profit": MARKET}, "a take profit is a limit order, not market"),
        (
            {"take_profit": {"type": OrderType.STOP_LIMIT, "stop_price": D(1)}},
            "a take profit is a limit order, not stop_limit",
        ),
        ({"stop_loss": MARKET}, "a stop loss is a stop or stop_limit order, not market"),
        (
            {"stop_loss": {"type": OrderType.TRAILING_STOP, "stop_price": None, "trail": Trail(amount=D(1))}},
            "a stop loss is a stop or stop_limit order, not trailing_stop",
        ),
        (
            {"stop_loss": {"type": OrderType.LIMIT, "stop_price": None, "limit_price": D(90)}},
            "a stop loss is a stop or stop_limit order, not limit",
        ),
        ({"stop_loss": {"quantity": D(9)}}, "all legs of a group have one quantity, in units"),
        ({"take_profit": {"quantity": D(11)}}, "all legs of a group have one quantity, in units"),
        ({"entry": {"quantity": D(5)}}, "all legs of a group have one quantity, in units"),
        (
            every({"quantity": None, "quote_quantity": D(500)}),
            "all legs of a group have one quantity, in units",
        ),
        ({"entry": {"tif": TimeInForce.DAY}}, "all legs of a group have one time in force"),
        ({"stop_loss": {"tif": TimeInForce.DAY}}, "all legs of a group have one time in force"),
        (
            {
                "entry": {"tif": TimeInForce.GTD, "expire_at": LAST},
                "take_profit": {"tif": TimeInForce.GTD, "expire_at": LAST},
                "stop_loss": {"tif": TimeInForce.GTD, "expire_at": LAST.replace(day=5)},
            },
            "all legs of a group have one time in force",
        ),
        *(
            (
                every({"tif": tif}),
                f"a group is day, gtc or gtd, not {tif.value}",
            )
            for tif in (TimeInForce.IOC, TimeInForce.FOK, TimeInForce.AT_OPEN, TimeInForce.AT_CLOSE)
        ),
    ],
)
def test_group_of_legs_that_do_not_belong_together_is_refused(
    changes: dict[str, dict[str, Any]], said: str
) -> None:
    """What only some venue could have is refused for all of them, where it is made."""
    with pytest.raises(ValueError, match=f"^{said}$"):
        bracket(**changes)


def test_bracket_has_an_entry_and_an_oco_has_none() -> None:
    """The kind says what there is."""
    target, stop = exits()
    with pytest.raises(ValueError, match="a bracket has an entry, an OCO has none"):
        OrderGroup(GroupKind.BRACKET, target, stop)
    with pytest.raises(ValueError, match="a bracket has an entry, an OCO has none"):
        OrderGroup(GroupKind.OCO, target, stop, request(tif=TimeInForce.GTC))


def test_ref_begins_with_our_name_alone() -> None:
    """What the broker and the adapter add is absent until they add it; a ref can be a key."""
    ref = OrderRef("a", "SPY")
    assert (ref.broker_order_id, dict(ref.wire), ref.decided_at) == (None, {}, None)
    with pytest.raises(TypeError):
        ref.wire["con_id"] = "1"  # type: ignore[index]
    named = OrderRef("a", "SPY", "7", MappingProxyType({"con_id": "1"}), LAST)
    assert named != evolve(named, wire=MappingProxyType({"con_id": "2"}))
    assert len({ref, named, OrderRef("a", "SPY")}) == 2


def test_sides_have_signs_and_opposites() -> None:
    """Plus one buys, minus one sells."""
    assert (BUY.sign, SELL.sign) == (1, -1)
    assert (BUY.opposite, SELL.opposite) == (SELL, BUY)


def test_five_statuses_are_terminal() -> None:
    """UNKNOWN is not among them: its exposure stays reserved."""
    assert [status.value for status in OrderStatus if status.terminal] == [
        "filled",
        "cancelled",
        "expired",
        "rejected",
        "denied",
    ]


def test_no_reject_reason_is_a_duplicate_id() -> None:
    """A refusal that says so leaves the outcome unknown, and must not have a word for being final."""
    assert not [reason for reason in RejectReason if "duplicate" in reason.value or reason.value == "id"]
    assert RejectReason("rate_limited") is RejectReason.RATE_LIMITED


@pytest.mark.parametrize(
    "record",
    [request(), Trail(amount=D(1)), OrderChange(quantity=D(1)), bracket(), OrderRef("a", "SPY")],
    ids=lambda record: type(record).__name__,
)
def test_requests_are_frozen(record: Any) -> None:
    """What was asked stays what was asked."""
    name = record.__attrs_attrs__[0].name
    with pytest.raises(FrozenInstanceError):
        setattr(record, name, getattr(record, name))


def test_order_offers_exactly_its_names() -> None:
    """What a module offers is a promise."""
    assert order.__all__ == [
        "GroupKind",
        "OrderChange",
        "OrderGroup",
        "OrderRef",
        "OrderRequest",
        "OrderStatus",
        "OrderType",
        "RejectReason",
        "Side",
        "TimeInForce",
        "Trail",
    ]
