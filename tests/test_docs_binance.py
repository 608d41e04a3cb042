"""What docs/binance.md lists is what the distribution has, and the example is a config of it."""

from __future__ import annotations

import re
from pathlib import Path

import attrs
import pytest

from alphaweave.live.runner import LiveRunner
from alphaweave.testing import BrokerConformance, DataFeedConformance
from alphaweave_broker_binance.sandbox.plugin import DEVIATIONS
from alphaweave_broker_binance.settings import BinanceOptions

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "binance.md").read_text(encoding="utf-8")
NONE = "\N{EN DASH}"


def shown(value: object) -> str:
    if value is None or value is attrs.NOTHING:
        return NONE
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`"


def test_every_option_is_listed_with_its_default() -> None:
    """Those that both have first, then those of the broker."""
    options = PAGE.partition("\n## Options\n")[2].partition("\n## ")[0]
    listed = re.findall(r"^\| `(\w+)` \| (\S+) \|", options, re.MULTILINE)
    assert listed == [(each.name, shown(each.default)) for each in attrs.fields(BinanceOptions)]


def test_every_deviation_is_listed() -> None:
    """Those that the sandbox tells the kit of, by which the tests of the distribution and certify go."""
    assert set(re.findall(r"(?:BRK|FEED)-\d+", PAGE)) == set(DEVIATIONS)
    assert set(DEVIATIONS) <= {*BrokerConformance.cases(), *DataFeedConformance.cases()}


def test_example_is_a_config_of_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is read as a whole, its options too; nothing is connected."""
    monkeypatch.setenv("BINANCE_KEY", "key-of-nobody")
    monkeypatch.setenv("BINANCE_SECRET", "secret-of-nobody")
    runner = LiveRunner.from_config(ROOT / "examples" / "binance.yaml")
    assert runner.mode.value == "paper"
    assert runner.config.broker.name == runner.config.datafeed.name == "binance"
