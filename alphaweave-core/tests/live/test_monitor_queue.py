"""Monitors of a live run: none delays the run or another, whatever it does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from threading import Event
from typing import Any

import pytest

from alphaweave.core.clock import ManualClock
from alphaweave.core.scrubber import Scrubber
from alphaweave.live.discretion import discreet_monitor
from alphaweave.live.effects import MetricRecord, Note
from alphaweave.live.monitor_queue import MonitorQueues
from alphaweave.monitoring.monitor import Alert, BarColumns, RunSummary

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
SUMMARY = RunSummary("r", "finished", 0, 0, 0, 0, 0, 1.0, 1.0)
SOON = 10.0
"""Seconds within which an event has to come; a test that passes waits for none of them."""


class Listener:
    """Remembers what it is told; may be told to hang in, or to raise at, a callback."""

    def __init__(self, **acts: Callable[[], None]) -> None:
        self.heard: list[str] = []
        self.reached = Event()
        self.ended = Event()
        self._acts = acts

    def _hear(self, callback: str, what: str = "") -> None:
        self.heard.append(what or callback)
        self._acts.get(callback, lambda: None)()

    def on_run_start(self, meta: Any) -> None:
        self._hear("start")

    def on_bar(self, snapshot: Any) -> None:
        self._hear("bar", f"bar {snapshot.index}")

    def on_trade(self, trade: Any) -> None:
        self._hear("trade")

    def on_order(self, order: Any) -> None:
        self._hear("order")

    def on_metric(self, name: str, value: float, timestamp: datetime) -> None:
        self._hear("metric", name)

    def on_alert(self, alert: Alert) -> None:
        self._hear("alert", alert.code)
        self.reached.set()

    def on_run_end(self, summary: Any) -> None:
        self._hear("end")
        self.ended.set()


class Informed(Listener):
    """Wants the engine's status as well."""

    def on_status(self, status: Any) -> None:
        self._hear("status", f"{status.trading_state} {dict(status.drops)}")
        self.reached.set()


class Gate:
    """A call that does not come back before the test lets it."""

    def __init__(self) -> None:
        self.entered = Event()
        self.opened = Event()

    def __call__(self) -> None:
        self.entered.set()
        assert self.opened.wait(SOON)


@pytest.fixture
def gate() -> Iterator[Gate]:
    """Opened when the test is over, so that no thread outlives it for long."""
    made = Gate()
    yield made
    made.opened.set()


def queues(*listeners: Listener, **settings: Any) -> MonitorQueues:
    return MonitorQueues([(f"m{number}", each) for number, each in enumerate(listeners)], **settings)


def note(name: str) -> Note:
    return MetricRecord(name, 1.0, NOON)


def alert(code: str) -> Alert:
    return Alert(NOON, "error", code, "look here")


def boom() -> None:
    raise ValueError("no disk")


def leave() -> None:
    raise SystemExit(3)


def test_everything_is_told_in_order() -> None:
    """Start, notes, bars, end; a slice reaches a monitor without columns as a bar."""
    heard = Listener()
    told = queues(heard)
    told.start({})
    told.notes([note("a")])
    told.bars(BarColumns(7, [0], [1.0], [1.0], [0.0], [0.0], {}))
    told.notes([note("b")])
    told.end(SUMMARY)
    assert told.stop(SOON) == ()
    assert heard.heard == ["start", "a", "bar 7", "b", "end"]


def test_alert_reaches_the_others_while_one_hangs(gate: Gate) -> None:
    """A monitor that does not come back holds up neither the engine nor its neighbours."""
    hung, well = Listener(metric=gate), Listener()
    told = queues(hung, well)
    told.notes([note("a")])
    assert gate.entered.wait(SOON)
    told.notes([alert("halted")])
    assert well.reached.wait(1.0)
    assert hung.heard == ["a"]
    assert "halted" in well.heard


def test_alert_overtakes_what_waits(gate: Gate) -> None:
    """A monitor that is behind hears of an alert next."""
    slow = Listener(start=gate)
    told = queues(slow)
    told.start({})
    assert gate.entered.wait(SOON)
    told.notes([note("a"), note("b"), alert("halted")])
    told.end(SUMMARY)
    gate.opened.set()
    assert told.stop(SOON) == ()
    assert slow.heard == ["start", "halted", "a", "b", "end"]


