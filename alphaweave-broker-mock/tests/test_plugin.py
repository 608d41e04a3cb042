"""The records of `mock` and `paper`, their options and their venue."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from alphaweave.core.errors import OptionsError, RunRefused
from alphaweave.core.instrument import Instrument
from alphaweave.core.order import (
    GroupKind,
    OrderGroup,
    OrderRef,
    OrderRequest,
    OrderType,
    Side,
    TimeInForce,
    Trail,
)
from alphaweave.data.series import Cursor, Series
from alphaweave.live.adapters.base import BrokerConfig, Services
from alphaweave.live.adapters.capabilities import check_request
from alphaweave.live.config_options import parse_options
from alphaweave.live.registry import Registry
from alphaweave.live.reports import BrokerFill, OrderUpdate
from alphaweave_broker_mock import MockBrokerAdapter, PaperBrokerAdapter
from alphaweave_broker_mock.options import FeeOptions, MockOptions, PaperOptions, VenueOptions
from alphaweave_broker_mock.venue import make_venue

SPY = Instrument(symbol="SPY", venue_symbol="SPY")
DAY = 86_400_000_000_000


def series(*prices: float) -> Series:
    """Daily bars that open and close at each price and reach one beyond; the first one is visible."""
    rows = range(len(prices))
    bars = Series.from_columns(
        "SPY",
        "1d",
        start=[row * DAY for row in rows],
        end=[(row + 1) * DAY for row in rows],
        open=prices,
        high=[price + 1 for price in prices],
        low=[price - 1 for price in prices],
        close=prices,
        volume=[1000.0] * len(prices),
    )
    bars.cursor = Cursor(1)
    return bars


def buy(quantity: int = 10) -> OrderRequest:
    return OrderRequest("SPY", Side.BUY, Decimal(quantity), tif=TimeInForce.GTC)


def trade(name: str, options: dict[str, object]) -> list[BrokerFill | OrderUpdate]:
    """Buy ten on the first bar, at 100, at the venue that a config's options make; then a bar at 104."""
    record = Registry().broker(name)
    assert record.venue is not None
    parsed: object = parse_options(record.options, options, path=f"broker.options.{name}")
    venue = record.venue(parsed, Services(symbols=("SPY",), capital="2000"), {"SPY": SPY})
    bars = series(100.0, 104.0)
    venue.board = {"SPY": bars}
    venue.submit(OrderRef("a", "SPY"), buy(), DAY)
    bars.cursor.count = 2
    venue.on_slice(2 * DAY)
    return venue.take()


def fills(events: list[BrokerFill | OrderUpdate]) -> list[tuple[float, ...]]:
    """Size, price and fee of each."""
    return [
        (float(event.size), float(event.price), sum(float(fee.amount) for fee in event.fees or ()))
        for event in events
        if isinstance(event, BrokerFill)
    ]


def test_registry_finds_both_brokers() -> None:
    """The installed entry points lead to records of their own names, which build the adapters."""
    mock, paper = Registry().broker("mock"), Registry().broker("paper")
    assert (mock.options, paper.options) == (MockOptions, PaperOptions)
    assert isinstance(mock.create(MockOptions(), Services()), MockBrokerAdapter)
    assert isinstance(paper.create(PaperOptions(), Services()), PaperBrokerAdapter)
    assert mock.capabilities.simulated
    assert paper.capabilities.simulated


def test_mock_defaults_are_free_and_immediate() -> None:
    """The fill is at the last price, and nobody asks for the money."""
    assert fills(trade("mock", {"cash": 1})) == [(10, 100, 0)]


