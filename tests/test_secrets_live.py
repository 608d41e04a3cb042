"""A paper run that hears its secret from its broker and its strategy: neither journal nor answer holds it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from test_live_runs import config, prepared

from alphaweave.core.errors import AlphaweaveError, OutcomeUnknown
from alphaweave.core.scrubber import Scrubber
from alphaweave.live.control import ControlStore
from alphaweave.live.discreet_stores import DiscreetControl
from alphaweave.strategy.strategy import Strategy
from alphaweave_broker_mock import PaperBrokerAdapter

CANARY = "c4n4ryco7f3a"


class Loud(Strategy):
    """Says the secret aloud, and fails with it."""

    def next(self, i: int) -> None:
        self.log_metric(f"of {CANARY}", 1.0)
        if i == 2:
            self.order_market("MSFT", 3)
        if i == 6:
            raise ValueError(f"no account for {CANARY}")


class Keeping(Strategy):
    """Wants to save the secret."""

    def next(self, i: int) -> None:
        self.order_market("MSFT", 3)

    def get_state(self) -> dict[str, Any]:
        return {"deep": [CANARY]}

    def set_state(self, state: Any) -> None: ...


def run(folder: Path, strategy: type[Strategy]) -> Any:
    """A paper run with a journal, whose secret is known."""
    runner = prepared(
        config(
            folder,
            strategy={"class": f"{__name__}:{strategy.__name__}"},
            persistence={"journal": str(folder / "run.db")},
        ),
        count=10,
    )
    runner.scrubber.add(CANARY)
    runner.run()
    return runner


def leaks(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.is_file() and CANARY.encode() in path.read_bytes()]


def test_no_file_of_a_live_run_holds_its_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An exception with a key in its address, a metric, a callback that raises: all of them are journaled."""

    async def lost(self: PaperBrokerAdapter, *_: Any) -> None:
        raise OutcomeUnknown(f"POST https://x/?key={CANARY} timed out")

    monkeypatch.setattr(PaperBrokerAdapter, "submit_order", lost)
    runner = run(tmp_path, Loud)
    assert {"outcome_unknown", "strategy_failed"} <= {alert.code for alert in runner.memory.alerts}
    assert leaks(tmp_path) == []
    assert b"no account for [redacted]" in (tmp_path / "run.db").read_bytes()


def test_a_secret_among_the_strategys_values_ends_the_run(tmp_path: Path) -> None:
    """It is not cut out, for the strategy that is handed back what is left would be another."""
    with pytest.raises(AlphaweaveError, match="the strategy's values hold a secret of this run"):
        run(tmp_path, Keeping)
    assert leaks(tmp_path) == []


def test_an_answer_to_an_operator_holds_no_secret(tmp_path: Path) -> None:
    scrubber = Scrubber()
    scrubber.add(CANARY)
    store = DiscreetControl(tmp_path / "run.control", scrubber)
    number = store.post("status", operator="eva", at_ns=1)
    store.answer(number, {"causes": [f"strategy_failed: {CANARY}"]}, 2)
    answered = ControlStore(store.path).get(number)
    assert answered is not None
    assert answered.answer == {"causes": ["strategy_failed: [redacted]"]}
