"""How channels reach the algorithm: File mode copies before the start, Pipe and FastFile mode stream through FIFOs.

FastFile shows every object under its path, as a FIFO that streams it to whoever opens it: nothing is copied to disk, and
programs that read files from the beginning to the end, as the built-in algorithms do, see no difference. What a FIFO
cannot do is seek and tell its size.
"""

from __future__ import annotations

import os
import stat
import struct
import threading
import zlib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from clary.compute.supervisor.channels import Channel, Item, make_parent
from clary.compute.supervisor.failures import JobError
from clary.compute.supervisor.objects import Objects

_DOWNLOADS_AT_A_TIME = 8
_GZIP = 31
"""zlib's window size of 15 bits, plus 16 for the gzip container."""
Failed = Callable[[BaseException], None]
"""Told when a stream cannot go on: the program must not wait for it for ever."""
RECORD_IO_MAGIC = 0xCED7230A
_LONGEST_RECORD = (1 << 29) - 1
_MOST_FAST_FILES = 2000
_FAST_FILE_STACK_BYTES = 512 * 1024


def download(objects: Objects, channel: Channel, directory: Path) -> None:
    """File mode: copy every item below `directory`. Compressed objects stay compressed, as the service leaves them."""
    directory.mkdir(exist_ok=True)
    for item in channel.items:
        make_parent(directory, item).touch()
    with ThreadPoolExecutor(_DOWNLOADS_AT_A_TIME) as pool:
        for done in [pool.submit(_copy, objects, item, directory / item.path) for item in channel.items]:
            done.result()


def _copy(objects: Objects, item: Item, path: Path) -> None:
    try:
        with path.open("wb") as file:
            for piece in objects.read(item.object):
                file.write(piece)
    except OSError as error:
        raise JobError(f"{item.object.uri} could not be copied to the training directory: {error.strerror}") from error


def content(objects: Objects, channel: Channel, item: Item) -> Iterator[bytes]:
    """The bytes of one object as Pipe mode delivers them: decompressed and wrapped when the channel says so."""
    pieces = objects.read(item.object)
    if channel.gzip:
        pieces = gunzip(pieces, item.object.uri)
    if not channel.record_io:
        return pieces
    if channel.gzip:  # the length goes first, and only decompressing tells it
        whole = b"".join(pieces)
        return wrap_record(iter([whole]), len(whole), item.object.uri)
    return wrap_record(pieces, item.object.size, item.object.uri)


def gunzip(pieces: Iterable[bytes], uri: str) -> Iterator[bytes]:
    """Decompress a gzip stream of one or more members. Raises `JobError` for bytes that are not gzip, or end too early."""
    member, fresh = zlib.decompressobj(_GZIP), True
    try:
        for piece in pieces:
            while piece:
                yield member.decompress(piece)
                fresh, piece = False, member.unused_data
                if member.eof:
                    member, fresh = zlib.decompressobj(_GZIP), True
    except zlib.error as error:
        raise JobError(f"{uri} is not gzip, although its channel has CompressionType Gzip: {error}") from error
    if not fresh:
        raise JobError(f"{uri} ends in the middle of its gzip stream")


def wrap_record(pieces: Iterator[bytes], length: int, uri: str) -> Iterator[bytes]:
    """One RecordIO record: magic, length, payload, zeros up to a multiple of four bytes (RecordWrapperType RecordIO)."""
    if length > _LONGEST_RECORD:
        raise JobError(f"{uri} is too long for one RecordIO record ({length} bytes; at most {_LONGEST_RECORD})")
    yield struct.pack("<II", RECORD_IO_MAGIC, length)
    yield from pieces
    yield bytes(-length % 4)


def show_fast_files(objects: Objects, channel: Channel, directory: Path, scratch: Path, failed: Failed) -> None:
    """FastFile mode: every item appears below `directory` and is read from S3 when it is opened.

    `scratch` is a directory on the same file system. Each item takes a waiting thread, so a channel of very many objects
    is copied, as in File mode.
    """
    if len(channel.items) > _MOST_FAST_FILES:
        download(objects, channel, directory)
        return
    directory.mkdir(exist_ok=True)
    scratch.mkdir(exist_ok=True)
    threading.stack_size(_FAST_FILE_STACK_BYTES)
    folders: dict[Path, int] = {}
    for item in channel.items:
        path = make_parent(directory, item)
        if path.parent not in folders:
            folders[path.parent] = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        FastFile(objects, item, folders[path.parent], path.name, scratch, failed).start()
    threading.stack_size(0)


def open_fifo(folder: int, name: str) -> int:
    """Open a FIFO to write as soon as the algorithm reads it; `folder` is held open since before the algorithm began.

    Raises `OSError` for what the algorithm put in its place: its links must not lead our writing elsewhere.
    """
    descriptor = os.open(name, os.O_WRONLY | os.O_NOFOLLOW, dir_fd=folder)
    if stat.S_ISFIFO(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    raise OSError(f"{name} is no longer the FIFO that its channel's data come through")


class FastFile(threading.Thread):
    """One object under its path. Every opening gets a FIFO, and so a stream, of its own."""

    def __init__(self, objects: Objects, item: Item, folder: int, name: str, scratch: Path, failed: Failed):
        super().__init__(name=f"fast file {item.path}", daemon=True)
        self._fresh = scratch / str(id(self))
        self._objects = objects
        self._item = item
        self._folder, self._name = folder, name
        self._failed = failed
        os.mkfifo(name, dir_fd=folder)

    def run(self) -> None:
        going_on = True
        while going_on:
            descriptor = open_fifo(self._folder, self._name)
            self._renew()
            going_on = feed(descriptor, self._objects.read(self._item.object), self._failed)

    def _renew(self) -> None:
        """Put a new FIFO where the opened one was, made beside the channel so that no listing shows it on the way."""
        os.mkfifo(self._fresh)
        os.rename(self._fresh, self._name, dst_dir_fd=self._folder)


class PipeFeeder(threading.Thread):
    """Pipe mode: FIFO `<channel>_<epoch>`, one per pass over the data; each is made before the one before it is fed."""

    def __init__(self, objects: Objects, channel: Channel, data: Path, failed: Failed):
        super().__init__(name=f"feed-{channel.name}", daemon=True)
        self._objects = objects
        self._channel = channel
        self._folder = os.open(data, os.O_RDONLY | os.O_DIRECTORY)
        self._failed = failed
        os.mkfifo(self._fifo(0), dir_fd=self._folder)

    def _fifo(self, epoch: int) -> str:
        return f"{self._channel.name}_{epoch}"

    def run(self) -> None:
        epoch, going_on = 0, True
        while going_on:
            descriptor = open_fifo(self._folder, self._fifo(epoch))
            os.mkfifo(self._fifo(epoch + 1), dir_fd=self._folder)
            going_on = feed(descriptor, self._content(epoch), self._failed)
            epoch += 1

    def _content(self, epoch: int) -> Iterator[bytes]:
        for item in self._channel.order(epoch):
            yield from content(self._objects, self._channel, item)


def feed(descriptor: int, pieces: Iterable[bytes], failed: Failed) -> bool:
    """Write `pieces` to the FIFO and close it, sooner when the algorithm has read enough of it; False when it failed.

    A failure is told before the FIFO is closed: the algorithm must not take half the data for all of it.
    """
    try:
        for piece in pieces:
            view = memoryview(piece)
            while view:
                view = view[os.write(descriptor, view) :]
    except BrokenPipeError:
        return True
    except BaseException as error:
        failed(error)
        return False
    finally:
        os.close(descriptor)
    return True
