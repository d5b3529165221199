"""S3 as a supervisor uses it: through the gateway, as the job's role, and patient while the server is away."""

from __future__ import annotations

import contextlib
import copy
import io
import json
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import botocore.session
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionError, HTTPClientError, IncompleteReadError, ResponseStreamingError

from clary.compute.supervisor.failures import JobError, StopRequested

PIECE = 1 << 20
PART = 64 << 20
_FIRST_DELAY, _LONGEST_DELAY = 0.05, 1.0
_MOST_SERVER_ERRORS = 8
_GONE = (ConnectionError, HTTPClientError, IncompleteReadError, ResponseStreamingError)
_CONFIG = Config(
    retries={"total_max_attempts": 1},  # retries are ours: they must read the server's address anew
    s3={"addressing_style": "path"},
    connect_timeout=5,
    read_timeout=300,
    max_pool_connections=16,
    request_checksum_calculation="when_required",
    proxies={},  # the server is on this machine, whatever the user's environment says about proxies
)
_session = botocore.session.Session()


def preload() -> None:
    """Pay in the warm process for the service model and for whatever a first request sets up; forks find it done."""
    with socket.socket() as nobody_listens:
        nobody_listens.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{nobody_listens.getsockname()[1]}"
        client = _client(address, "us-east-1", {"AccessKeyId": "warm", "SecretAccessKey": "warm", "SessionToken": "warm"})
        for request in (client.list_objects_v2, client.head_bucket):
            with contextlib.suppress(ConnectionError):
                request(Bucket="warm")


@dataclass(frozen=True, slots=True)
class S3Object:
    bucket: str
    key: str
    size: int
    etag: str = ""

    @property
    def uri(self) -> str:
        return f"s3://{self.bucket}/{self.key}"


