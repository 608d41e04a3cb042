"""Capabilities: what is declared is taken, what is not is refused, feature by feature."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from attrs import evolve, fields
from attrs.exceptions import FrozenInstanceError

from alphaweave.core.errors import Unsupported
from alphaweave.core.instrument import Instrument
from alphaweave.core.order import (
    GroupKind,
    OrderChange,
    OrderGroup,
    OrderRequest,
    OrderType,
    Side,
    TimeInForce,
    Trail,
)
from alphaweave.live.adapters import capabilities
from alphaweave.live.adapters.capabilities import (
    Capabilities,
    ClientIdRules,
    ClientIdUniqueness,
    check_change,
    check_request,
    usual_group_tif,
    usual_tif,
)
from alphaweave.live.rounding import Refused, sized, whole_where_needed

D = Decimal
DAY, GTC, IOC, GTD = TimeInForce.DAY, TimeInForce.GTC, TimeInForce.IOC, TimeInForce.GTD
MARKET, LIMIT, STOP = OrderType.MARKET, OrderType.LIMIT, OrderType.STOP
PAIRS = frozenset((kind, tif) for kind in OrderType for tif in TimeInForce)
ALL = Capabilities(
    order_types=PAIRS,
    quote_quantity=PAIRS,
    fractional=PAIRS,
    extended_hours=PAIRS,
    shorting=True,
    fractional_short=True,
    groups=frozenset(GroupKind),
    fractional_groups=True,
    replace=frozenset({"quantity", "limit_price", "stop_price", "trail"}),
    post_only=True,
    trail_amount=True,
    trail_percent=True,
    fee_reports=True,
)
NONE = Capabilities(order_types=PAIRS)
SPY = Instrument(symbol="SPY", venue_symbol="SPY", fractional=True)


def market(**terms: Any) -> OrderRequest:
    return OrderRequest("SPY", Side.BUY, **{"quantity": D(1), **terms})


def limit(**terms: Any) -> OrderRequest:
    return market(**{"type": LIMIT, "limit_price": D(100), **terms})


def trailing(trail: Trail) -> OrderRequest:
    return market(type=OrderType.TRAILING_STOP, trail=trail)


def group(kind: GroupKind, quantity: str = "1", tif: TimeInForce = GTC, **exits: Any) -> OrderGroup:
    size, sell = D(quantity), Side.SELL
    common = {"quantity": size, "tif": tif, **exits}
    target = OrderRequest("SPY", sell, type=LIMIT, limit_price=D(110), **common)
    stop = OrderRequest("SPY", sell, type=STOP, stop_price=D(90), **common)
    entry = OrderRequest("SPY", Side.BUY, size, tif=tif) if kind is GroupKind.BRACKET else None
    return OrderGroup(kind, target, stop, entry)


def without(pairs: frozenset[tuple[OrderType, TimeInForce]], kind: OrderType, tif: TimeInForce) -> Any:
    return pairs - {(kind, tif)}


@pytest.mark.parametrize(
    ("asked", "lacking", "said"),
    [
        (market(), {"order_types": without(PAIRS, MARKET, DAY)}, "takes no market order with day"),
        (limit(tif=IOC), {"order_types": without(PAIRS, LIMIT, IOC)}, "takes no limit order with ioc"),
        (
            market(quantity=None, quote_quantity=D(50)),
            {"quote_quantity": without(PAIRS, MARKET, DAY)},
            "takes no market day order by quote quantity",
        ),
        (
            limit(quantity=D("0.5"), tif=GTC),
            {"fractional": without(PAIRS, LIMIT, GTC)},
            "takes limit gtc orders in whole units only, not 0.5",
        ),
        (limit(post_only=True), {"post_only": False}, "knows no post_only"),
        (
            limit(extended_hours=True),
            {"extended_hours": without(PAIRS, LIMIT, DAY)},
            "takes no limit day order for extended hours",
        ),
        (trailing(Trail(amount=D(1))), {"trail_amount": False}, "takes no trail by amount"),
        (trailing(Trail(percent=D(1))), {"trail_percent": False}, "takes no trail by percent"),
        (group(GroupKind.OCO), {"groups": frozenset({GroupKind.BRACKET})}, "takes no oco group"),
        (group(GroupKind.BRACKET), {"groups": frozenset({GroupKind.OCO})}, "takes no bracket group"),
        (
            group(GroupKind.OCO, "1.5"),
            {"fractional_groups": False},
            "takes groups in whole units only, not 1.5",
        ),
        (
            group(GroupKind.OCO, "1.5"),
            {"fractional": without(PAIRS, STOP, GTC)},
            "takes stop gtc orders in whole units only, not 1.5",
        ),
        (
            group(GroupKind.BRACKET),
            {"order_types": without(PAIRS, MARKET, GTC)},
            "takes no market order with gtc",
        ),
        (
            group(GroupKind.BRACKET),
            {"order_types": without(PAIRS, STOP, GTC)},
            "takes no stop order with gtc",
        ),
    ],
)
def test_feature_is_refused_exactly_where_it_is_not_declared(
    asked: OrderRequest | OrderGroup, lacking: dict[str, Any], said: str
) -> None:
    """Whatever is declared passes; without the one thing it needs it is refused, with its name."""
    assert check_request(ALL, SPY, asked) is None
    refusal = check_request(evolve(ALL, **lacking), SPY, asked)
    assert isinstance(refusal, Unsupported)
    assert refusal.code == "unsupported"
    assert refusal.text == f"this broker {said}"
    assert str(refusal) == f"SPY: this broker {said}"


@pytest.mark.parametrize(
    "asked",
    [
        market(quantity=D("2.00")),
        market(quantity=D("1E+1")),
        market(reduce_only=True),
        limit(tif=GTD, expire_at=datetime(2024, 3, 4, tzinfo=UTC)),
    ],
)
def test_plain_order_needs_only_its_pair(asked: OrderRequest) -> None:
    """Whole units in any writing need no fraction, and reduce only is the core's own promise."""
    assert check_request(NONE, evolve(SPY, fractional=False), asked) is None


