"""What the entry points name: the records of `mock` and `paper`."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any

from alphaweave.live.adapters.base import Services
from alphaweave.live.hookspecs import hookimpl
from alphaweave.live.plugins import BrokerPlugin, SandboxPlugin
from alphaweave.sim.capabilities import SIM_CAPABILITIES
from alphaweave_broker_mock.adapter import MockBrokerAdapter, PaperBrokerAdapter, SimulatedBroker
from alphaweave_broker_mock.options import MockOptions, PaperOptions
from alphaweave_broker_mock.venue import make_venue

__all__ = ["alphaweave_brokers", "alphaweave_sandboxes"]


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


@hookimpl
def alphaweave_sandboxes() -> Iterable[SandboxPlugin]:
    for kind in (MockBrokerAdapter, PaperBrokerAdapter):
        yield SandboxPlugin(
            name=kind.name,
            create=partial(_sandbox, kind),
            summary="the simulated venue under control, in this process, for the conformance kit",
        )


def _sandbox(kind: type[SimulatedBroker], options: object, services: Services) -> Any:
    # The kit is no part of a run.
    from alphaweave_broker_mock.sandbox import MockSandbox

    return MockSandbox(kind, options, services)
