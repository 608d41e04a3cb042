"""One pass over the working orders when bars arrive: time in force, then matching."""

from __future__ import annotations

from bisect import insort
from collections.abc import Mapping
from operator import attrgetter

from alphaweave.core.instrument import Instrument
from alphaweave.core.order import OrderStatus, OrderType, TimeInForce
from alphaweave.sim.account import Account
from alphaweave.sim.book import OrderBook
from alphaweave.sim.execution import Executor
from alphaweave.sim.market import BarView, Market
from alphaweave.sim.matching import Hit, Place, follow, match_order, place_of
from alphaweave.sim.orders import SimGroup, SimOrder

__all__ = ["Passes"]

# An enum member looked up in its class costs several times what a module's own name costs.
_BY_PLACE = attrgetter("seq")
_MARKET, _OPEN = OrderType.MARKET, Place.OPEN
_GTC, _DAY, _GTD, _AT_OPEN = TimeInForce.GTC, TimeInForce.DAY, TimeInForce.GTD, TimeInForce.AT_OPEN


class Passes:
    """Takes every working order, in the order of submission, to the bar of its symbol."""

    def __init__(
        self,
        market: Market,
        book: OrderBook,
        account: Account,
        executor: Executor,
        instruments: Mapping[str, Instrument],
        *,
        gap_improves: bool,
    ) -> None:
        self._market = market
        self._book = book
        self._account = account
        self._executor = executor
        self._instruments = instruments
        self._gap_improves = gap_improves

    def run(self, end: int) -> None:
        """Match against the bars that end at ``end``."""
        waiting = self._book.waiting
        due = waiting.due(end)
        if not due:
            return
        account = self._account
        account.matching, account.valued_at = end, None
        bars: dict[str, BarView | None] = {}
        working = self._book.working
        for order in due:
            if order.seq not in working:
                continue
            symbol = order.ref.symbol
            if symbol in bars:
                bar = bars[symbol]
            else:
                bar = bars[symbol] = self._market.bar_ending(symbol, end)
            if bar is None:
                continue
            if order.group:
                self._grouped(order, bar, due)
            elif self._ready(order, bar):
                if order.request.type is _MARKET and not order.once:
                    self._executor.execute(order, bar, (bar.open, _OPEN, False, True))
                else:
                    self._apply(order, bar, self._hit(order, bar))
                if order.seq in working:
                    waiting.met(order)
        account.matching = account.valued_at = None

    def _grouped(self, order: SimOrder, bar: BarView, due: list[SimOrder]) -> None:
        """A leg in one bar; ``due`` is given the exits that it sets free."""
        group = self._book.groups[order.group]
        if order.seq != group.entry:
            self._exits(group, bar)
            return
        if self._ready(order, bar):
            self._apply(order, bar, self._hit(order, bar))
            if order.seq in self._book.working:
                self._book.waiting.met(order)
        released = self._book.waiting.released
        for leg in released:
            # They lie behind their entry.
            insort(due, leg, key=_BY_PLACE)
        released.clear()

    def _exits(self, group: SimGroup, bar: BarView) -> None:
        """Both exits of a group in one bar: which of them the bar gives, when it could give either.

        It runs once for each of them, and finds nothing ready the second time.
        """
        working = self._book.working
        target, stop = working[group.take_profit], working[group.stop_loss]
        target_ready = self._ready(target, bar)
        # One that has just expired took the other with it.
        stop_ready = stop.seq in working and self._ready(stop, bar)
        target_hit = self._hit(target, bar) if target_ready and target.seq in working else None
        stop_hit = self._hit(stop, bar) if stop_ready else None
        if target_hit is not None and (
            stop_hit is None or (place_of(target_hit) is Place.OPEN and place_of(stop_hit) is not Place.OPEN)
        ):
            self._apply(target, bar, target_hit)
        if stop_ready and stop.seq in working:
            self._apply(stop, bar, stop_hit)
        for leg in (target, stop):
            if leg.seq in working:
                self._book.waiting.met(leg)

    def _ready(self, order: SimOrder, bar: BarView) -> bool:
        """Whether the order can match in this bar; it may expire here instead."""
        if bar.end <= order.met:
            return False
        order.met = bar.end
        tif = order.request.tif
        if tif is _GTC:
            return bar.opens >= order.eligible_from
        session = self._market.session(bar.end)
        if tif is _DAY:
            if order.session is not None and session > order.session:
                self._expire(order, "day_ended", bar)
                return False
            if bar.opens < order.eligible_from:
                return False
            order.session = session
            return True
        if tif is _GTD:
            assert order.expires is not None
            if bar.start >= order.expires:
                self._expire(order, "expire_at", bar)
                return False
        elif tif is _AT_OPEN:
            seen, order.session = order.session, session
            return bar.opens >= order.eligible_from and (seen is None or session > seen)
        return bar.opens >= order.eligible_from

    def _expire(self, order: SimOrder, reason: str, bar: BarView) -> None:
        # The order ended before this bar, so exits that it leaves behind can match in it.
        self._book.end(order, OrderStatus.EXPIRED, reason, (bar.opens, bar.opens))

    def _hit(self, order: SimOrder, bar: BarView) -> Hit | None:
        return match_order(order, bar, self._instruments[order.ref.symbol], self._gap_improves)

    def _apply(self, order: SimOrder, bar: BarView, hit: Hit | None) -> None:
        if hit is None:
            if order.once:
                self._end_one_shot(order)
            elif order.request.trail is not None:
                follow(order, bar)
            return
        order.triggered = True
        if isinstance(hit, tuple):
            self._executor.execute(order, bar, hit)
            if order.once and order.seq in self._book.working:
                self._end_one_shot(order)

    def _end_one_shot(self, order: SimOrder) -> None:
        tif = order.request.tif
        if tif is TimeInForce.IOC:
            reason = "ioc_remainder"
        elif tif is TimeInForce.FOK:
            reason = "fok_not_filled"
        else:
            reason = "auction_ended"
        self._book.end(order, OrderStatus.EXPIRED, reason)
