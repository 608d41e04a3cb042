"""A paper run that hears its secret from its broker and its strategy: neither journal nor answer holds it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import pytest
from test_live_runs import config, prepared

from alphaweave.cli.main import main
from alphaweave.core.errors import AlphaweaveError, OrderRejected, OutcomeUnknown
from alphaweave.core.order import RejectReason
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


class Listing(Strategy):
    """Reads what was said of its orders at each bar."""

    read: ClassVar[list[str]] = []

    def next(self, i: int) -> None:
        if i == 0:
            self.order_market("MSFT", 3)
            self.order_limit("GOOG", 1, self.close("GOOG") / 2, tif="gtc")
        self.read.extend(order.text for order in self.open_orders())


def printed(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """All that a command says, with exit code 0."""
    with pytest.raises(SystemExit) as left:
        main(list(words))
    out, err = capsys.readouterr()
    assert left.value.code == 0, err
    return out + err


def test_no_command_page_or_alert_shows_a_secret_that_was_said_over_two_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A refusal and an operator's reason hold it; the commands know no secret, they read what runs kept."""

    async def refused(self: PaperBrokerAdapter, ref: Any, request: Any) -> Any:
        if request.symbol == "MSFT":
            raise OrderRejected(f"account {CANARY} may not", reason=RejectReason.ACCOUNT_BLOCKED)
        await submit(self, ref, request)
        raise OutcomeUnknown(f"GET https://x/?key={CANARY} timed out")

    submit = PaperBrokerAdapter.submit_order
    monkeypatch.setattr(PaperBrokerAdapter, "submit_order", refused)
    journal, page = tmp_path / "run.db", tmp_path / "page.html"
    wanted = config(
        tmp_path,
        strategy={"class": f"{__name__}:Listing"},
        persistence={"journal": str(journal)},
    )

    def go(first: int, count: int) -> Any:
        runner = prepared(wanted, first=first, count=count)
        runner.scrubber.add(CANARY)
        runner.run()
        return runner

    said: list[Any] = [go(0, 5)]
    say = ("--symbol", "IBM", "--operator", "eva", "--wait", "0", "--reason", f"key {CANARY} is out")
    printed(capsys, "halt", str(journal), *say)
    Listing.read.clear()
    said.append(go(5, 10))
    told = [
        printed(capsys, "state", "export", str(journal)),
        printed(capsys, "state", "show", str(journal)),
        printed(capsys, "status", str(journal), "--wait", "0"),
        printed(capsys, "report", str(journal), "--out", str(page)),
        page.read_text(),
        *(repr((list(one.memory.alerts), list(one.memory.orders), one.memory.metrics_df())) for one in said),
    ]
    assert [CANARY in text for text in told] == [False] * len(told)
    assert leaks(tmp_path) == []
    assert "account [redacted] may not" in told[0]
    assert "GET https://x/?key=[redacted] timed out" in told[0]
    assert set(Listing.read) == {""}  # of the order that works on, whose answer was lost
    assert "key [redacted] is out" in told[0]
    assert "key [redacted] is out" in told[2]
    assert "key [redacted] is out" in page.read_text()
