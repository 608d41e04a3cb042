"""The spellings of earlier configs: each is read as what stands for it today, with one line that says so."""

from __future__ import annotations

import re
from typing import Any, Final

from alphaweave.core.errors import Problem
from alphaweave.live.config_values import near
from alphaweave.live.secrets import join

__all__ = ["modernise"]

_DOTTED: Final = re.compile(r"([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)\.([A-Za-z_]\w*)", re.ASCII)


def modernise(raw: dict[str, Any]) -> tuple[tuple[str, ...], list[Problem]]:
    """Rewrite a raw config in place.

    Returns:
        A line for each older spelling, and a problem for each that stands beside its newer one.
    """
    change = _Change(raw)
    change.datafeed()
    change.broker()
    change.strategy()
    change.monitor()
    change.risk()
    return tuple(change.lines), change.problems


class _Change:
    def __init__(self, raw: dict[str, Any]) -> None:
        self.raw = raw
        self.lines: list[str] = []
        self.problems: list[Problem] = []

    def section(self, name: str) -> dict[str, Any]:
        """The section, or an empty one that is not in the config, for one that is missing or no mapping."""
        section = self.raw.get(name)
        return section if isinstance(section, dict) else {}

    def move(self, old: str, value: Any, *new: str, note: str = "") -> None:
        """Put the value where it belongs today, unless something is there."""
        path = ""
        node: Any = self.raw
        for step in new[:-1]:
            path = join(path, step)
            if node.get(step) is None:
                node[step] = {}
            node = node[step]
            if not isinstance(node, dict):
                self.problems.append(Problem(old, f"belongs into {path}, which is not a mapping."))
                return
        path = join(path, new[-1])
        if node.get(new[-1]) is not None:
            self.problems.append(
                Problem(old, f"is the older spelling of {path}, which is there too; keep that.")
            )
            return
        node[new[-1]] = value
        self.lines.append(f"{old} is now {path}{note}")

    def datafeed(self) -> None:
        feed = self.section("datafeed")
        older = {key: feed.pop(key) for key in ("type", "path", "symbols", "capital") if key in feed}
        if older.get("type") is not None:
            self.move("datafeed.type", older["type"], "datafeed", "name")
        elif "path" in older and feed.get("name") is None:
            feed["name"] = "replay"
        if older.get("path") is not None:
            note = ", relative to the config file's folder"
            self.move(
                "datafeed.path",
                older["path"],
                "datafeed",
                "options",
                str(feed.get("name")),
                "path",
                note=note,
            )
        if older.get("symbols") is not None:
            symbols = older["symbols"]
            self.move("datafeed.symbols", [symbols] if isinstance(symbols, str) else symbols, "instruments")
        if older.get("capital") is not None:
            self.move("datafeed.capital", older["capital"], "run", "capital")

    def broker(self) -> None:
        broker = self.section("broker")
        extra = broker.pop("extra", None)
        if extra is not None:
            self.move("broker.extra", extra, "broker", "options", str(broker.get("name")))

    def strategy(self) -> None:
        strategy = self.section("strategy")
        written = strategy.get("class")
        match = _DOTTED.fullmatch(written) if isinstance(written, str) else None
        if match:
            strategy["class"] = f"{match[1]}:{match[2]}"
            self.lines.append(f"strategy.class {written} is now written {strategy['class']}")

    def monitor(self) -> None:
        if "monitor" not in self.raw:
            return
        older = self.raw.pop("monitor") or {}
        if not isinstance(older, dict):
            self.problems.append(Problem("monitor", "unknown key.", "monitors"))
            return
        known = {"dashboard_html": "path", "dashboard_title": "title"}
        for key in older:
            if key not in known:
                self.problems.append(Problem(join("monitor", key), "unknown key.", near(key, list(known))))
        if older.get("dashboard_html") is None:
            self.lines.append("monitor is now monitors; without a dashboard_html it asked for nothing")
            return
        options = {today: older[key] for key, today in known.items() if older.get(key) is not None}
        entries = self.raw.get("monitors")
        if entries is None:
            entries = self.raw["monitors"] = []
        if not isinstance(entries, list):
            self.problems.append(Problem("monitor", "belongs into monitors, which is not a list."))
            return
        entries.append({"name": "dashboard", "options": {"dashboard": options}})
        self.lines.append(
            "monitor.dashboard_html and dashboard_title are now an entry of monitors, named dashboard"
        )

    def risk(self) -> None:
        risk = self.section("risk")
        if risk.get("max_capital") is None:
            return
        if self.section("run").get("capital") is None:
            self.move("risk.max_capital", risk.pop("max_capital"), "run", "capital")
        else:
            self.lines.append("risk.max_capital is now run.capital, which caps the equity that is used")
