"""From ``module:Class`` in a config to a strategy instance."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from alphaweave.core.errors import ConfigError, Problem, StrategyError
from alphaweave.strategy.strategy import Strategy

__all__ = ["load_strategy"]


def load_strategy(class_path: str, params: Mapping[str, Any], *, folder: Path | None) -> Strategy:
    """Import the class and make an instance of it.

    Args:
        class_path: ``module:Class``.
        params: keyword arguments of its constructor.
        folder: looked in first, for a strategy file beside its config; None imports installed modules
            only.

    Raises:
        ConfigError: there is no such module or class, or it is no Strategy.
        StrategyError: the module or the constructor raised.
    """
    module_name, _, class_name = class_path.partition(":")
    with _importable(folder):
        try:
            module = importlib.import_module(module_name)
        except ModuleNotFoundError as error:
            if error.name is not None and (
                module_name == error.name or module_name.startswith(error.name + ".")
            ):
                where = f" beside the config ({folder}) or" if folder is not None else ""
                raise _problem(
                    f"there is no module {module_name!r}{where} among the installed ones"
                ) from error
            raise _raised(class_path, "import", error) from error
        except Exception as error:
            raise _raised(class_path, "import", error) from error
    target: Any = module
    for part in class_name.split("."):
        target = getattr(target, part, None)
    if target is None:
        have = sorted(
            name
            for name, value in vars(module).items()
            if isinstance(value, type) and issubclass(value, Strategy) and value is not Strategy
        )
        near = get_close_matches(class_name, have, n=1)
        raise _problem(
            f"module {module_name} has no class {class_name!r}; it has: {', '.join(have) or 'no strategy'}",
            f"{module_name}:{near[0]}" if near else None,
        )
    if not (isinstance(target, type) and issubclass(target, Strategy)):
        raise _problem(f"{class_path} is not a subclass of alphaweave.Strategy")
    try:
        return target(**params)
    except StrategyError:
        raise
    except Exception as error:
        raise _raised(class_path, "__init__", error) from error


@contextmanager
def _importable(folder: Path | None) -> Iterator[None]:
    if folder is None:
        yield
        return
    entry = str(folder.resolve())
    sys.path.insert(0, entry)
    try:
        yield
    finally:
        sys.path.remove(entry)


def _problem(message: str, suggestion: str | None = None) -> ConfigError:
    return ConfigError([Problem("strategy.class", message, suggestion)])


def _raised(class_path: str, callback: str, error: Exception) -> StrategyError:
    return StrategyError(
        f"{class_path}: {callback} raised {type(error).__name__}: {error}",
        strategy=class_path,
        callback=callback,
    )
