"""What could still be traded for a run: what the broker has, what is on its way, what left the core."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from alphaweave.core.money import ZERO
from alphaweave.core.order import OrderRequest, Side
from alphaweave.live.actions import SendCancel, SendGroup, SendReplace, SendSubmit
from alphaweave.live.sending_line import OrderSend, Send
from simulation.broker import ScriptedBroker
from simulation.exits import Exits
from simulation.invariants import LocalBooks, Need, Sent

if TYPE_CHECKING:
    from simulation.process import Process

__all__ = ["need", "ordered", "terms"]


def need(broker: ScriptedBroker, exits: Exits, process: Process, local: LocalBooks, *, counts: bool) -> Need:
    """What the broker could still trade for this run, by what is so and not by what the run knows.

    Args:
        counts: whether the broker says of an ended order how much of it was filled.
    """
    buy: dict[str, Decimal] = {}
    sell: dict[str, Decimal] = {}

    def add(symbol: str, side: Side, units: Decimal) -> None:
        book = buy if side is Side.BUY else sell
        book[symbol] = book.get(symbol, ZERO) + units

    def counted(name: str) -> bool:
        # An end that does not say how much was filled leaves nothing to count on.
        known = process.live.order(name)
        return counts or known is None or not known.status.terminal

    truth = broker.truth
    working: dict[str, Decimal] = {}
    for order in broker.open_orders():
        name = order.client_order_id or ""
        if name not in exits.names and order.quantity is not None:
            working[name] = order.quantity
            add(order.ref.symbol, order.side, order.quantity - order.filled)
    booked = {truth.aliases.get(key, key) for key in local.executions}
    for key, fill in truth.executions.items():
        placed = fill.client_order_id
        mine = placed is not None and placed not in exits.names and counted(placed)
        if mine and key not in booked:
            add(fill.symbol, fill.side, fill.size)
    waiting: dict[str, Send] = dict(process.queue)
    for action in {**broker.on_the_way, **waiting}.values():
        if isinstance(action, SendCancel):
            continue
        request, symbol, _ = terms(action)
        if request is not None and request.quantity is not None:
            add(symbol, request.side, request.quantity)
        elif isinstance(action, SendReplace) and action.ref.client_order_id in working:
            more = (action.change.quantity or ZERO) - working[action.ref.client_order_id]
            changed = process.live.order(action.intent)
            if changed is not None and more > 0 and action.ref.client_order_id not in exits.names:
                add(symbol, changed.side, more)
    orders = {order.client_order_id or "": order for order in broker.open_orders()}
    sending = {*broker.on_the_way, *waiting}
    for symbol, side, units in exits.needs(orders, truth.executions, booked, sending, counted):
        add(symbol, side, units)
    return Need(buy, sell)


def ordered(
    action: OrderSend,
    process: Process,
    local: LocalBooks,
    needed: Need,
    *,
    journaled: bool,
    halted: frozenset[str],
    doubted: frozenset[str],
    ended: bool,
    apart: bool,
    times: int,
) -> Sent:
    """An order or a change of one that leaves the core, and what it could come to.

    Args:
        halted, doubted: symbols that are halted, and that have an order whose outcome nobody knows.
        times: how often it left the core.
    """
    request, symbol, change = terms(action)
    held = local.positions.get(symbol, ZERO)
    order = process.live.order(action.intent)
    side = request.side if request is not None else (Side.BUY if order is None else order.side)
    if side is Side.BUY:
        worst, reduces = held + needed.buy.get(symbol, ZERO), held + needed.buy.get(symbol, ZERO) <= 0
    else:
        worst, reduces = needed.sell.get(symbol, ZERO) - held, needed.sell.get(symbol, ZERO) <= held
    value = None
    if request is not None and request.quantity is not None:
        price = request.limit_price or request.stop_price
        price = price or Decimal(repr(process.live.last(symbol)))
        value = price * request.quantity
    return Sent(
        name=action.intent,
        symbol=symbol,
        worst=worst,
        reduces=reduces or change,
        value=value,
        journaled=journaled,
        halted=symbol in halted,
        doubted=symbol in doubted,
        ended=ended,
        apart=apart,
        times=times,
        exit=isinstance(action, SendSubmit) and action.exit,
    )


def terms(action: Send) -> tuple[OrderRequest | None, str, bool]:
    """An entry's or order's request, the symbol, and whether it changes an order that exists."""
    if isinstance(action, SendGroup):
        entry = action.group.entry
        return entry, action.refs[0].symbol, False
    if isinstance(action, SendSubmit):
        return action.request, action.ref.symbol, False
    return None, action.ref.symbol, isinstance(action, SendReplace)
