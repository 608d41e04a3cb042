"""A recorded run decided on again: an honest day shows nothing, and what was changed is found where it is."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar

import pytest
from attrs import evolve
from click.testing import CliRunner
from test_live_runs import FAR, SYMBOLS, Busy, LiveFeed, bars

from alphaweave.cli.main import cli
from alphaweave.core.clock import ManualClock, from_ns
from alphaweave.core.errors import JournalError, JournalForeign, RunRefused, Unsupported
from alphaweave.live.comparison import Comparison, compare_with_journal
from alphaweave.live.config import LiveConfig, parse_live_config
from alphaweave.live.journal import Journal
from alphaweave.live.journal_reader import JournalReader
from alphaweave.live.journal_records import IntentKind
from alphaweave.live.plugins import DatafeedPlugin
from alphaweave.live.registry import Registry
from alphaweave.live.runner import LiveRunner
from alphaweave.sim.capabilities import SIM_CAPABILITIES
from alphaweave_broker_mock import PaperBrokerAdapter, plugin

COUNT = 24


class Tuned(Busy):
    """Busy, with a parameter, and a place to plant something in."""

    planted: ClassVar[Mapping[int, str]] = {}

    def __init__(self, shares: int = 3) -> None:
        super().__init__()
        self.shares = shares

    def next(self, i: int) -> None:
        what = self.planted.get(i, "")
        if what == "nothing":
            return
        super().next(i)
        if i % 2:
            self.order_market("GOOG", self.shares if i < 9 else self.shares * 2 - 3)
        if what == "one more":
            self.order_market("IBM", 1)
        if what == "a tick":
            self.order_limit("IBM", 2, self.close("IBM") * 0.95 + 0.01, tif="gtc")
        elif i == 12:
            self.order_limit("IBM", 2, self.close("IBM") * 0.95, tif="gtc")
        if i % 7 == 0:
            for order in self.open_orders("IBM"):
                order.cancel()
        if i % 8 == 0:
            for order in self.open_orders("IBM"):
                order.replace(limit_price=self.close("IBM") * 0.97)
        if what == "raise":
            raise ValueError("planted")


def config(folder: Path, broker: str = "paper", **sections: Any) -> LiveConfig:
    raw = {
        "run": {"id": "day", "mode": "paper", "warmup": 2},
        "instruments": list(SYMBOLS),
        "datafeed": {"name": "replay"},
        "broker": {"name": broker, "options": {broker: {}}},
        "strategy": {"class": f"{__name__}:Tuned"},
        "persistence": {"journal": str(folder / "day.db")},
        "risk": {
            "silence_seconds": FAR,
            "order_rate": {"per_second": FAR, "per_minute": FAR},
            "max_position_notional": 6000,
        },
        **sections,
    }
    return parse_live_config(raw, source=folder / "day.yaml")


def live(wanted: LiveConfig, first: int, count: int) -> LiveRunner:
    """The days from number ``first`` on, up to number ``count``."""
    series = bars(count)
    ends = sorted({end for one in series.values() for end in one.end})
    begin = ends[first - 1] if first else min(one.start[0] for one in series.values())
    clock = ManualClock(from_ns(begin))
    feed = LiveFeed(series, clock, begin)
    runner = LiveRunner(
        wanted,
        broker=Registry().broker(wanted.broker.name),
        datafeed=DatafeedPlugin(
            name="replay", create=lambda options, services: feed, capabilities=feed.capabilities
        ),
        clock=clock,
    )
    runner.run()
    return runner


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The journal of a day with two restarts."""
    folder = tmp_path_factory.mktemp("day")
    wanted = config(folder)
    for first, count in ((0, 7), (7, 15), (15, COUNT)):
        live(wanted, first, count)
    return folder / "day.db"


def compared(journal: Path, **sections: Any) -> Comparison:
    return compare_with_journal(config(journal.parent, **sections), JournalReader(journal))


def test_honest_day_shows_no_difference(day: Path) -> None:
    """Denials, replacements, cancels, brackets and two restarts included."""
    found = compared(day)
    assert found.difference is None
    assert found.decisions == found.recorded == JournalReader(day).seq > 100
    assert (found.starts, found.changes) == (3, ())
    kinds = {row.intent.kind.value for row in JournalReader(day).orders()}
    assert kinds == {"submit", "group", "replace", "cancel"}
    denied = [entry for _, entry in JournalReader(day).entries("order") if entry.data["status"] == "denied"]
    assert {"max_position_notional"} <= {entry.data["reason"] for entry in denied}


def test_honest_day_on_paper_slips_nothing(day: Path) -> None:
    """The broker was paper, and so each order got what paper gives."""
    found = compared(day)
    assert found.venue == "broker paper"
    assert found.totals.orders > 25
    assert found.totals.filled == found.totals.compared > 20
    assert {order.bps for order in found.orders if order.filled} == {Decimal(0)}
    assert found.totals.cost == 0


