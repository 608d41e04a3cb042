"""What is installed, and the schema of a config."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from alphaweave import __version__
from alphaweave.live.config import json_schema
from alphaweave.live.registry import Registry


def test_plugins_lists_core_with_its_version(alphaweave: Callable[..., Any]) -> None:
    lines = [line.split() for line in alphaweave("plugins").out.splitlines()]
    assert lines[0] == ["KIND", "NAME", "DISTRIBUTION"]
    assert ["datafeed", "replay", "alphaweave-core", __version__] in lines
    assert ["monitor", "dashboard", "alphaweave-core", __version__] in lines


def test_plugins_as_json_says_the_same(alphaweave: Callable[..., Any]) -> None:
    offers = json.loads(alphaweave("plugins", "--json").out)
    shown = [[each["kind"], each["name"], each["distribution"], each["version"]] for each in offers]
    assert shown == [line.split() for line in alphaweave("plugins").out.splitlines()[1:]]
    assert "alphaweave.live.replay_plugin" in [each["value"] for each in offers]


def test_plugins_without_a_broker_says_what_to_install(
    alphaweave: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The list of a machine with core alone is no dead end."""
    monkeypatch.setattr(Registry, "installed", lambda self, kind: {})
    answer = alphaweave("plugins")
    assert answer.code == 0
    assert answer.err == "no broker is installed. Try: pip install alphaweave-broker-mock\n"
    assert json.loads(alphaweave("plugins", "--json").out) == []


def test_schema_is_the_configs(alphaweave: Callable[..., Any]) -> None:
    assert json.loads(alphaweave("schema").out) == json.loads(json.dumps(json_schema()))
