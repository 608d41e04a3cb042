"""Runs that fail in every way, at plugins that shout their secret: nothing that is written holds it."""

from __future__ import annotations

import json
import sys
import traceback
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import pytest
import yaml
from attrs import frozen

from alphaweave.cli.main import main
from alphaweave.core.errors import AlphaweaveError, StrategyError
from alphaweave.live.runner import LiveRunner

CANARY = "c4n4ry & co/7f3a"
DRESSES = (CANARY, CANARY.replace("&", "&amp;"), quote_plus(CANARY), b64encode(CANARY.encode()).decode())
PLUGIN = '''
"""A broker, a datafeed and a monitor that fail where they are told to, and say their key aloud."""

from base64 import b64encode
from decimal import Decimal
from urllib.parse import quote_plus

from attrs import frozen

from alphaweave.core.order import OrderType, TimeInForce
from alphaweave.core.secret import Secret
from alphaweave.live.adapters.capabilities import Capabilities
from alphaweave.live.hookspecs import hookimpl
from alphaweave.live.plugins import BrokerPlugin, DatafeedPlugin, MonitorPlugin
from alphaweave.live.replay_plugin import ReplayOptions, create as replay
from alphaweave.live.datafeed import ReplayDataFeed
from alphaweave.monitoring.memory import InMemoryMonitor
from alphaweave.sim.settings import VenueSettings
from alphaweave.sim.venue import SimVenue

PAIRS = frozenset({(OrderType.MARKET, TimeInForce.DAY)})


@frozen(kw_only=True)
class Options:
    key: Secret
    fail: str = ""
    path: str = "SPY.csv"

    def shout(self, where):
        if self.fail == f"{where} quits":
            raise SystemExit(0)
        if self.fail == where:
            key = self.key.reveal()
            dressed = b64encode(f"me:{key}".encode()).decode()
            try:
                raise OSError(5, "cannot reach", f"https://x/?key={quote_plus(key)}")
            except OSError as error:
                raise ValueError(f"bad key {key!r} ({dressed})", {"key": key}) from error
        return self.fail == f"{where} returns nothing"


class Venue(SimVenue):
    options = None

    def submit(self, *arguments, **more):
        self.options.shout("submit")
        return super().submit(*arguments, **more)


class Loud(InMemoryMonitor):
    def __init__(self, options):
        super().__init__()
        self.options = options

    def on_bars(self, columns):
        super().on_bars(columns)
        self.options.shout("on_bars")

    def on_run_end(self, summary):
        self.options.shout("on_run_end")

    def get_state(self):
        return {"key": self.options.key.reveal(), "parts": [self.options.key.reveal()]}


def feed(options, services):
    from pathlib import Path

    return None if options.shout("feed") else replay(ReplayOptions(path=Path(options.path)), services)


def venue(options, services, instruments):
    if options.shout("venue"):
        return None
    made = Venue(
        instruments=instruments, settings=VenueSettings(fill_at="last"), cash=Decimal(1000), currency="USD"
    )
    made.options = options
    return made


def monitor(options, services):
    return None if options.shout("monitor") else Loud(options)


@hookimpl
def alphaweave_brokers():
    capabilities = Capabilities(order_types=PAIRS, simulated=True)
    yield BrokerPlugin(name="loud", create=venue, capabilities=capabilities, options=Options, venue=venue)


@hookimpl
def alphaweave_datafeeds():
    yield DatafeedPlugin(name="loud", create=feed, capabilities=ReplayDataFeed.capabilities, options=Options)


@hookimpl
def alphaweave_monitors():
    yield MonitorPlugin(name="loud", create=monitor, options=Options)
'''
STRATEGY = """
import os

from alphaweave import Strategy


class Mine(Strategy):
    fail = ""

    def next(self, i):
        key = os.environ["LOUD_KEY"]
        self.log_metric("of " + key, 1.0)
        if i == 2:
            self.order_market("SPY", 1)
        if self.fail == "next" and i == 3:
            raise LookupError(f"no account for {key}") from KeyError(key)

    def get_state(self):
        return {"deep": [os.environ["LOUD_KEY"]]} if self.fail == "get_state" else {}

    def set_state(self, state):
        pass
"""


