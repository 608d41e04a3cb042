"""What the entry points name: the records of `mock` and `paper`."""

from __future__ import annotations

from collections.abc import Iterable

from alphaweave.live.hookspecs import hookimpl
from alphaweave.live.plugins import BrokerPlugin
from alphaweave.sim.capabilities import SIM_CAPABILITIES
from alphaweave_broker_mock.adapter import MockBrokerAdapter, PaperBrokerAdapter
from alphaweave_broker_mock.options import MockOptions, PaperOptions
from alphaweave_broker_mock.venue import make_venue

__all__ = ["alphaweave_brokers"]


@hookimpl
def alphaweave_brokers() -> Iterable[BrokerPlugin]:
    yield BrokerPlugin(
        name="mock",
        create=MockBrokerAdapter,
        capabilities=SIM_CAPABILITIES,
        options=MockOptions,
        venue=make_venue,
        summary="simulated: fills at once at the last price, for tests and first steps",
    )
    yield BrokerPlugin(
        name="paper",
        create=PaperBrokerAdapter,
        capabilities=SIM_CAPABILITIES,
        options=PaperOptions,
        venue=make_venue,
        summary="simulated: fills at the next bar's open, with fees, slippage and limited cash",
    )
