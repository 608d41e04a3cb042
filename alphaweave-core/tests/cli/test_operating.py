"""What operators tell a run, whether it is up or not, and what its journal holds."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest

from alphaweave.live.control import ControlStore
from alphaweave.live.control_records import HALTED, REDUCING, Verb
from alphaweave.live.journal import Decision, Entry, Intent, Journal, RunIdentity
from alphaweave.live.trading_state import Escalation, KillStep, TradingStates

RUN = RunIdentity(
    run_id="sma", broker="paper", account="DU1", strategy="m:S", mode="paper", config_digest="d"
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Two decisions: an order that is on its way, and an execution."""
    path = tmp_path / "sma.db"
    journal = Journal.open(path, run=RUN, clock_ns=iter(range(10**18, 10**18 + 1000)).__next__)
    buy = Intent("aw-1", "aw-1", "submit", {"symbol": "FB", "quantity": "10"}, decided_at=10**18)
    journal.commit(Decision(input_kind="bar", input_key="1", at_ns=10**18, intents=(buy,), state={"n": 1}))
    fill = Entry("execution", {"price": "344.3", "size": "10"}, "DU1", "FB:56")
    journal.commit(Decision(input_kind="fill", input_key="FB:56:0", at_ns=10**18 + 1, entries=(fill,)))
    journal.close()
    return path


@pytest.fixture
def answering(path: Path) -> Iterator[list[str]]:
    """A run that is up, as far as its commands go; what it was told."""
    told: list[str] = []
    ended = Event()
    store = ControlStore.beside(path)

    def run() -> None:
        while not ended.wait(0.005):
            for command in store.take(5):
                told.append(f"{command.verb} {command.scope} {command.operator} {command.reason}".strip())
                answer = (
                    {"error": "not now"} if command.reason == "refuse me" else {"state": "active", "n": 3}
                )
                store.answer(command.id, answer, 6)

    thread = Thread(target=run)
    thread.start()
    yield told
    ended.set()
    thread.join()


def test_status_of_a_run_that_is_up_is_its_answer(
    alphaweave: Callable[..., Any], path: Path, answering: list[str]
) -> None:
    answer = alphaweave("status", path)
    assert answer.code == 0
    assert [line.split(maxsplit=1) for line in answer.out.splitlines() if "latched" not in line][:1] == [
        ["run", "sma"]
    ]
    assert "the run is        up\n" in answer.out
    assert "state             active\n" in answer.out
    assert answering[0].startswith("status")


def test_status_of_a_run_that_is_down_leaves_nothing_behind(
    alphaweave: Callable[..., Any], path: Path
) -> None:
    """The next start has no question to answer that nobody waits for."""
    found = json.loads(alphaweave("status", path, "--wait", 0, "--json").out)
    assert (found["run"], found["run_is"], found["answer"]) == ("sma", "down or silent", None)
    assert ControlStore.beside(path).take(7) == ()


def test_halt_of_a_run_that_is_down_is_latched_and_kept_for_it(
    alphaweave: Callable[..., Any], path: Path
) -> None:
    answer = alphaweave("halt", path, "--reason", "odd fills", "--operator", "eva", "--wait", 0)
    assert answer.code == 0
    assert (
        "note: no run has answered within 0 s; the halt is latched, and holds as soon as a run that is up "
        "looks, or from the next start" in answer.out
    )
    store = ControlStore.beside(path)
    assert store.latches()[""].state == HALTED
    assert [(each.verb, each.operator) for each in store.take(7)] == [(Verb.HALT, "eva")]


def test_halt_of_one_symbol_latches_that_one(alphaweave: Callable[..., Any], path: Path) -> None:
    alphaweave("halt", path, "--symbol", "FB", "--wait", 0)
    assert set(ControlStore.beside(path).latches()) == {"FB"}


def failed(path: Path, states: Any) -> None:
    """A run that latched something, and died before it could show it."""
    journal = Journal.open(path, run=RUN, clock_ns=lambda: 10**18 + 9)
    risk = {"version": 1, "states": states, "rules": {}}
    journal.commit(Decision(input_kind="bar", input_key="9", at_ns=10**18 + 9, risk=risk))
    journal.close()


