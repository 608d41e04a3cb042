"""The parameters of a request, read strictly: what is illegal, missing, empty or left over is refused."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from decimal import Decimal

from alphaweave_broker_binance.sandbox.figures import PLACES
from alphaweave_broker_binance.sandbox.refusals import Refused, illegal, missing

__all__ = ["CLIENT_ID", "Parameters"]

_DECIMAL = r"^([0-9]{1,20})(\.[0-9]{1,20})?$"
_LONG = r"^[0-9]{1,20}$"
_SYMBOL = r"^[A-Z0-9-_.]{1,20}$"
CLIENT_ID = r"^[a-zA-Z0-9-_]{1,36}$"
# Of every signed request, and read before any operation sees the rest.
_COMMON = frozenset({"timestamp", "recvWindow", "signature", "apiKey"})


class Parameters:
    """What was sent, name by name. An operation reads what it knows, then calls `done`."""

    def __init__(self, sent: Mapping[str, str]) -> None:
        self._sent = dict(sent)
        self._read: set[str] = set()

    def has(self, name: str) -> bool:
        """Whether it was sent; it does not count as read."""
        return name in self._sent

    def raw(self, name: str) -> str | None:
        """As it was sent."""
        self._read.add(name)
        return self._sent.get(name)

    def text(self, name: str, pattern: str | None = None) -> str | None:
        """
        Raises:
            Refused: it is empty, or has what ``pattern`` does not allow.
        """
        found = self.raw(name)
        if found is None:
            return None
        if not found:
            raise Refused(-1105, f"Parameter '{name}' was empty.")
        if pattern is not None and not re.fullmatch(pattern, found):
            raise illegal(name, pattern)
        return found

    def symbol(self) -> str:
        return self.needed("symbol", _SYMBOL)

    def needed(self, name: str, pattern: str | None = None) -> str:
        found = self.text(name, pattern)
        if found is None:
            raise missing(name)
        return found

    def long(self, name: str) -> int | None:
        found = self.text(name, _LONG)
        return None if found is None else int(found)

    def decimal(self, name: str) -> Decimal | None:
        """
        Raises:
            Refused: it is no plain decimal, or has too many places.
        """
        found = self.text(name, _DECIMAL)
        if found is None:
            return None
        value = Decimal(found)
        if len(found.partition(".")[2].rstrip("0")) > PLACES:
            raise Refused(-1111, f"Parameter '{name}' has too much precision.")
        return value

    def flag(self, name: str, *, default: bool) -> bool:
        found = self.text(name)
        if found is None:
            return default
        if found.lower() not in {"true", "false"}:
            raise illegal(name, "true|false")
        return found.lower() == "true"

    def choice(self, name: str, allowed: Collection[str], refusal: Refused) -> str | None:
        found = self.text(name)
        if found is not None and found not in allowed:
            raise refusal
        return found

    def limit(self, usual: int, most: int) -> int:
        """How many rows are asked for.

        Raises:
            Refused: none, or more than ``most``.
        """
        found = self.long("limit")
        if found is None:
            return usual
        if not 0 < found <= most:
            raise Refused(-1130, "Data sent for parameter 'limit' is not valid.")
        return found

    def symbols(self) -> list[str] | None:
        """The JSON list ``symbols``."""
        found = self.text("symbols")
        if found is None:
            return None
        try:
            names = json.loads(found)
        except ValueError:
            names = None
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise illegal("symbols", r"^\[(\"[A-Z0-9-_.]{1,20}\"(,\"[A-Z0-9-_.]{1,20}\"){0,}){0,1}\]$")
        return names

    def done(self) -> None:
        """
        Raises:
            Refused: something was sent that nobody read.
        """
        sent = self._sent.keys() - _COMMON
        if sent - self._read:
            raise Refused(
                -1104,
                "Not all sent parameters were read; "
                f"read '{len(sent & self._read)}' parameter(s) but was sent '{len(sent)}'.",
            )
