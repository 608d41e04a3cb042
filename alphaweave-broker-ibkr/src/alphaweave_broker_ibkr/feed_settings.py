"""The options of the datafeed `ibkr`, and what it can deliver."""

from __future__ import annotations

from typing import Final, Literal

from attrs import evolve, field, frozen
from attrs.validators import ge, gt, in_, le

from alphaweave.live.datafeed import FeedCapabilities, FeedKind
from alphaweave_broker_ibkr.market_rows import INTERVALS
from alphaweave_broker_ibkr.settings import Reach

__all__ = ["FEED_CAPABILITIES", "IbkrFeedOptions"]

FEED_CAPABILITIES: Final = FeedCapabilities(
    kinds=frozenset(FeedKind), intervals=INTERVALS, historical=True, realtime=True, adjustment="split"
)


@frozen(kw_only=True)
class IbkrFeedOptions(Reach):
    """Those of the gateway, and which data.

    Attributes:
        client_id: of the connection for data, which is another one than the broker's.
        timeout: seconds that one question has; for a long history the gateway takes some.
        data: ``live``, or ``delayed`` for an account without the subscription: some 15 minutes late, and
            trades and quotes only.
        bars: ``history`` (the bars of history, kept up to date) or ``real_time`` (made of those of five
            seconds).
        hours: ``all`` that the contract is traded in, or ``regular`` ones alone.
        settle: seconds after its end within which a bar may still change.
    """

    client_id: int = field(default=2, validator=[ge(1), le(2**31 - 1)])
    timeout: float = field(default=20.0, validator=gt(0))
    data: Literal["live", "delayed"] = field(default="live", validator=in_(("live", "delayed")))
    bars: Literal["history", "real_time"] = field(default="history", validator=in_(("history", "real_time")))
    hours: Literal["all", "regular"] = field(default="all", validator=in_(("all", "regular")))
    settle: float = field(default=6.0, validator=[ge(0), le(60)])

    @property
    def capabilities(self) -> FeedCapabilities:
        """Those of the data that is chosen."""
        if self.data == "live":
            return FEED_CAPABILITIES
        # The gateway keeps no bars up to date that are delayed.
        return evolve(
            FEED_CAPABILITIES,
            kinds=frozenset({FeedKind.TRADE, FeedKind.QUOTE}),
            historical=False,
            delayed=True,
        )
