"""`clary backup` and `clary bucket mount`: what the owner of a data directory can do beside the AWS APIs."""

from __future__ import annotations

import asyncio
import http.client
import json
from pathlib import Path
from typing import Annotated, Any

import typer

from clary.cli.console import Account, Data, Region, data_directory, running
from clary.cli.errors import FAILED, MISUSED, CommandError
from clary.client import RunningServer, find
from clary.core.addresses import reachable
from clary.core.config import Config
from clary.core.identifiers import DEFAULT_REGION


def add_to(app: typer.Typer) -> None:
    app.command()(backup)
    buckets = typer.Typer(help="Folders as buckets.", no_args_is_help=True)
    buckets.command()(mount)
    app.add_typer(buckets, name="bucket")


def backup(
    directory: Annotated[Path, typer.Argument(help="A new directory for the copy.", metavar="DIR")],
    data: Data = None,
) -> None:
    """Copy the data directory, also while its server runs. The copy is a data directory: clary up --data DIR."""
    source, target = data_directory(data), directory.expanduser().absolute()
    server = find(source)
    if server is not None:
        copied = administer(server, "backup", {"Directory": str(target)})["Bytes"]
    else:
        copied = _backup_at_rest(source, target)
    print(f"copied {copied / 1e6:.1f} MB from {source} to {target}; start a server on it with `clary up --data {target}`")


def _backup_at_rest(source: Path, target: Path) -> int:
    from clary.gateway.backup import backup as copy
    from clary.gateway.data_directory import DataDirectory, DataDirectoryError
    from clary.gateway.server import open_platform

    async def run() -> int:
        async with open_platform(Config(data=source)) as platform:
            return await copy(platform, target)

    if not (source / "format.json").exists():
        raise CommandError(f"{source} is not a data directory of Clary", MISUSED)
    try:
        claim = DataDirectory(source)
        try:
            return asyncio.run(run())
        finally:
            claim.release()
    except ValueError as error:
        raise CommandError(str(error), MISUSED) from None
    except (DataDirectoryError, OSError) as error:
        raise CommandError(str(error)) from None


def mount(
    name: Annotated[str, typer.Argument(help="The bucket's name, for instance sagemaker-sample-files.")],
    directory: Annotated[Path, typer.Argument(help="The folder it shows.", metavar="DIR")],
    data: Data = None,
    region: Region = DEFAULT_REGION,
    account: Account = "",
) -> None:
    """Show a folder as a public, read-only bucket. Its objects can be read without credentials; `aws s3 rb` takes it away."""
    server = running(data)
    folder = directory.expanduser().absolute()
    request = {"Bucket": name, "Directory": str(folder), "Region": region, "Account": account}
    print(f"s3://{name} shows {administer(server, 'mounts', request)['Directory']}")


def administer(server: RunningServer, page: str, request: dict[str, Any]) -> dict[str, Any]:
    """Ask a page that only the owner of the data directory may ask. Raises `CommandError` with the server's message."""
    token = json.loads((server.data / "server.json").read_text())["token"]
    connection = http.client.HTTPConnection(reachable(server.host), server.port)  # a backup takes its time
    connection.request("POST", f"/_clary/{page}", json.dumps(request), {"x-clary-token": token})
    response = connection.getresponse()
    answer = json.loads(response.read())
    if response.status != 200:
        status = MISUSED if response.status < 500 else FAILED
        raise CommandError(answer.get("message") or answer.get("Message") or str(answer), status)
    return answer
