"""Orders that Alpaca refuses are refused here, with its bodies."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

SUB_PENNY = "sub-penny increment does not fulfill minimum pricing criteria"


def market(**changes: Any) -> dict[str, Any]:
    """The body of a market order."""
    return {"symbol": "KO", "qty": "1", "side": "buy", "type": "market", "time_in_force": "day", **changes}


def limit(**changes: Any) -> dict[str, Any]:
    """The body of a limit order that rests."""
    return market(**{"type": "limit", "limit_price": "50", **changes})


def bracket(**changes: Any) -> dict[str, Any]:
    """The body of a bracket that rests."""
    exits = {"take_profit": {"limit_price": "60"}, "stop_loss": {"stop_price": "40"}}
    return limit(**{"order_class": "bracket", **exits, **changes})


FORBIDDEN, INVALID, MALFORMED = (403, 40310000), (422, 42210000), (422, 40010001)
REFUSALS: tuple[tuple[str, dict[str, Any], tuple[int, int], str], ...] = (
    ("sub-penny", limit(limit_price="290.123"), INVALID, f"invalid limit_price 290.123. {SUB_PENNY}"),
    ("sub-sub-penny", limit(limit_price="0.50005"), INVALID, f"invalid limit_price 0.50005. {SUB_PENNY}"),
    ("unknown symbol", market(symbol="NONE"), INVALID, 'asset "NONE" not found'),
    ("fraction gtc", limit(qty="0.5", time_in_force="gtc"), INVALID, "fractional orders must be DAY orders"),
    ("fraction bracket", bracket(qty="0.5"), INVALID, "fractional orders must be simple orders"),
    ("fraction short", market(qty="0.5", side="sell"), INVALID, "fractional orders cannot be sold short"),
    ("fraction of a whole", market(qty="0.5", symbol="NVR"), FORBIDDEN, 'asset "NVR" is not fractionable'),
    (
        "small notional",
        market(qty=None, notional="0.5"),
        FORBIDDEN,
        "cost basis must be >= minimal amount of order 1",
    ),
    ("no short", market(symbol="GME", side="sell"), INVALID, 'asset "GME" cannot be sold short'),
    ("type", market(type="iceberg"), MALFORMED, "invalid order type"),
    (
        "id",
        market(client_order_id="x" * 129),
        MALFORMED,
        "client_order_id must be no more than 128 characters",
    ),
    ("both sizes", market(notional="5"), MALFORMED, "exactly one of qty or notional is required"),
    (
        "ioc stop",
        market(type="stop", stop_price="70", time_in_force="ioc"),
        INVALID,
        "ioc orders must be market or limit orders",
    ),
    (
        "extended market",
        market(extended_hours=True),
        INVALID,
        "extended hours order must be DAY or GTC limit orders",
    ),
    ("opg late", market(time_in_force="opg"), INVALID, "opg orders are not accepted at this time"),
    (
        "bracket exits",
        bracket(stop_loss={"stop_price": "61"}),
        INVALID,
        "take_profit.limit_price must be > stop_loss.stop_price",
    ),
    (
        "bracket base",
        bracket(stop_loss={"stop_price": "50"}),
        INVALID,
        "stop_loss.stop_price must be <= base_price - 0.01",
    ),
    ("bracket ioc", bracket(time_in_force="ioc"), INVALID, "bracket orders must be DAY or GTC orders"),
    (
        "oto without",
        limit(order_class="oto"),
        MALFORMED,
        "oto orders require either take_profit or stop_loss",
    ),
    ("crypto day", market(symbol="BTC/USD"), INVALID, "invalid crypto time_in_force"),
    (
        "crypto stop",
        market(symbol="BTC/USD", time_in_force="gtc", type="stop", stop_price="1"),
        MALFORMED,
        "invalid order type for crypto order",
    ),
    (
        "crypto short",
        market(symbol="BTC/USD", time_in_force="gtc", side="sell"),
        FORBIDDEN,
        "insufficient balance for BTC (requested: 1, available: 0)",
    ),
    ("no money", limit(qty="1000000"), FORBIDDEN, "insufficient buying power"),
)


@pytest.mark.parametrize(
    ("sent", "code", "message"), [row[1:] for row in REFUSALS], ids=[row[0] for row in REFUSALS]
)
def test_order_against_a_rule_is_refused(
    at_sandbox: Callable[..., None], sent: dict[str, Any], code: tuple[int, int], message: str
) -> None:
    """Each rule answers with its status, code and message, and makes no order."""

    async def scenario(site: Any) -> None:
        await site.venue.set_price("PART", Decimal(60))
        await site.venue.set_price("BTC/USD", Decimal(90000))
        error = await site.refused(site.trading().post, "/orders", sent)
        assert (error.status_code, error.code) == code
        assert error.message == message
        assert site.venue.truth().orders == ()

    at_sandbox(scenario)


def test_refusals_bear_their_context(at_sandbox: Callable[..., None]) -> None:
    """Missing money and missing shares are told with the figures."""

    async def scenario(site: Any) -> None:
        client = site.trading()
        await site.venue.set_price("PART", Decimal(60))
        error = await site.refused(client.post, "/orders", market(qty="7"))
        assert json.loads(str(error)) == {
            "code": 40310000,
            "message": "insufficient buying power",
            "buying_power": "400",
            "cost_basis": "420",
        }
        await site.call(client.post, "/orders", market())
        working = await site.call(client.post, "/orders", limit(side="sell", limit_price="70"))
        error = await site.refused(client.post, "/orders", limit(side="sell", limit_price="71"))
        assert json.loads(str(error)) == {
            "code": 40310000,
            "message": "insufficient qty available for order (requested: 1, available: 0)",
            "available": "0",
            "existing_qty": "1",
            "held_for_orders": "1",
            "symbol": "KO",
            "related_orders": [working["id"]],
        }

    at_sandbox(scenario, cash=Decimal(100))


def test_client_order_id_is_unique_for_ever(at_sandbox: Callable[..., None]) -> None:
    """A second use is refused: with one code while the first order lives, with another after it ended."""

    async def scenario(site: Any) -> None:
        client = site.trading()
        sent = await site.call(client.post, "/orders", limit(client_order_id="one"))
        live = await site.refused(client.post, "/orders", limit(client_order_id="one"))
        await site.call(client.cancel_order_by_id, sent["id"])
        ended = await site.refused(client.post, "/orders", limit(client_order_id="one"))
        assert {live.message, ended.message} == {"client_order_id must be unique"}
        assert [(one.status_code, one.code) for one in (live, ended)] == [INVALID, MALFORMED]

    at_sandbox(scenario)


def test_refused_order_uses_no_id_up(at_sandbox: Callable[..., None]) -> None:
    """The id of an order that was refused at once is free, and nothing is found under it."""

    async def scenario(site: Any) -> None:
        client = site.trading()
        await site.refused(client.post, "/orders", limit(client_order_id="one", limit_price="1.001"))
        error = await site.refused(client.get_order_by_client_id, "one")
        assert (error.status_code, error.code, error.message) == (404, 40410000, "order not found for one")
        await site.call(client.post, "/orders", limit(client_order_id="one"))

    at_sandbox(scenario)


def test_trade_with_oneself_is_refused(at_sandbox: Callable[..., None]) -> None:
    """An order that would meet the account's own resting one is refused, naming it; a bracket is not."""

    async def scenario(site: Any) -> None:
        client = site.trading()
        await site.venue.set_price("PART", Decimal(60))
        await site.call(client.post, "/orders", market())
        resting = await site.call(client.post, "/orders", limit())
        error = await site.refused(client.post, "/orders", market(side="sell"))
        assert json.loads(str(error)) == {
            "code": 40310000,
            "existing_order_id": resting["id"],
            "message": "potential wash trade detected. use complex orders",
            "reject_reason": "opposite side limit order exists",
        }
        await site.call(client.post, "/orders", limit(side="sell", limit_price="61"))

    at_sandbox(scenario)


