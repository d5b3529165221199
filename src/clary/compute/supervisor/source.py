"""A script's source: brought from S3 and unpacked to `/opt/ml/code` before the script starts."""

from __future__ import annotations

import shutil
from pathlib import Path

from clary.compute.hosting import archive
from clary.compute.supervisor.failures import JobError
from clary.compute.supervisor.objects import Objects, parse_uri

MOST_BYTES = 10 << 30
"""Unpacked. What is larger is a bomb, or data that belong into a channel."""


def fetch(objects: Objects, uri: str, opt_ml: Path) -> None:
    """Bring the source at `uri` to `opt_ml/code`: a tar archive in S3, or an archive or directory below `/opt/ml`.

    Raises `JobError` for what is not there, is no archive, or would be written outside.
    """
    code = opt_ml / "code"
    if uri.startswith("s3://"):
        packed = opt_ml.parent / "source.part"
        _download(objects, uri, packed)
        _unpack(packed, code, uri)
        packed.unlink()
        return
    local = _below(opt_ml, uri.removeprefix("file://"))
    if local == code:
        return
    if local.is_dir():
        shutil.copytree(local, code, dirs_exist_ok=True)
    elif local.is_file():
        _unpack(local, code, uri)
    else:
        raise JobError(f"sagemaker_submit_directory {uri!r} is not there; give the S3 URI of a sourcedir.tar.gz")


def _below(opt_ml: Path, path: str) -> Path:
    """Where a path below `/opt/ml` of a container lies here."""
    below = Path(path.removeprefix(str(opt_ml)).removeprefix("/opt/ml").lstrip("/"))
    local = (opt_ml / below).resolve()
    if not local.is_relative_to(opt_ml.resolve()):
        raise JobError(f"sagemaker_submit_directory {path!r} is not below /opt/ml")
    return local


def _download(objects: Objects, uri: str, to: Path) -> None:
    source = objects.head(*parse_uri(uri))
    try:
        with to.open("wb") as file:
            for piece in objects.read(source):
                file.write(piece)
    except OSError as error:
        raise JobError(f"{uri} could not be copied to the training directory: {error.strerror}") from error


def _unpack(packed: Path, code: Path, uri: str) -> None:
    try:
        archive.unpack(packed, code, limit_bytes=MOST_BYTES)
    except archive.UnsafeArchive as error:
        raise JobError(f"{uri}: {error}") from error
    except OSError as error:
        raise JobError(f"{uri} could not be unpacked: {error.strerror}") from error
