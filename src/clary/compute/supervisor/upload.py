"""What a job leaves in S3: `model.tar.gz` and `output.tar.gz`, or the loose files when the job asks for no compression."""

from __future__ import annotations

import gzip
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from clary.compute.supervisor.objects import Objects, parse_uri

_GZIP_LEVEL = 6


Source = tuple[Path, Path]
"""A job host's `/opt/ml`, and the directory below it whose files are meant."""


def store(objects: Objects, sources: Sequence[Source], name: str, job: str, output: dict[str, Any]) -> tuple[str, int]:
    """Store the content of the directories `sources` as `<S3OutputPath>/<job>/output/<name>.tar.gz`; its URI and stored bytes.

    `output` is the job's OutputDataConfig. With CompressionType NONE the files go below `…/output/<name>/`.
    """
    base = f"{output['S3OutputPath'].rstrip('/')}/{job}/output/{name}"
    if output.get("CompressionType") == "NONE":
        return _store_files(objects, sources, f"{base}/", encryption(output))
    archive = sources[0][0].parent.parent / f"{name}.tar.gz"  # where the program can have put nothing in its place
    pack(sources, archive)
    objects.upload(archive, *parse_uri(f"{base}.tar.gz"), encryption(output))
    size = archive.stat().st_size
    archive.unlink()
    return f"{base}.tar.gz", size


def _store_files(objects: Objects, sources: Sequence[Source], uri: str, keys: dict[str, str]) -> tuple[str, int]:
    total = 0
    bucket, prefix = parse_uri(uri)
    for name, path in union(sources):
        objects.upload(path, bucket, prefix + name, keys)
        total += path.stat().st_size
    return uri, total


def encryption(output: dict[str, Any]) -> dict[str, str]:
    """SSE-KMS with the job's key, or whatever the bucket does by itself."""
    key = output.get("KmsKeyId")
    return {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key} if key else {}


def files(opt_ml: Path, directory: Path) -> Iterator[Path]:
    """Regular files below `directory`, in order. A link counts as the file it leads to, but only inside `directory`.

    Of a directory that the program replaced by a link that leads out of `opt_ml` there are none.
    """
    root = directory.resolve()
    if not root.is_relative_to(opt_ml.resolve()):
        return
    for path in sorted(directory.rglob("*")):
        if path.is_file() and path.resolve().is_relative_to(root):
            yield path


def union(sources: Sequence[Source]) -> list[tuple[str, Path]]:
    """(Name, path) of the files below all directories, in order of names. Of files with one name the first is taken."""
    found: dict[str, Path] = {}
    for opt_ml, directory in sources:
        for path in files(opt_ml, directory):
            found.setdefault(path.relative_to(directory).as_posix(), path)
    return sorted(found.items())


def pack(sources: Sequence[Source], archive: Path) -> None:
    """A tar with the directories' roots as its root: equal content gives equal bytes, whoever packs it when."""
    with (
        archive.open("wb") as raw,
        gzip.GzipFile("", "wb", _GZIP_LEVEL, raw, mtime=0) as compressed,
        tarfile.open(fileobj=compressed, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        for name, path in union(sources):
            with path.open("rb") as content:
                tar.addfile(_entry(name, path), content)


def _entry(name: str, path: Path) -> tarfile.TarInfo:
    status = path.stat()
    entry = tarfile.TarInfo(name)
    entry.size = status.st_size
    entry.mode = 0o755 if status.st_mode & 0o100 else 0o644
    return entry
