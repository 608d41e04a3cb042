"""What every connection of the sandbox goes through: counted, recorded, limited, and struck by faults."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import datetime
from typing import Any

from attrs import define, field

from alphaweave.testing.sandbox import Action, Fault, WireRequest

__all__ = ["Armed", "Quota", "Recorder"]


@define
class Armed:
    """A fault that waits for requests."""

    fault: Fault
    times: int
    retry_after: float = 1.0


class Quota:
    """So many requests in a window of the sandbox's time."""

    def __init__(self, limit: int, window: float, now: Callable[[], datetime]) -> None:
        self.limit, self._window, self._now = limit, window, now
        self._began, self._used = 0.0, 0

    def take(self) -> bool:
        """Count a request; False if it is one too many."""
        present = self._now().timestamp()
        if present >= self._began + self._window:
            self._began = math.floor(present / self._window) * self._window
            self._used = 0
        self._used += 1
        return self._used <= self.limit

    def headers(self, retry_after: float | None = None) -> dict[str, str]:
        """What every answer bears.

        Args:
            retry_after: seconds, for an answer that refuses though nothing is used up.
        """
        reset = self._began + self._window
        remaining = max(0, self.limit - self._used)
        if retry_after is not None:
            reset, remaining = self._now().timestamp() + retry_after, 0
        return {
            "X-RateLimit-Limit": str(self.limit),
            "X-RateLimit-Remaining": str(remaining),
            "X-RateLimit-Reset": str(math.ceil(reset)),
        }


@define
class Recorder:
    """Every request, and the faults that wait for the next ones."""

    now: Callable[[], datetime]
    requests: list[WireRequest] = field(factory=list)
    armed: dict[Action, Armed] = field(factory=dict)
    _connections: dict[int, int] = field(factory=dict)
    _kept: list[Any] = field(factory=list)

    def record(
        self, action: Action, what: str, raw: bytes, ids: tuple[str, ...], connection: object
    ) -> WireRequest:
        number = self._connections.get(id(connection))
        if number is None:
            # Kept, so that no other connection is given the same id.
            self._kept.append(connection)
            number = self._connections[id(connection)] = len(self._kept)
        request = WireRequest(len(self.requests) + 1, self.now(), action, what, raw, ids, number)
        self.requests.append(request)
        return request

    def strike(self, action: Action) -> Armed | None:
        """The fault that befalls a request of this action."""
        armed = self.armed.get(action)
        if armed is None:
            return None
        armed.times -= 1
        if armed.times <= 0:
            del self.armed[action]
        return armed
