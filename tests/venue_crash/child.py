"""The run that is killed: `python -m venue_crash.child FOLDER [POINT COUNT]`."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Any

from crash.points import arm

from alphaweave.cli.main import main as alphaweave
from alphaweave.live.runner import LiveRunner
from venue_crash.clock import SharedClock

__all__ = ["main"]


def main(folder: Path, point: str | None = None, count: int = 0) -> None:
    """What the command ``alphaweave run`` does, with a clock that can be moved."""
    arm(point, count)
    clock = SharedClock(folder / "clock")
    runner: Any = LiveRunner
    runner.from_config = partial(LiveRunner.from_config, clock=clock)
    alphaweave(["run", str(folder / "crash.yaml"), "--summary", str(folder / "summary.json")])


if __name__ == "__main__":
    words = sys.argv[1:]
    main(Path(words[0]), *((words[1], int(words[2])) if len(words) > 1 else ()))
