"""A sandbox that runs, a plain client that signs by itself, and Binance's own clients at it."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar
from urllib.parse import urlencode

import aiohttp
import pytest
from attrs import define, field
from binance_common.configuration import (
    ConfigurationRestAPI,
    ConfigurationWebSocketAPI,
    ConfigurationWebSocketStreams,
)
from binance_sdk_spot.spot import Spot
from Crypto.PublicKey import ECC
from Crypto.Signature import eddsa

from alphaweave.core.clock import Clock, SystemClock
from alphaweave.live.adapters.base import Services
from alphaweave_broker_binance.sandbox.control import BinanceSandbox
from alphaweave_broker_binance.sandbox.options import SandboxOptions

T = TypeVar("T")
# An upper bound only: what is waited for comes at once, unless the machine is busy.
_PATIENCE = 30.0


def signature_of(secret: str, payload: str) -> str:
    """HMAC or Ed25519, as the secret is."""
    if "PRIVATE KEY" in secret:
        signer = eddsa.new(ECC.import_key(secret), "rfc8032")
        return base64.b64encode(signer.sign(payload.encode())).decode()
    return hmac.new(secret.encode(), payload.encode(), hashlib.sha256).hexdigest()


@define
class Reply:
    """What REST answered."""

    status: int
    body: Any
    headers: Mapping[str, str]

    @property
    def refusal(self) -> tuple[int, int, str]:
        """Status, code and message."""
        return self.status, self.body["code"], self.body["msg"]


@define(eq=False)
class Socket:
    """One connection to the WebSocket API or to the streams, that keeps what it hears."""

    site: Site
    wire: aiohttp.ClientWebSocketResponse
    heard: list[Any] = field(factory=list)
    ended: bool = False
    count: int = 0
    task: asyncio.Task[None] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.task = asyncio.ensure_future(self._read())

    @property
    def events(self) -> list[dict[str, Any]]:
        """The events of the user data stream."""
        return [one["event"] for one in self.heard if "event" in one]

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["e"] == kind]

    async def ask(self, method: str, *, signed: bool = False, **params: Any) -> Any:
        """The whole answer to a request."""
        number = await self.send(method, signed=signed, **params)
        await self.site.until(lambda: any(one.get("id") == number for one in self.heard))
        return next(one for one in self.heard if one.get("id") == number)

    async def send(self, method: str, *, signed: bool = False, **params: Any) -> int:
        self.count += 1
        if signed:
            params |= {"apiKey": self.site.key, "timestamp": self.site.stamp()}
            text = "&".join(f"{name}={params[name]}" for name in sorted(params))
            params["signature"] = signature_of(self.site.secret, text)
        await self.wire.send_str(json.dumps({"id": self.count, "method": method, "params": params}))
        return self.count

    async def control(self, method: str, params: list[Any]) -> Any:
        """The answer to a control message of the market streams."""
        self.count += 1
        number = self.count
        await self.wire.send_str(json.dumps({"method": method, "params": params, "id": number}))
        await self.site.until(lambda: any(one.get("id") == number for one in self.heard))
        return next(one for one in self.heard if one.get("id") == number)

    async def _read(self) -> None:
        async for message in self.wire:
            try:
                self.heard.append(json.loads(message.data))
            except ValueError:
                self.heard.append({"garbled": message.data})
        self.ended = True


@define(eq=False)
class Site:
    """A sandbox, and whoever trades on it."""

    venue: BinanceSandbox
    session: aiohttp.ClientSession
    sockets: list[Socket] = field(factory=list)
    closing: list[Callable[[], Awaitable[Any]]] = field(factory=list)

    @property
    def key(self) -> str:
        return str(self.venue.options()["key"])

    @property
    def secret(self) -> str:
        return str(self.venue.options()["secret"])

    def stamp(self) -> int:
        return int(self.venue.now().timestamp() * 1000)

    # The plain client ----------------------------------------------------------------------------------

    async def ask(self, method: str, path: str, *, signed: bool = True, **params: Any) -> Reply:
        """A request with its parameters in the query."""
        if signed:
            params.setdefault("timestamp", self.stamp())
            params["signature"] = signature_of(self.secret, urlencode(params))
        return await self.raw(method, f"{path}?{urlencode(params)}")

    async def raw(self, method: str, path: str, *, body: str | None = None, key: str | None = None) -> Reply:
        """A request exactly as it is given."""
        from yarl import URL

        url = URL(f"{self.venue.options()['rest_url']}{path}", encoded=True)
        headers = {"X-MBX-APIKEY": self.key if key is None else key}
        if body is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        async with self.session.request(method, url, data=body, headers=headers) as response:
            text = await response.text()
            body_ = json.loads(text) if text.startswith(("{", "[")) and text[-1] in "}]" else text
            return Reply(response.status, body_, response.headers)

    async def order(self, **params: Any) -> Reply:
        """Place an order; by default a buy of one coin at 50 that rests."""
        usual = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "quantity": "1"}
        if params.get("type", "LIMIT") == "LIMIT":
            usual |= {"timeInForce": "GTC", "price": "50"}
        given = {name: value for name, value in {**usual, **params}.items() if value is not None}
        return await self.ask("POST", "/api/v3/order", **given)

    async def placed(self, **params: Any) -> Any:
        """An order that is taken."""
        reply = await self.order(**params)
        assert reply.status == 200, reply.body
        return reply.body

    async def connect(self, path: str = "/ws-api/v3") -> Socket:
        url = f"ws://127.0.0.1:{self.venue.port}{path}"
        socket = Socket(self, await self.session.ws_connect(url, autoping=True))
        self.sockets.append(socket)
        return socket

    async def listen(self) -> Socket:
        """A connection that has subscribed to the user data."""
        socket = await self.connect()
        told = await socket.ask("userDataStream.subscribe.signature", signed=True)
        assert told["result"] == {"subscriptionId": 0}
        return socket

    # Binance's own clients -----------------------------------------------------------------------------

    def spot(self, *, retries: int = 0, timeout: int = 10_000) -> Spot:
        options = self.venue.options()
        key: dict[str, Any] = {"api_key": options["key"]}
        key["private_key" if "PRIVATE" in options["secret"] else "api_secret"] = options["secret"]
        return Spot(
            config_rest_api=ConfigurationRestAPI(
                **key, base_path=options["rest_url"], retries=retries, timeout=timeout
            ),
            config_ws_api=ConfigurationWebSocketAPI(**key, stream_url=options["ws_api_url"]),
            config_ws_streams=ConfigurationWebSocketStreams(stream_url=options["stream_url"]),
        )

    async def call(self, function: Callable[..., T], *words: Any, **named: Any) -> T:
        """Call a client that blocks, beside the loop that the sandbox runs on."""
        return await asyncio.wait_for(asyncio.to_thread(function, *words, **named), _PATIENCE)

    async def got(self, function: Callable[..., Any], *words: Any, **named: Any) -> Any:
        """What a client's call answers, as the wire has it."""
        found = (await self.call(function, *words, **named)).data()
        return [one.to_dict() for one in found] if isinstance(found, list) else found.to_dict()

    async def until(self, true: Callable[[], object]) -> None:
        """Wait for something that is about to come."""
        end = time.monotonic() + _PATIENCE
        while not true():
            assert time.monotonic() < end, "nothing came"
            await asyncio.sleep(0.005)

    async def settled(self, socket: Socket) -> None:
        """Wait until a connection has heard whatever was said to it."""
        await socket.ask("ping")

    async def close(self) -> None:
        for close in self.closing:
            await close()
        for socket in self.sockets:
            await socket.wire.close()
            socket.task.cancel()
        await asyncio.gather(*(socket.task for socket in self.sockets), return_exceptions=True)
        await self.session.close()


@pytest.fixture
def sign() -> Callable[[str, str], str]:
    """Sign a text with a secret."""
    return signature_of


@pytest.fixture
def at_sandbox() -> Callable[..., None]:
    """Run a scenario at a sandbox of its own."""

    def run(
        scenario: Callable[[Site], Awaitable[None]], *, clock: Clock | None = None, **options: Any
    ) -> None:
        async def whole() -> None:
            venue = BinanceSandbox(SandboxOptions(**options), Services(clock=clock or SystemClock()))
            await venue.start()
            site = Site(venue, aiohttp.ClientSession())
            try:
                await scenario(site)
            finally:
                await site.close()
                await venue.stop()

        asyncio.run(whole())

    return run
