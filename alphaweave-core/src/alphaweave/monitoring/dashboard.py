"""One self-contained page about a run: it works from disk, offline, and asks the network for nothing."""

from __future__ import annotations

import os
from base64 import b64encode
from collections.abc import Mapping
from datetime import datetime
from errno import EEXIST
from functools import cache
from hashlib import sha256
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from alphaweave.core.outputs import PAGE_MARK, OutputKind, objection, real_path
from alphaweave.monitoring.dashboard_config import config_text
from alphaweave.monitoring.dashboard_data import encode, page_data
from alphaweave.monitoring.dashboard_page import body
from alphaweave.monitoring.dates import BarDates
from alphaweave.monitoring.memory import InMemoryMonitor
from alphaweave.monitoring.monitor import (
    Alert,
    BarColumns,
    BarSnapshot,
    OrderRecord,
    RunSummary,
    TradeRecord,
)
from alphaweave.monitoring.run import RunMonitor

__all__ = ["DashboardMonitor", "DashboardPage", "generate_html_dashboard", "write_dashboard"]

_SCRIPTS: Final = ("numbers.js", "data.js", "chart.js", "timeline.js", "table.js", "main.js")


def generate_html_dashboard(
    run: RunMonitor, *, title: str | None = None, config: Mapping[str, Any] | None = None
) -> str:
    """The page: equity and drawdown, exposure, turnover, trades on price, records, figures, config.

    The same run gives the same page. A run without bars, or one that is still going on, gives one too.

    Args:
        title: heading; the strategy's name without one.
        config: shown with its secrets redacted; the run's own without one.
    """
    dates = BarDates.of(run.meta, run.memory.bars.columns.ends)
    data = page_data(run, dates)
    heading = title or str(run.meta.get("strategy") or run.meta.get("run_id") or "AlphaWeave run")
    shown = run.meta.get("config") if config is None else config
    style, script = _style(), _script()
    policy = (
        f"default-src 'none'; style-src '{_source_hash(style)}'; script-src '{_source_hash(script)}'; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )
    content = body(run, title=heading, config=config_text(shown) if shown else "", dates=dates)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f"{PAGE_MARK}\n"
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n<link rel="icon" href="data:,">\n'
        f"<title>{escape(heading)}</title>\n<style>{style}</style>\n</head>\n<body>\n{content}\n"
        f'<script type="text/plain" id="data">{encode(data)}</script>\n'
        f"<script>{script}</script>\n</body>\n</html>\n"
    )


def write_dashboard(
    path: str | Path,
    run: RunMonitor,
    *,
    title: str | None = None,
    config: Mapping[str, Any] | None = None,
) -> Path:
    """Write the page atomically, and its folder if need be; a reader sees the old page or the new one.

    A symbolic link is written through.

    Raises:
        FileExistsError: what is there is no page of AlphaWeave.
        OSError: the file cannot be written.
    """
    what = objection(path, OutputKind.DASHBOARD)
    if what is not None:
        raise FileExistsError(EEXIST, f"the dashboard is not written: the path {what}", str(path))
    target = real_path(path)
    page = generate_html_dashboard(run, title=title, config=config)
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        partial.write_text(page, encoding="utf-8", newline="\n")
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
    return Path(path)


class DashboardMonitor(InMemoryMonitor):
    """Records a run, and writes its page when it ends, however it ends.

    Attributes:
        path: where the page goes.
        title: heading of the page; empty for the strategy's name.
    """

    def __init__(self, path: str | Path, title: str = "") -> None:
        super().__init__()
        self.path = Path(path)
        self.title = title

    def on_run_end(self, summary: RunSummary) -> None:
        super().on_run_end(summary)
        write_dashboard(self.path, RunMonitor(self), title=self.title)

    def of(self, memory: InMemoryMonitor) -> DashboardPage:
        """The same page of a run that another monitor records, so that it is not recorded twice."""
        return DashboardPage(self.path, self.title, memory)


class DashboardPage:
    """Writes the page of a run when it ends, from what another monitor recorded, which is told before.

    Attributes:
        path, title: as of `DashboardMonitor`.
        memory: the record.
    """

    def __init__(self, path: Path, title: str, memory: InMemoryMonitor) -> None:
        self.path = path
        self.title = title
        self.memory = memory
        self._resumed = False

    def on_run_start(self, meta: Mapping[str, Any]) -> None:
        self._resumed = bool(meta.get("resumed"))

    def on_bar(self, snapshot: BarSnapshot) -> None: ...

    def on_bars(self, columns: BarColumns) -> None: ...

    def on_trade(self, trade: TradeRecord) -> None: ...

    def on_order(self, order: OrderRecord) -> None: ...

    # Records that nobody has made yet are not made for a page's sake.
    def on_trade_draft(self, draft: object) -> None: ...

    def on_order_draft(self, draft: object) -> None: ...

    def on_metric(self, name: str, value: float, timestamp: datetime) -> None: ...

    def on_alert(self, alert: Alert) -> None: ...

    def on_run_end(self, summary: RunSummary) -> None:
        if self._resumed and not len(self.memory.bars):
            return  # it could not go on, and the page that is there shows how far it came
        write_dashboard(self.path, RunMonitor(self.memory), title=self.title)


def _source_hash(source: str) -> str:
    return "sha256-" + b64encode(sha256(source.encode()).digest()).decode("ascii")


@cache
def _style() -> str:
    return _asset("dashboard.css")


@cache
def _script() -> str:
    sources = "\n".join(_asset(name) for name in _SCRIPTS)
    return f'(() => {{\n"use strict";\n{sources}}})();\n'


def _asset(name: str) -> str:
    return files("alphaweave.monitoring").joinpath("assets", name).read_text(encoding="utf-8")
