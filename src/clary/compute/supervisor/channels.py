"""Which objects a channel consists of on this host, in which order, and where each appears below the channel's directory."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clary.compute.supervisor.failures import JobError
from clary.compute.supervisor.objects import Objects, S3Object, parse_uri
from clary.compute.supervisor.spec import Spec


@dataclass(frozen=True, slots=True)
class Item:
    """An object and its path relative to the channel's directory."""

    object: S3Object
    path: str


@dataclass(frozen=True, slots=True)
class Channel:
    """An input channel as this host sees it."""

    name: str
    mode: str
    items: tuple[Item, ...]
    gzip: bool
    record_io: bool
    shuffle_seed: int | None

    def order(self, epoch: int) -> list[Item]:
        """The items as pass number `epoch` over the data reads them: shuffled anew each time when asked for."""
        items = list(self.items)
        if self.shuffle_seed is not None:
            random.Random(self.shuffle_seed + epoch).shuffle(items)
        return items


def resolve(objects: Objects, spec: Spec) -> list[Channel]:
    """Every channel of the job with the share of this host. Raises `JobError` for sources without objects."""
    return [_resolve_one(objects, spec, channel) for channel in spec.channels]


def _resolve_one(objects: Objects, spec: Spec, channel: dict[str, Any]) -> Channel:
    items = found(objects, spec, f"channel {channel['ChannelName']!r}", channel["DataSource"]["S3DataSource"])
    seed = channel.get("ShuffleConfig", {}).get("Seed")
    return Channel(
        name=channel["ChannelName"],
        mode=spec.input_mode(channel),
        items=tuple(items),
        gzip=channel.get("CompressionType") == "Gzip",
        record_io=channel.get("RecordWrapperType") == "RecordIO",
        shuffle_seed=seed,
    )


def found(objects: Objects, spec: Spec, name: str, source: dict[str, Any]) -> list[Item]:
    """What an S3 source (S3DataType, S3Uri, S3DataDistributionType) called `name` holds for this host. Raises `JobError`."""
    find = _from_manifest if source["S3DataType"] == "ManifestFile" else _from_prefix
    items = find(objects, source["S3Uri"])
    if not items:
        raise JobError(f"{name}: no objects found under {source['S3Uri']}")
    if source.get("S3DataDistributionType") == "ShardedByS3Key":
        return shard(items, spec.hosts.index(spec.host), len(spec.hosts))
    return items


def _from_prefix(objects: Objects, uri: str) -> list[Item]:
    bucket, prefix = parse_uri(uri)
    found = [entry for entry in objects.list(bucket, prefix) if not entry.key.endswith("/")]
    base = base_of(prefix, [entry.key for entry in found])
    return [Item(entry, checked_path(entry.key[len(base) :], entry.uri)) for entry in found]


def base_of(prefix: str, keys: Iterable[str]) -> str:
    """The part of the keys that is not seen below the channel: the directory that `prefix` names.

    A prefix is a string, not a directory: `data/train` matches `data/train/a.csv` and `data/train-2.csv`. Only when every
    key lies below `data/train/` is that the directory; else it is `data/`.
    """
    if prefix and not prefix.endswith("/") and all(key.startswith(f"{prefix}/") for key in keys):
        return f"{prefix}/"
    return prefix[: prefix.rfind("/") + 1]


def _from_manifest(objects: Objects, uri: str) -> list[Item]:
    manifest = objects.head(*parse_uri(uri))
    base, names = parse_manifest(b"".join(objects.read(manifest)), uri)
    bucket, prefix = parse_uri(base)
    return [Item(objects.head(bucket, prefix + name), checked_path(name, f"{base}{name}")) for name in names]


def parse_manifest(content: bytes, uri: str) -> tuple[str, list[str]]:
    """`[{"prefix": "s3://bucket/p/"}, "a", "b"]` -> the prefix and the rest. Raises `JobError` for anything else."""
    try:
        first, *names = json.loads(content)
        base = first["prefix"]
    except (ValueError, TypeError, KeyError):
        raise JobError(f'{uri} is no manifest: it must be a JSON array that begins with {{"prefix": "s3://…"}}') from None
    if not isinstance(base, str) or not all(isinstance(name, str) for name in names):
        raise JobError(f"{uri} is no manifest: the prefix and all further elements must be strings")
    return base, names


def shard(items: Sequence[Item], index: int, hosts: int) -> list[Item]:
    """The share of host number `index` under ShardedByS3Key: every `hosts`-th object in the order of keys."""
    return sorted(items, key=lambda item: item.object.key)[index::hosts]


def checked_path(path: str, uri: str) -> str:
    """`path` without empty and `.` segments. Raises `JobError` when it would leave the directory it is meant for."""
    segments = [segment for segment in path.split("/") if segment not in ("", ".")]
    if not segments or ".." in segments or "\0" in path or any(len(segment.encode()) > 255 for segment in segments):
        raise JobError(f"the key of {uri} cannot be a file of a channel; rename the object")
    return "/".join(segments)


def make_parent(directory: Path, item: Item) -> Path:
    """The path of `item` below `directory`, its parent made. Raises `JobError` when another object is in the way."""
    path = directory / item.path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise JobError(f"{item.object.uri} and another object of its channel need one name as file and as directory") from None
    if path.exists():
        raise JobError(f"{item.object.uri} and another object of its channel have the same path {item.path!r}")
    return path
