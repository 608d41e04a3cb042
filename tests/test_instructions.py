"""Speed is guarded by counting: a replay that executes more bytecode an event than is on record fails."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from types import SimpleNamespace

import pytest

from alphaweave.live.kernel import Kernel, StraightWay
from alphaweave.live.lane import Lane

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"
MODULES = ("outcome", "workloads", "floor", "alphaweave_runs", "instructions")
CASES = ("W1", "W1, no straight way", "W1, records read", "W2", "W2d", "W3")


@pytest.fixture(scope="module")
def counting() -> Iterator[SimpleNamespace]:
    """The module as `python benchmarks/instructions.py` has it, gone again afterwards."""
    sys.path.insert(0, str(BENCHMARKS))
    modules = {name: importlib.import_module(name) for name in MODULES}
    yield SimpleNamespace(**vars(modules["instructions"]))
    sys.path.remove(str(BENCHMARKS))
    for name in MODULES:
        del sys.modules[name]


@pytest.mark.parametrize("name", CASES)
def test_an_event_costs_the_instructions_that_are_on_record(counting: SimpleNamespace, name: str) -> None:
    """Within the tolerance, on this Python; `make instructions ARGS=--renew` puts others on record."""
    recorded = counting.figures()[counting.version()][name]
    assert counting.astray(name, counting.per_event(counting.CASES[name]), recorded) is None


def test_every_case_is_on_record_for_every_python(counting: SimpleNamespace) -> None:
    recorded = counting.figures()
    assert set(recorded) == {"3.11", "3.12", "3.13"}
    assert all(set(each) == set(counting.CASES) == set(CASES) for each in recorded.values())


def test_a_slow_down_is_noticed(counting: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    """A loop over quiet bars that is left after each of them, which trades no differently."""
    whole = Kernel.on_slices

    def one(
        self: Kernel, ends: Iterable[int], lanes: Sequence[Lane], express: StraightWay | None = None
    ) -> int:
        return whole(self, islice(ends, 1), lanes, express)

    monkeypatch.setattr(Kernel, "on_slices", one)
    recorded = counting.figures()[counting.version()]["W3"]
    problem = counting.astray("W3", counting.per_event(counting.CASES["W3"]), recorded)
    assert problem is not None
    assert problem.startswith("W3: ")


def test_a_figure_is_astray_beyond_the_tolerance_either_way(counting: SimpleNamespace) -> None:
    """One that fell, too: the old one would let the same be lost again unnoticed."""
    within, beyond = 100 * counting.TOLERANCE * 0.99, 100 * counting.TOLERANCE * 1.01
    assert counting.astray("W1", 100 + within, 100) is counting.astray("W1", 100 - within, 100) is None
    assert "(+2.0%)" in counting.astray("W1", 100 + beyond, 100)
    assert "(-2.0%)" in counting.astray("W1", 100 - beyond, 100)
    assert "none are recorded for this Python" in counting.astray("W1", 100, None)


def test_figures_are_renewed_for_this_python_alone(
    counting: SimpleNamespace,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The command ends with 1 until they are, and leaves those of other versions as they were."""
    path = tmp_path / "figures.json"
    path.write_text(json.dumps({"2.7": {"W3": 1.0}}))
    main = importlib.import_module("instructions").main
    monkeypatch.setattr(importlib.import_module("instructions"), "CASES", {"W3": counting.CASES["W3"]})
    assert main(["--file", str(path)]) == 1
    assert "ASTRAY: W3" in capsys.readouterr().err
    assert main(["--file", str(path), "--renew"]) == 0
    assert main(["--file", str(path)]) == 0
    written = counting.figures(path)
    assert written["2.7"] == {"W3": 1.0}
    assert written[counting.version()]["W3"] == counting.per_event(counting.CASES["W3"])
