"""What a live run tells, about once a second, those monitors that want to know how it is."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Protocol

from attrs import field, frozen

__all__ = ["EngineStatus", "StatusMonitor"]


@frozen
class EngineStatus:
    """How the engine is.

    Attributes:
        timestamp: the engine's clock, UTC.
        trading_state: ``active``, ``reducing`` or ``halted``.
        drops: monitor -> what it was never told because its queue was full.
        kernel_busy_seconds: for how long the core, strategy and journal included, has been busy with one
            input; 0 while it waits for one.
        held: why orders are held back although the core has not come to it yet; None while they are not.
    """

    timestamp: datetime
    trading_state: str
    drops: Mapping[str, int] = field(factory=dict)
    kernel_busy_seconds: float = 0.0
    held: str | None = None


class StatusMonitor(Protocol):
    """A monitor that wants the engine's status. A replay has none to tell."""

    def on_status(self, status: EngineStatus) -> None:
        """About once a second; only the latest is kept for a monitor that is busy."""
        ...
