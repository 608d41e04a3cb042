"""What happened in an account, as Alpaca lists it: executions, and money that moved without one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from alphaweave.core.clock import Clock
from alphaweave.live.broker import FillQuery, FillReport
from alphaweave_broker_alpaca.answers import NO_SUCH_ORDER, answered, mapping_in, mappings_in
from alphaweave_broker_alpaca.crypto_fees import CryptoFees
from alphaweave_broker_alpaca.mapping import moment, text_of
from alphaweave_broker_alpaca.translator import Translator
from alphaweave_broker_alpaca.transport import Refused

__all__ = ["Activities"]

_PAGE: Final = 100
_MOST_ORDERS: Final = 500
# So many orders are asked for one by one in one report; the others are learned with the next.
_LOOK_UPS: Final = 20
# From so many unknown orders on, a list of the latest is asked for before single ones.
_LIST: Final = 5
# An activity may be listed a little later than others that came after it; a dividend, days later.
_OVERLAP: Final = timedelta(minutes=10)
_FLOW_OVERLAP: Final = timedelta(days=3)
# A fee in crypto is told so much later, at the most.
_FEE_DELAY: Final = timedelta(days=1)


_Ask = Callable[[str, Mapping[str, Any]], Awaitable[Any]]


class Activities:
    """Reads the activities of one account, and learns whose the orders in them are."""

    def __init__(self, said: Translator, ask: _Ask, clock: Clock, fees: CryptoFees) -> None:
        """``ask`` makes one request: a path, and what is asked for."""
        self._said = said
        self._fees = fees
        self._looked_back = False
        self._ask = ask
        self._clock = clock

    async def report(self, query: FillQuery, symbols: Sequence[str]) -> FillReport:
        """What happened since, of these symbols of the config where the query names none.

        Raises:
            BrokerUnavailable: there is no answer that can be used.
        """
        with answered():
            since = query.since
            cursor = since if query.cursor is None else datetime.fromisoformat(query.cursor)
            # Before the cursor nothing is new; from there on the answer begins, but never after `since`.
            begin = min(since, cursor)
            entries = await self._executions(begin)
            whole = await self._learn(entries)
            fills = [
                self._fees.charged(self._said.activity(one, self._clock.now()))
                for one in entries
                if self._said.is_known(text_of(one, "order_id"))
            ]
            others = await self._pages(
                "/account/activities", begin - _FLOW_OVERLAP, category="non_trade_activity"
            )
            flows = [
                self._said.flow(one)
                for one in others
                if one.get("activity_type") != "FILL" and not self._fees.posted(one)
            ]
            self._fees.forget()
        latest = max((fill.executed_at for fill in fills), default=begin)
        asked = query.symbols or symbols
        return FillReport(
            tuple(fill for fill in fills if query.symbols is None or fill.symbol in query.symbols),
            dict.fromkeys(asked, since) if whole else {},
            max(cursor, latest - _OVERLAP).isoformat(),
            tuple(flow for flow in flows if flow is not None),
        )

    async def _executions(self, begin: datetime) -> list[Mapping[str, Any]]:
        """Those since then. A fee that is told after a restart may be of an execution before it."""
        back = self._fees.trades and not self._looked_back
        entries = await self._pages(
            "/account/activities/FILL", begin - _FLOW_OVERLAP - _FEE_DELAY if back else begin
        )
        if not back:
            return entries
        since = [moment(text_of(one, "transaction_time")) >= begin for one in entries]
        for one, new in zip(entries, since, strict=True):
            if not new:
                self._fees.charged(self._said.activity(one, self._clock.now()))
        self._looked_back = True
        return [one for one, new in zip(entries, since, strict=True) if new]

    async def _pages(self, path: str, after: datetime, **more: str) -> list[Mapping[str, Any]]:
        asked: dict[str, Any] = {
            # It means later than: what happened at that very instant belongs to the answer.
            "after": (after - timedelta(seconds=1)).isoformat().replace("+00:00", "Z"),
            "direction": "asc",
            "page_size": _PAGE,
            **more,
        }
        found: list[Mapping[str, Any]] = []
        while True:
            page = mappings_in(await self._ask(path, asked))
            found += page
            if len(page) < _PAGE or asked.get("page_token") == page[-1]["id"]:
                return found
            asked["page_token"] = text_of(page[-1], "id")

    async def _learn(self, entries: Sequence[Mapping[str, Any]]) -> bool:
        """Find out whose orders these are; whether it is known of all. An activity bears no client id."""
        unknown = self._unknown(entries)
        if len(unknown) >= _LIST:
            latest = {"status": "all", "limit": _MOST_ORDERS, "nested": "true", "direction": "desc"}
            for order in mappings_in(await self._ask("/orders", latest)):
                for one in (order, *(order.get("legs") or ())):
                    self._said.learn(one)
            unknown = self._unknown(entries)
        for order_id in unknown[:_LOOK_UPS]:
            try:
                self._said.learn(mapping_in(await self._ask(f"/orders/{order_id}", {})))
            except Refused as no:
                # What the desk of Alpaca traded, say: no order of ours is ever unknown there.
                if no.status != 404 or no.code != NO_SUCH_ORDER:
                    raise
                self._said.learn_theirs(order_id)
        return len(unknown) <= _LOOK_UPS

    def _unknown(self, entries: Sequence[Mapping[str, Any]]) -> list[str]:
        orders = dict.fromkeys(text_of(one, "order_id") for one in entries)
        return [one for one in orders if not self._said.is_known(one)]
