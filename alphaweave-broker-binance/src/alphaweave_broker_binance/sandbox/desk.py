"""What the account can ask for: orders and lists, their ends, and their replacement."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

from alphaweave.core.money import ZERO
from alphaweave_broker_binance.sandbox.admission import admit, cost
from alphaweave_broker_binance.sandbox.filters import check_counts, check_filters, check_position
from alphaweave_broker_binance.sandbox.orders import Order, OrderList
from alphaweave_broker_binance.sandbox.pairs import Pair
from alphaweave_broker_binance.sandbox.refusals import Refused, engine, filtered
from alphaweave_broker_binance.sandbox.terms import Terms, new_id
from alphaweave_broker_binance.sandbox.venue import Venue

__all__ = ["Desk"]

_UNKNOWN = "Unknown order sent."
_RELATION = "The relationship of the prices for the orders is not correct."
# Of the two exits: which types may be above the market, and which below, by the side of the exits.
_ABOVE = {"SELL": ("LIMIT_MAKER", "TAKE_PROFIT"), "BUY": ("STOP_LOSS",)}
_BELOW = {"SELL": ("STOP_LOSS",), "BUY": ("LIMIT_MAKER", "TAKE_PROFIT")}


class Desk:
    """Checks what is asked for, and lets the venue do it.

    Attributes:
        broken: so many replacements from now on find that their new order is refused.
    """

    def __init__(self, venue: Venue) -> None:
        self.venue = venue
        self.broken = 0
        self._lists = 0

    # Orders --------------------------------------------------------------------------------------------

    def check(self, terms: Sequence[Terms], pair: Pair, *, less: Order | None = None, lists: int = 0) -> None:
        """What comes before the engine: status, filters, ids and counts.

        Args:
            less: an order that is about to go.

        Raises:
            Refused: it is not passed.
        """
        if not self.venue.account.trades:
            raise engine("This action is disabled on this account.")
        if pair.status != "TRADING":
            raise engine("Market is closed.")
        working = [order for order in self.venue.working(pair) if order is not less]
        average = self.venue.average(pair.name, pair.average_minutes)
        for one in terms:
            check_filters(one, pair, average)
        for one in terms:
            check_position(one, pair, self.venue.account.of(pair.base).total, working)
        check_counts(terms, pair, working, lists=self._working_lists(pair) + lists if lists else 0)
        self.venue.limits.check_orders(len(terms))

    def submit(self, terms: Terms, pair: Pair) -> Order:
        """
        Raises:
            Refused: there is no order.
        """
        self.check([terms], pair)
        return self._admit(terms, pair)

    def test(self, terms: Terms, pair: Pair) -> None:
        """Check an order, and place none.

        Raises:
            Refused: it would not be taken.
        """
        self.check([terms], pair)

    def outside(self, terms: Terms, pair: Pair) -> Order:
        """Let somebody else's order rest in the account, whether it carries it or not."""
        order = self.venue.enter(terms, pair, foreign=True)
        self.venue.start(order)
        return order

    def _admit(self, terms: Terms, pair: Pair) -> Order:
        self._check_ids([terms], pair)
        admit(terms, pair, self.venue.account, self.venue.last.get(pair.name))
        self.venue.limits.count_orders()
        order = self.venue.enter(terms, pair)
        self.venue.start(order)
        return order

    def _check_ids(self, terms: Sequence[Terms], pair: Pair, list_id: str | None = None) -> None:
        """An id is taken while its order is open, and no longer."""
        taken = {order.client_id for order in self.venue.working(pair)}
        wanted = [one.client_id for one in terms]
        if len(set(wanted)) != len(wanted) or taken & set(wanted):
            raise engine("Duplicate order sent.")
        known = None if list_id is None else self.venue.list_under(list_id)
        if known is not None and known.status == "EXECUTING":
            raise engine("Duplicate order sent.")

    # Ends ----------------------------------------------------------------------------------------------

    def cancel(
        self,
        pair: Pair,
        order_id: int | None,
        client_id: str | None,
        *,
        cancel_id: str | None = None,
        restriction: str | None = None,
    ) -> dict[str, Any]:
        """The answer to a cancel.

        Args:
            restriction: cancel only what is ``ONLY_NEW`` or ``ONLY_PARTIALLY_FILLED``.

        Raises:
            Refused: it is not open, or not in that state.
        """
        order = self.open_order(pair, order_id, client_id)
        wanted = {"ONLY_NEW": "NEW", "ONLY_PARTIALLY_FILLED": "PARTIALLY_FILLED"}.get(restriction or "")
        if wanted is not None and order.status != wanted:
            raise Refused(-2011, "Order was not canceled due to cancel restrictions.")
        return self._cancelled(order, cancel_id)

    def open_order(self, pair: Pair, order_id: int | None, client_id: str | None) -> Order:
        """
        Raises:
            Refused: there is none that is open under these names.
        """
        order = self.venue.order(pair, order_id, client_id)
        if order is None or not order.open:
            raise Refused(-2011, _UNKNOWN)
        return order

    def cancel_all(self, pair: Pair) -> list[dict[str, Any]]:
        """Cancel whatever is open in a pair; lists answer as lists.

        Raises:
            Refused: nothing is.
        """
        working = self.venue.working(pair)
        if not working:
            raise Refused(-2011, _UNKNOWN)
        answer: list[dict[str, Any]] = []
        for order in working:
            if not order.open:
                continue
            if order.joined is None:
                answer.append(self._cancelled(order, None))
            else:
                answer.append(self.cancel_list(order.joined, None))
        return answer

    def cancel_list(self, orders: OrderList, cancel_id: str | None) -> dict[str, Any]:
        """
        Raises:
            Refused: it is done.
        """
        if orders.status != "EXECUTING":
            raise Refused(-2011, _UNKNOWN)
        used = cancel_id or new_id(self.venue.rng)
        gone = [order for order in orders.orders if order.open]
        self.venue.end(gone[0], "CANCELED", cancel_id=used)
        return {**orders.wire("ALL_DONE"), "orderReports": [order.cancelled(used) for order in gone]}

    def _cancelled(self, order: Order, cancel_id: str | None) -> dict[str, Any]:
        used = cancel_id or new_id(self.venue.rng)
        self.venue.end(order, "CANCELED", cancel_id=used)
        return order.cancelled(used)

    # Replacement ---------------------------------------------------------------------------------------

    def replace(
        self,
        pair: Pair,
        terms: Terms,
        kind: str,
        cancel: Callable[[], dict[str, Any]],
        *,
        mode: str,
        order: Order | None,
    ) -> dict[str, Any]:
        """Cancel an order and place another; one can be done without the other.

        Args:
            kind: of answer to the new one.
            cancel: ends the old one.
            mode: ``STOP_ON_FAILURE`` or ``ALLOW_FAILURE``.
            order: the old one, where it is known and open.

        Raises:
            Refused: something was not done; its ``data`` says what was.
        """
        self.check([terms], pair, less=order)
        cancelled, placed = dict[str, Any](), dict[str, Any]()
        gone = made = False
        try:
            cancelled, gone = cancel(), True
        except Refused as refusal:
            cancelled = refusal.body()
            if mode == "STOP_ON_FAILURE":
                data = _outcome("FAILURE", "NOT_ATTEMPTED", cancelled, None)
                raise Refused(-2022, "Order cancel-replace failed.", data=data) from None
        try:
            if self.broken:
                self.broken -= 1
                raise engine("Account has insufficient balance for requested action.")
            placed, made = self._admit(terms, pair).answer(kind), True
        except Refused as refusal:
            placed = refusal.body()
        words = ("SUCCESS" if gone else "FAILURE", "SUCCESS" if made else "FAILURE")
        answer = _outcome(*words, cancelled, placed)
        if gone and made:
            return answer
        if gone or made:
            raise Refused(-2021, "Order cancel-replace partially failed.", status=409, data=answer)
        raise Refused(-2022, "Order cancel-replace failed.", data=answer)

    def amend(self, order: Order, quantity: Decimal, client_id: str) -> dict[str, Any]:
        """Let there be less of an order, at its place in the book.

        Raises:
            Refused: nothing changed.
        """
        pair = order.pair
        if pair.max_amends and order.amends >= pair.max_amends:
            raise filtered("MAX_NUM_ORDER_AMENDS")
        if not order.executed < quantity < order.quantity:
            raise Refused(-2038, "The requested action would not change the order quantity to a valid one.")
        if quantity % pair.step or quantity < pair.min_qty:
            raise filtered("LOT_SIZE")
        self.venue.amend(order, quantity, client_id)
        row = {**order.queried(), "workingTime": order.working_since, "qty": order.queried()["origQty"]}
        return {
            "transactTime": order.updated,
            "executionId": order.amends,
            "amendedOrder": row,
        }

    # Lists ---------------------------------------------------------------------------------------------

    def place_oco(self, above: Terms, below: Terms, pair: Pair, list_id: str, kind: str) -> dict[str, Any]:
        """
        Raises:
            Refused: neither order was placed.
        """
        self._check_exits(above, below)
        last = self.venue.last.get(pair.name)
        if last is not None and not _level(above) > last > _level(below):
            raise engine(_RELATION)
        self.check([above, below], pair, lists=1)
        self._check_ids([above, below], pair, list_id)
        costlier = max((above, below), key=lambda one: cost(one, pair, last))
        for one in (above, below):
            admit(one, pair, self.venue.account, last, funds=one is costlier)
        self.venue.limits.count_orders(2)
        # The venue makes the stop first.
        exits = sorted((below, above), key=lambda one: one.type == "LIMIT_MAKER")
        orders = [self.venue.enter(one, pair) for one in exits]
        joined = self._begin("OCO", pair, list_id, orders)
        for order in orders:
            if order.open:
                self.venue.start(order)
        return _list_answer(joined, kind)

    def place_oto(
        self, working: Terms, pending: Sequence[Terms], pair: Pair, list_id: str, kind: str
    ) -> dict[str, Any]:
        """Place an order, and one or two that wait until it is filled.

        Raises:
            Refused: no order was placed.
        """
        if working.type not in {"LIMIT", "LIMIT_MAKER"}:
            raise Refused(-1116, "Invalid orderType.")
        if len(pending) == 2:
            self._check_exits(*pending)
            if not _level(pending[0]) > _level(pending[1]):
                raise engine(_RELATION)
        every = [working, *pending]
        self.check(every, pair, lists=1)
        self._check_ids(every, pair, list_id)
        admit(working, pair, self.venue.account, self.venue.last.get(pair.name))
        self.venue.limits.count_orders(len(every))
        first = self.venue.enter(working, pair)
        later = [self.venue.enter(one, pair, pending=True) for one in pending]
        joined = self._begin("OTO", pair, list_id, later, first)
        for order in later:
            self.venue.wait(order)
        self.venue.start(first)
        return _list_answer(joined, kind)

    @staticmethod
    def _check_exits(above: Terms, below: Terms) -> None:
        for one, allowed in ((above, _ABOVE), (below, _BELOW)):
            if one.type.removesuffix("_LIMIT") not in allowed[one.side]:
                raise Refused(-1116, "Invalid orderType.")

    def _begin(
        self, contingency: str, pair: Pair, list_id: str, exits: list[Order], working: Order | None = None
    ) -> OrderList:
        self._lists += 1
        joined = OrderList(
            id=self._lists,
            client_id=list_id,
            contingency=contingency,
            pair=pair,
            exits=exits,
            working=working,
        )
        self.venue.begin_list(joined)
        return joined

    def _working_lists(self, pair: Pair) -> int:
        lists = self.venue.lists.values()
        return sum(one.pair is pair and one.status == "EXECUTING" for one in lists)


def _level(terms: Terms) -> Decimal:
    """The price at which an exit begins to act."""
    return terms.stop_price or terms.price or ZERO


def _outcome(
    cancel: str, new: str, cancelled: dict[str, Any], placed: dict[str, Any] | None
) -> dict[str, Any]:
    return {
        "cancelResult": cancel,
        "newOrderResult": new,
        "cancelResponse": cancelled,
        "newOrderResponse": placed,
    }


def _list_answer(orders: OrderList, kind: str) -> dict[str, Any]:
    return {
        **orders.wire("EXEC_STARTED"),
        "orderReports": [order.answer(kind) for order in orders.orders],
    }
