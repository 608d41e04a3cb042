"""A thousand days on which nearly everything goes wrong, and nothing that must hold does not."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from attrs import evolve

from simulation.__main__ import main
from simulation.campaign import LEAST_AGREEMENT, Totals, one_day, run_days
from simulation.day import Day, live_a_day
from simulation.process import Process
from simulation.script import FaultKind, draw

_DAYS = 1_000


def test_a_thousand_days_hold_every_invariant() -> None:
    """Every fault strikes, most orders come out as the broker has them, and nothing is violated."""
    totals = Totals()
    # Where the suite itself runs in several processes, each has its share of the processors.
    abreast = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    for report in run_days(range(_DAYS), workers=min(os.cpu_count() or 1, 8) // abreast):
        totals.add(report)
        assert report.violation is None, f"make simulate DAYS=1 SEED={report.seed}: {report.violation}"
    assert totals.days == _DAYS
    assert totals.agreement >= LEAST_AGREEMENT
    assert totals.scarce == []
    assert totals.orders > 10 * _DAYS
    assert totals.crashes > _DAYS // 2


def test_a_fault_that_strikes_too_seldom_is_named() -> None:
    """A thousand days that met a fault less than fifty times prove nothing about it."""
    totals = Totals(days=1_000)
    totals.faults.update(dict.fromkeys(FaultKind, 50))
    assert totals.scarce == []
    totals.faults[FaultKind.BUST] -= 1
    assert totals.scarce == [FaultKind.BUST]
    assert "too seldom: bust, 49 times in 1000 days" in list(totals.lines())


def test_a_seed_gives_the_same_day_again() -> None:
    """What failed once fails again, to the last event."""
    assert one_day(11) == one_day(11)


def test_an_invariant_that_does_not_hold_ends_the_day_with_its_seed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A broker that took an order twice is found out, and the command that shows it again is printed."""
    monkeypatch.setattr(Day, "after", _doubling(Day.after))
    found = live_a_day(evolve(draw(1), crashes=()), tmp_path).violation
    assert found is not None
    assert (found.invariant, "the broker has 2 orders" in found.text) == ("I1", True)
    assert main(["--days", "3", "--seed", "1"]) == 1
    assert "again: make simulate DAYS=1 SEED=1" in capsys.readouterr().out


def test_the_command_prints_orders_fills_faults_and_crashes(capsys: pytest.CaptureFixture[str]) -> None:
    """What was proved can be read off."""
    assert main(["--days", "2", "--seed", "5"]) == 0
    first = capsys.readouterr().out.splitlines()[0]
    assert all(f" {word}" in first for word in ("events", "orders", "fills", "faults", "crashes"))
    assert first.startswith("2 days")
    assert first.endswith("0 violations")


def test_a_seed_that_is_to_be_first_is_lived_before_the_others(capsys: pytest.CaptureFixture[str]) -> None:
    """Once, also where it is one of them."""
    assert main(["--days", "2", "--seed", "5", "--first", "6"]) == 0
    first = capsys.readouterr().out.splitlines()[0]
    assert main(["--days", "1", "--seed", "5", "--first", "6"]) == 0
    assert capsys.readouterr().out.splitlines()[0] == first


def _doubling(after: Callable[[Day, Process], None]) -> Callable[[Day, Process], None]:
    def doubled(day: Day, process: Process) -> None:
        accepted = day.broker.truth.accepted
        for name in accepted:
            accepted[name] += 1
        after(day, process)

    return doubled
