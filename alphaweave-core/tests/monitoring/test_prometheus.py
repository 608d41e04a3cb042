"""The exporter, scraped over the loopback as Prometheus does it."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from http.client import HTTPConnection

import prometheus_client
import pytest
from prometheus_client.parser import text_string_to_metric_families

from alphaweave.core.clock import ManualClock
from alphaweave.monitoring.monitor import Alert, BarSnapshot, OrderRecord, RunSummary, TradeRecord
from alphaweave.monitoring.prometheus import PrometheusMonitor
from alphaweave.monitoring.status import EngineStatus

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)


@pytest.fixture
def clock() -> ManualClock:
    made = ManualClock()
    made.set(NOON)
    return made


@pytest.fixture
def monitor(clock: ManualClock) -> Iterator[PrometheusMonitor]:
    """Serving on a port that was free."""
    made = PrometheusMonitor(0, clock=clock, silent_seconds=30, max_lag_seconds=90)
    made.on_run_start({})
    yield made
    end(made)


def end(monitor: PrometheusMonitor) -> None:
    monitor.on_run_end(RunSummary("r", "finished", 0, 0, 0, 0, 0, 1.0, 1.0))


def get(monitor: PrometheusMonitor, path: str, host: str | None = None) -> tuple[int, str]:
    connection = HTTPConnection("127.0.0.1", monitor.port, timeout=10)
    try:
        connection.request("GET", path, headers={"Host": host or f"127.0.0.1:{monitor.port}"})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def figures(monitor: PrometheusMonitor) -> dict[tuple[str, ...], float]:
    status, text = get(monitor, "/metrics")
    assert status == 200
    return {
        (sample.name.removeprefix("alphaweave_"), *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def bar(equity: float, when: datetime = NOON) -> BarSnapshot:
    return BarSnapshot(when, 0, {"SPY": 10.0}, equity, 40.0, 60.0, -20.0, {"SPY": 6.0})


def order(number: str, status: str) -> OrderRecord:
    return OrderRecord(NOON, number, "SPY", "buy", "market", "day", status, Decimal(1), Decimal(0))


def test_books_are_exported(monitor: PrometheusMonitor, clock: ManualClock) -> None:
    """Equity, cash, exposure, drawdown since the peak, and how old the last bar is."""
    monitor.on_bar(bar(200.0))
    monitor.on_bar(bar(150.0))
    clock.advance(12)
    told = figures(monitor)
    assert told["equity",] == 150.0
    assert told["cash",] == 40.0
    assert told["gross_exposure",] == 60.0
    assert told["net_exposure",] == -20.0
    assert told["drawdown",] == 0.25
    assert told["last_bar_timestamp_seconds",] == NOON.timestamp()
    assert told["bar_lag_seconds",] == 12.0


def test_orders_and_fills_are_counted(monitor: PrometheusMonitor) -> None:
    """A status counts when an order comes to it, not each time it is told; an end is an end."""
    for number, status in [
        ("a", "pending"),
        ("a", "unknown"),
        ("a", "unknown"),
        ("b", "accepted"),
        ("c", "denied"),
        ("d", "pending"),
        ("d", "rejected"),
        ("d", "rejected"),
        ("e", "accepted"),
        ("e", "filled"),
        ("e", "partially_filled"),
    ]:
        monitor.on_order(order(number, status))
    monitor.on_trade(TradeRecord(NOON, "SPY", "buy", 10.0, 1.0, 0.0, "e", "x", 1.0))
    told = figures(monitor)
    assert told["open_orders",] == 2
    assert told["open_orders_unknown",] == 1
    assert [told[f"orders_{status}_total",] for status in ("denied", "rejected", "unknown")] == [1, 1, 1]
    assert told["fills_total",] == 1
    monitor.on_order(order("a", "filled"))
    assert figures(monitor)["open_orders_unknown",] == 0


def test_alerts_state_and_drops_are_exported(monitor: PrometheusMonitor) -> None:
    """Alerts by code and severity, the one state it is in, and what monitors missed."""
    for _ in range(2):
        monitor.on_alert(Alert(NOON, "error", "stale_data", "no bar"))
    monitor.on_status(EngineStatus(NOON, "reducing", {"jsonl": 7}))
    told = figures(monitor)
    assert told["alerts_total", "stale_data", "error"] == 2
    assert [told["trading_state", state] for state in ("active", "reducing", "halted")] == [0, 1, 0]
    assert told["monitor_drops_total", "jsonl"] == 7


def test_replay_has_no_trading_state(monitor: PrometheusMonitor, clock: ManualClock) -> None:
    """Nothing is made up that nobody told; without a status nothing is taken for dead either."""
    clock.advance(1000)
    assert ("trading_state", "active") not in figures(monitor)
    assert ("equity",) not in figures(monitor)
    assert get(monitor, "/live") == (200, "ok\n")


def test_live_needs_a_word_of_the_engine(monitor: PrometheusMonitor, clock: ManualClock) -> None:
    """For 30 seconds a silence is nothing; then it is told, and ends with the next word."""
    monitor.on_status(EngineStatus(NOON, "active"))
    clock.advance(30)
    assert get(monitor, "/live") == (200, "ok\n")
    clock.advance(1)
    assert get(monitor, "/live") == (503, "the engine was last heard 31 s ago\n")
    assert get(monitor, "/ready")[0] == 503
    monitor.on_status(EngineStatus(NOON, "active"))
    assert get(monitor, "/live") == (200, "ok\n")


def test_live_needs_a_core_that_comes_on(monitor: PrometheusMonitor) -> None:
    """A loop that goes on beside a strategy that never comes back is no live engine."""
    monitor.on_bar(bar(1.0, NOON))
    monitor.on_status(EngineStatus(NOON, "active", kernel_busy_seconds=30.0))
    assert get(monitor, "/live") == get(monitor, "/ready") == (200, "ok\n")
    assert figures(monitor)["kernel_busy_seconds",] == 30.0
    monitor.on_status(EngineStatus(NOON, "active", kernel_busy_seconds=31.0))
    said = (503, "strategy or journal have been busy with one input for 31 s\n")
    assert get(monitor, "/live") == get(monitor, "/ready") == said


def test_ready_knows_of_a_hold(monitor: PrometheusMonitor) -> None:
    """What an operator has halted does not trade, although a busy strategy keeps the core from saying so."""
    monitor.on_bar(bar(1.0, NOON))
    monitor.on_status(EngineStatus(NOON, "active", held="ann said halt"))
    assert get(monitor, "/live") == (200, "ok\n")
    assert get(monitor, "/ready") == (503, "orders are held back: ann said halt\n")


def test_ready_is_a_run_that_trades(monitor: PrometheusMonitor, clock: ManualClock) -> None:
    """Active, with a bar that is not too old; every reason against it is given."""
    assert get(monitor, "/ready") == (503, "no bar yet\n")
    monitor.on_bar(bar(1.0, NOON - timedelta(seconds=90)))
    assert get(monitor, "/ready") == (200, "ok\n")
    clock.advance(1)
    monitor.on_status(EngineStatus(NOON, "halted"))
    assert get(monitor, "/ready") == (503, "the trading state is halted\nthe last bar is 91 s old\n")


def test_server_ends_with_the_run(monitor: PrometheusMonitor) -> None:
    """The port is free again, and the next run serves there."""
    port = monitor.port
    end(monitor)
    with pytest.raises(ConnectionRefusedError):
        get(monitor, "/live")
    again = PrometheusMonitor(port)
    again.on_run_start({})
    assert get(again, "/live") == (200, "ok\n")
    end(again)


def test_taken_port_is_told() -> None:
    """With what to do about it."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=f"cannot serve metrics on 127.0.0.1:{port}.*set another port"):
            PrometheusMonitor(port).on_run_start({})


def test_foreign_names_are_refused(monitor: PrometheusMonitor) -> None:
    """A page whose own name leads here cannot read an account; other paths lead nowhere."""
    assert get(monitor, "/metrics", "evil.example:80")[0] == 403
    assert get(monitor, "/metrics", "evil.example")[0] == 403
    assert get(monitor, "/metrics", "localhost")[0] == 200
    assert get(monitor, "/")[0] == 404


def test_two_exporters_share_nothing(monitor: PrometheusMonitor, clock: ManualClock) -> None:
    """Each has a registry of its own, and the library's global one stays as it was."""
    other = PrometheusMonitor(0, clock=clock)
    other.on_run_start({})
    monitor.on_alert(Alert(NOON, "info", "x", "text"))
    assert ("alerts_total", "x", "info") not in figures(other)
    assert b"alphaweave" not in prometheus_client.generate_latest()
    end(other)


def test_many_orders_are_forgotten(monitor: PrometheusMonitor) -> None:
    """What is remembered of ended orders is bounded."""
    for number in range(10_050):
        monitor.on_order(order(str(number), "filled"))
    assert len(monitor._past) == 10_000
