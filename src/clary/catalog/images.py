"""Image URIs: `<account>.dkr.ecr.<region>.amazonaws.com/<repository>:<tag>` in all the forms that clients send.

Account and region are ignored: the repository alone says what an image is. Some clients send no tag, some a digest.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_URI = re.compile(
    r"(?:(?P<registry>localhost(?::\d+)?|[^/:@]+:\d+|[^/:@]+\.[^/:@]+)/)?"
    r"(?P<repository>[^:@]+)(?::(?P<tag>[^:@/]+))?(?:@(?P<digest>sha256:[0-9a-f]+))?"
)


@dataclass(frozen=True, slots=True)
class Image:
    """The parts of an image URI that mean something to Clary. `tag` and `digest` are `""` when absent."""

    repository: str
    tag: str = ""
    digest: str = ""


def parse(uri: str) -> Image | None:
    """The parts of `uri`, or None when it is no image URI."""
    match = _URI.fullmatch(uri.strip())
    if match is None:
        return None
    return Image(match["repository"], match["tag"] or "", match["digest"] or "")
