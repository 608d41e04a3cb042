"""A simulated venue that remembers what it was asked, and can be told to refuse."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from alphaweave.core.clock import Clock
from alphaweave.core.errors import CancelRejected, OrderState, ReplaceRejected
from alphaweave.core.order import OrderChange, OrderGroup, OrderRef, OrderRequest, OrderStatus
from alphaweave.live.broker import BrokerOrder
from alphaweave.sim.venue import SimVenue
from alphaweave.testing.venue import Action, WireRequest

__all__ = ["WatchedVenue"]


class WatchedVenue(SimVenue):
    """The venue of a `MockSandbox`: there is no wire, so that its calls count as the requests.

    Attributes:
        clock: stamps the requests.
        requests: everything asked for, oldest first.
        refusals: how many of the next requests of an action are refused.
        names: the client ids of all order versions, in the order they came.
    """

    clock: Clock

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.requests: list[WireRequest] = []
        self.refusals: dict[Action, int] = {}
        self.names: list[str] = []

    def submit(self, ref: OrderRef, request: OrderRequest, now: int) -> None:
        self._note(Action.SUBMIT, f"{request.side.value} {request.symbol}", repr(request), (ref,))
        if self._refuses(Action.SUBMIT):
            self._refused[self._book.submissions + 1] = "scripted"
        super().submit(ref, request, now)

    def submit_group(self, refs: Sequence[OrderRef], group: OrderGroup, now: int) -> None:
        self._note(Action.SUBMIT, group.kind.value, repr(group), refs)
        if self._refuses(Action.SUBMIT):
            self._refused[self._book.submissions + 1] = "scripted"
        super().submit_group(refs, group, now)

    def cancel(self, client_order_id: str, now: int) -> None:
        ref = OrderRef(client_order_id, "")
        self._note(Action.CANCEL, "cancel", client_order_id, (ref,))
        if self._refuses(Action.CANCEL):
            raise CancelRejected(
                f"the cancel of {client_order_id} is refused, as it was told to",
                order_state=OrderState.ALIVE,
                code="scripted",
            )
        super().cancel(client_order_id, now)

    def replace(self, client_order_id: str, new_ref: OrderRef, change: OrderChange, now: int) -> None:
        self._note(Action.REPLACE, "replace", repr(change), (new_ref,))
        if self._refuses(Action.REPLACE):
            raise ReplaceRejected(
                f"the replacement of {client_order_id} is refused, as it was told to",
                order_state=OrderState.ALIVE,
                code="scripted",
            )
        super().replace(client_order_id, new_ref, change, now)

    def expire(self, client_order_id: str) -> None:
        """Let a working order reach the end of its time."""
        self._book.end(self._book.by_client[client_order_id], OrderStatus.EXPIRED, "expired")

    def versions(self) -> list[BrokerOrder]:
        """Every order version there ever was, oldest first."""
        found = (self.order(name) for name in self.names)
        return [order for order in found if order is not None]

    def group_of(self, client_order_id: str) -> str | None:
        """What joins the legs of its group."""
        group = self._book.by_client[client_order_id].group
        return None if group is None else str(group)

    def _refuses(self, action: Action) -> bool:
        left = self.refusals.get(action, 0)
        self.refusals[action] = max(left - 1, 0)
        return left > 0

    def _note(self, action: Action, what: str, raw: str, refs: Sequence[OrderRef]) -> None:
        ids = tuple(ref.client_order_id for ref in refs)
        if action in {Action.SUBMIT, Action.REPLACE}:
            self.names += [id_ for id_ in ids if id_ not in self.names]
        at: datetime = self.clock.now()
        self.requests.append(WireRequest(len(self.requests) + 1, at, action, what, raw.encode(), ids))
