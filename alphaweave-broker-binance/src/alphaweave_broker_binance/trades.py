"""The executions of an account, symbol by symbol: Binance lists them no other way."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from alphaweave.core.clock import Clock
from alphaweave.core.errors import BrokerUnavailable
from alphaweave.live.broker import BrokerFill, FillQuery, FillReport
from alphaweave_broker_binance.answers import answered, mapping_in, mappings_in
from alphaweave_broker_binance.mapping import moment
from alphaweave_broker_binance.translator import Translator
from alphaweave_broker_binance.transport import Refused

__all__ = ["Trades"]

_PAGE: Final = 1000
# So many orders are asked for one by one before a list of the latest is.
_LOOK_UPS: Final = 5
_WINDOW: Final = timedelta(hours=24)
# A trade may be listed a little later than others that came after it.
_OVERLAP: Final = timedelta(minutes=1)
_NO_SUCH_ORDER: Final = "-2013"
_UNKNOWN_ORDER: Final = frozenset({_NO_SUCH_ORDER, "-2026"})

_Ask = Callable[[str, Mapping[str, str], int], Awaitable[Any]]


class Trades:
    """Reads the executions of one account, and learns whose the orders in them are."""

    def __init__(self, said: Translator, ask: _Ask, clock: Clock) -> None:
        """``ask`` makes one signed GET request: a path, what is asked for, and its weight."""
        self._said = said
        self._ask = ask
        self._clock = clock

    async def report(self, query: FillQuery, symbols: Sequence[str]) -> FillReport:
        """What happened since, of these symbols of the config where the query names none.

        Raises:
            BrokerUnavailable: there is no answer that can be used.
        """
        reached = _reached(query.cursor)
        fills: list[BrokerFill] = []
        complete: dict[str, datetime] = {}
        for symbol in symbols if query.symbols is None else query.symbols:
            venue_symbol = self._said.venue_symbol(symbol)
            with answered():
                told = await self._trades(venue_symbol, query.since, reached.get(venue_symbol))
                await self._learn(venue_symbol, told)
                fills += [self._said.trade(one, self._clock.now()) for one in told]
                settled = self._clock.now() - _OVERLAP
                ids = [one["id"] for one in told if moment(one["time"]) < settled]
            if ids:
                reached[venue_symbol] = max(ids)
            complete[symbol] = query.since
        return FillReport(tuple(fills), complete, json.dumps(reached, sort_keys=True))

    async def _trades(self, venue_symbol: str, since: datetime, after: int | None) -> list[Mapping[str, Any]]:
        if after is not None:
            return await self._from(venue_symbol, after + 1)
        newest = await self._page(venue_symbol)
        if len(newest) < _PAGE or moment(newest[0]["time"]) < since:
            return [one for one in newest if moment(one["time"]) >= since]
        # Trades of others are numbered alike, so that there is no counting back: find the first by its time.
        begin = since
        while begin <= self._clock.now().astimezone(UTC):
            end = begin + _WINDOW - timedelta(milliseconds=1)
            window = await self._page(venue_symbol, startTime=_ms(begin), endTime=_ms(end))
            if window:
                return await self._from(venue_symbol, int(window[0]["id"]))
            begin += _WINDOW
        return []

    async def _from(self, venue_symbol: str, first: int) -> list[Mapping[str, Any]]:
        found: list[Mapping[str, Any]] = []
        while True:
            page = await self._page(venue_symbol, fromId=str(first))
            found += page
            if len(page) < _PAGE:
                return found
            first = int(page[-1]["id"]) + 1

    async def _page(self, venue_symbol: str, **more: str) -> Sequence[Mapping[str, Any]]:
        asked = {"symbol": venue_symbol, "limit": str(_PAGE), **more}
        return mappings_in(await self._ask("/api/v3/myTrades", asked, 20))

    async def _learn(self, venue_symbol: str, told: Sequence[Mapping[str, Any]]) -> None:
        """Find out whose these orders are: a trade bears no client id."""
        unknown = self._unknown(venue_symbol, told)
        if len(unknown) > _LOOK_UPS:
            # From the oldest on, that is wanted, upward.
            asked = {"symbol": venue_symbol, "orderId": str(min(unknown)), "limit": str(_PAGE)}
            for order in mappings_in(await self._ask("/api/v3/allOrders", asked, 20)):
                self._said.learn(order)
            unknown = self._unknown(venue_symbol, told)
        at = {int(one["orderId"]): moment(one["time"]) for one in told}
        for order_id in unknown:
            asked = {"symbol": venue_symbol, "orderId": str(order_id)}
            try:
                self._said.learn(mapping_in(await self._ask("/api/v3/order", asked, 4)))
            except Refused as no:
                # Its order is there, for it was executed: a moment ago, and the answer is older.
                late = no.code == _NO_SUCH_ORDER and at[order_id] > self._clock.now() - _OVERLAP
                if late or no.code not in _UNKNOWN_ORDER:
                    raise
                self._said.is_theirs(f"{venue_symbol}:{order_id}")

    def _unknown(self, venue_symbol: str, told: Sequence[Mapping[str, Any]]) -> list[int]:
        orders = dict.fromkeys(int(one["orderId"]) for one in told)
        return [one for one in orders if not self._said.is_known(f"{venue_symbol}:{one}")]


def _reached(cursor: str | None) -> dict[str, int]:
    if cursor is None:
        return {}
    try:
        return {str(symbol): int(last) for symbol, last in json.loads(cursor).items()}
    except (AttributeError, TypeError, ValueError):
        raise BrokerUnavailable(f"the cursor {cursor!r} is not of this broker") from None


def _ms(at: datetime) -> str:
    return str(int(at.timestamp() * 1000))
