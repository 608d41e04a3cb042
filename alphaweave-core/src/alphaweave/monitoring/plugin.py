"""The monitors that core ships: ``memory`` and ``dashboard``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from attrs import frozen

from alphaweave.live.adapters.base import Services
from alphaweave.live.hookspecs import hookimpl
from alphaweave.live.plugins import MonitorPlugin, NoOptions
from alphaweave.monitoring.monitor import Monitor

__all__ = ["DashboardOptions", "alphaweave_monitors"]


@frozen
class DashboardOptions:
    """The options of the ``dashboard`` monitor.

    Attributes:
        path: the page; its folder is made if need be.
        title: its heading; empty for the strategy's name.
    """

    path: Path
    title: str = ""


def _memory(options: NoOptions, services: Services) -> Monitor:
    from alphaweave.monitoring.memory import InMemoryMonitor

    return InMemoryMonitor()


def _dashboard(options: DashboardOptions, services: Services) -> Monitor:
    from alphaweave.monitoring.dashboard import DashboardMonitor

    return DashboardMonitor(options.path, options.title)


@hookimpl
def alphaweave_monitors() -> Iterator[MonitorPlugin]:
    yield MonitorPlugin(name="memory", create=_memory, summary="keeps the whole run in memory")
    yield MonitorPlugin(
        name="dashboard",
        create=_dashboard,
        options=DashboardOptions,
        summary="writes one self-contained interactive page about the run",
    )
