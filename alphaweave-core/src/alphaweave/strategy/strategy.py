"""The base class of every strategy.

A strategy is written once and runs over history, on paper and for real. It sees the world as of the
slice it is called for: nothing it can reach shows a later bar.

    class SmaCross(Strategy):
        fast, slow = 10, 30

        def init(self):
            self.short = self.sma("SPY", self.fast)
            self.long = self.sma("SPY", self.slow)

        def next(self, i):
            if self.long.ready:
                self.order_target_percent("SPY", 0.95 if self.short.value > self.long.value else 0)

Order of calls in a run: ``__init__(**params)``, ``init()``, then ``on_warmup(i)`` for each slice of the
warm-up and ``next(i)`` for each slice after it, with ``on_fill``, ``on_order`` and ``on_gap`` in between
as things happen, and ``on_stop()`` at the end. After a restart: ``__init__``, ``init``, history,
``set_state``, and on with the next slice.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, ClassVar

from alphaweave.core.errors import StrategyError
from alphaweave.core.money import Number
from alphaweave.core.order import OrderType, TimeInForce
from alphaweave.data.series import Window
from alphaweave.indicators.base import BarIndicator, CloseIndicator
from alphaweave.strategy.desk import Desk
from alphaweave.strategy.events import Fill, Gap, GroupHandle, OrderEvent, OrderHandle

__all__ = ["Strategy"]


# What a strategy calls -> the method of the desk that does just that.
_BOUND = {
    "close": "close",
    "position": "position",
    "is_fresh": "is_fresh",
    "order_market": "place_market",
    "order_target_percent": "place_target",
}


class Strategy:
    """Subclass it, override ``next``, and what else you need.

    Sizes are signed: positive buys, negative sells. They may be int, float, str or Decimal, and are
    rounded down to the instrument's size step; prices are rounded to its ticks, never to the
    aggressive side. What is read back is float. A refused order is never raised: its handle comes back
    DENIED, with ``reason`` and ``text``.

    ``symbol`` may be left out everywhere (or passed as None) when the run has exactly one.

    Attributes:
        state_version: raise it when the meaning of ``get_state`` changes, and write `migrate_state`.
    """

    state_version: ClassVar[int] = 1

    _desk: Desk

    def __init__(self, **params: Any) -> None:
        """Set the parameters that the config gives; each must be an attribute of the class.

        Raises:
            StrategyError: for a parameter that the class does not have.
        """
        for name, value in params.items():
            if name.startswith("_") or not hasattr(type(self), name) or hasattr(Strategy, name):
                known = sorted(
                    key for key in dir(type(self)) if not key.startswith("_") and not hasattr(Strategy, key)
                )
                raise StrategyError(
                    f"{type(self).__name__} has no parameter {name!r}; it has: {', '.join(known) or 'none'}",
                    strategy=type(self).__qualname__,
                    callback="__init__",
                )
            setattr(self, name, value)

    # What a subclass overrides.

    def init(self) -> None:
        """Called once before the first slice: create indicators here."""

    def next(self, i: int) -> None:
        """Called once for each slice after the warm-up; ``i`` counts slices since the run's first."""

    def on_warmup(self, i: int) -> None:
        """Called instead of ``next`` for the first ``run.warmup`` slices; orders are refused here."""

    def on_fill(self, fill: Fill) -> None:
        """One of this strategy's orders was filled; positions and cash already include it."""

    def on_order(self, event: OrderEvent) -> None:
        """One of this strategy's orders changed its status."""

    def on_gap(self, gap: Gap) -> None:
        """Bars were missed while a live feed was down."""

    def on_stop(self) -> None:
        """The run ends; orders are refused here."""

    def get_state(self) -> Mapping[str, Any]:
        """This strategy's own values, to be saved: JSON, and Decimal, datetime, numpy scalars; finite.

        Indicators, orders, positions and ``i`` are saved by the engine.
        """
        return {}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Take back what ``get_state`` returned; ``init`` has already run."""
        if state:
            raise StrategyError(
                f"{type(self).__name__} was saved with state but has no set_state to take it back",
                strategy=type(self).__qualname__,
                callback="set_state",
            )

    @classmethod
    def migrate_state(cls, state: Mapping[str, Any], version: int) -> Mapping[str, Any]:
        """Turn the state of an older ``state_version`` into the present one.

        Raises:
            StrategyError: by default, since only the author knows how.
        """
        raise StrategyError(
            f"the saved state of {cls.__name__} has version {version}, the class has {cls.state_version}; "
            "write migrate_state, or start without the old state",
            strategy=cls.__qualname__,
            callback="migrate_state",
        )

    # What a strategy reads.

    @property
    def symbols(self) -> tuple[str, ...]:
        """The run's symbols, in the config's order."""
        return self._desk.symbols

    @property
    def equity(self) -> float:
        """Cash and positions at their last prices, in the run's currency."""
        return self._desk.equity()

    @property
    def cash(self) -> float:
        """Cash in the run's currency; negative when it is owed."""
        return self._desk.cash()

    def close(self, symbol: str | None = None) -> float:
        """The last close known; nan before the symbol's first bar."""
        return self._desk.close(symbol)

    def position(self, symbol: str | None = None) -> float:
        """Signed units held."""
        return self._desk.position(symbol)

    def now(self) -> datetime:
        """UTC; in ``next``, the end of the slice."""
        return self._desk.now()

    def is_fresh(self, symbol: str | None = None) -> bool:
        """Whether the symbol has a bar in this very slice."""
        return self._desk.is_fresh(symbol)

    def history(self, symbol: str | None, n: int) -> Window:
        """The last ``n`` bars (fewer if fewer are known), oldest first."""
        return self._desk.history(symbol, n)

    def series(self, symbol: str | None = None) -> Window:
        """Every bar known by now, oldest first."""
        return self._desk.history(symbol, None)

    def sma(self, symbol: str | None, period: int) -> CloseIndicator:
        """Simple moving average of closes; read ``.value`` and ``.ready``."""
        return self._desk.indicator("sma", symbol, period)  # type: ignore[return-value]

    def ema(self, symbol: str | None, period: int) -> CloseIndicator:
        """Exponential moving average of closes, weight 2 / (period + 1)."""
        return self._desk.indicator("ema", symbol, period)  # type: ignore[return-value]

    def rsi(self, symbol: str | None, period: int = 14) -> CloseIndicator:
        """Wilder's relative strength index of closes, 0 to 100."""
        return self._desk.indicator("rsi", symbol, period)  # type: ignore[return-value]

    def atr(self, symbol: str | None, period: int = 14) -> BarIndicator:
        """Wilder's average true range, in quote currency."""
        return self._desk.indicator("atr", symbol, period)  # type: ignore[return-value]

    def order(self, order_id: str) -> OrderHandle | None:
        """The handle of an open order, also after a restart; None if no such order is open."""
        return self._desk.order(order_id)

    def open_orders(self, symbol: str | None = None) -> tuple[OrderHandle, ...]:
        """Handles of the orders that may still fill, oldest first; None means every symbol."""
        return self._desk.open_orders(symbol)

    def log_metric(self, name: str, value: float) -> None:
        """Record a value of your own; monitors receive it with the present time."""
        self._desk.log_metric(name, value)

    # What a strategy asks for. ``tif=None`` takes what the broker declares as usual for the type, else DAY
    # where it has it, else GTC, else IOC.

    def order_market(
        self,
        symbol: str | None,
        size: Number | None = None,
        *,
        value: Number | None = None,
        tif: TimeInForce | str | None = None,
        reduce_only: bool = False,
    ) -> OrderHandle:
        """Buy or sell at the market: ``size`` signed units, or ``value`` signed quote currency."""
        return self._desk.place_market(symbol, size, value=value, tif=tif, reduce_only=reduce_only)

    def order_limit(
        self,
        symbol: str | None,
        size: Number,
        limit_price: Number,
        *,
        tif: TimeInForce | str | None = None,
        expire_at: datetime | None = None,
        post_only: bool = False,
        reduce_only: bool = False,
        extended_hours: bool = False,
    ) -> OrderHandle:
        """Buy at ``limit_price`` or lower, or sell at it or higher."""
        return self._desk.place(
            symbol,
            size,
            OrderType.LIMIT,
            tif,
            limit_price=limit_price,
            expire_at=expire_at,
            post_only=post_only,
            reduce_only=reduce_only,
            extended_hours=extended_hours,
        )

    def order_stop(
        self,
        symbol: str | None,
        size: Number,
        stop_price: Number,
        *,
        tif: TimeInForce | str | None = None,
        expire_at: datetime | None = None,
        reduce_only: bool = False,
    ) -> OrderHandle:
        """Become a market order once the price reaches ``stop_price`` (a buy: from below)."""
        return self._desk.place(
            symbol,
            size,
            OrderType.STOP,
            tif,
            stop_price=stop_price,
            expire_at=expire_at,
            reduce_only=reduce_only,
        )

    def order_stop_limit(
        self,
        symbol: str | None,
        size: Number,
        stop_price: Number,
        limit_price: Number,
        *,
        tif: TimeInForce | str | None = None,
        expire_at: datetime | None = None,
        reduce_only: bool = False,
    ) -> OrderHandle:
        """Become a limit order at ``limit_price`` once the price reaches ``stop_price``."""
        return self._desk.place(
            symbol,
            size,
            OrderType.STOP_LIMIT,
            tif,
            stop_price=stop_price,
            limit_price=limit_price,
            expire_at=expire_at,
            reduce_only=reduce_only,
        )

    def order_take_profit(
        self,
        symbol: str | None,
        size: Number,
        stop_price: Number,
        *,
        limit_price: Number | None = None,
        tif: TimeInForce | str | None = None,
        expire_at: datetime | None = None,
        reduce_only: bool = False,
    ) -> OrderHandle:
        """Become a market order, or a limit order at ``limit_price``, once the price has come to
        ``stop_price`` (a buy: from above)."""
        return self._desk.place(
            symbol,
            size,
            OrderType.TAKE_PROFIT if limit_price is None else OrderType.TAKE_PROFIT_LIMIT,
            tif,
            stop_price=stop_price,
            limit_price=limit_price,
            expire_at=expire_at,
            reduce_only=reduce_only,
        )

    def order_trailing_stop(
        self,
        symbol: str | None,
        size: Number,
        *,
        amount: Number | None = None,
        percent: Number | None = None,
        tif: TimeInForce | str | None = None,
        reduce_only: bool = False,
    ) -> OrderHandle:
        """A stop that follows the best price by ``amount`` (quote currency) or ``percent`` (5 is 5 %)."""
        return self._desk.place(
            symbol, size, OrderType.TRAILING_STOP, tif, trail=(amount, percent), reduce_only=reduce_only
        )

    def order_bracket(
        self,
        symbol: str | None,
        size: Number,
        *,
        take_profit: Number,
        stop_loss: Number,
        stop_limit: Number | None = None,
        limit_price: Number | None = None,
        tif: TimeInForce | str | None = None,
    ) -> GroupHandle:
        """An entry (at the market, or at ``limit_price``) and two exits that wait until it is filled.

        Args:
            size: of the entry, signed.
            take_profit: limit price of the profitable exit.
            stop_loss: stop price of the other exit, which is a stop-limit if ``stop_limit`` is given.
            tif: of all three, one that rests; None is GTC where the broker has it, else DAY.
        """
        return self._desk.place_group(
            symbol,
            size,
            bracket=True,
            take_profit=take_profit,
            stop_loss=stop_loss,
            stop_limit=stop_limit,
            limit_price=limit_price,
            tif=tif,
        )

    def order_oco(
        self,
        symbol: str | None,
        size: Number,
        *,
        take_profit: Number,
        stop_loss: Number,
        stop_limit: Number | None = None,
        tif: TimeInForce | str | None = None,
    ) -> GroupHandle:
        """Two exits of signed ``size``, one cancels the other; ``tif`` as for a bracket."""
        return self._desk.place_group(
            symbol,
            size,
            bracket=False,
            take_profit=take_profit,
            stop_loss=stop_loss,
            stop_limit=stop_limit,
            limit_price=None,
            tif=tif,
        )

    def order_target_percent(
        self, symbol: str | None, target: float | Decimal, *, tif: TimeInForce | str | None = None
    ) -> OrderHandle:
        """Trade at the market to hold ``target`` of the equity in the symbol (0.5 is half, -0.5 short).

        Market and limit orders still open in the symbol are counted as if filled; stops and the exits of
        groups are not. If nothing is left to do the handle is DENIED with reason ``at_target``.
        """
        return self._desk.place_target(symbol, target, tif)

    def close_position(self, symbol: str | None = None) -> OrderHandle:
        """Trade at the market to hold nothing: `order_target_percent` of 0."""
        return self._desk.place_target(symbol, 0.0, None)

    def cancel_all(self, symbol: str | None = None) -> None:
        """Ask for a cancel of every open order of this strategy; None means every symbol."""
        for handle in self._desk.open_orders(symbol):
            handle.cancel()

    def _bind(self, desk: Desk) -> None:
        self._desk = desk
        # The desk's own bound methods stand in for these: one call less, on every bar and order.
        for name, own in _BOUND.items():
            if getattr(type(self), name) is getattr(Strategy, name):
                self.__dict__[name] = getattr(desk, own)
