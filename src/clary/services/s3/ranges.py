"""Which bytes of an object a request asks for."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from clary.services.s3.errors import S3Error, invalid_argument

_RANGE = re.compile(r"bytes=\s*(\d*)\s*-\s*(\d*)\s*")
_COPY_RANGE = re.compile(r"bytes=(\d+)-(\d+)")


@dataclass(frozen=True, slots=True)
class Span:
    """`length` bytes from `start`, of `size`; `partial` answers are 206."""

    start: int
    length: int
    size: int
    partial: bool = True

    @property
    def content_range(self) -> str:
        return f"bytes {self.start}-{self.start + self.length - 1}/{self.size}"


def whole(size: int) -> Span:
    return Span(0, size, size, partial=False)


def of_header(header: str | None, size: int) -> Span:
    """The span of a Range header; a header that is malformed or names several ranges is ignored, as RFC 9110 says.

    Raises InvalidRange (416) when it lies outside the object.
    """
    match = _RANGE.fullmatch(header or "")
    if match is None or match.groups() == ("", ""):
        return whole(size)
    first, last = match.groups()
    if not first:
        start, end = max(0, size - int(last)), size
    else:
        start, end = int(first), min(size, int(last) + 1) if last else size
        if last and int(last) < start:
            return whole(size)
    if start >= end:
        raise S3Error(
            416,
            "InvalidRange",
            "The requested range is not satisfiable",
            headers={"Content-Range": f"bytes */{size}"},
            RangeRequested=header,
            ActualObjectSize=size,
        )
    return Span(start, end - start, size)


def of_part(number: int, sizes: Sequence[int]) -> Span:
    """The span of part `number` (from 1) of an object whose parts have `sizes`. Raises InvalidPartNumber (416)."""
    if not 1 <= number <= len(sizes):
        raise S3Error(
            416,
            "InvalidPartNumber",
            "The requested partnumber is not satisfiable",
            PartNumberRequested=number,
            ActualPartCount=len(sizes),
        )
    return Span(sum(sizes[: number - 1]), sizes[number - 1], sum(sizes))


def of_copy(header: str | None, size: int) -> Span:
    """The span of `x-amz-copy-source-range`, which is strict. Raises InvalidArgument or InvalidRange."""
    if header is None:
        return whole(size)
    match = _COPY_RANGE.fullmatch(header)
    if match is None or int(match[2]) < int(match[1]):
        message = (
            "The x-amz-copy-source-range value must be of the form bytes=first-last "
            "where first and last are the zero-based offsets of the first and last bytes to copy"
        )
        raise invalid_argument(message, "x-amz-copy-source-range", header)
    start, end = int(match[1]), int(match[2]) + 1
    if end > size:
        message = f"Range specified is not valid for source object of size: {size}"
        raise invalid_argument(message, "x-amz-copy-source-range", header)
    return Span(start, end - start, size)
