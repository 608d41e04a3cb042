"""What the operator of a run should read, told as it comes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Self

__all__ = ["Notices"]


class Notices(list[str]):
    """They are only ever added to, by `append` and ``+=``; whoever listens is told each at once."""

    def __init__(self, first: Iterable[str] = ()) -> None:
        super().__init__(first)
        self._listener: Callable[[str], None] | None = None

    def tell(self, listener: Callable[[str], None]) -> None:
        """Tell ``listener`` those there are, and from now on each that comes."""
        self._listener = listener
        for notice in self:
            listener(notice)

    def append(self, notice: str, /) -> None:
        super().append(notice)
        if self._listener is not None:
            self._listener(notice)

    def extend(self, notices: Iterable[str], /) -> None:
        for notice in notices:
            self.append(notice)

    # As the list's own, it takes more than its `+` does.
    def __iadd__(self, notices: Iterable[str], /) -> Self:  # type: ignore[misc,override]
        self.extend(notices)
        return self
