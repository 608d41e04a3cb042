"""Binance spot as a broker: requests over REST, events over the WebSocket API."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
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
from alphaweave.live.adapters.base import BrokerConfig, Services
from alphaweave.live.adapters.capabilities import Capabilities, refuse_undeclared
from alphaweave.live.adapters.rate_budget import Use
from alphaweave.live.adapters.supervisor import Supervisor, SupervisorLimits
from alphaweave.live.adapters.timer import LoopTimer, Timer, within
from alphaweave.live.broker import (
    BrokerAccountState,
    BrokerEvent,
    BrokerNotice,
    BrokerOrder,
    FillQuery,
    FillReport,
    OrderAck,
)
from alphaweave.live.config_options import parse_options
from alphaweave.live.findings import Finding
from alphaweave_broker_binance.answers import answered, mapping_in, mappings_in
from alphaweave_broker_binance.filters import instrument_of
from alphaweave_broker_binance.findings import budget_findings, commission_findings, permission_findings
from alphaweave_broker_binance.mapping import (
    is_final,
    is_ours,
    list_params,
    moment,
    order_params,
    reject_reason,
    text_of,
)
from alphaweave_broker_binance.rights import check_account, check_mode, check_rights
from alphaweave_broker_binance.settings import BINANCE_CAPABILITIES, LISTING_LAG, BinanceOptions
from alphaweave_broker_binance.signing import Keys
from alphaweave_broker_binance.symbols import find_symbols
from alphaweave_broker_binance.trades import Trades
from alphaweave_broker_binance.translator import Translator
from alphaweave_broker_binance.transport import Call, NoAnswer, Refused, Transport, Unsent
from alphaweave_broker_binance.user_stream import ClockOff, Listener, UserLink, open_user_link
from alphaweave_broker_binance.wires import list_name, wires_of

__all__ = ["BinanceAdapter"]

# What connecting may take, so that refused keys are known within five seconds.
_OPENING: Final = 4.0
_UNKNOWN_ORDER: Final = "-2011"
_NO_SUCH_ORDER: Final = "-2013"
_CONNECTION: Final = 2
_ALL_ORDERS: Final = 80
_ORDERS_OF_ONE: Final = 6


class BinanceAdapter:
    """One spot account at Binance."""

    capabilities: ClassVar[Capabilities] = BINANCE_CAPABILITIES

    def __init__(self, options: BinanceOptions, services: Services, *, timer: Timer | None = None) -> None:
        self._options = options
        self._services = services
        self._clock = services.clock
        self._timer = timer or LoopTimer(services.clock)
        self._said = Translator(services.symbols, services.names)
        self._trades = Trades(self._said, self._ask, services.clock)
        self._keys: Keys | None = None
        self._transport: Transport | None = None
        self._queue: asyncio.Queue[BrokerEvent | None] = asyncio.Queue()
        self._taken = False
        self._acknowledged: dict[str, float] = {}
        self._link: Supervisor[UserLink] = Supervisor(
            connect=self._open,
            ready=self._subscribe,
            report=self._queue.put_nowait,
            timer=self._timer,
            backoff=Backoff(random=Random(services.seed), base=options.retry, cap=30.0),
            limits=SupervisorLimits(silence=2.5 * options.heartbeat, opening=_OPENING),
            name="binance events",
            resting=services.resting,
        )

    @classmethod
    def from_config(cls, config: BrokerConfig, services: Services | None = None) -> Self:
        options = parse_options(BinanceOptions, config.options, path="broker.options.binance")
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
        check_mode(self._options, self._services)
        self._keys = Keys(self._options)
        self._transport = Transport(self._options, self._keys, self._timer)
        try:
            await within(self._timer, self._prove(), _OPENING, "Binance")
            await self._link.start()
        except BaseException:
            self._transport.close()
            self._transport = None
            raise

    async def disconnect(self) -> None:
        await self._link.stop()
        if self._transport is not None:
            self._transport.close()
            self._transport = None
        self._queue.put_nowait(None)

    async def _prove(self) -> None:
        """Set the clock, and look at the key and its account."""
        await self.get_time()
        try:
            with answered():
                account = mapping_in(await self._ask("/api/v3/account", {"omitZeroBalances": "true"}, 20))
        except BrokerUnavailable as error:
            if error.code not in {"-1002", "-1022", "-2008", "-2014", "-2015", "401"}:
                raise
            raise AuthenticationFailed(
                "Binance refuses the key; check that it is of the environment that the options name, that it "
                "may be used from this address, and that the secret belongs to it",
                code=error.code,
                text=error.text,
                details={"environment": self._options.environment},
            ) from None
        self._said.account = check_account(account, self._options, self._services)
        check_rights(await self._rights(), self._options)

    async def _rights(self) -> Mapping[str, Any]:
        with answered():
            try:
                return mapping_in(await self._ask("/sapi/v1/account/apiRestrictions", {}, 1))
            except (Refused, NoAnswer):
                # The test networks do not have it.
                if not self._options.is_real:
                    return {}
                raise

    async def _open(self) -> UserLink:
        transport, keys = self._connected()
        listener = Listener(
            beat=self._link.beat,
            deliver=self._deliver,
            renew=self._link.renew,
            learn=transport.learn,
            now_ms=transport.now_ms,
        )
        if (wait := transport.spend(_CONNECTION)) > 0:
            raise BrokerUnavailable("the request limits are spent", retry_after=wait)
        try:
            return await open_user_link(keys, listener, self._timer, self._options)
        except BrokerUnavailable as error:
            if error.code in {"418", "429"}:
                transport.heed(Refused(int(error.code), retry_after=error.retry_after))
            raise

    async def _subscribe(self, link: UserLink) -> None:
        try:
            await link.subscribe()
        except ClockOff:
            with answered():
                await self._connected()[0].resynchronise()
            await link.subscribe()

    def _deliver(self, told: Mapping[str, Any]) -> None:
        try:
            events = self._said.event(told, self._clock.now())
        except (KeyError, TypeError, ValueError) as error:
            # What it said is in the broker's books: connecting anew makes the engine ask for it.
            text = f"an event of Binance's cannot be read: {error}"
            self._queue.put_nowait(BrokerNotice(self._clock.now(), "error", "unreadable_event", text))
            self._link.renew("an event cannot be read")
            return
        for event in events:
            self._queue.put_nowait(event)

    def prepare(
        self,
        request: OrderRequest | OrderGroup | OrderChange,
        refs: Sequence[OrderRef],
        replaces: OrderRef | None = None,
    ) -> Sequence[Mapping[str, str]]:
        refuse_undeclared(self.capabilities, request, refs[0].symbol)
        return wires_of(request, refs, self._said.venue_symbol(refs[0].symbol))

    async def submit_order(self, ref: OrderRef, request: OrderRequest) -> OrderAck:
        params = order_params(request, self._named(ref), ref.client_order_id)
        return (await self._submit((ref,), "/api/v3/order", params))[0]

    async def submit_group(self, refs: Sequence[OrderRef], group: OrderGroup) -> tuple[OrderAck, ...]:
        names = [ref.client_order_id for ref in refs]
        path, params = list_params(group, self._named(refs[0]), list_name(refs), names)
        return await self._submit(refs, path, params)

    async def _submit(
        self, refs: Sequence[OrderRef], path: str, params: Mapping[str, str]
    ) -> tuple[OrderAck, ...]:
        symbol = refs[0].symbol
        try:
            if not self._link.is_up:
                raise Unsent("the event stream is not connected")
            call = Call(Use.ORDER, "POST", path, params, orders=len(refs))
            answer = mapping_in(await self._call(call))
            told = mappings_in(answer["orders"]) if len(refs) > 1 else (answer,)
            ids = {one["clientOrderId"]: self._said.ref(one).broker_order_id for one in told}
            bound = [evolve(ref, broker_order_id=ids[ref.client_order_id]) for ref in refs]
            for ref in bound:
                self._said.bind(str(ref.broker_order_id), ref.client_order_id)
                self._remember(ref)
            at = answer.get("transactTime", answer.get("transactionTime"))
            when = None if at is None else moment(at)
        except Unsent as error:
            raise NotSent(f"{symbol}: {error}") from None
        except NoAnswer as error:
            raise OutcomeUnknown(f"{symbol}: {error}") from None
        except Refused as no:
            if not is_final(no.status, no.code, no.text):
                raise OutcomeUnknown(f"{symbol}: {no}", code=no.code, text=no.text) from None
            raise OrderRejected(
                f"{symbol}: {no}",
                reason=reject_reason(no.status, no.code, no.text),
                code=no.code or str(no.status),
                text=no.text,
                retry_after=no.retry_after,
            ) from None
        except (KeyError, TypeError, ValueError) as error:
            raise OutcomeUnknown(f"{symbol}: Binance's answer cannot be read: {error}") from None
        return tuple(OrderAck(one, self._clock.now(), when) for one in bound)

    async def cancel_order(self, ref: OrderRef) -> None:
        await self._cancel(ref.symbol, "/api/v3/order", self._asked_for(ref))

    async def _cancel(self, what: str, path: str, params: Mapping[str, str]) -> None:
        try:
            await self._call(Call(Use.CANCEL, "DELETE", path, params))
        except Refused as no:
            if no.status not in {418, 429} and not is_final(no.status, no.code, no.text):
                raise OutcomeUnknown(f"{what}: {no}", code=no.code, text=no.text) from None
            # It ended, or was never there: the words are the same.
            state = OrderState.UNKNOWN if no.status == 400 else OrderState.ALIVE
            raise CancelRejected(f"{what}: {no}", order_state=state, code=no.code, text=no.text) from None
        except Unsent as error:
            raise NotSent(f"{what}: {error}") from None
        except NoAnswer as error:
            raise OutcomeUnknown(f"{what}: {error}") from None

    async def cancel_all(self, symbols: Sequence[str] | None) -> None:
        if symbols is None:
            try:
                with answered():
                    told = await self._open_orders(Use.CANCEL, {}, _ALL_ORDERS)
                    venue_symbols = {text_of(one, "symbol") for one in told}
            except BrokerUnavailable as error:
                raise NotSent(f"open orders are not known: {error}") from None
        else:
            venue_symbols = {self._said.venue_symbol(one) for one in symbols}
        refusal: BrokerError | None = None
        for symbol in sorted(venue_symbols):
            try:
                await self._cancel(symbol, "/api/v3/openOrders", {"symbol": symbol})
            except CancelRejected as error:
                # There is nothing open in it.
                if error.code != _UNKNOWN_ORDER:
                    refusal = error
            except BrokerError as error:
                # The other symbols' orders are cancelled all the same.
                refusal = error
        if refusal is not None:
            raise refusal

    async def replace_order(self, ref: OrderRef, new_ref: OrderRef, change: OrderChange) -> OrderAck:
        # What fills between the halves of Binance's own comes on top: the engine cancels, then submits.
        raise Unsupported(f"{ref.symbol}: an order at Binance is replaced by a cancel and a new order")

    async def get_order(self, ref: OrderRef) -> BrokerOrder | None:
        if ref.broker_order_id is not None:
            self._said.bind(ref.broker_order_id, ref.client_order_id)
        with answered():
            try:
                told = mapping_in(await self._ask("/api/v3/order", self._asked_for(ref), 4))
            except Refused as no:
                if no.status == 400 and no.code == _NO_SUCH_ORDER and not self._is_new(ref):
                    return None
                raise
            # It was asked for by this name, whatever name the answer has: a cancel's, say.
            if is_ours(ref.client_order_id):
                self._said.bind(str(self._said.ref(told).broker_order_id), ref.client_order_id)
            return self._said.order(told, self._clock.now())

    async def get_open_orders(self, symbols: Sequence[str] | None = None) -> Sequence[BrokerOrder]:
        with answered():
            if symbols is None or len(symbols) * _ORDERS_OF_ONE > _ALL_ORDERS:
                told = list(await self._open_orders(Use.QUERY, {}, _ALL_ORDERS))
            else:
                told = []
                for symbol in symbols:
                    asked = {"symbol": self._said.venue_symbol(symbol)}
                    told += await self._open_orders(Use.QUERY, asked, _ORDERS_OF_ONE)
            orders = [self._said.order(one, self._clock.now()) for one in told]
        return [one for one in orders if not one.status.terminal]

    async def _open_orders(
        self, use: Use, asked: Mapping[str, str], weight: int
    ) -> Sequence[Mapping[str, Any]]:
        return mappings_in(await self._call(Call(use, "GET", "/api/v3/openOrders", asked, weight)))

    async def get_fills(self, query: FillQuery) -> FillReport:
        return await self._trades.report(query, self._services.symbols)

    async def get_account_state(self) -> BrokerAccountState:
        asked_at = self._clock.now()
        with answered():
            account = mapping_in(await self._ask("/api/v3/account", {"omitZeroBalances": "true"}, 20))
            return self._said.account_state(account, asked_at, self._services.currency)

    async def get_instruments(self, symbols: Sequence[str]) -> Mapping[str, Instrument]:
        named = {self._said.venue_symbol(symbol): symbol for symbol in symbols}
        with answered():
            told = await find_symbols(self._connected()[0], list(named))
            return {named[one["symbol"]]: instrument_of(one, named[one["symbol"]]) for one in told}

    async def get_time(self) -> datetime:
        with answered():
            return await self._connected()[0].get_time()

    async def diagnose(self) -> Sequence[Finding]:
        rights = await self._rights()
        with answered():
            account = mapping_in(await self._ask("/api/v3/account", {"omitZeroBalances": "true"}, 20))
            return [
                *permission_findings(account, rights),
                *commission_findings(account),
                *budget_findings(self._connected()[0].used),
            ]

    def _remember(self, ref: OrderRef) -> None:
        self._acknowledged = {name: at for name, at in self._acknowledged.items() if self._is_recent(at)}
        self._acknowledged[ref.client_order_id] = self._clock.monotonic()

    def _is_new(self, ref: OrderRef) -> bool:
        """Whether Binance has it and need not list it yet, so that its word for none is no proof."""
        at = self._acknowledged.get(ref.client_order_id)
        return at is not None and self._is_recent(at)

    def _is_recent(self, at: float) -> bool:
        return self._clock.monotonic() - at < LISTING_LAG

    def _named(self, ref: OrderRef) -> str:
        return ref.wire.get("symbol") or self._said.venue_symbol(ref.symbol)

    def _asked_for(self, ref: OrderRef) -> dict[str, str]:
        """How an order is named in a question: by Binance's id where it is known."""
        if ref.broker_order_id is not None:
            symbol, _, number = ref.broker_order_id.rpartition(":")
            return {"symbol": symbol, "orderId": number}
        return {"symbol": self._named(ref), "origClientOrderId": ref.client_order_id}

    async def _ask(self, path: str, params: Mapping[str, str], weight: int) -> Any:
        return await self._call(Call(Use.QUERY, "GET", path, params, weight))

    async def _call(self, call: Call) -> Any:
        return await self._connected()[0].call(call)

    def _connected(self) -> tuple[Transport, Keys]:
        if self._transport is None or self._keys is None:
            raise Unsent("not connected")
        return self._transport, self._keys
