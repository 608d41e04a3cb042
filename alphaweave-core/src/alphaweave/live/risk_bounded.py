"""A plugin's risk rule, bounded in time: one that thinks for too long denies."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from alphaweave.live.proposal import Denial, Proposal, RiskRule
from alphaweave.live.risk_time import Timed
from alphaweave.live.trading_state import Escalation

__all__ = ["SLOW_MS", "BoundedRule", "Recorded", "bounded", "slow_text"]

SLOW_MS: Final = 50
"""Milliseconds of the kernel's thread that one rule may take for one order."""

Recorded = Callable[[str, Proposal], Denial | None]
"""Of a rule's code and an order: the denial that was recorded because the rule took too long."""


class BoundedRule:
    """Asks a rule, and denies where its answer took too long: what it looked at may have passed meanwhile,
    and a rule that is slow today hangs tomorrow. Nothing can break off one that never comes back; a halt
    holds the sender all the same.
    """

    def __init__(self, rule: RiskRule, monotonic: Callable[[], float], slow: Recorded | None = None) -> None:
        """``monotonic`` reads seconds on a clock that never steps back; ``slow``: see `bounded`."""
        self.code = rule.code
        self.applies_to_reductions = rule.applies_to_reductions
        self._rule = rule
        self._monotonic = monotonic
        self._slow = slow

    def check(self, proposal: Proposal) -> Denial | str | None:
        began = self._monotonic()
        verdict = self._rule.check(proposal)
        spent = round((self._monotonic() - began) * 1000)
        if self._slow is not None:
            return self._slow(self.code, proposal) or verdict
        if spent <= SLOW_MS:
            return verdict
        text = f"{slow_text(self.code)} {spent} ms, and {SLOW_MS} are allowed"
        return Denial("risk_rule_slow", text)


class _BoundedWatcher(BoundedRule, Timed):
    """One that lives in time as well."""

    def __init__(self, rule: Timed, monotonic: Callable[[], float], slow: Recorded | None = None) -> None:
        Timed.__init__(self)
        BoundedRule.__init__(self, rule, monotonic, slow)  # type: ignore[arg-type]
        self._watched = rule

    def advance(self, now_ns: int) -> None:
        self._watched.advance(now_ns)

    def escalations(self) -> tuple[Escalation, ...]:
        return self._watched.escalations()


def slow_text(code: str) -> str:
    """How the text of such a denial begins."""
    return f"risk rule {code} took"


def bounded(rule: RiskRule, monotonic: Callable[[], float], slow: Recorded | None = None) -> RiskRule:
    """The rule, bounded; one that lives in time goes on doing so.

    Args:
        slow: in a re-run, where it took too long then; how long it takes now is no matter.
    """
    if isinstance(rule, Timed):
        return _BoundedWatcher(rule, monotonic, slow)
    return BoundedRule(rule, monotonic, slow)
