"""Brokers with one bug each, and the cases that have to find it."""

from __future__ import annotations

import asyncio
import contextlib
from base64 import b64encode
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, ClassVar

from attrs import evolve

from alphaweave.core.errors import (
    AlphaweaveError,
    BrokerUnavailable,
    NotSent,
    OrderRejected,
    OutcomeUnknown,
)
from alphaweave.core.order import OrderChange, OrderGroup, OrderRef, OrderRequest, OrderStatus, TimeInForce
from alphaweave.live.broker import (
    BrokerEvent,
    BrokerFill,
    BrokerOrder,
    FillQuery,
    FillReport,
    OrderAck,
    OrderUpdate,
)
from conformance.toy_books import Words
from conformance.toy_broker import ToyBroker


class Doubles(ToyBroker):
    """Sends every order twice, the second time under another id."""

    async def submit_order(self, ref: OrderRef, request: OrderRequest) -> OrderAck:
        ack = await super().submit_order(ref, request)
        await super().submit_order(evolve(ref, client_order_id=f"{ref.client_order_id}x"), request)
        return ack


class Retries(ToyBroker):
    """Sends a command again when no answer comes, as an HTTP library does."""

    async def command(self, what: str, **words: Any) -> Words:
        try:
            return await super().command(what, **words)
        except OutcomeUnknown:
            return await super().command(what, **words)


class RetriesThrottled(ToyBroker):
    """Waits for the rate limit to end, and sends the order again."""

    async def command(self, what: str, **words: Any) -> Words:
        answer = await super().command(what, **words)
        while answer.get("error") == "throttled":
            await asyncio.sleep(answer["retry_after"])
            answer = await super().command(what, **words)
        return answer


class Floats(ToyBroker):
    """Reads prices as floats on their way to Decimal."""

    def number(self, text: str) -> Decimal:
        return Decimal(float(text))


class TellsFloats(ToyBroker):
    """Tells prices as floats."""

    def fill_of(self, words: Words, revision: int = 0) -> BrokerFill:
        fill: Any = super().fill_of(words, revision)
        return evolve(fill, price=float(fill.price))


class WritesExponents(ToyBroker):
    """Writes numbers as Python prints them."""

    def text(self, number: Decimal) -> str:
        return str(number)


class RoundsPrices(ToyBroker):
    """Rounds limit prices to whole units."""

    def terms(self, ref: OrderRef, request: OrderRequest) -> Words:
        words = super().terms(ref, request)
        if words["limit_price"] is not None:
            words["limit_price"] = str(round(Decimal(words["limit_price"])))
        return words


class ForgetsPartials(ToyBroker):
    """Tells of executions only once the order is filled, and then of one."""

    def hear(self, words: Words) -> None:
        if words["ev"] == "fill" and words["size"] != words["cum"] and int(Decimal(words["cum"])) % 2:
            return
        super().hear(words)


class SwallowsDisconnect(ToyBroker):
    """Reconnects without a word."""

    def lose(self, reason: str) -> None:
        self.up = False

    def restore(self) -> None:
        self.up = True


class NeverReconnects(ToyBroker):
    """Says that the connection is lost, and leaves it at that."""

    async def keep(self) -> None:
        self.lose(await self.read())
        await asyncio.Event().wait()


class HearsNoSilence(ToyBroker):
    """Waits for ever on a connection that has gone silent."""

    async def read(self) -> str:
        assert self.wire is not None
        while (words := await self.wire.said.get()) is not None:
            self.hear(words)
        return "closed"


class IgnoresGaps(ToyBroker):
    """Counts no events: what a connection loses is lost."""

    def is_whole(self, words: Words) -> bool:
        return True


class RestoredTooSoon(ToyBroker):
    """Says that the connection is back before it is."""

    def lose(self, reason: str) -> None:
        super().lose(reason)
        super().restore()
        self.up = False


class TimeoutIsRejected(ToyBroker):
    """Takes an answer that does not come for a no."""

    async def submit_order(self, ref: OrderRef, request: OrderRequest) -> OrderAck:
        try:
            return await super().submit_order(ref, request)
        except OutcomeUnknown as error:
            raise OrderRejected(str(error), text="timeout") from None


class ErrorIsNotSent(ToyBroker):
    """Takes an internal error of the venue for "nothing was sent"."""

    async def command(self, what: str, **words: Any) -> Words:
        try:
            return await super().command(what, **words)
        except OutcomeUnknown as error:
            if "internal" in str(error):
                raise NotSent(str(error)) from None
            raise


