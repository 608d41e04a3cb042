"""A gateway that runs, and clients of ib_async at it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from attrs import define, field
from ib_async import IB, Contract, LimitOrder, Order, Stock, Trade

from alphaweave.live.adapters.base import Services
from alphaweave.testing.clock import RunningClock
from alphaweave_broker_ibkr.sandbox.control import IbkrSandbox
from alphaweave_broker_ibkr.sandbox.options import SandboxOptions

# An upper bound only: what is waited for comes at once, unless the machine is busy.
_PATIENCE = 30.0


_UNDERSTOOD = ("Error ", "Peer closed", "API connection failed", "Make sure API port")


class _Complaints(logging.Handler):
    """What the client library could not make sense of."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        # That a connection ends, or what the gateway complains of, is an error to it too; it was understood.
        said = record.name in {"ib_async.client", "ib_async.wrapper"} and text.startswith(_UNDERSTOOD)
        if not said:
            self.texts.append(f"{record.name}: {text}")


@define
class Site:
    """A sandbox, and whoever trades on it.

    Attributes:
        errors: what the gateway complained of: number, code, text.
        tolerated: how errors of the client library begin that do not fail the scenario.
        stock: the kit's first.
    """

    venue: IbkrSandbox
    errors: list[tuple[int, int, str]] = field(factory=list)
    tolerated: tuple[str, ...] = ()
    stock: Contract = field(factory=lambda: Stock("KO", "SMART", "USD", conId=8894))
    _clients: list[IB] = field(factory=list)

    async def client(self, client_id: int = 1, **named: Any) -> IB:
        """A client that has connected."""
        ib = IB()
        ib.errorEvent += self._note
        self._clients.append(ib)
        await ib.connectAsync("127.0.0.1", self.venue.port, client_id, timeout=_PATIENCE, **named)
        return ib

    def _note(self, number: int, code: int, text: str, contract: Any) -> None:
        self.errors.append((number, code, text))

    def codes(self) -> list[int]:
        """The codes of the complaints, but for those that only inform of farms."""
        return [code for _, code, _ in self.errors if code not in {2104, 2106, 2158}]

    async def until(self, true: Callable[[], Any], what: str = "it") -> None:
        """Wait for something that is about to come."""
        end = time.monotonic() + _PATIENCE
        while not true():
            assert time.monotonic() < end, f"{what} did not come; complaints: {self.errors}"
            await asyncio.sleep(0.002)

    async def until_said(self, code: int) -> str:
        """Wait for a complaint; its text."""
        await self.until(lambda: code in self.codes(), f"error {code}")
        return next(text for _, one, text in self.errors if one == code)

    async def until_status(self, trade: Trade, status: str) -> None:
        await self.until(lambda: trade.orderStatus.status == status, f"{status} of {trade}")

    async def placed(self, ib: IB, order: Order, contract: Contract | None = None) -> Trade:
        """An order that the gateway has accepted."""
        trade = ib.placeOrder(contract or self.stock, order)
        await self.until(lambda: trade.order.permId, "the acceptance")
        return trade

    @staticmethod
    def limit(action: str = "BUY", size: float = 10, price: float = 50, **named: Any) -> LimitOrder:
        return LimitOrder(action, size, price, **{"tif": "DAY", **named})

    def stop_the_clock(self, ahead: float = 0.0) -> None:
        """Let no time pass for what counts messages in a stretch of it, so many seconds from now."""
        now = self.venue.clock.monotonic() + ahead
        self.venue.gateway.monotonic = lambda: now

    def close(self) -> None:
        for ib in self._clients:
            ib.disconnect()


@pytest.fixture
def at_gateway() -> Callable[..., None]:
    """Run a scenario at a gateway of its own; what a client cannot read fails it."""

    def run(scenario: Callable[[Site], Awaitable[None]], **options: Any) -> None:
        complaints = _Complaints()
        loggers = [logging.getLogger(name) for name in ("ib_async", "asyncio")]

        async def whole() -> None:
            venue = IbkrSandbox(SandboxOptions(**options), Services(clock=RunningClock()))
            await venue.start()
            site = Site(venue)
            try:
                await scenario(site)
            finally:
                site.close()
                await venue.stop()
            odd = [text for text in complaints.texts if not text.startswith(site.tolerated)]
            assert not odd, odd

        for logger in loggers:
            logger.addHandler(complaints)
        try:
            asyncio.run(whole())
        finally:
            for logger in loggers:
                logger.removeHandler(complaints)

    return run
