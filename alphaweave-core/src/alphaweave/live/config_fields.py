"""The keys of a config section: what an attrs class says about each of them, and how values are bounded."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from enum import Enum
from types import NoneType, UnionType
from typing import Any, Final, Literal, Union, get_args, get_origin, get_type_hints

import attrs
from attrs import frozen

from alphaweave.live.sessions import read_calendar

__all__ = [
    "INTERNAL",
    "KEY",
    "Above",
    "AtLeast",
    "Blocks",
    "Hours",
    "Key",
    "Matches",
    "block_of",
    "is_choice",
    "is_list",
    "is_mapping",
    "keys_of",
    "optional_of",
]

KEY: Final = "alphaweave_key"
"""Field metadata: the key in the config where it is not the attribute's name."""

INTERNAL: Final = "alphaweave_internal"
"""Field metadata: true for what a config cannot set."""

_ENTRY: Final = re.compile(r" {4}(\w+(?:, \w+)*): (.*)")


@frozen
class Above:
    """Validator: None, or a number greater than ``bound``."""

    bound: int

    def __call__(self, instance: object, attribute: object, value: Any) -> None:
        if value is not None and not value > self.bound:
            raise ValueError(f"must be above {self.bound}, not {value}")

    def schema(self) -> dict[str, Any]:
        return {"exclusiveMinimum": self.bound}


@frozen
class AtLeast:
    """Validator: None, or a number not below ``bound``."""

    bound: int

    def __call__(self, instance: object, attribute: object, value: Any) -> None:
        if value is not None and not value >= self.bound:
            raise ValueError(f"must be at least {self.bound}, not {value}")

    def schema(self) -> dict[str, Any]:
        return {"minimum": self.bound}


@frozen
class Matches:
    """Validator: None, or text that matches the whole of ``pattern`` (which ECMAScript reads alike)."""

    pattern: str
    what: str

    def __call__(self, instance: object, attribute: object, value: Any) -> None:
        if value is not None and not re.fullmatch(self.pattern, value):
            raise ValueError(f"{value!r:.80} is not {self.what}")

    def schema(self) -> dict[str, Any]:
        return {"pattern": f"^(?:{self.pattern})$"}


@frozen
class Blocks:
    """Validator: every value is a block, that is a mapping, or None for an empty one."""

    def __call__(self, instance: object, attribute: object, value: Mapping[str, Any]) -> None:
        for name, block in value.items():
            if block is not None and not isinstance(block, Mapping):
                raise ValueError(
                    f"{name!r} is not a block of options; write the adapter's name above it, "
                    f"as in options: {{paper: {{{name}: ...}}}}"
                )

    def schema(self) -> dict[str, Any]:
        return {"additionalProperties": {"type": ["object", "null"]}}


@frozen
class Hours:
    """Validator: None, the name of a calendar, or a table of hours (`sessions.read_calendar`).

    A name is looked up when a run needs it, for an exchange's calendar takes a moment to make. ``named``
    says whether there may be one.
    """

    named: bool = True

    def __call__(self, instance: object, attribute: object, value: Any) -> None:
        if value is None or (self.named and isinstance(value, str) and value):
            return
        if not isinstance(value, Mapping):
            what = "a calendar is a name, such as XNYS or 24/7, or a table" if self.named else "it is a table"
            raise ValueError(f"{what} of hours, not {value!r:.80}")
        read_calendar(value)

    def schema(self) -> dict[str, Any]:
        return {"type": ["string", "object"]} if self.named else {"type": "object"}


def block_of(options: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """The block of that name; a missing or null one is empty."""
    return options.get(name) or {}


@frozen
class Key:
    """One key of a section.

    Attributes:
        name: as a config writes it.
        attribute: the attrs attribute behind it.
        type: its type, resolved.
        doc: what the class's docstring says about it; may be empty.
    """

    name: str
    attribute: attrs.Attribute[Any]
    type: Any
    doc: str

    @property
    def required(self) -> bool:
        return self.attribute.default is attrs.NOTHING

    @property
    def nullable(self) -> bool:
        """Whether None is a value of its own here, and not just another way to leave the key out."""
        return self.type is Any or optional_of(self.type) is not None


def keys_of(section: type) -> dict[str, Key]:
    """The keys of an attrs class, by their names in the config, in the order of declaration.

    Raises:
        TypeError: it is not an attrs class, or an annotation cannot be resolved.
    """
    if not attrs.has(section):
        raise TypeError(f"{section.__qualname__} is not an attrs class, so no config can be read into it")
    try:
        types = get_type_hints(section)
    except NameError as error:
        raise TypeError(f"an annotation of {section.__qualname__} cannot be resolved: {error}") from error
    docs = dict(_docs(section))
    keys = (
        Key(
            attribute.metadata.get(KEY, attribute.alias),
            attribute,
            types.get(attribute.name, Any),
            docs.get(attribute.name, ""),
        )
        for attribute in attrs.fields(section)
        if attribute.init and not attribute.metadata.get(INTERNAL)
    )
    return {key.name: key for key in keys}


def optional_of(annotation: Any) -> Any:
    """The ``X`` of ``X | None``; None for every other type."""
    if get_origin(annotation) not in {Union, UnionType}:
        return None
    rest = [member for member in get_args(annotation) if member is not NoneType]
    return rest[0] if len(rest) == 1 else None


def is_list(annotation: Any) -> bool:
    """Whether a config writes a value of this type as a list."""
    origin = get_origin(annotation) or annotation
    return (
        isinstance(origin, type)
        and issubclass(origin, Sequence | AbstractSet)
        and not issubclass(origin, str)
    )


def is_mapping(annotation: Any) -> bool:
    """Whether a config writes a value of this type as a mapping with keys of its own."""
    origin = get_origin(annotation) or annotation
    return isinstance(origin, type) and issubclass(origin, Mapping)


def is_choice(annotation: Any) -> bool:
    """Whether a value of this type is one of a few."""
    return get_origin(annotation) is Literal or (
        isinstance(annotation, type) and issubclass(annotation, Enum)
    )


def _docs(section: type) -> Iterator[tuple[str, str]]:
    for base in reversed(section.__mro__):
        _, _, listing = inspect.cleandoc(base.__doc__ or "").partition("\nAttributes:\n")
        names: list[str] = []
        text = ""
        for line in [*listing.splitlines(), ""]:
            entry = _ENTRY.fullmatch(line)
            if entry is None and line.startswith(" " * 8):
                text = f"{text} {line.strip()}"
                continue
            yield from ((name, text) for name in names)
            names, text = (entry[1].split(", "), entry[2]) if entry else ([], "")
