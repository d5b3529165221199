"""All commands, in one application."""

from __future__ import annotations

import typer

from clary.cli import coverage, data, demo, doctor, environments, jobs, programs, server
from clary.cli.tuning import commands as tuning

app = typer.Typer(
    name="clary",
    help="A machine-learning platform on your own machine, compatible with the Amazon SageMaker APIs.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for group in (server, demo, programs, environments, jobs, tuning, doctor, coverage, data):
    group.add_to(app)
