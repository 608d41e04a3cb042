"""The benchmarks' data, floor and check: a comparison of unequal work must not pass for one of speed."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"
MODULES = (
    "workloads",
    "outcome",
    "floor",
    "alphaweave_runs",
    "run",
    "live_runs",
    "live",
    "side_by_side",
    "page",
    "probe",
    "growth",
)


@pytest.fixture(scope="module")
def bench() -> Iterator[SimpleNamespace]:
    """The modules as `python benchmarks/run.py` imports them, gone again afterwards."""
    sys.path.insert(0, str(BENCHMARKS))
    modules: dict[str, ModuleType] = {name: importlib.import_module(name) for name in MODULES}
    yield SimpleNamespace(**modules)
    sys.path.remove(str(BENCHMARKS))
    for name in MODULES:
        del sys.modules[name]


@pytest.mark.parametrize(("name", "fills"), [("W1", 19_300), ("W2", 3_700), ("W2d", 21_400), ("W3", 990)])
def test_a_workload_trades_as_often_as_it_is_defined_to(
    bench: SimpleNamespace, name: str, fills: int
) -> None:
    """The floor's fills are those of the definition, so that ratios stay comparable over time."""
    workload = bench.workloads.make(name)
    outcome = bench.floor.prepare(workload)()
    assert outcome.fills == pytest.approx(fills, rel=0.005)
    assert outcome.marks == len(workload.end)


