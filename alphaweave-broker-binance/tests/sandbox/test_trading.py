"""Orders over REST and over the WebSocket API: what is answered, what is told, and what the books say."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from alphaweave.core.money import Money
from alphaweave.core.order import OrderStatus

# The client library's own way of calling aiohttp.
OF_THE_SDK = "ignore:parameter 'timeout' of type 'float' is deprecated:DeprecationWarning"


def balances(body: Any) -> dict[str, tuple[str, str]]:
    """Free and locked by asset."""
    return {row["asset"]: (row["free"], row["locked"]) for row in body["balances"]}


@pytest.mark.parametrize("keys", ["hmac", "ed25519"])
def test_sdk_trades_over_rest(at_sandbox: Callable[..., None], keys: str) -> None:
    """Binance's own REST client buys, asks for the order and its trades, and the account has changed."""

    async def scenario(site: Any) -> None:
        await site.venue.set_price("ONE", Decimal(100))
        rest = site.spot().rest_api
        terms = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "2"}
        order = await site.got(rest.new_order, **terms, new_client_order_id="one")
        assert (order["status"], order["executedQty"], order["cummulativeQuoteQty"]) == (
            "FILLED",
            "2.00000000",
            "200.00000000",
        )
        # A thousandth of 200 USDT, at 600 USDT for a BNB, a quarter cheaper.
        assert order["fills"] == [
            {
                "price": "100.00000000",
                "qty": "2.00000000",
                "commission": "0.00025000",
                "commissionAsset": "BNB",
                "tradeId": 2,
            }
        ]
        found = await site.got(rest.get_order, symbol="BTCUSDT", orig_client_order_id="one")
        assert (found["orderId"], found["status"]) == (order["orderId"], "FILLED")
        (trade,) = await site.got(rest.my_trades, symbol="BTCUSDT")
        assert (trade["id"], trade["qty"], trade["commissionAsset"]) == (2, "2.00000000", "BNB")
        account = await site.got(rest.get_account, omit_zero_balances=True)
        assert balances(account) == {
            "BNB": ("9.99975000", "0.00000000"),
            "BTC": ("2.00000000", "0.00000000"),
            "USDT": ("999800.00000000", "0.00000000"),
        }
        truth = site.venue.truth()
        assert truth.balances == {
            "BNB": Decimal("9.99975"),
            "BTC": Decimal(2),
            "USDT": Decimal(999_800),
        }
        (execution,) = truth.executions_of("one")
        assert execution.fees == (Money("BNB", Decimal("0.00025")),)

    at_sandbox(scenario, keys=keys)


@pytest.mark.filterwarnings(OF_THE_SDK)
@pytest.mark.parametrize("keys", ["hmac", "ed25519"])
def test_sdk_trades_over_the_websocket_api(at_sandbox: Callable[..., None], keys: str) -> None:
    """Binance's own WebSocket client places and cancels, and hears of both on the connection."""

    async def scenario(site: Any) -> None:
        connection = await site.spot().websocket_api.create_connection()
        site.closing.append(lambda: connection.close_connection(close_session=True))
        heard: list[Any] = []
        subscribed = await connection.user_data_stream_subscribe_signature()
        subscribed.stream.on("message", lambda event: heard.append(event.actual_instance))
        terms = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "time_in_force": "GTC"}
        placed = await connection.order_place(**terms, quantity="1", price="50", new_client_order_id="mine")
        order = placed.data().result.to_dict()
        assert (order["clientOrderId"], order["status"]) == ("mine", "NEW")
        assert placed.rate_limits
        ended = await connection.order_cancel(symbol="BTCUSDT", orig_client_order_id="mine")
        assert ended.data().result.to_dict()["status"] == "CANCELED"

        def reports() -> list[dict[str, Any]]:
            return [event.to_dict() for event in heard if type(event).__name__ == "ExecutionReport"]

        await site.until(lambda: len(reports()) == 2)
        assert [(one["x"], one["X"]) for one in reports()] == [("NEW", "NEW"), ("CANCELED", "CANCELED")]

    at_sandbox(scenario, keys=keys)


@pytest.mark.filterwarnings(OF_THE_SDK)
def test_ed25519_key_logs_on_and_needs_no_signature_then(at_sandbox: Callable[..., None]) -> None:
    """After `session.logon` the user data and orders are had by the connection itself."""

    async def scenario(site: Any) -> None:
        connection = await site.spot().websocket_api.create_connection()
        site.closing.append(lambda: connection.close_connection(close_session=True))
        session = (await connection.session_logon()).data().result.to_dict()
        assert session["apiKey"] == site.key
        await connection.user_data_stream_subscribe()
        socket = await site.connect()
        told = await socket.ask("session.logon", signed=True)
        assert told["result"]["apiKey"] == site.key
        terms = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC"}
        placed = await socket.ask("order.place", **terms, quantity="1", price="50", timestamp=site.stamp())
        assert placed["result"]["status"] == "NEW"
        await socket.ask("session.logout")
        refused = await socket.ask("order.status", symbol="BTCUSDT", orderId=1, timestamp=site.stamp())
        assert refused["error"]["code"] == -2014

    at_sandbox(scenario, keys="ed25519")


