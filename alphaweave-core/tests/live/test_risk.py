"""The risk chain: every rule at its boundary, what passes as a reduction, and how it fails closed."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from attrs import evolve

from alphaweave.core.errors import ConfigError
from alphaweave.core.instrument import Instrument, PriceStep
from alphaweave.core.order import OrderRequest, OrderType, Side, TimeInForce, Trail
from alphaweave.live import risk
from alphaweave.live.adapters.capabilities import Capabilities, check_request
from alphaweave.live.risk import (
    AllowList,
    Denial,
    InstrumentValidity,
    MaxOrderNotional,
    MaxOrderQuantity,
    MaxPositionNotional,
    MaxPositionQuantity,
    Proposal,
    ReduceOnly,
    RiskChain,
    RiskSettings,
    SymbolLimits,
    build_chain,
)

D = Decimal
PAIRS = frozenset((kind, tif) for kind in OrderType for tif in (TimeInForce.DAY, TimeInForce.GTC))
ANYTHING = Capabilities(
    order_types=PAIRS,
    quote_quantity=PAIRS,
    fractional=PAIRS,
    extended_hours=PAIRS,
    shorting=True,
    fractional_short=True,
    post_only=True,
    trail_amount=True,
    trail_percent=True,
)
SPY = Instrument(symbol="SPY", venue_symbol="SPY")
BTC = Instrument(
    symbol="BTC-USD",
    venue_symbol="BTCUSDT",
    kind="spot",
    base="BTC",
    size_step=D("0.001"),
    min_size=D("0.01"),
    max_size=D(5),
    min_notional=D(10),
    fractional=True,
    shortable=False,
)
FRACTIONS = Instrument(symbol="SPY", venue_symbol="SPY", size_step=D("0.1"), fractional=True)
ES = Instrument(symbol="ES", venue_symbol="ES", kind="future", multiplier=D(50))
ALL = ("SPY", "BTC-USD", "ES")


def proposal(
    size: int | str = 1,
    price: int | str | None = 100,
    *,
    instrument: Instrument = SPY,
    request: dict[str, Any] | None = None,
    **more: Any,
) -> Proposal:
    """An order with a signed size; a market order unless ``request`` says otherwise."""
    signed = D(size)
    side = Side.BUY if signed > 0 else Side.SELL
    terms = {"quantity": abs(signed), **(request or {})}
    return Proposal(
        instrument.symbol,
        instrument,
        side,
        abs(signed),
        request=OrderRequest(instrument.symbol, side, **terms),
        price=None if price is None else D(price),
        **more,
    )


def code(chain: RiskChain, judged: Proposal) -> str | None:
    denial = chain.check(judged)
    return None if denial is None else denial.code


def chain_of(capabilities: Capabilities = ANYTHING, **limits: Any) -> RiskChain:
    return build_chain(RiskSettings(**limits), ALL, capabilities)


def limit(price: str, kind: OrderType = OrderType.LIMIT) -> dict[str, Any]:
    return {"type": kind, "limit_price": D(price)}


# Instrument validity.


@pytest.mark.parametrize(
    ("size", "price", "said"),
    [
        ("0.010", 2000, None),
        ("0.009", 2000, "size 0.009 is below the smallest order, 0.01"),
        ("5", 2000, None),
        ("5.001", 2000, "size 5.001 is above the largest order, 5"),
        ("0.0105", 2000, "size 0.0105 is no multiple of 0.001"),
        ("0.01", 1000, None),
        ("0.01", "999.99", "value 9.9999 is below the smallest order, 10"),
        ("0.01", None, None),
    ],
)
def test_validity_holds_the_size_to_the_instrument(size: str, price: str | None, said: str | None) -> None:
    """Step, smallest, largest and smallest value bind exactly; without a price the value is not judged."""
    denial = chain_of().check(proposal(size, price, instrument=BTC))
    assert denial == (None if said is None else Denial("instrument_validity", said))


LARGEST = evolve(SPY, max_size=D(9), market_max_size=D(5), max_notional=D(800), quote_step=D("0.25"))


@pytest.mark.parametrize(
    ("size", "request_", "said"),
    [
        (5, {}, None),
        (6, {}, "size 6 is above the largest market order, 5"),
        (6, limit("100"), None),
        (8, limit("100"), None),
        (8, limit("100.01"), "value 800.08 is above the largest order, 800"),
        (10, limit("1"), "size 10 is above the largest order, 9"),
        (5, {"quantity": None, "quote_quantity": D(800)}, None),
        (
            5,
            {"quantity": None, "quote_quantity": D("800.25")},
            "value 800.25 is above the largest order, 800",
        ),
        (5, {"quantity": None, "quote_quantity": D("7.3")}, "value 7.3 is no multiple of 0.25"),
    ],
)
def test_validity_holds_size_and_value_from_above(
    size: int, request_: dict[str, Any], said: str | None
) -> None:
    """The largest size, the largest market order, the largest value and the step of a value bind exactly."""
    price = request_.get("limit_price", D(100))
    denial = chain_of().check(proposal(size, str(price), instrument=LARGEST, request=request_))
    assert denial == (None if said is None else Denial("instrument_validity", said))


def test_validity_refuses_what_cannot_be_traded_at_present() -> None:
    """A halted instrument takes no order, not even one that reduces; it may come back."""
    halted = evolve(SPY, tradable=False)
    chain = chain_of()
    for reduces in (False, True):
        judged = proposal(-1, instrument=halted, position=D(5), worst_short=D(5), reduces=reduces)
        assert chain.check(judged) == Denial("not_tradable", "SPY cannot be traded at present")
    assert chain.check(proposal()) is None


@pytest.mark.parametrize("side", [1, -1])
@pytest.mark.parametrize(
    ("request_", "said"),
    [
        ({"type": OrderType.LIMIT, "limit_price": D("100.01")}, None),
        (
            {"type": OrderType.LIMIT, "limit_price": D("100.015")},
            "limit price 100.015 is no multiple of 0.01",
        ),
        ({"type": OrderType.STOP, "stop_price": D("99.999")}, "stop price 99.999 is no multiple of 0.01"),
        ({"type": OrderType.STOP_LIMIT, "stop_price": D(99), "limit_price": D("98.50")}, None),
    ],
)
def test_validity_holds_prices_to_the_grid(side: int, request_: dict[str, Any], said: str | None) -> None:
    """Limit and stop prices are whole ticks."""
    denial = chain_of().check(proposal(side, request=request_))
    assert (denial and denial.text) == said


@pytest.mark.parametrize(
    ("price", "right"), [("0.9999", True), ("1.0000", True), ("1.0050", False), ("1.01", True)]
)
def test_validity_uses_the_band_of_the_price(price: str, right: bool) -> None:
    """The tick size is that of the price's own band."""
    banded = evolve(SPY, price_steps=(PriceStep(D(0), D("0.0001")), PriceStep(D(1), D("0.01"))))
    assert (chain_of().check(proposal(instrument=banded, request=limit(price))) is None) is right


