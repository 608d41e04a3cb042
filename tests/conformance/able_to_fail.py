"""For every case that the zoo leaves alone, an adapter that fails it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, ClassVar

from attrs import evolve

from alphaweave.core.errors import (
    AuthenticationFailed,
    BrokerUnavailable,
    CancelRejected,
    NotSent,
    OrderRejected,
    OrderState,
    OutcomeUnknown,
    ReplaceRejected,
)
from alphaweave.core.instrument import Instrument
from alphaweave.core.money import Money
from alphaweave.core.order import OrderRef, OrderRequest, OrderStatus, OrderType, Side, TimeInForce
from alphaweave.live.adapters.base import RunMode
from alphaweave.live.adapters.capabilities import ClientIdRules
from alphaweave.live.broker import FeeReport, OrderUpdate, PositionChange
from alphaweave.live.findings import Finding
from conformance.toy_broker import CAPABILITIES, ToyBroker, ToyOptions
from conformance.toy_feed import ToyFeed

BROKERS: list[tuple[str, type[ToyBroker]]] = []
FEEDS: list[tuple[str, type[ToyFeed]]] = []


def breaks(*ids: str) -> Any:
    """Mark what an adapter is there to fail."""

    def mark(kind: Any) -> Any:
        (BROKERS if issubclass(kind, ToyBroker) else FEEDS).extend((id_, kind) for id_ in ids)
        return kind

    return mark


@breaks("BRK-010")
class OtherCapabilities(ToyBroker):
    capabilities = evolve(CAPABILITIES, shorting=False)


@breaks("BRK-015")
class Incomplete(ToyBroker):
    get_time: Any = None


@breaks("BRK-020")
class DialsWhenMade(ToyBroker):
    def __init__(self, options: ToyOptions, services: Any) -> None:
        super().__init__(options, services)
        self.early = asyncio.ensure_future(self.dial_early())

    async def dial_early(self) -> None:
        if self.dial is not None:
            await self.open_wire()


@breaks("BRK-025")
class TakesAnyOption(ToyBroker):
    @classmethod
    def from_config(cls, config: Any, services: Any = None) -> Any:
        known = {name: config.options[name] for name in ("key", "timeout", "silence")}
        return super().from_config(evolve(config, options=known), services)


@breaks("BRK-030")
class HearsNothing(ToyBroker):
    async def connect(self) -> None:
        await self.open_wire()
        self.up = True


@breaks("BRK-035", "BRK-050")
class MixesUpFailures(ToyBroker):
    async def connect(self) -> None:
        try:
            await super().connect()
        except AuthenticationFailed as error:
            raise BrokerUnavailable(str(error)) from None
        except BrokerUnavailable as error:
            raise AuthenticationFailed(str(error)) from None


@breaks("BRK-045")
class TradesLive(ToyBroker):
    def __init__(self, options: ToyOptions, services: Any) -> None:
        super().__init__(options, evolve(services, mode=RunMode.PAPER))


@breaks("BRK-060")
class TakenTwice(ToyBroker):
    def events(self) -> Any:
        self.taken = False
        return super().events()


@breaks("BRK-070")
class DisconnectsOnce(ToyBroker):
    async def disconnect(self) -> None:
        assert self.up, "not connected"
        await super().disconnect()


@breaks("BRK-075")
class SaysGoodbye(ToyBroker):
    async def disconnect(self) -> None:
        if self.wire is not None:
            await self.ask("time")
        await super().disconnect()


@breaks("BRK-125")
class NamesAnother(ToyBroker):
    def acknowledged(self, ref: OrderRef, answer: Any) -> Any:
        ack = super().acknowledged(ref, answer)
        return evolve(ack, ref=evolve(ack.ref, client_order_id="another"))


@breaks("BRK-160")
class CutsIds(ToyBroker):
    def terms(self, ref: OrderRef, request: Any) -> Any:
        return super().terms(evolve(ref, client_order_id=ref.client_order_id[:30]), request)


@breaks("BRK-165")
class HexIds(ToyBroker):
    declared = evolve(CAPABILITIES, client_ids=ClientIdRules(alphabet="[0-9a-f]"))


@breaks("BRK-175")
class OneSymbol(ToyBroker):
    def prepare(self, request: Any, refs: Any, replaces: Any = None) -> Any:
        super().prepare(request, refs, replaces)
        return tuple({"symbol": "ONE.X"} for _ in refs)


@breaks("BRK-180")
class AsksInPrepare(ToyBroker):
    def prepare(self, request: Any, refs: Any, replaces: Any = None) -> Any:
        self.asked = asyncio.ensure_future(self.query("time"))
        return super().prepare(request, refs, replaces)


@breaks("BRK-210", "BRK-255", "BRK-260", "BRK-410")
class ForgetsEnds(ToyBroker):
    def hear(self, words: Any) -> None:
        if words.get("status") not in {"cancelled", "expired", "filled"}:
            super().hear(words)


@breaks("BRK-215")
class NeedsTheBrokerId(ToyBroker):
    async def cancel_order(self, ref: OrderRef) -> None:
        if ref.broker_order_id is None:
            raise NotSent("the broker id is not known")
        await super().cancel_order(ref)


@breaks("BRK-220", "BRK-225", "BRK-250")
class SilentCancels(ToyBroker):
    async def cancel_order(self, ref: OrderRef) -> None:
        try:
            await super().cancel_order(ref)
        except CancelRejected:
            return


@breaks("BRK-230")
class CancelsOnce(ToyBroker):
    async def cancel_order(self, ref: OrderRef) -> None:
        try:
            await super().cancel_order(ref)
        except CancelRejected as error:
            raise OrderRejected(str(error)) from None


@breaks("BRK-235")
class CancelsTheFirst(ToyBroker):
    async def cancel_all(self, symbols: Any) -> None:
        for order in (await self.get_open_orders())[:1]:
            await self.cancel_order(order.ref)


@breaks("BRK-245")
class ForgetsWhatWasFilled(ToyBroker):
    def order_of(self, words: Any) -> Any:
        order = super().order_of(words)
        return evolve(order, filled=Decimal(0)) if order.status is OrderStatus.CANCELLED else order


@breaks("BRK-270")
class ForgetsVersions(ToyBroker):
    def update_of(self, words: Any) -> Any:
        return evolve(super().update_of(words), replaced_by=None)

    def order_of(self, words: Any) -> Any:
        return evolve(super().order_of(words), replaced_by=None)


@breaks("BRK-280")
class AlwaysAlive(ToyBroker):
    @staticmethod
    def state_of(answer: Any) -> OrderState:
        return OrderState.ALIVE


@breaks("BRK-285")
class AlwaysGone(ToyBroker):
    @staticmethod
    def state_of(answer: Any) -> OrderState:
        return OrderState.GONE


class SendsAnything(ToyBroker):
    def prepare(self, request: Any, refs: Any, replaces: Any = None) -> Any:
        return tuple({"symbol": self.venue_names[ref.symbol]} for ref in refs)


@breaks("BRK-675", "BRK-680", "BRK-685", "BRK-687")
class FindsNothingByName(ToyBroker):
    """Takes a question that was not answered for an order that is not there: it would be sent again."""

    async def get_order(self, ref: OrderRef) -> Any:
        try:
            return await super().get_order(ref)
        except BrokerUnavailable:
            if ref.broker_order_id is None:
                return None
            raise


@breaks("BRK-157")
class RoundsShortSales(ToyBroker):
    async def submit_order(self, ref: Any, request: Any) -> Any:
        whole = evolve(request, quantity=request.quantity.to_integral_value())
        return await super().submit_order(ref, whole if request.side is Side.SELL else request)


@breaks("BRK-310", "BRK-315")
class SendsUndeclaredGroups(SendsAnything):
    declared = capabilities = evolve(CAPABILITIES, groups=frozenset())


@breaks("BRK-345")
class SendsUndeclaredFractions(SendsAnything):
    declared = capabilities = evolve(CAPABILITIES, fractional_groups=False)


@breaks("BRK-310", "BRK-315", "BRK-320", "BRK-325", "BRK-335")
class LooseLegs(ToyBroker):
    async def submit_group(self, refs: Any, group: Any) -> Any:
        return tuple([await self.submit_order(*each) for each in zip(refs, group.legs, strict=True)])


@breaks("BRK-330", "BRK-340")
class FindsOnlyParents(ToyBroker):
    exits: Any = ()

    async def submit_group(self, refs: Any, group: Any) -> Any:
        self.exits = refs[-2:]
        return await super().submit_group(refs, group)

    async def get_order(self, ref: OrderRef) -> Any:
        ids = [each.client_order_id for each in self.exits]
        return None if ref.client_order_id in ids else await super().get_order(ref)


@breaks("BRK-340")
class LostGroupsAreRejected(ToyBroker):
    async def submit_group(self, refs: Any, group: Any) -> Any:
        try:
            return await super().submit_group(refs, group)
        except OutcomeUnknown as error:
            raise OrderRejected(str(error), text="timeout") from None


@breaks("BRK-345")
class RoundsLegs(ToyBroker):
    async def submit_group(self, refs: Any, group: Any) -> Any:
        legs = {name: getattr(group, name) for name in ("entry", "take_profit", "stop_loss")}
        whole = {
            name: leg and evolve(leg, quantity=leg.quantity.to_integral_value()) for name, leg in legs.items()
        }
        return await super().submit_group(refs, evolve(group, **whole))


@breaks("BRK-425")
class CountsOnceTooOften(ToyBroker):
    def update_of(self, words: Any) -> Any:
        told: Any = super().update_of(words)
        doubled: OrderUpdate = evolve(told, cumulative=told.cumulative * 2)
        return doubled


@breaks("BRK-430")
class CountsExecutions(ToyBroker):
    told = 0

    def fill_of(self, words: Any, revision: int = 0) -> Any:
        self.told += 1
        return evolve(super().fill_of(words, revision), execution_key=f"K{self.told}", cumulative=None)


class FillsAsked(ToyBroker):
    """Asked for executions, it says something of each that its events do not."""

    wrong: ClassVar[Mapping[str, Any]] = {}

    async def get_fills(self, query: Any) -> Any:
        report = await super().get_fills(query)
        return evolve(report, fills=tuple(evolve(fill, **self.wrong) for fill in report.fills))


@breaks("BRK-440", "BRK-455")
class SellsWhenAsked(FillsAsked):
    wrong: ClassVar[Mapping[str, Any]] = {"side": Side.SELL}


@breaks("BRK-440", "BRK-455")
class OtherPriceWhenAsked(FillsAsked):
    wrong: ClassVar[Mapping[str, Any]] = {"price": Decimal(7)}


@breaks("BRK-440", "BRK-455")
class DearWhenAsked(FillsAsked):
    wrong: ClassVar[Mapping[str, Any]] = {"fees": (Money("USD", Decimal(77)),)}


@breaks("BRK-440", "BRK-455")
class LongAgoWhenAsked(FillsAsked):
    wrong: ClassVar[Mapping[str, Any]] = {"executed_at": datetime(2001, 1, 1, tzinfo=UTC)}


@breaks("BRK-440", "BRK-455")
class OtherAccountWhenAsked(FillsAsked):
    wrong: ClassVar[Mapping[str, Any]] = {"account": "another"}


@breaks("BRK-445")
class AnswersForOne(ToyBroker):
    async def get_fills(self, query: Any) -> Any:
        report = await super().get_fills(query)
        return evolve(report, complete_from=dict(list(report.complete_from.items())[:1]))


@breaks("BRK-450")
class CursorAtTheEnd(ToyBroker):
    async def get_fills(self, query: Any) -> Any:
        report = await super().get_fills(query)
        return evolve(report, fills=() if query.cursor else report.fills, cursor="end")


@breaks("BRK-460")
class OneKey(ToyBroker):
    def fill_of(self, words: Any, revision: int = 0) -> Any:
        return evolve(super().fill_of(words, revision), execution_key="K")


@breaks("BRK-485")
class CancelledIsOver(ToyBroker):
    over: Any = ()

    async def cancel_order(self, ref: OrderRef) -> None:
        await super().cancel_order(ref)
        self.over = (*self.over, ref.client_order_id)

    def hear(self, words: Any) -> None:
        if words["ev"] != "fill" or words["client"] not in self.over:
            super().hear(words)


@breaks("BRK-490")
class OnlyForward(ToyBroker):
    last = 0

    def hear(self, words: Any) -> None:
        number = int(words["order"][1:]) if "order" in words else self.last
        if number >= self.last:
            self.last = number
            super().hear(words)


@breaks("BRK-510")
class Wordless(ToyBroker):
    def acknowledged(self, ref: OrderRef, answer: Any) -> Any:
        return super().acknowledged(ref, {**answer, "text": ""})


@breaks("BRK-515")
class RejectsTwice(ToyBroker):
    def acknowledged(self, ref: OrderRef, answer: Any) -> Any:
        if "error" in answer:
            for _ in range(2):
                self.queue.put_nowait(OrderUpdate(ref, OrderStatus.REJECTED, self.clock.now()))
        return super().acknowledged(ref, answer)


@breaks("BRK-520")
class KnowsEverySymbol(ToyBroker):
    async def get_instruments(self, symbols: Any) -> Mapping[str, Instrument]:
        return {symbol: Instrument(symbol=symbol, venue_symbol=symbol) for symbol in symbols}


@breaks("BRK-525")
class NoReasons(ToyBroker):
    def acknowledged(self, ref: OrderRef, answer: Any) -> Any:
        try:
            return super().acknowledged(ref, answer)
        except OrderRejected as error:
            raise OrderRejected(str(error), text=error.text) from None


@breaks("BRK-535")
class RoundsSizes(ToyBroker):
    def text(self, number: Decimal) -> str:
        return str(int(number))


@breaks("BRK-560")
class SwallowsThrottles(ToyBroker):
    async def command(self, what: str, **words: Any) -> Any:
        answer = await super().command(what, **words)
        return {"ok": {}} if answer.get("error") == "throttled" else answer


@breaks("BRK-650")
class SendsAfterAll(ToyBroker):
    async def submit_order(self, ref: OrderRef, request: Any) -> Any:
        try:
            return await super().submit_order(ref, request)
        except asyncio.CancelledError:
            self.again = asyncio.ensure_future(super().submit_order(ref, request))
            raise


@breaks("BRK-835")
class WritesTheStore(ToyBroker):
    async def submit_order(self, ref: OrderRef, request: Any) -> Any:
        self.services.store["last"] = ref.client_order_id
        return await super().submit_order(ref, request)


@breaks("BRK-855", "BRK-910")
class OddAccount(ToyBroker):
    async def get_account_state(self) -> Any:
        return evolve(await super().get_account_state(), equity=Decimal("NaN"), base_currency="EUR")


@breaks("BRK-900")
class StrictAboutTime(ToyBroker):
    async def connect(self) -> None:
        await super().connect()
        apart = await self.get_time() - self.clock.now()
        if abs(apart.total_seconds()) > 2:
            raise AuthenticationFailed("the clocks are apart")


@breaks("BRK-935")
class NeverNone(ToyBroker):
    async def get_order(self, ref: OrderRef) -> Any:
        found = await super().get_order(ref)
        if found is None:
            raise BrokerUnavailable("no such order")
        return found


@breaks("BRK-945")
class AllFillsAreForeign(ToyBroker):
    def fill_of(self, words: Any, revision: int = 0) -> Any:
        return evolve(super().fill_of(words, revision), foreign=True)


@breaks("BRK-932")
class ListsNothingFilled(ToyBroker):
    async def get_open_orders(self, symbols: Any = None) -> Any:
        return [evolve(order, filled=Decimal(0)) for order in await super().get_open_orders(symbols)]


@breaks("BRK-940")
class TurnsForeignOrders(ToyBroker):
    async def get_open_orders(self, symbols: Any = None) -> Any:
        found = await super().get_open_orders(symbols)
        return [evolve(order, side=Side.SELL) if order.foreign else order for order in found]


@breaks("BRK-945")
class PricesForeignFills(ToyBroker):
    async def get_fills(self, query: Any) -> Any:
        report = await super().get_fills(query)
        fills = [evolve(fill, price=fill.price + 1) if fill.foreign else fill for fill in report.fills]
        return evolve(report, fills=tuple(fills))


@breaks("BRK-950")
class FlowsHaveNoSign(ToyBroker):
    def flow_of(self, words: Any) -> Any:
        flow = super().flow_of(words)
        return evolve(flow, amount=evolve(flow.amount, amount=abs(flow.amount.amount)))


@breaks("BRK-950")
class FlowsAreInEuros(ToyBroker):
    def flow_of(self, words: Any) -> Any:
        flow = super().flow_of(words)
        return evolve(flow, amount=evolve(flow.amount, asset="EUR"))


@breaks("BRK-955")
class MovesHaveNoSign(ToyBroker):
    def event_of(self, words: Any) -> Any:
        event = super().event_of(words)
        return evolve(event, quantity=abs(event.quantity)) if isinstance(event, PositionChange) else event


@breaks("BRK-667")
class HungUpCancelsAreRefused(ToyBroker):
    async def cancel_order(self, ref: Any) -> None:
        try:
            await super().cancel_order(ref)
        except OutcomeUnknown as error:
            raise CancelRejected(str(error), order_state=OrderState.ALIVE) from None


@breaks("BRK-672")
class LostReplacementsAreRefused(ToyBroker):
    async def replace_order(self, ref: Any, new_ref: Any, change: Any) -> Any:
        try:
            return await super().replace_order(ref, new_ref, change)
        except OutcomeUnknown as error:
            raise ReplaceRejected(str(error), order_state=OrderState.ALIVE) from None


@breaks("FEED-335")
class LongHistoryIsRounded(ToyFeed):
    async def history(self, subscription: Any, *, end: Any, start: Any = None, bars: Any = None) -> Any:
        found = await super().history(subscription, end=end, start=start, bars=bars)
        rounded = [evolve(bar, close=round(bar.close)) for bar in found.bars[1000:]]
        return evolve(found, bars=(*found.bars[:1000], *rounded))


@breaks("BRK-955")
class DoublesMoves(ToyBroker):
    def event_of(self, words: Any) -> Any:
        event = super().event_of(words)
        return evolve(event, quantity=event.quantity * 2) if isinstance(event, PositionChange) else event


@breaks("BRK-973")
class LeavesASocket(ToyBroker):
    left: ClassVar[list[socket.socket]] = []

    async def connect(self) -> None:
        self.left.append(socket.socket())
        await super().connect()


@breaks("BRK-983")
class LogsErrors(ToyBroker):
    async def connect(self) -> None:
        await super().connect()
        self.services.log.error("connected")


@breaks("BRK-992")
class DiagnosesByOrdering(ToyBroker):
    """Tries whether an order is taken."""

    async def diagnose(self) -> Any:
        order = OrderRequest("ONE", Side.BUY, Decimal(1), type=OrderType.LIMIT, limit_price=Decimal(1))
        (wire,) = self.prepare(order, [OrderRef("awprobe-1", "ONE")])
        await self.submit_order(OrderRef("awprobe-1", "ONE", None, wire), order)
        return []


@breaks("BRK-992")
class DiagnosesByCancelling(ToyBroker):
    async def diagnose(self) -> Any:
        await self.cancel_all(None)
        return []


@breaks("BRK-992")
class DiagnosesAloud(ToyBroker):
    async def diagnose(self) -> Any:
        return [Finding("keys", "ok", f"the key is {self.options.key.reveal()}")]


@breaks("BRK-992")
class DiagnosesInWords(ToyBroker):
    async def diagnose(self) -> Any:
        return ["all is well"]


@breaks("BRK-992")
class DiagnosesAndKeeps(ToyBroker):
    async def diagnose(self) -> Any:
        self.services.store["seen"] = "1"
        return []


@breaks("BRK-125")
class UpdatesBearAnotherId(ToyBroker):
    """Tells in updates the id that the order has on another wire of the broker's."""

    def update_of(self, words: Any) -> OrderUpdate:
        told = super().update_of(words)
        return evolve(told, ref=evolve(told.ref, broker_order_id=f"perm-{told.ref.broker_order_id}"))