def test_group_in_whole_units_needs_no_fraction() -> None:
    """What a group lacks is said of the group alone."""
    plain = evolve(NONE, groups=frozenset(GroupKind))
    assert check_request(plain, SPY, group(GroupKind.BRACKET)) is None
    single = evolve(ALL, fractional_groups=False)
    assert check_request(single, SPY, market(quantity=D("0.5"))) is None


def test_instrument_narrows_the_broker() -> None:
    """Types and fractions that the instrument lacks are refused, whatever the broker can."""
    narrow = evolve(SPY, fractional=False, order_types=frozenset({(LIMIT, DAY)}))
    assert check_request(ALL, narrow, limit()) is None
    refusal = check_request(ALL, narrow, market())
    assert refusal is not None
    assert refusal.text == "no market order with day in this instrument"
    refusal = check_request(ALL, narrow, limit(quantity=D("0.5")))
    assert refusal is not None
    assert refusal.text == "this instrument is traded in whole units, not 0.5"
    assert check_request(NONE, evolve(SPY, order_types=PAIRS), market()) is None


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("quantity", OrderChange(quantity=D(1))),
        ("limit_price", OrderChange(limit_price=D(1))),
        ("stop_price", OrderChange(stop_price=D(1))),
        ("trail", OrderChange(trail=Trail(amount=D(1)))),
    ],
)
def test_change_is_refused_exactly_where_it_is_not_declared(name: str, change: OrderChange) -> None:
    """Each field of a change is declared by itself."""
    assert check_change(evolve(NONE, replace=frozenset({name})), "SPY", change) is None
    refusal = check_change(evolve(ALL, replace=ALL.replace - {name}), "SPY", change)
    assert isinstance(refusal, Unsupported)
    assert (refusal.code, str(refusal)) == (
        "unsupported",
        f"SPY: this broker cannot replace the {name} of an order",
    )


