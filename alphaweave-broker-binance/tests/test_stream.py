"""The event stream and the connection, at a venue that answers by a script."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosedOK

from alphaweave.core.errors import AuthenticationFailed, BrokerUnavailable
from alphaweave.core.secret import Secret
from alphaweave.live.adapters.base import RunMode, Services
from alphaweave.live.adapters.timer import ManualTimer
from alphaweave.live.broker import (
    BrokerFill,
    BrokerNotice,
    CashFlow,
    ConnectionLost,
    ConnectionRestored,
    OrderUpdate,
)
from alphaweave_broker_binance.settings import BinanceOptions
from alphaweave_broker_binance.signing import Keys
from alphaweave_broker_binance.user_stream import Listener, UserLink

At = Callable[[Callable[[Any], Awaitable[None]]], None]
RIGHTS = ("GET", "/sapi/v1/account/apiRestrictions")
TRADE: dict[str, Any] = {
    "e": "executionReport",
    "E": 1499405658658,
    "s": "BTCUSDT",
    "c": f"awabcde-{1:022d}",
    "S": "BUY",
    "C": "",
    "x": "TRADE",
    "X": "FILLED",
    "r": "NONE",
    "i": 28,
    "l": "1.00000000",
    "z": "1.00000000",
    "L": "100.00000000",
    "n": "0.00100000",
    "N": "BTC",
    "T": 1499405658657,
    "t": 56,
    "Z": "100.00000000",
}


def test_subscription_is_signed_and_no_listen_key_is_asked_for(at_venue: At) -> None:
    """The account's events come over the WebSocket API, by signature."""

    async def scenario(venue: Any) -> None:
        await venue.adapter().connect()
        asked = next(frame for frame in venue.said if frame["method"] != "time")
        assert asked["method"] == "userDataStream.subscribe.signature"
        params = asked["params"]
        payload = "&".join(f"{name}={params[name]}" for name in sorted(params) if name != "signature")
        assert params["signature"] == Keys(venue.options()).signature(payload)
        assert abs(params["timestamp"] - venue.now()) < 60_000
        assert all("userDataStream" not in path for _, path, _ in venue.asked)

    at_venue(scenario)


def test_execution_is_told_as_a_fill(at_venue: At) -> None:
    """With its fee, and the status that it led to after it."""

    async def scenario(venue: Any) -> None:
        await venue.adapter().connect()
        await venue.tell(TRADE)
        await venue.until(lambda: venue.told(OrderUpdate))
        (fill,) = venue.told(BrokerFill)
        assert (fill.account, fill.execution_key, fill.size) == ("354937868", "BTCUSDT:56", Decimal(1))
        assert venue.events.index(fill) < venue.events.index(venue.told(OrderUpdate)[0])

    at_venue(scenario)


def test_event_before_the_answer_to_the_subscription_is_not_lost(at_venue: At) -> None:
    """Binance may say something before it says yes."""

    async def scenario(venue: Any) -> None:
        venue.before.append(TRADE)
        await venue.adapter().connect()
        await venue.until(lambda: venue.told(BrokerFill))

    at_venue(scenario)


def test_deposit_is_a_flow(at_venue: At) -> None:
    """It is told when it comes."""

    async def scenario(venue: Any) -> None:
        await venue.adapter().connect()
        await venue.tell({"e": "balanceUpdate", "E": 1, "a": "USDT", "d": "5.00000000", "T": 1573200697068})
        await venue.until(lambda: venue.told(CashFlow))

    at_venue(scenario)


def test_event_that_cannot_be_read_makes_the_engine_ask(at_venue: At) -> None:
    """It is said, and the connection made anew, after which everything is looked up."""

    async def scenario(venue: Any) -> None:
        await venue.adapter().connect()
        await venue.tell({**TRADE, "z": None})
        await venue.until(lambda: venue.told(ConnectionRestored))
        assert [notice.code for notice in venue.told(BrokerNotice)] == ["unreadable_event"]
        assert venue.told(BrokerFill) == []

    at_venue(scenario)


@pytest.mark.parametrize(
    "frame",
    [{"e": "eventStreamTerminated", "E": 1}, {"e": "serverShutdown", "E": 1}],
)
def test_announced_end_is_answered_with_a_fresh_connection(at_venue: At, frame: dict[str, Any]) -> None:
    """It is not waited for, and the subscription is made again."""

    async def scenario(venue: Any) -> None:
        await venue.adapter().connect()
        await venue.tell(frame)
        await venue.until(lambda: venue.told(ConnectionRestored))
        assert len(venue.told(ConnectionLost)) == 1
        subscribed = [one for one in venue.said if one["method"] != "time"]
        assert len(subscribed) == 2
        await venue.until(lambda: len(venue.sockets) == 1, "the end of the first")

    at_venue(scenario)


