"""Rules about the whole account at their boundaries, with UNKNOWN counted, and closed until valued."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import pytest
from attrs import field, frozen

from alphaweave.core.instrument import Instrument
from alphaweave.core.order import OrderRequest, OrderType, Side
from alphaweave.live.risk import RiskChain
from alphaweave.live.risk_account import (
    BuyingPower,
    MaxGrossExposure,
    MaxLeverage,
    MaxNetExposure,
    MaxOpenOrders,
    SelfMatch,
    SymbolExposure,
)
from alphaweave.live.risk_rules import Proposal

D = Decimal
PLENTY = D(10_000)
NOTHING = D(0)


def exposure(
    symbol: str = "SPY", long: int = 0, short: int = 0, price: int | None = 100, weight: str | None = "1"
) -> SymbolExposure:
    return SymbolExposure(
        symbol,
        D(long),
        D(short),
        None if price is None else D(price),
        None if weight is None else D(weight),
    )


@frozen(kw_only=True)
class Account:
    """What the kernel would answer."""

    books: tuple[SymbolExposure, ...] = (exposure(),)
    has: Decimal | None = PLENTY
    power: Decimal | None = PLENTY
    unknown: Decimal | None = NOTHING
    count: int = 0
    book: dict[Side, tuple[str, ...]] = field(factory=dict)

    def exposures(self) -> Iterable[SymbolExposure]:
        return self.books

    def equity(self) -> Decimal | None:
        return self.has

    def buying_power(self) -> Decimal | None:
        return self.power

    def unseen(self) -> Decimal | None:
        return self.unknown

    def open_orders(self) -> int:
        return self.count

    def resting(self, symbol: str, side: Side) -> Iterable[Decimal]:
        return [D(price) for price in self.book.get(side, ())] if symbol == "SPY" else ()


def proposal(
    size: int, price: int | None = 100, symbol: str = "SPY", *, reduces: bool = False, **terms: Any
) -> Proposal:
    side = Side.BUY if size > 0 else Side.SELL
    quantity = D(abs(size))
    request = OrderRequest(symbol, side, quantity=quantity, **terms)
    return Proposal(
        symbol,
        Instrument(symbol=symbol, venue_symbol=symbol),
        side,
        quantity,
        request=request,
        price=None if price is None else D(price),
        reduces=reduces,
    )


def limit(size: int, price: str, **terms: Any) -> Proposal:
    return proposal(size, type=OrderType.LIMIT, limit_price=D(price), **terms)


def code(rule: Any, judged: Proposal) -> str | None:
    denial = RiskChain([rule]).check(judged)
    return None if denial is None else denial.code


# Three long of 100, five short of 200 at the worst: 300 + 1,000 gross, 300 long, 1,000 short.
BOOKS = (exposure("SPY", 3, 0), exposure("QQQ", 0, -5, 200))


@pytest.mark.parametrize(("size", "passes"), [(2, True), (3, False), (-5, True), (-6, False)])
def test_gross_exposure_counts_the_larger_side(size: int, passes: bool) -> None:
    """1,500: with 300 and 1,000 open there is room for two more, or to turn round to five short."""
    rule = MaxGrossExposure(Account(books=BOOKS), D(1500))
    assert code(rule, proposal(size)) == (None if passes else "max_gross_exposure")


def test_gross_exposure_says_what_it_could_reach() -> None:
    """In the run's currency, at the conservative price."""
    rule = MaxGrossExposure(Account(books=BOOKS), D(1500))
    assert rule.check(proposal(3)) == "gross exposure could reach 1600, above the limit, 1500"
    assert rule.check(proposal(2, price=101)) == "gross exposure could reach 1505, above the limit, 1500"
    assert rule.check(proposal(2, price=1)) is None, "an order far from the market is valued at the market"


@pytest.mark.parametrize(("size", "passes"), [(2, True), (3, False), (-5, True), (-6, False)])
def test_net_exposure_counts_each_direction(size: int, passes: bool) -> None:
    """Long: 300 and what is bought, up to 500; the short side has room of its own."""
    rule = MaxNetExposure(Account(books=(exposure("SPY", 3, 0), exposure("QQQ"))), D(500))
    assert code(rule, proposal(size)) == (None if passes else "max_net_exposure")


