"""The datafeed passes the conformance kit at the sandbox."""

from __future__ import annotations

from typing import ClassVar

from alphaweave.testing import DataFeedConformance


class TestIbkrFeed(DataFeedConformance):
    adapter = "ibkr"
    deviations: ClassVar = {}
