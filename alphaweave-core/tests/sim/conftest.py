"""A venue over a few bars, driven as the replay driver drives it, with its events as short lines."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import pytest

from alphaweave.core.clock import from_ns
from alphaweave.core.instrument import Instrument
from alphaweave.core.money import plain
from alphaweave.core.order import (
    GroupKind,
    OrderChange,
    OrderGroup,
    OrderRef,
    OrderRequest,
    OrderType,
    Side,
    TimeInForce,
    Trail,
)
from alphaweave.data.series import Series
from alphaweave.live.reports import BrokerFill, OrderUpdate
from alphaweave.sim.settings import VenueSettings
from alphaweave.sim.venue import SimVenue

DAY = 86_400_000_000_000
LENGTHS = {"1d": DAY, "1h": DAY // 24, "6h": DAY // 4, "tick": 0}

Bar = tuple[float, float, float, float] | tuple[float, float, float, float, float] | None


def decimal(value: object) -> Decimal | None:
    return None if value is None else Decimal(str(value))


def trail_of(value: str | None) -> Trail | None:
    if value is None:
        return None
    if value.endswith("%"):
        return Trail(percent=Decimal(value[:-1]))
    return Trail(amount=Decimal(value))


class Rig:
    """One venue. Bars are ``(open, high, low, close[, volume])``; None is a slice without a bar.

    The first ``shown`` slices are known when the first order is placed. Ticks come one second apart.
    """

    def __init__(
        self,
        bars: Sequence[Bar] | Mapping[str, Sequence[Bar]],
        *,
        interval: str = "1d",
        shown: int = 1,
        cash: str = "100000",
        rules: Mapping[str, Mapping[str, Any]] | Mapping[str, Any] | None = None,
        seed: int = 0,
        start: int = 0,
        **settings: Any,
    ) -> None:
        columns = bars if isinstance(bars, Mapping) else {"A": bars}
        given = rules or {}
        per_symbol = given if isinstance(bars, Mapping) else {"A": given}
        self.length = LENGTHS[interval]
        self.step_ns = self.length or 1_000_000_000
        self.start = start
        self.total = max(len(column) for column in columns.values())
        self.board = {symbol: self._series(symbol, interval, rows) for symbol, rows in columns.items()}
        self.instruments = {
            symbol: Instrument(symbol=symbol, venue_symbol=symbol, **dict(per_symbol.get(symbol, {})))
            for symbol in columns
        }
        self.settings = VenueSettings(**settings)
        self.cash = Decimal(cash)
        self.seed = seed
        self.venue = self.fresh()
        self.done = 0
        self.now = start
        self.log: list[str] = []
        self.events: list[BrokerFill | OrderUpdate] = []
        self.run(shown)

    def fresh(self) -> SimVenue:
        """A venue like this one's, that has seen nothing."""
        return SimVenue(
            instruments=self.instruments,
            board=self.board,
            settings=self.settings,
            cash=self.cash,
            currency="USD",
            seed=self.seed,
        )

    def _series(self, symbol: str, interval: str, rows: Iterable[Bar]) -> Series:
        series = Series(symbol, interval)
        for position, bar in enumerate(rows):
            if bar is not None:
                end = self.end_of(position)
                volume = bar[4] if len(bar) == 5 else 1_000_000.0
                series.append(end - self.length, end, bar[0], bar[1], bar[2], bar[3], volume)
        return series

    def end_of(self, position: int) -> int:
        """The end of slice number ``position``."""
        return self.start + (position + 1) * self.step_ns

    def run(self, slices: int | None = None) -> list[str]:
        """Let slices pass (None: all that are left); what the venue told since the last call."""
        last = self.total if slices is None else self.done + slices
        while self.done < last:
            end = self.end_of(self.done)
            if self.venue.working:
                self.venue.on_slice(end)
            for series in self.board.values():
                row = series.cursor.count
                if row < len(series) and series.end[row] == end:
                    series.cursor.count = row + 1
            self.now = end
            self.done += 1
        return self.told()

    def told(self) -> list[str]:
        """What the venue told since the last call, one line an event."""
        events = self.venue.take()
        self.events += events
        lines = [self._line(event) for event in events]
        self.log += lines
        return lines

    @staticmethod
    def _line(event: BrokerFill | OrderUpdate) -> str:
        if isinstance(event, BrokerFill):
            fees = "".join(f" fee {plain(fee.amount)}" for fee in event.fees or ())
            return (
                f"{event.client_order_id} {event.side.value} {plain(event.size)} @ {plain(event.price)}{fees}"
            )
        words = [event.ref.client_order_id, event.status.value, event.reason]
        return " ".join(word for word in words if word)

    def request(self, side: str, size: object = 10, symbol: str = "A", **terms: Any) -> OrderRequest:
        """An order in few words: ``limit``, ``stop``, ``touch``, ``trail`` make its type."""
        limit, stop, trail = terms.pop("limit", None), terms.pop("stop", None), terms.pop("trail", None)
        touch = terms.pop("touch", None)
        if touch is not None:
            kind = OrderType.TAKE_PROFIT if limit is None else OrderType.TAKE_PROFIT_LIMIT
            stop = touch
        elif trail is not None:
            kind = OrderType.TRAILING_STOP
        elif stop is not None:
            kind = OrderType.STOP if limit is None else OrderType.STOP_LIMIT
        else:
            kind = OrderType.MARKET if limit is None else OrderType.LIMIT
        quote = terms.pop("quote", None)
        expire = terms.pop("expire", None)
        return OrderRequest(
            symbol,
            Side(side),
            quantity=None if quote is not None else decimal(size),
            quote_quantity=decimal(quote),
            type=kind,
            tif=TimeInForce(terms.pop("tif", "gtc" if expire is None else "gtd")),
            expire_at=None if expire is None else from_ns(expire),
            limit_price=decimal(limit),
            stop_price=decimal(stop),
            trail=trail_of(trail),
            **terms,
        )

    def order(self, name: str, side: str, size: object = 10, symbol: str = "A", **terms: Any) -> None:
        self.venue.submit(OrderRef(name, symbol), self.request(side, size, symbol, **terms), self.now)

    def buy(self, name: str, size: object = 10, **terms: Any) -> None:
        self.order(name, "buy", size, **terms)

    def sell(self, name: str, size: object = 10, **terms: Any) -> None:
        self.order(name, "sell", size, **terms)

    def bracket(
        self,
        side: str = "buy",
        size: object = 10,
        *,
        target: object,
        stop: Mapping[str, Any],
        tp: Mapping[str, Any] | None = None,
        prefix: str = "",
        **entry: Any,
    ) -> None:
        """Orders named e, tp and sl, after ``prefix``."""
        other = "sell" if side == "buy" else "buy"
        exits = {"size": size, "tif": entry.get("tif", "gtc")}
        group = OrderGroup(
            GroupKind.BRACKET,
            self.request(other, **{**exits, "limit": target, **(tp or {})}),
            self.request(other, **{**exits, **stop}),
            self.request(side, size, **entry),
        )
        self.venue.submit_group([OrderRef(prefix + name, "A") for name in ("e", "tp", "sl")], group, self.now)

    def oco(
        self, side: str = "sell", size: object = 10, *, target: object, stop: Mapping[str, Any], **tp: Any
    ) -> None:
        """Orders named tp and sl."""
        group = OrderGroup(
            GroupKind.OCO,
            self.request(side, size, limit=target, **tp),
            self.request(side, **{"size": size, **stop}),
        )
        self.venue.submit_group([OrderRef("tp", "A"), OrderRef("sl", "A")], group, self.now)

    def cancel(self, name: str) -> None:
        self.venue.cancel(name, self.now)

    def replace(self, name: str, new: str, **change: Any) -> None:
        wanted: dict[str, Any] = {
            "quantity": decimal(change.pop("size", None)),
            "limit_price": decimal(change.pop("limit", None)),
            "stop_price": decimal(change.pop("stop", None)),
            "trail": trail_of(change.pop("trail", None)),
        }
        assert not change
        self.venue.replace(name, OrderRef(new, "A"), OrderChange(**wanted), self.now)

    def hold(self, size: object, symbol: str = "A", price: object = 100) -> None:
        """Own ``size`` units (short if negative), bought at ``price`` without a trace in cash or events."""
        snapshot = self.venue.snapshot()
        positions = snapshot["account"]["positions"]
        positions[symbol] = str(size)
        snapshot["account"]["last"][symbol] = str(price)
        self.venue.restore(snapshot)

    def position(self, symbol: str = "A") -> Decimal:
        return self.venue.account_state(self.now).positions.get(symbol, Decimal(0))


@pytest.fixture(scope="session")
def rig() -> Callable[..., Rig]:
    """Makes a venue over bars."""
    return Rig
