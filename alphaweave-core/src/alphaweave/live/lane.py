"""Lanes: series that advance together, and the indicators that their bars feed."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from alphaweave.data.series import Cursor

__all__ = ["Lane"]


class Lane:
    """Series that advance together.

    Attributes:
        close_feeds: columns of closes, and what takes each of them.
        bar_feeds: what takes each bar, and its columns of highs, lows and closes.
    """

    __slots__ = ("bar_feeds", "close_feeds", "cursor")

    def __init__(self, cursor: Cursor) -> None:
        self.cursor = cursor
        self.close_feeds: list[tuple[Sequence[float], list[Callable[[float], float]]]] = []
        self.bar_feeds: list[
            tuple[Callable[[float, float, float], float], Sequence[float], Sequence[float], Sequence[float]]
        ] = []

    def feed_close(self, closes: Sequence[float], update: Callable[[float], float]) -> None:
        """Let ``update`` have each close of this column; a column is read once for all who want it."""
        for column, updates in self.close_feeds:
            if column is closes:
                updates.append(update)
                return
        self.close_feeds.append((closes, [update]))

    def advance(self) -> None:
        """One more row is visible: bring the indicators up to it."""
        cursor = self.cursor
        row = cursor.count
        cursor.count = row + 1
        self.feed(row)

    def feed(self, row: int) -> None:
        """Let the indicators have the bars of a row."""
        for closes, updates in self.close_feeds:
            close = closes[row]
            for update in updates:
                update(close)
        for update_bar, highs, lows, closes in self.bar_feeds:
            update_bar(highs[row], lows[row], closes[row])
