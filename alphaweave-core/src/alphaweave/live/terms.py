"""The terms of a run: what its decisions depend on besides its bars, kept with its state."""

from __future__ import annotations

import json
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from decimal import Decimal
from enum import Enum
from hashlib import blake2b
from math import isfinite
from pathlib import PurePath
from typing import Any, Final

import attrs

from alphaweave.core.instrument import Instrument
from alphaweave.core.money import plain
from alphaweave.core.redaction import is_secret_name, redact
from alphaweave.core.secret import REDACTED
from alphaweave.live.config import LiveConfig

__all__ = ["run_terms", "term_changes"]

_WIDTH: Final = 80
_ABSENT: Final = object()


def run_terms(
    config: LiveConfig, *, broker_options: object, instruments: Mapping[str, Instrument]
) -> dict[str, Any]:
    """What a resumed run must have in common with the run that was saved, as JSON values without secrets.

    Not here: the strategy's class and the run's id, which a state names itself; the bars, of which it has
    a digest; and what decides nothing: paths, monitors, titles.

    Args:
        broker_options: the parsed options, defaults included.
        instruments: the rules that the run trades by, by symbol.
    """
    run = config.run
    terms = {
        "run": {
            "capital": run.capital,
            "currency": run.currency,
            "warmup": run.warmup,
            "seed": run.seed,
        },
        "datafeed": {"interval": config.datafeed.interval, "timezone": config.datafeed.timezone},
        "broker": {
            "name": config.broker.name,
            "account_id": config.broker.account_id,
            "options": {config.broker.name: broker_options},
        },
        "strategy": {"params": config.strategy.params},
        "risk": config.risk,
        **({"risk_rules": {one.name: one.block for one in config.risk_rules}} if config.risk_rules else {}),
        # Whether a rule was assumed is no part of the rule.
        "instruments": {symbol: attrs.evolve(one, assumed=False) for symbol, one in instruments.items()},
    }
    known: dict[str, Any] = _plain(terms)
    return known


def term_changes(saved: Mapping[str, Any], present: Mapping[str, Any]) -> list[str]:
    """A line for each term that differs: its path, and both values."""
    return _changes(saved, present, "")


def _changes(saved: Any, present: Any, path: str) -> list[str]:
    if isinstance(saved, Mapping) and isinstance(present, Mapping):
        lines = []
        for key in dict.fromkeys([*saved, *present]):
            below = f"{path}.{key}" if path else str(key)
            lines += _changes(saved.get(key, _ABSENT), present.get(key, _ABSENT), below)
        return lines
    if saved is _ABSENT:
        return [f"saved without {path}, the config says {_shown(present)}"]
    if present is _ABSENT:
        return [f"saved with {path} {_shown(saved)}, the config has none"]
    # True is 1 to Python, and another value to whoever wrote it.
    if saved == present and isinstance(saved, bool) == isinstance(present, bool):
        return []
    return [f"saved with {path} {_shown(saved)}, the config says {_shown(present)}"]


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) and value else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _WIDTH else f"{text[: _WIDTH - 3]}..."


def _plain(value: Any, *, secret: bool = False) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item, secret=secret or is_secret_name(key)) for key, item in value.items()}
    if attrs.has(type(value)):
        kept = [one.name for one in attrs.fields(type(value)) if not one.name.startswith("_")]
        return {name: _plain(getattr(value, name), secret=secret or is_secret_name(name)) for name in kept}
    if isinstance(value, AbstractSet):
        return sorted((_plain(item, secret=secret) for item in value), key=repr)
    if isinstance(value, list | tuple):
        return [_plain(item, secret=secret) for item in value]
    if isinstance(value, Enum):
        return _plain(value.value, secret=secret)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, Decimal):
        value = plain(value)
    elif isinstance(value, float) and not isfinite(value):
        value = str(value)
    elif isinstance(value, PurePath):
        return None  # where a thing lies decides nothing
    elif not isinstance(value, int | float | str):
        # An object's own name is its address, another one in every process.
        bare = "__repr__" not in {name for kind in type(value).__mro__[:-1] for name in vars(kind)}
        value = type(value).__qualname__ if bare else str(value)
    if secret:
        return _fingerprint(value)
    return redact(value)


def _fingerprint(value: Any) -> str:
    """Tells most changes of a value that must not be shown, and too little to guess it from."""
    if value == REDACTED:
        return REDACTED
    return f"{REDACTED} #{blake2b(repr(value).encode(), digest_size=1).hexdigest()}"
