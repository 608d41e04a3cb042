"""A day, drawn from a seed: prices, what the strategy is up to, and everything that goes wrong."""

from __future__ import annotations

from enum import StrEnum
from random import Random
from typing import Literal

from attrs import field, frozen

from simulation.clock import MILLISECOND, SECOND

__all__ = ["APART", "LONGEST_DELAY", "OPENS_AT", "SYMBOLS", "TIMEOUT", "Fate", "FaultKind", "Script", "draw"]

SYMBOLS = ("ABC", "XYZ")
OPENS_AT = 1_704_207_600 * SECOND  # 2 January 2024, 15:00 UTC
_BARS = 24
_BAR = 10 * SECOND
# From a send to the adapter giving up on its answer; what was sent before may arrive later still.
TIMEOUT = 2 * SECOND
LONGEST_DELAY = 8 * SECOND
_HASTY = 8  # of so many days one is
# Clocks that are so far apart forbid every order that adds exposure.
APART = 800 * MILLISECOND


class FaultKind(StrEnum):
    """What can go wrong; how often each did is counted."""

    LOST_REQUEST = "lost_request"
    LATE_REQUEST = "late_request"
    LOST_ACK = "lost_ack"
    LATE_ACK = "late_ack"
    SERVER_ERROR = "server_error"
    NOT_SENT = "not_sent"
    RATE_LIMITED = "rate_limited"
    REJECTED = "rejected"
    LOST_EVENT = "lost_event"
    LATE_EVENT = "late_event"
    DUPLICATE_EVENT = "duplicate_event"
    REORDERED_EVENT = "reordered_event"
    SECOND_KEY = "second_key"
    QUERY_FAILED = "query_failed"
    QUERY_RATE_LIMITED = "query_rate_limited"
    QUERY_STALE = "query_stale"
    SNAPSHOT_INCOMPLETE = "snapshot_incomplete"
    OUTAGE = "outage"
    MUTE = "mute"
    CLOCK_SKEW = "clock_skew"
    CLOCKS_APART = "clocks_apart"
    CORRECTION = "correction"
    BUST = "bust"
    LATE_FEE = "late_fee"
    CASH_FLOW = "cash_flow"
    FOREIGN_TRADE = "foreign_trade"
    FOREIGN_ORDER = "foreign_order"
    FEED_LOST = "feed_lost"
    FEED_GAP = "feed_gap"
    LATE_BAR = "late_bar"
    DOUBLED_BAR = "doubled_bar"
    BAR_CORRECTION = "bar_correction"
    HISTORY_FAILED = "history_failed"
    HISTORY_BEHIND = "history_behind"
    CRASH_BEFORE_COMMIT = "crash_before_commit"
    CRASH_AFTER_COMMIT = "crash_after_commit"
    CRASH_BEFORE_SEND = "crash_before_send"
    CRASH_AFTER_SEND = "crash_after_send"
    CRASH_IDLE = "crash_idle"
    CRASH_AMID_REPLACE = "crash_amid_replace"
    CRASH_AMID_GROUP = "crash_amid_group"
    STALL = "stall"
    DISK_ERROR = "disk_error"
    OPERATOR_HALT = "operator_halt"
    OPERATOR_RESUME = "operator_resume"
    OPERATOR_FLATTEN = "operator_flatten"
    OPERATOR_STOP = "operator_stop"
    COMMAND_WHILE_DOWN = "command_while_down"
    CRASH_AT_COMMAND = "crash_at_command"
    BUSY_AT_COMMAND = "busy_at_command"
    CANCELLED_BY_THE_LOOP = "cancelled_by_the_loop"
    CONTROL_UNREADABLE = "control_unreadable"
    CONTROL_UNWRITABLE = "control_unwritable"
    CALLBACK_RAISES = "callback_raises"


_SENDS = (
    FaultKind.LOST_REQUEST,
    FaultKind.LATE_REQUEST,
    FaultKind.LOST_ACK,
    FaultKind.LATE_ACK,
    FaultKind.SERVER_ERROR,
    FaultKind.NOT_SENT,
    FaultKind.RATE_LIMITED,
    FaultKind.REJECTED,
)
_EVENTS = (
    FaultKind.LOST_EVENT,
    FaultKind.LATE_EVENT,
    FaultKind.DUPLICATE_EVENT,
    FaultKind.REORDERED_EVENT,
    FaultKind.SECOND_KEY,
)
_QUERIES = (FaultKind.QUERY_FAILED, FaultKind.QUERY_RATE_LIMITED, FaultKind.QUERY_STALE)
_CRASHES = (
    FaultKind.CRASH_BEFORE_COMMIT,
    FaultKind.CRASH_AFTER_COMMIT,
    FaultKind.CRASH_BEFORE_SEND,
    FaultKind.CRASH_AFTER_SEND,
    FaultKind.CRASH_IDLE,
)


