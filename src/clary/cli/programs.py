"""`clary env` and `clary run`: programs that speak to Clary without a change to them."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from clary.cli.console import AccessKey, Account, Data, Region, SecretKey, credentials, data_directory, running
from clary.cli.errors import MISUSED, CommandError
from clary.cli.server import clean_up_when_terminated, start_detached, stop
from clary.client import Changes, Credentials, RunningServer, environment, find, shim
from clary.client.environment import write_sdk_config
from clary.core.config import load
from clary.core.identifiers import DEFAULT_REGION

NOT_FOUND = 127
"""The exit status that shells use for a command that does not exist."""


def add_to(app: typer.Typer) -> None:
    app.command(context_settings={"allow_interspersed_args": False})(run)


def env(
    ctx: typer.Context,
    data: Data = None,
    region: Region = DEFAULT_REGION,
    account: Account = "",
    access_key_id: AccessKey = "",
    secret_access_key: SecretKey = "",
    shell: Annotated[str, typer.Option(help="sh (also bash, zsh) or fish.")] = "sh",
    unset: Annotated[bool, typer.Option("--unset", help="Print what takes the settings back.")] = False,
) -> None:
    """Print shell settings that point AWS clients at Clary: eval "$(clary env)". Or see to environments of frameworks."""
    if ctx.invoked_subcommand:
        return
    if shell not in ("sh", "fish"):
        raise CommandError(f"--shell must be sh or fish; got {shell!r}", MISUSED)
    if unset:
        names = environment("", {}, sdk_config=Path()).set
        changes = Changes(unset=[name for name in names if name.lower() != "no_proxy"])
    else:
        server = running(data)
        changes = changes_for(server, credentials(server, access_key_id, secret_access_key, account), region)
    print(_script(changes, shell))


def changes_for(server: RunningServer, keys: Credentials, region: str) -> Changes:
    """What to change in this process's environment so that AWS clients speak to `server`."""
    sdk_config = write_sdk_config(server.data / "client" / "sagemaker-config.yaml")
    return environment(server.endpoint, os.environ, credentials=keys, region=region, sdk_config=sdk_config)


def _script(changes: Changes, shell: str) -> str:
    if shell == "fish":
        lines = [f"set -e {name};" for name in changes.unset]
        lines += [f"set -gx {name} {shlex.quote(value)};" for name, value in changes.set.items()]
    else:
        lines = [f"unset {' '.join(changes.unset)}"] if changes.unset else []
        lines += [f"export {name}={shlex.quote(value)}" for name, value in changes.set.items()]
    return "\n".join(lines)


def run(
    command: Annotated[list[str], typer.Argument(help="The program and its arguments, after --.", metavar="-- COMMAND...")],
    data: Data = None,
    region: Region = DEFAULT_REGION,
    account: Account = "",
    access_key_id: AccessKey = "",
    secret_access_key: SecretKey = "",
    allow_aws: Annotated[bool, typer.Option("--allow-aws", help="Let the program reach the real AWS.")] = False,
    up: Annotated[bool, typer.Option("--up", help="Start a server for the time of the program if none is running.")] = False,
) -> None:
    """Run a program whose AWS clients speak to Clary, also those that ignore AWS_ENDPOINT_URL.

    Python programs cannot reach the real AWS from here unless --allow-aws is given. The exit status is the program's.
    """
    if shutil.which(command[0]) is None:
        raise CommandError(f"{command[0]}: no such program", NOT_FOUND)
    directory = data_directory(data)
    started = up and find(directory) is None
    server = _start(directory) if started else running(data)
    changes = changes_for(server, credentials(server, access_key_id, secret_access_key, account), region)
    changes.set |= shim(server.endpoint, os.environ, allow_aws=allow_aws)
    environ = changes.applied_to(os.environ)
    if not started:
        sys.stdout.flush()
        os.execvpe(command[0], command, environ)
    try:
        code = subprocess.run(command, env=environ).returncode
    finally:
        stop(server)
    raise typer.Exit(code if code >= 0 else 128 - code)


def _start(data: Path) -> RunningServer:
    """A server on a free port, because nobody but the program needs to know it."""
    clean_up_when_terminated()
    return start_detached(load(data / "clary.toml", data=data, port=0), None, {"data": data, "port": 0})
