"""The event stream of an account: one connection, read until it ends.

Alpaca's library has a stream of its own. It tries refused keys for ever, tells nobody that it connected
anew, and drops an event whose handler raises; so the few messages of the protocol are spoken here.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, ConnectionClosedOK

from alphaweave.core.errors import AuthenticationFailed
from alphaweave.live.adapters.timer import Timer
from alphaweave_broker_alpaca.settings import AlpacaOptions
from alphaweave_broker_alpaca.sockets import cut_off, open_socket, read_frame

__all__ = ["TradingLink", "open_trading_link"]

_LISTEN: Final = json.dumps({"action": "listen", "data": {"streams": ["trade_updates"]}})


class TradingLink:
    """One connection that is logged in."""

    def __init__(
        self,
        socket: ClientConnection,
        beat: Callable[[], None],
        deliver: Callable[[Mapping[str, Any]], None],
        timer: Timer,
        heartbeat: float,
    ) -> None:
        self._socket = socket
        self._beat = beat
        self._deliver = deliver
        self._timer = timer
        self._heartbeat = heartbeat
        self._listening = asyncio.Event()

    async def listen(self) -> None:
        """Ask for the events of orders; return when Alpaca said yes. `run` is reading."""
        await self._socket.send(_LISTEN)
        await self._listening.wait()

    async def run(self) -> None:
        asking = asyncio.create_task(self._ask_on())
        try:
            while True:
                stream, data = _message(await self._socket.recv())
                self._beat()
                if stream == "listening" and "trade_updates" in (data.get("streams") or ()):
                    self._listening.set()
                elif stream == "authorization" and data.get("status") != "authorized":
                    raise _refused()
                elif stream == "trade_updates":
                    self._deliver(data)
        except ConnectionClosedOK:
            return
        except ConnectionClosed as error:
            raise cut_off(error) from None
        finally:
            asking.cancel()

    async def close(self) -> None:
        await self._socket.close()

    async def _ask_on(self) -> None:
        """Say again what is listened to: a socket that is open but mute does not answer."""
        # That it ended is told by who reads.
        with suppress(ConnectionClosed):
            while True:
                await self._timer.sleep(self._heartbeat)
                await self._socket.send(_LISTEN)


async def open_trading_link(
    options: AlpacaOptions,
    beat: Callable[[], None],
    deliver: Callable[[Mapping[str, Any]], None],
    timer: Timer,
) -> TradingLink:
    """Connect and log in.

    Raises:
        AuthenticationFailed: the keys are refused.
    """
    socket = await open_socket(options.trading_stream, heartbeat=options.heartbeat)
    try:
        keys = {"key_id": options.key.reveal(), "secret_key": options.secret.reveal()}
        await socket.send(json.dumps({"action": "authenticate", "data": keys}))
        while True:
            stream, data = _message(await socket.recv())
            if stream != "authorization":
                continue
            if data.get("status") != "authorized":
                raise _refused()
            return TradingLink(socket, beat, deliver, timer, options.heartbeat)
    except BaseException:
        await socket.close()
        raise


def _message(frame: str | bytes) -> tuple[Any, Mapping[str, Any]]:
    """Of which stream a frame is, and what it says; nothing where it has another form."""
    message = read_frame(frame)
    if not isinstance(message, dict) or not isinstance(message.get("data"), dict):
        return None, {}
    return message.get("stream"), message["data"]


def _refused() -> AuthenticationFailed:
    return AuthenticationFailed(
        "Alpaca's event stream refuses the keys; check that they belong to this address",
        code="unauthorized",
    )
