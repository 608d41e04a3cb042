"""The TWS protocol's frames and fields: length-prefixed, NUL-terminated texts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal, InvalidOperation

from alphaweave.core.money import CONTEXT, plain

__all__ = ["UNSET", "Field", "Fields", "Malformed", "encode", "field_text", "frame", "frames", "number_of"]

UNSET = "1.7976931348623157E308"
"""How the gateway writes a number that it has not."""

_MAX_FRAME = 0xFFFFFF
# Clients write what is unset as nothing at all, as the greatest double, or as the greatest 32-bit integer.
_GREATEST = (Decimal("1.7976931348623157e308"), Decimal(2147483647))

Field = str | int | float | bool | Decimal | None


class Malformed(Exception):
    """A message that no gateway understands."""


def field_text(value: Field) -> str:
    """A value as a field of a message: flags are 0 and 1, numbers plain, None nothing."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, float):
        return plain(Decimal(repr(value)))
    if isinstance(value, Decimal):
        return plain(value)
    return str(value)


def encode(fields: Iterable[Field]) -> bytes:
    """A message without its length."""
    return b"".join(field_text(value).encode() + b"\0" for value in fields)


def frame(body: bytes) -> bytes:
    """A message with its length before it."""
    return len(body).to_bytes(4, "big") + body


def frames(buffer: bytearray) -> list[bytes]:
    """Take the whole messages out of what has come.

    Raises:
        Malformed: for a length that no client sends.
    """
    found = []
    while len(buffer) >= 4:
        size = int.from_bytes(buffer[:4], "big")
        if size > _MAX_FRAME:
            raise Malformed(f"a message of {size} bytes")
        if len(buffer) < 4 + size:
            break
        found.append(bytes(buffer[4 : 4 + size]))
        del buffer[: 4 + size]
    return found


def number_of(text: str) -> Decimal | None:
    """An exact number; None if it is unset.

    Raises:
        Malformed: for what is no number.
    """
    if not text:
        return None
    if text in {"Infinity", "Infinite"}:
        return Decimal("Infinity")
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise Malformed(f"{text!r} is no number") from None
    if value in _GREATEST or not value.is_finite():
        return None
    return CONTEXT.plus(value)


class Fields:
    """The fields of one message, read from the first to the last."""

    def __init__(self, body: bytes) -> None:
        if not body.endswith(b"\0"):
            raise Malformed("a message whose last field does not end")
        try:
            self._texts: Sequence[str] = body[:-1].decode().split("\0")
        except UnicodeDecodeError as error:
            raise Malformed("a message that is no UTF-8") from error
        self._next = 0

    def text(self) -> str:
        if self._next >= len(self._texts):
            raise Malformed(f"a message of {len(self._texts)} fields is too short")
        self._next += 1
        return self._texts[self._next - 1]

    def texts(self, count: int) -> list[str]:
        return [self.text() for _ in range(count)]

    def number(self) -> Decimal | None:
        return number_of(self.text())

    def integer(self) -> int:
        """A whole number; what is unset is 0."""
        value = self.number()
        if value is None:
            return 0
        if value != value.to_integral_value():
            raise Malformed(f"{value} is no whole number")
        return int(value)

    def flag(self) -> bool:
        return self.text().lower() not in {"", "0", "false"}

    @property
    def left(self) -> int:
        """How many fields have not been read."""
        return len(self._texts) - self._next
