"""What docs/ibkr.md lists is what the distribution has, and the example is a config of it."""

from __future__ import annotations

import re
from pathlib import Path

import attrs

from alphaweave.live.runner import LiveRunner
from alphaweave.testing import BrokerConformance, DataFeedConformance
from alphaweave_broker_ibkr.contract_forms import parse_contract
from alphaweave_broker_ibkr.feed_settings import IbkrFeedOptions
from alphaweave_broker_ibkr.market_rows import INTERVALS
from alphaweave_broker_ibkr.sandbox.plugin import DEVIATIONS
from alphaweave_broker_ibkr.settings import IbkrOptions, Reach

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "ibkr.md").read_text(encoding="utf-8")


def section(name: str) -> str:
    return PAGE.partition(f"\n## {name}\n")[2].partition("\n## ")[0]


def shown(value: object) -> str:
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`"


def test_every_option_is_listed_with_its_default() -> None:
    """Those of the broker; of what the datafeed has, it says where that differs."""
    listed = re.findall(r"^\| `(\w+)` \| (\S+) \|", section("Options"), re.MULTILINE)
    assert listed == [(each.name, shown(each.default)) for each in attrs.fields(IbkrOptions)]


def test_every_option_of_the_datafeed_is_listed_with_its_default() -> None:
    """Those that the broker has not; and which intervals it has."""
    listed = re.findall(r"^\| `(\w+)` \| (\S+) \|", section("Market data"), re.MULTILINE)
    own = {each.name for each in attrs.fields(IbkrFeedOptions)} - {each.name for each in attrs.fields(Reach)}
    fields = [each for each in attrs.fields(IbkrFeedOptions) if each.name in own]
    assert listed == [(each.name, shown(each.default)) for each in fields]
    assert len(INTERVALS) == 20


def test_every_deviation_is_listed() -> None:
    """Those that the sandbox tells the kit of, by which the tests of the distribution and certify go."""
    assert set(re.findall(r"(?:BRK|FEED)-\d+", PAGE)) == set(DEVIATIONS)
    assert set(DEVIATIONS) <= {*BrokerConformance.cases(), *DataFeedConformance.cases()}


def test_every_form_of_a_contract_is_one() -> None:
    """As the table writes them."""
    cells = re.findall(r"^\| (`[^|]+`) \|", section("Contracts"), re.MULTILINE)
    forms = [form for cell in cells for form in re.findall(r"`([^`]+)`", cell)]
    assert len(forms) == 8
    assert {parse_contract(form).kind for form in forms} == {"", "STK", "CASH", "FUT", "CRYPTO"}


def test_example_is_a_config_of_a_run() -> None:
    """It is read as a whole, its options too; nothing is connected."""
    runner = LiveRunner.from_config(ROOT / "examples" / "ibkr.yaml")
    assert runner.mode.value == "paper"
    assert runner.config.broker.name == runner.config.datafeed.name == "ibkr"
