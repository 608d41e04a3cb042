"""Overrides: one key from the command line, checked as strictly as the file."""

from __future__ import annotations

import traceback
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from alphaweave.core.errors import ConfigError
from alphaweave.live.config import apply_overrides, load_live_config, parse_live_config


def small() -> dict[str, Any]:
    return {
        "instruments": ["SPY", {"symbol": "QQQ"}],
        "datafeed": {"name": "replay"},
        "broker": {"name": "paper", "options": {"paper": {"fee": 1}}},
        "strategy": {"class": "m:S"},
    }


@pytest.mark.parametrize(
    ("override", "path", "value"),
    [
        ("broker.name=mock", ("broker", "name"), "mock"),
        ("run.capital=1e5", ("run", "capital"), 1e5),
        ("run.seed=5", ("run", "seed"), 5),
        ("run.id='5'", ("run", "id"), "5"),
        ("run.capital=", ("run", "capital"), None),
        ("run={id: a, seed: 1}", ("run",), {"id": "a", "seed": 1}),
        ("strategy.params.fast=10", ("strategy", "params", "fast"), 10),
        ("strategy.params={fast: 10}", ("strategy", "params"), {"fast": 10}),
        ("strategy.params.expr=a=b", ("strategy", "params", "expr"), "a=b"),
        ("strategy.params.since=2020-01-02", ("strategy", "params", "since"), "2020-01-02"),
        ("strategy.params.grid[0]=3", ("strategy", "params", "grid"), [3]),
        ("broker.options.paper.fee=2", ("broker", "options", "paper"), {"fee": 2}),
        ("broker.options.ibkr.port=7497", ("broker", "options", "ibkr"), {"port": 7497}),
        ("broker.options.alpaca.key=${env:K}", ("broker", "options", "alpaca"), {"key": "${env:K}"}),
        ("broker.options.alpaca.key=file:/k.txt", ("broker", "options", "alpaca"), {"key": "file:/k.txt"}),
        (
            "datafeed.options.replay.columns.time=Day",
            ("datafeed", "options", "replay"),
            {"columns": {"time": "Day"}},
        ),
        ("instruments=[IBM]", ("instruments",), [{"symbol": "IBM"}]),
        ("instruments[1]=IBM", ("instruments", 1), {"symbol": "IBM"}),
        ("instruments[2]=IBM", ("instruments", 2), {"symbol": "IBM"}),
        (
            "instruments[0].names.ibkr=SPY@ARCA",
            ("instruments", 0),
            {"symbol": "SPY", "names": {"ibkr": "SPY@ARCA"}},
        ),
        ("monitors[0]=memory", ("monitors",), [{"name": "memory"}]),
        ("monitors[0].name=memory", ("monitors",), [{"name": "memory"}]),
        ("persistence.state_path=s.json", ("persistence", "state_path"), "s.json"),
        ("reconciliation.intervals.positions=60", ("reconciliation", "intervals"), {"positions": 60}),
        (
            'risk.symbols."BRK.B".max_order_quantity=5',
            ("risk", "symbols"),
            {"BRK.B": {"max_order_quantity": 5}},
        ),
        (" broker.name = mock", ("broker", "name"), "mock"),
    ],
)
def test_override_puts_its_value_where_the_path_says(
    override: str, path: tuple[Any, ...], value: Any
) -> None:
    """Any key can be set; missing sections are made, and the value is read as YAML."""
    tree: Any = apply_overrides(small(), [override.strip()])
    for step in path:
        tree = tree[step]
    assert tree == value


def test_overrides_apply_in_order_and_leave_the_raw_config_alone() -> None:
    """The last word counts, and the mapping that was given stays as it was."""
    raw = small()
    tree = apply_overrides(raw, ["broker.name=a", "broker.name=b", "broker.options.paper.fee=9"])
    assert tree["broker"] == {"name": "b", "options": {"paper": {"fee": 9}}}
    assert raw == small()


def test_parse_and_load_take_overrides(tmp_path: Path) -> None:
    """What the command line says is checked with the rest of the config."""
    overrides = ["run.capital=2500.5", "instruments[0].kind=equity"]
    config = parse_live_config(small(), overrides=overrides)
    assert config.run.capital == Decimal("2500.5")
    assert config.instruments[0].kind == "equity"
    assert config.raw["run"] == {"capital": 2500.5}
    path = tmp_path / "c.yaml"
    path.write_text("{instruments: [A], datafeed: {name: f}, broker: {name: b}, strategy: {class: 'm:S'}}")
    assert load_live_config(path, overrides=["broker.name=mock"]).broker.name == "mock"


