"""A socket that a client keeps open: what is said goes out in order; while the venue is mute, nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any

from aiohttp import WSMsgType, web

from alphaweave.testing.sandbox import Action
from alphaweave_broker_alpaca.sandbox.wire import Recorder

__all__ = ["Line", "LineState"]


class LineState:
    """What all sockets share.

    Attributes:
        muted: keep every connection, and say nothing on it.
        lines: the sockets that are open.
    """

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder
        self.muted = False
        self.lines: set[Line] = set()


class Line:
    """One socket.

    Attributes:
        request: the one that opened it.
    """

    def __init__(self, request: web.Request, state: LineState) -> None:
        self.request = request
        self._state = state
        # Pings are answered below: a mute venue answers none.
        self._socket = web.WebSocketResponse(autoping=False, timeout=0.1)
        self._out: asyncio.Queue[str | bytes] = asyncio.Queue()

    async def serve(self, talk: Callable[[Line], Any]) -> web.WebSocketResponse:
        """Open the socket, let ``talk`` hold the conversation, and close."""
        try:
            await self._socket.prepare(self.request)
        except ConnectionError:  # the client went before it was answered
            return self._socket
        self._state.lines.add(self)
        writer = asyncio.ensure_future(self._write())
        try:
            await talk(self)
        finally:
            self._state.lines.discard(self)
            writer.cancel()
            await asyncio.gather(writer, return_exceptions=True)
            await self._socket.close()
        return self._socket

    def say(self, message: str | bytes) -> None:
        """Send; text as a text frame, bytes as a binary one."""
        if not self._state.muted:
            self._out.put_nowait(message)

    async def heard(self, what: str) -> AsyncIterator[str | bytes]:
        """What the client says, until it goes."""
        async for message in self._socket:
            if message.type is WSMsgType.PING:
                if not self._state.muted:
                    await self._socket.pong(message.data)
            elif message.type in {WSMsgType.TEXT, WSMsgType.BINARY}:
                data: str | bytes = message.data
                raw = data.encode() if isinstance(data, str) else data
                self._state.recorder.record(Action.OTHER, what, raw, (), self.request.transport)
                if not self._state.muted:
                    yield data

    async def last_words(self) -> None:
        """Wait until what was said has gone out."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._out.join(), 1.0)

    async def _write(self) -> None:
        while True:
            message = await self._out.get()
            try:
                if isinstance(message, str):
                    await self._socket.send_str(message)
                else:
                    await self._socket.send_bytes(message)
            except (ConnectionError, RuntimeError):
                return
            self._out.task_done()
