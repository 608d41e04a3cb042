"""References to secrets, which a config must not hold itself.

A reference stands in a string: ``${env:NAME}`` anywhere in it (``$${`` is a plain ``${``), or
``file:PATH`` or ``keyring:SERVICE/NAME`` as the whole of it. It stands for a secret, so that only an
option of the type `Secret` takes one.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from alphaweave.core.errors import Problem, SecretError
from alphaweave.core.redaction import BRACES, ENV
from alphaweave.core.scrubber import Scrubber

__all__ = ["REFERENCE_PATTERN", "Reference", "Resolution", "Unresolvable", "join", "resolve"]

REFERENCE_PATTERN: Final = r"(^|[^$])\$\{env:[A-Za-z_][A-Za-z0-9_]*\}|^file:.|^keyring:."
"""Matches a string that refers to a value kept elsewhere."""

_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


class Unresolvable(Exception):
    """Why a reference cannot be resolved; the message never holds a value."""


class _Failed(Exception):
    """The same, without the reference."""


class Reference:
    """Text that refers to a secret. Nothing is looked up before somebody asks who may have it."""

    __slots__ = ("_base_dir", "_scrubber", "_text")

    def __init__(self, text: str, base_dir: Path, scrubber: Scrubber) -> None:
        self._text = text
        self._base_dir = base_dir
        self._scrubber = scrubber

    def look_up(self) -> str:
        """What it stands for, which the run's scrubber knows from now on.

        Raises:
            Unresolvable: it cannot be found, or is not what a secret has to be.
        """
        text = reference = self._text
        try:
            if text.startswith("file:"):
                found = _from_file(text, self._base_dir)
            elif text.startswith("keyring:"):
                found = _from_keyring(text)
            else:
                parts: list[str] = []
                end = 0
                for match in BRACES.finditer(text):
                    reference = match[0]
                    parts += [text[end : match.start()], match[0][1:] if match[1] else _from_env(match)]
                    if not match[1]:
                        self._scrubber.add(parts[-1])
                    end = match.end()
                found = "".join([*parts, text[end:]])
        except _Failed as failure:
            raise Unresolvable(f"cannot resolve {reference}: {failure}") from None
        self._scrubber.add(found)
        return found


class Resolution:
    """A raw tree whose references can be told from its texts.

    Attributes:
        tree: a copy of it, with a `Reference` for each string that holds one.
        scrubber: knows the secrets that were looked up.
    """

    __slots__ = ("scrubber", "tree")

    def __init__(
        self,
        raw: object,
        *,
        base_dir: Path | None = None,
        keep: Callable[[str], bool] = lambda path: False,
        scrubber: Scrubber | None = None,
    ) -> None:
        """Find the references in ``raw``, but for the subtrees whose path ``keep`` claims.

        ``file:`` references are relative to ``base_dir``.
        """
        self.scrubber = Scrubber() if scrubber is None else scrubber
        self.tree: Any = _refer(raw, "", base_dir or Path(), keep, self.scrubber)


def _refer(
    value: object, path: str, base_dir: Path, keep: Callable[[str], bool], scrubber: Scrubber
) -> object:
    if keep(path):
        return value
    if isinstance(value, Mapping):
        return {key: _refer(item, join(path, key), base_dir, keep, scrubber) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_refer(item, join(path, index), base_dir, keep, scrubber) for index, item in enumerate(value)]
    if not isinstance(value, str):
        return value
    if value.startswith(("file:", "keyring:")) or any(not match[1] for match in BRACES.finditer(value)):
        return Reference(value, base_dir, scrubber)
    return value.replace("$${", "${")


def resolve(raw: object, *, path: str = "", base_dir: Path | None = None) -> Any:
    """A copy of ``raw`` in which every reference is replaced by what it stands for: a secret.

    Raises:
        SecretError: with one problem for each reference that cannot be resolved: its path and the
            reference, never a value.
    """
    problems: list[Problem] = []

    def looked_up(value: object, path: str) -> object:
        if isinstance(value, Mapping):
            return {key: looked_up(item, join(path, key)) for key, item in value.items()}
        if isinstance(value, list):
            return [looked_up(item, join(path, index)) for index, item in enumerate(value)]
        if not isinstance(value, Reference):
            return value
        try:
            return value.look_up()
        except Unresolvable as failure:
            problems.append(Problem(path, f"{failure}."))
            return None

    found = looked_up(Resolution(raw, base_dir=base_dir).tree, path)
    if problems:
        raise SecretError(problems)
    return found


def join(path: str, key: object) -> str:
    """The path of ``key`` in the section (or, for a number, in the list) at ``path``."""
    if isinstance(key, int) and not isinstance(key, bool):
        return f"{path}[{key}]"
    name = str(key)
    if "." in name:
        name = f'"{name}"'
    return f"{path}.{name}" if path else name


def _from_env(match: re.Match[str]) -> str:
    name = ENV.fullmatch(match[2])
    if name is None or not match[0].endswith("}"):
        word = match[2].rpartition(":")[2]
        raise _Failed(f"write ${{env:{word}}} for an environment variable, or $${{ for a plain ${{")
    value = os.environ.get(name[1])
    if not value:
        state = "is not set" if value is None else "is empty"
        raise _Failed(f"the environment variable {name[1]} {state}")
    return value


def _from_file(text: str, base_dir: Path) -> str:
    try:
        path = base_dir / Path(text.removeprefix("file:")).expanduser()
    except RuntimeError:
        raise _Failed("there is no home folder to put for the ~; write the whole path") from None
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
