"""The conformance suite of datafeeds."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager

from alphaweave.live.plugins import DatafeedPlugin
from alphaweave.live.registry import Registry
from alphaweave.testing.cases_feed import FeedStreamCases
from alphaweave.testing.cases_feed_history import FeedHistoryCases
from alphaweave.testing.feed_bench import FeedBench, feed_bench
from alphaweave.testing.feed_venue import FeedControl
from alphaweave.testing.suite import Suite

__all__ = ["DataFeedConformance"]


class DataFeedConformance(FeedStreamCases, FeedHistoryCases, Suite):
    """What a datafeed has to keep, case by case. See `alphaweave.testing`."""

    @classmethod
    def record(cls) -> DatafeedPlugin:
        """The record of ``adapter``, found through its entry point, unless ``plugin`` is one.

        Raises:
            AdapterError: nobody offers it, or it cannot be trusted.
        """
        plugin: DatafeedPlugin | None = cls.plugin
        return Registry().datafeed(cls.adapter) if plugin is None else plugin

    @classmethod
    def bench(cls, venue: FeedControl) -> AbstractAsyncContextManager[FeedBench]:
        return feed_bench(cls.record(), venue)