@breaks("BRK-445")
class ClaimsMoreThanItAsked(ToyBroker):
    """Asks from an instant on, and says that its answer is complete from the day before."""

    async def get_fills(self, query: Any) -> Any:
        found = await super().get_fills(query)
        complete = {symbol: at - timedelta(days=1) for symbol, at in found.complete_from.items()}
        return evolve(found, fills=(), complete_from=complete)


@breaks("BRK-450")
class CursorIsForgotten(ToyBroker):
    """Knows its own cursors only: from one of another process it answers that nothing happened."""

    given = ""

    async def get_fills(self, query: Any) -> Any:
        found = await super().get_fills(query)
        strange = query.cursor not in {None, self.given}
        self.given = "here"
        return evolve(found, fills=() if strange else found.fills, cursor=self.given)


@breaks("BRK-450")
class OtherFiguresAfterACursor(ToyBroker):
    """Reads the pages after the first in another unit."""

    async def get_fills(self, query: Any) -> Any:
        found = evolve(await super().get_fills(query), cursor="next")
        if query.cursor is None:
            return found
        return evolve(found, fills=tuple(evolve(fill, price=fill.price * 100) for fill in found.fills))


@breaks("BRK-470", "BRK-475")
class ListsWhatWasFirst(ToyBroker):
    """Asks a list of executions in which nothing is ever changed."""

    def __init__(self, options: ToyOptions, services: Any) -> None:
        super().__init__(options, services)
        self.first: dict[str, Any] = {}

    def fill_of(self, words: Any, revision: int = 0) -> Any:
        told = super().fill_of(words, revision)
        self.first.setdefault(told.execution_key, told)
        return told

    async def get_fills(self, query: Any) -> Any:
        found = await super().get_fills(query)
        return evolve(found, fills=tuple(self.first.values()))


