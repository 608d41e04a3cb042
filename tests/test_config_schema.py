"""The JSON Schema of configs: it describes every key, and agrees with the parser and the template."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any, Literal

import attrs
import pytest
import yaml
from attrs import field, frozen
from jsonschema import Draft202012Validator

from alphaweave.core.errors import ConfigError
from alphaweave.core.secret import Secret
from alphaweave.live.config import json_schema, load_live_config, parse_live_config, parse_options, redacted
from alphaweave.live.config_sections import InstrumentConfig, LiveConfig, MonitorSection
from alphaweave.live.runner import LiveRunner
from alphaweave.sim.settings import VenueSettings

EXAMPLES = Path(__file__).parents[1] / "examples"
TEMPLATE = EXAMPLES / "live_config_template.yaml"
SCHEMA = json_schema()
VALIDATOR = Draft202012Validator(SCHEMA)


PARSED: Any = yaml.safe_load(TEMPLATE.read_text(encoding="utf-8"))


def template() -> Any:
    """The template as a mapping, to change at will."""
    return copy.deepcopy(PARSED)


def properties(schema: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every property of every section."""
    for section, part in {"": schema, **schema["$defs"]}.items():
        for name, prop in part.get("properties", {}).items():
            yield f"{section}.{name}", prop


def test_schema_is_a_schema_and_json() -> None:
    """It is of the dialect it names, and can be written to a file."""
    Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert json.loads(json.dumps(SCHEMA)) == SCHEMA


def test_schema_describes_every_key_and_allows_no_other() -> None:
    """An editor can show what each key means, and marks one that does not exist."""
    assert not [path for path, prop in properties(SCHEMA) if not prop["description"].strip()]
    sections = [SCHEMA, *(part for part in SCHEMA["$defs"].values() if part["type"] == "object")]
    assert len(sections) > 10
    assert all(section["additionalProperties"] is False for section in sections)


def test_schema_holds_enums_bounds_and_defaults() -> None:
    """What the classes bound, the schema bounds."""
    run = SCHEMA["$defs"]["RunSection"]["properties"]
    assert run["mode"]["anyOf"][0] == {"enum": ["auto", "replay", "paper", "live"]}
    assert run["warmup"]["anyOf"][0] == {"type": "integer", "minimum": 0}
    assert run["warmup"]["default"] == 0
    assert run["capital"]["anyOf"][0]["exclusiveMinimum"] == 0
    assert SCHEMA["required"] == ["instruments", "datafeed", "broker", "strategy"]
    foreign = SCHEMA["$defs"]["ReconciliationSection"]["properties"]["foreign"]
    assert foreign["anyOf"][0] == {"enum": ["halt", "adopt"]}
    assert foreign["default"] == "halt"


def test_template_is_valid_and_names_every_key() -> None:
    """Whoever copies the template has every key before them, and the schema accepts it."""
    VALIDATOR.validate(template())
    config = load_live_config(TEMPLATE)
    assert config.deprecations == ()

    def keys(value: Any) -> Iterator[str]:
        if isinstance(value, dict):
            for key, item in value.items():
                yield key
                yield from keys(item)
        elif isinstance(value, list):
            for item in value:
                yield from keys(item)

    text = TEMPLATE.read_text(encoding="utf-8")
    # What a replay is refused with stands in comments, as entries that only lack their first column.
    commented = "".join(re.findall(r"^  # (\w+: .*\n)", text, re.MULTILINE))
    written = {*keys(template()), *keys(yaml.safe_load(commented))}
    # max_capital is the earlier word for run.capital; the bands of price_steps are in a comment.
    documented = {path.partition(".")[2] for path, _ in properties(SCHEMA)} - {"max_capital", "start", "step"}
    assert documented <= written
    assert "[{start: 0, step: 0.0001}" in text
    paper = {**template(), "risk": {**template()["risk"], **yaml.safe_load(commented)}}
    VALIDATOR.validate(paper)
    assert parse_live_config(paper).risk.daily_loss is not None


@pytest.mark.parametrize("broker", ["paper", "mock"])
def test_template_runs_as_it_stands(broker: str, tmp_path: Path) -> None:
    """Its adapters, strategy and data are there, and a name is all that changes."""
    where = [
        f"persistence.state_path={tmp_path}/state.json",
        f"monitors[0].options.dashboard.path={tmp_path}/page.html",
    ]
    runner = LiveRunner.from_config(load_live_config(TEMPLATE, overrides=[f"broker.name={broker}", *where]))
    runner.run(until=100)
    assert runner.summary is not None
    assert runner.summary.slices == 100
    assert runner.summary.fills > 0
    assert {path.name for path in tmp_path.iterdir()} == {"page.html", "state.json", "state.json.lock"}


