"""The ``risk`` section of a config: every limit, and which of them a run with real money must have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any, Final

from attrs import Attribute, field, fields, frozen

from alphaweave.core.errors import Problem
from alphaweave.core.money import ZERO, Number, decimal_of, plain
from alphaweave.live.risk_losses import LossLevels

__all__ = [
    "SILENCE_SECONDS",
    "BuyingPowerLimits",
    "DailyLimits",
    "DataLimits",
    "DuplicateLimits",
    "ExecutionLimits",
    "RateLimits",
    "RejectLimits",
    "RiskSettings",
    "SymbolLimits",
]


SILENCE_SECONDS: Final = 15
"""How long the link of orders may be silent where the config does not say."""


def _limit(value: Number | None) -> Decimal | None:
    return None if value is None else decimal_of(value)


def _exact(value: Number) -> Decimal:
    return decimal_of(value)


def _frozen_map(given: Mapping[str, SymbolLimits]) -> Mapping[str, SymbolLimits]:
    return MappingProxyType(dict(given))


def _positive(settings: object, attribute: Attribute[Any], value: Any) -> None:
    if value is not None and not value > 0:
        raise ValueError(f"{attribute.name} must be above zero; leave it out for no limit")


def _some(settings: object, attribute: Attribute[Any], value: Any) -> None:
    if value is not None and value < 1:
        raise ValueError(f"{attribute.name} must be at least 1, not {value}")


def _twice(settings: object, attribute: Attribute[Any], value: Any) -> None:
    if value < 2:
        raise ValueError(f"{attribute.name} must be at least 2, not {value}: the first is no duplicate")


def _interval_at_least(settings: object, attribute: Attribute[Any], value: Any) -> None:
    if value < 1:
        raise ValueError(f"{attribute.name} must be at least 1, not {plain(value)}")


def _fraction(settings: object, attribute: Attribute[Any], value: Any) -> None:
    if value is not None and not ZERO < value < 1:
        raise ValueError(f"{attribute.name} is a fraction between 0 and 1, not {plain(value)}; 0.05 is 5 %")


@frozen(kw_only=True)
class SymbolLimits:
    """Limits of one symbol. Where the general settings have one too, the tighter holds."""

    max_order_quantity: Decimal | None = field(default=None, converter=_limit, validator=_positive)
    max_order_notional: Decimal | None = field(default=None, converter=_limit, validator=_positive)
    max_position_quantity: Decimal | None = field(default=None, converter=_limit, validator=_positive)
    max_position_notional: Decimal | None = field(default=None, converter=_limit, validator=_positive)


@frozen(kw_only=True)
class RateLimits:
    """Orders and changes, cancels not counted; one more is denied, and three times in an hour block what is
    new.

    Attributes:
        per_second: at once, and within a second.
        per_minute: within a minute.
    """

    per_second: int = field(default=5, validator=_some)
    per_minute: int = field(default=200, validator=_some)


@frozen(kw_only=True)
class DailyLimits:
    """Counts of one day in ``risk.timezone``, after which what is new is blocked.

    Attributes:
        orders: orders and changes of the run.
        fills: fills of one symbol.
    """

    orders: int = field(default=2000, validator=_some)
    fills: int = field(default=1000, validator=_some)


@frozen(kw_only=True)
class DuplicateLimits:
    """The same symbol, side, size, type and prices again and again.

    Attributes:
        count: which of them is denied.
        seconds: within how many.
    """

    count: int = field(default=3, validator=_twice)
    seconds: int = field(default=10, validator=_some)


@frozen(kw_only=True)
class RejectLimits:
    """Refusals and errors of the broker, which block what is new.

    Attributes:
        rejects: how many.
        seconds: within how many.
    """

    rejects: int = field(default=5, validator=_some)
    seconds: int = field(default=60, validator=_some)


@frozen(kw_only=True)
class ExecutionLimits:
    """Executions without a human, after which trading halts until an operator resumes.

    Attributes:
        fills: how many fills; null is off.
        round_trips: how often a position is closed or turned; null is off.
        seconds: within how many.
    """

    fills: int | None = field(default=None, validator=_some)
    round_trips: int | None = field(default=None, validator=_some)
    seconds: int = field(default=3600, validator=_some)


@frozen(kw_only=True)
class DataLimits:
    """How old data may be while the market is open.

    Attributes:
        intervals: of the last bar, in bar intervals since its end.
        quote_seconds: of the last quote, in a feed of quotes.
    """

    intervals: Decimal = field(default=Decimal("1.5"), converter=_exact, validator=_interval_at_least)
    quote_seconds: int = field(default=5, validator=_some)


@frozen(kw_only=True)
class BuyingPowerLimits:
    """What the account can carry, by its own books and by the broker's figure.

    Attributes:
        margin: the part of an exposure that equity has to cover; 1 is what cash can pay.
        broker: whether the broker has a figure of its own that also counts.
    """

    margin: Decimal = field(default=Decimal(1), converter=_exact, validator=_positive)
    broker: bool = True


_JUDGED_ALONE: Final = frozenset(
    {
        "allow",
        "max_order_quantity",
        "max_order_notional",
        "max_position_notional",
        "max_capital",
        "symbols",
        # Neither is anything to a replay: it has no link, and no clock but the bars'.
        "clock_skew_ms",
        "silence_seconds",
        # Of which the others are.
        "timezone",
    }
)


@frozen(kw_only=True)
class RiskSettings:
    """The ``risk`` section of a config. Limits of losses, exposures and values have no default: one that is
    not written is off. A live run refuses to start without one of losses, of the value of an order and of
    the value of a position.

    Attributes:
        allow: the symbols that may be traded; None is every instrument of the config.
        max_order_quantity: units in one order.
        max_order_notional: value of one order in settle currency.
        max_position_notional: value of a position in settle currency, open orders filled.
        max_capital: a ``run.capital`` above it is refused at the start.
        symbols: tighter limits by symbol.
        max_gross_exposure: sum over symbols of the larger side each may come to, in the run's currency.
        max_net_exposure: what all together may come to in one direction, in the run's currency.
        max_leverage: gross exposure over equity.
        buying_power: whether, and by what measure, the account must be able to carry an order.
        max_open_orders: orders open, in flight or UNKNOWN; null is 50.
        price_collar: how far a limit may be on the aggressive side of the last price, as a fraction; null
            is 0.05.
        order_rate: orders and changes a second and a minute.
        daily_counts: orders and fills a day.
        duplicates: the same order again.
        rejects: refusals of the broker.
        repeated_executions: fills or round trips without a human; null is off.
        stale_data: age of the data.
        clock_skew_ms: milliseconds that this machine's clock and the broker's may differ; null is 500.
        silence_seconds: how long the link of orders may be silent; null is 15.
        daily_loss: fractions of the day's first equity that may be lost in it; null is off.
        drawdown: fractions of the highest equity that may be lost from it; null is off.
        timezone: the IANA zone whose days losses and counts are of; null is the datafeed's.
    """

    allow: tuple[str, ...] | None = None
    max_order_quantity: Decimal | None = field(default=None, converter=_limit, validator=_positive)
    max_order_notional: Decimal | None = field(default=None, converter=_limit, validator=_positive)
    max_position_notional: Decimal | None = field(default=None, converter=_limit, validator=_positive)
    max_capital: Decimal | None = field(default=None, converter=_limit, validator=_positive)
    symbols: Mapping[str, SymbolLimits] = field(factory=dict, converter=_frozen_map)
    max_gross_exposure: Decimal | None = field(default=None, converter=_limit, validator=_positive)
    max_net_exposure: Decimal | None = field(default=None, converter=_limit, validator=_positive)
    max_leverage: Decimal | None = field(default=None, converter=_limit, validator=_positive)
    buying_power: BuyingPowerLimits | None = None
    max_open_orders: int | None = field(default=None, validator=_some)
    price_collar: Decimal | None = field(default=None, converter=_limit, validator=_fraction)
    order_rate: RateLimits | None = None
    daily_counts: DailyLimits | None = None
    duplicates: DuplicateLimits | None = None
    rejects: RejectLimits | None = None
    repeated_executions: ExecutionLimits | None = None
    stale_data: DataLimits | None = None
    clock_skew_ms: int | None = field(default=None, validator=_some)
    silence_seconds: int | None = field(default=None, validator=_some)
    daily_loss: LossLevels | None = None
    drawdown: LossLevels | None = None
    timezone: str | None = None

    def problems(self, symbols: Sequence[str], capital: Decimal | None = None) -> tuple[Problem, ...]:
        """What does not fit the rest of the config: its instruments and ``run.capital``."""
        found: list[Problem] = []
        for path, names in (("risk.allow", self.allow or ()), ("risk.symbols", self.symbols)):
            for name in names:
                if name not in symbols:
                    near = get_close_matches(name, symbols, n=1)
                    text = f"{name!r} is none of the config's instruments"
                    found.append(Problem(path, text, near[0] if near else None))
        if capital is not None and self.max_capital is not None and capital > self.max_capital:
            text = f"{plain(capital)} is above risk.max_capital, {plain(self.max_capital)}"
            found.append(Problem("run.capital", text))
        return tuple(found)

    def remembering(self) -> bool:
        """Whether a limit is written that needs time, the account or a memory to be judged."""
        names = (attribute.name for attribute in fields(RiskSettings))
        return any(name not in _JUDGED_ALONE and getattr(self, name) is not None for name in names)

    def unset_for_live(self, symbols: Sequence[str]) -> tuple[str, ...]:
        """What a run with real money lacks: a limit of losses that acts, and limits of the order's and the
        position's value for every symbol that may be traded."""
        lacking = []
        if not any(
            levels is not None and (levels.reduce or levels.flatten)
            for levels in (self.daily_loss, self.drawdown)
        ):
            lacking.append("risk.daily_loss (or risk.drawdown) with a level reduce or flatten")
        traded = tuple(symbols) if self.allow is None else self.allow
        kinds = (
            ("max_order_notional", self.max_order_notional, ("max_order_notional",)),
            (
                "max_position_notional",
                self.max_position_notional,
                ("max_position_notional", "max_position_quantity"),
            ),
        )
        for name, general, own in kinds:
            without = [symbol for symbol in traded if not self._has(symbol, own)]
            if general is None and without:
                lacking.append(f"risk.{name} (or a limit of {', '.join(without)} in risk.symbols)")
        return tuple(lacking)

    def _has(self, symbol: str, names: Sequence[str]) -> bool:
        limits = self.symbols.get(symbol)
        return limits is not None and any(getattr(limits, name) is not None for name in names)