def test_closed_connection_is_lost_and_made_anew(at_venue: At) -> None:
    """Binance's library would leave it at that."""

    async def scenario(venue: Any) -> None:
        await venue.adapter().connect()
        await venue.sockets[0].close()
        await venue.until(lambda: venue.told(ConnectionRestored))
        lost, restored = venue.told(ConnectionLost)[0], venue.told(ConnectionRestored)[0]
        assert venue.events.index(lost) < venue.events.index(restored)
        await venue.tell(TRADE)
        await venue.until(lambda: venue.told(BrokerFill))

    at_venue(scenario)


def test_connection_that_is_cut_off_is_told_in_words(at_venue: At) -> None:
    """As it is in every failure of a network, and not by the name of a library's exception."""

    async def scenario(venue: Any) -> None:
        await venue.adapter().connect()
        await venue.sockets[0].close(code=1011)
        await venue.until(lambda: venue.told(ConnectionRestored))
        reason = venue.told(ConnectionLost)[0].reason
        assert "Binance or the network cut the connection off (WebSocket close code 1011)" in reason

    at_venue(scenario)


def test_mute_connection_is_lost(at_venue: At) -> None:
    """A socket that is open but says nothing is no connection."""

    async def scenario(venue: Any) -> None:
        timer = ManualTimer()
        await venue.adapter(timer=timer).connect()
        venue.mute = True
        for _ in range(3):
            # The questions, the silence, and the time of the library's own.
            await timer.asleep(2)
            timer.advance(20)
        await venue.until(lambda: venue.told(ConnectionLost))
        assert "silent" in venue.told(ConnectionLost)[0].reason

    at_venue(scenario)


def test_connection_is_made_anew_before_binance_ends_it(at_venue: At) -> None:
    """A connection lives for a day at most."""

    async def scenario(venue: Any) -> None:
        timer = ManualTimer()
        await venue.adapter(timer=timer, lifetime=30.0).connect()
        await timer.asleep(2)
        timer.advance(20)
        await venue.until(lambda: sum(frame["method"] == "time" for frame in venue.said) == 1)
        assert venue.told(ConnectionLost) == []
        await timer.asleep(2)
        timer.advance(10)
        await venue.until(lambda: venue.told(ConnectionLost))
        assert "old" in venue.told(ConnectionLost)[0].reason

    at_venue(scenario)


def test_subscription_with_a_clock_that_is_off_is_made_with_the_right_one(at_venue: At) -> None:
    """The time is asked for, and the subscription repeated."""

    async def scenario(venue: Any) -> None:
        venue.subscriptions = [
            {"status": 400, "error": {"code": -1021, "msg": "Timestamp is off."}, "rateLimits": []}
        ]
        await venue.adapter().connect()
        assert len(venue.params("GET", "/api/v3/time")) == 2

    at_venue(scenario)


