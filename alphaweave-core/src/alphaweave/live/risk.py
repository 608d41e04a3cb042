"""The risk chain: the only path to a broker. Rules are asked in order, and the first no stands."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal

from alphaweave.core.errors import ConfigError
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
from alphaweave.live.risk_settings import RiskSettings, SymbolLimits

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
    "chain_rules",
]


_MakeRule = Callable[[Decimal | None, Mapping[str, Decimal]], RiskRule]


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
    """The chain of a replay: the three rules that always hold, and one for each kind of limit written.

    Raises:
        ConfigError: the settings name a symbol that is not among ``symbols``.
    """
    return RiskChain(chain_rules(settings, symbols, capabilities))


def chain_rules(
    settings: RiskSettings, symbols: Sequence[str], capabilities: Capabilities
) -> tuple[RiskRule, ...]:
    """The rules of `build_chain`, which every mode has.

    Raises:
        ConfigError: as `build_chain`.
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
    return tuple(rules)
