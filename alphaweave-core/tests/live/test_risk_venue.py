"""What a venue refuses for its price bands and its counts of waiting orders is denied before it is sent."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from attrs import evolve

from alphaweave.core.instrument import Instrument, PriceBands
from alphaweave.core.order import OrderRequest, OrderType, Side, TimeInForce
from alphaweave.live.risk_rules import Proposal
from alphaweave.live.risk_venue import VenueLimits

D = Decimal
BTC = Instrument(
    symbol="BTC",
    venue_symbol="BTCUSDT",
    price_bands=PriceBands(D("0.5"), D("1.2"), D("0.9"), D(2)),
    max_orders=3,
    max_triggers=1,
)


class Waiting:
    """So many orders wait, and so many of them for a trigger."""

    def __init__(self, orders: int = 0, triggers: int = 0) -> None:
        self.told = (orders, triggers)

    def waiting(self, symbol: str) -> tuple[int, int]:
        assert symbol == "BTC"
        return self.told


def proposal(instrument: Instrument = BTC, side: Side = Side.BUY, **terms: Any) -> Proposal:
    """An order of one unit."""
    wanted = {"type": OrderType.LIMIT, "tif": TimeInForce.GTC, "limit_price": D(100), **terms}
    return Proposal(
        symbol="BTC",
        side=side,
        quantity=D(1),
        price=D(100),
        worst_long=D(0),
        worst_short=D(0),
        instrument=instrument,
        request=OrderRequest("BTC", side, D(1), **wanted),
    )


def limits(orders: int = 0, triggers: int = 0, last: str | None = "100") -> VenueLimits:
    rule = VenueLimits(Waiting(orders, triggers))
    if last is not None:
        rule.price("BTC", D(last))
    return rule


@pytest.mark.parametrize(
    ("side", "limit", "taken"),
    [
        (Side.BUY, "50", True),
        (Side.BUY, "49.99", False),
        (Side.BUY, "120", True),
        (Side.BUY, "120.01", False),
        (Side.SELL, "90", True),
        (Side.SELL, "89.99", False),
        (Side.SELL, "200", True),
        (Side.SELL, "200.01", False),
    ],
)
def test_price_outside_of_the_bands_of_its_side_is_denied(side: Side, limit: str, taken: bool) -> None:
    """The bands are multiples of the last price, and hold at both ends."""
    said = limits().check(proposal(side=side, limit_price=D(limit)))
    assert (said is None) is taken


def test_denial_names_the_band() -> None:
    """What is wrong with the price, and what would not be."""
    said = limits().check(proposal(limit_price=D(49)))
    assert said == "limit price 49 is not between 50 and 120, as far from 100 as the venue takes orders"


def test_price_is_left_to_the_venue_where_there_is_none_to_compare_with() -> None:
    """It was not seen to be wrong."""
    assert limits(last=None).check(proposal(limit_price=D(1))) is None
    assert limits(last="NaN").check(proposal(limit_price=D(1))) is None


@pytest.mark.parametrize(("orders", "taken"), [(2, True), (3, False)])
def test_order_beyond_what_may_wait_is_denied(orders: int, taken: bool) -> None:
    """One at the market does not wait, and is always taken."""
    rule = limits(orders)
    assert (rule.check(proposal()) is None) is taken
    at_market = proposal(type=OrderType.MARKET, limit_price=None)
    assert rule.check(at_market) is None


@pytest.mark.parametrize("kind", [OrderType.STOP, OrderType.TAKE_PROFIT])
def test_trigger_beyond_what_may_wait_is_denied(kind: OrderType) -> None:
    """Orders without a trigger are not counted among those with one."""
    stop = proposal(type=kind, limit_price=None, stop_price=D(90))
    assert limits(2, 0).check(stop) is None
    assert limits(2, 1).check(stop) == "1 orders wait for a trigger in BTC, and the venue takes 1 at once"
    assert limits(2, 1).check(proposal()) is None


def test_instrument_without_limits_has_none() -> None:
    """Most venues say nothing of the kind."""
    free = evolve(BTC, price_bands=None, max_orders=None, max_triggers=None)
    assert limits(99, 99).check(proposal(free, limit_price=D(1))) is None