class Line:
    """A socket that says what it is told to."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.coming: asyncio.Queue[str] = asyncio.Queue()

    async def send(self, frame: str) -> None:
        self.said.append(json.loads(frame)["id"])

    async def recv(self) -> str:
        frame = await self.coming.get()
        if not frame:
            raise ConnectionClosedOK(None, None)
        return frame


def test_late_answer_teaches_nothing_of_the_time() -> None:
    """It belongs to a question of long ago, and would set the clock back."""
    learned: list[datetime] = []
    options = BinanceOptions(key=Secret("k"), secret=Secret("s"))

    async def scenario() -> None:
        timer, line = ManualTimer(), Line()
        socket: Any = line
        listener = Listener(
            beat=lambda: None,
            deliver=lambda event: None,
            renew=lambda reason: None,
            learn=lambda asked_at, said: learned.append(said),
            now_ms=lambda: 0,
        )
        link = UserLink(socket, Keys(options), listener, timer, options)
        reading = asyncio.create_task(link.run())
        for _ in range(2):
            await timer.asleep()
            timer.advance(20)
        await timer.asleep()
        for name, at in zip(line.said, (1_000, 21_000), strict=True):
            line.coming.put_nowait(json.dumps({"id": name, "status": 200, "result": {"serverTime": at}}))
        line.coming.put_nowait("")
        await reading

    asyncio.run(scenario())
    assert learned == [datetime(1970, 1, 1, 0, 0, 21, tzinfo=UTC)]


def test_subscription_is_taken_without_the_limits(at_venue: At) -> None:
    """Binance may be asked to leave them out of its answers."""

    async def scenario(venue: Any) -> None:
        venue.subscriptions = [{"status": 200, "result": {"subscriptionId": 0}}]
        await venue.adapter().connect()

    at_venue(scenario)


def test_subscription_without_an_answer_is_given_up(at_venue: At) -> None:
    """Though the connection is there, and tells the time."""

    async def scenario(venue: Any) -> None:
        timer = ManualTimer()
        venue.subscriptions = [{"id": "another"}]
        connecting = asyncio.create_task(venue.adapter(timer=timer).connect())
        await venue.until(lambda: venue.said)
        for _ in range(2):
            await timer.asleep(2)
            timer.advance(5)
        with pytest.raises(BrokerUnavailable, match="subscription to events: no answer within 10 s"):
            await asyncio.wait_for(connecting, 5)

    at_venue(scenario)


async def refused(venue: Any, status: str, header: str) -> BrokerUnavailable:
    """Why an adapter does not connect where a socket is answered so."""

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n{header}\r\n\r\n".encode())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        with pytest.raises(BrokerUnavailable) as told:
            await venue.adapter(ws_api_url=f"ws://127.0.0.1:{port}/ws-api/v3").connect()
    finally:
        server.close()
    return told.value


def test_redirect_of_the_stream_is_not_followed(at_venue: At) -> None:
    """The key would go wherever it points."""

    async def scenario(venue: Any) -> None:
        where = f"Location: ws://127.0.0.1:{venue.port}/ws-api/v3"
        assert "redirect" in str(await refused(venue, "302 Found", where))
        assert venue.said == []

    at_venue(scenario)


def test_socket_that_is_refused_for_a_while_says_for_how_long(at_venue: At) -> None:
    """The address is banned, on every channel, and for longer if it goes on."""

    async def scenario(venue: Any) -> None:
        error = await refused(venue, "418 I'm a teapot", "Retry-After: 90")
        assert (error.code, error.retry_after) == ("418", 90.0)
        assert (await refused(venue, "503 Service Unavailable", "Retry-After: soon")).retry_after is None

    at_venue(scenario)


def test_ban_of_requests_holds_for_the_stream(at_venue: At) -> None:
    """Both count for one address: whoever knocks meanwhile is banned for longer."""

    async def scenario(venue: Any) -> None:
        adapter = venue.adapter()
        await adapter.connect()
        venue.answers["GET", "/api/v3/account"] = (418, "", {"Retry-After": "90"})
        with pytest.raises(BrokerUnavailable):
            await adapter.get_account_state()
        with pytest.raises(BrokerUnavailable) as raised:
            await adapter._open()
        assert raised.value.retry_after == pytest.approx(90, abs=5)
        assert venue.knocks == 1

    at_venue(scenario)


def test_ban_of_the_stream_holds_for_requests(at_venue: At) -> None:
    """The other way round as well."""

    async def scenario(venue: Any) -> None:
        adapter = venue.adapter()
        await adapter.connect()
        venue.banned = True
        with pytest.raises(BrokerUnavailable) as raised:
            await adapter._open()
        assert (raised.value.code, raised.value.retry_after) == ("418", 90)
        asked = len(venue.asked)
        with pytest.raises(BrokerUnavailable, match="limits"):
            await adapter.get_account_state()
        assert len(venue.asked) == asked

    at_venue(scenario)


def test_connections_are_tried_ever_more_slowly(at_venue: At) -> None:
    """Binance takes three hundred from an address in five minutes."""

    async def scenario(venue: Any) -> None:
        waits = venue.adapter()._link._backoff
        assert sum(waits.next_wait() for _ in range(300)) > 600

    at_venue(scenario)


def test_key_that_is_taken_back_is_said(at_venue: At) -> None:
    """Binance says it in answer to nothing."""

    async def scenario(venue: Any) -> None:
        await venue.adapter().connect()
        refusal = {"code": -2015, "msg": "Invalid API-key, IP, or permissions for action."}
        venue.subscriptions = [{"status": 401, "error": refusal}] * 50
        await venue.say({"id": None, "status": 401, "error": refusal})
        await venue.until(lambda: venue.told(BrokerNotice))
        assert venue.told(ConnectionLost)
        assert venue.told(BrokerNotice)[0].code == "authentication_failed"

    at_venue(scenario)


@pytest.mark.parametrize("where", ["rest", "stream"])
def test_refused_key_fails_at_once(at_venue: At, where: str) -> None:
    """Whichever channel says so."""

    async def scenario(venue: Any) -> None:
        refusal = {"code": -2015, "msg": "Invalid API-key, IP, or permissions for action."}
        if where == "rest":
            venue.answers["GET", "/api/v3/account"] = (401, refusal)
        else:
            venue.subscriptions = [{"status": 401, "error": refusal}]
        with pytest.raises(AuthenticationFailed) as told:
            await venue.adapter().connect()
        assert told.value.code == "-2015"
        assert "of-the-account" not in f"{told.value} {told.value.details}"

    at_venue(scenario)


def test_venue_that_does_not_answer_is_unavailable(at_venue: At) -> None:
    """Connecting ends in time."""

    async def scenario(venue: Any) -> None:
        timer = ManualTimer()
        venue.holding = asyncio.Event()
        connecting = asyncio.create_task(venue.adapter(timer=timer).connect())
        await timer.asleep(2)
        timer.advance(4)
        with pytest.raises(BrokerUnavailable, match="within 4 s"):
            await connecting

    at_venue(scenario)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"mode": RunMode.LIVE}, "the run is live, but environment is testnet"),
        ({"account_id": "1"}, "of account 354937868, not of 1"),
    ],
)
def test_run_account_and_environment_have_to_agree(at_venue: At, changes: dict[str, Any], said: str) -> None:
    """Whatever disagrees is said, and nothing is connected."""

    async def scenario(venue: Any) -> None:
        with pytest.raises(AuthenticationFailed, match=said):
            await venue.adapter(Services(symbols=("BTCUSDT",), **changes)).connect()
        assert venue.said == []

    at_venue(scenario)


@pytest.mark.parametrize("changes", [{"canTrade": False}, {"permissions": ["LEVERAGED"]}])
def test_account_that_may_not_trade_is_refused(at_venue: At, changes: dict[str, Any]) -> None:
    """Before anything is decided."""

    async def scenario(venue: Any) -> None:
        status, account = venue.answers["GET", "/api/v3/account"]
        venue.answers["GET", "/api/v3/account"] = (status, {**account, **changes})
        with pytest.raises(AuthenticationFailed, match="may not trade"):
            await venue.adapter().connect()

    at_venue(scenario)


def test_key_that_may_withdraw_is_refused_unless_it_is_allowed(at_venue: At) -> None:
    """Whoever steals it would have the money."""

    async def scenario(venue: Any) -> None:
        venue.answers[RIGHTS] = (200, {"enableWithdrawals": True, "enableSpotAndMarginTrading": True})
        with pytest.raises(AuthenticationFailed, match="may withdraw") as told:
            await venue.adapter().connect()
        assert told.value.code == "withdrawals_enabled"
        await venue.adapter(allow_withdrawals=True).connect()
        venue.answers[RIGHTS] = (200, {"enableWithdrawals": False, "enableSpotAndMarginTrading": False})
        with pytest.raises(AuthenticationFailed, match="may not trade spot"):
            await venue.adapter().connect()

    at_venue(scenario)


@pytest.mark.parametrize("answer", [(404, ""), (500, "")])
def test_real_money_needs_to_know_what_the_key_may(at_venue: At, answer: tuple[int, str]) -> None:
    """Where Binance does not say, a test network is tried, and a live account is not."""

    async def scenario(venue: Any) -> None:
        venue.answers[RIGHTS] = answer
        services = Services(symbols=("BTCUSDT",), mode=RunMode.LIVE)
        with pytest.raises(BrokerUnavailable):
            await venue.adapter(services, environment="mainnet").connect()
        await venue.adapter().connect()

    at_venue(scenario)


def test_no_key_is_in_a_log(at_venue: At, caplog: pytest.LogCaptureFixture) -> None:
    """The first frame of a stream has it in it."""

    async def scenario(venue: Any) -> None:
        adapter = venue.adapter(key=Secret("a-key-of-the-account"))
        await adapter.connect()
        assert "of-the-account" not in repr(vars(adapter))
        signatures.extend(str(frame["params"]["signature"]) for frame in venue.said)

    signatures: list[str] = []
    with caplog.at_level(logging.DEBUG):
        at_venue(scenario)
    assert "of-the-account" not in caplog.text
    # The library logs a long frame by its beginning and its end.
    assert signatures
    assert not any(signature[-12:] in caplog.text for signature in signatures)
