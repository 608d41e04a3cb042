"""The risk chain: the only path to a broker. Rules are asked in order, and the first no stands."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from difflib import get_close_matches
from types import MappingProxyType

from attrs import Attribute, field, frozen

from alphaweave.core.errors import ConfigError, Problem
from alphaweave.core.money import Number, decimal_of, plain
from alphaweave.live.adapters.capabilities import Capabilities
from alphaweave.live.risk_rules import (
    AllowList,
    Denial,
    InstrumentValidity,
    MaxOrderNotional,
    MaxOrderQuantity,
    MaxPositionNotional,
    MaxPositionQuantity,
    Proposal,
    ReduceOnly,
    RiskRule,
)

__all__ = [
    "AllowList",
    "Denial",
    "InstrumentValidity",
    "MaxOrderNotional",
    "MaxOrderQuantity",
    "MaxPositionNotional",
    "MaxPositionQuantity",
    "Proposal",
    "ReduceOnly",
    "RiskChain",
    "RiskRule",
    "RiskSettings",
    "SymbolLimits",
    "build_chain",
]


_MakeRule = Callable[[Decimal | None, Mapping[str, Decimal]], RiskRule]


def _limit(value: Number | None) -> Decimal | None:
    return None if value is None else decimal_of(value)


def _frozen_map(given: Mapping[str, SymbolLimits]) -> Mapping[str, SymbolLimits]:
    return MappingProxyType(dict(given))


def _positive(settings: object, attribute: Attribute[Decimal | None], value: Decimal | None) -> None:
    if value is not None and not value > 0:
        raise ValueError(f"{attribute.name} must be above zero; leave it out for no limit")


@frozen(kw_only=True)
class SymbolLimits:
    """Limits of one symbol. Where the general settings have one too, the tighter holds."""

    max_order_quantity: Decimal | None = field(default=None, converter=_limit, validator=_positive)
    max_order_notional: Decimal | None = field(default=None, converter=_limit, validator=_positive)
    max_position_quantity: Decimal | None = field(default=None, converter=_limit, validator=_positive)
    max_position_notional: Decimal | None = field(default=None, converter=_limit, validator=_positive)


@frozen(kw_only=True)
class RiskSettings:
    """The ``risk`` section of a config. Nothing has a default: a limit that is not written is off.

    Attributes:
        allow: the symbols that may be traded; None is every instrument of the config.
        max_order_quantity: units in one order.
        max_order_notional: value of one order in settle currency.
        max_position_notional: value of a position in settle currency, open orders filled.
        max_capital: a ``run.capital`` above it is refused at the start.
        symbols: tighter limits by symbol.
    """

    allow: tuple[str, ...] | None = None
    max_order_quantity: Decimal | None = field(default=None, converter=_limit, validator=_positive)
    max_order_notional: Decimal | None = field(default=None, converter=_limit, validator=_positive)
    max_position_notional: Decimal | None = field(default=None, converter=_limit, validator=_positive)
    max_capital: Decimal | None = field(default=None, converter=_limit, validator=_positive)
    symbols: Mapping[str, SymbolLimits] = field(factory=dict, converter=_frozen_map)

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


class RiskChain:
    """Rules in order. It fails closed: a rule that raises, or answers nonsense, denies.

    Attributes:
        rules: in the order they are asked.
        evaluations: rules asked so far.
        denials: orders denied so far.
    """

    __slots__ = ("_all", "_strict", "denials", "evaluations", "rules")

    def __init__(self, rules: Iterable[RiskRule]) -> None:
        self.rules = tuple(rules)
        self.evaluations = 0
        self.denials = 0
        self._all = tuple(rule.check for rule in self.rules)
        self._strict = tuple(rule.check for rule in self.rules if rule.applies_to_reductions)

    def check(self, proposal: Proposal) -> Denial | None:
        """The first denial, or None if every rule that applies lets the order pass."""
        checks = self._strict if proposal.reduces else self._all
        asked = 0
        try:
            for check in checks:
                asked += 1
                verdict = check(proposal)
                if verdict is not None:
                    return self._deny(self._rule(proposal, asked), verdict)
        except Exception as error:
            return self._failed(self._rule(proposal, asked), f"raised {type(error).__name__}: {error}", error)
        finally:
            self.evaluations += asked
        return None

    def _rule(self, proposal: Proposal, asked: int) -> RiskRule:
        rules = [rule for rule in self.rules if rule.applies_to_reductions or not proposal.reduces]
        return rules[asked - 1]

    def _deny(self, rule: RiskRule, verdict: object) -> Denial:
        if isinstance(verdict, Denial):
            self.denials += 1
            return verdict
        if isinstance(verdict, str):
            self.denials += 1
            return Denial(rule.code, verdict)
        return self._failed(rule, f"answered {verdict!r}, not a text", None)

    def _failed(self, rule: RiskRule, what: str, error: Exception | None) -> Denial:
        self.denials += 1
        return Denial("risk_rule_failed", f"risk rule {rule.code} {what}", error)


def build_chain(settings: RiskSettings, symbols: Sequence[str], capabilities: Capabilities) -> RiskChain:
    """The chain of a run: the three rules that always hold, and one for each kind of limit written.

    Raises:
        ConfigError: the settings name a symbol that is not among ``symbols``.
    """
    problems = settings.problems(symbols)
    if problems:
        raise ConfigError(problems)
    allowed = symbols if settings.allow is None else settings.allow
    rules: list[RiskRule] = [InstrumentValidity(capabilities), ReduceOnly(), AllowList(frozenset(allowed))]
    limits: tuple[tuple[_MakeRule, str, Decimal | None], ...] = (
        (MaxOrderQuantity, "max_order_quantity", settings.max_order_quantity),
        (MaxOrderNotional, "max_order_notional", settings.max_order_notional),
        (MaxPositionQuantity, "max_position_quantity", None),
        (MaxPositionNotional, "max_position_notional", settings.max_position_notional),
    )
    for make, name, general in limits:
        given = ((symbol, getattr(tighter, name)) for symbol, tighter in settings.symbols.items())
        by_symbol = {symbol: limit for symbol, limit in given if limit is not None}
        if general is not None or by_symbol:
            rules.append(make(general, by_symbol))
    return RiskChain(rules)
