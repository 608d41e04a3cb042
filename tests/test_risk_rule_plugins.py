"""Risk rules of plugins: found by name, asked after all others in every mode."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from attrs import frozen
from test_live_runs import LiveFeed, as_replay, bars, config

from alphaweave.core.clock import ManualClock, from_ns
from alphaweave.core.errors import AdapterFailed, ConfigError, UnknownAdapter
from alphaweave.live.comparison import compare_with_journal
from alphaweave.live.config import LiveConfig, parse_live_config
from alphaweave.live.datafeed import ReplayDataFeed
from alphaweave.live.hookspecs import hookimpl
from alphaweave.live.journal_reader import JournalReader
from alphaweave.live.plugins import DatafeedPlugin, RiskRulePlugin
from alphaweave.live.proposal import Proposal
from alphaweave.live.registry import Registry
from alphaweave.live.risk_time import Timed
from alphaweave.live.runner import LiveRunner
from alphaweave.live.trading_state import KillStep

RULES = [{"name": "no-symbol", "options": {"no-symbol": {"symbol": "MSFT"}}}]


@frozen
class Options:
    symbol: str


class NoSymbol:
    """Nothing in one symbol."""

    code = "no_symbol"
    applies_to_reductions = True

    def __init__(self, symbol: str) -> None:
        self.symbol = symbol

    def check(self, proposal: Proposal) -> str | None:
        return "not this one" if proposal.symbol == self.symbol else None


class Plugin:
    """Offers the rule, or what a test wants in its place."""

    def __init__(self, made: Any = None) -> None:
        self.made = made

    @hookimpl
    def alphaweave_risk_rules(self) -> list[RiskRulePlugin]:
        def create(options: Options, services: Any) -> Any:
            if isinstance(self.made, Exception):
                raise self.made
            return self.made or NoSymbol(options.symbol)

        return [RiskRulePlugin(name="no-symbol", create=create, options=Options)]


def prepared(wanted: LiveConfig, plugin: Plugin | None = None, *, recorded: bool = False) -> LiveRunner:
    registry = Registry()
    registry.register(plugin or Plugin())
    series = bars(40)
    begin = min(one.start[0] for one in series.values())
    clock = ManualClock(from_ns(begin))
    feed = ReplayDataFeed(series) if recorded else LiveFeed(series, clock, begin)
    return LiveRunner(
        wanted,
        broker=registry.broker(wanted.broker.name),
        datafeed=DatafeedPlugin(
            name="replay", create=lambda options, services: feed, capabilities=feed.capabilities
        ),
        risk_rules=[registry.risk_rule(section.name) for section in wanted.risk_rules],
        clock=clock,
    )


def test_rule_of_a_plugin_denies_in_a_paper_run(tmp_path: Path) -> None:
    """What all other rules let pass is denied under its code; everything else trades."""
    runner = prepared(config(tmp_path, risk_rules=RULES))
    runner.run()
    orders = list(runner.memory.orders)
    denied = {order.symbol for order in orders if order.reason == "no_symbol"}
    assert denied == {"MSFT"}
    assert {order.status for order in orders if order.symbol == "MSFT"} == {"denied"}
    assert "IBM" in {trade.symbol for trade in runner.memory.trades}


class Slow(Timed):
    """Thinks for as long as it is told, and wants trading halted after two days."""

    code = "slow"
    applies_to_reductions = True

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.clock = ManualClock()
        self.seconds, self.days = seconds, set[int]()

    def check(self, proposal: Proposal) -> str | None:
        self.clock.advance(self.seconds)
        return None

    def moved(self, now_ns: int) -> None:
        self.days.add(now_ns // 86_400_000_000_000)
        if len(self.days) == 20:
            self.want(KillStep.CANCEL_ALL, self.code, "two weeks are enough")


@pytest.mark.parametrize(("seconds", "reasons"), [(0.05, set()), (0.052, {"risk_rule_slow"})])
def test_rule_that_takes_longer_than_50_ms_denies(tmp_path: Path, seconds: float, reasons: set[str]) -> None:
    """However it answers; and it is told the time all the same."""
    slow = Slow(seconds)
    runner = prepared(config(tmp_path, risk_rules=RULES), Plugin(slow))
    assert isinstance(runner._clock, ManualClock)
    slow.clock = runner._clock
    runner.run()
    orders = list(runner.memory.orders)
    denied = {order.reason for order in orders if order.status == "denied"}
    assert denied - {"trading_halted"} == reasons
    assert "trading_halted" in denied
    assert all("took 52 ms, and 50 are" in order.text for order in orders if order.reason == "risk_rule_slow")
    assert bool(runner.memory.trades) is not bool(reasons)


class Moody(Slow):
    """Takes too long now and then."""

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.asked = 0

    def check(self, proposal: Proposal) -> str | None:
        self.asked += 1
        return super().check(proposal) if self.asked % 3 == 0 else None


def test_rule_that_was_slow_then_is_no_difference_now(tmp_path: Path) -> None:
    """How long it took is on the tape, and how long it takes is no matter."""
    wanted = config(tmp_path, risk_rules=RULES, persistence={"journal": str(tmp_path / "day.db")})
    slow = Moody(0.06)
    runner = prepared(wanted, Plugin(slow))
    assert isinstance(runner._clock, ManualClock)
    slow.clock = runner._clock
    runner.run()
    assert "risk_rule_slow" in {order.reason for order in runner.memory.orders}
    for seconds in (0.0, 9.0):
        registry = Registry()
        again = Moody(seconds)
        registry.register(Plugin(again))
        found = compare_with_journal(
            wanted, JournalReader(tmp_path / "day.db"), registry=registry, clock=again.clock
        )
        assert found.difference is None
        assert found.decisions == found.recorded > 20


def test_rule_of_a_plugin_denies_in_a_replay(tmp_path: Path) -> None:
    """The same orders as in a paper run, and the rest trades."""
    wanted = config(tmp_path, risk_rules=RULES)
    replayed, live = prepared(as_replay(wanted), recorded=True), prepared(wanted)
    replayed.run()
    live.run()
    assert "no_symbol" in {order.reason for order in replayed.memory.orders}
    assert list(replayed.memory.orders) == list(live.memory.orders)
    assert len(replayed.memory.trades) > 5


def test_unknown_rule_is_refused_before_anything_runs(tmp_path: Path) -> None:
    """A rule that is misspelt is no rule, and no run."""
    with pytest.raises(UnknownAdapter, match="no risk rule named 'no-smybol'"):
        prepared(config(tmp_path, risk_rules=["no-smybol"]))


@pytest.mark.parametrize(
    ("made", "complaint"),
    [
        (ValueError("bad luck"), "raised ValueError in create: bad luck"),
        (object(), "raised TypeError in create: a rule has a code"),
        (
            type("NoCheck", (), {"code": "x", "applies_to_reductions": False})(),
            "is no RiskRule: it has no check",
        ),
    ],
)
def test_plugin_that_makes_no_rule_is_told_by_name(tmp_path: Path, made: Any, complaint: str) -> None:
    """The run does not start without a rule that the config names."""
    with pytest.raises(AdapterFailed, match=complaint) as caught:
        prepared(config(tmp_path, risk_rules=RULES), Plugin(made))
    assert (caught.value.kind, caught.value.name) == ("risk_rule", "no-symbol")


def test_options_of_a_rule_are_checked_with_their_path(tmp_path: Path) -> None:
    """As those of every adapter."""
    wrong = [{"name": "no-symbol", "options": {"no-symbol": {"symbl": "MSFT"}}}]
    with pytest.raises(ConfigError) as caught:
        prepared(config(tmp_path, risk_rules=wrong))
    assert {problem.path for problem in caught.value.problems} == {
        "risk_rules[0].options.no-symbol.symbl",
        "risk_rules[0].options.no-symbol.symbol",
    }


def test_wrong_options_of_several_parts_are_told_at_once(tmp_path: Path) -> None:
    """Rules and monitors alike, each with its path; nothing is made before."""
    wrong = [{"name": "no-symbol", "options": {"no-symbol": {"symbl": "MSFT"}}}, *RULES, "no-symbol"]
    with pytest.raises(ConfigError) as caught:
        prepared(config(tmp_path, risk_rules=wrong), Plugin(ValueError("made all the same")))
    assert {problem.path.partition(".")[0] for problem in caught.value.problems} == {
        "risk_rules[0]",
        "risk_rules[2]",
    }
    raw = config(tmp_path).raw
    two = [{"name": "jsonl"}, {"name": "memory"}, {"name": "dashboard", "options": {"dashboard": {"pth": 1}}}]
    given = parse_live_config({**raw, "monitors": two})
    registry, feed = Registry(), LiveFeed(bars(2), ManualClock(), 0)
    with pytest.raises(ConfigError) as both:
        LiveRunner(
            given,
            broker=registry.broker("paper"),
            datafeed=DatafeedPlugin(
                name="replay", create=lambda options, services: feed, capabilities=feed.capabilities
            ),
            monitors=[registry.monitor(section.name) for section in given.monitors],
        )
    assert {problem.path.partition(".")[0] for problem in both.value.problems} == {
        "monitors[0]",
        "monitors[2]",
    }
