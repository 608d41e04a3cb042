"""The command, from a config to a page: what it prints, leaves behind and exits with."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from attrs import frozen

from alphaweave.cli.main import main
from alphaweave.live.state import load_live_state

BARS = 60
STRATEGIES = '''
import os

from alphaweave import Strategy


class Turns(Strategy):
    """Buys and sells in turn. Where the environment says so, it stops for an answer on the way."""

    wait_at = None

    def __init__(self, **params):
        super().__init__(**params)
        if self.wait_at == "construction":
            self.wait()

    def next(self, i):
        if i == self.wait_at:
            self.wait()
        if i % 4 == 0:
            self.order_market("SPY", 10)
        elif i % 4 == 2:
            self.close_position("SPY")

    def wait(self):
        ready, go = (int(number) for number in os.environ["WAIT"].split())
        os.write(ready, b"!")
        os.read(go, 1)


class Other(Strategy):
    def next(self, i):
        pass


class Failing(Strategy):
    def next(self, i):
        if i == 3:
            self.helper()

    def helper(self):
        raise LookupError("no such thing")


class Lost(Strategy):
    def next(self, i):
        self.order_market("QQQ", 1)
'''
CONFIG: dict[str, Any] = {
    "run": {"id": "turns", "capital": 10000},
    "instruments": [{"symbol": "SPY", "price_step": "0.01", "size_step": 1}],
    "datafeed": {"name": "replay", "options": {"replay": {"path": "SPY.csv"}}},
    "broker": {"name": "paper"},
    "strategy": {"class": "turns:Turns"},
    "monitors": [{"name": "dashboard", "options": {"dashboard": {"path": "out/page.html"}}}],
    "persistence": {"state_path": "out/state.json"},
}
COMMAND = [sys.executable, "-W", "error", "-m", "alphaweave"]


@frozen
class Answer:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory: a config, its strategies and sixty days of prices."""
    monkeypatch.chdir(tmp_path)
    prices = [100 + (day * 7) % 11 for day in range(BARS)]
    rows = [
        f"2024-{1 + day // 28:02}-{1 + day % 28:02},{price},{price + 2},{price - 2},{price + 1},1000000"
        for day, price in enumerate(prices)
    ]
    (tmp_path / "SPY.csv").write_text("\n".join(["date,open,high,low,close,volume", *rows]) + "\n")
    (tmp_path / "turns.py").write_text(STRATEGIES)
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(CONFIG))
    return tmp_path


@pytest.fixture
def alphaweave(folder: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Answer]:
    """Run ``alphaweave`` in this process."""

    def call(*arguments: object) -> Answer:
        with pytest.raises(SystemExit) as left:
            main([str(argument) for argument in arguments])
        printed = capsys.readouterr()
        assert isinstance(left.value.code, int)
        return Answer(left.value.code, printed.out, printed.err)

    return call


def saved(path: Path | str = "out/state.json") -> tuple[int, Any, Any]:
    """How far a saved run is, its books, and all that happened in it."""
    state = load_live_state(path)
    recorded = {name: part for name, part in state.monitors["recorder"].items() if name != "meta"}
    return state.position, state.kernel, recorded


def test_run_leaves_a_state_a_page_and_a_summary(folder: Path, alphaweave: Callable[..., Answer]) -> None:
    """What is printed says where each of them is, as one would type it from here."""
    answer = alphaweave("run", "run.yaml", "--summary", "out/summary.json")
    assert answer.code == 0
    printed = dict(line.split(maxsplit=1) for line in answer.out.splitlines())
    assert printed["run"] == "turns finished: 60 slices, 2024-01-01 to 2024-03-04"
    assert printed["orders"] == "30 placed, 30 fills, 0 denied"
    assert (printed["state"], printed["dashboard"]) == ("out/state.json", "out/page.html")
    assert printed["summary"] == "out/summary.json"
    assert load_live_state("out/state.json", strategy="turns:Turns", run_id="turns").position == BARS
    assert "turns:Turns" in Path("out/page.html").read_text(encoding="utf-8")
    document = json.loads(Path("out/summary.json").read_text(encoding="utf-8"))
    assert (document["summary"]["fills"], document["metrics"]["fills"]) == (30, 30)
    assert f"{document['summary']['equity']:,.2f} USD" in printed["equity"]


