"""What the entry point names: the record of the sandbox."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from alphaweave.live.adapters.base import Services
from alphaweave.live.hookspecs import hookimpl
from alphaweave.live.plugins import SandboxPlugin
from alphaweave_broker_ibkr.sandbox.options import SandboxOptions

__all__ = ["DEVIATIONS", "alphaweave_sandboxes"]

DEVIATIONS: Final = {
    "BRK-550": "what became of a message that exceeds the rate is not documented: the order is looked up",
    "BRK-950": "the gateway tells nothing of money that moves: it is seen as a difference of cash",
}


@hookimpl
def alphaweave_sandboxes() -> Iterable[SandboxPlugin]:
    yield SandboxPlugin(
        name="ibkr",
        create=_sandbox,
        options=SandboxOptions,
        summary="a gateway of Interactive Brokers on one loopback port, with an account of its own",
        deviations=DEVIATIONS,
    )


def _sandbox(options: SandboxOptions, services: Services) -> Any:
    # The server is no part of a run.
    from alphaweave_broker_ibkr.sandbox.control import IbkrSandbox

    return IbkrSandbox(options, services)
