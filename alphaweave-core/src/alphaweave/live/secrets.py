"""References to values that a config must not hold, and the redaction of what it holds anyway.

A reference stands in a string: ``${env:NAME}`` anywhere in it (``$${`` is a plain ``${``), or
``file:PATH`` or ``keyring:SERVICE/NAME`` as the whole of it.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from alphaweave.core.errors import Problem, SecretError
from alphaweave.core.secret import REDACTED, Secret

__all__ = [
    "REFERENCE_PATTERN",
    "Resolution",
    "Resolved",
    "Unresolved",
    "is_secret_name",
    "join",
    "redact",
    "resolve",
]

REFERENCE_PATTERN: Final = r"(^|[^$])\$\{env:[A-Za-z_][A-Za-z0-9_]*\}|^file:.|^keyring:."
"""Matches a string that refers to a value kept elsewhere."""

_BRACES: Final = re.compile(r"(\$?)\$\{([^}]*)\}?")
_ENV: Final = re.compile(r"env:([A-Za-z_][A-Za-z0-9_]*)")
_SECRET_NAME: Final = re.compile(
    r"key|secret|token|passw|passphrase|pwd|credential|private|auth", re.IGNORECASE
)
# A password inside a URL, whatever the key is called.
_USERINFO: Final = re.compile(r"(?<=://)([^/@\s:]*):([^/@\s]+)@")
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


class Resolved(str):
    """Text that a reference stood for. Numbers are read from it, and no message repeats it."""

    __slots__ = ()


class Unresolved:
    """Stands where a reference failed: the failure is reported already."""


class _Failed(Exception):
    """Why one reference cannot be resolved; the message never holds a value."""


class Resolution:
    """What resolving a tree gave.

    Attributes:
        tree: a copy of the tree, each string with a reference in it replaced.
        problems: one for each reference that failed, in whose place stands an `Unresolved`.
        values: the values found, so that messages can be searched for them.
    """

    __slots__ = ("_base_dir", "problems", "tree", "values")

    def __init__(
        self,
        raw: object,
        *,
        path: str = "",
        base_dir: Path | None = None,
        keep: Callable[[str], bool] = lambda path: False,
    ) -> None:
        """Resolve every string of ``raw``, but for the subtrees whose path ``keep`` claims.

        ``path`` is where ``raw`` stands in its config; ``file:`` references are relative to ``base_dir``.
        """
        self._base_dir = base_dir or Path()
        self.problems: list[Problem] = []
        self.values: list[str] = []
        self.tree: Any = self._resolve(raw, path, keep)

    def scrub(self, text: str) -> str:
        """The text without any of the values found (the shortest ones are left: they are in every text)."""
        for value in sorted(self.values, key=len, reverse=True):
            if len(value) > 3:
                text = text.replace(value, REDACTED)
        return text

    def _resolve(self, value: object, path: str, keep: Callable[[str], bool]) -> object:
        if keep(path):
            return value
        if isinstance(value, Mapping):
            return {key: self._resolve(item, join(path, key), keep) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self._resolve(item, join(path, index), keep) for index, item in enumerate(value)]
        return self._text(value, path) if isinstance(value, str) else value

    def _text(self, text: str, path: str) -> object:
        reference = text
        try:
            if text.startswith("file:"):
                found = _from_file(text, self._base_dir)
            elif text.startswith("keyring:"):
                found = _from_keyring(text)
            elif "${" in text:
                parts: list[str] = []
                end = 0
                for match in _BRACES.finditer(text):
                    reference = match[0]
                    parts += [text[end : match.start()], match[0][1:] if match[1] else _from_env(match)]
                    if not match[1]:
                        self.values.append(parts[-1])
                    end = match.end()
                found = "".join([*parts, text[end:]])
            else:
                return text
        except _Failed as failure:
            self.problems.append(Problem(path, f"cannot resolve {reference}: {failure}."))
            return Unresolved()
        self.values.append(found)
        return Resolved(found)


def resolve(raw: object, *, path: str = "", base_dir: Path | None = None) -> Any:
    """A copy of ``raw`` in which every reference is replaced by what it stands for.

    Raises:
        SecretError: with one problem for each reference that cannot be resolved: its path and the
            reference, never a value.
    """
    resolution = Resolution(raw, path=path, base_dir=base_dir)
    if resolution.problems:
        raise SecretError(resolution.problems)
    return resolution.tree


def join(path: str, key: object) -> str:
    """The path of ``key`` in the section (or, for a number, in the list) at ``path``."""
    if isinstance(key, int) and not isinstance(key, bool):
        return f"{path}[{key}]"
    name = str(key)
    if "." in name:
        name = f'"{name}"'
    return f"{path}.{name}" if path else name


def _from_env(match: re.Match[str]) -> str:
    name = _ENV.fullmatch(match[2])
    if name is None or not match[0].endswith("}"):
        word = match[2].rpartition(":")[2]
        raise _Failed(f"write ${{env:{word}}} for an environment variable, or $${{ for a plain ${{")
    value = os.environ.get(name[1])
    if not value:
        state = "is not set" if value is None else "is empty"
        raise _Failed(f"the environment variable {name[1]} {state}")
    return value


def _from_file(text: str, base_dir: Path) -> str:
    path = base_dir / Path(text.removeprefix("file:")).expanduser()
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):
            raise _Failed("it is not a regular file")
        # Windows keeps its permissions elsewhere; these bits say nothing there.
        if os.name == "posix" and mode & _OTHERS:
            raise _Failed(f"other users have access to it; run: chmod 600 {path}")
        value = path.read_bytes().decode()
    except OSError as error:
        raise _Failed((error.strerror or type(error).__name__).lower()) from None
    except UnicodeDecodeError:
        raise _Failed("it is not UTF-8 text") from None
    value = value.removesuffix("\n").removesuffix("\r")
    if not value:
        raise _Failed("the file is empty")
    return value


def _from_keyring(text: str) -> str:
    service, _, name = text.removeprefix("keyring:").rpartition("/")
    if not service or not name:
        raise _Failed("write keyring:SERVICE/NAME")
    try:
        keyring = import_module("keyring")
    except ModuleNotFoundError:
        raise _Failed("the package keyring is not installed. Try: pip install keyring") from None
    try:
        value = keyring.get_password(service, name)
    except Exception as error:
        # Whatever a keyring's back end raises may quote what it read.
        raise _Failed(f"the keyring raised {type(error).__name__}") from None
    if not value:
        raise _Failed(f"the keyring has no entry {name!r} of service {service!r}")
    return str(value)


def is_secret_name(name: object) -> bool:
    """Whether a key is called like something secret (key, secret, token, password, ...)."""
    return isinstance(name, str) and _SECRET_NAME.search(name) is not None


def redact(value: Any, *, secret: bool = False) -> Any:
    """A copy of a raw tree that may be shown: references stay, and what stands written out under a key that
    is called like a secret, or as a password in a URL, becomes ``[redacted]``.
    """
    if isinstance(value, Mapping):
        return {key: redact(item, secret=secret or is_secret_name(key)) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
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
    return all(_ENV.fullmatch(match[2]) and not match[1] for match in _BRACES.finditer(text)) and not re.sub(
        _BRACES, "", text
    )


def _without_password(match: re.Match[str]) -> str:
    kept = match[2] if _only_references(match[2]) else REDACTED
    return f"{match[1]}:{kept}@"
