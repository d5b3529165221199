"""Large objects flow through the server: its memory does not grow with them."""

from __future__ import annotations

import hashlib
import os
import threading

import pytest

MIB = 1024 * 1024
BLOCK = os.urandom(MIB)
ALLOWED_GROWTH = 64 * MIB


class Repeated:
    """A seekable file of `size` bytes: `BLOCK` again and again."""

    def __init__(self, size: int):
        self.size = size
        self.position = 0

    def __len__(self) -> int:
        return self.size

    def tell(self) -> int:
        return self.position

    def seek(self, position: int, whence: int = 0) -> int:
        self.position = position + (self.size if whence == 2 else 0)
        return self.position

    def read(self, length: int = -1) -> bytes:
        length = min(self.size - self.position, length if length >= 0 else self.size)
        start = self.position % MIB
        data = (BLOCK[start:] + BLOCK * (length // MIB + 1))[:length]
        self.position += length
        return data


class Watch:
    """The highest resident memory of a process while the block runs, in bytes."""

    def __init__(self, pid: int):
        self._file = f"/proc/{pid}/statm"
        self._stop = threading.Event()
        self.before = self.highest = self._now()

    def _now(self) -> int:
        with open(self._file) as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")

    def _run(self) -> None:
        while not self._stop.wait(0.02):
            self.highest = max(self.highest, self._now())

    def __enter__(self) -> Watch:
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    @property
    def growth(self) -> int:
        return self.highest - self.before


def round_trip(server, size: int, single: bool) -> int:
    """Up and down again; returns the growth of the server's memory."""
    s3 = server.client("s3", read_timeout=600, s3={"payload_signing_enabled": False})
    s3.create_bucket(Bucket="large")
    s3.put_object(Bucket="large", Key="warm", Body=BLOCK)
    s3.get_object(Bucket="large", Key="warm")["Body"].read()
    with Watch(server.process.pid) as watch:
        if single:
            s3.put_object(Bucket="large", Key="k", Body=Repeated(size))
        else:
            s3.upload_fileobj(Repeated(size), "large", "k")
        received = hashlib.sha1()
        for chunk in s3.get_object(Bucket="large", Key="k")["Body"].iter_chunks(MIB):
            received.update(chunk)
    expected = hashlib.sha1()
    for _ in range(size // MIB):
        expected.update(BLOCK)
    assert received.digest() == expected.digest()
    return watch.growth


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="reads /proc")
@pytest.mark.parametrize("single", [True, False], ids=["one put", "ten parts at a time"])
@pytest.mark.parametrize("size", [256 * MIB, pytest.param(5 * 1024 * MIB, marks=pytest.mark.slow)], ids=["256 MiB", "5 GiB"])
def test_memory_stays_flat(start_server, size, single):
    growth = round_trip(start_server(), size, single)
    print(f"growth {growth / MIB:.1f} MiB")
    assert growth < ALLOWED_GROWTH
