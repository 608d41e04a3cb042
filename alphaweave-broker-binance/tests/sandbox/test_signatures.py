"""Signatures, the time they are good for, and the keys behind them."""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import pytest

from alphaweave.core.clock import ManualClock
from alphaweave_broker_binance.sandbox.keys import ed25519_key, hmac_key, rest_payload, ws_payload
from alphaweave_broker_binance.sandbox.refusals import Refused

SECRET = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j"
REST_TEXT = (
    "symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=0.1"
    "&recvWindow=5000&timestamp=1499827319559"
)
REST_SIGNATURE = "c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71"
PARTED_SIGNATURE = "0fd168b8ddb4876a0358a8d14d0c9f3da0e9b20c5d52b2a00fcf7d1c602f9a77"
WS_PARAMETERS = {
    "type": "LIMIT",
    "symbol": "BTCUSDT",
    "side": "SELL",
    "price": "52000.00",
    "quantity": "0.01000000",
    "recvWindow": "100",
    "timeInForce": "GTC",
    "timestamp": "1645423376532",
    "apiKey": "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A",
}
WS_SIGNATURE = "aa1b5712c094bc4e57c05a1a5c1fd8d88dcd628338ea863fec7b88e59fe2db24"


def test_published_rest_vector_is_accepted() -> None:
    """Wherever the parameters are: in the query, in the body, or some in each."""
    key = hmac_key("key", SECRET)
    signed = f"&signature={REST_SIGNATURE}"
    cut = REST_TEXT.index("&quantity")
    assert key.signed(rest_payload(REST_TEXT + signed, ""), REST_SIGNATURE)
    assert key.signed(rest_payload("", REST_TEXT + signed), REST_SIGNATURE)
    # In two parts there is no ampersand between them, and the signature is another.
    body = f"{REST_TEXT[cut + 1 :]}&signature={PARTED_SIGNATURE}"
    assert key.signed(rest_payload(REST_TEXT[:cut], body), PARTED_SIGNATURE)
    assert not key.signed(rest_payload(REST_TEXT[:cut], body), REST_SIGNATURE)


def test_published_websocket_vector_is_accepted() -> None:
    """The parameters are sorted, with the API key, and not percent-encoded."""
    key = hmac_key("key", SECRET)
    assert key.signed(ws_payload({**WS_PARAMETERS, "signature": WS_SIGNATURE}), WS_SIGNATURE)
    assert not key.signed(ws_payload({**WS_PARAMETERS, "price": "52000.01"}), WS_SIGNATURE)


def test_signature_is_what_comes_last() -> None:
    """A parameter behind the signature was not signed."""
    with pytest.raises(Refused, match="Signature for this request is not valid"):
        rest_payload(f"symbol=LTCBTC&signature={REST_SIGNATURE}&side=BUY", "")


def test_ed25519_signature_is_that_of_rfc_8032() -> None:
    """The second published test vector: one byte, 0x72."""
    seed = bytes.fromhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb")
    wanted = bytes.fromhex(
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
    )
    key = ed25519_key("key", seed)
    assert key.signed("r", base64.b64encode(wanted).decode())
    assert not key.signed("s", base64.b64encode(wanted).decode())
    assert not key.signed("r", "no base64!")


@pytest.mark.parametrize("keys", ["hmac", "ed25519"])
def test_signed_text_is_what_was_sent(at_sandbox: Callable[..., None], sign: Any, keys: str) -> None:
    """Query and body count as they came, percent-encoding included; a changed byte is refused."""

    async def scenario(site: Any) -> None:
        text = (
            f"symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=50&timestamp={site.stamp()}"
        )
        signed = f"{text}&signature={quote(sign(site.secret, text), safe='')}"
        tampered = signed.replace("quantity=1", "quantity=2")
        refused = await site.raw("POST", f"/api/v3/order?{tampered}")
        assert refused.refusal == (400, -1022, "Signature for this request is not valid.")
        encoded = text.replace("BTCUSDT", "%42TCUSDT")
        refused = await site.raw("POST", f"/api/v3/order?{encoded}{signed[len(text) :]}")
        assert refused.body["code"] == -1022
        assert (await site.raw("POST", "/api/v3/order", body=signed)).status == 200
        assert (await site.raw("POST", f"/api/v3/order?{signed}")).status == 200
        again = f"{encoded}&signature={quote(sign(site.secret, encoded), safe='')}"
        assert (await site.raw("POST", f"/api/v3/order?{again}")).status == 200

    at_sandbox(scenario, keys=keys)


