"""Orders and questions, at a venue that answers by a script."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

import pytest

from alphaweave.core.errors import BrokerUnavailable, CancelRejected, OutcomeUnknown, Unsupported
from alphaweave.core.instrument import Instrument
from alphaweave.core.order import OrderChange, OrderRef, OrderRequest, OrderType, Side
from alphaweave.live.adapters.base import Services
from alphaweave.live.broker import BrokerNotice, OrderUpdate

At = Callable[[Callable[[Any], Awaitable[None]]], None]
REF = OrderRef(f"awabcde-{1:022d}", "SPY")
ASSET = {
    "id": "0b1e0d1c-7a6b-4c0f-9d8e-1f2a3b4c5d6e",
    "class": "us_equity",
    "symbol": "SPY",
    "status": "active",
    "tradable": True,
    "shortable": True,
    "fractionable": False,
}


def order(**changes: Any) -> dict[str, Any]:
    """An order as Alpaca answers it."""
    told = {
        "id": "b1",
        "client_order_id": REF.client_order_id,
        "symbol": "SPY",
        "side": "buy",
        "type": "limit",
        "time_in_force": "day",
        "qty": "2",
        "filled_qty": "0",
        "status": "new",
        "submitted_at": "2026-10-08T15:10:18.094153596Z",
    }
    return told | changes


def limit(price: str = "86.10", size: str = "2") -> OrderRequest:
    return OrderRequest("SPY", Side.BUY, Decimal(size), type=OrderType.LIMIT, limit_price=Decimal(price))


def test_an_order_has_texts_for_numbers_on_the_wire(at_venue: At) -> None:
    """Alpaca's library makes floats of them, and `1e-08` of a small one."""

    async def scenario(venue: Any) -> None:
        venue.answers["POST", "/v2/orders"] = (200, order())
        adapter = venue.adapter()
        await adapter.connect()
        ack = await adapter.submit_order(REF, limit("86.10", "0.00000001"))
        assert ack.ref.broker_order_id == "b1"
        assert venue.asked[-1][2] == {
            "symbol": "SPY",
            "side": "buy",
            "type": "limit",
            "time_in_force": "day",
            "client_order_id": REF.client_order_id,
            "qty": "0.00000001",
            "limit_price": "86.1",
        }

    at_venue(scenario)


@pytest.mark.parametrize("code", [42210000, 40010001])
def test_an_id_that_was_used_before_proves_that_the_order_arrived(at_venue: At, code: int) -> None:
    """What Alpaca's library answers after it sent an order twice is no refusal."""

    async def scenario(venue: Any) -> None:
        said = {"code": code, "message": "client_order_id must be unique"}
        venue.answers["POST", "/v2/orders"] = (422, said)
        venue.answers["GET", "/v2/orders:by_client_order_id"] = (200, order())
        adapter = venue.adapter()
        await adapter.connect()
        with pytest.raises(OutcomeUnknown):
            await adapter.submit_order(REF, limit())
        found = await adapter.get_order(REF)
        assert found is not None
        assert found.ref.broker_order_id == "b1"

    at_venue(scenario)


@pytest.mark.parametrize("status", [302, 307])
def test_a_redirect_of_an_order_is_no_answer(at_venue: At, status: int) -> None:
    """Alpaca's library takes one without a body for a success."""

    async def scenario(venue: Any) -> None:
        venue.answers["POST", "/v2/orders"] = (status, None)
        venue.answers["DELETE", "/v2/orders/b1"] = (status, None)
        adapter = venue.adapter()
        await adapter.connect()
        with pytest.raises(OutcomeUnknown, match="redirect"):
            await adapter.submit_order(REF, limit())
        with pytest.raises(OutcomeUnknown, match="redirect"):
            await adapter.cancel_order(OrderRef(REF.client_order_id, "SPY", "b1"))

    at_venue(scenario)


def test_an_amount_of_a_stock_that_is_sold_whole_is_refused_unsent(at_venue: At) -> None:
    """Alpaca would refuse it; what is known beforehand costs no request."""

    async def scenario(venue: Any) -> None:
        venue.answers["GET", "/v2/assets/SPY"] = (200, ASSET)
        adapter = venue.adapter()
        await adapter.connect()
        by_amount = OrderRequest("SPY", Side.BUY, quote_quantity=Decimal(100))
        adapter.prepare(by_amount, [REF])
        await adapter.get_instruments(["SPY"])
        asked = len(venue.asked)
        with pytest.raises(Unsupported, match="not traded in fractions"):
            adapter.prepare(by_amount, [REF])
        adapter.prepare(OrderRequest("SPY", Side.BUY, Decimal(3)), [REF])
        assert len(venue.asked) == asked

    at_venue(scenario)


