"""One order looked for in all that the gateway answers: there is no question for a single one.

Open orders, completed orders and executions are asked for, and joined. Executions, and most likely completed
orders, begin at midnight by the gateway's clock: what lies before is told as not known, never as not there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, time, timedelta, timezone, tzinfo
from typing import Final

from attrs import evolve, frozen
from ib_async import Contract, Order, OrderState

from alphaweave.core.errors import BrokerUnavailable
from alphaweave.core.money import ZERO
from alphaweave.core.order import OrderRef, OrderStatus, Side
from alphaweave.live.broker import BrokerFill, BrokerOrder, FillQuery, FillReport
from alphaweave_broker_ibkr.figures import exact
from alphaweave_broker_ibkr.names import Symbols, is_ours
from alphaweave_broker_ibkr.order_wire import OrderWire
from alphaweave_broker_ibkr.orders import request_of
from alphaweave_broker_ibkr.tracked import OrderKey, Tracked

__all__ = ["Answers", "completed_order", "fill_report", "memory_begins", "open_orders"]

# The gateway tells its time in whole seconds, and may be past its midnight by then.
_AHEAD: Final = timedelta(seconds=2)
# Either clock may have been set since an order was decided, by more than a run bears with: it looks now and
# then only. Nobody sends an order twice for that.
_SET: Final = timedelta(minutes=15)
_ZONES: Final = timedelta(minutes=15)
_DAY: Final = timedelta(days=1)


def memory_begins(now: datetime, zone: tzinfo, greeting: tuple[datetime, datetime] | None) -> datetime:
    """The instant before which the gateway remembers nothing: its last midnight, or the one about to come.
    Where its zone and the clock on its wall disagree, it is the later one of theirs.

    Args:
        now: UTC, by the gateway's clock, asked for after what it remembers.
        zone: the time zone that the gateway is said to be set to.
        greeting: as `Gateway` has it.
    """
    zones = [zone]
    if greeting is not None:
        shown, at = greeting
        offset = _ZONES * round((shown - at) / _ZONES)
        zones += [timezone(offset)] if abs(offset) < _DAY else []
    days = [(now + _AHEAD).astimezone(each).date() for each in zones]
    midnights = [datetime.combine(day, time(), each) for day, each in zip(days, zones, strict=True)]
    return min(max(midnights).astimezone(UTC), now)


def open_orders(listed: Mapping[OrderKey, Tracked], as_of: datetime) -> tuple[BrokerOrder, ...]:
    """Those that work, of all that were listed as open."""
    orders = (one.as_found(as_of) for one in listed.values() if not one.status.terminal)
    return tuple(order for order in orders if order is not None)


def completed_order(
    contract: Contract, order: Order, state: OrderState, symbols: Symbols, as_of: datetime
) -> BrokerOrder:
    """An order that is over. It has no number: it is known by its permId and the name that it bears."""
    filled, total = exact(order.filledQuantity) or ZERO, exact(order.totalQuantity) or ZERO
    # What was filled has no size left there.
    size = max(total, filled)
    symbol = symbols.symbol(contract)
    text = state.completedStatus
    if state.status == "Filled" or ZERO < total <= filled:
        status = OrderStatus.FILLED
    elif filled == ZERO and (state.status == "Inactive" or "reject" in text.lower()):
        status = OrderStatus.REJECTED
    else:
        status = OrderStatus.CANCELLED
    return BrokerOrder(
        ref=OrderRef(order.orderRef, symbol, str(order.permId) if order.permId else None),
        client_order_id=order.orderRef or None,
        status=status,
        side=Side[order.action],
        quantity=size if size > ZERO else None,
        filled=filled,
        as_of=as_of,
        request=request_of(order, symbol),
        text=text,
        foreign=not (symbols.is_named(contract) and is_ours(order.orderRef)),
    )


@frozen(kw_only=True)
class Answers:
    """What the three questions were answered with, all to their ends.

    Attributes:
        listed: what was listed as open.
        completed: what was listed as completed.
        fills: the executions.
        begins: as `memory_begins`, by this machine's clock.
        as_of: when the first of them was asked.
    """

    listed: Mapping[OrderKey, Tracked]
    completed: Sequence[BrokerOrder]
    fills: Sequence[BrokerFill]
    begins: datetime
    as_of: datetime

    def find(self, ref: OrderRef, known: Tracked | None) -> BrokerOrder | None:
        """One order version; None where the gateway would have it, and has not.

        Args:
            known: what was told of it in this session, if anything.

        Raises:
            BrokerUnavailable: it is older than the gateway's memory.
            ValueError: ``ref.wire`` is not of this broker.
        """
        wire = OrderWire.read(ref.wire)
        one = self.listed.get((wire.client, wire.order))
        if one is None and known is not None and known.ended is not None:
            one = known
        found = None if one is None else one.as_found(self.as_of)
        if one is not None and found is not None:
            return self._version(ref, wire, one, found)
        broker_ids = {ref.broker_order_id, None if known is None else known.ref.broker_order_id} - {None}
        for order in self.completed:
            if order.client_order_id == ref.client_order_id:
                return self._counted(order)
        for order in self.completed:
            if order.ref.broker_order_id in broker_ids:
                return _replaced(ref, self._counted(order))
        done = [
            fill
            for fill in self.fills
            if fill.client_order_id == ref.client_order_id or fill.broker_order_id in broker_ids
        ]
        if done:
            return self._executed(ref, wire, done)
        if ref.decided_at is None or ref.decided_at < self.begins + _SET:
            raise BrokerUnavailable(
                f"{ref.symbol}: order {ref.client_order_id} is not there, and what was there before "
                f"{self.begins.isoformat()} the gateway has forgotten",
                code="beyond_history",
            )
        return None

    def _version(
        self, ref: OrderRef, wire: OrderWire, one: Tracked, found: BrokerOrder
    ) -> BrokerOrder | None:
        """All versions of an order have one number. Which works is told by the name that it bears, or by its
        terms where it keeps its first name."""
        if one.name == ref.client_order_id:
            return found
        if ref.client_order_id not in one.successors and one.name in {wire.replaces, wire.first}:
            if not one.is_changed_to(wire.terms):
                return None
            names = evolve(found.ref, client_order_id=ref.client_order_id)
            return evolve(found, ref=names, client_order_id=ref.client_order_id)
        successor = one.successors.get(ref.client_order_id, one.name)
        return evolve(_replaced(ref, found), replaced_by=successor)

    def _counted(self, order: BrokerOrder) -> BrokerOrder:
        """With what its executions say where it says less."""
        done = [fill for fill in self.fills if fill.broker_order_id == order.ref.broker_order_id]
        total = sum((fill.size for fill in done), ZERO)
        return evolve(order, filled=max(order.filled, total))

    def _executed(self, ref: OrderRef, wire: OrderWire, done: list[BrokerFill]) -> BrokerOrder:
        total = sum((fill.size for fill in done), ZERO)
        whole = wire.terms.quantity is not None and total >= wire.terms.quantity
        return BrokerOrder(
            ref=evolve(ref, broker_order_id=done[0].broker_order_id),
            client_order_id=ref.client_order_id,
            # It was there, and how it ended nobody says.
            status=OrderStatus.FILLED if whole else OrderStatus.UNKNOWN,
            side=wire.terms.side,
            quantity=wire.terms.quantity,
            filled=total,
            as_of=self.as_of,
            request=wire.terms,
        )


def _replaced(ref: OrderRef, found: BrokerOrder) -> BrokerOrder:
    """The version before of an order that was found under another name."""
    return evolve(
        found,
        ref=evolve(found.ref, client_order_id=ref.client_order_id),
        client_order_id=ref.client_order_id,
        status=OrderStatus.CANCELLED,
        replaced_by=found.client_order_id,
    )


def fill_report(
    query: FillQuery, fills: Iterable[BrokerFill], begins: datetime, symbols: Iterable[str]
) -> FillReport:
    """Executions as they were listed, complete from the gateway's midnight on: a gap before it is told.

    Args:
        symbols: those of the config that the answer is of; none where only this client's were listed.
    """
    wanted = [symbol for symbol in symbols if query.symbols is None or symbol in query.symbols]
    return FillReport(tuple(fills), dict.fromkeys(wanted, max(query.since, begins)))
