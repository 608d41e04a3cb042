"""The pytest plugin of `alphaweave.testing`: the fixture ``venue``, and what a run could not prove.

It stands beside the package, for pytest imports its plugins before anybody measures what is imported, and
imports nothing of the package itself until a test asks.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from alphaweave.testing.sandbox import Sandbox

_CATEGORY = "conformance, not proved"
_TOLD = re.compile(r"Skipped: (?P<id>[A-Z]+-\d+) (?P<outcome>UNPROVEN|UNDECLARED): (?P<detail>.*)", re.DOTALL)


@pytest.fixture
def venue(request: pytest.FixtureRequest) -> Sandbox:
    """The sandbox that is installed under the adapter's name, as new and not started.

    A conformance class with a venue of its own defines a fixture of this name.
    """
    from alphaweave.testing.certification import new_sandbox

    suite: Any = request.cls
    if not getattr(suite, "adapter", ""):
        pytest.fail("the fixture venue is for conformance classes that set `adapter`", pytrace=False)
    stage = getattr(suite, "stage", None)
    return new_sandbox(suite.adapter) if stage is None else stage()


def _told(report: pytest.CollectReport | pytest.TestReport) -> re.Match[str] | None:
    text = report.longrepr[2] if isinstance(report.longrepr, tuple) else ""
    return _TOLD.match(text) if report.skipped else None


def pytest_report_teststatus(
    report: pytest.CollectReport | pytest.TestReport,
) -> tuple[str, str, tuple[str, dict[str, bool]]] | None:
    """Give what was not proved a name and a letter of its own."""
    told = _told(report) if isinstance(report, pytest.TestReport) and report.when == "call" else None
    if told is None:
        return None
    outcome = told["outcome"]
    return _CATEGORY, outcome[2].lower(), (outcome, {"yellow": outcome == "UNPROVEN"})


def _lines(reports: list[pytest.TestReport]) -> Iterator[str]:
    reasons: dict[tuple[str, str], list[str]] = {}
    for report in reports:
        told = _told(report)
        if told is not None:
            reasons.setdefault((told["outcome"], told["detail"]), []).append(told["id"])
    for (outcome, detail), ids in sorted(reasons.items()):
        yield f"{outcome} {', '.join(sorted(ids))}: {detail}"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say which requirements were not proved, and why, and which the adapter says it cannot keep."""
    stats: dict[str, list[Any]] = terminalreporter.stats
    deviations = [
        f"DEVIATES {report.wasxfail.removeprefix('reason: ')}"
        for report in stats.get("xfailed", [])
        if re.match(r"(reason: )?[A-Z]{3}-\d+: ", getattr(report, "wasxfail", ""))
    ]
    lines = [*_lines(stats.get(_CATEGORY, [])), *deviations]
    if lines:
        terminalreporter.section("conformance")
        for line in lines:
            terminalreporter.write_line(line)