def test_hmac_key_cannot_log_on(at_sandbox: Callable[..., None]) -> None:
    """Only an Ed25519 key can; the other subscribes with a signature, once on a connection."""

    async def scenario(site: Any) -> None:
        socket = await site.listen()
        refused = await socket.ask("session.logon", signed=True)
        assert (refused["status"], refused["error"]["code"]) == (400, -4056)
        again = await socket.ask("userDataStream.subscribe.signature", signed=True)
        assert again["error"]["code"] == -2035
        await socket.ask("userDataStream.unsubscribe")
        assert socket.of("eventStreamTerminated")
        gone = await socket.ask("userDataStream.unsubscribe")
        assert gone["error"]["code"] == -2036
        once_more = await socket.ask("userDataStream.subscribe.signature", signed=True)
        assert once_more["result"] == {"subscriptionId": 1}

    at_sandbox(scenario)


def test_limit_order_binds_what_it_may_cost(at_sandbox: Callable[..., None]) -> None:
    """A buy locks its price, partly filled the rest of it, and nothing once it is cancelled."""

    async def scenario(site: Any) -> None:
        await site.placed(quantity="4", newClientOrderId="one")
        account = site.venue.venue.account
        assert (account.of("USDT").free, account.of("USDT").locked) == (Decimal(999_800), Decimal(200))
        await site.venue.fill("one", Decimal(1), Decimal(40))
        assert (account.of("USDT").free, account.of("USDT").locked) == (Decimal(999_810), Decimal(150))
        reply = await site.ask("DELETE", "/api/v3/order", symbol="BTCUSDT", origClientOrderId="one")
        assert (reply.body["status"], reply.body["executedQty"]) == ("CANCELED", "1.00000000")
        assert (account.of("USDT").free, account.of("USDT").locked) == (Decimal(999_960), Decimal(0))

    at_sandbox(scenario)


def test_cancel_answers_and_reports_with_its_own_id(at_sandbox: Callable[..., None]) -> None:
    """The cancel's id is the client id there, and the order's is the original one."""

    async def scenario(site: Any) -> None:
        socket = await site.listen()
        await site.placed(newClientOrderId="mine")
        reply = await site.ask(
            "DELETE",
            "/api/v3/order",
            symbol="BTCUSDT",
            origClientOrderId="mine",
            newClientOrderId="the-cancel",
        )
        assert (reply.body["origClientOrderId"], reply.body["clientOrderId"]) == ("mine", "the-cancel")
        await site.settled(socket)
        new, gone = socket.of("executionReport")
        assert (new["c"], new["C"], new["x"]) == ("mine", "", "NEW")
        assert (gone["c"], gone["C"], gone["x"], gone["i"]) == ("the-cancel", "mine", "CANCELED", new["i"])
        found = await site.ask("GET", "/api/v3/order", symbol="BTCUSDT", origClientOrderId="mine")
        assert found.body["clientOrderId"] == "mine"

    at_sandbox(scenario)


def test_client_id_is_free_again_once_its_order_has_ended(at_sandbox: Callable[..., None]) -> None:
    """A market order that is sent twice under one id is filled twice."""

    async def scenario(site: Any) -> None:
        await site.venue.set_price("ONE", Decimal(100))
        await site.placed(newClientOrderId="one")
        twice = await site.order(newClientOrderId="one")
        assert twice.refusal == (400, -2010, "Duplicate order sent.")
        market = {"type": "MARKET", "newClientOrderId": "two"}
        first, second = await site.placed(**market), await site.placed(**market)
        assert first["orderId"] != second["orderId"]
        assert site.venue.truth().balances["BTC"] == Decimal(2)
        found = await site.ask("GET", "/api/v3/order", symbol="BTCUSDT", origClientOrderId="two")
        assert found.body["orderId"] == second["orderId"]

    at_sandbox(scenario)


def test_ids_of_two_symbols_overlap(at_sandbox: Callable[..., None]) -> None:
    """Order and trade ids count within a symbol."""

    async def scenario(site: Any) -> None:
        for symbol, pair in (("ONE", "BTCUSDT"), ("TWO", "ETHUSDT")):
            await site.venue.set_price(symbol, Decimal(100))
            await site.placed(symbol=pair, type="MARKET")
        trades = [
            (await site.ask("GET", "/api/v3/myTrades", symbol=pair)).body[0]
            for pair in ("BTCUSDT", "ETHUSDT")
        ]
        assert trades[0]["id"] == trades[1]["id"]
        assert trades[0]["orderId"] == trades[1]["orderId"]
        ids = [order.venue_order_id for order in site.venue.truth().orders]
        assert len(set(ids)) == 2

    at_sandbox(scenario)


