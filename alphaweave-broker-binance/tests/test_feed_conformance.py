"""The datafeed passes the conformance kit at the sandbox."""

from __future__ import annotations

from typing import ClassVar

from alphaweave.testing import DataFeedConformance

_NO_KEY = "Binance's market data is for everybody: no key is sent, and so none is refused"


class TestBinanceFeed(DataFeedConformance):
    adapter = "binance"
    deviations: ClassVar = {"FEED-025": _NO_KEY, "FEED-515": _NO_KEY}
