"""LiveConfig: what a config may say, what it comes to, and everything that is wrong with one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve, frozen
from attrs.exceptions import FrozenInstanceError

from alphaweave.core.errors import ConfigError
from alphaweave.core.instrument import Instrument, PriceStep
from alphaweave.core.secret import Secret
from alphaweave.live.config import (
    BrokerSection,
    DatafeedSection,
    InstrumentConfig,
    LiveConfig,
    MonitorSection,
    PersistenceSection,
    ReconciliationIntervals,
    ReconciliationSection,
    RunSection,
    StrategySection,
    datafeed_block,
    load_live_config,
    parse_live_config,
    parse_options,
    redacted,
)
from alphaweave.live.risk import RiskSettings, SymbolLimits


def small(**sections: Any) -> dict[str, Any]:
    """The least that a config has to say, with sections replaced or added."""
    return {
        "instruments": ["SPY"],
        "datafeed": {"name": "replay"},
        "broker": {"name": "paper"},
        "strategy": {"class": "my_strategies:SmaCross"},
        **sections,
    }


def problems(raw: Mapping[str, Any]) -> list[str]:
    """What parse_live_config refuses, as printed."""
    with pytest.raises(ConfigError) as caught:
        parse_live_config(raw)
    return [str(problem) for problem in caught.value.problems]


def test_smallest_config_has_the_documented_defaults() -> None:
    """Four sections are needed, and the rest has defaults."""
    config = parse_live_config(small())
    assert config == LiveConfig(
        run=RunSection(id="run", mode="auto", capital=None, currency="USD", warmup=0, seed=0),
        instruments=(InstrumentConfig(symbol="SPY"),),
        datafeed=DatafeedSection(name="replay", interval="1d", timezone="UTC", options={}),
        broker=BrokerSection(name="paper", account_id=None, distribution=None, options={}),
        strategy=StrategySection(class_path="my_strategies:SmaCross", params={}),
        monitors=(),
        persistence=PersistenceSection(journal=None, state_path=None, record_inputs=True),
        risk=RiskSettings(),
        reconciliation=ReconciliationSection(
            first_start=None,
            foreign="halt",
            intervals=ReconciliationIntervals(in_flight=2.0, open_orders=10.0, positions=30.0),
        ),
        base_dir=Path.cwd(),
    )
    assert config.source is None
    assert config.deprecations == ()


def test_whole_config_is_read(tmp_path: Path) -> None:
    """Every section and key reaches its attribute with its type."""
    config = parse_live_config(
        {
            "run": {
                "id": "sma-1",
                "mode": "paper",
                "capital": 1e5,
                "currency": "EUR",
                "warmup": 30,
                "seed": 7,
            },
            "instruments": [
                "SPY",
                {
                    "symbol": "BTC-USD",
                    "names": {"alpaca": "BTC/USD", "binance": "BTCUSDT"},
                    "kind": "spot",
                    "base": "BTC",
                    "quote": "USDT",
                    "price_steps": [{"start": 0, "step": "0.01"}, {"start": 1000, "step": 0.1}],
                    "size_step": "0.00001",
                    "min_size": 0.0001,
                    "max_size": 10,
                    "min_notional": 5,
                    "fractional": True,
                    "shortable": False,
                    "multiplier": 1,
                    "calendar": "24/7",
                },
            ],
            "datafeed": {
                "name": "alpaca",
                "interval": "5min",
                "timezone": "America/New_York",
                "options": {"alpaca": {"feed": "iex"}},
            },
            "broker": {"name": "alpaca", "account_id": "PA1", "distribution": "alphaweave-broker-alpaca"},
            "strategy": {"class": "pkg.mod:Outer.Inner", "params": {"fast": 10}},
            "monitors": ["memory", {"name": "dashboard", "options": {"dashboard": {"path": "out.html"}}}],
            "persistence": {"journal": "run.db", "state_path": "out/state.json", "record_inputs": False},
            "risk": {
                "allow": ["SPY"],
                "max_order_quantity": 100,
                "symbols": {"SPY": {"max_order_notional": "5e4"}},
            },
            "reconciliation": {"first_start": "adopt", "foreign": "adopt", "intervals": {"positions": 60}},
        },
        source=tmp_path / "config.yaml",
    )
    assert config.run == RunSection(
        id="sma-1", mode="paper", capital=Decimal(100000), currency="EUR", warmup=30, seed=7
    )
    assert config.symbols == ("SPY", "BTC-USD")
    assert config.venue_names("binance") == {"BTC-USD": "BTCUSDT"}
    assert config.venue_names("ibkr") == {}
    assert config.datafeed.interval == "5m"
    assert config.datafeed.block == {"feed": "iex"}
    assert config.broker.block == {}
    assert config.broker.distribution == "alphaweave-broker-alpaca"
    assert config.strategy == StrategySection(class_path="pkg.mod:Outer.Inner", params={"fast": 10})
    assert config.monitors == (
        MonitorSection(name="memory"),
        MonitorSection(name="dashboard", options={"dashboard": {"path": "out.html"}}),
    )
    assert config.persistence == PersistenceSection(
        journal=tmp_path / "run.db", state_path=tmp_path / "out" / "state.json", record_inputs=False
    )
    assert config.risk == RiskSettings(
        allow=("SPY",), max_order_quantity=100, symbols={"SPY": SymbolLimits(max_order_notional=50000)}
    )
    assert config.reconciliation == ReconciliationSection(
        first_start="adopt", foreign="adopt", intervals=ReconciliationIntervals(positions=60.0)
    )
    assert config.base_dir == tmp_path
    assert config.source == tmp_path / "config.yaml"


def test_instrument_rules_override_a_brokers() -> None:
    """Only the rules that are written replace those of the broker or feed."""
    known = Instrument(symbol="X", venue_symbol="X.US", shortable=False, size_step=Decimal(5))
    (entry,) = parse_live_config(
        small(instruments=[{"symbol": "X", "price_step": "0.05", "quote": "EUR", "fractional": True}])
    ).instruments
    assert evolve(known, **entry.rules()) == Instrument(
        symbol="X",
        venue_symbol="X.US",
        quote="EUR",
        settle="EUR",
        price_steps=(PriceStep(Decimal(0), Decimal("0.05")),),
        size_step=Decimal(5),
        fractional=True,
        shortable=False,
    )
    assert InstrumentConfig(symbol="X").rules() == {}
    assert InstrumentConfig(symbol="X", min_size=Decimal(1), max_size=Decimal(1)).rules().keys() == {
        "min_size",
        "max_size",
    }


def test_config_is_frozen_and_apart_from_what_it_was_read_from() -> None:
    """Nobody changes a config that a run was built from."""
    raw = small(strategy={"class": "m:S", "params": {"fast": [1]}})
    config = parse_live_config(raw)
    with pytest.raises(FrozenInstanceError):
        config.run = RunSection()  # type: ignore[misc]
    raw["strategy"]["params"]["fast"].append(2)
    assert config.strategy.params == {"fast": [1]}
    assert config.raw["strategy"]["params"] == {"fast": [1]}


def test_empty_sections_are_left_out_ones() -> None:
    """A section whose keys are all commented out is null, and has its defaults."""
    empty = ("run", "monitors", "persistence", "risk", "reconciliation")
    assert parse_live_config(small(**dict.fromkeys(empty))) == parse_live_config(small())
    config = parse_live_config(small(broker={"name": "paper", "options": {"paper": None}}))
    assert config.broker.block == {}


def test_every_problem_is_reported_at_once() -> None:
    """A person reads one list, in the order of the sections."""
    assert problems(
        {
            "run": {"id": 5, "mode": "lve", "capital": -5, "currncy": "USD", "warmup": -1, "seed": "x"},
            "instrments": [],
            "instruments": ["SPY", {"symbol": True}, {"sybol": "X"}],
            "datafeed": {"interval": "1M", "timezone": "Europe/Zurch"},
            "broker": "paper",
            "strategy": {"class": "nope", "params": [1]},
            "monitors": [{"name": "dashboard", "options": {"path": "x"}}],
            "risk": {"allow": "SPY", "max_order_quantity": "ten"},
            "reconciliation": {"intervals": {"in_flight": 0}, "foreign": "ajopt"},
            "persistence": {"record_inputs": "yes", "journal": 3},
        }
    ) == [
        "run.id: expected text (put it in quotes if it is meant as text), found the number 5.",
        "run.mode: expected one of auto, replay, paper, live, found the text 'lve'. Did you mean 'live'?",
        "run.capital: must be above 0, not -5.",
        "run.warmup: must be at least 0, not -1.",
        "run.seed: expected a whole number, found the text 'x'.",
        "run.currncy: unknown key. Did you mean 'currency'?",
        "instruments[1].symbol: expected text (put it in quotes if it is meant as text), found true.",
        "instruments[2].symbol: is required: its name everywhere above the adapters.",
        "instruments[2].sybol: unknown key. Did you mean 'symbol'?",
        "datafeed.name: is required: which datafeed adapter.",
        "datafeed.interval: '1M' could mean minutes or months; write 1m for a minute (months are not read).",
        "datafeed.timezone: 'Europe/Zurch' is not an IANA time zone; did you mean Europe/Zurich?",
        (
            "broker: expected a mapping of name, distribution, options, account_id, maintenance, "
            "found the text 'paper'."
        ),
        "strategy.class: 'nope' is not module:Class, such as my_strategies:SmaCross.",
        "strategy.params: expected a mapping, found a list.",
        (
            "monitors[0].options: 'path' is not a block of options; write the adapter's name above it, "
            "as in options: {paper: {path: ...}}."
        ),
        "persistence.journal: expected a path, found the number 3.",
        "persistence.record_inputs: expected true or false, found the text 'yes'.",
        "risk.allow: expected a list, found the text 'SPY'.",
        "risk.max_order_quantity: expected a number, found the text 'ten'.",
        "reconciliation.foreign: expected one of halt, adopt, found the text 'ajopt'. Did you mean 'adopt'?",
        "reconciliation.intervals.in_flight: must be above 0, not 0.0.",
        "instrments: unknown key. Did you mean 'instruments'?",
    ]


def test_missing_sections_are_named_together() -> None:
    """An empty config says what it needs."""
    assert [text.partition(":")[0] for text in problems({})] == [
        "instruments",
        "datafeed",
        "broker",
        "strategy",
    ]


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"instruments": []}, "instruments: at least one instrument is needed."),
        ({"instruments": ["A", "B", {"symbol": "A"}]}, "instruments: more than one entry for A."),
        ({"instruments": [" SPY"]}, "instruments[0].symbol: ' SPY' is not a symbol."),
        ({"instruments": [""]}, "instruments[0].symbol: '' is not a symbol."),
        ({"instruments": "SPY"}, "instruments: expected a list, found the text 'SPY'."),
        (
            {"instruments": [{"symbol": "A", "price_step": 1, "price_steps": [{"start": 0, "step": 1}]}]},
            "instruments[0]: price_step and price_steps exclude each other.",
        ),
        (
            {"instruments": [{"symbol": "A", "min_size": 2, "max_size": 1}]},
            "instruments[0]: min_size 2 is above max_size 1.",
        ),
        (
            {"instruments": [{"symbol": "A", "min_size": 2, "market_max_size": 1}]},
            "instruments[0]: min_size 2 is above market_max_size 1.",
        ),
        (
            {"instruments": [{"symbol": "A", "min_notional": 2, "max_notional": 1}]},
            "instruments[0]: min_notional 2 is above max_notional 1.",
        ),
        ({"run": {"id": "x" * 500}}, f"run.id: '{'x' * 79} is not a run id."),
        (
            {"run": {"capital": 1e300}},
            "run.capital: expected a number from 10^-18 to 10^18, found the number 1e+300.",
        ),
        (
            {"run": {"capital": "1e-999999999"}},
            "run.capital: expected a number from 10^-18 to 10^18, found the text '1e-999999999'.",
        ),
        (
            {"run": {"capital": 10**18}},
            "run.capital: expected a number from 10^-18 to 10^18, found the number 1000000000000000000.",
        ),
        ({"run": {"capital": True}}, "run.capital: expected a finite number, found true."),
        ({"run": {"capital": b"5"}}, "run.capital: expected a finite number, found an object of type bytes."),
        (
            {
                "instruments": [
                    {"symbol": "A", "price_steps": [{"start": 5, "step": 1}, {"start": 1, "step": 1}]}
                ]
            },
            "instruments[0]: price_steps must rise.",
        ),
        (
            {"instruments": [{"symbol": "A", "price_steps": [{"from": 5, "step": 1}]}]},
            "instruments[0].price_steps[0].start: is required.",
        ),
        ({"run": {"id": "a b"}}, "run.id: 'a b' is not a run id."),
        ({"run": {"id": "../x"}}, "run.id: '../x' is not a run id."),
        ({"run": {"currency": "usd"}}, "run.currency: 'usd' is not a currency, such as USD."),
        ({"run": {"capital": 0}}, "run.capital: must be above 0, not 0."),
        (
            {"datafeed": {"name": "replay", "timezone": "../etc"}},
            "datafeed.timezone: '../etc' is not an IANA time zone, such as UTC or America/New_York.",
        ),
        ({"broker": {"name": ""}}, "broker.name: '' is not an adapter's name."),
        (
            {"broker": {"name": "mock", "options": {"moc": {}}}},
            "broker: options has no block 'mock' but one named 'moc'; rename it, or add an empty mock: {}.",
        ),
        (
            {"strategy": {"class": "path/to.py:S"}},
            "strategy.class: 'path/to.py:S' is not module:Class, such as my_strategies:SmaCross.",
        ),
        (
            {"risk": {"allow": ["SPX"]}},
            "risk.allow: 'SPX' is none of the config's instruments Did you mean 'SPY'?",
        ),
        ({"broker": {5: "x", "name": "a"}}, "broker.5: unknown key."),
    ],
)
def test_config_that_breaks_one_rule_is_refused(sections: dict[str, Any], message: str) -> None:
    """The first thing said is the rule that was broken."""
    assert problems(small(**sections))[0] == message


def test_block_of_another_name_is_no_mistake_beside_the_right_one() -> None:
    """Blocks for other adapters stay, whatever they hold: changing the name is all it takes."""
    options = {"binance": {"key": "${env:NOT_SET}"}, "binance-us": {}}
    config = parse_live_config(small(broker={"name": "binance-us", "options": options}))
    assert config.broker.block == {}
    assert evolve(config.broker, name="binance").block == {"key": "${env:NOT_SET}"}


def test_references_in_options_are_left_alone() -> None:
    """The secrets of adapters that the config does not name are never looked up."""
    options = {"x": {"key": "${env:NO_KEY}"}}
    config = parse_live_config(
        small(
            broker={"name": "paper", "options": options},
            datafeed={"name": "replay", "options": options},
            monitors=[{"name": "m", "options": options}],
        )
    )
    assert config.broker.options == config.datafeed.options == config.monitors[0].options == options


@pytest.mark.parametrize(
    ("sections", "path"),
    [
        ({"run": {"mode": "${env:CANARY}"}}, "run.mode"),
        ({"run": {"id": "${env:CANARY}"}}, "run.id"),
        ({"run": {"capital": "${env:CANARY}"}}, "run.capital"),
        ({"instruments": ["${env:CANARY}"]}, "instruments[0].symbol"),
        ({"instruments": [{"symbol": "A", "names": {"x": "file:key"}}]}, "instruments[0].names.x"),
        ({"broker": {"name": "paper", "account_id": "keyring:a/b"}}, "broker.account_id"),
        (
            {"strategy": {"class": "m:S", "params": {"deep": [{"tag": "t-${env:CANARY}"}]}}},
            "strategy.params.deep[0].tag",
        ),
        ({"persistence": {"state_path": "${env:CANARY}"}}, "persistence.state_path"),
    ],
)
def test_reference_in_a_section_is_refused(
    sections: dict[str, Any], path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A secret in a plain value would be in every output; and no variable decides about real money."""
    monkeypatch.setenv("CANARY", "live")
    (problem,) = problems(small(**sections))
    assert problem.startswith(
        f"{path}: a reference stands for a secret, and this value is none; write it out"
    )


