"""Bring a model's data from S3 to this machine, once: a `model.tar.gz`, or a directory of uncompressed objects."""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from clary.compute.hosting.link import StartFailed
from clary.core.errors import ServiceError
from clary.core.identifiers import Scope, partition
from clary.core.service import Identity, Platform


def role_identity(role: str, scope: Scope, session: str = "SageMaker") -> Identity:
    """The caller that a service is when it works with a customer's role."""
    name = role.rsplit("/", 1)[-1]
    account = role.split(":")[4] if role.count(":") >= 5 else scope.account
    return Identity(
        account,
        f"arn:{partition(scope.region)}:sts::{account}:assumed-role/{name}/{session}",
        kind="role",
        role_arn=role,
    )


async def fetch(platform: Platform, scope: Scope, source: dict[str, str] | None, role: str, directory: Path) -> Path | None:
    """The model's data under `directory`; what an earlier call brought is used again. None when the model has no data.

    `source`: `S3Uri`, `S3DataType` (S3Object or S3Prefix), `CompressionType` (Gzip or None). Raises `StartFailed`.
    """
    if source is None:
        return None
    there = directory / ("model.tar.gz" if source["CompressionType"] == "Gzip" else "model-data")
    if there.exists():
        return there
    part = there.with_name(there.name + ".part")
    await asyncio.to_thread(_clear, part)
    part.parent.mkdir(parents=True, exist_ok=True)
    try:
        await _download(_Reader(platform, scope, role_identity(role, scope)), source, part)
    except ServiceError as error:
        raise StartFailed(f"could not read the model data at {source['S3Uri']}: {error.code}: {error.message}") from error
    part.rename(there)
    return there


def _clear(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)


async def _download(reader: _Reader, source: dict[str, str], to: Path) -> None:
    bucket, key = _split(source["S3Uri"])
    if source["CompressionType"] == "Gzip":
        await reader.save(bucket, key, to)
    elif source["S3DataType"] == "S3Object":
        await reader.save(bucket, key, to / key.rsplit("/", 1)[-1])
    else:
        prefix = key if key.endswith("/") else key + "/"
        for name in await reader.names(bucket, prefix):
            await reader.save(bucket, name, _below(to, name.removeprefix(prefix)))


def _split(uri: str) -> tuple[str, str]:
    parts = urlsplit(uri)
    if parts.scheme == "s3":
        return parts.netloc, parts.path[1:]
    bucket, _, key = parts.path[1:].partition("/")
    return bucket, key


def _below(directory: Path, name: str) -> Path:
    """A key is not a path: one that would lead out of the directory is refused."""
    if name.startswith("/") or ".." in name.split("/"):
        raise StartFailed(f"the key {name!r} of the model data leads out of the model's directory")
    return directory / name


class _Reader:
    """S3 with the rights of a role."""

    def __init__(self, platform: Platform, scope: Scope, identity: Identity) -> None:
        self._call = platform.call
        self._who: dict[str, Any] = {"scope": scope, "identity": identity}

    async def names(self, bucket: str, prefix: str) -> list[str]:
        request = {"Bucket": bucket, "Prefix": prefix}
        found: list[str] = []
        while True:
            page = await self._call("s3", "ListObjectsV2", request, **self._who)
            found += [entry["Key"] for entry in page.get("Contents", []) if not entry["Key"].endswith("/")]
            if not page.get("IsTruncated"):
                return found
            request["ContinuationToken"] = page["NextContinuationToken"]

    async def save(self, bucket: str, key: str, to: Path) -> None:
        """Stream an object into the file `to`."""
        body = (await self._call("s3", "GetObject", {"Bucket": bucket, "Key": key}, **self._who))["Body"]
        to.parent.mkdir(parents=True, exist_ok=True)
        with to.open("wb") as file:
            if isinstance(body, bytes):
                await asyncio.to_thread(file.write, body)
            else:
                async for piece in body:
                    await asyncio.to_thread(file.write, piece)
            file.flush()
            await asyncio.to_thread(os.fsync, file.fileno())  # the endpoint will rely on it when S3 no longer has it
