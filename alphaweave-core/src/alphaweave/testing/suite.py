"""What every conformance suite is: a class of cases that nobody can override, only deviate from."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time
import traceback
from abc import abstractmethod
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, ClassVar

from alphaweave.core.errors import ConformanceError, Unproven
from alphaweave.testing.case import Case, CaseResult, Outcome, case_at, cases_of
from alphaweave.testing.sandbox import Sandbox

__all__ = ["CASE_LIMIT", "Suite"]

CASE_LIMIT = 60.0
"""Real seconds after which a case that has not come to an end has failed."""
_GRACE = 30.0
_DEPTH = 4


class Suite:
    """A conformance suite for one adapter.

    Attributes:
        adapter: its name, as a config gives it; it is found through its entry point.
        plugin: its record, for one that is not installed.
        deviations: case id -> why the adapter cannot keep that requirement. The case is still run, and has
            to fail; the reason stands in the report.
        strict: what is UNPROVEN has failed.
    """

    adapter: ClassVar[str] = ""
    plugin: ClassVar[Any] = None
    deviations: ClassVar[Mapping[str, str]] = {}
    strict: ClassVar[bool] = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        own: dict[str, Case] = {}
        for base in cls.__mro__:
            for name, attribute in vars(base).items():
                case = case_at(attribute)
                if case is not None:
                    other = own.setdefault(case.id, case)
                    if other is not case:
                        raise ConformanceError(f"{cls.__name__}: two cases have the id {case.id}")
                    if not case.requirement:
                        raise ConformanceError(f"{case.id} ({name}) has no docstring: it is the requirement")
        for case in own.values():
            if case_at(getattr(cls, case.name, None)) is not case:
                raise ConformanceError(
                    f"{cls.__name__} redefines {case.name} ({case.id}): a case is not overridden. If the "
                    f"venue makes it impossible, say so: deviations = {{{case.id!r}: 'why'}}"
                )
        if not isinstance(cls.deviations, Mapping):
            raise ConformanceError(
                f"{cls.__name__}.deviations is a {type(cls.deviations).__name__}, not a mapping of case ids "
                "to reasons: deviations = {'BRK-110': 'why'}"
            )
        for id_, reason in cls.deviations.items():
            if id_ not in own:
                raise ConformanceError(f"{cls.__name__}.deviations names {id_}, which is no case of it")
            if not isinstance(reason, str) or not reason.strip():
                raise ConformanceError(f"{cls.__name__}.deviations gives no reason for {id_}")

    @classmethod
    def cases(cls) -> Mapping[str, Case]:
        """Its cases by id."""
        return cases_of(cls)

    @classmethod
    @abstractmethod
    def record(cls) -> Any:
        """The plugin record of the adapter."""

    @classmethod
    @abstractmethod
    def bench(cls, venue: Any) -> AbstractAsyncContextManager[Any]:
        """What a case works on, around a venue that has started."""

    def prove(self, case: Case, venue: Sandbox) -> None:
        """Run one case under pytest, and end as its outcome says."""
        import pytest

        result = self.result(case, venue)
        # With `-p no:alphaweave` the marks below still tell a skip from a pass.
        if result.outcome is Outcome.FAILED:
            pytest.fail(f"{case.id}: {case.requirement}\n{result.detail}", pytrace=False)
        if result.outcome is Outcome.DEVIATES:
            pytest.xfail(f"{case.id}: {result.detail}")
        if result.outcome in {Outcome.UNPROVEN, Outcome.UNDECLARED}:
            pytest.skip(f"{case.id} {result.outcome.name}: {result.detail}")

    @classmethod
    def result(cls, case: Case, venue: Sandbox) -> CaseResult:
        """Run one case on a venue that has not started, in an event loop of its own.

        Raises:
            ConformanceError: assertions are switched off, so that nothing could fail.
        """
        if not __debug__:
            raise ConformanceError("the kit proves by assertions: run Python without -O")
        began = time.monotonic()
        outcome, detail = cls._outcome(case, venue)
        reason = cls.deviations.get(case.id)
        if reason is not None and outcome is Outcome.FAILED:
            outcome, detail = Outcome.DEVIATES, reason
        elif reason is not None and outcome is Outcome.PASSED:
            outcome = Outcome.FAILED
            detail = f"it holds, but deviations say it cannot ({reason}): delete that entry"
        if cls.strict and outcome is Outcome.UNPROVEN:
            outcome, detail = Outcome.FAILED, f"unproven, which strict does not let pass: {detail}"
        # What an adapter raises may bear a key, and a report is there to be shown.
        for secret in filter(None, venue.secrets):
            detail = detail.replace(secret, "***")
        return CaseResult(case=case, outcome=outcome, detail=detail, seconds=time.monotonic() - began)

    @classmethod
    def _outcome(cls, case: Case, venue: Sandbox) -> tuple[Outcome, str]:
        lacking = sorted(power.value for power in case.powers - venue.powers)
        if lacking:
            return Outcome.UNPROVEN, f"{venue.name} has no power to {', '.join(lacking)}"
        unclaimed = "" if case.claim is None else case.claim(cls.record().capabilities)
        if unclaimed:
            return Outcome.UNDECLARED, unclaimed
        try:
            cls._come_to_an_end(case, venue)
        except Unproven as error:
            required = os.environ.get("ALPHAWEAVE_REQUIRE") == "all"
            return Outcome.FAILED if required else Outcome.UNPROVEN, str(error)
        except AssertionError as error:
            return Outcome.FAILED, str(error) or _told(error)
        except TimeoutError:
            return Outcome.FAILED, f"it did not come to an end within {CASE_LIMIT:g} s"
        except Exception as error:
            return Outcome.FAILED, _told(error)
        return Outcome.PASSED, ""

    @classmethod
    def _come_to_an_end(cls, case: Case, venue: Sandbox) -> None:
        """Run it in a thread: who blocks the event loop, or takes no cancel, holds up only that."""
        raised: list[BaseException] = []

        def run() -> None:
            try:
                asyncio.run(cls._run(case, venue))
            except BaseException as error:
                raised.append(error)

        thread = threading.Thread(target=run, name=f"conformance {case.id}", daemon=True)
        thread.start()
        thread.join(CASE_LIMIT + _GRACE)
        if thread.is_alive():
            frame = sys._current_frames().get(thread.ident or 0)
            stack = traceback.extract_stack(frame) if frame is not None else []
            where = f": {stack[-1].name} ({stack[-1].filename}, line {stack[-1].lineno})" if stack else ""
            raise AssertionError(f"it hangs, and cannot be cancelled{where}")
        for error in raised:
            raise error

    @classmethod
    async def _run(cls, case: Case, venue: Sandbox) -> None:
        await venue.start()
        try:
            async with cls.bench(venue) as bench:
                task = asyncio.ensure_future(case.check(cls(), bench))
                done, _ = await asyncio.wait({task}, timeout=CASE_LIMIT)
                if not done:
                    task.cancel()
                    raise AssertionError(f"it did not come to an end within {CASE_LIMIT:g} s")
                task.result()
        finally:
            await venue.stop()


def _told(error: BaseException) -> str:
    """An error nobody expected, with where it came from, and what was behind it."""
    told: list[str] = []
    seen: BaseException | None = error
    while seen is not None and len(told) < _DEPTH:
        frames = traceback.extract_tb(seen.__traceback__)
        last = frames[-1] if frames else None
        where = f" ({last.name}, line {last.lineno} of {Path(last.filename).name})" if last else ""
        told.append(f"{type(seen).__name__}: {seen}{where}")
        seen = seen.__cause__ or (None if seen.__suppress_context__ else seen.__context__)
    return "; after ".join(told)
