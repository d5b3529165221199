"""Checkpoints: what a program leaves in a directory while it trains is kept in S3, and is there again when it starts anew."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

from clary.compute.supervisor import beneath, upload
from clary.compute.supervisor.channels import Channel, Item, checked_path
from clary.compute.supervisor.failures import JobError
from clary.compute.supervisor.feeding import Failed, download
from clary.compute.supervisor.objects import Objects, parse_uri

_SECONDS = 1.0
"""Between two looks. A file is uploaded when two looks in a row saw it the same: whoever writes it is done."""
Version = tuple[int, int]
"""Size and time of change (ns) of a file."""


class Checkpoints:
    """Keeps the objects below `uri` as the files below `directory` are. What is deleted locally stays in S3.

    With several hosts each keeps its own directory there, as the service does: of files with one name the last one written
    is kept, and every host starts with all of them.
    """

    def __init__(
        self,
        objects: Objects,
        uri: str,
        opt_ml: Path,
        directory: Path,
        scratch: Path,
        failed: Failed,
        encryption: dict[str, str] | None = None,
    ):
        """`directory` lies below `opt_ml`, out of which no link leads. `encryption` as `Objects.upload` takes it."""
        self._objects = objects.unstoppable()
        self._bucket, prefix = parse_uri(uri)
        self._prefix = f"{prefix.rstrip('/')}/" if prefix else ""
        self._opt_ml = opt_ml
        self._directory = directory
        self._scratch = scratch
        self._failed = failed
        self._encryption = encryption or {}
        self._kept: dict[Path, Version] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="checkpoints", daemon=True)

    def restore(self, objects: Objects) -> None:
        """Copy what S3 has to the directory. Raises `JobError`; `objects` may be stopped on the way."""
        found = [entry for entry in objects.list(self._bucket, self._prefix) if not entry.key.endswith("/")]
        items = tuple(Item(entry, checked_path(entry.key[len(self._prefix) :], entry.uri)) for entry in found)
        download(
            objects, Channel("checkpoints", "File", items, gzip=False, record_io=False, shuffle_seed=None), self._directory
        )
        self._kept = self._look()

    def start(self) -> None:
        """Keep uploading what changes, in a thread of its own; a failure is told to `failed`."""
        self._thread.start()

    def finish(self) -> None:
        """Upload what changed last: the program has ended. Raises `JobError`."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join()
        self._keep(self._look())
        self._scratch.unlink(missing_ok=True)

    def _follow(self) -> None:
        seen = self._kept
        try:
            while not self._over.wait(_SECONDS):
                now = self._look()
                self._keep({path: version for path, version in now.items() if seen.get(path) == version})
                seen = now
        except BaseException as error:
            self._failed(error)

    def _look(self) -> dict[Path, Version]:
        try:
            seen = [(path, _version(path)) for path in upload.files(self._opt_ml, self._directory)]
        except FileNotFoundError:  # a directory went away under our eyes; the next look sees what is left
            return {}
        return {path: version for path, version in seen if version is not None}

    def _keep(self, files: dict[Path, Version]) -> None:
        for path, version in files.items():
            if self._kept.get(path) != version and self._copy(path) == version:
                key = self._prefix + path.relative_to(self._directory).as_posix()
                self._objects.upload(self._scratch, self._bucket, key, self._encryption)
                self._kept[path] = version

    def _copy(self, path: Path) -> Version | None:
        """Copy `path` aside, so that what is uploaded cannot change meanwhile; its version after that, None when it is gone."""
        try:
            with open(beneath.open_file(self._opt_ml, path), "rb") as source, self._scratch.open("wb") as copy:
                shutil.copyfileobj(source, copy, 1 << 20)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise JobError(f"checkpoint {path.name} could not be copied: {error.strerror}") from error
        return _version(path)


def _version(path: Path) -> Version | None:
    try:
        status = path.stat()
    except FileNotFoundError:  # programs delete old checkpoints
        return None
    return status.st_size, status.st_mtime_ns