def test_run_as_json_prints_the_summary_and_nothing_else(
    folder: Path, alphaweave: Callable[..., Answer]
) -> None:
    """Progress and notes go to standard error."""
    answer = alphaweave("run", "run.yaml", "--json", "--summary", "out/summary.json")
    assert json.loads(answer.out) == json.loads(Path("out/summary.json").read_text(encoding="utf-8"))
    assert json.loads(answer.out)["state"] == "out/state.json"
    assert "finished: 60 bars" in answer.err


def test_run_that_was_cut_goes_on_to_the_same_end(folder: Path, alphaweave: Callable[..., Answer]) -> None:
    """Stopping by number is no failure; resuming is said; the end is that of a run in one piece."""
    alphaweave("run", "run.yaml")
    whole = saved()
    cut = alphaweave("run", "run.yaml", "--fresh", "--until", "25")
    assert (cut.code, saved()[0]) == (0, 25)
    assert "turns stopped: 25 slices, 2024-01-01 to 2024-01-25" in cut.out
    resumed = alphaweave("run", "run.yaml")
    assert f"resuming after slice 25 from {folder}/out/state.json" in resumed.err
    assert saved() == whole


def test_fresh_run_pays_no_heed_to_the_state(folder: Path, alphaweave: Callable[..., Answer]) -> None:
    alphaweave("run", "run.yaml", "--until", "25")
    answer = alphaweave("run", "run.yaml", "--until", "10", "--fresh")
    assert "resuming" not in answer.err
    assert saved()[0] == 10


def test_replay_runs_over_history_whatever_the_mode(folder: Path, alphaweave: Callable[..., Answer]) -> None:
    """The mode of the config, and of an override, yields."""
    paper = ("--set", "run.mode=paper")
    refused = alphaweave("run", "run.yaml", *paper)
    assert refused.code == 2
    assert "run.mode" in refused.err
    assert alphaweave("replay", "run.yaml", *paper).code == 0


def test_check_says_what_would_run_and_runs_nothing(folder: Path, alphaweave: Callable[..., Answer]) -> None:
    answer = alphaweave("check", "run.yaml", "--set", "broker.name=mock")
    assert answer.code == 0
    assert "broker      mock\n" in answer.out
    assert "strategy    turns:Turns\n" in answer.out
    found = json.loads(alphaweave("check", "run.yaml", "--json").out)
    assert (found["mode"], found["broker"], found["instruments"]) == ("replay", "paper", ["SPY"])
    assert not Path("out").exists()


def test_report_draws_the_page_of_a_saved_run(folder: Path, alphaweave: Callable[..., Answer]) -> None:
    """The figures are those that the run itself printed."""
    ran = json.loads(alphaweave("run", "run.yaml", "--json").out)
    answer = alphaweave("report", "out/state.json", "--out", "again/report.html", "--title", "As it was")
    assert (answer.code, answer.out) == (0, "wrote again/report.html\n")
    assert "<title>As it was</title>" in Path("again/report.html").read_text(encoding="utf-8")
    told = json.loads(alphaweave("report", "out/state.json", "--json").out)
    assert (told["run"], told["report"]) == ("turns", "report.html")
    assert told["metrics"] == ran["metrics"]
    refused = alphaweave("report", "out/state.json", "--out", "SPY.csv/report.html")
    assert refused.code == 2
    assert refused.err.startswith("error: SPY.csv")


CONFIG_WRONG = "error: run.yaml: 1 problem in the configuration:\n  "


