"""The same strategy, slices and seed: in a paper run on live data as in a replay, to the last fill (I9)."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import redirect_stderr
from errno import ENOSPC
from functools import cache, partial
from io import StringIO
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
from attrs import evolve

from alphaweave.cli import running
from alphaweave.cli.main import main
from alphaweave.cli.reporting import write_report
from alphaweave.core.clock import ManualClock, from_ns
from alphaweave.core.errors import (
    AdapterFailed,
    AlphaweaveError,
    BrokerUnavailable,
    JournalLocked,
    RunRefused,
    StateFailed,
    StrategyError,
)
from alphaweave.core.market import Bar
from alphaweave.data.loaders import load_bars
from alphaweave.data.series import Series
from alphaweave.live.config import LiveConfig, parse_live_config
from alphaweave.live.control import ControlStore
from alphaweave.live.datafeed import FeedCapabilities, FeedEvent, FeedKind, ReplayDataFeed, Watermark
from alphaweave.live.journal import Journal, RunIdentity
from alphaweave.live.journal_reader import JournalReader
from alphaweave.live.journal_report import recorded_run
from alphaweave.live.plugins import DatafeedPlugin
from alphaweave.live.registry import Registry
from alphaweave.live.risk import RiskSettings
from alphaweave.live.risk_time import Timed
from alphaweave.live.runner import LiveRunner
from alphaweave.live.trading_state import KillStep
from alphaweave.monitoring.memory import InMemoryMonitor
from alphaweave.monitoring.monitor import Monitor, TradeRecord
from alphaweave.sim.venue import SimVenue
from alphaweave.strategy.strategy import Strategy
from alphaweave_broker_mock import PaperBrokerAdapter
from alphaweave_broker_mock.account_file import AccountFile

EXAMPLES = Path(__file__).parents[1] / "examples"
REALTIME = FeedCapabilities(kinds=frozenset({FeedKind.BAR}), historical=True, realtime=True)
FAR = 10**9
SYMBOLS = ("AAPL", "GOOG", "IBM", "MSFT")


class LiveFeed(ReplayDataFeed):
    """Recorded bars as they come when they end: the clock is where the last of them is."""

    capabilities = REALTIME

    def __init__(
        self, series: Mapping[str, Series], clock: ManualClock, begin: int, open_end: bool = False
    ) -> None:
        super().__init__(series)
        self.clock, self.begin, self.open_end = clock, from_ns(begin), open_end

    async def stream(self) -> AsyncIterator[FeedEvent]:
        yield Watermark(tuple(self.series), "1d", self.begin)
        async for event in super().stream():
            assert isinstance(event, Bar | Watermark)
            if event.end > self.begin:
                self.clock.set(max(event.end, self.clock.now()))
                yield event
        if self.open_end:
            await asyncio.Event().wait()


def config(folder: Path, broker: str = "paper", /, **sections: Any) -> LiveConfig:
    raw = {
        "run": {"id": "twice", "mode": "paper", "warmup": 0},
        "instruments": list(SYMBOLS),
        "datafeed": {"name": "replay"},
        "broker": {"name": broker, "options": {broker: {}}},
        "strategy": {"class": f"{__name__}:Busy"},
        # A day passes between two slices, and nothing is heard in it.
        "risk": {"silence_seconds": FAR, "order_rate": {"per_second": FAR, "per_minute": FAR}},
        **sections,
    }
    return parse_live_config(raw, source=folder / "twice.yaml")


class Busy(Strategy):
    """Orders of every kind, from every callback."""

    def init(self) -> None:
        self.seen = 0

    def next(self, i: int) -> None:
        if i % 3 == 0:
            self.order_market("MSFT", 3)
        if i % 5 == 0:
            self.order_limit("IBM", 2, self.close("IBM") * 0.99)
        if i % 4 == 0:
            self.order_stop("GOOG", 1, self.close("GOOG") * 1.01)
        if i % 6 == 0 and not self.position("AAPL"):
            close = self.close("AAPL")
            self.order_bracket("AAPL", 4, take_profit=close * 1.03, stop_loss=close * 0.97)

    def on_fill(self, fill: Any) -> None:
        self.seen += 1
        if self.seen % 5 == 0:
            self.order_market("MSFT", -1)

    def get_state(self) -> dict[str, Any]:
        return {"seen": self.seen}

    def set_state(self, state: Mapping[str, Any]) -> None:
        self.seen = state["seen"]


BARS = 60


@cache
def loaded(symbol: str) -> Series:
    return load_bars(EXAMPLES / "data" / f"{symbol}.csv", symbol)[symbol]


def bars(count: int = BARS) -> dict[str, Series]:
    """The last days of some symbols; of them the first ``count``."""
    found = {}
    for symbol in SYMBOLS:
        whole = loaded(symbol)
        part = Series(symbol, "1d")
        for row in range(len(whole) - BARS, len(whole) - BARS + count):
            part.append(
                whole.start[row],
                whole.end[row],
                whole.open[row],
                whole.high[row],
                whole.low[row],
                whole.close[row],
                whole.volume[row],
            )
        found[symbol] = part
    return found


def ran(config: LiveConfig, *, first: int = 0, count: int = BARS, open_end: bool = False) -> LiveRunner:
    """A run over the days from number ``first`` on, which are the last ones of ``count``."""
    runner = prepared(config, first=first, count=count, open_end=open_end)
    runner.run()
    return runner


def prepared(
    config: LiveConfig,
    *,
    first: int = 0,
    count: int = BARS,
    open_end: bool = False,
    watchers: Sequence[Monitor] = (),
) -> LiveRunner:
    series = bars(count)
    ends = sorted({end for one in series.values() for end in one.end})
    begin = ends[first - 1] if first else min(one.start[0] for one in series.values())
    clock = ManualClock(from_ns(begin))
    feed = ReplayDataFeed(series) if config.run.mode == "replay" else LiveFeed(series, clock, begin, open_end)
    return LiveRunner(
        config,
        broker=Registry().broker(config.broker.name),
        datafeed=DatafeedPlugin(
            name="replay", create=lambda options, services: feed, capabilities=feed.capabilities
        ),
        clock=clock,
        watchers=tuple(watchers),
    )


def as_replay(config: LiveConfig) -> LiveConfig:
    """The same, without what only a paper or live run has."""
    return evolve(
        config,
        run=evolve(config.run, mode="replay"),
        risk=RiskSettings(),
        persistence=evolve(config.persistence, journal=None),
    )


def told(runner: LiveRunner) -> list[TradeRecord]:
    """The trades, without the number of the slice: where the venue fills before a slice is seen, a paper
    run calls it the one before."""
    return [evolve(each, index=0) for each in runner.memory.trades]


@pytest.mark.parametrize("broker", ["mock", "paper"])
def test_paper_run_trades_as_the_replay(tmp_path: Path, broker: str) -> None:
    """Every order, every change of it and every fill, ids and digits included."""
    wanted = config(tmp_path, broker)
    replayed, live = ran(as_replay(wanted)), ran(wanted)
    assert len(replayed.memory.trades) > 30
    assert [alert for alert in live.memory.alerts if alert.severity == "error"] == []
    assert list(live.memory.orders) == list(replayed.memory.orders)
    assert told(live) == told(replayed)
    if broker == "paper":  # mock fills within the slice, after its record was made
        assert live.memory.bars_df().equals(replayed.memory.bars_df())


@pytest.mark.parametrize("stopped", [1, 37])
def test_paper_run_that_was_stopped_goes_on_as_if_it_had_not_been(tmp_path: Path, stopped: int) -> None:
    """Books, strategy, orders at the broker, and the broker's own account."""
    wanted = config(tmp_path, persistence={"journal": str(tmp_path / "run.db")})
    replayed = ran(as_replay(wanted))
    before = ran(wanted, count=stopped)
    after = ran(wanted, first=stopped)
    assert [*told(before), *told(after)] == told(replayed)
    assert [*before.memory.orders, *after.memory.orders] == list(replayed.memory.orders)
    assert after.summary is not None
    assert replayed.summary is not None
    assert after.summary.equity == replayed.summary.equity
    assert (after.summary.slices, after.summary.orders) == (BARS, replayed.summary.orders)
    drawn = recorded_run(JournalReader(tmp_path / "run.db"))
    assert drawn.bars_df().equals(replayed.memory.bars_df())
    assert [evolve(each, index=0) for each in drawn.trades] == told(replayed)