class EmptyOnFailure(ToyBroker):
    """Answers "none" when a query fails."""

    async def get_open_orders(self, symbols: Sequence[str] | None = None) -> Sequence[BrokerOrder]:
        try:
            return await super().get_open_orders(symbols)
        except BrokerUnavailable:
            return ()


class RefusedLookupIsNone(ToyBroker):
    """Takes whatever the broker answers to a lookup, a rate limit too, for "there is no such order"."""

    async def get_order(self, ref: OrderRef) -> BrokerOrder | None:
        try:
            return await super().get_order(ref)
        except BrokerUnavailable as error:
            if error.retry_after is not None:
                return None
            raise


class ForgetsEndedOrders(ToyBroker):
    """Looks orders up among those that work, and those whose end it heard of itself."""

    def __init__(self, options: Any, services: Any) -> None:
        super().__init__(options, services)
        self.ended: set[str] = set()

    def update_of(self, words: Words) -> OrderUpdate:
        told = super().update_of(words)
        if told.status.terminal:
            self.ended.add(told.ref.client_order_id)
        return told

    async def get_order(self, ref: OrderRef) -> BrokerOrder | None:
        found = await super().get_order(ref)
        if found is not None and found.status.terminal and ref.client_order_id not in self.ended:
            return None
        return found


class NaiveTimes(ToyBroker):
    """Tells times without a zone."""

    def moment(self, text: str) -> datetime:
        return super().moment(text).replace(tzinfo=None)


class OwnClock(ToyBroker):
    """Reads the machine's clock."""

    def __init__(self, options: Any, services: Any) -> None:
        super().__init__(options, services)
        self.clock = _MachineClock()


class _MachineClock:
    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return 0.0


class LeaksATask(ToyBroker):
    """Leaves its reader running."""

    leaks: ClassVar[list[Any]] = []

    async def connect(self) -> None:
        await super().connect()
        task = asyncio.ensure_future(asyncio.Event().wait())
        self.leaks.append(task)


class LogsItsKey(ToyBroker):
    """Says its key to the log."""

    async def connect(self) -> None:
        self.services.log.info("connecting", key=self.options.key.reveal())
        await super().connect()


class ErrorsTellTheKey(ToyBroker):
    """Quotes the request, its key included, where an order fails."""

    async def submit_order(self, ref: OrderRef, request: OrderRequest) -> OrderAck:
        try:
            return await super().submit_order(ref, request)
        except OutcomeUnknown as error:
            raise OutcomeUnknown(f"{error}: key={self.options.key.reveal()}") from None


class UnreachableTellsTheKey(ToyBroker):
    """Quotes the key where there is no venue to connect to."""

    async def connect(self) -> None:
        try:
            await super().connect()
        except BrokerUnavailable as error:
            raise BrokerUnavailable(f"{error}: key={self.options.key.reveal()}") from None


class LogsItsHeader(ToyBroker):
    """Logs the header that its key is in, in base64."""

    async def connect(self) -> None:
        self.services.log.info("connecting", header=b64encode(self.options.key.reveal().encode()).decode())
        await super().connect()


class IocBecomesGtc(ToyBroker):
    """Sends every IOC as GTC."""

    def terms(self, ref: OrderRef, request: OrderRequest) -> Words:
        words = super().terms(ref, request)
        return {**words, "tif": "gtc"} if request.tif is TimeInForce.IOC else words


class TakesAnything(ToyBroker):
    """Sends what it does not declare as the nearest thing it knows."""

    def prepare(
        self,
        request: OrderRequest | OrderGroup | OrderChange,
        refs: Sequence[OrderRef],
        replaces: OrderRef | None = None,
    ) -> Sequence[Mapping[str, str]]:
        return tuple({"symbol": self.venue_names.get(ref.symbol, ref.symbol)} for ref in refs)

    def terms(self, ref: OrderRef, request: OrderRequest) -> Words:
        words = super().terms(ref, request)
        return {**words, "quantity": words["quantity"] or "1"}


class DropsEarlyFills(ToyBroker):
    """Tells of executions only after the acknowledgement of their order."""

    def __init__(self, options: Any, services: Any) -> None:
        super().__init__(options, services)
        self.acked: set[str | None] = set()

    def acknowledged(self, ref: OrderRef, answer: Words) -> OrderAck:
        self.acked.add(ref.client_order_id)
        return super().acknowledged(ref, answer)

    def hear(self, words: Words) -> None:
        if words["ev"] == "fill" and words["client"] not in self.acked:
            return
        super().hear(words)


