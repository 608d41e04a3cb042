"""WebSockets to Alpaca: to the address that was given, and to no other."""

from __future__ import annotations

import json
import logging
from typing import Any, Final

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from alphaweave.core.errors import BrokerUnavailable

__all__ = ["cut_off", "open_socket", "read_frame"]

_MOST_BYTES: Final = 16 * 1024 * 1024


class _Discreet(logging.LoggerAdapter[logging.Logger]):
    """Lets nothing through that is said of each frame: the first one has the keys in it."""

    def isEnabledFor(self, level: int) -> bool:  # noqa: N802
        return level > logging.DEBUG and super().isEnabledFor(level)


class _Connect(connect):
    def process_redirect(self, exc: Exception) -> Exception | str:
        # The library would follow, to any host, and keys are the first thing that is said there.
        return exc


async def open_socket(address: str, *, heartbeat: float) -> ClientConnection:
    """Open a socket that pings each ``heartbeat`` seconds, and breaks where no answer comes in as many.

    Raises:
        BrokerUnavailable: the other side is there, and opens none; a redirect is not followed.
        OSError: it is not there.
    """
    try:
        return await _Connect(
            address,
            ping_interval=heartbeat,
            ping_timeout=heartbeat,
            close_timeout=1,
            max_size=_MOST_BYTES,
            logger=_Discreet(logging.getLogger(__name__)),
            # Loopback: no proxy of the environment belongs in between.
            proxy=None if address.startswith("ws:") else True,
        )
    except InvalidStatus as error:
        status = error.response.status_code
        what = "a redirect, which is not followed" if 300 <= status < 400 else "no socket"
        raise BrokerUnavailable(f"Alpaca answers HTTP {status}: {what}", code=str(status)) from None


def read_frame(frame: str | bytes) -> Any:
    """What a frame says, text or bytes, which is JSON in both.

    Raises:
        BrokerUnavailable: it is none.
    """
    try:
        return json.loads(frame)
    except ValueError:
        raise BrokerUnavailable("Alpaca sent a frame that is no JSON") from None


def cut_off(error: ConnectionClosed) -> BrokerUnavailable:
    """What is said of a connection that ended without a goodbye, or with one that is a complaint."""
    code = 1006 if error.rcvd is None else error.rcvd.code
    return BrokerUnavailable(f"Alpaca or the network cut the connection off (WebSocket close code {code})")