def test_validity_refuses_what_the_broker_cannot_do() -> None:
    """The capability check is part of the chain, for orders that reduce as well, each time."""
    chain = chain_of(Capabilities(order_types=frozenset({(OrderType.MARKET, TimeInForce.DAY)})))
    assert chain.check(proposal()) is None
    refused = proposal(-1, position=D(5), reduces=True, request=limit("100"))
    for _ in range(2):
        assert chain.check(refused) == Denial("unsupported", "this broker takes no limit order with day")


def test_validity_follows_an_instrument_that_changes() -> None:
    """New rules of a symbol hold from the first order that carries them."""
    chain = chain_of()
    assert chain.check(proposal(3)) is None
    assert code(chain, proposal(3, instrument=evolve(SPY, size_step=D(2)))) == "instrument_validity"
    assert code(chain, proposal(3, instrument=evolve(SPY, order_types=frozenset()))) == "unsupported"


def test_validity_wants_an_order_with_a_quantity() -> None:
    """A proposal without order or quantity is denied, not waved through."""
    empty = proposal()
    empty.request = None
    assert chain_of().check(empty) == Denial("instrument_validity", "the proposal carries no order to judge")
    nothing = proposal()
    for quantity in (D(0), D(-1)):
        nothing.quantity = quantity
        assert code(chain_of(), nothing) == "instrument_validity"
    nothing.quantity = D("NaN")
    assert code(chain_of(), nothing) == "risk_rule_failed"


