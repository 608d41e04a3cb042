"""The datafeed passes the conformance kit at the sandbox."""

from __future__ import annotations

from typing import ClassVar

from alphaweave.testing import DataFeedConformance
from alphaweave_broker_binance.sandbox.plugin import DEVIATIONS


class TestBinanceFeed(DataFeedConformance):
    adapter = "binance"
    deviations: ClassVar = DEVIATIONS
