"""Monitor cases: runs that a monitor has to bear."""

from __future__ import annotations

import asyncio
import inspect
import time
from copy import deepcopy
from typing import Any

from attrs import evolve

from alphaweave.monitoring.monitor import Monitor
from alphaweave.testing.case import in_group
from alphaweave.testing.cases_hygiene import open_sockets, other_threads
from alphaweave.testing.monitor_bench import MonitorBench

__all__ = ["MonitorCases"]

_case = in_group("Runs")
_clean = in_group("Hygiene")
_SLOW = 1.0


class MonitorCases:
    """Runs that a monitor has to bear."""

    @_case("MON-010")
    async def test_monitor_has_the_methods_of_the_contract(self, bench: MonitorBench) -> None:
        """Every method of the contract is there and takes what the contract says."""
        monitor = bench.make()
        for name, promised in vars(Monitor).items():
            if name.startswith("_"):
                continue
            kept = getattr(monitor, name, None)
            assert callable(kept), f"the monitor has no {name}"
            wanted = list(inspect.signature(promised).parameters)[1:]
            given = [
                each for each in inspect.signature(kept).parameters.values() if each.default is each.empty
            ]
            assert len(given) == len(wanted), f"{name} takes {len(given)} arguments, not {len(wanted)}"
            assert not inspect.iscoroutinefunction(kept), f"{name} is a coroutine: nobody would await it"

    @_case("MON-015")
    async def test_making_a_monitor_writes_nothing(self, bench: MonitorBench) -> None:
        """`create` writes no file: a run that is refused leaves nothing."""
        bench.make()
        assert not list(bench.folder.iterdir()), "create() wrote into the folder"

    @_case("MON-020")
    async def test_whole_run(self, bench: MonitorBench) -> None:
        """A run with bars, orders, fills, metrics and alerts is borne from start to end."""
        monitor = bench.make()
        monitor.on_run_start(bench.meta())
        bench.show(monitor, range(5))
        monitor.on_run_end(bench.summary())

    @_case("MON-025")
    async def test_run_without_a_slice(self, bench: MonitorBench) -> None:
        """A run that ends before its first slice is borne."""
        monitor = bench.make()
        monitor.on_run_start(bench.meta())
        monitor.on_run_end(bench.summary("stopped", 0))

    @_case("MON-030")
    async def test_failed_run(self, bench: MonitorBench) -> None:
        """A run that failed half-way is borne, and its end is taken."""
        monitor = bench.make()
        monitor.on_run_start(bench.meta())
        bench.show(monitor, range(2))
        monitor.on_run_end(bench.summary("failed", 2, error="StrategyError: it is broken"))

    @_case("MON-035")
    async def test_resumed_run(self, bench: MonitorBench) -> None:
        """A run that goes on later, with a new monitor, is borne: its slices do not begin at 0."""
        first = bench.make()
        first.on_run_start(bench.meta())
        bench.show(first, range(3))
        first.on_run_end(bench.summary("stopped", 3))
        second = bench.make()
        second.on_run_start(bench.meta())
        bench.show(second, range(3, 6))
        second.on_run_end(bench.summary(slices=6))

    @_case("MON-040")
    async def test_new_keys_are_borne(self, bench: MonitorBench) -> None:
        """Keys of ``meta`` that the monitor does not know are borne: there will be more of them."""
        monitor = bench.make()
        monitor.on_run_start(bench.meta(something_new={"a": [1, 2]}))
        monitor.on_run_end(bench.summary(slices=0))

    @_case("MON-045")
    async def test_odd_values_are_borne(self, bench: MonitorBench) -> None:
        """No number, no price, no position, and words that are not ASCII are borne."""
        monitor = bench.make()
        monitor.on_run_start(bench.meta(strategy="Zürich ✓"))
        monitor.on_bar(evolve(bench.bar(0), prices={}, positions={}, equity=0.0))
        monitor.on_metric("größe", float("nan"), bench.at(0))
        monitor.on_order(evolve(bench.order(0, "denied"), quantity=None, reason="nö", text="<b>&"))
        monitor.on_trade(evolve(bench.trade(0), pnl=None, slippage=None, index=-1))
        monitor.on_alert(evolve(bench.alert(0), symbol=None, message="<script>alert(1)</script>"))
        monitor.on_run_end(bench.summary(slices=1))

    @_case("MON-050")
    async def test_records_are_left_as_they_are(self, bench: MonitorBench) -> None:
        """What a monitor is shown it does not change: others are shown the same."""
        monitor, meta, bar = bench.make(), bench.meta(), bench.bar(0)
        shown: list[Any] = [meta, bar.prices, bar.positions]
        before = deepcopy(shown)
        monitor.on_run_start(meta)
        monitor.on_bar(bar)
        monitor.on_run_end(bench.summary(slices=1))
        assert shown == before, "the monitor changed what it was shown"

    @_case("MON-055")
    async def test_no_call_blocks(self, bench: MonitorBench) -> None:
        """No call takes as long as a second, over a run of 500 slices."""
        monitor = bench.make()
        monitor.on_run_start(bench.meta())
        for number in range(500):
            began = time.monotonic()
            bench.show(monitor, range(number, number + 1))
            took = time.monotonic() - began
            assert took < _SLOW, f"slice {number} took {took:.1f} s"
        monitor.on_run_end(bench.summary(slices=500))

    @_clean("MON-110")
    async def test_nothing_is_left_after_the_run(self, bench: MonitorBench) -> None:
        """After `on_run_end` no thread, task or open socket of the monitor is left."""
        threads, sockets, tasks = other_threads(), open_sockets(), asyncio.all_tasks()
        monitor = bench.make()
        monitor.on_run_start(bench.meta())
        bench.show(monitor, range(2))
        monitor.on_run_end(bench.summary(slices=2))
        deadline = time.monotonic() + 5
        while other_threads() - threads and time.monotonic() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(0.01)  # a thread tells nobody that it has ended
        left = other_threads() - threads
        assert not left, f"threads are left: {', '.join(each.name for each in left)}"
        assert open_sockets() <= sockets, "a socket is left open"
        assert asyncio.all_tasks() <= tasks, "a task is left"

    @_clean("MON-115")
    async def test_nothing_goes_wrong_unheard(self, bench: MonitorBench) -> None:
        """In a plain run nothing is logged as an error."""
        monitor = bench.make()
        monitor.on_run_start(bench.meta())
        bench.show(monitor, range(2))
        monitor.on_run_end(bench.summary(slices=2))
        errors = [line for line in bench.ear.said if line.lower().startswith(("error", "critical"))]
        assert not errors, f"logged: {errors[0]}"
        assert not bench.ear.strays, f"nobody heard: {bench.ear.strays[0]}"
