"""The monitor that Prometheus scrapes. Needs prometheus-client, which the extra ``[metrics]`` brings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any, Final

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from alphaweave.core.clock import Clock, SystemClock
from alphaweave.core.order import OrderStatus
from alphaweave.monitoring.monitor import Alert, BarSnapshot, OrderRecord, RunSummary, TradeRecord
from alphaweave.monitoring.status import EngineStatus

__all__ = ["PrometheusMonitor"]

_HOST: Final = "127.0.0.1"
_STATES: Final = ("active", "reducing", "halted")
_COUNTED: Final = ("denied", "rejected", "unknown")
_ENDED: Final = frozenset(status.value for status in OrderStatus if status.terminal)
# Enough to know a late word about an order from a new order.
_REMEMBERED: Final = 10_000
_CLIENT_SECONDS: Final = 10


class PrometheusMonitor:
    """Serves ``/metrics``, ``/live`` and ``/ready`` on 127.0.0.1 from the start of a run to its end.

    ``/live`` answers 503 once the engine has not told its status, or its core was busy with one input, for
    ``silent_seconds``; ``/ready`` also unless the run trades: started, not ended, in the state ``active``,
    its orders not held back, and, with ``max_lag_seconds``, with a bar no older than that. The body gives
    the reasons.

    Attributes:
        port: where it serves; the one that was found free where 0 was asked for.
    """

    def __init__(
        self,
        port: int,
        *,
        clock: Clock | None = None,
        silent_seconds: float = 30.0,
        max_lag_seconds: float | None = None,
    ) -> None:
        self.port = port
        self._clock = clock or SystemClock()
        self._silent_seconds = silent_seconds
        self._max_lag_seconds = max_lag_seconds
        self._lock = Lock()
        self._server: ThreadingHTTPServer | None = None
        self._running = False
        self._bar: BarSnapshot | None = None
        self._peak = 0.0
        self._fills = 0
        self._open: dict[str, str] = {}
        self._past: dict[str, None] = {}
        self._orders = Counter(dict.fromkeys(_COUNTED, 0))
        self._alerts: Counter[tuple[str, str]] = Counter()
        self._status: EngineStatus | None = None
        self._heard_at = 0.0
        self._registry = CollectorRegistry()
        self._registry.register(_Figures(self))

    def on_run_start(self, meta: Mapping[str, Any]) -> None:
        """Raises OSError where the port is taken."""
        with self._lock:
            self._running = True
        if self._server is not None:
            return
        try:
            self._server = ThreadingHTTPServer((_HOST, self.port), _handler(self))
        except OSError as error:
            text = f"cannot serve metrics on {_HOST}:{self.port}: {error.strerror}; set another port"
            raise OSError(error.errno, text) from error
        self.port = self._server.server_address[1]
        # The end of a run waits for as long as the server takes to look up.
        serve = partial(self._server.serve_forever, poll_interval=0.05)
        Thread(target=serve, name="prometheus", daemon=True).start()

    def on_bar(self, snapshot: BarSnapshot) -> None:
        with self._lock:
            self._bar = snapshot
            self._peak = max(self._peak, snapshot.equity)

    def on_trade(self, trade: TradeRecord) -> None:
        with self._lock:
            self._fills += 1

    def on_order(self, order: OrderRecord) -> None:
        with self._lock:
            known = order.order_id in self._past
            changed = not known and self._open.get(order.order_id) != order.status
            if changed and order.status in _COUNTED:
                self._orders[order.status] += 1
            if order.status not in _ENDED:
                if not known:
                    self._open[order.order_id] = order.status
                return
            self._open.pop(order.order_id, None)
            self._past[order.order_id] = None
            if len(self._past) > _REMEMBERED:
                del self._past[next(iter(self._past))]

    def on_metric(self, name: str, value: float, timestamp: datetime) -> None:
        """What a strategy logs is its own affair: nothing bounds its names."""

    def on_alert(self, alert: Alert) -> None:
        with self._lock:
            self._alerts[alert.code, alert.severity] += 1

    def on_status(self, status: EngineStatus) -> None:
        with self._lock:
            self._status = status
            self._heard_at = self._clock.monotonic()

    def on_run_end(self, summary: RunSummary) -> None:
        with self._lock:
            self._running = False
        server, self._server = self._server, None
        if server is not None:
            server.shutdown()
            server.server_close()

    def text(self) -> bytes:
        """The figures, as Prometheus reads them."""
        return generate_latest(self._registry)

    def figures(self) -> Iterator[Metric]:
        """Everything at one instant."""
        with self._lock:
            yield from self._books()
            yield from self._order_figures()
            alerts = CounterMetricFamily("alphaweave_alerts", "Alerts.", labels=("code", "severity"))
            for labels, count in self._alerts.items():
                alerts.add_metric(labels, count)
            yield alerts
            yield from self._engine()

    def silent(self) -> str | None:
        """Why the engine is taken for dead; None while it lives."""
        with self._lock:
            if self._status is None or not self._running:
                return None
            seconds = self._clock.monotonic() - self._heard_at
            busy = self._status.kernel_busy_seconds
        if seconds > self._silent_seconds:
            return f"the engine was last heard {seconds:.0f} s ago"
        if busy > self._silent_seconds:
            return f"strategy or journal have been busy with one input for {busy:.0f} s"
        return None

    def unready(self) -> list[str]:
        """Why the run does not trade now; empty when it does."""
        silent = self.silent()
        found = [] if silent is None else [silent]
        with self._lock:
            if not self._running:
                found.append("no run is on")
            if self._status is not None and self._status.trading_state != "active":
                found.append(f"the trading state is {self._status.trading_state}")
            if self._status is not None and self._status.held is not None:
                found.append(f"orders are held back: {self._status.held}")
            if self._max_lag_seconds is not None:
                lag = self._lag()
                if lag is None:
                    found.append("no bar yet")
                elif lag > self._max_lag_seconds:
                    found.append(f"the last bar is {lag:.0f} s old")
        return found

    def _lag(self) -> float | None:
        bar = self._bar
        return None if bar is None else (self._clock.now() - bar.timestamp).total_seconds()

    def _books(self) -> Iterator[Metric]:
        bar, lag = self._bar, self._lag()
        if bar is None or lag is None:
            return
        drawdown = 1.0 - bar.equity / self._peak if self._peak > 0 else 0.0
        for name, text, value in (
            ("equity", "Equity, in the run's currency.", bar.equity),
            ("cash", "Cash, in the run's currency.", bar.cash),
            ("gross_exposure", "Sum of absolute position values.", bar.gross),
            ("net_exposure", "Sum of signed position values.", bar.net),
            ("drawdown", "Loss since the highest equity this process has seen; 0.1 is 10 %.", drawdown),
            (
                "last_bar_timestamp_seconds",
                "End of the last bar.",
                bar.timestamp.timestamp(),
            ),
            ("bar_lag_seconds", "Time since the end of the last bar.", lag),
        ):
            yield GaugeMetricFamily(f"alphaweave_{name}", text, value)

    def _order_figures(self) -> Iterator[Metric]:
        unknown = sum(status == "unknown" for status in self._open.values())
        yield GaugeMetricFamily("alphaweave_open_orders", "Orders that may still fill.", len(self._open))
        yield GaugeMetricFamily("alphaweave_open_orders_unknown", "Orders with an unknown outcome.", unknown)
        yield CounterMetricFamily("alphaweave_fills", "Fills.", self._fills)
        for status, text in zip(
            _COUNTED,
            ("Orders denied on this machine.", "Orders the broker refused.", "Orders that became unknown."),
            strict=True,
        ):
            yield CounterMetricFamily(f"alphaweave_orders_{status}", text, self._orders[status])

    def _engine(self) -> Iterator[Metric]:
        if self._status is None:
            return
        states = GaugeMetricFamily("alphaweave_trading_state", "1 for the state it is in.", labels=("state",))
        for state in _STATES:
            states.add_metric((state,), state == self._status.trading_state)
        yield states
        text = "For how long strategy or journal have been busy with one input."
        yield GaugeMetricFamily("alphaweave_kernel_busy_seconds", text, self._status.kernel_busy_seconds)
        drops = CounterMetricFamily(
            "alphaweave_monitor_drops", "What a monitor was never told.", labels=("monitor",)
        )
        for monitor, count in self._status.drops.items():
            drops.add_metric((monitor,), count)
        yield drops


class _Figures(Collector):
    def __init__(self, monitor: PrometheusMonitor) -> None:
        self._monitor = monitor

    def collect(self) -> Iterator[Metric]:
        return self._monitor.figures()

    def describe(self) -> Iterator[Metric]:
        """Nothing: the names are known only when asked for."""
        return iter(())


def _handler(monitor: PrometheusMonitor) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = _CLIENT_SECONDS

        def do_GET(self) -> None:
            # A page on the web may have its own name point here; it must not read an account's equity.
            host = self.headers.get("Host", "").rpartition(":")[0] or self.headers.get("Host", "")
            if host not in {_HOST, "localhost"}:
                self._answer(403, b"only for this machine\n")
            elif self.path == "/metrics":
                self._answer(200, monitor.text(), CONTENT_TYPE_LATEST)
            elif self.path == "/live":
                self._say([silent] if (silent := monitor.silent()) else [])
            elif self.path == "/ready":
                self._say(monitor.unready())
            else:
                self._answer(404, b"there are /metrics, /live and /ready\n")

        def _say(self, reasons: list[str]) -> None:
            text = "".join(f"{reason}\n" for reason in reasons) or "ok\n"
            self._answer(503 if reasons else 200, text.encode())

        def _answer(self, code: int, body: bytes, kind: str = "text/plain; charset=utf-8") -> None:
            self.send_response(code)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Nothing: a scrape every few seconds is no news."""

    return Handler
