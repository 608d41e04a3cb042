"""Rules about the market and the way to it: prices, age of data, clocks, connections."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Final

from alphaweave.core.money import CONTEXT, ZERO, plain
from alphaweave.core.order import OrderRequest, OrderType, Side
from alphaweave.live.risk_rules import Denial, Proposal
from alphaweave.live.risk_time import SECOND_NS, Timed

__all__ = ["ClockSkew", "ConnectionSilence", "PriceCollar", "StaleData"]

_NEVER: Final = 2**63
_LIMITED: Final = (OrderType.LIMIT, OrderType.STOP_LIMIT, OrderType.TAKE_PROFIT_LIMIT)


class PriceCollar:
    """A limit on the aggressive side of the market by more than a fraction of the last price or mid: a buy
    above it, a sale below it. The limit of an order with a stop price is measured from that. What is on the
    passive side waits for the market and is no such mistake. Without a price every order is denied.
    """

    code = "price_collar"
    applies_to_reductions = False

    def __init__(self, fraction: Decimal = Decimal("0.05")) -> None:
        if not ZERO < fraction < 1:
            raise ValueError(f"a collar is a fraction between 0 and 1, not {plain(fraction)}")
        self._fraction = fraction
        self._prices: dict[str, Decimal] = {}

    def price(self, symbol: str, last: Decimal | None) -> None:
        """The last price or mid; None where there is none any more."""
        if last is None or not last.is_finite() or last <= ZERO:
            self._prices.pop(symbol, None)
        else:
            self._prices[symbol] = last

    def check(self, proposal: Proposal) -> Denial | str | None:
        request = proposal.request
        if request is None:
            return "the proposal carries no order to judge"
        last = self._prices.get(proposal.symbol)
        if last is None:
            text = f"{proposal.symbol} has no price, so the order's own cannot be judged"
            return Denial("no_reference_price", text)
        limit = request.limit_price if request.type in _LIMITED else None
        if limit is None:
            return None
        origin = _origin(request, last)
        reach = CONTEXT.multiply(origin, self._fraction)
        distance = (
            CONTEXT.subtract(limit, origin) if proposal.side is Side.BUY else CONTEXT.subtract(origin, limit)
        )
        if distance <= reach:
            return None
        share = plain(CONTEXT.multiply(self._fraction, Decimal(100)))
        side = "above" if proposal.side is Side.BUY else "below"
        return f"limit price {plain(limit)} is more than {share} % {side} {plain(origin)}"


class StaleData(Timed):
    """No bar for 1.5 intervals in which the market was open, or no quote for 5 seconds; a crossed quote, or
    one without a positive price.

    The 1.5 intervals begin where the last bar ended or, if the market was closed then, where it opens next.
    ``next_open`` (symbol, instant) answers with the first open instant at or after it; without it, or where
    it answers None, the market counts as open. Quotes are judged for symbols that had one.
    """

    code = "stale_data"
    applies_to_reductions = False

    def __init__(
        self,
        interval_ns: int | None,
        *,
        intervals: Decimal = Decimal("1.5"),
        quote_seconds: int = 5,
        next_open: Callable[[str, int], int | None] | None = None,
    ) -> None:
        """``interval_ns`` is that of the bars; None where there are none and quotes are all."""
        super().__init__()
        if intervals < 1 or quote_seconds < 1 or (interval_ns is not None and interval_ns < 1):
            raise ValueError("data may be one interval old, and a quote a second, at the least")
        self._interval = interval_ns
        self._allowed = 0 if interval_ns is None else int(interval_ns * intervals)
        self._quote_ns = quote_seconds * SECOND_NS
        self._next_open = next_open
        self._bars: dict[str, int] = {}
        self._deadlines: dict[str, tuple[int, int]] = {}
        self._quotes: dict[str, tuple[int, str | None]] = {}
        # Whose bars are known to be too old, whose came again since, and when there may be more; None while
        # nobody wants to know.
        self._old: set[str] = set()
        self._again: list[str] = []
        self._next_old: int | None = None

    def bar(self, symbol: str, end_ns: int) -> None:
        """A final bar came. One from the future is one of now: it must not stay fresh until then."""
        end_ns = min(end_ns, self.time())
        if end_ns <= self._bars.get(symbol, -1):
            return
        self._bars[symbol] = end_ns
        if self._next_old is None:
            return
        deadline = self._deadline(symbol, end_ns)
        self._next_old = min(self._next_old, deadline)
        if symbol in self._old and self.time() <= deadline:
            self._old.discard(symbol)
            self._again.append(symbol)

    def quote(self, symbol: str, at_ns: int, bid: float, ask: float) -> None:
        """A quote came, made at ``at_ns``; one from the future is one of now."""
        at_ns = min(at_ns, self.time())
        if at_ns < self._quotes.get(symbol, (at_ns, None))[0]:
            return
        wrong = None
        if not (0 < bid < float("inf") and 0 < ask < float("inf")):
            wrong = f"the quote has no two prices ({bid:g}, {ask:g})"
        elif bid > ask:
            wrong = f"the quote is crossed ({bid:g} above {ask:g})"
        self._quotes[symbol] = (at_ns, wrong)

    def complaint(self, symbol: str) -> str | None:
        """Why the data of a symbol cannot be traded on now; None if they can."""
        now = self.time()
        if symbol in self._quotes:
            at, wrong = self._quotes[symbol]
            if wrong is not None:
                return wrong
            if now - at > self._quote_ns and self._is_open(symbol, now):
                return f"the last quote is {_seconds(now - at)} s old"
        elif self._interval is None:
            return "there has been no quote yet"
        if self._interval is None:
            return None
        end = self._bars.get(symbol)
        if end is None:
            return "there has been no bar yet"
        if now > self._deadline(symbol, end):
            return f"the last bar ended {_seconds(now - end)} s ago"
        return None

    def news(self) -> tuple[tuple[str, str, str, str], ...]:
        """Whose bars have become too old since the last call, and who has new ones again: severity, code,
        text and symbol of an alert."""
        found = [("info", "fresh_data", f"{each} has a new bar again", each) for each in self._again]
        self._again.clear()
        now = self.time()
        if self._interval is None or (self._next_old is not None and now <= self._next_old):
            return tuple(found)
        self._next_old = _NEVER
        for symbol, end in self._bars.items():
            deadline = self._deadline(symbol, end)
            if now <= deadline:
                self._next_old = min(self._next_old, deadline)
            elif symbol not in self._old:
                self._old.add(symbol)
                text = f"{symbol}: the last bar ended {_seconds(now - end)} s ago; no order opens or adds"
                found.append(("warning", self.code, text, symbol))
        return tuple(found)

    def next_news(self) -> int | None:
        """When bars may have become too old; None: not before another comes."""
        return None if self._next_old in {None, _NEVER} else self._next_old + 1

    def stale(self, symbols: Sequence[str]) -> tuple[str, ...]:
        """Those of the symbols whose data cannot be traded on now."""
        return tuple(symbol for symbol in symbols if self.complaint(symbol) is not None)

    def check(self, proposal: Proposal) -> str | None:
        return self.complaint(proposal.symbol)

    def _is_open(self, symbol: str, now: int) -> bool:
        if self._next_open is None:
            return True
        return self._next_open(symbol, now) in {now, None}

    def _deadline(self, symbol: str, end: int) -> int:
        known = self._deadlines.get(symbol)
        if known is not None and known[0] == end:
            return known[1]
        opens = None if self._next_open is None else self._next_open(symbol, end)
        due = (end if opens is None else max(end, opens)) + self._allowed
        self._deadlines[symbol] = (end, due)
        return due


class ClockSkew(Timed):
    """This machine's clock and the broker's differ by more than half a second, or nobody has compared them.

    A comparison whose round trip took so long that it proves nothing is passed over.
    """

    code = "clock_skew"
    applies_to_reductions = False

    def __init__(self, milliseconds: int = 500) -> None:
        super().__init__()
        self._limit = milliseconds * 1_000_000
        self._skew: int | None = None

    def compared(self, broker_ns: int, sent_ns: int, received_ns: int) -> None:
        """The broker's time, asked for at ``sent_ns`` and answered at ``received_ns`` of this clock."""
        if self.proves(sent_ns, received_ns):
            self._skew = broker_ns - (sent_ns + received_ns) // 2

    def proves(self, sent_ns: int, received_ns: int) -> bool:
        """Whether an answer came soon enough to tell."""
        return 0 <= received_ns - sent_ns <= 2 * self._limit

    @property
    def skew_ns(self) -> int | None:
        """The broker's clock less this one; None before a comparison."""
        return self._skew

    def check(self, proposal: Proposal) -> str | None:
        if self._skew is None:
            return "this clock was not compared with the broker's yet"
        if abs(self._skew) <= self._limit:
            return None
        return f"this clock and the broker's are {abs(self._skew) // 1_000_000} ms apart"