def test_quote_quantity_is_judged_by_estimate() -> None:
    """The estimate need not lie on the step; its bounds and the smallest value hold; it needs a price."""
    chain = chain_of()

    def spend(amount: str, estimate: str, price: int | None = 2000) -> Proposal:
        terms = {"quantity": None, "quote_quantity": D(amount)}
        return proposal(estimate, price, instrument=BTC, request=terms)

    assert chain.check(spend("50", "0.02537")) is None
    assert code(chain, spend("50", "0.00999")) == "instrument_validity"
    assert code(chain, spend("50", "5.00001")) == "instrument_validity"
    assert chain.check(spend("10", "0.02")) is None
    assert code(chain, spend("9.99", "0.02")) == "instrument_validity"
    assert code(chain, spend("50", "0.025", None)) == "no_reference_price"


@pytest.mark.parametrize(
    ("size", "worst_short", "allowed"),
    [("-2", 2, True), ("-2.001", 2, False), ("-0.1", 0, False), ("-1", -1, False), ("1", -3, True)],
)
def test_short_sale_is_judged_with_open_sales_filled(size: str, worst_short: int, allowed: bool) -> None:
    """Where no short position is allowed, sales may take the worst case down to zero and no further."""
    judged = proposal(size, instrument=BTC, position=D(9), worst_short=D(worst_short), worst_long=D(9))
    assert code(chain_of(), judged) == (None if allowed else "short_not_allowed")
    judged.reduces = True
    assert code(chain_of(), judged) == (None if allowed else "short_not_allowed")


@pytest.mark.parametrize(
    ("shorting", "shortable", "said"),
    [(True, True, None), (True, False, "this instrument"), (False, True, "this broker")],
)
def test_short_sale_needs_broker_and_instrument(shorting: bool, shortable: bool, said: str | None) -> None:
    """Either of them can forbid it."""
    chain = chain_of(evolve(ANYTHING, shorting=shorting))
    denial = chain.check(proposal(-1, instrument=evolve(SPY, shortable=shortable)))
    assert (denial is None) is (said is None)
    if denial is not None:
        assert denial.code == "short_not_allowed"
        assert denial.text.startswith(f"{said} allows no short position")


@pytest.mark.parametrize(
    ("size", "worst_short", "allowed"),
    [
        ("-2", 0, True),
        ("-2", 9, True),
        ("-0.5", 9, True),
        ("-0.5", 0, False),
        ("-1", "0.5", False),
        ("-1.5", "0.5", False),
    ],
)
def test_short_sale_in_fractions_needs_the_broker(size: str, worst_short: int | str, allowed: bool) -> None:
    """Where only whole units are sold short, neither the sale nor what is left may be a fraction."""
    judged = proposal(size, instrument=FRACTIONS, position=D(9), worst_short=D(worst_short))
    denial = chain_of(evolve(ANYTHING, fractional_short=False)).check(judged)
    assert (denial is None) is allowed
    if denial is not None:
        assert denial.code == "short_not_allowed"
        assert denial.text.startswith("this broker sells short in whole units only; with open sales filled")
    assert code(chain_of(), judged) is None


@pytest.mark.parametrize(
    ("size", "worst", "said"),
    [
        (-1, (0, 0), "could leave 1 units short"),
        (1, (0, 0), "could leave 1 units long"),
        (-5, (9, 4), "could leave 1 units short"),
        (5, (-4, -9), "could leave 1 units long"),
        (1, (9, 9), "could leave 10 units long"),
    ],
)
def test_reduce_only_denies_what_could_open_or_enlarge(size: int, worst: tuple[int, int], said: str) -> None:
    """The flag is a promise of the core's, judged with everything open filled; without it nothing is said."""
    held: dict[str, Any] = {"worst_long": D(worst[0]), "worst_short": D(worst[1])}
    marked = proposal(size, request={"reduce_only": True}, **held)
    denial = chain_of().check(marked)
    assert denial is not None
    assert denial.code == "reduce_only"
    assert said in denial.text
    assert chain_of().check(proposal(size, **held)) is None
    marked.reduces = True
    assert chain_of().check(marked) is None


LIMITED = Capabilities(
    order_types=PAIRS - {(OrderType.LIMIT, TimeInForce.GTC), (OrderType.STOP, TimeInForce.DAY)},
    shorting=True,
    trail_percent=True,
    fractional=frozenset({(OrderType.MARKET, TimeInForce.DAY), (OrderType.LIMIT, TimeInForce.DAY)}),
)
HALVES = evolve(SPY, size_step=D("0.5"))


