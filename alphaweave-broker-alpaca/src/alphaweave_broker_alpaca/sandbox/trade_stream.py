"""``/stream``: logins, and the ``trade_updates`` of the account."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from aiohttp import web

from alphaweave_broker_alpaca.sandbox.lines import Line, LineState

__all__ = ["TradeStream"]


class TradeStream:
    """Everybody who listens to the account.

    Attributes:
        held: what is held back instead of said; None while nothing is.
    """

    def __init__(self, state: LineState, knows: Callable[[str, str], bool]) -> None:
        self._state = state
        self._knows = knows
        self._listening: set[Line] = set()
        self.held: list[dict[str, Any]] | None = None

    def tell(self, message: dict[str, Any]) -> None:
        """Say a trade update to all who listen."""
        if self.held is not None:
            self.held.append(message)
            return
        for line in self._listening:
            _say(line, message)

    def release(self, *, times: int, backwards: bool) -> None:
        """Say what was held back."""
        held, self.held = self.held or [], None
        for message in reversed(held) if backwards else held:
            for _ in range(times):
                self.tell(message)

    async def serve(self, request: web.Request) -> web.StreamResponse:
        return await Line(request, self._state).serve(self._talk)

    async def _talk(self, line: Line) -> None:
        authorized = False
        try:
            async for data in line.heard("/stream"):
                message = _read(data)
                action = message.get("action")
                if action in {"authenticate", "auth"}:
                    authorized = self._knows(*_keys(message))
                    _answer(line, "authorized" if authorized else "unauthorized", "authenticate")
                elif action == "listen" and not authorized:
                    _answer(line, "unauthorized", "listen")
                elif action == "listen":
                    streams = message.get("data", {}).get("streams", [])
                    known = [stream for stream in streams if stream == "trade_updates"]
                    if known:
                        self._listening.add(line)
                    else:
                        self._listening.discard(line)
                    _say(line, {"stream": "listening", "data": {"streams": known}})
                else:
                    _say(line, {"stream": "listening", "data": {"error": "unknown action"}})
        finally:
            self._listening.discard(line)


def _read(data: str | bytes) -> dict[str, Any]:
    try:
        message = json.loads(data)
    except ValueError:
        return {}
    return message if isinstance(message, dict) else {}


def _keys(message: dict[str, Any]) -> tuple[str, str]:
    """The two words of a login, in the form of the SDK or in the newer one."""
    if message.get("action") == "auth":
        return str(message.get("key")), str(message.get("secret"))
    data = message.get("data")
    if not isinstance(data, dict):
        return "", ""
    return str(data.get("key_id")), str(data.get("secret_key"))


def _answer(line: Line, status: str, action: str) -> None:
    _say(line, {"stream": "authorization", "data": {"status": status, "action": action}})


def _say(line: Line, message: dict[str, Any]) -> None:
    # The paper environment says JSON in binary frames.
    line.say(json.dumps(message).encode())
