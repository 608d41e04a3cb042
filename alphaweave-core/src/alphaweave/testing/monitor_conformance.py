"""The conformance suite of monitors: they are shown runs, and have to bear them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import attrs

from alphaweave.live.adapters.base import Services
from alphaweave.live.plugins import MonitorPlugin
from alphaweave.live.registry import Registry
from alphaweave.monitoring.monitor import Monitor
from alphaweave.testing.cases_monitor import MonitorCases
from alphaweave.testing.clear_options import parse_clear_options
from alphaweave.testing.ear import Ear
from alphaweave.testing.monitor_bench import MonitorBench, MonitorStage
from alphaweave.testing.suite import Suite

__all__ = ["MonitorConformance"]


class MonitorConformance(MonitorCases, Suite):
    """What a monitor has to bear, case by case. See `alphaweave.testing`."""

    @classmethod
    def stage(cls) -> MonitorStage:
        """Where it is shown runs: what the fixture ``venue`` is for monitors."""
        return MonitorStage()

    @classmethod
    def options(cls, folder: Path) -> dict[str, Any]:
        """The options block of the monitor, for runs that may write into ``folder``.

        Unless a suite says otherwise: a file in it for every path that has no default, and any free port.
        """
        block: dict[str, Any] = {}
        for each in attrs.fields(attrs.resolve_types(cls.record().options)):
            if each.type is Path and each.default is attrs.NOTHING:
                block[each.name] = str(folder / each.name)
            if each.name == "port":
                block[each.name] = 0
        return block

    @classmethod
    def record(cls) -> MonitorPlugin:
        """The record of ``adapter``, found through its entry point, unless ``plugin`` is one.

        Raises:
            AdapterError: nobody offers it, or it cannot be trusted.
        """
        plugin: MonitorPlugin | None = cls.plugin
        return Registry().monitor(cls.adapter) if plugin is None else plugin

    @classmethod
    def bench(cls, venue: MonitorStage) -> AbstractAsyncContextManager[MonitorBench]:
        return _bench(cls, venue)


@asynccontextmanager
async def _bench(suite: type[MonitorConformance], venue: MonitorStage) -> AsyncIterator[MonitorBench]:
    ear = Ear()
    plugin = suite.record()

    def make() -> Monitor:
        block = suite.options(venue.folder)
        parsed: Any = parse_clear_options(plugin.options, block, path=f"monitors.options.{plugin.name}")
        services = Services(clock=venue.clock, log=ear, symbols=("ONE", "TWO"), interval="1d")
        return plugin.create(parsed, services)

    with ear.listening():
        yield MonitorBench(make, venue, ear)
