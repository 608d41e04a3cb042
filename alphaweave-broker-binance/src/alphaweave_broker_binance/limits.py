"""What Binance's limits leave room for: weight of an address, and orders of an account."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from alphaweave.live.adapters.rate_budget import RateBudget, RateLimit, Use

__all__ = ["Limits"]

_SECONDS: Final = {"SECOND": 1, "MINUTE": 60, "HOUR": 3600, "DAY": 86400}
# Binance counts a request when it arrives: of two, one may be under way for so many seconds longer.
_UNDER_WAY: Final = 1.0
_HEADER: Final = "X-MBX-"
_WEIGHT: Final = "USED-WEIGHT-"
_ORDERS: Final = "ORDER-COUNT-"
# What Binance documents as an example; its answers say what holds.
_DOCUMENTED: Final[Sequence[Mapping[str, Any]]] = (
    {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 6000},
    {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": 50},
    {"rateLimitType": "ORDERS", "interval": "DAY", "intervalNum": 1, "limit": 160000},
)


class Limits:
    """Both kinds of limit. Cancels count as weight alone, and some of that is kept for them.

    There is one more, of requests whatever they weigh: who keeps to the weight is far below it.

    Attributes:
        used: the weight that the newest answer told, and of how much; None before one.
    """

    def __init__(self) -> None:
        self._limits: dict[str, RateLimit] = {}
        self._weight: RateBudget | None = None
        self._orders: RateBudget | None = None
        self.used: tuple[int, int] | None = None
        self.learn(_DOCUMENTED, 0)

    def take(self, now: int, use: Use, weight: int, orders: int = 0) -> float:
        """Spend it, or say how many seconds later to try again.

        Args:
            now: nanoseconds of a clock that does not run back.
            orders: how many the request places.
        """
        # The wait for orders is the usual one: nothing else is spent before it.
        if orders and self._orders is not None:
            wait = self._orders.take(now, Use.CANCEL, orders)
            if wait > 0:
                return wait
        if self._weight is None:
            return 0.0
        # A request that weighs more than its whole share still has to be sent at some time.
        share = min(one.share(use) for name, one in self._limits.items() if name.startswith(_WEIGHT))
        return self._weight.take(now, use, min(weight, share))

    def learn(self, told: Sequence[Mapping[str, Any]], now: int) -> None:
        """Take in what the rules of the exchange say (``rateLimits``).

        Raises:
            KeyError, TypeError, ValueError: it cannot be read.
        """
        limits: dict[str, RateLimit] = {}
        for one in told:
            kind = {"REQUEST_WEIGHT": _WEIGHT, "ORDERS": _ORDERS}.get(one["rateLimitType"])
            if kind is None:
                continue
            count, amount = int(one["intervalNum"]), int(one["limit"])
            seconds = count * _SECONDS[one["interval"]]
            kept = amount // 20 if kind == _WEIGHT else 0
            name = f"{kind}{count}{one['interval'][0]}"
            limits[name] = RateLimit(
                name=name,
                weight=amount,
                seconds=seconds + _UNDER_WAY,
                kept_for_cancels=kept,
                kept_for_orders=2 * kept,
            )
        if limits == self._limits:
            return
        self._limits = limits
        self._weight = _budget(limits, _WEIGHT)
        self._orders = _budget(limits, _ORDERS)
        if self.used is not None:
            self.report(now, {f"{_HEADER}{_WEIGHT}1M": str(self.used[0])})

    def report(self, now: int, headers: Mapping[str, str]) -> None:
        """Take in what an answer says was used (``X-MBX-…``)."""
        for header, value in headers.items():
            name = header.upper().removeprefix(_HEADER)
            limit = self._limits.get(name)
            budget = self._weight if name.startswith(_WEIGHT) else self._orders
            if limit is None or budget is None or not value.isdigit():
                continue
            budget.report(now, name, int(value))
            if name == f"{_WEIGHT}1M":
                self.used = (int(value), limit.weight)

    def bar(self, now: int, seconds: float, *, orders_only: bool) -> None:
        """Binance wants no more for so long: no orders, or nothing at all, or it bans the address."""
        if orders_only:
            if self._orders is not None:
                self._orders.bar(now, seconds, cancels=True)
        elif self._weight is not None:
            self._weight.bar(now, seconds, cancels=True)


def _budget(limits: Mapping[str, RateLimit], kind: str) -> RateBudget | None:
    ours = [one for name, one in limits.items() if name.startswith(kind)]
    return RateBudget(ours) if ours else None
