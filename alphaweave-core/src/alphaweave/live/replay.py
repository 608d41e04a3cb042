"""The replay driver: history through the kernel and a simulated venue, in a plain loop.

For each slice: the venue matches what rests there against the new bars, and the kernel hears of the
fills while it still sees the slice before; then the kernel sees the slice and the strategy decides;
then what was decided goes to the venue. No event loop, no thread, no clock.
"""

from __future__ import annotations

import gc
import sys
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from typing import Any

from alphaweave.core.clock import from_ns
from alphaweave.core.errors import (
    CancelRejected,
    OrderState,
    ReplaceRejected,
    StrategyError,
)
from alphaweave.data.series import Series
from alphaweave.data.timeline import Timeline
from alphaweave.live.effects import CancelOrder, ReplaceOrder, RetireOrder, SubmitGroup, SubmitOrder
from alphaweave.live.express import ExpressLane
from alphaweave.live.fanout import Fanout
from alphaweave.live.follow_up import follow_up
from alphaweave.live.kernel import Kernel
from alphaweave.live.lane import Lane
from alphaweave.live.recorder import Recorder
from alphaweave.live.reports import BrokerFill
from alphaweave.sim.venue import SimVenue

__all__ = ["ReplayDriver"]

_CHUNK = 4096
# Whoever answers what it hears with orders is heard again, and has to come to an end some time.
_MOST_ROUNDS = 1_000
_MOST_EVENTS = 100_000
_COLLECT_EVERY = 50_000
# So many slices are worth the time in which numpy is imported, and so many more that it does its work.
_WORTH_AN_IMPORT, _WORTH_IT = 1_000_000, 2_000


