"""What the risk board hears of the world besides orders. Times are nanoseconds since the epoch, UTC."""

from __future__ import annotations

from decimal import Decimal

from attrs import frozen

__all__ = [
    "AccountSeen",
    "BarSeen",
    "CashMoved",
    "ClocksCompared",
    "LinkHeard",
    "LinkLost",
    "LinkRestored",
    "QuoteSeen",
    "RiskFact",
]


@frozen
class BarSeen:
    """A final bar of a symbol, as it is taken in."""

    symbol: str
    end_ns: int
    close: float


@frozen
class QuoteSeen:
    """A quote of a symbol, made at ``at_ns``."""

    symbol: str
    at_ns: int
    bid: float
    ask: float


@frozen
class LinkHeard:
    """Anything came in over a link, ``orders`` or ``data``. To be told before the time it came at."""

    link: str
    at_ns: int


@frozen
class LinkLost:
    """A link, ``orders`` or ``data``, is gone."""

    link: str


@frozen
class LinkRestored:
    """It is up, and what it may have missed was made up for: of orders, a reconciliation has passed."""

    link: str
    at_ns: int


@frozen
class ClocksCompared:
    """The broker's time, asked for at ``sent_ns`` and answered at ``received_ns`` of this clock."""

    broker_ns: int
    sent_ns: int
    received_ns: int


@frozen
class CashMoved:
    """Money came in (positive) or went out for no fill, in the run's currency; the next equity has it."""

    amount: Decimal


@frozen
class AccountSeen:
    """The broker's own figure of buying power, in the run's currency; None where it has none."""

    buying_power: Decimal | None
    as_of_ns: int


RiskFact = (
    BarSeen | QuoteSeen | LinkHeard | LinkLost | LinkRestored | ClocksCompared | CashMoved | AccountSeen
)
