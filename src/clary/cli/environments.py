"""`clary env add`, `list` and `remove`: the Python environments that scripts of a framework run in."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from clary.cli import programs
from clary.cli.console import Data, data_directory
from clary.cli.errors import MISUSED, CommandError
from clary.compute.toolkit.environments import Environments, Named, Unusable

Name = Annotated[
    str, typer.Argument(help="A framework (sklearn, xgboost, pytorch, tensorflow, huggingface), or FRAMEWORK-ANYTHING.")
]


def add_to(app: typer.Typer) -> None:
    group = typer.Typer(invoke_without_command=True)
    group.callback()(programs.env)
    group.command()(add)
    group.command("list")(list_)
    group.command()(remove)
    app.add_typer(group, name="env")


def add(
    name: Name,
    packages: Annotated[list[str] | None, typer.Argument(help="What to install, as for pip: torch==2.1.0.")] = None,
    requirements: Annotated[
        Path | None, typer.Option("--requirements", "-r", help="A requirements file instead of PACKAGES.", metavar="FILE")
    ] = None,
    data: Data = None,
) -> None:
    """Make an environment that scripts of a framework run in. Without packages: the newest version of the framework."""
    lines = _requirements(packages or [], requirements)
    try:
        made = _environments(data).add(name, lines, _pip)
    except Unusable as error:
        raise CommandError(str(error), MISUSED) from error
    if not made.version:
        raise CommandError(f"{name} was made, but its framework is not installed in it: no script will run there; add it")
    print(f"{name}: version {made.version}. Jobs and endpoints with images of this framework can run in it from now on.")


def _requirements(packages: list[str], file: Path | None) -> list[str]:
    if file is None:
        return packages
    if packages:
        raise CommandError("give packages or --requirements FILE, not both", MISUSED)
    try:
        text = file.read_text()
    except OSError as error:
        raise CommandError(f"--requirements {file}: {error.strerror}", MISUSED) from error
    return [line.strip() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]


def _pip(command: Sequence[str]) -> None:
    if subprocess.run(command).returncode:
        raise CommandError("pip could not install what was asked for; its last lines say why")


def list_(data: Data = None) -> None:
    """Show the environments that were made, and what each is for."""
    environments = _environments(data).every()
    for one in environments:
        print(_line(one))
    if not environments:
        print("There are none: scripts run in the server's own environment. Make one: clary env add pytorch torch==2.1.0")


def _line(one: Named) -> str:
    made = datetime.fromtimestamp(one.created, UTC).astimezone().strftime("%Y-%m-%d %H:%M")
    return f"{one.name:<24} {one.version or 'without its framework':<12} {made}  {' '.join(one.requirements)}"


def remove(name: Name, data: Data = None) -> None:
    """Delete an environment. What runs in it goes on; what starts later runs elsewhere."""
    try:
        _environments(data).remove(name)
    except Unusable as error:
        raise CommandError(str(error)) from error


def _environments(data: Path | None) -> Environments:
    return Environments(data_directory(data) / "environments")
