"""What the entry point names: the record of the sandbox."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from alphaweave.live.adapters.base import Services
from alphaweave.live.hookspecs import hookimpl
from alphaweave.live.plugins import SandboxPlugin
from alphaweave_broker_binance.sandbox.options import SandboxOptions

__all__ = ["DEVIATIONS", "alphaweave_sandboxes"]

_NO_KEY = "Binance's market data is for everybody: no key is sent, and so none is refused"
DEVIATIONS: Final = {"FEED-025": _NO_KEY, "FEED-515": _NO_KEY}


@hookimpl
def alphaweave_sandboxes() -> Iterable[SandboxPlugin]:
    yield SandboxPlugin(
        name="binance",
        create=_sandbox,
        options=SandboxOptions,
        summary="Binance spot on one loopback port, with an account of its own",
        deviations=DEVIATIONS,
    )


def _sandbox(options: SandboxOptions, services: Services) -> Any:
    # The server is no part of a run, and what it needs is an extra.
    from alphaweave.core.errors import RunRefused

    try:
        from alphaweave_broker_binance.sandbox.control import BinanceSandbox
    except ModuleNotFoundError as error:
        if error.name not in {"aiohttp", "Crypto"}:
            raise
        raise RunRefused(
            f"the sandbox of Binance needs {error.name}. "
            "Try: pip install 'alphaweave-broker-binance[sandbox]'"
        ) from error
    return BinanceSandbox(options, services)