def test_commission_is_of_what_a_trade_brings_without_bnb(at_sandbox: Callable[..., None]) -> None:
    """A buy pays in the base asset, a sale in the quote asset, to the last place."""

    async def scenario(site: Any) -> None:
        await site.venue.set_price("ONE", Decimal(100))
        bought = await site.placed(type="MARKET", quantity="0.12345")
        assert bought["fills"][0]["commissionAsset"] == "BTC"
        assert bought["fills"][0]["commission"] == "0.00012345"
        sold = await site.placed(type="MARKET", side="SELL", quantity="0.1")
        assert (sold["fills"][0]["commissionAsset"], sold["fills"][0]["commission"]) == ("USDT", "0.01000000")
        assert site.venue.truth().balances == {
            "BTC": Decimal("0.12345") - Decimal("0.00012345") - Decimal("0.1"),
            "USDT": Decimal(1_000_000) - Decimal("12.345") + Decimal(10) - Decimal("0.01"),
        }

    at_sandbox(scenario, bnb=Decimal(0))


def test_commission_leaves_bnb_when_there_is_too_little(at_sandbox: Callable[..., None]) -> None:
    """The first trade takes the last BNB, the second pays in what it bought."""

    async def scenario(site: Any) -> None:
        await site.venue.set_price("ONE", Decimal(100))
        assets = [
            (await site.placed(type="MARKET", quantity="1"))["fills"][0]["commissionAsset"] for _ in range(2)
        ]
        assert assets == ["BNB", "BTC"]

    at_sandbox(scenario, bnb=Decimal("0.0002"))


def test_market_order_in_quote_currency_buys_whole_steps(at_sandbox: Callable[..., None]) -> None:
    """So much is spent as whole steps cost, and no more."""

    async def scenario(site: Any) -> None:
        await site.venue.set_price("ONE", Decimal(30_000))
        order = await site.placed(type="MARKET", quantity=None, quoteOrderQty="100")
        assert (order["origQty"], order["origQuoteOrderQty"]) == ("0.00333000", "100.00000000")
        assert (order["cummulativeQuoteQty"], order["status"]) == ("99.90000000", "FILLED")

    at_sandbox(scenario)


def test_orders_that_cannot_trade_at_once_expire(at_sandbox: Callable[..., None]) -> None:
    """IOC and FOK orders away from the market end without a trade, and say why."""

    async def scenario(site: Any) -> None:
        await site.venue.set_price("ONE", Decimal(100))
        for tif in ("IOC", "FOK"):
            order = await site.placed(timeInForce=tif)
            assert (order["status"], order["executedQty"]) == ("EXPIRED", "0.00000000")
            assert order["expiryReason"].startswith(f"UNFILLED_{tif}")
        filled = await site.placed(timeInForce="IOC", price="100")
        assert filled["status"] == "FILLED"
        statuses = [order.status for order in site.venue.truth().orders]
        assert statuses == [OrderStatus.EXPIRED, OrderStatus.EXPIRED, OrderStatus.FILLED]

    at_sandbox(scenario)


@pytest.mark.parametrize(
    ("kind", "side", "stop", "prices", "price"),
    [
        ("STOP_LOSS", "SELL", "90", (95, 89), "89.00000000"),
        ("STOP_LOSS", "BUY", "110", (105, 111), "111.00000000"),
        ("TAKE_PROFIT", "SELL", "110", (105, 112), "112.00000000"),
        ("TAKE_PROFIT", "BUY", "90", (95, 88), "88.00000000"),
    ],
)
def test_conditional_order_waits_for_its_side(
    at_sandbox: Callable[..., None], kind: str, side: str, stop: str, prices: tuple[int, int], price: str
) -> None:
    """Nothing happens short of the trigger; beyond it the order trades at the market."""

    async def scenario(site: Any) -> None:
        await site.venue.set_price("ONE", Decimal(100))
        await site.venue.move_position("ONE", Decimal(1))
        placed = await site.placed(type=kind, side=side, stopPrice=stop)
        assert "status" not in placed
        await site.venue.set_price("ONE", Decimal(prices[0]))
        waiting = (await site.ask("GET", "/api/v3/order", symbol="BTCUSDT", orderId=1)).body
        assert (waiting["status"], waiting["isWorking"]) == ("NEW", False)
        await site.venue.set_price("ONE", Decimal(prices[1]))
        (trade,) = (await site.ask("GET", "/api/v3/myTrades", symbol="BTCUSDT")).body
        assert (trade["price"], trade["isMaker"]) == (price, False)

    at_sandbox(scenario)


