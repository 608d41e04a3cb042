"""Intents on their way: what was asked of the broker, what it said, and what the journal has to know of it.

Every order version and every cancel that left, or may have, is here until it is settled. Nothing in here
sends anything again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from attrs import asdict, define

from alphaweave.core.order import OrderStatus
from alphaweave.live.journal_records import Intent, IntentKind, IntentState, Outcome
from alphaweave.live.kernel_live import LiveKernel
from alphaweave.live.orders import Order
from alphaweave.live.reconcile_books import OpenVersion
from alphaweave.live.succession import retired

__all__ = ["Intents", "Tracked"]

_OF_STATUS: Final = {
    OrderStatus.REJECTED: IntentState.REJECTED,
    OrderStatus.DENIED: IntentState.WITHDRAWN,
}

# After so long a cancel that the broker took, and that ended nothing, counts as one that had no effect.
_NO_EFFECT_NS: Final = 30_000_000_000


@define
class Tracked:
    """One order version that is not settled.

    Attributes:
        intent: the name of the send it went with: a group's is that of its first leg.
        state: what the journal says of it.
        quiet_since: from when on no byte of it can leave any more; None while its send is under way.
        taken: the broker has said that it has it.
        refused: the state it ends in, where the broker or this machine refused the replacement it was.
    """

    client_id: str
    intent: str
    order_id: str
    kind: IntentKind
    decided_at: int
    state: IntentState = IntentState.INTENT
    quiet_since: int | None = None
    taken: bool = False
    refused: IntentState | None = None
    broker_id: str | None = None


@define
class _Cancel:
    """The newest cancel of a version; ``at`` is when it was asked for."""

    client_id: str
    intent: str
    at: int
    state: IntentState = IntentState.INTENT


class Intents:
    """Those of one run.

    Attributes:
        versions: by client order id.
        revived: names of orders that the books have as over, and that have to be cancelled all the same.
    """

    def __init__(self) -> None:
        self.versions: dict[str, Tracked] = {}
        self._cancels: dict[str, _Cancel] = {}
        self._cancel_names: dict[str, str] = {}
        # Versions with a cancel of which nobody knows any more what became of it.
        self._lost_cancels: set[str] = set()
        self._told: list[Outcome] = []
        self.revived: set[str] = set()

    # What leaves.

    def add(self, intents: Sequence[Intent], names: Sequence[str], at: int) -> None:
        """A decision's intents, with the name of the send that each goes with."""
        for intent, name in zip(intents, names, strict=True):
            client_id = intent.client_order_id
            if intent.kind is IntentKind.CANCEL:
                self._cancels[client_id] = _Cancel(client_id, name, at)
                self._cancel_names[name] = client_id
            else:
                self.versions[client_id] = Tracked(client_id, name, intent.order_id, intent.kind, at)

    def orphan(self, at: int) -> list[Tracked]:
        """The process that might have sent them is gone, so no byte of any leaves any more; what nobody had
        answered for is in doubt, and handed back."""
        self._cancels.clear()
        self._cancel_names.clear()
        for name in sorted(self._lost_cancels - self.versions.keys()):
            self._told.append(Outcome(name, IntentState.DONE, cancel=True))
        self._lost_cancels &= self.versions.keys()
        for tracked in self.versions.values():
            tracked.quiet_since = at if tracked.quiet_since is None else tracked.quiet_since
        doubtful = [each for each in self.versions.values() if not each.taken]
        for tracked in doubtful:
            if tracked.state is not IntentState.UNKNOWN:
                self._say(tracked, IntentState.UNKNOWN)
        return doubtful

    def snapshot(self) -> list[dict[str, Any]]:
        """Every version as JSON values."""
        return [
            {
                **asdict(each),
                "kind": each.kind.value,
                "state": each.state.value,
                "refused": None if each.refused is None else each.refused.value,
            }
            for each in self.versions.values()
        ]

    def snapshot_cancels(self) -> dict[str, Any]:
        """The cancels on their way as JSON values; an order that is not sent counts as cancelled by one."""
        newest = [{**asdict(each), "state": each.state.value} for each in self._cancels.values()]
        return {"newest": newest, "names": dict(self._cancel_names)}

    def restore(self, saved: Sequence[Mapping[str, Any]], cancels: Mapping[str, Any]) -> None:
        """Take back what `snapshot` and `snapshot_cancels` gave."""
        newest = (_Cancel(**{**each, "state": IntentState(each["state"])}) for each in cancels["newest"])
        self._cancels = {each.client_id: each for each in newest}
        self._cancel_names = dict(cancels["names"])
        self.versions = {}
        for entry in saved:
            refused = entry["refused"]
            self.versions[entry["client_id"]] = Tracked(
                **{
                    **entry,
                    "kind": IntentKind(entry["kind"]),
                    "state": IntentState(entry["state"]),
                    "refused": None if refused is None else IntentState(refused),
                }
            )

    def lose_cancels(self, client_ids: Iterable[str]) -> None:
        """The journal has cancels of these as open, and the process that asked for them is gone: they are
        settled when their orders are."""
        self._lost_cancels = set(client_ids)

    def cancelling(self, client_id: str) -> bool:
        """Whether a cancel of that version is on its way."""
        return client_id in self._cancels

    # What is heard.

    def of(self, intent: str) -> list[Tracked]:
        """The versions that went with a send; empty for a cancel, and for what is settled."""
        found = self.versions.get(intent)
        if found is None or found.kind is not IntentKind.GROUP:
            return [] if found is None else [found]
        return [each for each in self.versions.values() if each.intent == intent]

    def cancelled_by(self, intent: str) -> str | None:
        """The version that a send was to cancel; None if it was no cancel."""
        return self._cancel_names.get(intent)

    def acked(self, client_id: str, broker_id: str | None) -> None:
        """The broker has that version."""
        tracked = self.versions.get(client_id)
        if tracked is None:
            return
        fresh = not tracked.taken or (broker_id is not None and broker_id != tracked.broker_id)
        tracked.taken = True
        if fresh:
            tracked.broker_id = broker_id or tracked.broker_id
            self._say(tracked, IntentState.ACKED)

    def doubted(self, tracked: Tracked, at: int) -> None:
        """Nobody knows whether it arrived."""
        tracked.quiet_since = at
        if not tracked.taken:
            self._say(tracked, IntentState.UNKNOWN)

    def cancel_ended(self, intent: str, state: IntentState) -> str | None:
        """The broker's word on a cancel; the version it was of."""
        client_id = self._cancel_names.pop(intent, None)
        if client_id is None:
            return None
        cancel = self._cancels.get(client_id)
        if cancel is not None and cancel.intent == intent:
            del self._cancels[client_id]
            self._told.append(Outcome(client_id, state, cancel=True))
            if state is IntentState.UNKNOWN:
                self._lost_cancels.add(client_id)
            elif state is not IntentState.WITHDRAWN:
                # The broker's word on the newest is its word on all of them.
                self._lost_cancels.discard(client_id)
        return client_id

    def settle(self, kernel: LiveKernel) -> tuple[Outcome, ...]:
        """What the journal has to be told after an input, once the kernel has taken it in."""
        for tracked in tuple(self.versions.values()):
            final = _final(tracked, kernel)
            if final is None:
                continue
            self._say(tracked, final)
            del self.versions[tracked.client_id]
            cancel = self._cancels.pop(tracked.client_id, None)
            if cancel is not None:
                self._cancel_names.pop(cancel.intent, None)
            if cancel is not None or tracked.client_id in self._lost_cancels:
                self._lost_cancels.discard(tracked.client_id)
                self._told.append(Outcome(tracked.client_id, IntentState.DONE, cancel=True))
        told, self._told = self._told, []
        return _newest(told)

    def forget(self, intents: Sequence[Intent]) -> None:
        """These were not committed, so they never left: the journal takes nothing more."""
        for intent in intents:
            if intent.kind is not IntentKind.CANCEL:
                self.versions.pop(intent.client_order_id, None)

    # What the reconciler looks at.

    def open_versions(self, kernel: LiveKernel) -> Iterator[OpenVersion]:
        """Every version that may be at the broker."""
        for tracked in self.versions.values():
            order = kernel.orders.get(tracked.client_id)
            if order is None:
                continue
            if tracked.client_id == order.ref.client_order_id:
                if order.ending is not None and retired(order):
                    continue  # the broker said that it is over, and may forget it while the next one waits
                ref = order.ref
            elif order.change_ref is not None and tracked.client_id == order.change_ref.client_order_id:
                ref = order.change_ref
            else:
                continue
            yield OpenVersion(
                ref,
                OrderStatus.UNKNOWN if self._hangs(order, kernel.at) else _status(tracked, order),
                order.side,
                order.own_filled,
                tracked.decided_at,
                tracked.quiet_since,
                tracked.taken,
            )

    def _hangs(self, order: Order, at: int) -> bool:
        """Whether nobody knows what became of the cancel that the next version of an order waits for: also
        fills say that the order is there, and nothing of its cancel."""
        succession, name = order.succession, order.ref.client_order_id
        if succession is None or not order.retiring or order.ending is not None or name in self._cancels:
            return False
        return name in self._lost_cancels or at - succession.decided_at >= _NO_EFFECT_NS

    def _say(self, tracked: Tracked, state: IntentState) -> None:
        tracked.state = state
        self._told.append(Outcome(tracked.client_id, state, tracked.broker_id))


def _status(tracked: Tracked, order: Order) -> OrderStatus:
    if tracked.taken:
        return order.status
    return OrderStatus.PENDING if tracked.quiet_since is None else OrderStatus.UNKNOWN


def _final(tracked: Tracked, kernel: LiveKernel) -> IntentState | None:
    if tracked.refused is not None:
        return tracked.refused
    order = kernel.orders.get(tracked.client_id)
    if order is None:
        ended = kernel.ended.get(tracked.client_id)
        return IntentState.DONE if ended is None else _OF_STATUS.get(ended.status, IntentState.DONE)
    works = order.ref.client_order_id, None if order.change_ref is None else order.change_ref.client_order_id
    return None if tracked.client_id in works else IntentState.DONE


def _newest(told: Sequence[Outcome]) -> tuple[Outcome, ...]:
    """The last word on each; a version whose last word repeats nothing is told once."""
    last: dict[tuple[str, bool], Outcome] = {}
    for outcome in told:
        last[outcome.client_order_id, outcome.cancel] = outcome
    return tuple(last.values())
