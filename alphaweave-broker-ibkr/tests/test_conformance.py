"""The adapter passes the conformance kit at the sandbox."""

from __future__ import annotations

from typing import ClassVar

from alphaweave.testing import BrokerConformance
from alphaweave_broker_ibkr.sandbox.plugin import DEVIATIONS


class TestIbkr(BrokerConformance):
    adapter = "ibkr"
    deviations: ClassVar = DEVIATIONS
