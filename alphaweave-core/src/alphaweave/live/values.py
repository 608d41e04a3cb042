"""A strategy's own values as JSON: what may be saved, and how it comes back as it was.

JSON itself, plus Decimal and datetime under a tag, plus numpy scalars as the Python numbers they hold.
Nothing else: no pickle, no NaN, no guess at what an object might mean.
"""

from __future__ import annotations

from collections.abc import Mapping, Sized
from datetime import datetime
from decimal import Decimal
from math import isfinite
from typing import Any

from alphaweave.core.errors import StateError

__all__ = ["decode", "encode", "marks"]

_DECIMAL = "$decimal"
_DATETIME = "$datetime"
_DEEPEST = 100
_PATH = 80


def encode(value: object, path: str = "state", *, inside: tuple[int, ...] = ()) -> Any:
    """The JSON form of ``value``. Tuples become lists. ``inside`` is for the call itself.

    Raises:
        StateError: a value that cannot be saved, with its path.
    """
    if isinstance(value, Mapping | list | tuple):
        return _encode_all(value, path, (*inside, id(value)))
    if value is None or isinstance(value, bool | int | str):
        # subclasses of int and str (enums, numpy strings) would come back as something else
        if value is None or type(value) in {bool, int, str}:
            return value
    elif type(value) is float:
        if not isfinite(value):
            raise StateError(f"{path} is {value}; only finite numbers can be saved, use None for 'no value'")
        return value
    elif isinstance(value, Decimal):
        if not value.is_finite():
            raise StateError(f"{path} is {value}; only finite numbers can be saved, use None for 'no value'")
        return {_DECIMAL: str(value)}
    elif isinstance(value, datetime):
        if value.tzinfo is None:
            raise StateError(f"{path} is a datetime without a time zone; save aware datetimes only")
        if getattr(value, "nanosecond", 0):
            raise StateError(f"{path} is {value!r}; nanoseconds are not kept, save an int or text instead")
        return {_DATETIME: value.isoformat()}
    elif type(value).__module__ == "numpy" and hasattr(value, "item") and getattr(value, "ndim", 1) == 0:
        return encode(value.item(), path)
    raise StateError(
        f"{path} is a {type(value).__qualname__}, which cannot be saved; get_state may return None, bool, "
        "int, float, str, Decimal, datetime, lists and mappings of those"
    )


def _encode_all(
    value: Mapping[Any, Any] | list[Any] | tuple[Any, ...], path: str, inside: tuple[int, ...]
) -> Any:
    where = path if len(path) <= _PATH else f"{path[:_PATH]}..."
    if inside[-1] in inside[:-1]:
        raise StateError(f"{where} holds itself; only a tree of values can be saved")
    if len(inside) > _DEEPEST:
        raise StateError(f"{where} is nested more than {_DEEPEST} levels deep; save it as something flatter")
    if isinstance(value, Mapping):
        return {_key(key, path): encode(item, f"{path}.{key}", inside=inside) for key, item in value.items()}
    return [encode(item, f"{path}[{number}]", inside=inside) for number, item in enumerate(value)]


def decode(value: object) -> Any:
    """The inverse of `encode`."""
    if isinstance(value, list):
        return [decode(item) for item in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        if _DECIMAL in value:
            return Decimal(value[_DECIMAL])
        if _DATETIME in value:
            return datetime.fromisoformat(value[_DATETIME])
    return {key[1:] if key.startswith("$$") else key: decode(item) for key, item in value.items()}


def _key(key: object, path: str) -> str:
    if type(key) is not str:
        raise StateError(f"{path} has the key {key!r}; keys are text")
    return f"${key}" if key.startswith("$") else key


def marks(thing: object) -> dict[str, object]:
    """A mark of each attribute of its own, which differs when the attribute was set or has grown."""
    found: dict[str, object] = {}
    for name, value in vars(thing).items():
        if value is None or isinstance(value, bool | int | float | str | Decimal | datetime):
            found[name] = value
        elif isinstance(value, Sized):
            found[name] = (id(value), len(value))
        else:
            found[name] = id(value)
    return found
