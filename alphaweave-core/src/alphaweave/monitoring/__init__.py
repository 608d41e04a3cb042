"""Watching a run: the Monitor contract, recorders, metrics and reports."""

from alphaweave.monitoring.memory import InMemoryMonitor
from alphaweave.monitoring.monitor import Monitor
from alphaweave.monitoring.run import RunMonitor

__all__ = ["InMemoryMonitor", "Monitor", "RunMonitor"]