@frozen
class Answer:
    """What a command printed, and its exit code."""

    code: int
    text: str


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with a plugin that is installed for as long as the test lasts."""
    site = tmp_path / "site"
    info = site / "alphaweave_loud-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: alphaweave-loud\nVersion: 1.0\n")
    points = "".join(
        f"[alphaweave.{kind}]\nloud = loud_plugin\n" for kind in ("brokers", "datafeeds", "monitors")
    )
    (info / "entry_points.txt").write_text(points)
    (site / "loud_plugin.py").write_text(PLUGIN)
    work = tmp_path / "work"
    work.mkdir()
    (work / "mine_loud.py").write_text(STRATEGY)
    rows = [f"2024-01-{day:02},100,101,99,100,1000" for day in range(1, 21)]
    (work / "SPY.csv").write_text("\n".join(["date,open,high,low,close,volume", *rows]) + "\n")
    monkeypatch.syspath_prepend(str(site))
    for name in ("loud_plugin", "mine_loud"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.chdir(work)
    monkeypatch.setenv("LOUD_KEY", CANARY)
    return work


def config(fail: str) -> dict[str, Any]:
    options = {"loud": {"key": "${env:LOUD_KEY}", "fail": fail}}
    return {
        "run": {"id": "loud"},
        "instruments": [{"symbol": "SPY", "price_step": "0.01", "size_step": 1}],
        "datafeed": {"name": "loud", "options": options},
        "broker": {"name": "loud", "options": options},
        "strategy": {"class": "mine_loud:Mine", "params": {"fail": fail}},
        "monitors": [
            {"name": "loud", "options": options},
            {"name": "dashboard", "options": {"dashboard": {"path": "out/page.html"}}},
        ],
        "persistence": {"state_path": "out/state.json"},
    }


@pytest.fixture
def run(folder: Path, capsys: pytest.CaptureFixture[str]) -> Callable[[str], Answer]:
    """Run the config that fails in one way, with the traceback."""

    def call(fail: str) -> Answer:
        (folder / "run.yaml").write_text(yaml.safe_dump(config(fail)))
        with pytest.raises(SystemExit) as left:
            main(["--debug", "run", "run.yaml", "--summary", "out/summary.json"])
        printed = capsys.readouterr()
        assert isinstance(left.value.code, int)
        return Answer(left.value.code, printed.out + printed.err)

    return call


def leaks(text: str) -> list[str]:
    """The dresses in which the secret stands in a text; a piece of it is one of them."""
    escaped = json.dumps(CANARY)[1:-1]
    return [word for word in (*DRESSES, escaped, "c4n4ry", "7f3a") if word in text]


WAYS = {
    "": (0, None),
    "feed": (1, "datafeed plugin 'loud' (alphaweave-loud 1.0) raised ValueError in create: "),
    "feed quits": (1, "datafeed plugin 'loud' (alphaweave-loud 1.0) raised SystemExit in create: 0"),
    "feed returns nothing": (
        1,
        "'loud' (alphaweave-loud 1.0) returned None from create, which is no DataFeed",
    ),
    "venue": (1, "broker plugin 'loud' (alphaweave-loud 1.0) raised ValueError in venue: "),
    "venue returns nothing": (1, "returned None from venue, which is no SimVenue"),
    "submit": (1, "broker plugin 'loud' (alphaweave-loud 1.0) raised ValueError in submit: "),
    "monitor": (1, "monitor plugin 'loud' (alphaweave-loud 1.0) raised ValueError in create: "),
    "monitor returns nothing": (1, "returned None from create, which is no Monitor: it has no on_run_start"),
    "on_bars": (1, "monitor plugin 'loud' (alphaweave-loud 1.0) raised ValueError in on_bar: ("),
    "on_run_end": (1, "monitor plugin 'loud' (alphaweave-loud 1.0) raised ValueError in on_run_end: ("),
    "next": (1, "Mine.next raised LookupError at 2024-01-05T00:00:00+00:00: no account for [redacted]"),
    "get_state": (1, "get_state().deep[0] holds a secret of this run, and a secret is never saved"),
}


@pytest.mark.parametrize("fail", WAYS)
def test_no_output_of_a_run_holds_its_secret(folder: Path, run: Callable[[str], Answer], fail: str) -> None:
    """Messages, tracebacks, page, summary, state: whoever fails, and in whichever dress it shouts. The one
    who failed is named, and it is never AlphaWeave."""
    answer = run(fail)
    code, message = WAYS[fail]
    assert leaks(answer.text) == []
    written = (
        [path for path in (folder / "out").rglob("*") if path.is_file()] if (folder / "out").exists() else []
    )
    assert {path.name: leaks(path.read_text(encoding="utf-8")) for path in written} == {
        path.name: [] for path in written
    }
    assert answer.code == code, answer.text
    assert "a fault of AlphaWeave itself" not in answer.text
    if message is not None:
        assert message in answer.text
    if fail in {"", "on_bars", "on_run_end"}:
        assert {path.name for path in written} >= {"state.json", "page.html", "summary.json"}
        assert "of [redacted]" in (folder / "out/state.json").read_text(encoding="utf-8")
    if fail == "next":
        assert "no account for [redacted]" in (folder / "out/page.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("fail", ["feed", "venue", "submit", "monitor", "next"])
def test_error_that_leaves_a_runner_holds_no_secret(folder: Path, fail: str) -> None:
    """For those who run from Python: neither its words, nor its facts, nor what it was caused by."""
    (folder / "run.yaml").write_text(yaml.safe_dump(config(fail)))
    with pytest.raises(AlphaweaveError) as caught:
        LiveRunner.from_config("run.yaml").run()
    error: BaseException | None = caught.value
    assert error is not None
    assert leaks("".join(traceback.format_exception(error))) == []
    while error is not None:
        assert leaks(f"{error} {error!r} {vars(error)}") == []
        error = error.__cause__ or error.__context__


def test_runner_tells_how_a_run_ended_without_its_secret(folder: Path) -> None:
    """Its summary, its record, and the monitors that it put aside."""
    (folder / "run.yaml").write_text(
        yaml.safe_dump({**config("on_bars"), "strategy": config("next")["strategy"]})
    )
    runner = LiveRunner.from_config("run.yaml")
    with pytest.raises(StrategyError):
        runner.run()
    assert runner.summary is not None
    assert "no account for [redacted]" in str(runner.summary.error)
    (failure,) = runner.monitor_failures
    assert type(failure.monitor).__name__ == "Loud"
    assert leaks(f"{runner.summary} {runner.memory.get_state()} {runner.notices}") == []
    assert leaks(f"{failure} {failure.error!r} {vars(runner)}") == []


def test_error_of_a_plugin_says_where_it_was_raised(folder: Path, run: Callable[[str], Answer]) -> None:
    """The line in the plugin, for its authors."""
    line = next(number for number, text in enumerate(PLUGIN.splitlines(), 1) if "raise ValueError" in text)
    assert f"raised at {folder.parent / 'site' / 'loud_plugin.py'}:{line}" in run("venue").text
