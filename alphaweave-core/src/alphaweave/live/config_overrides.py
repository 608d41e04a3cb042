"""Overrides: ``--set broker.name=mock`` and the like, put into a raw config."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, get_args

import attrs

from alphaweave.core.errors import ConfigError, Problem
from alphaweave.live.config_fields import is_list, is_mapping, keys_of, optional_of
from alphaweave.live.config_file import read_yaml
from alphaweave.live.config_sections import LiveConfig, expand_shorthand
from alphaweave.live.config_values import near
from alphaweave.live.secrets import join

__all__ = ["apply_overrides", "copy_of", "put_in"]

# broker.options.paper.seed, instruments[0].names.ibkr, risk.symbols."BRK.B".max_order_quantity
_STEP: Final = re.compile(r'(?:^|\.)(?:"([^"]+)"|([^.\[\]="]+))|\[([0-9]+)\]')


class _Refused(Exception):
    """Why one override cannot be put in."""

    def __init__(self, problem: Problem) -> None:
        super().__init__()
        self.problem = problem


def copy_of(value: Any) -> Any:
    """A copy of a raw tree, of plain dicts and lists; what stands in them is not copied."""
    if isinstance(value, Mapping):
        return {key: copy_of(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [copy_of(item) for item in value]
    return value


def apply_overrides(raw: Mapping[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """A copy of a raw config with each ``path=value`` put in, in their order.

    The value is read as YAML (``5``, ``true``, ``[SPY, QQQ]``, ``{fast: 10}``); nothing after the ``=``
    means null, which is the default. Missing sections are made. ``instruments[0]`` counts from 0, and the
    number after the last appends. A key with a dot in it stands in double quotes.

    Raises:
        ConfigError: with a problem for each override that is no ``path=value`` or whose path no config
            can have. No message repeats a value.
    """
    tree, problems = put_in(raw, overrides)
    if problems:
        raise ConfigError(problems)
    return tree


def put_in(raw: Mapping[str, Any], overrides: Sequence[str]) -> tuple[dict[str, Any], list[Problem]]:
    """The copy that `apply_overrides` makes, and what it could not put in."""
    tree: dict[str, Any] = copy_of(raw)
    expand_shorthand(tree)
    problems = []
    for override in overrides:
        try:
            _apply(tree, override)
        except _Refused as refused:
            problems.append(refused.problem)
    expand_shorthand(tree)
    return tree, problems


def _apply(tree: dict[str, Any], override: str) -> None:
    steps: list[str | int] = []
    end = 0
    while match := _STEP.match(override, end):
        steps.append(int(match[3]) if match[3] else match[1] or match[2].strip())
        end = match.end()
    if not steps or override.startswith(".") or override[end : end + 1] != "=":
        where = f"--set {override.partition('=')[0]}"
        raise _Refused(Problem(where, "write an override as path=value, such as broker.name=mock."))
    _check(LiveConfig, steps, "")
    try:
        value = read_yaml(override[end + 1 :])
    except ConfigError:
        raise _Refused(
            Problem(f"--set {override[:end]}", "the value is not YAML; put it in quotes.")
        ) from None
    _put(tree, steps, value)


def _check(kind: Any, steps: Sequence[str | int], path: str) -> None:
    """Whether a config can have this path."""
    if not steps:
        return
    kind = optional_of(kind) or kind
    step, rest = steps[0], steps[1:]
    here = join(path, step)
    if kind is Any:
        return
    if attrs.has(kind) and isinstance(step, str):
        keys = keys_of(kind)
        if step not in keys:
            close = near(step, list(keys))
            text = f"no config has this key; {path or 'a config'} takes {', '.join(keys)}."
            raise _Refused(Problem(f"--set {here}", text, close and join(path, close)))
        _check(keys[step].type, rest, here)
    elif is_mapping(kind) and isinstance(step, str):
        _check((get_args(kind) or (str, Any))[1], rest, here)
    elif is_list(kind) and isinstance(step, int):
        _check((get_args(kind) or (Any,))[0], rest, here)
    elif isinstance(step, int):
        raise _Refused(Problem(f"--set {here}", f"{path or 'a config'} is not a list."))
    elif is_list(kind):
        raise _Refused(Problem(f"--set {here}", f"{path} is a list; write {path}[0] for its first entry."))
    else:
        raise _Refused(Problem(f"--set {here}", f"{path} is a single value."))


def _put(tree: dict[str, Any], steps: Sequence[str | int], value: Any) -> None:
    node: Any = tree
    path = ""
    for step, following in zip(steps, [*steps[1:], None], strict=True):
        path = join(path, step)
        if isinstance(step, int) and step == len(node):
            node.append(None)
        elif isinstance(step, int) and step > len(node):
            raise _Refused(Problem(f"--set {path}", f"the list has {len(node)} entries, counted from 0."))
        if following is None:
            node[step] = value
            return
        child = node[step] if isinstance(step, int) else node.get(step)
        wanted = list if isinstance(following, int) else dict
        if child is None:
            child = node[step] = wanted()
        elif not isinstance(child, wanted):
            what = "list" if wanted is list else "section"
            raise _Refused(Problem(f"--set {path}", f"what the config has there is not a {what}."))
        node = child
