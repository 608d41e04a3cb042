"""The adapter passes the conformance kit at the sandbox."""

from __future__ import annotations

from typing import ClassVar

from alphaweave.testing import BrokerConformance

_NAMES = "Alpaca gives the exits of a group client order ids of its own, and the case looks for ours"


class TestAlpaca(BrokerConformance):
    adapter = "alpaca"
    deviations: ClassVar = {
        "BRK-130": "Alpaca takes an amount of money only for what it sells in fractions; the case gives one "
        "for a stock that is traded whole, which the adapter refuses unsent",
        "BRK-310": _NAMES,
        "BRK-315": _NAMES,
    }
