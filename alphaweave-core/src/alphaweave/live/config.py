"""Configs: from a YAML or JSON file, or a mapping, to a `LiveConfig`.

A config names its adapters and holds a raw block of options for each that it may name; only the block
of the one it does name is read, by `parse_options`, and only then are the secrets in it looked up.
Relative paths, in the config and in options, start from the config file's folder.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path, PurePath
from typing import Any, Final

import attrs
from attrs import evolve

from alphaweave.core.errors import ConfigError, Problem
from alphaweave.core.money import plain
from alphaweave.core.redaction import redact
from alphaweave.core.secret import Secret
from alphaweave.live.config_fields import block_of, keys_of, optional_of
from alphaweave.live.config_file import read_document
from alphaweave.live.config_mode import check_mode
from alphaweave.live.config_options import parse_options, problems_of, structured
from alphaweave.live.config_overrides import apply_overrides, copy_of, put_in
from alphaweave.live.config_schema import json_schema
from alphaweave.live.config_sections import (
    BrokerSection,
    DatafeedSection,
    InstrumentConfig,
    LiveConfig,
    MonitorSection,
    PersistenceSection,
    ReconciliationIntervals,
    ReconciliationSection,
    RiskRuleSection,
    RunSection,
    StrategySection,
)
from alphaweave.live.config_seed import modernise
from alphaweave.live.config_values import Wrong, describe
from alphaweave.live.secrets import Resolution, resolve

__all__ = [
    "BrokerSection",
    "DatafeedSection",
    "InstrumentConfig",
    "LiveConfig",
    "MonitorSection",
    "PersistenceSection",
    "ReconciliationIntervals",
    "ReconciliationSection",
    "RiskRuleSection",
    "RunSection",
    "StrategySection",
    "apply_overrides",
    "check_mode",
    "datafeed_block",
    "json_schema",
    "load_live_config",
    "parse_live_config",
    "parse_options",
    "redacted",
    "resolve",
]

_OPTIONS: Final = re.compile(r"(broker|datafeed|(?:monitors|risk_rules)\[[0-9]+\])\.options")


def load_live_config(path: str | Path, *, overrides: Sequence[str] = ()) -> LiveConfig:
    """Read a config file: YAML (``.yaml``, ``.yml``) or JSON (``.json``).

    Raises:
        ConfigError: the file cannot be read (the problem's path is its line and column), or as
            `parse_live_config`.
    """
    file = Path(path)
    return parse_live_config(read_document(file), source=file, overrides=overrides)


def parse_live_config(
    mapping: Mapping[str, Any], *, source: str | Path | None = None, overrides: Sequence[str] = ()
) -> LiveConfig:
    """Check a raw config and give it its types.

    Args:
        source: the file it came from: named in errors, and relative paths start from its folder (None:
            the working directory).
        overrides: ``path=value`` lines, as for `apply_overrides`, put in after older spellings were
            brought up to date.

    Raises:
        ConfigError: with every problem found.
    """
    file = None if source is None else Path(source)
    base_dir = Path.cwd() if file is None else file.absolute().parent
    given: object = mapping
    if not isinstance(given, Mapping):
        found = describe(given, hidden=True)
        raise ConfigError([Problem("(top level)", f"expected a mapping of sections, found {found}.")], file)
    raw = copy_of(given)
    deprecations, problems = modernise(raw)
    raw, refused = put_in(raw, overrides)
    problems += refused
    resolution = Resolution(raw, base_dir=base_dir, keep=_is_options)
    config: LiveConfig | None = None
    try:
        config = structured(LiveConfig, resolution, base_dir=base_dir)
    except Wrong as wrong:
        problems += problems_of(wrong.items, resolution)
    if config is not None:
        problems += config.risk.problems(config.symbols, config.run.capital)
    if config is None or problems:
        raise ConfigError(problems, file)
    return evolve(config, base_dir=base_dir, source=file, deprecations=deprecations, raw=raw)


def _is_options(path: str) -> bool:
    return _OPTIONS.fullmatch(path) is not None


def datafeed_block(config: LiveConfig, options_class: type) -> Mapping[str, Any]:
    """The raw options of the named datafeed. One that holds no secret gets those that its options class wants
    from the broker block of the same name.
    """
    own = config.datafeed.block
    wanted = [
        name for name, key in keys_of(options_class).items() if (optional_of(key.type) or key.type) is Secret
    ]
    if any(own.get(name) is not None for name in wanted):
        return own
    broker = block_of(config.broker.options, config.datafeed.name)
    return {**own, **{name: broker[name] for name in wanted if broker.get(name) is not None}}


def redacted(config: LiveConfig) -> dict[str, Any]:
    """The config as plain JSON values, defaults included, for reports and the screen. References stay
    references, paths stay as written, and what stands written out under a key that is called like a secret
    (key, secret, token, password, ...) becomes ``[redacted]``.
    """
    shown: dict[str, Any] = redact(_overlay(_plain(config), _plain(config.raw)))
    return shown


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if attrs.has(type(value)):
        return {
            name: _plain(getattr(value, key.attribute.name)) for name, key in keys_of(type(value)).items()
        }
    if isinstance(value, Decimal):
        return plain(value)
    return str(value) if isinstance(value, PurePath | date | Secret) else f"<{type(value).__name__}>"


def _overlay(shown: Any, written: Any) -> Any:
    """What was written where something was; what it came to elsewhere."""
    if isinstance(shown, dict) and isinstance(written, dict):
        return {key: _overlay(shown.get(key), written.get(key)) for key in {**shown, **written}}
    if isinstance(shown, list) and isinstance(written, list) and len(shown) == len(written):
        return [_overlay(*pair) for pair in zip(shown, written, strict=True)]
    return shown if written is None else written
