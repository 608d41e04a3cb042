"""Lanes: series that advance together, and the indicators that their bars feed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from operator import length_hint

from alphaweave.data.series import Cursor
from alphaweave.indicators.base import CloseIndicator

__all__ = ["Lane"]

# Long enough to be worked out at little cost for each, and short enough to lie in memory unnoticed.
_STRETCH = 4096


class Lane:
    """Series that advance together.

    Attributes:
        close_feeds: columns of closes, and what takes each of them.
        bar_feeds: what takes each bar, and its columns of highs, lows and closes.
        foreseen: indicators that take no closes, for their values are worked out `ahead`: what gives the
            next one of each.
    """

    __slots__ = ("_indicators", "bar_feeds", "close_feeds", "cursor", "foreseen")

    def __init__(self, cursor: Cursor) -> None:
        self.cursor = cursor
        self.close_feeds: list[tuple[Sequence[float], list[Callable[[float], float]]]] = []
        self.bar_feeds: list[
            tuple[Callable[[float, float, float], float], Sequence[float], Sequence[float], Sequence[float]]
        ] = []
        self.foreseen: list[tuple[CloseIndicator, Callable[[], float]]] = []
        self._indicators: list[tuple[Sequence[float], CloseIndicator]] = []

    def feed_close(self, closes: Sequence[float], indicator: CloseIndicator) -> None:
        """Let an indicator have each close of this column; a column is read once for all who want it."""
        self._indicators.append((closes, indicator))
        self._feed(closes, indicator)

    def look_ahead(self) -> None:
        """Work out ahead what can be: every close that is to come is known, and stays as it is.

        Who looks into such an indicator, or updates it himself, finds what he would have found, and from
        then on it takes closes as others do.
        """
        for closes, indicator in self._indicators:
            for column, updates in self.close_feeds:
                if column is closes and indicator.update in updates and indicator.ahead(()) is not None:
                    updates.remove(indicator.update)
                    self.foreseen.append((indicator, _Foresight(self, closes, indicator).next))

    def advance(self) -> None:
        """One more row is visible: bring the indicators up to it."""
        cursor = self.cursor
        row = cursor.count
        cursor.count = row + 1
        self.feed(row)

    def feed(self, row: int) -> None:
        """Let the indicators have the bars of a row."""
        for indicator, value in self.foreseen:
            indicator.value = value()
        for closes, updates in self.close_feeds:
            close = closes[row]
            for update in updates:
                update(close)
        for update_bar, highs, lows, closes in self.bar_feeds:
            update_bar(highs[row], lows[row], closes[row])

    def forget(self, closes: Sequence[float], indicator: CloseIndicator) -> None:
        """An indicator that was foreseen takes closes again."""
        self.foreseen[:] = [one for one in self.foreseen if one[0] is not indicator]
        self._indicators = [one for one in self._indicators if one[1] is not indicator]
        self._feed(closes, indicator)

    def _feed(self, closes: Sequence[float], indicator: CloseIndicator) -> None:
        for column, updates in self.close_feeds:
            if column is closes:
                updates.append(indicator.update)
                return
        self.close_feeds.append((closes, [indicator.update]))


class _Foresight:
    """The values of one indicator, a stretch at a time.

    Attributes:
        next: the value after the next close.
    """

    __slots__ = ("_closes", "_indicator", "_lane", "_rest", "_stretch", "next")

    def __init__(self, lane: Lane, closes: Sequence[float], indicator: CloseIndicator) -> None:
        self._lane = lane
        self._closes = closes
        self._indicator = indicator
        self._stretch: Sequence[float] = ()
        self._rest: Iterator[float] = iter(())
        self.next = chain.from_iterable(self._stretches()).__next__

    def _stretches(self) -> Iterator[Iterator[float]]:
        indicator = self._indicator
        while True:
            self._catch_up()
            row = self._lane.cursor.count - 1
            stretch = self._closes[row : row + _STRETCH]
            values = indicator.ahead(stretch)
            if values is None:
                # One of the closes is none: whoever comes to it is told.
                yield map(indicator.update, stretch)
            else:
                self._stretch, self._rest = stretch, iter(values)
                indicator.behind = self._look
                yield self._rest

    def _catch_up(self) -> None:
        indicator = self._indicator
        indicator.behind = None
        done = len(self._stretch) - length_hint(self._rest)
        indicator.advance(self._stretch[:done])
        self._stretch, self._rest = (), iter(())

    def _look(self) -> None:
        self._catch_up()
        self._lane.forget(self._closes, self._indicator)
