"""What may be shown of a raw config: references to secrets stay, secrets that stand written out go."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, Final

from alphaweave.core.secret import REDACTED, Secret

__all__ = ["BRACES", "ENV", "is_secret_name", "redact"]

BRACES: Final = re.compile(r"(\$?)\$\{([^}]*)\}?")
"""A reference in braces inside a text; its first group is not empty where it is a plain ``${``."""

ENV: Final = re.compile(r"env:([A-Za-z_][A-Za-z0-9_]*)")
"""What stands between the braces of a reference to an environment variable."""

_SECRET_NAME: Final = re.compile(
    r"key|secret|token|passw|passphrase|pwd|credential|private|auth", re.IGNORECASE
)
# A password inside a URL, whatever the key is called.
_USERINFO: Final = re.compile(r"(?<=://)([^/@\s:]*):([^/@\s]+)@")


def is_secret_name(name: object) -> bool:
    """Whether a key is called like something secret (key, secret, token, password, ...)."""
    return isinstance(name, str) and _SECRET_NAME.search(name) is not None


def redact(value: Any, *, secret: bool = False) -> Any:
    """A copy of a raw tree that may be shown: references stay, and what stands written out under a key that
    is called like a secret, or as a password in a URL, becomes ``[redacted]``.
    """
    if isinstance(value, Mapping):
        return {key: redact(item, secret=secret or is_secret_name(key)) for key, item in value.items()}
    if isinstance(value, Sequence | AbstractSet) and not isinstance(value, str | bytes):
        return [redact(item, secret=secret) for item in value]
    if isinstance(value, Secret):
        return REDACTED
    if value is None or isinstance(value, bool):
        return value
    if secret:
        return value if isinstance(value, str) and _only_references(value) else REDACTED
    return _USERINFO.sub(_without_password, value) if isinstance(value, str) else value


def _only_references(text: str) -> bool:
    if text.startswith(("file:", "keyring:")):
        return True
    # The literal part of "abc${env:X}" would be a part of the secret.
    return all(ENV.fullmatch(match[2]) and not match[1] for match in BRACES.finditer(text)) and not re.sub(
        BRACES, "", text
    )


def _without_password(match: re.Match[str]) -> str:
    kept = match[2] if _only_references(match[2]) else REDACTED
    return f"{match[1]}:{kept}@"
