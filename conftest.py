"""A test that lacks a program, or what it fetches, is UNPROVEN, and fails under ALPHAWEAVE_REQUIRE=all."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Callable, Generator
from typing import NoReturn

import pytest
from hypothesis import settings

# The same examples each time: what fails here fails there too.
settings.register_profile("alphaweave", derandomize=True)
settings.load_profile("alphaweave")

PROPERTY = "unproven"
REASON = pytest.StashKey[str]()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Stop before any fixture starts what is not there."""
    for mark in item.iter_markers("needs"):
        if not mark.args:
            pytest.fail("needs() names no program: write needs('chromium')", pytrace=False)
        if not any(shutil.which(binary) for binary in mark.args):
            _stop(item, f"needs {' or '.join(mark.args)}, which is not on PATH")


@pytest.fixture
def unproven(request: pytest.FixtureRequest) -> Callable[[str], NoReturn]:
    """Stop the test in its setup, for what cannot be had here; the reason reads ``needs ...``."""
    return lambda reason: _stop(request.node, reason)


def _stop(item: pytest.Item, reason: str) -> NoReturn:
    item.stash[REASON] = reason
    if os.environ.get("ALPHAWEAVE_REQUIRE") == "all":
        pytest.fail(f"{reason}; ALPHAWEAVE_REQUIRE=all wants it proved", pytrace=False)
    pytest.skip(reason)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Carry the reason in the report, where it survives a worker process."""
    report = yield
    if report.when == "setup" and REASON in item.stash:
        report.user_properties.append((PROPERTY, item.stash[REASON]))
    return report


def _reason(report: pytest.TestReport) -> str | None:
    return next((str(value) for name, value in report.user_properties if name == PROPERTY), None)


def pytest_report_teststatus(
    report: pytest.CollectReport | pytest.TestReport,
) -> tuple[str, str, str | tuple[str, dict[str, bool]]] | None:
    """Give the outcome a name and a letter of its own."""
    if not isinstance(report, pytest.TestReport) or report.when != "setup" or _reason(report) is None:
        return None
    if report.failed:
        return "failed", "F", "FAILED"
    return "unproven", "U", ("UNPROVEN", {"yellow": True})


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many tests proved nothing, which, and why."""
    reports: list[pytest.TestReport] = terminalreporter.stats.get("unproven", [])
    if not reports:
        return
    terminalreporter.section("UNPROVEN", yellow=True)
    for reason, count in sorted(Counter(_reason(report) for report in reports).items(), key=str):
        terminalreporter.write_line(f"{count} × {reason}")
        for report in reports:
            if _reason(report) == reason:
                terminalreporter.write_line(f"    {report.nodeid}")
    terminalreporter.write_line("Not tested here. ALPHAWEAVE_REQUIRE=all makes each a failure.")
