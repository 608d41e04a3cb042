"""Events, orders, trades and balances of Binance's, as the records of the contract."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from alphaweave.core.money import Money
from alphaweave.core.order import OrderStatus, Side
from alphaweave.live.broker import Balance, BrokerFill, BrokerNotice, CashFlow, OrderUpdate
from alphaweave_broker_binance.translator import Translator

NOW = datetime(2026, 3, 1, tzinfo=UTC)
OURS = f"awabcde-{1:022d}"
TRADE: dict[str, Any] = {
    "x": "TRADE",
    "X": "PARTIALLY_FILLED",
    "t": 56,
    "l": "0.40000000",
    "L": "100.00000000",
    "z": "0.40000000",
    "Z": "40.00000000",
    "n": "0.00040000",
    "N": "BTC",
}


def report(**changes: Any) -> dict[str, Any]:
    """An execution report as Binance writes it: of an order that was taken."""
    usual: dict[str, Any] = {
        "e": "executionReport",
        "E": 1499405658658,
        "s": "BTCUSDT",
        "c": OURS,
        "S": "BUY",
        "o": "LIMIT",
        "f": "GTC",
        "q": "1.00000000",
        "p": "0.10264410",
        "P": "0.00000000",
        "F": "0.00000000",
        "g": -1,
        "C": "",
        "x": "NEW",
        "X": "NEW",
        "r": "NONE",
        "i": 4293153,
        "l": "0.00000000",
        "z": "0.00000000",
        "L": "0.00000000",
        "n": "0",
        "N": None,
        "T": 1499405658657,
        "t": -1,
        "I": 8641984,
        "w": True,
        "m": False,
        "M": False,
        "O": 1499405658657,
        "Z": "0.00000000",
        "Y": "0.00000000",
        "Q": "0.00000000",
        "V": "NONE",
    }
    return {**usual, **changes}


def said() -> Translator:
    translator = Translator(("BTC", "BNBUSDT"), {"BTC": "BTCUSDT"})
    translator.account = "7"
    return translator


def told(translator: Translator | None = None, **changes: Any) -> tuple[Any, ...]:
    return (translator or said()).event(report(**changes), NOW)


def test_execution_is_a_fill_and_the_status_it_led_to() -> None:
    """Its key has the symbol in it, and its fee the asset it was taken in."""
    fill, update = told(**TRADE)
    assert isinstance(fill, BrokerFill)
    assert (fill.execution_key, fill.broker_order_id) == ("BTCUSDT:56", "BTCUSDT:4293153")
    assert (fill.client_order_id, fill.symbol, fill.side) == (OURS, "BTC", Side.BUY)
    assert (fill.size, fill.price, fill.cumulative) == (Decimal("0.4"), Decimal(100), Decimal("0.4"))
    assert fill.fees == (Money("BTC", Decimal("0.0004")),)
    assert not fill.foreign
    assert isinstance(update, OrderUpdate)
    assert (update.status, update.average_price) == (OrderStatus.PARTIALLY_FILLED, Decimal(100))


def test_trades_of_two_symbols_with_one_id_are_two_executions() -> None:
    """Binance numbers the trades of each symbol by themselves."""
    one, other = told(**TRADE)[0], told(**TRADE, s="BNBUSDT")[0]
    assert (one.execution_key, other.execution_key) == ("BTCUSDT:56", "BNBUSDT:56")
    assert one.broker_order_id != other.broker_order_id


@pytest.mark.parametrize(
    ("fee", "fees"),
    [
        ({"n": "0.10000000", "N": "USDT"}, (Money("USDT", Decimal("0.1")),)),
        ({"n": "0.00010000", "N": "BNB"}, (Money("BNB", Decimal("0.0001")),)),
        ({"n": "0", "N": None}, ()),
    ],
)
def test_commission_is_in_whatever_asset_it_was_taken(fee: dict[str, Any], fees: tuple[Money, ...]) -> None:
    """Nothing is turned into another asset, and no commission is known to be none."""
    assert told(**{**TRADE, **fee})[0].fees == fees


def test_cancel_bears_the_orders_own_name_and_not_the_cancels() -> None:
    """On a cancel Binance says the cancel's id where the order's was before."""
    (update,) = told(x="CANCELED", X="CANCELED", c="a-name-of-the-cancel", C=OURS)
    assert update.ref.client_order_id == OURS
    assert (update.status, update.reason, update.foreign) == (OrderStatus.CANCELLED, "canceled", False)


def test_order_keeps_its_name_when_a_later_word_bears_another() -> None:
    """Its number at Binance is what it is known by."""
    translator = said()
    told(translator)
    (update,) = told(translator, x="CANCELED", X="CANCELED", c="a-name-of-the-cancel", C="")
    assert (update.ref.client_order_id, update.foreign) == (OURS, False)


@pytest.mark.parametrize(
    ("changes", "status", "reason"),
    [
        ({"x": "NEW", "X": "NEW"}, OrderStatus.ACCEPTED, None),
        (
            {"x": "EXPIRED", "X": "EXPIRED", "eR": "UNFILLED_IOC_QUANTITY_EXPIRED"},
            OrderStatus.EXPIRED,
            "unfilled_ioc_quantity_expired",
        ),
        ({"x": "TRADE_PREVENTION", "X": "EXPIRED_IN_MATCH"}, OrderStatus.EXPIRED, "expired_in_match"),
        (
            {"x": "REJECTED", "X": "REJECTED", "r": "INSUFFICIENT_BALANCES"},
            OrderStatus.REJECTED,
            "insufficient_balances",
        ),
    ],
)
def test_update_says_how_an_order_ended(
    changes: dict[str, Any], status: OrderStatus, reason: str | None
) -> None:
    """The reason is Binance's word for it."""
    (update,) = told(**changes)
    assert (update.status, update.reason) == (status, reason)


