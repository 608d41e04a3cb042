"""What stopped a command, in words on standard error."""

from __future__ import annotations

import importlib
import sysconfig
import traceback
from pathlib import Path
from typing import Final

import click

from alphaweave.cli.exits import FAILED, REFUSED
from alphaweave.core.errors import AdapterFailed, AlphaweaveError, StrategyError

__all__ = ["complain"]

_MACHINERY: Final = ("<", str(Path(importlib.__file__).parent), str(Path(__file__).parents[1]))


def complain(error: Exception, *, debug: bool) -> int:
    """Say what went wrong, with the traceback if ``debug``; the exit code."""
    if debug:
        click.echo("".join(traceback.format_exception(error)), err=True, nl=False)
    code = FAILED
    if isinstance(error, AlphaweaveError):
        text, code = str(error), error.exit_code
        where = _place(error.__cause__) if isinstance(error, StrategyError | AdapterFailed) else None
        if where is not None:
            text += f"\n  raised at {where}"
    elif isinstance(error, OSError):
        what = (error.strerror or str(error)).lower()
        text, code = what if error.filename is None else f"{error.filename}: {what}", REFUSED
    else:
        text = f"{type(error).__name__}: {error}\n  this is a fault of AlphaWeave itself; --debug shows where"
    click.echo(f"error: {text}", err=True)
    return code


def _place(error: BaseException | None) -> str | None:
    """File and line in the strategy or the plugin where ``error`` was raised; None if it was elsewhere."""
    if error is None:
        return None
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith(_MACHINERY)
    ]
    libraries = tuple({sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")})
    # A strategy may be installed, as a plugin is; then its own frames are those of a library.
    own = [frame for frame in frames if not frame.filename.startswith(libraries)] or frames
    return f"{own[-1].filename}:{own[-1].lineno}" if own else None
