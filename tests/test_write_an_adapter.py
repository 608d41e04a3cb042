"""The page for authors of adapters leaves nothing out that it promises to explain."""

from __future__ import annotations

import re
from pathlib import Path

import attrs
import pytest

from alphaweave.live.adapters.capabilities import Capabilities
from alphaweave.live.datafeed import FeedCapabilities
from alphaweave.testing import BrokerConformance
from alphaweave.testing.case import Outcome
from alphaweave.testing.sandbox import Fault

PAGE = (Path(__file__).parents[1] / "docs" / "write-an-adapter.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    """The text under a heading of the second level."""
    return PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


@pytest.mark.parametrize("capabilities", [Capabilities, FeedCapabilities])
def test_each_capability_is_explained(capabilities: type) -> None:
    """In the words of the contract, so that an author finds it."""
    told = set(re.findall(r"`(\w+)`", section("What each capability promises")))
    assert {each.name for each in attrs.fields(capabilities)} <= told


def test_each_outcome_of_the_report_is_explained() -> None:
    """All there are, and no other."""
    told = re.findall(r"^\| ([A-Z]+) \|", section("Read the report"), re.MULTILINE)
    assert set(told) == {outcome.name for outcome in Outcome}


def test_each_fault_is_explained_to_who_makes_a_sandbox() -> None:
    """With what a server does for it."""
    told = set(re.findall(r"`(\w+)`", section("The sandbox")))
    assert {fault.value for fault in Fault} <= told
    assert {"names", "instruments", "options", "secrets", "requests", "powers", "truth", "set_price"} <= {
        word.removesuffix("()") for word in re.findall(r"`([\w()]+)`", section("The sandbox"))
    }


def test_cases_that_the_page_names_exist() -> None:
    """An id that is gone would prove nothing."""
    named = set(re.findall(r"BRK-\d+", PAGE))
    assert len(named) > 40
    assert named <= set(BrokerConformance.cases())


def test_modules_that_the_page_lists_are_those_that_are_written() -> None:
    """The table is of the broker's own modules."""
    templates = Path(__file__).parents[1] / "alphaweave-core" / "src" / "alphaweave" / "cli" / "templates"
    written = {
        path.name.removesuffix(".tmpl")
        for layer in ("wire", "broker")
        for path in templates.joinpath(layer, "src").rglob("*.py.tmpl")
    }
    told = set(re.findall(r"`(\w+\.py)`", section("Begin with one that works")))
    assert written - {"__init__.py"} <= told | {name for name in written if name.startswith("sandbox_")}
    assert told <= written
