"""The market streams: who gets which trades, klines and best prices, raw or combined."""

from __future__ import annotations

import json
import re
from typing import Any

from aiohttp import web
from attrs import define, field

from alphaweave.testing.sandbox import Action
from alphaweave_broker_binance.sandbox.limits import Limits
from alphaweave_broker_binance.sandbox.lines import Line, LineState
from alphaweave_broker_binance.sandbox.prices import INTERVALS
from alphaweave_broker_binance.sandbox.refusals import check_time_unit
from alphaweave_broker_binance.sandbox.wire import Recorder

__all__ = ["SHUTDOWN_STREAM", "MarketStream"]

SHUTDOWN_STREAM = "!serverShutdown"
_MOST_STREAMS = 1024
_MOST_MESSAGES = 5
_STREAM = re.compile(
    rf"^(!serverShutdown|[a-z0-9]{{1,20}}@(trade|bookTicker|kline_({'|'.join(INTERVALS)})))$"
)


@define(eq=False)
class _Client:
    """One connection, and the streams that it wants."""

    line: Line
    combined: bool
    wanted: dict[str, None] = field(factory=dict)

    def say(self, stream: str, data: dict[str, Any]) -> None:
        self.line.say(json.dumps({"stream": stream, "data": data} if self.combined else data))

    def answer(self, result: Any, number: Any) -> None:
        self.line.say(json.dumps({"result": result, "id": number}))

    def error(self, code: int, message: str, number: Any = None) -> None:
        self.line.say(json.dumps({"error": {"code": code, "msg": message}, "id": number}))


class MarketStream:
    """All connections to ``/ws`` and ``/stream``."""

    def __init__(self, state: LineState, recorder: Recorder, limits: Limits) -> None:
        self._state, self._recorder, self._limits = state, recorder, limits
        self._clients: set[_Client] = set()

    def wanted(self, prefix: str) -> set[str]:
        """The streams with that prefix that anybody wants."""
        return {stream for client in self._clients for stream in client.wanted if stream.startswith(prefix)}

    def publish(self, stream: str, data: dict[str, Any]) -> None:
        for client in self._clients:
            if stream in client.wanted:
                client.say(stream, data)

    def announce_end(self, now: int) -> None:
        """Say on every connection that it is about to be closed."""
        for client in self._clients:
            client.say(SHUTDOWN_STREAM, {"e": "serverShutdown", "E": now})

    async def serve(self, request: web.Request) -> web.StreamResponse:
        check_time_unit(request.query.get("timeUnit"))
        self._limits.connect(request.remote or "")
        return await Line(request, self._state).serve(self._talk)

    async def _talk(self, line: Line) -> None:
        request = line.request
        combined = request.path.startswith("/stream")
        named = request.query.get("streams", "") if combined else request.match_info.get("streams", "")
        client = _Client(line, combined)
        first = [stream for stream in named.split("/") if stream]
        if not self._add(client, first):
            await line.close(1008, "Invalid request")
            return
        self._clients.add(client)
        try:
            async for text in line.heard(most=_MOST_MESSAGES):
                self._recorder.record(Action.OTHER, "market stream", text.encode(), (), request.transport)
                if not self._state.muted:
                    self._hear(client, text)
        finally:
            self._clients.discard(client)

    def _hear(self, client: _Client, text: str) -> None:
        try:
            message = json.loads(text)
        except ValueError:
            client.error(3, "Invalid JSON: expected value at line 1 column 1")
            return
        if not isinstance(message, dict):
            client.error(2, "Invalid request: request must be an object")
            return
        number, method, params = message.get("id"), message.get("method"), message.get("params", [])
        if not _is_id(number):
            client.error(2, "Invalid request: request ID must be an unsigned integer, a short string or null")
        elif not isinstance(params, list):
            client.error(2, "Invalid request: invalid type: params must be a list", number)
        else:
            self._do(client, method, params, number)

    def _do(self, client: _Client, method: Any, params: list[Any], number: Any) -> None:
        if method == "SUBSCRIBE":
            if self._add(client, params):
                client.answer(None, number)
            else:
                client.error(2, "Invalid request: no such stream, or too many streams", number)
        elif method == "UNSUBSCRIBE":
            for stream in params:
                client.wanted.pop(str(stream), None)
            client.answer(None, number)
        elif method == "LIST_SUBSCRIPTIONS":
            client.answer(list(client.wanted), number)
        elif method == "SET_PROPERTY" and len(params) == 2 and params[0] == "combined":
            client.combined = bool(params[1])
            client.answer(None, number)
        elif method == "GET_PROPERTY" and params == ["combined"]:
            client.answer(client.combined, number)
        else:
            client.error(2, f"Invalid request: unknown variant `{method}`", number)

    @staticmethod
    def _add(client: _Client, streams: list[Any]) -> bool:
        """Let a connection have streams; False if one is none, or there are too many."""
        if not all(isinstance(stream, str) and _STREAM.match(stream) for stream in streams):
            return False
        if len({*client.wanted, *streams}) > _MOST_STREAMS:
            return False
        client.wanted |= dict.fromkeys(streams)
        return True


def _is_id(number: object) -> bool:
    if isinstance(number, bool):
        return False
    if isinstance(number, int):
        return abs(number) < 2**63
    return number is None or (isinstance(number, str) and len(number) <= 36)