def test_order_of_another_name_or_symbol_is_foreign() -> None:
    """It is told all the same."""
    assert told(c="web_5f3")[0].foreign
    assert told(s="ETHBTC")[0].foreign
    assert told(s="ETHBTC")[0].ref.symbol == "ETHBTC"


def test_event_without_what_it_needs_is_refused() -> None:
    """Half an execution is not guessed."""
    for broken in ({"z": None}, {"i": "28"}, {**TRADE, "t": -1}, {**TRADE, "n": "0.1", "N": None}):
        with pytest.raises(ValueError, match=r"number|asset|text"):
            told(**broken)


def test_balance_update_is_money_that_moved() -> None:
    """Deposits and withdrawals are no profit and no loss."""
    change = {"e": "balanceUpdate", "E": 2, "a": "BTC", "d": "100.00000000", "T": 1573200697068}
    (flow,) = said().event(change, NOW)
    assert isinstance(flow, CashFlow)
    assert (flow.kind, flow.amount) == ("deposit", Money("BTC", Decimal(100)))
    (taken,) = said().event({**change, "d": "-1.5"}, NOW)
    assert isinstance(taken, CashFlow)
    assert (taken.kind, taken.amount.amount) == ("withdrawal", Decimal("-1.5"))
    assert flow.key != taken.key


def test_other_events_are_borne_with() -> None:
    """Totals are in the books, a lock from outside is said, and words of tomorrow do no harm."""
    assert said().event({"e": "outboundAccountPosition", "B": []}, NOW) == ()
    assert said().event({"e": "aWordOfTomorrow"}, NOW) == ()
    (notice,) = said().event({"e": "externalLockUpdate", "a": "NEO", "d": "10.00000000"}, NOW)
    assert isinstance(notice, BrokerNotice)
    assert "10.00000000 NEO" in notice.text


