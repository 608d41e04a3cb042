"""The monitors that core ships pass the conformance kit."""

from __future__ import annotations

from alphaweave.testing import MonitorConformance


class TestMemory(MonitorConformance):
    adapter = "memory"


class TestDashboard(MonitorConformance):
    adapter = "dashboard"


class TestJsonl(MonitorConformance):
    adapter = "jsonl"


class TestPrometheus(MonitorConformance):
    adapter = "prometheus"
