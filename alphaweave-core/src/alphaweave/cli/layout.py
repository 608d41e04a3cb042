"""Documents as lines that a person reads; ``--json`` has every digit of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from alphaweave.core.clock import from_ns

__all__ = ["lay_out"]

_WIDTH: Final = 18
_SHOWN: Final = 10
_LARGE: Final = 100


def lay_out(document: Mapping[str, Any], indent: int = 0) -> Iterator[str]:
    """A line for each value, below its name where it has parts of its own."""
    for key, value in document.items():
        name = " " * indent + str(key).removesuffix("_ns").replace("_", " ")
        if isinstance(value, Mapping) and any(isinstance(part, Mapping | list) for part in value.values()):
            yield name
            yield from lay_out(value, indent + 2)
            continue
        first, *more = _texts(str(key), value)
        yield f"{name:<{_WIDTH - 1}} {first}"
        yield from (" " * _WIDTH + text for text in more)


def _texts(key: str, value: Any) -> list[str]:
    if isinstance(value, Mapping):
        return [", ".join(f"{name} {_text(str(name), part)}" for name, part in value.items()) or "none"]
    if isinstance(value, list | tuple):
        left = len(value) - _SHOWN
        shown = [", ".join(_texts("", part)) for part in value[:_SHOWN]]
        return [*shown, *([f"and {left} more"] if left > 0 else [])] or ["none"]
    return [_text(key, value)]


def _text(key: str, value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int) and (key.endswith("_ns") or key == "last_slice"):
        return from_ns(value).isoformat()
    if isinstance(value, float):
        return f"{value:.2f}" if abs(value) >= _LARGE else f"{value:.6g}"
    return str(value)
