"""The line before the broker: which request may leave now, which has to wait, and which never leaves.

Submits, groups and replacements leave in the order in which they were decided, and each is looked at again
just before: is the gate open, may anything leave at all, is the decision still young enough. A cancel passes
the gate and overtakes them, but never its own order's: one that has not left is withdrawn with its cancel,
one that is on its way is waited for.

It calls nobody at the broker, waits for nothing, and reads no clock of its own: the sender carries out what
it launches, and so does the simulation.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Final

from attrs import evolve, field, frozen

from alphaweave.core.order import OrderRef
from alphaweave.live.actions import Gate, SendCancel, SendGroup, SendReplace, SendSubmit
from alphaweave.live.inputs import OutcomeKind, SendOutcome

__all__ = ["OrderSend", "Send", "SendingLine"]

OrderSend = SendSubmit | SendGroup | SendReplace
Send = OrderSend | SendCancel

_SHUT: Final = Gate(open=False, reason="the run has not started")


@frozen(eq=False)
class _Flight:
    """A request that was launched, and the cancels of its orders that wait for it to land."""

    action: OrderSend
    cancels: list[SendCancel] = field(factory=list)


class SendingLine:
    """What waits to be sent, and what is on its way.

    Attributes:
        gate: as the core last said.
        held: why nothing but cancels leaves although the gate is open; None: it may.
        sent: how many orders and replacements departed.
    """

    def __init__(
        self,
        *,
        report: Callable[[str, SendOutcome], None],
        launch: Callable[[Send], None],
        now: Callable[[], int],
        objection: Callable[[], str | None] = lambda: None,
        abreast: int = 8,
    ) -> None:
        """Set up; the gate is shut.

        Args:
            report: is told what became of each action, by its intent, once; of a cancel that was launched
                whoever carries it out says so.
            launch: has a request carried out soon. For an order that is `depart`, the call unless something
                is against it, and `land`.
            now: nanoseconds since the epoch, UTC.
            objection: why nothing may leave whatever the gate says.
            abreast: how many orders may be on their way at once.
        """
        if abreast < 1:
            raise ValueError(f"at least one order has to be on its way at once, not {abreast}")
        self.gate = _SHUT
        self.held: str | None = None
        self.sent = 0
        self._report = report
        self._launch = launch
        self._now = now
        self._objection = objection
        self._abreast = abreast
        self._waiting: deque[OrderSend] = deque()
        self._flights: dict[str, _Flight] = {}
        self._aloft = 0
        self._ended = False

    @property
    def quiet(self) -> bool:
        """Whether no order waits and none is on its way."""
        return not self._waiting and not self._aloft

    def put(self, action: Send) -> None:
        """Take an action."""
        if isinstance(action, SendCancel):
            self._take_cancel(action)
        else:
            self._waiting.append(action)
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

    def end(self) -> None:
        """Let nothing but cancels leave any more, and withdraw what waits."""
        self._ended = True
        self._sift()

    def abandon(self, why: str) -> None:
        """Give up the cancels that wait for their order's request to land: what they come to is unknown."""
        for flight in {id(flight): flight for flight in self._flights.values()}.values():
            cancels = tuple(flight.cancels)
            flight.cancels.clear()
            for action in cancels:
                self._report(action.intent, SendOutcome(OutcomeKind.UNKNOWN, text=why))

    # Orders.

    def depart(self, action: OrderSend) -> SendOutcome | None:
        """How an order that was launched ends without leaving; None: it leaves now."""
        # Once more, for between the launch and this moment others ran.
        why = self._refusal(action)
        if why is not None:
            return _not_sent(why)
        self.sent += 1
        return None

    def unwanted(self, action: OrderSend) -> str | None:
        """Why an order that departed, and waits at the adapter, is not to go on; None: it is."""
        flight = self._flights.get(action.ref.client_order_id) if isinstance(action, SendSubmit) else None
        cancelled = flight is not None and flight.action is action and flight.cancels
        return "it was cancelled before it was sent" if cancelled else self._refusal(action)

    def land(self, action: OrderSend, outcome: SendOutcome) -> None:
        """What became of an order that was launched."""
        cancels: list[SendCancel] = []
        self._aloft -= 1
        for name in _names(action):
            flight = self._flights.get(name)
            if flight is not None and flight.action is action:
                del self._flights[name]
                cancels = flight.cancels
        self._report(action.intent, outcome)
        for cancel in cancels:
            ref = _still_there(cancel.ref, action, outcome)
            if ref is None:
                self._report(cancel.intent, _not_sent("its order never reached the broker"))
            else:
                self._launch(evolve(cancel, ref=ref))
        self._advance()

    def _advance(self) -> None:
        """Launch as many from the head of the line as may be on their way."""
        while self._waiting and self._aloft < self._abreast:
            head = self._waiting[0]
            # A replacement needs the broker to have what it replaces.
            if isinstance(head, SendReplace) and head.ref.client_order_id in self._flights:
                return
            self._waiting.popleft()
            why = self._refusal(head)
            if why is not None:
                self._report(head.intent, _not_sent(why))
                continue
            self._aloft += 1
            flight = _Flight(head)
            for name in _names(head):
                self._flights[name] = flight
            self._launch(head)

    def _refusal(self, action: OrderSend) -> str | None:
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
        kept: deque[OrderSend] = deque()
        for action in tuple(self._waiting):
            why = self._refusal(action)
            if why is None:
                kept.append(action)
            else:
                self._report(action.intent, _not_sent(why))
        self._waiting = kept
        self._advance()

    # Cancels.

    def _take_cancel(self, action: SendCancel) -> None:
        name = action.ref.client_order_id
        for waiting in self._waiting:
            if name in _names(waiting):
                self._waiting.remove(waiting)
                self._report(waiting.intent, _not_sent("it was cancelled before it was sent"))
                if isinstance(waiting, SendReplace):
                    # What it would have replaced works on, and is what has to go.
                    action = evolve(action, ref=waiting.ref)
                    break
                self._report(action.intent, _not_sent("its order was withdrawn before it was sent"))
                self._advance()
                return
        flight = self._flights.get(action.ref.client_order_id)
        if flight is None:
            self._launch(action)
        else:
            flight.cancels.append(action)
        self._advance()


def _names(action: OrderSend) -> tuple[str, ...]:
    """The client order ids that a cancel would call it by."""
    if isinstance(action, SendSubmit):
        return (action.ref.client_order_id,)
    if isinstance(action, SendGroup):
        return tuple(ref.client_order_id for ref in action.refs)
    return (action.ref.client_order_id, action.new_ref.client_order_id)


def _symbol(action: OrderSend) -> str:
    return action.refs[0].symbol if isinstance(action, SendGroup) else action.ref.symbol


def _not_sent(why: str) -> SendOutcome:
    return SendOutcome(OutcomeKind.NOT_SENT, text=why)


def _still_there(ref: OrderRef, action: OrderSend, outcome: SendOutcome) -> OrderRef | None:
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
