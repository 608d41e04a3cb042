"""The broker `ibkr`: one account at Interactive Brokers, through TWS or IB Gateway."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from random import Random
from typing import Any, ClassVar, Final, Self
from zoneinfo import ZoneInfo

from ib_async import Contract, Execution, Order
from ib_async import OrderState as OrderStateSaid

from alphaweave.core.errors import AuthenticationFailed, BrokerUnavailable, NotSent, Unsupported
from alphaweave.core.instrument import Instrument
from alphaweave.core.order import OrderChange, OrderGroup, OrderRef, OrderRequest
from alphaweave.live.adapters.backoff import Backoff
from alphaweave.live.adapters.base import BrokerConfig, Services
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
from alphaweave_broker_ibkr.account import account_state, chosen_account
from alphaweave_broker_ibkr.codes import Meaning, Subject, meaning_of
from alphaweave_broker_ibkr.contracts import Found, find_contracts, instrument_of
from alphaweave_broker_ibkr.executions import key_of
from alphaweave_broker_ibkr.findings import CLIENT_ADVICE, findings, placed_elsewhere
from alphaweave_broker_ibkr.gateway import Gateway, NoAnswer, Refused, answered
from alphaweave_broker_ibkr.gateway_clock import GatewayClock
from alphaweave_broker_ibkr.lookups import (
    Answers,
    completed_order,
    fill_report,
    memory_begins,
    open_orders,
)
from alphaweave_broker_ibkr.names import Symbols
from alphaweave_broker_ibkr.order_wire import Listing, OrderNumbers, OrderWire, wires_of
from alphaweave_broker_ibkr.orders import refuse_unsendable
from alphaweave_broker_ibkr.pace import Pace, Unsent
from alphaweave_broker_ibkr.questions import executed, executed_by, follow_orders
from alphaweave_broker_ibkr.reachability import Reachability
from alphaweave_broker_ibkr.sender import Sender
from alphaweave_broker_ibkr.settings import IBKR_CAPABILITIES, IbkrOptions
from alphaweave_broker_ibkr.tracked import OrderKey, Tracked
from alphaweave_broker_ibkr.translator import Translator

__all__ = ["IbkrAdapter"]

_ID_IN_USE: Final = "326"


class IbkrAdapter:
    """One account at Interactive Brokers."""

    capabilities: ClassVar[Capabilities] = IBKR_CAPABILITIES

    def __init__(self, options: IbkrOptions, services: Services, *, timer: Timer | None = None) -> None:
        self._options = options
        self._services = services
        self._clock = services.clock
        self._timer = timer or LoopTimer(services.clock)
        self._pace = Pace(options.rate, options.patience, self._timer)
        self._numbers = OrderNumbers(services.store)
        self._zone = ZoneInfo(options.timezone)
        self._symbols = Symbols()
        self._found: dict[str, Found] = {}
        self._said = Translator(options.client_id, self._symbols, self._numbers.seen)
        self._sender = Sender(self._said, self._connected, self._may_send, self._timer, options.timeout)
        self._gateway: Gateway | None = None
        self._listing = asyncio.Lock()
        self._queue: asyncio.Queue[BrokerEvent | None] = asyncio.Queue()
        self._taken = False
        self._shows_orders = True
        self._elsewhere: str | None = None
        self._accounts: tuple[str, ...] = ()
        self._gateway_clock = GatewayClock()
        self._reachability = Reachability(self._queue.put_nowait)
        self._returning: asyncio.Task[None] | None = None
        self._link: Supervisor[Gateway] = Supervisor(
            connect=self._open,
            ready=self._subscribe,
            report=self._reachability.link,
            timer=self._timer,
            backoff=Backoff(random=Random(services.seed), base=options.retry, cap=30.0),
            limits=SupervisorLimits(
                silence=2.5 * options.heartbeat, opening=options.patience + options.timeout
            ),
            name="gateway",
            resting=services.resting,
        )

    @classmethod
    def from_config(cls, config: BrokerConfig, services: Services | None = None) -> Self:
        options = parse_options(IbkrOptions, config.options, path="broker.options.ibkr")
        return cls(options, services or Services(account_id=config.account_id))

    # Its life.

    def events(self) -> AsyncIterator[BrokerEvent]:
        if self._taken:
            raise Unsupported("the events of an adapter are taken once")
        self._taken = True
        return self._stream()

    async def _stream(self) -> AsyncIterator[BrokerEvent]:
        while (event := await self._queue.get()) is not None:
            yield event

    async def connect(self) -> None:
        await self._link.start()

    async def disconnect(self) -> None:
        await self._link.stop()
        if self._returning is not None:
            self._returning.cancel()
            await asyncio.gather(self._returning, return_exceptions=True)
        self._gateway = None
        self._queue.put_nowait(None)

    async def _open(self) -> Gateway:
        """A fresh connection; while the gateway holds the client id of one that is gone, tried again."""
        deadline = self._clock.monotonic() + self._options.patience
        while True:
            gateway = Gateway(self._options, self._timer, self._pace, self._link.beat)
            self._listen(gateway)
            self._reachability.begin()
            try:
                await gateway.open()
            except BaseException as error:
                await gateway.close()
                left = deadline - self._clock.monotonic()
                if getattr(error, "code", None) != _ID_IN_USE or left <= self._options.retry:
                    raise
                await self._timer.sleep(self._options.retry)
            else:
                return gateway

    def _listen(self, gateway: Gateway) -> None:
        said, now, tell = self._said, self._clock.now, self._tell

        def open_order(_: int, contract: Contract, order: Order, state: OrderStateSaid) -> None:
            tell(said.open_order(contract, order, state, now()))

        def order_status(number: int, word: str, filled: float, *rest: Any) -> None:
            _, average, perm_id, _, _, client, *_ = rest
            tell(
                said.order_status(
                    (client, number), word, filled=filled, average=average, perm_id=perm_id, at=now()
                )
            )

        def execution(_: int, contract: Contract, one: Execution) -> None:
            tell(said.execution(contract, one, now()))

        gateway.hear("openOrder", open_order)
        gateway.hear("orderStatus", order_status)
        gateway.hear("execDetails", execution)
        gateway.hear("commissionReport", lambda report: tell(said.commission(report, now())))
        gateway.hear("error", lambda *told: self._error(gateway, *told))
        gateway.hear("ended", self._sender.lost)

    def _tell(self, events: Sequence[BrokerEvent]) -> None:
        for event in events:
            self._queue.put_nowait(event)

    async def _subscribe(self, gateway: Gateway) -> None:
        self._accounts = gateway.accounts
        account = chosen_account(gateway.accounts, self._options, self._services)
        self._said.account = account
        if gateway.is_question(gateway.next_order):
            raise AuthenticationFailed(
                f"the gateway's next order is number {gateway.next_order}, which is one of questions: reset "
                "the API order ID sequence in the API settings of TWS or IB Gateway",
                details={"next_order": str(gateway.next_order)},
            )
        self._numbers.seen(gateway.next_order)
        with answered():
            # What it says of the servers of Interactive Brokers comes before this answer.
            await gateway.time()
            self._reachability.check()
            await self._find(gateway, [one for one in self._services.symbols if one not in self._found])
            self._shows_orders = await follow_orders(gateway, watching=self._options.read_only)
        self._gateway = gateway

    # What is said of the connection.

    def _error(self, gateway: Gateway, number: int, code: int, text: str, _: str) -> None:
        now = self._clock.now()
        if gateway.is_question(number):
            return
        if number > 0:
            self._tell(self._said.error(number, code, text, now))
            return
        meaning = meaning_of(code, Subject.SESSION)
        if meaning is Meaning.CONNECTIVITY_LOST:
            self._reachability.servers_lost(now, f"{code}: {text}")
        elif meaning in {Meaning.RESTORED, Meaning.RESTORED_DATA_LOST}:
            self._returning = asyncio.create_task(
                self._return(gateway, f"{code}: {text}", self._reachability.losses)
            )
        elif meaning is Meaning.PORT_CHANGED:
            gateway.fail(f"the gateway listens elsewhere now: {text}", code=str(code))
        elif meaning is not Meaning.INFORMATION:
            severity = "info" if meaning is Meaning.FARM_RESTORED else "warning"
            self._queue.put_nowait(BrokerNotice(now, severity, str(code), text))

    async def _return(self, gateway: Gateway, text: str, losses: int) -> None:
        """The servers are said to be back: believed once the gateway answers."""
        try:
            await gateway.time()
        except (NoAnswer, Refused, Unsent) as error:
            gateway.fail(f"it does not answer after {text}: {error}")
            return
        self._reachability.servers_back(self._clock.now(), text, losses)

    # What is sent.

    def prepare(
        self,
        request: OrderRequest | OrderGroup | OrderChange,
        refs: Sequence[OrderRef],
        replaces: OrderRef | None = None,
    ) -> Sequence[Mapping[str, str]]:
        symbol = refs[0].symbol
        refuse_undeclared(self.capabilities, request, symbol)
        if self._options.read_only:
            raise Unsupported(f"{symbol}: broker.options.ibkr.read_only is set: no order is sent")
        listing = self._listing_of(symbol)
        if not isinstance(request, OrderChange):
            refuse_unsendable(request, listing.kind)
        wires = wires_of(
            request,
            refs,
            replaces,
            client=self._options.client_id,
            numbers=self._numbers,
            listing=listing,
        )
        return [wire.write() for wire in wires]

    def _listing_of(self, symbol: str) -> Listing:
        found = self._found.get(symbol)
        if found is not None:
            return found.listing
        if self._said.account:
            raise Unsupported(f"{symbol}: Interactive Brokers has no such contract")
        # Its number is only known once it is connected; without one no order leaves.
        return Listing(0, "STK", "SMART", "USD")

    async def submit_order(self, ref: OrderRef, request: OrderRequest) -> OrderAck:
        return (await self._sender.submit((ref,)))[0]

    async def submit_group(self, refs: Sequence[OrderRef], group: OrderGroup) -> tuple[OrderAck, ...]:
        return await self._sender.submit(refs)

    async def cancel_order(self, ref: OrderRef) -> None:
        await self._sender.cancel(ref, self._options.client_id)

    async def replace_order(self, ref: OrderRef, new_ref: OrderRef, change: OrderChange) -> OrderAck:
        return await self._sender.replace(ref, new_ref)

    async def cancel_all(self, symbols: Sequence[str] | None) -> None:
        if self._options.read_only or not self._shows_orders:
            raise NotSent("the gateway is only watched (read_only): cancel the orders in TWS")
        if symbols is not None or len(self._accounts) > 1:
            # The gateway's own word for all is of every account of the login.
            await self._sender.cancel_all(symbols, lambda: self._listed(Use.CANCEL))
            return
        try:
            gateway = self._connected()
            async with gateway.turn(Use.CANCEL):
                gateway.client.reqGlobalCancel()
        except Unsent as error:
            raise NotSent(str(error)) from None

    def _may_send(self) -> None:
        self._reachability.check_orders()

    # What is asked.

    async def get_order(self, ref: OrderRef) -> BrokerOrder | None:
        with answered():
            as_of = self._clock.now()
            listed = await self._listed(Use.QUERY)
            gateway = self._informed()
            if not self._shows_orders:
                raise BrokerUnavailable("the API of the gateway is read-only: it shows no orders")
            over = await gateway.ask_alone(
                lambda: gateway.client.reqCompletedOrders(False),
                rows="completedOrder",
                ends="completedOrdersEnd",
            )
            placed_by = OrderWire.read(ref.wire).client
            fills = self._fills(await executed_by(self._informed(), self._said.account, placed_by))
            begins = await self._memory_begins()
            answers = Answers(
                listed=listed,
                completed=[
                    completed_order(contract, order, state, self._symbols, as_of)
                    for contract, order, state in over
                ],
                fills=fills,
                begins=begins,
                as_of=as_of,
            )
            return answers.find(ref, self._said.known(ref))

    async def get_open_orders(self, symbols: Sequence[str] | None = None) -> Sequence[BrokerOrder]:
        with answered():
            as_of = self._clock.now()
            listed = await self._listed(Use.QUERY)
            elsewhere = placed_elsewhere(listed.values(), self._options.client_id)
            if elsewhere != self._elsewhere and elsewhere is not None:
                text = f"{elsewhere}; {CLIENT_ADVICE}"
                self._queue.put_nowait(BrokerNotice(as_of, "warning", "client_id", text))
            self._elsewhere = elsewhere
            return open_orders(listed, as_of)

    async def _listed(self, use: Use) -> dict[OrderKey, Tracked]:
        gateway = self._connected() if use is Use.CANCEL else self._informed()
        if not self._shows_orders:
            return {}
        async with self._listing:
            self._said.list_orders()
            await gateway.ask_alone(
                gateway.client.reqAllOpenOrders, rows="openOrder", ends="openOrderEnd", use=use
            )
            return self._said.listed()

    async def get_fills(self, query: FillQuery) -> FillReport:
        with answered():
            account, client = self._said.account, self._options.client_id
            told, everybodys = await executed(self._informed(), account, client)
            fills, begins = self._fills(told), await self._memory_begins()
            return fill_report(query, fills, begins, self._services.symbols if everybodys else ())

    async def _memory_begins(self) -> datetime:
        """By this machine's clock, of the midnight of the gateway's own, which it may be past by now."""
        theirs, now = await self.get_time(), self._clock.now()
        return memory_begins(theirs, self._zone, self._connected().greeting) - (theirs - now)

    def _fills(self, told: Sequence[tuple[Any, ...]]) -> tuple[BrokerFill, ...]:
        """Those executions, as they are by now."""
        self._informed()
        return self._said.executions.fills(dict.fromkeys(key_of(one.execId)[0] for _, one in told))

    async def get_account_state(self) -> BrokerAccountState:
        with answered():
            return await account_state(
                self._informed(),
                self._said.account,
                self._symbols,
                self._clock.now,
                lambda: self._said.executions.count,
            )

    async def get_instruments(self, symbols: Sequence[str]) -> Mapping[str, Instrument]:
        with answered():
            found = await self._find(self._connected(), symbols)
            return {
                symbol: instrument_of(one, symbol, self._venue_symbol(symbol))
                for symbol, one in found.items()
            }

    async def _find(self, gateway: Gateway, symbols: Sequence[str]) -> dict[str, Found]:
        found = await find_contracts(gateway, {one: self._venue_symbol(one) for one in symbols})
        self._found |= found
        for symbol, one in found.items():
            self._symbols.learn(one.listing.con_id, symbol)
        return found

    def _venue_symbol(self, symbol: str) -> str:
        return self._services.names.get(symbol, symbol)

    async def get_time(self) -> datetime:
        with answered():
            asked_at = self._clock.now()
            said = await self._connected().time()
            return self._gateway_clock.learn(asked_at, self._clock.now(), said)

    async def diagnose(self) -> Sequence[Finding]:
        with answered():
            listed = (await self._listed(Use.QUERY)).values()
            return await findings(
                self._connected(), self._said.account, self._options, listed, read_only=not self._shows_orders
            )

    def _informed(self) -> Gateway:
        """A gateway without its servers answers all the same, with what it knew: that is no answer."""
        self._reachability.check()
        return self._connected()

    def _connected(self) -> Gateway:
        if self._gateway is None or not self._gateway.is_open:
            raise Unsent("the gateway is not connected")
        return self._gateway
