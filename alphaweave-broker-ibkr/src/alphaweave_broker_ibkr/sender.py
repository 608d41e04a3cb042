"""Orders, changes and cancels on their way to the gateway, and what it makes of them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from typing import Final

from attrs import evolve
from ib_async import Contract, Order

from alphaweave.core.errors import (
    BrokerUnavailable,
    CancelRejected,
    NotSent,
    OrderRejected,
    OrderState,
    OutcomeUnknown,
    ReplaceRejected,
)
from alphaweave.core.order import OrderRef
from alphaweave.live.adapters.rate_budget import Use
from alphaweave.live.adapters.timer import Timer, within
from alphaweave.live.broker import OrderAck
from alphaweave_broker_ibkr.codes import Meaning, Subject
from alphaweave_broker_ibkr.gateway import Gateway, NoAnswer, Refused
from alphaweave_broker_ibkr.order_wire import OrderWire
from alphaweave_broker_ibkr.orders import contract_of, order_of
from alphaweave_broker_ibkr.pace import Unsent
from alphaweave_broker_ibkr.refusals import reject_reason
from alphaweave_broker_ibkr.tracked import Answer, OrderKey, Reply, Tracked
from alphaweave_broker_ibkr.translator import Translator

__all__ = ["Sender"]

_LOST: Final = Reply(Meaning.LOOK_UP, None, "the connection ended")


class Sender:
    """Sends each at most once. The gateway has no word for "taken": what it tells next is the answer."""

    def __init__(
        self,
        said: Translator,
        gateway: Callable[[], Gateway],
        may_send: Callable[[], None],
        timer: Timer,
        timeout: float,
    ) -> None:
        """``gateway`` and ``may_send`` raise Unsent where there is none, and where no order may leave now."""
        self._said = said
        self._gateway = gateway
        self._may_send = may_send
        self._timer = timer
        self._timeout = timeout
        self._waiting: set[asyncio.Future[Reply]] = set()

    def lost(self) -> None:
        """The connection ended: nobody answers any more."""
        for each in tuple(self._waiting):
            if not each.done():
                each.set_result(_LOST)

    async def submit(self, refs: Sequence[OrderRef]) -> tuple[OrderAck, ...]:
        """One order, or the legs of a group, which the gateway holds until the last is there."""
        symbol = refs[0].symbol
        orders = [self._order(ref) for ref in refs]
        waits = [self._wait() for _ in refs]
        try:
            gateway = self._gateway()
            async with gateway.turn(Use.ORDER, self._may_send, len(refs)):
                for ref, (contract, order), (_, answer) in zip(refs, orders, waits, strict=True):
                    self._said.placing(ref, answer)
                    gateway.client.placeOrder(order.orderId, contract, order)
        except BaseException as error:
            self._waiting.difference_update(future for future, _ in waits)
            raise _unsent(symbol, error) from None
        replies = await self._replies(gateway, refs, [future for future, _ in waits])
        refused = [reply for reply in replies if reply is not None and reply.meaning is not None]
        first = replies[0]
        # Only the first of a bracket takes the others with it: two exits alone are sent one by one.
        whole = len(refs) == 1 or OrderWire.read(refs[-1].wire).parent
        if refused and len(refs) > 1:
            # One leg was refused: the others are not to work without it.
            await self._withdraw(gateway, refs)
        if whole and first is not None and first.meaning is Meaning.ORDER_REJECTED:
            raise _rejected(symbol, first)
        if refused:
            raise _unknown(symbol, refused[0])
        return tuple(self._acknowledged(ref) for ref in refs)

    async def _replies(
        self, gateway: Gateway, refs: Sequence[OrderRef], futures: Sequence[asyncio.Future[Reply]]
    ) -> list[Reply | None]:
        """What was said of each leg, as soon as one was refused or all were taken."""

        async def all_of_them() -> None:
            waiting = set(futures)
            while waiting:
                told, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                if any(future.result().meaning is not None for future in told):
                    return

        try:
            await self._in_time(gateway, all_of_them(), refs[0].symbol)
        finally:
            for ref in refs:
                self._said.give_up(ref, Subject.NEW_ORDER)
            self._waiting.difference_update(futures)
        return [future.result() if future.done() else None for future in futures]

    async def _withdraw(self, gateway: Gateway, refs: Sequence[OrderRef]) -> None:
        try:
            async with gateway.turn(Use.CANCEL, messages=len(refs)):
                for ref in refs:
                    one = self._said.known(ref)
                    if one is not None and one.ended is None:
                        one.cancelling = True
                        gateway.client.cancelOrder(one.number)
        except Unsent:
            return  # every leg is looked up

    async def replace(self, ref: OrderRef, new_ref: OrderRef) -> OrderAck:
        """The same order under its number, with other terms and another name."""
        contract, order = self._order(new_ref)
        future, answer = self._wait()
        try:
            gateway = self._gateway()
            async with gateway.turn(Use.ORDER, self._may_send):
                if self._said.changing(ref, new_ref, answer):
                    gateway.client.placeOrder(order.orderId, contract, order)
        except BaseException as error:
            self._waiting.discard(future)
            raise _unsent(ref.symbol, error) from None
        reply = await self._reply(gateway, ref, future, Subject.REPLACE)
        if reply.meaning is Meaning.ACTION_REFUSED:
            raise ReplaceRejected(
                f"{ref.symbol}: {reply.text}",
                order_state=reply.state,
                code=_code(reply),
                text=reply.text,
            )
        if reply.meaning is not None:
            raise _unknown(ref.symbol, reply)
        return self._acknowledged(new_ref)

    async def cancel(self, ref: OrderRef, client: int) -> None:
        """A cancel, and one for the other exit of its group.

        Args:
            client: this connection's client id.
        """
        try:
            wire = OrderWire.read(ref.wire)
        except ValueError:
            raise CancelRejected(
                f"{ref.symbol}: order {ref.broker_order_id} was not placed here; cancel it where it was",
                order_state=OrderState.UNKNOWN,
            ) from None
        if wire.client != client:
            raise CancelRejected(
                f"{ref.symbol}: order {wire.order} was placed by client id {wire.client}, which alone can "
                "cancel it: connect with that one",
                order_state=OrderState.UNKNOWN,
            )
        future, answer = self._wait()
        orders = [wire.order, wire.pair] if wire.pair else [wire.order]
        try:
            gateway = self._gateway()
            async with gateway.turn(Use.CANCEL, messages=len(orders)):
                self._said.cancelling(ref, answer)
                for order in orders:
                    gateway.client.cancelOrder(order)
        except BaseException as error:
            self._waiting.discard(future)
            raise _unsent(ref.symbol, error) from None
        reply = await self._reply(gateway, ref, future, Subject.CANCEL)
        if reply.meaning is Meaning.ACTION_REFUSED:
            raise CancelRejected(
                f"{ref.symbol}: {reply.text}", order_state=reply.state, code=_code(reply), text=reply.text
            )
        if reply.meaning is not None:
            raise _unknown(ref.symbol, reply)

    async def cancel_all(
        self,
        symbols: Collection[str] | None,
        listed: Callable[[], Awaitable[Mapping[OrderKey, Tracked]]],
    ) -> None:
        """A cancel for each open order, also of those that only the list of all has.

        Args:
            symbols: of these; None: of all.
            listed: asks for all that are open, and may have to wait behind other questions.
        """
        left: set[OrderKey] = set()
        try:
            # For those that are known, nothing is waited for.
            await self._cancel_each(self._said.working(), symbols, left)
            found = (await listed()).values()
            await self._cancel_each(found, symbols, left)
        except (Unsent, NoAnswer, Refused) as error:
            if not left:
                raise NotSent(f"open orders are not known: {error}") from None
            raise OutcomeUnknown(
                f"{len(left)} cancels left; what else is open nobody says: {error}"
            ) from None
        wanted = [one for one in found if symbols is None or one.symbol in symbols]
        theirs = [one for one in wanted if one.client != self._said.client and not one.status.terminal]
        if theirs:
            where = ", ".join(sorted({one.symbol for one in theirs}))
            raise CancelRejected(
                f"{len(theirs)} open orders in {where} were placed by other clients, which alone can cancel "
                "them: cancel them there, or in TWS",
                order_state=OrderState.ALIVE,
            )

    async def _cancel_each(
        self, orders: Iterable[Tracked], symbols: Collection[str] | None, left: set[OrderKey]
    ) -> None:
        for one in orders:
            key = (one.client, one.number)
            wanted = symbols is None or one.symbol in symbols
            if key in left or not wanted or one.client != self._said.client or one.status.terminal:
                continue
            gateway = self._gateway()
            async with gateway.turn(Use.CANCEL):
                one.cancelling = True
                left.add(key)
                gateway.client.cancelOrder(one.number)

    async def _reply(
        self, gateway: Gateway, ref: OrderRef, future: asyncio.Future[Reply], subject: Subject
    ) -> Reply:
        try:
            await self._in_time(gateway, asyncio.shield(future), ref.symbol)
            return future.result()
        finally:
            self._said.give_up(ref, subject)
            self._waiting.discard(future)

    async def _in_time(self, gateway: Gateway, waiting: object, symbol: str) -> None:
        try:
            await within(self._timer, waiting, self._timeout, "the gateway")  # type: ignore[arg-type]
        except BrokerUnavailable as error:
            self._stop_what_waits(gateway)
            raise OutcomeUnknown(f"{symbol}: {error}") from None
        except asyncio.CancelledError:
            self._stop_what_waits(gateway)
            raise

    @staticmethod
    def _stop_what_waits(gateway: Gateway) -> None:
        """Nobody waits any more: what the socket has not taken yet must never leave."""
        if gateway.is_open and not gateway.is_written:
            gateway.fail("the gateway takes nothing in")

    def _wait(self) -> tuple[asyncio.Future[Reply], Answer]:
        future: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._waiting.add(future)

        def answer(reply: Reply) -> None:
            if not future.done():
                future.set_result(reply)

        return future, answer

    def _order(self, ref: OrderRef) -> tuple[Contract, Order]:
        try:
            wire = OrderWire.read(ref.wire)
        except ValueError as error:
            raise NotSent(f"{ref.symbol}: {error}") from None
        if not wire.listing.con_id:
            raise NotSent(f"{ref.symbol}: it was decided before its contract was known")
        return contract_of(wire), order_of(wire, ref.client_order_id, self._said.account)

    def _acknowledged(self, ref: OrderRef) -> OrderAck:
        known = self._said.known(ref)
        number = None if known is None else known.ref.broker_order_id
        return OrderAck(evolve(ref, broker_order_id=number), self._timer.clock.now())


def _unsent(symbol: str, error: BaseException) -> BaseException:
    """What a send ends in before its first byte."""
    return NotSent(f"{symbol}: {error}") if isinstance(error, Unsent) else error


def _code(reply: Reply) -> str | None:
    return None if reply.code is None else str(reply.code)


def _rejected(symbol: str, reply: Reply) -> OrderRejected:
    return OrderRejected(
        f"{symbol}: {reply.code}: {reply.text}",
        reason=reject_reason(reply.code or 0, reply.text),
        code=_code(reply),
        text=reply.text,
    )


def _unknown(symbol: str, reply: Reply) -> OutcomeUnknown:
    return OutcomeUnknown(f"{symbol}: {reply.text}", code=_code(reply), text=reply.text)
