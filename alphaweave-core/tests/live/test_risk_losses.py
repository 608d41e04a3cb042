"""Losses of a day and from the peak: levels, days, restarts, flows of cash, and what is not known."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from alphaweave.core.clock import to_ns
from alphaweave.core.errors import StateCorrupt
from alphaweave.core.instrument import Instrument
from alphaweave.core.order import OrderRequest, Side
from alphaweave.live.risk import RiskChain
from alphaweave.live.risk_losses import LossGuard, LossLevel, LossLevels
from alphaweave.live.risk_rules import Proposal
from alphaweave.live.trading_state import KillStep

D = Decimal
LEVELS = LossLevels(warn=D("0.02"), reduce=D("0.03"), flatten=D("0.05"))


def at(day: int, hour: int = 12, minute: int = 0) -> int:
    return to_ns(datetime(2026, 1, day, hour, minute, tzinfo=UTC))


def proposal(*, reduces: bool = False) -> Proposal:
    request = OrderRequest("SPY", Side.BUY, quantity=D(1))
    instrument = Instrument(symbol="SPY", venue_symbol="SPY")
    return Proposal("SPY", instrument, Side.BUY, D(1), request=request, price=D(100), reduces=reduces)


def see(guard: LossGuard, when: int, equity: int | str | None) -> list[tuple[str, str]]:
    """What was reached by this equity."""
    guard.advance(when)
    found = guard.update(None if equity is None else D(equity))
    return [(breach.measure, breach.level.value) for breach in found]


def denied(guard: LossGuard) -> str | None:
    denial = RiskChain([guard]).check(proposal())
    return None if denial is None else denial.code


def again(guard: LossGuard, **settings: Any) -> LossGuard:
    """The guard after a restart."""
    fresh = LossGuard(**settings)
    fresh.restore(json.loads(json.dumps(guard.snapshot())))
    return fresh


@pytest.mark.parametrize(
    ("equity", "reached", "code"),
    [
        ("980.01", [], None),
        ("980", ["warn"], None),
        ("970.01", ["warn"], None),
        ("970", ["warn", "reduce"], "daily_loss"),
        ("950.01", ["warn", "reduce"], "daily_loss"),
        ("950", ["warn", "reduce", "flatten"], "daily_loss"),
    ],
)
def test_level_is_reached_at_its_fraction(equity: str, reached: list[str], code: str | None) -> None:
    """2, 3 and 5 % of 1,000, to the cent; a warning holds nothing back."""
    guard = LossGuard(daily=LEVELS)
    assert see(guard, at(5), 1000) == []
    assert see(guard, at(5), equity) == [("daily_loss", level) for level in reached]
    assert denied(guard) == code


def test_levels_ask_for_their_rungs_once() -> None:
    """Reduce only, then flatten; an equity that comes and goes asks no second time that day."""
    guard = LossGuard(daily=LEVELS)
    see(guard, at(5), 1000)
    see(guard, at(5), 960)
    (wanted,) = guard.escalations()
    assert (wanted.step, wanted.code) == (KillStep.REDUCE_ONLY, "daily_loss")
    assert wanted.reason == "40 lost today, which reaches 3 % of 1000 (reduce)"
    assert see(guard, at(5), 1000) == []
    assert denied(guard) is None
    assert see(guard, at(5), 960) == []
    assert guard.escalations() == ()
    assert see(guard, at(5), 940) == [("daily_loss", "flatten")]
    assert [wanted.step for wanted in guard.escalations()] == [KillStep.FLATTEN]


def test_reductions_pass() -> None:
    """Whoever has lost may still get out."""
    guard = LossGuard(daily=LEVELS)
    see(guard, at(5), 1000)
    see(guard, at(5), 900)
    assert RiskChain([guard]).check(proposal(reduces=True)) is None
    assert denied(guard) == "daily_loss"


def test_day_begins_with_the_last_equity_before_it() -> None:
    """A gap over night is a loss of the new day; the day before is not."""
    guard = LossGuard(daily=LEVELS)
    see(guard, at(5), 1000)
    see(guard, at(5, 20), 975)
    assert see(guard, at(6), 956) == []
    assert guard.baseline == 975
    assert see(guard, at(6), "955.5") == [("daily_loss", "warn")]


def test_day_is_that_of_the_zone() -> None:
    """Five in the morning UTC is midnight in New York."""
    guard = LossGuard(daily=LEVELS, timezone="America/New_York")
    see(guard, at(5), 1000)
    see(guard, at(6, 4, 59), 990)
    assert guard.baseline == 1000
    see(guard, at(6, 5), 990)
    assert guard.baseline == 990


def test_drawdown_is_measured_from_the_peak_over_days() -> None:
    """A new day lifts nothing; a new peak begins anew."""
    guard = LossGuard(drawdown=LEVELS)
    see(guard, at(5), 1000)
    see(guard, at(6), 1200)
    assert see(guard, at(7), 1164) == [("drawdown", "warn"), ("drawdown", "reduce")]
    assert see(guard, at(8), 1164) == []
    assert denied(guard) == "drawdown"
    assert see(guard, at(9), 1300) == []
    assert see(guard, at(9), 1261) == [("drawdown", "warn"), ("drawdown", "reduce")]


def test_baselines_survive_a_restart() -> None:
    """A crash in a loss resets neither the day's baseline nor the peak, nor is anything told twice."""
    settings: dict[str, Any] = {"daily": LEVELS, "drawdown": LossLevels(flatten=D("0.1"))}
    guard = LossGuard(**settings)
    see(guard, at(5), 1000)
    see(guard, at(5), 975)
    back = again(guard, **settings)
    assert (back.baseline, back.peak) == (1000, 1000)
    assert denied(back) == "equity_unknown"
    assert see(back, at(5), 975) == []
    assert see(back, at(5), 970) == [("daily_loss", "reduce")]
    assert see(back, at(6), 900) == [
        ("daily_loss", "warn"),
        ("daily_loss", "reduce"),
        ("daily_loss", "flatten"),
        ("drawdown", "flatten"),
    ]


