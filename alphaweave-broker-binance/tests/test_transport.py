"""Requests over REST: once, in time, within the limits, and by Binance's clock."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlencode

import pytest
from requests.adapters import HTTPAdapter

from alphaweave.live.adapters.rate_budget import Use
from alphaweave.live.adapters.timer import LoopTimer, ManualTimer, Timer
from alphaweave_broker_binance.signing import Keys
from alphaweave_broker_binance.transport import Call, NoAnswer, Refused, Transport, Unsent

At = Callable[[Callable[[Any], Awaitable[None]]], None]
PATH = "/api/v3/order"
POST = Call(Use.ORDER, "POST", PATH, {"symbol": "BTCUSDT", "quantity": "0.0000001"}, orders=1)
DELETE = Call(Use.CANCEL, "DELETE", PATH, {"symbol": "BTCUSDT"})
GET = Call(Use.QUERY, "GET", PATH, {"symbol": "BTCUSDT"}, 4)
OFF_CLOCK = {"code": -1021, "msg": "Timestamp for this request is outside of the recvWindow."}


def transport(venue: Any, timer: Timer | None = None, **changes: Any) -> Transport:
    options = venue.options(**changes)
    return Transport(options, Keys(options), timer or LoopTimer())


def scenario_of(at_venue: At, steps: Callable[[Any, Transport], Awaitable[None]], **changes: Any) -> None:
    async def scenario(venue: Any) -> None:
        one = transport(venue, **changes)
        try:
            await steps(venue, one)
        finally:
            one.close()

    at_venue(scenario)


def test_request_is_signed_as_it_is_sent(at_venue: At) -> None:
    """The query is sent as it was signed, with the time and the window, and no number has an exponent."""

    async def steps(venue: Any, one: Transport) -> None:
        venue.answers["POST", PATH] = (200, {"orderId": 1})
        assert await one.call(POST) == {"orderId": 1}
        (sent,) = venue.params("POST", PATH)
        assert sent["quantity"] == "0.0000001"
        assert sent["recvWindow"] == "5000"
        query = urlencode({name: value for name, value in sent.items() if name != "signature"})
        assert sent["signature"] == Keys(venue.options()).signature(query)

    scenario_of(at_venue, steps)


@pytest.mark.parametrize("call", [POST, DELETE, GET])
@pytest.mark.parametrize("status", [500, 503, 504])
def test_failure_of_the_server_is_told_once_with_its_code(at_venue: At, call: Call, status: int) -> None:
    """Nothing is sent again, and what the body says is not lost."""

    async def steps(venue: Any, one: Transport) -> None:
        body = {"code": -1007, "msg": "Timeout waiting for response from backend server."}
        venue.answers[call.method, PATH] = (status, body)
        with pytest.raises(Refused) as told:
            await one.call(call)
        assert (told.value.status, told.value.code) == (status, "-1007")
        assert len(venue.asked) == 1

    scenario_of(at_venue, steps)


def test_answer_of_409_keeps_its_code(at_venue: At) -> None:
    """The library has no class for it and drops what it says."""

    async def steps(venue: Any, one: Transport) -> None:
        venue.answers["POST", PATH] = (409, {"code": -2021, "msg": "Order cancel-replace partially failed."})
        with pytest.raises(Refused) as told:
            await one.call(POST)
        assert (told.value.status, told.value.code) == (409, "-2021")

    scenario_of(at_venue, steps)


def test_page_that_is_not_binances_has_no_code(at_venue: At) -> None:
    """What a firewall answers is not Binance's word, whatever it calls its form."""

    async def steps(venue: Any, one: Transport) -> None:
        venue.answers["POST", PATH] = (403, "<html>", {"Content-Type": "application/json"})
        with pytest.raises(Refused) as told:
            await one.call(POST)
        assert (told.value.status, told.value.code, told.value.text) == (403, None, "")
        venue.answers["POST", PATH] = (200, "<html>")
        with pytest.raises(NoAnswer, match="no JSON"):
            await one.call(POST)

    scenario_of(at_venue, steps)


