"""What is called what: contracts as the config's symbols, and which orders are AlphaWeave's."""

from __future__ import annotations

import re
from typing import Final

from ib_async import Contract

__all__ = ["Symbols", "is_ours"]

_OURS: Final = re.compile(r"aw[a-z0-9]{5}-[a-z0-9]{22}")


def is_ours(name: str | None) -> bool:
    """Whether a client order id is one of AlphaWeave's."""
    return name is not None and _OURS.fullmatch(name) is not None


class Symbols:
    """The config's symbols by the number of their contract.

    What an order, an execution and a position say of one contract differs in its exchange: orders go to
    SMART, executions bear where they took place, positions where it is listed. Its number is the same.
    """

    def __init__(self) -> None:
        self._named: dict[int, str] = {}

    def learn(self, con_id: int, symbol: str) -> None:
        """The contract of that number is what the config calls so."""
        self._named[con_id] = symbol

    def is_named(self, contract: Contract) -> bool:
        """Whether the config names it."""
        return contract.conId in self._named

    def symbol(self, contract: Contract) -> str:
        """The config's symbol; where it names none, what the gateway calls the contract."""
        named = self._named.get(contract.conId)
        if named is not None:
            return named
        name = contract.localSymbol or contract.symbol or str(contract.conId)
        # One symbol is several contracts: BHP in New York and in Sydney.
        return f"{name} {contract.conId}" if name in self._named.values() else name
