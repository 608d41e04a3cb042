"""Requests, against a server on loopback that answers by a script."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from alphaweave.core.secret import Secret
from alphaweave.live.adapters.rate_budget import Use, asked_again
from alphaweave.live.adapters.timer import LoopTimer
from alphaweave_broker_alpaca.settings import AlpacaOptions
from alphaweave_broker_alpaca.transport import NoAnswer, Refused, Transport, Unsent

SECRET = "very-secret-words"
Talk = Callable[[Transport, list[str]], Coroutine[Any, Any, None]]


def options(port: int, **changes: Any) -> AlpacaOptions:
    given = {"timeout": 0.5, "patience": 0.2} | changes
    return AlpacaOptions(
        key=Secret("key-words"), secret=Secret(SECRET), trading_url=f"http://127.0.0.1:{port}", **given
    )


def talk(answer: bytes | None, script: Talk, **changes: Any) -> list[str]:
    """The first lines of what reached a server that gives this answer to each, or none."""
    seen: list[str] = []
    writers: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        line = await reader.readline()
        if line:
            seen.append(line.decode().strip())
            if answer is None:
                await reader.read()
            else:
                writer.write(answer)
        writer.close()

    async def run() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        transport = Transport(options(server.sockets[0].getsockname()[1], **changes), LoopTimer())
        try:
            await script(transport, seen)
        finally:
            transport.close()
            server.close()
            for writer in writers:
                writer.close()
            await asyncio.gather(*[one.wait_closed() for one in writers], return_exceptions=True)

    asyncio.run(run())
    return seen


def response(status: str, body: str, *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers]
    return "\r\n".join([*lines, "", body]).encode()


@pytest.mark.parametrize("status", [504, 429])
def test_an_order_is_posted_once_whatever_the_answer(status: int) -> None:
    """The library's own retries are off."""

    async def script(transport: Transport, seen: list[str]) -> None:
        with pytest.raises(Refused) as caught:
            await transport.call(Use.ORDER, "POST", "/orders", {"qty": "1"})
        assert (caught.value.status, caught.value.code) == (status, "42910000")

    body = '{"code":42910000,"message":"no"}'
    assert talk(response(f"{status} no", body), script) == ["POST /v2/orders HTTP/1.1"]


def test_a_server_that_says_nothing_is_given_up_in_time() -> None:
    """A call has a time limit, and what was written then is unknown."""

    async def script(transport: Transport, seen: list[str]) -> None:
        with pytest.raises(NoAnswer):
            await asyncio.wait_for(transport.call(Use.ORDER, "POST", "/orders", {"qty": "1"}), 3)

    assert len(talk(None, script)) == 1


def test_a_thread_does_not_wait_for_ever() -> None:
    """Alpaca's library has no time limit: its call ends too, not only the wait for it."""

    async def script(transport: Transport, seen: list[str]) -> None:
        with pytest.raises(NoAnswer):
            await transport.call(Use.QUERY, "GET", "/account")
        transport.close()
        waiting = [one for one in threading.enumerate() if one.name.startswith("alpaca-query")]
        for one in waiting:
            await asyncio.to_thread(one.join, 2)
        assert not any(one.is_alive() for one in waiting)

    talk(None, script)


def test_a_call_blocks_nobody() -> None:
    """Alpaca's library waits for an answer where it is called: not so on the event loop."""

    async def script(transport: Transport, seen: list[str]) -> None:
        call = asyncio.create_task(transport.call(Use.QUERY, "GET", "/account"))
        for _ in range(5):
            await asyncio.sleep(0)
        assert not call.done()
        with pytest.raises(NoAnswer):
            await call
        assert len(seen) == 1

    talk(None, script)


