"""Why a journal or its commands cannot be used: a branch of `alphaweave.core.errors`, from where it is
imported."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from alphaweave.core.errors_root import AlphaweaveError

__all__ = [
    "ControlError",
    "JournalCorrupt",
    "JournalError",
    "JournalFailed",
    "JournalForeign",
    "JournalLocked",
    "JournalTooNew",
]


class JournalError(AlphaweaveError):
    """The journal of a live run cannot be used.

    Attributes:
        path: the journal's file.
    """

    exit_code = 2

    def __init__(self, message: str, path: str | Path) -> None:
        self.path = str(path)
        super().__init__(f"{path}: {message}")


class JournalLocked(JournalError):
    """Another process writes the journal.

    Attributes:
        pid: that process, if it is known.
    """

    def __init__(self, message: str, path: str | Path, pid: int | None = None) -> None:
        super().__init__(message, path)
        self.pid = pid


class JournalForeign(JournalError):
    """The journal belongs to another run, broker, account, strategy or mode.

    Attributes:
        differences: name -> what the journal says and what this run is.
    """

    def __init__(
        self, message: str, path: str | Path, differences: Mapping[str, tuple[str, str]] | None = None
    ) -> None:
        super().__init__(message, path)
        self.differences = dict(differences or {})


class JournalTooNew(JournalError):
    """A newer version of AlphaWeave wrote the journal."""


class JournalCorrupt(JournalError):
    """The journal is damaged, was cut short, or is none: nothing may trade on what it says."""


class JournalFailed(JournalError):
    """The journal could not be written. It stays so until the process ends: nothing more may be sent.

    Attributes:
        cause: what went wrong below.
    """

    exit_code = 1

    def __init__(self, message: str, path: str | Path, cause: BaseException | None = None) -> None:
        super().__init__(message, path)
        self.cause = cause


class ControlError(AlphaweaveError):
    """A command to a run is incomplete, or the store of commands cannot be used.

    Attributes:
        path: the store's file.
    """

    exit_code = 2

    def __init__(self, message: str, path: str | Path) -> None:
        self.path = str(path)
        super().__init__(f"{path}: {message}")