@frozen
class Fate:
    """What happens to one request, event or query.

    Attributes:
        kind: None if all goes well.
        there, back: delays, nanoseconds.
    """

    kind: FaultKind | None
    there: int
    back: int


@frozen(kw_only=True)
class Script:
    """A day.

    Attributes:
        seed: what it was drawn from.
        bars: for each symbol (open, high, low, close, volume) of each bar.
        ends: when each bar ends.
        calm_from: no fault begins at or after this; what was delayed before may arrive later.
        sends, events, queries, feed: chances that one of them, or a bar, meets a fault.
        outages: (from, until, silent for, nanoseconds): when the broker cannot be reached, and how long
            that goes unnoticed.
        feed_outages: (from, until, nanoseconds): when the datafeed cannot be reached.
        crashes: (kind, the how manyth such boundary it is, how long the process is away), in order.
        happenings: (when, kind) of what comes from outside.
        skew: what the broker's clock is ahead, nanoseconds.
        foreign: what the run does about a fill of somebody else: "halt" the symbol, or "adopt" it.
        unique_ids: the broker refuses an order id that was used before; otherwise only while it is open.
        fills_at_once: market orders fill at once, and not at the next open.
        counts: updates of orders say how much is filled; else only executions do.
        bounds: the broker replaces orders within their total; else they are cancelled for it and placed anew.
        halts: the script names a halt, so that the run need not end ACTIVE.
        hasty: many orders at once, of which one leaves at a time, cancelled and halted while the others wait.
    """

    seed: int
    bars: dict[str, tuple[tuple[float, float, float, float, float], ...]]
    ends: tuple[int, ...]
    calm_from: int
    sends: float
    events: float
    queries: float
    feed: float
    outages: tuple[tuple[int, int, int], ...]
    feed_outages: tuple[tuple[int, int], ...]
    crashes: tuple[tuple[FaultKind, int, int], ...]
    happenings: tuple[tuple[int, FaultKind], ...]
    skew: int
    foreign: Literal["halt", "adopt"]
    unique_ids: bool
    fills_at_once: bool
    counts: bool
    bounds: bool
    halts: bool
    hasty: bool
    fates: Random = field(eq=False, repr=False)

    def send(self, now: int) -> Fate:
        """What happens to a request."""
        kind = self._fault(now, self.sends, _SENDS)
        there, back = self._delay(), self._delay()
        if kind is FaultKind.LATE_REQUEST:
            there = self.fates.randrange(TIMEOUT // 2, LONGEST_DELAY)
        elif kind is FaultKind.LATE_ACK:
            back = self.fates.randrange(TIMEOUT // 2, TIMEOUT - 200 * MILLISECOND)
        return Fate(kind, there, back)

    def event(self, now: int) -> Fate:
        """What happens to an event; ``back`` is when its duplicate comes."""
        kind = self._fault(now, self.events, _EVENTS)
        there = self._delay()
        back = self.fates.randrange(1, LONGEST_DELAY)
        if kind is FaultKind.LATE_EVENT:
            there = self.fates.randrange(SECOND, LONGEST_DELAY)
        elif kind is FaultKind.REORDERED_EVENT:
            there += self.fates.randrange(50 * MILLISECOND, 400 * MILLISECOND)
        return Fate(kind, there, back)

    def query(self, now: int) -> Fate:
        """What happens to a query."""
        kind = self._fault(now, self.queries, _QUERIES)
        there, back = self._delay(), self._delay()
        if kind is FaultKind.QUERY_STALE:
            back = self.fates.randrange(SECOND, 5 * SECOND)
        return Fate(kind, there, back)

    def _fault(self, now: int, chance: float, kinds: tuple[FaultKind, ...]) -> FaultKind | None:
        # Drawn in any case, so that what comes later does not hang on the calm.
        struck, kind = self.fates.random() < chance, self.fates.choice(kinds)
        return kind if struck and now < self.calm_from else None

    def _delay(self) -> int:
        return self.fates.randrange(2 * MILLISECOND, 60 * MILLISECOND)


def draw(seed: int) -> Script:
    """The day of a seed."""
    random = Random(f"day {seed}")
    ends = tuple(OPENS_AT + (number + 1) * _BAR for number in range(_BARS))
    calm_from = ends[-5]
    outages = []
    for _ in range(random.choice((0, 0, 1, 1, 2))):
        begins = random.randrange(OPENS_AT, calm_from - 20 * SECOND)
        outages.append(
            (
                begins,
                begins + random.randrange(SECOND, 20 * SECOND),
                random.choice((0, random.randrange(3 * SECOND))),
            )
        )
    crashes = tuple(_crash(random) for _ in range(random.choice((0, 1, 1, 2, 3))))
    happenings = [
        (random.randrange(OPENS_AT + 3 * _BAR, calm_from), kind)
        for kind, chance in (
            (FaultKind.CORRECTION, 0.4),
            (FaultKind.BUST, 0.3),
            (FaultKind.LATE_FEE, 0.5),
            (FaultKind.CASH_FLOW, 0.3),
            (FaultKind.FOREIGN_TRADE, 0.25),
            (FaultKind.FOREIGN_ORDER, 0.25),
        )
        if random.random() < chance
    ]
    named = random.random()
    halts = True
    if named < 0.08:
        happenings.append((random.randrange(ends[4], ends[-8]), FaultKind.OPERATOR_HALT))
    elif named < 0.16:
        happenings.append((random.randrange(ends[4], ends[-8]), FaultKind.CALLBACK_RAISES))
    elif named < 0.24:
        happenings.append((random.randrange(ends[4], ends[-8]), FaultKind.DISK_ERROR))
    else:
        halts = False
    return Script(
        seed=seed,
        bars={symbol: _walk(random) for symbol in SYMBOLS},
        ends=ends,
        calm_from=calm_from,
        sends=random.choice((0.0, 0.1, 0.25)),
        events=random.choice((0.0, 0.1, 0.25)),
        queries=random.choice((0.0, 0.1, 0.3)),
        feed=Random(f"feed faults {seed}").choice((0.0, 0.1, 0.25)),
        feed_outages=_feed_outages(Random(f"feed outages {seed}"), calm_from),
        outages=tuple(sorted(outages)),
        crashes=crashes,
        happenings=tuple(sorted(happenings)),
        skew=_skew(random, Random(f"apart {seed}")),
        foreign=Random(f"foreign {seed}").choice(("halt", "adopt")),
        unique_ids=random.random() < 0.5,
        fills_at_once=random.random() < 0.5,
        counts=random.random() < 0.7,
        bounds=Random(f"bounds {seed}").random() < 0.5,
        halts=halts,
        hasty=seed % _HASTY == _HASTY // 2,
        fates=Random(f"fates {seed}"),
    )


def _feed_outages(random: Random, calm_from: int) -> tuple[tuple[int, int], ...]:
    if random.random() < 0.6:
        return ()
    begins = random.randrange(OPENS_AT, calm_from - 45 * SECOND)
    return ((begins, begins + random.randrange(SECOND, 40 * SECOND)),)


def _skew(random: Random, apart: Random) -> int:
    skew = random.choice((0, 0, random.randrange(-400 * MILLISECOND, 400 * MILLISECOND)))
    if apart.random() < 0.08:
        return apart.choice((-1, 1)) * apart.randrange(APART, 3 * SECOND)
    return skew


def _crash(random: Random) -> tuple[FaultKind, int, int]:
    kind = random.choice(_CRASHES)
    # A day has some two hundred inputs and commits, and a dozen sends.
    often = 12 if kind in {FaultKind.CRASH_BEFORE_SEND, FaultKind.CRASH_AFTER_SEND} else 120
    return kind, random.randrange(1, often), random.randrange(100 * MILLISECOND, 6 * SECOND)


def _walk(random: Random) -> tuple[tuple[float, float, float, float, float], ...]:
    price = random.uniform(50.0, 150.0)
    bars = []
    for _ in range(_BARS):
        opens = round(price * random.uniform(0.998, 1.002), 2)
        closes = round(opens * random.uniform(0.99, 1.01), 2)
        high = round(max(opens, closes) * random.uniform(1.0, 1.004), 2)
        low = round(min(opens, closes) * random.uniform(0.996, 1.0), 2)
        bars.append((opens, high, low, closes, float(random.randrange(200, 2_000))))
        price = closes
    return tuple(bars)
