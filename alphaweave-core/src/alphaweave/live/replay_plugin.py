"""The datafeed ``replay``: recorded bars from CSV or Parquet files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal

from attrs import field, frozen
from attrs.validators import in_

from alphaweave.live.adapters.base import Services
from alphaweave.live.datafeed import ReplayDataFeed
from alphaweave.live.hookspecs import hookimpl
from alphaweave.live.plugins import DatafeedPlugin

__all__ = ["ReplayOptions", "alphaweave_datafeeds", "create"]


@frozen(kw_only=True)
class ReplayOptions:
    """Options of the datafeed ``replay``.

    Attributes:
        path: a CSV or Parquet file, or a folder of them; a relative one starts at the config's folder.
        symbols: which to load where the config names no instruments; null loads all there are.
        columns: fields (time, open, high, low, close, volume, adj_close, symbol) to header texts, for
            headers that are not understood by themselves.
        stamp: whether a bar's time stamp is its start or its end.
        date_order: how to read a date like 03/04/2020, mdy or dmy; null refuses where no date tells.
        adjust: multiply the prices by adjusted close / close.
    """

    path: Path
    symbols: tuple[str, ...] | None = None
    columns: Mapping[str, str] | None = None
    stamp: Literal["start", "end"] = field(default="start", validator=in_(("start", "end")))
    date_order: Literal["mdy", "dmy"] | None = field(default=None, validator=in_(("mdy", "dmy", None)))
    adjust: bool = False


def create(options: ReplayOptions, services: Services) -> ReplayDataFeed:
    """Load the bars; ``series.report`` of the feed says what the loader adjusted.

    Raises:
        DataError: the data break a rule, or a symbol is missing.
    """
    # The loader brings half of core with it, and whoever lists plugins needs none of that.
    from alphaweave.data.loaders import load_bars

    bars = load_bars(
        options.path,
        services.symbols or options.symbols,
        interval=services.interval,
        timezone=services.timezone,
        stamp=options.stamp,
        columns=options.columns,
        date_order=options.date_order,
        adjust=options.adjust,
    )
    feed = ReplayDataFeed(bars)
    # Not a plain copy: the loader's report travels with the bars, for whoever runs on them.
    feed.series = bars
    return feed


@hookimpl
def alphaweave_datafeeds() -> Iterable[DatafeedPlugin]:
    yield DatafeedPlugin(
        name="replay",
        create=create,
        capabilities=ReplayDataFeed.capabilities,
        options=ReplayOptions,
        summary="recorded bars from CSV or Parquet files",
    )
