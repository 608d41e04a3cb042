"""Whatever is asked of the venue, its books add up."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from decimal import Decimal
from random import Random

import pytest

from alphaweave.core.clock import ManualClock
from alphaweave.core.money import ZERO
from alphaweave_broker_binance.sandbox.account import Account, Rates
from alphaweave_broker_binance.sandbox.desk import Desk
from alphaweave_broker_binance.sandbox.limits import Limits
from alphaweave_broker_binance.sandbox.pairs import known_pairs
from alphaweave_broker_binance.sandbox.parameters import Parameters
from alphaweave_broker_binance.sandbox.refusals import Refused
from alphaweave_broker_binance.sandbox.reports import Event
from alphaweave_broker_binance.sandbox.trading import trading_operations
from alphaweave_broker_binance.sandbox.venue import Venue

RATE = Decimal("0.001")
BEGIN = {"USDT": Decimal(20_000), "BNB": Decimal("0.05"), "BTC": Decimal(3), "ETH": Decimal(20)}
SYMBOLS = ("BTCUSDT", "ETHUSDT", "ETHBTC", "BNBUSDT")
PRICES = {"BTCUSDT": 1000.0, "ETHUSDT": 100.0, "ETHBTC": 0.1, "BNBUSDT": 50.0}


class Life:
    """A venue without a wire, and somebody who asks it for anything."""

    def __init__(self, seed: int) -> None:
        self.rng = Random(seed)
        self.clock = ManualClock(datetime(2031, 3, 4, tzinfo=UTC))
        account = Account(Rates(RATE, RATE))
        for asset, amount in BEGIN.items():
            account.move(asset, amount)
        limits = Limits(self._now, 10**9, 10**9, 10**9, 10**9)
        self.venue = Venue(known_pairs(()), account, limits, now=self.clock.now, partial_fills=0.3, seed=seed)
        self.events: list[Event] = []
        self.venue.tell = self.events.append
        self.operations = {one.ws: one.run for one in trading_operations(Desk(self.venue))}
        self.said: Counter[str] = Counter()
        for symbol in SYMBOLS:
            self.trade(symbol)

    def trade(self, symbol: str) -> None:
        value = PRICES[symbol] * self.rng.uniform(0.8, 1.25)
        self.venue.trade(self.venue.pair(symbol), self.price(symbol, value))

    def _now(self) -> int:
        return self.venue.now()

    def price(self, symbol: str, value: float) -> Decimal:
        tick = self.venue.pair(symbol).tick
        return (Decimal(repr(value)) // tick) * tick

    def near(self, symbol: str, low: float, high: float) -> str:
        last = float(self.venue.last[symbol])
        return f"{self.price(symbol, last * self.rng.uniform(low, high)):f}"

    def size(self, symbol: str) -> str:
        step = self.venue.pair(symbol).step
        return f"{Decimal(repr(self.rng.uniform(0.01, 2.0))) // step * step:f}"

    def step(self) -> None:
        symbol = self.rng.choice(SYMBOLS)
        kind = self.rng.choice(
            (
                "trade",
                "trade",
                "market",
                "quote",
                "limit",
                "limit",
                "stop",
                "oco",
                "otoco",
                "cancel",
                "replace",
            )
        )
        self.clock.advance(1.0)
        if kind == "trade":
            self.trade(symbol)
            return
        method, terms = self._terms(kind, symbol)
        try:
            self.operations[method](Parameters({"symbol": symbol, **terms}))
            self.said[kind] += 1
        except Refused as refusal:
            self.said[f"{kind}: {refusal.message}"] += 1

    def _terms(self, kind: str, symbol: str) -> tuple[str, dict[str, str]]:
        side = self.rng.choice(("BUY", "SELL"))
        order = {"side": side, "quantity": self.size(symbol)}
        limit = {**order, "type": "LIMIT", "timeInForce": self.rng.choice(("GTC", "IOC", "FOK"))}
        limit["price"] = self.near(symbol, 0.9, 1.1)
        open_ = [one for one in self.venue.working() if one.pair.name == symbol]
        known = str(self.rng.choice(open_).id) if open_ else "1"
        match kind:
            case "market":
                return "order.place", {**order, "type": "MARKET"}
            case "quote":
                return "order.place", {
                    "side": side,
                    "type": "MARKET",
                    "quoteOrderQty": order["quantity"] + "0",
                }
            case "stop":
                stop = self.near(symbol, 1.01, 1.1) if side == "BUY" else self.near(symbol, 0.9, 0.99)
                return "order.place", {**order, "type": "STOP_LOSS", "stopPrice": stop}
            case "oco":
                return "orderList.place.oco", {
                    **order,
                    "side": "SELL",
                    "aboveType": "LIMIT_MAKER",
                    "abovePrice": self.near(symbol, 1.01, 1.1),
                    "belowType": "STOP_LOSS",
                    "belowStopPrice": self.near(symbol, 0.9, 0.99),
                }
            case "otoco":
                return "orderList.place.otoco", {
                    "workingType": "LIMIT",
                    "workingSide": "BUY",
                    "workingTimeInForce": "GTC",
                    "workingQuantity": order["quantity"],
                    "workingPrice": self.near(symbol, 0.97, 1.0),
                    "pendingSide": "SELL",
                    "pendingQuantity": order["quantity"],
                    "pendingAboveType": "LIMIT_MAKER",
                    "pendingAbovePrice": self.near(symbol, 1.02, 1.1),
                    "pendingBelowType": "STOP_LOSS",
                    "pendingBelowStopPrice": self.near(symbol, 0.85, 0.95),
                }
            case "cancel":
                return "order.cancel", {"orderId": known}
            case "replace":
                mode = self.rng.choice(("STOP_ON_FAILURE", "ALLOW_FAILURE"))
                return "order.cancelReplace", {**limit, "cancelReplaceMode": mode, "cancelOrderId": known}
        return "order.place", limit


def check_balances(life: Life) -> None:
    """What is owned is what came in, what was traded and what it cost; what is locked is what orders bind."""
    wanted = dict(BEGIN)
    for one in life.venue.executions:
        pair, sign = one.order.pair, 1 if one.order.buy else -1
        for asset, change in ((pair.base, sign * one.size), (pair.quote, -sign * one.value)):
            wanted[asset] += change
        wanted[one.fee.asset] -= one.fee.amount
    bound: dict[str, Decimal] = dict.fromkeys(wanted, ZERO)
    for order in life.venue.orders:
        assert order.open or not order.locked, f"an order that is {order.status} binds {order.locked}"
        bound[order.spends] += order.locked
    for asset, balance in life.venue.account.balances().items():
        assert balance.total == wanted[asset], f"{asset}: {balance.total} owned, {wanted[asset]} by the books"
        assert balance.locked == bound[asset], f"{asset}: {balance.locked} locked, {bound[asset]} bound"
        assert balance.free >= ZERO, f"{asset}: {balance.free} free"


def check_events(life: Life) -> None:
    """Who only listens knows each order's end, each execution once, and the balances."""
    reports = [event for event in life.events if event["e"] == "executionReport"]
    trades = [(event["s"], event["t"]) for event in reports if event["x"] == "TRADE"]
    assert len(trades) == len(set(trades)) == len(life.venue.executions)
    last = {(event["s"], event["i"]): event for event in reports}
    for order in life.venue.orders:
        event = last[order.pair.name, order.id]
        assert (event["X"], Decimal(event["z"])) == (order.status, order.executed)
    told: dict[str, Decimal] = {}
    for event in life.events:
        if event["e"] == "outboundAccountPosition":
            told |= {row["a"]: Decimal(row["f"]) + Decimal(row["l"]) for row in event["B"]}
    owned = {
        asset: balance.total for asset, balance in life.venue.account.balances().items() if asset in told
    }
    assert told == owned
    done = [event["g"] for event in life.events if event["e"] == "listStatus" and event["L"] == "ALL_DONE"]
    assert sorted(done) == [one.id for one in life.venue.lists.values() if one.status == "ALL_DONE"]


@pytest.mark.parametrize("seed", range(5))
def test_books_add_up_whatever_is_asked(seed: int) -> None:
    """After each of four hundred random steps, in four pairs that share their assets."""
    life = Life(seed)
    for _ in range(400):
        life.step()
        check_balances(life)
    check_events(life)
    _check_variety(life)


def _check_variety(life: Life) -> None:
    """It was a life: everything was done, and traded."""
    taken = {kind for kind in life.said if ":" not in kind}
    assert taken == {"market", "quote", "limit", "stop", "oco", "otoco", "cancel", "replace"}, life.said
    assert len(life.venue.executions) > 50
