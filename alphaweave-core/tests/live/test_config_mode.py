"""Run modes: what a written mode, a feed and a broker come to, and what is refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from attrs import fields

from alphaweave.core.errors import RunRefused
from alphaweave.core.order import OrderType, TimeInForce
from alphaweave.live.adapters.base import RunMode
from alphaweave.live.adapters.capabilities import Capabilities
from alphaweave.live.config import check_mode, parse_live_config
from alphaweave.live.datafeed import FeedCapabilities, FeedKind
from alphaweave.live.risk import RiskSettings

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


# The least that a run with real money has to have, all of which a replay judges, but for the loss.
VALUES = {"max_order_notional": 1000, "max_position_notional": 5000}
LIMITS = {**VALUES, "daily_loss": {"reduce": 0.03}}


def check(
    mode: str,
    feed: str,
    broker: str,
    account: str | None = "A1",
    risk: Mapping[str, Any] | None = None,
    **sections: Any,
) -> RunMode:
    if risk is None:
        risk = LIMITS if mode == "live" else {}
    config = parse_live_config(
        {
            "run": {"mode": mode},
            "instruments": ["SPY"],
            "datafeed": {"name": feed},
            "broker": {"name": broker, "account_id": account},
            "strategy": {"class": "m:S"},
            "risk": risk,
            "persistence": {"journal": "run.journal"},
            **sections,
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


LOSS, ORDER, POSITION = (
    r"risk\.daily_loss \(or",
    r"risk\.max_order_notional \(or",
    r"risk\.max_position_notional \(or",
)


@pytest.mark.parametrize(
    ("risk", "lacking"),
    [
        ({}, f"{LOSS}.*{ORDER}.*{POSITION}"),
        (VALUES, f": {LOSS} risk.drawdown\\) with a level reduce or flatten$"),
        ({**VALUES, "daily_loss": {"warn": 0.01}}, f": {LOSS}"),
        ({**LIMITS, "max_order_notional": None}, rf": {ORDER} a limit of SPY in risk\.symbols\)$"),
        ({**LIMITS, "max_position_notional": None}, rf": {POSITION} a limit of SPY in risk\.symbols\)$"),
    ],
)
def test_live_without_limits_is_refused(risk: Mapping[str, Any], lacking: str) -> None:
    """Real money is traded within limits of losses, orders and positions, or not at all."""
    with pytest.raises(RunRefused, match=lacking):
        check("live", "realtime", "real", risk=risk)
    assert check("paper", "realtime", "real", risk=risk) is RunMode.PAPER


def test_live_takes_limits_by_symbol_and_a_drawdown() -> None:
    """A limit of every symbol that may be traded is as good as one of all."""
    own = {"SPY": {"max_order_notional": 10, "max_position_quantity": 5}}
    assert check("live", "both", "real", risk={"symbols": own, "drawdown": {"flatten": 0.1}}) is RunMode.LIVE


def test_live_without_a_journal_is_refused() -> None:
    """What was sent has to be known after a crash."""
    with pytest.raises(RunRefused, match=r"set persistence\.journal"):
        check("live", "realtime", "real", persistence={})
    assert check("paper", "realtime", "real", persistence={}) is RunMode.PAPER


@pytest.mark.parametrize(
    ("asked", "silence", "fits"), [(14.9, None, True), (15, None, False), (20, 21, True)]
)
def test_quiet_broker_is_not_taken_for_a_lost_one(asked: float, silence: int | None, fits: bool) -> None:
    """The question for open orders is the sign of life; it has to come before silence counts."""
    words: dict[str, Any] = {
        "risk": {"silence_seconds": silence},
        "reconciliation": {"intervals": {"open_orders": asked}},
    }
    if fits:
        assert check("paper", "both", "real", **words) is RunMode.PAPER
        return
    with pytest.raises(RunRefused, match=r"lower reconciliation\.intervals\.open_orders, or raise"):
        check("paper", "both", "real", **words)
    assert check("replay", "both", "simulated", reconciliation=words["reconciliation"]) is RunMode.REPLAY


WRITTEN: dict[str, Any] = {
    "max_gross_exposure": 1,
    "max_net_exposure": 1,
    "max_leverage": 1,
    "buying_power": {},
    "max_open_orders": 5,
    "price_collar": 0.1,
    "order_rate": {},
    "daily_counts": {},
    "duplicates": {},
    "rejects": {},
    "repeated_executions": {},
    "stale_data": {},
    "clock_skew_ms": 500,
    "silence_seconds": 15,
    "daily_loss": {},
    "drawdown": {},
    "timezone": "UTC",
}


def settings(name: str, value: Any) -> RiskSettings:
    return parse_live_config(
        {
            "instruments": ["SPY"],
            "datafeed": {"name": "f"},
            "broker": {"name": "b"},
            "strategy": {"class": "m:S"},
            "risk": {name: value},
        }
    ).risk


def test_every_limit_is_taken_in_every_mode() -> None:
    """And which of them make a replay look at each order is told."""
    alone = {"allow", "max_order_quantity", "max_order_notional", "max_position_notional", "max_capital"}
    idle = {"clock_skew_ms", "silence_seconds", "timezone"}
    assert {each.name for each in fields(RiskSettings)} == {*WRITTEN, *alone, "symbols"}
    for name, value in WRITTEN.items():
        for feed, mode in (("history", RunMode.REPLAY), ("realtime", RunMode.PAPER)):
            assert check("auto", feed, "simulated", risk={name: value}) is mode
        assert settings(name, value).remembering() is (name not in idle)
    for name, value in {**VALUES, "allow": ["SPY"]}.items():
        assert not settings(name, value).remembering()


def test_interval_that_the_feed_does_not_have_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is connected, with those that it has."""
    minutes = FeedCapabilities(kinds=BARS, intervals=frozenset({"5m", "1m"}), realtime=True)
    monkeypatch.setitem(FEEDS, "minutes", minutes)
    text = "datafeed 'minutes' has no 1d bars; set datafeed.interval to one of 1m, 5m"
    with pytest.raises(RunRefused, match=text):
        check("paper", "minutes", "simulated")
    wanted = {"name": "minutes", "interval": "5m"}
    assert check("paper", "minutes", "simulated", datafeed=wanted) is RunMode.PAPER
