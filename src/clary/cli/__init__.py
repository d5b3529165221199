"""The command line: a file per group of commands. Heavy libraries are imported by the command that needs them."""

from __future__ import annotations

import sys

import typer

from clary.cli import coverage, data, demo, doctor, jobs, programs, server
from clary.cli.console import CommandError

app = typer.Typer(
    name="clary",
    help="A machine-learning platform on your own machine, compatible with the Amazon SageMaker APIs.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for group in (server, demo, programs, jobs, doctor, coverage, data):
    group.add_to(app)


def main() -> None:
    """Run a command. What goes wrong is one line on stderr; statuses: 1 failed, 2 misused, 3 no server runs."""
    try:
        app()
    except CommandError as error:
        print(f"clary: {error}", file=sys.stderr)
        sys.exit(error.status)
