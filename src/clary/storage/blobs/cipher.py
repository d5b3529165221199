"""AES-256-GCM in chunks of 64 KiB, so that a range needs only the chunks that it touches.

A sealed chunk is its ciphertext and a 16-byte tag. The nonce is a flag byte, which marks the last chunk, three zero bytes
and the chunk's number in eight bytes (the STREAM construction of Hoang, Reyhanitabar, Rogaway and Vizár, 2015): chunks cannot
be reordered, and a blob that was cut at a chunk's border does not open. A key seals one blob and no more.
"""

from __future__ import annotations

from clary.storage.blobs.damage import DamagedBlob

CHUNK_BYTES = 64 * 1024
TAG_BYTES = 16
SEALED_BYTES = CHUNK_BYTES + TAG_BYTES


class ChunkCipher:
    """Seals and opens the chunks of one blob with a 32-byte key."""

    def __init__(self, key: bytes):
        from cryptography.exceptions import InvalidTag  # 7 MB that a server without objects does not need
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        self._aes = AESGCM(key)
        self._refusal = InvalidTag

    def seal(self, number: int, chunk: bytes | memoryview, *, last: bool) -> bytes:
        return self._aes.encrypt(_nonce(number, last), chunk, None)

    def seal_into(self, sealed: memoryview, number: int, chunk: memoryview, *, last: bool) -> None:
        """The same into a buffer of `len(chunk) + TAG_BYTES`."""
        self._aes.encrypt_into(_nonce(number, last), chunk, None, sealed)

    def open_into(self, chunk: memoryview, number: int, sealed: memoryview, *, last: bool) -> None:
        """`open` into a buffer of `len(sealed) - TAG_BYTES`."""
        try:
            self._aes.decrypt_into(_nonce(number, last), sealed, None, chunk)
        except self._refusal as error:
            raise DamagedBlob(f"chunk {number} does not open with this key") from error

    def open(self, number: int, sealed: bytes | memoryview, *, last: bool) -> bytes:
        """Raises `DamagedBlob` when the chunk was altered, moved or cut, or the key is another one."""
        try:
            return self._aes.decrypt(_nonce(number, last), sealed, None)
        except self._refusal as error:
            raise DamagedBlob(f"chunk {number} does not open with this key") from error

    def seal_all(self, data: bytes) -> bytes:
        """A whole blob held in memory, sealed."""
        return b"".join(
            self.seal(number, data[start : start + CHUNK_BYTES], last=start + CHUNK_BYTES >= len(data))
            for number, start in enumerate(range(0, max(len(data), 1), CHUNK_BYTES))
        )

    def open_all(self, sealed: bytes) -> bytes:
        """The inverse of `seal_all`."""
        return b"".join(
            self.open(number, sealed[start : start + SEALED_BYTES], last=start + SEALED_BYTES >= len(sealed))
            for number, start in enumerate(range(0, max(len(sealed), 1), SEALED_BYTES))
        )


def _nonce(number: int, last: bool) -> bytes:
    return (b"\x01" if last else b"\x00") + number.to_bytes(11, "big")
