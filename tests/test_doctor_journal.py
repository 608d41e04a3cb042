"""The doctor and a run's journal: what it knows explains the account, and not a byte of it changes."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from attrs import evolve
from doctor_bench import of
from test_live_runs import BARS, Busy, config, prepared, ran

from alphaweave.cli import doctoring
from alphaweave.cli.main import main
from alphaweave.live.broker import BrokerAccountState, BrokerOrder
from alphaweave.live.config import LiveConfig
from alphaweave.live.control import ControlStore
from alphaweave.live.doctor import Doctor
from alphaweave.live.findings import Finding
from alphaweave.live.journal_reader import JournalReader
from alphaweave.live.live_journal import AdapterStore
from alphaweave.live.live_wiring import broker_services
from alphaweave.live.run_lock import RunLock
from alphaweave.live.runner import LiveRunner
from alphaweave_broker_mock import PaperBrokerAdapter

DONE = 31


def again(wanted: LiveConfig) -> LiveRunner:
    """The parts of the run's next start."""
    return prepared(wanted, first=DONE, open_end=True)


def examined(parts: LiveRunner) -> tuple[Finding, ...]:
    return Doctor(parts.plan(parts.load_strategy()), patience=1.0).examine()


def known(parts: LiveRunner) -> Sequence[BrokerOrder]:
    """What works at the venue of the run, by the file it keeps."""

    async def asked() -> Sequence[BrokerOrder]:
        plan = parts.plan(parts.load_strategy())
        broker = plan.broker.create(plan.broker_options, broker_services(plan, AdapterStore()))
        await broker.connect()
        return await broker.get_open_orders()

    return asyncio.run(asked())


def contents(folder: Path) -> dict[str, tuple[bytes, int]]:
    """The files, with the times of their last change, but for SQLite's notes to readers, which are empty."""
    assert all(not path.read_bytes() for path in folder.glob("*-wal"))
    kept = [path for path in folder.iterdir() if not path.name.endswith(("-shm", "-wal"))]
    return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in kept}


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a paper run left that was stopped with positions and with orders that work."""
    folder = tmp_path_factory.mktemp("stopped")
    ran(config(folder, persistence={"journal": str(folder / "run.db")}), count=DONE)
    return folder


@pytest.fixture
def wanted(tmp_path: Path, stopped: Path) -> LiveConfig:
    """Its config, with a copy of what it left."""
    shutil.copytree(stopped, tmp_path, dirs_exist_ok=True)
    return config(tmp_path, persistence={"journal": str(tmp_path / "run.db")})


def test_what_the_journal_explains_is_well_and_no_byte_changes(wanted: LiveConfig, tmp_path: Path) -> None:
    """Positions, this run's own orders, and what stands on the disk."""
    before = contents(tmp_path)
    assert any(row.is_open for row in JournalReader(tmp_path / "run.db").orders())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Busy, "init", lambda self: pytest.fail("the strategy was asked"))
        found = examined(again(wanted))
    assert [one for one in found if one.verdict.value == "failure"] == []
    assert of(found, "positions") == [("ok", "those of the run's symbols are the journal's")]
    ((verdict, text),) = of(found, "open orders")
    assert (verdict, text.endswith("of this run")) == ("ok", True)
    assert contents(tmp_path) == before
    # And the run goes on as if nobody had looked.
    replay = evolve(wanted, run=evolve(wanted.run, mode="replay"), risk=config(tmp_path, risk={}).risk)
    replayed = ran(evolve(replay, persistence=evolve(wanted.persistence, journal=None)))
    after = ran(wanted, first=DONE)
    assert after.summary is not None
    assert replayed.summary is not None
    assert (after.summary.slices, after.summary.equity) == (BARS, replayed.summary.equity)


def test_position_that_the_journal_does_not_explain_is_found(wanted: LiveConfig, tmp_path: Path) -> None:
    """A warning where an order of the run was working, and a failure where none was."""
    working = {one.ref.symbol for one in known(again(wanted))}
    (tmp_path / "run.db.account").unlink()
    found = of(examined(again(wanted)), "positions")
    texts = {text.partition(":")[0]: (verdict, text) for verdict, text in found}
    assert working & texts.keys()
    assert texts.keys() - working
    for symbol, (verdict, _) in texts.items():
        assert verdict == ("warning" if symbol in working else "failure")
    assert all("the broker has 0, the journal " in text for _, text in texts.values())


def test_journal_of_another_run_is_a_failure(wanted: LiveConfig) -> None:
    other = evolve(wanted, run=evolve(wanted.run, id="another"))
    ((verdict, text),) = of(examined(again(other)), "journal")
    assert verdict == "failure"
    assert "its run_id is 'twice', this run's is 'another'" in text


