"""What the gateway says about orders and executions, field by field."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal

from alphaweave.core.money import ZERO
from alphaweave_broker_ibkr.sandbox.hours import NEW_YORK
from alphaweave_broker_ibkr.sandbox.layouts import COMPLETED, OPEN
from alphaweave_broker_ibkr.sandbox.orders import Execution, Order
from alphaweave_broker_ibkr.sandbox.wire import UNSET, Field, encode, number_of

__all__ = [
    "commission_report",
    "completed_order",
    "error",
    "exec_details",
    "open_order",
    "order_status",
    "stamp",
]

_OPEN, _COMPLETED = OPEN.split(), COMPLETED.split()
_NO_INT = "2147483647"
# What stands in a field that neither the client nor the gateway has filled.
_PLAIN: Mapping[str, Field] = {
    "origin": 0,
    "outsideRth": 0,
    "hidden": 0,
    "discretionaryAmt": 0,
    "shortSaleSlot": 0,
    "exemptCode": -1,
    "auctionStrategy": 0,
    "displaySize": _NO_INT,
    "blockOrder": 0,
    "sweepToFill": 0,
    "allOrNone": 0,
    "eTradeOnly": 0,
    "firmQuoteOnly": 0,
    "triggerMethod": 0,
    "volatilityType": 0,
    "deltaNeutralOrderType": "None",
    "dnConId": 0,
    "dnOpenClose": "?",
    "dnShortSale": 0,
    "dnShortSaleSlot": 0,
    "continuousUpdate": 0,
    "referencePriceType": 0,
    "comboLegs": 0,
    "orderComboLegs": 0,
    "smartParams": 0,
    "scaleInit": _NO_INT,
    "scaleSubs": _NO_INT,
    "optOutSmartRouting": 0,
    "clearingIntent": "IB",
    "notHeld": 0,
    "dncPresent": 0,
    "solicited": 0,
    "whatIf": 0,
    "commission": UNSET,
    "minCommission": UNSET,
    "maxCommission": UNSET,
    "randomizeSize": 0,
    "randomizePrice": 0,
    "conditions": 0,
    "adjustedOrderType": "None",
    "triggerPrice": UNSET,
    "lmtPriceOffset": UNSET,
    "adjustedStopPrice": UNSET,
    "adjustedStopLimitPrice": UNSET,
    "adjustedTrailingAmount": UNSET,
    "adjustableTrailingUnit": 0,
    "cashQty": 0,
    "dontUseAutoPriceForHedge": 1,
    "isOmsContainer": 0,
    "discretionaryUpToLimitPrice": 0,
    "usePriceMgmtAlgo": 0,
    "autoCancelParent": 0,
    "refFuturesConId": 0,
    "imbalanceOnly": 0,
    "routeMarketableToBbo": 0,
    "parentPermId": 0,
    **dict.fromkeys(
        (
            f"{name}{when}"
            for name in ("initMargin", "maintMargin", "equityWithLoan")
            for when in ("Before", "Change", "After")
        ),
        UNSET,
    ),
}
# What the client said and the gateway repeats as it was.
_ECHOED = (
    "action",
    "ocaGroup",
    "orderRef",
    "outsideRth",
    "hidden",
    "goodAfterTime",
    "goodTillDate",
    "modelCode",
    "origin",
    "openClose",
    "triggerMethod",
    "sweepToFill",
    "blockOrder",
    "allOrNone",
    "rule80A",
)
_NUMBERS = ("minQty", "trailingPercent", "percentOffset", "cashQty", "discretionaryAmt", "duration")


def error(number: int, code: int, text: str) -> bytes:
    """Something to say about a request or an order, or (-1) about the gateway."""
    return encode((4, 2, number, code, text, ""))


def order_status(order: Order) -> bytes:
    return encode(
        (
            3,
            order.order_id,
            order.status,
            order.filled,
            order.remaining,
            order.average,
            order.perm_id,
            order.parent.order_id if order.parent is not None else 0,
            order.last_price,
            order.client_id,
            order.why_held if order.open else "",
            0,
        )
    )


def open_order(
    order: Order,
    *,
    commission: bool = False,
    status: str | None = None,
    what_if: Mapping[str, Field] | None = None,
) -> bytes:
    """
    Args:
        commission: with what the order has cost so far.
        what_if: margins and commission, for an order that was only asked about.
    """
    values = _values(order)
    values["status"] = order.status
    if commission and order.commission is not None:
        values["commission"], values["commissionCurrency"] = order.commission, "USD"
    if what_if is not None:
        values |= {"whatIf": 1, **what_if}
    head: tuple[Field, ...] = (5, order.order_id, *order.contract.short_fields(order.exchange))
    return encode((*head, *(values.get(name) for name in _OPEN)))


def completed_order(order: Order) -> bytes:
    values = _values(order)
    ended = order.ended_at or order.at
    values |= {
        "status": order.status,
        "totalQuantity": ZERO if order.status == "Filled" else order.quantity,
        "filledQuantity": order.filled,
        "completedTime": stamp(ended),
        "completedStatus": order.end_text,
        "parentPermId": order.parent.perm_id if order.parent is not None else 0,
        "autoCancelDate": "",
        "shareholder": "Not an insider or substantial shareholder",
    }
    return encode(
        (101, *order.contract.short_fields(order.exchange), *(values.get(name) for name in _COMPLETED))
    )


def exec_details(execution: Execution, number: int = -1, *, bare: bool = False) -> bytes:
    """
    Args:
        number: of the request that asked for it; -1 as it happens.
        bare: without the time zone, as older gateways write times.
    """
    order = execution.order
    return encode(
        (
            11,
            number,
            order.order_id,
            *order.contract.short_fields(order.contract.primary),
            execution.id,
            stamp(execution.at, bare=bare),
            order.account,
            order.contract.primary,
            "BOT" if order.form.buy else "SLD",
            execution.size,
            execution.price,
            order.perm_id,
            order.client_id,
            0,
            execution.cumulative,
            execution.average,
            execution.ref,
            "",
            UNSET,
            order.form.raw["modelCode"],
            2,
            0,
        )
    )


def commission_report(execution: Execution) -> bytes:
    order = execution.order
    currency = "USD" if order.contract.sec_type == "CASH" else order.contract.currency
    realized: Field = UNSET if execution.realized is None else execution.realized
    return encode((59, 1, execution.id, execution.commission, currency, realized, UNSET, ""))


def stamp(moment: datetime, *, bare: bool = False) -> str:
    """An instant as executions bear it."""
    if bare:
        return f"{moment.astimezone(NEW_YORK):%Y%m%d  %H:%M:%S}"
    return f"{moment.astimezone(NEW_YORK):%Y%m%d %H:%M:%S} US/Eastern"


def _values(order: Order) -> dict[str, Field]:
    form = order.form
    values: dict[str, Field] = dict(_PLAIN)
    for name in _ECHOED:
        if form.raw[name]:
            values[name] = form.raw[name]
    for name in _NUMBERS:
        number = number_of(form.raw[name])
        if number is not None:
            values[name] = number
    values |= {
        "totalQuantity": order.quantity,
        "orderType": form.kind,
        "lmtPrice": form.limit or Decimal("0.0"),
        "auxPrice": form.aux or Decimal("0.0"),
        "tif": form.tif,
        "account": order.account,
        "clientId": order.client_id,
        "permId": order.perm_id,
        "sharesAllocation": f"{order.perm_id}.0/{order.account}/100",
        "ocaType": form.oca_type,
        "parentId": order.parent.order_id if order.parent is not None else 0,
        "trailStopPrice": form.number("trailStopPrice"),
        "adjustedTrailStopPrice": form.number("trailStopPrice"),
        "algoStrategy": form.raw["algoStrategy"],
    }
    return values
