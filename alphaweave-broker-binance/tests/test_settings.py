"""The options: which addresses and keys go together."""

from __future__ import annotations

from typing import Any

import pytest

from alphaweave.core.secret import Secret
from alphaweave.live.adapters.capabilities import ClientIdUniqueness
from alphaweave_broker_binance.settings import BINANCE_CAPABILITIES, LISTING_LAG, BinanceOptions

KEYS: dict[str, Any] = {"key": Secret("k"), "secret": Secret("s")}


def test_options_name_the_addresses_of_each_environment() -> None:
    """A test network is the default, and each environment has three addresses of its own."""
    usual = BinanceOptions(**KEYS)
    assert (usual.rest, usual.is_real) == ("https://testnet.binance.vision", False)
    assert usual.ws_api == "wss://ws-api.testnet.binance.vision/ws-api/v3"
    live = BinanceOptions(**KEYS, environment="mainnet")
    assert (live.rest, live.is_real) == ("https://api.binance.com", True)
    demo = BinanceOptions(**KEYS, environment="demo")
    assert (demo.stream, demo.is_real) == ("wss://demo-stream.binance.com", False)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"rest_url": "https://api.binance.com"},
            "rest_url is https://api.binance.com, of the mainnet, but environment is testnet",
        ),
        ({"rest_url": "https://api3.binance.com"}, "of the mainnet"),
        ({"rest_url": "https://API.binance.com.:443/"}, "of the mainnet"),
        (
            {"rest_url": "https://api.binance.us"},
            "rest_url is https://api.binance.us, .* the testnet is at .*, testnet.binance.vision",
        ),
        ({"rest_url": "https://api.binance.me"}, "no address of an env"),
        ({"rest_url": "https://binance.com"}, "no address of an env"),
        ({"rest_url": "https://fapi.binance.com", "environment": "mainnet"}, "no address of an env"),
        ({"rest_url": "https://api.binance.us", "environment": "mainnet"}, "no address of an env"),
        (
            {"rest_url": "https://demo-fapi.binance.com", "environment": "demo"},
            "no address of an environment",
        ),
        ({"ws_api_url": "wss://ws-api.binance.com.:9443/ws-api/v3"}, "of the mainnet"),
        ({"stream_url": "wss://data-stream.binance.vision."}, "of the mainnet"),
        ({"rest_url": "https://api\u3002binance.com"}, "rest_url has a host"),
        ({"rest_url": "https://\uff41pi.binance.com"}, "rest_url has a host"),
        ({"rest_url": "https://api%2Ebinance.com"}, "rest_url has a host"),
        ({"ws_api_url": "wss://demo-ws-api.binance.com/ws-api/v3"}, "of the demo"),
        ({"environment": "mainnet", "stream_url": "wss://stream.testnet.binance.vision"}, "of the testnet"),
        ({"rest_url": "http://proxy.example"}, "plain text"),
        ({"ws_api_url": "ws://proxy.example"}, "plain text"),
        ({"rest_url": "https://k:s@proxy.example"}, "an address alone"),
        ({"stream_url": "proxy.example"}, "an address with wss://"),
        ({"environment": "live"}, "environment"),
        ({"recv_window": 60000}, "recv_window"),
    ],
)
def test_options_that_disagree_are_refused(changes: dict[str, Any], said: str) -> None:
    """An address of another environment, in plain text or with a key in it is refused."""
    with pytest.raises(ValueError, match=said):
        BinanceOptions(**{**KEYS, **changes})


def test_options_reach_loopback_in_plain_text() -> None:
    """A sandbox on this machine needs no encryption."""
    options = BinanceOptions(**KEYS, rest_url="http://127.0.0.1:1/", ws_api_url="ws://localhost:1/ws-api/v3")
    assert (options.rest, options.ws_api) == ("http://127.0.0.1:1", "ws://localhost:1/ws-api/v3")


@pytest.mark.parametrize(
    "changes",
    [
        {"rest_url": "https://Testnet.binance.vision./"},
        {"rest_url": "https://api-gcp.binance.com", "environment": "mainnet"},
        {"stream_url": "wss://data-stream.binance.vision", "environment": "mainnet"},
        {"rest_url": "https://binance.com.example", "stream_url": "wss://notbinance.com"},
    ],
)
def test_options_take_addresses_of_the_environment_and_of_others(changes: dict[str, Any]) -> None:
    """A proxy of one's own may stand between."""
    BinanceOptions(**{**KEYS, **changes})


def test_capabilities_say_what_a_client_id_and_a_lookup_prove() -> None:
    """An id is free again when its order ended. An order whose answer was lost is given up only after the
    window in which it is accepted, the ten seconds of Binance's engine, and the time for which its answers
    may lag behind."""
    assert BINANCE_CAPABILITIES.client_ids.unique is ClientIdUniqueness.WHILE_OPEN
    longest = BinanceOptions(**KEYS, recv_window=9000).recv_window / 1000 + 10
    assert BINANCE_CAPABILITIES.not_found_is_final_after > longest + LISTING_LAG
    assert LISTING_LAG >= 60
