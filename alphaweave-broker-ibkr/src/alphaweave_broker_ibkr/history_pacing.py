"""How often the gateway may be asked for the past."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable
from typing import Final

from attrs import frozen

__all__ = ["HistoryPacing"]

_SECOND_NS: Final = 1_000_000_000
_IDENTICAL_NS: Final = 15 * _SECOND_NS
_CONTRACT_NS: Final = 2 * _SECOND_NS
_CONTRACT_MOST: Final = 5
_ALL_NS: Final = 600 * _SECOND_NS
_ALL_MOST: Final = 60
# Bars longer than this are not counted, says Interactive Brokers.
_COUNTED: Final = 30


@frozen
class _Asked:
    at: int
    contract: Hashable
    question: Hashable


class HistoryPacing:
    """The rules for bars of 30 seconds or less: the same question not twice in 15 seconds, five of one
    contract in two seconds, sixty in ten minutes.

    Of longer bars it counts none, but it bars them too when the gateway said that it was too much. Instants
    are nanoseconds of any clock that does not run back.
    """

    def __init__(self) -> None:
        self._asked: deque[_Asked] = deque()
        self._barred_until = 0

    def take(self, now: int, contract: Hashable, question: Hashable, seconds: int) -> float:
        """Count one question for bars of so many seconds, or nothing.

        Returns:
            0 if it was counted; otherwise the seconds after which to try again.
        """
        if now < self._barred_until:
            return (self._barred_until - now) / _SECOND_NS
        if seconds > _COUNTED:
            return 0.0
        while self._asked and self._asked[0].at <= now - _ALL_NS:
            self._asked.popleft()
        asked = self._asked
        free = max(
            now,
            *(one.at + _IDENTICAL_NS for one in asked if one.question == question),
            _room([one for one in asked if one.contract == contract], _CONTRACT_MOST, _CONTRACT_NS),
            _room(list(asked), _ALL_MOST, _ALL_NS),
        )
        if free > now:
            return (free - now) / _SECOND_NS
        asked.append(_Asked(now, contract, question))
        return 0.0

    def bar(self, now: int, seconds: float) -> None:
        """The gateway says that it was too much: ask nothing for so long."""
        self._barred_until = max(self._barred_until, now + round(seconds * _SECOND_NS))


def _room(asked: list[_Asked], most: int, span: int) -> int:
    """When one more fits within any stretch of a length."""
    return asked[-most].at + span if len(asked) >= most else 0
