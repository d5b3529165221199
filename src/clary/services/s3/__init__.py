"""Amazon S3: buckets, objects, multipart uploads, tags, encryption, and folders mounted as public buckets."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from clary.core.service import Platform

log = logging.getLogger("clary.s3")


def resources(platform: Platform) -> list[Any]:
    """One instance of every resource class. What a crash left on the disk is collected in the background."""
    from clary.services.s3 import index
    from clary.services.s3.bucket_encryption import BucketEncryption
    from clary.services.s3.buckets import Buckets
    from clary.services.s3.copy import Copies
    from clary.services.s3.listing import Listing
    from clary.services.s3.multipart import MultipartUploads
    from clary.services.s3.objects import Objects
    from clary.services.s3.parts import Parts
    from clary.services.s3.tagging import Tagging
    from clary.services.s3.unconfigured import Unconfigured

    platform.resources.declare(*index.SCHEMA)
    platform.extensions["s3 collector"] = asyncio.create_task(_collect(platform, index.ObjectIndex(platform.resources)))
    nouns = (Buckets, BucketEncryption, Objects, Copies, Listing, MultipartUploads, Parts, Tagging, Unconfigured)
    return [noun(platform) for noun in nouns]


async def _collect(platform: Platform, index: Any) -> None:
    """Remove uploads that never finished and blobs that no row refers to. All blobs of the store are S3's."""
    try:
        removed = await platform.blobs.collect(index.known_blobs)
    except Exception:
        log.exception("left-over blobs could not be collected; the next start tries again")
        return
    if removed:
        log.info("removed %d left-over files of unfinished uploads", removed)