class Objects:
    """Reads and writes that go on when the server comes back.

    Every method raises `JobError` for what the user must mend (no such bucket, access denied), and `StopRequested` when
    `stopping` is set while it waits.
    """

    def __init__(self, server_file: Path, region: str, credentials: dict[str, str], stopping: threading.Event):
        self._server_file = server_file
        self._region = region
        self._credentials = credentials
        self._stopping = stopping
        self._address = ""
        self._current: Any = None

    def list(self, bucket: str, prefix: str) -> Iterator[S3Object]:
        """Objects whose keys start with `prefix`, in order of their keys."""
        request = {"Bucket": bucket, "Prefix": prefix}
        while True:
            page = self._call("list_objects_v2", request)
            for entry in page.get("Contents", []):
                yield S3Object(bucket, entry["Key"], entry["Size"], entry["ETag"])
            if not page.get("IsTruncated"):
                return
            request["ContinuationToken"] = page["NextContinuationToken"]

    def check_bucket(self, bucket: str) -> None:
        """Raise `JobError` when there is no such bucket. One that may not be listed may still be written to."""
        try:
            self._call("list_objects_v2", {"Bucket": bucket, "MaxKeys": 0})
        except JobError as error:
            if isinstance(cause := error.__cause__, ClientError) and cause.response["Error"]["Code"] == "NoSuchBucket":
                raise

    def head(self, bucket: str, key: str) -> S3Object:
        answer = self._call("head_object", {"Bucket": bucket, "Key": key})
        return S3Object(bucket, key, answer["ContentLength"], answer["ETag"])

    def read(self, source: S3Object, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """The bytes of `source` from `start` up to `end`, in pieces; goes on where it was when the connection breaks."""
        end = source.size if end is None else end
        request = {"Bucket": source.bucket, "Key": source.key} | ({"IfMatch": source.etag} if source.etag else {})
        while start < end:
            body = self._call("get_object", request | {"Range": f"bytes={start}-{end - 1}"})["Body"]
            try:
                while piece := body.read(PIECE):
                    self._check_stopping()
                    start += len(piece)
                    yield piece
            except _GONE:
                self._wait(_FIRST_DELAY)
            finally:
                body.close()

    def upload(self, file: Path, bucket: str, key: str, encryption: dict[str, str]) -> None:
        """Store `file`, in parts when it is large. `encryption` holds `ServerSideEncryption` and `SSEKMSKeyId`, or nothing."""
        target = {"Bucket": bucket, "Key": key}
        with file.open("rb") as source:
            if file.stat().st_size <= PART:
                self._call("put_object", target | encryption | {"Body": source})
                return
            target["UploadId"] = self._call("create_multipart_upload", target | encryption)["UploadId"]
            parts = list(self._upload_parts(source, target))
        self._call("complete_multipart_upload", target | {"MultipartUpload": {"Parts": parts}})

    def unstoppable(self) -> Objects:
        """The same access for what must be finished after a stop was asked for."""
        unstoppable = copy.copy(self)
        unstoppable._stopping = threading.Event()
        return unstoppable

    def _upload_parts(self, source: BinaryIO, target: dict[str, str]) -> Iterator[dict[str, Any]]:
        number = 1
        while part := source.read(PART):
            answer = self._call("upload_part", target | {"PartNumber": number, "Body": part})
            yield {"PartNumber": number, "ETag": answer["ETag"]}
            number += 1

    def _call(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        delay, server_errors = _FIRST_DELAY, 0
        while True:
            if isinstance(body := request.get("Body"), io.IOBase):
                body.seek(0)
            try:
                return getattr(self._client(), operation)(**request)
            except ClientError as error:
                server_errors += 1
                if error.response["ResponseMetadata"]["HTTPStatusCode"] < 500 or server_errors == _MOST_SERVER_ERRORS:
                    raise JobError(_explain(error, request)) from error
            except (*_GONE, FileNotFoundError):  # no answer, or no server.json: the server is away
                pass
            self._wait(delay)
            delay = min(2 * delay, _LONGEST_DELAY)

    def address(self) -> str:
        """The URL that the server has now. Waits for the server while it is away."""
        while True:
            with contextlib.suppress(FileNotFoundError):
                return self._address_now()
            self._wait(_LONGEST_DELAY)

    def _address_now(self) -> str:
        server = json.loads(self._server_file.read_text())
        host = "127.0.0.1" if server["host"] in ("0.0.0.0", "::") else server["host"]
        return f"http://{f'[{host}]' if ':' in host else host}:{server['port']}"

    def _client(self) -> Any:
        """A client for the address that the server has now."""
        address = self._address_now()
        if address != self._address:
            self._current, self._address = _client(address, self._region, self._credentials), address
        return self._current

    def _wait(self, seconds: float) -> None:
        self._stopping.wait(seconds)
        self._check_stopping()
        if not self._server_file.parent.exists():
            raise StopRequested("the data directory is gone")

    def _check_stopping(self) -> None:
        if self._stopping.is_set():
            raise StopRequested


def _client(address: str, region: str, credentials: dict[str, str]) -> Any:
    return _session.create_client(
        "s3",
        region_name=region,
        endpoint_url=address,
        aws_access_key_id=credentials["AccessKeyId"],
        aws_secret_access_key=credentials["SecretAccessKey"],
        aws_session_token=credentials["SessionToken"],
        config=_CONFIG,
    )


def _explain(error: ClientError, request: dict[str, Any]) -> str:
    place = f"s3://{request['Bucket']}/{request.get('Key', request.get('Prefix', ''))}"
    detail = error.response["Error"]
    return f"{place}: {detail['Code']}: {detail['Message']}"


def parse_uri(uri: str) -> tuple[str, str]:
    """`s3://bucket/key` -> (bucket, key). Raises `JobError` for anything else."""
    scheme, _, rest = uri.partition("://")
    bucket, _, key = rest.partition("/")
    if scheme != "s3" or not bucket:
        raise JobError(f"{uri!r} is not an S3 URI (s3://bucket/key)")
    return bucket, key