@pytest.mark.parametrize(
    ("overrides", "code", "message"),
    [
        (["broker.name=papr"], 2, "installed: alpaca, binance, ibkr, mock, paper. Did you mean 'paper'?"),
        (["monitors=[dashbord]"], 2, "no monitor named 'dashbord'"),
        (["broker.options.paper.csh=1"], 2, f"{CONFIG_WRONG}broker.options.paper.csh: unknown key."),
        (["datafeed.options.replay.path=QQQ.csv"], 2, "QQQ.csv: no such file or folder"),
        (["instruments=[QQQ]", "datafeed.options.replay.path=."], 2, "no bars of QQQ"),
        (["strategy.class=nowhere:A"], 2, f"{CONFIG_WRONG}strategy.class: there is no module 'nowhere'"),
        (["strategy.class=turns:Turn"], 2, "it has: Failing, Lost, Other, Turns. Did you mean 'turns:Turns"),
        (["strategy.class=signal:Turns"], 2, "module signal has no class 'Turns'"),
        (["strategy.params={self: 1}"], 2, f"{CONFIG_WRONG}strategy.params: Turns cannot be made with these"),
        (["datafeed.interval=tick"], 2, f"{CONFIG_WRONG}datafeed.interval: the replay feed reads bars"),
        (["datafeed.interval=5m"], 2, "no two bars are as close as 5m; the closest are 1 day"),
        (["run.capital=1e300"], 2, f"{CONFIG_WRONG}run.capital: expected a number from 10^-18 to 10^18"),
        (["strategy.params={slow: 1}"], 2, f"{CONFIG_WRONG}strategy.params: Turns has no parameter 'slow'"),
        (
            ["strategy.class=turns:Other"],
            2,
            "state.json: this state is of strategy turns:Turns, the run's is",
        ),
        (["run.id=another"], 2, "this state is of run 'turns', the config's run.id is 'another'"),
        (
            ["strategy.class=turns:Failing", "persistence=null"],
            1,
            "Failing.next raised LookupError at 2024-01-05",
        ),
        (
            ["strategy.class=turns:Lost", "persistence=null"],
            1,
            "Lost.next at 2024-01-02T00:00:00+00:00: 'QQQ'",
        ),
    ],
)
def test_what_stops_a_run_is_one_message(
    folder: Path, alphaweave: Callable[..., Answer], overrides: list[str], code: int, message: str
) -> None:
    """It names what is to blame, and nothing of what was saved before changes."""
    alphaweave("run", "run.yaml", "--until", "5")
    before = Path("out/state.json").read_bytes()
    words = [word for override in overrides for word in ("--set", override)]
    answer = alphaweave("run", "run.yaml", *words)
    assert (answer.code, answer.out) == (code, "")
    assert message in answer.err
    assert answer.err.count("error: ") == 1
    assert "Traceback" not in answer.err
    assert Path("out/state.json").read_bytes() == before


def test_error_in_a_strategy_points_into_its_file(folder: Path, alphaweave: Callable[..., Answer]) -> None:
    answer = alphaweave("run", "run.yaml", "--set", "strategy.class=turns:Failing")
    line = 1 + STRATEGIES.splitlines().index('        raise LookupError("no such thing")')
    assert answer.err.endswith(f"  raised at {folder / 'turns.py'}:{line}\n")


def test_strategy_file_with_a_name_already_taken_is_refused(
    folder: Path, alphaweave: Callable[..., Answer]
) -> None:
    """`signal.py` beside the config would never be what `signal` means."""
    (folder / "turns.py").rename(folder / "signal.py")
    answer = alphaweave("check", "run.yaml", "--set", "strategy.class=signal:Turns")
    assert answer.code == 2
    assert f"{folder / 'signal.py'} has the name of another module" in answer.err


def test_monitor_that_fails_fails_the_command_but_not_the_run(
    folder: Path, alphaweave: Callable[..., Answer]
) -> None:
    """The state is saved and the summary printed all the same."""
    answer = alphaweave("run", "run.yaml", "--set", "monitors[0].options.dashboard.path=SPY.csv/page.html")
    assert answer.code == 1
    assert "error: monitor plugin 'dashboard' (alphaweave-core " in answer.err
    assert "turns finished: 60 slices" in answer.out
    assert saved()[0] == BARS


