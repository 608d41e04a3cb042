"""What the entry point names: the record of the broker `ibkr`."""

from __future__ import annotations

from collections.abc import Iterable

from alphaweave.live.adapters.base import BrokerAdapter, Services
from alphaweave.live.hookspecs import hookimpl
from alphaweave.live.plugins import BrokerPlugin
from alphaweave_broker_ibkr.settings import IBKR_CAPABILITIES, IbkrOptions

__all__ = ["alphaweave_brokers"]


def _create(options: IbkrOptions, services: Services) -> BrokerAdapter:
    # The client library takes a while to import; who only lists plugins need not wait.
    from alphaweave_broker_ibkr.adapter import IbkrAdapter

    return IbkrAdapter(options, services)


@hookimpl
def alphaweave_brokers() -> Iterable[BrokerPlugin]:
    yield BrokerPlugin(
        name="ibkr",
        create=_create,
        capabilities=IBKR_CAPABILITIES,
        options=IbkrOptions,
        summary="Interactive Brokers: stocks, futures, currencies and coins through TWS or IB Gateway",
    )