def test_status_of_a_dead_run_shows_what_it_latched_itself(
    alphaweave: Callable[..., Any], path: Path
) -> None:
    """In its journal alone, until a resumption waits for the next start."""
    states = TradingStates()
    states.escalate(Escalation(KillStep.CANCEL_ALL, "strategy_failed", "it raised"), at_ns=10**18)
    states.escalate(Escalation(KillStep.FLATTEN, "operator", "enough", "FB"), who="eva", at_ns=10**18)
    failed(path, states.snapshot())
    for control in ("missing", "laxer"):
        answer = alphaweave("status", path, "--wait", 0)
        assert (
            "HALTED, all, by engine at 2001-09-09T01:46:40+00:00 (strategy_failed: it raised)" in answer.out
        )
        assert "HALTED (flatten), FB, by eva" in answer.out
        assert "ACTIVE" not in answer.out, control
        ControlStore.beside(path).latch(REDUCING, operator="engine", reason="drawdown", at_ns=5)
    alphaweave("resume", path, "--operator", "eva", "--reason", "mended", "--wait", 0)
    found = json.loads(alphaweave("status", path, "--wait", 0, "--json").out)["latched"]
    assert {scope: one["state"] for scope, one in found.items()} == {"all": "ACTIVE", "FB": "HALTED"}


def test_status_takes_no_state_that_it_cannot_read_for_active(
    alphaweave: Callable[..., Any], path: Path
) -> None:
    """It is not guessed."""
    failed(path, {"version": 0, "latched": [1]})
    answer = alphaweave("status", path, "--wait", 0)
    assert "the saved trading state cannot be read" in answer.out
    assert "ACTIVE" not in answer.out


def test_status_of_a_run_that_says_it_is_halted_does_not_call_it_active(
    alphaweave: Callable[..., Any], path: Path
) -> None:
    """Its answer comes before what it latches is shown."""
    store, ended = ControlStore.beside(path), Event()

    def run() -> None:
        while not ended.wait(0.005):
            for command in store.take(5):
                store.answer(command.id, {"state": "halted", "causes": ["loss: 5"]}, 6)

    thread = Thread(target=run)
    thread.start()
    answer = alphaweave("status", path)
    ended.set()
    thread.join()
    assert "loss: 5" in answer.out
    assert "ACTIVE" not in answer.out


def test_flatten_is_shown_as_one(alphaweave: Callable[..., Any], path: Path) -> None:
    """It latches what a halt or a rule does too, and is more."""
    told = alphaweave("flatten", path, "--operator", "eva", "--reason", "enough", "--wait", 0)
    assert "REDUCING (flatten), all, by eva" in told.out
    assert "HALTED, FB, by" in alphaweave("halt", path, "--symbol", "FB", "--wait", 0).out


def test_resume_needs_a_name_and_a_reason(alphaweave: Callable[..., Any], path: Path) -> None:
    assert alphaweave("resume", path).code == 2
    assert alphaweave("resume", path, "--operator", "eva").code == 2
    for operator, reason in (("eva", " "), ("", "explained"), (" ", "")):
        answer = alphaweave("resume", path, "--operator", operator, "--reason", reason, "--wait", 0)
        assert answer.code == 2
        assert "--operator" in answer.err
        assert "--reason" in answer.err
    assert ControlStore.beside(path).take(7) == ()
    assert alphaweave("resume", path, "--operator", "eva", "--reason", "explained", "--wait", 0).code == 0


def test_stop_reaches_only_a_run_that_is_up(
    alphaweave: Callable[..., Any], path: Path, request: pytest.FixtureRequest
) -> None:
    """One that waited would end the next start."""
    assert alphaweave("stop", path, "--wait", 0).code == 1
    assert ControlStore.beside(path).take(7) == ()
    told = request.getfixturevalue("answering")
    assert alphaweave("stop", path, "--operator", "eva").code == 0
    assert told == ["stop  eva"]


def test_answer_that_is_an_error_fails_the_command(
    alphaweave: Callable[..., Any], path: Path, answering: list[str]
) -> None:
    answer = alphaweave("flatten", path, "--reason", "refuse me", "--operator", "eva")
    assert answer.code == 1
    assert "error             not now" in answer.out


def test_run_that_is_not_there_is_told_nothing(alphaweave: Callable[..., Any], tmp_path: Path) -> None:
    """A slip of the pen must not look like a halt."""
    answer = alphaweave("halt", tmp_path / "sam.db")
    assert answer.code == 2
    assert "there is no journal here" in answer.err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("verb", ["status", "halt", "flatten", "stop", "resume"])
