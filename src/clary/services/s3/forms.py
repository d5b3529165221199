"""multipart/form-data as a browser posts it to S3: fields, then the file, which is streamed. What follows is ignored."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass

from clary.services.s3.errors import S3Error

LARGEST_FIELDS_BYTES = 20_000
"""S3's limit for everything before the file."""
_BOUNDARY = re.compile(r'multipart/form-data\s*;.*boundary="?([^";,\s]{1,70})"?', re.IGNORECASE)
_NAME = re.compile(r'\bname="((?:[^"\\]|\\.)*)"')
_FILE_NAME = re.compile(r'\bfilename="((?:[^"\\]|\\.)*)"')


@dataclass(slots=True)
class Form:
    """`fields` by lower-case name; `file` yields the content of the field `file`, read once."""

    fields: dict[str, str]
    file_name: str
    file: AsyncIterator[bytes]


async def read_form(content_type: str, body: AsyncIterator[bytes]) -> Form:
    """Read up to the start of the file. Raises MalformedPOSTRequest or MaxPostPreDataLengthExceededError."""
    match = _BOUNDARY.match(content_type)
    if match is None:
        raise _malformed("the Content-Type is not multipart/form-data with a boundary")
    reader = _Reader(body, b"--" + match[1].encode())
    await reader.skip_preamble()
    fields: dict[str, str] = {}
    while True:
        headers = (await reader.until(b"\r\n\r\n")).decode(errors="replace")
        name = _NAME.search(headers)
        if name is None:
            raise _malformed("a part has no name")
        if name[1].lower() == "file":
            file_name = _FILE_NAME.search(headers)
            return Form(fields, _last_part(file_name[1]) if file_name else "", reader.file())
        fields[name[1].lower()] = (await reader.until(reader.delimiter)).decode(errors="replace")
        if await reader.is_end():
            raise S3Error(400, "InvalidArgument", "POST requires exactly one file upload per request.", ArgumentName="file")


class _Reader:
    """Buffered reading up to a marker, over chunks that may split it anywhere."""

    def __init__(self, body: AsyncIterator[bytes], boundary: bytes):
        self._body = aiter(body)
        self._boundary = boundary
        self.delimiter = b"\r\n" + boundary
        self._buffer = b""
        self._taken = 0

    async def skip_preamble(self) -> None:
        await self.until(self._boundary)
        if await self.is_end():
            raise _malformed("the form is empty")

    async def until(self, marker: bytes) -> bytes:
        """What comes before `marker`, which is taken too."""
        while (at := self._buffer.find(marker)) < 0:
            if self._taken + len(self._buffer) > LARGEST_FIELDS_BYTES:
                message = "Your POST request fields preceding the upload file were too large."
                raise S3Error(400, "MaxPostPreDataLengthExceededError", message, MaxPostPreDataLengthBytes=LARGEST_FIELDS_BYTES)
            await self._fill()
        found, self._buffer = self._buffer[:at], self._buffer[at + len(marker) :]
        self._taken += at + len(marker)
        return found

    async def is_end(self) -> bool:
        """Whether the boundary that was just taken is the last one."""
        while len(self._buffer) < 2:
            await self._fill()
        ending, self._buffer = self._buffer[:2], self._buffer[2:]
        if ending not in (b"--", b"\r\n"):
            raise _malformed("a boundary is followed by neither a line end nor --")
        return ending == b"--"

    async def file(self) -> AsyncIterator[bytes]:
        while (at := self._buffer.find(self.delimiter)) < 0:
            safe = len(self._buffer) - len(self.delimiter) + 1
            if safe > 0:
                yield self._buffer[:safe]
                self._buffer = self._buffer[safe:]
            await self._fill()
        if at:
            yield self._buffer[:at]
        self._buffer = b""
        async for _ in self._body:
            pass

    async def _fill(self) -> None:
        try:
            self._buffer += await anext(self._body)
        except StopAsyncIteration:
            raise _malformed("the body ends before the form does") from None


def _last_part(path: str) -> str:
    """Browsers may send a path; `${filename}` is its last part."""
    return path.replace("\\", "/").rpartition("/")[2]


def _malformed(why: str) -> S3Error:
    message = "The body of your POST request is not well-formed multipart/form-data"
    return S3Error(400, "MalformedPOSTRequest", f"{message}: {why}")