def test_stop_limit_rests_once_it_is_triggered(at_sandbox: Callable[..., None]) -> None:
    """Triggered where its limit cannot trade, it is in the book, and is filled as a maker."""

    async def scenario(site: Any) -> None:
        socket = await site.listen()
        await site.venue.set_price("ONE", Decimal(100))
        await site.venue.move_position("ONE", Decimal(1))
        terms = {"type": "STOP_LOSS_LIMIT", "side": "SELL", "timeInForce": "GTC"}
        await site.placed(**terms, stopPrice="90", price="89")
        await site.venue.set_price("ONE", Decimal(80))
        (found,) = (await site.ask("GET", "/api/v3/openOrders", symbol="BTCUSDT")).body
        assert (found["isWorking"], found["status"]) == (True, "NEW")
        await site.venue.set_price("ONE", Decimal(95))
        await site.settled(socket)
        reports = socket.of("executionReport")
        assert [(one["x"], one["w"]) for one in reports] == [("NEW", False), ("NEW", True), ("TRADE", False)]
        assert (reports[-1]["L"], reports[-1]["m"]) == ("89.00000000", True)

    at_sandbox(scenario)


def test_trailing_stop_follows_the_best_price(at_sandbox: Callable[..., None]) -> None:
    """Five percent below the highest price it is sold, wherever it began."""

    async def scenario(site: Any) -> None:
        await site.venue.set_price("ONE", Decimal(100))
        await site.venue.move_position("ONE", Decimal(1))
        await site.placed(type="STOP_LOSS", side="SELL", trailingDelta="500")
        for price in (120, 115, 114):
            assert not site.venue.truth().executions
            await site.venue.set_price("ONE", Decimal(price))
        (execution,) = site.venue.truth().executions
        assert execution.price == Decimal(114)

    at_sandbox(scenario)


def test_account_is_told_of_after_each_change(at_sandbox: Callable[..., None]) -> None:
    """Lock, trade and deposit are each followed by what there is now; a deposit by its amount too."""

    async def scenario(site: Any) -> None:
        socket = await site.listen()
        await site.venue.set_price("ONE", Decimal(100))
        await site.placed(price="100", newClientOrderId="one")
        await site.venue.cash_flow(Money("USDT", Decimal("12.5")))
        await site.settled(socket)
        assert [event["e"] for event in socket.events] == [
            "executionReport",
            "outboundAccountPosition",
            "executionReport",
            "outboundAccountPosition",
            "balanceUpdate",
            "outboundAccountPosition",
        ]
        locked, traded, flowed = socket.of("outboundAccountPosition")
        assert locked["B"] == [{"a": "USDT", "f": "999900.00000000", "l": "100.00000000"}]
        assert {row["a"]: row["f"] for row in traded["B"]} == {
            "BTC": "1.00000000",
            "USDT": "999900.00000000",
            "BNB": "9.99987500",
        }
        assert socket.of("balanceUpdate")[0]["d"] == "12.50000000"
        assert flowed["B"] == [{"a": "USDT", "f": "999912.50000000", "l": "0.00000000"}]

    at_sandbox(scenario)


def test_test_order_is_checked_and_not_placed(at_sandbox: Callable[..., None]) -> None:
    """`order/test` answers an empty object, or the refusal, and leaves nothing."""

    async def scenario(site: Any) -> None:
        terms = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "1"}
        good = await site.ask("POST", "/api/v3/order/test", **terms, price="50")
        assert (good.status, good.body) == (200, {})
        bad = await site.ask("POST", "/api/v3/order/test", **terms, price="50.001")
        assert bad.refusal == (400, -1013, "Filter failure: PRICE_FILTER")
        assert not site.venue.truth().orders

    at_sandbox(scenario)


def test_cancel_all_ends_one_symbol(at_sandbox: Callable[..., None]) -> None:
    """Every order of the symbol is cancelled, others are not; with none open it is refused."""

    async def scenario(site: Any) -> None:
        for pair in ("BTCUSDT", "BTCUSDT", "ETHUSDT"):
            await site.placed(symbol=pair)
        gone = await site.ask("DELETE", "/api/v3/openOrders", symbol="BTCUSDT")
        assert [row["status"] for row in gone.body] == ["CANCELED", "CANCELED"]
        left = await site.ask("GET", "/api/v3/openOrders")
        assert [row["symbol"] for row in left.body] == ["ETHUSDT"]
        again = await site.ask("DELETE", "/api/v3/openOrders", symbol="BTCUSDT")
        assert again.refusal == (400, -2011, "Unknown order sent.")

    at_sandbox(scenario)
