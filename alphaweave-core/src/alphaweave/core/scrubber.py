"""Keeps the secrets of one run out of what the run writes."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any, Final
from urllib.parse import quote, quote_plus

from alphaweave.core.secret import REDACTED

__all__ = ["SHORTEST", "Scrubber"]

SHORTEST: Final = 4
"""A secret has at least so many characters: a shorter one is in every text, and could not be kept out."""

# A value shorter than this is taken out only where it stands alone, for it is part of many a word.
_LONG: Final = 8


class Scrubber:
    """Knows the secrets of one run, and takes them out of texts: as they are, and as they look inside
    a repr, JSON, HTML, a URL, hexadecimal, and base64 with whatever stands around them.
    """

    __slots__ = ("_pattern", "_values")

    def __init__(self) -> None:
        self._values: set[str] = set()
        self._pattern: re.Pattern[str] | None = None

    def __repr__(self) -> str:
        return f"Scrubber({len(self._values)} values)"

    @property
    def empty(self) -> bool:
        """Whether it knows no secret yet."""
        return not self._values

    def add(self, value: str) -> None:
        """Keep this value out from now on; one of fewer than `SHORTEST` characters is passed over."""
        # A key of several lines may be shown line by line.
        lines = (line for line in value.splitlines() if len(line) >= 2 * _LONG)
        self._values.update(text for text in (value, *lines) if len(text) >= SHORTEST)
        self._pattern = None

    def text(self, text: str) -> str:
        """The text, with ``[redacted]`` where a secret stood."""
        if not self._values:
            return text
        if self._pattern is None:
            self._pattern = _pattern(self._values)
        return self._pattern.sub(REDACTED, text)

    def holds(self, text: str) -> bool:
        """Whether a secret stands in the text."""
        return self.text(text) != text

    def tree(self, value: Any) -> Any:
        """The value with every text in it scrubbed: mappings, their keys, lists and tuples are copied, and
        anything else is handed back as it is."""
        if not self._values:
            return value
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self.tree(key): self.tree(item) for key, item in value.items()}
        if isinstance(value, list | tuple) and type(value) in {list, tuple}:
            return type(value)(self.tree(item) for item in value)
        return value


def _pattern(values: set[str]) -> re.Pattern[str]:
    forms: set[str] = set()
    for value in values:
        forms.update(form for form in _forms(value) if len(form) >= SHORTEST)
    # The longest first, so that no part of a longer one is left standing.
    return re.compile("|".join(map(_bounded, sorted(forms, key=lambda form: (-len(form), form)))))


def _bounded(form: str) -> str:
    plain = re.escape(form)
    return plain if len(form) >= _LONG else rf"(?<![A-Za-z0-9]){plain}(?![A-Za-z0-9])"


def _forms(value: str) -> Iterator[str]:
    yield value
    # As a stream without its last newline, or a header, would show it.
    yield value.strip()
    yield repr(value)[1:-1]
    yield from (json.dumps(value, ensure_ascii=plain)[1:-1] for plain in (True, False))
    yield escape(value)
    yield from (quote(value), quote(value, safe=""), quote_plus(value))
    data = value.encode(errors="surrogatepass")
    yield from (repr(data)[2:-1], data.hex(), data.hex().upper())
    # A group of 3 bytes is 4 characters of base64. Whatever stands before the secret ("user:") and after it,
    # the groups that lie wholly within it read the same, so each way of cutting it into groups is a form.
    for skip in range(3):
        inner = data[skip : skip + (len(data) - skip) // 3 * 3]
        if len(inner) >= _LONG - 2:
            text = b64encode(inner).decode()
            yield from (text, text.replace("+", "-").replace("/", "_"))
    text = b64encode(data).decode()
    yield from (text, text.replace("+", "-").replace("/", "_"))
