"""Files that a run writes: which of those that are there already may be replaced."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import Final

from attrs import frozen

from alphaweave.core.errors import Problem

__all__ = ["PAGE_MARK", "Output", "OutputKind", "objection", "output_problems", "real_path"]

PAGE_MARK: Final = '<meta name="generator" content="AlphaWeave">'
"""Stands near the top of every page that AlphaWeave writes."""

_HEAD: Final = 4096


class OutputKind(Enum):
    """What AlphaWeave writes, and how its own files begin."""

    STATE = "state file"
    DASHBOARD = "dashboard"
    SUMMARY = "summary"
    LOCK = "lock"


_OWN: Final[Mapping[OutputKind, re.Pattern[bytes]]] = {
    OutputKind.STATE: re.compile(rb'\A\{"alphaweave_state":'),
    OutputKind.DASHBOARD: re.compile(re.escape(PAGE_MARK.encode())),
    OutputKind.SUMMARY: re.compile(rb'\A\{\s*"summary":\s*\{\s*"run_id":'),
    # A process id.
    OutputKind.LOCK: re.compile(rb"\A\d+\s*\Z"),
}


@frozen
class Output:
    """A file that is going to be written.

    Attributes:
        name: what sets it, for messages: a key of the config or an option of the command.
        path: where it goes.
        kind: what it is; None for a file whose writer itself looks after what is there.
    """

    name: str
    path: Path
    kind: OutputKind | None


def real_path(path: str | Path) -> Path:
    """The file behind a symbolic link, also one that is not there yet: a link is written through."""
    return Path(os.path.realpath(path))


def objection(path: str | Path, kind: OutputKind) -> str | None:
    """Why ``path`` must not become a file of this kind; None if it is free, empty or one already."""
    try:
        status = Path(path).stat()
        if stat.S_ISDIR(status.st_mode):
            return "is a folder; name a file"
        if not stat.S_ISREG(status.st_mode):
            return "is a device, a pipe or a socket; name a file"
        if not status.st_size:
            return None
        with Path(path).open("rb") as stream:
            head = stream.read(_HEAD)
    except OSError:
        # Nothing is there, or what keeps it from being read is said when it is written.
        return None
    if _OWN[kind].search(head):
        return None
    return f"exists and is no {kind.value} of AlphaWeave; remove it, or name another path"


def output_problems(outputs: Sequence[Output], inputs: Mapping[str, Path]) -> list[Problem]:
    """What is wrong with the files that a run is going to write.

    Args:
        outputs: all of them.
        inputs: what the run reads, by what messages call it.
    """
    problems: list[Problem] = []
    what: str | None
    for number, output in enumerate(outputs):
        read = [name for name, path in inputs.items() if _same(output.path, path)]
        written = [other.name for other in outputs[:number] if _same(output.path, other.path)]
        if read:
            what = f"is {read[0]}, which is read; name another path"
        elif written:
            what = f"is also written for {written[0]}; name another path"
        elif output.kind is None:
            what = None
        else:
            what = objection(output.path, output.kind)
        if what is not None:
            problems.append(Problem(output.name, f"{output.path} {what}."))
    return problems


def _same(one: Path, other: Path) -> bool:
    if real_path(one) == real_path(other):
        return True
    try:
        # Hard links, and file systems that pay no heed to case.
        return one.samefile(other)
    except OSError:
        return False
