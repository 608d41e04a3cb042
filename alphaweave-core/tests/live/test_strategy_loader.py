"""From a config to a strategy: what a class may not do to the API, told when it is loaded."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from textwrap import indent
from typing import Any

import pytest

from alphaweave.core.errors import ConfigError, StrategyError
from alphaweave.data.series import Series
from alphaweave.live.backtest import VectorBacktester
from alphaweave.live.strategy_loader import load_strategy
from alphaweave.strategy.strategy import Strategy

Load = Callable[..., Strategy]
HEAD = "import functools\nfrom alphaweave import Strategy\n\n\nclass Mine(Strategy):\n"


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    """Load a class with that body."""

    def call(body: str, params: Mapping[str, Any] | None = None) -> Strategy:
        (tmp_path / "loaded_mine.py").write_text(HEAD + indent(body, "    "))
        monkeypatch.delitem(sys.modules, "loaded_mine", raising=False)
        monkeypatch.setattr(sys, "dont_write_bytecode", True)
        return load_strategy("loaded_mine:Mine", params or {}, folder=tmp_path)

    return call


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("async def next(self, i): pass", "next is async, and would never run"),
        ("async def on_fill(self, fill):\n    yield 1", "on_fill is async, and would never run"),
        ("def next(self, i):\n    yield i", "next has a yield in it, so that it would never run"),
        ("def get_state(self):\n    yield 1", "get_state has a yield in it"),
        ("async def order_market(self, *a, **k): pass", "order_market is async"),
        ("@classmethod\nasync def migrate_state(cls, state, version): pass", "migrate_state is async"),
        ("position = 3", "position is a method of every strategy, and cannot be 3; rename yours"),
        ("order_limit = None", "order_limit is a method of every strategy, and cannot be None"),
        ("next = 'up'", "next is a method of every strategy, and cannot be 'up'"),
        (
            "@property\ndef close(self): return 1",
            "close is a method of every strategy, and cannot be a property",
        ),
        ("def equity(self): return 1", "equity is a property of every strategy (self.equity); rename yours"),
        ("cash = 1000", "cash is a property of every strategy"),
        ("symbols = ['SPY']", "symbols is a property of every strategy"),
        ("state_version = '2'", "state_version is a whole number, not '2'"),
        ("_desk = 1", "_desk is the engine's own; rename yours"),
        ("def _bind(self, desk): pass", "_bind is the engine's own; rename yours"),
        (
            "def __init__(self): self.position = 0",
            "__init__ sets position, which the Strategy API needs; rename it",
        ),
    ],
)
def test_class_that_breaks_the_api_is_refused_when_it_is_loaded(load: Load, body: str, told: str) -> None:
    """What would otherwise fail in the middle of a run, or pass over its own code in silence."""
    with pytest.raises(ConfigError) as caught:
        load(body)
    (problem,) = caught.value.problems
    assert problem.path == "strategy.class"
    assert f"loaded_mine:Mine: {told}" in problem.message


def test_every_breach_is_told_at_once(load: Load) -> None:
    with pytest.raises(ConfigError) as caught:
        load("position = 3\nasync def next(self, i): pass\n_desk = 1")
    assert len(caught.value.problems) == 3


@pytest.mark.parametrize(
    "body",
    [
        "def next(self, i): self.seen = i",
        "fast = 3\nposition_size = 5\nclass Inner: pass",
        "def close(self, symbol=None): return super().close(symbol)",
        "@property\ndef equity(self): return super().equity / 2",
        "order_market = functools.partialmethod(Strategy.order_market, reduce_only=True)",
        "state_version = 2\n@classmethod\ndef migrate_state(cls, state, version): return state",
        "def get_state(self): return {'a': [n for n in (1, 2)]}\ndef set_state(self, state): pass",
        "def helper(self):\n    yield 1",
        "on_fill = lambda self, fill: None",
    ],
)
def test_class_that_overrides_like_with_like_is_loaded(load: Load, body: str) -> None:
    """Callbacks, saved state, calls of the API wrapped in calls, and whatever has a name of its own."""
    assert type(load(body)).__name__ == "Mine"


@pytest.mark.parametrize(
    ("body", "params", "told"),
    [
        ("pass", {"self": 1}, "Mine cannot be made with these: multiple values for argument 'self'."),
        ("def __init__(self, fast): pass", {"fats": 1}, "missing a required argument: 'fast'"),
        ("def __init__(self, fast=1): pass", {"fats": 1}, "got an unexpected keyword argument 'fats'."),
        ("fast = 3", {"slow": 1}, "Mine has no parameter 'slow'; it has: fast"),
        ("fast = 3", {"position": 1}, "Mine has no parameter 'position'"),
    ],
)
def test_params_that_do_not_fit_are_a_problem_of_the_config(
    load: Load, body: str, params: dict[str, Any], told: str
) -> None:
    """Not a failure of the strategy, and never a bare TypeError."""
    with pytest.raises(ConfigError) as caught:
        load(body, params)
    (problem,) = caught.value.problems
    assert problem.path == "strategy.params"
    assert told in problem.message
    assert problem.suggestion == ("fast" if "fats" in params else None)


def test_strategy_that_quits_is_a_strategy_that_failed(load: Load) -> None:
    """A run that never began must not end as if all were well."""
    with pytest.raises(StrategyError, match="__init__ raised SystemExit: 0"):
        load("def __init__(self): raise SystemExit(0)")


def test_backtester_refuses_the_same_classes() -> None:
    """It is handed a class, which no loader has looked at."""

    class Never(Strategy):
        position = 3  # type: ignore[assignment]

        async def next(self, i: int) -> None:  # type: ignore[override]
            raise AssertionError

    with pytest.raises(StrategyError, match=r"next is async.*; position is a method of every strategy"):
        VectorBacktester().run(Never, Series("A", "1d"))


def test_init_that_hides_a_name_of_the_api_fails_the_run() -> None:
    """Only then is it known; what is read afterwards would be that, and never the position."""

    class Hides(Strategy):
        def init(self) -> None:
            self.position = 0  # type: ignore[assignment,method-assign]
            self.positions = {"A": 0}

    bars = Series.from_columns(
        "A", "1d", start=[0], end=[1], open=[1.0], high=[1.0], low=[1.0], close=[1.0], volume=[1.0]
    )
    with pytest.raises(StrategyError, match=r"Hides\.init sets position, which the Strategy API needs"):
        VectorBacktester().run(Hides, bars)
