"""The market-data stream: one connection, read until it ends.

Binance's library leaves it at that when the connection drops, and does not know the notice of its end; so the
few messages of the protocol are spoken here.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any, Final, Protocol

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, ConnectionClosedOK

from alphaweave.core.errors import BrokerUnavailable
from alphaweave.live.adapters.timer import Timer
from alphaweave_broker_binance.settings import Reach
from alphaweave_broker_binance.sockets import cut_off, read_frame

__all__ = ["MOST_STREAMS", "MarketLine", "Reader"]

MOST_STREAMS: Final = 1024
"""As many as one connection may have."""

_AT_ONCE: Final = 200
# Five messages a second are the most, and whoever sends more is cut off; the answers to pings count.
_PAUSE: Final = 0.35


class Reader(Protocol):
    """Who hears what comes in."""

    def heard(self) -> None:
        """Any word at all."""
        ...

    def told(self, stream: str, data: Mapping[str, Any]) -> None:
        """What a stream says."""
        ...

    def ends(self, reason: str) -> None:
        """The connection is about to end."""
        ...


class MarketLine:
    """One connection to combined streams."""

    def __init__(self, socket: ClientConnection, reader: Reader, timer: Timer, reach: Reach) -> None:
        self._socket = socket
        self._reader = reader
        self._timer = timer
        self._heartbeat = reach.heartbeat
        self._lifetime = reach.lifetime
        self._opened_at = timer.clock.monotonic()
        self._has: set[str] = set()
        self._asked: dict[int, asyncio.Future[None]] = {}
        self._count = 0
        self._said_at = self._opened_at - _PAUSE
        self._turn = asyncio.Lock()

    async def change(self, wanted: Iterable[str]) -> None:
        """Have these streams and no others; return when Binance said yes. `run` is reading.

        Raises:
            BrokerUnavailable: it said no.
        """
        streams = set(wanted)
        if streams == self._has:
            # Where nothing is asked for nothing is said, and nobody would know that it is there.
            await self._ask("LIST_SUBSCRIPTIONS")
        # What is left goes first, so that the two together stay within the limit.
        for method, names in (("UNSUBSCRIBE", self._has - streams), ("SUBSCRIBE", streams - self._has)):
            ordered = sorted(names)
            for begin in range(0, len(ordered), _AT_ONCE):
                part = ordered[begin : begin + _AT_ONCE]
                await self._ask(method, part)
                self._has = self._has | set(part) if method == "SUBSCRIBE" else self._has - set(part)

    async def run(self) -> None:
        asking = asyncio.create_task(self._ask_on())
        try:
            while True:
                frame = read_frame(await self._socket.recv())
                self._reader.heard()
                if isinstance(frame, dict):
                    self._take(frame)
        except ConnectionClosedOK:
            return
        except ConnectionClosed as error:
            raise cut_off(error) from None
        finally:
            asking.cancel()

    async def close(self) -> None:
        await self._socket.close()

    def _take(self, frame: Mapping[str, Any]) -> None:
        data = frame.get("data", frame)
        if isinstance(data, dict) and data.get("e") == "serverShutdown":
            self._reader.ends("Binance shuts this server down")
            return
        if "stream" in frame:
            if isinstance(data, dict):
                self._reader.told(str(frame["stream"]), data)
            return
        asked = self._asked.pop(frame["id"], None) if isinstance(frame.get("id"), int) else None
        error = frame.get("error", frame if "code" in frame else None)
        if error is None:
            if asked is not None and not asked.done():
                asked.set_result(None)
            return
        told = error if isinstance(error, dict) else {}
        code, text = str(told.get("code", "")), str(told.get("msg", ""))
        failure = BrokerUnavailable(f"Binance's data stream: {text}", code=code, text=text)
        if asked is None:
            raise failure
        if not asked.done():
            asked.set_exception(failure)

    async def _ask(self, method: str, params: list[str] | None = None) -> None:
        answer = await self._say(method, params)
        await answer

    async def _say(self, method: str, params: list[str] | None = None) -> asyncio.Future[None]:
        async with self._turn:
            wait = self._said_at + _PAUSE - self._timer.clock.monotonic()
            if wait > 0:
                await self._timer.sleep(wait)
            self._said_at = self._timer.clock.monotonic()
            self._count += 1
            number = self._count
            answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._asked[number] = answer
            request: dict[str, Any] = {"method": method, "id": number}
            if params is not None:
                request["params"] = params
            await self._socket.send(json.dumps(request))
        return answer

    async def _ask_on(self) -> None:
        """Ask what is subscribed to again and again: a socket that is open but mute does not answer."""
        # That it ended is told by who reads.
        with suppress(ConnectionClosed):
            while True:
                left = self._opened_at + self._lifetime - self._timer.clock.monotonic()
                if left <= 0:
                    self._reader.ends("it is as old as Binance lets a connection become")
                    return
                await self._timer.sleep(min(self._heartbeat, left))
                await self._say("LIST_SUBSCRIPTIONS")
