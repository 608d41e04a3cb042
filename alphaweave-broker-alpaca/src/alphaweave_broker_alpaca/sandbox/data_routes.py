"""REST of the market-data API: stocks and crypto, bars, trades and quotes, latest and past."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from alphaweave.testing.sandbox import Action
from alphaweave_broker_alpaca.sandbox.prices import (
    DAY_MINUTES,
    Prices,
    Row,
    bad_request,
    page,
    stretch,
    timeframe,
    told,
)
from alphaweave_broker_alpaca.sandbox.server import Answer, Call, Route

__all__ = ["DataRoutes"]

_KINDS = ("bars", "trades", "quotes")
_FEEDS = frozenset({"iex", "sip", "delayed_sip", "boats", "overnight", "otc"})
_RECENT = timedelta(minutes=15)


class DataRoutes:
    """Answers from one store of prices."""

    def __init__(
        self,
        prices: Prices,
        symbols: Callable[[], Iterable[str]],
        now: Callable[[], datetime],
        *,
        entitled: bool,
    ) -> None:
        self._prices, self._symbols, self._now, self._entitled = prices, symbols, now, entitled

    def routes(self) -> list[Route]:
        """Every path."""
        made = []
        for kind in _KINDS:
            past, latest = self._past(kind), self._latest(kind)
            for path, answer in (
                (f"/v2/stocks/{kind}", past),
                (f"/v2/stocks/{kind}/latest", latest),
                (f"/v1beta3/crypto/us/{kind}", past),
                (f"/v1beta3/crypto/us/latest/{kind}", latest),
            ):
                made.append(Route("GET", path, answer, Action.HISTORY, data=True))
        for path, answer in (
            ("/v2/stocks/snapshots", lambda call: Answer(self._snapshots(call))),
            ("/v1beta3/crypto/us/snapshots", lambda call: Answer({"snapshots": self._snapshots(call)})),
        ):
            made.append(Route("GET", path, answer, Action.HISTORY, data=True))
        return made

    def _past(self, kind: str) -> Callable[[Call], Answer]:
        def answer(call: Call) -> Answer:
            symbols = self._wanted(call)
            start, end = stretch(call.query, self._now())
            self._check_feed(call, end)
            found: dict[str, Sequence[Row]] = {}
            minutes = timeframe(call.query.get("timeframe", "")) if kind == "bars" else 0
            for symbol in symbols:
                if kind == "bars":
                    found[symbol] = self._prices.bars(symbol, minutes, start, end)
                else:
                    found[symbol] = self._prices.rows(symbol, kind, start, end)
            rows, token = page(call.query, found)
            return Answer({kind: rows, "next_page_token": token})

        return answer

    def _latest(self, kind: str) -> Callable[[Call], Answer]:
        def answer(call: Call) -> Answer:
            found = {symbol: self._prices.latest(symbol, kind) for symbol in self._wanted(call)}
            return Answer({kind: {symbol: told([row])[0] for symbol, row in found.items() if row}})

        return answer

    def _snapshots(self, call: Call) -> dict[str, Any]:
        found = {symbol: self._snapshot(symbol) for symbol in self._wanted(call)}
        return {symbol: shot for symbol, shot in found.items() if shot}

    def _snapshot(self, symbol: str) -> dict[str, Any]:
        now = self._now()
        days = self._prices.bars(symbol, DAY_MINUTES, now - timedelta(days=10), now)
        found = {
            "latestTrade": self._prices.latest(symbol, "trades"),
            "latestQuote": self._prices.latest(symbol, "quotes"),
            "minuteBar": self._prices.latest(symbol, "bars"),
            "dailyBar": days[-1] if days else None,
            "prevDailyBar": days[-2] if len(days) > 1 else None,
        }
        return {key: told([row])[0] for key, row in found.items() if row is not None}

    def _wanted(self, call: Call) -> list[str]:
        """The symbols asked for; those that nobody knows have no rows, and are no error."""
        text = call.query.get("symbols", "")
        if not text:
            raise bad_request("symbols is required")
        known = set(self._symbols())
        return [symbol for symbol in text.split(",") if symbol in known]

    def _check_feed(self, call: Call, end: datetime) -> None:
        feed = call.query.get("feed")
        if feed is not None and feed not in _FEEDS:
            raise bad_request(f"invalid feed: {feed}")
        if feed == "sip" and not self._entitled and end > self._now() - _RECENT:
            raise bad_request("subscription does not permit querying recent SIP data", 422)
