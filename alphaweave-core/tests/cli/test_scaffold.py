"""The first files of somebody's own."""

from __future__ import annotations

import csv
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from alphaweave.live.config import load_live_config
from alphaweave.live.registry import Registry
from alphaweave.live.strategy_loader import load_strategy


@pytest.fixture(autouse=True)
def _within(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("name", "kind", "module"),
    [
        ("MeanReversion", "MeanReversion", "mean_reversion"),
        ("mean_reversion", "MeanReversion", "mean_reversion"),
        ("mean reversion-2", "MeanReversion2", "mean_reversion2"),
        ("RSIBounce", "RSIBounce", "rsi_bounce"),
    ],
)
def test_new_strategy_is_a_config_and_the_class_it_names(
    alphaweave: Callable[..., Any], name: str, kind: str, module: str
) -> None:
    """However the name is spelt, the module, the class and the config go together."""
    answer = alphaweave("new", "strategy", name)
    assert (answer.code, answer.err) == (0, "")
    config = load_live_config(f"{module}.yaml")
    assert config.strategy.class_path == f"{module}:{kind}"
    made = load_strategy(config.strategy.class_path, config.strategy.params, folder=config.base_dir)
    assert (type(made).__name__, made.fast, made.slow) == (kind, 10, 30)  # type: ignore[attr-defined]
    assert answer.out.splitlines()[:3] == [
        f"wrote {module}.py",
        f"wrote {module}.yaml",
        "wrote data/DEMO.csv",
    ]


@pytest.mark.parametrize(
    ("brokers", "steps"),
    [
        ({"paper": ()}, ["alphaweave run 'my folder/trend.yaml'"]),
        ({}, ["pip install alphaweave-broker-mock", "alphaweave run 'my folder/trend.yaml'"]),
    ],
)
def test_new_strategy_prints_the_commands_that_come_next(
    alphaweave: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    brokers: dict[str, tuple[()]],
    steps: list[str],
) -> None:
    """As one would type them, and only as many as are needed."""
    monkeypatch.setattr(Registry, "installed", lambda self, kind: brokers)
    answer = alphaweave("new", "strategy", "Trend", "--dir", "my folder")
    assert [line for line in answer.out.splitlines() if line.startswith("next")] == [
        f"next: {s}" for s in steps
    ]


def test_new_strategy_writes_prices_that_could_be_real(alphaweave: Callable[..., Any]) -> None:
    """Weekdays in order, each low below and each high above the rest, the same on every machine."""
    alphaweave("new", "strategy", "Trend")
    text = Path("data/DEMO.csv").read_text(encoding="utf-8")
    rows = list(csv.DictReader(text.splitlines()))
    days = [date.fromisoformat(row["date"]) for row in rows]
    assert days == sorted(set(days))
    assert {day.weekday() for day in days} == {0, 1, 2, 3, 4}
    assert len(days) > 500
    for row in rows:
        opened, high, low, close = (float(row[name]) for name in ("open", "high", "low", "close"))
        assert 0 < low <= min(opened, close) <= max(opened, close) <= high
    alphaweave("new", "strategy", "Trend", "--dir", "again")
    assert Path("again/data/DEMO.csv").read_text(encoding="utf-8") == text


def test_second_strategy_leaves_the_prices_alone(alphaweave: Callable[..., Any]) -> None:
    """They may be the user's by now."""
    alphaweave("new", "strategy", "Trend")
    Path("data/DEMO.csv").write_text("mine")
    answer = alphaweave("new", "strategy", "Other")
    assert "DEMO" not in answer.out
    assert Path("data/DEMO.csv").read_text() == "mine"


@pytest.mark.parametrize("there", ["trend.py", "trend.yaml"])
def test_file_in_the_way_is_kept(alphaweave: Callable[..., Any], there: str) -> None:
    Path(there).write_text("mine")
    answer = alphaweave("new", "strategy", "Trend")
    assert (answer.code, answer.out) == (2, "")
    assert answer.err == f"error: {there}: exists already; nothing was written\n"
    assert [path.name for path in Path().iterdir()] == [there]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("3Ducks", "gives no name for a Python class"),
        ("lambda", "gives no name for a Python class"),
        ("!", "gives no name for a Python class"),
        ("Random", "an installed module 'random'"),
    ],
)
def test_name_that_cannot_be_imported_is_refused(
    alphaweave: Callable[..., Any], name: str, message: str
) -> None:
    answer = alphaweave("new", "strategy", name)
    assert (answer.code, answer.out) == (2, "")
    assert message in answer.err
    assert not list(Path().iterdir())


def test_folder_that_cannot_be_made_is_named(alphaweave: Callable[..., Any]) -> None:
    Path("taken").write_text("a file")
    answer = alphaweave("new", "strategy", "Trend", "--dir", "taken/below")
    assert answer.code == 2
    assert answer.err.startswith("error: taken")
