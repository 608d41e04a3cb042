"""The trading state and the kill ladder: what latches, what it demands, who may lift it."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from itertools import product
from typing import Any

import pytest

from alphaweave.core.errors import StateCorrupt
from alphaweave.core.instrument import Instrument
from alphaweave.core.order import OrderRequest, Side
from alphaweave.live.risk import RiskChain
from alphaweave.live.risk_rules import Proposal
from alphaweave.live.trading_state import (
    ACTIONS,
    Actions,
    Cancel,
    Escalation,
    KillStep,
    TradingState,
    TradingStateRule,
    TradingStates,
)

ACTIVE, REDUCING, HALTED = TradingState


def want(step: KillStep, code: str = "rule", symbol: str | None = None) -> Escalation:
    return Escalation(step, code, "it was too much", symbol)


def proposal(symbol: str = "SPY", *, reduces: bool = False) -> Proposal:
    one = Decimal(1)
    request = OrderRequest(symbol, Side.BUY, quantity=one)
    instrument = Instrument(symbol=symbol, venue_symbol=symbol)
    return Proposal(symbol, instrument, Side.BUY, one, request=request, price=one, reduces=reduces)


def test_new_states_are_active() -> None:
    """Nothing is latched before anything happened."""
    states = TradingStates()
    assert (states.state(), states.state("SPY"), states.causes()) == (ACTIVE, ACTIVE, ())


@pytest.mark.parametrize(
    ("step", "actions"),
    [
        (KillStep.BLOCK_NEW, Actions(REDUCING)),
        (KillStep.REDUCE_ONLY, Actions(REDUCING, Cancel.ADDING)),
        (KillStep.CANCEL_ALL, Actions(HALTED, Cancel.ALL)),
        (KillStep.FLATTEN, Actions(HALTED, Cancel.ALL, flatten=True)),
        (KillStep.STOP, Actions(HALTED, Cancel.ALL, stop=True)),
    ],
)
def test_each_rung_demands_its_own(step: KillStep, actions: Actions) -> None:
    """The ladder, rung by rung, with the cause as it was given."""
    states = TradingStates()
    changed = states.escalate(want(step), at_ns=7)
    assert changed is not None
    assert (changed.before, changed.after, changed.actions) == (ACTIVE, actions.state, actions)
    assert changed.cause is not None
    assert (changed.cause.step, changed.cause.who, changed.cause.at_ns) == (step, "engine", 7)
    assert states.actions() == actions


@pytest.mark.parametrize(("first", "second"), list(product(KillStep, KillStep)))
def test_ladder_is_never_climbed_down(first: KillStep, second: KillStep) -> None:
    """Whatever comes second, all that was demanded stays demanded, and only what is new has to be done."""
    states = TradingStates()
    states.escalate(want(first, "a"), at_ns=1)
    before = states.actions()
    changed = states.escalate(want(second, "b"), at_ns=2)
    after = states.actions()
    assert changed is not None
    order = list(TradingState)
    worst = max(ACTIONS[first].state, ACTIONS[second].state, key=order.index)
    assert (after.state, changed.after) == (worst, worst)
    for demand in ("flatten", "stop"):
        asked = getattr(ACTIONS[first], demand) or getattr(ACTIONS[second], demand)
        assert getattr(after, demand) == asked
        assert getattr(changed.actions, demand) == (asked and not getattr(before, demand))
    assert changed.actions.cancel is (Cancel.NONE if before.cancel is after.cancel else after.cancel)


def test_same_demand_of_one_rule_is_latched_once() -> None:
    """Said again it changes nothing; another rung, or another rule, adds its cause."""
    states = TradingStates()
    assert states.escalate(want(KillStep.STOP), at_ns=1) is not None
    assert states.escalate(want(KillStep.STOP), at_ns=2) is None
    flatten = states.escalate(want(KillStep.FLATTEN), at_ns=3)
    assert flatten is not None
    assert flatten.actions.flatten
    assert [cause.at_ns for cause in states.causes()] == [1, 3]


def test_symbol_is_as_strict_as_its_account() -> None:
    """A symbol alone stops nothing else; an account stops every symbol."""
    states = TradingStates()
    states.escalate(want(KillStep.CANCEL_ALL, symbol="SPY"), at_ns=1)
    assert (states.state(), states.state("QQQ"), states.state("SPY")) == (ACTIVE, ACTIVE, HALTED)
    states.escalate(want(KillStep.BLOCK_NEW), at_ns=2)
    assert (states.state(), states.state("QQQ"), states.state("SPY")) == (REDUCING, REDUCING, HALTED)
    assert states.actions("SPY") == Actions(HALTED, Cancel.ALL)
    assert states.symbols() == ("SPY",)


def test_symbol_cannot_be_stopped() -> None:
    """Only a run ends."""
    with pytest.raises(ValueError, match="halt the symbol instead"):
        TradingStates().escalate(want(KillStep.STOP, symbol="SPY"), at_ns=1)


@pytest.mark.parametrize(
    ("operator", "reason"), [("", "checked"), ("  ", "checked"), ("anna", ""), ("anna", " ")]
)
def test_resuming_needs_an_operator_and_a_reason(operator: str, reason: str) -> None:
    """Without both everything stays latched."""
    states = TradingStates()
    states.escalate(want(KillStep.CANCEL_ALL), at_ns=1)
    with pytest.raises(ValueError, match=r"named|say which"):
        states.resume(operator, reason, at_ns=2)
    assert states.state() is HALTED


def test_operator_lifts_one_scope_at_a_time() -> None:
    """The account, then the symbol; each is on record with who and why."""
    states = TradingStates()
    states.escalate(want(KillStep.CANCEL_ALL), who="anna", at_ns=1)
    states.escalate(want(KillStep.BLOCK_NEW, symbol="SPY"), at_ns=2)
    changed = states.resume("anna ", " positions checked ", at_ns=3)
    assert changed is not None
    assert (changed.operator, changed.reason, changed.at_ns) == ("anna", "positions checked", 3)
    assert (changed.before, changed.after, changed.actions) == (HALTED, ACTIVE, Actions(ACTIVE))
    assert (states.state(), states.state("SPY")) == (ACTIVE, REDUCING)
    assert states.resume("anna", "again", at_ns=4) is None
    assert states.resume("anna", "fine", at_ns=5, symbol="SPY") is not None
    assert states.state("SPY") is ACTIVE


def test_states_survive_a_restart() -> None:
    """Through JSON, with every cause in order."""
    states = TradingStates()
    states.escalate(want(KillStep.BLOCK_NEW, "order_rate"), at_ns=1)
    states.escalate(want(KillStep.FLATTEN, "operator"), who="anna", at_ns=2)
    states.escalate(want(KillStep.CANCEL_ALL, "mismatch", "SPY"), at_ns=3)
    back = TradingStates.restore(json.loads(json.dumps(states.snapshot())))
    assert back.snapshot() == states.snapshot()
    assert (back.causes(), back.causes("SPY")) == (states.causes(), states.causes("SPY"))
    assert back.state("SPY") is HALTED


def _spoil(change: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    states = TradingStates()
    states.escalate(want(KillStep.CANCEL_ALL), at_ns=1)
    saved = states.snapshot()
    change(saved)
    return saved


@pytest.mark.parametrize(
    "saved",
    [
        None,
        [],
        {},
        {"version": 2, "latched": []},
        {"version": 1},
        _spoil(lambda saved: saved["latched"][0].pop("symbol")),
        _spoil(lambda saved: saved["latched"][0].update(causes=[])),
        _spoil(lambda saved: saved["latched"][0]["causes"][0].update(step="resume")),
        _spoil(lambda saved: saved["latched"][0]["causes"][0].update(at_ns="1")),
        _spoil(lambda saved: saved["latched"][0]["causes"][0].update(who=None)),
        _spoil(lambda saved: saved["latched"].append(saved["latched"][0])),
    ],
)
def test_unreadable_state_is_no_active_state(saved: Any) -> None:
    """What cannot be read is refused: guessing would lift a halt."""
    with pytest.raises(StateCorrupt, match="it is not guessed"):
        TradingStates.restore(saved)


def test_rule_lets_pass_what_the_state_allows() -> None:
    """Everything, then reductions, then nothing; the denial names the cause."""
    states = TradingStates()
    chain = RiskChain([TradingStateRule(states)])
    assert chain.check(proposal()) is None
    states.escalate(want(KillStep.BLOCK_NEW, "daily_loss"), at_ns=1)
    denial = chain.check(proposal())
    assert denial is not None
    assert denial.code == "trading_reducing"
    assert denial.text.endswith("since daily_loss (engine): it was too much")
    assert chain.check(proposal(reduces=True)) is None
    states.escalate(want(KillStep.CANCEL_ALL, "operator", "SPY"), who="anna", at_ns=2)
    for reduces in (False, True):
        denial = chain.check(proposal(reduces=reduces))
        assert denial is not None
        assert denial.code == "trading_halted"
        assert "operator (anna)" in denial.text
    assert chain.check(proposal("QQQ", reduces=True)) is None
