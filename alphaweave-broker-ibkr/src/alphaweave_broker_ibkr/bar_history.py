"""Past bars: the gateway's rows, page by page from the newest on, and the bars that are made of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Hashable
from datetime import UTC, datetime
from typing import Any, Final

from ib_async import Contract

from alphaweave.core.clock import EPOCH, from_ns, to_ns
from alphaweave.core.errors import BrokerUnavailable
from alphaweave.live.adapters.rate_budget import Use
from alphaweave.live.adapters.timer import Timer
from alphaweave.live.datafeed import History
from alphaweave_broker_ibkr.bar_builder import Recipe
from alphaweave_broker_ibkr.data_refusals import PACING_PAUSE, data_error, is_no_data, is_pacing
from alphaweave_broker_ibkr.feed_settings import IbkrFeedOptions
from alphaweave_broker_ibkr.gateway import Gateway, NoAnswer, Refused
from alphaweave_broker_ibkr.history_pacing import HistoryPacing
from alphaweave_broker_ibkr.market_rows import Part, Row, row_of
from alphaweave_broker_ibkr.pace import Unsent

__all__ = ["BarHistory", "what_to_show", "written_instant"]

_SECOND_NS: Final = 1_000_000_000
_EPOCH_DATES: Final = 2
# The gateway answers fifty at a time; bars that are kept up to date are among them.
_AT_ONCE: Final = 5
_PAGES: Final = 1_000
_SHOWN: Final = {"CASH": "MIDPOINT", "CRYPTO": "AGGTRADES"}


def what_to_show(kind: str) -> str:
    """Of what bars of a kind of contract are made."""
    return _SHOWN.get(kind, "TRADES")


def written_instant(at: int) -> str:
    """An instant (nanoseconds since the epoch, UTC) as the gateway reads it whatever its zone is."""
    return f"{from_ns(at):%Y%m%d-%H:%M:%S}"


class BarHistory:
    """Asks for bars, over whichever connection there is.

    Args:
        gateway: the connection; raises BrokerUnavailable where there is none.
        now: the gateway's time, in nanoseconds since the epoch, UTC.
    """

    def __init__(
        self,
        options: IbkrFeedOptions,
        gateway: Callable[[], Gateway],
        timer: Timer,
        now: Callable[[], int],
    ) -> None:
        self._options = options
        self._gateway = gateway
        self._timer = timer
        self._now = now
        self._pacing = HistoryPacing()
        self._open = asyncio.Semaphore(_AT_ONCE)
        self._heads: dict[tuple[int, str], int] = {}

    async def since(self, recipe: Recipe, contract: Contract, start: datetime, end: datetime) -> History:
        """Bars that end after ``start``, up to ``end``.

        Raises:
            BrokerUnavailable: no usable answer.
            Unsupported: the account has no right to them.
        """
        reach = await self._reach(recipe, to_ns(end))
        first = recipe.grid.floor(to_ns(start))
        rows: list[Row] = []
        if first < reach:
            async for page in self._pages(recipe, contract, first, reach, reach - first):
                rows += page
        bars = tuple(bar for bar in recipe.bars(rows, reach) if start < bar.end)
        return History(bars, min(start, from_ns(reach)), from_ns(reach))

    async def latest(self, recipe: Recipe, contract: Contract, count: int, end: datetime) -> History:
        """The last ``count`` bars that end by ``end``; raises as `since`."""
        reach = await self._reach(recipe, to_ns(end))
        rows: list[Row] = []
        guess = (count + 2) * recipe.grid.length
        async for page in self._pages(recipe, contract, 0, reach, guess):
            rows += page
            spans = {recipe.grid.floor(row.start) for row in rows if not (recipe.traded and row.is_empty)}
            # Two more than wanted: the oldest may go on on the next page, and the newest be unfinished.
            if len(spans) > count + 1:
                break
        found = recipe.bars(rows, reach)[-count:]
        begins = found[0].start if len(found) == count else EPOCH
        return History(found, min(begins, from_ns(reach)), from_ns(reach))

    async def ask(
        self, contract: Contract, symbol: str, part: Part, *, end: str, seconds: int, show: str
    ) -> list[tuple[Any, ...]]:
        """One question for what has been; an empty answer is that there is nothing.

        Raises:
            BrokerUnavailable, Unsupported: it is not answered.
        """
        question = (contract.conId, part.words, show, end, seconds)
        await self.wait_for_room(contract, symbol, question, part)
        asked_as = 0

        def write(number: int) -> None:
            nonlocal asked_as
            asked_as = number
            gateway.client.reqHistoricalData(
                number,
                contract,
                end,
                part.duration(seconds),
                part.words,
                show,
                int(self._options.hours == "regular"),
                _EPOCH_DATES,
                False,
                None,
            )

        rows, ends = "historicalData", "historicalDataEnd"
        if show == "SCHEDULE":
            rows = ends = "historicalSchedule"
        async with self._open:
            gateway = self._gateway()
            try:
                return await gateway.ask(write, rows=rows, ends=ends)
            except Refused as no:
                if is_no_data(no):
                    return []
                if is_pacing(no):
                    self._pacing.bar(self._monotonic(), PACING_PAUSE)
                raise data_error(no, symbol) from None
            except (NoAnswer, Unsent) as error:
                if asked_as and gateway.is_open:
                    # It counts among those that are answered, until it is withdrawn.
                    async with gateway.turn(Use.CANCEL):
                        gateway.client.cancelHistoricalData(asked_as)
                raise BrokerUnavailable(f"history of {symbol}: {error}") from None

    async def wait_for_room(self, contract: Contract, symbol: str, question: Hashable, part: Part) -> None:
        """Count one question, which the gateway is not asked any sooner.

        Raises:
            BrokerUnavailable: that takes too long.
        """
        while (wait := self._pacing.take(self._monotonic(), contract.conId, question, part.seconds)) > 0:
            if wait > self._options.timeout / 2:
                raise BrokerUnavailable(
                    f"history of {symbol}: so many questions for {part.words} are answered only "
                    f"in {wait:.0f} s",
                    retry_after=wait,
                )
            await self._timer.sleep(wait)

    async def _reach(self, recipe: Recipe, end: int) -> int:
        """Up to where bars are final, once the newest that is asked for is."""
        settle = round(self._options.settle * _SECOND_NS)
        last = recipe.grid.floor(min(end, self._now()))
        if (ahead := last + settle - self._now()) > 0:
            await self._timer.sleep(ahead / _SECOND_NS)
        return min(end, max(last, self._now() - settle))

    async def _pages(
        self, recipe: Recipe, contract: Contract, first: int, until: int, guess: int
    ) -> AsyncIterator[list[Row]]:
        """Rows that begin within [first, until) and are over by then, from the newest page on."""
        part = recipe.part
        cursor = until // part.length * part.length
        span = min(guess, part.longest * _SECOND_NS)
        for _ in range(_PAGES):
            span = min(span, cursor - first)
            if span <= 0:
                return
            seconds = -(-span // part.length) * part.seconds
            told = await self.ask(
                contract,
                recipe.symbol,
                part,
                end=written_instant(cursor),
                seconds=seconds,
                show=what_to_show(contract.secType),
            )
            rows = self._rows(told, recipe.symbol, cursor)
            yield [row for row in rows if row.start >= first]
            asked_from = cursor - seconds * _SECOND_NS
            if rows:
                # Days are counted as days of trading, which may be more of the calendar's, or fewer.
                began = rows[0].start
                cursor = began if " D" in part.duration(seconds) else min(began, asked_from)
            else:
                if asked_from <= await self._head(contract, recipe.symbol):
                    return
                cursor = asked_from
            span = part.longest * _SECOND_NS
        raise BrokerUnavailable(f"history of {recipe.symbol} goes on for more than {_PAGES} pages")

    def _rows(self, told: list[tuple[Any, ...]], symbol: str, before: int) -> list[Row]:
        try:
            rows = [row_of(one) for (one,) in told]
        except ValueError as error:
            raise BrokerUnavailable(f"history of {symbol} cannot be read: {error}") from None
        found = sorted((row for row in rows if row.start < before), key=lambda row: row.start)
        if len({row.start for row in found}) < len(found):
            raise BrokerUnavailable(f"history of {symbol} has two bars of one time")
        return found

    async def _head(self, contract: Contract, symbol: str) -> int:
        """The first instant that the gateway has anything of; now, where it has nothing."""
        show = what_to_show(contract.secType)
        known = self._heads.get((contract.conId, show))
        if known is not None:
            return known
        gateway = self._gateway()
        try:
            told = await gateway.ask(
                lambda number: gateway.client.reqHeadTimeStamp(
                    number, contract, show, int(self._options.hours == "regular"), _EPOCH_DATES
                ),
                rows="headTimestamp",
                ends="headTimestamp",
            )
        except Refused as no:
            if is_no_data(no):
                return self._now()
            raise data_error(no, symbol) from None
        except (NoAnswer, Unsent) as error:
            raise BrokerUnavailable(f"the first bar of {symbol}: {error}") from None
        head = self._heads[contract.conId, show] = _instant(str(told[0][0]), symbol)
        return head

    def _monotonic(self) -> int:
        return round(self._timer.clock.monotonic() * _SECOND_NS)


def _instant(text: str, symbol: str) -> int:
    try:
        if text.isdigit() and len(text) > 8:
            return int(text) * _SECOND_NS
        return to_ns(datetime.strptime(text.replace("  ", "-"), "%Y%m%d-%H:%M:%S").replace(tzinfo=UTC))
    except ValueError:
        raise BrokerUnavailable(f"the first bar of {symbol} began at {text!r}, which is no instant") from None
