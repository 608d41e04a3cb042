"""Alpaca as a broker: requests over REST, events over the `trade_updates` stream."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from random import Random
from typing import Any, ClassVar, Final, Self

from attrs import evolve

from alphaweave.core.errors import (
    AuthenticationFailed,
    BrokerError,
    BrokerUnavailable,
    CancelRejected,
    NotSent,
    OrderRejected,
    OrderState,
    OutcomeUnknown,
    Unsupported,
)
from alphaweave.core.instrument import Instrument
from alphaweave.core.order import OrderChange, OrderGroup, OrderRef, OrderRequest
from alphaweave.live.adapters.backoff import Backoff
from alphaweave.live.adapters.base import BrokerConfig, RunMode, Services
from alphaweave.live.adapters.capabilities import Capabilities, refuse_undeclared
from alphaweave.live.adapters.rate_budget import Use
from alphaweave.live.adapters.supervisor import Supervisor, SupervisorLimits
from alphaweave.live.adapters.timer import LoopTimer, Timer
from alphaweave.live.broker import (
    BrokerAccountState,
    BrokerEvent,
    BrokerFill,
    BrokerNotice,
    BrokerOrder,
    FillQuery,
    FillReport,
    OrderAck,
)
from alphaweave.live.config_options import parse_options
from alphaweave.live.findings import Finding
from alphaweave_broker_alpaca.activities import Activities
from alphaweave_broker_alpaca.answers import (
    NO_SUCH_ORDER,
    answered,
    is_final,
    mapping_in,
    mappings_in,
    refuse_unsendable,
)
from alphaweave_broker_alpaca.assets import find_assets
from alphaweave_broker_alpaca.crypto_fees import CryptoFees
from alphaweave_broker_alpaca.findings import findings
from alphaweave_broker_alpaca.mapping import (
    cancel_state,
    group_body,
    instrument_of,
    moment,
    order_body,
    reject_reason,
    text_of,
)
from alphaweave_broker_alpaca.open_orders import OpenOrders
from alphaweave_broker_alpaca.settings import ALPACA_CAPABILITIES, AlpacaOptions
from alphaweave_broker_alpaca.trading_stream import TradingLink, open_trading_link
from alphaweave_broker_alpaca.translator import Translator
from alphaweave_broker_alpaca.transport import NoAnswer, Refused, Transport, Unsent

__all__ = ["AlpacaAdapter"]

_MOST_ORDERS: Final = 500
# What connecting may take, so that refused keys are known within five seconds.
_OPENING: Final = 4.0
_BLOCKS: Final = ("trading_blocked", "account_blocked", "trade_suspended_by_user")


class AlpacaAdapter:
    """One account at Alpaca."""

    capabilities: ClassVar[Capabilities] = ALPACA_CAPABILITIES

    def __init__(self, options: AlpacaOptions, services: Services, *, timer: Timer | None = None) -> None:
        self._options = options
        self._services = services
        self._clock = services.clock
        self._timer = timer or LoopTimer(services.clock)
        self._queue: asyncio.Queue[BrokerEvent | None] = asyncio.Queue()
        pairs = {symbol: services.names.get(symbol, symbol) for symbol in services.symbols}
        self._fees = CryptoFees(pairs, self._queue.put_nowait, services.clock)
        self._said = Translator(services.symbols, services.names, self._fees.order)
        ask = partial(self._call, Use.QUERY, "GET")
        self._activities = Activities(self._said, ask, services.clock, self._fees)
        self._open = OpenOrders(self._said, ask, services.clock)
        self._rules: dict[str, Instrument] = dict(services.instruments)
        self._transport: Transport | None = None
        self._taken = False
        self._fills = 0
        self._shorting = False
        self._link: Supervisor[TradingLink] = Supervisor(
            connect=self._connect_link,
            ready=TradingLink.listen,
            report=self._queue.put_nowait,
            timer=self._timer,
            backoff=Backoff(random=Random(services.seed), base=options.retry, cap=30.0),
            limits=SupervisorLimits(silence=2.5 * options.heartbeat, opening=_OPENING),
            name="alpaca events",
            resting=services.resting,
        )

    @classmethod
    def from_config(cls, config: BrokerConfig, services: Services | None = None) -> Self:
        options = parse_options(AlpacaOptions, config.options, path="broker.options.alpaca")
        return cls(options, services or Services(account_id=config.account_id))

    def events(self) -> AsyncIterator[BrokerEvent]:
        if self._taken:
            raise Unsupported("the events of an adapter are taken once")
        self._taken = True
        return self._stream()

    async def _stream(self) -> AsyncIterator[BrokerEvent]:
        while (event := await self._queue.get()) is not None:
            yield event

    async def connect(self) -> None:
        self._transport = Transport(self._options, self._timer, closed=self._why_closed)
        try:
            # The stream would try refused keys for ever, so that REST proves them first.
            self._prove(await self._first_account())
            await self._link.start()
        except BaseException:
            self._transport.close()
            self._transport = None
            raise

    def _why_closed(self) -> str | None:
        return None if self._link.is_up else "the event stream is not connected"

    async def disconnect(self) -> None:
        await self._link.stop()
        if self._transport is not None:
            self._transport.close()
            self._transport = None
        self._queue.put_nowait(None)

    async def _first_account(self) -> Mapping[str, Any]:
        asking = asyncio.ensure_future(self._call(Use.QUERY, "GET", "/account"))
        limit = asyncio.create_task(self._timer.sleep(_OPENING))
        try:
            await asyncio.wait({asking, limit}, return_when=asyncio.FIRST_COMPLETED)
            if not asking.done():
                raise BrokerUnavailable(f"Alpaca did not answer within {_OPENING:g} s")
            with answered():
                return mapping_in(asking.result())
        except BrokerUnavailable as error:
            if error.code not in {"401", "403"}:
                raise
            raise AuthenticationFailed(
                "Alpaca refuses the keys; check that they are of the account that `paper` names",
                code=error.code,
                text=error.text,
                details={"paper": str(self._options.paper).lower()},
            ) from None
        finally:
            limit.cancel()
            asking.cancel()

    def _prove(self, account: Mapping[str, Any]) -> None:
        services, paper = self._services, self._options.paper
        number = str(account.get("account_number") or "")
        details = {"account": number, "paper": str(paper).lower(), "mode": services.mode.value}
        if (services.mode is RunMode.LIVE) is paper:
            raise AuthenticationFailed(
                f"the run is {services.mode.value}, but paper is {details['paper']}: make them agree",
                details=details,
            )
        if not number or services.account_id not in {None, number}:
            raise AuthenticationFailed(
                f"the keys are of account {number}, not of {services.account_id}: "
                "write that into broker.account_id, or use other keys",
                details=details,
            )
        blocks = [name for name in _BLOCKS if account.get(name)]
        if blocks or account.get("status", "ACTIVE") != "ACTIVE":
            why = ", ".join(blocks) or f"status {account.get('status')}"
            raise AuthenticationFailed(f"account {number} may not trade: {why}", details=details)
        self._said.account = number
        self._fees.account(account)
        self._shorting = bool(account.get("shorting_enabled"))

    async def _connect_link(self) -> TradingLink:
        return await open_trading_link(self._options, self._link.beat, self._deliver, self._timer)

    def _deliver(self, told: Mapping[str, Any]) -> None:
        try:
            events = self._said.event(told, self._clock.now())
        except (KeyError, TypeError, ValueError) as error:
            # What it said is in the broker's books: connecting anew makes the engine ask for it.
            text = f"an event of Alpaca's cannot be read: {error}"
            self._queue.put_nowait(BrokerNotice(self._clock.now(), "error", "unreadable_event", text))
            self._link.renew("an event cannot be read")
            return
        for event in events:
            self._fills += isinstance(event, BrokerFill)
            self._queue.put_nowait(self._fees.charged(event) if isinstance(event, BrokerFill) else event)

    def prepare(
        self,
        request: OrderRequest | OrderGroup | OrderChange,
        refs: Sequence[OrderRef],
        replaces: OrderRef | None = None,
    ) -> Sequence[Mapping[str, str]]:
        refuse_undeclared(self.capabilities, request, refs[0].symbol)
        symbol = self._said.venue_symbol(refs[0].symbol)
        if isinstance(request, OrderGroup):
            parent = refs[0].client_order_id
            roles = ("parent", "take_profit", "stop_loss") if request.entry else ("parent", "stop_loss")
            return [{"symbol": symbol, "parent": parent, "leg": role} for role in roles]
        if isinstance(request, OrderRequest):
            refuse_unsendable(request, symbol, self._rules.get(request.symbol))
        return [{"symbol": symbol} for _ in refs]

    async def submit_order(self, ref: OrderRef, request: OrderRequest) -> OrderAck:
        return (await self._submit((ref,), order_body(request, self._named(ref), ref.client_order_id)))[0]

    async def submit_group(self, refs: Sequence[OrderRef], group: OrderGroup) -> tuple[OrderAck, ...]:
        body = group_body(group, self._named(refs[0]), refs[0].client_order_id)
        return await self._submit(refs, body)

    async def _submit(self, refs: Sequence[OrderRef], body: Mapping[str, Any]) -> tuple[OrderAck, ...]:
        symbol = refs[0].symbol
        try:
            answer = mapping_in(await self._call(Use.ORDER, "POST", "/orders", body))
            self._fees.order(answer)
            if len(refs) > 1:
                bound = self._said.bind_legs(answer, refs)
            else:
                broker_id = text_of(answer, "id")
                self._said.bind(broker_id, refs[0].client_order_id)
                bound = [evolve(refs[0], broker_order_id=broker_id)]
            at = answer.get("submitted_at")
            when = None if at is None else moment(at)
        except Unsent as error:
            raise NotSent(f"{symbol}: {error}") from None
        except NoAnswer as error:
            raise OutcomeUnknown(f"{symbol}: {error}") from None
        except Refused as no:
            if not is_final(no):
                raise OutcomeUnknown(f"{symbol}: {no}", code=no.code, text=no.text) from None
            raise OrderRejected(
                f"{symbol}: {no}",
                reason=reject_reason(no.status, no.text),
                code=no.code or str(no.status),
                text=no.text,
                retry_after=no.retry_after,
            ) from None
        except (TypeError, ValueError) as error:
            raise OutcomeUnknown(f"{symbol}: Alpaca's answer cannot be read: {error}") from None
        return tuple(OrderAck(one, self._clock.now(), when) for one in bound)

    async def cancel_order(self, ref: OrderRef) -> None:
        broker_id = ref.broker_order_id
        if broker_id is None:
            try:
                # As part of a cancel: questions may have spent what is theirs of the request limit.
                found = await self._look_up(ref, Use.CANCEL)
            except BrokerUnavailable as error:
                raise NotSent(f"{ref.symbol}: its id at Alpaca is not known: {error}") from None
            if found is None:
                raise CancelRejected(f"{ref.symbol}: Alpaca knows no such order")
            broker_id = found.ref.broker_order_id
        try:
            await self._call(Use.CANCEL, "DELETE", f"/orders/{broker_id}")
        except Refused as no:
            raise self._cancel_refused(ref.symbol, no) from None
        except Unsent as error:
            raise NotSent(f"{ref.symbol}: {error}") from None
        except NoAnswer as error:
            raise OutcomeUnknown(f"{ref.symbol}: {error}") from None

    def _cancel_refused(self, what: str, no: Refused) -> CancelRejected | OutcomeUnknown:
        if no.status >= 500 or no.status == 0:
            return OutcomeUnknown(f"{what}: {no}", code=no.code, text=no.text)
        state = OrderState.ALIVE if no.status == 429 else OrderState.UNKNOWN
        if no.status == 422:
            state = cancel_state(no.text)
        return CancelRejected(f"{what}: {no}", order_state=state, code=no.code, text=no.text)

    async def cancel_all(self, symbols: Sequence[str] | None) -> None:
        if symbols is not None:
            try:
                orders = await self.get_open_orders(symbols)
            except BrokerUnavailable as error:
                raise NotSent(f"open orders are not known: {error}") from None
            refusal: BrokerError | None = None
            for one in orders:
                if one.ref.symbol in symbols:
                    try:
                        await self.cancel_order(one.ref)
                    except BrokerError as error:
                        # One that has just ended, say: the others work on until they are cancelled too.
                        refusal = error
            if refusal is not None:
                raise refusal
            return
        try:
            answer = await self._call(Use.CANCEL, "DELETE", "/orders")
        except Refused as no:
            raise self._cancel_refused("all orders", no) from None
        except Unsent as error:
            raise NotSent(str(error)) from None
        except NoAnswer as error:
            raise OutcomeUnknown(str(error)) from None
        failed = [one for one in answer or () if int(one.get("status", 200)) >= 400]
        if failed:
            raise CancelRejected(f"{len(failed)} orders were not cancelled; ask for the open ones")

    async def replace_order(self, ref: OrderRef, new_ref: OrderRef, change: OrderChange) -> OrderAck:
        # Whether a replacement's total counts what was filled is not known: the engine cancels and submits.
        raise Unsupported(f"{ref.symbol}: an order at Alpaca is replaced by a cancel and a new order")

    async def get_order(self, ref: OrderRef) -> BrokerOrder | None:
        return await self._look_up(ref, Use.QUERY)

    async def _look_up(self, ref: OrderRef, use: Use) -> BrokerOrder | None:
        with answered():
            try:
                return self._said.order(await self._find(ref, use), self._clock.now())
            except Refused as no:
                # A page that is not Alpaca's own says nothing of the order.
                if no.status == 404 and no.code == NO_SUCH_ORDER:
                    return None
                raise

    async def _find(self, ref: OrderRef, use: Use) -> Mapping[str, Any]:
        if ref.broker_order_id is not None:
            self._said.bind(ref.broker_order_id, ref.client_order_id)
            return mapping_in(await self._call(use, "GET", f"/orders/{ref.broker_order_id}"))
        name = ref.wire.get("parent", ref.client_order_id)
        path = "/orders:by_client_order_id"
        found = mapping_in(await self._call(use, "GET", path, {"client_order_id": name}))
        role = ref.wire.get("leg", "parent")
        if role == "parent":
            return found
        parent = await self._call(use, "GET", f"/orders/{text_of(found, 'id')}", {"nested": "true"})
        (bound,) = self._said.bind_legs(mapping_in(parent), (ref,))
        return next(leg for leg in parent["legs"] if leg["id"] == bound.broker_order_id)

    async def get_open_orders(self, symbols: Sequence[str] | None = None) -> Sequence[BrokerOrder]:
        return await self._open.read(symbols)

    async def get_fills(self, query: FillQuery) -> FillReport:
        return await self._activities.report(query, self._services.symbols)

    async def get_account_state(self) -> BrokerAccountState:
        asked_at, fills = self._clock.now(), self._fills
        with answered():
            account = mapping_in(await self._call(Use.QUERY, "GET", "/account"))
            positions = mappings_in(await self._call(Use.QUERY, "GET", "/positions"))
            whole = self._fills == fills
            state = self._said.account_state(account, positions, asked_at, complete=whole)
        self._fees.account(account)
        if whole:
            self._fees.held({asset: one.total for asset, one in state.balances.items()})
        return state

    async def get_instruments(self, symbols: Sequence[str]) -> Mapping[str, Instrument]:
        named = {symbol: self._said.venue_symbol(symbol) for symbol in symbols}
        assets = await find_assets(partial(self._call, Use.QUERY, "GET"), named.values())
        with answered():
            rules = {
                symbol: instrument_of(assets[venue], symbol, shorting=self._shorting)
                for symbol, venue in named.items()
                if venue in assets
            }
        self._rules |= rules
        return rules

    async def get_time(self) -> datetime:
        with answered():
            clock = mapping_in(await self._call(Use.QUERY, "GET", "/clock"))
            return moment(text_of(clock, "timestamp"))

    async def diagnose(self) -> Sequence[Finding]:
        symbols = [self._said.venue_symbol(one) for one in self._services.symbols]
        return await findings(
            partial(self._call, Use.QUERY, "GET"), symbols, self._room, self._options.requests
        )

    def _room(self) -> tuple[int, int] | None:
        return None if self._transport is None else self._transport.room

    def _named(self, ref: OrderRef) -> str:
        return ref.wire.get("symbol") or self._said.venue_symbol(ref.symbol)

    async def _call(self, use: Use, method: str, path: str, data: Mapping[str, Any] | None = None) -> Any:
        if self._transport is None:
            raise Unsent("not connected")
        return await self._transport.call(use, method, path, data)
