"""What the entry point names: the record of the datafeed `ibkr`."""

from __future__ import annotations

from collections.abc import Iterable

from alphaweave.live.adapters.base import Services
from alphaweave.live.datafeed import DataFeed
from alphaweave.live.hookspecs import hookimpl
from alphaweave.live.plugins import DatafeedPlugin
from alphaweave_broker_ibkr.feed_settings import FEED_CAPABILITIES, IbkrFeedOptions

__all__ = ["alphaweave_datafeeds"]


def _create(options: IbkrFeedOptions, services: Services) -> DataFeed:
    # ib_async takes a while to import; who only lists plugins need not wait.
    from alphaweave_broker_ibkr.feed import IbkrFeed

    return IbkrFeed(options, services)


@hookimpl
def alphaweave_datafeeds() -> Iterable[DatafeedPlugin]:
    yield DatafeedPlugin(
        name="ibkr",
        create=_create,
        capabilities=FEED_CAPABILITIES,
        options=IbkrFeedOptions,
        summary="Interactive Brokers: bars, trades and quotes, through TWS or IB Gateway",
    )
