"""The life of orders at the venue: acceptance, end, what the end of one does to others, and its events."""

from __future__ import annotations

from collections import deque
from datetime import UTC, datetime

from alphaweave.core.clock import from_ns
from alphaweave.core.drafts import drafted
from alphaweave.core.money import CONTEXT
from alphaweave.core.order import OrderStatus, OrderType
from alphaweave.live.reports import BrokerFill, OrderUpdate
from alphaweave.sim.orders import SimGroup, SimOrder
from alphaweave.sim.waiting import Waiting

__all__ = ["OrderBook"]

_INSTANTS = 64
_Update = drafted(OrderUpdate)
# An enum member looked up in its class costs several times what a module's own name costs.
_FILLED, _MARKET = OrderStatus.FILLED, OrderType.MARKET


class OrderBook:
    """Every order of the venue, and the events it has to tell.

    Attributes:
        working: the orders that are not ended, by place, in the order of matching.
        waiting: the same without held exits, by what wakes them.
        by_client: every order version still known, by client order id.
        groups: brackets and OCOs that still have a working leg, by id.
        events: what happened and was not taken yet.
        fills: nanoseconds and execution, oldest first.
        complete_from: no fill booked at or after this instant (ns) is missing from ``fills``.
        now: the instant of the call being served, nanoseconds.
        instants: what `at` gave lately.
        issued: how many order versions were given an id of the venue's.
        submissions: how many orders arrived, refused ones too.
    """

    def __init__(self, history: int | None, waiting: Waiting) -> None:
        self._history = history
        self.waiting = waiting
        self.ended: deque[str] = deque()
        self.working: dict[int, SimOrder] = {}
        self.by_client: dict[str, SimOrder] = {}
        self.groups: dict[int, SimGroup] = {}
        self.events: list[BrokerFill | OrderUpdate] = []
        self.fills: deque[tuple[int, BrokerFill]] = deque()
        self.complete_from = 0
        self.now = 0
        self.instants: dict[int, datetime] = {}
        self.issued = 0
        self.submissions = 0

    def tick(self, now: int) -> int:
        """Move ``now`` forward; it never goes back."""
        self.now = max(self.now, now)
        return self.now

    def at(self, ns: int) -> datetime:
        """An instant as a datetime; orders and fills share few of them."""
        known = self.instants.get(ns)
        if known is None:
            if len(self.instants) >= _INSTANTS:
                self.instants.clear()
            known = self.instants[ns] = from_ns(ns)
        return known

    def reuse(self, moment: datetime, ns: int) -> None:
        """Keep a datetime as that of ``ns`` if it is, which costs less to tell than to make another."""
        # Both sides are the same whole number of microseconds, divided and rounded alike.
        if ns not in self.instants and moment.tzinfo is UTC and moment.timestamp() == ns // 1000 / 1_000_000:
            if len(self.instants) >= _INSTANTS:
                self.instants.clear()
            self.instants[ns] = moment

    def accept(self, order: SimOrder, *, told: bool = False) -> None:
        """Take an order in; ``told``: there is no event to make of it."""
        self.working[order.seq] = order
        self.by_client[order.ref.client_order_id] = order
        if order.held:
            self._tell(order, "held")
            return
        request = order.request
        if request.type is _MARKET:
            self.waiting.awake[order.seq] = order
        else:
            self.waiting.add(order)
        if told:
            return
        at = self.instants.get(self.now) or self.at(self.now)
        self.events.append(
            _Update(order.ref, order.status, at, order.filled, order.average_price, None, "", at)
        )

    def reject(self, order: SimOrder, reason: str, text: str) -> None:
        """Refuse an order that was never taken in."""
        self.by_client[order.ref.client_order_id] = order
        order.status, order.text = OrderStatus.REJECTED, text
        self._tell(order, reason)
        self._forget(order)

    def replace(self, old: SimOrder, new: SimOrder) -> None:
        """Put a new version in the place of the old one."""
        old.status = OrderStatus.CANCELLED
        old.replaced_by = new.ref.client_order_id
        self._tell(old, "replaced", old.replaced_by)
        self._forget(old)
        self.waiting.remove(old)
        self.accept(new)

    def executed(
        self, order: SimOrder, fill: BrokerFill, exits_from: tuple[int, int] | None, complete: bool
    ) -> None:
        """Tell an execution already counted in ``order``, and let the rest of its group feel it.

        ``exits_from``: for an entry, from when on its stop and its target can match if this ends it.
        """
        self.events.append(fill)
        self.fills.append((self.now, fill))
        if self._history is not None and len(self.fills) > self._history:
            self.complete_from = self.fills.popleft()[0] + 1
        if complete:
            if order.group:
                self.end(order, _FILLED, None, exits_from)
                return
            # As `end` does it, in one piece: this is how most orders end.
            order.status = _FILLED
            order.reason = None
            del self.working[order.seq]
            # The account has forgotten the sums of departures at this fill.
            if self.waiting.awake.pop(order.seq, None) is None:
                self.waiting.remove(order)
            at = fill.received_at
            self.events.append(
                _Update(order.ref, _FILLED, at, order.filled, order.average_price, None, "", at)
            )
            if self._history is not None:
                self._forget(order)
            return
        order.status = OrderStatus.PARTIALLY_FILLED
        self._tell(order, None)
        if order.group:
            group = self.groups[order.group]
            sibling = self.working.get(group.sibling(order.seq))
            if order.seq != group.entry and sibling is not None and sibling.quantity is not None:
                left = min(sibling.remaining, order.remaining)
                sibling.quantity = CONTEXT.add(sibling.filled, left)

    def end(
        self,
        order: SimOrder,
        status: OrderStatus,
        reason: str | None,
        exits_from: tuple[int, int] | None = None,
        text: str = "",
    ) -> None:
        """End a working order; the rest of its group follows."""
        order.status, order.text = status, text
        del self.working[order.seq]
        self.waiting.remove(order)
        self._tell(order, reason)
        self._forget(order)
        if not order.group:
            return
        group = self.groups[order.group]
        if order.seq != group.entry:
            sibling = self.working.get(group.sibling(order.seq))
            if sibling is not None:
                self.end(sibling, OrderStatus.CANCELLED, reason if reason == "entry_ended" else "oco")
            elif group.entry is None or group.entry not in self.working:
                del self.groups[order.group]
            return
        stop = self.working.get(group.stop_loss)
        target = self.working.get(group.take_profit)
        if stop is None or target is None:
            del self.groups[order.group]
        elif order.filled == 0:
            self.end(target, OrderStatus.CANCELLED, "entry_ended")
        else:
            stop_from, target_from = exits_from or (self.now, self.now)
            self._release(stop, order, stop_from)
            self._release(target, order, target_from)

    def restored(self) -> None:
        """Find again what is kept beside the orders themselves."""
        self.waiting.clear()
        for order in self.working.values():
            if not order.held:
                self.waiting.add(order)

    def _release(self, leg: SimOrder, entry: SimOrder, eligible_from: int) -> None:
        """Let a held exit work, for no more than its entry bought."""
        assert leg.quantity is not None
        leg.held = False
        leg.reason = None
        leg.eligible_from = eligible_from
        leg.quantity = min(leg.quantity, entry.filled)
        self.waiting.release(leg)

    def _tell(self, order: SimOrder, reason: str | None, replaced_by: str | None = None) -> None:
        order.reason = reason
        at = self.at(self.now)
        self.events.append(
            _Update(
                order.ref,
                order.status,
                at,
                order.filled,
                order.average_price,
                reason,
                order.text,
                at,
                replaced_by,
            )
        )

    def _forget(self, order: SimOrder) -> None:
        if self._history is not None:
            self.ended.append(order.ref.client_order_id)
            if len(self.ended) > self._history:
                del self.by_client[self.ended.popleft()]
