"""Single values: what is accepted for each type, and how a wrong one is described."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from difflib import get_close_matches
from enum import Enum
from math import isfinite
from typing import Any, Final, Literal, NoReturn, get_args, get_origin

from attrs import evolve, frozen

from alphaweave.core.money import decimal_of
from alphaweave.core.scrubber import SHORTEST
from alphaweave.core.secret import Secret
from alphaweave.live.secrets import Reference, Unresolvable

__all__ = [
    "NUMBER",
    "SCALARS",
    "Hook",
    "Item",
    "Wrong",
    "choice_hook",
    "describe",
    "each",
    "near",
    "refuse",
    "untyped",
]

Hook = Callable[[Any, Any], Any]
"""Turns a raw value into one of the type given as the second argument, or raises `Wrong`."""

NUMBER: Final = r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?"
"""How a number is written where text is accepted for one, to keep it exact."""

_NUMBER: Final = re.compile(NUMBER)
_DIGITS: Final = 18
_ADVICE: Final = (
    "a secret is never written out: refer to it with ${env:NAME}, file:PATH or keyring:SERVICE/NAME"
)
_REFERRED: Final = (
    "a reference stands for a secret, and this value is none; write it out (and $${ for a plain ${)"
)
_NOTHING: Final = object()


@frozen
class Item:
    """One problem; its path is relative to the value in which it was found. ``unresolved`` where it is a
    reference that cannot be resolved."""

    text: str
    found: object = _NOTHING
    suggestion: str | None = None
    path: tuple[object, ...] = ()
    unresolved: bool = False


class Wrong(Exception):
    """A value does not fit."""

    def __init__(self, *items: Item) -> None:
        super().__init__()
        self.items = items

    def under(self, key: object) -> Iterator[Item]:
        """The problems, seen from the section or list that holds the value at ``key``."""
        return (evolve(item, path=(key, *item.path)) for item in self.items)


def refuse(expected: str, value: object, suggestion: str | None = None) -> NoReturn:
    """Raise the `Wrong` that says what was expected instead of ``value``."""
    if isinstance(value, Reference):
        raise Wrong(Item(_REFERRED))
    raise Wrong(Item(f"expected {expected}", value, suggestion))


def near(name: object, known: Sequence[str]) -> str | None:
    """The known name that was most likely meant."""
    matches = get_close_matches(str(name), known, n=1)
    return matches[0] if matches else None


def describe(value: object, *, hidden: bool) -> str:
    """The `found` half of a message; empty if nothing was found. A ``hidden`` value is not repeated."""
    if value is _NOTHING:
        return ""
    if value is None:
        return "nothing"
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float | Decimal):
        return "a number" if hidden else f"the number {_short(str(value))}"
    if isinstance(value, str):
        return "text" if hidden else f"the text {_short(value)!r}"
    return f"an object of type {type(value).__name__}"


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."


def _text(value: object, kind: type) -> Any:
    if issubclass(kind, Enum):
        return choice_hook(kind)(value, kind)
    if isinstance(value, str):
        return value
    quotes = " (put it in quotes if it is meant as text)" if isinstance(value, int | float) else ""
    return refuse(f"text{quotes}", value)


def _boolean(value: object, _: object) -> bool:
    return value if isinstance(value, bool) else refuse("true or false", value)


def _integer(value: object, kind: type) -> Any:
    if issubclass(kind, Enum):
        return choice_hook(kind)(value, kind)
    return value if type(value) is int else refuse("a whole number", value)


def _number(value: object, _: object) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            number = float(value)
        except OverflowError:
            number = float("inf")
        if isfinite(number):
            return number
    return refuse("a number", value)


def _decimal(value: object, _: object) -> Decimal:
    if isinstance(value, str) and not _NUMBER.fullmatch(value):
        return refuse("a number", value)
    if isinstance(value, int | float | Decimal | str) and not isinstance(value, bool):
        try:
            number = decimal_of(value)
        except ValueError:
            return refuse("a finite number", value)
        # By the exponent, for a text may be a number that no arithmetic of ours can hold.
        if number and not -_DIGITS <= number.adjusted() < _DIGITS:
            return refuse(f"a number from 10^-{_DIGITS} to 10^{_DIGITS}", value)
        return number
    return refuse("a finite number", value)


def _secret(value: object, _: object) -> Secret:
    if isinstance(value, Secret):
        return value
    if isinstance(value, Reference):
        try:
            found = value.look_up()
        except Unresolvable as failure:
            text = str(failure)
        else:
            if len(found) >= SHORTEST:
                return Secret(found)
            text = (
                f"a secret has at least {SHORTEST} characters; a shorter one cannot be kept out of messages"
            )
        raise Wrong(Item(text, unresolved=True))
    if isinstance(value, str):
        raise Wrong(Item(_ADVICE))
    return refuse("a reference to a secret", value)


SCALARS: Final[tuple[tuple[type, Hook], ...]] = (
    (str, _text),
    (bool, _boolean),
    (int, _integer),
    (float, _number),
    (Decimal, _decimal),
    (Secret, _secret),
)


def untyped(value: object) -> Any:
    """A copy of a value of which nothing is known, and which holds no secret."""
    if isinstance(value, Reference):
        raise Wrong(Item(_REFERRED))
    if isinstance(value, Mapping):
        return dict(zip(value, each((key, untyped, item) for key, item in value.items()), strict=True))
    if isinstance(value, list | tuple):
        return each((index, untyped, item) for index, item in enumerate(value))
    return value


def each(parts: Iterable[tuple[object, Callable[[Any], Any], Any]]) -> list[Any]:
    """The values read, each with its key and its reader, or every problem in all of them."""
    made = []
    items: list[Item] = []
    for key, read, value in parts:
        try:
            made.append(read(value))
        except Wrong as wrong:
            items += wrong.under(key)
    if items:
        raise Wrong(*items)
    return made


def choice_hook(kind: Any) -> Hook:
    """The hook of an Enum (by its values) or a Literal."""
    members = get_args(kind) if get_origin(kind) is Literal else tuple(kind)
    choices = [(member.value if isinstance(member, Enum) else member, member) for member in members]
    names = [str(name) for name, _ in choices]

    def hook(value: object, _: object) -> Any:
        for name, member in choices:
            # The types too: 1 is not true.
            if type(name) is type(value) and name == value:
                return member
        return refuse(f"one of {', '.join(names)}", value, near(value, names) if type(value) is str else None)

    return hook
