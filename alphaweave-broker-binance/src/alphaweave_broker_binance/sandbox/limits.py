"""Request weight by address, orders by account, and what becomes of who uses too much."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from attrs import define, field

from alphaweave_broker_binance.sandbox.refusals import Refused

__all__ = ["Limits"]

_SECONDS = {"SECOND": 1, "MINUTE": 60, "DAY": 86_400}
# So many requests in spite of a 429, and the address is banned.
_PATIENCE = 10
_FIRST_BAN = 120
_RAW_REQUESTS = 61_000


@define
class _Window:
    """So many in each interval, counted from the interval's begin."""

    kind: str
    interval: str
    count: int
    limit: int
    used: int = 0
    began: int = 0

    @property
    def seconds(self) -> int:
        return self.count * _SECONDS[self.interval]

    def turn(self, now: int) -> None:
        """Begin anew if ``now`` (milliseconds) is in another interval."""
        began = now // (self.seconds * 1000)
        if began != self.began:
            self.began, self.used = began, 0

    def ends_in(self, now: int) -> int:
        """Seconds to its end, at least one."""
        return max(1, math.ceil((self.began + 1) * self.seconds - now / 1000))

    def wire(self, *, count: bool) -> dict[str, Any]:
        found: dict[str, Any] = {
            "rateLimitType": self.kind,
            "interval": self.interval,
            "intervalNum": self.count,
            "limit": self.limit,
        }
        return {**found, "count": self.used} if count else found


@define
class _Address:
    """What one address did."""

    weight: _Window
    raw: _Window
    connects: _Window
    ignored: int = 0
    banned_until: int = 0
    bans: int = 0


@define
class Limits:
    """All limits of the venue; ``now`` is its time in milliseconds."""

    now: Callable[[], int]
    weight: int
    orders_10s: int
    orders_day: int
    connects: int
    _addresses: dict[str, _Address] = field(factory=dict)
    _orders: tuple[_Window, _Window] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._orders = (
            _Window("ORDERS", "SECOND", 10, self.orders_10s),
            _Window("ORDERS", "DAY", 1, self.orders_day),
        )

    # Weight --------------------------------------------------------------------------------------------

    def spend(self, address: str, weight: int) -> None:
        """Count a request.

        Raises:
            Refused: it is one too many (429), or the address is banned (418).
        """
        one, now = self._at(address), self.now()
        if now < one.banned_until:
            raise self._banned(one, now)
        one.weight.used += weight
        one.raw.used += 1
        if one.weight.used <= one.weight.limit and one.raw.used <= one.raw.limit:
            one.ignored = 0
            return
        one.ignored += 1
        if one.ignored > _PATIENCE:
            self.ban(address)
            raise self._banned(one, self.now())  # a moment later, which would count as a second
        if one.raw.used > one.raw.limit:
            raise Refused(
                -1003,
                f"Too many requests; current limit is {one.raw.limit} requests per 5 MINUTE.",
                status=429,
                retry_after=one.raw.ends_in(now),
            )
        raise Refused(
            -1003,
            f"Too much request weight used; current limit is {one.weight.limit} request weight per 1 MINUTE. "
            "Please use WebSocket Streams for live updates to avoid polling the API.",
            status=429,
            retry_after=one.weight.ends_in(now),
        )

    def connect(self, address: str) -> None:
        """Count a connection to a socket.

        Raises:
            Refused: it is one too many, or the address is banned.
        """
        one, now = self._at(address), self.now()
        if now < one.banned_until:
            raise self._banned(one, now)
        one.connects.used += 1
        if one.connects.used > one.connects.limit:
            raise Refused(
                -1034, "Too many concurrent connections", status=429, retry_after=one.connects.ends_in(now)
            )

    def refund(self, address: str, weight: int) -> None:
        """Give back what an order that was taken cost."""
        window = self._at(address).weight
        window.used = max(0, window.used - weight)

    def ban(self, address: str, seconds: int | None = None) -> None:
        """Take nothing from an address for a while, longer each time."""
        one = self._at(address)
        one.bans += 1
        lasts = min(_FIRST_BAN * 2 ** (one.bans - 1), 3 * _SECONDS["DAY"]) if seconds is None else seconds
        one.banned_until, one.ignored = self.now() + lasts * 1000, 0

    def used(self, address: str) -> int:
        return self._at(address).weight.used

    def _at(self, address: str) -> _Address:
        found = self._addresses.get(address)
        if found is None:
            found = _Address(
                _Window("REQUEST_WEIGHT", "MINUTE", 1, self.weight),
                _Window("RAW_REQUESTS", "MINUTE", 5, _RAW_REQUESTS),
                _Window("CONNECTIONS", "MINUTE", 5, self.connects),
            )
            self._addresses[address] = found
        for window in (found.weight, found.raw, found.connects):
            window.turn(self.now())
        return found

    @staticmethod
    def _banned(one: _Address, now: int) -> Refused:
        return Refused(
            -1003,
            f"Way too much request weight used; IP banned until {one.banned_until}. "
            "Please use WebSocket Streams for live updates to avoid bans.",
            status=418,
            retry_after=max(1, math.ceil((one.banned_until - now) / 1000)),
        )

    # Orders --------------------------------------------------------------------------------------------

    def check_orders(self, count: int = 1) -> None:
        """
        Raises:
            Refused: so many more orders are too many at present.
        """
        now = self.now()
        for window in self._windows():
            if window.used + count > window.limit:
                raise Refused(
                    -1015,
                    f"Too many new orders; current limit is {window.limit} orders per "
                    f"{window.count} {window.interval}.",
                    status=429,
                    retry_after=window.ends_in(now),
                )

    def count_orders(self, count: int = 1) -> None:
        for window in self._windows():
            window.used += count

    def filled(self) -> None:
        """An order traded: it counts no more."""
        for window in self._windows():
            window.used = max(0, window.used - 1)

    def _windows(self) -> tuple[_Window, _Window]:
        for window in self._orders:
            window.turn(self.now())
        return self._orders

    # What is told --------------------------------------------------------------------------------------

    def headers(self, address: str, *, orders: bool) -> dict[str, str]:
        """What an answer bears; the order counts are on orders that were taken."""
        used = str(self.used(address))
        found = {"X-MBX-USED-WEIGHT": used, "X-MBX-USED-WEIGHT-1M": used}
        if orders:
            short, day = self._windows()
            found |= {"X-MBX-ORDER-COUNT-10S": str(short.used), "X-MBX-ORDER-COUNT-1D": str(day.used)}
        return found

    def rates(self, address: str, *, orders: bool) -> list[dict[str, Any]]:
        """What an answer on the WebSocket API bears."""
        weight = self._at(address).weight.wire(count=True)
        counts = [window.wire(count=True) for window in self._windows()]
        return [*counts, weight] if orders else [weight]

    def order_rates(self) -> list[dict[str, Any]]:
        return [window.wire(count=True) for window in self._windows()]

    def rules(self) -> list[dict[str, Any]]:
        """As exchangeInfo has them."""
        weight = _Window("REQUEST_WEIGHT", "MINUTE", 1, self.weight)
        raw = _Window("RAW_REQUESTS", "MINUTE", 5, _RAW_REQUESTS)
        return [one.wire(count=False) for one in (weight, *self._orders, raw)]