def test_journal_of_another_account_is_a_failure(wanted: LiveConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which account it is shows only when the broker has connected."""
    told = PaperBrokerAdapter.get_account_state

    async def other(self: PaperBrokerAdapter) -> BrokerAccountState:
        return evolve(await told(self), account_id="U2")

    monkeypatch.setattr(PaperBrokerAdapter, "get_account_state", other)
    found = of(examined(again(wanted)), "journal")
    assert [text.partition(": ")[2] for verdict, text in found if verdict == "failure"] == [
        "this journal is of account sim, and the broker has connected to U2"
    ]


def test_damaged_journal_is_a_failure(wanted: LiveConfig, tmp_path: Path) -> None:
    """What can be looked at without it is looked at all the same."""
    path = tmp_path / "run.db"
    path.write_bytes(b"no database at all, but a file of some length" * 40)
    found = examined(again(wanted))
    assert {verdict for verdict, _ in of(found, "journal")} == {"failure"}
    assert [verdict for verdict, _ in of(found, "symbols")][-1] == "ok"


def test_run_that_is_up_is_left_alone(
    wanted: LiveConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second session might take its connection."""
    made: list[object] = []
    monkeypatch.setattr(PaperBrokerAdapter, "connect", made.append)
    lock = RunLock.acquire(tmp_path / "run.db.lock", what="the journal")
    found = examined(again(wanted))
    lock.release()
    assert made == []
    ((verdict, text),) = of(found, "run")
    assert verdict == "failure"
    assert "this run is up, in process " in text
    assert of(found, "datafeed") == []


@pytest.mark.parametrize("symbol", ["", "IBM"])
def test_what_is_latched_is_told(wanted: LiveConfig, tmp_path: Path, symbol: str) -> None:
    assert of(examined(again(wanted)), "trading state") == []
    store = ControlStore.beside(tmp_path / "run.db")
    store.post("halt", operator="eva", reason="lunch", at_ns=1, scope=symbol)
    ((verdict, text),) = of(examined(again(wanted)), "trading state")
    assert verdict == "warning"
    assert f"HALTED for {symbol or 'everything'}, by eva" in text


def test_disk_that_is_full_is_a_failure(wanted: LiveConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    for free, verdict in ((10 << 20, "failure"), (500 << 20, "warning"), (5 << 30, "ok")):
        usage = type("Usage", (), {"free": free})
        monkeypatch.setattr("alphaweave.live.doctor_run.shutil.disk_usage", lambda path, usage=usage: usage)
        ((told, _),) = of(examined(again(wanted)), "disk")
        assert told == verdict


@pytest.fixture
def command(
    wanted: LiveConfig, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str]]:
    """`alphaweave doctor`, with its exit code and what it printed."""

    def call(live: LiveConfig, *arguments: str) -> tuple[int, str]:
        monkeypatch.setattr(doctoring, "load_live_config", lambda path, overrides: live)
        monkeypatch.setattr(LiveRunner, "from_config", again)
        with pytest.raises(SystemExit) as left:
            main(["doctor", "x.yaml", "--wait", "1", *arguments])
        assert isinstance(left.value.code, int)
        return left.value.code, capsys.readouterr().out

    return call


def test_command_prints_a_table_and_exits_with_0_where_nothing_failed(
    command: Callable[..., tuple[int, str]], wanted: LiveConfig
) -> None:
    code, out = command(wanted)
    assert code == 0
    assert out.startswith("VERDICT  SUBJECT")
    assert "\nok       positions " in out
    assert "0 failures, " in out.splitlines()[-1]


def test_command_exits_with_1_and_says_what_to_do_where_something_failed(
    command: Callable[..., tuple[int, str]], wanted: LiveConfig
) -> None:
    other = evolve(wanted, run=evolve(wanted.run, id="another"))
    code, out = command(other)
    assert code == 1
    assert "\nfailure  journal " in out
    assert "-> name another persistence.journal" in out
    code, text = command(other, "--json")
    document = json.loads(text)
    assert code == 1
    assert list(document) == [
        "config",
        "run",
        "mode",
        "broker",
        "datafeed",
        "account",
        "verdict",
        "findings",
        "notices",
    ]
    assert (document["verdict"], document["account"]) == ("failure", "sim")
    assert {tuple(one) for one in document["findings"]} == {("subject", "verdict", "text", "advice")}


def test_command_refuses_a_replay(command: Callable[..., tuple[int, str]], wanted: LiveConfig) -> None:
    replay = evolve(
        wanted, run=evolve(wanted.run, mode="replay"), persistence=evolve(wanted.persistence, journal=None)
    )
    assert command(replay)[0] == 2
