"""The fee of a trade in crypto: worked out at once, and settled by the holding or by what is told later."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from attrs import define, field

from alphaweave.core.clock import ManualClock
from alphaweave.core.money import Money
from alphaweave.core.order import Side
from alphaweave.live.broker import BrokerFill, FeeReport
from alphaweave_broker_alpaca.crypto_fees import CryptoFees

NOON = datetime(2026, 9, 29, 16, tzinfo=UTC)


@define
class Books:
    """Fees of one account, and what was reported of them."""

    told: list[FeeReport] = field(factory=list)
    fees: CryptoFees = field(init=False)

    def __attrs_post_init__(self) -> None:
        pairs = {"UNI": "UNI/USD", "ETHBTC": "ETH/BTC", "SPY": "SPY"}
        self.fees = CryptoFees(pairs, self.told.append, ManualClock(NOON))

    def order(self, number: int, **changes: Any) -> None:
        told = {"id": f"b{number}", "symbol": "UNI/USD", "type": "limit", "time_in_force": "gtc"}
        self.fees.order(told | {"submitted_at": NOON.isoformat()} | changes)

    def trade(self, number: int, size: str, *, sell: bool = False, **changes: Any) -> Money | None:
        given: dict[str, Any] = {
            "execution_key": f"e{number}",
            "symbol": "UNI",
            "price": Decimal("8.78"),
            "executed_at": NOON,
            "cumulative": Decimal(size),
        }
        fill = BrokerFill(
            account="PA1",
            broker_order_id=f"b{number}",
            client_order_id=None,
            side=Side.SELL if sell else Side.BUY,
            size=Decimal(size),
            received_at=NOON,
            **(given | changes),
        )
        charged = self.fees.charged(fill).fees
        return None if charged is None else charged[0]

    def reports(self) -> list[tuple[str, Decimal]]:
        return [(one.execution_key, one.fees[0].amount) for one in self.told]


def coin_fee(number: int, qty: str, symbol: str = "UNIUSD") -> dict[str, Any]:
    """As it is told of a purchase."""
    told = {"activity_type": "CFEE", "id": f"20260929000000000::{number}", "net_amount": "0", "price": "8.78"}
    return told | {"symbol": symbol, "qty": f"-{qty}"}


def cash_fee(number: int, amount: str) -> dict[str, Any]:
    """As it is told of a sale: not even of which pair."""
    return {"activity_type": "CFEE", "id": f"20260929000000000::{number}", "net_amount": f"-{amount}"}


@pytest.mark.parametrize(
    ("size", "fee"),
    [
        # Of an account on paper, September 2026.
        ("112.962074947", "0.282405188"),
        ("12.802763388", "0.032006909"),
        ("8578.621", "21.4465525"),
    ],
)
def test_purchase_costs_a_quarter_of_a_percent_of_its_coins_rounded_up(size: str, fee: str) -> None:
    """A market order takes what is there."""
    books = Books()
    books.order(1, type="market")
    assert books.trade(1, size) == Money("UNI", Decimal(fee))


@pytest.mark.parametrize(("size", "price", "fee"), [("1", "880.43", "2.21"), ("56.7732", "0.99912", "0.15")])
def test_sale_costs_cash_rounded_up_to_the_cent(size: str, price: str, fee: str) -> None:
    """Of its proceeds."""
    books = Books()
    books.order(1, type="market")
    assert books.trade(1, size, sell=True, price=Decimal(price)) == Money("USD", Decimal(fee))


def test_fee_is_in_what_is_credited() -> None:
    """A sale for coins costs coins; shares cost nothing here."""
    books = Books()
    books.order(1, symbol="ETH/BTC", type="market")
    sold = books.trade(1, "2", sell=True, symbol="ETHBTC", price=Decimal("0.05"))
    assert sold == Money("BTC", Decimal("0.00025"))
    assert books.trade(2, "2", symbol="SPY") is None


@pytest.mark.parametrize(
    ("tier", "fee"), [(1, "2.5"), ("2", "2.2"), ("tier_4", "1.8"), (8, "1"), (None, "2.5"), (9, "2.5")]
)
def test_tier_is_the_account_s(tier: object, fee: str) -> None:
    """One that is not known pays the most."""
    books = Books()
    books.fees.account({"crypto_tier": tier})
    books.order(1, time_in_force="ioc")
    assert books.trade(1, "1000") == Money("UNI", Decimal(fee))


@pytest.mark.parametrize(("after", "fee"), [(0.2, "2.5"), (5, "1.5")])
def test_order_that_rested_is_taken_for_a_maker_s(after: float, fee: str) -> None:
    """One that is executed when it comes met somebody else's."""
    books = Books()
    books.order(1)
    done = books.trade(1, "1000", executed_at=NOON + timedelta(seconds=after))
    assert done == Money("UNI", Decimal(fee))