def test_honest_day_on_mock_shows_no_difference_and_what_its_fills_were_better_by(tmp_path: Path) -> None:
    wanted = config(tmp_path, "mock")
    live(wanted, 0, 9)
    live(wanted, 9, 14)
    found = compare_with_journal(wanted, JournalReader(tmp_path / "day.db"))
    assert found.difference is None
    assert any(order.bps for order in found.orders)


def of_slice(found: Comparison) -> int:
    """The number of the slice that was decided otherwise."""
    assert found.difference is not None
    assert found.difference.input_kind == "slice"
    ends = sorted({end for one in bars(COUNT).values() for end in one.end})
    return [str(end) in found.difference.input_key for end in ends].index(True)


def test_another_parameter_is_found_at_the_first_order_that_it_sizes(day: Path) -> None:
    found = compared(day, strategy={"class": f"{__name__}:Tuned", "params": {"shares": 4}})
    assert of_slice(found) == 3  # the first odd one after the warm-up
    difference = found.difference
    assert difference is not None
    then, now = difference.then[difference.number], difference.now[difference.number]
    assert (then["symbol"], then["quantity"], now["quantity"]) == ("GOOG", "3", "4")
    assert then["client_order_id"] == now["client_order_id"]
    assert found.changes == ("saved without strategy.params.shares, the config says 4",)


@pytest.mark.parametrize(
    ("number", "what"), [(5, "one more"), (13, "nothing"), (12, "a tick"), (18, "one more"), (22, "raise")]
)
def test_planted_difference_is_found_at_its_decision(
    day: Path, monkeypatch: pytest.MonkeyPatch, number: int, what: str
) -> None:
    """Whether it is before, between or after the restarts."""
    monkeypatch.setattr(Tuned, "planted", {number: what})
    found = compared(day)
    assert of_slice(found) == number
    difference = found.difference
    assert difference is not None
    then, now = difference.then, difference.now
    if what == "one more":
        assert len(now) == len(then) + 1
    elif what == "nothing":
        assert (len(then) > 0, now) == (True, ())
    elif what == "a tick":
        before, after = then[difference.number], now[difference.number]
        assert Decimal(after["limit_price"]) - Decimal(before["limit_price"]) == Decimal("0.01")
        assert {name for name in before if before[name] != after[name]} == {"limit_price"}
    else:
        assert now == ({"action": "strategy_failed", "callback": 1},)


def test_tighter_limit_is_found_at_the_first_order_that_it_denies(day: Path) -> None:
    risk = {
        "silence_seconds": FAR,
        "order_rate": {"per_second": FAR, "per_minute": FAR},
        "max_position_notional": 6000,
        "max_order_quantity": 3,
    }
    found = compared(day, risk=risk)
    assert found.difference is not None
    assert {"action": "denied", "reason": "max_order_quantity"}.items() <= found.difference.now[-1].items()
    assert found.changes == ("saved with risk.max_order_quantity null, the config says 3",)


def test_run_that_another_process_writes_is_compared_as_far_as_it_came(day: Path, tmp_path: Path) -> None:
    copy = tmp_path / "day.db"
    shutil.copy(day, copy)
    writer = Journal.open(copy, run=JournalReader(copy).identity, clock_ns=lambda: 1)
    try:
        found = compared(copy)
    finally:
        writer.close()
    assert (found.difference, found.recorded) == (None, JournalReader(day).seq)


