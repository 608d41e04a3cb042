"""Operations that ask: for the market, the account, orders and trades."""

from __future__ import annotations

from typing import Any

from alphaweave.core.money import CONTEXT, ZERO
from alphaweave.testing.sandbox import Action
from alphaweave_broker_binance.sandbox.figures import amount
from alphaweave_broker_binance.sandbox.gate import Operation
from alphaweave_broker_binance.sandbox.orders import Order
from alphaweave_broker_binance.sandbox.parameters import CLIENT_ID, Parameters
from alphaweave_broker_binance.sandbox.prices import Prices, bucket
from alphaweave_broker_binance.sandbox.refusals import Refused
from alphaweave_broker_binance.sandbox.venue import Venue

__all__ = ["query_operations"]

_API = "/api/v3"
_USUAL, _MOST = 500, 1000
_DAY = 86_400_000


def query_operations(venue: Venue, prices: Prices, *, lag: int, withdrawals: bool) -> list[Operation]:
    """
    Args:
        lag: milliseconds until a new order is found.
        withdrawals: the keys may withdraw.
    """
    ask = _Queries(venue, prices, lag, withdrawals)
    quiet, history = Action.OTHER, Action.HISTORY

    def of(name: str, ws: str, run: Any, weight: Any, **more: Any) -> Operation:
        cost = weight if callable(weight) else (lambda _: weight)
        return Operation(rest=f"GET {_API}/{name}", ws=ws, run=run, weight=cost, **more)

    return [
        of("ping", "ping", ask.ping, 1, action=quiet, signed=False),
        of("time", "time", ask.time, 1, action=quiet, signed=False),
        of("exchangeInfo", "exchangeInfo", ask.exchange_info, 20, signed=False),
        of("klines", "klines", ask.klines, 2, action=history, signed=False),
        of("ticker/bookTicker", "ticker.book", ask.book_ticker, _by_symbol(2, 4), signed=False),
        of("ticker/price", "ticker.price", ask.price, _by_symbol(2, 4), signed=False),
        of("avgPrice", "avgPrice", ask.average, 2, signed=False),
        of("account", "account.status", ask.account, 20),
        of("account/commission", "account.commission", ask.commission, 20),
        of("rateLimit/order", "account.rateLimits.orders", ask.order_rates, 40),
        of("order", "order.status", ask.order, 4),
        of("openOrders", "openOrders.status", ask.open_orders, _by_symbol(6, 80)),
        of("allOrders", "allOrders", ask.all_orders, 20),
        of("orderList", "orderList.status", ask.order_list, 4),
        of("openOrderList", "openOrderLists.status", ask.open_lists, 6),
        of("allOrderList", "allOrderLists", ask.all_lists, 20),
        of("myTrades", "myTrades", ask.trades, lambda sent: 5 if sent.has("orderId") else 20),
        Operation(rest="GET /sapi/v1/account/apiRestrictions", run=ask.permissions),
    ]


def _by_symbol(one: int, every: int) -> Any:
    return lambda sent: one if sent.has("symbol") else every