def test_paper_defaults_cost_something() -> None:
    """The next open, one basis point worse, and five basis points of fees."""
    assert fills(trade("paper", {})) == [(10, 104.01, 0.52005)]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"fees": {"rate": "0.01"}}, [(10, 104.01, 10.401)]),
        ({"fees": {"per_share": 2}}, [(10, 104.01, 20)]),
        ({"fees": {"fixed": 3}}, [(10, 104.01, 3)]),
        ({"fees": {"minimum": 7}}, [(10, 104.01, 7)]),
        ({"slippage": {"ticks": 5}, "fees": {}}, [(10, 104.05, 0)]),
        ({"slippage": {}, "fees": {}}, [(10, 104, 0)]),
        ({"fill_at": "last", "fees": {}, "slippage": {}}, [(10, 100, 0)]),
        ({"volume_share": "0.001", "fees": {}}, [(1, 104.01, 0)]),
        ({"latency": 0.5, "fees": {}}, []),
        ({"cash": 100}, []),
        ({"initial_cash": 100}, []),
        ({"cash": 100, "leverage": 20, "fees": {}}, [(10, 104.01, 0)]),
        ({"cash": 100, "check_funds": False, "fees": {}}, [(10, 104.01, 0)]),
    ],
    ids=str,
)
def test_options_reach_the_venue(options: dict[str, object], expected: list[tuple[float, ...]]) -> None:
    """Each option changes what the venue does."""
    assert fills(trade("paper", options)) == expected


def test_maker_rate_is_for_resting_limits() -> None:
    """A limit order filled at its limit pays the maker's rate."""
    record = Registry().broker("paper")
    assert record.venue is not None
    rates = FeeOptions(rate=Decimal("0.01"), maker_rate=Decimal("0.001"))
    venue = record.venue(PaperOptions(fees=rates), Services(), {"SPY": SPY})
    bars = series(100.0, 104.0)
    venue.board = {"SPY": bars}
    request = OrderRequest(
        "SPY", Side.BUY, Decimal(10), type=OrderType.LIMIT, tif=TimeInForce.GTC, limit_price=Decimal("103.5")
    )
    venue.submit(OrderRef("a", "SPY"), request, DAY)
    bars.cursor.count = 2
    venue.on_slice(2 * DAY)
    assert fills(venue.take()) == [(10, 103.5, 1.035)]


def test_options_refuse_shorts_when_told() -> None:
    """`allow_short: false` is the venue's own no."""
    record = Registry().broker("paper")
    assert record.venue is not None
    for allowed, outcome in ((True, None), (False, "short_not_allowed")):
        venue = record.venue(PaperOptions(allow_short=allowed), Services(), {"SPY": SPY})
        venue.board = {"SPY": series(100.0)}
        venue.submit(OrderRef("a", "SPY"), OrderRequest("SPY", Side.SELL, Decimal(1)), DAY)
        (update,) = venue.take()
        assert isinstance(update, OrderUpdate)
        assert update.reason == outcome


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"cash": 1, "initial_cash": 1}, "cash and initial_cash are one thing"),
        ({"cash": 0}, "must be above 0"),
        ({"leverage": 0}, "must be above 0"),
        ({"latency": -1}, "must not be negative"),
        ({"fees": {"rate": -1}}, "must not be negative"),
        ({"volume_share": 2}, "volume_share: is a share above 0 and up to 1, not 2"),
        ({"session_timezone": "Moon/Base"}, "session_timezone: 'Moon/Base' is not a time zone"),
        ({"session_timezone": "Mars/Olympus"}, "not a time zone"),
        ({"fill_at": "now"}, "next_open, last"),
    ],
    ids=str,
)
def test_options_out_of_range_are_refused(options: dict[str, object], complaint: str) -> None:
    """Whatever the venue would not take is refused where the config is read."""
    with pytest.raises(OptionsError, match=complaint):
        MockBrokerAdapter.from_config(BrokerConfig("mock", options=options))


def test_opening_cash_is_the_options_before_the_run() -> None:
    """The broker's own cash, its older name, the run's capital, a round figure: in this order."""
    run = Services(capital="700")
    assert VenueOptions(cash=Decimal(5)).opening_cash(run) == 5
    assert VenueOptions(initial_cash=Decimal(6)).opening_cash(run) == 6
    assert VenueOptions().opening_cash(run) == 700
    assert VenueOptions().opening_cash(Services()) == 100_000


