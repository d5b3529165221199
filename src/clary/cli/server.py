"""`clary up`, `down`, `status`, `version`: one server and its data directory."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from clary import __version__
from clary.cli import foreground
from clary.cli.console import Data, data_directory, running
from clary.cli.errors import FAILED, NOT_RUNNING, CommandError
from clary.client import RunningServer, find
from clary.client.running import is_claimed
from clary.core.config import Config

START_SECONDS = 30
STOP_SECONDS = 60
POLL_SECONDS = 0.05


def add_to(app: typer.Typer) -> None:
    for command in (up, down, status, version):
        app.command()(command)


def up(
    data: Data = None,
    port: Annotated[int | None, typer.Option(help="The port; 0 takes a free one.", show_default="4566")] = None,
    host: Annotated[str | None, typer.Option(help="The address to listen on.", show_default="127.0.0.1")] = None,
    auth: Annotated[
        str | None, typer.Option(help="open: any key pair; strict: keys made through IAM.", show_default="open")
    ] = None,
    region: Annotated[
        str | None, typer.Option(help="The region of requests that carry none.", show_default="us-east-1")
    ] = None,
    durability: Annotated[
        str | None,
        typer.Option(help="full: acknowledged means on disk; fast: a power cut may lose moments.", show_default="full"),
    ] = None,
    tls: Annotated[bool | None, typer.Option("--tls/--no-tls", help="Listen with HTTPS too.", show_default="no-tls")] = None,
    tls_port: Annotated[int | None, typer.Option(help="The port of HTTPS.", show_default="4567")] = None,
    hosts: Annotated[list[str] | None, typer.Option("--hosts", help="A further host name of this server; repeatable.")] = None,
    allow_reset: Annotated[
        bool | None, typer.Option("--allow-reset/--no-allow-reset", help="Mount the wipe at /_clary/reset.", show_default="no")
    ] = None,
    config: Annotated[Path | None, typer.Option(help="A TOML file.", show_default="clary.toml in the data directory")] = None,
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Return when the server is ready; it runs on.")] = False,
) -> None:
    """Start a server. Stop it with Ctrl-C, or `clary down` from elsewhere."""
    options = {
        "data": data and data_directory(data),
        "port": port,
        "host": host,
        "auth": auth,
        "region": region,
        "durability": durability,
        "tls": tls,
        "tls_port": tls_port,
        "hosts": hosts or None,
        "allow_reset": allow_reset,
    }
    settings = foreground.settings(config, options)
    if detach:
        start_detached(settings, config, options)
        foreground.show(settings, json.loads((settings.data / "server.json").read_text()))
    else:
        foreground.serve(settings)


def start_detached(settings: Config, file: Path | None, options: dict[str, Any]) -> RunningServer:
    """Start a server process of its own and return when it answers.

    Raises `CommandError` with the server's last words when it does not start.
    """
    log_file = _private_log(settings.data)
    before = log_file.stat().st_size
    with log_file.open("ab") as log:
        process = subprocess.Popen(
            _command(file, options), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, env=os.environ
        )
    deadline = time.monotonic() + START_SECONDS
    while (server := find(settings.data)) is None or server.pid != process.pid:
        if process.poll() is not None:
            raise CommandError(_last_words(log_file, before), max(process.returncode, FAILED))
        if time.monotonic() > deadline:
            process.terminate()
            raise CommandError(f"the server does not answer after {START_SECONDS} s; see {log_file}")
        time.sleep(POLL_SECONDS)
    print(_said(log_file, before), end="")  # the root key, which is shown once
    return server


def clean_up_when_terminated() -> None:
    """SIGTERM ends this process by an exception, so that a server it started for itself is stopped too."""
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))


def _command(file: Path | None, options: dict[str, Any]) -> list[str]:
    arguments = [sys.executable, "-m", "clary.gateway.server"]
    if file is not None:
        arguments += ["--config", str(file)]
    for name, value in options.items():
        option = f"--{name.replace('_', '-')}"
        if isinstance(value, bool):
            arguments.append(option if value else option.replace("--", "--no-", 1))
        elif isinstance(value, list):
            arguments += [option, *value]
        elif value is not None:
            arguments += [option, str(value)]
    return arguments


def _private_log(data: Path) -> Path:
    """`server.log`, readable by its owner only: it shows a new root key."""
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    file = data / "server.log"
    file.touch(mode=0o600)
    return file


def _said(log_file: Path, start: int) -> str:
    with log_file.open() as log:
        log.seek(start)
        return "".join(line for line in log if not line.startswith("Clary is listening"))


def _last_words(log_file: Path, start: int) -> str:
    lines = _said(log_file, start).strip().splitlines()
    return lines[-1].removeprefix("clary: ") if lines else f"the server ended at once; see {log_file}"


def down(
    data: Data = None,
    timeout: Annotated[float, typer.Option(help="How many seconds to wait for its end.")] = STOP_SECONDS,
) -> None:
    """Stop the server gracefully, and wait until it has ended."""
    server = running(data)
    stop(server, timeout)
    print(f"Clary at {server.endpoint} has stopped")


def stop(server: RunningServer, timeout: float = STOP_SECONDS) -> None:
    """Stop a server gracefully and return when it has ended. Raises `CommandError` after `timeout` seconds."""
    os.kill(server.pid, signal.SIGTERM)
    wait_until_ended(server.data, timeout)


def wait_until_ended(data: Path, timeout: float = STOP_SECONDS) -> None:
    """Return when no server holds the data directory. Raises `CommandError` after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while is_claimed(data):
        if time.monotonic() > deadline:
            raise CommandError(f"the server is still running after {timeout:g} s; see what it does in {data / 'server.log'}")
        time.sleep(POLL_SECONDS)


def status(data: Data = None) -> None:
    """Say whether a server is running, and where. Exit status 3 when none is."""
    directory = data_directory(data)
    server = find(directory)
    if server is None:
        state = "starting, or does not answer" if is_claimed(directory) else "not running"
        print(f"{state}  data {directory}")
        raise typer.Exit(NOT_RUNNING)
    print(f"running   {server.endpoint}  (pid {server.pid}, version {server.health.get('version', '?')})")
    print(f"auth      {server.auth}")
    print(f"data      {server.data}")
    print(f"up since  {time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(server.started))}")


def version() -> None:
    """Print the version."""
    print(__version__)