@pytest.mark.parametrize(
    "other",
    [
        {"type": OrderType.STOP, "limit_price": None, "stop_price": D(100)},
        {"tif": TimeInForce.GTC},
        {"quantity": None, "quote_quantity": D(100), "type": OrderType.MARKET, "limit_price": None},
        {"post_only": True},
        {"extended_hours": True},
        {"quantity": D("0.5")},
        {"type": OrderType.TRAILING_STOP, "limit_price": None, "trail": Trail(amount=D(1))},
    ],
    ids="-".join,
)
def test_remembered_orders_speak_only_for_their_like(other: dict[str, Any]) -> None:
    """After much that the broker takes, one difference that it does not take is still refused."""
    rule = InstrumentValidity(LIMITED)
    # Orders in SPY are remembered; one of half a unit can only be asked for where there are halves.
    instrument = HALVES if other.get("quantity") else SPY
    plain_order = {"type": OrderType.LIMIT, "limit_price": D(100)}
    taken: tuple[dict[str, Any], ...] = (
        plain_order,
        {},
        {"type": OrderType.TRAILING_STOP, "trail": Trail(percent=D(1))},
        {"type": OrderType.STOP, "stop_price": D(100), "tif": TimeInForce.GTC},
    )
    for _ in range(2):
        for terms in taken:
            assert rule.check(proposal(instrument=instrument, request=terms)) is None
    verdict = rule.check(proposal(instrument=instrument, request={**plain_order, **other}))
    assert isinstance(verdict, Denial)
    assert verdict.code == "unsupported"


@pytest.mark.parametrize(
    ("instrument", "terms", "asked"),
    [
        (SPY, {}, 1),
        (evolve(HALVES, fractional=True), {"quantity": D("0.5")}, 1),
        (HALVES, {"quantity": D(2)}, 3),
        (evolve(HALVES, fractional=True), {"quantity": D(2), "tif": TimeInForce.GTC}, 3),
        (SPY, {"type": OrderType.TRAILING_STOP, "trail": Trail(percent=D(1))}, 3),
    ],
    ids=["whole", "fractional", "fraction-decides", "pair-decides", "trail-decides"],
)
def test_order_of_a_known_kind_is_checked_once(
    monkeypatch: pytest.MonkeyPatch, instrument: Instrument, terms: dict[str, Any], asked: int
) -> None:
    """The capability check is asked again only where more than the kind of order decides."""
    calls: list[OrderRequest] = []

    def counting(capabilities: Capabilities, instrument: Instrument, request: OrderRequest) -> Any:
        calls.append(request)
        return check_request(capabilities, instrument, request)

    monkeypatch.setattr("alphaweave.live.risk_rules.check_request", counting)
    rule = InstrumentValidity(LIMITED)
    for _ in range(3):
        assert rule.check(proposal(instrument=instrument, request=terms)) is None
    assert len(calls) == asked


# The other rules.


def test_allow_list_is_the_config_unless_it_is_narrowed() -> None:
    """Only allowed symbols open; what is held in others may still be reduced."""
    narrow = chain_of(allow=("ES",))
    assert code(chain_of(), proposal()) is None
    assert code(narrow, proposal()) == "allow_list"
    assert code(narrow, proposal(instrument=ES)) is None
    assert code(narrow, proposal(-1, position=D(5), worst_short=D(5), reduces=True)) is None
    assert code(chain_of(), proposal(instrument=evolve(SPY, symbol="QQQ"))) == "allow_list"
    assert code(chain_of(allow=()), proposal()) == "allow_list"


@pytest.mark.parametrize("side", [1, -1])
def test_max_order_quantity_bounds_one_order(side: int) -> None:
    """Exactly the limit passes, one step more does not, whatever is held."""
    chain = chain_of(max_order_quantity=10)
    assert chain.check(proposal(10 * side, position=D(-500), worst_long=D(-500))) is None
    denial = chain.check(proposal(11 * side))
    assert denial == Denial("max_order_quantity", "quantity 11 is above the limit, 10")


