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
        ConfigError: there is no such module, class or parameter, the class is no Strategy, or a file
            beside the config has the name of a module that is something else.
        StrategyError: the module or the constructor raised.
    """
    module_name, _, class_name = class_path.partition(":")
    with _importable(folder):
        _make_way(module_name.partition(".")[0], folder)
        try:
            module = importlib.import_module(module_name)
        except ModuleNotFoundError as error:
            if error.name is not None and (
                module_name == error.name or module_name.startswith(error.name + ".")
            ):
                where = f" beside the config ({folder}) or" if folder is not None else ""
                raise _problem(
                    f"there is no module {module_name!r}{where} among the installed ones."
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
            f"module {module_name} has no class {class_name!r}; it has: {', '.join(have) or 'no strategy'}.",
            f"{module_name}:{near[0]}" if near else None,
        )
    if not (isinstance(target, type) and issubclass(target, Strategy)):
        raise _problem(f"{class_path} is not a subclass of alphaweave.Strategy.")
    try:
        return target(**params)
    except StrategyError as error:
        # What the base class says of a parameter that the config gives and the class does not have.
        raise ConfigError([Problem("strategy.params", f"{error}.")]) from error
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


def _make_way(name: str, folder: Path | None) -> None:
    """Let a file in ``folder`` be imported although another module of its name was."""
    loaded = sys.modules.get(name)
    if loaded is None or folder is None:
        return
    wanted = [
        path.resolve() for path in (folder / f"{name}.py", folder / name / "__init__.py") if path.exists()
    ]
    origin = getattr(loaded, "__file__", None)
    if not wanted or (origin is not None and Path(origin).resolve() in wanted):
        return
    # One that no entry of the path leads to came from the folder of an earlier config.
    home = None if origin is None else Path(origin).resolve().parents[Path(origin).stem == "__init__"]
    if home is None or home in {Path(entry or ".").resolve() for entry in sys.path}:
        raise _problem(
            f"{wanted[0]} has the name of another module, {origin or 'a built-in one'}; rename it."
        )
    for known in [key for key in sys.modules if key == name or key.startswith(f"{name}.")]:
        del sys.modules[known]


def _problem(message: str, suggestion: str | None = None) -> ConfigError:
    return ConfigError([Problem("strategy.class", message, suggestion)])


def _raised(class_path: str, callback: str, error: Exception) -> StrategyError:
    return StrategyError(
        f"{class_path}: {callback} raised {type(error).__name__}: {error}",
        strategy=class_path,
        callback=callback,
    )