def test_flows_are_no_losses() -> None:
    """A withdrawal moves what is compared, also over midnight; a deposit hides no loss."""
    guard = LossGuard(daily=LEVELS, drawdown=LEVELS)
    see(guard, at(5), 1000)
    guard.flow(D(-500))
    assert see(guard, at(5), 500) == []
    assert (guard.baseline, guard.peak) == (500, 500)
    guard.flow(D(500))
    assert see(guard, at(6), 960) == [
        ("daily_loss", "warn"),
        ("daily_loss", "reduce"),
        ("drawdown", "warn"),
        ("drawdown", "reduce"),
    ]


def test_capital_caps_what_fractions_are_of() -> None:
    """Three per cent of a run's 1,000, however large its account is."""
    guard = LossGuard(daily=LEVELS, capital=D(1000))
    see(guard, at(5), 100_000)
    assert see(guard, at(5), "99970") == [("daily_loss", "warn"), ("daily_loss", "reduce")]
    small = LossGuard(daily=LEVELS, capital=D(1000))
    see(small, at(5), 100)
    assert see(small, at(5), 97) == [("daily_loss", "warn"), ("daily_loss", "reduce")]


@pytest.mark.parametrize("equity", [None, "NaN"])
def test_unknown_equity_denies(equity: str | None) -> None:
    """Nobody knows what was lost; once it is known again, trading goes on."""
    guard = LossGuard(daily=LEVELS)
    assert denied(guard) == "equity_unknown"
    see(guard, at(5), 1000)
    assert denied(guard) is None
    assert see(guard, at(5), equity) == []
    assert denied(guard) == "equity_unknown"
    see(guard, at(5), 1000)
    assert denied(guard) is None


@pytest.mark.parametrize("equity", [0, -5])
def test_account_without_equity_has_lost_everything(equity: int) -> None:
    """Of nothing there is no fraction: every level is reached."""
    guard = LossGuard(daily=LEVELS)
    assert see(guard, at(5), equity) == [("daily_loss", level.value) for level in LossLevel]


def test_guard_without_levels_judges_nothing() -> None:
    """There is no default; what is not written is off, and needs no equity."""
    guard = LossGuard()
    assert denied(guard) is None
    see(guard, at(5), 1000)
    assert see(guard, at(5), 1) == []
    assert denied(guard) is None


def test_operator_may_measure_anew() -> None:
    """Then the same loss is told again."""
    guard = LossGuard(drawdown=LEVELS)
    with pytest.raises(ValueError, match="no equity is known yet"):
        guard.rebase("drawdown")
    see(guard, at(5), 1000)
    see(guard, at(5), 900)
    guard.rebase("drawdown")
    assert denied(guard) is None
    assert guard.peak == 900
    assert see(guard, at(5), 882) == [("drawdown", "warn")]
    with pytest.raises(ValueError, match="cannot be measured anew"):
        guard.rebase("weekly")


@pytest.mark.parametrize(
    "levels",
    [
        {"warn": D(0)},
        {"flatten": D("1.01")},
        {"warn": D("0.05"), "reduce": D("0.03")},
        {"reduce": D("0.05"), "flatten": D("0.03")},
    ],
)
def test_levels_rise_and_are_fractions(levels: dict[str, Decimal]) -> None:
    """Three per cent is 0.03, not 3."""
    with pytest.raises(ValueError, match="loss levels are fractions"):
        LossLevels(**levels)


@pytest.mark.parametrize(
    "change",
    [
        {"day": "monday"},
        {"day": None},
        {"equity": 5.0},
        {"equity": "NaN"},
        {"from": {"weekly": "1"}},
        {"from": {"drawdown": "much"}},
        {"told": [["drawdown", "panic"]]},
        {"told": None},
    ],
)
def test_unreadable_baselines_are_refused(change: dict[str, Any]) -> None:
    """Starting from the equity of now would forget the loss."""
    guard = LossGuard(daily=LEVELS)
    see(guard, at(5), 1000)
    with pytest.raises(StateCorrupt, match="risk rule loss_limit cannot be read"):
        LossGuard(daily=LEVELS).restore({**guard.snapshot(), **change})
    with pytest.raises(StateCorrupt):
        LossGuard(daily=LEVELS).restore({})


def test_guard_needs_a_time() -> None:
    """Nobody can tell the day of an equity without one."""
    with pytest.raises(ValueError, match="told the time"):
        LossGuard(daily=LEVELS).update(D(1))
