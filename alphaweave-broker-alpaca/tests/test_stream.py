"""The event stream and the connection, at a venue that answers by a script."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection

from alphaweave.core.errors import AuthenticationFailed, BrokerUnavailable
from alphaweave.live.adapters.timer import ManualTimer
from alphaweave.live.broker import BrokerFill, BrokerNotice, ConnectionLost, ConnectionRestored, OrderUpdate
from alphaweave_broker_alpaca.sockets import open_socket

At = Callable[[Callable[[Any], Awaitable[None]]], None]
UNAUTHORIZED = {"stream": "authorization", "data": {"status": "unauthorized", "action": "authenticate"}}
AUTHORIZED = {"stream": "authorization", "data": {"status": "authorized", "action": "authenticate"}}


def told(event: str = "fill", **changes: Any) -> dict[str, Any]:
    """A message of the event stream."""
    order = {
        "id": "b1",
        "client_order_id": f"awabcde-{1:022d}",
        "symbol": "SPY",
        "side": "buy",
        "status": "filled",
        "filled_qty": "2",
        "filled_avg_price": "2.5",
    }
    data = {
        "event": event,
        "timestamp": "2026-10-08T15:10:18.094153596Z",
        "price": "2.5",
        "qty": "2",
        "execution_id": "not-a-uuid",
        "order": order,
    }
    return {"stream": "trade_updates", "data": data | changes}


def test_a_redirect_of_the_stream_is_not_followed(at_venue: At) -> None:
    """The keys would go wherever it points."""

    async def scenario(venue: Any) -> None:
        reached: list[str] = []

        async def elsewhere(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            reached.append((await reader.readline()).decode())
            writer.close()

        server = await asyncio.start_server(elsewhere, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        venue.redirect = f"http://127.0.0.1:{port}/stream"
        with pytest.raises(BrokerUnavailable, match="a redirect, which is not followed"):
            await open_socket(f"ws://127.0.0.1:{venue.port}/stream", heartbeat=10.0)
        server.close()
        await server.wait_closed()
        assert reached == []

    at_venue(scenario)


def test_the_socket_is_of_the_library_s_present_client(at_venue: At) -> None:
    """Its old one, which Alpaca's library uses, is deprecated."""

    async def scenario(venue: Any) -> None:
        socket = await open_socket(f"ws://127.0.0.1:{venue.port}/stream", heartbeat=10.0)
        assert isinstance(socket, ClientConnection)
        assert (socket.ping_interval, socket.ping_timeout) == (10.0, 10.0)
        await socket.close()

    at_venue(scenario)


def test_a_mute_stream_is_lost_within_thirty_seconds(at_venue: At) -> None:
    """A socket that is open and says nothing is noticed by the clock; one that answers is left alone."""

    async def scenario(venue: Any) -> None:
        timer = ManualTimer()
        adapter = venue.adapter(timer=timer)
        await adapter.connect()
        for _ in range(6):
            timer.advance(10)
            await venue.until(lambda: adapter._link.heard_at == timer.clock.monotonic(), "an answer")
        assert venue.events == []
        venue.mute = True
        timer.advance(30)
        await venue.until(lambda: bool(venue.told(ConnectionLost)), "the loss")
        assert "silent for 25 s" in venue.events[0].reason

    at_venue(scenario)


@pytest.mark.parametrize("stream", [False, True], ids=["rest", "stream"])
def test_keys_that_are_refused_fail_at_once_and_are_not_tried_again(at_venue: At, stream: bool) -> None:
    """Alpaca's library would try them for ever."""

    async def scenario(venue: Any) -> None:
        if stream:
            venue.login = [UNAUTHORIZED]
        else:
            venue.answers["GET", "/v2/account"] = (401, {"message": "unauthorized."})
        begin = time.monotonic()
        with pytest.raises(AuthenticationFailed):
            await asyncio.wait_for(venue.adapter().connect(), 5)
        assert time.monotonic() - begin < 5
        assert len(venue.asked) == 1
        assert len(venue.said) == (1 if stream else 0)

    at_venue(scenario)


def test_keys_are_proved_before_the_stream_is_opened(at_venue: At) -> None:
    """What the stream says of keys is not enough."""

    async def scenario(venue: Any) -> None:
        venue.answers["GET", "/v2/account"] = (401, {"message": "unauthorized."})
        with pytest.raises(AuthenticationFailed):
            await venue.adapter().connect()
        assert venue.said == []

    at_venue(scenario)


def test_a_venue_that_does_not_answer_is_unavailable_in_time(at_venue: At) -> None:
    """A login without an answer ends by the clock."""

    async def scenario(venue: Any) -> None:
        timer = ManualTimer()
        venue.mute = True
        connecting = asyncio.create_task(venue.adapter(timer=timer).connect())
        await venue.until(lambda: len(venue.said) == 1)
        assert not connecting.done()
        timer.advance(5)
        with pytest.raises(BrokerUnavailable):
            await connecting

    at_venue(scenario)


