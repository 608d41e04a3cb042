"""Binance's symbols, few or many at once."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from alphaweave.live.adapters.rate_budget import Use
from alphaweave_broker_binance.answers import mapping_in, mappings_in
from alphaweave_broker_binance.transport import Call, Refused, Transport

__all__ = ["find_symbols"]

# A symbol that is none, and one that could not be one.
_NO_SUCH_SYMBOL: Final = frozenset({"-1121", "-1100"})


async def find_symbols(transport: Transport, venue_symbols: Sequence[str]) -> Sequence[Mapping[str, Any]]:
    """The rules of these symbols; one that Binance does not have is missing. The request limits that come
    with them hold from then on.

    Raises:
        Refused, Unsent, NoAnswer: as `Transport.call`.
        KeyError, TypeError, ValueError: the answer cannot be read.
    """
    if not venue_symbols:
        return ()
    asked = {"symbols": json.dumps(venue_symbols, separators=(",", ":"))}
    try:
        told = mapping_in(
            await transport.call(Call(Use.QUERY, "GET", "/api/v3/exchangeInfo", asked, 20, signed=False))
        )
    except Refused as no:
        if no.status != 400 or no.code not in _NO_SUCH_SYMBOL:
            raise
        if len(venue_symbols) == 1:
            return ()
        # One that is unknown spoils the question for all.
        half = len(venue_symbols) // 2
        first = await find_symbols(transport, venue_symbols[:half])
        return [*first, *await find_symbols(transport, venue_symbols[half:])]
    transport.learn_limits(mappings_in(told["rateLimits"]))
    return mappings_in(told["symbols"])