def test_relative_paths_start_from_the_config_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The working directory has no say in what a config file means."""
    folder = tmp_path / "configs"
    folder.mkdir()
    raw = small(persistence={"state_path": "state.json"})
    (folder / "c.json").write_text(json.dumps(raw))
    monkeypatch.chdir(tmp_path)
    config = load_live_config("configs/c.json")
    assert config.persistence.state_path == folder / "state.json"
    assert config.source == Path("configs/c.json")
    assert config.base_dir == folder


def test_something_that_is_no_mapping_is_refused() -> None:
    """The top of a config is its sections."""
    with pytest.raises(ConfigError, match=r"\(top level\): expected a mapping of sections, found a list\."):
        parse_live_config([1])  # type: ignore[arg-type]


def test_error_names_the_source() -> None:
    """The message begins with the file."""
    with pytest.raises(ConfigError, match=r"^some/where\.yaml: 4 problems in the configuration:") as caught:
        parse_live_config({}, source="some/where.yaml")
    assert caught.value.source == Path("some/where.yaml")
    assert caught.value.exit_code == 2


def test_redacted_config_is_plain_and_shows_no_secret(tmp_path: Path) -> None:
    """A report has defaults, references and paths as written, and no literal under a secret's name."""
    config = parse_live_config(
        small(
            run={"capital": 1000},
            broker={
                "name": "alpaca",
                "account_id": "PA123",
                "options": {
                    "alpaca": {"key": "${env:KEY}", "secret": "written-out"},
                    "other": {"x": Secret("s3")},
                },
            },
            strategy={"class": "m:S", "params": {"object": object(), "path": Path("p")}},
            persistence={"state_path": "state.json"},
        ),
        source=tmp_path / "c.yaml",
    )
    shown = redacted(config)
    text = json.dumps(shown)
    assert "written-out" not in text
    assert "s3" not in text
    assert str(tmp_path) not in text
    assert shown["run"] == {
        "id": "run",
        "mode": "auto",
        "capital": 1000,
        "currency": "USD",
        "warmup": 0,
        "seed": 0,
    }
    assert shown["broker"] == {
        "name": "alpaca",
        "options": {
            "alpaca": {"key": "${env:KEY}", "secret": "[redacted]"},
            "other": {"x": "[redacted]"},
        },
        "account_id": "PA123",
        "distribution": None,
        "maintenance": None,
    }
    assert shown["instruments"][0]["symbol"] == "SPY"
    assert shown["strategy"] == {"class": "m:S", "params": {"object": "<object>", "path": "p"}}
    assert shown["persistence"] == {"journal": None, "state_path": "state.json", "record_inputs": True}
    assert shown["reconciliation"]["intervals"] == {"in_flight": 2.0, "open_orders": 10.0, "positions": 30.0}
    assert not {"base_dir", "raw", "source", "deprecations"} & shown.keys()


