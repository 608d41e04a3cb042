"""The command and what is not its own: other files, other runs, other terms, and code that wants to leave."""

from __future__ import annotations

import fcntl
import json
import os
import resource
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from attrs import frozen

from alphaweave.cli.main import main
from alphaweave.live.state import load_live_state
from alphaweave.monitoring.dashboard import DashboardPage
from alphaweave.monitoring.memory import InMemoryMonitor

BARS = 40
STRATEGIES = """
import sys

from alphaweave import Strategy


class Turns(Strategy):
    def __init__(self, size=10):
        self.size = size

    def next(self, i):
        if i % 4 == 0:
            self.order_market("SPY", self.size)
        elif i % 4 == 2:
            self.close_position("SPY")


class Greedy(Strategy):
    def next(self, i):
        self.order_limit("SPY", 10**6, self.close("SPY"))
        self.order_limit("SPY", 1, 1)
        self.order_market("SPY", 10**9)


class Unsaved(Turns):
    asked = 0

    def get_state(self):
        self.asked += 1
        return {} if self.asked < 2 else {"rows": object()}


class Leaves(Strategy):
    def next(self, i):
        if i == 3:
            sys.exit(0)


class LeavesEarly(Strategy):
    def get_state(self):
        raise SystemExit(0)


class Returns(Strategy):
    def next(self, i):
        raise GeneratorExit


"""
CONFIG: dict[str, Any] = {
    "run": {"id": "turns", "capital": 10000},
    "instruments": [{"symbol": "SPY", "price_step": "0.01", "size_step": 1}],
    "datafeed": {"name": "replay", "options": {"replay": {"path": "SPY.csv"}}},
    "broker": {"name": "paper"},
    "strategy": {"class": "turns_safely:Turns"},
    "monitors": [{"name": "dashboard", "options": {"dashboard": {"path": "page.html"}}}],
    "persistence": {"state_path": "state.json"},
}


@frozen
class Answer:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str


def prices(*, shift: int = 0, bars: int = BARS) -> str:
    """Days of one symbol, as CSV; ``shift`` moves the first close."""
    closes = [100 + (day * 7) % 11 for day in range(bars)]
    rows = [
        f"2024-{1 + day // 28:02}-{1 + day % 28:02},{close},{close + 2},{close - 2},{close + 1},1000000"
        for day, close in enumerate(closes)
    ]
    rows[0] = rows[0].replace(",101,", f",{101 + shift},")
    return "\n".join(["date,open,high,low,close,volume", *rows]) + "\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory: a config, its strategies and their prices."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "SPY.csv").write_text(prices())
    (tmp_path / "turns_safely.py").write_text(STRATEGIES)
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(CONFIG))
    return tmp_path


@pytest.fixture
def alphaweave(folder: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Answer]:
    """Run ``alphaweave`` in this process; a word ``key=value`` is an override."""

    def call(*arguments: object) -> Answer:
        words: list[str] = []
        for word in map(str, arguments):
            words += ["--set", word] if "=" in word else [word]
        with pytest.raises(SystemExit) as left:
            main(words)
        printed = capsys.readouterr()
        assert isinstance(left.value.code, int)
        return Answer(left.value.code, printed.out, printed.err)

    return call


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ("run.capital=50000", "saved with run.capital 10000, the config says 50000"),
        ("run.seed=7", "saved with run.seed 0, the config says 7"),
        ("run.warmup=3", "saved with run.warmup 0, the config says 3"),
        ("broker.options.paper.fees.rate=0.01", "broker.options.paper.fees.rate 0"),
        ("broker.name=mock", "saved with broker.name paper, the config says mock"),
        ("strategy.params={size: 2}", "saved without strategy.params.size, the config says 2"),
        ("risk.max_order_quantity=5", "saved with risk.max_order_quantity null, the config says 5"),
        ("instruments[0].size_step=2", "saved with instruments.SPY.size_step 1, the config says 2"),
    ],
)
def test_run_goes_on_under_its_own_terms_only(
    alphaweave: Callable[..., Answer], change: str, line: str
) -> None:
    """What was saved stays as it was, and so does the page of the run."""
    alphaweave("run", "run.yaml", "--until", "25")
    before = [Path(name).read_bytes() for name in ("state.json", "page.html")]
    refused = alphaweave("run", "run.yaml", change)
    assert (refused.code, refused.out) == (2, "")
    assert f"{Path.cwd()}/state.json: the run was saved under other terms:\n  saved with" in (
        refused.err.replace("saved without", "saved with")
    )
    assert line in refused.err
    assert refused.err.endswith("or start anew with --fresh\n")
    assert [Path(name).read_bytes() for name in ("state.json", "page.html")] == before
    assert alphaweave("run", "run.yaml", change, "--fresh").code == 0