class _Queries:
    def __init__(self, venue: Venue, prices: Prices, lag: int, withdrawals: bool) -> None:
        self._venue, self._prices = venue, prices
        self._lag, self._withdrawals = lag, withdrawals

    # The market ----------------------------------------------------------------------------------------

    def ping(self, sent: Parameters) -> dict[str, Any]:
        sent.done()
        return {}

    def time(self, sent: Parameters) -> dict[str, Any]:
        sent.done()
        return {"serverTime": self._venue.now()}

    def exchange_info(self, sent: Parameters) -> dict[str, Any]:
        pairs = [self._venue.pair(name) for name in self._named(sent)]
        sent.raw("permissions")
        sent.raw("showPermissionSets")
        status = sent.text("symbolStatus")
        sent.done()
        return {
            "timezone": "UTC",
            "serverTime": self._venue.now(),
            "rateLimits": self._venue.limits.rules(),
            "exchangeFilters": [],
            "symbols": [pair.info() for pair in pairs if status in {None, pair.status}],
        }

    def klines(self, sent: Parameters) -> list[list[Any]]:
        pair = self._venue.pair(sent.symbol())
        interval = sent.needed("interval")
        bucket(0, interval)
        start, end = sent.long("startTime"), sent.long("endTime")
        zone = sent.text("timeZone")
        if zone not in {None, "0", "0:00", "00:00"}:
            raise Refused(-1130, "Data sent for parameter 'timeZone' is not valid.")
        limit = sent.limit(_USUAL, _MOST)
        sent.done()
        return [one.row() for one in self._prices.klines(pair.name, interval, start, end, limit)]

    def book_ticker(self, sent: Parameters) -> Any:
        return self._tickers(sent, self._prices.quote)

    def price(self, sent: Parameters) -> Any:
        return self._tickers(sent, lambda name: {"symbol": name, "price": self._last(name)})

    def average(self, sent: Parameters) -> dict[str, Any]:
        pair = self._venue.pair(sent.symbol())
        sent.done()
        found = self._venue.average(pair.name, pair.average_minutes) or ZERO
        return {"mins": pair.average_minutes, "price": amount(found), "closeTime": self._venue.now()}

    def _tickers(self, sent: Parameters, row: Any) -> Any:
        single = sent.has("symbol")
        names = self._named(sent)
        sent.done()
        rows = [row(self._venue.pair(name).name) for name in names]
        return rows[0] if single else rows

    def _last(self, name: str) -> str:
        return amount(self._venue.last.get(name, ZERO))

    def _named(self, sent: Parameters) -> list[str]:
        if sent.has("symbol"):
            return [sent.symbol()]
        named = sent.symbols()
        return list(self._venue.pairs) if named is None else named

    # The account ---------------------------------------------------------------------------------------

    def account(self, sent: Parameters) -> dict[str, Any]:
        account = self._venue.account
        without_zero = sent.flag("omitZeroBalances", default=False)
        sent.done()
        maker, taker = account.rates.maker, account.rates.taker
        return {
            "makerCommission": int(CONTEXT.multiply(maker, 10_000)),
            "takerCommission": int(CONTEXT.multiply(taker, 10_000)),
            "buyerCommission": 0,
            "sellerCommission": 0,
            "commissionRates": self._rates(),
            "canTrade": account.trades,
            "canWithdraw": self._withdrawals,
            "canDeposit": True,
            "brokered": False,
            "requireSelfTradePrevention": False,
            "preventSor": False,
            "updateTime": account.updated,
            "accountType": "SPOT",
            "balances": [
                {"asset": asset, "free": amount(one.free), "locked": amount(one.locked)}
                for asset, one in account.balances().items()
                if one.total or not without_zero
            ],
            "permissions": ["SPOT"],
            "uid": account.uid,
        }

    def commission(self, sent: Parameters) -> dict[str, Any]:
        pair = self._venue.pair(sent.symbol())
        sent.done()
        nothing = dict.fromkeys(self._rates(), amount(ZERO))
        return {
            "symbol": pair.name,
            "standardCommission": self._rates(),
            "specialCommission": nothing,
            "taxCommission": nothing,
            "discount": {
                "enabledForAccount": True,
                "enabledForSymbol": True,
                "discountAsset": "BNB",
                "discount": "0.75000000",
            },
        }

    def permissions(self, sent: Parameters) -> dict[str, Any]:
        sent.done()
        return {
            "ipRestrict": False,
            "createTime": 1_698_645_219_000,
            "enableReading": True,
            "enableSpotAndMarginTrading": self._venue.account.trades,
            "enableWithdrawals": self._withdrawals,
            "enableInternalTransfer": False,
            "enableMargin": False,
            "enableFutures": False,
            "permitsUniversalTransfer": False,
        }

    def order_rates(self, sent: Parameters) -> list[dict[str, Any]]:
        sent.done()
        return self._venue.limits.order_rates()

    def _rates(self) -> dict[str, str]:
        rates = self._venue.account.rates
        return {
            "maker": amount(rates.maker),
            "taker": amount(rates.taker),
            "buyer": amount(ZERO),
            "seller": amount(ZERO),
        }

    # Orders and trades ---------------------------------------------------------------------------------

    def order(self, sent: Parameters) -> dict[str, Any]:
        pair = self._venue.pair(sent.symbol())
        number, client_id = sent.long("orderId"), sent.text("origClientOrderId", CLIENT_ID)
        sent.done()
        if number is None and client_id is None:
            raise Refused(
                -1102, "Param 'origClientOrderId' or 'orderId' must be sent, but both were empty/null!"
            )
        found = self._venue.order(pair, number, None if number is not None else client_id)
        if found is None or not self._visible(found):
            raise Refused(-2013, "Order does not exist.")
        if client_id is not None and found.client_id != client_id:
            raise Refused(-2039, "The client order ID is not correct for this order ID.")
        return found.queried()

    def open_orders(self, sent: Parameters) -> list[dict[str, Any]]:
        pair = self._venue.pair(sent.symbol()) if sent.has("symbol") else None
        sent.done()
        return [order.queried() for order in self._venue.working(pair) if self._visible(order)]

    def all_orders(self, sent: Parameters) -> list[dict[str, Any]]:
        pair = self._venue.pair(sent.symbol())
        number, start, end = sent.long("orderId"), sent.long("startTime"), sent.long("endTime")
        limit = sent.limit(_USUAL, _MOST)
        sent.done()
        _check_stretch(start, end)
        found = [
            order
            for order in self._venue.orders
            if order.pair is pair
            and self._visible(order)
            and (number is None or order.id >= number)
            and _between(order.created, start, end)
        ]
        return [order.queried() for order in _page(found, limit, number is not None or start is not None)]

    def order_list(self, sent: Parameters) -> dict[str, Any]:
        number, client_id = sent.long("orderListId"), sent.text("origClientOrderId", CLIENT_ID)
        sent.done()
        found = self._venue.lists.get(number or 0)
        if number is None and client_id is not None:
            found = self._venue.list_under(client_id)
        if found is None:
            raise Refused(-2018, "Order list does not exist.")
        return found.queried()

    def open_lists(self, sent: Parameters) -> list[dict[str, Any]]:
        sent.done()
        return [one.queried() for one in self._venue.lists.values() if one.status == "EXECUTING"]

    def all_lists(self, sent: Parameters) -> list[dict[str, Any]]:
        first, start, end = sent.long("fromId"), sent.long("startTime"), sent.long("endTime")
        limit = sent.limit(_USUAL, _MOST)
        sent.done()
        _check_stretch(start, end)
        found = [
            one
            for one in self._venue.lists.values()
            if (first is None or one.id >= first) and _between(one.updated, start, end)
        ]
        return [one.queried() for one in _page(found, limit, first is not None or start is not None)]

    def trades(self, sent: Parameters) -> list[dict[str, Any]]:
        pair = self._venue.pair(sent.symbol())
        number, first = sent.long("orderId"), sent.long("fromId")
        start, end = sent.long("startTime"), sent.long("endTime")
        limit = sent.limit(_USUAL, _MOST)
        sent.done()
        _check_stretch(start, end)
        if first is not None and (start is not None or end is not None):
            raise Refused(-1128, "Combination of optional parameters invalid.")
        found = [
            one
            for one in self._venue.executions
            if one.order.pair is pair
            and self._visible(one.order)
            and (number is None or one.order.id == number)
            and (first is None or one.id >= first)
            and _between(one.at, start, end)
        ]
        return [one.wire() for one in _page(found, limit, first is not None or start is not None)]

    def _visible(self, order: Order) -> bool:
        """Whether the database that answers questions has heard of it."""
        return self._venue.now() - order.created >= self._lag


def _between(at: int, start: int | None, end: int | None) -> bool:
    return (start is None or at >= start) and (end is None or at <= end)


def _check_stretch(start: int | None, end: int | None) -> None:
    if start is not None and end is not None and end - start > _DAY:
        raise Refused(-1127, "More than 24 hours between startTime and endTime.")


def _page(found: list[Any], limit: int, from_the_first: bool) -> list[Any]:
    return found[:limit] if from_the_first else found[-limit:]
