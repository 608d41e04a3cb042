"""A plugin's risk rule, bounded in time: one that thinks for too long denies."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from alphaweave.live.proposal import Denial, Proposal, RiskRule
from alphaweave.live.risk_time import Timed
from alphaweave.live.trading_state import Escalation

__all__ = ["SLOW_MS", "BoundedRule", "bounded"]

SLOW_MS: Final = 50
"""Milliseconds of the kernel's thread that one rule may take for one order."""


class BoundedRule:
    """Asks a rule, and denies where its answer took too long: what it looked at may have passed meanwhile,
    and a rule that is slow today hangs tomorrow. Nothing can break off one that never comes back; a halt
    holds the sender all the same.
    """

    def __init__(self, rule: RiskRule, monotonic: Callable[[], float]) -> None:
        """``monotonic`` reads seconds on a clock that never steps back."""
        self.code = rule.code
        self.applies_to_reductions = rule.applies_to_reductions
        self._rule = rule
        self._monotonic = monotonic

    def check(self, proposal: Proposal) -> Denial | str | None:
        began = self._monotonic()
        verdict = self._rule.check(proposal)
        spent = round((self._monotonic() - began) * 1000)
        if spent <= SLOW_MS:
            return verdict
        text = f"risk rule {self.code} took {spent} ms, and {SLOW_MS} are allowed"
        return Denial("risk_rule_slow", text)


class _BoundedWatcher(BoundedRule, Timed):
    """One that lives in time as well."""

    def __init__(self, rule: Timed, monotonic: Callable[[], float]) -> None:
        Timed.__init__(self)
        BoundedRule.__init__(self, rule, monotonic)  # type: ignore[arg-type]
        self._watched = rule

    def advance(self, now_ns: int) -> None:
        self._watched.advance(now_ns)

    def escalations(self) -> tuple[Escalation, ...]:
        return self._watched.escalations()


def bounded(rule: RiskRule, monotonic: Callable[[], float]) -> RiskRule:
    """The rule, bounded; one that lives in time goes on doing so."""
    return _BoundedWatcher(rule, monotonic) if isinstance(rule, Timed) else BoundedRule(rule, monotonic)
