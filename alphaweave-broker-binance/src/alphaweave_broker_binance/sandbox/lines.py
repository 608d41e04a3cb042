"""A socket that a client keeps open: what is said goes out in order, and pings in between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress

from aiohttp import WSMsgType, web
from attrs import define, field

__all__ = ["Line", "LineState"]


@define(eq=False)
class LineState:
    """What all sockets share.

    Attributes:
        ping: real seconds from one ping to the next.
        pong: real seconds in which a client has to answer one.
        lifetime: real seconds after which a socket is closed; 0 is never.
        muted: keep every connection, and say nothing on it.
        lines: the sockets that are open.
    """

    ping: float
    pong: float
    lifetime: float
    muted: bool = False
    lines: set[Line] = field(factory=set)


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
        self._out: asyncio.Queue[str] = asyncio.Queue()
        self._answered = 0.0
        self._heard: list[float] = []

    async def serve(self, talk: Callable[[Line], Awaitable[None]]) -> web.WebSocketResponse:
        """Open the socket, let ``talk`` hold the conversation, and close."""
        try:
            await self._socket.prepare(self.request)
        except ConnectionError:  # the client went before it was answered
            return self._socket
        self._answered = self._now()
        self._state.lines.add(self)
        own = [asyncio.ensure_future(each) for each in (self._write(), self._beat())]
        try:
            await talk(self)
        finally:
            self._state.lines.discard(self)
            for task in own:
                task.cancel()
            await asyncio.gather(*own, return_exceptions=True)
            await self._socket.close()
        return self._socket

    def say(self, message: str) -> None:
        if not self._state.muted:
            self._out.put_nowait(message)

    def abort(self) -> None:
        """Tear it, without a farewell."""
        if self.request.transport is not None:
            self.request.transport.abort()

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Say goodbye when what was said has gone out."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._out.join(), 1.0)
        await self._socket.close(code=code, message=reason.encode())

    async def heard(self, *, most: int | None = None) -> AsyncIterator[str]:
        """What the client says, until it goes.

        Args:
            most: messages in a second, pings included, that are borne; with more it is closed. Answers to
                this venue's own pings, which come far more often than Binance's, do not count.
        """
        async for message in self._socket:
            counts = most is not None and message.type is not WSMsgType.PONG
            if counts and self._too_many(most or 0):
                await self.close(1008, "Too many requests")
                return
            if message.type is WSMsgType.PING:
                if not self._state.muted:
                    await self._socket.pong(message.data)
            elif message.type is WSMsgType.PONG:
                self._answered = self._now()
            elif message.type is WSMsgType.TEXT:
                yield message.data

    def _too_many(self, most: int) -> bool:
        now = self._now()
        self._heard = [at for at in self._heard if at > now - 1.0] + [now]
        return len(self._heard) > most

    async def _beat(self) -> None:
        """Ping; end what does not answer, and what has lived long enough."""
        began = self._now()
        while True:
            await asyncio.sleep(self._state.ping)
            if not self._state.muted:
                with suppress(ConnectionError, RuntimeError):
                    await self._socket.ping(str(int(self._now() * 1000)).encode())
            silent = self._now() - self._answered > self._state.pong
            old = 0 < self._state.lifetime < self._now() - began
            if silent or old:
                await self.close(1008 if silent else 1000, "Pong timeout" if silent else "")
                return

    async def _write(self) -> None:
        while True:
            message = await self._out.get()
            with suppress(ConnectionError, RuntimeError):
                await self._socket.send_str(message)
            self._out.task_done()

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()
