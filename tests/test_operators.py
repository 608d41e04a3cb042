"""Operators and a run in another process: each command, while it is up and while it is down."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from alphaweave.cli.main import main
from alphaweave.live.control import ControlStore

CHILD = Path(__file__).with_name("operated_child.py")
# Of a run that is up, seconds from the command to its answer. On a machine at work with five other things it
# took 0.1 to 0.4.
AT_ONCE = 1
PATIENCE = 3


@contextmanager
def up(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A run that has seen its days."""
    with subprocess.Popen(
        [sys.executable, str(CHILD), str(folder)], stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def say(verb: str, folder: Path, *words: str, wait: float = PATIENCE) -> dict[str, Any]:
    """What the command prints, with its exit code."""
    named = ["--operator", "eva"] if verb != "status" else []
    arguments = [verb, str(folder / "run.db"), *named, *words, "--wait", str(wait), "--json"]
    printed = StringIO()
    with redirect_stdout(printed), pytest.raises(SystemExit) as left:
        main(arguments)
    return {**json.loads(printed.getvalue()), "code": left.value.code}


def seen(folder: Path, *, slices: int) -> dict[str, Any]:
    """The answer of a run that has come so far and rests there."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if (folder / "run.db").exists():
            found = say("status", folder)
            answer = found["answer"]
            if answer is not None and answer["reconciled"] and answer["positions"].get("IBM") == str(slices):
                return answer  # type: ignore[no-any-return]
    raise AssertionError(f"the run has not come to {slices} units in half a minute")


def test_each_command_acts_on_a_run_that_is_up_and_on_one_that_is_down(tmp_path: Path) -> None:
    """Within a second; and what was halted stays so over restarts until a named operator resumes."""
    with up(tmp_path) as run:
        seen(tmp_path, slices=8)
        for verb, state, words in (
            ("halt", "halted", ("--reason", "odd")),
            ("status", "halted", ()),
            ("resume", "active", ("--reason", "explained")),
            ("flatten", "halted", ("--reason", "enough")),
        ):
            began = time.monotonic()
            told = say(verb, tmp_path, *words)
            assert (told["code"], told["run_is"], told["answer"]["state"]) == (0, "up", state), verb
            assert time.monotonic() - began < AT_ONCE, verb
        deadline = time.monotonic() + 10
        while say("status", tmp_path)["answer"]["positions"] and time.monotonic() < deadline:
            pass
        assert say("status", tmp_path)["answer"]["positions"] == {}
        assert say("stop", tmp_path)["code"] == 0
        assert run.wait(10) == 0, run.stderr and run.stderr.read()
    down = say("status", tmp_path, wait=0)
    assert (down["run_is"], down["latched"]["all"]["state"]) == ("down or silent", "HALTED")
    for verb, state, words in (
        ("resume", "ACTIVE", ("--reason", "explained")),
        ("flatten", "REDUCING", ("--reason", "again")),
        ("halt", "HALTED", ("--reason", "odd again")),
    ):
        told = say(verb, tmp_path, *words, wait=0)
        assert (told["code"], told["answer"], told["latched"]["all"]["state"]) == (0, None, state), verb
    assert say("stop", tmp_path, wait=0)["code"] == 1
    assert len(ControlStore.beside(tmp_path / "run.db").pending()) == 3, "a stop of then is no stop of later"
    with up(tmp_path) as run:
        while (answer := say("status", tmp_path)["answer"]) is None or not answer["reconciled"]:
            pass
        assert (answer["state"], answer["positions"]) == ("halted", {})
        assert say("resume", tmp_path, "--reason", "explained")["answer"]["state"] == "active"
        assert say("stop", tmp_path)["code"] == 0
        assert run.wait(10) == 0
    assert say("status", tmp_path, wait=0)["latched"]["all"]["state"] == "ACTIVE"
