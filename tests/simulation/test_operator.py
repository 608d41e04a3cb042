"""The operator of a simulated day: what was said is written down, and stands."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from attrs import evolve

from alphaweave.live.control import ControlStore
from alphaweave.live.control_records import ACTIVE, HALTED, Latch, Verb
from simulation.clock import SECOND
from simulation.operator import Operator, Order
from simulation.script import FaultKind, draw

LATCHED = {"": Latch(HALTED, "eva", "operator: odd fills", SECOND)}


@pytest.fixture
def operator(tmp_path: Path) -> Operator:
    return Operator(evolve(draw(1), halts=False), tmp_path / "day.db", Counter())


def test_a_halt_is_kept_until_it_is_lifted(operator: Operator) -> None:
    """A moment is granted to notice it, and a process that stands still notices nothing."""
    operator.tell(Order(SECOND, Verb.HALT, "ABC"), down=False)
    assert operator.leaves_halted
    assert list(operator.allowed("1", "XYZ", 9 * SECOND, 0)) == []
    assert list(operator.allowed("1", "ABC", SECOND + SECOND // 10, 0)) == []
    assert list(operator.allowed("1", "ABC", 9 * SECOND, 9 * SECOND)) == []
    assert list(operator.allowed("1", "ABC", 9 * SECOND, 0)) == [("I7", "1 leaves 8 s after eva halted ABC")]
    operator.tell(Order(10 * SECOND, Verb.RESUME, "ABC"), down=False)
    assert list(operator.allowed("1", "ABC", 20 * SECOND, 0)) == []
    assert not operator.leaves_halted


def test_a_command_that_is_lost_is_found_out(operator: Operator, tmp_path: Path) -> None:
    """It is not answered, it is not kept, or the file shows something else."""
    assert list(operator.obeyed({})) == []
    operator.tell(Order(SECOND, Verb.HALT), down=True)
    assert list(operator.obeyed(LATCHED)) == ["command 1 (halt) is not answered"]
    store = ControlStore.beside(tmp_path / "day.db")
    store.take(2 * SECOND)
    store.answer(1, {"state": "halted"}, 3 * SECOND)
    assert list(operator.obeyed(LATCHED)) == []
    assert list(operator.obeyed({})) == [
        "eva said halt of the account, and it trades",
        f"the account is {ACTIVE}, and is shown as {HALTED}",
    ]


def test_what_is_said_is_counted(tmp_path: Path) -> None:
    """By what it was, and whether somebody was there to hear it."""
    struck: Counter[FaultKind] = Counter()
    operator = Operator(draw(1), tmp_path / "day.db", struck)
    operator.tell(Order(SECOND, Verb.FLATTEN), down=False)
    operator.tell(Order(SECOND, Verb.STOP), down=True)
    wanted = (FaultKind.OPERATOR_FLATTEN, FaultKind.OPERATOR_STOP, FaultKind.COMMAND_WHILE_DOWN)
    assert struck == dict.fromkeys(wanted, 1)


def test_a_script_that_names_its_own_halt_is_told_nothing_more(tmp_path: Path) -> None:
    """Else it could end trading that must not."""
    for seed in range(40):
        operator = Operator(evolve(draw(seed), halts=True), tmp_path / "day.db", Counter())
        assert operator.plan == ()
        assert list(operator.meddles(0, SECOND)) == []
