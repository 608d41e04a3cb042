"""The words ``alphaweave certify`` and ``alphaweave sandbox``; what they do is imported when used."""

from __future__ import annotations

from pathlib import Path

import click

__all__ = ["certify", "sandbox"]


@click.command()
@click.argument("name", required=False)
@click.option("--case", "ids", multiple=True, metavar="ID", help="Only this case; may be repeated.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for a machine to read.")
@click.option("--strict", is_flag=True, help="What is UNPROVEN has failed.")
@click.option("--cases-markdown", "markdown", is_flag=True, help="Print all cases, as a Markdown page.")
def certify(name: str | None, ids: tuple[str, ...], as_json: bool, strict: bool, markdown: bool) -> int:
    """Run the conformance kit for the installed adapter NAME, at its own sandbox.

    Says what was proved against that sandbox, and of no other venue. Exit code 1 if a requirement does not
    hold; what the sandbox has no power to try is UNPROVEN.
    """
    from alphaweave.cli.certifying import certify_adapter

    return certify_adapter(name, ids, as_json=as_json, markdown=markdown, strict=strict)


@click.command()
@click.argument("name")
@click.option(
    "--port", type=click.IntRange(0, 65535), metavar="N", help="Where to listen; by default any free one."
)
@click.option(
    "--data",
    type=click.Path(path_type=Path, exists=True),
    metavar="PATH",
    help="Prices, where it plays some.",
)
def sandbox(name: str, port: int | None, data: Path | None) -> None:
    """Start the installed sandbox NAME on loopback, and print what to put into a config."""
    from alphaweave.cli.certifying import run_sandbox

    run_sandbox(name, port=port, data=data)
