"""``python -m simulation --days 1000 --seed 0``: run days, and exit with 1 if one went wrong."""

from __future__ import annotations

import argparse
import sys

from simulation.campaign import LEAST_AGREEMENT, Totals, run_days

__all__: list[str] = []


def main(arguments: list[str]) -> int:
    """Run it; the answer is the exit code."""
    parser = argparse.ArgumentParser(prog="simulation", description=__doc__)
    parser.add_argument("--days", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0, help="the first; the days are seed, seed + 1, ...")
    parser.add_argument("--first", type=int, action="append", default=[], help="a seed to live before them")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--keep-going", action="store_true", help="do not stop at the first violation")
    given = parser.parse_args(arguments)
    totals = Totals()
    seeds = dict.fromkeys([*given.first, *range(given.seed, given.seed + given.days)])
    for report in run_days(seeds, given.workers):
        totals.add(report)
        if totals.violated and not given.keep_going:
            break
    sys.stdout.write("\n".join(totals.lines()) + "\n")
    if totals.violated:
        sys.stdout.write(f"again: make simulate DAYS=1 SEED={totals.violated[0].seed}\n")
    return 1 if totals.violated or totals.scarce or totals.agreement < LEAST_AGREEMENT else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
