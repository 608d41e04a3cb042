"""The adapter passes the conformance kit at the sandbox."""

from __future__ import annotations

from typing import ClassVar

from alphaweave.testing import BrokerConformance


class TestAlpaca(BrokerConformance):
    adapter = "alpaca"
    deviations: ClassVar = {
        "BRK-135": "fractions good till cancelled are declared for crypto; of a stock Alpaca takes a "
        "fraction for the day only, and the adapter refuses any other unsent",
    }
