"""Connections that let a request out only while somebody still waits for it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

__all__ = ["GatedAdapter", "Ticket", "Withdrawn", "holding"]


class Withdrawn(Exception):
    """Nobody waits for the request any more, and not a byte of it left."""


class Ticket:
    """Leave to write one request. It is given up from another thread, and from then on no byte leaves."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._given_up = False
        self._written = False

    @property
    def written(self) -> bool:
        """Whether a byte may have left."""
        return self._written

    def write(self) -> None:
        """Take the leave. Raises Withdrawn where it was given up."""
        with self._lock:
            if self._given_up:
                raise Withdrawn("withdrawn before it was sent")
            self._written = True

    def give_up(self) -> bool:
        """Let nothing more out; whether a byte may have left."""
        with self._lock:
            self._given_up = True
            return self._written


_current = threading.local()


@contextmanager
def holding(ticket: Ticket) -> Iterator[None]:
    """Within it, this thread's requests are written under a ticket."""
    _current.ticket = ticket
    try:
        yield
    finally:
        _current.ticket = None


class _Gate:
    """A connection that asks for leave before each write, after it is connected."""

    sock: Any

    def send(self, data: Any) -> None:
        if self.sock is None:
            self.connect()  # type: ignore[attr-defined]
        ticket: Ticket | None = getattr(_current, "ticket", None)
        if ticket is not None:
            ticket.write()
        super().send(data)  # type: ignore[misc]


class _GatedHTTP(_Gate, HTTPConnection):
    pass


class _GatedHTTPS(_Gate, HTTPSConnection):
    pass


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _GatedHTTP


class _SafePool(HTTPSConnectionPool):
    ConnectionCls = _GatedHTTPS


class GatedAdapter(HTTPAdapter):
    """Gives every request a time limit, repeats none, and lets none out whose ticket was given up."""

    def __init__(self, timeout: float, connections: int) -> None:
        self._timeout = timeout
        super().__init__(max_retries=0, pool_maxsize=connections)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _PlainPool, "https": _SafePool}

    def send(self, request: Any, *args: Any, **kwargs: Any) -> requests.Response:
        kwargs["timeout"] = (self._timeout, self._timeout)
        return super().send(request, *args, **kwargs)
