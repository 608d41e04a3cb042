"""The options of a sandbox, whose secrets stand there in clear, read as a config's."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from threading import RLock
from typing import Any, Final, TypeVar, get_args

import attrs

from alphaweave.core.secret import Secret
from alphaweave.live.config_options import parse_options

__all__ = ["parse_clear_options", "referred"]

T = TypeVar("T")
# There is one environment, and cases may run abreast.
_ENVIRONMENT: Final = RLock()
_VARIABLE: Final = "ALPHAWEAVE_SANDBOX_SECRET_"


def parse_clear_options(options_class: type[T], block: Mapping[str, Any], *, path: str) -> T:
    """What a config with references to these secrets would be read into.

    Raises:
        OptionsError: with everything that is wrong in them.
    """
    with referred(options_class, block) as references:
        return parse_options(options_class, references, path=path)


@contextmanager
def referred(
    options_class: type, block: Mapping[str, Any], *, variable: str = _VARIABLE
) -> Iterator[dict[str, Any]]:
    """The block as a config would have it, with references for secrets; they hold within the context.

    ``variable`` is what the names of the environment's variables begin with.
    """
    secrets: dict[str, str] = {}
    references = _referred(options_class, block, secrets, variable)
    with _ENVIRONMENT:
        os.environ.update(secrets)
        try:
            yield references
        finally:
            for name in secrets:
                del os.environ[name]


def _referred(
    options_class: type, block: Mapping[str, Any], secrets: dict[str, str], prefix: str
) -> dict[str, Any]:
    """The block with a reference in the place of each secret, which ``secrets`` is told."""
    kinds = {one.name: one.type for one in attrs.fields(attrs.resolve_types(options_class))}
    found = dict(block)
    for name, value in block.items():
        kind = kinds.get(name)
        wanted = (kind, *get_args(kind))
        inner = next((one for one in wanted if isinstance(one, type) and attrs.has(one)), None)
        if isinstance(value, str) and Secret in wanted:
            variable = f"{prefix}{len(secrets)}"
            secrets[variable] = value
            found[name] = f"${{env:{variable}}}"
        elif isinstance(value, Mapping) and inner is not None:
            found[name] = _referred(inner, value, secrets, prefix)
    return found
