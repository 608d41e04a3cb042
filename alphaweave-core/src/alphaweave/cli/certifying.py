"""``alphaweave certify`` and ``alphaweave sandbox``."""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import signal
import sys
from contextlib import suppress
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import attrs
import click
import yaml

from alphaweave.cli.exits import FAILED, INTERRUPTED
from alphaweave.core.clock import SystemClock
from alphaweave.core.errors import RunRefused
from alphaweave.live.plugin_loader import Kind
from alphaweave.live.registry import Registry
from alphaweave.testing.case import Case
from alphaweave.testing.certification import all_cases, case_ids, certify, new_sandbox
from alphaweave.testing.clear_options import referred
from alphaweave.testing.feed_venue import FeedControl
from alphaweave.testing.sandbox import Sandbox

__all__ = ["certify_adapter", "run_sandbox"]


def certify_adapter(
    name: str | None, ids: tuple[str, ...], *, as_json: bool, markdown: bool, strict: bool
) -> int:
    """Run the conformance kit for an installed adapter, or print all its cases."""
    if markdown:
        click.echo(all_cases(), nl=False)
        return 0
    if name is None:
        raise click.UsageError("Missing argument 'NAME'.")

    ids = _known(name, ids)

    watched = sys.stderr.isatty() and not as_json

    def starting(case: Case) -> None:
        if watched:
            click.echo(f"\r{case.id} ...{'':<12}", nl=False, err=True)

    reports = certify(name, ids=ids, strict=strict, starting=starting)
    if as_json:
        click.echo(json.dumps([report.as_json() for report in reports], indent=2))
    else:
        if watched:
            click.echo(f"\r{'':<30}\r", nl=False, err=True)
        click.echo("\n\n".join(report.as_text() for report in reports))
    if any(report.interrupted for report in reports):
        return INTERRUPTED
    return FAILED if any(report.failed for report in reports) else 0


def _known(name: str, ids: tuple[str, ...]) -> tuple[str, ...]:
    """The ids as cases have them: nothing run is nothing proved, and no reason to end well."""
    of_kind = case_ids(name)
    own = {id_ for ids in of_kind.values() for id_ in ids}
    wanted = tuple(id_.strip().upper() for id_ in ids)
    for given, id_ in zip(ids, wanted, strict=True):
        if own and id_ not in own:
            near = ", ".join(get_close_matches(id_, sorted(own), cutoff=0.4)) or ", ".join(sorted(own)[:3])
            kinds = " or ".join(of_kind)
            raise click.UsageError(f"no such case for the {kinds} {name!r}: {given}. Near misses: {near}")
    return wanted


def run_sandbox(name: str, *, port: int | None, data: Path | None) -> None:
    """Let a sandbox listen until it is interrupted."""
    known = {each.name for each in attrs.fields(Registry().sandbox(name).options)}
    given = {
        key: value
        for key, value in (("port", port), ("data", None if data is None else str(data)))
        if value is not None
    }
    for key in given.keys() - known:
        raise click.UsageError(f"the sandbox {name!r} has no option {key!r}")
    sandbox = new_sandbox(name, clock=SystemClock(), **given)
    if not sandbox.listens:
        raise RunRefused(
            f"the sandbox {name!r} lives in its adapter's own process: there is nothing to connect to. "
            "It serves `alphaweave certify` and tests."
        )
    asyncio.run(_serve(name, sandbox))


async def _serve(name: str, sandbox: Sandbox) -> None:
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        with suppress(ValueError, RuntimeError):
            loop.add_signal_handler(number, ended.set)
    await sandbox.start()
    try:
        click.echo(_section(name, sandbox))
        await ended.wait()
    finally:
        await sandbox.stop()


def _section(name: str, sandbox: Sandbox) -> str:
    """What to paste into a config, and the variables that its secrets are in."""
    registry, variables = Registry(), ""
    names = [{"symbol": ours, "names": {name: theirs}} for ours, theirs in sandbox.names.items()]
    sections: dict[str, Any] = {"instruments": names}
    kinds: tuple[Kind, ...] = ("datafeed", "broker")
    for kind in kinds:
        if name not in registry.installed(kind):
            continue
        options = sandbox.options()
        if kind == "datafeed" and isinstance(sandbox, FeedControl):
            options = sandbox.feed_options()
        record = registry.datafeed(name) if kind == "datafeed" else registry.broker(name)
        prefix = f"{kind.upper()}_SECRET_"
        with referred(record.options, options, variable=prefix) as block:
            own = [value for value in _texts(block) if value.startswith(f"${{env:{prefix}")]
            secrets = [value.removeprefix("${env:").removesuffix("}") for value in own]
            variables += "".join(f"export {each}={shlex.quote(os.environ[each])}\n" for each in secrets)
            sections[kind] = {"name": name, "options": {name: block}}
    text = yaml.safe_dump(sections, sort_keys=False)
    return f"# {sandbox.name} listens. Ctrl-C ends it.\n{variables}{text}"


def _texts(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for inner in value.values() for text in _texts(inner)]
    return [value] if isinstance(value, str) else []