def test_strategy_that_failed_then_fails_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And one that is mended differs where it had failed."""
    wanted = config(tmp_path)
    monkeypatch.setattr(Tuned, "planted", {9: "raise"})
    live(wanted, 0, 14)
    reader = JournalReader(tmp_path / "day.db")
    assert compare_with_journal(wanted, reader).difference is None
    monkeypatch.setattr(Tuned, "planted", {})
    found = compare_with_journal(wanted, reader)
    assert of_slice(found) == 9


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda c: evolve(c, run=evolve(c.run, id="other")), "its run_id is 'day', the config's is 'other'"),
        (
            lambda c: evolve(c, strategy=evolve(c.strategy, class_path=f"{__name__}:Other")),
            f"its strategy is '{__name__}:Tuned'",
        ),
        (lambda c: evolve(c, broker=evolve(c.broker, name="mock")), "its broker is 'paper'"),
    ],
)
def test_journal_of_another_run_is_refused(
    day: Path, change: Callable[[LiveConfig], LiveConfig], words: str
) -> None:
    with pytest.raises(JournalForeign) as raised:
        compare_with_journal(change(config(day.parent)), JournalReader(day))
    assert words in str(raised.value)
    assert raised.value.exit_code == 2


def command(day: Path, *arguments: str) -> tuple[int, str, str]:
    wanted = {
        "run": {"id": "day", "warmup": 2},
        "instruments": list(SYMBOLS),
        "datafeed": {"name": "replay"},
        "broker": {"name": "paper"},
        "strategy": {"class": f"{__name__}:Tuned"},
        "risk": {
            "silence_seconds": FAR,
            "order_rate": {"per_second": FAR, "per_minute": FAR},
            "max_position_notional": 6000,
        },
    }
    path = day.with_name("day.json")
    path.write_text(json.dumps(wanted))
    result = CliRunner().invoke(cli, ["replay", str(path), *arguments], standalone_mode=False)
    code = result.return_value if result.exception is None else getattr(result.exception, "exit_code", -1)
    return code, result.stdout, f"{result.stderr}{result.exception}"


def test_command_says_what_was_decided_then_and_now(day: Path) -> None:
    code, out, err = command(day, "--diff", str(day), "--set", "strategy.params.shares=4")
    assert code == 1
    lines = out.splitlines()
    assert lines[0].startswith("decision ")
    assert " differs: slice that ended 20" in lines[0]
    assert "* then  submit buy 3 GOOG market" in out
    assert "* now   submit buy 4 GOOG market" in out
    assert "warning: saved without strategy.params.shares, the config says 4" in err
    code, out, _ = command(day, "--diff", str(day))
    assert code == 0
    assert out.startswith("no difference in ")
    assert "slippage against broker paper: " in out
    assert "together 0 bps, 0 of " in out


def test_command_gives_one_document_for_a_machine(day: Path) -> None:
    code, out, _ = command(day, "--diff", str(day), "--json", "--set", "strategy.params.shares=4")
    document = json.loads(out)
    assert code == 1
    assert document["difference"]["then"][0]["action"] == "submit"
    assert document["difference"]["at"].endswith("+00:00")
    assert document["slippage"]["totals"]["cost"] == "0.00"
    assert {order["side"] for order in document["slippage"]["orders"]} == {"buy", "sell"}


def test_command_refuses_what_is_no_journal_and_what_a_comparison_has_no_use_for(
    day: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other.db"
    other.write_text("no journal")
    assert command(day, "--diff", str(other))[0] == 2
    assert command(day, "--diff", str(tmp_path / "none.db"))[0] == 2
    code, _, said = command(day, "--diff", str(day), "--fresh")
    assert (code, "--fresh cannot go with --diff" in said) == (2, True)


def test_journal_that_does_not_say_what_the_run_began_with_is_refused(tmp_path: Path) -> None:
    wanted = config(tmp_path)
    live(wanted, 0, 3)
    reader = JournalReader(tmp_path / "day.db")

    class Bare:
        path, identity, seq = reader.path, reader.identity, reader.seq

        @staticmethod
        def decisions(since: int = 0, until: int | None = None) -> Any:
            for row in reader.decisions(since, until):
                yield evolve(row, decision=evolve(row.decision, payload={}))

    with pytest.raises(JournalError, match="does not hold what the run began with"):
        compare_with_journal(wanted, Bare())  # type: ignore[arg-type]


def test_journal_without_inputs_is_refused(tmp_path: Path) -> None:
    """A restart goes through them."""
    wanted = config(tmp_path, persistence={"journal": str(tmp_path / "day.db"), "record_inputs": False})
    with pytest.raises(RunRefused, match="record_inputs is false, and a restart needs the inputs"):
        live(wanted, 0, 2)
    assert not (tmp_path / "day.db").exists()


@pytest.mark.parametrize("replaces", [True, False])
@pytest.mark.parametrize("phase", [0, 2])
def test_what_an_adapter_refused_is_refused_again(
    phase: int, replaces: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its reasons are in no input: orders, replacements, and the next versions of orders that it cannot
    replace are refused where they were, and nowhere else."""
    prepare = PaperBrokerAdapter.prepare
    asked: list[bool] = []

    def particular(self: PaperBrokerAdapter, request: Any, refs: Any, replaces: Any = None) -> Any:
        asked.append(len(asked) % 3 == phase)
        if asked[-1]:
            raise Unsupported(f"number {len(asked)}", code="unsupported", text=f"number {len(asked)}")
        return prepare(self, request, refs, replaces)

    monkeypatch.setattr(PaperBrokerAdapter, "prepare", particular)
    if not replaces:
        declared = evolve(SIM_CAPABILITIES, replace=frozenset())
        monkeypatch.setattr(PaperBrokerAdapter, "capabilities", declared)
        monkeypatch.setattr(plugin, "SIM_CAPABILITIES", declared)
    wanted = config(tmp_path)
    live(wanted, 0, 14)
    live(wanted, 14, COUNT)
    assert 5 < sum(asked) < len(asked)
    reader = JournalReader(tmp_path / "day.db")
    kinds = {row.intent.kind for row in reader.orders()}
    # In one phase it is the replacements that are refused.
    assert (IntentKind.REPLACE in kinds) is (replaces and phase == 2)
    assert any(True for _ in reader.entries("retirements")) is (not replaces and phase == 2)
    assert compare_with_journal(wanted, reader).difference is None
