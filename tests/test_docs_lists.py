"""What the pages list is what there is: keys, defaults, errors, commands, hooks, methods, figures."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from functools import reduce
from importlib import util
from pathlib import Path
from typing import Any

import attrs
import click
import pytest
from click.testing import CliRunner

from alphaweave.cli.exits import FAILED, INTERRUPTED, REFUSED
from alphaweave.cli.main import cli
from alphaweave.core import errors
from alphaweave.core.order import OrderStatus, TimeInForce
from alphaweave.data.loaders import load_bars
from alphaweave.live import hookspecs, plugins
from alphaweave.live.adapters.base import BrokerAdapter, Services
from alphaweave.live.backtest import VectorBacktester
from alphaweave.live.broker import Broker
from alphaweave.live.config import json_schema
from alphaweave.live.config_fields import keys_of
from alphaweave.live.datafeed import DataFeed
from alphaweave.live.plugin_loader import GROUPS
from alphaweave.live.replay_plugin import ReplayOptions
from alphaweave.monitoring.memory import InMemoryMonitor
from alphaweave.monitoring.monitor import ColumnMonitor, Monitor
from alphaweave.monitoring.plugin import DashboardOptions, JsonlOptions, PrometheusOptions
from alphaweave.strategy.events import Fill, GroupHandle, OrderEvent, OrderHandle
from alphaweave.strategy.strategy import Strategy
from alphaweave_broker_mock.options import MockOptions, PaperOptions

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
NONE = "\N{EN DASH}"


def text_of(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def code_of(text: str) -> set[str]:
    """What a page names in code, without arguments."""
    spans = re.findall(r"`([^`\n]+)`", FENCED.sub("", text))
    return {span.partition("(")[0] for span in spans}


def rows_of(text: str, heading: str = "") -> dict[str, list[str]]:
    """The rows of tables whose first cell is code, by that code; under one heading, if it is given."""
    if heading:
        _, _, text = text.partition(f"\n{heading}\n")
        text = re.split(r"^#", text, maxsplit=1, flags=re.MULTILINE)[0]
    found = {}
    for line in re.findall(r"^\| `.*\|$", text, re.MULTILINE):
        first, *cells = (cell.strip() for cell in line.strip("|").split(" | "))
        for name in re.findall(r"`([^`]+)`", first):
            found[name] = [cell.strip(" |") for cell in cells]
    return found


def shown(value: Any) -> str:
    """A default as a page writes it."""
    if value is None or value == "":
        return NONE
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`"


def leaves(schema: Mapping[str, Any], part: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every key below a part of the schema, with its default."""
    for name, prop in part["properties"].items():
        path = f"{prefix}{name}"
        below = list(sections(prop, path))
        if prefix or not below:
            yield path, prop.get("default")
        for where, section in below:
            yield from leaves(schema, schema["$defs"][section], where)


def sections(prop: Mapping[str, Any], path: str) -> Iterator[tuple[str, str]]:
    for variant in (prop, *prop.get("anyOf", ())):
        inner = variant.get("additionalProperties")
        if "items" in variant:
            yield from sections(variant["items"], f"{path}[]")
        elif isinstance(inner, Mapping):
            yield from sections(inner, f"{path}.<symbol>")
        elif match := re.fullmatch(r"#/\$defs/([A-Z]\w+)", variant.get("$ref", "")):
            yield f"{path}.", match[1]


def test_every_config_key_is_documented_with_its_default() -> None:
    """The tables of docs/configuration.md are the JSON Schema, no more and no less."""
    schema = json_schema()
    keys = {path: shown(default) for path, default in leaves(schema, schema)}
    assert len(keys) > 50
    before, _, _ = text_of("configuration.md").partition("## Secrets")
    rows = {key: cells[0] for key, cells in rows_of(before).items() if key.partition(".")[0] in known()}
    assert {key: cell for key, cell in rows.items() if "." in key} == keys


def known() -> set[str]:
    return {*json_schema()["properties"], "instruments[]", "monitors[]", "risk_rules[]"}


def default_of(options: object, path: str) -> str:
    value = reduce(getattr, path.split("."), options)
    return shown(value if isinstance(value, bool | float | int | str | None) else str(value))


