"""Whether orders can reach Interactive Brokers: through the gateway, and from it to the servers."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from alphaweave.core.errors import BrokerUnavailable
from alphaweave.live.adapters.supervisor import LinkReport
from alphaweave.live.broker import BrokerEvent, ConnectionLost, ConnectionRestored
from alphaweave_broker_ibkr.pace import Unsent

__all__ = ["Reachability"]


class Reachability:
    """Two connections in a row: lost when either is, restored when both work, and each told once.

    An order that is sent while the gateway has lost its servers waits there, and a change of one that waits
    has become a second order: nothing is sent then, though the gateway takes it.

    Attributes:
        losses: how often the servers were lost.
    """

    def __init__(self, tell: Callable[[BrokerEvent], None]) -> None:
        self._tell = tell
        self.losses = 0
        self._lost = self._down = False
        self._servers = ""

    def begin(self) -> None:
        """A connection is made: it says by itself what it lacks."""
        self._servers = ""

    def link(self, event: LinkReport) -> None:
        """What the connection to the gateway has to say."""
        if isinstance(event, ConnectionLost):
            self._down = True
            self._lose(event)
        elif isinstance(event, ConnectionRestored):
            self._down = False
            self._restore(event)
        else:
            self._tell(event)

    def servers_lost(self, at: datetime, text: str) -> None:
        """The gateway has lost the servers."""
        self._servers = text
        self.losses += 1
        self._lose(ConnectionLost(at, f"the gateway has no connection to Interactive Brokers: {text}"))

    def servers_back(self, at: datetime, text: str, losses: int | None = None) -> None:
        """The gateway has found them again, and answers; ``losses``: as they were when it said so, for it may
        have lost them anew since."""
        if losses not in {None, self.losses}:
            return
        self._servers = ""
        self._restore(ConnectionRestored(at, text))

    def check(self) -> None:
        """Raises BrokerUnavailable while the servers are lost."""
        if self._servers:
            raise BrokerUnavailable(f"the gateway has no connection to Interactive Brokers: {self._servers}")

    def check_orders(self) -> None:
        """Raises Unsent while anything is lost."""
        if self._lost or self._servers:
            raise Unsent(self._servers or "the gateway is not connected")

    def _lose(self, event: ConnectionLost) -> None:
        if not self._lost:
            self._lost = True
            self._tell(event)

    def _restore(self, event: ConnectionRestored) -> None:
        if self._lost and not self._servers and not self._down:
            self._lost = False
            self._tell(event)
