"""Run modes: what a written mode, a feed and a broker come to, and what is refused."""

from __future__ import annotations

import pytest

from alphaweave.core.errors import RunRefused
from alphaweave.core.order import OrderType, TimeInForce
from alphaweave.live.adapters.base import RunMode
from alphaweave.live.adapters.capabilities import Capabilities
from alphaweave.live.config import check_mode, parse_live_config
from alphaweave.live.datafeed import FeedCapabilities, FeedKind

ORDERS = frozenset({(OrderType.MARKET, TimeInForce.DAY)})
BROKERS = {
    "simulated": Capabilities(order_types=ORDERS, simulated=True),
    "real": Capabilities(order_types=ORDERS),
}
BARS = frozenset({FeedKind.BAR})
FEEDS = {
    "history": FeedCapabilities(kinds=BARS, historical=True),
    "realtime": FeedCapabilities(kinds=BARS, realtime=True),
    "both": FeedCapabilities(kinds=BARS, historical=True, realtime=True),
    "delayed": FeedCapabilities(kinds=BARS, historical=True, realtime=True, delayed=True),
    "neither": FeedCapabilities(kinds=BARS),
}


def check(mode: str, feed: str, broker: str, account: str | None = "A1") -> RunMode:
    config = parse_live_config(
        {
            "run": {"mode": mode},
            "instruments": ["SPY"],
            "datafeed": {"name": feed},
            "broker": {"name": broker, "account_id": account},
            "strategy": {"class": "m:S"},
        }
    )
    return check_mode(config, FEEDS[feed], BROKERS[broker])


@pytest.mark.parametrize(
    ("mode", "feed", "broker", "expected"),
    [
        ("auto", "history", "simulated", RunMode.REPLAY),
        ("auto", "realtime", "simulated", RunMode.PAPER),
        ("auto", "both", "simulated", RunMode.PAPER),
        ("auto", "delayed", "simulated", RunMode.PAPER),
        ("auto", "realtime", "real", RunMode.PAPER),
        ("replay", "history", "simulated", RunMode.REPLAY),
        ("replay", "both", "simulated", RunMode.REPLAY),
        ("paper", "realtime", "simulated", RunMode.PAPER),
        ("paper", "both", "real", RunMode.PAPER),
        ("live", "realtime", "real", RunMode.LIVE),
        ("live", "both", "real", RunMode.LIVE),
    ],
)
def test_mode_follows_from_feed_and_broker(mode: str, feed: str, broker: str, expected: RunMode) -> None:
    """auto is never live, and history alone is never anything but a replay."""
    assert check(mode, feed, broker) is expected


REFUSED = {
    (
        "auto",
        "history",
        "real",
    ): "broker 'real' cannot simulate fills in one; set broker.name to one that can",
    ("auto", "neither", "simulated"): "datafeed 'neither' has none",
    ("auto", "neither", "real"): "datafeed 'neither' has none",
    ("replay", "history", "real"): "broker 'real' cannot simulate fills",
    ("replay", "both", "real"): "broker 'real' cannot simulate fills",
    ("replay", "delayed", "real"): "broker 'real' cannot simulate fills",
    ("replay", "realtime", "simulated"): "a replay needs history, and datafeed 'realtime' has none",
    ("replay", "realtime", "real"): "a replay needs history, and datafeed 'realtime' has none",
    ("replay", "neither", "simulated"): "a replay needs history",
    ("replay", "neither", "real"): "a replay needs history",
    ("paper", "history", "simulated"): "run.mode is paper, and datafeed 'history' has no real-time data",
    ("paper", "history", "real"): "run.mode is paper, and datafeed 'history' has no real-time data",
    ("paper", "neither", "simulated"): "datafeed 'neither' has no real-time data",
    ("paper", "neither", "real"): "datafeed 'neither' has no real-time data",
    ("live", "history", "real"): "run.mode is live, and datafeed 'history' has no real-time data",
    ("live", "history", "simulated"): "run.mode is live, and datafeed 'history' has no real-time data",
    ("live", "neither", "real"): "datafeed 'neither' has no real-time data",
    ("live", "neither", "simulated"): "datafeed 'neither' has no real-time data",
    ("live", "realtime", "simulated"): "run.mode is live, and broker 'simulated' only simulates",
    ("live", "both", "simulated"): "run.mode is live, and broker 'simulated' only simulates",
    ("live", "delayed", "simulated"): "run.mode is live, and broker 'simulated' only simulates",
}


@pytest.mark.parametrize("mode", ["auto", "replay", "paper", "live"])
@pytest.mark.parametrize("feed", FEEDS)
@pytest.mark.parametrize("broker", BROKERS)
def test_every_combination_is_either_run_or_refused_with_advice(mode: str, feed: str, broker: str) -> None:
    """No combination is left to chance; live comes out only where live is written."""
    reason = REFUSED.get((mode, feed, broker))
    if reason is None:
        chosen = check(mode, feed, broker)
        assert (chosen is RunMode.LIVE) == (mode == "live")
        assert mode in {"auto", chosen.value}
        return
    with pytest.raises(RunRefused) as caught:
        check(mode, feed, broker)
    assert reason in str(caught.value)
    assert "set " in str(caught.value)
    assert caught.value.exit_code == 2


def test_live_without_an_account_is_refused() -> None:
    """Real money is traded in an account that a person has written down."""
    with pytest.raises(RunRefused, match=r"set broker\.account_id"):
        check("live", "realtime", "real", account=None)
    assert check("paper", "realtime", "real", account=None) is RunMode.PAPER
