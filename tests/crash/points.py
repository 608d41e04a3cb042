"""The named points at which a run is killed, and how its process is brought to kill itself there."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from functools import partial
from typing import Any

from attrs import frozen

from alphaweave.live import journal as journal_module
from alphaweave.live import live_wiring as wiring
from alphaweave.live.journal import Decision, Journal
from alphaweave.live.journal_file import WriterFile
from alphaweave.live.live_recovery import Recovery
from alphaweave.live.live_settings import LiveSettings

__all__ = ["POINTS", "Point", "arm", "pointed_out"]


@frozen
class Point:
    """One of them.

    Attributes:
        command: what the run is told so that it comes there; None: it comes there by itself.
        starting: it comes there before it trades.
        most: the kill is at one of the first so many times that it comes there.
    """

    name: str
    command: str | None = None
    starting: bool = False
    most: int = 5


POINTS = (
    Point("an order: before its commit"),
    Point("an order: inside its commit"),
    Point("an order: committed, not handed over"),
    Point("an order: out, not answered", most=8),
    Point("an order: answered, not told", most=8),
    Point("an answer: before its commit", most=8),
    Point("an answer: inside its commit", most=8),
    Point("a fill: before its commit", most=8),
    Point("a fill: inside its commit", most=8),
    Point("a fill: committed, nothing follows", most=8),
    Point("a cancel: out, not answered", most=3),
    Point("a replacement: out, not answered", most=3),
    Point("a group: out, not answered", most=2),
    Point("a snapshot: inside its commit", most=2),
    Point("a checkpoint", most=2),
    Point("a start: in the journal's tail", starting=True, most=1),
    Point("a start: before its commit", starting=True, most=1),
    Point("a start: committed, no snapshot yet", starting=True, most=1),
    Point("a start: open orders asked for", starting=True, most=1),
    Point("a start: executions answered", starting=True, most=1),
    Point("a start: account answered", starting=True, most=2),
    Point("halt: before its commit", command="halt", most=1),
    Point("halt: committed", command="halt", most=1),
    Point("flatten: before its commit", command="flatten", most=1),
    Point("flatten: committed", command="flatten", most=1),
    Point("stop: before its commit", command="stop", most=1),
    Point("stop: committed", command="stop", most=1),
    Point("at the journal's end", command="stop", most=1),
)


_AT_THE_LINK = {
    "submit out": "an order: out, not answered",
    "submit answered": "an order: answered, not told",
    "cancel out": "a cancel: out, not answered",
    "replace out": "a replacement: out, not answered",
    "group out": "a group: out, not answered",
    "open_orders out": "a start: open orders asked for",
    "fills answered": "a start: executions answered",
    "account answered": "a start: account answered",
}


def pointed_out(name: str) -> Point:
    """The point of that name.

    Raises:
        KeyError: there is none.
    """
    return {point.name: point for point in POINTS}[name]


def arm(name: str | None, count: int) -> Callable[[str], None]:
    """Kill this process the ``count``-th time that it comes to a point; what tells it of those of a link.

    Only what it comes to after SIGUSR1 counts, which is sent when it trades; but for what is before that.
    """
    passed = [0]
    trading = [name is not None and pointed_out(name).starting]
    signal.signal(signal.SIGUSR1, lambda number, frame: trading.__setitem__(0, True))

    def come(here: str) -> None:
        if here == name and trading[0]:
            passed[0] += 1
            if passed[0] == count:
                os.kill(os.getpid(), signal.SIGKILL)
                signal.pause()

    _arm_commits(come)
    _arm_rest(come)
    return lambda here: come(_AT_THE_LINK.get(here, here))


def _arm_commits(come: Callable[[str], None]) -> None:
    module: Any = journal_module
    commit, project = Journal.commit, module.project

    def told(decision: Decision, when: str, last: str) -> None:
        orders = any(intent.kind != "cancel" for intent in decision.intents)
        fills = any(entry.kind == "execution" for entry in decision.entries)
        if orders:
            come(f"an order: {when or 'committed, not handed over'}")
        if decision.input_kind == "outcome":
            come(f"an answer: {when or last}")
        if fills:
            come(f"a fill: {when or 'committed, nothing follows'}")
        if decision.input_kind == "start":
            come(f"a start: {when or 'committed, no snapshot yet'}")
        if decision.input_kind == "command":
            come(f"{decision.payload['command']['verb']['e'][1]}: {when or last}")

    def committed(self: Journal, decision: Decision) -> int:
        told(decision, "before its commit", "")
        seq = commit(self, decision)
        told(decision, "", "committed")
        return seq

    def projected(connection: Any, seq: int, decision: Decision, path: Any) -> None:
        project(connection, seq, decision, path)
        told(decision, "inside its commit", "")

    Journal.commit = committed  # type: ignore[method-assign]
    module.project = projected


def _arm_rest(come: Callable[[str], None]) -> None:
    module: Any = journal_module
    insert, checkpoint, close = module.insert, WriterFile.checkpoint, Journal.close
    again = Recovery._again

    def inserted(table: Any) -> Any:
        # The journal asks for this statement in the middle of a snapshot's transaction.
        if table.name == "snapshots":
            come("a snapshot: inside its commit")
        return insert(table)

    def checked(self: WriterFile, *, whole: bool = False) -> bool:
        if not whole:
            come("a checkpoint")
        return checkpoint(self, whole=whole)

    def closed(self: Journal) -> None:
        come("at the journal's end")
        close(self)

    def repeated(self: Recovery, row: Any) -> None:
        come("a start: in the journal's tail")
        again(self, row)

    module.insert = inserted
    WriterFile.checkpoint = checked  # type: ignore[method-assign]
    Journal.close = closed  # type: ignore[method-assign]
    Recovery._again = repeated  # type: ignore[method-assign]
    # Often enough to come there within seconds.
    module._CHECKPOINT_EVERY = 40
    parts: Any = wiring
    parts.LiveSettings = partial(LiveSettings, snapshot_every=60)