class ConnectionSilence(Timed):
    """A link, of orders or of data, that is lost or was silent for more than 15 seconds. It stays so until
    `restored` says that the books were reconciled: a byte alone proves nothing."""

    code = "connection"
    applies_to_reductions = False

    def __init__(self, links: Sequence[str] = ("orders", "data"), *, seconds: int = 15) -> None:
        super().__init__()
        if not links or seconds < 1:
            raise ValueError("a connection has a link, and may be silent for a second")
        self._silence = seconds * SECOND_NS
        # A link is down until it was restored for the first time.
        self._down: dict[str, str] = dict.fromkeys(links, "is not up yet")
        self._heard: dict[str, int] = {}
        self._links = tuple(links)

    def heard(self, link: str, at_ns: int) -> None:
        """Anything came in at that time: data, an event, a heartbeat. To be told before `advance`."""
        self._heard[self._known(link)] = max(at_ns, self._heard.get(link, at_ns))

    def lost(self, link: str) -> None:
        self._down[self._known(link)] = "is lost"

    def restored(self, link: str, at_ns: int) -> None:
        """It is up, and what it may have missed has been made up for."""
        self.heard(link, at_ns)
        self._down.pop(link, None)

    def down(self) -> tuple[str, ...]:
        """The links that are not up."""
        return tuple(link for link in self._links if link in self._down)

    def check(self, proposal: Proposal) -> str | None:
        self.time()
        return "; ".join(f"the link of {link} {self._down[link]}" for link in self.down()) or None

    def moved(self, now_ns: int) -> None:
        for link in self._links:
            if link not in self._down and now_ns - self._heard[link] > self._silence:
                self._down[link] = f"was silent for {_seconds(now_ns - self._heard[link])} s"

    def _known(self, link: str) -> str:
        if link not in self._links:
            raise ValueError(f"no link {link!r}; there are {', '.join(self._links)}")
        return link


def _origin(request: OrderRequest, last: Decimal) -> Decimal:
    return last if request.stop_price is None else request.stop_price


def _seconds(ns: int) -> str:
    return plain(Decimal(ns // 1_000_000) / 1000)
