"""Unpack a model archive that a stranger may have made."""

from __future__ import annotations

import gzip
import lzma
import shutil
import tarfile
import zlib
from pathlib import Path

MAX_UNPACKED_BYTES = 20 * 1024**3
MAX_MEMBERS = 100_000


class UnsafeArchive(Exception):
    """The archive is not one, would write outside its directory, or is larger than allowed."""


def unpack(archive: Path, directory: Path, *, limit_bytes: int = MAX_UNPACKED_BYTES) -> None:
    """Unpack a (gzipped) tar file into the empty `directory`.

    Only regular files, directories, and links that stay inside are taken; everything else raises `UnsafeArchive`,
    which names the member. Ownership, special permission bits and times are not restored.
    """
    directory.mkdir(parents=True, exist_ok=True)
    root = directory.resolve()
    try:
        with tarfile.open(archive, "r:*") as tar:
            _unpack_members(tar, root, limit_bytes)
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile, lzma.LZMAError) as error:
        raise UnsafeArchive(f"{archive.name} is not a readable tar archive: {error}") from error
    except (FileExistsError, IsADirectoryError, NotADirectoryError, RuntimeError) as error:  # RuntimeError: a loop of links
        raise UnsafeArchive(f"members of {archive.name} are in each other's way: {error}") from error


def _unpack_members(tar: tarfile.TarFile, root: Path, limit_bytes: int) -> None:
    total = 0
    links = []
    for count, member in enumerate(tar, start=1):
        total += max(member.size, 0)
        if total > limit_bytes or count > MAX_MEMBERS:
            raise UnsafeArchive(f"the archive unpacks to more than {limit_bytes} bytes or {MAX_MEMBERS} members")
        _unpack_member(tar, member, root)
        if member.issym() or member.islnk():  # a hard link may be to a symbolic one, which leads elsewhere from its new place
            links.append(member)
    for member in links:  # again: where a link leads may have changed with the links made after it
        _inside(root, root / member.name, member)


def _unpack_member(tar: tarfile.TarFile, member: tarfile.TarInfo, root: Path) -> None:
    target = _inside(root, root / member.name, member)
    if member.isdir():
        target.mkdir(parents=True, exist_ok=True)
    elif member.isreg():
        _write(tar, member, target)
    elif member.issym():
        _inside(root, target.parent / member.linkname, member)
        _replace(target).symlink_to(member.linkname)
    elif member.islnk():
        source = _inside(root, root / member.linkname, member)
        _replace(target).hardlink_to(source)
    else:
        raise UnsafeArchive(f"member {member.name!r} is neither a file, a directory nor a link")


def _inside(root: Path, path: Path, member: tarfile.TarInfo) -> Path:
    """`path` with its parent's links resolved (links come before what is written through them), still under `root`."""
    if Path(member.name).is_absolute() or (member.linkname and Path(member.linkname).is_absolute()):
        raise UnsafeArchive(f"member {member.name!r} has an absolute path")
    resolved = path.resolve()
    if not resolved.is_relative_to(root):
        raise UnsafeArchive(f"member {member.name!r} leads out of the archive's directory")
    return root if resolved == root else path.parent.resolve() / path.name


def _replace(target: Path) -> Path:
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.is_symlink() or target.is_file():
        target.unlink()
    return target


def _write(tar: tarfile.TarFile, member: tarfile.TarInfo, target: Path) -> None:
    source = tar.extractfile(member)
    assert source is not None, "a regular member has content"
    with source, _replace(target).open("xb") as file:
        shutil.copyfileobj(source, file, 1024 * 1024)
    target.chmod(0o755 if member.mode & 0o100 else 0o644)
