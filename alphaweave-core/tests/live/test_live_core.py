"""The core of a live run: each input is decided once, journaled before anything leaves, recovered whole."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from alphaweave.core.clock import from_ns
from alphaweave.core.order import GroupKind, OrderStatus, OrderType, TimeInForce
from alphaweave.live.adapters.capabilities import Capabilities


def _module(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules.setdefault(name, module)
    spec.loader.exec_module(module)
    return module


live = _module("live_bench")
CAPABILITIES = Capabilities(
    order_types=frozenset((kind, tif) for kind in OrderType for tif in (TimeInForce.DAY, TimeInForce.GTC)),
    shorting=True,
    replace=frozenset({"quantity", "limit_price", "stop_price"}),
    groups=frozenset(GroupKind),
    simulated=True,
)


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Any]:
    """Makes benches over one journal."""
    return lambda **words: live.LiveBench(tmp_path, CAPABILITIES, **words)


@pytest.fixture
def bench(make: Callable[..., Any]) -> Any:
    """A bench as it comes."""
    return make()


def ready(bench: Any) -> None:
    bench.settle()
    bench.bar()


def buy(size: int = 10) -> Any:
    return lambda strategy: strategy.order_market("SPY", size)


def test_nothing_is_sent_before_the_books_are_reconciled(bench: Any) -> None:
    """An order asked for before start-up reconciliation has passed is refused in words."""
    bench.asked.clear()
    handle = bench.bar(script=buy())
    assert (handle.status, handle.reason) == (OrderStatus.DENIED, "not_reconciled")
    assert not bench.sent
    assert [gate.open for gate in bench.gates] == [False]


def test_an_order_is_journaled_sent_acknowledged_and_filled(bench: Any) -> None:
    """An order's way through the core, with what the journal says of it at each step."""
    ready(bench)
    assert bench.gates[-1].open
    handle = bench.bar(script=buy())
    (sent,) = bench.sent
    assert [row.intent.client_order_id for row in bench.journal.recover().open_intents] == [sent.intent]
    bench.deliver()
    assert handle.status is OrderStatus.ACCEPTED
    bench.event(bench.broker.fill(sent.intent, "10", "100", from_ns(bench.now)))
    assert handle.status is OrderStatus.FILLED
    assert bench.kernel.books["SPY"].units == 10.0
    assert not bench.journal.recover().open_intents
