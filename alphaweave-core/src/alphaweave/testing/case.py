"""Cases: one requirement each, with the check that proves it."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterable, Mapping
from enum import Enum
from functools import wraps
from typing import Any, Final, Protocol, TypeVar

from attrs import field, frozen

from alphaweave.testing.sandbox import Power

__all__ = ["Case", "CaseMarker", "CaseResult", "Outcome", "case_at", "cases_of", "in_group"]

_MARK: Final = "__conformance_case__"
_BenchT = TypeVar("_BenchT")


class Outcome(Enum):
    """What a case came to.

    UNPROVEN: the venue, or this machine, lacks what it takes to try. UNDECLARED: it is about something that
    the adapter does not claim. DEVIATES: it failed as the suite's ``deviations`` say it does.
    """

    PASSED = "passed"
    FAILED = "failed"
    UNPROVEN = "unproven"
    UNDECLARED = "undeclared"
    DEVIATES = "deviates"


@frozen(kw_only=True)
class Case:
    """One requirement.

    Attributes:
        id: stable for ever (``BRK-110``); gaps between ids leave room.
        group: the heading it stands under.
        name: of the test method.
        requirement: one sentence, the first line of the method's docstring.
        powers: what the venue must be able to do.
        claim: what of the adapter's capabilities it is about: None, or why it does not concern an adapter
            with these capabilities ("" where it does).
        check: runs it on a bench; raises AssertionError where the requirement does not hold.
    """

    id: str
    group: str
    name: str
    requirement: str
    powers: frozenset[Power] = frozenset()
    claim: Callable[[Any], str] | None = field(default=None, eq=False)
    check: Callable[[Any, Any], Awaitable[None]] = field(eq=False, repr=False)


@frozen(kw_only=True)
class CaseResult:
    """What became of one case.

    Attributes:
        detail: why, for people: what failed, the power that is missing, the reason of a deviation.
        seconds: how long it took.
    """

    case: Case
    outcome: Outcome
    detail: str = ""
    seconds: float = 0.0


class _Suite(Protocol):
    def prove(self, case: Case, venue: Any) -> None: ...


_Check = Callable[[Any, _BenchT], Awaitable[None]]


class CaseMarker(Protocol):
    """What `in_group` hands back: makes a decorator for one case."""

    def __call__(
        self,
        id: str,  # noqa: A002 - what it is called everywhere
        *,
        powers: Iterable[Power] = (),
        claim: Callable[[Any], str] | None = None,
    ) -> Callable[[_Check[Any]], Callable[[Any, Any], None]]: ...


def in_group(group: str) -> CaseMarker:
    """The decorator of the cases under one heading.

    What it decorates is an ``async`` method that takes a bench; what it makes is a plain test method that
    takes the fixture ``venue``. The method's docstring begins with the requirement, one sentence on one line.
    """

    def case(
        id: str,  # noqa: A002
        *,
        powers: Iterable[Power] = (),
        claim: Callable[[Any], str] | None = None,
    ) -> Callable[[_Check[Any]], Callable[[Any, Any], None]]:
        def mark(check: _Check[Any]) -> Callable[[Any, Any], None]:
            text = inspect.cleandoc(check.__doc__ or "").splitlines()
            made = Case(
                id=id,
                group=group,
                name=check.__name__,
                requirement=text[0] if text else "",
                powers=frozenset(powers),
                claim=claim,
                check=check,
            )

            @wraps(check)
            def test(self: _Suite, venue: Any) -> None:
                self.prove(made, venue)

            # Otherwise pytest would take the fixtures from the method that is wrapped.
            del test.__wrapped__
            setattr(test, _MARK, made)
            return test

        return mark

    return case


def case_at(attribute: object) -> Case | None:
    """The case that an attribute of a suite is; None for any other."""
    found = getattr(attribute, _MARK, None)
    return found if isinstance(found, Case) else None


def cases_of(suite: type) -> Mapping[str, Case]:
    """The cases of a suite by id, in the order of their ids."""
    found: dict[str, Case] = {}
    for cls in suite.__mro__:
        for attribute in vars(cls).values():
            case = case_at(attribute)
            if case is not None:
                found.setdefault(case.id, case)
    return dict(sorted(found.items()))
