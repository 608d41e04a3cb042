"""Losses of a day and from the peak: warned of, then reducing only, then flattened.

What is compared survives a restart: the baseline of the day and the highest equity are part of the
snapshot. A deposit or a withdrawal is neither a profit nor a loss.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from enum import Enum
from typing import Any, Final

from attrs import frozen

from alphaweave.core.money import CONTEXT, ZERO, plain
from alphaweave.data.zones import Zone
from alphaweave.live.risk_rules import Denial, Proposal
from alphaweave.live.risk_time import Timed, local_day, reading, time_of
from alphaweave.live.trading_state import KillStep

__all__ = ["LossBreach", "LossGuard", "LossLevel", "LossLevels"]


class LossLevel(Enum):
    """WARN: told. REDUCE: only reductions. FLATTEN: everything is cancelled and closed."""

    WARN = "warn"
    REDUCE = "reduce"
    FLATTEN = "flatten"


_STEPS: Final = {LossLevel.REDUCE: KillStep.REDUCE_ONLY, LossLevel.FLATTEN: KillStep.FLATTEN}
_DAY: Final = "daily_loss"
_PEAK: Final = "drawdown"


@frozen(kw_only=True)
class LossLevels:
    """Fractions of the equity they are measured from, rising; None is off. 0.03 is 3 %.

    Attributes:
        warn: an alert.
        reduce: only orders that reduce a position are taken, until an operator resumes.
        flatten: everything is cancelled and closed, and trading halts until an operator resumes.
    """

    warn: Decimal | None = None
    reduce: Decimal | None = None
    flatten: Decimal | None = None

    def __attrs_post_init__(self) -> None:
        given = [level for _, level in self.given()]
        if any(not ZERO < level <= 1 for level in given) or given != sorted(given):
            raise ValueError("loss levels are fractions above 0 and up to 1, and rise from warn to flatten")

    def given(self) -> list[tuple[LossLevel, Decimal]]:
        """Those that are on, mildest first."""
        levels = (
            (LossLevel.WARN, self.warn),
            (LossLevel.REDUCE, self.reduce),
            (LossLevel.FLATTEN, self.flatten),
        )
        return [(name, level) for name, level in levels if level is not None]


@frozen
class LossBreach:
    """A level was reached.

    Attributes:
        measure: ``daily_loss`` or ``drawdown``; also the reason code.
        lost, base: the loss, and the equity it is a fraction of, in the run's currency.
        limit: the fraction of the level.
    """

    measure: str
    level: LossLevel
    lost: Decimal
    base: Decimal
    limit: Decimal

    @property
    def text(self) -> str:
        """For people."""
        what = "lost today" if self.measure == _DAY else "lost since the peak"
        share = f"{plain(CONTEXT.multiply(self.limit, Decimal(100)))} % of {plain(self.base)}"
        return f"{plain(self.lost)} {what}, which reaches {share} ({self.level.value})"


class LossGuard(Timed):
    """Equity, realised and unrealised, against the day's baseline and against its peak.

    The baseline of a day is the last equity known before the day began in ``timezone``, so that a gap
    over night counts; on the first day it is the first equity. ``capital`` caps the equity that the
    fractions are taken of. A level is reached at its fraction, not only above it.
    """

    code = "loss_limit"
    applies_to_reductions = False

    def __init__(
        self,
        *,
        daily: LossLevels | None = None,
        drawdown: LossLevels | None = None,
        timezone: str = "UTC",
        capital: Decimal | None = None,
    ) -> None:
        super().__init__()
        self._levels = {_DAY: daily or LossLevels(), _PEAK: drawdown or LossLevels()}
        self._on = any(levels.given() for levels in self._levels.values())
        self._zone = Zone(timezone)
        self._capital = capital
        self._day: int | None = None
        self._equity: Decimal | None = None
        self._known = False
        self._from: dict[str, Decimal] = {}
        self._told: set[tuple[str, LossLevel]] = set()

    @property
    def baseline(self) -> Decimal | None:
        """What the day's loss is measured from."""
        return self._from.get(_DAY)

    @property
    def peak(self) -> Decimal | None:
        """What the drawdown is measured from."""
        return self._from.get(_PEAK)

    def update(self, equity: Decimal | None) -> tuple[LossBreach, ...]:
        """The equity at the time told last, or None where it is not known; what was reached by it.

        Each level is told once: of a day, for that day; of the drawdown, until there is a new peak.
        """
        now = self.time()
        self._known = equity is not None and equity.is_finite()
        if equity is None or not self._known:
            return ()
        day = local_day(self._zone, now)
        if self._day is None or day > self._day:
            self._day = day
            self._rebase(_DAY, equity if self._equity is None else self._equity)
        peak = self.peak
        if peak is None or equity > peak:
            self._rebase(_PEAK, equity)
        self._equity = equity
        found = []
        for breach in self._breaches(equity):
            if (breach.measure, breach.level) not in self._told:
                self._told.add((breach.measure, breach.level))
                found.append(breach)
                if breach.level in _STEPS:
                    self.want(_STEPS[breach.level], breach.measure, breach.text)
        return tuple(found)

    def flow(self, amount: Decimal) -> None:
        """Cash came in (positive) or went out, which the next equity includes."""
        self._from = {measure: CONTEXT.add(base, amount) for measure, base in self._from.items()}
        if self._equity is not None:
            self._equity = CONTEXT.add(self._equity, amount)

    def rebase(self, measure: str) -> None:
        """Measure ``daily_loss`` or ``drawdown`` from the last known equity on: an operator's decision only.

        Raises:
            ValueError: no such measure, or no equity is known.
        """
        if measure not in self._levels or self._equity is None:
            raise ValueError(f"{measure!r} cannot be measured anew: it is unknown, or no equity is known yet")
        self._rebase(measure, self._equity)

    def check(self, proposal: Proposal) -> Denial | None:
        if not self._on:
            return None
        if not self._known or self._equity is None:
            return Denial(
                "equity_unknown", "the account's equity is not known, so its losses cannot be judged"
            )
        reached = [breach for breach in self._breaches(self._equity) if breach.level in _STEPS]
        return Denial(reached[-1].measure, reached[-1].text) if reached else None

    def snapshot(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "day": self._day,
            "equity": None if self._equity is None else str(self._equity),
            "from": {measure: str(base) for measure, base in self._from.items()},
            "told": sorted([measure, level.value] for measure, level in self._told),
        }

    def restore(self, saved: Mapping[str, Any]) -> None:
        """What `snapshot` gave; the equity counts as unknown until the next `update`.

        Raises:
            StateCorrupt: it is not that.
        """
        with reading(self.code):
            day = time_of(saved["day"])
            equity = None if saved["equity"] is None else _finite(saved["equity"])
            bases = {measure: _finite(saved["from"][measure]) for measure in saved["from"]}
            told = {(str(measure), LossLevel(level)) for measure, level in saved["told"]}
            if not bases.keys() <= self._levels.keys() or (day is None) != (equity is None):
                raise ValueError("its parts do not fit each other")
        self._day, self._equity, self._from, self._told = day, equity, bases, told
        self._known = False

    def _rebase(self, measure: str, equity: Decimal) -> None:
        self._from[measure] = equity
        self._told = {(told, level) for told, level in self._told if told != measure}

    def _breaches(self, equity: Decimal) -> list[LossBreach]:
        found = []
        for measure, levels in self._levels.items():
            origin = self._from[measure]
            base = origin if self._capital is None else min(origin, self._capital)
            lost = CONTEXT.subtract(origin, equity)
            for level, limit in levels.given():
                # With nothing left to lose a fraction means nothing: every level is reached.
                if base <= ZERO or lost >= CONTEXT.multiply(base, limit):
                    found.append(LossBreach(measure, level, lost, base, limit))
        return found


def _finite(text: Any) -> Decimal:
    if not isinstance(text, str) or not (value := Decimal(text)).is_finite():
        raise ValueError(f"{text!r} is no amount")
    return value
