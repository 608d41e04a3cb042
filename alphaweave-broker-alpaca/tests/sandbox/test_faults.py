"""What can go wrong on the way to Alpaca goes wrong here on demand, and the books tell what happened."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
import requests
from alpaca.common.exceptions import APIError

from alphaweave.core.money import Money
from alphaweave.core.order import OrderStatus, Side
from alphaweave.testing.sandbox import Action, Fault

NOTHING_CAME = (requests.ConnectionError, requests.Timeout)


def limit(**changes: Any) -> dict[str, Any]:
    """The body of a limit order that rests."""
    return {
        "symbol": "KO",
        "qty": "2",
        "side": "buy",
        "type": "limit",
        "limit_price": "50",
        "time_in_force": "gtc",
        **changes,
    }


def impatient(site: Any) -> Any:
    """A client that repeats nothing, and waits half a second for an answer."""
    client = site.trading()
    client._retry = 0
    ask = client._session.request
    client._session.request = lambda *words, **named: ask(*words, timeout=0.5, **named)
    return client


FAULTS: tuple[tuple[Fault, type[Exception] | tuple[type[Exception], ...], int | None, bool], ...] = (
    (Fault.REJECT, APIError, 403, False),
    (Fault.DUPLICATE_ID, APIError, 422, False),
    (Fault.THROTTLE, APIError, 429, False),
    (Fault.LOSE_REQUEST, NOTHING_CAME, None, False),
    (Fault.LOSE_ANSWER, NOTHING_CAME, None, True),
    (Fault.HANG_UP, NOTHING_CAME, None, True),
    (Fault.ERROR_BEFORE, APIError, 500, False),
    (Fault.ERROR_AFTER, APIError, 504, True),
    (Fault.GARBLE, requests.JSONDecodeError, None, True),
)


@pytest.mark.parametrize(("fault", "error", "status", "done"), FAULTS, ids=[row[0].value for row in FAULTS])
def test_fault_befalls_one_submission(
    at_sandbox: Callable[..., None], fault: Fault, error: Any, status: int | None, done: bool
) -> None:
    """The order is at the venue or not, as the fault says, and the next one goes through."""

    async def scenario(site: Any) -> None:
        client = impatient(site)
        await site.venue.arm(Action.SUBMIT, fault)
        with pytest.raises(error) as caught:
            await site.call(client.post, "/orders", limit(client_order_id="one"))
        if status is not None:
            assert caught.value.status_code == status
        await site.call(site.trading().post, "/orders", limit(client_order_id="two"))
        ids = [order.client_order_id for order in site.venue.truth().orders]
        assert ids == (["one", "two"] if done else ["two"])
        sent = [one.client_order_ids for one in site.venue.requests if one.action is Action.SUBMIT]
        assert sent == [("one",), ("two",)]

    at_sandbox(scenario)


def test_client_library_repeats_an_order_behind_the_back(at_sandbox: Callable[..., None]) -> None:
    """After an error that came late, the library posts again, and is told that the id is taken."""

    async def scenario(site: Any) -> None:
        client = site.trading()
        client._retry_wait = 0
        await site.venue.arm(Action.SUBMIT, Fault.ERROR_AFTER)
        error = await site.refused(client.post, "/orders", limit(client_order_id="one"))
        assert error.message == "client_order_id must be unique"
        assert len([one for one in site.venue.requests if one.action is Action.SUBMIT]) == 2

    at_sandbox(scenario)


def test_answer_is_held_while_events_are_told(at_sandbox: Callable[..., None]) -> None:
    """An execution can be heard before the answer to its order."""

    async def scenario(site: Any) -> None:
        client = site.trading()
        await site.listen()
        await site.venue.set_price("PART", Decimal(50))
        await site.venue.arm(Action.SUBMIT, Fault.HOLD)
        answer = asyncio.create_task(site.call(client.post, "/orders", limit()))
        await site.until(lambda: len(site.heard) == 3)
        assert not answer.done()
        await site.venue.release_answers()
        assert (await answer)["status"] == "pending_new"

    at_sandbox(scenario)


def test_events_are_repeated_and_turned_around(at_sandbox: Callable[..., None]) -> None:
    """What was held back is told as often as asked, latest first."""

    async def scenario(site: Any) -> None:
        await site.listen()
        await site.venue.set_price("PART", Decimal(50))
        await site.venue.hold_events()
        await site.call(site.trading().post, "/orders", limit())
        assert site.heard == []
        await site.venue.release_events(times=2, backwards=True)
        await site.until(lambda: len(site.heard) == 6)
        events = [one["data"]["event"] for one in site.heard]
        assert events == ["fill", "fill", "new", "new", "pending_new", "pending_new"]
        assert site.heard[0]["data"]["execution_id"] == site.heard[1]["data"]["execution_id"]

    at_sandbox(scenario)


def test_late_fill_changes_an_order_that_was_cancelled(at_sandbox: Callable[..., None]) -> None:
    """The execution counts, and the order stays cancelled."""

    async def scenario(site: Any) -> None:
        client = site.trading()
        await site.listen()
        sent = await site.call(client.post, "/orders", limit(client_order_id="one"))
        await site.call(client.cancel_order_by_id, sent["id"])
        await site.venue.fill("one", Decimal(1))
        await site.until(lambda: site.heard and site.heard[-1]["data"]["event"] == "partial_fill")
        found = await site.call(client.get_order_by_id, sent["id"])
        assert (found["status"], found["filled_qty"]) == ("canceled", "1")
        (order,) = site.venue.truth().orders
        assert (order.status, site.venue.truth().positions) == (OrderStatus.CANCELLED, {"PART": 1})

    at_sandbox(scenario)


def test_dropped_stream_comes_back_without_what_it_missed(at_sandbox: Callable[..., None]) -> None:
    """The library logs in again by itself; the execution in between is in the activities alone."""

    async def scenario(site: Any) -> None:
        stream = await site.listen()
        stream._reconnect_min_backoff = stream._reconnect_max_backoff = 0.05
        client = site.trading()
        await site.call(client.post, "/orders", limit(client_order_id="one"))
        await site.until(lambda: len(site.heard) == 2)
        await site.venue.refuse(True)
        await site.venue.fill("one")
        before = site._asked('"listen"')
        await site.venue.refuse(False)
        await site.until(lambda: site._asked('"listen"') > before)
        (activity,) = await site.call(site.trading().get, "/account/activities/FILL")
        assert activity["cum_qty"] == "2"
        assert len(site.heard) == 2

    at_sandbox(scenario)


@pytest.mark.parametrize("verb", ["drop", "restart"])
def test_venue_remembers_when_connections_end(at_sandbox: Callable[..., None], verb: str) -> None:
    """Orders and ids outlive it, on the same port."""

    async def scenario(site: Any) -> None:
        client, port = site.trading(), site.venue.port
        await site.call(client.post, "/orders", limit(client_order_id="one"))
        await getattr(site.venue, verb)()
        assert site.venue.port == port
        found = await site.call(site.trading().get_order_by_client_id, "one")
        assert found["status"] == "new"

    at_sandbox(scenario)


def test_mute_venue_keeps_the_connection_and_loses_what_is_said(at_sandbox: Callable[..., None]) -> None:
    """No answer, no event, no pong; what was asked meanwhile was not done."""

    async def scenario(site: Any) -> None:
        stream = await site.listen()
        client = impatient(site)
        await site.call(site.trading().post, "/orders", limit(client_order_id="one"))
        await site.until(lambda: len(site.heard) == 2)
        await site.venue.mute(True)
        with pytest.raises(NOTHING_CAME):
            await site.call(client.post, "/orders", limit(client_order_id="two"))
        await site.venue.fill("one")
        pong = await stream._ws.ping()
        done, _ = await asyncio.wait({pong}, timeout=0.1)
        assert not done
        await site.venue.mute(False)
        await (await stream._ws.ping())
        assert len(site.heard) == 2
        assert [order.client_order_id for order in site.venue.truth().orders] == ["one"]

    at_sandbox(scenario)


def test_venue_acts_on_its_own(at_sandbox: Callable[..., None]) -> None:
    """It cancels, expires, halts, moves money and shares; somebody else trades in the account."""

    async def scenario(site: Any) -> None:
        venue, client = site.venue, site.trading()
        for name in ("one", "two"):
            await site.call(client.post, "/orders", limit(client_order_id=name))
        await venue.cancel("one")
        await venue.expire("two")
        await venue.cash_flow(Money("USD", Decimal("-12.5")), "fee")
        await venue.move_position("PART", Decimal(3))
        rests = await venue.foreign_order("AAPL", Side.BUY, Decimal(1), Decimal(90))
        await venue.foreign_trade("PART", Side.SELL, Decimal(1), Decimal(40))
        truth = venue.truth()
        assert [order.status.value for order in truth.orders] == [
            "cancelled",
            "expired",
            "accepted",
            "filled",
        ]
        assert [order.foreign for order in truth.orders] == [False, False, True, True]
        assert truth.balances == {"USD": Decimal("1000027.5")}
        assert truth.positions == {"PART": Decimal(2)}
        assert [order["id"] for order in await site.call(client.get_orders)] == [rests]
        kinds = [one["activity_type"] for one in await site.call(client.get, "/account/activities")]
        assert kinds == ["FILL", "JNLS", "FEE"]
        await venue.halt("PART", True)
        error = await site.refused(client.post, "/orders", limit())
        assert error.message == 'asset "KO" is not tradable'
        assert (await site.call(client.get_asset, "KO"))["tradable"] is False

    at_sandbox(scenario)


def test_executions_come_in_parts_by_chance(at_sandbox: Callable[..., None]) -> None:
    """A share of them is told as a part and the rest."""

    async def scenario(site: Any) -> None:
        await site.listen()
        await site.venue.set_price("PART", Decimal(50))
        await site.call(site.trading().post, "/orders", limit(qty="5"))
        await site.until(lambda: len(site.heard) == 4)
        told = [(one["data"]["event"], one["data"].get("qty")) for one in site.heard[2:]]
        assert told == [("partial_fill", "2"), ("fill", "3")]
        activities = await site.call(site.trading().get, "/account/activities/FILL", {"direction": "asc"})
        assert [(one["cum_qty"], one["leaves_qty"], one["type"]) for one in activities] == [
            ("2", "3", "partial_fill"),
            ("5", "0", "fill"),
        ]

    at_sandbox(scenario, partial_fills=1.0)
