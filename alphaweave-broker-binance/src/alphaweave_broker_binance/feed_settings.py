"""The options of the datafeed `binance`, and what it can deliver."""

from __future__ import annotations

from typing import Final

from attrs import frozen

from alphaweave.core.secret import Secret
from alphaweave.live.datafeed import FeedCapabilities, FeedKind
from alphaweave_broker_binance.settings import Reach

__all__ = ["FEED_CAPABILITIES", "BinanceFeedOptions"]

FEED_CAPABILITIES: Final = FeedCapabilities(
    kinds=frozenset(FeedKind),
    intervals=frozenset({"1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d", "1w"}),
    historical=True,
    realtime=True,
)


@frozen(kw_only=True)
class BinanceFeedOptions(Reach):
    """Those of the broker; data is for everybody, so that no key is needed.

    Attributes:
        key, secret, password: may be there, as in the broker's options, and are never sent.
    """

    key: Secret | None = None
    secret: Secret | None = None
    password: Secret | None = None
