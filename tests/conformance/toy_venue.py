"""A toy venue with every power, and a wire that is a function call: fast enough to try every bug on."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Self

from alphaweave.core.instrument import Instrument
from alphaweave.core.money import Money
from alphaweave.core.order import GroupKind, OrderRequest, OrderStatus, OrderType, Side, TimeInForce
from alphaweave.testing.clock import RunningClock
from alphaweave.testing.venue import Action, Fault, Power, Truth, VenueControl, WireRequest
from conformance.toy_books import Refused, ToyBooks, ToyOrder, Words

BEAT = 0.05
ACTIONS = {
    "submit": Action.SUBMIT,
    "submit_group": Action.SUBMIT,
    "cancel": Action.CANCEL,
    "replace": Action.REPLACE,
    "hello": Action.OTHER,
}


class Connection:
    """One connection: what the venue says on it, and what is being asked."""

    def __init__(self, venue: ToyVenue, number: int) -> None:
        self.venue, self.number = venue, number
        self.said: asyncio.Queue[Words | None] = asyncio.Queue()
        self.alive = True
        self._asked: set[asyncio.Future[None]] = set()

    async def ask(self, raw: bytes) -> Words:
        """Send one request, and wait for its answer."""
        return await self.venue.receive(self, raw)

    async def never(self) -> None:
        """Wait until the connection ends."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._asked.add(future)
        try:
            await future
        finally:
            self._asked.discard(future)

    def close(self) -> None:
        if self.alive:
            self.alive = False
            self.said.put_nowait(None)
            for future in self._asked:
                if not future.done():
                    future.set_exception(ConnectionResetError("the connection has ended"))
            self.venue.connections.discard(self)


