"""Cut a stream into blocks that end where a record ends, without seeking."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from clary.formats.errors import FormatError

BLOCK_BYTES = 8 << 20
LONGEST_LINE_BYTES = 64 << 20

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_GZIP = b"\x1f\x8b"


def of_lines(stream: BinaryIO, source: str, block_bytes: int = BLOCK_BYTES) -> Iterator[bytes]:
    """Blocks of whole lines, about `block_bytes` each. The last may lack its newline; a UTF-8 byte order mark is dropped.

    Raises `FormatError` for gzip data and for a line that no text file has.
    """
    rest = b""
    first = True
    while piece := stream.read(block_bytes):
        block = rest + piece
        if first:
            if block.startswith(_GZIP):
                raise FormatError(
                    f"{source} is gzip-compressed: decompress it, or read it in Pipe mode with CompressionType Gzip"
                )
            block = block.removeprefix(_BYTE_ORDER_MARK)
            first = False
        end = block.rfind(b"\n") + 1
        rest = block[end:]
        if len(rest) > LONGEST_LINE_BYTES:
            raise FormatError(f"{source} has a line of more than {LONGEST_LINE_BYTES >> 20} MiB; is it a text file?")
        if end:
            yield block[:end]
    if rest:
        yield rest
