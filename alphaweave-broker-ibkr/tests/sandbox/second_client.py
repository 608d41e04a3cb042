"""A day of Interactive Brokers' own client library at a gateway; run by itself, with the port as its word.

It prints what it was told, as JSON.
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from ibapi.client import EClient  # type: ignore[import-not-found]
from ibapi.contract import Contract  # type: ignore[import-not-found]
from ibapi.execution import ExecutionFilter  # type: ignore[import-not-found]
from ibapi.order import Order  # type: ignore[import-not-found]
from ibapi.order_cancel import OrderCancel  # type: ignore[import-not-found]
from ibapi.wrapper import EWrapper  # type: ignore[import-not-found]

_PATIENCE = 30.0


class Client(EWrapper, EClient):  # type: ignore[misc]
    """Keeps what it hears, by the name of the message."""

    def __init__(self) -> None:
        EClient.__init__(self, self)
        self.heard: list[tuple[str, list[Any]]] = []
        self._changed = threading.Condition()

    def __getattribute__(self, name: str) -> Any:
        if name in _MESSAGES:
            return lambda *words, **named: self.note(name, [*words, *named.values()])
        return super().__getattribute__(name)

    def note(self, name: str, words: list[Any]) -> None:
        with self._changed:
            self.heard.append((name, words))
            self._changed.notify_all()

    def until(self, name: str, true: Callable[[list[Any]], bool] = lambda words: True) -> list[Any]:
        """Wait for a message."""

        def found() -> list[Any] | None:
            return next((words for one, words in self.heard if one == name and true(words)), None)

        with self._changed:
            if not self._changed.wait_for(lambda: found() is not None, _PATIENCE):
                raise SystemExit(f"no {name}; heard {[one for one, _ in self.heard]}")
            words = found()
            assert words is not None
            return words


_MESSAGES = {
    "accountUpdateMulti",
    "currentTime",
    "headTimestamp",
    "historicalSchedule",
    "historicalTicksLast",
    "marketRule",
    "pnl",
    "pnlSingle",
    "symbolSamples",
    "updatePortfolio",
    "accountSummary",
    "accountSummaryEnd",
    "commissionReport",
    "completedOrder",
    "completedOrdersEnd",
    "contractDetails",
    "contractDetailsEnd",
    "error",
    "execDetails",
    "execDetailsEnd",
    "historicalData",
    "historicalDataEnd",
    "managedAccounts",
    "nextValidId",
    "openOrder",
    "orderStatus",
    "position",
    "positionEnd",
    "tickPrice",
}


def _stock() -> Contract:
    contract = Contract()
    contract.symbol, contract.secType, contract.exchange, contract.currency = "KO", "STK", "SMART", "USD"
    return contract


def _order(kind: str, size: int, price: float | None = None) -> Order:
    order = Order()
    order.action, order.orderType, order.totalQuantity, order.tif = "BUY", kind, Decimal(size), "DAY"
    order.orderRef = f"second-{kind}"
    if price is not None:
        order.lmtPrice = price
    return order


def _questions(client: Client) -> dict[str, Any]:
    """What is answered at once, and has a form of its own."""
    stock = _stock()
    client.reqAccountUpdates(True, "DU1234567")
    client.reqAccountUpdatesMulti(906, "DU1234567", "", False)
    client.reqPnL(907, "DU1234567", "")
    client.reqPnLSingle(908, "DU1234567", "", 8894)
    client.reqMarketRule(109)
    client.reqMatchingSymbols(909, "TWI")
    client.reqHeadTimeStamp(910, stock, "TRADES", 0, 2)
    client.reqHistoricalData(911, stock, "", "2 D", "1 day", "SCHEDULE", 1, 1, False, [])
    client.reqHistoricalTicks(912, stock, "20310304-15:00:00", "", 10, "TRADES", 0, False, [])
    client.reqCurrentTime()
    told: dict[str, Any] = {}
    told["portfolio"] = [str(client.until("updatePortfolio")[1]), client.until("updatePortfolio")[4]]
    told["multi"] = client.until("accountUpdateMulti", lambda words: words[3] == "TotalCashValue")[4]
    told["gain"] = client.until("pnl")[2]
    told["held"] = [str(client.until("pnlSingle")[1]), client.until("pnlSingle")[5]]
    told["rule"] = [band.increment for band in client.until("marketRule")[1]]
    told["samples"] = [one.contract.conId for one in client.until("symbolSamples")[1]]
    told["head"] = client.until("headTimestamp")[1]
    told["schedule"] = [one.refDate for one in client.until("historicalSchedule")[4]]
    told["ticks"] = [one.price for one in client.until("historicalTicksLast")[1]]
    told["time"] = client.until("currentTime")[0]
    return told


def main() -> None:
    client = Client()
    client.connect("127.0.0.1", int(sys.argv[1]), 77)
    threading.Thread(target=client.run, daemon=True).start()
    (first,) = client.until("nextValidId")
    told: dict[str, Any] = {"server": client.serverVersion(), "accounts": client.until("managedAccounts")[0]}

    client.reqContractDetails(901, _stock())
    _, details = client.until("contractDetails")
    client.until("contractDetailsEnd")
    told["contract"] = [details.contract.conId, details.contract.primaryExchange, details.minTick]
    told["hours"] = details.liquidHours.split(";")[0]

    client.placeOrder(first, _stock(), _order("MKT", 30))
    _, _, execution = client.until("execDetails")
    told["execution"] = [execution.orderRef, execution.side, str(execution.shares), execution.price]
    (report,) = client.until("commissionReport")
    told["commission"] = [report.execId == execution.execId, report.commission, report.currency]
    told["realized"] = report.realizedPNL
    client.until("orderStatus", lambda words: words[0] == first and words[1] == "Filled")
    told["filled"] = [words[3].status for one, words in client.heard if one == "openOrder"]

    client.placeOrder(first + 1, _stock(), _order("LMT", 5, 40.5))
    client.until("orderStatus", lambda words: words[0] == first + 1 and words[1] == "Submitted")
    client.placeOrder(first + 1, _stock(), _order("LMT", 7, 41.5))
    opened = client.until("openOrder", lambda words: words[2].totalQuantity == 7)
    told["modified"] = [opened[2].lmtPrice, opened[2].orderRef, opened[2].permId > 0]
    client.cancelOrder(first + 1, OrderCancel())
    client.until("orderStatus", lambda words: words[0] == first + 1 and words[1] == "Cancelled")
    client.until("error", lambda words: words[:2] == [first + 1, 202])

    client.reqExecutions(902, ExecutionFilter())
    client.until("execDetailsEnd")
    client.reqCompletedOrders(False)
    client.until("completedOrdersEnd")
    told["completed"] = sorted(words[1].orderRef for one, words in client.heard if one == "completedOrder")
    client.reqPositions()
    client.until("positionEnd")
    told["positions"] = [
        [words[1].symbol, str(words[2]), words[3]] for one, words in client.heard if one == "position"
    ]
    client.reqAccountSummary(903, "All", "TotalCashValue")
    client.until("accountSummaryEnd")
    told["cash"] = client.until("accountSummary")[3]
    client.reqHistoricalData(904, _stock(), "", "600 S", "1 min", "TRADES", 0, 2, False, [])
    client.until("historicalDataEnd")
    told["bars"] = [
        [int(words[1].date), words[1].close] for one, words in client.heard if one == "historicalData"
    ]
    client.reqMktData(905, _stock(), "", True, False, [])
    told["last"] = client.until("tickPrice", lambda words: words[1] == 4)[2]
    told |= _questions(client)
    told["errors"] = sorted({words[1] for one, words in client.heard if one == "error"})
    client.disconnect()
    sys.stdout.write(json.dumps(told))


if __name__ == "__main__":
    main()
