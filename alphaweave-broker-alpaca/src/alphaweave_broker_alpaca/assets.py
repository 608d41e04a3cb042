"""Alpaca's assets, few or many at once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Final
from urllib.parse import quote

from alphaweave_broker_alpaca.answers import answered, mapping_in, mappings_in
from alphaweave_broker_alpaca.transport import Refused

__all__ = ["find_assets"]

# More symbols than this are looked up in the list of all: one by one, they would spend the request limit.
_SINGLY: Final = 20

_Ask = Callable[[str, Mapping[str, Any]], Awaitable[Any]]


async def find_assets(ask: _Ask, venue_symbols: Iterable[str]) -> dict[str, Mapping[str, Any]]:
    """The assets of these symbols; one that Alpaca does not have, or has under another, is missing.

    Args:
        ask: makes one GET request to the trading API: a path, and what is asked for.

    Raises:
        BrokerUnavailable: no usable answer.
    """
    left = dict.fromkeys(venue_symbols)
    found: dict[str, Mapping[str, Any]] = {}
    with answered():
        if len(left) > _SINGLY:
            for kind in sorted({"crypto" if "/" in symbol else "us_equity" for symbol in left}):
                # An asset that is gone may have had the symbol of one that is there.
                query = {"status": "active", "asset_class": kind}
                for asset in mappings_in(await ask("/assets", query)):
                    symbol = asset.get("symbol")
                    if symbol in left:
                        found[str(symbol)] = asset
        for symbol in left:
            if symbol not in found:
                try:
                    asset = mapping_in(await ask(f"/assets/{quote(symbol, safe='')}", {}))
                except Refused as no:
                    if no.status != 404 or no.code is None:
                        raise
                    continue
                # Alpaca takes BTCUSD for BTC/USD, and tells of orders and positions under its own name.
                if asset.get("symbol", symbol) == symbol:
                    found[symbol] = asset
    return found
