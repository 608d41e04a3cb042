"""What a conformance run says: a matrix for people, JSON for machines, a page of all requirements."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import Enum
from itertools import groupby
from typing import Any

import attrs
from attrs import frozen

from alphaweave.testing.case import Case, CaseResult, Outcome
from alphaweave.testing.sandbox import Sandbox
from alphaweave.testing.suite import Suite

__all__ = ["ConformanceReport", "cases_page", "certified"]

# So many cases in a row that fail alike say that it is not the cases.
_ENOUGH = 5


@frozen(kw_only=True)
class ConformanceReport:
    """What became of every case of one suite.

    Attributes:
        kind: ``broker``, ``datafeed`` or ``monitor``.
        adapter: its name; ``distribution``: who ships it, with the version, where that is known.
        sandbox: what it was proved against.
        capabilities: what it declares, in words.
        results: in the order of the ids.
        stopped: why the cases after these were not run; empty where all were.
        interrupted: whether that was somebody's Ctrl-C.
    """

    kind: str
    adapter: str
    distribution: str | None
    sandbox: str
    capabilities: Mapping[str, str]
    results: tuple[CaseResult, ...]
    stopped: str = ""
    interrupted: bool = False

    @property
    def failed(self) -> bool:
        """Whether a requirement does not hold."""
        return any(result.outcome is Outcome.FAILED for result in self.results)

    def as_json(self) -> dict[str, Any]:
        """The same for a machine."""
        return {
            "kind": self.kind,
            "adapter": self.adapter,
            "distribution": self.distribution,
            "proved_against": self.sandbox,
            "capabilities": dict(self.capabilities),
            "counts": self._counts(),
            "stopped": self.stopped,
            "cases": [
                {
                    "id": result.case.id,
                    "group": result.case.group,
                    "requirement": result.case.requirement,
                    "outcome": result.outcome.value,
                    "detail": result.detail,
                    "seconds": round(result.seconds, 3),
                }
                for result in self.results
            ],
        }

    def as_text(self) -> str:
        """The matrix."""
        by = f" ({self.distribution})" if self.distribution else ""
        lines = [f"{self.kind} {self.adapter}{by}, proved against {self.sandbox}", ""]
        width = max((len(name) for name in self.capabilities), default=0)
        lines += [f"  {name:<{width}}  {words}" for name, words in self.capabilities.items()]
        for group, results in groupby(self.results, key=lambda result: result.case.group):
            lines += ["", group]
            for result in results:
                lines.append(f"  {result.case.id}  {result.outcome.name:<10}  {result.case.requirement}")
                if result.detail:
                    lines += [f"  {'':<9}{'':<12}{line}" for line in result.detail.splitlines()]
        counts = ", ".join(f"{number} {name}" for name, number in self._counts().items() if number)
        if self.stopped:
            lines += ["", f"Not all cases were run: {self.stopped}"]
        lines += [
            "",
            f"{counts or 'nothing'}. Proved against {self.sandbox}; nothing is said of any other venue.",
        ]
        return "\n".join(lines)

    def _counts(self) -> dict[str, int]:
        found = Counter(result.outcome for result in self.results)
        return {outcome.value: found[outcome] for outcome in Outcome}


def certified(
    suite: type[Suite],
    venue: Callable[[], Sandbox],
    *,
    kind: str,
    distribution: str | None = None,
    ids: Iterable[str] = (),
    starting: Callable[[Case], None] = lambda _: None,
    progress: Callable[[CaseResult], None] = lambda _: None,
) -> ConformanceReport:
    """Run the cases of a suite, each at a venue of its own.

    Where most have failed, and the last few in the same words, the rest is not tried. Ctrl-C ends it with
    what had been run.

    Args:
        venue: makes one that has not started.
        kind: for the heading.
        ids: only these; none is all.
        starting, progress: told of each case before it runs, and of its result.
    """
    wanted, results, name = set(ids), list[CaseResult](), ""
    cases = [case for case in suite.cases().values() if not wanted or case.id in wanted]
    stopped, interrupted = "", False
    try:
        for case in cases:
            stopped = _hopeless(results)
            if stopped:
                break
            starting(case)
            sandbox = venue()
            name = sandbox.name
            result = suite.result(case, sandbox)
            results.append(result)
            progress(result)
    except KeyboardInterrupt:
        stopped, interrupted = f"interrupted after {len(results)} of {len(cases)}", True
    return ConformanceReport(
        kind=kind,
        adapter=suite.adapter or suite.record().name,
        distribution=distribution,
        sandbox=name or "no sandbox",
        capabilities=_told(getattr(suite.record(), "capabilities", None)),
        results=tuple(results),
        stopped=stopped,
        interrupted=interrupted,
    )


def _hopeless(results: Sequence[CaseResult]) -> str:
    """Why there is no use in going on; empty where there is."""
    tried = [each for each in results if each.outcome not in {Outcome.UNPROVEN, Outcome.UNDECLARED}]
    # One thing that is missing late in an adapter that works otherwise is no reason.
    if 2 * sum(each.outcome is Outcome.FAILED for each in tried) <= len(tried):
        return ""
    last = tried[-_ENOUGH:]
    # Ports and times in them differ from case to case.
    words = {re.sub(r"\d+", "0", each.detail) for each in last}
    if len(last) == _ENOUGH and len(words) == 1 and all(each.outcome is Outcome.FAILED for each in last):
        return f"{_ENOUGH} in a row failed in the same words. Mend this first: {last[-1].detail}"
    return ""


def _told(capabilities: Any) -> dict[str, str]:
    """What is declared, a line each; what is not is left out."""
    if capabilities is None:
        return {}
    values = {each.name: getattr(capabilities, each.name) for each in attrs.fields(type(capabilities))}
    return {name: words for name, value in values.items() if (words := _words(value))}


def _words(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else ""
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, Mapping):
        return "; ".join(f"{_words(key)}: {_words(inner)}" for key, inner in value.items())
    if isinstance(value, frozenset):
        return ", ".join(sorted(map(_words, value)))
    if isinstance(value, tuple):
        return " ".join(map(_words, value))
    if attrs.has(type(value)):
        named = ((each.name, _words(getattr(value, each.name))) for each in attrs.fields(type(value)))
        return ", ".join(f"{name} {words}" for name, words in named)
    return "" if value is None else str(value)


_HEAD = """\
# Conformance

What `alphaweave certify NAME`, and a test class of `alphaweave.testing`, hold an adapter to. This page is
written by `alphaweave certify --cases-markdown`. Ids are never used again. Powers are what a venue has to be
able to do for the case to be tried; where it cannot, the case is UNPROVEN, which `--strict`, and
`strict = True` in the test class, take for a failure.
"""


def cases_page(suites: Mapping[str, type[Suite]]) -> str:
    """The page of all requirements, as Markdown; ``suites`` by heading."""
    lines = [_HEAD]
    for heading, suite in suites.items():
        cases = suite.cases().values()
        lines += [f"## {heading}", "", f"{len(cases)} cases.", ""]
        groups: dict[str, list[Case]] = {}
        for case in cases:
            groups.setdefault(case.group, []).append(case)
        for group, members in groups.items():
            lines += [f"### {heading}: {group}", "", "| Id | Requirement | Powers |", "|---|---|---|"]
            for case in members:
                powers = ", ".join(sorted(power.value for power in case.powers)) or "none"
                requirement = case.requirement.replace("|", "\\|")
                lines.append(f"| {case.id} | {requirement} | {powers} |")
            lines.append("")
    return "\n".join(lines)
