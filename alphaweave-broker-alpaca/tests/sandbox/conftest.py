"""A sandbox that runs, and Alpaca's own clients at it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, TypeVar

import pytest
from alpaca.common.exceptions import APIError
from alpaca.data.enums import DataFeed
from alpaca.data.historical.crypto import CryptoHistoricalDataClient
from alpaca.data.historical.stock import StockHistoricalDataClient
from alpaca.data.live.crypto import CryptoDataStream
from alpaca.data.live.stock import StockDataStream
from alpaca.trading.client import TradingClient
from alpaca.trading.stream import TradingStream
from attrs import define, field

from alphaweave.live.adapters.base import Services
from alphaweave.testing.clock import RunningClock
from alphaweave_broker_alpaca.sandbox.control import AlpacaSandbox
from alphaweave_broker_alpaca.sandbox.options import SandboxOptions

T = TypeVar("T")
# An upper bound only: what is waited for comes at once, unless the machine is busy.
_PATIENCE = 30.0


@define
class Site:
    """A sandbox, and whoever trades on it."""

    venue: AlpacaSandbox
    heard: list[Any] = field(factory=list)
    _streams: list[tuple[Any, asyncio.Task[None]]] = field(factory=list)

    @property
    def _keys(self) -> tuple[str, str]:
        options = self.venue.options()
        return options["key"], options["secret"]

    @property
    def _url(self) -> str:
        return f"127.0.0.1:{self.venue.port}"

    def trading(self, *, raw: bool = True, secret: str | None = None) -> TradingClient:
        key, own = self._keys
        return TradingClient(key, secret or own, paper=True, raw_data=raw, url_override=f"http://{self._url}")

    def stocks(self, *, raw: bool = True) -> StockHistoricalDataClient:
        return StockHistoricalDataClient(*self._keys, raw_data=raw, url_override=f"http://{self._url}")

    def crypto(self, *, raw: bool = True) -> CryptoHistoricalDataClient:
        return CryptoHistoricalDataClient(*self._keys, raw_data=raw, url_override=f"http://{self._url}")

    async def listen(self, *, raw: bool = True) -> TradingStream:
        """A stream of trade updates that has logged in."""
        stream = TradingStream(*self._keys, raw_data=raw, url_override=f"ws://{self._url}/stream")
        stream.subscribe_trade_updates(self._hear)
        return await self._start(stream, '"listen"')

    def stock_stream(self, *, raw: bool = True, feed: DataFeed = DataFeed.IEX) -> StockDataStream:
        url = f"ws://{self._url}/v2/{feed.value}"
        return StockDataStream(*self._keys, raw_data=raw, feed=feed, url_override=url)

    def crypto_stream(self, *, raw: bool = True) -> CryptoDataStream:
        url = f"ws://{self._url}/v1beta3/crypto/us"
        return CryptoDataStream(*self._keys, raw_data=raw, url_override=url)

    async def watch(self, stream: Any) -> Any:
        """Start a data stream that has subscriptions, and wait for them."""
        return await self._start(stream, "subscribe")

    async def hear(self, message: Any) -> None:
        """The handler that keeps what it gets in ``heard``."""
        self.heard.append(message)

    _hear = hear

    async def call(self, function: Callable[..., T], *words: Any, **named: Any) -> T:
        """Call a client that blocks, beside the loop that the sandbox runs on."""
        return await asyncio.wait_for(asyncio.to_thread(function, *words, **named), _PATIENCE)

    async def refused(self, function: Callable[..., Any], *words: Any, **named: Any) -> APIError:
        """The error that a call ends in."""
        with pytest.raises(APIError) as caught:
            await self.call(function, *words, **named)
        return caught.value

    async def until(self, true: Callable[[], bool]) -> None:
        """Wait for something that is about to come."""
        end = time.monotonic() + _PATIENCE
        while not true():
            assert time.monotonic() < end, f"nothing came; heard so far: {self.heard}"
            await asyncio.sleep(0.005)

    async def close(self) -> None:
        for stream, task in self._streams:
            await stream.stop_ws()
            await stream.close()
            task.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await task

    async def _start(self, stream: Any, word: str) -> Any:
        before = self._asked(word)
        self._streams.append((stream, asyncio.create_task(stream._run_forever())))
        await self.until(lambda: self._asked(word) > before)
        return stream

    def _asked(self, word: str) -> int:
        return sum(word.encode() in request.raw for request in self.venue.requests)


@pytest.fixture
def at_sandbox() -> Callable[..., None]:
    """Run a scenario at a sandbox of its own."""

    def run(scenario: Callable[[Site], Awaitable[None]], **options: Any) -> None:
        async def whole() -> None:
            venue = AlpacaSandbox(SandboxOptions(**options), Services(clock=RunningClock()))
            await venue.start()
            site = Site(venue)
            try:
                await scenario(site)
            finally:
                await site.close()
                await venue.stop()

        asyncio.run(whole())

    return run
