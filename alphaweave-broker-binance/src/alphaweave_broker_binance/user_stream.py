"""The events of an account, over the WebSocket API: one connection, read until it ends.

Binance's library drops what comes before a callback is attached, swallows what a callback raises, and does
not connect anew; so the few messages of the protocol are spoken here.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any, Final

from attrs import field, frozen
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, ConnectionClosedOK

from alphaweave.core.errors import AuthenticationFailed, BrokerUnavailable
from alphaweave.live.adapters.timer import Timer, within
from alphaweave_broker_binance.mapping import moment
from alphaweave_broker_binance.settings import BinanceOptions
from alphaweave_broker_binance.signing import Keys
from alphaweave_broker_binance.sockets import cut_off, open_socket, read_frame

__all__ = ["ClockOff", "Listener", "UserLink", "open_user_link"]

_SUBSCRIBE: Final = "subscribe"
_OFF_CLOCK: Final = -1021
_REFUSED: Final = frozenset({-1002, -1022, -2014, -2015})


class ClockOff(BrokerUnavailable):
    """Binance has another time than the one that was signed with."""


@frozen
class Listener:
    """Who is told what.

    Attributes:
        beat: something came.
        deliver: an event of the account.
        renew: the connection is to be given up, and why.
        learn: when the time was asked for, and what it was.
        now_ms: the time to sign with.
    """

    beat: Callable[[], None]
    deliver: Callable[[Mapping[str, Any]], None]
    renew: Callable[[str], None]
    learn: Callable[[datetime, datetime], None]
    now_ms: Callable[[], int]


@frozen
class _Pace:
    heartbeat: float
    lifetime: float
    answer: float
    opened_at: float = field(default=0.0)


class UserLink:
    """One connection."""

    def __init__(
        self, socket: ClientConnection, keys: Keys, listener: Listener, timer: Timer, options: BinanceOptions
    ) -> None:
        self._socket = socket
        self._keys = keys
        self._tell = listener
        self._timer = timer
        self._pace = _Pace(options.heartbeat, options.lifetime, options.timeout, timer.clock.monotonic())
        self._subscribed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._asked = 0
        self._asked_at: datetime | None = None

    async def subscribe(self) -> None:
        """Ask for the account's events; return when Binance said yes. `run` is reading.

        Raises:
            AuthenticationFailed: the key is refused.
            ClockOff: ask again with the right time.
            BrokerUnavailable: no for another reason, or no answer in time.
        """
        self._subscribed = asyncio.get_running_loop().create_future()
        # Binance no longer gives out listen keys.
        method = "userDataStream.subscribe.signature"
        await self._say(_SUBSCRIBE, method, self._keys.signed({}, self._tell.now_ms()))
        # The time may be told all the while: that somebody is there is no answer.
        await within(self._timer, self._subscribed, self._pace.answer, "the subscription to events")

    async def run(self) -> None:
        asking = asyncio.create_task(self._ask_on())
        try:
            while True:
                frame = read_frame(await self._socket.recv())
                self._tell.beat()
                if isinstance(frame, dict):
                    self._hear(frame)
        except ConnectionClosedOK:
            return
        except ConnectionClosed as error:
            raise cut_off(error) from None
        finally:
            asking.cancel()

    async def close(self) -> None:
        await self._socket.close()

    def _hear(self, frame: Mapping[str, Any]) -> None:
        event = frame.get("event")
        if isinstance(event, dict):
            word = event.get("e")
            if word == "serverShutdown":
                self._tell.renew("Binance shuts this server down")
            elif word == "eventStreamTerminated":
                self._tell.renew("Binance ended the subscription")
            else:
                self._tell.deliver(event)
            return
        failure = _failure(frame)
        if frame.get("id") == self._question:
            self._note_time(frame.get("result"))
        elif frame.get("id") == _SUBSCRIBE:
            if not self._subscribed.done():
                if failure is None:
                    self._subscribed.set_result(None)
                else:
                    self._subscribed.set_exception(failure)
        elif failure is not None and frame.get("id") is None:
            # It answers no question of ours: the key was taken back, say.
            raise failure

    @property
    def _question(self) -> str:
        return f"time-{self._asked}"

    def _note_time(self, told: Any) -> None:
        asked_at, self._asked_at = self._asked_at, None
        if asked_at is not None and isinstance(told, dict):
            with suppress(ValueError):
                self._tell.learn(asked_at, moment(told.get("serverTime")))

    async def _ask_on(self) -> None:
        """Ask for the time again and again: a socket that is open but mute does not answer."""
        # That it ended is told by who reads.
        with suppress(ConnectionClosed):
            while True:
                age = self._timer.clock.monotonic() - self._pace.opened_at
                left = self._pace.lifetime - age
                if left <= 0:
                    self._tell.renew("it is as old as Binance lets a connection become")
                    return
                await self._timer.sleep(min(self._pace.heartbeat, left))
                # An answer to an earlier one, that was long under way, tells nothing of this moment.
                self._asked += 1
                self._asked_at = self._timer.clock.now()
                await self._say(self._question, "time")

    async def _say(self, name: str, method: str, params: Mapping[str, str | int] | None = None) -> None:
        request: dict[str, Any] = {"id": name, "method": method}
        if params is not None:
            request["params"] = dict(params)
        await self._socket.send(json.dumps(request))


async def open_user_link(keys: Keys, listener: Listener, timer: Timer, options: BinanceOptions) -> UserLink:
    """Connect. Nothing is asked for yet."""
    socket = await open_socket(options.ws_api, heartbeat=options.heartbeat)
    return UserLink(socket, keys, listener, timer, options)


def _failure(frame: Mapping[str, Any]) -> Exception | None:
    """Why a request was refused; None where it was not."""
    error = frame.get("error")
    if error is None and frame.get("status") == 200:
        return None
    told = error if isinstance(error, dict) else {}
    code, text = told.get("code"), str(told.get("msg", ""))
    said = f"Binance's event stream: {text or 'an answer that cannot be read'}"
    if code in _REFUSED or frame.get("status") == 401:
        return AuthenticationFailed(said, code=str(code), text=text)
    kind = ClockOff if code == _OFF_CLOCK else BrokerUnavailable
    return kind(said, code=None if code is None else str(code), text=text)
