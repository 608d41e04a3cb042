"""The sandbox of `mock` and `paper`: their venue under control, in the adapter's own process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any, Self

from attrs import frozen

from alphaweave.core.clock import from_ns, to_ns
from alphaweave.core.errors import Unsupported
from alphaweave.core.instrument import Instrument
from alphaweave.core.market import Bar
from alphaweave.data.series import Series
from alphaweave.live.adapters.base import Services
from alphaweave.live.config_options import parse_options
from alphaweave.testing.clock import RunningClock
from alphaweave.testing.venue import (
    Action,
    Fault,
    Power,
    Truth,
    TruthExecution,
    TruthOrder,
    VenueControl,
    WireRequest,
)
from alphaweave_broker_mock.adapter import SimulatedBroker
from alphaweave_broker_mock.options import VenueOptions
from alphaweave_broker_mock.watched import WatchedVenue

__all__ = ["MockSandbox", "SandboxOptions"]

_PLENTY = 1e12
_MOMENT = timedelta(milliseconds=1)


@frozen
class SandboxOptions:
    """The sandbox of a broker without a wire has no options."""


class MockSandbox(VenueControl):
    """Holds the venue that every adapter attached to it trades on.

    These brokers have no connection, so that there is nothing to drop, to mute or to lose.
    """

    account_id = "sim-kit"
    currency = "USD"
    listens = False
    powers = frozenset({Power.REJECT, Power.FILL, Power.CANCEL, Power.EXPIRE, Power.FRESH})

    def __init__(self, kind: type[SimulatedBroker], options: object, services: Services) -> None:
        self._kind, self._given = kind, options
        self.name = f"the venue of {kind.name}"
        self.clock = services.clock
        self.names: Mapping[str, str] = {"ONE": "KIT-ONE", "TWO": "KIT-TWO"}
        self.instruments: Mapping[str, Instrument] = {
            "ONE": Instrument(symbol="ONE", venue_symbol="KIT-ONE", calendar="24/7"),
            "TWO": Instrument(
                symbol="TWO",
                venue_symbol="KIT-TWO",
                size_step=Decimal("0.001"),
                min_size=Decimal("0.001"),
                fractional=True,
                calendar="24/7",
            ),
        }
        self._board: dict[str, Series] = {}
        self._venue: WatchedVenue | None = None
        self._market_time: int | None = None
        self._adapter: SimulatedBroker | None = None

    @property
    def requests(self) -> Sequence[WireRequest]:
        return () if self._venue is None else self._venue.requests

    def options(self) -> dict[str, Any]:
        # The whole volume of a bar may be filled in it: that is how `fill` says how much.
        return {"cash": "1000000", "volume_share": 1, "check_funds": True}

    def fresh(self) -> Self:
        return type(self)(self._kind, self._given, Services(clock=RunningClock()))

    async def start(self) -> None:
        options: VenueOptions = parse_options(self._kind.options_class, self.options(), path="options")
        self._venue = WatchedVenue(
            instruments=self.instruments,
            board=self._board,
            settings=options.settings("UTC"),
            cash=options.opening_cash(Services()),
            currency=self.currency,
            account=self.account_id,
        )
        self._venue.clock = self.clock

    async def stop(self) -> None:
        self._adapter = None

    def attach(self, adapter: object) -> None:
        assert isinstance(adapter, SimulatedBroker)
        adapter.trade_on(
            self._started(),
            self._board,
            self._market_time,
            account=self.account_id,
            instruments=self.instruments,
        )
        self._adapter = adapter

    async def arm(self, action: Action, fault: Fault, *, times: int = 1, retry_after: float = 1.0) -> None:
        if fault is not Fault.REJECT:
            raise Unsupported(f"{self.name} cannot answer with {fault.value}", code="no_such_power")
        self._started().refusals[action] = times

    def truth(self) -> Truth:
        venue = self._started()
        state = venue.account_state(to_ns(self.clock.now()))
        return Truth(
            orders=tuple(
                TruthOrder(
                    venue_order_id=order.ref.broker_order_id or "",
                    client_order_id=order.client_order_id,
                    symbol=order.ref.symbol,
                    side=order.side,
                    status=order.status,
                    quantity=order.quantity,
                    filled=order.filled,
                    request=order.request,
                    group=venue.group_of(order.ref.client_order_id),
                )
                for order in venue.versions()
            ),
            executions=tuple(
                TruthExecution(
                    id=fill.execution_key,
                    venue_order_id=fill.broker_order_id,
                    client_order_id=fill.client_order_id,
                    symbol=fill.symbol,
                    side=fill.side,
                    size=fill.size,
                    price=fill.price,
                    at=fill.executed_at,
                    fees=fill.fees or (),
                )
                for fill in venue.fills(0)
            ),
            balances={asset: balance.total for asset, balance in state.balances.items()},
            positions=dict(state.positions),
        )

    async def set_price(self, symbol: str, price: Decimal) -> None:
        self._trade(symbol, price, _PLENTY)

    async def fill(
        self, client_order_id: str, size: Decimal | None = None, price: Decimal | None = None
    ) -> None:
        order = self._started().order(client_order_id)
        assert order is not None
        assert order.request is not None
        assert order.quantity is not None
        series = self._board[order.ref.symbol]
        before = Decimal(str(series.close[-1]))
        at = price or order.request.limit_price or before
        self._trade(order.ref.symbol, at, float(order.quantity - order.filled if size is None else size))
        # Back to where the market was, where nobody wants to trade any more.
        self._trade(order.ref.symbol, before, 0.0)

    async def cancel(self, client_order_id: str) -> None:
        venue = self._started()
        self._tell(partial(super(WatchedVenue, venue).cancel, client_order_id, to_ns(self._now())))

    async def expire(self, client_order_id: str) -> None:
        self._tell(partial(self._started().expire, client_order_id))

    def _started(self) -> WatchedVenue:
        assert self._venue is not None, "the sandbox has not started"
        return self._venue

    def _now(self) -> datetime:
        known = None if self._market_time is None else from_ns(self._market_time)
        now = self.clock.now()
        return now if known is None or now > known else known + _MOMENT

    def _trade(self, symbol: str, price: Decimal, volume: float) -> None:
        end = self._now()
        # It begins where the last one ended, so that what was decided on that one can trade in it.
        start = end - _MOMENT if self._market_time is None else from_ns(self._market_time)
        value = float(price)
        bar = Bar(symbol, "1m", start, end, value, value, value, value, volume)
        self._market_time = to_ns(end)
        if self._adapter is not None:
            self._adapter.on_market([bar])
            return
        self.show(bar)

    def show(self, bar: Bar) -> None:
        """Let the market move while nobody is attached."""
        series = self._board.setdefault(bar.symbol, Series(bar.symbol, bar.interval))
        series.append(to_ns(bar.start), to_ns(bar.end), bar.open, bar.high, bar.low, bar.close, bar.volume)
        series.cursor.count = len(series)
        venue = self._started()
        venue.on_slice(to_ns(bar.end))
        venue.take()

    def _tell(self, change: partial[None]) -> None:
        change()
        if self._adapter is not None:
            self._adapter.publish()
