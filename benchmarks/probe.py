"""One measurement in a process of its own: `python probe.py WHAT ENGINE PATH`, the answer as JSON.

first   monotonic nanoseconds at the first call of W4's strategy; PATH is a saved workload or a CSV file
peak    peak memory in bytes of one run of the saved workload, and what it came to
timed   the same, with the seconds that importing the engine, preparing the run, and the run itself took
import  seconds that importing the engine took, and the peak memory after it
"""

from __future__ import annotations

import gc
import json
import sys
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from time import perf_counter
from typing import Any

ENGINES = {
    "floor": "floor",
    "alphaweave": "alphaweave_runs",
    "vnpy_cta": "peers.vnpy_cta",
    "nautilus": "peers.nautilus",
    "backtrader": "peers.backtrader",
}


def peak_bytes() -> int:
    """The most memory this process has held, shared libraries included."""
    status = Path("/proc/self/status")
    if status.exists():  # getrusage would answer for the parent too, when that was larger before the exec
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def anonymous_bytes() -> int:
    """The memory this process holds now that is no file's: what is mapped from one can be had again."""
    line = next(
        line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("RssAnon")
    )
    return int(line.split()[1]) * 1024


def main(what: str, engine: str, path: Path) -> dict[str, Any]:
    """Measure and answer."""
    before = perf_counter()
    runs = import_module(ENGINES[engine])
    imported = perf_counter() - before
    if what == "import":
        return {"seconds": imported, "peak": peak_bytes()}
    if path.suffix == ".csv":
        return {"at": runs.first_bar_of_file(path)}
    from workloads import load

    workload = load(path)
    if what == "first":
        return {"at": runs.first_bar(workload)}
    before = perf_counter()
    run = runs.prepare(workload)
    prepared = perf_counter() - before
    gc.collect()
    before = perf_counter()
    outcome = run()
    spent = perf_counter() - before
    found = {"peak": peak_bytes(), "outcome": asdict(outcome)}
    return {**found, "import": imported, "prepare": prepared, "seconds": spent} if what == "timed" else found


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))))
