"""The datafeed ``replay``: recorded bars from CSV or Parquet files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal

from attrs import field, frozen
from attrs.validators import in_

from alphaweave.core.errors import ConfigError, OptionsError, Problem
from alphaweave.core.interval import parse_interval
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
        columns: fields (time, open, high, low, close, volume, adj_close, symbol) to header texts, for
            headers that are not understood by themselves.
        stamp: whether a bar's time stamp is its start or its end.
        date_order: how to read a date like 03/04/2020, mdy or dmy; null refuses where no date tells.
        adjust: multiply the prices by adjusted close / close.
        stream: read Parquet files a piece at a time and map the bars from a temporary file, so that they need
            not fit into memory; of bars of less than a day, in rising order of time.
    """

    path: Path
    columns: Mapping[str, str] | None = None
    stamp: Literal["start", "end"] = field(default="start", validator=in_(("start", "end")))
    date_order: Literal["mdy", "dmy"] | None = field(default=None, validator=in_(("mdy", "dmy", None)))
    adjust: bool = False
    stream: bool = False


def create(options: ReplayOptions, services: Services) -> ReplayDataFeed:
    """Load the bars; ``series.report`` of the feed says what the loader adjusted.

    Raises:
        DataError: the data break a rule, or a symbol is missing.
        ConfigError: the interval is ``tick``, or two symbols have one name in the files.
        OptionsError: ``columns`` names a field that bars do not have, or bars of a day are to be streamed.
    """
    # The loader brings half of core with it, and whoever lists plugins needs none of that.
    from alphaweave.data.columns import FIELDS
    from alphaweave.data.loaders import LoadedBars, load_bars

    if services.interval == "tick":
        text = (
            "the replay feed reads bars, which have an interval (1m, 1d, ...); tick is for feeds of trades."
        )
        raise ConfigError([Problem("datafeed.interval", text)])
    if options.stream and parse_interval(services.interval).days is not None:
        text = f"bars of {services.interval} are read whole; leave it out."
        raise OptionsError([Problem("datafeed.options.replay.stream", text)])
    unknown = [name for name in options.columns or {} if name not in FIELDS]
    if unknown:
        text = f"{unknown[0]!r} is not a field of a bar; columns takes {', '.join(FIELDS)}."
        raise OptionsError([Problem("datafeed.options.replay.columns", text)])
    names = {symbol: services.names.get(symbol, symbol) for symbol in services.symbols}
    doubled = [name for name, count in Counter(names.values()).items() if count > 1]
    if doubled:
        text = f"more than one symbol has the name {doubled[0]!r} in the bars; each needs its own."
        raise ConfigError([Problem("instruments", text)])
    bars = load_bars(
        options.path,
        tuple(names.values()) or None,
        interval=services.interval,
        timezone=services.timezone,
        stamp=options.stamp,
        columns=options.columns,
        date_order=options.date_order,
        adjust=options.adjust,
        stream=options.stream,
    )
    if names:
        bars = LoadedBars({symbol: bars[name] for symbol, name in names.items()}, bars.report)
        for symbol, one in bars.items():
            one.symbol = symbol
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
