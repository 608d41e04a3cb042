"""The stated rules that turn rows as they were read into a series, or refuse them.

In this order, whatever the source:

* A row without a single number (volume may be 0) is dropped; one that lacks some of its numbers is refused.
* No volume at all is volume 0.
* With ``adjust``, open, high, low and close are multiplied by adjusted close / close. Without it an
  adjusted close is not used.
* A price must be above 0, from 10^-12 to 10^12, and a volume 0 or more and below 10^18: what is beyond
  is no price, and its amounts would have more digits than money is counted in. High and low must enclose
  open and close; a miss of up to a millionth of the price is rounding, and the high or low is moved to it.
* The interval is the one given, else the most common spacing of the first 10,000 rows. Bars may be
  further apart (gaps stay gaps), never closer; where none are as close as the interval, it is refused.
* Rows out of order are sorted. Of rows with one stamp and equal numbers the first is kept; with
  different numbers they are refused.
* A bar of whole days starts at local midnight of its date and ends at local midnight; a shorter one
  lasts its interval from its stamp.

What was dropped, moved, filled in, sorted or found missing is an :class:`Adjustment`; what is refused is
a :class:`DataError` with source, line and reason.
"""

from __future__ import annotations

from array import array
from itertools import islice
from math import isnan
from operator import ge, le, lt, mul
from typing import Final

from attrs import evolve

from alphaweave.core.errors import DataError
from alphaweave.core.interval import Interval
from alphaweave.data.report import Adjustment, Note
from alphaweave.data.series import Cursor, Series
from alphaweave.data.spans import Rules, key_text, keys_of, most_common_interval, spans_of
from alphaweave.data.table import RawBars

__all__ = ["settle", "settle_piece"]

_ROUNDING: Final = 1e-6
_LOWEST: Final = 1e-12
_PRICE_LIMIT: Final = 1e12
_VOLUME_LIMIT: Final = 1e18
_PRICES: Final = ("open", "high", "low", "close")


def settle(symbol: str, raw: RawBars, rules: Rules, note: Note) -> Series:
    """Apply the rules.

    Raises:
        DataError: see the module's docstring; also when no row is left.
    """
    raw = _cleaned(symbol, raw, rules, note)
    if not len(raw):
        raise DataError(raw.origin.path, f"{symbol}: there is not one bar")
    interval = rules.interval or most_common_interval(raw.stamps, raw.origin)
    raw, keys = _ordered(raw, interval, rules, note)
    start, end = spans_of(keys, raw.origin, interval, rules, note)
    volume = raw.volume or array("d")
    # from_columns would check again what the rules above have just made sure of.
    return Series(symbol, interval.text, Cursor(), start, end, raw.open, raw.high, raw.low, raw.close, volume)


def settle_piece(symbol: str, raw: RawBars, rules: Rules, note: Note) -> tuple[RawBars, array[int]]:
    """Apply the rules that look at no more than one piece of the rows; their interval is less than a day.

    Returns:
        The rows that are left, and the start of each of their bars.

    Raises:
        DataError: as `settle`.
    """
    raw = _cleaned(symbol, raw, rules, note)
    if rules.interval is None or not len(raw):
        return raw, array("q")
    return _ordered(raw, rules.interval, rules, note)


def _cleaned(symbol: str, raw: RawBars, rules: Rules, note: Note) -> RawBars:
    raw.origin = evolve(raw.origin, symbol=symbol)
    _fill_volume(raw, note)
    _choose_close(raw, rules, note)
    raw = _without_holes(raw, note)
    if len(raw):
        _adjust(raw)
        _check_numbers(raw, note)
    return raw


def _ordered(raw: RawBars, interval: Interval, rules: Rules, note: Note) -> tuple[RawBars, array[int]]:
    raw, keys = _in_order(raw, keys_of(raw.stamps, raw.origin, interval, rules), note)
    return _without_repeats(raw, keys, interval, note)


def _fill_volume(raw: RawBars, note: Note) -> None:
    if raw.volume is None or (len(raw.volume) and all(map(isnan, raw.volume))):
        raw.volume = array("d", bytes(8 * len(raw)))
        note(Adjustment(raw.origin.path, None, "there is no volume; every bar has volume 0"))


def _choose_close(raw: RawBars, rules: Rules, note: Note) -> None:
    if raw.adj_close is not None and not rules.adjust:
        raw.adj_close = None
        note(Adjustment(raw.origin.path, None, "the adjusted close is not used (adjust uses it)"))
    elif raw.adj_close is None and rules.adjust:
        raise DataError(raw.origin.path, "there is no adjusted close to adjust the prices with")