def flat(options: type, prefix: str = "") -> Iterator[str]:
    for name, key in keys_of(options).items():
        if attrs.has(key.type):
            yield from flat(key.type, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


def test_options_of_the_simulated_brokers_are_documented_with_their_defaults() -> None:
    """One column for each broker."""
    rows = rows_of(text_of("configuration.md"), "### Options of `mock` and `paper`")
    paper, mock = PaperOptions(), MockOptions()
    assert {key: cells[:2] for key, cells in rows.items() if key not in {"paper", "mock", "key"}} == {
        path: [
            default_of(paper, path).replace("`0.0`", "`0`"),
            default_of(mock, path).replace("`0.0`", "`0`"),
        ]
        for path in flat(PaperOptions)
    }


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("replay", ReplayOptions(path=Path())),
        ("dashboard", DashboardOptions(path=Path())),
        ("jsonl", JsonlOptions(path=Path())),
        ("prometheus", PrometheusOptions()),
    ],
)
def test_options_of_core_are_documented_with_their_defaults(name: str, options: object) -> None:
    """Of the datafeed and the monitors that have any."""
    rows = rows_of(text_of("configuration.md"), f"### Options of `{name}`")
    assert rows.pop("path", [NONE])[0] == NONE
    assert {key: cells[0] for key, cells in rows.items()} == {
        key: default_of(options, key) for key in flat(type(options)) if key != "path"
    }


def test_every_error_is_documented_with_its_parent_and_exit_code() -> None:
    """The table of docs/errors.md is the tree, in its order of descent, with what each carries."""
    rows = rows_of(text_of("errors.md"))
    raised = {
        name: value
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, errors.AlphaweaveError)
    }
    assert set(rows) == set(raised)
    for name, error in raised.items():
        parent, code, _, carried = rows[name]
        _, _, attributes = inspect.cleandoc(error.__doc__ or "").partition("Attributes:\n")
        assert parent == f"`{error.__bases__[0].__name__}`"
        assert code == str(error.exit_code)
        listed = re.findall(r"^    (\w+(?:, \w+)*):", attributes, re.MULTILINE)
        assert set(re.findall(r"\w+", carried)) == set(re.findall(r"\w+", " ".join(listed))), name
    assert {state.name for state in errors.OrderState} <= set(re.findall(r"[A-Z]+", text_of("errors.md")))


def commands(command: click.Command, *path: str) -> Iterator[tuple[str, ...]]:
    yield path
    if isinstance(command, click.Group):
        for name, inner in command.commands.items():
            yield from commands(inner, *path, name)


def test_every_command_is_documented_as_its_help_says() -> None:
    """The blocks of docs/cli.md are the help texts, but for where a line ends."""
    page = text_of("cli.md")
    blocks = {" ".join(text.split()) for text in re.findall(r"```text\n(.*?)```", page, re.DOTALL)}
    real = {
        path: CliRunner().invoke(cli, [*path, "--help"], prog_name="alphaweave").output
        for path in commands(cli)
    }
    assert blocks == {" ".join(text.split()) for text in real.values()}
    for path in real:
        assert not path or f"\n## `{' '.join(path)}`\n" in page


@pytest.mark.parametrize("page", [ROOT / "README.md", DOCS / "cli.md"], ids=lambda page: page.name)
def test_exit_codes_are_documented(page: Path) -> None:
    """All there are."""
    table = page.read_text().partition("## Exit codes")[2]
    assert [int(code) for code in re.findall(r"^\| (\d+) \|", table, re.MULTILINE)] == [
        0,
        FAILED,
        REFUSED,
        INTERRUPTED,
    ]


def test_every_hook_is_documented_with_its_signature() -> None:
    """Group, hook, record, and every field of a record."""
    rows = {cells[0].strip("`"): cells for cells in table_of_hooks()}
    assert set(rows) == set(GROUPS.values())
    for group, (_, hook, record, _) in rows.items():
        function: Callable[..., object] = getattr(hookspecs, group.replace(".", "_"))
        signature = str(inspect.signature(function)).replace("'", "")
        assert hook == f"`{function.__name__}{signature}`"
        fields = {each.name for each in attrs.fields(getattr(plugins, record.strip("`")))}
        assert fields <= set(rows_of(text_of("plugins.md"), "## Records"))
    assert f"`alphaweave.live.plugins.API_LEVEL` is {plugins.API_LEVEL}." in text_of("plugins.md")
    assert {each.name for each in attrs.fields(Services)} <= code_of(text_of("plugins.md"))


def table_of_hooks() -> list[list[str]]:
    lines = re.findall(r"^\|.*`alphaweave\.\w+`.*\|$", text_of("plugins.md"), re.MULTILINE)
    return [[cell.strip() for cell in line.strip("|").split("|")][1:] for line in lines]