@pytest.mark.parametrize("side", [1, -1])
def test_max_order_notional_bounds_market_orders_too(side: int) -> None:
    """Quantity times price times multiplier, at the limit and one tick above it."""
    chain = chain_of(max_order_notional=10_000)
    assert chain.check(proposal(2 * side, 100, instrument=ES)) is None
    denial = chain.check(proposal(2 * side, "100.01", instrument=ES))
    assert denial == Denial("max_order_notional", "order value 10001 is above the limit, 10000")
    assert code(chain, proposal(101 * side, request=limit("100"))) == "max_order_notional"
    assert code(chain, proposal(100 * side, request=limit("100"))) is None


def test_max_order_notional_takes_the_figure_it_is_given() -> None:
    """A notional in the proposal stands: an order by quote quantity costs what it says."""
    chain = chain_of(max_order_notional=500)
    assert chain.check(proposal(10, 100, notional=D(500))) is None
    assert code(chain, proposal(1, None, notional=D("500.01"))) == "max_order_notional"


@pytest.mark.parametrize("limits", [{"max_order_notional": 10}, {"max_position_notional": 10}], ids=str)
def test_no_reference_price_denies(limits: dict[str, Any]) -> None:
    """A value that cannot be judged is not assumed to be small; reductions need no value."""
    chain = chain_of(**limits)
    denial = chain.check(proposal(1, None))
    assert denial is not None
    assert denial.code == "no_reference_price"
    assert "SPY has no price yet" in denial.text
    assert chain.check(proposal(-1, None, position=D(5), worst_short=D(5), reduces=True)) is None


@pytest.mark.parametrize(
    ("size", "worst_long", "worst_short", "allowed"),
    [
        (4, 6, 0, True),
        (5, 6, 0, False),
        (-4, 6, -6, True),
        (-5, 6, -6, False),
        (25, -15, -15, True),
        (26, -15, -15, False),
        (-25, 15, 15, True),
        (-26, 15, 15, False),
        # the other side may be over its limit: this order does not add to it
        (1, 0, -50, True),
        (-1, 50, 0, True),
    ],
)
@pytest.mark.parametrize(
    ("limits", "denied"),
    [
        ({"symbols": {"SPY": SymbolLimits(max_position_quantity=10)}}, "max_position_quantity"),
        ({"max_position_notional": 1000}, "max_position_notional"),
    ],
    ids=["quantity", "notional"],
)
def test_max_position_counts_open_orders_of_its_side(
    *, limits: dict[str, Any], denied: str, size: int, worst_long: int, worst_short: int, allowed: bool
) -> None:
    """The worst case on the order's own side may reach the limit and not pass it."""
    judged = proposal(size, worst_long=D(worst_long), worst_short=D(worst_short))
    assert code(chain_of(**limits), judged) == (None if allowed else denied)


def test_max_position_says_how_far_it_could_go() -> None:
    """The denial names the worst case and the limit."""
    judged = proposal(-5, instrument=ES, worst_short=D(-6))
    tight = {"ES": SymbolLimits(max_position_quantity=10)}
    assert chain_of(symbols=tight).check(judged) == Denial(
        "max_position_quantity", "the position could reach 11, above the limit, 10"
    )
    assert chain_of(max_position_notional=54_999).check(judged) == Denial(
        "max_position_notional", "the position could be worth 55000, above the limit, 54999"
    )
    assert chain_of(max_position_notional=55_000).check(judged) is None


@pytest.mark.parametrize(
    ("rule", "name", "size"),
    [
        (MaxOrderQuantity, "max_order_quantity", {10: 10, 20: 11}),
        (MaxOrderNotional, "max_order_notional", {10: 10, 20: 11}),
        (MaxPositionNotional, "max_position_notional", {10: 10, 20: 11}),
    ],
)
def test_symbol_limits_only_tighten(rule: type[Any], name: str, size: dict[int, int]) -> None:
    """The tighter of the general and the symbol's own limit holds; other symbols keep the general one."""
    for general, own, holds in ((20, 10, 10), (10, 20, 10), (None, 10, 10), (10, None, 10)):
        limits: dict[str, Any] = {name: general}
        chain = chain_of(**limits, symbols={"SPY": SymbolLimits(**{name: own})})
        assert code(chain, proposal(holds, 1)) is None
        assert code(chain, proposal(holds + 1, 1)) == rule.code
        other = proposal(1000, "0.02", instrument=ES)
        assert code(chain, other) == (None if general is None else rule.code)


