"""``alphaweave plugins`` and ``alphaweave schema``."""

from __future__ import annotations

import json

import click

from alphaweave.live.config import json_schema
from alphaweave.live.registry import GROUPS, Registry

__all__ = ["list_plugins", "print_schema"]


def list_plugins(*, as_json: bool) -> None:
    """Print what installed distributions offer, from their metadata alone."""
    registry = Registry()
    offers = [
        {
            "kind": kind,
            "name": name,
            "distribution": offer.distribution,
            "version": offer.version,
            "value": offer.value,
        }
        for kind in GROUPS
        for name, found in sorted(registry.installed(kind).items())
        for offer in found
    ]
    if as_json:
        click.echo(json.dumps(offers, indent=2))
        return
    widths = {key: max([len(key), *(len(offer[key]) for offer in offers)]) for key in ("kind", "name")}
    click.echo(f"{'KIND':<{widths['kind']}}  {'NAME':<{widths['name']}}  DISTRIBUTION")
    for offer in offers:
        click.echo(
            f"{offer['kind']:<{widths['kind']}}  {offer['name']:<{widths['name']}}  "
            f"{offer['distribution']} {offer['version']}"
        )
    if not any(offer["kind"] == "broker" for offer in offers):
        click.echo("no broker is installed. Try: pip install alphaweave-broker-mock", err=True)


def print_schema() -> None:
    """Print the JSON Schema of a config."""
    click.echo(json.dumps(json_schema(), indent=2))
