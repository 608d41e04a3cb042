"""LiveConfig and its sections: every key a config can have, with its default and its bounds."""

from __future__ import annotations

import zoneinfo
from collections import Counter
from collections.abc import Mapping
from decimal import Decimal
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal

from attrs import Factory, field, frozen

from alphaweave.core.instrument import Instrument, PriceStep
from alphaweave.core.interval import parse_interval
from alphaweave.core.money import ZERO
from alphaweave.core.redaction import redact
from alphaweave.live.config_fields import (
    INTERNAL,
    KEY,
    Above,
    AtLeast,
    Blocks,
    Hours,
    Matches,
    block_of,
)
from alphaweave.live.risk import RiskSettings

__all__ = [
    "AdapterSection",
    "BrokerSection",
    "DatafeedSection",
    "InstrumentConfig",
    "LiveConfig",
    "MonitorSection",
    "PersistenceSection",
    "ReconciliationIntervals",
    "ReconciliationSection",
    "RiskRuleSection",
    "RunSection",
    "StrategySection",
    "expand_shorthand",
]

_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_RULES = (
    "kind",
    "base",
    "quote",
    "settle",
    "price_steps",
    "size_step",
    "min_size",
    "max_size",
    "market_max_size",
    "min_notional",
    "max_notional",
    "quote_step",
    "fractional",
    "shortable",
    "tradable",
    "multiplier",
    "calendar",
)


def _shown(value: object) -> str:
    return repr(redact(value))


def _one_spelling(interval: str) -> str:
    return parse_interval(interval).text


def _zone(instance: object, attribute: object, value: str) -> None:
    try:
        zoneinfo.ZoneInfo(value)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        near = get_close_matches(value, sorted(zoneinfo.available_timezones()), n=1)
        hint = f"; did you mean {near[0]}?" if near else ", such as UTC or America/New_York"
        raise ValueError(f"{value!r} is not an IANA time zone{hint}") from None


def _distinct(instance: object, attribute: object, value: tuple[InstrumentConfig, ...]) -> None:
    if not value:
        raise ValueError("at least one instrument is needed")
    doubled = [symbol for symbol, count in Counter(entry.symbol for entry in value).items() if count > 1]
    if doubled:
        raise ValueError(f"more than one entry for {', '.join(doubled)}")