def test_rules_of_the_config_count_until_the_broker_s_are_known(at_venue: At) -> None:
    """A run knows its instruments before the first question."""

    async def scenario(venue: Any) -> None:
        whole = Instrument(symbol="SPY", venue_symbol="SPY", fractional=False)
        adapter = venue.adapter(Services(symbols=("SPY",), instruments={"SPY": whole}))
        with pytest.raises(Unsupported, match="not traded in fractions"):
            adapter.prepare(OrderRequest("SPY", Side.BUY, quote_quantity=Decimal(100)), [REF])

    at_venue(scenario)


def test_a_replacement_is_a_cancel_and_a_new_order(at_venue: At) -> None:
    """Alpaca's library replaces whole units only, and whether a total counts what is filled nobody says."""

    async def scenario(venue: Any) -> None:
        adapter = venue.adapter()
        await adapter.connect()
        asked = len(venue.asked)
        change = OrderChange(quantity=Decimal("1.5"))
        with pytest.raises(Unsupported):
            adapter.prepare(change, [REF], REF)
        with pytest.raises(Unsupported):
            await adapter.replace_order(REF, REF, change)
        assert len(venue.asked) == asked

    at_venue(scenario)


def test_an_asset_lacks_what_alpaca_takes_away(at_venue: At) -> None:
    """Alpaca's library demands fields that are deprecated, and knows no word of tomorrow."""

    async def scenario(venue: Any) -> None:
        venue.answers["GET", "/v2/assets/SPY"] = (200, ASSET | {"exchange": "OF_TOMORROW"})
        adapter = venue.adapter()
        await adapter.connect()
        rules = await adapter.get_instruments(["SPY"])
        assert rules["SPY"].size_step == 1

    at_venue(scenario)


def test_many_symbols_cost_a_request_for_each_kind_of_asset(at_venue: At) -> None:
    """A request for each would spend the limit of questions before the run has begun."""

    async def scenario(venue: Any) -> None:
        names = [f"S{number}" for number in range(300)]
        venue.answers["GET", "/v2/assets"] = (200, [ASSET | {"symbol": name} for name in (*names, "GONE")])
        gone = ASSET | {"symbol": "OLD", "status": "inactive"}
        venue.answers["GET", "/v2/assets/OLD"] = (200, gone)
        missing = {"code": 40410000, "message": "asset not found for NONE"}
        venue.answers["GET", "/v2/assets/NONE"] = (404, missing)
        adapter = venue.adapter()
        await adapter.connect()
        before = len(venue.asked)
        rules = await adapter.get_instruments([*names, "OLD", "NONE"])
        asked = venue.asked[before:]
        query = {"status": "active", "asset_class": "us_equity"}
        assert asked[0] == ("GET", "/v2/assets", query)
        assert [path for _, path, _ in asked[1:]] == ["/v2/assets/OLD", "/v2/assets/NONE"]
        assert set(rules) == {*names, "OLD"}
        assert rules["S299"].tradable
        assert not rules["OLD"].tradable

    at_venue(scenario)


def test_a_cancel_by_our_own_name_does_not_wait_for_questions(at_venue: At) -> None:
    """Of an order whose answer is lost the id is not known, and questions may have spent their share."""

    async def scenario(venue: Any) -> None:
        venue.answers["GET", "/v2/orders:by_client_order_id"] = (200, order())
        venue.answers["DELETE", "/v2/orders/b1"] = (204, None)
        adapter = venue.adapter(requests=10)
        await adapter.connect()
        asked = await asyncio.gather(*(adapter.get_order(REF) for _ in range(10)), return_exceptions=True)
        assert isinstance(asked[-1], BrokerUnavailable)
        await adapter.cancel_order(REF)
        assert venue.asked[-1][:2] == ("DELETE", "/v2/orders/b1")

    at_venue(scenario)


def test_an_asset_under_another_name_is_none(at_venue: At) -> None:
    """Alpaca knows BTC/USD as BTCUSD too, and what it tells of it would be of a symbol that nobody trades."""

    async def scenario(venue: Any) -> None:
        venue.answers["GET", "/v2/assets/BTCUSD"] = (200, ASSET | {"class": "crypto", "symbol": "BTC/USD"})
        adapter = venue.adapter()
        await adapter.connect()
        assert await adapter.get_instruments(["BTCUSD"]) == {}

    at_venue(scenario)


def test_an_order_in_several_options_is_its_legs(at_venue: At) -> None:
    """Somebody trades them in the same account: they have no symbol and no side, and disturb nothing."""

    async def scenario(venue: Any) -> None:
        legs = [order(id=f"l{n}", symbol=f"SPY26C{n}", client_order_id="", type="market") for n in (1, 2)]
        several = order(id="m", order_class="mleg", symbol="", side="", client_order_id="theirs", legs=legs)
        venue.answers["GET", "/v2/orders"] = (200, [several])
        adapter = venue.adapter()
        await adapter.connect()
        found = await adapter.get_open_orders()
        assert [(one.ref.symbol, one.foreign) for one in found] == [("SPY26C1", True), ("SPY26C2", True)]
        await venue.tell({"stream": "trade_updates", "data": {"event": "new", "order": several}})
        await venue.tell({"stream": "trade_updates", "data": {"event": "new", "order": order()}})
        await venue.until(lambda: bool(venue.told(OrderUpdate)), "the event of another order")
        assert venue.told(BrokerNotice) == []

    at_venue(scenario)


