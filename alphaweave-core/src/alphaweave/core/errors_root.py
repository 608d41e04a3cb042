"""The root of the tree in `alphaweave.core.errors`, from where it is imported."""

from __future__ import annotations

__all__ = [
    "AlphaweaveError",
]


class AlphaweaveError(Exception):
    """The root of every error this project raises on purpose.

    Attributes:
        exit_code: what the command line exits with when the error ends a run:
            1 for a run that failed, 2 for a configuration, plugin or usage error.
    """

    exit_code: int = 1
