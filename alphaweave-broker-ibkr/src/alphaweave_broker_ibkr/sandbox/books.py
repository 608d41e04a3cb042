"""The venue's books in AlphaWeave's words."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from alphaweave.core.money import Money
from alphaweave.core.order import OrderStatus
from alphaweave.testing.venue import Truth, TruthExecution, TruthOrder
from alphaweave_broker_ibkr.sandbox.account import BASE
from alphaweave_broker_ibkr.sandbox.contracts import Contract
from alphaweave_broker_ibkr.sandbox.orders import Execution, Order, Version
from alphaweave_broker_ibkr.sandbox.venue import Venue

__all__ = ["truth_of"]


def truth_of(venue: Venue, names: Mapping[int, str]) -> Truth:
    """The books as they are now.

    Args:
        names: contract number -> config symbol.
    """
    orders: list[TruthOrder] = []
    for order in venue.orders:
        symbol = _name(order.contract, names)
        orders += [_version(order, one, symbol) for one in order.versions if one.form.ref != order.form.ref]
        orders.append(_order(order, symbol))
    return Truth(
        orders=tuple(orders),
        executions=tuple(_execution(one, names) for one in venue.executions),
        balances=dict(venue.account.cash),
        positions={_name(held.contract, names): held.size for held in venue.account.held()},
    )


def _name(contract: Contract, names: Mapping[int, str]) -> str:
    return names.get(contract.con_id, contract.local_symbol)


def _order(order: Order, symbol: str) -> TruthOrder:
    quantity: Decimal | None = order.quantity
    if order.form.cash is not None:
        quantity = order.filled if order.status == "Filled" else None
    return TruthOrder(
        venue_order_id=str(order.perm_id),
        client_order_id=order.form.ref or None,
        symbol=symbol,
        side=order.side,
        status=order.told(),
        quantity=quantity,
        filled=order.filled,
        request=None if order.foreign else order.request(symbol),
        foreign=order.foreign,
        group=_group(order),
    )


def _version(order: Order, version: Version, symbol: str) -> TruthOrder:
    return TruthOrder(
        venue_order_id=str(order.perm_id),
        client_order_id=version.form.ref or None,
        symbol=symbol,
        side=order.side,
        status=OrderStatus.CANCELLED,
        quantity=version.form.quantity,
        filled=version.filled,
        request=order.request(symbol, version.form),
        group=_group(order),
    )


def _group(order: Order) -> str | None:
    root = order.parent or order
    if root.children:
        return f"order {root.perm_id}"
    return order.form.raw["ocaGroup"] or None


def _execution(one: Execution, names: Mapping[int, str]) -> TruthExecution:
    contract = one.order.contract
    currency = BASE if contract.sec_type == "CASH" else contract.currency
    return TruthExecution(
        id=one.key,
        venue_order_id=str(one.order.perm_id),
        client_order_id=one.ref or None,
        symbol=_name(contract, names),
        side=one.order.side,
        size=one.size,
        price=one.price,
        at=one.at,
        fees=(Money(currency, one.commission),),
    )
