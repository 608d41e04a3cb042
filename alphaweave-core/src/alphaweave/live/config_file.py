"""Config documents: YAML and JSON text into plain Python values."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Final, NoReturn

import yaml

from alphaweave.core.errors import ConfigError, Problem

__all__ = ["read_document", "read_yaml"]

_TAG: Final = "tag:yaml.org,2002:"
_SUFFIXES: Final = (".yaml", ".yml", ".json")
_TOP: Final = "(top level)"
# What an alias stands for counts each time, for so often it is read; a config of a thousand instruments has
# some ten thousand values.
_MOST: Final = 100_000
_UNREADABLE: Final = "a control character, a number of thousands of digits, or too deep a nesting."
_EXPONENT: Final = re.compile(r"[-+]?[0-9]+[eE][-+]?[0-9]+")
_OCTAL: Final = re.compile(r"[-+]?0[0-9_]+")


class _Flaw(Exception):
    """Text that is not a document."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__()
        self.problems = problems


def read_document(path: Path) -> Any:
    """The content of a YAML (``.yaml``, ``.yml``) or JSON (``.json``) file.

    Raises:
        ConfigError: the file cannot be read, or is not such a document; its problems have the line and
            column as their path.
    """
    try:
        return _read(path)
    except _Flaw as flaw:
        problems = flaw.problems
    raise ConfigError(problems, path)


def read_yaml(text: str) -> Any:
    """One YAML value, as it would be read from a file.

    Raises:
        ConfigError: it is not YAML. The message does not repeat the text.
    """
    try:
        return _yaml(text)
    except _Flaw as flaw:
        problems = flaw.problems
    raise ConfigError(problems)


def _read(path: Path) -> Any:
    suffix = path.suffix.lower()
    if suffix not in _SUFFIXES:
        raise _Flaw(Problem(path.name, f"a config is a file that ends in {', '.join(_SUFFIXES)}."))
    try:
        if path.exists() and not (path.is_file() or path.is_dir()):
            # Reading a pipe or a device may last for ever.
            raise _Flaw(Problem(path.name, "not a regular file."))
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _Flaw(Problem(f"byte {error.start}", "not UTF-8 text.")) from None
    except OSError as error:
        raise _Flaw(Problem(path.name, f"{(error.strerror or type(error).__name__).lower()}.")) from None
    if not text.strip():
        raise _Flaw(Problem(path.name, "the file is empty."))
    return _json(text) if suffix == ".json" else _yaml(text)


def _json(text: str) -> Any:
    def mapping(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(pairs)
        if len(made) < len(pairs):
            names = [name for name, _ in pairs]
            doubled = next(name for name in names if names.count(name) > 1)
            raise _Flaw(Problem(doubled, "the key is there twice in one mapping; keep one."))
        return made

    def constant(name: str) -> NoReturn:
        raise _Flaw(Problem(name, "JSON has no such number."))

    try:
        return json.loads(text, object_pairs_hook=mapping, parse_constant=constant)
    except json.JSONDecodeError as error:
        raise _Flaw(
            Problem(f"line {error.lineno}, column {error.colno}", f"not JSON: {error.msg}.")
        ) from None
    except (ValueError, RecursionError):
        raise _Flaw(Problem(_TOP, _UNREADABLE)) from None


def _yaml(text: str) -> Any:
    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        if node is None:
            return None
        survey = _Survey()
        if survey.size_of(node) > _MOST:
            raise _Flaw(Problem(_TOP, f"more than {_MOST:,} values, those behind aliases included."))
        if survey.problems:
            raise _Flaw(*survey.problems)
        return loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        what = error.problem or error.context or "it cannot be read"
        raise _Flaw(Problem(_place(error.problem_mark or error.context_mark), f"not YAML: {what}.")) from None
    except (yaml.YAMLError, ValueError, RecursionError):
        raise _Flaw(Problem(_TOP, _UNREADABLE)) from None


def _place(mark: yaml.Mark | None) -> str:
    return _TOP if mark is None else f"line {mark.line + 1}, column {mark.column + 1}"


class _Survey:
    """Looks at each node once, wherever aliases to it stand: reads plain scalars as YAML 1.2 and JSON do,
    counts what the whole comes to, and finds doubled keys and what contains itself.
    """

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self._sizes: dict[int, int | None] = {}

    def size_of(self, node: yaml.Node) -> int:
        """How many values it stands for, its own included."""
        known = self._sizes.get(id(node), 0)
        if known is None:
            self.problems.append(Problem(_place(node.start_mark), "an alias refers to what it is a part of."))
            return 1
        if known:
            return known
        self._sizes[id(node)] = None
        size = 1
        if isinstance(node, yaml.ScalarNode):
            _retag(node)
        elif isinstance(node, yaml.SequenceNode):
            size += sum(map(self.size_of, node.value))
        else:
            seen: dict[str, yaml.Node] = {}
            for key, value in node.value:
                if isinstance(key, yaml.ScalarNode) and key.tag != f"{_TAG}merge":
                    if key.value in seen:
                        first = _place(seen[key.value].start_mark)
                        text = f"the key {key.value!r} is there already at {first}; keep one."
                        self.problems.append(Problem(_place(key.start_mark), text))
                    seen.setdefault(key.value, key)
                size += self.size_of(key) + self.size_of(value)
        self._sizes[id(node)] = size
        return size


def _retag(node: yaml.ScalarNode) -> None:
    if node.style is not None:
        return
    number = node.tag in {f"{_TAG}int", f"{_TAG}float"}
    if node.tag == f"{_TAG}timestamp" or (number and (":" in node.value or _OCTAL.fullmatch(node.value))):
        # 2024-01-02, 9:30 and 000001 stay text; YAML 1.1 makes a date, 570 and 1 of them.
        node.tag = f"{_TAG}str"
    elif node.tag == f"{_TAG}str" and _EXPONENT.fullmatch(node.value):
        node.tag = f"{_TAG}float"
