"""The adapter passes the conformance kit at the sandbox."""

from __future__ import annotations

from alphaweave.testing import BrokerConformance


class TestBinance(BrokerConformance):
    adapter = "binance"