def test_override_may_mend_what_the_file_has_wrong() -> None:
    """Overrides come before the checks."""
    raw = {**small(), "run": {"mode": "nonsense"}}
    assert parse_live_config(raw, overrides=["run.mode=replay"]).run.mode == "replay"


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("broker.name", "--set broker.name: write an override as path=value, such as broker.name=mock."),
        ("=5", "--set : write an override as path=value, such as broker.name=mock."),
        ("broker..name=5", "--set broker..name: write an override as path=value, such as broker.name=mock."),
        ("run[x]=5", "--set run[x]: write an override as path=value, such as broker.name=mock."),
        (
            "brokr.name=x",
            (
                "--set brokr: no config has this key; a config takes run, instruments, datafeed, broker, "
                "strategy, monitors, persistence, risk, risk_rules, reconciliation. Did you mean 'broker'?"
            ),
        ),
        (
            "broker.nme=x",
            (
                "--set broker.nme: no config has this key; broker takes name, distribution, options, "
                "account_id, maintenance. Did you mean 'broker.name'?"
            ),
        ),
        (
            "reconciliation.intervals.position=1",
            (
                "--set reconciliation.intervals.position: no config has this key; reconciliation.intervals "
                "takes in_flight, open_orders, positions. "
                "Did you mean 'reconciliation.intervals.positions'?"
            ),
        ),
        (
            "instruments[0].price_steps[0].stp=1",
            (
                "--set instruments[0].price_steps[0].stp: no config has this key; "
                "instruments[0].price_steps[0] takes start, step. "
                "Did you mean 'instruments[0].price_steps[0].step'?"
            ),
        ),
        (
            "risk.symbols.SPY.max_order_quantty=1",
            (
                "--set risk.symbols.SPY.max_order_quantty: no config has this key; risk.symbols.SPY takes "
                "max_order_quantity, max_order_notional, max_position_quantity, max_position_notional. "
                "Did you mean 'risk.symbols.SPY.max_order_quantity'?"
            ),
        ),
        ("run.id.x=1", "--set run.id.x: run.id is a single value."),
        ("run.mode.x=1", "--set run.mode.x: run.mode is a single value."),
        (".run.id=1", "--set .run.id: write an override as path=value, such as broker.name=mock."),
        (".run=1", "--set .run: write an override as path=value, such as broker.name=mock."),
        ("run..id=1", "--set run..id: write an override as path=value, such as broker.name=mock."),
        ("run[0]=1", "--set run[0]: run is not a list."),
        ("[0]=1", "--set [0]: a config is not a list."),
        (
            "instruments.symbol=A",
            "--set instruments.symbol: instruments is a list; write instruments[0] for its first entry.",
        ),
        ("instruments[3]=A", "--set instruments[3]: the list has 2 entries, counted from 0."),
        ("monitors[1].name=A", "--set monitors[1]: the list has 0 entries, counted from 0."),
        ("strategy.class.x=1", "--set strategy.class.x: strategy.class is a single value."),
        ("strategy.params.a=[1", "--set strategy.params.a: the value is not YAML; put it in quotes."),
        ("strategy.params.a=*b", "--set strategy.params.a: the value is not YAML; put it in quotes."),
        (
            "broker.options.paper.fee.x=1",
            "--set broker.options.paper.fee: what the config has there is not a section.",
        ),
        ("broker.options.paper[0]=1", "--set broker.options.paper: what the config has there is not a list."),
        ("datafeed.options[0]=1", "--set datafeed.options[0]: datafeed.options is not a list."),
    ],
)
def test_override_that_no_config_can_have_is_refused(override: str, message: str) -> None:
    """The path is checked before anything is read, with the near miss named."""
    with pytest.raises(ConfigError) as caught:
        apply_overrides(small(), [override])
    assert [str(problem) for problem in caught.value.problems] == [message]


def test_all_wrong_overrides_are_reported_at_once_with_the_rest() -> None:
    """One list, and no complaint that only the missing override causes."""
    raw = {**small(), "run": {"warmup": -1}}
    with pytest.raises(ConfigError) as caught:
        parse_live_config(raw, overrides=["a=1", "broker.name=mock", "b=2"])
    assert [problem.path for problem in caught.value.problems] == ["--set a", "--set b", "run.warmup"]


def test_override_never_repeats_its_value() -> None:
    """What follows the = may be a key that somebody pasted."""
    for override in ("broker.options.x.key=*c4n4ry", "brokr.key=c4n4ry", "c4n4ry=[", "broker.name.c=c4n4ry"):
        with pytest.raises(ConfigError) as caught:
            apply_overrides(small(), [override])
        if not override.startswith("c4n4ry"):
            assert "c4n4ry" not in "".join(traceback.format_exception(caught.value))


def test_override_into_a_section_of_the_wrong_shape_is_refused() -> None:
    """The file's own mistake is not papered over."""
    with pytest.raises(ConfigError, match="--set broker: what the config has there is not a section"):
        apply_overrides({"broker": "paper"}, ["broker.name=mock"])
    with pytest.raises(ConfigError, match="--set instruments: what the config has there is not a list"):
        apply_overrides({"instruments": "SPY"}, ["instruments[0]=mock"])
