"""The terms of a run: all that its decisions depend on, in words that can be compared and shown."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from attrs import field, frozen

from alphaweave.core.instrument import Instrument
from alphaweave.core.secret import Secret
from alphaweave.live.config import parse_live_config
from alphaweave.live.terms import run_terms, term_changes

RAW: dict[str, Any] = {
    "run": {"id": "t", "capital": 100000, "seed": 3},
    "instruments": ["SPY"],
    "datafeed": {"name": "replay"},
    "broker": {"name": "paper"},
    "strategy": {"class": "a:B", "params": {"fast": 10, "token_level": 5}},
    "persistence": {"state_path": "s.json"},
}


@frozen
class Options:
    """Of a broker."""

    rate: Decimal = Decimal("0.10")
    kinds: frozenset[str] = frozenset({"b", "a"})
    key: Secret = field(factory=lambda: Secret("sesame-open"))
    certificate: Path = Path("a.pem")
    rule: object = field(factory=object)


def terms(options: object = None, instrument: dict[str, Any] | None = None, **sections: Any) -> Any:
    raw = {name: {**RAW[name], **sections.get(name, {})} for name in RAW if name != "instruments"}
    raw.update({name: section for name, section in sections.items() if name not in raw})
    rules = Instrument(symbol="SPY", venue_symbol="SPY", **(instrument or {}))
    found = run_terms(
        parse_live_config({"instruments": RAW["instruments"], **raw}),
        broker_options=options or Options(),
        instruments={"SPY": rules},
    )
    # As it comes back from a state file.
    return json.loads(json.dumps(found, allow_nan=False))


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        ({"run": {"capital": 50000}}, "saved with run.capital 100000, the config says 50000"),
        ({"run": {"capital": None}}, "saved with run.capital 100000, the config says null"),
        ({"run": {"currency": "EUR"}}, "saved with run.currency USD, the config says EUR"),
        ({"run": {"warmup": 5}}, "saved with run.warmup 0, the config says 5"),
        ({"run": {"seed": 4}}, "saved with run.seed 3, the config says 4"),
        ({"datafeed": {"timezone": "Asia/Tokyo"}}, "datafeed.timezone UTC, the config says Asia/Tokyo"),
        ({"broker": {"account_id": "U1"}}, "saved with broker.account_id null, the config says U1"),
        (
            {"strategy": {"params": {"fast": 11, "token_level": 5}}},
            "saved with strategy.params.fast 10, the config says 11",
        ),
        ({"strategy": {"params": {"token_level": 5}}}, "strategy.params.fast 10, the config has none"),
        (
            {"strategy": {"params": {**RAW["strategy"]["params"], "slow": 30}}},
            "saved without strategy.params.slow, the config says 30",
        ),
        ({"options": Options(rate=Decimal("0.2"))}, "broker.options.paper.rate 0.1, the config says 0.2"),
        ({"instrument": {"size_step": Decimal("0.5")}}, "instruments.SPY.size_step 1, the config says 0.5"),
        ({"risk": {"max_order_notional": 5}}, "saved with risk.max_order_notional null, the config says 5"),
    ],
)
def test_each_term_is_named_with_both_values(changed: dict[str, Any], line: str) -> None:
    (found,) = term_changes(terms(), terms(**changed))
    assert found.endswith(line)


def test_broker_of_another_name_is_another_term() -> None:
    """Its options are then others too."""
    found = term_changes(terms(), terms(broker={"name": "mock"}))
    assert "saved with broker.name paper, the config says mock" in found


@pytest.mark.parametrize(
    "changed",
    [
        {"persistence": {"state_path": "t.json"}},
        {"monitors": ["dashboard"]},
        {"run": {"capital": "100000.00"}},
        {"run": {"id": "other"}},
        {"datafeed": {"options": {"replay": {"path": "elsewhere"}}}},
        {"instrument": {"assumed": True}},
        {"options": Options(certificate=Path("b.pem"))},
        {"options": Options(kinds=frozenset({"a", "b"}))},
    ],
)
def test_what_decides_nothing_is_no_term(changed: dict[str, Any]) -> None:
    """Nor is another way of writing one value, or an object's place in memory."""
    assert term_changes(terms(), terms(**changed)) == []


def test_terms_hold_no_secret_and_notice_other_values_under_a_secrets_name() -> None:
    """A number under such a name may be a plain parameter: that it changed is told, not what it is."""
    text = json.dumps(terms(strategy={"params": {"api_key": "hush-hush", "url": "https://me:hush-hush@x/"}}))
    assert "sesame" not in text
    assert "hush" not in text
    (line,) = term_changes(terms(), terms(strategy={"params": {"fast": 10, "token_level": 6}}))
    assert line.startswith("saved with strategy.params.token_level [redacted] #")


def test_yes_is_not_one_and_long_values_are_cut() -> None:
    assert term_changes({"a": True}, {"a": 1}) == ["saved with a true, the config says 1"]
    (line,) = term_changes({"a": "x" * 500}, {"a": ""})
    assert line == f'saved with a {"x" * 77}..., the config says ""'


def test_value_that_json_cannot_hold_is_a_term_all_the_same() -> None:
    assert terms(strategy={"params": {"top": float("inf")}})["strategy"]["params"] == {"top": "inf"}
