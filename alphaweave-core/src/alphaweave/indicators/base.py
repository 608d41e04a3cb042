"""What every indicator offers, and the checks they share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from math import isfinite, nan
from typing import Any, ClassVar, Literal, NoReturn

from alphaweave.core.errors import DataError, StateCorrupt, StateMismatch

__all__ = ["BarIndicator", "CloseIndicator", "Indicator"]


class Indicator(ABC):
    """A value kept up to date one bar at a time.

    Attributes:
        inputs: what ``update`` takes: ``"close"``, or ``"bar"`` for high, low and close.
        period: how many bars the indicator looks at or smooths over.
        value: the value after the last update, ``nan`` until ``ready``. A plain attribute.
        ready: whether enough bars were seen for a value.
        behind: while ``value`` is set by somebody who worked it out `ahead`, what brings the rest up to it;
            else None.
    """

    __slots__ = ("behind", "period", "ready", "value")

    inputs: ClassVar[Literal["close", "bar"]]
    period: int
    ready: bool
    value: float
    behind: Callable[[], None] | None

    def __init__(self, period: int) -> None:
        """Start empty.

        Raises:
            ValueError: the period is not a whole number of at least 1.
        """
        if type(period) is not int or period < 1:
            raise ValueError(
                f"{type(self).__name__} needs a period that is a whole number of at least 1, not {period!r}"
            )
        self.period = period
        self.ready = False
        self.value = nan
        self.behind = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}(period={self.period}, value={self.value})"

    def get_state(self) -> dict[str, Any]:
        """Everything needed to go on later, as JSON-able numbers, text and lists, all finite."""
        if self.behind is not None:
            self.behind()
        return {"indicator": type(self).__name__, "period": self.period, **self._dump()}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Go on, bit for bit, where ``get_state`` was taken; on an error the indicator is unchanged.

        Raises:
            StateMismatch: the state is that of another kind of indicator or of another period.
            StateCorrupt: a field is missing, unknown, of the wrong type, out of range or not finite.
        """
        empty = type(self)(self.period)
        expected = empty.get_state()
        for key in ("indicator", "period"):
            if key in state and state[key] != expected[key]:
                raise StateMismatch(
                    f"the saved state is of {state.get('indicator')}({state.get('period')}), not of "
                    f"{self._name}; create the indicators of the run that saved it, or start without it"
                )
        if set(state) != set(expected):
            differing = ", ".join(sorted(set(state) ^ set(expected)))
            raise self._corrupt(f"these fields are missing or unknown: {differing}")
        for key, example in expected.items():
            if not _fits(state[key], example):
                raise self._corrupt(f"{key} is {state[key]!r}, which cannot be right")
        if self.behind is not None:
            self.behind()
        self._load(state)

    def __getstate__(self) -> object:
        """A copy is of the whole, and nobody sets its value."""
        if self.behind is not None:
            self.behind()
        return super().__getstate__()

    @abstractmethod
    def _dump(self) -> dict[str, Any]:
        """The indicator's own fields: floats, counts, or lists of floats."""

    @abstractmethod
    def _load(self, state: Mapping[str, Any]) -> None:
        """Take back what ``_dump`` gave, types already checked; refuse counts that contradict each other."""

    @property
    def _name(self) -> str:
        return f"{type(self).__name__}({self.period})"

    def _corrupt(self, reason: str) -> StateCorrupt:
        return StateCorrupt(f"the saved state of {self._name} is damaged: {reason}; start without it")

    def _refuse(self, **inputs: float) -> NoReturn:
        given = ", ".join(f"{name}={value!r}" for name, value in inputs.items())
        raise DataError(
            self._name,
            f"cannot be updated with {given}: every input must be a finite number. "
            "The indicator is unchanged; repair or drop that bar before it is used",
        )


class CloseIndicator(Indicator):
    """An indicator of closing prices, or of any other single series."""

    __slots__ = ()

    inputs = "close"

    @abstractmethod
    def update(self, close: float) -> float:
        """Take the next close and return the new value, ``nan`` until ready.

        Raises:
            DataError: the close is nan or infinite; the indicator is unchanged.
        """

    def ahead(self, closes: Sequence[float]) -> list[float] | None:
        """What `update` would return for each of these closes in turn, bit for bit; nothing changes.

        None where nothing is quicker than `update`, for it is not ready, or a close is not finite.
        """

    def advance(self, closes: Sequence[float]) -> None:
        """The same as an `update` with each of these closes in turn."""
        for close in closes:
            self.update(close)


class BarIndicator(Indicator):
    """An indicator of whole bars."""

    __slots__ = ()

    inputs = "bar"

    @abstractmethod
    def update(self, high: float, low: float, close: float) -> float:
        """Take the next bar's prices and return the new value, ``nan`` until ready.

        Raises:
            DataError: a price is nan or infinite; the indicator is unchanged.
        """


def _fits(value: object, example: object) -> bool:
    if isinstance(example, str):
        return isinstance(value, str)
    if isinstance(example, list):
        return isinstance(value, list) and all(_fits(item, 0.0) for item in value)
    if isinstance(value, bool):
        return False
    if isinstance(example, int):
        return isinstance(value, int) and value >= 0
    return isinstance(value, int | float) and isfinite(value)
