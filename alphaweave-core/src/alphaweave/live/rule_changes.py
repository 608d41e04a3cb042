"""An instrument's trading rules that change while a run trades it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

from attrs import fields

from alphaweave.core.instrument import Instrument
from alphaweave.core.money import plain
from alphaweave.live.orders import SymbolBook

__all__ = ["changes", "take_rules"]

_BOOKED_BY: Final = ("venue_symbol", "kind", "base", "quote", "settle", "multiplier")


def take_rules(book: SymbolBook, rules: Instrument) -> bool:
    """Trade by these rules from now on; False, and nothing done, where the books cannot be kept by them."""
    if any(getattr(rules, name) != getattr(book.instrument, name) for name in _BOOKED_BY):
        return False
    book.instrument = rules
    book.whole = str(rules.size_step) == "1"
    book.usual_tif, book.market_tif = {}, None
    return True


def changes(ours: Instrument, theirs: Instrument) -> str:
    """What differs, in words."""
    pairs = [(one.name, getattr(ours, one.name), getattr(theirs, one.name)) for one in fields(Instrument)]
    said = [f"{name} {_words(old)} -> {_words(new)}" for name, old, new in pairs if old != new]
    return ", ".join(said)


def _words(value: Any) -> str:
    if isinstance(value, Decimal):
        return plain(value)
    if isinstance(value, tuple):
        return "/".join(plain(band.step) for band in value)
    if isinstance(value, frozenset):
        return "/".join(sorted(f"{kind.value} {tif.value}" for kind, tif in value))
    return str(value)
