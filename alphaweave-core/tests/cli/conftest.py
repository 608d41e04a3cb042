"""The command, called in this process."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from attrs import frozen

from alphaweave.cli.main import main


@frozen
class Answer:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str


@pytest.fixture
def alphaweave(capsys: pytest.CaptureFixture[str]) -> Callable[..., Answer]:
    """Run ``alphaweave`` with these arguments."""

    def call(*arguments: object) -> Answer:
        with pytest.raises(SystemExit) as left:
            main([str(argument) for argument in arguments])
        printed = capsys.readouterr()
        assert isinstance(left.value.code, int)
        return Answer(left.value.code, printed.out, printed.err)

    return call
