"""A good adapter for the toy venue. The zoo is made of it, one bug at a time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Self

from attrs import frozen

from alphaweave.core.errors import (
    AuthenticationFailed,
    BrokerError,
    BrokerUnavailable,
    CancelRejected,
    NotSent,
    OrderRejected,
    OrderState,
    OutcomeUnknown,
    ReplaceRejected,
    Unsupported,
)
from alphaweave.core.instrument import Instrument
from alphaweave.core.money import Money, plain
from alphaweave.core.order import (
    GroupKind,
    OrderChange,
    OrderGroup,
    OrderRef,
    OrderRequest,
    OrderStatus,
    OrderType,
    RejectReason,
    Side,
    TimeInForce,
)
from alphaweave.core.secret import Secret
from alphaweave.live.adapters.base import BrokerConfig, RunMode, Services
from alphaweave.live.adapters.capabilities import (
    Capabilities,
    ClientIdRules,
    ClientIdUniqueness,
    refuse_undeclared,
)
from alphaweave.live.broker import (
    Balance,
    BrokerAccountState,
    BrokerEvent,
    BrokerFill,
    BrokerOrder,
    CashFlow,
    ConnectionLost,
    ConnectionRestored,
    FeeReport,
    FillCorrection,
    FillQuery,
    FillReport,
    OrderAck,
    OrderUpdate,
    PositionChange,
)
from alphaweave.live.config_options import parse_options
from alphaweave.live.plugins import BrokerPlugin
from conformance.toy_books import Words
from conformance.toy_venue import BEAT, Connection

USUAL = (TimeInForce.DAY, TimeInForce.GTC, TimeInForce.IOC)
CAPABILITIES = Capabilities(
    order_types=frozenset(
        [(kind, tif) for kind in (OrderType.MARKET, OrderType.LIMIT) for tif in USUAL]
        + [(OrderType.STOP, TimeInForce.GTC)]
    ),
    fractional=frozenset({(OrderType.LIMIT, TimeInForce.GTC), (OrderType.STOP, TimeInForce.GTC)}),
    shorting=True,
    fractional_short=True,
    groups=frozenset(GroupKind),
    fractional_groups=True,
    replace=frozenset({"quantity", "limit_price"}),
    fee_reports=True,
    client_ids=ClientIdRules(max_length=36, unique=ClientIdUniqueness.FOREVER),
    not_found_is_final_after=1.0,
)
REASONS = {
    "unknown_symbol": RejectReason.UNKNOWN_SYMBOL,
    "funds": RejectReason.INSUFFICIENT_FUNDS,
    "off_grid": RejectReason.INVALID_PRICE,
    "halted": RejectReason.MARKET_CLOSED,
    "throttled": RejectReason.RATE_LIMITED,
    "no": RejectReason.OTHER,
}


@frozen(kw_only=True)
class ToyOptions:
    """Options of the toy broker; seconds."""

    key: Secret
    timeout: float = 1.0
    silence: float = 5.0


class ToyBroker:
    """The adapter. ``declared`` is what its record says that it can do."""

    declared = CAPABILITIES
    dial: Any = None
    capabilities = CAPABILITIES

    def __init__(self, options: ToyOptions, services: Services) -> None:
        self.options, self.services, self.clock = options, services, services.clock
        self.venue_names = dict(services.names)
        self.config_names = {venue: symbol for symbol, venue in services.names.items()}
        self.wire: Connection | None = None
        self.queue: asyncio.Queue[BrokerEvent | None] = asyncio.Queue()
        self.taken = self.up = False
        self.account = ""
        self.keeper: asyncio.Task[None] | None = None
        self.revisions: dict[str, int] = {}
        self.heard = 0
        self.missing: set[int] = set()
        self.overdue: set[int] = set()

    @classmethod
    def from_config(cls, config: BrokerConfig, services: Services | None = None) -> Self:
        options = parse_options(ToyOptions, config.options, path="broker.options.toy")
        return cls(options, services or Services())

    # Connection ----------------------------------------------------------------------------------------

    async def connect(self) -> None:
        if self.services.mode is RunMode.LIVE:
            raise AuthenticationFailed("the toy account is a paper account", details={"mode": "live"})
        await self.open_wire()
        self.up = True
        self.keeper = asyncio.ensure_future(self.keep())

    async def open_wire(self) -> None:
        try:
            self.wire = await self.dial()
            answer = await self.ask("hello", key=self.options.key.reveal())
        except (OSError, TimeoutError):
            raise BrokerUnavailable("the toy venue cannot be reached") from None
        if answer.get("error") == "bad_key":
            self.wire.close()
            raise AuthenticationFailed("the toy venue refuses the key", details={"key": "refused"})
        if "ok" not in answer:
            self.wire.close()
            raise BrokerUnavailable("the toy venue does not answer")
        self.account, self.heard = answer["ok"]["account"], answer["ok"]["told"]
        self.missing, self.overdue = set(), set()
        if self.services.account_id not in {None, self.account}:
            self.wire.close()
            raise AuthenticationFailed("another account", details={"account": self.account})

    async def keep(self) -> None:
        """Read the connection, and make another when it ends."""
        while True:
            reason = await self.read()
            self.lose(reason)
            while not self.up:
                await asyncio.sleep(0.01)
                try:
                    await self.open_wire()
                except BrokerError:
                    continue
                self.restore()

    async def read(self) -> str:
        assert self.wire is not None
        while True:
            try:
                # Not `wait_for`, which Python 3.11 lets swallow a cancel.
                async with asyncio.timeout(self.options.silence):
                    words = await self.wire.said.get()
            except TimeoutError:
                # Where this machine stood still, the venue did too: it may have something to say yet.
                await asyncio.sleep(2 * BEAT)
                if not self.wire.said.empty():
                    continue
                self.wire.close()
                return "silence"
            if words is None:
                return "closed"
            if not self.is_whole(words):
                self.wire.close()
                return "an event is missing"
            self.hear(words)

    def is_whole(self, words: Words) -> bool:
        """Whether nothing that was missing at the last beat still is."""
        if "n" in words:
            self.missing |= set(range(self.heard + 1, words["n"]))
            self.missing.discard(words["n"])
            self.heard = max(self.heard, words["n"])
            return True
        late, self.overdue = self.overdue & self.missing, set(self.missing)
        return not late

    def lose(self, reason: str) -> None:
        self.up = False
        self.queue.put_nowait(ConnectionLost(self.clock.now(), reason))

    def restore(self) -> None:
        self.up = True
        self.queue.put_nowait(ConnectionRestored(self.clock.now()))

    async def disconnect(self) -> None:
        self.up = False
        if self.keeper is not None:
            self.keeper.cancel()
            await asyncio.gather(self.keeper, return_exceptions=True)
        if self.wire is not None:
            self.wire.close()
        self.queue.put_nowait(None)

    def events(self) -> AsyncIterator[BrokerEvent]:
        if self.taken:
            raise Unsupported("the events are taken once")
        self.taken = True
        return self.stream()

    async def stream(self) -> AsyncIterator[BrokerEvent]:
        while (event := await self.queue.get()) is not None:
            yield event

    # Events --------------------------------------------------------------------------------------------

    def hear(self, words: Words) -> None:
        event = self.event_of(words)
        if event is not None:
            self.queue.put_nowait(event)

    def event_of(self, words: Words) -> BrokerEvent | None:
        kind, now = words["ev"], self.clock.now()
        if kind == "fill":
            return self.fill_of(words)
        if kind == "order":
            return self.update_of(words)
        if kind == "fee":
            return FeeReport(self.account, words["key"], (Money("USD", self.number(words["fee"])),), now)
        if kind in {"bust", "correct"}:
            revision = self.revisions[words["key"]] = self.revisions.get(words["key"], 0) + 1
            fill = None if kind == "bust" else self.fill_of(words, revision)
            return FillCorrection(self.account, words["key"], revision, fill, now)
        if kind == "cash":
            return self.flow_of(words)
        if kind == "position":
            symbol, at = self.config_names[words["symbol"]], self.moment(words["at"])
            return PositionChange(self.account, words["key"], symbol, self.number(words["units"]), at)
        return None

    def flow_of(self, words: Words) -> CashFlow:
        amount = Money("USD", self.number(words["amount"]))
        return CashFlow(self.account, words["key"], words["kind"], amount, self.moment(words["at"]))

    def fill_of(self, words: Words, revision: int = 0) -> BrokerFill:
        return BrokerFill(
            account=self.account,
            execution_key=words["key"],
            broker_order_id=words["order"],
            client_order_id=words["client"],
            symbol=self.symbol_of(words),
            side=Side(words["side"]),
            size=self.number(words["size"]),
            price=self.number(words["price"]),
            executed_at=self.moment(words["at"]),
            received_at=self.clock.now(),
            revision=revision,
            cumulative=self.number(words["cum"]) if "cum" in words else None,
            fees=(Money("USD", self.number(words["fee"])),),
            foreign=self.is_foreign(words),
        )

    def update_of(self, words: Words) -> OrderUpdate:
        return OrderUpdate(
            ref=self.ref_of(words),
            status=OrderStatus(words["status"]),
            received_at=self.clock.now(),
            cumulative=self.number(words["filled"]),
            broker_time=self.moment(words["at"]),
            replaced_by=words["replaced_by"],
            foreign=self.is_foreign(words),
        )

    def ref_of(self, words: Words) -> OrderRef:
        return OrderRef(words["client"] or "", self.symbol_of(words), words["order"])

    def order_of(self, words: Words) -> BrokerOrder:
        numbers: Words = {
            name: None if words[name] is None else self.number(words[name])
            for name in ("quantity", "limit_price", "stop_price")
        }
        side, symbol = Side(words["side"]), self.symbol_of(words)
        kind, tif = OrderType(words["type"]), TimeInForce(words["tif"])
        return BrokerOrder(
            ref=self.ref_of(words),
            client_order_id=words["client"],
            status=OrderStatus(words["status"]),
            side=side,
            quantity=numbers["quantity"],
            filled=self.number(words["filled"]),
            as_of=self.moment(words["at"]),
            request=OrderRequest(symbol, side, type=kind, tif=tif, **numbers),
            replaced_by=words["replaced_by"],
            foreign=self.is_foreign(words),
        )

    def symbol_of(self, words: Words) -> str:
        symbol: str = words["symbol"]
        return self.config_names.get(symbol, symbol)

    def is_foreign(self, words: Words) -> bool:
        return words["client"] is None or words["symbol"] not in self.config_names

    def number(self, text: str) -> Decimal:
        return Decimal(text)

    def moment(self, text: str) -> datetime:
        return datetime.fromisoformat(text)

    # Requests ------------------------------------------------------------------------------------------

    async def ask(self, what: str, **words: Any) -> Words:
        """One request; raises TimeoutError or OSError where no answer came."""
        assert self.wire is not None
        async with asyncio.timeout(self.options.timeout):
            return await self.wire.ask(json.dumps({"do": what, **words}).encode())

    async def command(self, what: str, **words: Any) -> Words:
        """A request that must not be repeated: its answer, or OutcomeUnknown."""
        if not self.up:
            raise NotSent("not connected")
        try:
            answer = await self.ask(what, **words)
        except (OSError, TimeoutError):
            raise OutcomeUnknown("no answer") from None
        if "ok" not in answer and answer.get("error") in {None, "internal", "duplicate_id"}:
            raise OutcomeUnknown(f"no usable answer: {answer.get('error')}")
        return answer

    async def query(self, what: str, **words: Any) -> Any:
        if not self.up:
            raise BrokerUnavailable("not connected")
        try:
            answer = await self.ask(what, **words)
        except (OSError, TimeoutError):
            raise BrokerUnavailable("no answer") from None
        if "ok" not in answer:
            raise BrokerUnavailable("no usable answer", retry_after=answer.get("retry_after"))
        return answer["ok"]

    def prepare(
        self,
        request: OrderRequest | OrderGroup | OrderChange,
        refs: Sequence[OrderRef],
        replaces: OrderRef | None = None,
    ) -> Sequence[Mapping[str, str]]:
        refuse_undeclared(self.capabilities, request, refs[0].symbol)
        return tuple({"symbol": self.venue_names.get(ref.symbol, ref.symbol)} for ref in refs)

    def terms(self, ref: OrderRef, request: OrderRequest) -> Words:
        numbers = {name: getattr(request, name) for name in ("quantity", "limit_price", "stop_price")}
        return {
            "client": ref.client_order_id,
            "symbol": ref.wire["symbol"],
            "side": request.side.value,
            "type": request.type.value,
            "tif": request.tif.value,
            **{name: None if value is None else self.text(value) for name, value in numbers.items()},
        }

    def text(self, number: Decimal) -> str:
        return plain(number)

    async def submit_order(self, ref: OrderRef, request: OrderRequest) -> OrderAck:
        answer = await self.command("submit", **self.terms(ref, request))
        return self.acknowledged(ref, answer)

    def acknowledged(self, ref: OrderRef, answer: Words) -> OrderAck:
        error = answer.get("error")
        if error is not None:
            reason = REASONS.get(error, RejectReason.OTHER)
            raise OrderRejected(
                f"refused: {error}", reason=reason, code=error, text=answer.get("text", "too many requests")
            )
        named = OrderRef(ref.client_order_id, ref.symbol, answer["ok"]["order"], ref.wire, ref.decided_at)
        return OrderAck(named, self.clock.now())

    async def submit_group(self, refs: Sequence[OrderRef], group: OrderGroup) -> tuple[OrderAck, ...]:
        legs = [self.terms(ref, leg) for ref, leg in zip(refs, group.legs, strict=True)]
        answer = await self.command("submit_group", kind=group.kind.value, legs=legs)
        ids = answer["ok"]["orders"] if "ok" in answer else [None for _ in refs]
        answers = [{"ok": {"order": id_}} if "ok" in answer else answer for id_ in ids]
        return tuple(self.acknowledged(ref, each) for ref, each in zip(refs, answers, strict=True))

    async def cancel_order(self, ref: OrderRef) -> None:
        answer = await self.command("cancel", client=ref.client_order_id, order=ref.broker_order_id)
        if "error" in answer:
            raise CancelRejected(f"refused: {answer['error']}", order_state=self.state_of(answer))

    @staticmethod
    def state_of(answer: Words) -> OrderState:
        if answer.get("alive"):
            return OrderState.ALIVE
        return OrderState.GONE if answer["error"] == "not_working" else OrderState.UNKNOWN

    async def cancel_all(self, symbols: Sequence[str] | None) -> None:
        try:
            found = await self.get_open_orders()
        except BrokerUnavailable:
            raise OutcomeUnknown("the open orders are not known") from None
        for order in found:
            if symbols is None or order.ref.symbol in symbols:
                await self.cancel_order(order.ref)

    async def replace_order(self, ref: OrderRef, new_ref: OrderRef, change: OrderChange) -> OrderAck:
        given = {"quantity": change.quantity, "limit_price": change.limit_price}
        answer = await self.command(
            "replace",
            client=ref.client_order_id,
            order=ref.broker_order_id,
            new_client=new_ref.client_order_id,
            change={name: self.text(value) for name, value in given.items() if value is not None},
        )
        if "error" in answer:
            raise ReplaceRejected(f"refused: {answer['error']}", order_state=self.state_of(answer))
        return self.acknowledged(new_ref, answer)

    async def get_order(self, ref: OrderRef) -> BrokerOrder | None:
        words = await self.query("order", client=ref.client_order_id, order=ref.broker_order_id)
        return None if words is None else self.order_of(words)

    async def get_open_orders(self, symbols: Sequence[str] | None = None) -> Sequence[BrokerOrder]:
        found = [self.order_of(words) for words in await self.query("open")]
        return [order for order in found if symbols is None or order.ref.symbol in symbols]

    async def get_fills(self, query: FillQuery) -> FillReport:
        found = await self.query("fills", since=query.since.isoformat())
        flows = await self.query("flows")
        fills = [self.fill_of(words) for words in found]
        wanted = self.services.symbols if query.symbols is None else query.symbols
        return FillReport(
            fills=tuple(fill for fill in fills if query.symbols is None or fill.symbol in wanted),
            complete_from=dict.fromkeys(wanted, query.since),
            flows=tuple(self.flow_of(words) for words in flows),
        )

    async def get_account_state(self) -> BrokerAccountState:
        asked = self.clock.now()
        words = await self.query("account")
        held = {
            self.config_names.get(symbol, symbol): self.number(units)
            for symbol, units in words["positions"].items()
        }
        return BrokerAccountState(
            account_id=self.account,
            as_of=asked,
            base_currency="USD",
            balances={"USD": Balance(self.number(words["cash"]))},
            positions=held,
            foreign=tuple(symbol for symbol in held if symbol not in self.services.symbols),
        )

    async def get_instruments(self, symbols: Sequence[str]) -> Mapping[str, Instrument]:
        found = {}
        for words in await self.query("instruments"):
            symbol, step = self.symbol_of(words), self.number(words["step"])
            if symbol in symbols:
                found[symbol] = Instrument(
                    symbol=symbol,
                    venue_symbol=words["symbol"],
                    size_step=step,
                    fractional=step < 1,
                    tradable=not words["halted"],
                )
        return found

    async def get_time(self) -> datetime:
        return self.moment(await self.query("time"))


def plugin_of(kind: type[ToyBroker]) -> BrokerPlugin:
    """The record of an adapter."""
    return BrokerPlugin(name="toy", create=kind, capabilities=kind.declared, options=ToyOptions)
