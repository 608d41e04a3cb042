"""An instrument's trading rules change while it is traded, and the run trades by the new ones."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from attrs import evolve

from alphaweave.core.clock import from_ns
from alphaweave.core.instrument import PriceStep
from alphaweave.core.order import OrderType, TimeInForce
from alphaweave.live.actions import InstrumentsQuery, SendSubmit
from alphaweave.live.adapters.capabilities import Capabilities
from alphaweave.live.inputs import AnswerInput, OutcomeInput, OutcomeKind, SendOutcome


def _module(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules.setdefault(name, module)
    spec.loader.exec_module(module)
    return module


live = _module("live_bench")
D = Decimal
HOUR = 3600
CAPABILITIES = Capabilities(order_types=frozenset((kind, TimeInForce.DAY) for kind in OrderType))
Bench = Callable[..., Any]


@pytest.fixture
def make(tmp_path: Path) -> Bench:
    def build(**words: Any) -> Any:
        bench = live.LiveBench(tmp_path, CAPABILITIES, reconcile={"rules": float(HOUR), **words})
        bench.settle(2)
        bench.bar()
        return bench

    return build


def change(bench: Any, **terms: Any) -> None:
    """The broker has other rules from now on."""
    bench.broker.rules["SPY"] = evolve(bench.broker.rules["SPY"], **terms)


def later(bench: Any, seconds: int = HOUR) -> None:
    """Time passes in one step, and the broker answers."""
    bench.now += seconds * live.SECOND
    bench.settle(3)
    bench.bar()


def sent(bench: Any, size: str = "5", price: str = "100.123") -> Any:
    bench.at_once(lambda s: s.order_limit("SPY", D(size), D(price)))
    (order,) = bench.sent
    assert isinstance(order, SendSubmit)
    return order


def test_orders_are_rounded_by_rules_that_changed(make: Bench) -> None:
    bench = make()
    assert sent(bench).request.limit_price == D("100.12")
    bench.deliver()
    change(bench, price_steps=(PriceStep(D(0), D("0.5")),), size_step=D(2))
    later(bench)
    request = sent(bench).request
    assert (request.limit_price, request.quantity) == (100, 4)
    (alert,) = [note for note in bench.told if getattr(note, "code", "") == "rules_changed"]
    assert alert.message == "SPY: price_steps 0.01 -> 0.5, size_step 1 -> 2"


def test_rules_are_looked_at_by_the_interval_and_said_once(make: Bench) -> None:
    bench = make()
    asked: list[Any] = []
    answer = bench.broker.answer

    def heard(query: Any, at: Any) -> Any:
        asked.append(query)
        return answer(query, at)

    bench.broker.answer = heard
    later(bench, HOUR - 120)
    assert not [one for one in asked if isinstance(one, InstrumentsQuery)]
    later(bench, 120)
    later(bench)
    assert [one.symbols for one in asked if isinstance(one, InstrumentsQuery)] == [("SPY",), ("SPY",)]
    assert "rules_changed" not in bench.alerts()


def test_rules_that_are_not_answered_are_asked_for_a_minute_later(make: Bench) -> None:
    """The question may be a dear one, and nothing waits for it."""
    bench = make()
    failures: list[int] = []

    def answer() -> None:
        while bench.asked:
            query = bench.asked.pop(0)
            if isinstance(query, InstrumentsQuery):
                failures.append(bench.now // live.SECOND)
                bench.give(AnswerInput(bench.now, query, None, "no answer"))
            else:
                bench.give(AnswerInput(bench.now, query, bench.broker.answer(query, from_ns(bench.now))))

    bench.answer = answer
    later(bench)
    bench.settle(100)
    assert len(failures) >= 2
    assert failures[1] - failures[0] == 60


@pytest.mark.parametrize(("code", "looked"), [("invalid_price", True), ("insufficient_funds", False)])
def test_refusal_by_the_rules_makes_it_look_at_them(make: Bench, code: str, looked: bool) -> None:
    bench = make()
    order = sent(bench)
    change(bench, price_steps=(PriceStep(D(0), D("0.5")),))
    bench.give(OutcomeInput(bench.now, order.intent, SendOutcome(OutcomeKind.REJECTED, code=code)))
    bench.settle(3)
    assert ("rules_changed" in bench.alerts()) is looked


def test_what_is_not_traded_is_looked_at_again_soon(make: Bench) -> None:
    bench = make()
    rules = dict(bench.broker.rules)
    bench.broker.rules.clear()
    bench.broker.rules["QQQ"] = rules["SPY"]
    later(bench)
    assert bench.at_once(lambda s: s.order_market("SPY", 1)).reason == "not_tradable"
    bench.broker.rules = rules
    later(bench, 61)
    assert bench.at_once(lambda s: s.order_market("SPY", 1)).reason is None


def test_what_the_config_says_holds(make: Bench) -> None:
    bench = make(written={"SPY": {"size_step": D(1)}})
    change(bench, size_step=D(2), max_size=D(7))
    later(bench)
    assert bench.kernel.books["SPY"].instrument.size_step == 1
    assert bench.kernel.books["SPY"].instrument.max_size == 7


def test_another_instrument_under_that_name_halts_the_symbol(make: Bench) -> None:
    bench = make()
    change(bench, multiplier=D(100))
    later(bench)
    assert bench.kernel.books["SPY"].instrument.multiplier == 1
    assert bench.at_once(lambda s: s.order_market("SPY", 1)).reason == "trading_halted"


def test_restart_keeps_the_rules_that_it_was_started_with(make: Bench) -> None:
    """They were asked for later than those in its journal."""
    bench = make()
    change(bench, size_step=D(2))
    later(bench)
    assert bench.kernel.books["SPY"].instrument.size_step == 2
    bench.crash()
    assert bench.kernel.books["SPY"].instrument.size_step == 1