@breaks("BRK-480")
class RebatesAreFees(ToyBroker):
    """Takes every fee for money that is paid."""

    async def stream(self) -> Any:
        async for event in super().stream():
            if isinstance(event, FeeReport):
                yield evolve(event, fees=tuple(evolve(fee, amount=abs(fee.amount)) for fee in event.fees))
            else:
                yield event


@breaks("BRK-822")
class ForgetsWhatEnded(ToyBroker):
    """Finds ended orders in what it heard itself, as the cache of an SDK does."""

    async def get_order(self, ref: Any) -> Any:
        found = await super().get_order(ref)
        if found is not None and found.status.terminal and ref.broker_order_id is None:
            return None
        return found


@breaks("BRK-890")
class UpdatesBearOwnTime(ToyBroker):
    def update_of(self, words: Any) -> OrderUpdate:
        return evolve(super().update_of(words), broker_time=self.clock.now())


@breaks("BRK-910")
class EquityCountsTwice(ToyBroker):
    """Adds what the broker's own figure has in it already."""

    async def get_account_state(self) -> Any:
        found = await super().get_account_state()
        return evolve(found, equity=found.balances["USD"].total * 2)


@breaks("BRK-925")
class StateOfAMinuteAgo(ToyBroker):
    async def get_account_state(self) -> Any:
        found = await super().get_account_state()
        return evolve(found, as_of=found.as_of - timedelta(minutes=1))