def test_redacted_config_is_valid_again() -> None:
    """What a report shows can be read back."""
    config = load_live_config(TEMPLATE)
    VALIDATOR.validate(redacted(config))
    again = parse_live_config(redacted(config), source=TEMPLATE)
    assert again == attrs.evolve(config, raw={})


def every_mapping(value: Any, path: str = "") -> Iterator[str]:
    """The override path of each section of the template in which only known keys may stand."""
    if isinstance(value, dict):
        yield path
        for key, item in value.items():
            if key not in {"options", "params", "names", "symbols"}:
                yield from every_mapping(item, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from every_mapping(item, f"{path}[{index}]")


@pytest.mark.parametrize("path", list(every_mapping(template())))
def test_unknown_key_fails_parser_and_schema_at_every_level(path: str) -> None:
    """A misspelt key is found by both, wherever it stands."""
    raw = template()
    node = raw
    for step in path.replace("[", ".").replace("]", "").split(".") if path else []:
        node = node[int(step) if step.isdigit() else step]
    node["nonesuch"] = 1
    with pytest.raises(ConfigError, match=r"nonesuch: unknown key"):
        parse_live_config(raw)
    assert not VALIDATOR.is_valid(raw)


VALUES: tuple[Any, ...] = (
    *(
        None,
        True,
        0,
        1,
        -1,
        2.5,
        0.0,
        10**30,
        "",
        "a",
        "a b",
        " a",
        "5",
        "0.01",
        "-1",
        "1e3",
        "1e",
        "x:Y",
        "a.b:C",
    ),
    *("auto", "live", "halt", "adopt", "ignore", "1d", "5 min", "USD", "usd", "UTC", "24/7", "../x", "~/x"),
    *("${env:TEXT}", "${env:NUMBER}", "x-${env:TEXT}", "$${env:TEXT}", "${TEXT}", "file:", "keyring:", "SPY"),
    *([], ["SPY"], [1], [None], {}, {"a": 1}, {"a": {}}, {"a": None}, {"symbol": "SPY"}, [{"symbol": "SPY"}]),
    *([{"name": "m"}], {"name": "m"}, [{"start": 0, "step": "0.1"}], {"SPY": {"max_order_quantity": 1}}),
)


def sites(value: Any, trail: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where a value stands in the template."""
    if trail:
        yield trail
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from sites(item, (*trail, key))


# Anything may stand inside options and params.
SITES = [trail for trail in sites(template()) if not {"options", "params"} & set(trail[:-1])]


def test_what_the_parser_accepts_the_schema_accepts(monkeypatch: pytest.MonkeyPatch) -> None:
    """The schema never marks a config that would run: each value of the template, changed to many others."""
    monkeypatch.setenv("TEXT", "text")
    monkeypatch.setenv("NUMBER", "12")
    accepted = 0
    least = {name: section for name, section in template().items() if name in SCHEMA["required"]}
    least["instruments"] = ["AAPL", "MSFT"]
    for trail in SITES:
        raw = {**least, trail[0]: template()[trail[0]]}
        node = raw
        for step in trail[:-1]:
            node = node[step]
        for value in VALUES:
            node[trail[-1]] = value
            try:
                parse_live_config(raw, source=TEMPLATE)
            except ConfigError:
                continue
            accepted += 1
            assert (trail, value, VALIDATOR.is_valid(raw)) == (trail, value, True)
    assert accepted > 500


@pytest.mark.parametrize(
    ("trail", "value"),
    [
        (("run", "mode"), "nonsense"),
        (("run", "mode"), "${env:MODE}"),
        (("run", "seed"), "${env:SEED}"),
        (("run", "warmup"), -1),
        (("run", "warmup"), "5"),
        (("run", "seed"), True),
        (("run", "id"), "a b"),
        (("instruments", 0), 5),
        (("instruments", 1, "fractional"), "yes"),
        (("broker", "options"), {"paper": 5}),
        (("broker",), "paper"),
        (("strategy", "class"), "nope"),
        (("risk", "symbols", "MSFT"), {"max": 1}),
        (("reconciliation", "intervals", "in_flight"), 0),
    ],
)
def test_what_the_parser_refuses_by_shape_the_schema_refuses(trail: tuple[Any, ...], value: Any) -> None:
    """Types, enums, patterns and bounds of single values are the schema's business too."""
    raw = template()
    node = raw
    for step in trail[:-1]:
        node = node[step]
    node[trail[-1]] = value
    with pytest.raises(ConfigError):
        parse_live_config(raw)
    assert not VALIDATOR.is_valid(raw)


@pytest.mark.parametrize(
    "change",
    [
        {"run": None, "monitors": None},
        {"run": {"capital": "1e5", "warmup": None}},
        {"instruments": ["SPY", {"symbol": "QQQ"}]},
        {"monitors": ["memory", {"name": "dashboard"}]},
        {"broker": {"name": "paper", "options": {"paper": None, "x": {"key": "${env:K}"}}}},
        {"instruments": [{"symbol": "A", "price_steps": [{"start": 0, "step": "0.01"}]}]},
    ],
)
def test_schema_accepts_shorthands_nulls_and_references(change: dict[str, Any]) -> None:
    """Every way in which a value may be written is in the schema."""
    raw = {**template(), "risk": {}, **change}
    parse_live_config(raw)
    VALIDATOR.validate(raw)


class Colour(Enum):
    RED = "red"


@frozen(kw_only=True)
class Deep:
    """Deep things."""

    x: int


@frozen(kw_only=True)
class Options:
    """Options of an adapter.

    Attributes:
        key: the ``key``, which is
            a secret.
        low, high: bounds.
    """

    key: Secret
    low: float = 0.5
    high: Decimal = Decimal("1.50")
    colour: Colour = Colour.RED
    side: Literal["a", "b"] | None = None
    pair: tuple[str, int] = ("a", 1)
    deep: Deep | None = None
    table: dict[str, tuple[Deep, ...]] = field(factory=dict)
    free: Any = None
    place: Path | None = None


def test_schema_of_an_options_class() -> None:
    """An adapter's options are described by the same rules."""
    schema = json_schema(Options)
    Draft202012Validator.check_schema(schema)
    assert schema["title"] == "Options"
    assert schema["required"] == ["key"]
    described = {name: prop["description"] for name, prop in schema["properties"].items()}
    assert described["key"] == "the key, which is a secret."
    assert described["low"] == described["high"] == "bounds."
    assert described["side"] == "Options of an adapter."
    assert schema["properties"]["high"]["default"] == "1.5"
    assert schema["properties"]["colour"]["default"] == "red"
    validator = Draft202012Validator(schema)
    good = {
        "key": "${env:K}",
        "colour": "red",
        "pair": ["x", 1],
        "table": {"t": [{"x": 1}]},
        "deep": {"x": 1},
    }
    validator.validate(good)
    refused: tuple[dict[str, Any], ...] = (
        {"key": "written-out"},
        {"pair": ["x"]},
        {"pair": ["x", 1, 2]},
        {"colour": "blue"},
        {"deep": {"x": 1, "y": 2}},
        {"table": {"t": [{}]}},
        {"high": "much"},
        {"place": ""},
    )
    for bad in refused:
        assert not validator.is_valid({**good, **bad})


def test_schema_of_real_options_agrees_with_parse_options() -> None:
    """The settings of the simulated venue are accepted by both."""
    raw = {
        "fill_at": "last",
        "volume_share": "0.1",
        "faults": [{"kind": "reject_order", "nth": 1}],
        "fees": None,
    }
    parse_options(VenueSettings, raw, path="o")
    Draft202012Validator(json_schema(VenueSettings)).validate(raw)


def test_schema_refuses_a_type_that_no_config_can_express() -> None:
    """The author of the class is told, not whoever writes the config."""

    @frozen
    class Odd:
        value: complex = 0j

    with pytest.raises(TypeError, match="complex"):
        json_schema(Odd)


def test_shorthands_of_the_schema_are_those_of_the_parser() -> None:
    """A bare text stands for an entry in these two lists and nowhere else."""
    refs = json.dumps(SCHEMA)
    assert refs.count("#/$defs/InstrumentConfig/properties/symbol") == 1
    assert refs.count("#/$defs/MonitorSection/properties/name") == 1
    config = parse_live_config({**template(), "instruments": ["X"], "risk": {}, "monitors": ["m"]})
    assert isinstance(config, LiveConfig)
    assert config.instruments == (InstrumentConfig(symbol="X"),)
    assert config.monitors == (MonitorSection(name="m"),)
