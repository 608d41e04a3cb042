"""The market-data connection by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, cast

import pytest
from websockets.asyncio.client import ClientConnection

from alphaweave.core.errors import BrokerUnavailable
from alphaweave.core.secret import Secret
from alphaweave.live.adapters.timer import ManualTimer
from alphaweave_broker_alpaca.data_stream import DataLink, open_data_socket
from alphaweave_broker_alpaca.feed_settings import AlpacaFeedOptions


class Quiet:
    """A socket on which nothing comes, and which nobody should pester."""

    def __init__(self) -> None:
        self.asked = 0
        self.sent: list[str] = []

    async def recv(self) -> str:
        self.asked += 1
        await asyncio.Event().wait()
        raise AssertionError

    async def send(self, frame: str) -> None:
        self.sent.append(frame)


class Deaf:
    """A reader."""

    def heard(self) -> None:
        raise AssertionError

    def row(self, kind: str, row: Mapping[str, Any]) -> None:
        raise AssertionError


def test_a_stream_without_subscriptions_only_waits() -> None:
    """Alpaca's library turns round and round then, on a whole core."""

    async def run() -> None:
        socket, timer = Quiet(), ManualTimer()
        reading = asyncio.create_task(
            DataLink(cast(ClientConnection, socket), Deaf(), timer, heartbeat=10.0).run()
        )
        await timer.asleep()
        for _ in range(3):
            timer.advance(10)
            await timer.asleep()
        assert socket.asked == 1
        assert socket.sent == []
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)

    asyncio.run(run())


def test_a_redirect_is_not_followed(
    at_venue: Callable[[Callable[[Any], Awaitable[None]]], None],
) -> None:
    """The keys are the first thing that is said, and would be said there."""

    async def scenario(venue: Any) -> None:
        here = f"127.0.0.1:{venue.port}"
        venue.redirect = f"http://{here}/stream"
        options = AlpacaFeedOptions(key=Secret("k"), secret=Secret("s"), data_stream_url=f"ws://{here}")
        with pytest.raises(BrokerUnavailable, match="a redirect, which is not followed"):
            await open_data_socket(options, lambda: None)
        assert venue.said == []

    at_venue(scenario)
