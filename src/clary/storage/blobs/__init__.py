"""Bytes: put a stream, read a range, delete. Local disk; encrypted blobs decrypt only the chunks that a range touches."""

from clary.storage.blobs.cipher import ChunkCipher
from clary.storage.blobs.damage import DamagedBlob
from clary.storage.blobs.store import BlobStore, Hold
from clary.storage.blobs.writer import Blob, BlobWriter

__all__ = ["Blob", "BlobStore", "BlobWriter", "ChunkCipher", "DamagedBlob", "Hold"]