def test_position_quantity_limit_of_one_symbol_leaves_others_alone() -> None:
    """There is no general limit in units: a unit means something else in each symbol."""
    chain = chain_of(symbols={"SPY": SymbolLimits(max_position_quantity=10)})
    assert code(chain, proposal(11)) == MaxPositionQuantity.code
    assert code(chain, proposal(11, instrument=ES)) is None


def test_reductions_pass_every_limit() -> None:
    """An order that only reduces is never held up by a limit, however tight."""
    tight = dict.fromkeys(
        ("max_order_quantity", "max_order_notional", "max_position_quantity", "max_position_notional"), 1
    )
    chain = chain_of(symbols={"SPY": SymbolLimits(**tight)}, allow=("ES",))
    judged = proposal(-90, position=D(100), worst_long=D(100), worst_short=D(100))
    assert code(chain, judged) == "allow_list"
    judged.reduces = True
    assert code(chain, judged) is None


def test_plugin_rule_sees_the_whole_proposal() -> None:
    """A rule of one's own may judge by the position and by the worst case on either side."""

    class Flat(Rule):
        def check(self, proposal: Proposal) -> str | None:
            held = (proposal.position, proposal.worst_long, proposal.worst_short)
            return None if held == (0, 0, 0) else f"held: {held}"

    chain = RiskChain([Flat("flat")])
    assert chain.check(proposal()) is None
    denial = chain.check(proposal(position=D(1), worst_long=D(2), worst_short=D(-3)))
    assert denial == Denial("flat", "held: (Decimal('1'), Decimal('2'), Decimal('-3'))")


# The chain.


class Rule:
    """A rule that answers as it is told, and counts."""

    def __init__(self, code: str, answer: Any = None, *, applies_to_reductions: bool = False) -> None:
        self.code = code
        self.answer = answer
        self.applies_to_reductions = applies_to_reductions
        self.asked = 0

    def check(self, proposal: Proposal) -> Any:
        self.asked += 1
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def test_chain_asks_in_order_and_stops_at_the_first_no() -> None:
    """The first denial stands, later rules are not asked, and each question is counted."""
    rules = [Rule("a"), Rule("b", "no"), Rule("c", "never")]
    chain = RiskChain(rules)
    assert chain.check(proposal()) == Denial("b", "no")
    assert [rule.asked for rule in rules] == [1, 1, 0]
    assert (chain.evaluations, chain.denials) == (2, 1)
    rules[1].answer = rules[2].answer = None
    assert chain.check(proposal()) is None
    assert (chain.evaluations, chain.denials) == (5, 1)


def test_chain_counts_only_the_rules_that_apply_to_a_reduction() -> None:
    """Reductions meet only the rules that ask for them, and denials name the right one."""
    rules = [Rule("a", "no"), Rule("b", applies_to_reductions=True), Rule("c", applies_to_reductions=True)]
    chain = RiskChain(rules)
    assert chain.check(proposal(reduces=True)) is None
    assert (chain.evaluations, chain.denials) == (2, 0)
    rules[2].answer = "no"
    assert chain.check(proposal(reduces=True)) == Denial("c", "no")
    rules[1].answer = ValueError("boom")
    assert "rule b raised" in str(chain.check(proposal(reduces=True)))
    assert (chain.evaluations, chain.denials) == (5, 2)


def test_chain_takes_a_denial_with_its_own_code() -> None:
    """A rule may give a narrower reason than its name."""
    chain = RiskChain([Rule("a", Denial("narrow", "no"))])
    assert chain.check(proposal()) == Denial("narrow", "no")
    assert (chain.evaluations, chain.denials) == (1, 1)


def test_rule_that_raises_denies() -> None:
    """The chain fails closed, names the rule and keeps what it raised."""
    error = ZeroDivisionError("by zero")
    later = Rule("b")
    chain = RiskChain([Rule("a", error), later])
    denial = chain.check(proposal())
    assert denial == Denial("risk_rule_failed", "risk rule a raised ZeroDivisionError: by zero")
    assert denial.error is error
    assert later.asked == 0
    assert (chain.evaluations, chain.denials) == (1, 1)


