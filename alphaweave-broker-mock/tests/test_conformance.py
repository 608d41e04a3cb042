"""Both brokers pass the conformance kit at their own venue."""

from __future__ import annotations

from alphaweave.testing import BrokerConformance


class TestMock(BrokerConformance):
    adapter = "mock"


class TestPaper(BrokerConformance):
    adapter = "paper"