def test_the_floor_trades_on_the_next_open_and_pays_its_fees(bench: SimpleNamespace) -> None:
    """W4 worked out a second time, from averages over whole columns."""
    workload = bench.workloads.make("W4")
    opened, _, _, close, _ = (np.array(column) for column in workload.columns["AAA"])
    windows = np.lib.stride_tricks.sliding_window_view
    above = windows(close, 10).mean(axis=1)[20:] - windows(close, 30).mean(axis=1) > 1e-6
    cash, held, fills = 10_000_000.0, 0, 0
    for row in range(29, len(close) - 1):
        target = held
        if above[row - 29] != bool(held):
            target = int(0.95 * cash // close[row]) if above[row - 29] else 0
        if target != held:
            notional = (target - held) * opened[row + 1]
            cash -= notional + 1e-6 * abs(notional)
            held = target
            fills += 1
    outcome = bench.floor.prepare(workload)()
    assert outcome.fills == fills > 0
    assert outcome.equity == pytest.approx(cash + held * close[-1], rel=1e-12)


def test_w4_and_w2d_begin_as_the_whole(bench: SimpleNamespace) -> None:
    """The short workloads are cut from the long ones, not drawn anew."""
    for short, whole in (("W4", "W1"), ("W2d", "W2")):
        part, full = bench.workloads.make(short), bench.workloads.make(whole)
        assert part.end == full.end[: len(part.end)]
        for symbol, columns in part.columns.items():
            assert columns == tuple(column[: len(part.end)] for column in full.columns[symbol])


@pytest.mark.parametrize("name", ["W4", "W2d", "W3"])
def test_a_saved_workload_loads_as_it_was(bench: SimpleNamespace, tmp_path: Path, name: str) -> None:
    """A measured process reads exactly what the timed one made."""
    workload = bench.workloads.make(name)
    bench.workloads.save(workload, tmp_path)
    assert bench.workloads.load(tmp_path) == workload


@pytest.mark.parametrize(("name", "rows"), [("W4", 1_000), ("W2d", 120), ("W3", 20_000)])
def test_alphaweave_trades_as_the_floor(bench: SimpleNamespace, name: str, rows: int) -> None:
    """The engine, its ledger and its simulated venue come to what the bare loop comes to."""
    whole = bench.workloads.make(name)
    columns = {symbol: tuple(c[:rows] for c in columns) for symbol, columns in whole.columns.items()}
    workload = replace(whole, end=whole.end[:rows], columns=columns)
    runs = {"floor": bench.floor.prepare(workload), "alphaweave": bench.alphaweave_runs.prepare(workload)}
    outcome = bench.run.measure(workload, runs, 2).outcome
    assert outcome.fills > 10
    assert outcome.rules > 2 * outcome.fills


def test_the_csv_of_a_workload_loads_as_its_bars(bench: SimpleNamespace, tmp_path: Path) -> None:
    """Start from a file and start from arrays begin on the same bars."""
    from alphaweave.data.loaders import load_bars

    workload = bench.workloads.make("W4")
    bench.run.write_csv(workload, tmp_path / "AAA.csv")
    loaded = load_bars(tmp_path / "AAA.csv")["AAA"]
    made = bench.alphaweave_runs.series_of(workload)["AAA"]
    assert (loaded.end, loaded.close, loaded.interval) == (made.end, made.close, made.interval)


@pytest.mark.parametrize(
    "change", [{"fills": 11}, {"equity": 100.001}, {"equity": float("nan")}, {"marks": 4}, {"denials": 1}]
)
def test_a_run_that_did_other_work_than_the_floor_stops_the_benchmark(
    bench: SimpleNamespace, change: dict[str, float]
) -> None:
    """Fills, equity, marks and denials are compared in every round."""
    outcome = bench.outcome.Outcome
    same = {"fills": 10, "equity": 100.0, "marks": 5}
    runs = {"floor": lambda: outcome(**same), "alphaweave": lambda: outcome(**{**same, **change})}
    workload = bench.workloads.make("W4")
    with pytest.raises(bench.outcome.Disagreement, match=r"^W4: "):
        bench.run.measure(workload, runs, 1)
    within = {"floor": runs["floor"], "alphaweave": lambda: outcome(10, 100.00005, 5)}
    assert len(bench.run.measure(workload, within, 3).seconds["alphaweave"]) == 3


@pytest.mark.parametrize(
    ("name", "scale", "rows"), [("latency", 0.01, 2), ("throughput", 0.02, 2), ("memory", 0.002, 2)]
)
def test_a_live_benchmark_prints_its_figures(
    bench: SimpleNamespace,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    name: str,
    scale: float,
    rows: int,
) -> None:
    """A small one of each goes through the whole live driver, journal and monitors, and onto a page."""
    page, live = tmp_path / "page.md", bench.live
    page.write_text(f"before\n{live.BEGIN}\nold\n{live.END}\nafter\n")
    assert (
        live.main(["--only", name, "--scale", str(scale), "--into", str(page), "--folder", str(tmp_path)])
        == 0
    )
    printed = capsys.readouterr().out
    assert page.read_text() == f"before\n{live.BEGIN}\n\n{printed}\n{live.END}\nafter\n"
    figures = [line.split(" | ")[1] for line in printed.splitlines()[4:]]
    assert len(figures) == rows
    assert all(any(letter.isdigit() for letter in figure) for figure in figures)


def test_sends_are_timed_once_for_each_order(bench: SimpleNamespace, tmp_path: Path) -> None:
    """From the decision to the adapter's call, with the commit in between."""
    sends = bench.live_runs.Sends()
    runner, _ = bench.live_runs.run(tmp_path, bench.live_runs.minutes(["AAA"], 20), every=2, sends=sends)
    assert runner.summary.orders == runner.summary.fills == len(sends.waited) == 10
    assert sends.decided == {}
    assert min(sends.waited) > 0


def test_a_restart_is_timed_to_the_open_gate_of_the_run_that_was_made(
    bench: SimpleNamespace, tmp_path: Path
) -> None:
    """The process goes on with the journal it is handed, and leaves that one as it was."""
    from alphaweave.live.journal_reader import JournalReader

    made, series = tmp_path / "made", bench.live_runs.minutes(["AAA", "BBB"], 10)
    bench.live_runs.run(made, series, every=1, snapshots=10**9)
    before = JournalReader(made / "run.db").seq
    assert 0.1 < bench.live.gate_opens(made, tmp_path / "copy", series) < 30
    assert JournalReader(made / "run.db").seq == before
    (start,) = [row for row in JournalReader(tmp_path / "copy" / "run.db").tape("start") if row.epoch == 2]
    assert start.seq > before


OURS = ["--engines", "floor", "alphaweave", "--only", "W1", "--rows", "400", "--rounds", "1"]


def test_engines_are_timed_in_processes_of_their_own_and_their_tables_put_into_a_page(
    bench: SimpleNamespace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What stood between the marks is replaced, and what is around them stays."""
    page = tmp_path / "page.md"
    side = bench.side_by_side
    page.write_text(f"before\n{side.BEGIN}\nold\n{side.END}\nafter\n")
    assert side.main([*OURS, "--into", str(page)]) == 0
    written = page.read_text()
    assert written.startswith(f"before\n{side.BEGIN}\n\nW1, 400 events:\n")
    assert written.endswith(f"|\n\n{side.END}\nafter\n")
    assert "old" not in written
    printed = capsys.readouterr().out.splitlines()
    assert set(written.splitlines()) - set(printed) == {"before", side.BEGIN, side.END, "after"}
    bare, ours = (line for line in printed[:8] if line.startswith(("| floor", "| alphaweave")))
    fills = [line.split(" | ")[3] for line in (bare, ours)]
    assert fills[0] == fills[1] != "0"
    assert int(ours.split(" | ")[5]) > int(fills[1])


def test_an_engine_that_traded_otherwise_is_said_to_and_fails_the_command(
    bench: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """All figures are printed all the same: a whole run takes long."""
    ask = bench.side_by_side.probe

    def other(what: str, engine: str, *rest: object) -> dict[str, object]:
        found = ask(what, engine, *rest)
        if what == "timed" and engine == "alphaweave":
            found["outcome"]["fills"] += 1
        return found  # type: ignore[no-any-return]

    monkeypatch.setattr(bench.side_by_side, "probe", other)
    assert bench.side_by_side.main(OURS) == 1
    out, err = capsys.readouterr()
    assert "(not the floor's)" in out
    assert re.search(r"DISAGREEMENT: W1, alphaweave: \d+ fills", err)
    assert "From the start of the process" in out


def test_an_engine_without_an_environment_is_refused_with_how_to_get_it(
    bench: SimpleNamespace, tmp_path: Path
) -> None:
    with pytest.raises(SystemExit, match=r"nautilus has no environment.*`make bench-peers` builds it"):
        bench.side_by_side.main(["--environments", str(tmp_path), "--engines", "nautilus"])


def test_an_environment_is_found_from_wherever_the_engine_is_started(
    bench: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `make bench-peers` names it: from the project's folder."""
    (tmp_path / "peers" / "nautilus" / "bin").mkdir(parents=True)
    python = tmp_path / "peers" / "nautilus" / "bin" / "python"
    python.touch()
    monkeypatch.chdir(tmp_path)
    assert bench.side_by_side.interpreter("nautilus", Path("peers")) == str(python)


def test_each_peer_has_its_module_and_its_versions(bench: SimpleNamespace) -> None:
    """What is listed can be installed and run, and nothing lies there that nobody runs."""
    peers = set(bench.side_by_side.ENGINES) - {"floor", "alphaweave"}
    folder = BENCHMARKS / "peers"
    assert {path.stem for path in folder.glob("*.txt")} == peers
    assert {path.stem for path in folder.glob("*.py")} - {"__init__"} == peers
    for pinned in folder.glob("*.txt"):
        assert all("==" in line for line in pinned.read_text().splitlines())


def test_the_bench_puts_its_tables_into_a_page_and_fails_at_a_gate(
    bench: SimpleNamespace,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Speed, what a fresh process takes, and memory; all are printed too, whatever the gate says."""
    run, page = bench.run, tmp_path / "page.md"
    page.write_text(f"before\n{run.BEGIN}\nold\n{run.END}\nafter\n")
    monkeypatch.setattr(run, "GATES", {"W1": (0.001, 0.001)})
    assert run.main(["--rows", "400", "--rounds", "1", "--into", str(page)]) == 1
    out, err = capsys.readouterr()
    assert re.search(r"MISSED: W1 is \d+\.\d\d times slower than the floor, the gate is 0.001", err)
    written = page.read_text()
    assert written.startswith(f"before\n{run.BEGIN}\n\nPython 3.")
    assert written.endswith(f"|\n\n{run.END}\nafter\n")
    assert [line for line in written.splitlines() if line.startswith("|")] == [
        line for line in out.splitlines() if line.startswith("|")
    ]
    assert {"W1", "import", "`alphaweave --help`", "start to first bar, CSV"} <= set(
        re.findall(r"(?m)^\| (.+?) \|", written)
    )


def test_figures_stand_between_marks_and_gates_as_they_are_asked_for(bench: SimpleNamespace) -> None:
    """Each figure on the page was written by a command; what is written by hand says what is measured."""
    page = (BENCHMARKS.parent / "docs" / "performance.md").read_text()
    marks = [(each.BEGIN, each.END) for each in (bench.run, bench.side_by_side, bench.growth, bench.live)]
    by_hand = page
    for begin, end in marks:
        before, _, rest = by_hand.partition(begin)
        between, _, after = rest.partition(end)
        assert between
        by_hand = before + after
    assert not re.findall(r"\d (?:ms|MB|s|k/s|µs|microseconds)\b", by_hand)
    rows = re.findall(r"(?m)^\| (W\w+) \| .+ \| ([\d.]+) \| ([\d.]+) \|$", by_hand)
    assert {name: (float(gate), float(goal)) for name, gate, goal in rows} == bench.run.GATES
