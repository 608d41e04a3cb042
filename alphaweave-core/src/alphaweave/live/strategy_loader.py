"""From ``module:Class`` in a config to a strategy instance."""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

from alphaweave.core.errors import ConfigError, Problem, StrategyError
from alphaweave.live.party import FAILURES
from alphaweave.strategy.strategy import Strategy

__all__ = ["load_strategy", "strategy_problems"]

_API: Final = frozenset(name for name in vars(Strategy) if not name.startswith("_")) - {"state_version"}


def load_strategy(class_path: str, params: Mapping[str, Any], *, folder: Path | None) -> Strategy:
    """Import the class and make an instance of it.

    Args:
        class_path: ``module:Class``.
        params: keyword arguments of its constructor.
        folder: looked in first, for a strategy file beside its config; None imports installed modules
            only.

    Raises:
        ConfigError: there is no such module, class or parameter, the class is no Strategy or breaks a part
            of it, or a file beside the config has the name of a module that is something else.
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
        except FAILURES as error:
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
    problems = strategy_problems(target)
    if problems:
        raise ConfigError([Problem("strategy.class", f"{class_path}: {text}.") for text in problems])
    _check_params(target, params)
    try:
        made = target(**params)
    except StrategyError as error:
        # What the base class says of a parameter that the config gives and the class does not have.
        raise ConfigError([Problem("strategy.params", f"{error}.")]) from error
    except FAILURES as error:
        raise _raised(class_path, "__init__", error) from error
    hidden = sorted(_API.intersection(vars(made)))
    if hidden:
        text = f"{class_path}: __init__ sets {', '.join(hidden)}, which the Strategy API needs; rename it"
        raise _problem(f"{text}.")
    return made


def strategy_problems(kind: type[Strategy]) -> list[str]:
    """What a class does to the Strategy API that could only fail later, or in silence.

    A method may be overridden by a method and a property by a property; nothing of it may be a coroutine or
    a generator, whose code would never run.
    """
    found = []
    for name in sorted(_API):
        own, given = inspect.getattr_static(kind, name), inspect.getattr_static(Strategy, name)
        flaw = None if own is given else _flaw(name, own, given, getattr(kind, name))
        if flaw is not None:
            found.append(flaw)
    if type(kind.state_version) is not int:
        found.append(f"state_version is a whole number, not {kind.state_version!r}")
    engines = [name for name in ("_bind", "_desk") if any(name in vars(one) for one in _own(kind))]
    return [*found, *(f"{name} is the engine's own; rename yours" for name in engines)]


def _flaw(name: str, own: object, given: object, value: object) -> str | None:
    """What is wrong with ``own``, which overrides ``given`` and reads as ``value``; None if nothing is."""
    if isinstance(given, property):
        well = isinstance(own, property)
        return None if well else f"{name} is a property of every strategy (self.{name}); rename yours"
    if isinstance(own, property) or not callable(value):
        what = "a property" if isinstance(own, property) else f"{own!r:.40}"
        return f"{name} is a method of every strategy, and cannot be {what}; rename yours"
    code: Any = inspect.unwrap(getattr(own, "__func__", own))  # type: ignore[arg-type]
    if inspect.iscoroutinefunction(code) or inspect.isasyncgenfunction(code):
        return f"{name} is async, and would never run; a strategy is synchronous, so write: def {name}"
    if inspect.isgeneratorfunction(code):
        return f"{name} has a yield in it, so that it would never run; write it without"
    return None


def _own(kind: type[Strategy]) -> list[type]:
    """The classes between this one and Strategy."""
    return [one for one in kind.__mro__ if one not in Strategy.__mro__]


def _check_params(target: type[Strategy], params: Mapping[str, Any]) -> None:
    signature = inspect.signature(target.__init__)
    try:
        # An object stands where the instance will, so that a parameter of that name is noticed.
        signature.bind(object(), **params)
    except TypeError as error:
        takes = list(signature.parameters)[1:]
        unknown = [name for name in params if name not in takes]
        near = get_close_matches(unknown[0], takes, n=1) if unknown else []
        text = f"{target.__qualname__} cannot be made with these: {error}."
        raise ConfigError([Problem("strategy.params", text, near[0] if near else None)]) from error


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


def _raised(class_path: str, callback: str, error: BaseException) -> StrategyError:
    return StrategyError(
        f"{class_path}: {callback} raised {type(error).__name__}: {error}",
        strategy=class_path,
        callback=callback,
    )