class ReplayDriver:
    """Runs a kernel over recorded bars.

    Attributes:
        position: slices done so far, those of earlier runs included.
        total: slices there are.
    """

    def __init__(self, *, kernel: Kernel, venue: SimVenue, timeline: Timeline, fanout: Fanout) -> None:
        self.kernel = kernel
        self.venue = venue
        self.fanout = fanout
        self.position = 0
        self.total = len(timeline)
        self._timeline = timeline
        self._stop = False
        self._recorder = Recorder(kernel)
        self._row = 0
        self._express = venue.express()
        if self._express is not None and kernel.ledger.account not in {"", self._express.account_id}:
            self._express = None  # the ledger refuses what this venue reports, and shall be asked
        self._lane: ExpressLane | None = None
        lanes = {id(group): kernel.lanes[id(group.cursor)] for group in timeline.groups}
        if timeline.groups_at is None:
            self._lanes_at: list[tuple[Lane, ...]] | None = None
            self._all_lanes = tuple(lanes.values())
        else:
            shared: dict[int, tuple[Lane, ...]] = {}
            self._lanes_at = []
            for groups in timeline.groups_at:
                known = shared.get(id(groups))
                if known is None:
                    known = shared[id(groups)] = tuple(lanes[id(group)] for group in groups)
                self._lanes_at.append(known)
            self._all_lanes = ()

    def request_stop(self) -> None:
        """End the run after the present slice; safe to call from a signal handler."""
        self._stop = True
        self.kernel.breaks.append("a stop was asked for")

    def snapshot(self) -> dict[str, Any]:
        """What a saved state keeps of it beside the kernel's and the venue's, as JSON values."""
        return {}

    def restore(self, saved: Mapping[str, Any]) -> None:
        """What `snapshot` gave; books and series stand where they stood then."""

    def rows_by(self, position: int, series: Series) -> int:
        """How many bars of a series are known after so many slices."""
        done = min(position, self.total)
        return bisect_right(series.end, self._timeline.ends[done - 1]) if done else 0

    def run(self, until: int | None = None) -> bool:
        """Process slices up to number ``until`` (exclusive; None: to the end).

        Returns:
            Whether the end of the data was reached, rather than ``until`` or a requested stop.

        Raises:
            StrategyError: a callback raised. Everything before it is recorded.
        """
        last = self.total if until is None else min(until, self.total)
        # Here, for restored books are not those that the driver was made with.
        self._recorder = Recorder(self.kernel)
        if self._express is not None:
            self._lane = self.kernel.express = ExpressLane(
                self.kernel, self.venue, self._express, self._recorder, self._catch_up
            )
        # A hundred reports a run at least, so that a slow strategy's progress shows.
        chunk = max(1, min(_CHUNK, self.total // 100)) if self.fanout.wants_columns else 1
        left = last - self.position
        ahead = left >= _WORTH_AN_IMPORT or (left >= _WORTH_IT and "numpy" in sys.modules)
        with _patient_collector():
            while self.position < last and not self._stop:
                if ahead:
                    for lane in self.kernel.lanes.values():
                        lane.look_ahead()
                self._run_chunk(min(self.position + chunk, last))
        self.kernel.materialize()
        return self.position >= self.total

    def finish(self) -> None:
        """Let the strategy stop, and say what is held of which the data ended before the others'."""
        last = self._timeline.ends[-1] if self._timeline.ends else 0
        for book in self.kernel.held:
            ended = book.series.end[-1]
            if ended < last:
                text = (
                    f"{book.symbol}: its data end {from_ns(ended):%Y-%m-%d %H:%M} UTC, before the run's; "
                    "what is held of it is valued at its last price"
                )
                self.kernel.alert("warning", "data_ended", text, book.symbol)
        self.kernel.stop()
        self.kernel.effects.clear()
        self._deliver()

    def _run_chunk(self, last: int) -> None:
        first = self.position
        self._recorder.begin(self._timeline.ends[first:last])
        if self._lane is not None:
            self._lane.first = first
        try:
            self._run_slices(first, last)
        finally:
            # Also after a failure: what was done is on the record.
            self.position = self.kernel.index + 1
            self._row = self.position - first
            self._deliver()
            self.fanout.bars(self._recorder.take(self._row))

    def _run_slices(self, first: int, last: int) -> None:
        kernel = self.kernel
        venue = self.venue
        working = venue.working
        effects = kernel.effects
        breaks = kernel.breaks
        express = self._lane
        lanes = self._all_lanes
        lanes_at = self._lanes_at
        ends = iter(self._timeline.ends[first:last])
        row = 0
        while row < last - first and not self._stop:
            if lanes_at is not None:
                lanes = lanes_at[first + row]
                if working:
                    end = next(ends)
                    self._match(end, row)
                    row += kernel.on_slices((end,), lanes)
                else:
                    row += kernel.on_slices((next(ends),), lanes, express)
            elif not working:
                row += kernel.on_slices(ends, lanes, express)
            elif quiet := venue.idle(last - first - row):
                row += kernel.on_slices(islice(ends, quiet), lanes)
            else:
                end = next(ends)
                self._match(end, row)
                row += kernel.on_slices((end,), lanes)
            breaks.clear()
            if effects:
                self._row = row - 1
                kernel.row = kernel.index
                self._hand_over()

    def _match(self, end: int, row: int) -> None:
        """The venue sees the bars of slice number ``row``; the kernel, hearing of its fills, does not yet."""
        self.venue.on_slice(end)
        self._row = row
        self.kernel.row = self.kernel.index + 1
        self._pump()

    def _catch_up(self, row: int) -> None:
        self._row = row
        self._pump()
        if self.kernel.effects:
            self._hand_over()

    def _deliver(self) -> None:
        notes = self.kernel.notes
        self.fanout.notes(notes)
        notes.clear()

    def _pump(self) -> None:
        """Tell the kernel what the venue reported, and hand on what it then decides, until all is quiet."""
        kernel = self.kernel
        venue = self.venue
        heard = rounds = 0
        events = venue.take()
        while events:
            rounds += 1
            for event in events:
                if isinstance(event, BrokerFill):
                    self._recorder.settle(self._row)
                    kernel.on_fill(event)
                else:
                    kernel.on_update(event)
                heard += 1
            if kernel.retiring:
                follow_up(kernel)
            if rounds > _MOST_ROUNDS or heard > _MOST_EVENTS:
                name = type(kernel.strategy).__qualname__
                raise StrategyError(
                    f"{name} keeps trading from on_fill or on_order: {heard} events in one slice; "
                    "place an order there only under a condition that ends",
                    strategy=name,
                    callback="on_fill",
                )
            if kernel.effects:
                self._send()
            events = venue.take()

    def _hand_over(self) -> None:
        self._send()
        self._pump()

    def _send(self) -> None:
        kernel = self.kernel
        venue = self.venue
        now = kernel.now
        kernel.materialize()
        effects = kernel.effects[:]
        kernel.effects.clear()
        for effect in effects:
            if isinstance(effect, SubmitOrder):
                venue.submit(effect.ref, effect.request, now)
            elif isinstance(effect, CancelOrder | RetireOrder):
                try:
                    venue.cancel(effect.ref.client_order_id, now)
                except CancelRejected as error:
                    if error.order_state is OrderState.GONE:
                        continue  # its end overtook the cancel, and is told as such
                    kernel.on_cancel_rejected(effect.ref, str(error))
                    if isinstance(effect, RetireOrder):
                        kernel.on_replace_rejected(effect.new_ref, str(error))
            elif isinstance(effect, SubmitGroup):
                venue.submit_group(effect.refs, effect.group, now)
            elif isinstance(effect, ReplaceOrder):
                try:
                    venue.replace(effect.ref.client_order_id, effect.new_ref, effect.change, now)
                except ReplaceRejected as error:
                    kernel.on_replace_rejected(effect.new_ref, str(error))


@contextmanager
def _patient_collector() -> Iterator[None]:
    """Let the garbage collector look less often.

    A replay keeps what it makes (executions, records) and makes no cycles, so the collector at its usual
    pace walks over a growing heap and finds nothing: a tenth of the time of a run with many fills.
    """
    before = gc.get_threshold()
    gc.set_threshold(max(before[0], _COLLECT_EVERY), *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
