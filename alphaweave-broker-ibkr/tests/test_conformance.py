"""The adapter passes the conformance kit at the sandbox."""

from __future__ import annotations

from typing import ClassVar

from alphaweave.testing import BrokerConformance


class TestIbkr(BrokerConformance):
    adapter = "ibkr"
    deviations: ClassVar = {
        "BRK-550": "what became of a message that exceeds the rate is not documented: the order is looked up",
        "BRK-950": "the gateway tells nothing of money that moves: it is seen as a difference of cash",
    }
