"""What the entry point names: the record of the datafeed `binance`."""

from __future__ import annotations

from collections.abc import Iterable

from alphaweave.live.adapters.base import Services
from alphaweave.live.datafeed import DataFeed
from alphaweave.live.hookspecs import hookimpl
from alphaweave.live.plugins import DatafeedPlugin
from alphaweave_broker_binance.feed_settings import FEED_CAPABILITIES, BinanceFeedOptions

__all__ = ["alphaweave_datafeeds"]


def _create(options: BinanceFeedOptions, services: Services) -> DataFeed:
    # Binance's library takes a while to import; who only lists plugins need not wait.
    from alphaweave_broker_binance.feed import BinanceFeed

    return BinanceFeed(options, services)


@hookimpl
def alphaweave_datafeeds() -> Iterable[DatafeedPlugin]:
    yield DatafeedPlugin(
        name="binance",
        create=_create,
        capabilities=FEED_CAPABILITIES,
        options=BinanceFeedOptions,
        summary="Binance spot: bars, trades and quotes, without a key",
    )
