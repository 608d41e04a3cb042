"""A config as a page may show it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from alphaweave.core.secret import REDACTED, Secret

__all__ = ["config_text", "redacted"]

_SECRET_NAME: Final = re.compile(
    r"key|secret|token|passw|passphrase|pwd|credential|private|auth", re.IGNORECASE
)
_REFERENCE: Final = re.compile(r"(\$\{env:\w+\}|(file|keyring):.+)")
_USERINFO: Final = re.compile(r"(?<=://)[^/@\s]*:[^/@\s]*(?=@)")


def redacted(value: Any, *, secret: bool = False) -> Any:
    """A plain copy in which nothing secret is left.

    A config that comes from the loader is redacted already; this also holds for one that does not.
    References to secrets stay, since they say where a value is and not what it is.
    """
    if isinstance(value, Mapping):
        return {
            str(key): redacted(item, secret=secret or _SECRET_NAME.search(str(key)) is not None)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset):
        return [redacted(item, secret=secret) for item in value]
    if isinstance(value, Secret):
        return REDACTED
    if value is None or isinstance(value, bool):
        return value
    if secret:
        return value if isinstance(value, str) and _REFERENCE.fullmatch(value) else REDACTED
    if isinstance(value, int | float):
        return value
    return _USERINFO.sub(REDACTED, str(value))


def config_text(config: Mapping[str, Any]) -> str:
    """The redacted config as YAML, without keys that are not set."""
    import yaml

    text: str = yaml.safe_dump(_set(redacted(config)), sort_keys=False, allow_unicode=True, width=88)
    return text


def _set(value: Any) -> Any:
    if isinstance(value, dict):
        kept = ((key, _set(item)) for key, item in value.items())
        return {key: item for key, item in kept if item is not None and item not in ({}, [])}
    return [_set(item) for item in value] if isinstance(value, list) else value