@breaks("BRK-930")
class OpenOrdersInOtherTerms(ToyBroker):
    """Reads its own limit as one for the day, whatever it is."""

    async def get_open_orders(self, symbols: Any = None) -> Any:
        found = await super().get_open_orders(symbols)
        return [
            evolve(one, request=evolve(one.request, tif=TimeInForce.IOC)) if one.request else one
            for one in found
        ]


@breaks("BRK-932")
class AverageIsTheLimit(ToyBroker):
    def order_of(self, words: Any) -> Any:
        found = super().order_of(words)
        limit = found.request.limit_price if found.request else None
        return evolve(found, average_price=limit + 1 if limit else None)


@breaks("BRK-965")
class UnnamedPositionsAreOwn(ToyBroker):
    async def get_account_state(self) -> Any:
        return evolve(await super().get_account_state(), foreign=())


@breaks("FEED-010")
class OtherFeed(ToyFeed):
    capabilities = evolve(ToyFeed.capabilities, delayed=True)


@breaks("FEED-015")
class IncompleteFeed(ToyFeed):
    sessions: Any = None


@breaks("FEED-020")
class FeedDialsWhenMade(ToyFeed):
    def __init__(self, options: Any, services: Any) -> None:
        super().__init__(options, services)
        self.early = asyncio.ensure_future(self.dial_early())

    async def dial_early(self) -> None:
        assert self.venue is not None
        await self.venue.dial("toy-s3cret")