def test_order_is_read_as_a_question_found_it() -> None:
    """Its average is of what was spent, and a quote order's size is not zero but unknown."""
    order = {
        "symbol": "BTCUSDT",
        "orderId": 28,
        "orderListId": -1,
        "clientOrderId": OURS,
        "price": "100.00000000",
        "origQty": "1.00000000",
        "executedQty": "0.50000000",
        "cummulativeQuoteQty": "49.00000000",
        "status": "PARTIALLY_FILLED",
        "timeInForce": "GTC",
        "type": "LIMIT",
        "side": "BUY",
        "stopPrice": "0.00000000",
        "time": 1499827319559,
    }
    found = said().order(order, NOW)
    assert (found.client_order_id, found.ref.broker_order_id) == (OURS, "BTCUSDT:28")
    assert (found.filled, found.average_price, found.quantity) == (Decimal("0.5"), Decimal(98), Decimal(1))
    assert (found.status, found.foreign) == (OrderStatus.PARTIALLY_FILLED, False)
    nothing = said().order({**order, "origQty": "0.00000000", "type": "MARKET"}, NOW)
    assert nothing.quantity is None
    # Of an order of years ago Binance does not know what was spent.
    assert said().order({**order, "cummulativeQuoteQty": "-1.00000000"}, NOW).average_price is None
    # In the answer to a cancel the order's own name is the original one.
    ended = said().order(
        {**order, "clientOrderId": "cancel", "origClientOrderId": OURS, "status": "CANCELED"}, NOW
    )
    assert ended.client_order_id == OURS


def test_listed_trade_is_the_execution_that_was_told() -> None:
    """Both have one key, and the name that the order is known by."""
    translator = said()
    fill = told(translator, **TRADE)[0]
    listed = translator.trade(
        {
            "symbol": "BTCUSDT",
            "id": 56,
            "orderId": 4293153,
            "price": "100.00000000",
            "qty": "0.40000000",
            "commission": "0.00040000",
            "commissionAsset": "BTC",
            "time": 1499405658657,
            "isBuyer": True,
            "isMaker": False,
        },
        NOW,
    )
    assert (listed.execution_key, listed.client_order_id) == (fill.execution_key, OURS)
    assert (listed.size, listed.price, listed.fees, listed.side) == (
        fill.size,
        fill.price,
        fill.fees,
        fill.side,
    )
    assert listed.executed_at == fill.executed_at


def test_account_is_all_that_it_holds() -> None:
    """Holdings are balances, with what orders hold of them."""
    account = {
        "uid": 354937868,
        "balances": [{"asset": "BTC", "free": "1.00000000", "locked": "0.25000000"}],
    }
    state = said().account_state(account, NOW, "USDT")
    assert state.balances["BTC"] == Balance(Decimal("1.25"), Decimal(1), Decimal("0.25"))
    assert (state.account_id, state.base_currency, dict(state.positions)) == ("354937868", "USDT", {})


def test_names_of_orders_that_ended_long_ago_are_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of those that work, and of the latest that ended, the name is known, whatever bears it later."""
    monkeypatch.setattr("alphaweave_broker_binance.translator._ENDED_KEPT", 2)
    translator = said()
    told(translator, i=1)
    for number in (2, 3, 4, 4):
        told(translator, i=number)
        told(translator, i=number, x="CANCELED", X="CANCELED", c="the-cancels", C=OURS)
    known = [number for number in range(1, 6) if translator.is_known(f"BTCUSDT:{number}")]
    assert known == [1, 3, 4]
    found = {"symbol": "BTCUSDT", "orderId": 5, "clientOrderId": OURS, "side": "BUY", "type": "MARKET"}
    figures = {"executedQty": "1", "origQty": "1", "cummulativeQuoteQty": "5", "status": "FILLED"}
    translator.order({**found, **figures}, NOW)
    known = [number for number in range(1, 6) if translator.is_known(f"BTCUSDT:{number}")]
    assert known == [1, 4, 5]
