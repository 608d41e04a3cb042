"""Columns of numbers as text: exact, compact, and the same on every machine."""

from __future__ import annotations

import sys
import zlib
from array import array
from base64 import b64decode, b64encode
from typing import Any

__all__ = ["pack", "unpack"]


def pack(column: array[Any]) -> str:
    """The column's little-endian bytes, compressed, in base64."""
    return b64encode(zlib.compress(_little_endian(column), 1)).decode("ascii")


def unpack(typecode: str, packed: str) -> array[Any]:
    """The column that ``pack`` was given.

    Raises:
        ValueError: it is not one.
    """
    column: array[Any] = array(typecode)
    try:
        column.frombytes(zlib.decompress(b64decode(packed, validate=True)))
    except zlib.error as error:
        raise ValueError(f"not a packed column: {error}") from error
    return _little_endian(column)


def _little_endian(column: array[Any]) -> array[Any]:
    if sys.byteorder == "little":
        return column
    swapped = array(column.typecode, column)
    swapped.byteswap()
    return swapped
