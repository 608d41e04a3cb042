"""A plugin as a party to a run: what it does wrong is told in its name, not in AlphaWeave's."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import Any, Final

from attrs import frozen

from alphaweave.core.errors import AdapterFailed, AlphaweaveError

__all__ = ["FAILURES", "Party"]

FAILURES: Final = (Exception, SystemExit, GeneratorExit)
"""What foreign code may raise; only a KeyboardInterrupt is the user's."""


@frozen
class Party:
    """One plugin that a run has to do with.

    Attributes:
        kind: ``broker``, ``datafeed`` or ``monitor``.
        name: as the config gives it.
        distribution: who ships it, with the version; None where that is not known.
    """

    kind: str
    name: str
    distribution: str | None = None

    def ask(self, callback: str, kind: type, call: Callable[..., Any], *arguments: Any) -> Any:
        """What ``call`` answers, which has to be a ``kind``: a class, or a protocol whose methods it has.

        Raises:
            AdapterFailed: it raised, or answers something else. An AlphaweaveError is its own word.
        """
        try:
            made = call(*arguments)
        except AlphaweaveError:
            raise
        except FAILURES as error:
            raise self.failed(callback, error) from error
        absent = _absent(made, kind)
        if absent is not None:
            got = "None" if made is None else f"an object of type {type(made).__qualname__}"
            raise self._failure(
                callback, f"returned {got} from {callback}, which is no {kind.__name__}{absent}"
            )
        return made

    def failed(self, callback: str, error: BaseException) -> AdapterFailed:
        """What is said when it raised."""
        words = f": {error}" if str(error) else ""
        distribution, _, version = (self.distribution or "").partition(" ")
        if isinstance(error, ImportError) and version[:1].isdigit():
            # What it needs is missing, or is not the version that it needs.
            words += f". Try: pip install -U {distribution}"
        return self._failure(callback, f"raised {type(error).__name__} in {callback}{words}")

    def blame(self, error: BaseException, made: object) -> AdapterFailed | None:
        """What is said when an error came out of ``made``, which this plugin made; None if it did not."""
        module = type(made).__module__
        if module.partition(".")[0] == "alphaweave":
            return None
        callback = None
        for frame, _ in traceback.walk_tb(error.__traceback__):
            if frame.f_globals.get("__name__") == module:
                callback = callback or frame.f_code.co_name
        return None if callback is None else self.failed(callback, error)

    def _failure(self, callback: str, what: str) -> AdapterFailed:
        source = f" ({self.distribution})" if self.distribution else ""
        return AdapterFailed(
            f"{self.kind} plugin {self.name!r}{source} {what}",
            kind=self.kind,
            name=self.name,
            callback=callback,
            distribution=self.distribution,
        )


def _absent(made: object, kind: type) -> str | None:
    """Why an object is not of a class, or does not have the methods of a protocol; None if all is well."""
    if not getattr(kind, "_is_protocol", False):
        return None if isinstance(made, kind) else ""
    methods = [name for name, member in vars(kind).items() if callable(member) and not name.startswith("_")]
    missing = [name for name in methods if not hasattr(made, name)]
    return f": it has no {', '.join(missing)}" if missing else None
