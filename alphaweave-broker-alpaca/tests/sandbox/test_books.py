"""Whatever is traded at random, orders, executions, activities, positions and cash tell one story."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from alpaca.common.exceptions import APIError

SYMBOLS = ("KO", "NVR", "BTC/USD")


def some_order(rng: Random, price: Decimal) -> dict[str, Any]:
    """An order that may or may not be taken."""
    symbol, side = rng.choice(SYMBOLS), rng.choice(["buy", "sell"])
    kind = rng.choice(["market", "limit", "stop", "stop_limit", "bracket", "oco"])
    near = str(int(price) + rng.randint(-3, 3))
    body: dict[str, Any] = {"symbol": symbol, "side": side, "qty": str(rng.randint(1, 9)), "type": "limit"}
    body["time_in_force"] = rng.choice(["day", "gtc", "ioc"])
    if kind in {"bracket", "oco"}:
        up, down = str(int(price) + 5), str(int(price) - 5)
        first = side == ("buy" if kind == "bracket" else "sell")
        body["order_class"] = kind
        body["take_profit"] = {"limit_price": up if first else down}
        body["stop_loss"] = {"stop_price": down if first else up}
        return body if kind == "oco" else {**body, "limit_price": near}
    body["type"] = kind
    if kind == "market" and rng.random() < 0.5:
        body["qty"] += f".{rng.randint(1, 9999):04d}"
    if kind in {"limit", "stop_limit"}:
        body["limit_price"] = near
    if kind in {"stop", "stop_limit"}:
        body["stop_price"] = near
    return body


async def trade_at_random(site: Any, client: Any, rng: Random, turns: int) -> int:
    """Orders, cancels and replacements while prices move; how many requests were refused."""
    refused, price = 0, Decimal(100)
    sent: list[str] = []
    for _ in range(turns):
        price = max(Decimal(50), price + rng.randint(-3, 3))
        await site.venue.set_price(rng.choice(SYMBOLS), price + Decimal("0.37"))
        try:
            if sent and rng.random() < 0.2:
                await site.call(client.cancel_order_by_id, rng.choice(sent))
            elif sent and rng.random() < 0.2:
                change = {"qty": str(rng.randint(1, 9))}
                sent.append((await site.call(client.patch, f"/orders/{rng.choice(sent)}", change))["id"])
            else:
                sent.append((await site.call(client.post, "/orders", some_order(rng, price)))["id"])
        except APIError:
            refused += 1
    return refused


@pytest.mark.parametrize("seed", range(3))
def test_books_add_up(at_sandbox: Callable[..., None], seed: int) -> None:
    """Cash and positions follow from the activities, filled sizes from the executions, to the last digit."""

    async def scenario(site: Any) -> None:
        client = site.trading()
        refused = await trade_at_random(site, client, Random(seed), 150)
        assert 0 < refused < 130
        cash, held, done = (
            Decimal(1_000_000),
            defaultdict[str, Decimal](Decimal),
            defaultdict[str, Decimal](Decimal),
        )
        token, ids = "", set()
        while True:
            page = await site.call(
                client.get, "/account/activities/FILL", {"page_size": 20, "page_token": token}
            )
            for one in page:
                size = Decimal(one["qty"]) * (1 if one["side"] == "buy" else -1)
                cash -= size * Decimal(one["price"])
                held[one["symbol"]] += size
                done[one["order_id"]] += abs(size)
                ids.add(one["id"])
            if len(page) < 20:
                break
            token = page[-1]["id"]
        site.venue.venue.settle()
        for one in await site.call(client.get, "/account/activities/CFEE", {"page_size": 100}):
            cash += Decimal(one["net_amount"])
            held["BTC/USD"] += Decimal(one.get("qty", "0"))
            assert one.get("symbol") in {None, "BTCUSD"}
        truth = site.venue.truth()
        assert len(ids) == len(truth.executions) > 10
        assert Decimal((await site.call(client.get_account))["cash"]) == cash == truth.balances["USD"]
        shown = await site.call(client.get_all_positions)
        assert {one["symbol"]: Decimal(one["qty"]) for one in shown} == {
            symbol.replace("/", ""): size for symbol, size in held.items() if size
        }
        orders = await site.call(client.get, "/orders", {"status": "all", "limit": 500})
        before = {order["replaced_by"]: order for order in orders if order["replaced_by"]}
        for order in orders:
            carried = Decimal(before[order["id"]]["filled_qty"]) if order["id"] in before else Decimal(0)
            assert Decimal(order["filled_qty"]) - carried == done[order["id"]]
            assert Decimal(order["filled_qty"]) <= Decimal(order["qty"])
            assert (order["status"] == "filled") == (order["filled_qty"] == order["qty"])

    at_sandbox(scenario, quota=100_000, partial_fills=0.3, seed=seed, fee_delay=0.0)