def test_operators_are_heard_while_the_run_is_up_and_a_halt_outlives_it(tmp_path: Path) -> None:
    """Each answer within a second; the next start begins halted, until somebody resumes."""
    path = tmp_path / "run.db"
    wanted = config(tmp_path, persistence={"journal": str(path)})
    runner = prepared(wanted, count=20, open_end=True)
    answers: list[Any] = []
    pause = Event()

    def operate() -> None:
        while len(runner.memory.bars) < 20:
            pause.wait(0.01)
        control = ControlStore.beside(path)
        for verb in ("status", "halt", "stop"):
            number = control.post(verb, operator="eva", reason="a test", at_ns=1)
            tries = [0.01] * 100
            command = control.wait(number, poll=partial(again, tries))
            answers.append(None if command is None else command.answer)

    def again(tries: list[float]) -> bool:
        return bool(tries) and not pause.wait(tries.pop())

    operator = Thread(target=operate)
    operator.start()
    runner.run()
    operator.join()
    assert [answer["state"] for answer in answers] == ["active", "halted", "halted"]
    assert runner.summary is not None
    assert runner.summary.outcome == "stopped"
    assert "operator" in {alert.code for alert in runner.memory.alerts}

    halted = ran(wanted, first=20, count=40)
    assert list(halted.memory.trades) == []
    assert {order.reason for order in halted.memory.orders if order.status == "denied"} == {"trading_halted"}
    ControlStore.beside(path).post("resume", operator="eva", reason="seen", at_ns=1)
    assert len(ran(wanted, first=40).memory.trades) > 5


