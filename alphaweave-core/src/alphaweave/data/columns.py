"""Which column of a table is which, however its header is spelled."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from attrs import frozen

from alphaweave.core.errors import DataError

__all__ = ["FIELDS", "Columns", "find_columns", "has_symbols"]

FIELDS: Final = ("time", "open", "high", "low", "close", "volume", "adj_close", "symbol")
"""What a column can be; the keys of a ``columns`` mapping."""

# Spellings after lower-casing and dropping everything but letters. A later rank counts only where no
# earlier one is present: investing.com heads its close "Price", Nasdaq "Close/Last".
_SPELLINGS: Final[Mapping[str, tuple[frozenset[str], ...]]] = {
    "time": (
        frozenset({"datetime", "timestamp", "date", "time", "opentime", "gmttime", "localtime", "unix"}),
        frozenset({"day", "t", "index", "unnamed", "indexlevel", ""}),
    ),
    "open": (frozenset({"open", "openprice", "o"}),),
    "high": (frozenset({"high", "highprice", "h"}),),
    "low": (frozenset({"low", "lowprice", "l"}),),
    "close": (frozenset({"close", "closeprice", "c"}), frozenset({"closelast", "last", "price"})),
    "volume": (frozenset({"volume", "vol", "v"}), frozenset({"tickvol", "tickvolume"})),
    "adj_close": (frozenset({"adjclose", "adjustedclose", "closeadj", "adjcloseprice"}),),
    "symbol": (frozenset({"symbol", "ticker", "sym"}),),
}
_REQUIRED: Final = ("time", "open", "high", "low", "close")


@frozen
class Columns:
    """The position of each field in a table; None for an optional one that is not there.

    Attributes:
        time: one position, or two where the date and the time of day stand apart.
    """

    time: tuple[int, ...]
    open: int
    high: int
    low: int
    close: int
    volume: int | None
    adj_close: int | None
    symbol: int | None

    @property
    def prices(self) -> tuple[int, int, int, int]:
        return (self.open, self.high, self.low, self.close)


def find_columns(
    header: Sequence[str], named: Mapping[str, str] | None, path: str, line: int | None = 1
) -> Columns:
    """Find the fields in a header. ``named`` maps fields to header texts and overrides the spellings.

    Raises:
        DataError: a required column is missing, or two columns could be the same field.
        ValueError: ``named`` has a key that is no field.
    """
    named = named or {}
    for unknown in set(named) - set(FIELDS):
        raise ValueError(f"{unknown!r} is not a field of a bar; columns takes {', '.join(FIELDS)}")
    letters = [_letters(text) for text in header]
    found: dict[str, tuple[int, ...]] = {}
    for field in FIELDS:
        if field in named:
            found[field] = tuple(i for i, text in enumerate(header) if text.strip() == named[field])
            if not found[field]:
                raise DataError(path, f"no column {named[field]!r} for {field}; {_listing(header)}", line)
        else:
            ranks = ([i for i, text in enumerate(letters) if text in rank] for rank in _SPELLINGS[field])
            found[field] = tuple(next(filter(None, ranks), ()))
    if "time" not in named and sorted(letters[i] for i in found["time"]) == ["date", "time"]:
        found["time"] = tuple(sorted(found["time"], key=letters.__getitem__))
        time = found["time"]
    else:
        time = found["time"][:1]
    for field, positions in found.items():
        if len(positions) > 1 and not (field == "time" and len(time) == 2):
            texts = " and ".join(repr(header[i]) for i in positions)
            raise DataError(
                path, f"{texts} could each be {field}; name one with columns={{{field!r}: ...}}", line
            )
    missing = [field for field in _REQUIRED if not found[field]]
    if missing:
        raise DataError(path, f"no column for {', '.join(missing)}; {_listing(header)}", line)
    first = {field: positions[0] if positions else None for field, positions in found.items()}
    return Columns(
        time=time,
        open=found["open"][0],
        high=found["high"][0],
        low=found["low"][0],
        close=found["close"][0],
        volume=first["volume"],
        adj_close=first["adj_close"],
        symbol=first["symbol"],
    )


def has_symbols(header: Sequence[str], named: Mapping[str, str] | None) -> bool:
    """Whether a table tells the symbol of each row."""
    if named and "symbol" in named:
        return named["symbol"] in header
    return any(_letters(text) in _SPELLINGS["symbol"][0] for text in header)


def _letters(text: str) -> str:
    return re.sub("[^a-z]", "", text.lower())


def _listing(header: Sequence[str]) -> str:
    return f"the header has {', '.join(map(repr, header))}; name others with columns={{...}}"