def test_request_without_an_answer_in_time_is_unknown(at_venue: At) -> None:
    """A byte left, so that nobody knows."""

    async def steps(venue: Any, one: Transport) -> None:
        venue.holding = asyncio.Event()
        with pytest.raises(NoAnswer):
            await one.call(POST)
        assert len(venue.asked) == 1

    scenario_of(at_venue, steps, timeout=0.2)


def test_time_limit_is_of_the_whole_request(at_venue: At) -> None:
    """Whatever else is waited for by then."""

    async def scenario(venue: Any) -> None:
        timer = ManualTimer()
        one = transport(venue, timer)
        venue.holding = asyncio.Event()
        asking = asyncio.create_task(one.call(POST))
        await venue.until(lambda: venue.asked, "the request")
        await timer.asleep()
        timer.advance(10)
        try:
            with pytest.raises(NoAnswer, match="no answer within 10 s"):
                await asyncio.wait_for(asking, 5)
        finally:
            one.close()

    at_venue(scenario)


def test_library_waits_as_long_as_the_options_say(at_venue: At, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own limit is a second, after which nobody knows what became of an order."""
    limits: list[Any] = []
    send = HTTPAdapter.send

    def noting(adapter: HTTPAdapter, request: Any, **how: Any) -> Any:
        limits.append(how["timeout"])
        return send(adapter, request, **how)

    monkeypatch.setattr(HTTPAdapter, "send", noting)

    async def steps(venue: Any, one: Transport) -> None:
        venue.answers["POST", PATH] = (200, {"orderId": 1})
        await one.call(POST)

    scenario_of(at_venue, steps, timeout=7.0)
    assert limits == [(7.0, 7.0)]


def test_request_that_ran_out_of_time_never_leaves(at_venue: At, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its thread was too slow, and goes on to where it would be written."""
    going = threading.Event()
    stamped = Keys.stamped

    def slowly(keys: Keys, params: Any, timestamp: int) -> Any:
        going.wait(10)
        return stamped(keys, params, timestamp)

    monkeypatch.setattr(Keys, "stamped", slowly)

    async def scenario(venue: Any) -> None:
        timer = ManualTimer()
        one = transport(venue, timer)
        venue.answers["POST", PATH] = (200, {"orderId": 1})
        asking = asyncio.create_task(one.call(POST))
        await timer.asleep()
        timer.advance(10)
        with pytest.raises(Unsent, match="not sent within 10 s"):
            await asking
        going.set()
        one.close()
        await venue.until(lambda: not any(each.name.startswith("binance-") for each in threading.enumerate()))
        assert venue.asked == []

    at_venue(scenario)


def test_request_that_is_given_up_is_not_sent_later(at_venue: At) -> None:
    """What waited for a thread is withdrawn, and nothing of it leaves when one is free."""

    async def steps(venue: Any, one: Transport) -> None:
        venue.holding = asyncio.Event()
        venue.answers["GET", PATH] = (200, {})
        first = [asyncio.create_task(one.call(GET)) for _ in range(4)]
        await venue.until(lambda: len(venue.asked) == 4, "the first")
        late = asyncio.create_task(one.call(GET))
        await asyncio.sleep(0)
        late.cancel()
        with pytest.raises(asyncio.CancelledError):
            await late
        venue.holding.set()
        await asyncio.gather(*first)
        await one.call(GET)
        assert len(venue.asked) == 5

    scenario_of(at_venue, steps)


def test_nobody_there_means_not_sent(at_venue: At) -> None:
    """Without a connection not a byte left."""

    async def scenario(venue: Any) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
            one = transport(venue, rest_url=f"http://127.0.0.1:{port}")
            try:
                with pytest.raises(Unsent) as told:
                    await one.call(POST)
                # The library's words have the address in them, and so the signature.
                assert "signature" not in str(told.value)
            finally:
                one.close()

    at_venue(scenario)


def test_connection_that_breaks_after_the_request_is_unknown(at_venue: At) -> None:
    """What was written may have arrived."""

    async def scenario(venue: Any) -> None:
        async def drop(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.close()

        server = await asyncio.start_server(drop, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        one = transport(venue, rest_url=f"http://127.0.0.1:{port}")
        try:
            with pytest.raises(NoAnswer):
                await one.call(POST)
        finally:
            one.close()
            server.close()

    at_venue(scenario)


def test_redirect_is_not_followed(at_venue: At) -> None:
    """It would take the key to another host."""

    async def steps(venue: Any, one: Transport) -> None:
        arrived: list[bool] = []

        async def arrive(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            arrived.append(True)
            writer.close()

        elsewhere = await asyncio.start_server(arrive, "127.0.0.1", 0)
        venue.redirect = f"http://127.0.0.1:{elsewhere.sockets[0].getsockname()[1]}/"
        try:
            with pytest.raises(NoAnswer, match="redirect"):
                await one.call(POST)
        finally:
            elsewhere.close()
        assert arrived == []

    scenario_of(at_venue, steps)


@pytest.mark.parametrize("call", [GET, DELETE, POST])
def test_clock_that_is_off_is_set_and_the_request_made_again(at_venue: At, call: Call) -> None:
    """It was refused before it got anywhere, and is signed with the right time."""

    async def steps(venue: Any, one: Transport) -> None:
        await one.get_time()
        venue.ahead = 3_600_000
        venue.answers[call.method, PATH] = [(400, OFF_CLOCK), (200, {})]
        assert await one.call(call) == {}
        before, after = (int(sent["timestamp"]) for sent in venue.params(call.method, PATH))
        assert after - before > 3_500_000
        assert abs(after - venue.now()) < 60_000

    scenario_of(at_venue, steps)


@pytest.mark.parametrize("call", [GET, DELETE, POST])
def test_request_is_made_again_once(at_venue: At, call: Call) -> None:
    """A clock that is still off is somebody else's."""

    async def steps(venue: Any, one: Transport) -> None:
        await one.get_time()
        venue.ahead = 3_600_000
        venue.answers[call.method, PATH] = (400, OFF_CLOCK)
        with pytest.raises(Refused) as told:
            await one.call(call)
        assert told.value.code == "-1021"
        assert len(venue.params(call.method, PATH)) == 2

    scenario_of(at_venue, steps)


def test_order_that_was_late_is_refused_and_not_sent_again(at_venue: At) -> None:
    """The clock was right, so that the order was under way for too long."""

    async def steps(venue: Any, one: Transport) -> None:
        await one.get_time()
        venue.answers["POST", PATH] = (400, OFF_CLOCK)
        with pytest.raises(Refused) as told:
            await one.call(POST)
        assert told.value.code == "-1021"
        assert len(venue.params("POST", PATH)) == 1

    scenario_of(at_venue, steps)


def test_order_is_refused_for_the_clock_even_where_the_time_cannot_be_had(at_venue: At) -> None:
    """That it was refused stays known."""

    async def steps(venue: Any, one: Transport) -> None:
        venue.answers["POST", PATH] = (400, OFF_CLOCK)
        venue.ahead = 3_600_000
        await one.get_time()
        venue.answers["GET", "/api/v3/time"] = (500, "")
        with pytest.raises(Refused) as told:
            await one.call(POST)
        assert told.value.code == "-1021"
        assert len(venue.params("POST", PATH)) == 1

    scenario_of(at_venue, steps)


@pytest.mark.parametrize(
    ("status", "header", "seconds"),
    [(429, {"Retry-After": "7"}, 7), (418, {"Retry-After": "90"}, 90), (418, {}, 120)],
)
def test_too_many_requests_stop_everything_for_as_long_as_it_says(
    at_venue: At, status: int, header: dict[str, str], seconds: float
) -> None:
    """Whoever goes on is banned: an order waits in vain, a question is not asked, nor is a cancel sent."""

    async def steps(venue: Any, one: Transport) -> None:
        body = {"code": -1003, "msg": "Too much request weight used."}
        venue.answers["GET", PATH] = (status, body, header)
        with pytest.raises(Refused) as told:
            await one.call(GET)
        assert told.value.status == status
        for call in (GET, POST, DELETE):
            with pytest.raises(Unsent) as unsent:
                await one.call(call)
            assert unsent.value.retry_after == pytest.approx(seconds, abs=1)
        assert len(venue.asked) == 1

    scenario_of(at_venue, steps, patience=0.5)


def test_too_many_orders_do_not_stop_cancels(at_venue: At) -> None:
    """The count of orders is of the account, and cancels are none."""

    async def steps(venue: Any, one: Transport) -> None:
        body = {"code": -1015, "msg": "Too many new orders; current limit is 50 orders per 10 SECOND."}
        venue.answers["POST", PATH] = (429, body)
        venue.answers["DELETE", PATH] = (200, {})
        with pytest.raises(Refused):
            await one.call(POST)
        with pytest.raises(Unsent):
            await one.call(POST)
        assert await one.call(DELETE) == {}

    scenario_of(at_venue, steps, patience=0.5)


def test_order_waits_for_room_and_a_question_does_not(at_venue: At) -> None:
    """What Binance says was used counts, and time gives it back."""

    async def scenario(venue: Any) -> None:
        timer = ManualTimer()
        one = transport(venue, timer, patience=90.0)
        try:
            venue.answers["GET", PATH] = (200, {}, {"X-MBX-USED-WEIGHT-1M": "5900"})
            venue.answers["POST", PATH] = (200, {"orderId": 1})
            await one.call(GET)
            assert one.used == (5900, 6000)
            with pytest.raises(Unsent, match="limits are spent"):
                await one.call(GET)
            asking = asyncio.create_task(one.call(POST))
            await timer.asleep()
            assert len(venue.params("POST", PATH)) == 0
            timer.advance(61)
            assert await asking == {"orderId": 1}
        finally:
            one.close()

    at_venue(scenario)


def test_weight_that_a_refusal_tells_counts(at_venue: At) -> None:
    """The library drops what its head says."""

    async def steps(venue: Any, one: Transport) -> None:
        venue.answers["POST", PATH] = (400, {"code": -2010, "msg": "x"}, {"X-MBX-USED-WEIGHT-1M": "5900"})
        with pytest.raises(Refused):
            await one.call(POST)
        with pytest.raises(Unsent, match="limits are spent"):
            await one.call(GET)

    scenario_of(at_venue, steps)


def test_neither_key_nor_secret_is_in_a_log_or_an_error(
    at_venue: At, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever is logged of a request, and whatever it ends in."""

    async def steps(venue: Any, one: Transport) -> None:
        venue.answers["POST", PATH] = (400, {"code": -2010, "msg": "Market is closed."})
        with pytest.raises(Refused) as told:
            await one.call(POST)
        shown = f"{told.value!r} {told.value.__cause__!r} {vars(told.value)}"
        assert "of-the-account" not in shown

    with caplog.at_level(logging.DEBUG):
        scenario_of(at_venue, steps)
    assert "of-the-account" not in caplog.text


def test_address_where_nobody_listens_is_named(at_venue: At) -> None:
    """Whoever wrote it there can see what is wrong with it."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    nowhere = f"http://127.0.0.1:{port}"

    async def steps(venue: Any, one: Transport) -> None:
        with pytest.raises(Unsent, match=f"^{nowhere} cannot be reached \\(ConnectionError\\)$"):
            await one.call(GET)

    scenario_of(at_venue, steps, rest_url=nowhere)
