"""A venue that answers by a script, on loopback, and the names of orders."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import pytest
from aiohttp import WSMessage, WSMsgType, web
from attrs import define, field

from alphaweave.core.secret import Secret
from alphaweave.live.adapters.base import Services
from alphaweave.live.adapters.timer import Timer
from alphaweave.live.broker import BrokerEvent
from alphaweave_broker_binance.adapter import BinanceAdapter
from alphaweave_broker_binance.settings import BinanceOptions

Answer = tuple[int, Any] | tuple[int, Any, Mapping[str, str]]
ACCOUNT: Mapping[str, Any] = {
    "uid": 354937868,
    "canTrade": True,
    "accountType": "SPOT",
    "permissions": ["SPOT"],
    "balances": [
        {"asset": "BTC", "free": "1.00000000", "locked": "0.25000000"},
        {"asset": "USDT", "free": "90000.00000000", "locked": "0.00000000"},
    ],
}
# An upper bound only: what is waited for comes at once, unless the machine is busy.
_PATIENCE = 10.0


@define
class Scripted:
    """What it answers can be changed at any time.

    Attributes:
        answers: method and path -> status, body (a text or JSON) and headers, or a list of them, each once.
        ahead: milliseconds that its clock is ahead.
        holding: no request is answered before it is set.
        mute: nothing is said on the event streams any more.
        banned: no event stream is opened any more; ``knocks`` is how many were asked for.
        subscriptions: what the next subscriptions are answered with; afterwards they are taken.
        before: what is said on a stream just before that.
        asked: the requests that came: method, path and parameters.
        keys: the API keys that came.
        said: the frames that came on the streams, and when.
        sockets: the event streams that are open.
    """

    answers: dict[tuple[str, str], Answer | list[Answer]] = field(factory=dict)
    ahead: int = 0
    holding: asyncio.Event | None = None
    mute: bool = False
    subscriptions: list[Mapping[str, Any]] = field(factory=list)
    before: list[Any] = field(factory=list)
    redirect: str | None = None
    banned: bool = False
    knocks: int = 0
    asked: list[tuple[str, str, Mapping[str, str]]] = field(factory=list)
    keys: set[str | None] = field(factory=set)
    said: list[dict[str, Any]] = field(factory=list)
    times: list[float] = field(factory=list)
    sockets: list[web.WebSocketResponse] = field(factory=list)
    port: int = 0
    events: list[BrokerEvent] = field(factory=list)
    _reading: list[asyncio.Task[None]] = field(factory=list)
    _adapters: list[BinanceAdapter] = field(factory=list)

    def now(self) -> int:
        """Its time, in milliseconds."""
        return int(time.time() * 1000) + self.ahead

    def options(self, **changes: Any) -> BinanceOptions:
        """How to get here."""
        usual = {
            "key": Secret("key-of-the-account"),
            "secret": Secret("secret-of-the-account"),
            "rest_url": f"http://127.0.0.1:{self.port}",
            "ws_api_url": f"ws://127.0.0.1:{self.port}/ws-api/v3",
            "retry": 0.01,
        }
        return BinanceOptions(**{**usual, **changes})

    def adapter(
        self, services: Services | None = None, timer: Timer | None = None, **changes: Any
    ) -> BinanceAdapter:
        """An adapter that is pointed here, and whose events are read."""
        usual = Services(symbols=("BTCUSDT", "BNBUSDT"), currency="USDT")
        adapter = BinanceAdapter(self.options(**changes), services or usual, timer=timer)
        self._adapters.append(adapter)
        self._reading.append(asyncio.create_task(self._read(adapter)))
        return adapter

    async def tell(self, event: Mapping[str, Any]) -> None:
        """Say an event of the account on the streams that are open."""
        await self.say({"subscriptionId": 0, "event": event})

    async def say(self, frame: Mapping[str, Any]) -> None:
        """Say a frame on the streams that are open."""
        for socket in list(self.sockets):
            await socket.send_str(json.dumps(frame))

    async def until(self, true: Callable[[], bool], what: str = "it") -> None:
        """Wait for something that is about to come."""
        end = time.monotonic() + _PATIENCE
        while not true():
            assert time.monotonic() < end, f"{what} did not come; told: {self.events}"
            await asyncio.sleep(0.002)

    def told(self, kind: type) -> list[Any]:
        """The events of a kind."""
        return [event for event in self.events if isinstance(event, kind)]

    def params(self, method: str, path: str) -> list[Mapping[str, str]]:
        """With what that was asked, each time."""
        return [params for asked, where, params in self.asked if (asked, where) == (method, path)]

    async def close(self) -> None:
        if self.holding is not None:
            self.holding.set()
        for adapter in self._adapters:
            await adapter.disconnect()
        await asyncio.gather(*self._reading)
        for socket in list(self.sockets):
            await socket.close()

    async def _read(self, adapter: BinanceAdapter) -> None:
        async for event in adapter.events():
            self.events.append(event)

    async def serve(self, request: web.Request) -> web.StreamResponse:
        if self.redirect is not None:
            return web.Response(status=302, headers={"Location": self.redirect})
        self.keys.add(request.headers.get("X-MBX-APIKEY"))
        if request.path in {"/ws-api/v3", "/stream"}:
            self.knocks += 1
            if self.banned:
                return web.Response(status=418, headers={"Retry-After": "90"})
            return await self._stream(request)
        self.asked.append((request.method, request.path, dict(request.query)))
        if self.holding is not None:
            await self.holding.wait()
        if request.path == "/api/v3/time" and ("GET", request.path) not in self.answers:
            return web.json_response({"serverTime": self.now()})
        scripted = self.answers.get((request.method, request.path), (404, "<html>not found</html>"))
        if isinstance(scripted, list):
            scripted = scripted.pop(0)
        status, body = scripted[:2]
        headers = scripted[2] if len(scripted) > 2 else {}
        if isinstance(body, str):
            return web.Response(status=status, text=body, headers=headers)
        return web.json_response(body, status=status, headers=headers)

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
        self.times.append(time.monotonic())
        if self.mute:
            return
        if frame["method"] == "time":
            answer: Mapping[str, Any] = {
                "status": 200,
                "result": {"serverTime": self.now()},
                "rateLimits": [],
            }
        else:
            for earlier in self.before:
                await socket.send_str(json.dumps({"subscriptionId": 0, "event": earlier}))
            answer = {"status": 200, "result": {"subscriptionId": 0}, "rateLimits": []}
            if self.subscriptions:
                answer = self.subscriptions.pop(0)
        await socket.send_str(json.dumps({"id": frame["id"], **answer}))


@pytest.fixture
def at_venue() -> Callable[[Callable[[Scripted], Awaitable[None]]], None]:
    """Run a scenario at a venue of its own."""

    def run(scenario: Callable[[Scripted], Awaitable[None]]) -> None:
        async def whole() -> None:
            venue = Scripted()
            venue.answers["GET", "/api/v3/account"] = (200, ACCOUNT)
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