def _without_holes(raw: RawBars, note: Note) -> RawBars:
    columns = {"open": raw.open, "high": raw.high, "low": raw.low, "close": raw.close}
    columns |= {"volume": raw.volume} if raw.volume is not None else {}
    columns |= {"adj_close": raw.adj_close} if raw.adj_close is not None else {}
    # A NaN survives every addition, so one sum clears a whole column.
    if not any(isnan(sum(column)) for column in columns.values()):
        return raw
    kept = []
    for row, numbers in enumerate(zip(*columns.values(), strict=True)):
        absent = [name for name, number in zip(columns, numbers, strict=True) if isnan(number)]
        if not absent:
            kept.append(row)
        elif len(absent) + (numbers[4] == 0) == len(columns):
            note(raw.origin.adjusted(row, "a row without numbers; dropped"))
        else:
            raise raw.origin.error(row, f"no number for {', '.join(absent)}, but for the rest of the bar")
    return raw.take(kept)


def _adjust(raw: RawBars) -> None:
    if raw.adj_close is None:
        return
    ratios = array("d")
    for row, (adjusted, close) in enumerate(zip(raw.adj_close, raw.close, strict=True)):
        if not (adjusted > 0 and close > 0):
            raise raw.origin.error(
                row, f"close {close} and adjusted close {adjusted}; a price must be above 0"
            )
        ratios.append(adjusted / close)
    for name in _PRICES:
        setattr(raw, name, array("d", map(mul, getattr(raw, name), ratios)))


def _check_numbers(raw: RawBars, note: Note) -> None:
    opens, highs, lows, closes, volumes = raw.open, raw.high, raw.low, raw.close, raw.volume or array("d")
    if (
        min(lows) >= _LOWEST
        and min(volumes) >= 0
        and max(highs) < _PRICE_LIMIT
        and max(volumes) < _VOLUME_LIMIT
        and all(map(ge, highs, opens))
        and all(map(ge, highs, closes))
        and all(map(le, lows, opens))
        and all(map(le, lows, closes))
    ):
        return
    moved: list[int] = []
    for row, bar in enumerate(zip(opens, highs, lows, closes, strict=True)):
        for name, price in zip(_PRICES, bar, strict=True):
            if not price > 0:
                raise raw.origin.error(row, f"{name} is {price}; a price must be above 0")
            if not _LOWEST <= price < _PRICE_LIMIT:
                raise raw.origin.error(row, f"{name} is {price}; prices are from 10^-12 to 10^12")
        if not volumes[row] >= 0:
            raise raw.origin.error(row, f"volume is {volumes[row]}; it must be 0 or more")
        if not volumes[row] < _VOLUME_LIMIT:
            raise raw.origin.error(row, f"volume is {volumes[row]}; volumes are below 10^18")
        top, bottom = max(bar[0], bar[3]), min(bar[0], bar[3])
        if bar[1] < bar[2]:
            raise raw.origin.error(row, f"high {bar[1]} is below low {bar[2]}")
        if top - bar[1] > _ROUNDING * top:
            raise raw.origin.error(row, f"high {bar[1]} is below the open or close {top}")
        if bar[2] - bottom > _ROUNDING * bottom:
            raise raw.origin.error(row, f"low {bar[2]} is above the open or close {bottom}")
        if top > bar[1] or bottom < bar[2]:
            highs[row], lows[row] = max(top, bar[1]), min(bottom, bar[2])
            moved.append(row)
    if moved:
        note(
            raw.origin.adjusted(
                moved[0], f"high or low moved by its rounding to enclose open and close, in {len(moved)} rows"
            )
        )


def _in_order(raw: RawBars, keys: array[int], note: Note) -> tuple[RawBars, array[int]]:
    if all(map(le, keys, islice(keys, 1, None))):
        return raw, keys
    late = [row for row in range(1, len(keys)) if keys[row] < keys[row - 1]]
    note(raw.origin.adjusted(late[0], f"{len(late)} rows are earlier than the row before; sorted by time"))
    order = sorted(range(len(keys)), key=keys.__getitem__)
    return raw.take(order), array("q", map(keys.__getitem__, order))


def _without_repeats(
    raw: RawBars, keys: array[int], interval: Interval, note: Note
) -> tuple[RawBars, array[int]]:
    if all(map(lt, keys, islice(keys, 1, None))):
        return raw, keys
    kept = [0]
    columns = [getattr(raw, name) for name in (*_PRICES, "volume")]
    for row in range(1, len(keys)):
        first = kept[-1]
        if keys[row] != keys[first]:
            kept.append(row)
            continue
        line = raw.origin.lines[first]
        if raw.stamps.raw[row] != raw.stamps.raw[first]:
            raise raw.origin.error(
                row, f"a second bar within the {interval} bar of line {line}; give the interval the bars have"
            )
        if any(column[row] != column[first] for column in columns):
            raise raw.origin.error(
                row,
                f"another bar of {key_text(keys[row], interval)} than line {line} has, with other numbers",
            )
        note(raw.origin.adjusted(row, f"the same bar as line {line}; dropped"))
    return raw.take(kept), array("q", map(keys.__getitem__, kept))