def test_replacement_has_rules_of_its_own(at_sandbox: Callable[..., None]) -> None:
    """Nothing changed, less than is filled, a status that forbids it: each is refused in its words."""

    async def scenario(site: Any) -> None:
        client = site.trading()
        order = await site.call(client.post, "/orders", limit(qty="4", client_order_id="one"))
        path = f"/orders/{order['id']}"
        await site.venue.fill("one", Decimal(2))
        told = [
            (await site.refused(client.patch, path, change)).message
            for change in ({"qty": "4", "limit_price": "50.00"}, {"qty": "2"}, {"qty": "3.5"})
        ]
        assert told == [
            "order parameters are not changed",
            "qty must be > filled_qty",
            "qty of fractional orders cannot be replaced",
        ]
        await site.venue.fill("one")
        error = await site.refused(client.patch, path, {"qty": "5"})
        assert (error.status_code, error.message) == (422, "cannot replace order in filled status")

    at_sandbox(scenario)


def test_wrong_keys_are_refused(at_sandbox: Callable[..., None]) -> None:
    """The body has no code, which the client library stumbles over."""

    async def scenario(site: Any) -> None:
        error = await site.refused(site.trading(secret="wrong").get_account)
        assert (error.status_code, str(error)) == (401, '{"message": "unauthorized."}')

    at_sandbox(scenario)


def test_quota_is_told_and_kept(at_sandbox: Callable[..., None]) -> None:
    """Every answer bears the budget; what is beyond it is 429, until the window of venue time is over."""

    async def scenario(site: Any) -> None:
        client = site.trading()
        client._retry = 0
        heads: list[dict[str, str]] = []
        client._session.hooks["response"] = lambda answer, **_: heads.append(dict(answer.headers))
        for _ in range(3):
            await site.call(client.get_clock)
        assert [head["X-RateLimit-Remaining"] for head in heads] == ["2", "1", "0"]
        assert {head["X-RateLimit-Limit"] for head in heads} == {"3"}
        reset = int(heads[0]["X-RateLimit-Reset"])
        assert 0 < reset - site.venue.now().timestamp() <= 60
        error = await site.refused(client.get_clock)
        assert (error.status_code, error.code, error.message) == (429, 42910000, "rate limit exceeded")
        site.venue.clock.advance(60)
        await site.call(client.get_clock)

    at_sandbox(scenario, quota=3)


def test_body_that_is_no_json_is_refused(at_sandbox: Callable[..., None]) -> None:
    """It is answered with 400, and counted like any other request."""

    async def scenario(site: Any) -> None:
        client = site.trading()

        def post() -> Any:
            keys = client._get_auth_headers()
            return client._session.post(
                f"{site.venue.options()['trading_url']}/v2/orders", data="{", headers=keys
            )

        answer = await site.call(post)
        assert (answer.status_code, answer.json()["code"]) == (400, 40010000)
        assert len(site.venue.requests) == 1

    at_sandbox(scenario)
