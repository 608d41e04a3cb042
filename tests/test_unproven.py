"""A test whose program is absent is counted and named, never passed over in silence."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ONLY = ("-p", "no:hypothesispytest", ".")  # importing hypothesis anew in each inner run takes a second

TESTS = """
    import pytest

    @pytest.fixture
    def browser():
        raise RuntimeError("started although it is absent")

    @pytest.mark.needs("no-such-browser")
    def test_page_opens(browser): ...

    @pytest.mark.needs("no-such-browser", "other-browser")
    def test_page_prints(): ...

    @pytest.mark.needs("no-such-shell", "sh")
    def test_shell_answers(): ...

    @pytest.fixture
    def library(unproven):
        unproven("needs no-such-library, which cannot be fetched")

    def test_library_answers(library): ...

    @pytest.mark.skip(reason="an ordinary skip")
    def test_ordinary(): ...
"""


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A project under this repository's own conftest and options, whatever the run around it requires."""
    monkeypatch.delenv("ALPHAWEAVE_REQUIRE", raising=False)
    pytester.makeconftest((ROOT / "conftest.py").read_text())
    (pytester.path / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text())
    return pytester


def test_missing_program_is_reported_as_unproven(project: pytest.Pytester) -> None:
    """The summary has a count of its own, each reason with its tests, and the run still succeeds."""
    project.makepyfile(TESTS)
    result = project.runpytest(*ONLY, "-v")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(
        [
            "*::test_page_opens UNPROVEN*",
            "*::test_shell_answers PASSED*",
            "*= UNPROVEN =*",
            "1 × needs no-such-browser or other-browser, which is not on PATH",
            "    *::test_page_prints",
            "1 × needs no-such-browser, which is not on PATH",
            "    *::test_page_opens",
            "1 × needs no-such-library, which cannot be fetched",
            "    *::test_library_answers",
            "*ALPHAWEAVE_REQUIRE=all*",
            "*1 passed, 1 skipped, 3 unproven in *",
        ]
    )


def test_missing_program_fails_when_everything_is_required(
    project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ALPHAWEAVE_REQUIRE=all turns each unproven test into a failed one that names the program."""
    monkeypatch.setenv("ALPHAWEAVE_REQUIRE", "all")
    project.makepyfile(TESTS)
    result = project.runpytest(*ONLY)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        ["*needs no-such-browser, which is not on PATH*", "*3 failed, 1 passed, 1 skipped in *"]
    )
    result.stdout.no_fnmatch_line("*UNPROVEN*")


def test_present_program_leaves_the_summary_alone(project: pytest.Pytester) -> None:
    """Nothing is said when nothing is missing."""
    project.makepyfile("import pytest\n\n@pytest.mark.needs('sh')\ndef test_shell(): ...\n")
    result = project.runpytest(*ONLY)
    result.assert_outcomes(passed=1)
    result.stdout.no_fnmatch_line("*UNPROVEN*")


def test_needs_without_a_program_is_refused(project: pytest.Pytester) -> None:
    """An empty marker is a mistake and says so."""
    project.makepyfile("import pytest\n\n@pytest.mark.needs()\ndef test_nothing(): ...\n")
    result = project.runpytest(*ONLY)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*needs() names no program*"])
