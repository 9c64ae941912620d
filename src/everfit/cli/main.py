"""`everfit`: finds the command, runs it, and turns every error into one message and an exit code."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import Any

import click

from everfit.errors import EverfitError

# In the order of a first use; each is the module of that name.
COMMANDS = (
    "init", "run", "release", "serve", "predict", "labels", "monitor", "retrain", "rollback", "up",
    "status", "history", "config", "schema", "doctor", "demo",
)  # fmt: skip
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
    sys.exit(call(arguments))


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