@breaks("FEED-025", "FEED-030")
class MixesUpFeedFailures(ToyFeed):
    async def connect(self) -> None:
        try:
            await super().connect()
        except AuthenticationFailed as error:
            raise BrokerUnavailable(str(error)) from None
        except BrokerUnavailable as error:
            raise AuthenticationFailed(str(error)) from None


@breaks("FEED-035")
class StreamTakenTwice(ToyFeed):
    async def stream(self) -> Any:
        self._taken = False
        async for event in super().stream():
            yield event


@breaks("FEED-160")
class ShiftsTrades(ToyFeed):
    def hear(self, sink: Any, words: Any) -> None:
        if "trade" in words:
            words = {"trade": evolve(words["trade"], price=1.0)}
        super().hear(sink, words)


@breaks("FEED-325")
class TakesAnyHistory(ToyFeed):
    async def history(self, subscription: Any, *, end: Any, start: Any = None, bars: Any = None) -> Any:
        return await super().history(subscription, end=end, bars=bars or 1)


@breaks("FEED-340")
class HistoryOfTheFirst(ToyFeed):
    """Has the bars of another symbol under the name that was asked for."""

    async def history(self, subscription: Any, **asked: Any) -> Any:
        found = await super().history(evolve(subscription, symbol="ONE"), **asked)
        return evolve(found, bars=tuple(evolve(bar, symbol=subscription.symbol) for bar in found.bars))


