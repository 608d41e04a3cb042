"""The sender: the one place from which requests leave for the broker, each at most once.

Submits, groups and replacements leave in the order in which they were decided, and each is looked at again
just before: is the gate open, may anything leave at all, is the decision still young enough. A cancel passes
the gate and overtakes them, but never its own order's: one that has not left is withdrawn with its cancel,
one that is on its way is waited for.

It belongs to one event loop, reads no clock of its own, and decides nothing about orders.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from attrs import evolve, field, frozen

from alphaweave.core.errors import (
    BrokerError,
    CancelRejected,
    NotSent,
    OrderRejected,
    OutcomeUnknown,
    ReplaceRejected,
    Unsupported,
)
from alphaweave.core.order import OrderRef
from alphaweave.live.actions import Gate, SendCancel, SendGroup, SendReplace, SendSubmit
from alphaweave.live.broker import Broker
from alphaweave.live.inputs import OutcomeKind, SendOutcome
from alphaweave.live.reports import OrderAck

__all__ = ["Send", "Sender"]

Send = SendSubmit | SendGroup | SendReplace | SendCancel
_Order = SendSubmit | SendGroup | SendReplace

_SHUT: Final = Gate(open=False, reason="the run has not started")


@frozen(eq=False)
class _Flight:
    """A request that was handed to the adapter. ``landed`` is how it ended."""

    action: _Order
    landed: asyncio.Future[SendOutcome] = field(repr=False)


class Sender:
    """Carries out the Send actions of one run.

    Attributes:
        gate: as the core last said.
        held: why nothing but cancels leaves although the gate is open; None: it may.
        sent: how many orders and replacements were handed to the adapter.
    """

    def __init__(
        self,
        broker: Broker,
        *,
        report: Callable[[str, SendOutcome], None],
        now: Callable[[], int],
        objection: Callable[[], str | None] = lambda: None,
        abreast: int = 8,
        patience: float = 60.0,
    ) -> None:
        """Set up; the gate is shut.

        Args:
            report: is told what became of each action, by its intent, once.
            now: nanoseconds since the epoch, UTC.
            objection: why nothing may leave whatever the gate says (the account's lock is lost, the journal
                is broken); asked just before each send.
            abreast: how many orders may be on their way at once.
            patience: seconds after which a call is cancelled; an adapter has a limit of its own below that.
        """
        if abreast < 1:
            raise ValueError(f"at least one order has to be on its way at once, not {abreast}")
        self.gate = _SHUT
        self.held: str | None = None
        self.sent = 0
        self._broker = broker
        self._report = report
        self._now = now
        self._objection = objection
        self._abreast = abreast
        self._patience = patience
        self._line: deque[_Order] = deque()
        self._flights: dict[str, _Flight] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._aloft = 0
        self._ended = False

    @property
    def quiet(self) -> bool:
        """Whether nothing waits and nothing is on its way."""
        return not self._line and not self._tasks

    def put(self, action: Send) -> None:
        """Take an action; it is reported exactly once, later."""
        if isinstance(action, SendCancel):
            self._take_cancel(action)
        else:
            self._line.append(action)
            self._advance()

    def set_gate(self, gate: Gate) -> None:
        """What the core says of the gate. What waits and may not leave any more is reported as not sent."""
        self.gate = gate
        self._sift()

    def hold(self, reason: str) -> None:
        """Let nothing but cancels leave from this moment on, whatever the core comes to say of the gate."""
        self.held = reason
        self._sift()

    def release(self) -> None:
        """Go by the gate again."""
        self.held = None
        self._advance()

    async def settled(self) -> None:
        """Return when nothing waits and nothing is on its way."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def close(self, seconds: float) -> None:
        """Withdraw what waits, and let what is on its way end; what has not by then is UNKNOWN."""
        self._ended = True
        self._sift()
        # A task that is cancelled before it began would report nothing.
        await asyncio.sleep(0)
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=seconds)
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # Orders.

    def _advance(self) -> None:
        """Hand over as many from the head of the line as may be on their way."""
        while self._line and self._aloft < self._abreast:
            head = self._line[0]
            # A replacement needs the broker to have what it replaces.
            if isinstance(head, SendReplace) and head.ref.client_order_id in self._flights:
                return
            self._line.popleft()
            why = self._refusal(head)
            if why is not None:
                self._report(head.intent, _not_sent(why))
                continue
            self._launch(head)

    def _launch(self, action: _Order) -> None:
        flight = _Flight(action, asyncio.get_running_loop().create_future())
        self._aloft += 1
        for name in _names(action):
            self._flights[name] = flight
        self._start(self._fly(flight))

    async def _fly(self, flight: _Flight) -> None:
        action = flight.action
        outcome = SendOutcome(OutcomeKind.UNKNOWN, text="the run ended before there was an answer")
        try:
            # Again, and here: between the hand-over and this moment others ran.
            why = self._refusal(action)
            if why is None:
                self.sent += 1
                outcome = await _outcome(self._sending(action), self._patience)
            else:
                outcome = _not_sent(why)
        finally:
            self._aloft -= 1
            for name in _names(action):
                if self._flights.get(name) is flight:
                    del self._flights[name]
            self._report(action.intent, outcome)
            flight.landed.set_result(outcome)
            self._advance()

    async def _sending(self, action: _Order) -> tuple[OrderAck, ...]:
        acks: tuple[object, ...]
        if isinstance(action, SendSubmit):
            acks, wanted = (await self._broker.submit_order(action.ref, action.request),), 1
        elif isinstance(action, SendGroup):
            acks = tuple(await self._broker.submit_group(action.refs, action.group))
            wanted = len(action.refs)
        else:
            acks = (await self._broker.replace_order(action.ref, action.new_ref, action.change),)
            wanted = 1
        good = tuple(ack for ack in acks if isinstance(ack, OrderAck))
        if len(good) != wanted or len(acks) != wanted:
            raise OutcomeUnknown(f"the adapter answered {acks!r}, which acknowledges nothing")
        return good

    def _refusal(self, action: _Order) -> str | None:
        """Why an order must not leave now; None if it may."""
        if self._ended:
            return "the run is ending"
        why = self._objection()
        if why is not None:
            return why
        gate = self.gate
        exits = isinstance(action, SendSubmit) and action.exit and gate.exits
        if self.held is not None and not exits:
            return self.held
        if not gate.open and not exits:
            return gate.reason or "the gate is shut"
        symbol = _symbol(action)
        if symbol in gate.symbols_shut and not exits:
            return f"{symbol} is shut{': ' if gate.reason else ''}{gate.reason}"
        now = self._now()
        if action.deadline is not None and now > action.deadline:
            return (
                f"the decision is {(now - action.decided_at) / 1e9:.1f} s old, and that is too old to act on"
            )
        return None

    def _sift(self) -> None:
        """Report at once what waits and may not leave."""
        kept: deque[_Order] = deque()
        for action in tuple(self._line):
            why = self._refusal(action)
            if why is None:
                kept.append(action)
            else:
                self._report(action.intent, _not_sent(why))
        self._line = kept
        self._advance()

    # Cancels.

    def _take_cancel(self, action: SendCancel) -> None:
        name = action.ref.client_order_id
        for waiting in self._line:
            if name in _names(waiting):
                self._line.remove(waiting)
                self._report(waiting.intent, _not_sent("it was cancelled before it was sent"))
                if isinstance(waiting, SendReplace):
                    # What it would have replaced works on, and is what has to go.
                    action = evolve(action, ref=waiting.ref)
                    self._advance()
                    break
                self._report(action.intent, _not_sent("its order was withdrawn before it was sent"))
                self._advance()
                return
        self._start(self._cancel(action))

    async def _cancel(self, action: SendCancel) -> None:
        outcome = SendOutcome(OutcomeKind.UNKNOWN, text="the run ended before there was an answer")
        try:
            ref: OrderRef | None = action.ref
            flight = self._flights.get(action.ref.client_order_id)
            if flight is not None:
                ref = _still_there(action.ref, flight.action, await asyncio.shield(flight.landed))
            if ref is None:
                outcome = _not_sent("its order never reached the broker")
            else:
                outcome = await _outcome(self._cancelling(ref), self._patience)
        finally:
            self._report(action.intent, outcome)

    async def _cancelling(self, ref: OrderRef) -> None:
        await self._broker.cancel_order(ref)

    def _start(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _names(action: _Order) -> tuple[str, ...]:
    """The client order ids that a cancel would call it by."""
    if isinstance(action, SendSubmit):
        return (action.ref.client_order_id,)
    if isinstance(action, SendGroup):
        return tuple(ref.client_order_id for ref in action.refs)
    return (action.ref.client_order_id, action.new_ref.client_order_id)


def _symbol(action: _Order) -> str:
    return action.refs[0].symbol if isinstance(action, SendGroup) else action.ref.symbol


def _not_sent(why: str) -> SendOutcome:
    return SendOutcome(OutcomeKind.NOT_SENT, text=why)


def _still_there(ref: OrderRef, action: _Order, outcome: SendOutcome) -> OrderRef | None:
    """What a cancel has to name once its order's own request has ended; None: there is nothing to cancel."""
    if outcome.kind is OutcomeKind.ACKED:
        known: Mapping[str, OrderRef] = {ack.ref.client_order_id: ack.ref for ack in outcome.acks}
        if isinstance(action, SendReplace):
            return known.get(action.new_ref.client_order_id, action.new_ref)
        found = known.get(ref.client_order_id)
        return ref if found is None else evolve(ref, broker_order_id=found.broker_order_id)
    if isinstance(action, SendReplace):
        # In doubt about both versions, the one that was asked for.
        return ref if outcome.kind is OutcomeKind.UNKNOWN else action.ref
    return ref if outcome.kind is OutcomeKind.UNKNOWN else None


async def _outcome(sending: Awaitable[tuple[OrderAck, ...] | None], seconds: float) -> SendOutcome:
    """How a call ended. Whatever an adapter raises that it must not: nobody knows what it did before."""
    limit = asyncio.timeout(seconds)
    try:
        async with limit:
            acks = await sending
    except OrderRejected as error:
        return SendOutcome(OutcomeKind.REJECTED, code=error.reason.value, text=error.text or str(error))
    except CancelRejected as error:
        return SendOutcome(
            OutcomeKind.CANCEL_REJECTED,
            order_state=error.order_state.value,
            code=error.code,
            text=error.text or str(error),
        )
    except ReplaceRejected as error:
        return SendOutcome(
            OutcomeKind.REPLACE_REJECTED,
            order_state=error.order_state.value,
            code=error.code,
            text=error.text or str(error),
        )
    except (NotSent, Unsupported) as error:
        return SendOutcome(OutcomeKind.NOT_SENT, code=error.code, text=str(error))
    except BrokerError as error:
        return SendOutcome(OutcomeKind.UNKNOWN, code=error.code, text=str(error))
    except (Exception, SystemExit, GeneratorExit) as error:
        late = isinstance(error, TimeoutError) and limit.expired()
        text = f"no answer within {seconds:g} s" if late else f"{type(error).__name__}: {error}"
        return SendOutcome(OutcomeKind.UNKNOWN, text=text)
    return SendOutcome(OutcomeKind.CANCEL_TAKEN) if acks is None else SendOutcome(OutcomeKind.ACKED, acks)