def test_what_waits_for_a_thread_is_withdrawn() -> None:
    """A call that is given up before its turn sends nothing later."""

    async def script(transport: Transport, seen: list[str]) -> None:
        calls = [transport.call(Use.ORDER, "POST", f"/orders/{n:02}", {}) for n in range(20)]
        ends = await asyncio.gather(*calls, return_exceptions=True)
        unsent = [n for n, end in enumerate(ends) if isinstance(end, Unsent)]
        assert unsent
        assert all(isinstance(end, NoAnswer | Unsent) for end in ends)
        with pytest.raises(NoAnswer):
            await transport.call(Use.CANCEL, "DELETE", "/later")
        assert not [line for line in seen for n in unsent if f"/orders/{n:02} " in line]

    talk(None, script)


def test_a_server_that_is_not_there_was_sent_nothing() -> None:
    """No connection, no byte."""

    async def run() -> None:
        server = await asyncio.start_server(lambda r, w: None, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        server.close()
        await server.wait_closed()
        transport = Transport(options(port), LoopTimer())
        try:
            with pytest.raises(Unsent):
                await transport.call(Use.ORDER, "POST", "/orders", {})
        finally:
            transport.close()

    asyncio.run(run())


@pytest.mark.parametrize("body", ['{"message":"unauthorized."}', "<html>", "[]"])
def test_a_refusal_without_a_code_can_be_read(body: str) -> None:
    """The library's own reading of it raises."""

    async def script(transport: Transport, seen: list[str]) -> None:
        with pytest.raises(Refused) as caught:
            await transport.call(Use.QUERY, "GET", "/account")
        assert (caught.value.status, caught.value.code) == (401, None)
        assert SECRET not in f"{caught.value!r} {caught.value.__cause__!r} {caught.value.__context__!r}"

    talk(response("401 no", body), script)


def test_cancels_go_out_when_the_limit_is_spent() -> None:
    """What the headers say is kept to by questions and orders, and cancels are tried."""

    async def script(transport: Transport, seen: list[str]) -> None:
        await transport.call(Use.QUERY, "GET", "/clock")
        with pytest.raises(Unsent):
            await transport.call(Use.QUERY, "GET", "/clock")
        with pytest.raises(Unsent):
            await transport.call(Use.ORDER, "POST", "/orders", {})
        await transport.call(Use.CANCEL, "DELETE", "/orders/1")

    far = "X-RateLimit-Reset: 99999999999"
    seen = talk(response("200 OK", "{}", "X-RateLimit-Remaining: 0", far), script)
    assert [line.split()[0] for line in seen] == ["GET", "DELETE"]


@pytest.mark.parametrize(("reset", "wait"), [("99999999999", 60), ("1", 1)], ids=["ahead", "behind"])
def test_a_clock_that_is_wrong_shuts_nobody_out_for_longer_than_a_window(reset: str, wait: float) -> None:
    """The limit begins anew at an instant of Alpaca's clock; one an hour behind it would wait that hour."""

    async def script(transport: Transport, seen: list[str]) -> None:
        await transport.call(Use.QUERY, "GET", "/account")
        with pytest.raises(Unsent) as caught:
            await transport.call(Use.QUERY, "GET", "/account")
        assert caught.value.retry_after == pytest.approx(wait, abs=0.5)

    headers = ("X-RateLimit-Remaining: 0", f"X-RateLimit-Reset: {reset}")
    talk(response("200 OK", "{}", *headers), script)


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("http://example.com", "plain text"),
        ("https://me:you@example.com", "keys belong"),
        ("ftp://x", "https"),
    ],
)
def test_an_address_that_gives_keys_away_is_refused(address: str, words: str) -> None:
    """Plain text goes to loopback only."""
    with pytest.raises(ValueError, match=words):
        AlpacaOptions(key=Secret("k"), secret=Secret("s"), trading_url=address)


