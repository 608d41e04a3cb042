"""The monitors that core ships: ``memory``, ``dashboard``, ``jsonl`` and ``prometheus``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from attrs import field, frozen
from attrs.validators import ge, gt, in_, optional

from alphaweave.core.errors import RunRefused
from alphaweave.live.adapters.base import Services
from alphaweave.live.hookspecs import hookimpl
from alphaweave.live.plugins import MonitorPlugin, NoOptions
from alphaweave.monitoring.monitor import Monitor

__all__ = ["DashboardOptions", "JsonlOptions", "PrometheusOptions", "alphaweave_monitors"]


@frozen
class DashboardOptions:
    """The options of the ``dashboard`` monitor.

    Attributes:
        path: the page; its folder is made if need be.
        title: its heading; empty for the strategy's name.
    """

    path: Path
    title: str = ""


@frozen
class JsonlOptions:
    """The options of the ``jsonl`` monitor.

    Attributes:
        path: the log; its folder is made if need be.
        max_bytes: a log that would grow above it is moved aside to ``path.1``; null never is.
        keep: how many such older logs are kept.
    """

    path: Path
    max_bytes: int | None = field(default=None, validator=optional(ge(1)))
    keep: int = field(default=5, validator=ge(1))


@frozen
class PrometheusOptions:
    """The options of the ``prometheus`` monitor.

    Attributes:
        port: where it serves, on 127.0.0.1; 0 takes any that is free.
        silent_seconds: how long a live engine may tell nothing of itself, or be busy with one input, before
            ``/live`` says no.
        max_lag_seconds: how long ago the last bar may have ended before ``/ready`` says no; null is for
            ever.
    """

    port: int = field(default=9464, validator=in_(range(65536)))
    silent_seconds: float = field(default=30.0, validator=gt(0))
    max_lag_seconds: float | None = field(default=None, validator=optional(gt(0)))


def _memory(options: NoOptions, services: Services) -> Monitor:
    from alphaweave.monitoring.memory import InMemoryMonitor

    return InMemoryMonitor()


def _dashboard(options: DashboardOptions, services: Services) -> Monitor:
    from alphaweave.monitoring.dashboard import DashboardMonitor

    return DashboardMonitor(options.path, options.title)


def _jsonl(options: JsonlOptions, services: Services) -> Monitor:
    from alphaweave.monitoring.jsonlog import JsonLinesMonitor

    return JsonLinesMonitor(options.path, max_bytes=options.max_bytes, keep=options.keep)


def _prometheus(options: PrometheusOptions, services: Services) -> Monitor:
    try:
        from alphaweave.monitoring.prometheus import PrometheusMonitor
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "prometheus_client":
            raise
        raise RunRefused(
            "the monitor prometheus needs prometheus-client; install it with pip install "
            "'alphaweave-core[metrics]'"
        ) from None

    return PrometheusMonitor(
        options.port,
        clock=services.clock,
        silent_seconds=options.silent_seconds,
        max_lag_seconds=options.max_lag_seconds,
    )


@hookimpl
def alphaweave_monitors() -> Iterator[MonitorPlugin]:
    yield MonitorPlugin(name="memory", create=_memory, summary="keeps the whole run in memory")
    yield MonitorPlugin(
        name="dashboard",
        create=_dashboard,
        options=DashboardOptions,
        summary="writes one self-contained interactive page about the run",
    )
    yield MonitorPlugin(
        name="jsonl",
        create=_jsonl,
        options=JsonlOptions,
        summary="appends what happens to a log, a line each",
    )
    yield MonitorPlugin(
        name="prometheus",
        create=_prometheus,
        options=PrometheusOptions,
        summary="serves metrics, liveness and readiness on this machine",
    )
