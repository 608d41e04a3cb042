"""Which suites an installed adapter has to pass, and the sandbox that it is proved against."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from alphaweave.core.clock import Clock
from alphaweave.core.errors import ConformanceError, UnknownAdapter
from alphaweave.live.adapters.base import Services
from alphaweave.live.config_options import parse_options
from alphaweave.live.party import Party
from alphaweave.live.registry import Registry
from alphaweave.testing.broker_conformance import BrokerConformance
from alphaweave.testing.case import Case, CaseResult
from alphaweave.testing.clock import RunningClock
from alphaweave.testing.feed_conformance import DataFeedConformance
from alphaweave.testing.monitor_conformance import MonitorConformance
from alphaweave.testing.report import ConformanceReport, cases_page, certified
from alphaweave.testing.sandbox import Sandbox
from alphaweave.testing.suite import Suite

__all__ = ["all_cases", "case_ids", "certify", "new_sandbox"]

_SUITES: tuple[tuple[str, str, type[Suite]], ...] = (
    ("broker", "Brokers", BrokerConformance),
    ("datafeed", "Datafeeds", DataFeedConformance),
    ("monitor", "Monitors", MonitorConformance),
)


def new_sandbox(name: str, *, clock: Clock | None = None, **options: Any) -> Sandbox:
    """The sandbox that is installed under that name, not started.

    Args:
        clock: the time it has; by default one that runs by itself.
        options: of the sandbox's own options class.

    Raises:
        AdapterError: nobody offers it, it cannot be trusted, or it is no sandbox that the kit can drive.
        OptionsError: the options are wrong.
    """
    registry = Registry()
    plugin = registry.sandbox(name)
    parsed: Any = parse_options(plugin.options, options, path=f"sandbox {name}")
    party = Party("sandbox", name, _distribution(registry, "sandbox", name))
    made: Sandbox = party.ask(
        "create", Sandbox, plugin.create, parsed, Services(clock=clock or RunningClock())
    )
    return made


def case_ids(name: str) -> dict[str, tuple[str, ...]]:
    """The ids of the cases by kind, for each kind of adapter that is installed under that name."""
    registry = Registry()
    return {kind: tuple(suite.cases()) for kind, _, suite in _SUITES if name in registry.installed(kind)}  # type: ignore[arg-type]


def certify(
    name: str,
    *,
    ids: tuple[str, ...] = (),
    strict: bool = False,
    starting: Callable[[Case], None] = lambda _: None,
    progress: Callable[[CaseResult], None] = lambda _: None,
) -> list[ConformanceReport]:
    """Run the suite of every kind of adapter that is installed under that name.

    Args:
        strict: what is UNPROVEN has failed.

    Raises:
        AdapterError: nobody offers one, or no sandbox of that name, or the sandbox fails.
        ConformanceError: the sandbox's ``deviations`` name what is no requirement, or give no reason.
    """
    registry = Registry()
    kinds = [kind for kind, _, _ in _SUITES if name in registry.installed(kind)]  # type: ignore[arg-type]
    if not kinds:
        registry.broker(name)
        raise UnknownAdapter(
            f"no adapter named {name!r} is installed", kind="broker", name=name, installed=[]
        )
    deviations = registry.sandbox(name).deviations if name in registry.installed("sandbox") else {}
    known = {id_ for kind, _, suite in _SUITES if kind in kinds for id_ in suite.cases()}
    for id_ in deviations.keys() - known:
        raise ConformanceError(f"the deviations of sandbox {name!r} name {id_}, which is no case of {name!r}")
    reports = []
    for kind, _, suite in _SUITES:
        if kind not in kinds or (ids and not set(ids) & set(suite.cases())):
            continue
        theirs = {id_: why for id_, why in deviations.items() if id_ in suite.cases()}
        own: type[Suite] = type(
            suite.__name__, (suite,), {"adapter": name, "strict": strict, "deviations": theirs}
        )
        reports.append(
            certified(
                own,
                suite.stage if issubclass(suite, MonitorConformance) else partial(new_sandbox, name),
                kind=kind,
                distribution=_distribution(registry, kind, name),
                ids=ids,
                starting=starting,
                progress=progress,
            )
        )
        if reports[-1].interrupted:
            break
    return reports


def _distribution(registry: Registry, kind: str, name: str) -> str | None:
    offers = registry.installed(kind).get(name, ())  # type: ignore[arg-type]
    return f"{offers[0].distribution} {offers[0].version}" if offers else None


def all_cases() -> str:
    """The page of all requirements, as Markdown."""
    return cases_page({heading: suite for _, heading, suite in _SUITES})
