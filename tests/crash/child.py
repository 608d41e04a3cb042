"""The run that is killed: `python -m crash.child PORT FOLDER [POINT COUNT]`.

It trades at the venue behind PORT, from where the journal in FOLDER stands, until it is killed or stopped.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from alphaweave.live.actions import Gate
from alphaweave.live.config import LiveConfig, parse_live_config
from alphaweave.live.plugins import BrokerPlugin, DatafeedPlugin
from alphaweave.live.runner import LiveRunner
from alphaweave.live.sending_line import SendingLine
from crash.adapter import CAPABILITIES, FEED_CAPABILITIES, Link, SocketBroker, SocketFeed
from crash.points import arm
from crash.strategy import SYMBOLS

__all__ = ["main"]


def main(port: int, folder: Path, point: str | None, count: int) -> int:
    """Run; the exit code."""
    come = arm(point, count)
    link = Link(port, "broker", come)
    _tell_of_gate(link)
    runner = LiveRunner(
        _config(folder),
        broker=BrokerPlugin(
            name="survivor",
            create=lambda options, services: SocketBroker(link, services),
            capabilities=CAPABILITIES,
        ),
        datafeed=DatafeedPlugin(
            name="survivor",
            create=lambda options, services: SocketFeed(Link(port, "feed")),
            capabilities=FEED_CAPABILITIES,
        ),
    )
    runner.run()
    assert runner.summary is not None
    assert runner.live is not None
    alerts = [f"{one.severity} {one.code}: {one.message}" for one in runner.memory.alerts]
    end = {"outcome": runner.summary.outcome, "cash": str(runner.summary.cash), "alerts": alerts}
    sys.stdout.write(json.dumps(end) + "\n")
    return 0


def _tell_of_gate(link: Link) -> None:
    """Have the venue told when the gate opens: from then on an order could leave."""
    set_gate = SendingLine.set_gate
    was_open = [False]

    def told(self: SendingLine, gate: Gate) -> None:
        set_gate(self, gate)
        if gate.open and not was_open[0]:
            # The venue is told by the loop, as soon as it comes to it.
            task = asyncio.ensure_future(link.tell("open"))
            task.add_done_callback(lambda done: done.result())
        was_open[0] = gate.open

    SendingLine.set_gate = told  # type: ignore[method-assign]


def _config(folder: Path) -> LiveConfig:
    raw: dict[str, Any] = {
        "run": {"id": "crash", "mode": "paper"},
        "instruments": list(SYMBOLS),
        "datafeed": {"name": "survivor", "interval": "1s"},
        "broker": {"name": "survivor", "account_id": "CRASH"},
        "strategy": {"class": "crash.strategy:Restless"},
        "persistence": {"journal": str(folder / "run.db")},
        "risk": {"order_rate": {"per_second": 1000, "per_minute": 10000}},
    }
    return parse_live_config(raw, source=folder / "crash.yaml")


if __name__ == "__main__":
    words = sys.argv[1:]
    sys.exit(
        main(int(words[0]), Path(words[1]), *((words[2], int(words[3])) if len(words) > 2 else (None, 0)))
    )