def test_query_wins_over_the_body(at_sandbox: Callable[..., None], sign: Any) -> None:
    """A parameter that is in both is the query's; one that is twice in one of them is refused."""

    async def scenario(site: Any) -> None:
        query = "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=50"
        body = f"price=40&timestamp={site.stamp()}"
        signature = sign(site.secret, query + body)
        reply = await site.raw("POST", f"/api/v3/order?{query}", body=f"{body}&signature={signature}")
        assert reply.body["price"] == "50.00000000"
        twice = await site.raw("GET", "/api/v3/klines?symbol=BTCUSDT&symbol=ETHUSDT&interval=1m")
        assert twice.body["code"] == -1101

    at_sandbox(scenario)


def test_request_is_good_for_its_window(at_sandbox: Callable[..., None]) -> None:
    """Not after it, not a second ahead, in milliseconds or microseconds, at most a minute."""
    # Standing: what is sent is not older when it arrives.
    clock = ManualClock(datetime(2031, 3, 4, 15, 30, tzinfo=UTC))

    async def scenario(site: Any) -> None:
        now = site.stamp()

        async def asked(stamp: int, **more: Any) -> Any:
            return await site.ask("GET", "/api/v3/openOrders", timestamp=stamp, **more)

        for stamp in (now, now - 5000, now + 999, now * 1000):
            assert (await asked(stamp)).status == 200
        old = (400, -1021, "Timestamp for this request is outside of the recvWindow.")
        ahead = (400, -1021, "Timestamp for this request was 1000ms ahead of the server's time.")
        assert (await asked(now - 5001)).refusal == old
        assert (await asked(now + 1000)).refusal == ahead
        assert (await asked((now - 5001) * 1000)).refusal == old
        assert (await asked(now - 100, recvWindow="99.5")).refusal == old
        assert (await asked(now - 60_000, recvWindow=60_000)).status == 200
        assert (await asked(now, recvWindow=60_001)).body["code"] == -1131
        assert (await asked(now, recvWindow="1.2345")).body["code"] == -1100
        await site.venue.skew(30)
        assert (await asked(now)).refusal == old
        assert (await site.ask("GET", "/api/v3/time", signed=False)).body == {"serverTime": now + 30_000}

    at_sandbox(scenario, clock=clock)


def test_keys_are_told_apart(at_sandbox: Callable[..., None], sign: Any) -> None:
    """No key, one that is none, one that nobody has; a missing signature or time is a missing parameter."""

    async def scenario(site: Any) -> None:
        path = f"/api/v3/account?timestamp={site.stamp()}"
        for key, code, message in (
            ("", -2014, "API-key format invalid."),
            ("short", -2014, "API-key format invalid."),
            ("0" * 64, -2015, "Invalid API-key, IP, or permissions for action."),
        ):
            assert (await site.raw("GET", f"{path}&signature=0", key=key)).refusal == (401, code, message)
        unsigned = await site.raw("GET", path)
        assert unsigned.refusal[:2] == (400, -1102)
        assert "'signature'" in unsigned.body["msg"]
        signature = sign(site.secret, "")
        untimed = await site.raw("GET", f"/api/v3/account?signature={signature}")
        assert "'timestamp'" in untimed.body["msg"]
        assert (await site.raw("GET", "/api/v3/ping", key="")).body == {}

    at_sandbox(scenario)


def test_key_that_is_revoked_ends_its_sessions(at_sandbox: Callable[..., None]) -> None:
    """The socket is told without an id, hears of nothing any more, and every request is refused."""

    async def scenario(site: Any) -> None:
        socket = await site.listen()
        idle = await site.connect()
        await site.venue.revoke(True)
        assert (await site.order()).refusal[:2] == (401, -2015)
        await site.settled(socket)
        (told,) = (one for one in socket.heard if one.get("status") == 401)
        assert (told["id"], told["error"]["code"]) == (None, -2015)
        assert socket.of("eventStreamTerminated")
        await site.settled(idle)
        assert len(idle.heard) == 1
        refused = await socket.ask("userDataStream.subscribe.signature", signed=True)
        assert refused["error"]["code"] == -2015
        await site.venue.revoke(False)
        await site.placed()

    at_sandbox(scenario)


def test_wrong_options_have_the_key_and_another_secret(at_sandbox: Callable[..., None], sign: Any) -> None:
    """What is signed with them is refused, whichever kind of key it is."""

    async def scenario(site: Any) -> None:
        wrong = site.venue.wrong_options()
        text = f"timestamp={site.stamp()}"
        signature = quote(sign(wrong["secret"], text), safe="")
        refused = await site.raw("GET", f"/api/v3/account?{text}&signature={signature}", key=wrong["key"])
        assert refused.body["code"] == -1022
        right = site.venue.options()
        assert {name for name in right if right[name] != wrong[name]} == {"secret"}

    for keys in ("hmac", "ed25519"):
        at_sandbox(scenario, keys=keys)
