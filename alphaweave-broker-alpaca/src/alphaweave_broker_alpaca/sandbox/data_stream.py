"""The market-data sockets: who gets which trades, quotes and bars, in JSON or MessagePack."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

import msgpack
from aiohttp import web
from attrs import define, field

from alphaweave.core.clock import to_ns
from alphaweave_broker_alpaca.sandbox.lines import Line, LineState
from alphaweave_broker_alpaca.sandbox.orders import stamp

__all__ = ["DataStream"]

_CHANNELS = ("trades", "quotes", "bars", "updatedBars", "dailyBars", "statuses", "lulds", "orderbooks")
_FOLLOW_TRADES = ("corrections", "cancelErrors")
_CHANNEL_OF = {
    "t": "trades",
    "q": "quotes",
    "b": "bars",
    "u": "updatedBars",
    "d": "dailyBars",
    "s": "statuses",
}
_LOGIN_SECONDS = 10.0
_ERRORS = {
    400: "invalid syntax",
    401: "not authenticated",
    402: "auth failed",
    403: "already authenticated",
    404: "auth timeout",
    405: "symbol limit exceeded",
    406: "connection limit exceeded",
    409: "insufficient subscription",
    410: "invalid subscribe action for this feed",
}


@define(eq=False)
class _Client:
    """One connection to a feed."""

    line: Line
    packed: bool
    authorized: bool = False
    wanted: dict[str, set[str]] = field(factory=lambda: {channel: set() for channel in _CHANNELS})

    def say(self, messages: list[dict[str, Any]]) -> None:
        if self.packed:
            self.line.say(msgpack.packb(messages, datetime=True))
        else:
            self.line.say(json.dumps(messages, default=_written))

    def error(self, code: int) -> None:
        self.say([{"T": "error", "code": code, "msg": _ERRORS[code]}])


class DataStream:
    """The sockets of one feed.

    Args:
        feed: ``iex``, ``sip``, ``crypto``, ...
        entitled: whether the account's subscription has this feed.
        symbols: how many trade and quote subscriptions a connection may have; None: any number.
        connections: how many clients may be logged in at once; None: any number.
    """

    def __init__(
        self,
        feed: str,
        state: LineState,
        knows: Callable[[str, str], bool],
        *,
        entitled: bool = True,
        symbols: int | None = None,
        connections: int | None = None,
    ) -> None:
        self.feed = feed
        self._state, self._knows = state, knows
        self._entitled, self._symbols, self._connections = entitled, symbols, connections
        self._clients: set[_Client] = set()

    def publish(self, kind: str, symbol: str, row: dict[str, Any]) -> None:
        """Say a row of one kind (``t``, ``q``, ``b``, ``u``, ``s``) to whoever wants it."""
        channel = _CHANNEL_OF[kind]
        for client in self._clients:
            if client.authorized and client.wanted[channel] & {symbol, "*"}:
                client.say([{"T": kind, "S": symbol, **row}])

    async def serve(self, request: web.Request) -> web.StreamResponse:
        return await Line(request, self._state).serve(self._talk)

    async def _talk(self, line: Line) -> None:
        headers = line.request.headers
        client = _Client(line, headers.get("Content-Type") == "application/msgpack")
        self._clients.add(client)
        late = asyncio.ensure_future(self._hurry(client))
        try:
            client.say([{"T": "success", "msg": "connected"}])
            key, secret = headers.get("APCA-API-KEY-ID"), headers.get("APCA-API-SECRET-KEY")
            if key and secret and not self._login(client, key, secret):
                return
            async for data in line.heard(f"data {self.feed}"):
                if not self._hear(client, data):
                    await line.last_words()
                    return
        finally:
            late.cancel()
            await asyncio.gather(late, return_exceptions=True)
            self._clients.discard(client)

    async def _hurry(self, client: _Client) -> None:
        await asyncio.sleep(_LOGIN_SECONDS)
        if not client.authorized:
            client.error(404)

    def _hear(self, client: _Client, data: str | bytes) -> bool:
        """Deal with one message; False when the connection is over."""
        message = _read(data, packed=client.packed)
        action = None if message is None else message.get("action")
        if message is None or action not in {"auth", "subscribe", "unsubscribe"}:
            client.error(400)
        elif action == "auth":
            if client.authorized:
                client.error(403)
                return True
            return self._login(client, str(message.get("key")), str(message.get("secret")))
        elif not client.authorized:
            client.error(401)
        else:
            self._subscribe(client, message, add=action == "subscribe")
        return True

    def _login(self, client: _Client, key: str, secret: str) -> bool:
        others = sum(other.authorized for other in self._clients)
        if not self._knows(key, secret):
            client.error(402)
        elif not self._entitled:
            client.error(409)
        elif self._connections is not None and others >= self._connections:
            client.error(406)
        else:
            client.authorized = True
            client.say([{"T": "success", "msg": "authenticated"}])
        return client.authorized

    def _subscribe(self, client: _Client, message: dict[str, Any], *, add: bool) -> None:
        wanted = {channel: set(symbols) for channel, symbols in client.wanted.items()}
        for channel in _CHANNELS:
            symbols = set(message.get(channel) or ())
            wanted[channel] = wanted[channel] | symbols if add else wanted[channel] - symbols
        if self._symbols is not None and len(wanted["trades"]) + len(wanted["quotes"]) > self._symbols:
            client.error(405)
            return
        client.wanted = wanted
        shown = {channel: sorted(symbols) for channel, symbols in wanted.items()}
        client.say([{"T": "subscription", **shown, **dict.fromkeys(_FOLLOW_TRADES, shown["trades"])}])


def _read(data: str | bytes, *, packed: bool) -> dict[str, Any] | None:
    try:
        message = msgpack.unpackb(data) if packed and isinstance(data, bytes) else json.loads(data)
    except ValueError:
        return None
    return message if isinstance(message, dict) else None


def _written(value: object) -> str:
    assert isinstance(value, datetime)
    return stamp(to_ns(value))