def test_holding_says_which_of_the_two_was_charged() -> None:
    """One order, four executions: the first took, the others rested. Only what was wrong is told anew."""
    books = Books()
    books.order(1)
    books.fees.held({"UNI": Decimal(5)})
    for part, size in enumerate(("100", "200", "400", "800")):
        books.trade(1, size, execution_key=f"p{part}", cumulative=Decimal(part))
    taken = Decimal("0.25") + Decimal("0.3") + Decimal("0.6") + Decimal("1.2")
    books.fees.held({"UNI": 1505 - taken})
    assert books.reports() == [("p1", Decimal("0.3")), ("p2", Decimal("0.6")), ("p3", Decimal("1.2"))]
    assert books.trade(1, "200", cumulative=Decimal(1)) == Money("UNI", Decimal("0.3"))


def test_holding_that_no_fee_explains_changes_nothing() -> None:
    """It may have an execution that is not told yet: then that one explains it."""
    books = Books()
    books.order(1)
    books.fees.held({"UNI": Decimal(0)})
    books.trade(1, "100")
    books.fees.held({"UNI": Decimal("299.55")})
    assert books.told == []
    books.trade(1, "200", cumulative=Decimal(300))
    books.fees.held({"UNI": Decimal("299.55")})
    assert books.reports() == [("e1", Decimal("0.15")), ("e1", Decimal("0.3"))]


def test_units_that_came_otherwise_are_the_start_of_what_comes() -> None:
    """A deposit of coins is explained by no fee, ever; fees after it are."""
    books = Books()
    books.fees.held({"UNI": Decimal(0)})
    for _ in range(10):
        books.fees.held({"UNI": Decimal(50)})
    books.order(1)
    books.trade(1, "100")
    books.fees.held({"UNI": Decimal("149.85")})
    assert books.reports() == [("e1", Decimal("0.15"))]


def test_what_is_told_settles_a_fee() -> None:
    """By its amount: first where it was assumed, then where it may be. Once, and others' are nobody's."""
    books = Books()
    books.order(1)
    books.order(2)
    # $0.42 is a taker's of the first, and a maker's of the second.
    books.trade(1, "1", sell=True, price=Decimal("166.62"))
    books.trade(2, "1", sell=True, price=Decimal("277.99"))
    assert not books.fees.posted(cash_fee(1, "0.41"))
    assert books.fees.posted(cash_fee(2, "0.42"))
    assert books.fees.posted(cash_fee(2, "0.42"))
    assert books.fees.posted(cash_fee(3, "0.42"))
    assert not books.fees.posted(cash_fee(4, "0.42"))
    assert books.reports() == [("e1", Decimal("0.42")), ("e2", Decimal("0.42"))]


def test_tier_may_have_been_another() -> None:
    """The account's is a day's, and what is told counts; but it is nobody's fee that no tier has."""
    books = Books()
    books.order(1, type="market")
    assert books.trade(1, "1000") == Money("UNI", Decimal("2.5"))
    assert not books.fees.posted(coin_fee(1, "2.4"))
    assert books.fees.posted(coin_fee(2, "2.2"))
    assert books.reports() == [("e1", Decimal("2.2"))]


def test_fee_in_coins_is_told_of_its_coin() -> None:
    """Equal amounts of different coins are different fees; other activities are none."""
    books = Books()
    books.order(1)
    books.trade(1, "1000")
    assert not books.fees.posted(coin_fee(1, "1.5", "LTCUSD"))
    assert not books.fees.posted(coin_fee(2, "1.5") | {"activity_type": "DIV"})
    assert books.fees.posted(coin_fee(3, "1.5"))
    assert books.reports() == [("e1", Decimal("1.5"))]


def test_old_executions_are_forgotten() -> None:
    """Their fees were told long ago: a new one of that amount is another's."""
    books = Books()
    books.order(1, type="market", submitted_at="2026-09-20T16:00:00Z")
    books.trade(1, "1", sell=True, price=Decimal("880.43"), executed_at=NOON - timedelta(days=7))
    books.fees.forget()
    assert not books.fees.posted(cash_fee(1, "2.21"))
