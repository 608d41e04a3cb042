"""Rules about how often: orders a second and a day, the same order again, executions, rejections.

Time is that of the input being decided (`advance`), in nanoseconds since the epoch, UTC; it never goes
back. A rule only looks when it is asked; it counts an order when `sent` says that the whole chain passed it,
which has to be told before the next order is judged. Cancels are never asked about nor counted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from attrs import frozen

from alphaweave.core.money import plain
from alphaweave.core.order import OrderRequest
from alphaweave.data.zones import Zone
from alphaweave.live.risk_rules import Proposal
from alphaweave.live.risk_time import SECOND_NS, Timed, Window, local_day, reading, time_of
from alphaweave.live.trading_state import KillStep

__all__ = [
    "DailyCounts",
    "DuplicateOrder",
    "OrderRate",
    "Rate",
    "RejectRate",
    "RepeatedExecution",
    "TokenBucket",
]


@frozen
class Rate:
    """At most ``count`` at once, refilled evenly so that ``count`` more come back within ``seconds``."""

    count: int
    seconds: int

    def __attrs_post_init__(self) -> None:
        if self.count < 1 or self.seconds < 1:
            raise ValueError(f"a rate is at least one in a second, not {self.count} in {self.seconds}")

    def __str__(self) -> str:
        return f"{self.count} in {self.seconds} s"


class TokenBucket:
    """A rate, counted exactly: levels are whole numbers of (token x period)."""

    __slots__ = ("_cost", "_full", "_level", "_refill", "_since")

    def __init__(self, rate: Rate) -> None:
        self._refill = rate.count
        self._cost = rate.seconds * SECOND_NS
        self._full = self._level = rate.count * self._cost
        self._since: int | None = None

    def has(self, now_ns: int) -> bool:
        """Whether one may be taken now."""
        return self._at(now_ns) >= self._cost

    def take(self, now_ns: int) -> None:
        """Take one, also where there is none: what was sent was sent."""
        self._level = self._at(now_ns) - self._cost
        self._since = now_ns if self._since is None else max(now_ns, self._since)

    def snapshot(self) -> list[int | None]:
        return [self._level, self._since]

    def restore(self, level: int, since: int | None) -> None:
        self._level, self._since = min(level, self._full), since

    def _at(self, now_ns: int) -> int:
        if self._since is None:
            return self._level
        return min(self._full, self._level + max(0, now_ns - self._since) * self._refill)


class OrderRate(Timed):
    """Orders and replacements a second and a minute. Reductions count and are held back too.

    Denials at different times are breaches; three within an hour block what is new.
    """

    code = "order_rate"
    applies_to_reductions = True

    def __init__(
        self,
        rates: Sequence[Rate] = (Rate(5, 1), Rate(200, 60)),
        *,
        breaches: int = 3,
        breach_seconds: int = 3600,
    ) -> None:
        super().__init__()
        self._rates = tuple(rates)
        self._buckets = [TokenBucket(rate) for rate in rates]
        self._breaches = Window(breach_seconds)
        self._most = breaches

    def check(self, proposal: Proposal) -> str | None:
        now = self.time()
        for rate, bucket in zip(self._rates, self._buckets, strict=True):
            if not bucket.has(now):
                self._breach(now, rate)
                return f"more than {rate} orders and changes"
        return None

    def sent(self, proposal: Proposal) -> None:
        """This order or replacement passed the whole chain."""
        now = self.time()
        for bucket in self._buckets:
            bucket.take(now)

    def snapshot(self) -> dict[str, Any]:
        return {
            "buckets": [bucket.snapshot() for bucket in self._buckets],
            "breaches": self._breaches.snapshot(),
        }

    def restore(self, saved: Mapping[str, Any]) -> None:
        """Raises StateCorrupt for what is no snapshot; other rates than those saved start full."""
        with reading(self.code):
            buckets = [(int(level), time_of(since)) for level, since in saved["buckets"]]
            self._breaches.restore(saved["breaches"])
        if len(buckets) == len(self._buckets):
            for bucket, (level, since) in zip(self._buckets, buckets, strict=True):
                bucket.restore(level, since)

    def _breach(self, now: int, rate: Rate) -> None:
        # A rebalancing that is cut short is one breach, however many orders it loses.
        if self._breaches.last() == now:
            return
        self._breaches.add(now)
        if self._breaches.count(now) >= self._most:
            self.want(KillStep.BLOCK_NEW, self.code, f"{self._most} breaches of {rate} orders and changes")


class DailyCounts(Timed):
    """Orders of the account and fills of a symbol on one calendar date; the next date starts anew."""

    code = "daily_count"
    applies_to_reductions = False

    def __init__(self, *, orders: int | None = 2000, fills: int | None = 1000, timezone: str = "UTC") -> None:
        super().__init__()
        self._most_orders = orders
        self._most_fills = fills
        self._zone = Zone(timezone)
        self._day: int | None = None
        self._orders = 0
        self._fills: dict[str, int] = {}

    def check(self, proposal: Proposal) -> str | None:
        self.time()
        if self._most_orders is not None and self._orders >= self._most_orders:
            return f"{self._orders} orders today are all there may be"
        fills = self._fills.get(proposal.symbol, 0)
        if self._most_fills is not None and fills >= self._most_fills:
            return f"{fills} fills of {proposal.symbol} today are all there may be"
        return None

    def sent(self, proposal: Proposal) -> None:
        """This order or replacement passed the whole chain."""
        self.time()
        self._orders += 1
        if self._orders == self._most_orders:
            self.want(KillStep.BLOCK_NEW, self.code, f"{self._orders} orders today")

    def filled(self, symbol: str) -> None:
        self.time()
        fills = self._fills[symbol] = self._fills.get(symbol, 0) + 1
        if fills == self._most_fills:
            self.want(KillStep.BLOCK_NEW, self.code, f"{fills} fills today", symbol)

    def snapshot(self) -> dict[str, Any]:
        return {"day": self._day, "orders": self._orders, "fills": dict(self._fills)}

    def restore(self, saved: Mapping[str, Any]) -> None:
        """Raises StateCorrupt for what is no snapshot."""
        with reading(self.code):
            day, orders = time_of(saved["day"]), int(saved["orders"])
            fills = {str(symbol): int(count) for symbol, count in saved["fills"].items()}
        self._day, self._orders, self._fills = day, orders, fills

    def moved(self, now_ns: int) -> None:
        day = local_day(self._zone, now_ns)
        if self._day is None or day > self._day:
            self._day, self._orders, self._fills = day, 0, {}


_Same = tuple[str, str, str, str | None, str | None, str]


class DuplicateOrder(Timed):
    """The same symbol, side, size, type and prices for the third time within ten seconds."""

    code = "duplicate_order"
    applies_to_reductions = False

    def __init__(self, *, count: int = 3, seconds: int = 10) -> None:
        super().__init__()
        if count < 2:
            raise ValueError("an order is a duplicate from its second time on")
        self._count = count
        self._seconds = seconds
        self._seen: dict[_Same, Window] = {}

    def check(self, proposal: Proposal) -> str | None:
        now = self.time()
        seen = self._seen.get(_likeness(proposal))
        if seen is None or seen.count(now) < self._count - 1:
            return None
        return f"the same order was placed {seen.count(now)} times within {self._seconds} s"

    def sent(self, proposal: Proposal) -> None:
        """This order or replacement passed the whole chain."""
        now = self.time()
        self._seen.setdefault(_likeness(proposal), Window(self._seconds)).add(now)

    def snapshot(self) -> list[Any]:
        return [[list(same), seen.snapshot()] for same, seen in self._seen.items()]

    def restore(self, saved: Sequence[Any]) -> None:
        """Raises StateCorrupt for what is no snapshot."""
        restored: dict[_Same, Window] = {}
        with reading(self.code):
            for (symbol, side, size, limit, stop, kind), times in saved:
                window = restored[symbol, side, size, limit, stop, kind] = Window(self._seconds)
                window.restore(times)
        self._seen = restored

    def moved(self, now_ns: int) -> None:
        if len(self._seen) > 100:
            self._seen = {same: seen for same, seen in self._seen.items() if seen.count(now_ns)}


class RepeatedExecution(Timed):
    """Fills, or round trips, within a time in which no human looked: the account halts until one has.

    Off where neither bound is given. ``seen`` is called when an operator resumes.
    """

    code = "repeated_execution"
    applies_to_reductions = False

    def __init__(self, *, fills: int | None = None, round_trips: int | None = None, seconds: int) -> None:
        super().__init__()
        self._bounds = {"fills": fills, "round trips": round_trips}
        self._seconds = seconds
        self._counts = {name: Window(seconds) for name in self._bounds}

    def check(self, proposal: Proposal) -> str | None:
        return self._over(self.time())

    def filled(self, before: Decimal, after: Decimal) -> None:
        """A fill moved a position from ``before`` to ``after``, signed units."""
        now = self.time()
        was = self._over(now)
        self._counts["fills"].add(now)
        if before * after <= 0 and before:
            self._counts["round trips"].add(now)
        over = self._over(now)
        if over is not None and was is None:
            self.want(KillStep.CANCEL_ALL, self.code, over)

    def seen(self) -> None:
        """A human has looked: counting starts anew."""
        self._counts = {name: Window(self._seconds) for name in self._bounds}

    def snapshot(self) -> dict[str, Any]:
        return {name: window.snapshot() for name, window in self._counts.items()}

    def restore(self, saved: Mapping[str, Any]) -> None:
        """Raises StateCorrupt for what is no snapshot."""
        with reading(self.code):
            for name, window in self._counts.items():
                window.restore(saved[name])

    def _over(self, now: int) -> str | None:
        for name, bound in self._bounds.items():
            count = self._counts[name].count(now)
            if bound is not None and count >= bound:
                return f"{count} {name} within {self._seconds} s"
        return None


class RejectRate(Timed):
    """Refusals and errors of the broker: five within a minute block what is new."""

    code = "reject_rate"
    applies_to_reductions = False

    def __init__(self, *, rejects: int = 5, seconds: int = 60) -> None:
        super().__init__()
        self._most = rejects
        self._seconds = seconds
        self._window = Window(seconds)

    def check(self, proposal: Proposal) -> str | None:
        count = self._window.count(self.time())
        return f"{count} rejections within {self._seconds} s" if count >= self._most else None

    def rejected(self) -> None:
        """The broker refused an order, a replacement or a cancel, or a call of it failed."""
        now = self.time()
        was = self._window.count(now)
        self._window.add(now)
        if was < self._most <= was + 1:
            self.want(KillStep.BLOCK_NEW, self.code, f"{was + 1} rejections within {self._seconds} s")

    def snapshot(self) -> list[int]:
        return self._window.snapshot()

    def restore(self, saved: Sequence[int]) -> None:
        """Raises StateCorrupt for what is no snapshot."""
        with reading(self.code):
            self._window.restore(saved)


def _likeness(proposal: Proposal) -> _Same:
    request = proposal.request
    if request is None:
        raise ValueError("the proposal carries no order to judge")
    return (
        proposal.symbol,
        proposal.side.value,
        _size(request),
        _text(request.limit_price),
        _text(request.stop_price),
        _kind(request),
    )


def _kind(request: OrderRequest) -> str:
    trail = request.trail
    return request.type.value if trail is None else f"{request.type.value} {trail.amount or trail.percent}"


def _text(price: Decimal | None) -> str | None:
    return None if price is None else plain(price)


def _size(request: OrderRequest) -> str:
    if request.quantity is not None:
        return plain(request.quantity)
    return f"value {_text(request.quote_quantity)}"
