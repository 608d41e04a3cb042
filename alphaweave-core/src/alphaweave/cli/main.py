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
from alphaweave.cli.proving import certify, sandbox
from alphaweave.cli.seconds import Seconds

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
_JOURNAL = click.argument("journal", type=click.Path(path_type=Path, dir_okay=False))
_WAIT = click.option(
    "--wait",
    type=Seconds(),
    default=2.0,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait for the run's answer.",
)
_SYMBOL = click.option("--symbol", metavar="SYMBOL", help="Only this one; by default everything.")
_OPERATOR = click.option("--operator", metavar="NAME", help="Who says so; by default who is logged in.")
_REASON = click.option("--reason", default="", metavar="TEXT", help="Why, for whoever reads it later.")


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
@click.option(
    "--confirm-live",
    metavar="ACCOUNT",
    help="Trade real money in ACCOUNT; without it a run.mode of live is refused.",
)
@_JSON
def run(config: Path, as_json: bool, **options: Any) -> int:
    """Run the strategy of CONFIG at its broker, on its datafeed.

    Goes on from the state that persistence.state_path holds, if there is one; a paper or live run from its
    persistence.journal. Ctrl-C stops after the present bar and saves the state; a second one breaks off at
    once.
    """
    from alphaweave.cli.running import run_config

    return run_config(config, as_json=as_json, **options)


@cli.command()
@_CONFIG
@_SET
@_FRESH
@_UNTIL
@_SUMMARY
@click.option(
    "--diff",
    "journal",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="JOURNAL",
    help="Decide on the inputs of JOURNAL instead, and show the first decision that differs.",
)
@_JSON
def replay(
    config: Path, overrides: tuple[str, ...], journal: Path | None, as_json: bool, **options: Any
) -> int:
    """Run CONFIG over history, whatever its run.mode says.

    With --diff, the inputs are those of a paper or live run, and what became of its orders is taken from its
    journal. Shown is also what each order slipped against the broker paper. The exit code is 1 if a decision
    differs.
    """
    if journal is not None:
        given = [f"--{name}" for name, one in options.items() if one is not None and one is not False]
        if given:
            raise click.UsageError(f"{', '.join(given)} cannot go with --diff: nothing is run, only compared")
        from alphaweave.cli.comparing import compare_run

        return compare_run(config, journal, overrides, as_json=as_json)
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
@_CONFIG
@_SET
@click.option(
    "--wait",
    type=Seconds(positive=True),
    default=10.0,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait for each answer.",
)
@_JSON
def doctor(config: Path, overrides: tuple[str, ...], wait: float, as_json: bool) -> int:
    """Connect the broker and the datafeed of CONFIG, and look for what would trouble a run.

    No order is sent, and the journal is only read. The exit code is 1 if anything has to be put right first.
    """
    from alphaweave.cli.doctoring import examine_run

    return examine_run(config, overrides, wait=wait, as_json=as_json)


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
    """Write the dashboard of a run, from its STATE file or its journal."""
    from alphaweave.cli.reporting import write_report

    write_report(state, out, title=title, as_json=as_json)


@cli.command()
@_JOURNAL
@_WAIT
@_JSON
def status(journal: Path, wait: float, as_json: bool) -> int:
    """Ask a run how it is, and show what is latched.

    JOURNAL is the run's persistence.journal. The same goes for halt, resume, flatten and stop.
    """
    from alphaweave.cli.operating import tell_run

    return tell_run("status", journal, wait=wait, as_json=as_json)


@cli.command()
@_JOURNAL
@_SYMBOL
@_OPERATOR
@_REASON
@_WAIT
@_JSON
def halt(journal: Path, as_json: bool, **told: Any) -> int:
    """Send no more orders, and cancel those that work.

    It is latched, also while the run is down, until somebody resumes.
    """
    from alphaweave.cli.operating import tell_run

    return tell_run("halt", journal, as_json=as_json, **told)


@cli.command()
@_JOURNAL
@_SYMBOL
@click.option("--operator", required=True, metavar="NAME", help="Who says so.")
@click.option("--reason", required=True, metavar="TEXT", help="What was wrong, and why it is right now.")
@_WAIT
@_JSON
def resume(journal: Path, as_json: bool, **told: Any) -> int:
    """Let a halted run trade again."""
    from alphaweave.cli.operating import tell_run

    return tell_run("resume", journal, as_json=as_json, **told)