@pytest.mark.parametrize(
    "answer", [True, False, 0, b"no", object()], ids=["True", "False", "0", "bytes", "object"]
)
def test_rule_that_answers_nonsense_denies(answer: object) -> None:
    """Only None lets an order pass, and only a text or a Denial is a reason."""
    denial = RiskChain([Rule("a", answer)]).check(proposal())
    assert denial is not None
    assert denial.code == "risk_rule_failed"
    assert "risk rule a answered" in denial.text


def test_empty_text_is_a_denial() -> None:
    """A reason without words is still a no."""
    assert RiskChain([Rule("a", "")]).check(proposal()) == Denial("a", "")


def test_interrupts_are_not_swallowed() -> None:
    """Ctrl-C inside a rule stops the program; the question is counted."""

    class Interrupting(Rule):
        def check(self, proposal: Proposal) -> Any:
            raise KeyboardInterrupt

    chain = RiskChain([Interrupting("a")])
    with pytest.raises(KeyboardInterrupt):
        chain.check(proposal())
    assert chain.evaluations == 1


# Building it.


def test_chain_holds_only_what_is_written() -> None:
    """Three rules always stand; a limit that is off is no rule at all; the order is fixed."""
    kinds = [InstrumentValidity, ReduceOnly, AllowList]
    assert [type(rule) for rule in chain_of().rules] == kinds
    assert [type(rule) for rule in chain_of(symbols={"SPY": SymbolLimits()}).rules] == kinds
    everything = chain_of(
        symbols={"SPY": SymbolLimits(max_position_quantity=1)},
        max_position_notional=1,
        max_order_notional=1,
        max_order_quantity=1,
        max_capital=1,
    )
    assert [type(rule) for rule in everything.rules] == [
        *kinds,
        MaxOrderQuantity,
        MaxOrderNotional,
        MaxPositionQuantity,
        MaxPositionNotional,
    ]
    assert [rule.code for rule in everything.rules if rule.applies_to_reductions] == ["instrument_validity"]
    judged = proposal(2, 100)
    assert code(everything, judged) == "max_order_quantity"
    assert everything.evaluations == 4


def test_settings_read_numbers_exactly() -> None:
    """Config numbers become the decimals they are written as."""
    read = RiskSettings(max_order_quantity=0.1, max_capital="1e5", symbols={"SPY": SymbolLimits()})
    assert (read.max_order_quantity, read.max_capital) == (D("0.1"), D(100_000))
    with pytest.raises(TypeError):
        read.symbols["ES"] = SymbolLimits()  # type: ignore[index]


@pytest.mark.parametrize("make", [RiskSettings, SymbolLimits])
@pytest.mark.parametrize("value", [0, -1])
def test_limits_are_above_zero(make: type[Any], value: int) -> None:
    """A limit of nothing is a mistake: an allow list says that."""
    with pytest.raises(ValueError, match="max_order_notional must be above zero; leave it out for no limit"):
        make(max_order_notional=value)


def test_settings_that_name_an_unknown_symbol_are_refused() -> None:
    """A limit for a misspelt symbol would protect nothing."""
    written = RiskSettings(allow=("SPI", "ES"), symbols={"XYZ": SymbolLimits(max_order_quantity=1)})
    with pytest.raises(ConfigError) as caught:
        build_chain(written, ALL, ANYTHING)
    assert [str(problem) for problem in caught.value.problems] == [
        "risk.allow: 'SPI' is none of the config's instruments Did you mean 'SPY'?",
        "risk.symbols: 'XYZ' is none of the config's instruments",
    ]


def test_capital_above_its_bound_is_a_problem() -> None:
    """``run.capital`` may equal ``risk.max_capital`` and not exceed it."""
    bounded = RiskSettings(max_capital=1000)
    assert bounded.problems(ALL, D(1000)) == ()
    assert bounded.problems(ALL) == RiskSettings().problems(ALL, D(10**9)) == ()
    (problem,) = bounded.problems(ALL, D("1000.01"))
    assert str(problem) == "run.capital: 1000.01 is above risk.max_capital, 1000"


def test_risk_exports_what_is_public() -> None:
    """One import path offers the rules, the chain and its settings."""
    assert set(risk.__all__) >= {"Proposal", "Denial", "RiskRule", "RiskChain", "RiskSettings", "build_chain"}
    assert all(hasattr(risk, name) for name in risk.__all__)
