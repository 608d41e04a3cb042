"""What a datafeed's sandbox offers the kit: bars that close when they are told to.

Symbols are the config's, as in ``names``; times are timezone-aware UTC; prices are floats, as in a `Bar`.
The kit gives bars whose ``end`` lies in the past of ``clock``; a venue that sends trades only makes them so
that the feed builds these bars.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

from alphaweave.core.market import Bar, Quote, Trade
from alphaweave.testing.sandbox import Sandbox, powerless

__all__ = ["FeedControl"]


class FeedControl(Sandbox):
    """A datafeed's venue under control.

    Attributes:
        interval: the bar interval that the kit uses (``1m``).
    """

    interval: str = "1m"

    def feed_options(self) -> dict[str, Any]:
        """The options block of the datafeed; `options` unless the two differ."""
        return self.options()

    @abstractmethod
    async def publish(self, bar: Bar) -> None:
        """Let a bar close: it is sent to whoever subscribed and is connected, and is history from now on."""

    async def load(self, bars: Sequence[Bar]) -> None:
        """Let these bars be history, without a word on the stream (HISTORY)."""
        raise powerless("answer for the past")

    async def form(self, bar: Bar) -> None:
        """Show a bar that has not closed, in history and on the stream, as far as the venue does so
        (FORMING)."""
        raise powerless("show a bar that is forming")

    async def correct_bar(self, bar: Bar) -> None:
        """Restate a bar that was published (CORRECT_BAR)."""
        raise powerless("correct a bar")

    async def publish_trade(self, trade: Trade) -> None:
        """Report a trade (TRADES)."""
        raise powerless("report trades")

    async def publish_quote(self, quote: Quote) -> None:
        """Report a quote (QUOTES)."""
        raise powerless("report quotes")