@pytest.mark.parametrize(
    ("paper", "name", "address"),
    [
        (True, "trading_url", "https://api.alpaca.markets"),
        (True, "trading_url", "https://API.alpaca.markets."),
        (True, "trading_url", "https://broker-api.alpaca.markets"),
        (True, "trading_url", "https://alpaca.markets"),
        (True, "trading_stream_url", "wss://api.alpaca.markets.:443/stream"),
        (False, "trading_url", "https://paper-api.alpaca.markets."),
        (False, "trading_url", "https://broker-api.alpaca.markets"),
        (True, "data_url", "https://api.alpaca.markets."),
        (False, "data_stream_url", "wss://paper-api.alpaca.markets"),
    ],
)
def test_paper_and_address_agree(paper: bool, name: str, address: str) -> None:
    """However it is written, no address of Alpaca's is taken but those of the kind of account that it is."""
    changes: dict[str, Any] = {name: address}
    with pytest.raises(ValueError, match=r"make them agree|no address of Alpaca's market data") as refused:
        AlpacaOptions(key=Secret("k"), secret=Secret("s"), paper=paper, **changes)
    assert str(refused.value).startswith(f"{name} is {address}, ")


@pytest.mark.parametrize(
    "host", ["api\u3002alpaca.markets", "\uff41pi.alpaca.markets", "api%2Ealpaca.markets"]
)
def test_an_address_that_only_looks_like_another_is_refused(host: str) -> None:
    """What stands for a dot, or for a letter, on its way to the network is none to compare names by."""
    with pytest.raises(ValueError, match="trading_url has a host"):
        AlpacaOptions(key=Secret("k"), secret=Secret("s"), trading_url=f"https://{host}")


@pytest.mark.parametrize(
    "changes",
    [
        {"trading_url": "https://paper-api.alpaca.markets./"},
        {"trading_url": "https://Paper-API.alpaca.markets"},
        {"trading_url": "https://api.alpaca.markets", "paper": False},
        {"trading_url": "https://alpaca.markets.example"},
        {"trading_url": "http://[::1]:8080"},
        {"data_url": "https://data.sandbox.alpaca.markets", "data_stream_url": "wss://proxy.example"},
    ],
)
def test_addresses_of_the_account_and_of_others_are_taken(changes: dict[str, Any]) -> None:
    """A proxy of one's own, and a sandbox on this machine, may stand between."""
    AlpacaOptions(key=Secret("k"), secret=Secret("s"), **changes)


def test_an_order_that_waited_for_room_asks_whether_it_may_still_leave() -> None:
    """The run may have been halted meanwhile, and the price be another's."""
    whys: list[str | None] = [None, "halted by eva"]

    async def script(transport: Transport, seen: list[str]) -> None:
        for _ in range(9):
            await transport.call(Use.ORDER, "POST", "/orders", {"qty": "1"})
        with asked_again(lambda: whys.pop(0)), pytest.raises(Unsent, match="halted by eva"):
            await transport.call(Use.ORDER, "POST", "/orders", {"qty": "1"})

    seen = talk(response("200 OK", "{}"), script, requests=10, requests_window=0.5, patience=5.0)
    assert (len(seen), whys) == (9, [])


def test_no_order_leaves_where_its_fills_would_not_be_heard_of() -> None:
    """Questions and cancels do."""

    async def script(transport: Transport, seen: list[str]) -> None:
        transport._closed = lambda: "the event stream is not connected"
        with pytest.raises(Unsent, match="event stream"):
            await transport.call(Use.ORDER, "POST", "/orders", {"qty": "1"})
        await transport.call(Use.CANCEL, "DELETE", "/orders/b1")
        await transport.call(Use.QUERY, "GET", "/account")

    assert [line.split()[0] for line in talk(response("200 OK", "{}"), script)] == ["DELETE", "GET"]


def test_an_address_where_nobody_is_is_told_as_such() -> None:
    """The library's words are the name of a class."""

    async def script(transport: Transport, seen: list[str]) -> None:
        other = Transport(options(1), LoopTimer())
        with pytest.raises(Unsent, match="it cannot be reached"):
            await other.call(Use.QUERY, "GET", "/account")
        other.close()

    talk(None, script)
