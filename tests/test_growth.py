"""Cost grows with what there is, and no faster; here by instructions, in `make bench-growth` by time."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"
MODULES = (
    "outcome",
    "workloads",
    "floor",
    "alphaweave_runs",
    "instructions",
    "page",
    "probe",
    "growth",
)
SMALL = {
    "bars": (1_000, 4_000),
    "symbols": (5, 20),
    "gaps": (5, 20),
    "orders": (3, 100),
    "changes": (3, 100),
    "monitors": (1, 5),
}
SHORT = {"bars": 0.4, "symbols": 0.09, "gaps": 0.09, "orders": 0.005, "changes": 0.01, "monitors": 0.02}
"""Part of the usual number of bars."""


@pytest.fixture(scope="module")
def bench() -> Iterator[SimpleNamespace]:
    """The modules as `python benchmarks/growth.py` has them, gone again afterwards."""
    sys.path.insert(0, str(BENCHMARKS))
    modules = {name: importlib.import_module(name) for name in MODULES}
    yield SimpleNamespace(**modules)
    sys.path.remove(str(BENCHMARKS))
    for name in MODULES:
        del sys.modules[name]


def cost(bench: SimpleNamespace, name: str, size: int) -> float:
    """Instructions an event, when twice as many bars come for the same."""
    counted = []
    for scale in (SHORT[name], 2 * SHORT[name]):
        run, events = bench.growth.AXES[name].prepare(size, scale)
        counted.append((bench.instructions.instructions(run), events))
    (few, least), (many, most) = counted
    return float((many - few) / (most - least))


@pytest.mark.parametrize("name", SMALL)
def test_an_event_costs_as_much_with_many_as_with_few(bench: SimpleNamespace, name: str) -> None:
    """Bars before it, symbols, orders that rest and monitors that take columns add next to nothing to it."""
    few, many = SMALL[name]
    cost(bench, name, few)  # what is made when it is first needed
    assert cost(bench, name, many) < 1.3 * cost(bench, name, few)


def test_a_cost_that_grows_with_the_orders_that_rest_is_noticed(
    bench: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if each bar were shown to each order."""
    from alphaweave.sim.venue import SimVenue

    monkeypatch.setattr(SimVenue, "idle", lambda self, slices: sum(0 for _ in self.working))
    cost(bench, "orders", 3)
    assert cost(bench, "orders", 60) > 1.3 * cost(bench, "orders", 3)


def test_each_size_is_measured_in_a_process_of_its_own_and_put_into_a_page(
    bench: SimpleNamespace,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    growth, page = bench.growth, tmp_path / "page.md"
    axis = replace(growth.AXES["bars"], sizes=(10_000, 100_000), most=1e9)
    monkeypatch.setattr(growth, "AXES", {"bars": axis})
    page.write_text(f"before\n{growth.BEGIN}\nold\n{growth.END}\nafter\n")
    assert growth.main(["--rounds", "1", "--scale", "0.01", "--into", str(page)]) == 0
    printed = capsys.readouterr().out
    assert page.read_text() == f"before\n{growth.BEGIN}\n\n{printed}\n{growth.END}\nafter\n"
    row = printed.splitlines()[-1].split(" | ")
    assert row[:2] == ["| bars", "10,000, 100,000"]
    assert all(len(cell.split(", ")) == 2 for cell in row[2:])


def test_what_grows_too_much_is_said_and_fails_the_command(
    bench: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The fastest round of each size counts."""
    growth = bench.growth
    times = {1: [1.0, 9.0], 30: [1.0, 1.0], 300: [1.2, 1.0], 3_000: [2.1, 5.0]}
    runs = {size: [growth.Measured(1000, each, 10**7) for each in found] for size, found in times.items()}
    monkeypatch.setattr(growth, "measure", lambda name, rounds, scale: growth.Growth(growth.AXES[name], runs))
    assert growth.main(["--only", "changes"]) == 1
    assert "costs 2.1 times what it costs with 1, 2.0 is allowed" in capsys.readouterr().err
    runs[3_000].append(growth.Measured(1000, 1.9, 10**7))
    assert growth.main(["--only", "changes"]) == 0


def test_a_stream_of_bars_is_to_take_no_more_memory_the_more_there_are(bench: SimpleNamespace) -> None:
    """What it holds is told by the run itself, for what is mapped from a file is not counted."""
    growth = bench.growth
    axis = growth.AXES["streamed"]
    run, events = axis.prepare(100_000, 0.005)
    began, held = run()
    assert began > 0
    assert events == 500
    assert 10**6 < held <= bench.probe.peak_bytes()
    measured = {100_000: [growth.Measured(10, 1.0, 10**8)], 1_000_000: [growth.Measured(10, 1.0, 10**8)]}
    assert growth.Growth(axis, measured).problem() is None
    measured[1_000_000] = [growth.Measured(10, 1.0, 13 * 10**7)]
    assert "is 1.3 times what it is with 100,000" in growth.Growth(axis, measured).problem()


def test_a_page_without_a_place_for_the_tables_is_refused(bench: SimpleNamespace, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(bench.growth.BEGIN)
    with pytest.raises(SystemExit, match="has no place for the tables"):
        bench.page.into(page, bench.growth.BEGIN, bench.growth.END, "")
