"""The options of `mock` and `paper`, and the venue settings they stand for."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Literal
from zoneinfo import ZoneInfo

from attrs import Attribute, field, frozen

from alphaweave.core.errors import RunRefused
from alphaweave.live.adapters.base import Services
from alphaweave.sim.costs import FeeModel, SlippageModel
from alphaweave.sim.settings import VenueSettings

__all__ = ["DEFAULT_CASH", "FeeOptions", "MockOptions", "PaperOptions", "VenueOptions"]

DEFAULT_CASH = Decimal(100_000)
"""Opening cash where neither the options nor the run say."""


def _above_zero(instance: object, attribute: Attribute[Any], value: Decimal | None) -> None:
    if value is not None and not value > 0:
        raise ValueError(f"must be above 0, not {value}")


def _not_negative(instance: object, attribute: Attribute[Any], value: Decimal | float) -> None:
    if not value >= 0:
        raise ValueError(f"must not be negative, but is {value}")


def _share(instance: object, attribute: Attribute[Any], value: Decimal | None) -> None:
    if value is not None and not 0 < value <= 1:
        raise ValueError(f"is a share above 0 and up to 1, not {value}")


def _zone(instance: object, attribute: Attribute[Any], value: str | None) -> None:
    if value is None:
        return
    try:
        ZoneInfo(value)
    except (KeyError, ValueError, OSError):
        raise ValueError(f"{value!r} is not a time zone; write UTC or a name like America/New_York") from None


@frozen(kw_only=True)
class FeeOptions:
    """What a fill costs; the parts add up.

    Attributes:
        rate: share of the notional (0.001 is 0.1 %).
        maker_rate: the same for a resting limit order filled at its limit, below zero for a rebate;
            null is ``rate``.
        per_share: for every unit of size.
        fixed: for every fill.
        minimum: least total of one order.
    """

    rate: Decimal = field(default=Decimal(0), validator=_not_negative)
    maker_rate: Decimal | None = None
    per_share: Decimal = field(default=Decimal(0), validator=_not_negative)
    fixed: Decimal = field(default=Decimal(0), validator=_not_negative)
    minimum: Decimal = field(default=Decimal(0), validator=_not_negative)


@frozen(kw_only=True)
class VenueOptions:
    """What both brokers can be told.

    Attributes:
        cash: opening cash; null is the run's capital, or 100000 where it has none.
        initial_cash: the older name of ``cash``.
        currency: of the account; it has to be the run's, which null is.
        fees: what a fill costs.
        slippage: how far market and stop fills land from their price, against the order.
        volume_share: most of a bar's volume that may be filled in it, up to 1; null ignores volume.
        leverage: gross exposure allowed for each unit of equity.
        check_funds: refuse orders that exceed ``leverage``.
        allow_short: positions may become negative, where the instrument is shortable.
        latency: seconds; an order matches only in bars that start that long after it was submitted.
        fill_at: next_open fills a market order at the next bar's open, last at once at the last price.
        session_timezone: IANA zone whose days are the sessions of day orders; null is the datafeed's.
    """

    cash: Decimal | None = field(default=None, validator=_above_zero)
    initial_cash: Decimal | None = field(default=None, validator=_above_zero)
    currency: str | None = None
    fees: FeeOptions = field(factory=FeeOptions)
    slippage: SlippageModel = field(factory=SlippageModel)
    volume_share: Decimal | None = field(default=None, validator=_share)
    leverage: Decimal = field(default=Decimal(1), validator=_above_zero)
    check_funds: bool = True
    allow_short: bool = True
    latency: float = field(default=0.0, validator=_not_negative)
    fill_at: Literal["next_open", "last"] = "next_open"
    session_timezone: str | None = field(default=None, validator=_zone)

    def __attrs_post_init__(self) -> None:
        if self.cash is not None and self.initial_cash is not None:
            raise ValueError("cash and initial_cash are one thing: give cash alone")
        # Whatever the venue would refuse is refused here, where the config is read.
        self.settings("UTC")

    def opening_cash(self, services: Services) -> Decimal:
        """What the account begins with."""
        if self.cash is not None:
            return self.cash
        if self.initial_cash is not None:
            return self.initial_cash
        return DEFAULT_CASH if services.capital is None else Decimal(services.capital)

    def account_currency(self, services: Services) -> str:
        """What the account is kept in.

        Raises:
            RunRefused: it is not the run's currency.
        """
        if self.currency is not None and self.currency != services.currency:
            raise RunRefused(
                f"the simulated account is kept in {self.currency}, but run.currency is {services.currency}; "
                "one run has one currency: make them equal, or leave the broker's `currency` out"
            )
        return services.currency

    def settings(self, timezone: str) -> VenueSettings:
        """How the venue behaves; ``timezone`` stands in for ``session_timezone``.

        Raises:
            ValueError: an option is out of range.
        """
        fees = self.fees
        return VenueSettings(
            fill_at=self.fill_at,
            volume_share=self.volume_share,
            fees=FeeModel(
                per_unit=fees.per_share,
                taker_rate=fees.rate,
                maker_rate=fees.maker_rate,
                fixed=fees.fixed,
                minimum=fees.minimum,
            ),
            slippage=self.slippage,
            latency_ns=round(self.latency * 1_000_000_000),
            leverage=self.leverage,
            check_funds=self.check_funds,
            allow_short=self.allow_short,
            session_timezone=self.session_timezone or timezone,
        )


@frozen(kw_only=True)
class MockOptions(VenueOptions):
    """Options of the broker `mock`: market orders fill at once at the last price, free and unlimited."""

    check_funds: bool = False
    fill_at: Literal["next_open", "last"] = "last"


@frozen(kw_only=True)
class PaperOptions(VenueOptions):
    """Options of the broker `paper`: fills at the next bar's open, fees, slippage, limited cash."""

    fees: FeeOptions = field(factory=lambda: FeeOptions(rate=Decimal("0.0005")))
    slippage: SlippageModel = field(factory=lambda: SlippageModel(bps=Decimal(1)))
