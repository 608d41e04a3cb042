"""A config as a page may show it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from alphaweave.core.redaction import redact

__all__ = ["config_text"]


def config_text(config: Mapping[str, Any]) -> str:
    """The config as YAML, without its secrets and without keys that are not set.

    A config that comes from the loader is redacted already; this also holds for one that does not.
    """
    import yaml

    text: str = yaml.safe_dump(_set(redact(config)), sort_keys=False, allow_unicode=True, width=88)
    return text


def _set(value: Any) -> Any:
    """Plain values for YAML, and only those that are there."""
    if isinstance(value, dict):
        kept = ((str(key), _set(item)) for key, item in value.items())
        return {key: item for key, item in kept if item is not None and item not in ({}, [])}
    if isinstance(value, list):
        return [_set(item) for item in value]
    return value if value is None or isinstance(value, bool | int | float) else str(value)
