"""Earlier spellings: each is read as what stands for it today, with one line that says so."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from alphaweave.core.errors import ConfigError
from alphaweave.live.config import MonitorSection, parse_live_config

OLD: dict[str, Any] = {
    "broker": {"name": "paper", "account_id": None, "extra": {"initial_cash": 100000}},
    "strategy": {"class": "examples.sma.SmaCross", "params": {}},
    "datafeed": {"type": "replay", "path": "data", "symbols": ["SPY", "QQQ"], "capital": 100000},
    "monitor": {"dashboard_html": "output/dashboard.html", "dashboard_title": "Paper"},
    "persistence": {"state_path": "state/paper.json"},
    "risk": {"max_capital": 150000},
}
NEW: dict[str, Any] = {
    "run": {"capital": 100000},
    "instruments": ["SPY", "QQQ"],
    "broker": {"name": "paper", "options": {"paper": {"initial_cash": 100000}}},
    "strategy": {"class": "examples.sma:SmaCross"},
    "datafeed": {"name": "replay", "options": {"replay": {"path": "data"}}},
    "monitors": [
        {"name": "dashboard", "options": {"dashboard": {"path": "output/dashboard.html", "title": "Paper"}}}
    ],
    "persistence": {"state_path": "state/paper.json"},
    "risk": {"max_capital": 150000},
}


def problems(raw: dict[str, Any]) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse_live_config(raw)
    return [str(problem) for problem in caught.value.problems]


def test_whole_earlier_config_is_read_as_todays() -> None:
    """Every earlier spelling at once comes to the same config, one line each."""
    old, new = parse_live_config(OLD), parse_live_config(NEW)
    assert old.deprecations == (
        "datafeed.type is now datafeed.name",
        "datafeed.path is now datafeed.options.replay.path, relative to the config file's folder",
        "datafeed.symbols is now instruments",
        "datafeed.capital is now run.capital",
        "broker.extra is now broker.options.paper",
        "strategy.class examples.sma.SmaCross is now written examples.sma:SmaCross",
        "monitor.dashboard_html and dashboard_title are now an entry of monitors, named dashboard",
        "risk.max_capital is now run.capital, which caps the equity that is used",
    )
    assert new.deprecations == ("risk.max_capital is now run.capital, which caps the equity that is used",)
    for section in (
        "run",
        "instruments",
        "datafeed",
        "broker",
        "strategy",
        "monitors",
        "persistence",
        "risk",
    ):
        assert getattr(old, section) == getattr(new, section)


def test_earlier_config_is_not_changed_by_reading_it() -> None:
    """The caller's mapping keeps its spelling."""
    before = repr(OLD)
    parse_live_config(OLD)
    assert repr(OLD) == before


def test_todays_spelling_needs_no_line() -> None:
    """Nothing is said to those who write it as it is written now."""
    assert parse_live_config({**NEW, "risk": {}}).deprecations == ()


def test_path_alone_means_the_replay_feed() -> None:
    """A feed with a path and no type always was a replay."""
    config = parse_live_config({**NEW, "datafeed": {"path": "data"}})
    assert config.datafeed.name == "replay"
    assert config.datafeed.block == {"path": "data"}


def test_path_goes_to_the_named_feed() -> None:
    """Beside today's name the path is an option of that adapter."""
    config = parse_live_config(
        {**NEW, "datafeed": {"name": "csv", "path": "d", "options": {"csv": {"x": 1}}}}
    )
    assert config.datafeed.block == {"x": 1, "path": "d"}


def test_broker_extra_becomes_the_named_brokers_options() -> None:
    """What an earlier config gave its broker goes to that broker's block."""
    config = parse_live_config({**NEW, "broker": {"name": "ibkr", "extra": {"port": 7497}}})
    assert config.broker.block == {"port": 7497}
    assert config.deprecations[0] == "broker.extra is now broker.options.ibkr"
    assert parse_live_config({**NEW, "broker": {"name": "ibkr", "extra": None}}).broker.options == {}


