"""The ``alphaweave`` command: its subcommands, its errors and its exit codes.

Everything heavy is imported by the subcommand that needs it, so that help costs nothing.
"""

from __future__ import annotations

import sys
import traceback
from pathlib import Path
from typing import Any, NoReturn

import click

from alphaweave import __version__
from alphaweave.cli.exits import FAILED, INTERRUPTED

__all__ = ["cli", "main"]

_CONFIG = click.argument("config", type=click.Path(path_type=Path))
_SET = click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="Override a key of the config, such as broker.name=mock; may be repeated.",
)
_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON, for a machine to read.")
_FRESH = click.option("--fresh", is_flag=True, help="Start anew even if there is a saved state.")
_UNTIL = click.option(
    "--until",
    type=click.IntRange(min=0),
    metavar="N",
    help="Stop, with the state saved, when N slices are done, those of earlier runs included.",
)
_SUMMARY = click.option(
    "--summary",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Also write the summary to FILE, as JSON.",
)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="alphaweave")
@click.option("--debug", is_flag=True, help="Show the traceback of an error; may stand anywhere.")
def cli(debug: bool) -> None:
    """One strategy, one config: replay it, paper-trade it, run it for real.

    \b
    Exit codes:
      0    all went well
      1    the run or one of its monitors failed
      2    the configuration, a plugin, a file or the call is wrong
      130  interrupted: the run stopped after the bar it was at, its state saved
    """


@cli.command()
@_CONFIG
@_SET
@_FRESH
@_UNTIL
@_SUMMARY
@_JSON
def run(config: Path, as_json: bool, **options: Any) -> int:
    """Run the strategy of CONFIG at its broker, on its datafeed.

    Goes on from the state that persistence.state_path holds, if there is one. Ctrl-C stops after the
    present bar and saves the state; a second one breaks off at once.
    """
    from alphaweave.cli.running import run_config

    return run_config(config, as_json=as_json, **options)


@cli.command()
@_CONFIG
@_SET
@_FRESH
@_UNTIL
@_SUMMARY
@_JSON
def replay(config: Path, overrides: tuple[str, ...], as_json: bool, **options: Any) -> int:
    """Run CONFIG over history, whatever its run.mode says."""
    from alphaweave.cli.running import run_config

    return run_config(config, (*overrides, "run.mode=replay"), as_json=as_json, **options)


@cli.command()
@_CONFIG
@_SET
@_JSON
def check(config: Path, overrides: tuple[str, ...], as_json: bool) -> None:
    """Check CONFIG, its adapters and its strategy; nothing is run."""
    from alphaweave.cli.checking import check_config

    check_config(config, overrides, as_json=as_json)


@cli.command()
@_JSON
def plugins(as_json: bool) -> None:
    """List the installed adapters; none of them is imported."""
    from alphaweave.cli.listing import list_plugins

    list_plugins(as_json=as_json)


@cli.command()
def schema() -> None:
    """Print the JSON Schema of a config, for an editor to check it by."""
    from alphaweave.cli.listing import print_schema

    print_schema()


@cli.command()
@click.argument("state", type=click.Path(path_type=Path))
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("report.html"),
    show_default=True,
    help="The page to write.",
)
@click.option("--title", metavar="TEXT", help="Heading of the page; by default the run's id.")
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
@click.option(
    "--dir",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(),
    help="Where to write.",
)
def strategy(name: str, folder: Path) -> None:
    """Write a strategy NAME, a config that runs it, and prices to try it on."""
    from alphaweave.cli.scaffold import new_strategy

    new_strategy(name, folder)


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command; never returns."""
    given = sys.argv[1:] if arguments is None else arguments
    try:
        outcome = cli.main(
            [word for word in given if word != "--debug"], prog_name="alphaweave", standalone_mode=False
        )
    except click.exceptions.Abort:
        click.echo("interrupted: the state that was saved before is unchanged", err=True)
        sys.exit(INTERRUPTED)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (SystemExit, GeneratorExit) as error:
        *_, (frame, _) = traceback.walk_tb(error.__traceback__)
        if str(frame.f_globals.get("__name__")).startswith("click."):
            raise  # the reader of a pipe has left
        # No command of ours ends this way: whoever did must not decide about the exit code.
        click.echo(
            f"error: code that AlphaWeave called ended the process with {type(error).__name__}({error}); "
            "--debug shows where",
            err=True,
        )
        if "--debug" in given:
            click.echo("".join(traceback.format_exception(error)), err=True, nl=False)
        sys.exit(FAILED)
    except Exception as error:
        from alphaweave.cli.complaints import complain

        sys.exit(complain(error, debug="--debug" in given))
    sys.exit(outcome if isinstance(outcome, int) else 0)