class Stopping(Timed):
    """A plugin's rule that stops the run for good, or halts it, on its tenth day."""

    code = "enough"
    applies_to_reductions = False

    def __init__(self, step: KillStep) -> None:
        super().__init__()
        self.step, self.days = step, set[int]()

    def check(self, proposal: Any) -> None:
        return None

    def moved(self, now_ns: int) -> None:
        self.days.add(now_ns // 86_400_000_000_000)
        if len(self.days) == 10:
            self.want(self.step, self.code, "ten days are enough")


def ruled(wanted: LiveConfig, step: KillStep, **words: Any) -> LiveRunner:
    runner = prepared(wanted, **words)
    runner._rules = (Stopping(step),)
    return runner


def test_what_a_run_latches_itself_is_shown_and_lifted_while_it_is_down(tmp_path: Path) -> None:
    """`alphaweave status` reads the store, and `resume` is taken by the next start."""
    path = tmp_path / "run.db"
    wanted = config(tmp_path, persistence={"journal": str(path)})
    ruled(wanted, KillStep.CANCEL_ALL, count=20).run()
    control = ControlStore.beside(path)
    latch = control.latches()[""]
    assert (latch.state, latch.operator, latch.reason) == ("HALTED", "engine", "enough: ten days are enough")
    control.post("resume", operator="eva", reason="seen", at_ns=1)
    assert control.latches()[""].state == "ACTIVE"
    assert len(ran(wanted, first=20, count=40).memory.trades) > 5
    assert control.latches()[""].state == "ACTIVE"


def test_run_that_was_stopped_for_good_says_how_it_is_resumed(tmp_path: Path) -> None:
    """It ends with an error, and starts only after a named operator has looked."""
    path = tmp_path / "run.db"
    wanted = config(tmp_path, persistence={"journal": str(path)})
    with pytest.raises(AlphaweaveError, match="the trading state demands an end"):
        ruled(wanted, KillStep.STOP, count=20).run()
    control = ControlStore.beside(path)
    assert control.latches()[""].state == "HALTED"
    control.post("halt", operator="eva", reason="wait", at_ns=1)
    said = f"alphaweave resume {path} --operator NAME --reason WHY"
    with pytest.raises(RunRefused, match=re.escape(said)):
        ran(wanted, first=20, count=40)
    control.post("resume", operator="eva", reason="seen", at_ns=2)
    assert len(ran(wanted, first=20, count=40).memory.trades) > 5


def test_flatten_closes_what_is_held_and_then_nothing_trades(tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    wanted = config(tmp_path, "mock", persistence={"journal": str(path)})
    runner = prepared(wanted, count=20, open_end=True)
    pause = Event()
    held: list[Any] = []

    def operate() -> None:
        while len(runner.memory.bars) < 20:
            pause.wait(0.01)
        control = ControlStore.beside(path)
        control.post("flatten", operator="eva", reason="a test", at_ns=1)
        for _ in range(200):
            number = control.post("status", operator="eva", at_ns=1)
            command = control.wait(number, poll=lambda: not pause.wait(0.005))
            held.append(command and command.answer and command.answer["positions"])
            if not held[-1]:
                break
        control.post("stop", operator="eva", at_ns=1)

    operator = Thread(target=operate)
    operator.start()
    runner.run()
    operator.join()
    assert held[-1] == {}
    exits = [order for order in runner.memory.orders if order.status == "filled"][-2:]
    assert {order.type for order in exits} == {"market"}
    assert "not_sent" not in {order.reason for order in runner.memory.orders}


def test_another_account_than_the_configs_is_refused(tmp_path: Path) -> None:
    wanted = config(tmp_path)
    other = evolve(wanted, broker=evolve(wanted.broker, account_id="DU1"))
    assert ran(other, count=2).summary is not None  # a simulated account has the name that it is given
    with pytest.raises(RunRefused, match="--until and --fresh are for replays"):
        prepared(wanted).run(until=3)


def test_restart_under_other_terms_says_which(tmp_path: Path) -> None:
    """With both values: what decides the next order is not to be guessed at."""
    persistence = {"journal": str(tmp_path / "run.db")}
    ran(config(tmp_path, persistence=persistence), count=20)
    again = ran(config(tmp_path, persistence=persistence), first=20, count=30)
    assert not [text for text in again.notices if "terms" in text]
    run = {"id": "twice", "mode": "paper", "warmup": 0, "capital": 5000}
    changed = ran(config(tmp_path, persistence=persistence, run=run), first=30, count=40)
    (notice,) = (text for text in changed.notices if "terms" in text)
    assert notice == (
        "warning: the terms of the config are not those of the last start: "
        "saved with run.capital null, the config says 5000"
    )


def test_two_runs_on_one_journal_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the second one connects, which would disturb the first at a broker."""

    async def connected(self: PaperBrokerAdapter) -> None:
        raise AssertionError("nothing is to be connected")

    monkeypatch.setattr(PaperBrokerAdapter, "connect", connected)
    path = tmp_path / "run.db"
    run = RunIdentity(
        run_id="twice",
        broker="paper",
        account="sim",
        strategy=f"{__name__}:Busy",
        mode="paper",
        config_digest="",
    )
    first = Journal.open(path, run=run, clock_ns=lambda: 1)
    try:
        with pytest.raises(JournalLocked):
            ran(config(tmp_path, persistence={"journal": str(path)}), count=2)
    finally:
        first.close()


def test_adapter_that_raises_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(self: PaperBrokerAdapter) -> None:
        raise KeyError("token")

    monkeypatch.setattr(PaperBrokerAdapter, "connect", broken)
    with pytest.raises(AdapterFailed, match="broker plugin 'paper' raised KeyError in connect"):
        ran(config(tmp_path))


class Failing(Busy):
    """Raises in the middle."""

    def next(self, i: int) -> None:
        if i == 9:
            raise ValueError("what a strategy must not do")
        super().next(i)


def test_strategy_that_raises_halts_the_run_and_what_fills_is_still_booked(tmp_path: Path) -> None:
    """It goes on, for its positions have to be looked after; the halt is latched."""
    path = tmp_path / "run.db"
    failing = config(tmp_path, strategy={"class": f"{__name__}:Failing"}, persistence={"journal": str(path)})
    runner = ran(failing, count=20)
    assert runner.summary is not None
    assert (runner.summary.outcome, runner.summary.slices) == ("finished", 20)
    why = runner.summary.halted
    assert why is not None
    assert why.startswith("strategy_failed: ")
    assert "what a strategy must not do" in why
    assert "strategy_failed" in {alert.code for alert in runner.memory.alerts}
    assert max(order.timestamp for order in runner.memory.orders if order.status == "accepted") < max(
        bar for bar in runner.memory.bars_df().index
    )
    again = ran(failing, first=20, count=30)
    assert {order.status for order in again.memory.orders} <= {"denied"}
    assert again.summary is not None
    assert again.summary.halted == why
    page = tmp_path / "page.html"
    write_report(path, page, title=None, as_json=False)
    assert f'<span class="badge bad">halted: {why}' in page.read_text(encoding="utf-8")


@pytest.mark.parametrize(("strategy", "code"), [("Failing", 1), ("Busy", 0)])
def test_command_says_that_a_run_ended_halted(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    strategy: str,
    code: int,
) -> None:
    """On the terminal as it happens, in the summary, and by the exit code."""
    path = tmp_path / "run.db"
    live = config(tmp_path, strategy={"class": f"{__name__}:{strategy}"}, persistence={"journal": str(path)})
    monkeypatch.setattr(running, "load_live_config", lambda path, overrides: live)
    monkeypatch.setattr(
        LiveRunner,
        "from_config",
        lambda config, watchers: prepared(config, count=20, watchers=watchers),
    )
    ended = running.run_config(Path("x"), (), fresh=False, until=None, summary=None, as_json=False)
    out, err = capsys.readouterr()
    assert ended == code
    assert ("halted     strategy_failed: " in out) == bool(code)
    assert ("error: strategy_failed: " in err) == bool(code)


def test_notice_of_a_run_is_printed_as_it_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Once, and not when a run that goes on for weeks has ended."""
    live = config(tmp_path)
    early: list[str] = []

    class Early(InMemoryMonitor):
        def on_run_start(self, meta: Mapping[str, Any]) -> None:
            early.append(capsys.readouterr().err)

    monkeypatch.setattr(running, "load_live_config", lambda path, overrides: live)
    monkeypatch.setattr(
        LiveRunner,
        "from_config",
        lambda config, watchers: prepared(config, count=5, watchers=(Early(), *watchers)),
    )
    ended = running.run_config(Path("x"), (), fresh=False, until=None, summary=None, as_json=False)
    assert ended == 0
    assert "note: this run keeps no journal" in early[0]
    assert "keeps no journal" not in capsys.readouterr().err


def test_strategy_whose_init_raises_ends_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: Busy) -> None:
        raise ValueError("no such file")

    monkeypatch.setattr(Busy, "init", broken)
    path = tmp_path / "run.db"
    runner = prepared(config(tmp_path, persistence={"journal": str(path)}))
    with pytest.raises(StrategyError, match="no such file"):
        runner.run()
    assert runner.summary is not None
    assert runner.summary.outcome == "failed"
    # Let go of, so that the next start can have it.
    monkeypatch.undo()
    assert ran(config(tmp_path, persistence={"journal": str(path)}), count=3).summary is not None


@pytest.mark.parametrize("command", [False, True])
def test_disk_that_fills_under_the_simulated_account_ends_the_run_and_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: bool
) -> None:
    """It is told with the file and what to do, and nothing that was not kept: a new start goes on. The
    command ends with 1, as for a journal that cannot be written, and no order gets to the venue after it."""
    wanted = config(tmp_path, persistence={"journal": str(tmp_path / "run.db")})
    saves, placed, late = 0, 0, 0
    keep, submit = AccountFile._save, SimVenue.submit

    def fills_up(file: AccountFile, *what: Any) -> None:
        nonlocal saves
        saves += 1
        if saves > 40:
            raise OSError(ENOSPC, os.strerror(ENOSPC))
        keep(file, *what)

    def counted(self: SimVenue, *what: Any) -> Any:
        nonlocal placed, late
        placed += 1
        late += saves > 40
        return submit(self, *what)

    with monkeypatch.context() as patched:
        patched.setattr(AccountFile, "_save", fills_up)
        patched.setattr(SimVenue, "submit", counted)
        words = r"account.*No space left on device\), so the run ends; see to"
        if command:
            patched.setattr(running, "load_live_config", lambda path, overrides: wanted)
            patched.setattr(
                LiveRunner, "from_config", lambda config, watchers: prepared(config, watchers=watchers)
            )
            with redirect_stderr(StringIO()) as said, pytest.raises(SystemExit) as left:
                main(["run", "x.yaml"])
            assert left.value.code == 1
            assert re.search(words, said.getvalue())
        else:
            with pytest.raises(StateFailed, match=words):
                ran(wanted)
    assert placed > 10
    assert late == 0
    done = len(recorded_run(JournalReader(tmp_path / "run.db")).bars_df())
    assert 0 < done < BARS
    after = ran(wanted, first=done)
    assert after.summary is not None
    assert (after.summary.outcome, after.summary.halted) == ("finished", None)
    assert "denied" not in {order.status for order in after.memory.orders}


def test_stop_that_was_asked_for_before_the_start_ends_before_the_first_slice(tmp_path: Path) -> None:
    runner = prepared(config(tmp_path))
    runner.request_stop()
    runner.run()
    assert runner.summary is not None
    assert (runner.summary.outcome, runner.summary.slices) == ("stopped", 0)


def test_broker_that_is_down_ends_the_run_before_it_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And everything that was opened is closed."""
    closed: list[str] = []

    async def down(self: PaperBrokerAdapter) -> None:
        raise BrokerUnavailable("nobody answers")

    async def note(self: PaperBrokerAdapter) -> None:
        closed.append(self.name)

    monkeypatch.setattr(PaperBrokerAdapter, "connect", down)
    monkeypatch.setattr(PaperBrokerAdapter, "disconnect", note)
    with pytest.raises(BrokerUnavailable, match="nobody answers"):
        ran(config(tmp_path))
    assert closed == ["paper"]