def test_repr_of_a_config_shows_no_written_out_secret() -> None:
    """A config that lands in a log by accident gives nothing away."""
    config = parse_live_config(small(broker={"name": "a", "options": {"a": {"key": "PK123", "host": "h"}}}))
    assert "PK123" not in repr(config)
    assert "'host': 'h'" in repr(config)


@frozen(kw_only=True)
class FeedOptions:
    key: Secret | None = None
    secret: Secret | None = None
    feed: str = "iex"


def test_datafeed_without_credentials_uses_the_brokers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only secrets that the feed's options know are taken, and only from the broker block of its name."""
    monkeypatch.setenv("K", "kkkk")
    monkeypatch.setenv("S", "ssss")
    keys = {"key": "${env:K}", "secret": "${env:S}", "paper": True, "feed": "not this"}
    config = parse_live_config(
        small(
            datafeed={"name": "alpaca", "options": {"alpaca": {"feed": "sip"}}},
            broker={"name": "paper", "options": {"alpaca": keys, "other": {"key": "${env:NO}"}}},
        )
    )
    block = datafeed_block(config, FeedOptions)
    assert block == {"feed": "sip", "key": "${env:K}", "secret": "${env:S}"}
    options = parse_options(FeedOptions, block, path="datafeed.options.alpaca", base_dir=config.base_dir)
    assert options == FeedOptions(key=Secret("kkkk"), secret=Secret("ssss"), feed="sip")


def test_datafeed_with_credentials_of_its_own_keeps_to_them() -> None:
    """Two sets of keys are never mixed."""
    config = parse_live_config(
        small(
            datafeed={"name": "alpaca", "options": {"alpaca": {"key": "${env:FEED}"}}},
            broker={"name": "alpaca", "options": {"alpaca": {"key": "${env:K}", "secret": "${env:S}"}}},
        )
    )
    assert datafeed_block(config, FeedOptions) == {"key": "${env:FEED}"}
    without = parse_live_config(small(datafeed={"name": "alpaca"}))
    assert datafeed_block(without, FeedOptions) == {}
