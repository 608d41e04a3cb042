"""What the entry point names: the record of the sandbox."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from alphaweave.live.adapters.base import Services
from alphaweave.live.hookspecs import hookimpl
from alphaweave.live.plugins import SandboxPlugin
from alphaweave_broker_alpaca.sandbox.options import SandboxOptions

__all__ = ["DEVIATIONS", "alphaweave_sandboxes"]

DEVIATIONS: Final = {
    "BRK-135": "fractions good till cancelled are declared for crypto; of a stock Alpaca takes a fraction "
    "for the day only, and the adapter refuses any other unsent",
}


@hookimpl
def alphaweave_sandboxes() -> Iterable[SandboxPlugin]:
    yield SandboxPlugin(
        name="alpaca",
        create=_sandbox,
        options=SandboxOptions,
        summary="Alpaca's REST and sockets on one loopback port, with an account of its own",
        deviations=DEVIATIONS,
    )


def _sandbox(options: SandboxOptions, services: Services) -> Any:
    # The server is no part of a run, and what it needs is an extra.
    from alphaweave.core.errors import RunRefused

    try:
        from alphaweave_broker_alpaca.sandbox.control import AlpacaSandbox
    except ModuleNotFoundError as error:
        if error.name not in {"aiohttp", "msgpack"}:
            raise
        raise RunRefused(
            f"the sandbox of Alpaca needs {error.name}. Try: pip install 'alphaweave-broker-alpaca[sandbox]'"
        ) from error
    return AlpacaSandbox(options, services)
