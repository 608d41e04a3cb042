"""A replay whose orders are judged by rules that have a memory: the board, the ladder, and a driver for both.

It asks what a paper run on the same slices asks, at the same times: a slice's end is the time of all that
comes of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from math import isfinite
from typing import Any, Final

from attrs import evolve

from alphaweave.core.order import OrderRef, OrderStatus
from alphaweave.data.timeline import Timeline
from alphaweave.live.adapters.capabilities import Capabilities
from alphaweave.live.bookkeeper import Bookkeeper
from alphaweave.live.fanout import Fanout
from alphaweave.live.kernel_live import LiveKernel
from alphaweave.live.lane import Lane
from alphaweave.live.ledger import Ledger
from alphaweave.live.live_intents import Intents
from alphaweave.live.live_ladder import Ladder
from alphaweave.live.live_settings import LiveSettings
from alphaweave.live.orders import SymbolBook
from alphaweave.live.proposal import RiskRule
from alphaweave.live.replay import ReplayDriver
from alphaweave.live.reports import BrokerFill, OrderUpdate
from alphaweave.live.risk import RiskChain
from alphaweave.live.risk_board import RiskBoard
from alphaweave.live.risk_facts import BarSeen
from alphaweave.live.risk_market import ClockSkew, ConnectionSilence
from alphaweave.live.risk_rates import DailyCounts, DuplicateOrder, OrderRate, RejectRate
from alphaweave.live.risk_settings import RiskSettings
from alphaweave.live.risk_view import UnknownOutcome
from alphaweave.live.sessions import Calendar
from alphaweave.live.trading_state import Escalation, Transition
from alphaweave.sim.venue import SimVenue

__all__ = ["JudgedDriver", "JudgedKernel", "ReplayBoard"]

_RATES: Final[Mapping[str, type]] = {
    "order_rate": OrderRate,
    "daily_counts": DailyCounts,
    "duplicates": DuplicateOrder,
    "rejects": RejectRate,
}
# There is no link, no other clock, and no doubt about what became of an order.
_OF_A_LIVE_RUN: Final = frozenset({ConnectionSilence, ClockSkew, UnknownOutcome})


class ReplayBoard(RiskBoard):
    """The board of a paper run, less what a replay cannot meet; rates have no default.

    Time runs by whole bars here, so that a default made for seconds would deny what a live run may do.
    """

    __slots__ = ("_off",)

    def __init__(
        self,
        settings: RiskSettings,
        *,
        books: Mapping[str, SymbolBook],
        ledger: Ledger,
        capabilities: Capabilities,
        interval_ns: int | None,
        timezone: str = "UTC",
        capital: Decimal | None = None,
        calendars: Mapping[str, Calendar] | None = None,
        extra: Sequence[RiskRule] = (),
    ) -> None:
        """As `RiskBoard`."""
        if settings.buying_power is not None:
            # The books are the account's here, and there is nobody with a figure of its own.
            settings = evolve(settings, buying_power=evolve(settings.buying_power, broker=False))
        super().__init__(
            settings,
            books=books,
            ledger=ledger,
            capabilities=capabilities,
            interval_ns=interval_ns,
            timezone=timezone,
            capital=capital,
            calendars=calendars,
            extra=extra,
        )
        unwritten = {kind for name, kind in _RATES.items() if getattr(settings, name) is None}
        self._off = _OF_A_LIVE_RUN | unwritten
        self._counters = tuple(rule for rule in self._counters if type(rule) not in self._off)
        RiskChain.__init__(self, (rule for rule in self.rules if type(rule) not in self._off))

    def escalations(self) -> tuple[Escalation, ...]:
        found: list[Escalation] = []
        for rule in self._timed:
            wanted = rule.escalations()
            if type(rule) not in self._off:
                found += wanted
        return tuple(found)


class JudgedKernel(LiveKernel):
    """A kernel that can close positions by itself, at the beginning of recorded series.

    Attributes:
        follow: called after each report of the venue.
    """

    chain: ReplayBoard
    # Nothing but fills moves what a replay holds, and it holds nothing before its first price.
    refresh = Bookkeeper.refresh
    equity = Bookkeeper.equity

    def __init__(self, **parts: Any) -> None:
        super().__init__(**parts)
        self.follow: Callable[[], None] = _nothing
        for book in self.books.values():
            book.cursor.count = 0

    def on_fill(self, fill: BrokerFill) -> None:
        super().on_fill(fill)
        self.follow()

    def on_update(self, update: OrderUpdate) -> None:
        super().on_update(update)
        if update.status is OrderStatus.REJECTED:
            self.chain.rejected()
        self.follow()

    def on_replace_rejected(self, new_ref: OrderRef, text: str = "") -> None:
        super().on_replace_rejected(new_ref, text)
        self.chain.rejected()
        self.follow()


class JudgedDriver(ReplayDriver):
    """A replay driver that tells the board what happens, and does what the trading state demands."""

    kernel: JudgedKernel

    def __init__(self, *, kernel: JudgedKernel, venue: SimVenue, timeline: Timeline, fanout: Fanout) -> None:
        super().__init__(kernel=kernel, venue=venue, timeline=timeline, fanout=fanout)
        self._express = None  # each order has to be looked at
        self._board = board = kernel.chain
        kernel.follow = self._follow
        # Cancels have an answer at once, so that none is ever on its way.
        self._ladder = Ladder(kernel, Intents(), board, LiveSettings().flatten_tries)
        self._at = 0

    def snapshot(self) -> dict[str, Any]:
        return {"board": self._board.snapshot(), "own": sorted(self.kernel.own), "at": self._at}

    def restore(self, saved: Mapping[str, Any]) -> None:
        self.kernel.own = set(saved["own"])
        self._board.restore(saved["board"])
        self._at = saved["at"]
        self._board.advance(self._at)
        for book in self.kernel.books.values():
            if book.cursor.count:
                self._hear(book)
        if self.position:
            self._board.mark()

    def _run_slices(self, first: int, last: int) -> None:
        kernel = self.kernel
        working = self.venue.working
        for row, end in enumerate(self._timeline.ends[first:last]):
            if self._stop:
                break
            self._begin(end)
            if working:
                self._match(end, row)
            lanes = self._all_lanes if self._lanes_at is None else self._lanes_at[first + row]
            self._see(end, lanes)
            kernel.on_slices((end,), lanes)
            kernel.breaks.clear()
            self._row = row
            kernel.row = kernel.index
            self._follow(valued=True)
            if kernel.effects:
                self._hand_over()

    def _see(self, end: int, lanes: Sequence[Lane]) -> None:
        """The rules know the new bars before anything is decided on them."""
        cursors = {id(lane.cursor) for lane in lanes}
        for book in self.kernel.books.values():
            if id(book.cursor) in cursors:
                close = book.series.close[book.cursor.count]
                if isfinite(close):
                    self._board.heard(BarSeen(book.symbol, end, close))

    def _hear(self, book: SymbolBook) -> None:
        row = book.cursor.count - 1
        close = book.series.close[row]
        if isfinite(close):
            self._board.heard(BarSeen(book.symbol, book.series.end[row], close))

    def _begin(self, end: int) -> None:
        self._at = self.kernel.at = end
        self._latched(self._board.advance(end))

    def _follow(self, *, valued: bool = False) -> None:
        """Tell the board what was booked, latch what it wants, and climb."""
        kernel, board = self.kernel, self._board
        facts, kernel.facts = kernel.facts, []
        kernel.texts.clear()
        kernel.retirements.clear()
        for fact in facts:
            if fact.kind == "execution" and fact.symbol is not None:
                board.filled(fact.symbol, fact.before, fact.after)
        if facts or valued:
            for breach in board.mark():
                kernel.alert("error", "loss_limit", breach.text)
        self._latched(board.escalations())
        self._ladder.climb(self._at, may_send=not kernel.stopped)

    def _latched(self, wanted: Sequence[Escalation]) -> None:
        for each in wanted:
            transition = self._board.latch(each)
            if transition is not None:
                self._told(transition)

    def _told(self, transition: Transition) -> None:
        assert transition.cause is not None
        text = f"trading is {transition.after.value}: {transition.reason} ({transition.operator})"
        self.kernel.alert("error", transition.cause.code, text, transition.symbol)


def _nothing() -> None: ...