@frozen(kw_only=True)
class RunSection:
    """What the run is.

    Attributes:
        id: names the run for ever: client order ids are made from it, and a restart keeps it.
        mode: auto is replay for a feed of history and paper otherwise; real money needs a written live.
        capital: opening cash of a simulated account, and in every mode a cap on the equity that sizes and
            loss limits count, in ``currency``; null is no cap.
        currency: what capital, equity and reports are counted in.
        warmup: how many slices feed series and indicators before the first order is allowed.
        seed: for everything that draws random numbers.
    """

    id: str = field(default="run", validator=Matches(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", "a run id"))
    mode: Literal["auto", "replay", "paper", "live"] = "auto"
    capital: Decimal | None = field(default=None, validator=Above(0))
    currency: str = field(default="USD", validator=Matches(r"[A-Z0-9]{2,12}", "a currency, such as USD"))
    warmup: int = field(default=0, validator=AtLeast(0))
    seed: int = 0


@frozen(kw_only=True)
class InstrumentConfig:
    """One instrument. A rule that is left out comes from the broker, else from the feed.

    Attributes:
        symbol: its name everywhere above the adapters.
        names: what an adapter's venue calls it, where that is not ``symbol``.
        kind: equity, spot, fx, future, index or an adapter's own word.
        base: the asset bought, where positions are balances (spot).
        quote: the currency that its prices are written in.
        settle: the currency that its cash moves in; null is ``quote``.
        price_step: one tick size for all prices.
        price_steps: tick sizes by price band, rising; instead of ``price_step``.
        size_step: sizes are whole multiples of it.
        min_size: smallest order, in units.
        max_size: largest order, in units.
        market_max_size: largest market order, in units, where that is less than ``max_size``.
        min_notional: smallest order value, in quote currency.
        max_notional: largest order value, in quote currency.
        quote_step: an order sized in quote currency is a whole multiple of it.
        fractional: whether sizes below one whole unit are allowed.
        shortable: whether the position may become negative.
        tradable: whether it can be traded at present.
        multiplier: quote currency per unit of price and size.
        calendar: when it is traded: an exchange calendar's name (XNYS), 24/7, or a table of hours; null
            is always.
    """

    symbol: str = field(validator=Matches(r"\S(.*\S)?", "a symbol"))
    names: Mapping[str, str] = field(factory=dict)
    kind: str | None = None
    base: str | None = None
    quote: str | None = None
    settle: str | None = None
    price_step: Decimal | None = field(default=None, validator=Above(0))
    price_steps: tuple[PriceStep, ...] | None = None
    size_step: Decimal | None = field(default=None, validator=Above(0))
    min_size: Decimal | None = field(default=None, validator=AtLeast(0))
    max_size: Decimal | None = field(default=None, validator=Above(0))
    market_max_size: Decimal | None = field(default=None, validator=Above(0))
    min_notional: Decimal | None = field(default=None, validator=AtLeast(0))
    max_notional: Decimal | None = field(default=None, validator=Above(0))
    quote_step: Decimal | None = field(default=None, validator=Above(0))
    fractional: bool | None = None
    shortable: bool | None = None
    tradable: bool | None = None
    multiplier: Decimal | None = field(default=None, validator=Above(0))
    calendar: Any = field(default=None, validator=Hours())

    def __attrs_post_init__(self) -> None:
        if self.price_step is not None and self.price_steps is not None:
            raise ValueError("price_step and price_steps exclude each other")
        for low, high in (
            ("min_size", "max_size"),
            ("min_size", "market_max_size"),
            ("min_notional", "max_notional"),
        ):
            least, most = getattr(self, low), getattr(self, high)
            if least is not None and most is not None and least > most:
                raise ValueError(f"{low} {least} is above {high} {most}")
        if self.price_steps is not None:
            # For what the record itself demands of price bands.
            Instrument(symbol=self.symbol, venue_symbol=self.symbol, price_steps=self.price_steps)

    def rules(self) -> dict[str, Any]:
        """The rules given here, as fields of an `Instrument` to `attrs.evolve` one with."""
        rules = {name: getattr(self, name) for name in _RULES if getattr(self, name) is not None}
        if self.price_step is not None:
            rules["price_steps"] = (PriceStep(ZERO, self.price_step),)
        if self.quote is not None:
            rules.setdefault("settle", self.quote)
        if not isinstance(self.calendar, str):
            rules.pop("calendar", None)  # a table is the run's own, and no name that a venue would know
        return rules


@frozen(kw_only=True)
class AdapterSection:
    """A section that names an adapter.

    Attributes:
        name: which adapter.
        distribution: the only installed distribution that may provide the adapter; null is any.
        options: a block of options for each adapter that ``name`` may name; only that one's is read.
    """

    name: str = field(validator=Matches(r"[A-Za-z0-9][A-Za-z0-9._-]*", "an adapter's name"))
    distribution: str | None = None
    options: Mapping[str, Any] = field(factory=dict, validator=Blocks(), repr=_shown)

    def __attrs_post_init__(self) -> None:
        # A block whose name is misspelt would be passed over in silence, and its settings with it.
        near = get_close_matches(self.name, list(self.options), n=1, cutoff=0.8)
        if near and self.name not in self.options:
            raise ValueError(
                f"options has no block {self.name!r} but one named {near[0]!r}; "
                f"rename it, or add an empty {self.name}: {{}}"
            )

    @property
    def block(self) -> Mapping[str, Any]:
        """The raw options of the named adapter."""
        return block_of(self.options, self.name)


@frozen(kw_only=True)
class DatafeedSection(AdapterSection):
    """Where prices come from.

    Attributes:
        name: which datafeed adapter.
        interval: how long a bar lasts: 30s, 1m, 5m, 1h, 1d, 1w, or tick.
        timezone: the IANA zone that time stamps without an offset are read in.
    """

    interval: str = field(default="1d", converter=_one_spelling)
    timezone: str = field(default="UTC", validator=_zone)


@frozen(kw_only=True)
class BrokerSection(AdapterSection):
    """Where orders go.

    Attributes:
        name: which broker adapter.
        account_id: the account this run is meant for; live mode demands it, and the broker has to agree.
        maintenance: when the broker is in maintenance, as a table of hours; null is never.
    """

    account_id: str | None = None
    maintenance: Any = field(default=None, validator=Hours(named=False))


@frozen(kw_only=True)
class StrategySection:
    """What decides.

    Attributes:
        class_path: the Strategy class, as module:Class.
        params: keyword arguments of its constructor.
    """

    class_path: str = field(
        validator=Matches(
            rf"{_NAME}(\.{_NAME})*:{_NAME}(\.{_NAME})*", "module:Class, such as my_strategies:SmaCross"
        ),
        metadata={KEY: "class"},
    )
    params: Mapping[str, Any] = field(factory=dict, repr=_shown)


@frozen(kw_only=True)
class MonitorSection(AdapterSection):
    """Who watches.

    Attributes:
        name: which monitor adapter.
    """


@frozen(kw_only=True)
class RiskRuleSection(AdapterSection):
    """A risk rule of a plugin, asked after all others: it can only deny.

    Attributes:
        name: which rule.
    """


@frozen(kw_only=True)
class PersistenceSection:
    """What survives the process.

    Attributes:
        journal: the durable log of a run; null is none, which a live run refuses.
        state_path: the state file that a replay resumes from and a live run exports; null is none.
        record_inputs: the journal keeps every input, from which a restart goes on and a comparison decides
            again; false is refused with a journal.
    """

    journal: Path | None = None
    state_path: Path | None = None
    record_inputs: bool = True


@frozen(kw_only=True)
class ReconciliationIntervals:
    """How often the books are compared with the broker's, in seconds.

    Attributes:
        in_flight: orders whose outcome is open.
        open_orders: working orders.
        positions: positions and cash.
    """

    in_flight: float = field(default=2.0, validator=Above(0))
    open_orders: float = field(default=10.0, validator=Above(0))
    positions: float = field(default=30.0, validator=Above(0))


@frozen(kw_only=True)
class ReconciliationSection:
    """What happens when the books and the broker's differ.

    Attributes:
        first_start: what to do with positions and orders found at the first start: adopt them, or ignore
            them; null lets a paper run adopt them and a live run refuse to start.
        foreign: what a fill that is not this run's does in a traded symbol: halt it, or adopt the fill.
        intervals: seconds between comparisons.
    """

    first_start: Literal["adopt", "ignore"] | None = None
    foreign: Literal["halt", "adopt"] = "halt"
    intervals: ReconciliationIntervals = Factory(ReconciliationIntervals)


@frozen(kw_only=True)
class LiveConfig:
    """A whole config, read and checked. Options blocks are still raw: only the named adapter's is read, by
    `parse_options`, when the run is built.

    Attributes:
        run: what the run is.
        instruments: what is traded; a plain symbol stands for an entry with only that.
        datafeed: where prices come from.
        broker: where orders go.
        strategy: what decides.
        monitors: who watches; a plain name stands for an entry with only that.
        persistence: what survives the process.
        risk: limits that every order has to pass; a limit left out is off.
        risk_rules: rules of plugins, in the order they are asked; a plain name stands for an entry with only
            that.
        reconciliation: what happens when the books and the broker's differ.
        base_dir: the config file's folder, where relative paths start.
        source: the file it was read from, if there was one.
        deprecations: a line for each older spelling that was read.
        raw: the config as written, with overrides, in today's spelling; references are unresolved.
    """

    run: RunSection = Factory(RunSection)
    instruments: tuple[InstrumentConfig, ...] = field(validator=_distinct)
    datafeed: DatafeedSection
    broker: BrokerSection
    strategy: StrategySection
    monitors: tuple[MonitorSection, ...] = ()
    persistence: PersistenceSection = Factory(PersistenceSection)
    risk: RiskSettings = Factory(RiskSettings)
    risk_rules: tuple[RiskRuleSection, ...] = ()
    reconciliation: ReconciliationSection = Factory(ReconciliationSection)
    base_dir: Path = field(factory=Path.cwd, metadata={INTERNAL: True})
    source: Path | None = field(default=None, metadata={INTERNAL: True})
    deprecations: tuple[str, ...] = field(default=(), metadata={INTERNAL: True})
    raw: Mapping[str, Any] = field(factory=dict, repr=False, eq=False, metadata={INTERNAL: True})

    @property
    def symbols(self) -> tuple[str, ...]:
        """The config's symbols, in its order."""
        return tuple(instrument.symbol for instrument in self.instruments)

    def venue_names(self, adapter: str) -> dict[str, str]:
        """Config symbol -> what that adapter's venue calls it, for the symbols where the config says."""
        return {entry.symbol: entry.names[adapter] for entry in self.instruments if adapter in entry.names}


def expand_shorthand(raw: dict[str, Any]) -> None:
    """Write the entries that stand as a plain symbol or name out, in place."""
    for section, key in (("instruments", "symbol"), ("monitors", "name"), ("risk_rules", "name")):
        entries = raw.get(section)
        if isinstance(entries, list):
            raw[section] = [{key: entry} if isinstance(entry, str) else entry for entry in entries]
