"""What every connection of the sandbox goes through: recorded, and struck by faults."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from attrs import define, field

from alphaweave.testing.sandbox import Action, Fault, WireRequest

__all__ = ["Armed", "Recorder"]


@define
class Armed:
    """A fault that waits for requests."""

    fault: Fault
    times: int
    retry_after: float = 1.0


@define
class Recorder:
    """Every request, and the faults that wait for the next ones."""

    now: Callable[[], datetime]
    requests: list[WireRequest] = field(factory=list)
    armed: dict[Action, Armed] = field(factory=dict)
    _connections: dict[int, int] = field(factory=dict)
    _kept: list[Any] = field(factory=list)

    def record(self, action: Action, what: str, raw: bytes, ids: tuple[str, ...], connection: object) -> None:
        number = self._connections.get(id(connection))
        if number is None:
            # Kept, so that no other connection is given the same id.
            self._kept.append(connection)
            number = self._connections[id(connection)] = len(self._kept)
        self.requests.append(WireRequest(len(self.requests) + 1, self.now(), action, what, raw, ids, number))

    def strike(self, action: Action) -> Armed | None:
        """The fault that befalls a request of this action."""
        armed = self.armed.get(action)
        if armed is None:
            return None
        armed.times -= 1
        if armed.times <= 0:
            del self.armed[action]
        return armed
