"""The order in which the bars of many series become known."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from itertools import repeat

from attrs import frozen

from alphaweave.data.series import Cursor, Series

__all__ = ["SeriesGroup", "Timeline"]


@frozen(eq=False)
class SeriesGroup:
    """Series with equal ``end`` columns: they advance together, on one cursor."""

    cursor: Cursor
    series: tuple[Series, ...]

    @property
    def end(self) -> array[int]:
        """The ends they have in common, nanoseconds since the epoch, UTC."""
        return self.series[0].end


class Timeline:
    """Slices in rising order of ``end``: a slice holds every bar of one ``end``.

    Building one gives each group of series a fresh shared cursor, at 0. Reading it moves nothing: the
    driver adds 1 to the ``cursor.count`` of each group in a slice when that slice becomes known.
    Groups, and the series within one, keep the order in which the series were given. The timeline is
    of the rows held when it was built.

    Attributes:
        groups: the series, by equal ends.
        ends: the ``end`` of every slice, nanoseconds since the epoch, UTC.
        groups_at: the groups that have a bar in each slice, beside ``ends``; None when there are fewer
            than two groups, for then every slice is of all of them.
    """

    __slots__ = ("ends", "groups", "groups_at")

    def __init__(self, series: Sequence[Series]) -> None:
        self.groups = _grouped(series)
        self.ends: array[int]
        self.groups_at: list[tuple[SeriesGroup, ...]] | None
        if len(self.groups) < 2:
            # A copy, for a live series grows and the timeline does not.
            self.ends = self.groups[0].end[:] if self.groups else array("q")
            self.groups_at = None
        else:
            self.ends, self.groups_at = _merged(self.groups)

    def __len__(self) -> int:
        """The number of slices."""
        return len(self.ends)

    def __iter__(self) -> Iterator[tuple[int, tuple[SeriesGroup, ...]]]:
        """Each slice as its end and the groups that have a bar in it."""
        if self.groups_at is None:
            return zip(self.ends, repeat(self.groups))
        return zip(self.ends, self.groups_at, strict=True)


def _grouped(series: Sequence[Series]) -> tuple[SeriesGroup, ...]:
    members: dict[tuple[int, int, int], list[list[Series]]] = {}
    ordered: list[list[Series]] = []
    for one in series:
        rows = len(one.end)
        # Equal columns agree in length and at both ends, which leaves few to compare in full.
        candidates = members.setdefault((rows, one.end[0], one.end[-1]) if rows else (0, 0, 0), [])
        for group in candidates:
            if group[0].end == one.end:
                group.append(one)
                break
        else:
            candidates.append([one])
            ordered.append(candidates[-1])
    groups = tuple(SeriesGroup(Cursor(), tuple(group)) for group in ordered)
    for each in groups:
        for one in each.series:
            one.cursor = each.cursor
    return groups


def _merged(groups: tuple[SeriesGroup, ...]) -> tuple[array[int], list[tuple[SeriesGroup, ...]]]:
    # Each slice is the set of groups with a bar at its end, as bits; few different sets occur, so the
    # tuples are made once each and shared.
    present: dict[int, int] = {}
    seen = present.get
    for position, group in enumerate(groups):
        bit = 1 << position
        for end in group.end:
            present[end] = seen(end, 0) | bit
    ends = sorted(present)
    tuples = {
        bits: tuple(group for position, group in enumerate(groups) if bits >> position & 1)
        for bits in set(present.values())
    }
    return array("q", ends), [tuples[present[end]] for end in ends]
