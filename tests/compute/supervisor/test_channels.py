"""Which objects a channel has, and where they appear."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clary.compute.supervisor.channels import Channel, Item, base_of, checked_path, make_parent, parse_manifest, shard
from clary.compute.supervisor.failures import JobError
from clary.compute.supervisor.objects import S3Object


def items(*keys: str) -> list[Item]:
    return [Item(S3Object("b", key, 1), key) for key in keys]


@pytest.mark.parametrize(
    ("prefix", "keys", "paths"),
    [
        ("data/train/", ["data/train/a.csv", "data/train/x/b.csv"], ["a.csv", "x/b.csv"]),
        ("data/train", ["data/train/a.csv"], ["a.csv"]),
        ("data/train.csv", ["data/train.csv"], ["train.csv"]),
        ("data/train", ["data/train/a.csv", "data/train-2.csv"], ["train/a.csv", "train-2.csv"]),
        ("data/tr", ["data/train/a.csv"], ["train/a.csv"]),
        ("", ["a.csv", "x/b.csv"], ["a.csv", "x/b.csv"]),
    ],
)
def test_a_prefix_is_a_string_and_its_directory_is_stripped(prefix: str, keys: list[str], paths: list[str]) -> None:
    base = base_of(prefix, keys)
    assert [key[len(base) :] for key in keys] == paths


@pytest.mark.parametrize("path", ["../a", "a/../../b", "", "/", ".", "a\0b", "x" * 256])
def test_keys_that_would_leave_the_channel_are_refused(path: str) -> None:
    with pytest.raises(JobError, match="rename the object"):
        checked_path(path, "s3://b/k")


@given(st.text())
def test_every_accepted_path_stays_below_its_directory(path: str) -> None:
    try:
        checked = checked_path(path, "s3://b/k")
    except JobError:
        return
    assert not checked.startswith("/")
    assert not {"", ".", ".."} & set(checked.split("/"))


def test_one_name_cannot_be_file_and_directory(tmp_path) -> None:
    make_parent(tmp_path, items("a")[0]).touch()
    with pytest.raises(JobError, match="file and as directory"):
        make_parent(tmp_path, items("a/b")[0])
    with pytest.raises(JobError, match="same path"):
        make_parent(tmp_path, items("a")[0])


def test_a_manifest_names_a_prefix_and_keys() -> None:
    assert parse_manifest(b'[{"prefix": "s3://b/p/"}, "x", "y/z"]', "m") == ("s3://b/p/", ["x", "y/z"])


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'["x"]', b'[{"prefix": 1}]', b'[{"prefix": "s3://b/"}, 2]', b"\xff"])
def test_what_is_no_manifest_is_refused(content: bytes) -> None:
    with pytest.raises(JobError, match="no manifest"):
        parse_manifest(content, "s3://b/m")


@given(st.lists(st.text(min_size=1), unique=True), st.integers(1, 5))
def test_shards_divide_the_objects_evenly(keys: list[str], hosts: int) -> None:
    shards = [shard(items(*keys), host, hosts) for host in range(hosts)]
    assert sorted(item.path for part in shards for item in part) == sorted(keys)
    sizes = [len(part) for part in shards]
    assert max(sizes) - min(sizes) <= 1


def test_shuffling_is_another_order_each_epoch_and_the_same_each_time() -> None:
    channel = Channel("train", "Pipe", tuple(items(*map(str, range(50)))), False, False, shuffle_seed=7)
    assert channel.order(0) == channel.order(0)
    assert channel.order(0) != channel.order(1)
    assert sorted(channel.order(1), key=lambda item: int(item.path)) == list(channel.items)
    plain = Channel("train", "Pipe", channel.items, False, False, shuffle_seed=None)
    assert plain.order(3) == list(channel.items)
