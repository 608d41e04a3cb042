"""REST of the trading API: account, orders, positions, assets, clock and calendar."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from attrs import evolve

from alphaweave.core.clock import from_ns
from alphaweave.core.money import ZERO, plain
from alphaweave.testing.sandbox import Action
from alphaweave_broker_alpaca.sandbox.account import Position
from alphaweave_broker_alpaca.sandbox.activities import read_time
from alphaweave_broker_alpaca.sandbox.hours import Hours
from alphaweave_broker_alpaca.sandbox.orders import Order
from alphaweave_broker_alpaca.sandbox.refusals import Refused, malformed, not_found
from alphaweave_broker_alpaca.sandbox.server import Answer, Call, Route
from alphaweave_broker_alpaca.sandbox.terms import number
from alphaweave_broker_alpaca.sandbox.venue import Venue

__all__ = ["TradingRoutes"]

_MOST_ORDERS = 500
_YEARS = timedelta(days=3660)


class TradingRoutes:
    """Answers for one venue."""

    def __init__(self, venue: Venue, hours: Hours, now: Callable[[], datetime]) -> None:
        self._venue, self._hours, self._now = venue, hours, now

    def routes(self) -> list[Route]:
        """Every path. Whatever is asked, what time brings about has happened before."""
        orders, positions = "/v2/orders", "/v2/positions"
        made = [
            Route("GET", "/v2/account", self._account),
            Route("GET", "/v2/account/configurations", self._configuration),
            Route("PATCH", "/v2/account/configurations", self._configure, Action.OTHER),
            Route("GET", "/v2/account/activities", self._activities),
            Route("GET", "/v2/account/activities/{kind}", self._activities),
            Route("GET", positions, self._positions),
            Route("DELETE", positions, self._close_all, Action.SUBMIT),
            Route("GET", positions + "/{symbol:.+}", self._position),
            Route("DELETE", positions + "/{symbol:.+}", self._close, Action.SUBMIT),
            Route("POST", orders, self._submit, Action.SUBMIT),
            Route("GET", orders, self._orders),
            Route("DELETE", orders, self._cancel_all, Action.CANCEL),
            Route("GET", "/v2/orders:by_client_order_id", self._by_client),
            Route("GET", orders + "/{id}", self._order),
            Route("PATCH", orders + "/{id}", self._replace, Action.REPLACE),
            Route("DELETE", orders + "/{id}", self._cancel, Action.CANCEL),
            Route("GET", "/v2/assets", self._assets),
            Route("GET", "/v2/assets/{symbol:.+}", self._asset),
            Route("GET", "/v2/clock", self._clock, Action.OTHER),
            Route("GET", "/v2/calendar", self._calendar, Action.OTHER),
        ]
        return [evolve(route, answer=self._settled(route.answer)) for route in made]

    def _settled(self, answer: Callable[[Call], Answer]) -> Callable[[Call], Answer]:
        def settled(call: Call) -> Answer:
            self._venue.settle()
            return answer(call)

        return settled

    # Account -------------------------------------------------------------------------------------------

    def _account(self, _: Call) -> Answer:
        venue = self._venue
        return Answer(venue.account.wire(venue.last.get, venue.reserved()))

    def _configuration(self, _: Call) -> Answer:
        return Answer(self._venue.account.configuration)

    def _configure(self, call: Call) -> Answer:
        known = self._venue.account.configuration
        known.update({key: value for key, value in call.body.items() if key in known})
        return Answer(known)

    def _activities(self, call: Call) -> Answer:
        kinds = call.path.get("kind") or call.query.get("activity_types", "")
        found = self._venue.activities.page(call.query, frozenset(filter(None, kinds.split(","))))
        return Answer(found)

    # Positions -----------------------------------------------------------------------------------------

    def _positions(self, _: Call) -> Answer:
        return Answer([self._shown(position) for position in self._held()])

    def _position(self, call: Call) -> Answer:
        return Answer(self._shown(self._of(call)))

    def _close(self, call: Call) -> Answer:
        position = self._of(call)
        qty = number(call.query, "qty")
        percentage = number(call.query, "percentage")
        if qty is not None and percentage is not None:
            raise malformed("only one of qty or percentage is allowed")
        if percentage is not None:
            step = position.asset.step
            qty = abs(position.qty) * percentage / 100 // step * step
        return Answer(self._closed(position, qty))

    def _close_all(self, call: Call) -> Answer:
        if call.query.get("cancel_orders", "").lower() == "true":
            self._cancel_all(call)
        rows = []
        for position in self._held():
            try:
                body, status = self._closed(position, None), 200
            except Refused as refusal:
                body, status = refusal.body, refusal.status
            rows.append({"symbol": position.asset.symbol.replace("/", ""), "status": status, "body": body})
        return Answer(rows, 207)

    def _closed(self, position: Position, qty: Decimal | None) -> dict[str, Any]:
        """The order that closes a position."""
        return self._venue.submit(
            {
                "symbol": position.asset.symbol,
                "qty": plain(abs(position.qty) if qty is None else qty),
                "side": "sell" if position.qty > ZERO else "buy",
                "type": "market",
                "time_in_force": "gtc" if position.asset.crypto else "day",
            }
        )

    def _held(self) -> list[Position]:
        return [position for position in self._venue.account.positions.values() if position.qty]

    def _of(self, call: Call) -> Position:
        symbol = call.path["symbol"]
        try:
            asset = self._venue.asset(symbol)
        except Refused:
            raise not_found("position does not exist") from None
        if not self._venue.account.held(asset):
            raise not_found("position does not exist")
        return self._venue.account.of(asset)

    def _shown(self, position: Position) -> dict[str, Any]:
        venue = self._venue
        price = venue.last.get(position.asset.symbol) or position.average
        return position.wire(price, venue.available(position.asset))

    # Orders --------------------------------------------------------------------------------------------

    def _submit(self, call: Call) -> Answer:
        return Answer(self._venue.submit(call.body))

    def _order(self, call: Call) -> Answer:
        return Answer(self._venue.order(call.path["id"]).wire(nested=_nested(call.query)))

    def _by_client(self, call: Call) -> Answer:
        wanted = call.query.get("client_order_id", "")
        found = self._venue.by_client(wanted)
        if found is None:
            raise not_found(f"order not found for {wanted}")
        return Answer(found.wire(nested=_nested(call.query)))

    def _replace(self, call: Call) -> Answer:
        return Answer(self._venue.replace(self._venue.order(call.path["id"]), call.body))

    def _cancel(self, call: Call) -> Answer:
        self._venue.cancel(self._venue.order(call.path["id"]))
        return Answer(status=204)

    def _cancel_all(self, _: Call) -> Answer:
        rows = []
        for order in self._venue.working():
            if order.open:
                self._venue.cancel(order)
            rows.append({"id": order.id, "status": 200})
        return Answer(rows, 207)

    def _orders(self, call: Call) -> Answer:
        query = call.query
        nested = _nested(query)
        found = [order for order in self._venue.orders.values() if _fits(order, query)]
        if nested:
            found = [order for order in found if order.parent is None]
        found.sort(key=lambda order: order.submitted_at)
        found = _between(found, query)
        if query.get("direction", "desc") == "desc":
            found.reverse()
        limit = query.get("limit", "50")
        if not limit.isdigit() or not 0 < int(limit) <= _MOST_ORDERS:
            raise malformed(f"limit must be between 1 and {_MOST_ORDERS}")
        return Answer([order.wire(nested=nested) for order in found[: int(limit)]])

    # The market ----------------------------------------------------------------------------------------

    def _assets(self, call: Call) -> Answer:
        kind = call.query.get("asset_class", "us_equity")
        status = call.query.get("status", "active")
        exchange = call.query.get("exchange")
        found = [
            asset.wire()
            for asset in self._venue.assets.values()
            if asset.kind == kind and status in {"active", ""} and exchange in {None, "", asset.exchange}
        ]
        return Answer(found)

    def _asset(self, call: Call) -> Answer:
        return Answer(self._venue.asset(call.path["symbol"]).wire())

    def _clock(self, _: Call) -> Answer:
        return Answer(self._hours.clock(self._now()))

    def _calendar(self, call: Call) -> Answer:
        today = self._now().date()
        start = _day(call.query, "start", today - timedelta(days=365))
        end = _day(call.query, "end", today + timedelta(days=365))
        return Answer(self._hours.calendar(start, min(end, start + _YEARS)))


def _nested(query: Mapping[str, str]) -> bool:
    # The client library writes a capital T.
    return query.get("nested", "").lower() == "true"


def _fits(order: Order, query: Mapping[str, str]) -> bool:
    status = query.get("status", "open")
    if status not in {"open", "closed", "all"}:
        raise malformed("invalid status")
    symbols = query.get("symbols")
    return (
        (status == "all" or order.open == (status == "open"))
        and (not symbols or order.asset.symbol in symbols.split(","))
        and query.get("side", order.side) == order.side
        and query.get("asset_class", order.asset.kind) in {order.asset.kind, "all"}
    )


def _between(orders: list[Order], query: Mapping[str, str]) -> list[Order]:
    """What lies between the bounds of a query, which are exclusive."""
    if query.get("after"):
        after = read_time(query["after"])
        orders = [order for order in orders if from_ns(order.submitted_at) > after]
    if query.get("until"):
        until = read_time(query["until"])
        orders = [order for order in orders if from_ns(order.submitted_at) < until]
    ids = [order.id for order in orders]
    if query.get("after_order_id") in ids:
        orders = orders[ids.index(query["after_order_id"]) + 1 :]
    if query.get("before_order_id") in ids:
        wanted = query["before_order_id"]
        orders = orders[: [order.id for order in orders].index(wanted)]
    return orders


def _day(query: Mapping[str, str], key: str, default: date) -> date:
    return read_time(query[key]).date() if query.get(key) else default
