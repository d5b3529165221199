"""`clary doctor`: what on this machine could get in the way, and what to do about it."""

from __future__ import annotations

import http.client
import importlib.util
import multiprocessing
import os
import shutil
import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from clary.cli.console import Data, data_directory
from clary.cli.errors import FAILED
from clary.client import find
from clary.client.running import ask
from clary.core.config import Config
from clary.sandbox import level

LOW_DISK_BYTES = 2 * 1024**3
SMALL_SHARED_MEMORY_BYTES = 256 * 1024**2
EXTRAS = {
    "algorithms": ("numpy", "scipy", "xgboost"),
    "demo": ("sklearn",),
    "report": ("plotly", "jinja2"),
}
EMULATORS = {
    "LocalStack": "/_localstack/health",
    "moto": "/moto-api/data.json",
    "ministack": "/_ministack/health",
}
"""Other emulators, by a page that only they have."""
_REMEDY = (
    "allow user namespaces (Ubuntu: sysctl kernel.apparmor_restrict_unprivileged_userns=0; in a container: a seccomp profile "
    "with unshare and mount) and use Linux 6.12 or newer; docs/security.md says what each level keeps out"
)


@dataclass(frozen=True, slots=True)
class Finding:
    """`level`: ok, note (something will be slower or is missing), problem (something will not work)."""

    level: str
    text: str
    remedy: str = ""


def add_to(app: typer.Typer) -> None:
    app.command()(doctor)


def doctor(
    data: Data = None,
    port: Annotated[int, typer.Option(help="The port a server would take.", min=1, max=65535)] = Config().port,
) -> None:
    """Look for what could get in the way: taken port, real AWS keys, missing extras, kernel features. Status 1 on a problem."""
    findings = list(examine(data_directory(data), port))
    for finding in findings:
        print(f"{finding.level:8} {finding.text}")
        if finding.remedy:
            print(f"{'':8} -> {finding.remedy}")
    if any(finding.level == "problem" for finding in findings):
        raise typer.Exit(FAILED)


def examine(data: Path, port: int) -> Iterator[Finding]:
    """Every check, in the order they are shown."""
    yield Finding("ok", f"Python {sys.version.split()[0]} at {sys.executable}")
    yield check_port(data, port)
    yield from check_credentials(dict(os.environ), Path.home())
    yield from check_extras()
    yield from check_kernel()
    yield check_disk(data)


def check_port(data: Path, port: int) -> Finding:
    server = find(data)
    if server is not None:
        return Finding("ok", f"Clary is running at {server.endpoint} with the data directory {data}")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            owner = who_listens(port)
            return Finding("problem", f"port {port} is taken by {owner}", "stop it, or choose another port: clary up --port 0")
    return Finding("ok", f"port {port} is free")


def who_listens(port: int) -> str:
    """What answers on a port of this machine, in words."""
    pages = {"another Clary": "/_clary/health"} | EMULATORS
    for name, page in pages.items():
        try:
            if ask("127.0.0.1", port, "GET", page)[0] == 200:
                return name
        except (OSError, http.client.HTTPException):
            return "a program that does not speak HTTP"
    return "another program"


def check_credentials(environ: dict[str, str], home: Path) -> Iterator[Finding]:
    """Real keys are no danger to Clary's own commands, but a program started without `clary run` would use them."""
    remedy = 'start programs with `clary run`, or use eval "$(clary env)"'
    if environ.get("AWS_ACCESS_KEY_ID", "").startswith(("AKIA", "ASIA")) and "AWS_ENDPOINT_URL" not in environ:
        yield Finding(
            "note", "the environment has an AWS key and no AWS_ENDPOINT_URL: programs would reach the real AWS", remedy
        )
    if environ.get("AWS_PROFILE"):
        yield Finding(
            "note", f"AWS_PROFILE is set to {environ['AWS_PROFILE']!r}: programs would use that profile's keys", remedy
        )
    files = [file for file in (home / ".aws" / "credentials", home / ".aws" / "config") if file.is_file()]
    if any("aws_access_key_id" in (text := file.read_text(errors="replace")) or "sso_" in text for file in files):
        yield Finding("note", f"{home / '.aws'} holds credentials that programs may use for the real AWS", remedy)


def check_extras() -> Iterator[Finding]:
    for extra, modules in EXTRAS.items():
        missing = [module for module in modules if importlib.util.find_spec(module) is None]
        if missing:
            yield Finding("note", f"{', '.join(missing)} not installed", f"pip install 'clary[{extra}]'")
        else:
            yield Finding("ok", f"extra {extra}: {', '.join(modules)}")


def check_kernel() -> Iterator[Finding]:
    """What isolation and speed stand on; without them Clary works, more slowly or with less isolation between jobs."""
    if "fork" not in multiprocessing.get_all_start_methods() or sys.platform == "darwin":
        yield Finding("note", "processes are started with spawn: jobs start in seconds instead of milliseconds")
    yield check_sandbox()
    if sys.platform != "linux":
        return
    yield _feature("cgroup v2", Path("/sys/fs/cgroup/cgroup.controllers").exists())
    shared = Path("/dev/shm")
    enough = shared.is_dir() and os.access(shared, os.W_OK) and shutil.disk_usage(shared).total >= SMALL_SHARED_MEMORY_BYTES
    yield _feature("/dev/shm of 256 MiB or more", enough)


def _feature(name: str, there: bool) -> Finding:
    return Finding("ok" if there else "note", f"{name}: {'yes' if there else 'no'}")


def check_sandbox() -> Finding:
    """How far programs can be confined here, found by trying it."""
    here = level()
    text = f"sandbox: {here.name} ({', '.join(here.measures) or 'nothing'})"
    if not here.gaps:
        return Finding("ok", text)
    refused = f"; no namespaces: {here.refused}" if here.refused else ""
    remedy = _REMEDY if sys.platform == "linux" else ""
    return Finding("note", f"{text}; programs can still {'; '.join(here.gaps)}{refused}", remedy)


def check_disk(data: Path) -> Finding:
    existing = next(folder for folder in (data, *data.parents) if folder.exists())
    free = shutil.disk_usage(existing).free
    text = f"{free / 1024**3:.1f} GiB free for the data directory {data}"
    if not os.access(existing, os.W_OK):
        return Finding("problem", f"{existing} is not writable", "choose another data directory: --data DIR")
    if free < LOW_DISK_BYTES:
        return Finding("problem", text, "free some space, or choose another data directory: --data DIR")
    return Finding("ok", text)
