"""Broker and feed of the run that is killed: thin clients of the venue in the other process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import datetime
from itertools import count
from typing import Any, Self

from attrs import evolve

from alphaweave.core.errors import BrokerUnavailable
from alphaweave.core.instrument import Instrument
from alphaweave.core.order import OrderChange, OrderGroup, OrderRef, OrderRequest
from alphaweave.live.adapters.base import BrokerConfig, Services
from alphaweave.live.broker import (
    BrokerAccountState,
    BrokerEvent,
    BrokerOrder,
    ConnectionLost,
    FillQuery,
    FillReport,
    OrderAck,
)
from alphaweave.live.datafeed import (
    FeedCapabilities,
    FeedEvent,
    FeedKind,
    History,
    Session,
    Subscription,
    Watermark,
)
from alphaweave.sim.capabilities import SIM_CAPABILITIES
from crash.wire import LIMIT, error_of, line, pack, read, unpack

__all__ = ["CAPABILITIES", "FEED_CAPABILITIES", "Link", "SocketBroker", "SocketFeed"]

CAPABILITIES = evolve(SIM_CAPABILITIES, simulated=False, not_found_is_final_after=2.0)
FEED_CAPABILITIES = FeedCapabilities(kinds=frozenset({FeedKind.BAR}), historical=True, realtime=True)


class Link:
    """One connection to the venue; ``at`` is told of each point that a request comes to."""

    def __init__(self, port: int, role: str, at: Callable[[str], None] = lambda point: None) -> None:
        self.pushed: asyncio.Queue[Any] = asyncio.Queue()
        self._port, self._role, self._at = port, role, at
        self._numbers = count()
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._writer: asyncio.StreamWriter | None = None
        self._listening: asyncio.Task[None] | None = None

    async def open(self) -> None:
        reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port, limit=LIMIT)
        self._writer.write(line({"role": self._role}))
        self._listening = asyncio.create_task(self._listen(reader))

    async def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
        self.pushed.put_nowait(None)

    async def call(self, name: str, *values: Any) -> Any:
        """Ask, once.

        Raises:
            BrokerError: what the venue says.
        """
        if self._writer is None:
            raise BrokerUnavailable("not connected")
        number = next(self._numbers)
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        self._writer.write(line({"id": number, "call": name, "values": pack(*values)}))
        await self._writer.drain()
        self._at(f"{name} out")
        found = await answer
        self._at(f"{name} answered")
        if "error" in found:
            raise error_of(found["error"])
        (value,) = unpack([found["ok"]])
        return value

    async def tell(self, what: str) -> None:
        assert self._writer is not None
        self._writer.write(line({"tell": what}))

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        while raw := await reader.readline():
            document = read(raw)
            if "id" in document:
                self._waiting.pop(document["id"]).set_result(document)
            else:
                (value,) = unpack([document["push"]])
                self.pushed.put_nowait(value)


class SocketBroker:
    """Every method is one request."""

    capabilities = CAPABILITIES

    def __init__(self, link: Link, services: Services) -> None:
        self.link = link
        self._clock = services.clock

    @classmethod
    def from_config(cls, config: BrokerConfig, services: Services | None = None) -> Self:
        raise BrokerUnavailable("it is made with a link to its venue")

    async def connect(self) -> None:
        await self.link.open()

    async def disconnect(self) -> None:
        await self.link.close()

    async def events(self) -> AsyncIterator[BrokerEvent]:
        while (event := await self.link.pushed.get()) is not None:
            yield event
        yield ConnectionLost(self._clock.now(), "the link is closed")

    def prepare(
        self,
        request: OrderRequest | OrderGroup | OrderChange,
        refs: Sequence[OrderRef],
        replaces: OrderRef | None = None,
    ) -> Sequence[Mapping[str, str]]:
        return tuple({} for _ in refs)

    async def submit_order(self, ref: OrderRef, request: OrderRequest) -> OrderAck:
        ack: OrderAck = await self.link.call("submit", ref, request)
        return ack

    async def submit_group(self, refs: Sequence[OrderRef], group: OrderGroup) -> tuple[OrderAck, ...]:
        acks: tuple[OrderAck, ...] = await self.link.call("group", tuple(refs), group)
        return acks

    async def cancel_order(self, ref: OrderRef) -> None:
        await self.link.call("cancel", ref)

    async def cancel_all(self, symbols: Sequence[str] | None) -> None:
        for order in await self.get_open_orders(symbols):
            await self.cancel_order(order.ref)

    async def replace_order(self, ref: OrderRef, new_ref: OrderRef, change: OrderChange) -> OrderAck:
        ack: OrderAck = await self.link.call("replace", ref, new_ref, change)
        return ack

    async def get_order(self, ref: OrderRef) -> BrokerOrder | None:
        found: BrokerOrder | None = await self.link.call("order", ref)
        return found

    async def get_open_orders(self, symbols: Sequence[str] | None = None) -> Sequence[BrokerOrder]:
        found: Sequence[BrokerOrder] = await self.link.call("open_orders")
        return found

    async def get_fills(self, query: FillQuery) -> FillReport:
        report: FillReport = await self.link.call("fills", query)
        return report

    async def get_account_state(self) -> BrokerAccountState:
        state: BrokerAccountState = await self.link.call("account")
        return state

    async def get_instruments(self, symbols: Sequence[str]) -> Mapping[str, Instrument]:
        found: Mapping[str, Instrument] = await self.link.call("instruments", tuple(symbols))
        return found

    async def get_time(self) -> datetime:
        now: datetime = await self.link.call("time")
        return now


class SocketFeed:
    """Bars of a second, as the venue makes them."""

    capabilities = FEED_CAPABILITIES

    def __init__(self, link: Link) -> None:
        self.link = link

    async def connect(self) -> None:
        await self.link.open()

    async def disconnect(self) -> None:
        await self.link.close()

    async def subscribe(self, subscriptions: Sequence[Subscription]) -> None:
        begin: datetime = await self.link.call("subscribe")
        self.link.pushed.put_nowait(Watermark(tuple(one.symbol for one in subscriptions), "1s", begin))

    async def history(
        self,
        subscription: Subscription,
        *,
        end: datetime,
        start: datetime | None = None,
        bars: int | None = None,
    ) -> History:
        assert start is not None
        return History(await self.link.call("history", subscription.symbol, start, end), start, end)

    async def sessions(self, symbols: Sequence[str], start: datetime, end: datetime) -> Sequence[Session]:
        return ()

    async def stream(self) -> AsyncIterator[FeedEvent]:
        while (event := await self.link.pushed.get()) is not None:
            yield event
