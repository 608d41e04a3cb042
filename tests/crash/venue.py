"""The broker that survives: a simulated venue with a market of its own, behind a loopback socket."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal
from random import Random
from typing import Any

from alphaweave.core.clock import from_ns, to_ns
from alphaweave.core.errors import BrokerError, OrderRejected
from alphaweave.core.instrument import Instrument
from alphaweave.core.market import Bar
from alphaweave.core.order import OrderRef, OrderStatus
from alphaweave.data.series import Series
from alphaweave.live.reports import BrokerAccountState, FillReport, OrderAck, OrderUpdate
from alphaweave.sim.costs import FeeModel
from alphaweave.sim.settings import VenueSettings
from alphaweave.sim.venue import SimVenue
from crash.strategy import SYMBOLS
from crash.wire import LIMIT, error_document, line, pack, read, unpack

__all__ = ["VenueServer"]

_SECOND = 1_000_000_000
_TICK = 0.05
_SLOWEST = 0.02


class VenueServer:
    """Holds the truth of one account, whoever trades it and however often they die.

    Attributes:
        arrived: how often an order of each client order id was asked for; the truth about doubled orders.
        passed: requests taken and events told; what a kill at random is counted by.
        on: called with what the run tells of itself, and with each order that arrives.
    """

    def __init__(self, seed: int) -> None:
        self.arrived: Counter[str] = Counter()
        self.passed = 0
        self.on: Callable[[str], None] = lambda what: None
        self.port = 0
        self._random = Random(seed)
        self._instruments = {name: Instrument(symbol=name, venue_symbol=name) for name in SYMBOLS}
        self._board = {name: Series(name, "tick") for name in SYMBOLS}
        self._prices = dict.fromkeys(SYMBOLS, 100.0)
        self._bars: dict[str, list[Bar]] = {name: [] for name in SYMBOLS}
        self._second = time.time_ns() // _SECOND
        self.venue = SimVenue(
            instruments=self._instruments,
            board=self._board,
            settings=VenueSettings(
                fill_at="last", check_funds=False, random_partials=0.3, fees=FeeModel(fixed=Decimal("0.25"))
            ),
            cash=Decimal(1_000_000),
            currency="USD",
            account="CRASH",
            seed=seed,
        )
        self._writers: dict[str, asyncio.StreamWriter] = {}
        self._told_to = 0.0
        self._moved = asyncio.Event()
        self._server: asyncio.Server | None = None
        self._market: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=LIMIT)
        self.port = self._server.sockets[0].getsockname()[1]
        self._move()
        self._market = asyncio.create_task(self._run_market())

    async def until(self, holds: Callable[[], bool], seconds: float) -> bool:
        """Wait, but not for longer, until something holds here; whether it does."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not holds():
                    self._moved.clear()
                    await self._moved.wait()
        return holds()

    async def freeze(self) -> None:
        """No price moves any more."""
        if self._market is not None:
            self._market.cancel()
            with suppress(asyncio.CancelledError):
                await self._market

    async def close(self) -> None:
        await self.freeze()
        if self._server is not None:
            self._server.close()
        for writer in self._writers.values():
            writer.close()

    @property
    def executed(self) -> set[str]:
        """Keys of all executions there were."""
        return {fill.execution_key for fill in self.venue.fills(0)}

    @property
    def working(self) -> set[str]:
        """Client order ids of what works now."""
        return {order.ref.client_order_id for order in self.venue.open_orders()}

    @property
    def account(self) -> BrokerAccountState:
        return self.venue.account_state(time.time_ns())

    @property
    def positions(self) -> dict[str, Decimal]:
        """What is held, by symbol."""
        return {symbol: units for symbol, units in self.account.positions.items() if units}

    # The market.

    async def _run_market(self) -> None:
        while True:
            await asyncio.sleep(_TICK)
            self._move()

    def _move(self) -> None:
        now = time.time_ns()
        for symbol, series in self._board.items():
            price = self._prices[symbol] = round(
                self._prices[symbol] * (1 + self._random.gauss(0, 0.0006)), 2
            )
            series.append(now, now, price, price, price, price, 1000.0)
            series.cursor.count = len(series)
        self.venue.on_slice(now)
        self._publish()
        second = now // _SECOND
        if second > self._second:
            self._second = second
            for symbol, price in self._prices.items():
                start, end = from_ns((second - 1) * _SECOND), from_ns(second * _SECOND)
                bar = Bar(symbol, "1s", start, end, price, price, price, price, 1000.0)
                self._bars[symbol].append(bar)
                self._push("feed", bar)

    # The wire.

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            role = read(await reader.readline())["role"]
            self._writers[role] = writer
            while raw := await reader.readline():
                document = read(raw)
                if "tell" in document:
                    self.on(document["tell"])
                    continue
                self.passed += 1
                answer: dict[str, Any] = {"id": document["id"]}
                try:
                    value = getattr(self, f"_call_{document['call']}")(*unpack(document["values"]))
                    (answer["ok"],) = pack(value)
                except BrokerError as error:
                    answer["error"] = error_document(error)
                self._later(self._random.uniform(0, _SLOWEST), writer, answer)
                self._publish()
        writer.close()

    def _later(self, seconds: float, writer: asyncio.StreamWriter, document: dict[str, Any]) -> None:
        asyncio.get_running_loop().call_later(seconds, self._send, writer, document)

    @staticmethod
    def _send(writer: asyncio.StreamWriter, document: dict[str, Any]) -> None:
        # Who is dead hears nothing; it has to ask when it is back.
        if not writer.is_closing():
            writer.write(line(document))

    def _push(self, role: str, event: Any) -> None:
        writer = self._writers.get(role)
        if writer is not None:
            (document,) = pack(event)
            self._send(writer, {"push": document})

    def _publish(self) -> None:
        loop = asyncio.get_running_loop()
        self._moved.set()
        for event in self.venue.take():
            self.passed += 1
            # In order, but late against the answers of requests.
            self._told_to = max(self._told_to, loop.time() + self._random.uniform(0, _SLOWEST))
            loop.call_at(self._told_to, self._push, "broker", event)

    # The broker. What is called names itself in a request.

    def _arrive(self, *refs: OrderRef) -> None:
        for ref in refs:
            self.arrived[ref.client_order_id] += 1
        self.on("order")

    def _refused(self, names: set[str]) -> None:
        events = self.venue.take()
        mine = [one for one in events if isinstance(one, OrderUpdate) and one.ref.client_order_id in names]
        if mine and mine[0].status is OrderStatus.REJECTED:
            raise OrderRejected(mine[0].text, code=mine[0].reason)
        self.venue.events.extend(events)

    def _ack(self, ref: OrderRef) -> OrderAck:
        order = self.venue.order(ref.client_order_id)
        return OrderAck(ref if order is None else order.ref, from_ns(time.time_ns()))

    def _call_submit(self, ref: OrderRef, request: Any) -> OrderAck:
        self._arrive(ref)
        self.venue.submit(ref, request, time.time_ns())
        self._refused({ref.client_order_id})
        return self._ack(ref)

    def _call_group(self, refs: tuple[OrderRef, ...], group: Any) -> tuple[OrderAck, ...]:
        self._arrive(*refs)
        self.venue.submit_group(refs, group, time.time_ns())
        self._refused({ref.client_order_id for ref in refs})
        return tuple(self._ack(ref) for ref in refs)

    def _call_replace(self, ref: OrderRef, new_ref: OrderRef, change: Any) -> OrderAck:
        self._arrive(new_ref)
        self.venue.replace(ref.client_order_id, new_ref, change, time.time_ns())
        return self._ack(new_ref)

    def _call_cancel(self, ref: OrderRef) -> None:
        self.venue.cancel(ref.client_order_id, time.time_ns())

    def _call_order(self, ref: OrderRef) -> Any:
        return self.venue.order(ref.client_order_id)

    def _call_open_orders(self) -> Any:
        return tuple(self.venue.open_orders())

    def _call_fills(self, query: Any) -> FillReport:
        fills = self.venue.fills(to_ns(query.since))
        wanted = SYMBOLS if query.symbols is None else tuple(query.symbols)
        return FillReport(
            tuple(fill for fill in fills if fill.symbol in wanted), dict.fromkeys(wanted, query.since)
        )

    def _call_account(self) -> BrokerAccountState:
        return self.account

    def _call_instruments(self, symbols: tuple[str, ...]) -> Any:
        return {symbol: self._instruments[symbol] for symbol in symbols}

    def _call_time(self) -> Any:
        return from_ns(time.time_ns())

    # The feed.

    def _call_subscribe(self) -> Any:
        return from_ns(self._second * _SECOND)

    def _call_history(self, symbol: str, start: Any, end: Any) -> Any:
        return tuple(bar for bar in self._bars[symbol] if start < bar.end <= end)
