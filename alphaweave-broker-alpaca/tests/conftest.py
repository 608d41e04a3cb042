"""A venue that answers by a script, on loopback."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import pytest
from aiohttp import WSMessage, WSMsgType, web
from attrs import define, field

from alphaweave.core.order import OrderRef
from alphaweave.core.secret import Secret
from alphaweave.live.adapters.base import Services
from alphaweave.live.adapters.timer import Timer
from alphaweave.live.broker import BrokerEvent
from alphaweave_broker_alpaca.adapter import AlpacaAdapter
from alphaweave_broker_alpaca.settings import AlpacaOptions

AUTHORIZED = {"stream": "authorization", "data": {"status": "authorized", "action": "authenticate"}}
LISTENING = {"stream": "listening", "data": {"streams": ["trade_updates"]}}
# An upper bound only: what is waited for comes at once, unless the machine is busy.
_PATIENCE = 10.0


@define
class Scripted:
    """What it answers can be changed at any time.

    Attributes:
        answers: method and path -> status and body, a text or JSON.
        login: what is said to a login; the frames are texts, bytes or JSON.
        mute: nothing is said any more.
        asked: the requests that came: method, path, body or query.
        said: the frames that came on the event stream.
        sockets: the event streams that are open.
    """

    answers: dict[tuple[str, str], tuple[int, Any]] = field(factory=dict)
    login: list[Any] = field(factory=lambda: [AUTHORIZED])
    mute: bool = False
    redirect: str | None = None
    asked: list[tuple[str, str, Mapping[str, Any]]] = field(factory=list)
    said: list[dict[str, Any]] = field(factory=list)
    sockets: list[web.WebSocketResponse] = field(factory=list)
    port: int = 0
    events: list[BrokerEvent] = field(factory=list)
    _reading: list[asyncio.Task[None]] = field(factory=list)
    _adapters: list[AlpacaAdapter] = field(factory=list)

    def adapter(
        self, services: Services | None = None, timer: Timer | None = None, **changes: Any
    ) -> AlpacaAdapter:
        """An adapter that is pointed here, and whose events are read."""
        options = AlpacaOptions(
            key=Secret("key-of-the-account"),
            secret=Secret("secret-of-the-account"),
            trading_url=f"http://127.0.0.1:{self.port}",
            **{"retry": 0.01, **changes},
        )
        adapter = AlpacaAdapter(options, services or Services(symbols=("SPY",)), timer=timer)
        self._adapters.append(adapter)
        self._reading.append(asyncio.create_task(self._read(adapter)))
        return adapter

    async def tell(self, frame: Any) -> None:
        """Say something on the event streams that are open."""
        for socket in self.sockets:
            await _say(socket, frame)

    async def until(self, true: Callable[[], bool], what: str = "it") -> None:
        """Wait for something that is about to come."""
        end = time.monotonic() + _PATIENCE
        while not true():
            assert time.monotonic() < end, f"{what} did not come; told: {self.events}"
            await asyncio.sleep(0.002)

    def told(self, kind: type) -> list[Any]:
        """The events of a kind."""
        return [event for event in self.events if isinstance(event, kind)]

    async def close(self) -> None:
        for adapter in self._adapters:
            await adapter.disconnect()
        await asyncio.gather(*self._reading)
        for socket in list(self.sockets):
            await socket.close()

    async def _read(self, adapter: AlpacaAdapter) -> None:
        async for event in adapter.events():
            self.events.append(event)

    async def serve(self, request: web.Request) -> web.StreamResponse:
        if self.redirect is not None:
            return web.Response(status=302, headers={"Location": self.redirect})
        if request.path == "/stream":
            return await self._stream(request)
        text = await request.text()
        self.asked.append((request.method, request.path, json.loads(text) if text else dict(request.query)))
        status, body = self.answers.get((request.method, request.path), (404, {"message": "not found"}))
        if body is None:
            return web.Response(status=status)
        content = body if isinstance(body, str) else json.dumps(body)
        return web.Response(status=status, text=content, content_type="application/json")

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self.sockets.append(socket)
        try:
            async for message in socket:
                await self._hear(socket, message)
        finally:
            self.sockets.remove(socket)
        return socket

    async def _hear(self, socket: web.WebSocketResponse, message: WSMessage) -> None:
        if message.type is not WSMsgType.TEXT:
            return
        frame = json.loads(message.data)
        self.said.append(frame)
        for answer in self.login if frame["action"] == "authenticate" else [LISTENING]:
            if not self.mute:
                await _say(socket, answer)


async def _say(socket: web.WebSocketResponse, frame: Any) -> None:
    if isinstance(frame, str):
        await socket.send_str(frame)
    else:
        # Alpaca says JSON in binary frames.
        await socket.send_bytes(frame if isinstance(frame, bytes) else json.dumps(frame).encode())


def our_ref(number: int, symbol: str = "SPY", **more: Any) -> OrderRef:
    """Names as AlphaWeave gives them."""
    return OrderRef(f"awabcde-{number:022d}", symbol, **more)


@pytest.fixture
def at_venue() -> Callable[[Callable[[Scripted], Awaitable[None]]], None]:
    """Run a scenario at a venue of its own."""

    def run(scenario: Callable[[Scripted], Awaitable[None]]) -> None:
        async def whole() -> None:
            venue = Scripted()
            venue.answers["GET", "/v2/account"] = (200, {"account_number": "PA1", "status": "ACTIVE"})
            app = web.Application()
            app.router.add_route("*", "/{any:.*}", venue.serve)
            runner = web.AppRunner(app, shutdown_timeout=0.1)
            await runner.setup()
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            venue.port = runner.addresses[0][1]
            try:
                await scenario(venue)
            finally:
                await venue.close()
                await runner.cleanup()

        asyncio.run(whole())

    return run