class NewKeyEachTime(ToyBroker):
    """Names an execution by a counter of its own."""

    told = 0

    def fill_of(self, words: Words, revision: int = 0) -> BrokerFill:
        self.told += 1
        return evolve(super().fill_of(words, revision), execution_key=f"K{self.told}", cumulative=None)


class CancelMeansGone(ToyBroker):
    """Says CANCELLED when it asked for a cancel, not when the venue did it."""

    async def cancel_order(self, ref: OrderRef) -> None:
        with contextlib.suppress(OutcomeUnknown):
            await super().cancel_order(ref)
        self.queue.put_nowait(OrderUpdate(ref, OrderStatus.CANCELLED, self.clock.now()))


class CancelsOnExit(ToyBroker):
    """Cancels everything when it disconnects."""

    async def disconnect(self) -> None:
        with contextlib.suppress(AlphaweaveError):
            await self.cancel_all(None)
        await super().disconnect()


class HidesForeigners(ToyBroker):
    """Leaves out what others do in the account."""

    def hear(self, words: Words) -> None:
        if words["ev"] in {"fill", "order"} and "client" in words and words["client"] is None:
            return
        super().hear(words)

    async def get_open_orders(self, symbols: Sequence[str] | None = None) -> Sequence[BrokerOrder]:
        return [order for order in await super().get_open_orders(symbols) if not order.foreign]

    async def get_fills(self, query: FillQuery) -> FillReport:
        report = await super().get_fills(query)
        return evolve(report, fills=tuple(fill for fill in report.fills if not fill.foreign))


class UnmappedSymbols(ToyBroker):
    """Tells of the venue's symbols."""

    def symbol_of(self, words: Words) -> str:
        return str(words["symbol"])


class EndlessEvents(ToyBroker):
    """Never ends its event stream."""

    async def stream(self) -> AsyncIterator[BrokerEvent]:
        while True:
            event = await self.queue.get()
            if event is not None:
                yield event


class AnyAccount(ToyBroker):
    """Trades in whatever account the keys open."""

    def __init__(self, options: Any, services: Any) -> None:
        super().__init__(options, evolve(services, account_id=None))


# What finds each of them: all of it, and nothing else.
ZOO: Mapping[type[ToyBroker], str] = {
    Doubles: "110 155 157 455 810 825 830 920 930 940 945 986 995",
    Retries: "540 610 615 620 625 635 655 660 665 670 672 995",
    RetriesThrottled: "550",
    Floats: "157 440 450 455 465 480 870 875 915 950 995",
    TellsFloats: "850 870",
    WritesExponents: "860",
    RoundsPrices: "530 865",
    ForgetsPartials: "275 415 425",
    SwallowsDisconnect: "710 715 720 725 730 735 740 745 747 750 989",
    NeverReconnects: "630 710 715 725 730 735 740 745 747 750 989 995",
    HearsNoSilence: "725 747",
    IgnoresGaps: "747",
    RestoredTooSoon: "710 715 725 730 735 745 747 750",
    TimeoutIsRejected: "170 540 610 615 620 625 630 635 640 645 995",
    ErrorIsNotSent: "620 625 665 995",
    EmptyOnFailure: "055 555 675 680 685 687 720 995",
    RefusedLookupIsNone: "555",
    ForgetsEndedOrders: "822 995",
    NaiveTimes: "440 450 455 880 890 895",
    OwnClock: "885 890 925",
    LeaksATask: "970 989",
    LogsItsKey: "980",
    ErrorsTellTheKey: "980",
    UnreachableTellsTheKey: "980",
    LogsItsHeader: "980",
    IocBecomesGtc: "115",
    TakesAnything: "120 130 135 140 145 150 265",
    DropsEarlyFills: "435 640",
    NewKeyEachTime: "430 440 470 475 480 747 995",
    CancelMeansGone: "660 665 667",
    CancelsOnExit: "080 810 815 830 840",
    HidesForeigners: "940 945 960",
    UnmappedSymbols: "240 420 440 450 455 545 645 820 875 930 940 945 995",
    EndlessEvents: "065 970 989",
    AnyAccount: "040 976",
}
