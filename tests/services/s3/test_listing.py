"""Lists: order, prefixes, delimiters and pages agree with the obvious slow algorithm; encodings round-trip."""

from __future__ import annotations

from bisect import bisect_left

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clary.services.s3.index import StoredObject
from clary.services.s3.listing import page_of

KEYS = st.lists(st.text("ab/é", min_size=1, max_size=6), unique=True, max_size=40)


def scan_of(keys: list[bytes]):
    def scan(start: bytes, end: bytes, limit: int) -> list[StoredObject]:
        found = keys[bisect_left(keys, start) : bisect_left(keys, end)][:limit]
        return [StoredObject("b", key.decode(), 0, 0, "", {}) for key in found]

    return scan


def obvious(keys: list[bytes], prefix: bytes, delimiter: bytes) -> list[bytes]:
    """All entries of a list: keys, and common prefixes once each."""
    entries: list[bytes] = []
    for key in keys:
        if not key.startswith(prefix):
            continue
        at = key.find(delimiter, len(prefix)) if delimiter else -1
        entry = key[: at + len(delimiter)] if at >= 0 else key
        if entry not in entries:
            entries.append(entry)
    return entries


@given(KEYS, st.text("ab/", max_size=3), st.sampled_from(["", "/", "a", "b/", "é"]), st.integers(1, 5))
def test_pages_put_together_are_the_obvious_list(keys, prefix, delimiter, limit):
    ordered = sorted(key.encode() for key in keys)
    entries, start = [], b""
    while True:
        page = page_of(scan_of(ordered), prefix.encode(), delimiter.encode(), start, limit)
        assert len(page) <= limit
        entries += sorted([stored.key.encode() for stored in page.contents] + page.prefixes)
        if not page.next:
            break
        assert len(page) == limit
        start = page.next
    assert entries == obvious(ordered, prefix.encode(), delimiter.encode())


def test_common_prefixes_are_jumped_over_not_read():
    keys = sorted(b"dir%02d/file%04d" % (directory, number) for directory in range(50) for number in range(1000))
    read = 0

    def counting(start: bytes, end: bytes, limit: int):
        nonlocal read
        found = scan_of(keys)(start, end, limit)
        read += len(found)
        return found

    page = page_of(counting, b"", b"/", b"", 1000)
    assert len(page.prefixes) == 50
    assert read < 300


@pytest.fixture
def tree(s3, bucket):
    for key in ("a.txt", "docs/1", "docs/2", "docs/deep/3", "photos/ä ö+%/4", "z"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    return bucket


def keys_of(page) -> list[str]:
    return [entry["Key"] for entry in page.get("Contents", [])]


def prefixes_of(page) -> list[str]:
    return [entry["Prefix"] for entry in page.get("CommonPrefixes", [])]


@pytest.mark.parametrize("version", ["list_objects", "list_objects_v2"])
def test_prefix_and_delimiter_show_folders(s3, tree, version):
    listing = getattr(s3, version)
    top = listing(Bucket=tree, Delimiter="/")
    assert (keys_of(top), prefixes_of(top)) == (["a.txt", "z"], ["docs/", "photos/"])
    docs = listing(Bucket=tree, Prefix="docs/", Delimiter="/")
    assert (keys_of(docs), prefixes_of(docs)) == (["docs/1", "docs/2"], ["docs/deep/"])
    assert keys_of(listing(Bucket=tree, Prefix="photos/ä ö+%/")) == ["photos/ä ö+%/4"]
    assert keys_of(listing(Bucket=tree, Prefix="nothing")) == []
    assert top["Name"] == tree
    assert top["IsTruncated"] is False


def test_v1_pages_with_markers(s3, tree):
    first = s3.list_objects(Bucket=tree, Delimiter="/", MaxKeys=2)
    assert (keys_of(first), prefixes_of(first), first["NextMarker"]) == (["a.txt"], ["docs/"], "docs/")
    second = s3.list_objects(Bucket=tree, Delimiter="/", MaxKeys=2, Marker=first["NextMarker"])
    assert (keys_of(second), prefixes_of(second), second["IsTruncated"]) == (["z"], ["photos/"], False)
    assert keys_of(s3.list_objects(Bucket=tree, Marker="docs/2"))[0] == "docs/deep/3"
    assert "NextMarker" not in s3.list_objects(Bucket=tree, MaxKeys=2)


def test_v2_pages_with_tokens(s3, tree, refused):
    pages = list(s3.get_paginator("list_objects_v2").paginate(Bucket=tree, PaginationConfig={"PageSize": 2}))
    assert [page["KeyCount"] for page in pages] == [2, 2, 2]
    assert [key for page in pages for key in keys_of(page)] == [
        "a.txt",
        "docs/1",
        "docs/2",
        "docs/deep/3",
        "photos/ä ö+%/4",
        "z",
    ]
    assert keys_of(s3.list_objects_v2(Bucket=tree, StartAfter="docs/2")) == ["docs/deep/3", "photos/ä ö+%/4", "z"]
    assert s3.list_objects_v2(Bucket=tree, StartAfter="ä")["StartAfter"] == "ä"
    assert refused(s3.list_objects_v2, Bucket=tree, ContinuationToken="?")["Code"] == "InvalidArgument"


def test_a_start_inside_a_folder_still_shows_the_folder(s3, tree):
    assert prefixes_of(s3.list_objects_v2(Bucket=tree, Delimiter="/", StartAfter="docs/1")) == ["docs/", "photos/"]
    assert prefixes_of(s3.list_objects_v2(Bucket=tree, Delimiter="/", StartAfter="docs/")) == ["photos/"]


def test_max_keys(s3, tree, refused):
    assert s3.list_objects_v2(Bucket=tree, MaxKeys=5000)["MaxKeys"] == 1000
    none = s3.list_objects_v2(Bucket=tree, MaxKeys=0)
    assert (none["KeyCount"], none["IsTruncated"], "Contents" in none) == (0, False, False)
    assert refused(s3.list_objects_v2, Bucket=tree, MaxKeys=-1)["Code"] == "InvalidArgument"


def test_entries_say_what_they_are(s3, tree):
    entry = s3.list_objects_v2(Bucket=tree, FetchOwner=True, MaxKeys=1)["Contents"][0]
    assert (entry["Key"], entry["Size"], entry["StorageClass"]) == ("a.txt", 1, "STANDARD")
    assert (entry["ChecksumAlgorithm"], entry["ChecksumType"]) == (["CRC32"], "FULL_OBJECT")
    assert len(entry["Owner"]["ID"]) == 64
    assert "Owner" not in s3.list_objects_v2(Bucket=tree, MaxKeys=1)["Contents"][0]
    assert s3.list_objects(Bucket=tree, MaxKeys=1)["Contents"][0]["Owner"] == entry["Owner"]


def test_without_url_encoding_keys_are_plain_xml(raw, tree):
    _, _, body = raw("GET", f"/{tree}?list-type=2")
    assert "<Key>photos/ä ö+%/4</Key>" in body.decode()
    assert b"EncodingType" not in body
    _, _, encoded = raw("GET", f"/{tree}?list-type=2&encoding-type=url")
    assert b"<Key>photos/%C3%A4%20%C3%B6%2B%25/4</Key>" in encoded
    assert raw("GET", f"/{tree}?list-type=2&encoding-type=rot13")[0] == 400
