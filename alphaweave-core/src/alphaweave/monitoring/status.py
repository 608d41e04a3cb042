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
    """

    timestamp: datetime
    trading_state: str
    drops: Mapping[str, int] = field(factory=dict)


class StatusMonitor(Protocol):
    """A monitor that wants the engine's status. A replay has none to tell."""

    def on_status(self, status: EngineStatus) -> None:
        """About once a second; only the latest is kept for a monitor that is busy."""
        ...