def test_an_order_has_any_status_and_no_times(at_venue: At) -> None:
    """Alpaca's library has a closed list, and times that must not be missing."""

    async def scenario(venue: Any) -> None:
        id_ = "9c3e6f5a-1b2d-4e8f-a7c6-5d4e3f2a1b0c"
        told = order(id=id_, status="of_tomorrow", submitted_at=None, created_at=None, updated_at=None)
        venue.answers["GET", f"/v2/orders/{id_}"] = (200, told)
        adapter = venue.adapter()
        await adapter.connect()
        found = await adapter.get_order(OrderRef(REF.client_order_id, "SPY", id_))
        assert found is not None
        assert not found.status.terminal

    at_venue(scenario)


def test_open_orders_are_asked_for_in_the_words_of_the_interface(at_venue: At) -> None:
    """A truth is `false`: Alpaca's library writes Python's."""

    async def scenario(venue: Any) -> None:
        venue.answers["GET", "/v2/orders"] = (200, [order(legs=None)])
        adapter = venue.adapter()
        await adapter.connect()
        assert len(await adapter.get_open_orders(["SPY"])) == 1
        query = venue.asked[-1][2]
        assert (query["nested"], query["status"], query["symbols"]) == ("false", "open", "SPY")

    at_venue(scenario)


def test_orders_in_crypto_are_picked_out_here(at_venue: At) -> None:
    """By which of its two names a pair is asked for is not known; the others are left out all the same."""

    async def scenario(venue: Any) -> None:
        venue.answers["GET", "/v2/orders"] = (200, [order(id="b1"), order(id="b2", symbol="BTC/USD")])
        adapter = venue.adapter(Services(symbols=("SPY", "BTC"), names={"BTC": "BTC/USD"}))
        await adapter.connect()
        (found,) = await adapter.get_open_orders(["BTC"])
        assert (found.ref.symbol, found.ref.broker_order_id) == ("BTC", "b2")
        assert "symbols" not in venue.asked[-1][2]

    at_venue(scenario)


def test_orders_of_one_instant_are_on_both_pages(at_venue: At) -> None:
    """`after` means later than: the next page begins a little before the last order."""

    async def scenario(venue: Any) -> None:
        venue.answers["GET", "/v2/orders"] = (200, [order(id=f"b{number}") for number in range(500)])
        adapter = venue.adapter()
        await adapter.connect()
        assert len(await adapter.get_open_orders()) == 500
        queries = [query for _, path, query in venue.asked if path == "/v2/orders"]
        assert [query.get("after") for query in queries] == [None, "2026-10-08T15:10:18.093153Z"]

    at_venue(scenario)


def test_one_order_that_has_ended_keeps_no_other_from_being_cancelled(at_venue: At) -> None:
    """All are asked to end, and then it is told that one was not."""

    async def scenario(venue: Any) -> None:
        venue.answers["GET", "/v2/orders"] = (200, [order(id="b1"), order(id="b2"), order(id="b3")])
        ended = {"code": 42210000, "message": 'order is already in "filled" state'}
        venue.answers["DELETE", "/v2/orders/b1"] = (422, ended)
        venue.answers["DELETE", "/v2/orders/b2"] = venue.answers["DELETE", "/v2/orders/b3"] = (204, None)
        adapter = venue.adapter()
        await adapter.connect()
        with pytest.raises(CancelRejected, match="filled"):
            await adapter.cancel_all(["SPY"])
        asked = [path for method, path, _ in venue.asked if method == "DELETE"]
        assert asked == [f"/v2/orders/b{number}" for number in (1, 2, 3)]

    at_venue(scenario)


@pytest.mark.parametrize("body", ["<html>", "[]", "{}", None], ids=str)
def test_an_answer_of_another_form_is_no_answer(at_venue: At, body: str | None) -> None:
    """A question is not answered by it, and what became of an order is not known."""

    async def scenario(venue: Any) -> None:
        for key in (("POST", "/v2/orders"), ("GET", "/v2/orders/b1")):
            venue.answers[key] = (200, body)
        adapter = venue.adapter()
        await adapter.connect()
        with pytest.raises(OutcomeUnknown):
            await adapter.submit_order(REF, limit())
        with pytest.raises(BrokerUnavailable):
            await adapter.get_order(OrderRef(REF.client_order_id, "SPY", "b1"))

    at_venue(scenario)
