"""Where a day takes place: the sandbox of one broker, and how a run is pointed at it."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from attrs import frozen

from alphaweave.core.clock import Clock
from alphaweave.live.adapters.base import Services
from alphaweave.live.plugins import SandboxPlugin
from alphaweave.live.registry import Registry
from alphaweave.testing.feed_venue import FeedControl
from alphaweave.testing.venue import VenueControl
from venue_day.flows import Told

__all__ = ["BROKERS", "DayVenue", "Stage", "stage_of"]


class DayVenue(VenueControl, FeedControl):
    """A sandbox that is a broker and a datafeed."""


@frozen(kw_only=True)
class Stage:
    """One broker.

    Attributes:
        name: of broker, datafeed and sandbox.
        opens: when the day begins, in a session that is longer than it.
        minutes: how many it has, unless somebody says otherwise.
        reopens: when each further day of a week begins; the minutes are spread over all of them.
        resting: symbols whose orders rest until the day fills them.
        filled: symbols whose orders the market fills.
        sandbox: the sandbox's options.
        limits: options of broker and feed alike: short, for what is waited for passes in real time.
        feed: options of the feed alone.
        foreign_to_broker, foreign_to_feed: what the sandbox's options have for the other of the two.
        currency: of the run.
        grain: the ledger's balances are the venue's to so much.
        balances_only: what is held are balances there, and no positions.
        told: how the venue tells of money that moved.
    """

    name: str
    opens: datetime
    resting: tuple[str, ...]
    filled: tuple[str, ...]
    sandbox: dict[str, Any]
    limits: dict[str, Any]
    feed: dict[str, Any]
    foreign_to_broker: frozenset[str] = frozenset()
    foreign_to_feed: frozenset[str] = frozenset()
    currency: str = "USD"
    grain: Decimal = Decimal("0.01")
    balances_only: bool = False
    minutes: int = 384
    reopens: tuple[datetime, ...] = ()
    told: Told = Told.AGAIN

    @property
    def symbols(self) -> tuple[str, ...]:
        return self.resting + self.filled

    def venue(self, clock: Clock, seed: int) -> DayVenue:
        """The sandbox, not started."""
        plugin: SandboxPlugin = Registry().sandbox(self.name)
        assert plugin.options is not None
        options = plugin.options(symbols=self.symbols, seed=seed, **self.sandbox)
        made: DayVenue = plugin.create(options, Services(clock=clock))
        return made

    def broker_options(self, venue: DayVenue) -> dict[str, Any]:
        """What points the adapter there."""
        given = {**venue.options(), **self.limits}
        return {name: value for name, value in given.items() if name not in self.foreign_to_broker}

    def feed_options(self, venue: DayVenue) -> dict[str, Any]:
        """What points the datafeed there."""
        given = {**venue.feed_options(), **self.limits, **self.feed}
        return {name: value for name, value in given.items() if name not in self.foreign_to_feed}


# The venue's quota runs by the day's time and the adapter's by real time: it has a test of its own.
_PLENTY = 1_000_000
_STAGES = (
    Stage(
        name="alpaca",
        opens=datetime(2031, 3, 4, 14, 30, tzinfo=UTC),
        resting=("F", "GE", "T"),
        filled=("AAPL", "KO", "SPY", "IBM", "MSFT", "XOM", "CVX", "PG", "WMT", "BA", "CAT", "DE"),
        sandbox={"quota": _PLENTY, "data_quota": _PLENTY, "partial_fills": 0.1},
        limits={
            "paper": True,
            "timeout": 1.0,
            "heartbeat": 0.3,
            "retry": 0.05,
            "requests": _PLENTY,
        },
        feed={"settle": 0.0},
        foreign_to_broker=frozenset({"data_url", "data_stream_url"}),
        foreign_to_feed=frozenset({"trading_stream_url"}),
    ),
    Stage(
        name="binance",
        opens=datetime(2031, 3, 4, 14, 30, tzinfo=UTC),
        # A market order does not rest there.
        resting=(),
        # BNB is left out: commissions of other trades would be paid with what is held of it.
        filled=tuple(
            f"{base}USDT"
            for base in "BTC ETH SOL LTC UNI LINK AVAX ATOM ADA XRP DOT TRX ETC NEAR".split()  # noqa: SIM905
        ),
        # Without BNB to pay them with, fees are taken out of what a trade brings.
        sandbox={
            "weight": _PLENTY,
            "orders_10s": _PLENTY,
            "orders_day": _PLENTY,
            "connects": _PLENTY,
            "bnb": Decimal(0),
            "cash": Decimal(100_000),
            "partial_fills": 0.1,
        },
        # A market stream takes five messages a second.
        limits={"timeout": 1.0, "heartbeat": 0.8, "retry": 0.05},
        feed={},
        currency="USDT",
        grain=Decimal("0.00000001"),
        balances_only=True,
        told=Told.ONCE,
    ),
    Stage(
        name="ibkr",
        minutes=540,
        # Five days, and within their nights a weekend at which the clocks of New York go forward.
        opens=datetime(2031, 3, 5, 14, 30, tzinfo=UTC),
        reopens=tuple(
            datetime(2031, 3, day, hour, 30, tzinfo=UTC)
            for day, hour in ((6, 14), (7, 14), (10, 13), (11, 13))
        ),
        resting=("F", "GE", "T"),
        filled=("AAPL", "KO", "SPY", "IBM", "MSFT", "XOM", "CVX", "PG", "WMT", "BA", "CAT", "DE"),
        sandbox={"rate": _PLENTY, "partial_fills": 0.1, "reset": "23:45", "away": 100.0},
        limits={"timeout": 1.0, "heartbeat": 0.5, "retry": 0.05},
        feed={"settle": 0.0},
        foreign_to_broker=frozenset({"settle"}),
        told=Told.NEVER,
    ),
)
BROKERS = tuple(stage.name for stage in _STAGES)


def stage_of(name: str) -> Stage:
    """The stage of that broker.

    Raises:
        KeyError: it has none.
    """
    return {stage.name: stage for stage in _STAGES}[name]
