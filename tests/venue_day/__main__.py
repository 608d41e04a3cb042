"""``python -m venue_day --broker alpaca --seed 0 --faults 200``: one day; 1 if something is wrong with it."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from venue_day.day import Day, DayReport
from venue_day.stages import BROKERS, stage_of

__all__: list[str] = []


def main(arguments: Sequence[str]) -> int:
    """Live it; the answer is the exit code."""
    parser = argparse.ArgumentParser(prog="venue_day", description=__doc__)
    parser.add_argument("--broker", choices=BROKERS, default=BROKERS[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--faults", type=int, default=200)
    parser.add_argument("--minutes", type=int, help="as many as the stage has, unless given")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="alphaweave-day-") as folder:
        os.environ["XDG_STATE_HOME"] = folder
        stage = stage_of(given.broker)
        minutes = given.minutes or stage.minutes
        day = Day(stage, Path(folder), seed=given.seed, minutes=minutes, faults=given.faults)
        report = asyncio.run(day.live())
    _print(report)
    return 1 if report.wrong else 0


def _print(report: DayReport) -> None:
    rows = [f"{times:4} {name}" for name, times in sorted(report.struck.items())]
    rows += [
        f"{report.struck.total():4} faults of {len(report.struck)} kinds, seed {report.seed}",
        f"{report.orders:4} orders decided, {report.terminal} of them over at the venue",
        f"{report.fills:4} executions, in {report.seconds:.0f} s",
        *(f"WRONG {one}" for one in report.wrong),
    ]
    sys.stdout.write("\n".join(rows) + "\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
