"""What a live core makes of odd moments: an exit that rests, answers out of season, a fill restated early."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from alphaweave.core.clock import from_ns
from alphaweave.core.order import OrderStatus, OrderType, TimeInForce
from alphaweave.live.actions import SendSubmit
from alphaweave.live.adapters.capabilities import Capabilities
from alphaweave.live.control import Verb
from alphaweave.live.reports import ConnectionLost


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
    simulated=True,
)


@pytest.fixture
def bench(tmp_path: Path) -> Any:
    """A bench that is reconciled, with a price."""
    made = live.LiveBench(tmp_path, CAPABILITIES)
    made.settle()
    made.bar()
    return made


def bought(bench: Any, size: int = 10) -> str:
    """Buy, and be filled; the name of the order."""
    bench.bar(script=lambda strategy: strategy.order_market("SPY", size))
    (sent,) = bench.deliver()
    bench.event(bench.broker.fill(sent.intent, str(size), "100", from_ns(bench.now)))
    return str(sent.intent)


@pytest.mark.parametrize("why", ["it rests", "nobody is there"])
def test_an_exit_that_has_to_wait_wakes_nobody_meanwhile(bench: Any, why: str) -> None:
    """While an exit rests, or the connection is lost, there is no time at which to try again."""
    bought(bench)
    bench.command(Verb.FLATTEN)
    (exit_,) = bench.sent
    assert isinstance(exit_, SendSubmit)
    bench.deliver()
    if why == "nobody is there":
        bench.event(bench.broker.end(exit_.intent, OrderStatus.CANCELLED, from_ns(bench.now)))
        bench.event(ConnectionLost(from_ns(bench.now), "cut"))
    bench.settle(8)
    due = bench.core.next_wakeup()
    assert due is None or due > bench.now
    assert not bench.sent
