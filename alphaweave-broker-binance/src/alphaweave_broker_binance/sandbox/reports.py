"""The events of the user data stream."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from alphaweave.core.money import ZERO
from alphaweave_broker_binance.sandbox.account import Account
from alphaweave_broker_binance.sandbox.figures import amount
from alphaweave_broker_binance.sandbox.orders import Execution, Order, OrderList

__all__ = ["Event", "account_position", "balance_update", "execution_report", "list_status"]

Event = dict[str, Any]


def execution_report(
    order: Order,
    kind: str,
    *,
    now: int,
    number: int,
    execution: Execution | None = None,
    cancel_id: str | None = None,
    reject: str = "NONE",
) -> Event:
    """
    Args:
        kind: ``NEW``, ``TRADE``, ``CANCELED``, ...
        now: milliseconds.
        number: of this report.
        cancel_id: the client id of the cancel, which takes the place of the order's own.
    """
    report: Event = {
        "e": "executionReport",
        "E": now,
        "s": order.pair.name,
        "c": order.client_id if cancel_id is None else cancel_id,
        "S": order.side,
        "o": order.type,
        "f": order.tif,
        "q": amount(order.quantity),
        "p": amount(order.price),
        "P": amount(order.stop_price),
        "F": amount(ZERO),
        "g": order.list_id,
        "C": "" if cancel_id is None else order.client_id,
        "x": kind,
        "X": order.status,
        "r": reject,
        "i": order.id,
        "l": amount(execution.size if execution else ZERO),
        "z": amount(order.executed),
        "L": amount(execution.price if execution else ZERO),
        "n": amount(execution.fee.amount) if execution else "0",
        "N": execution.fee.asset if execution else None,
        "T": order.updated,
        "t": execution.id if execution else -1,
        "I": number,
        "w": order.open and not order.dormant,
        "m": execution.maker if execution else False,
        "M": bool(execution),
        "O": order.created,
        "Z": amount(order.spent),
        "Y": amount(execution.value if execution else ZERO),
        "Q": amount(order.quote_quantity),
        "V": order.stp,
    }
    if order.working_since >= 0:
        report["W"] = order.working_since
    if order.trailing:
        report["d"] = order.trailing
        if order.trailing_since >= 0:
            report["D"] = order.trailing_since
    if order.strategy_id is not None:
        report["j"] = order.strategy_id
    if order.strategy_type is not None:
        report["J"] = order.strategy_type
    if order.reason is not None:
        report["eR"] = order.reason
    return report


def account_position(account: Account, assets: Iterable[str], now: int) -> Event:
    """What there is of each asset that changed."""
    rows = []
    for asset in dict.fromkeys(assets):
        balance = account.of(asset)
        rows.append({"a": asset, "f": amount(balance.free), "l": amount(balance.locked)})
    return {"e": "outboundAccountPosition", "E": now, "u": account.updated, "B": rows}


def balance_update(asset: str, change: Decimal, now: int) -> Event:
    """A deposit or a withdrawal; signed."""
    return {"e": "balanceUpdate", "E": now, "a": asset, "d": amount(change), "T": now}


def list_status(orders: OrderList, kind: str, now: int) -> Event:
    return {
        "e": "listStatus",
        "E": now,
        "s": orders.pair.name,
        "g": orders.id,
        "c": orders.contingency,
        "l": kind,
        "L": orders.status,
        "r": "NONE",
        "C": orders.client_id,
        "T": orders.updated,
        "O": [{"s": order.pair.name, "i": order.id, "c": order.client_id} for order in orders.orders],
    }
