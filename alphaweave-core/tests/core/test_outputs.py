"""What may be written over: a run's own files, and nothing else."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from alphaweave.core.outputs import PAGE_MARK, Output, OutputKind, objection, output_problems

OWN = {
    OutputKind.STATE: '{"alphaweave_state":2,"checksum":"","state":{}}',
    OutputKind.DASHBOARD: f"<!doctype html>\n<html>\n<head>\n{PAGE_MARK}\n",
    OutputKind.SUMMARY: '{\n  "summary": {\n    "run_id": "a"\n  }\n}\n',
    OutputKind.LOCK: "4711\n",
}


@pytest.mark.parametrize("kind", OutputKind)
@pytest.mark.parametrize("content", OutputKind)
def test_file_is_replaced_by_its_own_kind_only(tmp_path: Path, kind: OutputKind, content: OutputKind) -> None:
    path = tmp_path / "file"
    path.write_text(OWN[content], encoding="utf-8")
    found = objection(path, kind)
    assert (found is None) == (kind is content)
    if found is not None:
        assert found == f"exists and is no {kind.value} of AlphaWeave; remove it, or name another path"


def test_path_that_is_free_or_empty_is_no_objection(tmp_path: Path) -> None:
    """Neither is a link to nowhere: it is written through."""
    (tmp_path / "empty").touch()
    (tmp_path / "link").symlink_to(tmp_path / "later")
    for name in ("none", "empty", "link", "no/such/folder"):
        assert objection(tmp_path / name, OutputKind.SUMMARY) is None


def test_path_that_is_no_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path, what in ((tmp_path, "folder"), (tmp_path / "pipe", "pipe"), (Path("/dev/null"), "device")):
        assert what in str(objection(path, OutputKind.DASHBOARD))


def test_file_that_is_read_or_written_twice_is_refused(tmp_path: Path) -> None:
    """By whatever name: as it is, by a detour, by a link of either kind."""
    data = tmp_path / "data.csv"
    data.touch()
    (tmp_path / "soft").symlink_to(data)
    (tmp_path / "hard").hardlink_to(data)
    for name in ("data.csv", "x/../data.csv", "soft", "hard"):
        (problem,) = output_problems(
            [Output("--out", tmp_path / name, OutputKind.SUMMARY)], {"the data": data}
        )
        assert problem.path == "--out"
        assert problem.message == f"{tmp_path / name} is the data, which is read; name another path."
    both = [Output(name, tmp_path / "new", OutputKind.SUMMARY) for name in ("one", "two")]
    (problem,) = output_problems(both, {})
    assert str(problem) == f"two: {tmp_path / 'new'} is also written for one; name another path."
