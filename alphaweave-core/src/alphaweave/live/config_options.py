"""From raw blocks of a config to typed options, with every problem in them told at once."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from functools import lru_cache
from pathlib import Path
from typing import Any, NoReturn, TypeVar, get_args, get_origin

import attrs
from cattrs import ClassValidationError, Converter, ForbiddenExtraKeysError
from cattrs.gen import make_dict_structure_fn, override

from alphaweave.core.errors import OptionsError, Problem, SecretError
from alphaweave.core.redaction import is_secret_name
from alphaweave.core.scrubber import Scrubber
from alphaweave.live.config_fields import (
    INTERNAL,
    Key,
    is_choice,
    is_list,
    is_mapping,
    keys_of,
    optional_of,
)
from alphaweave.live.config_values import (
    SCALARS,
    Hook,
    Item,
    Wrong,
    choice_hook,
    describe,
    each,
    near,
    refuse,
    untyped,
)
from alphaweave.live.secrets import Resolution, join

__all__ = ["parse_options", "problems_of", "structured"]

T = TypeVar("T")


def parse_options(
    options_class: type[T],
    raw: Mapping[str, Any] | None,
    *,
    path: str,
    base_dir: Path | None = None,
    scrubber: Scrubber | None = None,
) -> T:
    """Read an adapter's raw options block into its attrs class, resolving the references in it.

    Fields may have the types str, int, float, bool, Decimal, Path, Secret, an Enum, a Literal, Any,
    another attrs class, and lists, tuples, sets and mappings from text of these, each also as
    ``X | None``. A null where the type does not allow one means the field's default. Relative paths
    start from ``base_dir``, which is the folder of the config file (None: the working directory).
    Only a Secret is looked up; a reference anywhere else is refused. ``scrubber`` is told its value.

    Raises:
        OptionsError: with every problem; ``path`` leads the path of each.
        SecretError: the only problems are references that cannot be resolved.
        TypeError: the class has a field that no config can express.
    """
    resolution = Resolution({} if raw is None else raw, base_dir=base_dir, scrubber=scrubber)
    try:
        return structured(options_class, resolution, base_dir=base_dir)
    except Wrong as wrong:
        items = wrong.items
    # Outside the handler, so that no error made of these problems carries raw values in its context.
    error = SecretError if all(item.unresolved for item in items) else OptionsError
    raise error(problems_of(items, resolution, path=path))


def structured(section: type[T], resolution: Resolution, *, base_dir: Path | None = None) -> T:
    """The tree as an instance of ``section``.

    Raises:
        Wrong: with everything that does not fit.
    """
    return _converter(base_dir or Path()).structure(resolution.tree, section)


def problems_of(items: Iterable[Item], resolution: Resolution, *, path: str = "") -> list[Problem]:
    """What does not fit, for people; ``path`` leads the path of each."""
    return [_problem(item, path, resolution.scrubber) for item in items]


def _problem(item: Item, path: str, scrubber: Scrubber) -> Problem:
    for key in item.path:
        path = join(path, key)
    found = describe(item.found, hidden=any(map(is_secret_name, item.path)))
    text = scrubber.text(f"{item.text}, found {found}" if found else item.text)
    return Problem(path or "(top level)", text if text.endswith(("?", ".")) else f"{text}.", item.suggestion)


@lru_cache(maxsize=8)
def _converter(base_dir: Path) -> Converter:
    def path(value: object, _: object) -> Path:
        if not isinstance(value, str) or not value:
            return refuse("a path", value)
        try:
            expanded = Path(value).expanduser()
        except RuntimeError:
            return refuse("a path whose ~ is a home folder", value)
        # without the detours of "..", for the path is shown to people
        return Path(os.path.normpath(base_dir / expanded))

    converter = Converter(
        forbid_extra_keys=True, detailed_validation=True, structure_fallback_factory=_unsupported
    )
    for kind, hook in (*SCALARS, (Path, path)):
        converter.register_structure_hook(kind, hook)
    converter.register_structure_hook_func(lambda kind: kind is Any, lambda value, _: untyped(value))
    factories: tuple[tuple[Callable[[Any], bool], Callable[[Any, Converter], Hook]], ...] = (
        (attrs.has, _section_hook),
        (is_list, _list_hook),
        (is_mapping, _mapping_hook),
        (is_choice, lambda kind, _: choice_hook(kind)),
        (lambda kind: optional_of(kind) is not None, _optional_hook),
    )
    for predicate, factory in factories:
        converter.register_structure_hook_factory(predicate, factory)
    return converter


def _unsupported(kind: Any) -> NoReturn:
    raise TypeError(f"no config can hold a value of type {kind}; parse_options lists the types it reads")


def _optional_hook(kind: Any, converter: Converter) -> Hook:
    read = _reader(optional_of(kind), converter)
    return lambda value, _: None if value is None else read(value)


def _reader(kind: Any, converter: Converter) -> Callable[[Any], Any]:
    hook: Hook = converter.get_structure_hook(kind)
    return lambda value: hook(value, kind)


def _list_hook(kind: Any, converter: Converter) -> Hook:
    origin = get_origin(kind) or kind
    types = get_args(kind) or (Any,)
    readers = [_reader(item, converter) for item in types if item is not Ellipsis]
    length = (
        len(types) if issubclass(origin, tuple) and get_args(kind) and types[-1] is not Ellipsis else None
    )
    build: Callable[[list[Any]], Any] = tuple
    if issubclass(origin, AbstractSet):
        build = set if origin is set else frozenset
    elif origin is list:
        build = list

    def hook(value: object, _: object) -> Any:
        if not isinstance(value, list | tuple):
            return refuse("a list", value)
        if length is not None and len(value) != length:
            raise Wrong(Item(f"expected a list of {length}, found one of {len(value)}"))
        all_of_them = readers if length is not None else readers * len(value)
        return build(each(zip(range(len(value)), all_of_them, value, strict=True)))

    return hook


def _mapping_hook(kind: Any, converter: Converter) -> Hook:
    key_type, item_type = get_args(kind) or (str, Any)
    if key_type not in {str, Any}:
        _unsupported(kind)
    read = _reader(item_type, converter)

    def hook(value: object, _: object) -> Any:
        if not isinstance(value, Mapping):
            return refuse("a mapping", value)
        keys = [key for key in value if not isinstance(key, str)]
        if keys:
            raise Wrong(*(Item(f"the key {key!r} is not text; put it in quotes") for key in keys))
        return dict(zip(value, each((key, read, item) for key, item in value.items()), strict=True))

    return hook


def _section_hook(section: type, converter: Converter) -> Hook:
    keys = keys_of(section)
    by_attribute = {key.attribute.name: key for key in keys.values()}
    overrides: dict[str, Any] = {
        key.attribute.name: override(rename=key.name, struct_hook=_checked(key, converter))
        for key in keys.values()
    }
    for attribute in attrs.fields(section):
        if attribute.metadata.get(INTERNAL):
            overrides[attribute.name] = override(omit=True)
    build: Hook = make_dict_structure_fn(
        section, converter, _cattrs_forbid_extra_keys=True, _cattrs_detailed_validation=True, **overrides
    )

    def hook(value: object, _: object) -> Any:
        if not isinstance(value, Mapping):
            return refuse(f"a mapping of {', '.join(keys)}" if keys else "no options", value)
        given = {
            name: item
            for name, item in value.items()
            if item is not None or not _means_default(keys.get(name))
        }
        try:
            return build(given, section)
        except ClassValidationError as error:
            items = _items(error, keys, by_attribute, given)
        raise Wrong(*items)

    return hook


def _means_default(key: Key | None) -> bool:
    return key is not None and not key.required and not key.nullable


def _checked(key: Key, converter: Converter) -> Hook:
    """Reads and bounds one key. The constructor would bound it too, but it stops at the first problem."""
    read = _reader(key.type, converter)
    convert: Any = key.attribute.converter
    validate: Any = key.attribute.validator
    if isinstance(convert, attrs.Converter):
        # It may want the instance, so its value, and what bounds that, are known in the constructor only.
        convert = validate = None

    def hook(value: object, _: object) -> Any:
        made = read(value)
        try:
            checked = made if convert is None else convert(made)
            if validate is not None:
                validate(None, key.attribute, checked)
        except (ValueError, TypeError) as error:
            # The message may quote the value.
            text = "does not pass its check" if is_secret_name(key.name) else _message(error)
        except AttributeError:
            # The validator compares fields; the constructor asks it again.
            return made
        else:
            return made
        raise Wrong(Item(text))

    return hook


def _message(error: Exception) -> str:
    """What it says; the validators of attrs add the attribute and the value as arguments of their own."""
    return str(error.args[0]) if error.args else type(error).__name__


def _items(
    error: ClassValidationError,
    keys: Mapping[str, Key],
    by_attribute: Mapping[str, Key],
    given: Mapping[Any, Any],
) -> list[Item]:
    noted, rest = error.group_exceptions()
    items: list[Item] = []
    for cause, note in noted:
        key = by_attribute[note.name]
        if isinstance(cause, Wrong):
            items += cause.under(key.name)
        elif isinstance(cause, KeyError) and key.name not in given:
            doc = f": {key.doc.rstrip('.')}" if key.doc else ""
            items.append(Item(f"is required{doc}", path=(key.name,)))
        else:
            raise cause
    for cause in rest:
        if isinstance(cause, ForbiddenExtraKeysError):
            unknown = [name for name in given if name in cause.extra_fields]
            items += (
                Item("unknown key", suggestion=near(name, list(keys)), path=(str(name),)) for name in unknown
            )
        elif isinstance(cause, ValueError | TypeError):
            items.append(Item(_message(cause)))
        else:
            raise cause
    return items