def test_account_is_kept_in_the_currency_of_the_run() -> None:
    """Another currency is refused before anything runs."""
    assert VenueOptions().account_currency(Services(currency="EUR")) == "EUR"
    assert VenueOptions(currency="EUR").account_currency(Services(currency="EUR")) == "EUR"
    with pytest.raises(RunRefused, match=r"kept in EUR, but run\.currency is USD"):
        MockBrokerAdapter(MockOptions(currency="EUR"), Services())


def test_session_timezone_defaults_to_the_feed() -> None:
    """Day orders end with the days that the datafeed's bars are of."""
    assert VenueOptions().settings("America/New_York").session_timezone == "America/New_York"
    assert VenueOptions(session_timezone="UTC").settings("America/New_York").session_timezone == "UTC"


def test_venue_draws_from_the_seed_of_the_run() -> None:
    """Equal seeds make equal venues, others do not."""
    first, again, other = (
        make_venue(PaperOptions(), Services(seed=seed), {"SPY": SPY}).snapshot() for seed in (1, 1, 2)
    )
    assert first == again
    assert first["rng"] != other["rng"]


def requests() -> list[OrderRequest | OrderGroup]:
    """An order of every declared type and time in force, and both groups."""
    prices: dict[OrderType, dict[str, object]] = {
        OrderType.MARKET: {},
        OrderType.LIMIT: {"limit_price": Decimal(90)},
        OrderType.STOP: {"stop_price": Decimal(110)},
        OrderType.STOP_LIMIT: {"stop_price": Decimal(110), "limit_price": Decimal(111)},
        OrderType.TRAILING_STOP: {"trail": Trail(percent=Decimal(5))},
        OrderType.TAKE_PROFIT: {"stop_price": Decimal(90)},
        OrderType.TAKE_PROFIT_LIMIT: {"stop_price": Decimal(90), "limit_price": Decimal(89)},
    }
    pairs = Registry().broker("paper").capabilities.order_types
    last = datetime(2100, 1, 1, tzinfo=UTC)
    singles = [
        OrderRequest(
            "SPY",
            Side.BUY,
            Decimal(1),
            type=kind,
            tif=tif,
            expire_at=last if tif is TimeInForce.GTD else None,
            **prices[kind],  # type: ignore[arg-type]
        )
        for kind, tif in sorted(pairs, key=str)
    ]
    target = OrderRequest(
        "SPY", Side.SELL, Decimal(1), type=OrderType.LIMIT, tif=TimeInForce.GTC, limit_price=Decimal(120)
    )
    stop = OrderRequest(
        "SPY", Side.SELL, Decimal(1), type=OrderType.STOP, tif=TimeInForce.GTC, stop_price=Decimal(80)
    )
    groups = [
        OrderGroup(GroupKind.OCO, target, stop),
        OrderGroup(GroupKind.BRACKET, target, stop, entry=buy(1)),
    ]
    return [*singles, *groups]


@pytest.mark.parametrize("request_or_group", requests(), ids=lambda value: f"{value.__class__.__name__}")
def test_everything_declared_is_taken(request_or_group: OrderRequest | OrderGroup) -> None:
    """What the capabilities declare, the venue accepts."""
    record = Registry().broker("paper")
    assert record.venue is not None
    assert check_request(record.capabilities, SPY, request_or_group) is None
    venue = record.venue(PaperOptions(), Services(), {"SPY": SPY})
    venue.board = {"SPY": series(100.0)}
    if isinstance(request_or_group, OrderGroup):
        refs = [OrderRef(str(number), "SPY") for number in range(len(request_or_group.legs))]
        venue.submit_group(refs, request_or_group, DAY)
    else:
        venue.submit(OrderRef("a", "SPY"), request_or_group, DAY)
    updates = [event for event in venue.take() if isinstance(event, OrderUpdate)]
    assert {update.status.value for update in updates} == {"accepted"}
