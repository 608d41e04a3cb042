"""AlphaWeave: one strategy, one config, any broker found by name.

What a strategy author needs is here; each name is imported when it is first used, so that importing the
package costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from alphaweave.core.instrument import Instrument
    from alphaweave.core.order import OrderStatus, OrderType, Side, TimeInForce
    from alphaweave.live.backtest import VectorBacktester
    from alphaweave.live.config import load_live_config, parse_live_config
    from alphaweave.live.runner import LiveRunner
    from alphaweave.monitoring.memory import InMemoryMonitor
    from alphaweave.monitoring.run import RunMonitor
    from alphaweave.strategy.events import Fill, Gap, GroupHandle, OrderEvent, OrderHandle
    from alphaweave.strategy.strategy import Strategy

__all__ = [
    "Fill",
    "Gap",
    "GroupHandle",
    "InMemoryMonitor",
    "Instrument",
    "LiveRunner",
    "OrderEvent",
    "OrderHandle",
    "OrderStatus",
    "OrderType",
    "RunMonitor",
    "Side",
    "Strategy",
    "TimeInForce",
    "VectorBacktester",
    "__version__",
    "load_live_config",
    "parse_live_config",
]

__version__ = "0.1.0"

_HOMES = {
    "Fill": "alphaweave.strategy.events",
    "Gap": "alphaweave.strategy.events",
    "GroupHandle": "alphaweave.strategy.events",
    "InMemoryMonitor": "alphaweave.monitoring.memory",
    "Instrument": "alphaweave.core.instrument",
    "LiveRunner": "alphaweave.live.runner",
    "OrderEvent": "alphaweave.strategy.events",
    "OrderHandle": "alphaweave.strategy.events",
    "OrderStatus": "alphaweave.core.order",
    "OrderType": "alphaweave.core.order",
    "RunMonitor": "alphaweave.monitoring.run",
    "Side": "alphaweave.core.order",
    "Strategy": "alphaweave.strategy.strategy",
    "TimeInForce": "alphaweave.core.order",
    "VectorBacktester": "alphaweave.live.backtest",
    "load_live_config": "alphaweave.live.config",
    "parse_live_config": "alphaweave.live.config",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'alphaweave' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
