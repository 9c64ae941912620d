"""`everfit`: finds the command, runs it, and turns every error into one message and an exit code."""

from __future__ import annotations

import gc
import os
import sys
from difflib import get_close_matches
from importlib import import_module
from typing import Any

import click

from everfit.errors import EverfitError

# In the order of a first use, each the module of that name, with what the list of commands says of it.
COMMANDS = {
    "init": "Start a project from a table: look at it, write everfit.yaml",
    "run": "Check the data, train, compare, gate, register",
    "release": "Bring a version in front of traffic, or judge the canary",
    "serve": "Answer requests over HTTP with what is released",
    "smoke": "Ask the servers over HTTP what is released answers",
    "predict": "Score every row of a file with what is released",
    "labels": "Store what became true of earlier predictions",
    "monitor": "Look for drift and decay, decide whether to retrain",
    "report": "Write what was found in production as a page",
    "alarms": "What is wrong now, who is at it, what was not delivered",
    "acknowledge": "Say that somebody is at an alarm",
    "resolve": "Say that an alarm is over",
    "retrain": "Train on what the source holds now, release what passes",
    "rollback": "End the canary, or go back to the champion before",
    "approve": "Allow a version where releases need approvals",
    "promote": "Make a version champion at once, by hand",
    "archive": "Take a version out of use",
    "up": "Serve, monitor, judge canaries and retrain in one process",
    "status": "Who answers, what is under way, what to do next",
    "export": "Write the files that bring the project to a platform",
    "rebuild": "Train a version again from its lineage, prove it equal",
    "explain": "What each feature contributed to a prediction",
    "history": "Every event of the ledger, verified",
    "keys": "Who may ask the server: make, list, take back",
    "config": "Every setting, its value and where that comes from",
    "schema": "The JSON schema of everfit.yaml, for editors",
    "doctor": "Check Python, packages, machine and project",
    "demo": "The whole loop on simulated customers, in about a minute",
}
# What click itself answers for wrong usage, and the shell's code for Ctrl-C.
USAGE, INTERRUPTED, INTERNAL = 64, 130, 70


class Commands(click.Group):
    """The commands, each imported when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names, in the order of a first use."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f"everfit.cli.{cmd_name}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, with the nearest command named where there is none of that name."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            close = get_close_matches(args[0], COMMANDS, 1)
            raise click.UsageError(error.message + (f" Did you mean '{close[0]}'?" if close else ""), ctx) from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """One line a command; none is imported for it."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.command(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="everfit", message="everfit %(version)s")
def everfit() -> None:
    """Keep a machine-learning model fit for ever: one file, the whole loop.

    \b
    First steps:
      everfit demo                                             see the whole loop on churn data
      everfit init churn --from customers.csv --target Churn   a project from your table
      everfit run                                              train, gate and register a model
      everfit release && everfit serve                         answer requests with it

    \b
    Exit codes: 0 done, 2 project file, 3 source, 4 data checks, 5 gates, 6 step, 7 missing package,
    8 storage, 9 release, 10 request, 11 nothing released, 64 usage, 70 internal, 130 interrupted.
    """


def main(arguments: list[str] | None = None) -> None:
    """The entry point of the console script; exits the process."""
    _start_fast()
    sys.exit(call(arguments))


def _start_fast() -> None:
    """What suits a process that is everfit's own: together a tenth of the time that a command takes to start."""
    # A start makes a hundred thousand objects, of which none is garbage; Python would look through them every 700.
    gc.set_threshold(50_000, 20, 50)
    # For plugins, pydantic reads what every installed distribution says of itself.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")


def call(arguments: list[str] | None = None) -> int:
    """Runs one command line and returns its exit code."""
    try:
        result: Any = everfit.main(args=arguments, prog_name="everfit", standalone_mode=False)
    except click.exceptions.Abort:
        return INTERRUPTED
    except click.ClickException as error:
        error.show()
        return USAGE
    except EverfitError as error:
        click.secho(f"error: {error}", fg="red", err=True)
        return error.exit_code
    except KeyboardInterrupt:
        click.echo("interrupted: finished steps are kept", err=True)
        return INTERRUPTED
    except Exception as error:
        if os.environ.get("EVERFIT_DEBUG"):
            raise
        click.secho(f"internal error: {type(error).__name__}: {error}", fg="red", err=True)
        click.echo("  fix: run again with EVERFIT_DEBUG=1 and report the trace", err=True)
        return INTERNAL
    return result if isinstance(result, int) else 0
