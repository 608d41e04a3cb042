"""A list of records, some of which are made only when somebody reads it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Generic, TypeVar, overload

__all__ = ["RecordLog"]

_Record = TypeVar("_Record")


class RecordLog(Sequence[_Record], Generic[_Record]):
    """Records in the order in which they came.

    Attributes:
        append: take one more record.
        draft: take one that is not made yet.
    """

    __slots__ = ("_items", "_made", "append", "draft")

    def __init__(self, records: Iterable[_Record] = ()) -> None:
        self._hold(list(records))

    def restore(self, records: Iterable[_Record]) -> None:
        """Keep these in place of all others; who holds `append` or `draft` goes on here."""
        self._items[:] = records
        self._made = len(self._items)

    def __len__(self) -> int:
        return len(self._items)

    @overload
    def __getitem__(self, index: int) -> _Record: ...
    @overload
    def __getitem__(self, index: slice) -> list[_Record]: ...
    def __getitem__(self, index: int | slice) -> _Record | list[_Record]:
        found: _Record | list[_Record] = self._records()[index]
        return found

    def __iter__(self) -> Iterator[_Record]:
        return iter(self._records())

    def __add__(self, more: Iterable[_Record]) -> list[_Record]:
        return [*self._records(), *more]

    def __eq__(self, other: object) -> bool:
        if isinstance(other, RecordLog):
            return self._records() == other._records()
        return self._records() == other

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return repr(self._records())

    def __copy__(self) -> RecordLog[_Record]:
        return RecordLog(self._records())

    def __reduce__(self) -> tuple[Any, ...]:
        # Records travel; what makes them, which knows the whole run, does not.
        return _holding, (self._records(),)

    def _hold(self, items: list[Any]) -> None:
        self._items = items
        self._made = len(items)
        # Those of the list itself, for they run for every fill.
        self.append = items.append
        self.draft = items.append

    def _records(self) -> list[Any]:
        items = self._items
        for position in range(self._made, len(items)):
            item = items[position]
            if isinstance(item, tuple):
                items[position] = item.record()  # type: ignore[attr-defined]
        self._made = len(items)
        return items


def _holding(items: list[Any]) -> RecordLog[Any]:
    """A log on this very list, so that who holds its `append` travels with it."""
    log: RecordLog[Any] = RecordLog()
    log._hold(items)
    return log
