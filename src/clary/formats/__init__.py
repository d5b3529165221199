"""Bytes <-> arrays: CSV, libsvm, Parquet, JSON lines and RecordIO-protobuf, and the `Channel` that an algorithm reads.

Readers work on streams in bounded memory, need no seeking (a source may be a FIFO) and say in a `FormatError` where the
mistake is.
"""