@pytest.mark.parametrize(("size", "passes"), [(-5, True), (-6, False)])
def test_net_exposure_has_a_short_side(size: int, passes: bool) -> None:
    """1,000 short already, 1,500 allowed; what is long does not help before it is sold."""
    rule = MaxNetExposure(Account(books=BOOKS), D(1500))
    assert code(rule, proposal(size)) == (None if passes else "max_net_exposure")


@pytest.mark.parametrize(("size", "passes"), [(7, True), (8, False)])
def test_leverage_is_gross_over_equity(size: int, passes: bool) -> None:
    """Twice 1,000 is 2,000, of which 1,300 are taken."""
    rule = MaxLeverage(Account(books=BOOKS, has=D(1000)), D(2))
    assert code(rule, proposal(size)) == (None if passes else "max_leverage")
    if not passes:
        assert rule.check(proposal(size)) == "leverage could reach 2.1, above the limit, 2"


def test_leverage_is_told_with_the_digits_that_show_the_excess() -> None:
    """Nobody is told that 2 is above 2."""
    rule = MaxLeverage(Account(books=BOOKS, has=D("999.99")), D(2))
    assert rule.check(proposal(7)) == "leverage could reach 2.00002, above the limit, 2"


@pytest.mark.parametrize(
    ("equity", "said"), [(None, "equity_unknown"), (D(0), "no_equity"), (D(-1), "no_equity")]
)
def test_leverage_without_equity_denies(equity: Decimal | None, said: str) -> None:
    """Nothing is a fraction of nothing."""
    assert code(MaxLeverage(Account(has=equity), D(2)), proposal(1)) == said


@pytest.mark.parametrize("rule", [MaxGrossExposure, MaxNetExposure, MaxLeverage])
@pytest.mark.parametrize(
    "books",
    [
        (exposure(price=None),),
        (exposure(weight=None),),
        (exposure(), exposure("QQQ", 1, 0, None)),
        (exposure(), exposure("QQQ", 0, -1, 100, None)),
    ],
)
def test_what_cannot_be_valued_denies(rule: Any, books: tuple[SymbolExposure, ...]) -> None:
    """A position without a price or a rate might be anything; one that is not held might not."""
    assert code(rule(Account(books=books), D(1_000_000)), proposal(1, price=None)) == "no_reference_price"
    idle = Account(books=(exposure(), exposure("QQQ", 0, 0, None)))
    assert code(rule(idle, D(1_000_000)), proposal(1)) is None


def test_symbol_the_view_does_not_know_denies() -> None:
    """An order that would not be counted is not taken."""
    rule = MaxGrossExposure(Account(books=(exposure("QQQ"),)), D(1_000_000))
    assert code(rule, proposal(1)) == "max_gross_exposure"


def test_multiplier_and_exchange_rate_count() -> None:
    """One unit that gains 55 when the price rises by one is worth 55 times its price."""
    rule = MaxGrossExposure(Account(books=(exposure(weight="55"),)), D(11_000))
    assert code(rule, proposal(2)) is None
    assert code(rule, proposal(3)) == "max_gross_exposure"


def test_unknown_orders_are_counted_as_filled() -> None:
    """Five more that may have been bought leave no room for one that would fit without them."""
    rule, free = (MaxGrossExposure(Account(books=(exposure(long=n),)), D(500)) for n in (5, 4))
    assert code(rule, proposal(1)) == "max_gross_exposure"
    assert code(free, proposal(1)) is None


def test_reductions_pass() -> None:
    """Whatever is over its limit may be reduced."""
    account = Account(books=(exposure(long=100),), has=D(1), count=500, book={Side.BUY: ("100",)})
    chain = RiskChain(
        [
            MaxGrossExposure(account, D(1)),
            MaxNetExposure(account, D(1)),
            MaxLeverage(account, D(1)),
            BuyingPower(account),
            MaxOpenOrders(account),
            SelfMatch(account),
        ]
    )
    assert chain.check(proposal(-1, reduces=True)) is None
    assert chain.check(proposal(-1)) is not None


