"""``python -m crash --kills 300 --per-point 10``: kill a run again and again; 1 if that was noticed."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from random import Random
from statistics import median

from crash.campaign import LIMIT_SECONDS, RANDOM, Kill, run_batches
from crash.points import POINTS, Point, pointed_out

__all__: list[str] = []

_BATCH = 20


def main(arguments: Sequence[str]) -> int:
    """Run it; the answer is the exit code."""
    parser = argparse.ArgumentParser(prog="crash", description=__doc__)
    parser.add_argument("--kills", type=int, default=300, help="at random instants")
    parser.add_argument("--per-point", type=int, default=10)
    parser.add_argument("--point", action="append", help="only this one; may be repeated")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--folder", type=Path, help="keep the journals there")
    parser.add_argument("--keep-going", action="store_true", help="do not stop at the first violation")
    given = parser.parse_args(arguments)
    named = POINTS if given.point is None else tuple(pointed_out(name) for name in given.point)
    plan: list[Point | None] = [*(named * given.per_point), *([None] * given.kills)]
    Random(given.seed).shuffle(plan)
    cut = [plan[first : first + _BATCH] for first in range(0, len(plan), _BATCH)]
    batches = [(points, given.seed * 10_000 + number) for number, points in enumerate(cut)]
    with tempfile.TemporaryDirectory(prefix="alphaweave-crash-") as folder:
        kept = given.folder or Path(folder)
        return asyncio.run(_campaign(batches, given.workers, kept, keep_going=given.keep_going))


async def _campaign(
    batches: Sequence[tuple[Sequence[Point | None], int]], workers: int, folder: Path, *, keep_going: bool
) -> int:
    begun, redrawn = time.monotonic(), 0
    kills: list[Kill] = []
    batched = run_batches(batches, workers, folder)
    try:
        async for batch in batched:
            kills += batch.kills
            redrawn += batch.redrawn
            for kill in batch.kills:
                if kill.bad:
                    sys.stdout.write(f"WRONG {kill}\n")
            sys.stdout.write(f"{len(kills)} lives judged after {time.monotonic() - begun:.0f} s\n")
            sys.stdout.flush()
            if not keep_going and any(kill.bad for kill in batch.kills):
                break
    finally:
        await batched.aclose()
    _print(kills, redrawn)
    return 1 if any(kill.bad for kill in kills) else 0


def _print(kills: Sequence[Kill], redrawn: int) -> None:
    width = max(len(point.name) for point in POINTS) + 2
    head = ("kills", "unanswered", "lost", "doubled", "wrong", "open", "trades", "worst")
    rows = [f"{'':{width}}" + "".join(f"{name:>11}" for name in head)]
    for name in (*(point.name for point in POINTS), RANDOM, None):
        mine = [kill for kill in kills if name is None or kill.point == name]
        if not mine:
            continue
        opened = [kill.opened for kill in mine if kill.opened is not None]
        ordered = [kill.ordered for kill in mine if kill.ordered is not None]
        cells = (
            len([kill for kill in mine if kill.ordered is not None or kill.bad]),
            sum(kill.unanswered > 0 for kill in mine),
            sum(kill.lost for kill in mine),
            sum(kill.doubled for kill in mine),
            sum(bool(kill.wrong) for kill in mine),
            *(
                f"{figure:.2f} s"
                for figure in (median(opened or [0]), median(ordered or [0]), max(ordered or [0]))
            ),
        )
        rows.append(f"{name or 'together':{width}}" + "".join(f"{cell:>11}" for cell in cells))
    rows += [
        f"each with an intent open in the journal; {redrawn} kills without one were done again",
        "unanswered: kills at which the answer to a request was not in the journal yet",
        "open, trades: median time from the start of the next process until an order could leave, and did",
        f"worst: the longest of the latter; {LIMIT_SECONDS:g} s are allowed",
    ]
    sys.stdout.write("\n".join(rows) + "\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
