"""What the commands share: their common options, the way to the server, one-line errors."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from clary.cli.errors import MISUSED, NOT_RUNNING, CommandError
from clary.client import Credentials, RunningServer, find
from clary.client.environment import STRAY_CREDENTIALS
from clary.core.config import Config
from clary.core.identifiers import DEFAULT_REGION

Data = Annotated[
    Path | None, typer.Option("--data", envvar="CLARY_DATA", help="The data directory.", show_default="~/.clary", metavar="DIR")
]
Region = Annotated[str, typer.Option(envvar="AWS_REGION", help="The region to work in.")]
Account = Annotated[str, typer.Option(help="The account to work in, 12 digits (open mode).")]
AccessKey = Annotated[
    str, typer.Option("--access-key-id", envvar="CLARY_ACCESS_KEY_ID", help="An access key of this server (strict mode).")
]
SecretKey = Annotated[
    str, typer.Option("--secret-access-key", envvar="CLARY_SECRET_ACCESS_KEY", help="The secret of the access key.")
]


def data_directory(data: Path | None) -> Path:
    return (data or Config().data).expanduser().absolute()


def running(data: Path | None) -> RunningServer:
    """The running server of the data directory. Raises `CommandError` when there is none."""
    directory = data_directory(data)
    server = find(directory)
    if server is None:
        hint = "clary up" if data is None else f"clary up --data {data}"
        raise CommandError(
            f"no Clary server is running with the data directory {directory}; start one with `{hint}`", NOT_RUNNING
        )
    return server


def credentials(server: RunningServer, access_key_id: str = "", secret_access_key: str = "", account: str = "") -> Credentials:
    """The keys to use: those given, else in `open` mode any and in `strict` mode those of the environment."""
    if access_key_id and secret_access_key:
        return Credentials(access_key_id, secret_access_key)
    if account and not (len(account) == 12 and account.isdecimal()):
        raise CommandError(f"--account must be 12 digits; got {account!r}", MISUSED)
    if server.auth == "open":
        return Credentials(account) if account else Credentials()
    found = (os.environ.get(name, "") for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"))
    keys = Credentials(*found)
    if not keys.access_key_id or not keys.secret_access_key:
        raise CommandError(
            "this server runs in strict mode: give a key with --access-key-id and --secret-access-key, "
            "or in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
            MISUSED,
        )
    return keys


def client(server: RunningServer, service: str, keys: Credentials, region: str = DEFAULT_REGION) -> Any:
    """A boto3 client of the server that gives up at once when it is gone. Profiles and proxies of the user do not matter."""
    import boto3
    from botocore.config import Config as ClientConfig

    for name in STRAY_CREDENTIALS:
        os.environ.pop(name, None)
    return boto3.Session().client(
        service,
        region_name=region,
        endpoint_url=server.endpoint,
        aws_access_key_id=keys.access_key_id,
        aws_secret_access_key=keys.secret_access_key,
        aws_session_token=keys.session_token or None,
        config=ClientConfig(retries={"total_max_attempts": 1}, connect_timeout=5, proxies={}),
    )
