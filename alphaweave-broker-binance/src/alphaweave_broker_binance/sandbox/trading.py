"""Operations that change orders."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from alphaweave.testing.sandbox import Action
from alphaweave_broker_binance.sandbox.desk import Desk
from alphaweave_broker_binance.sandbox.gate import Operation
from alphaweave_broker_binance.sandbox.orders import Order
from alphaweave_broker_binance.sandbox.pairs import Pair
from alphaweave_broker_binance.sandbox.parameters import CLIENT_ID, Parameters
from alphaweave_broker_binance.sandbox.refusals import Refused, missing
from alphaweave_broker_binance.sandbox.terms import (
    Terms,
    answer_kind,
    new_id,
    prefixed,
    read_side,
    read_stp,
    read_terms,
)

__all__ = ["trading_operations"]

_API = "/api/v3"
_FULL = frozenset({"MARKET", "LIMIT"})
_MODES = ("STOP_ON_FAILURE", "ALLOW_FAILURE")
_RESTRICTIONS = ("ONLY_NEW", "ONLY_PARTIALLY_FILLED")


def trading_operations(desk: Desk) -> list[Operation]:
    """What the desk can be asked for."""
    one = _Trading(desk)
    place, cancel, replace = Action.SUBMIT, Action.CANCEL, Action.REPLACE

    def make(rest: str, ws: str, run: Callable[[Parameters], Any], action: Action, **more: Any) -> Operation:
        method, _, path = rest.partition(" ")
        return Operation(rest=f"{method} {_API}{path}", ws=ws, run=run, action=action, **more)

    return [
        make("POST /order", "order.place", one.place, place, places=True),
        make("POST /order/test", "order.test", one.test, Action.OTHER),
        make("DELETE /order", "order.cancel", one.cancel, cancel),
        make("DELETE /openOrders", "openOrders.cancelAll", one.cancel_all, cancel),
        make("POST /order/cancelReplace", "order.cancelReplace", one.replace, replace, places=True),
        make("PUT /order/amend/keepPriority", "order.amend.keepPriority", one.amend, replace),
        make("POST /orderList/oco", "orderList.place.oco", one.place_oco, place, places=True),
        make("POST /orderList/oto", "orderList.place.oto", one.place_oto, place, places=True),
        make("POST /orderList/otoco", "orderList.place.otoco", one.place_otoco, place, places=True),
        make("DELETE /orderList", "orderList.cancel", one.cancel_list, cancel),
    ]


class _Trading:
    def __init__(self, desk: Desk) -> None:
        self._desk, self._venue = desk, desk.venue

    # Orders --------------------------------------------------------------------------------------------

    def place(self, sent: Parameters) -> dict[str, Any]:
        pair, terms, kind = self._order(sent)
        sent.done()
        return self._desk.submit(terms, pair).answer(kind)

    def test(self, sent: Parameters) -> dict[str, Any]:
        pair, terms, _ = self._order(sent)
        sent.flag("computeCommissionRates", default=False)
        sent.done()
        self._desk.test(terms, pair)
        return {}

    def cancel(self, sent: Parameters) -> dict[str, Any]:
        pair = self._pair(sent)
        names = _named(sent, "orderId", "origClientOrderId")
        cancel_id, restriction = _cancel_id(sent), _restriction(sent)
        sent.done()
        return self._desk.cancel(pair, *names, cancel_id=cancel_id, restriction=restriction)

    def cancel_all(self, sent: Parameters) -> list[dict[str, Any]]:
        pair = self._pair(sent)
        sent.done()
        return self._desk.cancel_all(pair)

    def replace(self, sent: Parameters) -> dict[str, Any]:
        mode = sent.choice("cancelReplaceMode", _MODES, missing("cancelReplaceMode"))
        if mode is None:
            raise missing("cancelReplaceMode")
        order_id, client_id = _named(sent, "cancelOrderId", "cancelOrigClientOrderId")
        cancel_id = sent.text("cancelNewClientOrderId", CLIENT_ID)
        restriction = _restriction(sent)
        modes = ("DO_NOTHING", "CANCEL_ONLY")
        sent.choice("orderRateLimitExceededMode", modes, missing("orderRateLimitExceededMode"))
        pair, terms, kind = self._order(sent)
        sent.done()
        old = self._venue.order(pair, order_id, client_id)

        def cancel() -> dict[str, Any]:
            return self._desk.cancel(pair, order_id, client_id, cancel_id=cancel_id, restriction=restriction)

        return self._desk.replace(
            pair, terms, kind, cancel, mode=mode, order=old if old is not None and old.open else None
        )

    def amend(self, sent: Parameters) -> dict[str, Any]:
        pair = self._pair(sent)
        names = _named(sent, "orderId", "origClientOrderId")
        quantity = sent.decimal("newQty")
        if quantity is None:
            raise missing("newQty")
        client_id = sent.text("newClientOrderId", CLIENT_ID)
        sent.done()
        order: Order = self._desk.open_order(pair, *names)
        return self._desk.amend(order, quantity, client_id or order.client_id)

    def _order(self, sent: Parameters) -> tuple[Pair, Terms, str]:
        pair = self._pair(sent)
        terms = read_terms(sent, self._venue.rng, side=read_side(sent))
        return pair, terms, answer_kind(sent, "FULL" if terms.type in _FULL else "ACK")

    def _pair(self, sent: Parameters) -> Pair:
        return self._venue.pair(sent.symbol())

    # Lists ---------------------------------------------------------------------------------------------

    def place_oco(self, sent: Parameters) -> dict[str, Any]:
        pair, rng = self._pair(sent), self._venue.rng
        side, quantity, stp = read_side(sent), sent.decimal("quantity"), read_stp(sent)
        if quantity is None:
            raise missing("quantity")
        above, below = (
            read_terms(sent, rng, side=side, names=prefixed(each), quantity=quantity, stp=stp)
            for each in ("above", "below")
        )
        list_id, kind = self._list_id(sent), answer_kind(sent, "RESULT")
        sent.done()
        return self._desk.place_oco(above, below, pair, list_id, kind)

    def place_oto(self, sent: Parameters) -> dict[str, Any]:
        return self._place_pending(sent, ("pending",))

    def place_otoco(self, sent: Parameters) -> dict[str, Any]:
        return self._place_pending(sent, ("pendingAbove", "pendingBelow"))

    def _place_pending(self, sent: Parameters, prefixes: tuple[str, ...]) -> dict[str, Any]:
        pair, rng, stp = self._pair(sent), self._venue.rng, read_stp(sent)
        side = read_side(sent, "workingSide")
        working = read_terms(sent, rng, side=side, names=prefixed("working"), stp=stp)
        side, quantity = read_side(sent, "pendingSide"), sent.decimal("pendingQuantity")
        if quantity is None:
            raise missing("pendingQuantity")
        pending = [
            read_terms(sent, rng, side=side, names=prefixed(each), quantity=quantity, stp=stp)
            for each in prefixes
        ]
        list_id, kind = self._list_id(sent), answer_kind(sent, "RESULT")
        sent.done()
        return self._desk.place_oto(working, pending, pair, list_id, kind)

    def cancel_list(self, sent: Parameters) -> dict[str, Any]:
        pair = self._pair(sent)
        number, client_id = _named(sent, "orderListId", "listClientOrderId")
        cancel_id = _cancel_id(sent)
        sent.done()
        found = self._venue.lists.get(number or 0)
        if number is None and client_id is not None:
            found = self._venue.list_under(client_id)
        if found is None or found.pair is not pair:
            raise Refused(-2011, "Unknown order list sent.")
        return self._desk.cancel_list(found, cancel_id)

    def _list_id(self, sent: Parameters) -> str:
        return sent.text("listClientOrderId", CLIENT_ID) or new_id(self._venue.rng)


def _named(sent: Parameters, number: str, text: str) -> tuple[int | None, str | None]:
    """The ids that name an order; at least one of them."""
    found = sent.long(number), sent.text(text, CLIENT_ID)
    if found == (None, None):
        raise Refused(-1102, f"Param '{text}' or '{number}' must be sent, but both were empty/null!")
    return found


def _cancel_id(sent: Parameters) -> str | None:
    return sent.text("newClientOrderId", CLIENT_ID)


def _restriction(sent: Parameters) -> str | None:
    refusal = Refused(-1130, "Data sent for parameter 'cancelRestrictions' is not valid.")
    return sent.choice("cancelRestrictions", _RESTRICTIONS, refusal)
