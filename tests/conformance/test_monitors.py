"""The kit finds what is wrong with a monitor."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen

from alphaweave.live.adapters.base import Services
from alphaweave.live.plugins import MonitorPlugin
from alphaweave.testing import MonitorConformance
from alphaweave.testing.case import Outcome


@frozen
class Options:
    """Where a monitor writes."""

    path: Path


class Good:
    """A monitor that does nothing wrong."""

    def __init__(self, options: Options, services: Services) -> None:
        self.options, self.services = options, services

    def on_run_start(self, meta: Mapping[str, Any]) -> None: ...
    def on_bar(self, snapshot: Any) -> None: ...
    def on_trade(self, trade: Any) -> None: ...
    def on_order(self, order: Any) -> None: ...
    def on_metric(self, name: str, value: float, timestamp: Any) -> None: ...
    def on_alert(self, alert: Any) -> None: ...
    def on_run_end(self, summary: Any) -> None: ...


class WritesAtOnce(Good):
    def __init__(self, options: Options, services: Services) -> None:
        super().__init__(options, services)
        options.path.write_text("begun")


class WantsMore(Good):
    def on_alert(self, alert: Any, urgency: int) -> None: ...  # type: ignore[override]


class WantsNumbers(Good):
    def on_metric(self, name: str, value: float, timestamp: Any) -> None:
        if value != value:  # noqa: PLR0124 - not a number
            raise ValueError(name)


class Blocks(Good):
    def on_trade(self, trade: Any) -> None:
        if trade.index == 499:
            threading.Event().wait(1.2)


class Meddles(Good):
    def on_run_start(self, meta: Mapping[str, Any]) -> None:
        meta["symbols"].append("MINE")


class KnowsAllKeys(Good):
    def on_run_start(self, meta: Mapping[str, Any]) -> None:
        assert len(meta) == 10, "I know of ten keys"


class NeedsASlice(Good):
    bars = 0

    def on_bar(self, snapshot: Any) -> None:
        self.bars += 1

    def on_run_end(self, summary: Any) -> None:
        self.share = 1 / self.bars


class LeavesAThread(Good):
    def on_run_start(self, meta: Mapping[str, Any]) -> None:
        threading.Timer(20, time.monotonic).start()


class LogsErrors(Good):
    def on_run_end(self, summary: Any) -> None:
        self.services.log.error("all is well")


BUGS = {
    Good: set(),
    WritesAtOnce: {"MON-015"},
    WantsMore: {f"MON-{number}" for number in ("010", "020", "030", "035", "045", "055", "110", "115")},
    WantsNumbers: {"MON-045"},
    Blocks: {"MON-055"},
    Meddles: {"MON-050"},
    KnowsAllKeys: {"MON-040"},
    NeedsASlice: {"MON-025", "MON-040"},
    LeavesAThread: {"MON-110"},
    LogsErrors: {"MON-115"},
}


@pytest.mark.parametrize("kind", BUGS, ids=lambda kind: kind.__name__)
def test_broken_monitor_fails_just_what_it_should(kind: type[Good]) -> None:
    """Each bug is found by the cases that are about it, and by no other."""
    made = MonitorPlugin(name="toy", create=kind, options=Options)
    suite: type[MonitorConformance] = type("Suite", (MonitorConformance,), {"plugin": made})
    results = [suite.result(case, suite.stage()) for case in suite.cases().values()]
    for thread in threading.enumerate():
        if isinstance(thread, threading.Timer):
            thread.cancel()
    found = {one.case.id for one in results if one.outcome is Outcome.FAILED}
    assert found == BUGS[kind], [one.detail for one in results if one.detail]
