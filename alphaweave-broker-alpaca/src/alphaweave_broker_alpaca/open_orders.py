"""The working orders of an account, each leg of a group among them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

from alphaweave.core.clock import Clock
from alphaweave.live.broker import BrokerOrder
from alphaweave_broker_alpaca.answers import answered, mappings_in
from alphaweave_broker_alpaca.mapping import is_combination, moment, text_of
from alphaweave_broker_alpaca.translator import Translator

__all__ = ["OpenOrders"]

_MOST: Final = 500

_Ask = Callable[[str, Mapping[str, Any]], Awaitable[Any]]


class OpenOrders:
    """Reads them. ``ask`` makes one request: a path, and what is asked for."""

    def __init__(self, said: Translator, ask: _Ask, clock: Clock) -> None:
        self._said = said
        self._ask = ask
        self._clock = clock
        self._looked_up: set[str] = set()

    async def read(self, symbols: Sequence[str] | None) -> list[BrokerOrder]:
        """Those in these symbols of the config, in all where there are none.

        Raises:
            BrokerUnavailable: no usable answer.
        """
        with answered():
            # Not nested: below an entry that is filled, and so not open, its exits would be missing.
            found = [one for one in await self._pages(symbols) if not is_combination(one)]
            await self._learn(found)
            orders = [self._said.order(one, self._clock.now()) for one in found]
        working = [one for one in orders if not one.status.terminal]
        return [one for one in working if not symbols or one.ref.symbol in symbols]

    async def _pages(self, symbols: Sequence[str] | None) -> list[Mapping[str, Any]]:
        query: dict[str, Any] = {"status": "open", "limit": _MOST, "nested": "false", "direction": "asc"}
        names = [self._said.venue_symbol(one) for one in symbols or ()]
        # Whether the list of crypto goes by BTC/USD or by BTCUSD nobody has recorded.
        if names and not any("/" in one for one in names):
            query["symbols"] = ",".join(names)
        found: dict[str, Mapping[str, Any]] = {}
        while True:
            page = mappings_in(await self._ask("/orders", query))
            known = len(found)
            for order in page:
                for one in (order, *(order.get("legs") or ())):
                    found[text_of(one, "id")] = one
            if len(page) < _MOST or len(found) == known:
                return list(found.values())
            # It means later than: another order of that very instant may be on the next page.
            last = moment(text_of(page[-1], "submitted_at")) - timedelta(milliseconds=1)
            query["after"] = last.isoformat().replace("+00:00", "Z")

    async def _learn(self, orders: Sequence[Mapping[str, Any]]) -> None:
        """A leg bears a name of Alpaca's: whose it is, the order says that holds it. It is asked for once."""
        unknown = {text_of(one, "id") for one in orders if self._said.is_foreign(one)} - self._looked_up
        if unknown:
            query = {"status": "all", "limit": _MOST, "nested": "true", "direction": "desc"}
            for order in mappings_in(await self._ask("/orders", query)):
                if not is_combination(order):
                    self._said.ref(order)
            self._looked_up |= unknown
