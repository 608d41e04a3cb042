"""What leaves a process for the broker, seen from outside: in turn, in time, no cancel before its order."""

from __future__ import annotations

from collections.abc import Iterator

from attrs import define, field

from alphaweave.live.actions import SendCancel, SendGroup, SendReplace
from alphaweave.live.sending_line import OrderSend, Send

__all__ = ["Departures"]


@define
class Departures:
    """The requests of one process. Times are virtual nanoseconds.

    Attributes:
        oldest: what a decision may be old when it leaves.
    """

    oldest: int
    _numbers: dict[str, int] = field(factory=dict, init=False)
    _last: int = field(default=0, init=False)
    _aloft: dict[str, str] = field(factory=dict, init=False)
    _waiting: dict[str, str] = field(factory=dict, init=False)

    def handed_out(self, action: OrderSend) -> None:
        """The core wants an order sent."""
        self._numbers[action.intent] = len(self._numbers) + 1
        # What a replacement would replace may be cancelled, and that leave, before it was decided on.
        names = (action.new_ref.client_order_id,) if isinstance(action, SendReplace) else _names(action)
        self._waiting.update(dict.fromkeys(names, action.intent))

    def leaves(self, action: Send, now: int) -> Iterator[tuple[str, str]]:
        """A request is handed to the adapter."""
        if isinstance(action, SendCancel):
            request = self._aloft.get(action.ref.client_order_id)
            if request is not None:
                yield "I7", f"{action.intent} leaves while {request} is on its way, which it may overtake"
            request = self._waiting.get(action.ref.client_order_id)
            if request is not None:
                yield "I7", f"{action.intent} leaves while {request} waits, which it should have withdrawn"
            return
        self.withdrawn(action.intent)
        number, self._last = self._last, self._numbers[action.intent]
        if self._last <= number:
            yield "I7", f"{action.intent} leaves out of turn"
        if now - action.decided_at > self.oldest:
            yield (
                "I7",
                f"{action.intent} leaves {(now - action.decided_at) / 1e9:g} s after it was decided on",
            )
        self._aloft.update(dict.fromkeys(_names(action), action.intent))

    def withdrawn(self, intent: str) -> None:
        """A request will not leave, or leaves now: it waits no longer."""
        for name in [name for name, request in self._waiting.items() if request == intent]:
            del self._waiting[name]

    def landed(self, action: OrderSend) -> None:
        """An order is answered, or nobody waits for the answer any more."""
        for name in _names(action):
            if self._aloft.get(name) == action.intent:
                del self._aloft[name]


def _names(action: OrderSend) -> tuple[str, ...]:
    if isinstance(action, SendGroup):
        return tuple(ref.client_order_id for ref in action.refs)
    if isinstance(action, SendReplace):
        return action.ref.client_order_id, action.new_ref.client_order_id
    return (action.ref.client_order_id,)