@breaks("FEED-315")
class CountedHistoryIsRounded(ToyFeed):
    """Has whole prices where so many bars are asked for."""

    async def history(self, subscription: Any, **asked: Any) -> Any:
        found = await super().history(subscription, **asked)
        whole = tuple(evolve(bar, close=float(round(bar.close))) for bar in found.bars)
        return evolve(found, bars=whole) if asked.get("bars") else found


@breaks("FEED-365")
class SessionsBackwards(ToyFeed):
    async def sessions(self, symbols: Any, start: Any, end: Any) -> Any:
        found = list(await super().sessions(symbols, start, end))
        day = (end - start) / 10
        parts = [evolve(each, start=each.end - day * (1 + n)) for each in found for n in (1, 2)]
        return sorted(parts, key=lambda each: each.start, reverse=True)


@breaks("FEED-365")
class SessionsOverlap(ToyFeed):
    async def sessions(self, symbols: Any, start: Any, end: Any) -> Any:
        found = await super().sessions(symbols, start, end)
        half = (end - start) / 2
        return [each for one in found for each in (one, evolve(one, start=one.start + half))]


@breaks("FEED-515")
class HistoryTellsTheKey(ToyFeed):
    async def history(self, subscription: Any, *, end: Any, start: Any = None, bars: Any = None) -> Any:
        try:
            return await super().history(subscription, end=end, start=start, bars=bars)
        except BrokerUnavailable as error:
            raise BrokerUnavailable(f"{error}: key={self.options.key.reveal()}") from None


@breaks("FEED-520")
class FeedLogsErrors(ToyFeed):
    async def connect(self) -> None:
        await super().connect()
        self.services.log.error("connected")
