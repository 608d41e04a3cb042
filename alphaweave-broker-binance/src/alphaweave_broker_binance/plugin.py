"""What the entry point names: the record of the broker `binance`."""

from __future__ import annotations

from collections.abc import Iterable

from alphaweave.live.adapters.base import BrokerAdapter, Services
from alphaweave.live.hookspecs import hookimpl
from alphaweave.live.plugins import BrokerPlugin
from alphaweave_broker_binance.settings import BINANCE_CAPABILITIES, BinanceOptions

__all__ = ["alphaweave_brokers"]


def _create(options: BinanceOptions, services: Services) -> BrokerAdapter:
    # Binance's library takes a while to import; who only lists plugins need not wait.
    from alphaweave_broker_binance.adapter import BinanceAdapter

    return BinanceAdapter(options, services)


@hookimpl
def alphaweave_brokers() -> Iterable[BrokerPlugin]:
    yield BrokerPlugin(
        name="binance",
        create=_create,
        capabilities=BINANCE_CAPABILITIES,
        options=BinanceOptions,
        summary="Binance spot: on a test network or a live account",
    )
