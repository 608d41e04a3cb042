"""What the command says when something is wrong."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from alphaweave.cli.complaints import complain
from alphaweave.core.errors import StrategyError
from alphaweave.live.state import LiveState, save_live_state
from alphaweave.live.strategy_loader import load_strategy

CONFIG = """
run: {id: complaints}
instruments: [SPY]
datafeed: {name: replay, options: {replay: {path: SPY.csv}}}
broker: {name: nowhere}
strategy: {class: "nothing:Nothing"}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with a config that is well-formed."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run.yaml").write_text(CONFIG)
    return tmp_path


def state(**monitors: Any) -> LiveState:
    return LiveState(
        run_id="r", strategy="m:C", state_version=1, timestamp=None, position=0, kernel={}, monitors=monitors
    )


@pytest.mark.parametrize("command", ["run", "replay", "check"])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["absent.yaml"], "absent.yaml: 1 problem in the configuration:\n  no such file or directory"),
        (["config.txt"], "ends in .yaml, .yml, .json"),
        (["broken.yaml"], "line 1, column 7: not YAML"),
        (["run.yaml", "--set", "run.capitl=1"], "run.capitl: no config has this key"),
        (["run.yaml", "--set", "nonsense"], "write an override as path=value"),
        (["run.yaml"], "no broker named 'nowhere'"),
    ],
)
def test_wrong_config_is_one_message_and_exit_code_2(
    folder: Path, alphaweave: Callable[..., Any], command: str, arguments: list[str], message: str
) -> None:
    """Nothing on standard output, no traceback, and the file, key or name that is to blame."""
    (folder / "broken.yaml").write_text("run: [}")
    answer = alphaweave(command, *arguments)
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith("error: ")
    assert message in answer.err
    assert "Traceback" not in answer.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run"], "Missing argument 'CONFIG'"),
        (["run", "run.yaml", "--bogus"], "--bogus"),
        (["run", "run.yaml", "--until", "-1"], "-1 is not in the range"),
        (["fly"], "fly"),
        (["report"], "Missing argument 'STATE'"),
    ],
)
def test_wrong_call_says_how_to_call_it(
    alphaweave: Callable[..., Any], arguments: list[str], message: str
) -> None:
    answer = alphaweave(*arguments)
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith("Usage: alphaweave")
    assert message in answer.err


@pytest.mark.parametrize("place", ["first", "last"])
def test_debug_adds_the_traceback(folder: Path, alphaweave: Callable[..., Any], place: str) -> None:
    """Wherever the flag stands; message and exit code stay the same."""
    plain = alphaweave("check", "run.yaml")
    words = ["--debug", "check", "run.yaml"] if place == "first" else ["check", "run.yaml", "--debug"]
    answer = alphaweave(*words)
    assert answer.code == plain.code
    assert answer.err.startswith("Traceback (most recent call last)")
    assert answer.err.endswith(plain.err)


def test_fault_of_our_own_says_so(alphaweave: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """What nobody foresaw is no blame of the user, and still one message."""

    def fail(*, as_json: bool) -> None:
        raise LookupError("odd")

    monkeypatch.setattr("alphaweave.cli.listing.list_plugins", fail)
    answer = alphaweave("plugins")
    assert (answer.code, answer.out) == (1, "")
    assert (
        answer.err == "error: LookupError: odd\n  this is a fault of AlphaWeave itself; --debug shows where\n"
    )


def test_error_of_a_strategy_names_the_line_of_its_author(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The deepest line of the user's own code, not of the library that it called into."""
    mine = tmp_path / "complaining.py"
    mine.write_text(
        "import json\nfrom alphaweave import Strategy\n\n\nclass Mine(Strategy):\n"
        "    def next(self, i):\n        json.loads('{')\n"
    )
    with pytest.raises(ValueError, match="Expecting property name") as raised:
        load_strategy("complaining:Mine", {}, folder=tmp_path).next(0)
    error = StrategyError("Mine.next raised", strategy="Mine", callback="next")
    error.__cause__ = raised.value
    assert complain(error, debug=False) == 1
    assert capsys.readouterr().err == f"error: Mine.next raised\n  raised at {mine}:7\n"


def test_report_of_what_is_no_state_is_refused(folder: Path, alphaweave: Callable[..., Any]) -> None:
    assert "the state cannot be read: No such file" in alphaweave("report", "absent.json").err
    answer = alphaweave("report", "run.yaml")
    assert answer.code == 2
    assert "run.yaml: this is no state that AlphaWeave saved" in answer.err


def test_report_of_a_state_without_a_record_is_refused(folder: Path, alphaweave: Callable[..., Any]) -> None:
    """A state may hold books alone; a page needs the record of the run."""
    save_live_state(folder / "state.json", state())
    answer = alphaweave("report", "state.json")
    assert answer.code == 2
    assert "holds no record of the run" in answer.err
    assert not (folder / "report.html").exists()


def test_reader_that_leaves_is_no_error() -> None:
    """`alphaweave schema | head` ends quietly."""
    reading, writing = os.pipe()
    os.close(reading)
    try:
        answer = subprocess.run(
            [sys.executable, "-W", "error", "-m", "alphaweave", "schema"],
            stdout=writing,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    finally:
        os.close(writing)
    assert (answer.returncode, answer.stderr) == (1, "")