class ToyVenue(VenueControl):
    """The venue."""

    name = "the toy venue"
    account_id = "TOY-1"
    currency = "USD"
    powers = frozenset(Power) - {
        Power.HISTORY,
        Power.FORMING,
        Power.CORRECT_BAR,
        Power.TRADES,
        Power.QUOTES,
    }
    names: Mapping[str, str] = {"ONE": "ONE.X", "TWO": "TWO.X"}
    instruments: Mapping[str, Instrument] = {
        "ONE": Instrument(symbol="ONE", venue_symbol="ONE.X"),
        "TWO": Instrument(symbol="TWO", venue_symbol="TWO.X", size_step=Decimal("0.001"), fractional=True),
    }
    secrets = ("toy-s3cret",)
    patience = 2.5

    def __init__(self) -> None:
        self.clock = RunningClock()
        self.ahead = timedelta(0)
        self.books = ToyBooks(self.instruments, self.now, self.tell)
        self.connections: set[Connection] = set()
        self._received: list[WireRequest] = []
        self._armed: dict[Action, tuple[Fault, int, float]] = {}
        self._held: list[Words] | None = None
        self._answers: list[asyncio.Event] = []
        self._dialled = 0
        self._told = 0
        self._refused = self._muted = False
        self._heart: asyncio.Task[None] | None = None

    @property
    def requests(self) -> Sequence[WireRequest]:
        return self._received

    def now(self) -> datetime:
        return self.clock.now() + self.ahead

    async def start(self) -> None:
        self._heart = asyncio.ensure_future(self._beat())

    async def stop(self) -> None:
        for connection in list(self.connections):
            connection.close()
        if self._heart is not None:
            self._heart.cancel()
            await asyncio.gather(self._heart, return_exceptions=True)

    def fresh(self) -> Self:
        return type(self)()

    def options(self) -> dict[str, Any]:
        return {"key": "toy-s3cret", "timeout": 0.15, "silence": 0.4}

    def wrong_options(self) -> dict[str, Any]:
        return {**self.options(), "key": "toy-wrong"}

    def attach(self, adapter: object) -> None:
        adapter.dial = self.dial  # type: ignore[attr-defined]

    async def dial(self) -> Connection:
        """What a socket's connect would be."""
        await asyncio.sleep(0)
        if self._refused:
            raise ConnectionRefusedError("the venue is away")
        self._dialled += 1
        connection = Connection(self, self._dialled)
        self.connections.add(connection)
        return connection

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(BEAT)
            if not self._muted:
                for connection in self.connections:
                    connection.said.put_nowait({"ev": "beat"})

    # Requests ------------------------------------------------------------------------------------------

    async def receive(self, connection: Connection, raw: bytes) -> Words:
        """One request, and what becomes of it."""
        if not connection.alive:
            raise ConnectionResetError("the connection has ended")
        words = json.loads(raw)
        action = ACTIONS.get(words["do"], Action.QUERY)
        named = words.get("legs", [{"client": words.get("new_client") or words.get("client")}])
        clients = tuple(each["client"] for each in named if each["client"])
        self._received.append(
            WireRequest(
                len(self._received) + 1, self.now(), action, words["do"], raw, clients, connection.number
            )
        )
        await asyncio.sleep(0)
        if self._muted:
            await connection.never()
        fault, times, retry_after = self._armed.get(action, (None, 0, 0.0))
        if fault is None or times < 1:
            return self._do(words)
        self._armed[action] = (fault, times - 1, retry_after)
        refusals: dict[Fault, Words] = {
            Fault.REJECT: {"error": "no", "text": "no, says the venue", "alive": True},
            Fault.DUPLICATE_ID: {"error": "duplicate_id"},
            Fault.THROTTLE: {"error": "throttled", "retry_after": retry_after},
            Fault.ERROR_BEFORE: {"error": "internal"},
        }
        if fault in refusals:
            return refusals[fault]
        if fault is Fault.LOSE_REQUEST:
            await connection.never()
        answer = self._do(words)
        if fault is Fault.HANG_UP:
            connection.close()
            raise ConnectionResetError("the connection has ended")
        if fault is Fault.LOSE_ANSWER:
            await connection.never()
        if fault is Fault.HOLD:
            released = asyncio.Event()
            self._answers.append(released)
            await released.wait()
        hidden: dict[Fault, Words] = {Fault.ERROR_AFTER: {"error": "internal"}, Fault.GARBLE: {"?": 7}}
        return hidden.get(fault, answer)

    def _do(self, words: Words) -> Words:
        try:
            return {"ok": getattr(self, f"_{words['do']}")(words)}
        except Refused as refusal:
            return {"error": str(refusal), "text": f"refused: {refusal}"}

    def _hello(self, words: Words) -> Words:
        if words["key"] != "toy-s3cret":
            raise Refused("bad_key")
        return {"account": self.account_id, "told": self._told}

    def _submit(self, words: Words) -> Words:
        return {"order": self.books.submit(words["client"], self._request(words)).id}

    def _submit_group(self, words: Words) -> Words:
        legs = [(leg["client"], self._request(leg)) for leg in words["legs"]]
        return {"orders": [order.id for order in self.books.submit_group(GroupKind(words["kind"]), legs)]}

    @staticmethod
    def _request(words: Words) -> OrderRequest:
        numbers: Words = {
            name: Decimal(words[name])
            for name in ("quantity", "limit_price", "stop_price")
            if words.get(name) is not None
        }
        return OrderRequest(
            words["symbol"].removesuffix(".X"),
            Side(words["side"]),
            type=OrderType(words["type"]),
            tif=TimeInForce(words["tif"]),
            **numbers,
        )

    def _found(self, words: Words) -> ToyOrder | None:
        if words.get("order"):
            return self.books.orders.get(words["order"])
        return self.books.by_client(words["client"])

    def _cancel(self, words: Words) -> Words:
        order = self._found(words)
        if order is None or order.status.terminal:
            raise Refused("unknown_order" if order is None else "not_working")
        self.books.end(order, OrderStatus.CANCELLED)
        return {}

    def _replace(self, words: Words) -> Words:
        order = self._found(words)
        if order is None:
            raise Refused("unknown_order")
        return {"order": self.books.replace(order, words["new_client"], words["change"]).id}

    def _order(self, words: Words) -> Words | None:
        order = self._found(words)
        return None if order is None else self.books.update(order)

    def _open(self, words: Words) -> list[Words]:
        return [self.books.update(order) for order in self.books.orders.values() if not order.status.terminal]

    def _fills(self, words: Words) -> list[Words]:
        since = datetime.fromisoformat(words["since"])
        return [self.books.fill(one) for one in self.books.executions if one.at >= since]

    def _flows(self, words: Words) -> list[Words]:
        return self.books.flows

    def _account(self, words: Words) -> Words:
        held = {f"{symbol}.X": str(units) for symbol, units in self.books.positions.items() if units}
        return {"cash": str(self.books.cash), "positions": held, "at": self.now().isoformat()}

    def _instruments(self, words: Words) -> list[Words]:
        return [
            {
                "symbol": rules.venue_symbol,
                "step": str(rules.size_step),
                "halted": rules.symbol in self.books.halted,
            }
            for rules in self.instruments.values()
        ]

    def _time(self, words: Words) -> str:
        return self.now().astimezone(UTC).isoformat()

    # Powers --------------------------------------------------------------------------------------------

    def tell(self, event: Words) -> None:
        self._told += 1
        numbered = {**event, "n": self._told}
        if self._held is not None:
            self._held.append(numbered)
        else:
            self._say(numbered)

    def _say(self, event: Words) -> None:
        if not self._muted:
            for connection in self.connections:
                connection.said.put_nowait(event)

    def truth(self) -> Truth:
        return self.books.truth()

    async def arm(self, action: Action, fault: Fault, *, times: int = 1, retry_after: float = 1.0) -> None:
        self._armed[action] = (fault, times, retry_after)

    async def release_answers(self) -> None:
        for released in self._answers:
            released.set()
        self._answers.clear()

    async def hold_events(self) -> None:
        self._held = []

    async def release_events(self, *, times: int = 1, backwards: bool = False) -> None:
        held, self._held = self._held or [], None
        for event in reversed(held) if backwards else held:
            for _ in range(times):
                self._say(event)

    async def drop(self) -> None:
        for connection in list(self.connections):
            connection.close()

    async def refuse(self, refused: bool) -> None:
        self._refused = refused
        if refused:
            await self.drop()

    async def mute(self, muted: bool) -> None:
        self._muted = muted

    async def restart(self) -> None:
        await self.drop()

    async def skew(self, seconds: float) -> None:
        self.ahead = timedelta(seconds=seconds)

    async def set_price(self, symbol: str, price: Decimal) -> None:
        self.books.set_price(symbol, price)

    async def fill(
        self, client_order_id: str, size: Decimal | None = None, price: Decimal | None = None
    ) -> None:
        order = self.books.by_client(client_order_id)
        assert order is not None
        at = price or order.request.limit_price or self.books.prices[order.request.symbol]
        self.books.execute(order, order.quantity - order.filled if size is None else size, at)

    async def cancel(self, client_order_id: str) -> None:
        order = self.books.by_client(client_order_id)
        assert order is not None
        self.books.end(order, OrderStatus.CANCELLED)

    async def expire(self, client_order_id: str) -> None:
        order = self.books.by_client(client_order_id)
        assert order is not None
        self.books.end(order, OrderStatus.EXPIRED)

    async def bust(self, execution_id: str) -> None:
        self.books.restate(execution_id, Decimal(0), Decimal(0))
        self.tell({"ev": "bust", "key": execution_id})

    async def correct(self, execution_id: str, size: Decimal, price: Decimal) -> None:
        one = self.books.restate(execution_id, size, price)
        self.tell({**self.books.fill(one), "ev": "correct"})

    async def late_fee(self, execution_id: str, fee: Money) -> None:
        at = next(number for number, one in enumerate(self.books.executions) if one.id == execution_id)
        old = self.books.executions[at]
        self.books.cash -= fee.amount
        object.__setattr__(old, "fees", (*old.fees, fee))
        self.tell({"ev": "fee", "key": execution_id, "fee": self.books.fill(old)["fee"]})

    async def cash_flow(self, amount: Money, kind: str = "deposit") -> None:
        self.books.cash += amount.amount
        flow = {
            "ev": "cash",
            "key": f"F{len(self.books.flows) + 1}",
            "kind": kind,
            "amount": str(amount.amount),
        }
        self.books.flows.append({**flow, "at": self.now().isoformat()})
        self.tell(self.books.flows[-1])

    async def move_position(self, symbol: str, quantity: Decimal) -> None:
        self.books.book(symbol, quantity, Decimal(0))
        now = self.now().isoformat()
        self.tell(
            {"ev": "position", "key": f"P-{now}", "symbol": f"{symbol}.X", "units": str(quantity), "at": now}
        )

    async def foreign_order(self, symbol: str, side: Side, size: Decimal, limit_price: Decimal) -> str:
        request = OrderRequest(
            symbol, side, size, type=OrderType.LIMIT, tif=TimeInForce.GTC, limit_price=limit_price
        )
        return self.books.submit(None, request, foreign=True).id

    async def foreign_trade(self, symbol: str, side: Side, size: Decimal, price: Decimal) -> str:
        request = OrderRequest(symbol, side, size, type=OrderType.MARKET, tif=TimeInForce.GTC)
        order = self.books.submit(None, request, foreign=True)
        self.books.execute(order, size, price)
        return order.id

    async def halt(self, symbol: str, halted: bool) -> None:
        (self.books.halted.add if halted else self.books.halted.discard)(symbol)