def test_every_plugin_error_is_documented_in_its_own_words() -> None:
    """The messages are those that real wheels provoke."""
    spec = util.spec_from_file_location("real_wheels", ROOT / "tests" / "test_plugins.py")
    assert spec is not None
    assert spec.loader is not None
    wheels = util.module_from_spec(spec)
    spec.loader.exec_module(wheels)
    told = text_of("plugins.md")
    assert len(wheels.REFUSALS) == 7
    for message in wheels.REFUSALS.values():
        assert message.format(names="alpaca, binance, ibkr, mock, paper") in told


def methods(*contracts: type) -> set[str]:
    """The public members that contracts declare themselves."""
    return {
        name
        for contract in contracts
        for name, member in vars(contract).items()
        if not name.startswith("_") and (callable(member) or isinstance(member, property | classmethod))
    }


def test_contract_map_names_every_method_of_brokers_and_datafeeds() -> None:
    """No promise goes unexamined."""
    named = {span.rpartition(".")[2] for span in code_of(text_of("contract-map.md"))}
    assert len(methods(Broker)) > 10
    assert methods(Broker, DataFeed) - {"capabilities"} <= named


@pytest.mark.parametrize(
    ("page", "contracts"),
    [
        ("plugins.md", (Broker, BrokerAdapter, DataFeed)),
        ("monitoring.md", (Monitor, ColumnMonitor)),
        ("write-a-strategy.md", (Strategy, OrderHandle)),
    ],
)
def test_every_method_is_documented(page: str, contracts: tuple[type, ...]) -> None:
    """Of what a reader of that page writes or calls."""
    assert methods(*contracts) <= code_of(text_of(page))


def test_fields_of_what_a_strategy_is_told_are_documented() -> None:
    """Fills, order events and groups."""
    fields = {each.name for kind in (Fill, OrderEvent, GroupHandle) for each in attrs.fields(kind)}
    assert fields <= code_of(text_of("write-a-strategy.md"))
    assert {status.name for status in OrderStatus} <= set(
        re.findall(r"[A-Z_]+", text_of("write-a-strategy.md"))
    )
    assert {f'"{tif.value}"' for tif in TimeInForce} <= code_of(text_of("write-a-strategy.md"))


def test_every_reason_of_a_denial_is_documented() -> None:
    """The reason codes of the source, but for those that only the text of a refused replacement tells."""
    live = ROOT / "alphaweave-core" / "src" / "alphaweave" / "live"
    source = "".join(
        (live / f"{name}.py").read_text()
        for name in ("desk", "effects", "live_link", "order_entry", "rounding", "trading_state")
    )
    source += "".join(path.read_text() for path in sorted(live.glob("risk*.py")))
    codes = set(
        re.findall(r"(?:Refused|Denial)\(\s*\"(\w+)\"|\bcode = \"(\w+)\"|_deny\(.*?\"(\w+)\"", source)
    )
    # The guard of losses answers with the measure that was reached, the trading state with what it is.
    reasons = {code for found in codes for code in found if code} - {"loss_limit", "trading_state"}
    reasons |= {"at_target", "daily_loss", "drawdown"}
    assert len(reasons) > 15
    assert set(rows_of(text_of("write-a-strategy.md"), "## Denials")) == reasons - {
        "replace_pending",
        "not_open",
        "not_sent",
        "below_filled",
    }


def test_every_figure_is_defined() -> None:
    """The table of docs/monitoring.md is what a run reports, in that order."""
    run = VectorBacktester().run(Strategy, load_bars(ROOT / "examples" / "data" / "FB.csv", "FB"))
    assert list(rows_of(text_of("monitoring.md"), "## Figures")) == list(run.metrics())
    frames = {name for name in vars(InMemoryMonitor) if name.endswith("_df")}
    assert all(f".{name}()" in text_of("monitoring.md") for name in frames)


def test_arguments_of_the_loader_are_documented() -> None:
    """All of them, in their order."""
    call = re.search(r"`load_bars\((.*)\)`", text_of("data.md"))
    assert call is not None
    told = re.findall(r"\w+", call[1].replace("=None", ""))
    assert told == list(inspect.signature(load_bars).parameters)


def test_readme_leads_to_every_page() -> None:
    """And opens with the two commands."""
    readme = (ROOT / "README.md").read_text()
    assert [page.name for page in DOCS.glob("*.md") if f"(docs/{page.name}" not in readme] == []
    assert re.findall(r"^\$ (.*)$", readme, re.MULTILINE)[:2] == ["make demo", "make test"]