@pytest.mark.parametrize(
    "odd",
    [
        [],
        "words",
        {"stream": "authorization"},
        {"stream": "authorization", "data": None},
        {"stream": "authorization", "data": ["authorized"]},
        {"stream": ["authorization"], "data": {}},
    ],
    ids=str,
)
def test_a_login_is_what_says_so(at_venue: At, odd: Any) -> None:
    """Anything else that comes before it is passed over."""

    async def scenario(venue: Any) -> None:
        venue.login = [json.dumps(odd), AUTHORIZED]
        await venue.adapter().connect()
        await venue.tell(told())
        await venue.until(lambda: bool(venue.told(BrokerFill)))

    at_venue(scenario)


@pytest.mark.parametrize("frame", [b"\xff\xfe", "not json", b""], ids=["bytes", "text", "empty"])
def test_a_frame_that_is_no_json_ends_the_connection(at_venue: At, frame: Any) -> None:
    """What it said is unknown: the connection is told as lost, and made anew."""

    async def scenario(venue: Any) -> None:
        await venue.adapter().connect()
        await venue.tell(frame)
        await venue.until(lambda: bool(venue.told(ConnectionRestored)))
        assert "a frame that is no JSON" in venue.told(ConnectionLost)[0].reason

    at_venue(scenario)


def test_a_frame_that_is_no_json_is_no_login(at_venue: At) -> None:
    """It is said what came instead."""

    async def scenario(venue: Any) -> None:
        venue.login = [b"<html>"]
        with pytest.raises(BrokerUnavailable, match="no JSON"):
            await venue.adapter().connect()

    at_venue(scenario)


def test_an_event_that_cannot_be_read_is_told_and_asked_for_anew(at_venue: At) -> None:
    """Alpaca's library logs it, and it is lost."""

    async def scenario(venue: Any) -> None:
        await venue.adapter().connect()
        await venue.tell(told(price=None))
        await venue.until(lambda: bool(venue.told(ConnectionRestored)))
        notice, lost = venue.events[0], venue.events[1]
        assert isinstance(notice, BrokerNotice)
        assert notice.code == "unreadable_event"
        assert isinstance(lost, ConnectionLost)

    at_venue(scenario)


@pytest.mark.parametrize("event", ["done_for_day", "order_cancel_rejected", "a_word_of_tomorrow"])
def test_an_event_of_any_kind_and_id_is_told(at_venue: At, event: str) -> None:
    """Words that are new and ids that are no UUID lose nothing."""

    async def scenario(venue: Any) -> None:
        await venue.adapter().connect()
        await venue.tell(told(event))
        await venue.tell(told())
        await venue.until(lambda: bool(venue.told(BrokerFill)))
        assert len(venue.told(OrderUpdate)) == 2
        assert venue.told(BrokerFill)[0].execution_key == "not-a-uuid"
        assert not venue.told(ConnectionLost)

    at_venue(scenario)


def test_a_connection_that_ends_is_told_and_made_anew(at_venue: At) -> None:
    """Alpaca's library tells nobody, and what was missed meanwhile nobody asks for."""

    async def scenario(venue: Any) -> None:
        await venue.adapter().connect()
        await venue.sockets[0].close()
        await venue.until(lambda: bool(venue.told(ConnectionRestored)))
        assert [type(event) for event in venue.events] == [ConnectionLost, ConnectionRestored]

    at_venue(scenario)


def test_a_connection_that_is_cut_off_is_told_in_words(at_venue: At) -> None:
    """As it is in every failure of a network, and not by the name of a library's exception."""

    async def scenario(venue: Any) -> None:
        await venue.adapter().connect()
        await venue.sockets[0].close(code=1011)
        await venue.until(lambda: bool(venue.told(ConnectionRestored)))
        reason = venue.told(ConnectionLost)[0].reason
        assert "Alpaca or the network cut the connection off (WebSocket close code 1011)" in reason

    at_venue(scenario)


def test_a_connection_is_no_thread_and_ends_at_once(at_venue: At) -> None:
    """Alpaca's stream blocks a thread of its own, and takes seconds to stop."""

    async def scenario(venue: Any) -> None:
        before = set(threading.enumerate())
        adapter = venue.adapter()
        await adapter.connect()
        names = {thread.name for thread in set(threading.enumerate()) - before}
        assert all(name.startswith("alpaca-query") for name in names), names
        begin = time.monotonic()
        await adapter.disconnect()
        assert time.monotonic() - begin < 2

    at_venue(scenario)


def test_no_key_is_logged(at_venue: At, caplog: pytest.LogCaptureFixture) -> None:
    """Not even a piece of one, and not even where everything is logged."""

    async def scenario(venue: Any) -> None:
        with caplog.at_level(logging.DEBUG):
            await venue.adapter().connect()

    at_venue(scenario)
    assert "account" in caplog.text
    assert "the-account" not in caplog.text
