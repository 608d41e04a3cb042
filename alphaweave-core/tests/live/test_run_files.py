"""The files of a run that cannot be where the config puts them are refused before anything is connected."""

from __future__ import annotations

from pathlib import Path

import pytest
from attrs import frozen

from alphaweave.core.errors import ConfigError
from alphaweave.live.config import parse_live_config
from alphaweave.live.run_files import check_files
from alphaweave.strategy.strategy import Strategy


@frozen
class NoOptions:
    """A feed without paths."""


def check(journal: Path) -> None:
    raw = {
        "run": {"mode": "paper"},
        "instruments": ["SPY"],
        "datafeed": {"name": "feed"},
        "broker": {"name": "paper"},
        "strategy": {"class": "m:S"},
        "persistence": {"journal": str(journal)},
    }
    check_files(parse_live_config(raw), strategy=Strategy(), feed_options=NoOptions(), monitor_options=())


@pytest.mark.parametrize(
    ("place", "trouble"),
    [
        ("folder", "is a folder; name another path."),
        ("notes.txt/run.journal", "would lie in {}/notes.txt, which is no folder; name another path."),
        ("notes.txt/deep/run.journal", "would lie in {}/notes.txt, which is no folder; name another path."),
    ],
)
def test_journal_that_can_be_made_nowhere_is_refused(tmp_path: Path, place: str, trouble: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ConfigError) as caught:
        check(tmp_path / place)
    (problem,) = caught.value.problems
    assert problem.path == "persistence.journal"
    assert problem.message == f"{tmp_path / place} {trouble.format(tmp_path)}"


def test_journal_in_a_folder_that_is_made_is_accepted(tmp_path: Path) -> None:
    """Nothing is made by looking."""
    check(tmp_path / "new" / "deep" / "run.journal")
    assert not list(tmp_path.iterdir())