@pytest.fixture
def waiting() -> Callable[..., tuple[subprocess.Popen[str], Callable[[], None]]]:
    """Start a run that waits at a certain point; the process at that point, and how to let it go on."""

    def start(wait_at: object, *arguments: str) -> tuple[subprocess.Popen[str], Callable[[], None]]:
        ready_out, ready_in = os.pipe()
        go_out, go_in = os.pipe()
        process = subprocess.Popen(
            [*COMMAND, "run", "run.yaml", "--set", f"strategy.params={{wait_at: {wait_at}}}", *arguments],
            env={**os.environ, "WAIT": f"{ready_in} {go_out}"},
            pass_fds=(ready_in, go_out),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        os.close(ready_in)
        os.close(go_out)
        assert os.read(ready_out, 1) == b"!", process.communicate()
        os.close(ready_out)

        def let_go() -> None:
            os.write(go_in, b"!")
            os.close(go_in)

        return process, let_go

    return start


def hear(process: subprocess.Popen[str], words: str) -> None:
    """Read standard error up to the line with these words."""
    assert process.stderr is not None
    heard = []
    for line in process.stderr:
        heard.append(line)
        if words in line:
            return
    pytest.fail(f"never said {words!r}, but {''.join(heard)}")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupt_stops_after_the_bar_and_saves(
    alphaweave: Callable[..., Answer], waiting: Callable[..., Any], number: signal.Signals
) -> None:
    """The bar that was under way is finished, and the run goes on later as if nothing had been."""
    alphaweave("run", "run.yaml")
    whole = saved()
    process, let_go = waiting(24, "--fresh")
    process.send_signal(number)
    hear(process, "stopping after this bar")
    let_go()
    out, err = process.communicate()
    assert process.returncode == 130, err
    assert "turns stopped: 25 slices" in out
    assert saved()[0] == 25
    assert alphaweave("run", "run.yaml", "--set", "strategy.params={wait_at: 24}").code == 0
    assert saved() == whole


def test_second_interrupt_breaks_off(folder: Path, waiting: Callable[..., Any]) -> None:
    """A strategy that never comes back cannot hold the process; nothing is saved."""
    process, _ = waiting(24)
    process.send_signal(signal.SIGINT)
    hear(process, "a second interrupt breaks off")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate()
    assert (process.returncode, out) == (130, "")
    assert err.endswith("interrupted: what was kept before is unchanged\n")
    assert "Traceback" not in err
    assert not Path("out/state.json").exists()


def test_interrupt_before_the_first_bar_is_not_forgotten(folder: Path, waiting: Callable[..., Any]) -> None:
    """A run that is still getting ready ends before its first slice."""
    process, let_go = waiting("construction")
    process.send_signal(signal.SIGINT)
    hear(process, "stopping after this bar")
    let_go()
    out, err = process.communicate()
    assert process.returncode == 130, err
    assert "turns stopped: 0 slices" in out


def test_interrupt_on_the_last_bar_is_a_finished_run(folder: Path, waiting: Callable[..., Any]) -> None:
    """Nothing was left to stop."""
    process, let_go = waiting(BARS - 1)
    process.send_signal(signal.SIGINT)
    hear(process, "stopping after this bar")
    let_go()
    out, err = process.communicate()
    assert process.returncode == 0, err
    assert "turns finished: 60 slices" in out


def test_new_strategy_runs_by_the_command_it_prints(tmp_path: Path) -> None:
    """As it is, from where it was printed."""
    environment = {**os.environ, "PATH": f"{sysconfig.get_path('scripts')}{os.pathsep}{os.environ['PATH']}"}

    def shell(words: list[str]) -> str:
        answer = subprocess.run(
            words, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert answer.returncode == 0, answer.stderr
        return answer.stdout

    printed = shell(["alphaweave", "new", "strategy", "Trend", "--dir", "my folder"])
    steps = [line.removeprefix("next: ") for line in printed.splitlines() if line.startswith("next: ")]
    assert len(steps) == 1
    answer = shell(shlex.split(steps[0]))
    assert "trend finished: 520 slices, 2022-01-03 to 2023-12-29" in answer
    assert " 0 fills" not in answer
    assert (tmp_path / "my folder" / "trend.html").exists()
