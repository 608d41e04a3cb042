"""The monitors that core ships as plugins."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import cattrs
import pluggy
import pytest

from alphaweave.core.errors import RunRefused
from alphaweave.live import hookspecs
from alphaweave.live.adapters.base import Services
from alphaweave.live.plugins import MonitorPlugin
from alphaweave.monitoring import plugin
from alphaweave.monitoring.memory import InMemoryMonitor


@pytest.fixture
def records() -> dict[str, MonitorPlugin]:
    """What the hook hands back, by name."""
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    manager.register(plugin)
    manager.check_pending()
    return {record.name: record for records in manager.hook.alphaweave_monitors() for record in records}


def test_names_are_those_of_the_entry_points(records: dict[str, MonitorPlugin]) -> None:
    """Each record has an entry point of its name that leads to this module."""
    installed = {point.name: point.value for point in entry_points(group="alphaweave.monitors")}
    assert set(records) == {"memory", "dashboard", "jsonl", "prometheus"}
    assert {name: installed[name] for name in records} == dict.fromkeys(records, plugin.__name__)


def test_memory_monitor_records(records: dict[str, MonitorPlugin]) -> None:
    """It has no options and keeps everything."""
    record = records["memory"]
    monitor = record.create(record.options(), Services())
    assert type(monitor) is InMemoryMonitor


def test_dashboard_is_written_when_the_run_ends(
    records: dict[str, MonitorPlugin], scripted: Callable[..., Any], tmp_path: Path
) -> None:
    """The page appears at the end, in a folder that is made for it, under the configured title."""
    page = tmp_path / "reports" / "run.html"
    record = records["dashboard"]
    options: Any = cattrs.structure({"path": str(page), "title": "My run"}, record.options)
    monitor: Any = record.create(options, Services())
    run = scripted(bars=30)
    monitor.on_run_start(run.meta)
    run.tell(monitor)
    assert not page.exists()
    monitor.on_run_end(run.summary())
    assert "<title>My run</title>" in page.read_text(encoding="utf-8")


def test_failed_run_has_a_dashboard_too(
    records: dict[str, MonitorPlugin], scripted: Callable[..., Any], tmp_path: Path
) -> None:
    """What went wrong stands on the page; without a title the strategy's name is the heading."""
    record = records["dashboard"]
    monitor: Any = record.create(plugin.DashboardOptions(tmp_path / "run.html"), Services())
    run = scripted(bars=0)
    monitor.on_run_start(run.meta)
    monitor.on_run_end(run.summary(outcome="failed", error="the strategy raised in next"))
    text = (tmp_path / "run.html").read_text(encoding="utf-8")
    assert "<title>my_strategies:SmaCross</title>" in text
    assert "the strategy raised in next" in text


def test_dashboard_that_cannot_be_written_raises(
    records: dict[str, MonitorPlugin], scripted: Callable[..., Any], tmp_path: Path
) -> None:
    """The engine isolates a monitor's failure; the monitor does not hide it."""
    (tmp_path / "file").write_text("", encoding="utf-8")
    record = records["dashboard"]
    monitor: Any = record.create(plugin.DashboardOptions(tmp_path / "file" / "run.html"), Services())
    run = scripted(bars=1)
    monitor.on_run_start(run.meta)
    with pytest.raises(OSError, match="file"):
        monitor.on_run_end(run.summary())


def test_log_and_exporter_take_their_options(records: dict[str, MonitorPlugin], tmp_path: Path) -> None:
    """What the config says is what is made; what makes no sense is refused with the key's name."""
    log: Any = records["jsonl"]
    options = cattrs.structure({"path": str(tmp_path / "log"), "max_bytes": 10}, log.options)
    assert type(log.create(options, Services())).__name__ == "JsonLinesMonitor"
    exporter: Any = records["prometheus"]
    made = exporter.create(exporter.options(port=1234), Services())
    assert made.port == 1234
    for record, wrong in ((exporter, {"port": 65536}), (exporter, {"silent_seconds": 0}), (log, {"keep": 0})):
        given = {"path": tmp_path, **wrong} if record is log else wrong
        with pytest.raises(ValueError, match=f"'{next(iter(wrong))}'"):
            record.options(**given)


def test_exporter_without_its_extra_says_what_to_install(
    records: dict[str, MonitorPlugin], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run is refused before it starts."""
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    monkeypatch.delitem(sys.modules, "alphaweave.monitoring.prometheus", raising=False)
    exporter = records["prometheus"]
    with pytest.raises(RunRefused, match=r"pip install 'alphaweave-core\[metrics\]'"):
        exporter.create(exporter.options(), Services())


def test_plugin_module_is_light() -> None:
    """Looking at the records imports neither pandas nor numpy nor the dashboard."""
    program = (
        "import sys; from alphaweave.monitoring.plugin import alphaweave_monitors;"
        " [record.name for record in alphaweave_monitors()];"
        " print([name for name in ('pandas', 'numpy', 'rich', 'yaml', 'prometheus_client',"
        " 'alphaweave.monitoring.dashboard')"
        " if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
