"""``python -m venue_crash --broker alpaca``: kill a run again and again; 1 if that was noticed."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from random import Random

from venue_day.stages import BROKERS, stage_of

from venue_crash.campaign import POINTS, Kill, Siege

__all__: list[str] = []

# So many lives are within one session of the venue.
_BATCH = 8


def main(arguments: Sequence[str]) -> int:
    """Run it; the answer is the exit code."""
    parser = argparse.ArgumentParser(prog="venue_crash", description=__doc__)
    parser.add_argument("--broker", choices=BROKERS, default=BROKERS[0])
    parser.add_argument("--per-point", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    plan = list(POINTS) * given.per_point
    Random(given.seed).shuffle(plan)
    kills: list[Kill] = []
    redrawn = 0
    for first in range(0, len(plan), _BATCH):
        with tempfile.TemporaryDirectory(prefix="alphaweave-crash-") as folder:
            seed = given.seed * 1000 + first
            siege = Siege(stage_of(given.broker), plan[first : first + _BATCH], seed, Path(folder))
            kills += asyncio.run(siege.run())
            redrawn += siege.redrawn
        sys.stdout.write(f"{len(kills)} lives judged\n")
        sys.stdout.flush()
    _print(kills, redrawn)
    return 1 if any(kill.bad for kill in kills) else 0


def _print(kills: Sequence[Kill], redrawn: int) -> None:
    rows = [f"{'':40}{'kills':>8}{'unanswered':>12}{'lost':>8}{'doubled':>9}{'wrong':>8}"]
    for name in dict.fromkeys(kill.point for kill in kills):
        mine = [kill for kill in kills if kill.point == name]
        unanswered = sum(kill.unanswered > 0 for kill in mine)
        lost, doubled = sum(kill.lost for kill in mine), sum(kill.doubled for kill in mine)
        wrong = sum(bool(kill.wrong) for kill in mine)
        rows.append(f"{name:40}{len(mine):8}{unanswered:12}{lost:8}{doubled:9}{wrong:8}")
    rows.append(f"each with an intent open in the journal; {redrawn} kills without one were done again")
    rows += [f"WRONG {kill}" for kill in kills if kill.bad]
    sys.stdout.write("\n".join(rows) + "\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
