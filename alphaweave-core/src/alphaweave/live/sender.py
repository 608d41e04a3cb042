"""The sender: the one place from which requests leave for the broker, each at most once.

What leaves when is the line's to say (`alphaweave.live.sending_line`); this calls the adapter, in a task
each, and makes an outcome of whatever it answers or raises. It belongs to one event loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

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
from alphaweave.live.actions import SendCancel, SendGroup, SendSubmit
from alphaweave.live.adapters.rate_budget import asked_again
from alphaweave.live.broker import Broker
from alphaweave.live.inputs import OutcomeKind, SendOutcome
from alphaweave.live.reports import OrderAck
from alphaweave.live.sending_line import OrderSend, Send, SendingLine

__all__ = ["Sender"]

_UNANSWERED = "the run ended before there was an answer"


class Sender(SendingLine):
    """Carries out the Send actions of one run; each is reported exactly once, later."""

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
        super().__init__(report=report, launch=self._carry_out, now=now, objection=objection, abreast=abreast)
        self._broker = broker
        self._patience = patience
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def quiet(self) -> bool:
        """Whether nothing waits and nothing is on its way."""
        return super().quiet and not self._tasks

    async def settled(self) -> None:
        """Return when nothing waits and nothing is on its way."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def close(self, seconds: float) -> None:
        """Withdraw what waits, and let what is on its way end; what has not by then is UNKNOWN."""
        self.end()
        # A task that is cancelled before it began would report nothing.
        await asyncio.sleep(0)
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=seconds)
        self.abandon(_UNANSWERED)
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _carry_out(self, action: Send) -> None:
        work = self._cancel(action) if isinstance(action, SendCancel) else self._fly(action)
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _fly(self, action: OrderSend) -> None:
        outcome = SendOutcome(OutcomeKind.UNKNOWN, text=_UNANSWERED)
        try:
            with asked_again(lambda: self.unwanted(action)):
                outcome = self.depart(action) or await _outcome(self._sending(action), self._patience)
        finally:
            self.land(action, outcome)

    async def _sending(self, action: OrderSend) -> tuple[OrderAck, ...]:
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

    async def _cancel(self, action: SendCancel) -> None:
        outcome = SendOutcome(OutcomeKind.UNKNOWN, text=_UNANSWERED)
        try:
            outcome = await _outcome(self._cancelling(action.ref), self._patience)
        finally:
            self._report(action.intent, outcome)

    async def _cancelling(self, ref: OrderRef) -> None:
        await self._broker.cancel_order(ref)


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