def test_full_queue_drops_its_oldest_note_and_no_alert(gate: Gate) -> None:
    """Two places: the newest stay, alerts stay longest, and what is dropped is counted and told once."""
    slow = Listener(start=gate)
    told = queues(slow, capacity=2)
    told.start({})
    assert gate.entered.wait(SOON)
    told.notes([note("a"), note("b"), note("c")])
    assert told.drops() == {"m0": 1}
    told.notes([alert("x"), alert("y")])
    assert told.drops() == {"m0": 3}
    told.notes([note("d")])
    assert (told.queues[0].dropped, told.queues[0].dropped_alerts) == (4, 0)
    told.notes([alert("z")])
    assert (told.queues[0].dropped, told.queues[0].dropped_alerts) == (5, 1)
    assert [trouble.code for trouble in told.pulse("active")] == ["monitor_behind"]
    assert told.pulse("active") == ()
    gate.opened.set()
    told.stop(SOON)
    assert slow.heard == ["start", "y", "z"]


@pytest.mark.parametrize(("act", "said"), [(boom, "ValueError: no disk"), (leave, "SystemExit: 3")])
def test_monitor_that_raises_is_put_aside_and_named_once(act: Callable[[], None], said: str) -> None:
    """It is told nothing more, not even the end; the others are."""
    bad, well = Listener(metric=act), Listener()
    told = queues(bad, well)
    told.notes([note("a"), note("b"), alert("x")])
    told.end(SUMMARY)
    (trouble,) = told.stop(SOON)
    assert (trouble.monitor, trouble.code) == ("m0", "monitor_failed")
    assert trouble.text == f"monitor m0 raised {said}; it is told nothing more"
    assert [name for name in bad.heard if name != "x"] == ["a"]
    assert sorted(well.heard) == ["a", "b", "end", "x"]
    assert told.pulse("active") == ()


def test_monitor_that_hangs_is_named_once(gate: Gate) -> None:
    """From the fifth second of one call; before that it is only slow."""
    clock = ManualClock()
    told = queues(Listener(metric=gate), clock=clock)
    told.notes([note("a")])
    assert gate.entered.wait(SOON)
    told.notes([note("b")])
    clock.advance(4.999)
    assert told.pulse("active") == ()
    clock.advance(0.001)
    (trouble,) = told.pulse("active")
    assert (trouble.code, trouble.text) == (
        "monitor_hung",
        "monitor m0 has not come back for 5 s; 1 notes wait",
    )
    clock.advance(60)
    assert told.pulse("active") == ()


def test_stop_abandons_what_hangs_and_says_so(gate: Gate) -> None:
    """One deadline for all: the well one ends, the hung one is left, with what it was not told."""
    hung, well = Listener(metric=gate), Listener()
    told = queues(hung, well)
    told.notes([note("a"), note("b")])
    told.end(SUMMARY)
    assert gate.entered.wait(SOON)
    assert well.ended.wait(SOON)
    (trouble,) = told.stop(0.05)
    assert (trouble.monitor, trouble.code) == ("m0", "monitor_abandoned")
    assert trouble.text.endswith("abandoned; 1 notes were not told")
    gate.opened.set()
    assert told.queues[0].join(SOON)
    assert hung.heard == ["a"]


def test_status_reaches_those_that_want_it() -> None:
    """With the drops of all; a monitor without the method is not bothered."""
    informed, plain = Informed(), Listener()
    told = queues(informed, plain)
    assert told.pulse("reducing") == ()
    assert informed.reached.wait(SOON)
    told.stop(SOON)
    assert informed.heard == ["reducing {'m0': 0, 'm1': 0}"]
    assert plain.heard == []


def test_status_passes_the_scrubber() -> None:
    """A run that has secrets puts something before each monitor, which holds back no status."""
    scrubber = Scrubber()
    scrubber.add("hunter2hunter2")
    informed, plain = Informed(), Listener()
    told = MonitorQueues(
        [(name, discreet_monitor(one, scrubber)) for name, one in [("a", informed), ("b", plain)]]
    )
    told.notes([alert("hunter2hunter2")])
    told.pulse("active")
    told.stop(SOON)
    assert "active {'a': 0, 'b': 0}" in informed.heard
    assert "hunter2hunter2" not in informed.heard + plain.heard


def test_busy_monitor_gets_the_latest_status_only(gate: Gate) -> None:
    """Status takes no place in the queue and never piles up."""
    busy = Informed(start=gate)
    told = queues(busy, capacity=1)
    told.start({})
    assert gate.entered.wait(SOON)
    for state in ("active", "reducing", "halted"):
        told.pulse(state)
    gate.opened.set()
    told.stop(SOON)
    assert busy.heard == ["start", "halted {'m0': 0}"]


def test_closed_queue_takes_nothing_more() -> None:
    """What comes after the stop is not kept for nobody."""
    heard = Listener()
    told = queues(heard)
    told.stop(SOON)
    told.notes([note("late")])
    assert (told.queues[0].waiting, heard.heard) == (0, [])


def test_queue_needs_a_place() -> None:
    """A capacity of none would drop everything."""
    with pytest.raises(ValueError, match="at least one note"):
        queues(Listener(), capacity=0)
