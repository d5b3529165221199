"""S3 when the server is killed or the disk is full: what was acknowledged is there, byte for byte; half objects never show."""

from __future__ import annotations

import hashlib
import random
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from botocore.exceptions import BotoCoreError, ClientError

MIB = 1024 * 1024
SIZES = (0, 900, 16_384, 16_385, 300_000, 3 * MIB)
ROUNDS = 5
GONE = (ClientError, BotoCoreError, OSError)


def content(key: str) -> bytes:
    """What belongs under a key, so that any visible object can be checked."""
    seed = random.Random(key)
    size = 6 * MIB + seed.randrange(MIB) if key.startswith("parts/") else seed.choice(SIZES)
    return seed.randbytes(size)


class Uploads:
    """Threads that upload without a pause; `acknowledged` holds the keys whose upload was confirmed."""

    def __init__(self, server, round_: int):
        self._server = server
        self._round = round_
        self._stop = threading.Event()
        self.acknowledged: list[str] = []
        self._threads = [threading.Thread(target=self._run, args=(number,)) for number in range(4)]

    def __enter__(self) -> Uploads:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _run(self, thread: int) -> None:
        s3, put = self._server.client("s3"), self._parts if thread == 0 else self._single
        for number in range(100_000):
            key = f"{'parts' if thread == 0 else 'plain'}/{self._round}-{thread}-{number}"
            try:
                put(s3, key)
            except GONE:
                return
            self.acknowledged.append(key)
            if self._stop.is_set():
                return

    def _single(self, s3, key: str) -> None:
        s3.put_object(Bucket="b-crash", Key=key, Body=content(key))

    def _parts(self, s3, key: str) -> None:
        body, place = content(key), {"Bucket": "b-crash", "Key": key}
        upload = place | {"UploadId": s3.create_multipart_upload(**place)["UploadId"]}
        parts = []
        for number, start in enumerate(range(0, len(body), 5 * MIB), start=1):
            etag = s3.upload_part(**upload, PartNumber=number, Body=body[start : start + 5 * MIB])["ETag"]
            parts.append({"PartNumber": number, "ETag": etag})
        s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})

    def wait_for(self, count: int) -> None:
        while len(self.acknowledged) < count and any(thread.is_alive() for thread in self._threads):
            time.sleep(0.001)


def check(s3, acknowledged: list[str]) -> None:
    """Every acknowledged object is listed, and every listed object is whole."""
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket="b-crash")
    listed = [entry["Key"] for page in pages for entry in page.get("Contents", [])]
    assert set(acknowledged) <= set(listed)
    for key in listed:
        got = s3.get_object(Bucket="b-crash", Key=key)["Body"].read()
        assert hashlib.sha1(got).digest() == hashlib.sha1(content(key)).digest(), key


def wait_until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def files(server) -> list[Path]:
    return [path for path in (server.data / "blobs").rglob("*") if path.is_file()]


def test_a_killed_server_keeps_every_acknowledged_object(start_server):
    server, acknowledged, chance = start_server(), [], random.Random(7)
    server.client("s3").create_bucket(Bucket="b-crash")
    for round_ in range(ROUNDS):
        with Uploads(server, round_) as uploads:
            uploads.wait_for(chance.randrange(5, 60))
            server.kill()
        acknowledged += uploads.acknowledged
        server.restart()
        check(server.client("s3"), acknowledged)
    assert len(acknowledged) > 20

    s3 = server.client("s3")
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket="b-crash"):
        s3.delete_objects(Bucket="b-crash", Delete={"Objects": [{"Key": entry["Key"]} for entry in page["Contents"]]})
    for upload in s3.list_multipart_uploads(Bucket="b-crash").get("Uploads", []):
        s3.abort_multipart_upload(Bucket="b-crash", Key=upload["Key"], UploadId=upload["UploadId"])
    wait_until(lambda: not files(server), "unfinished uploads were not collected")


def test_an_unfinished_multipart_upload_goes_on_after_a_kill(start_server):
    server = start_server()
    s3, body = server.client("s3"), content("parts/x")
    s3.create_bucket(Bucket="b-crash")
    upload = {"Bucket": "b-crash", "Key": "k"}
    upload |= {"UploadId": s3.create_multipart_upload(**upload)["UploadId"]}
    first = s3.upload_part(**upload, PartNumber=1, Body=body[: 5 * MIB])
    server.kill()
    server.restart()
    second = s3.upload_part(**upload, PartNumber=2, Body=body[5 * MIB :])
    parts = [{"PartNumber": 1, "ETag": first["ETag"]}, {"PartNumber": 2, "ETag": second["ETag"]}]
    s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
    server.kill()
    server.restart()
    assert s3.get_object(Bucket="b-crash", Key="k")["Body"].read() == body


def test_a_client_that_goes_away_leaves_nothing(start_server):
    import socket

    server = start_server()
    s3 = server.client("s3")
    s3.create_bucket(Bucket="b-crash")
    url = s3.generate_presigned_url("put_object", Params={"Bucket": "b-crash", "Key": "half"})
    path = url.removeprefix(server.endpoint)
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(f"PUT {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9000000\r\n\r\n".encode())
        connection.sendall(bytes(5_000_000))
        wait_until(lambda: bool(files(server)), "the upload did not begin")
    wait_until(lambda: not files(server), "the temporary file stays")
    assert "Contents" not in s3.list_objects_v2(Bucket="b-crash")


@pytest.fixture
def small_disk(tmp_path) -> Iterator[Path]:
    """A file system of 64 MiB. Needs the right to mount one."""
    if shutil.which("mount") is None:
        pytest.skip("there is no mount command")
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", tmp_path], capture_output=True, check=False)
    if made.returncode:
        pytest.skip("this user may not mount a file system")
    yield tmp_path
    subprocess.run(["umount", "-l", tmp_path], check=True)


@pytest.fixture
def server_on(small_disk) -> Iterator:
    from tests.conftest import Server

    server = Server(small_disk / "data")
    server.log_file = small_disk.parent / f"{small_disk.name}.log"
    server.start()
    yield server
    server.kill()


def test_a_full_disk_is_a_clean_error_and_nothing_is_lost(server_on):
    s3 = server_on.client("s3")
    s3.create_bucket(Bucket="b-crash")
    kept = {}

    def put(key: str) -> str:
        body = random.Random(key).randbytes(16_000 if key.startswith("small") else 6 * MIB)
        try:
            s3.put_object(Bucket="b-crash", Key=key, Body=body)
        except ClientError as error:
            answer = error.response["Error"]
            return answer["Code"] if "disk" in answer["Message"] else "an error that does not name the disk"
        kept[key] = body
        return "stored"

    with ThreadPoolExecutor(8) as pool:
        outcomes = set(pool.map(put, map(str, range(24))))
    assert outcomes == {"stored", "ServiceUnavailable"}

    content_in_rows = (put(f"small-{number}") for number in range(5000))
    assert next((outcome for outcome in content_in_rows if outcome != "stored"), "never full") == "ServiceUnavailable"

    for key, body in kept.items():
        assert s3.get_object(Bucket="b-crash", Key=key)["Body"].read() == body
    for key in [key for key in kept if not key.startswith("small")][:4]:
        s3.delete_object(Bucket="b-crash", Key=key)
        del kept[key]
    server_on.restart()
    for key, body in kept.items():
        assert s3.get_object(Bucket="b-crash", Key=key)["Body"].read() == body
    assert put("again") == "stored"