@pytest.mark.parametrize("content", [b"", b"a letter", b"SQLite format 3\0"])
def test_file_that_is_no_journal_is_told_nothing(
    alphaweave: Callable[..., Any], tmp_path: Path, verb: str, content: bytes
) -> None:
    """Nothing is made beside it, where a halt of nothing would look like one."""
    other = tmp_path / "letter.txt"
    other.write_bytes(content)
    named = ("--operator", "eva", "--reason", "odd") if verb == "resume" else ()
    answer = alphaweave(verb, other, *named, "--wait", 0)
    assert (answer.code, answer.out) == (2, "")
    assert str(other) in answer.err
    assert list(tmp_path.iterdir()) == [other]


def test_status_makes_no_file(alphaweave: Callable[..., Any], path: Path) -> None:
    """It only looks."""
    assert alphaweave("status", path, "--wait", 0).code == 0
    assert list(path.parent.glob("*.control*")) == []


@pytest.mark.parametrize("verb", ["halt", "flatten", "resume"])
def test_symbol_that_the_run_does_not_have_is_refused_while_it_is_down(
    alphaweave: Callable[..., Any], path: Path, verb: str
) -> None:
    """Its newest start says which it has; nothing is latched for who mistypes one."""
    journal = Journal.open(path, run=RUN, clock_ns=lambda: 10**18 + 9)
    for day, symbols in enumerate((["AAPL"], ["FB", "QQQ"])):
        opening = {"instruments": {"m": [[symbol, None] for symbol in symbols]}}
        journal.commit(Decision(input_kind="start", input_key=str(day), at_ns=10**18 + 9, payload=opening))
    journal.close()
    words = ("--operator", "eva", "--reason", "odd", "--wait", 0)
    answer = alphaweave(verb, path, "--symbol", "AAPL", *words)
    assert answer.code == 2
    assert "AAPL is not in this run, which has FB, QQQ; nothing was latched" in answer.err
    assert not ControlStore.path_beside(path).exists()
    assert alphaweave(verb, path, "--symbol", "QQQ", *words).code == 0


@pytest.mark.parametrize("verb", ["halt", "flatten", "resume"])
@pytest.mark.parametrize("symbol", ["", "  "])
def test_symbol_that_is_empty_is_not_everything(
    alphaweave: Callable[..., Any], path: Path, verb: str, symbol: str
) -> None:
    """What a shell makes of a variable that is not set would resume, or flatten, the whole account."""
    words = ("--operator", "eva", "--reason", "odd", "--wait", 0)
    answer = alphaweave(verb, path, "--symbol", symbol, *words)
    assert (answer.code, answer.out) == (2, "")
    assert "--symbol is empty; name one, or leave --symbol out to mean everything" in answer.err
    assert not ControlStore.path_beside(path).exists()


@pytest.mark.parametrize("none", [KeyError("uid not found"), OSError("No username set")])
@pytest.mark.parametrize("verb", ["status", "halt", "flatten", "stop"])
def test_user_without_a_name_is_told_by_number(
    alphaweave: Callable[..., Any], path: Path, monkeypatch: pytest.MonkeyPatch, verb: str, none: Exception
) -> None:
    """In a container the account of the user may be in no list; a halt must not fail of that."""

    def unknown() -> str:
        raise none

    monkeypatch.setattr("getpass.getuser", unknown)
    monkeypatch.setattr("os.getuid", lambda: 12345)
    answer = alphaweave(verb, path, "--wait", 0)
    assert (answer.code, answer.err) == (1 if verb == "stop" else 0, "")
    assert ("by uid 12345" in answer.out) == (verb in {"halt", "flatten"})


