"""The catalog's built-in images as ECR shows images.

An image is an OCI manifest whose configuration says which algorithm it is; it has no layers, because the algorithm runs
as a local process. The digest is the manifest's real SHA-256, so it is the same everywhere and for ever.
"""

from __future__ import annotations

import functools
import hashlib
import json
from dataclasses import dataclass

from clary.catalog import algorithms

MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
_CONFIG_TYPE = "application/vnd.clary.builtin.v1+json"


@dataclass(frozen=True, slots=True)
class Image:
    """One version of a built-in algorithm."""

    tags: tuple[str, ...]
    manifest: str
    digest: str
    size: int
    """Bytes of what the manifest names."""


@functools.cache
def repositories() -> dict[str, tuple[Image, ...]]:
    """The built-in repositories and their images, oldest version first."""
    return {
        repository: _images(algorithm, repository)
        for algorithm in algorithms.every()
        for repository in sorted(algorithm.repositories)
    }


def image_with(repository: str, *, tag: str = "", digest: str = "") -> Image | None:
    """The image of a built-in repository that has the tag (also with a suffix that means nothing) and the digest."""
    algorithm = next((algorithm for algorithm in algorithms.every() if repository in algorithm.repositories), None)
    known = algorithm.tag(repository, tag) if algorithm and tag else None
    for image in repositories().get(repository, ()):
        if (not tag or known in image.tags) and digest in ("", image.digest):
            return image
    return None


def _images(algorithm: algorithms.Algorithm, repository: str) -> tuple[Image, ...]:
    tags_of: dict[tuple[int, ...], list[str]] = {}
    for tag, version in algorithm.repositories[repository].items():
        tags_of.setdefault(version, []).append(tag)
    return tuple(_image(algorithm.name, repository, version, tags) for version, tags in sorted(tags_of.items()))


def _image(name: str, repository: str, version: tuple[int, ...], tags: list[str]) -> Image:
    text = ".".join(map(str, version))
    config = json.dumps({"algorithm": name, "repository": repository, "version": text}, sort_keys=True).encode()
    described = {"mediaType": _CONFIG_TYPE, "digest": _digest(config), "size": len(config)}
    manifest = json.dumps({"schemaVersion": 2, "mediaType": MANIFEST_TYPE, "config": described, "layers": []}, sort_keys=True)
    return Image(tuple(tags), manifest, _digest(manifest.encode()), len(config))


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"
