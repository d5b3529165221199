"""`clary up` in the foreground: this process becomes the server.

Imports nothing of the other commands: their library for options would take a quarter of the start.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from pathlib import Path
from typing import Any, NoReturn

from clary import __version__
from clary.cli.errors import FAILED, MISUSED, CommandError
from clary.core.addresses import bracketed, reachable
from clary.core.config import Config, load

OPTIONS = ("data", "port", "host", "auth", "region", "durability", "tls", "tls_port", "hosts", "allow_reset")
"""The settings that `clary up` takes as options."""


class _Unclear(Exception):
    """Not plainly the options of a server in the foreground."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise _Unclear(message)


def up_at_once(arguments: list[str]) -> bool:
    """Run `clary up` with these arguments until it is stopped.

    False when they ask for more, or are wrong: the command says it better. Raises `CommandError`.
    """
    from clary.gateway.server import add_options

    parser = _Parser(add_help=False, allow_abbrev=False)
    add_options(parser, OPTIONS)
    try:
        options = vars(parser.parse_args(arguments))
    except _Unclear:
        return False
    file = options.pop("config")
    options["data"] = options["data"] or os.environ.get("CLARY_DATA")
    serve(settings(file, options))
    return True


def settings(file: Path | None, options: dict[str, Any]) -> Config:
    """The configuration of `file`, or of the data directory, under `options` (None: not given). Raises `CommandError`."""
    if file is not None and not file.is_file():
        raise CommandError(f"the configuration file {file} does not exist", MISUSED)
    data = Path(options["data"] or Config().data).expanduser().absolute()
    try:
        return load(file or data / "clary.toml", **options | {"data": data})
    except (ValueError, TypeError) as error:
        raise CommandError(str(error), MISUSED) from None


def serve(config: Config) -> None:
    """Be the server until SIGTERM or SIGINT. Raises `CommandError`."""
    from clary.gateway.data_directory import DataDirectoryError
    from clary.gateway.server import serve

    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    try:
        serve(config, ready=lambda facts: show(config, facts))
    except ValueError as error:
        raise CommandError(str(error), MISUSED) from None
    except (DataDirectoryError, OSError) as error:
        raise CommandError(str(error), FAILED) from None


def show(config: Config, facts: dict[str, Any]) -> None:
    """What someone wants to know about a server that has just started; `facts` are those of `server.json`."""
    address = bracketed(reachable(facts["host"]))
    option = "" if config.data == Config().data else f" --data {config.data}"
    lines = [f"Clary {__version__} is ready (pid {facts['pid']})", f"  endpoint  http://{address}:{facts['port']}"]
    if facts["tls_port"]:
        lines.append(f"            https://{address}:{facts['tls_port']}  (AWS_CA_BUNDLE={config.data / 'tls' / 'ca.pem'})")
    lines += [
        f"  auth      {facts['auth']}" + (": any key pair, from this machine only" if facts["auth"] == "open" else ""),
        f"  data      {config.data}" + (" (durability fast)" if config.durability == "fast" else ""),
        "",
        f"  clary run{option} -- python train.py    run a program against it",
        f'  eval "$(clary env{option})"             point this shell at it',
        f"  clary down{option}                      stop it",
    ]
    print("\n".join(lines), flush=True)