@pytest.mark.parametrize("verb", ["status", "halt", "flatten", "stop"])
def test_run_that_takes_its_time_is_not_called_down(
    alphaweave: Callable[..., Any], path: Path, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    """It has what it was told: what it does of it is shown by its status, and nothing else is promised."""

    def taken(store: ControlStore, number: int, poll: object) -> None:
        store.take(7)

    monkeypatch.setattr(ControlStore, "wait", taken)
    ControlStore.beside(path)
    answer = alphaweave(verb, path, "--wait", 0.5)
    assert answer.code == 0
    assert "the run is        up, and has not answered yet" in answer.out
    note = f"note: the run has the {verb}, and has not answered within 0.5 s; ask for its status"
    assert (note in answer.out) == (verb != "status")
    assert "no run has answered" not in answer.out


@pytest.mark.parametrize("verb", ["status", "halt", "doctor"])
@pytest.mark.parametrize("seconds", ["nan", "inf", "-1"])
def test_wait_that_is_no_number_of_seconds_is_refused(
    alphaweave: Callable[..., Any], path: Path, verb: str, seconds: str
) -> None:
    answer = alphaweave(verb, path, "--wait", seconds)
    assert (answer.code, answer.out) == (2, "")
    assert "'--wait'" in answer.err
    assert not ControlStore.path_beside(path).exists()


def test_latch_shows_although_the_journal_is_damaged(alphaweave: Callable[..., Any], path: Path) -> None:
    alphaweave("halt", path, "--wait", 0)
    path.write_bytes(b"nothing of the kind")
    answer = alphaweave("status", path, "--wait", 0)
    assert answer.code == 0
    assert "journal error" in answer.out
    assert "HALTED, all, by" in answer.out


def test_state_show_tells_open_intents(alphaweave: Callable[..., Any], path: Path) -> None:
    found = json.loads(alphaweave("state", "show", path, "--json").out)
    assert (found["seq"], found["executions"], found["strategy_state"]) == (2, 1, {"n": 1})
    assert found["last_input"] == "fill FB:56:0"
    assert [one["state"] for one in found["open_intents"].values()] == ["intent"]
    assert "last input        fill FB:56:0" in alphaweave("state", "show", path).out


def test_state_export_is_what_diff_compares_with(
    alphaweave: Callable[..., Any], path: Path, tmp_path: Path
) -> None:
    """Until the journal goes on; a file that is there is not replaced."""
    out = tmp_path / "before.json"
    assert alphaweave("state", "export", path, "--out", out).code == 0
    assert out.stat().st_mode & 0o777 == 0o600
    assert alphaweave("state", "export", path, "--out", out).code == 2
    same = alphaweave("state", "diff", path, out)
    assert (same.code, same.out) == (0, "no difference\n")
    assert alphaweave("state", "rollback", path, "--to", 1, "--yes").code == 0
    differs = alphaweave("state", "diff", path, out, "--json")
    assert differs.code == 1
    assert "decisions[1].decision.input_kind" in {one["path"] for one in json.loads(differs.out)}


def test_state_diff_refuses_what_is_no_export(
    alphaweave: Callable[..., Any], path: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other.json"
    for text in ("{}", "{"):
        other.write_text(text)
        answer = alphaweave("state", "diff", path, other)
        assert answer.code == 2
        assert "neither a journal nor an export" in answer.err


def test_state_rollback_is_asked_for_twice_and_keeps_a_copy(
    alphaweave: Callable[..., Any], path: Path
) -> None:
    unsure = alphaweave("state", "rollback", path, "--to", 1)
    assert unsure.code == 2
    assert "forgets decisions 2 to 2" in unsure.err
    done = alphaweave("state", "rollback", path, "--to", 1, "--yes")
    assert done.code == 0
    copy = Path(done.out.rpartition(": ")[2].strip())
    assert json.loads(alphaweave("state", "show", copy, "--json").out)["executions"] == 1
    assert json.loads(alphaweave("state", "show", path, "--json").out)["executions"] == 0


def test_state_rollback_of_a_run_that_is_up_is_refused(alphaweave: Callable[..., Any], path: Path) -> None:
    journal = Journal.open(path, run=RUN, clock_ns=lambda: 10**18 + 9)
    answer = alphaweave("state", "rollback", path, "--to", 1, "--yes")
    journal.close()
    assert answer.code == 2
    assert "writes this journal; stop that run first" in answer.err


def test_report_draws_a_journal(alphaweave: Callable[..., Any], path: Path, tmp_path: Path) -> None:
    """It is known by how it begins, whatever its name; a page that is somebody's stays."""
    answer = alphaweave("report", path, "--out", tmp_path / "page.html", "--json")
    assert answer.code == 0
    assert json.loads(answer.out)["run"] == "sma"
    assert "Run sma" in (tmp_path / "page.html").read_text()
    (tmp_path / "mine.html").write_text("mine")
    assert alphaweave("report", path, "--out", tmp_path / "mine.html").code == 2
    assert alphaweave("report", path, "--out", path).code == 2
