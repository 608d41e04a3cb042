"""What an adapter says beside its answers: its log, the standard library's, and errors nobody awaited."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["Ear"]


class Ear:
    """A structured log that keeps everything, and the other places words can go to.

    Attributes:
        said: each line, with its facts.
        strays: what the event loop was left with: exceptions of tasks that nobody awaited.
    """

    def __init__(self) -> None:
        self.said: list[str] = []
        self.strays: list[str] = []

    def debug(self, event: str, **facts: Any) -> None:
        self._hear("debug", event, facts)

    def info(self, event: str, **facts: Any) -> None:
        self._hear("info", event, facts)

    def warning(self, event: str, **facts: Any) -> None:
        self._hear("warning", event, facts)

    def error(self, event: str, **facts: Any) -> None:
        self._hear("error", event, facts)

    def _hear(self, level: str, event: str, facts: dict[str, Any]) -> None:
        self.said.append(f"{level} {event} {facts!r}")

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Listen to the standard library's log, and to the running event loop, meanwhile."""
        handler, root = _Handler(self), logging.getLogger()
        level = root.level
        root.addHandler(handler)
        root.setLevel(logging.DEBUG)
        asyncio.get_running_loop().set_exception_handler(self.stray)
        try:
            yield
        finally:
            root.setLevel(level)
            root.removeHandler(handler)

    def stray(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """The event loop's exception handler."""
        self.strays.append(f"{context.get('message')}: {context.get('exception')!r}")


class _Handler(logging.Handler):
    def __init__(self, ear: Ear) -> None:
        super().__init__(logging.DEBUG)
        self._ear = ear
        self.setFormatter(logging.Formatter("%(levelname)s %(name)s %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        self._ear.said.append(self.format(record))