def test_what_decides_nothing_may_change_before_a_run_goes_on(alphaweave: Callable[..., Answer]) -> None:
    alphaweave("run", "run.yaml", "--until", "25")
    Path("SPY.csv").rename("prices.csv")
    changes = ["monitors=[]", "datafeed.options.replay.path=prices.csv", "run.capital=10000.0"]
    answer = alphaweave("run", "run.yaml", *changes, "instruments=[{symbol: SPY, price_step: 0.01}]")
    assert (answer.code, "resuming after slice 25" in answer.err) == (0, True)


def test_finished_run_starts_anew_under_whatever_terms_and_says_so(
    alphaweave: Callable[..., Answer],
) -> None:
    """There is nothing to go on with, and trying other values is what replays are for."""
    alphaweave("run", "run.yaml")
    answer = alphaweave("run", "run.yaml", "run.capital=50000")
    assert answer.code == 0
    assert "starting anew; saved with run.capital 10000, the config says 50000\n" in answer.err
    assert load_live_state("state.json").terms["run"]["capital"] == "50000"


def test_state_that_does_not_fit_is_named_by_its_path(
    folder: Path, alphaweave: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where it is noticed by a part that knows of no file."""

    def refuse(memory: object, state: object) -> None:
        raise KeyError("rows")

    alphaweave("run", "run.yaml", "--until", "25")
    page = Path("page.html").read_bytes()
    monkeypatch.setattr(InMemoryMonitor, "set_state", refuse)
    answer = alphaweave("run", "run.yaml")
    assert answer.code == 2
    assert f"error: {folder}/state.json: monitor recorder does not take back what it saved" in answer.err
    assert Path("page.html").read_bytes() == page


def test_dashboard_costs_no_second_record(alphaweave: Callable[..., Answer]) -> None:
    """The page is drawn from what the run records anyway, also where it is resumed."""
    alphaweave("run", "run.yaml", "--until", "25")
    alphaweave("run", "run.yaml")
    assert set(load_live_state("state.json").monitors) == {"recorder"}
    resumed = _drawn("page.html")
    alphaweave("run", "run.yaml", "--fresh")
    assert _drawn("page.html") == resumed
    assert len(resumed) > 1000


def _drawn(path: str) -> str:
    """The data of a page."""
    _, _, rest = Path(path).read_text(encoding="utf-8").partition('id="data">')
    return rest.partition("</script>")[0]


@pytest.mark.parametrize("until", [(), ("--until", "25")])
def test_bars_that_changed_behind_a_run_are_refused(
    alphaweave: Callable[..., Answer], until: tuple[str, ...]
) -> None:
    """Also where there are as many as before."""
    alphaweave("run", "run.yaml", *until)
    Path("SPY.csv").write_text(prices(shift=1))
    answer = alphaweave("run", "run.yaml")
    assert (answer.code, answer.out) == (2, "")
    assert "state.json: the bars of SPY are not those that the state was saved with" in answer.err
    Path("SPY.csv").write_text(prices(bars=20))
    fewer = alphaweave("run", "run.yaml")
    assert f"saved after {25 if until else BARS} bars of SPY, there are 20; put the missing" in fewer.err


STATE, PAGE = "persistence.state_path", "monitors[0].options.dashboard.path"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([f"{STATE}=run.yaml"], f"{STATE}: {{}}/run.yaml is the config, which is read; name another path."),
        ([f"{STATE}=turns_safely.py"], "turns_safely.py is the strategy's file, which is read"),
        ([f"{STATE}=SPY.csv"], "SPY.csv is datafeed.options.replay.path, which is read"),
        ([f"{STATE}=notes.txt"], "notes.txt exists and is no state file of AlphaWeave; remove it, or name"),
        ([f"{STATE}=pipe"], "pipe is a device, a pipe or a socket; name a file."),
        ([f"{STATE}=."], " is a folder; name a file."),
        ([f"{PAGE}=link.csv"], f"{PAGE}: {{}}/link.csv is datafeed.options.replay.path, which is read"),
        ([f"{PAGE}=state.json"], f"{PAGE}: {{}}/state.json is also written for {STATE}; name another path."),
        ([f"{PAGE}=state.json.lock"], f"state.json.lock is also written for {STATE}"),
        (
            ["monitors=[{name: jsonl, options: {jsonl: {path: run.yaml}}}]"],
            "monitors[0].options.jsonl.path: {}/run.yaml is the config, which is read; name another path.",
        ),
        ([f"{PAGE}=notes.txt"], "notes.txt exists and is no dashboard of AlphaWeave; remove it, or name"),
        (["--summary", "run.yaml"], "--summary: run.yaml is the config, which is read"),
        (["--summary", "page.html"], f"--summary: page.html is also written for {PAGE}"),
        (["--summary", "notes.txt"], "--summary: notes.txt exists and is no summary of AlphaWeave"),
        (["--summary", "/dev/null"], "--summary: /dev/null is a device, a pipe or a socket; name a file."),
    ],
)
def test_no_file_of_the_user_is_written_over(
    folder: Path, alphaweave: Callable[..., Answer], words: list[str], message: str
) -> None:
    """It is refused before the run, by `check` too where the config names it; nothing has changed."""
    (folder / "notes.txt").write_text("mine")
    (folder / "link.csv").symlink_to("SPY.csv")
    os.mkfifo(folder / "pipe")
    before = {path: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    for command in ["run"] if "--summary" in words else ["run", "check"]:
        answer = alphaweave(command, "run.yaml", *words)
        assert (answer.code, answer.out) == (2, "")
        assert message.format(folder) in answer.err
    after = {path: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    assert {path: text for path, text in after.items() if "__pycache__" not in str(path)} == before


def test_report_never_replaces_its_state_or_a_strangers_file(
    folder: Path, alphaweave: Callable[..., Answer]
) -> None:
    alphaweave("run", "run.yaml")
    (folder / "notes.html").write_text("<p>mine")
    for out, what in (("state.json", "is the state file, which is read"), ("notes.html", "is no dashboard")):
        before = Path(out).read_bytes()
        answer = alphaweave("report", "state.json", "--out", out)
        assert answer.code == 2
        assert f"--out: {out} {'' if out == 'state.json' else 'exists and '}{what}" in answer.err
        assert Path(out).read_bytes() == before
    assert alphaweave("report", "state.json", "--out", "page.html").code == 0


def test_runs_own_files_are_written_again_and_through_links(
    folder: Path, alphaweave: Callable[..., Answer]
) -> None:
    """A link stays a link; what it points to is new."""
    (folder / "kept").mkdir()
    for name in ("state.json", "page.html", "summary.json"):
        (folder / name).symlink_to(f"kept/{name}")
    for until in (20, 30):
        answer = alphaweave("run", "run.yaml", "--until", until, "--summary", "summary.json")
        assert answer.code == 0, answer.err
        assert load_live_state("kept/state.json").position == until
        assert json.loads(Path("kept/summary.json").read_text())["summary"]["slices"] == until
        assert (folder / "kept/page.html").read_text().startswith("<!doctype html>")
    assert all((folder / name).is_symlink() for name in ("state.json", "page.html", "summary.json"))


def test_second_run_on_one_state_is_refused(folder: Path, alphaweave: Callable[..., Answer]) -> None:
    """By the operating system's lock, found behind a link too; one that nobody holds means nothing."""
    (folder / "link.json").symlink_to("state.json")
    with (folder / "state.json.lock").open("w+") as lock:
        lock.write("4711\n")
        lock.flush()
        fcntl.flock(lock, fcntl.LOCK_EX)
        for path in ("state.json", "link.json"):
            answer = alphaweave("run", "run.yaml", f"{STATE}={path}")
            assert (answer.code, answer.out) == (2, "")
            assert f"the state {folder}/{path} is in use by process 4711" in answer.err
        assert not (folder / "page.html").exists()
    assert alphaweave("run", "run.yaml").code == 0
    assert (folder / "state.json.lock").read_text().strip() == str(os.getpid())


def test_run_whose_state_cannot_be_had_is_told_all_the_same(alphaweave: Callable[..., Answer]) -> None:
    """What it came to is printed, then the error; the page is there too."""
    words = ("run", "run.yaml", "strategy.class=turns_safely:Unsaved")
    answer = alphaweave(*words, "--summary", "summary.json")
    assert answer.code == 1
    assert "turns finished: 40 slices" in answer.out
    assert "state  " not in answer.out
    assert answer.err.splitlines()[-1].startswith("error: ")
    assert "get_state().rows" in answer.err
    document = json.loads(alphaweave(*words, "--json").out)
    assert (document["state"], document["summary"]["outcome"]) == (None, "finished")
    assert json.loads(Path("summary.json").read_text())["metrics"] == document["metrics"]
    assert Path("page.html").exists()
    assert not Path("state.json").exists()


def test_full_disk_costs_the_files_and_not_what_is_printed(
    folder: Path, alphaweave: Callable[..., Answer]
) -> None:
    """State, page and summary are each said to be missing; nothing half is left."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    try:
        answer = alphaweave("run", "run.yaml", "--summary", "summary.json")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    assert answer.code == 1
    assert "turns finished: 40 slices" in answer.out
    assert "error: monitor plugin 'dashboard' (alphaweave-core " in answer.err
    assert "error: the summary is not written: summary.json: file too large" in answer.err
    assert "state.json: the state cannot be written: File too large" in answer.err
    assert not (folder / "state.json").exists()
    assert not (folder / "page.html").exists()


def test_orders_that_came_to_nothing_are_counted_with_their_reasons(
    alphaweave: Callable[..., Answer],
) -> None:
    """By the summary, by its JSON, and also where the run was cut in between."""
    words = ("run", "run.yaml", "strategy.class=turns_safely:Greedy", "risk.max_order_quantity=10000000")
    whole = alphaweave(*words)
    (line,) = (line for line in whole.out.splitlines() if line.startswith("orders"))
    assert line == (
        "orders     80 placed, 0 fills, 40 denied (max_order_quantity 40), "
        "40 rejected (insufficient_funds 40), 38 expired"
    )
    alphaweave(*words, "--until", "11", "--fresh")
    orders = json.loads(alphaweave(*words, "--json").out)["orders"]
    assert orders == {
        "rejected": 40,
        "denied": 40,
        "cancelled": 0,
        "expired": 38,
        "reasons": {
            "rejected": {"insufficient_funds": 40},
            "denied": {"max_order_quantity": 40},
            "expired": {"day_ended": 38},
        },
    }


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Leaves", "Leaves.next raised SystemExit at 2"),
        ("LeavesEarly", "LeavesEarly.get_state raised SystemExit"),
        ("Returns", "Returns.next raised GeneratorExit at 2"),
    ],
)
def test_strategy_that_would_end_the_process_fails_by_name(
    alphaweave: Callable[..., Answer], name: str, message: str
) -> None:
    answer = alphaweave("run", "run.yaml", f"strategy.class=turns_safely:{name}")
    assert (answer.code, answer.out) == (1, "")
    assert f"error: {message}" in answer.err
    assert "raised at" in answer.err
    assert "Traceback" not in answer.err


@pytest.mark.parametrize("callback", ["on_run_start", "on_bars", "on_run_end", "get_state"])
def test_monitor_that_would_end_the_process_fails_by_name(
    alphaweave: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch, callback: str
) -> None:
    def leave(monitor: object, *told: object) -> None:
        raise SystemExit(0)

    monkeypatch.setattr(DashboardPage, callback, leave, raising=False)
    answer = alphaweave("run", "run.yaml")
    assert answer.code == 1
    assert "monitor plugin 'dashboard'" in answer.err
    assert f"raised SystemExit in {callback.replace('bars', 'bar')}: 0" in answer.err
    # It is put aside like any that fails, and the run goes on to its end.
    assert "turns finished" in answer.out


def test_code_that_leaves_elsewhere_never_makes_a_run_a_success(
    folder: Path, alphaweave: Callable[..., Answer]
) -> None:
    (folder / "turns_safely.py").write_text("raise SystemExit(0)\n")
    answer = alphaweave("run", "run.yaml", "strategy.class=turns_safely:Turns")
    assert answer.code != 0
    assert "SystemExit" in answer.err
