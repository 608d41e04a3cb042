"""What the entry point names: the record of the broker `alpaca`."""

from __future__ import annotations

from collections.abc import Iterable

from alphaweave.live.adapters.base import BrokerAdapter, Services
from alphaweave.live.hookspecs import hookimpl
from alphaweave.live.plugins import BrokerPlugin
from alphaweave_broker_alpaca.settings import ALPACA_CAPABILITIES, AlpacaOptions

__all__ = ["alphaweave_brokers"]


def _create(options: AlpacaOptions, services: Services) -> BrokerAdapter:
    # Alpaca's library takes a second to import; who only lists plugins need not wait.
    from alphaweave_broker_alpaca.adapter import AlpacaAdapter

    return AlpacaAdapter(options, services)


@hookimpl
def alphaweave_brokers() -> Iterable[BrokerPlugin]:
    yield BrokerPlugin(
        name="alpaca",
        create=_create,
        capabilities=ALPACA_CAPABILITIES,
        options=AlpacaOptions,
        summary="Alpaca: US stocks and crypto, on a paper or a live account",
    )
