"""The state file: what it may replace, and what is said when it is not what it should be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from alphaweave.core.errors import StateError, StateMismatch
from alphaweave.live.state import LiveState, load_live_state, save_live_state
from alphaweave.monitoring.dashboard import write_dashboard
from alphaweave.monitoring.memory import InMemoryMonitor
from alphaweave.monitoring.run import RunMonitor

STATE = LiveState(
    run_id="t",
    strategy="a:B",
    state_version=1,
    timestamp=None,
    position=0,
    kernel={},
    terms={"run": {"capital": "5"}},
)


def test_state_comes_back_with_its_terms(tmp_path: Path) -> None:
    save_live_state(tmp_path / "s.json", STATE)
    assert load_live_state(tmp_path / "s.json") == STATE


def test_state_never_replaces_what_is_no_state(tmp_path: Path) -> None:
    """Nor does a page what is no page."""
    path = tmp_path / "mine"
    path.write_text("mine")
    with pytest.raises(
        StateError, match="mine: the state is not written: the path exists and is no state file"
    ):
        save_live_state(path, STATE)
    with pytest.raises(FileExistsError, match="the path exists and is no dashboard of AlphaWeave") as caught:
        write_dashboard(path, RunMonitor(InMemoryMonitor()))
    assert caught.value.filename == str(path)
    assert path.read_text() == "mine"
    assert [each.name for each in tmp_path.iterdir()] == ["mine"]


def test_state_is_written_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to("there/state.json")
    for position in (1, 2):
        save_live_state(tmp_path / "link", evolve(STATE, position=position))
        assert load_live_state(tmp_path / "there" / "state.json").position == position
    assert (tmp_path / "link").is_symlink()


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"run_id": "u"}, "this state is of run 't', the config's run.id is 'u'"),
        ({"run_id": "u" * 500}, r"run\.id is 'u{76}\.\.\.; choose"),
        ({"strategy": "a:C"}, "this state is of strategy a:B, the run's is a:C"),
    ],
)
def test_state_of_another_run_is_refused_in_few_words(
    tmp_path: Path, wanted: dict[str, Any], message: str
) -> None:
    save_live_state(tmp_path / "s.json", STATE)
    with pytest.raises(StateMismatch, match=message):
        load_live_state(tmp_path / "s.json", **wanted)


def test_state_of_an_older_schema_is_refused_with_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "s.json"
    path.write_text('{"alphaweave_state":1,"checksum":"","state":{}}')
    with pytest.raises(
        StateError, match="has schema 1, this version reads 2; start anew with --fresh, or resume"
    ):
        load_live_state(path)
