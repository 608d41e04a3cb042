"""What the entry point names: the record of the datafeed `alpaca`."""

from __future__ import annotations

from collections.abc import Iterable

from alphaweave.live.adapters.base import Services
from alphaweave.live.datafeed import DataFeed
from alphaweave.live.hookspecs import hookimpl
from alphaweave.live.plugins import DatafeedPlugin
from alphaweave_broker_alpaca.feed_settings import FEED_CAPABILITIES, AlpacaFeedOptions

__all__ = ["alphaweave_datafeeds"]


def _create(options: AlpacaFeedOptions, services: Services) -> DataFeed:
    # Alpaca's library takes a second to import; who only lists plugins need not wait.
    from alphaweave_broker_alpaca.feed import AlpacaFeed

    return AlpacaFeed(options, services)


@hookimpl
def alphaweave_datafeeds() -> Iterable[DatafeedPlugin]:
    yield DatafeedPlugin(
        name="alpaca",
        create=_create,
        capabilities=FEED_CAPABILITIES,
        options=AlpacaFeedOptions,
        summary="Alpaca: bars, trades and quotes of US stocks (iex, sip) and crypto",
    )