def test_every_field_of_a_change_can_be_declared() -> None:
    """A field that is added to a change is not forgotten here; a name that is none is refused."""
    everything = frozenset(each.name for each in fields(OrderChange))
    assert evolve(NONE, replace=everything).replace == ALL.replace
    with pytest.raises(
        ValueError, match="replace names price, tif; an OrderChange has quantity, limit_price"
    ):
        Capabilities(order_types=PAIRS, replace=frozenset({"tif", "price", "trail"}))


@pytest.mark.parametrize(
    ("declared", "narrowed", "default", "expected"),
    [
        ([DAY, GTC, IOC], None, None, DAY),
        ([GTC, IOC], None, None, GTC),
        ([IOC], None, None, IOC),
        ([DAY, GTC], [GTC], None, GTC),
        ([DAY, GTC], None, [GTC, DAY], GTC),
        ([DAY, IOC], None, [GTC, IOC], IOC),
        ([DAY, GTC, IOC], [DAY], [GTC, DAY], DAY),
        # nothing fits: DAY, which is then refused
        ([GTD], None, None, DAY),
        ([DAY, GTC], None, [IOC], DAY),
        ([GTC], [IOC], None, DAY),
    ],
)
def test_usual_tif_is_the_first_that_broker_and_instrument_have(
    declared: list[TimeInForce],
    narrowed: list[TimeInForce] | None,
    default: list[TimeInForce] | None,
    expected: TimeInForce,
) -> None:
    """The broker's preference for the type, else DAY, GTC, IOC; other types have no say."""
    able = Capabilities(
        order_types=frozenset((LIMIT, tif) for tif in declared),
        default_tif={MARKET: (IOC,), **({} if default is None else {LIMIT: tuple(default)})},
    )
    allowed = None if narrowed is None else frozenset((LIMIT, tif) for tif in narrowed)
    assert usual_tif(able, evolve(SPY, order_types=allowed), LIMIT) is expected


@pytest.mark.parametrize(
    ("lacking", "expected"), [(None, GTC), ((LIMIT, GTC), DAY), ((STOP, GTC), DAY), ((MARKET, GTC), GTC)]
)
def test_usual_tif_of_a_group_is_that_of_all_its_legs(
    lacking: tuple[OrderType, TimeInForce] | None, expected: TimeInForce
) -> None:
    """GTC protects a position as long as it lasts, where every leg can have it."""
    pairs = PAIRS if lacking is None else PAIRS - {lacking}
    assert usual_group_tif(evolve(ALL, order_types=pairs), SPY, (LIMIT, STOP)) is expected
    narrow = evolve(SPY, order_types=pairs)
    assert usual_group_tif(ALL, narrow, (LIMIT, STOP)) is expected


def test_defaults_declare_nothing() -> None:
    """An adapter that only names its order types has promised nothing else."""
    assert (NONE.quote_quantity, NONE.fractional, NONE.extended_hours) == (frozenset(),) * 3
    assert (NONE.replace, NONE.groups, dict(NONE.default_tif), NONE.caveats) == (
        frozenset(),
        frozenset(),
        {},
        (),
    )
    flags = (
        "shorting",
        "fractional_short",
        "fractional_groups",
        "post_only",
        "trail_amount",
        "trail_percent",
    )
    assert not any(getattr(NONE, name) for name in (*flags, "fee_reports", "simulated"))
    assert NONE.client_ids == ClientIdRules()
    assert NONE.not_found_is_final_after == 60.0
    assert not hasattr(NONE, "reduce_only")


def test_capabilities_are_frozen_and_can_be_keys() -> None:
    """A declaration is data: compared by value, changed by making another."""
    with pytest.raises(FrozenInstanceError):
        NONE.shorting = True  # type: ignore[misc]
    given = {LIMIT: (GTC,)}
    one = Capabilities(order_types=PAIRS, default_tif=given)
    given[MARKET] = (IOC,)
    assert dict(one.default_tif) == {LIMIT: (GTC,)}
    with pytest.raises(TypeError):
        one.default_tif[MARKET] = (IOC,)  # type: ignore[index]
    assert one != Capabilities(order_types=PAIRS)
    assert len({one, Capabilities(order_types=PAIRS, default_tif={LIMIT: (GTC,)}), ALL}) == 2


