"""Operators' commands while the store fails: nothing that was taken is lost, and each is answered."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from alphaweave.core.errors import ControlError
from alphaweave.live.control import ControlStore
from alphaweave.live.control_records import Command, Verb
from alphaweave.live.live_commands import CommandPost, Surroundings
from alphaweave.live.sending_line import SendingLine


class Still(Surroundings):
    """A disk that is never slow, and a clock that stands."""

    async def blocking(self, work: Callable[[], Any]) -> Any:
        return work()

    def later(self, seconds: float, act: Callable[[], None]) -> Any:
        return self

    def cancel(self) -> None: ...

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        with pytest.raises(StopIteration):
            work.send(None)


class Failing(ControlStore):
    """A store that cannot do what it is told that it cannot."""

    fails: frozenset[str] = frozenset()

    def take(self, at_ns: int) -> tuple[Command, ...]:
        self._check("take")
        return super().take(at_ns)

    def unanswered(self) -> tuple[Command, ...]:
        self._check("unanswered")
        return super().unanswered()

    def answer(self, number: int, answer: Any, at_ns: int) -> None:
        self._check("answer")
        super().answer(number, answer, at_ns)

    def _check(self, what: str) -> None:
        if what in self.fails:
            raise ControlError(f"cannot {what}", self.path)


class Stage:
    def __init__(self, folder: Path) -> None:
        self.store = Failing(folder / "run.control")
        self.alerts: list[str] = []
        self.taken: list[Command] = []
        self.done: list[Callable[[], None]] = []
        self.line = line = SendingLine(
            report=lambda intent, outcome: None, launch=lambda send: None, now=lambda: 0
        )
        self.post = CommandPost(
            self.store,
            sender=line,
            put=self._put,
            now=lambda: 1,
            alert=lambda severity, code, text: self.alerts.append(code),
            answer_within=1.0,
            surroundings=Still(),
        )

    def _put(self, command: Command, then: Callable[[], None]) -> None:
        self.taken.append(command)
        self.done.append(then)

    def say(self, verb: Verb = Verb.HALT) -> int:
        return self.store.post(verb, operator="eva", reason="odd", at_ns=1)

    def look(self, *, first: bool = False) -> None:
        Still().start(self.post.look(first=first))

    def answered(self, number: int) -> Any:
        command = self.store.get(number)
        assert command is not None
        return command.answer


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def test_answer_that_cannot_be_written_is_written_at_the_next_look(stage: Stage) -> None:
    """Whoever waits for it is told once the store takes it, and people of the failure once."""
    number = stage.say()
    stage.look()
    stage.store.fails = frozenset({"answer"})
    stage.post.reply(number, {"state": "HALTED"})
    stage.look()
    assert stage.alerts == ["control_failed"]
    assert stage.answered(number) is None
    stage.store.fails = frozenset()
    stage.look()
    assert stage.alerts == ["control_failed", "control_restored"]
    assert stage.answered(number) == {"state": "HALTED"}


def test_last_answer_that_is_owed_is_the_one_that_is_written(stage: Stage) -> None:
    """That a command was taken is no news once it was decided."""
    number = stage.say()
    stage.look()
    stage.store.fails = frozenset({"answer"})
    stage.post.reply(number, {"taken": True, "decided": False})
    stage.post.reply(number, {"state": "HALTED"})
    stage.store.fails = frozenset()
    Still().start(stage.post.close())
    assert stage.answered(number) == {"state": "HALTED"}


def test_commands_that_were_taken_are_carried_out_though_the_look_fails_after(stage: Stage) -> None:
    """They are out of the store, and nobody would find them there again; what an earlier process left is
    looked for until it could be."""
    earlier = stage.say(Verb.FLATTEN)
    stage.store.take(1)
    number = stage.say()
    stage.store.fails = frozenset({"unanswered"})
    stage.look(first=True)
    assert [command.id for command in stage.taken] == [number]
    stage.store.fails = frozenset()
    stage.look()
    assert {command.id for command in stage.taken} == {number, earlier}


def test_nothing_leaves_before_commands_could_be_read(stage: Stage) -> None:
    """A halt may lie there since the run was down."""
    stage.say()
    stage.store.fails = frozenset({"take"})
    stage.look(first=True)
    stage.look()
    assert stage.line.held == "operators' commands have not been read yet"
    stage.store.fails = frozenset()
    stage.look()
    assert stage.line.held == "eva said halt"
    stage.done.pop()()
    assert stage.line.held is None


def test_store_that_cannot_be_read_is_told_once(stage: Stage) -> None:
    """It is looked at ten times a second, and would say the same each time."""
    stage.store.fails = frozenset({"take"})
    for _ in range(5):
        stage.look()
    assert stage.alerts == ["control_failed"]
    stage.store.fails = frozenset()
    stage.look()
    assert stage.alerts == ["control_failed", "control_restored"]
