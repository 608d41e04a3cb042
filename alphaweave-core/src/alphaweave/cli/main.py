"""The ``alphaweave`` command: its subcommands, its errors and its exit codes.

Exit codes: 0 all went well; 1 the run failed; 2 the configuration, a plugin or the call is wrong; 130 the
run was interrupted, with its state saved. Everything heavy is imported by the subcommand that needs it.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from alphaweave import __version__
from alphaweave.core.errors import AlphaweaveError

__all__ = ["cli", "main"]

_CONFIG = click.argument("config", type=click.Path(path_type=Path))
_SET = click.option(
    "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a key, such as broker.name=mock."
)
_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON for a machine to read.")
_FRESH = click.option("--fresh", is_flag=True, help="Start anew even if there is saved state.")
_UNTIL = click.option("--until", type=click.IntRange(min=0), metavar="N", help="Stop after N slices.")


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="alphaweave")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def cli(debug: bool) -> None:
    """One strategy, one config: replay it, paper-trade it, run it for real.

    Exit codes: 0 success, 1 the run failed, 2 wrong configuration, plugin or call, 130 interrupted.
    """


@cli.command()
@_CONFIG
@_SET
@_FRESH
@_UNTIL
@_JSON
def run(config: Path, overrides: tuple[str, ...], fresh: bool, until: int | None, as_json: bool) -> None:
    """Run the strategy of CONFIG at its broker, on its datafeed."""
    from alphaweave.cli.running import run_config

    sys.exit(run_config(config, overrides, fresh=fresh, until=until, as_json=as_json))


@cli.command()
@_CONFIG
@_SET
@_FRESH
@_UNTIL
@_JSON
def replay(config: Path, overrides: tuple[str, ...], fresh: bool, until: int | None, as_json: bool) -> None:
    """Run CONFIG over history, whatever its run.mode says."""
    from alphaweave.cli.running import run_config

    overrides = (*overrides, "run.mode=replay")
    sys.exit(run_config(config, overrides, fresh=fresh, until=until, as_json=as_json))


@cli.command()
@_CONFIG
@_SET
@_JSON
def check(config: Path, overrides: tuple[str, ...], as_json: bool) -> None:
    """Check CONFIG, its adapters and its strategy without running anything."""
    from alphaweave.cli.checking import check_config

    check_config(config, overrides, as_json=as_json)


@cli.command()
@_JSON
def plugins(as_json: bool) -> None:
    """List the adapters that are installed; none of them is imported."""
    from alphaweave.cli.listing import list_plugins

    list_plugins(as_json=as_json)


@cli.command()
def schema() -> None:
    """Print the JSON Schema of a config."""
    import json

    from alphaweave.live.config import json_schema

    click.echo(json.dumps(json_schema(), indent=2))


@cli.command()
@click.argument("state", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), default=Path("report.html"), show_default=True)
@click.option("--title", default=None, help="Heading of the page; the run's id by default.")
@_JSON
def report(state: Path, out: Path, title: str | None, as_json: bool) -> None:
    """Write the dashboard of a saved run, from its STATE file."""
    from alphaweave.cli.reporting import write_report

    write_report(state, out, title=title, as_json=as_json)


@cli.group()
def new() -> None:
    """Start something of your own."""


@new.command()
@click.argument("name")
@click.option("--dir", "folder", type=click.Path(path_type=Path), default=Path(), help="Where to write.")
def strategy(name: str, folder: Path) -> None:
    """Write a strategy NAME and a config that runs it."""
    from alphaweave.cli.scaffold import new_strategy

    for path in new_strategy(name, folder):
        click.echo(f"wrote {path}")


def main(arguments: list[str] | None = None) -> None:
    """Run the command; never returns."""
    given = sys.argv[1:] if arguments is None else arguments
    try:
        outcome: Any = cli.main(given, prog_name="alphaweave", standalone_mode=False)
    except click.exceptions.Abort:
        click.echo("interrupted", err=True)
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except AlphaweaveError as error:
        if "--debug" in given:
            raise
        click.echo(f"error: {error}", err=True)
        sys.exit(error.exit_code)
    sys.exit(outcome if isinstance(outcome, int) else 0)