@cli.command()
@_JOURNAL
@_SYMBOL
@_OPERATOR
@_REASON
@_WAIT
@_JSON
def flatten(journal: Path, as_json: bool, **told: Any) -> int:
    """Cancel the run's orders and close its positions; one that is down does so at its next start."""
    from alphaweave.cli.operating import tell_run

    return tell_run("flatten", journal, as_json=as_json, **told)


@cli.command()
@_JOURNAL
@_OPERATOR
@_REASON
@_WAIT
@_JSON
def stop(journal: Path, as_json: bool, **told: Any) -> int:
    """End a run that is up; positions stay as they are."""
    from alphaweave.cli.operating import tell_run

    return tell_run("stop", journal, as_json=as_json, **told)


@cli.group()
def state() -> None:
    """See, compare and take back what a journal holds."""


@state.command()
@_JOURNAL
@_JSON
def show(journal: Path, as_json: bool) -> None:
    """Where a run stands: its books' extent, open orders, risk state, the strategy's values."""
    from alphaweave.cli.keeping import show_journal

    show_journal(journal, as_json=as_json)


@state.command()
@_JOURNAL
@click.argument("other", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--limit", type=click.IntRange(min=1), default=100, show_default=True, help="Show no more.")
@_JSON
def diff(journal: Path, other: Path, limit: int, as_json: bool) -> int:
    """Where OTHER, a journal or an export of one, says something else; 1 if it does."""
    from alphaweave.cli.keeping import diff_journals

    return diff_journals(journal, other, limit=limit, as_json=as_json)


@state.command()
@_JOURNAL
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), help="A new file; by default the screen."
)
def export(journal: Path, out: Path | None) -> None:
    """The whole journal as one JSON document."""
    from alphaweave.cli.keeping import export_journal

    export_journal(journal, out)


@state.command()
@_JOURNAL
@click.option(
    "--to", type=click.IntRange(min=0), required=True, metavar="N", help="The last decision to keep."
)
@click.option("--yes", "confirmed", is_flag=True, help="Do it.")
def rollback(journal: Path, to: int, confirmed: bool) -> None:
    """Take back the decisions after number N, of a run that is down. A copy is kept.

    What the broker did is not taken back.
    """
    from alphaweave.cli.keeping import roll_back

    roll_back(journal, to, confirmed=confirmed)


cli.add_command(certify)
cli.add_command(sandbox)


@cli.group()
def new() -> None:
    """Start something of your own."""


_FOLDER = click.option(
    "--dir",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(),
    help="Where to write.",
)


@new.command()
@click.argument("name")
@_FOLDER
def strategy(name: str, folder: Path) -> None:
    """Write a strategy NAME, a config that runs it, and prices to try it on."""
    from alphaweave.cli.scaffold import new_strategy

    new_strategy(name, folder)


@new.command()
@click.argument("name")
@_FOLDER
def broker(name: str, folder: Path) -> None:
    """Write a distribution: a broker NAME that works, and its sandbox."""
    from alphaweave.cli.scaffold_adapter import new_adapter

    new_adapter("broker", name, folder)


@new.command()
@click.argument("name")
@_FOLDER
def datafeed(name: str, folder: Path) -> None:
    """Write a distribution: a datafeed NAME that works, and its sandbox."""
    from alphaweave.cli.scaffold_adapter import new_adapter

    new_adapter("datafeed", name, folder)


@new.command()
@click.argument("name")
@_FOLDER
def monitor(name: str, folder: Path) -> None:
    """Write a distribution: a monitor NAME that works."""
    from alphaweave.cli.scaffold_adapter import new_adapter

    new_adapter("monitor", name, folder)


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command; never returns."""
    given = sys.argv[1:] if arguments is None else arguments
    try:
        outcome = cli.main(
            [word for word in given if word != "--debug"], prog_name="alphaweave", standalone_mode=False
        )
    except click.exceptions.Abort:
        click.echo("interrupted: what was kept before is unchanged", err=True)
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
