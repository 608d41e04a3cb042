"""Files of bars to load."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

WriteFile = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> WriteFile:
    """Write lines (or bytes) to a file of that name, SPY.csv if none is given."""

    def file(*lines: str, name: str = "SPY.csv", end: str = "\n", raw: bytes | None = None) -> Path:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(raw if raw is not None else (end.join(lines) + end).encode())
        return path

    return file
