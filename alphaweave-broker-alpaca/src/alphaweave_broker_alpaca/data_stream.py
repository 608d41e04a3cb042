"""The market-data stream: one connection, read until it ends.

Alpaca's library has one of its own, which goes on by itself after it lost the connection, without a word of
what it missed; so the few messages of the protocol are spoken here.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, Protocol

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, ConnectionClosedOK

from alphaweave.core.errors import AlphaweaveError, AuthenticationFailed, BrokerUnavailable
from alphaweave.live.adapters.timer import Timer
from alphaweave_broker_alpaca.feed_settings import AlpacaFeedOptions
from alphaweave_broker_alpaca.sockets import cut_off, open_socket, read_frame

__all__ = ["Channels", "DataLink", "Reader", "open_data_socket"]

Channels = Mapping[str, frozenset[str]]
"""What is subscribed to: by channel (``bars``, ``trades``, ...), Alpaca's symbols."""

_KINDS: Final = frozenset({"b", "u", "t", "q", "s"})
_REFUSALS: Final[Mapping[int, str]] = {
    402: "Alpaca's data stream refuses the keys; check that they belong to this address",
    409: "the keys' subscription does not have this feed: write feed: iex",
    411: "the keys do not reach market data",
}
_TROUBLES: Final[Mapping[int, str]] = {
    405: "more symbols than the subscription allows: 30 for trades and quotes on the free plan; have fewer",
    406: "another program with these keys is connected to this feed, or was a moment ago: the free plan has "
    "one connection",
    407: "this program reads too slowly",
    410: "this feed does not have what is subscribed to",
}


class Reader(Protocol):
    """Who hears what comes in."""

    def heard(self) -> None:
        """Any word at all."""
        ...

    def row(self, kind: str, row: Mapping[str, Any]) -> None:
        """A bar ``b``, a restated one ``u``, a trade ``t``, a quote ``q`` or a status ``s``."""
        ...


class DataLink:
    """One connection that is logged in."""

    def __init__(self, socket: ClientConnection, reader: Reader, timer: Timer, heartbeat: float) -> None:
        self._socket = socket
        self._reader = reader
        self._timer = timer
        self._heartbeat = heartbeat
        self._has: Channels = {}
        self._asked: asyncio.Future[None] | None = None
        self._wanted: Channels = {}

    async def change(self, wanted: Channels) -> None:
        """Subscribe to this and nothing else; return when Alpaca said yes. `run` is reading.

        Raises:
            BrokerUnavailable: it said no.
        """
        asked = self._asked = asyncio.get_running_loop().create_future()
        self._wanted = wanted
        try:
            # What is left goes first, so that the two together stay within the limit.
            left = {name: symbols - wanted.get(name, frozenset()) for name, symbols in self._has.items()}
            if any(left.values()):
                await self._say("unsubscribe", left)
            await self._say("subscribe", wanted)
            await asked
        finally:
            self._asked = None

    async def run(self) -> None:
        asking = asyncio.create_task(self._ask_on())
        try:
            while True:
                messages = read_frame(await self._socket.recv())
                self._reader.heard()
                for message in messages if isinstance(messages, list) else [messages]:
                    if isinstance(message, dict):
                        self._take(message)
        except ConnectionClosedOK:
            return
        except ConnectionClosed as error:
            raise cut_off(error) from None
        finally:
            asking.cancel()

    async def close(self) -> None:
        await self._socket.close()

    def _take(self, message: Mapping[str, Any]) -> None:
        kind = message.get("T")
        if kind == "subscription":
            self._has = {
                name: frozenset(map(str, symbols))
                for name, symbols in message.items()
                if isinstance(symbols, list)
            }
            if self._is_as_wanted() and self._asked is not None and not self._asked.done():
                self._asked.set_result(None)
        elif kind == "error":
            self._refused(_error_of(message))
        elif isinstance(kind, str) and kind in _KINDS:
            self._reader.row(kind, message)

    def _is_as_wanted(self) -> bool:
        names = self._has.keys() | self._wanted.keys()
        none: frozenset[str] = frozenset()
        # Two more channels follow the trades by themselves.
        names -= {"corrections", "cancelErrors"}
        return all(self._has.get(name, none) == self._wanted.get(name, none) for name in names)

    def _refused(self, error: AlphaweaveError) -> None:
        if self._asked is None or self._asked.done():
            raise error
        self._asked.set_exception(error)

    async def _say(self, action: str, channels: Channels) -> None:
        lists = {name: sorted(symbols) for name, symbols in channels.items() if symbols}
        await self._socket.send(json.dumps({"action": action, **lists}))

    async def _ask_on(self) -> None:
        """Say again what is subscribed to: a socket that is open but mute does not answer."""
        # That it ended is told by who reads.
        with suppress(ConnectionClosed):
            while True:
                await self._timer.sleep(self._heartbeat)
                if self._asked is None and self._wanted:
                    await self._say("subscribe", self._wanted)


async def open_data_socket(options: AlpacaFeedOptions, heard: Callable[[], None]) -> ClientConnection:
    """Connect and log in.

    Raises:
        AuthenticationFailed: the keys are refused, or have no right to the feed.
        BrokerUnavailable: Alpaca says something else.
        OSError: nobody is there.
    """
    socket = await open_socket(options.socket, heartbeat=options.heartbeat)
    try:
        keys = {"key": options.key.reveal(), "secret": options.secret.reveal()}
        await socket.send(json.dumps({"action": "auth", **keys}))
        while True:
            messages: Sequence[Any] = read_frame(await socket.recv())
            heard()
            for message in messages if isinstance(messages, list) else [messages]:
                told = message if isinstance(message, dict) else {}
                if told.get("T") == "error":
                    raise _error_of(told)
                if (told.get("T"), told.get("msg")) == ("success", "authenticated"):
                    return socket
    except ConnectionClosed:
        raise BrokerUnavailable("Alpaca's data stream closed the connection before it said yes") from None
    except BaseException:
        await socket.close()
        raise


def _error_of(message: Mapping[str, Any]) -> AuthenticationFailed | BrokerUnavailable:
    code, said = message.get("code"), str(message.get("msg", ""))
    if isinstance(code, int) and code in _REFUSALS:
        return AuthenticationFailed(f"{_REFUSALS[code]} (Alpaca: {said})", code=str(code))
    what = _TROUBLES.get(code, "an error of the data stream") if isinstance(code, int) else "an error"
    return BrokerUnavailable(f"{what} (Alpaca: {code} {said})", code=str(code), text=said)
