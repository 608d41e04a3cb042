"""The JSON Schema of configs, made from the classes that read them."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from decimal import Decimal
from enum import Enum
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, get_args, get_origin

import attrs

from alphaweave.core.money import plain
from alphaweave.core.secret import Secret
from alphaweave.live.config_fields import (
    Above,
    AtLeast,
    Blocks,
    Hours,
    Key,
    Matches,
    is_choice,
    is_list,
    is_mapping,
    keys_of,
    optional_of,
)
from alphaweave.live.config_sections import InstrumentConfig, LiveConfig, MonitorSection, RiskRuleSection
from alphaweave.live.config_values import NUMBER
from alphaweave.live.secrets import REFERENCE_PATTERN

__all__ = ["json_schema"]

_Schema = dict[str, Any]

_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_REFERENCE: Final[_Schema] = {"$ref": "#/$defs/reference"}
_SCALARS: Final[Mapping[type, _Schema]] = MappingProxyType(
    {
        bool: {"type": "boolean"},
        int: {"type": "integer"},
        float: {"type": "number"},
        Decimal: {"type": ["number", "string"], "pattern": f"^(?:{NUMBER})$"},
        str: {"type": "string"},
        Path: {"type": "string", "minLength": 1},
    }
)
# Entries that may be written as the bare value of one of their keys.
_SHORTHANDS: Final[Mapping[type, str]] = MappingProxyType(
    {InstrumentConfig: "symbol", MonitorSection: "name", RiskRuleSection: "name"}
)


def json_schema(root: type = LiveConfig) -> _Schema:
    """The JSON Schema (draft 2020-12) of a config, or of an adapter's options class.

    It accepts what the parser accepts in today's spelling. The parser refuses more: what only a
    comparison of several values shows. Earlier spellings are not in the schema.

    Raises:
        TypeError: the class has a field that no config can express.
    """
    definitions: dict[str, _Schema] = {
        "reference": {
            "type": "string",
            "pattern": REFERENCE_PATTERN,
            "description": "A secret kept elsewhere: ${env:NAME}, file:PATH or keyring:SERVICE/NAME.",
        }
    }
    schema = _section(root, definitions)
    title = "AlphaWeave config" if root is LiveConfig else root.__name__
    return {"$schema": _DIALECT, "title": title, **schema, "$defs": definitions}


def _section(section: type, definitions: dict[str, _Schema]) -> _Schema:
    keys = keys_of(section)
    summary = _summary(section)
    schema: _Schema = {"type": "object", "additionalProperties": False}
    if summary:
        schema["description"] = _prose(summary)
    schema["properties"] = {name: _key(key, summary, definitions) for name, key in keys.items()}
    required = [name for name, key in keys.items() if key.required]
    return {**schema, "required": required} if required else schema


def _key(key: Key, summary: str, definitions: dict[str, _Schema]) -> _Schema:
    validator = key.attribute.validator
    bounds = validator.schema() if isinstance(validator, Above | AtLeast | Blocks | Hours | Matches) else {}
    schema = _value(optional_of(key.type) or key.type, definitions, bounds)
    if schema and (not key.required or key.nullable):
        schema = {"anyOf": [*schema.get("anyOf", [schema]), {"type": "null"}]}
    schema = {**schema, "description": _prose(key.doc or summary or key.name)}
    default = None if key.required else _default(key.attribute.default)
    return schema if default is None else {**schema, "default": default}


def _value(kind: Any, definitions: dict[str, _Schema], bounds: _Schema) -> _Schema:
    """The schema of one type, within ``bounds``."""
    inner = optional_of(kind)
    if inner is not None:
        return {"anyOf": [_value(inner, definitions, bounds), {"type": "null"}]}
    if kind is Any:
        return dict(bounds)
    if kind is Secret:
        return _REFERENCE
    if kind in _SCALARS:
        return {**_SCALARS[kind], **bounds}
    if is_choice(kind):
        members = get_args(kind) or tuple(kind)
        choices = [member.value if isinstance(member, Enum) else member for member in members]
        return {"enum": choices}
    if attrs.has(kind):
        return _reference_to(kind, definitions)
    if is_mapping(kind):
        item = (get_args(kind) or (str, Any))[1]
        return {"type": "object", "additionalProperties": _value(item, definitions, {}), **bounds}
    if is_list(kind):
        return _list(kind, definitions)
    raise TypeError(f"no config can hold a value of type {kind}")


def _reference_to(section: type, definitions: dict[str, _Schema]) -> _Schema:
    name = section.__name__
    if name not in definitions:
        definitions[name] = {}
        definitions[name] = _section(section, definitions)
    schema = {"$ref": f"#/$defs/{name}"}
    shorthand = _SHORTHANDS.get(section)
    if shorthand is None:
        return schema
    return {"anyOf": [schema, {"$ref": f"#/$defs/{name}/properties/{shorthand}"}]}


def _list(kind: Any, definitions: dict[str, _Schema]) -> _Schema:
    origin, arguments = get_origin(kind) or kind, get_args(kind)
    if not issubclass(origin, tuple) or not arguments or arguments[-1] is Ellipsis:
        return {"type": "array", "items": _value(arguments[0] if arguments else Any, definitions, {})}
    items = [_value(item, definitions, {}) for item in arguments]
    return {"type": "array", "prefixItems": items, "items": False, "minItems": len(items)}


def _default(value: object) -> Any:
    """A default as a config writes it; None where there is none, or where it is made anew each time."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Decimal):
        return plain(value)
    return value if isinstance(value, str | bool | int | float) else None


def _prose(text: str) -> str:
    return text.replace("`", "")


def _summary(section: type) -> str:
    paragraph = inspect.cleandoc(section.__doc__ or "").partition("\n\n")[0]
    return paragraph.replace("\n", " ")