@pytest.mark.parametrize(("size", "passes"), [(7, True), (8, False)])
def test_buying_power_is_what_the_books_can_carry(size: int, passes: bool) -> None:
    """1,000 of equity, 300 of it in use; half the margin carries twice as much."""
    account = Account(books=(exposure(long=3),), has=D(1000))
    assert code(BuyingPower(account), proposal(size)) == (None if passes else "buying_power")
    half = BuyingPower(account, margin=D("0.5"))
    assert code(half, proposal(size + 10)) == (None if passes else "buying_power")


@pytest.mark.parametrize(("size", "passes"), [(3, True), (4, False), (-6, True), (-7, False)])
def test_buying_power_is_the_brokers_too(size: int, passes: bool) -> None:
    """500 by its figure less 200 it does not know of: room for what adds 300, and selling three adds none."""
    account = Account(books=(exposure(long=3),), power=D(500), unknown=D(200))
    rule = BuyingPower(account)
    assert code(rule, proposal(size)) == (None if passes else "buying_power")
    if size == 4:
        assert rule.check(proposal(size)) == "it could need 400; the broker's buying power leaves 300"


def test_order_that_adds_nothing_needs_no_power() -> None:
    """Also where the broker's figure is below zero."""
    account = Account(books=(exposure(long=3),), power=D(-100))
    assert code(BuyingPower(account), proposal(-3)) is None
    assert code(BuyingPower(account), proposal(-4)) == "buying_power"


@pytest.mark.parametrize("missing", [{"power": None}, {"unknown": None}])
def test_unknown_buying_power_denies(missing: dict[str, Any]) -> None:
    """Unless the broker has no such figure, and the config's writer said so."""
    assert code(BuyingPower(Account(**missing)), proposal(1)) == "buying_power"
    assert code(BuyingPower(Account(**missing), broker=False), proposal(1)) is None
    assert code(BuyingPower(Account(has=None), broker=False), proposal(1)) == "equity_unknown"


@pytest.mark.parametrize(("count", "passes"), [(49, True), (50, False), (51, False)])
def test_fifty_orders_may_be_open(count: int, passes: bool) -> None:
    """The one that is judged is the fiftieth."""
    assert code(MaxOpenOrders(Account(count=count)), proposal(1)) == (None if passes else "max_open_orders")


@pytest.mark.parametrize(
    ("judged", "passes"),
    [
        (limit(1, "99.99"), True),
        (limit(1, "100"), False),
        (limit(1, "101"), False),
        (proposal(1), False),
        (limit(-1, "90.01"), True),
        (limit(-1, "90"), False),
        (proposal(-1), False),
        (limit(1, "100", symbol="QQQ"), True),
        (proposal(1, type=OrderType.STOP, stop_price=D(110)), True),
    ],
)
def test_order_that_meets_an_own_one_is_denied(judged: Proposal, passes: bool) -> None:
    """A sale rests at 100 and a buy at 90: neither may be hit by this account."""
    rule = SelfMatch(Account(book={Side.SELL: ("120", "100"), Side.BUY: ("80", "90")}))
    assert code(rule, judged) == (None if passes else "self_match")


def test_empty_book_meets_nothing() -> None:
    """Market orders pass where nothing rests on the other side."""
    assert code(SelfMatch(Account(book={Side.BUY: ("90",)})), proposal(1)) is None


class Broken(Account):
    """An account that cannot answer."""

    def exposures(self) -> Iterable[SymbolExposure]:
        raise RuntimeError("the books are being restored")

    def open_orders(self) -> int:
        raise RuntimeError("the books are being restored")

    def resting(self, symbol: str, side: Side) -> Iterable[Decimal]:
        raise RuntimeError("the books are being restored")


@pytest.mark.parametrize(
    "rule",
    [
        MaxGrossExposure(Broken(), D(1)),
        MaxNetExposure(Broken(), D(1)),
        MaxLeverage(Broken(), D(1)),
        BuyingPower(Broken()),
        MaxOpenOrders(Broken()),
        SelfMatch(Broken()),
    ],
)
def test_view_that_raises_denies(rule: Any) -> None:
    """The chain fails closed."""
    assert code(rule, proposal(1)) == "risk_rule_failed"


@pytest.mark.parametrize("make", [lambda view: MaxLeverage(view, D(0)), lambda view: MaxOpenOrders(view, 0)])
def test_limits_are_above_zero(make: Any) -> None:
    """None is written by leaving the rule out."""
    with pytest.raises(ValueError, match=r"above zero|at least one"):
        make(Account())