def test_max_capital_alone_is_the_capital() -> None:
    """A limit without a capital is what the run may use."""
    config = parse_live_config({**NEW, "run": {}, "risk": {"max_capital": 5000}})
    assert config.run.capital == Decimal(5000)
    assert config.risk.max_capital is None
    assert config.deprecations == ("risk.max_capital is now run.capital",)


def test_capital_above_max_capital_is_refused_as_ever() -> None:
    """The earlier check still holds."""
    (message,) = problems({**NEW, "risk": {"max_capital": 5000}})
    assert message.startswith("run.capital: 100000 is above risk.max_capital, 5000")


def test_one_symbol_may_stand_alone() -> None:
    """A single symbol was accepted for a list of one."""
    assert parse_live_config({**OLD, "datafeed": {"type": "replay", "symbols": "SPY"}}).symbols == ("SPY",)


def test_dashboard_joins_monitors_that_are_there() -> None:
    """Both spellings of monitors add up."""
    config = parse_live_config({**OLD, "monitors": ["memory"], "monitor": {"dashboard_html": "o.html"}})
    assert config.monitors == (
        MonitorSection(name="memory"),
        MonitorSection(name="dashboard", options={"dashboard": {"path": "o.html"}}),
    )


@pytest.mark.parametrize("monitor", [None, {}, {"dashboard_title": "T"}])
def test_monitor_without_a_page_asks_for_nothing(monitor: object) -> None:
    """A title alone never made a dashboard."""
    config = parse_live_config({**OLD, "monitor": monitor})
    assert config.monitors == ()
    assert "monitor is now monitors; without a dashboard_html it asked for nothing" in config.deprecations


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        (
            {"datafeed": {"type": "replay", "name": "alpaca"}},
            "datafeed.type: is the older spelling of datafeed.name, which is there too; keep that.",
        ),
        (
            {"datafeed": {"name": "r", "path": "a", "options": {"r": {"path": "b"}}}},
            "datafeed.path: is the older spelling of datafeed.options.r.path, which is there too; keep that.",
        ),
        (
            {"datafeed": {"name": "r", "symbols": ["A"]}},
            "datafeed.symbols: is the older spelling of instruments, which is there too; keep that.",
        ),
        (
            {"datafeed": {"name": "r", "capital": 5}},
            "datafeed.capital: is the older spelling of run.capital, which is there too; keep that.",
        ),
        (
            {"broker": {"name": "b", "extra": {"x": 1}, "options": {"b": {}}}},
            "broker.extra: is the older spelling of broker.options.b, which is there too; keep that.",
        ),
        (
            {"broker": {"name": "b", "extra": {"x": 1}, "options": 5}},
            "broker.extra: belongs into broker.options, which is not a mapping.",
        ),
        (
            {"monitor": {"dashbord_html": "x"}},
            "monitor.dashbord_html: unknown key. Did you mean 'dashboard_html'?",
        ),
        ({"monitor": "dashboard"}, "monitor: unknown key. Did you mean 'monitors'?"),
        (
            {"monitor": {"dashboard_html": "x"}, "monitors": "memory"},
            "monitor: belongs into monitors, which is not a list.",
        ),
        (
            {"strategy": {"class": "SmaCross"}},
            "strategy.class: 'SmaCross' is not module:Class, such as my_strategies:SmaCross.",
        ),
        (
            {"strategy": {"class": 5}},
            "strategy.class: expected text (put it in quotes if it is meant as text), found the number 5.",
        ),
        (
            {"run": "x"},
            "run: expected a mapping of id, mode, capital, currency, warmup, seed, found the text 'x'.",
        ),
    ],
)
def test_earlier_spelling_that_cannot_be_read_is_refused(sections: dict[str, Any], message: str) -> None:
    """Two spellings of one thing, and misspelt earlier keys, are mistakes."""
    assert problems({**NEW, "risk": {}, **sections})[0] == message


def test_override_wins_over_an_earlier_spelling() -> None:
    """Overrides are put in after the config was brought up to date."""
    config = parse_live_config(OLD, overrides=["datafeed.name=alpaca", "run.capital=5", "instruments=[IBM]"])
    assert config.datafeed.name == "alpaca"
    assert config.run.capital == Decimal(5)
    assert config.symbols == ("IBM",)