def test_not_found_is_never_final_before_the_send() -> None:
    """A time that lies before the last byte would call an order gone that is on its way."""
    assert Capabilities(order_types=PAIRS, not_found_is_final_after=0.0).not_found_is_final_after == 0
    with pytest.raises(ValueError, match="not_found_is_final_after"):
        Capabilities(order_types=PAIRS, not_found_is_final_after=-0.1)


@pytest.mark.parametrize(
    ("rules", "taken", "refused"),
    [
        (ClientIdRules(), ["a", "A-z_9", "x" * 36], ["", "x" * 37, "a b", "ä", "a\n", "a.b"]),
        (ClientIdRules(alphabet=r"[!-~]", max_length=3), ["a.b", "~!"], ["a b", "abcd", ""]),
        (ClientIdRules(alphabet="a|b", max_length=2), ["ab", "b"], ["abc", "c"]),
    ],
)
def test_client_ids_are_held_to_alphabet_and_length(
    rules: ClientIdRules, taken: list[str], refused: list[str]
) -> None:
    """The whole id counts, its end included."""
    assert [text for text in taken if not rules.accepts(text)] == []
    assert [text for text in refused if rules.accepts(text)] == []


def test_client_ids_are_not_thought_unique_unless_declared() -> None:
    """An id is no key against doubles where the broker does not enforce it."""
    assert ClientIdRules().unique is ClientIdUniqueness.NOT_ENFORCED


@pytest.mark.parametrize(
    ("quantity", "fractional", "grouped", "expected", "notes"),
    [
        ("1.5", PAIRS, False, "1.5", 0),
        ("1.5", PAIRS - {(STOP, GTC)}, False, "1.5", 0),
        ("1.5", PAIRS - {(LIMIT, GTC)}, False, "1", 1),
        ("3", frozenset(), False, "3", 0),
        ("1.5", PAIRS, True, "1", 1),
        ("2", PAIRS, True, "2", 0),
    ],
)
def test_size_is_whole_where_the_broker_takes_no_fraction(
    quantity: str, fractional: Any, grouped: bool, expected: str, notes: int
) -> None:
    """Cut down, never up, for these pairs only, and said."""
    adjustments: list[str] = []
    able = evolve(NONE, fractional=fractional)
    cut = whole_where_needed(able, D(quantity), [(LIMIT, GTC)], adjustments, grouped=grouped)
    assert (cut, len(adjustments)) == (D(expected), notes)
    if notes:
        assert adjustments == ["size 1.5 rounded down to 1: this broker takes whole units"]
    both = evolve(able, fractional_groups=True)
    assert whole_where_needed(both, D("1.5"), [], adjustments, grouped=True) == D("1.5")


def test_size_below_one_whole_unit_is_refused() -> None:
    """An order that would be rounded away is no order."""
    with pytest.raises(
        Refused, match=r"^0\.5 is less than one unit, and this broker takes no fraction of it$"
    ):
        whole_where_needed(NONE, D("0.5"), [(LIMIT, GTC)], [])


def test_value_goes_down_to_its_step() -> None:
    """What is spent is never more than was asked; less than a step is no order."""
    cents = evolve(SPY, quote_step=D("0.01"))
    notes: list[str] = []
    assert sized(cents, None, "10.999", notes) == (Side.BUY, None, D("10.99"))
    assert sized(cents, None, "-5", notes) == (Side.SELL, None, D(5))
    assert notes == ["value 10.999 rounded down to 10.99"]
    with pytest.raises(Refused, match=r"0\.001 is less than the smallest step of a value"):
        sized(cents, None, "0.001", notes)
    assert sized(SPY, None, "0.001", notes) == (Side.BUY, None, D("0.001"))


def test_capabilities_offers_exactly_its_names() -> None:
    """What a module offers is a promise."""
    assert capabilities.__all__ == [
        "Capabilities",
        "ClientIdRules",
        "ClientIdUniqueness",
        "check_change",
        "check_request",
        "refuse_undeclared",
        "usual_group_tif",
        "usual_tif",
    ]
