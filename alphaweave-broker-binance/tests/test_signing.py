"""Signatures, against those that Binance publishes."""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64decode

import pytest
from Crypto.PublicKey import ECC
from Crypto.Signature import eddsa

from alphaweave.core.errors import AuthenticationFailed
from alphaweave.core.secret import Secret
from alphaweave_broker_binance.settings import BinanceOptions
from alphaweave_broker_binance.signing import Keys

KEY = "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A"
SECRET = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j"


def test_rest_request_has_the_published_signature() -> None:
    """The example of the REST documentation signs alike."""
    keys = Keys(BinanceOptions(key=Secret(KEY), secret=Secret(SECRET)))
    query = (
        "symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=0.1"
        "&recvWindow=5000&timestamp=1499827319559"
    )
    assert keys.signature(query) == "c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71"


def test_socket_request_has_the_published_signature() -> None:
    """The example of the WebSocket API's documentation signs alike, whatever order its parameters come in."""
    keys = Keys(BinanceOptions(key=Secret(KEY), secret=Secret(SECRET), recv_window=100))
    order: dict[str, str | int] = {
        "symbol": "BTCUSDT",
        "side": "SELL",
        "type": "LIMIT",
        "timeInForce": "GTC",
        "quantity": "0.01000000",
        "price": "52000.00",
    }
    signed = keys.signed(order, 1645423376532)
    assert signed["signature"] == "aa1b5712c094bc4e57c05a1a5c1fd8d88dcd628338ea863fec7b88e59fe2db24"
    assert signed["apiKey"] == KEY


def test_socket_request_is_signed_as_plain_text() -> None:
    """Over REST it is percent-encoded first, and here it is not."""
    keys = Keys(BinanceOptions(key=Secret(KEY), secret=Secret(SECRET), recv_window=100))
    signed = keys.signed({"note": "a+b c/é"}, 1)
    payload = f"apiKey={KEY}&note=a+b c/é&recvWindow=100&timestamp=1"
    assert signed["signature"] == hmac.new(SECRET.encode(), payload.encode(), hashlib.sha256).hexdigest()


@pytest.mark.parametrize("password", [None, "a password"])
def test_private_key_signs_by_ed25519(password: str | None) -> None:
    """What a private key signs, its public half verifies; an encrypted one is opened."""
    pair = ECC.generate(curve="Ed25519")
    if password is None:
        pem = pair.export_key(format="PEM")
    else:
        pem = pair.export_key(
            format="PEM", passphrase=password, protection="PBKDF2WithHMAC-SHA512AndAES256-CBC"
        )
    keys = Keys(
        BinanceOptions(
            key=Secret(KEY),
            secret=Secret(str(pem)),
            password=None if password is None else Secret(password),
        )
    )
    verifier = eddsa.new(pair.public_key(), "rfc8032")
    verifier.verify(b"symbol=BTCUSDT", b64decode(keys.signature("symbol=BTCUSDT")))


def test_private_key_that_is_none_is_refused_without_being_shown() -> None:
    """What is wrong with a key is said, and not the key."""
    with pytest.raises(AuthenticationFailed, match="cannot be read") as told:
        Keys(BinanceOptions(key=Secret(KEY), secret=Secret("-----BEGIN PRIVATE KEY-----\nno-pem\n")))
    assert "no-pem" not in str(told.value)
    assert told.value.__suppress_context__


def test_keys_are_not_shown() -> None:
    """Neither the options nor what signs shows a key or a secret."""
    options = BinanceOptions(key=Secret(KEY), secret=Secret(SECRET))
    shown = f"{options!r} {Keys(options)!r} {vars(Keys(options))!r} {Keys(options).configuration!r}"
    assert KEY not in shown
    assert SECRET not in shown
