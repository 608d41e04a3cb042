"""The exit codes of the ``alphaweave`` command."""

from __future__ import annotations

from typing import Final

__all__ = ["FAILED", "INTERRUPTED", "REFUSED"]

FAILED: Final = 1
"""The run or one of its monitors failed."""

REFUSED: Final = 2
"""The configuration, a plugin, a file or the call is wrong."""

INTERRUPTED: Final = 130
"""The run was asked to stop from outside."""
