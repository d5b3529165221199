"""Looking at multipart uploads: finding one, choosing the parts that complete it, ListParts, ListMultipartUploads."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from clary.core.service import Context, Platform, operation
from clary.services.s3 import access
from clary.services.s3.buckets import owner
from clary.services.s3.errors import S3Error, invalid_argument, no_such_upload
from clary.services.s3.index import Bucket, ObjectIndex, Piece, Upload
from clary.services.s3.listing import speller

SMALLEST_PART_BYTES = 5 * 1024**2
"""Of every part but the last."""
LARGEST_OBJECT_BYTES = 5 * 1024**4
LARGEST_PAGE = 1000


def find_upload(index: ObjectIndex, bucket: Bucket, request: dict[str, Any]) -> Upload:
    """The upload that a request names. Raises NoSuchUpload, also when it is for another key."""
    upload = index.upload(request["UploadId"])
    if upload is None or (upload.bucket, upload.key) != (bucket.name, request["Key"]):
        raise no_such_upload(request["UploadId"])
    return upload


def chosen(upload: Upload, present: list[Piece], request: dict[str, Any]) -> list[Piece]:
    """The parts that CompleteMultipartUpload names, in order.

    Raises MalformedXML, InvalidPartOrder, InvalidPart or EntityTooSmall.
    """
    named = request.get("MultipartUpload", {}).get("Parts", [])
    if not named:
        raise S3Error(
            400, "MalformedXML", "The XML you provided was not well-formed: a multipart upload needs at least one part"
        )
    numbers = [part.get("PartNumber", 0) for part in named]
    if any(later <= earlier for earlier, later in pairwise(numbers)):
        message = "The list of parts was not in ascending order. The parts list must be specified in order by part number."
        raise S3Error(400, "InvalidPartOrder", message, UploadId=upload.id)
    by_number = {part.number: part for part in present}
    parts = [_matching(upload, by_number, part) for part in named]
    for part in parts[:-1]:
        if part.size < SMALLEST_PART_BYTES:
            raise S3Error(
                400,
                "EntityTooSmall",
                "Your proposed upload is smaller than the minimum allowed size",
                ProposedSize=part.size,
                MinSizeAllowed=SMALLEST_PART_BYTES,
                PartNumber=part.number,
                ETag=part.etag,
            )
    return parts


def _matching(upload: Upload, present: dict[int, Piece], named: dict[str, Any]) -> Piece:
    """The part that was uploaded under this number, if it is the one the client means."""
    number, etag = named.get("PartNumber", 0), named.get("ETag", "").strip('"')
    part = present.get(number)
    checksum = named.get(f"Checksum{upload.about['checksum']['algorithm']}")
    if part is None or etag != part.etag or checksum not in (None, part.checksum):
        message = (
            "One or more of the specified parts could not be found. "
            "The part may not have been uploaded, or the specified entity tag may not match the part's entity tag."
        )
        raise S3Error(400, "InvalidPart", message, UploadId=upload.id, PartNumber=number, ETag=etag)
    return part


def object_too_large(size: int) -> S3Error:
    message = "Your proposed upload exceeds the maximum allowed object size."
    return S3Error(400, "EntityTooLarge", message, ProposedSize=size, MaxSizeAllowed=LARGEST_OBJECT_BYTES)


class Parts:
    """The two lists."""

    def __init__(self, platform: Platform):
        self._index = ObjectIndex(platform.resources)

    @operation("ListParts")
    def list_parts(self, ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
        bucket = access.owned_bucket(self._index, ctx, request)
        upload = find_upload(self._index, bucket, request)
        after, limit = int(request.get("PartNumberMarker", 0)), _limit(request.get("MaxParts", LARGEST_PAGE), "max-parts")
        rest = [part for part in self._index.pieces(upload.id) if part.number > after]
        page, checksum = rest[:limit], upload.about["checksum"]
        return {
            "Bucket": bucket.name,
            "Key": upload.key,
            "UploadId": upload.id,
            "PartNumberMarker": str(after),
            "NextPartNumberMarker": str(page[-1].number if page else 0),
            "MaxParts": limit,
            "IsTruncated": len(rest) > limit,
            "Parts": [_listed(part, checksum["algorithm"]) for part in page],
            "Owner": owner(bucket.account),
            "Initiator": _initiator(upload),
            "StorageClass": upload.about["storage_class"],
            "ChecksumAlgorithm": checksum["algorithm"],
            "ChecksumType": checksum["type"],
        }

    @operation("ListMultipartUploads")
    def list_multipart_uploads(self, ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
        """Uploads by key and id; the unfinished uploads of a bucket are few, so they are filtered here and not in SQL."""
        bucket = access.owned_bucket(self._index, ctx, request)
        spell, prefix, delimiter = speller(request), request.get("Prefix", ""), request.get("Delimiter", "")
        limit = _limit(request.get("MaxUploads", LARGEST_PAGE), "max-uploads")
        entries = _entries(self._index.uploads(bucket.name), prefix, delimiter)
        rest = [entry for entry in entries if _is_after(entry, request)]
        page = rest[:limit]
        uploads = [upload for _, upload in page if upload is not None]
        response = {
            "Bucket": bucket.name,
            "KeyMarker": spell(request.get("KeyMarker", "")),
            "UploadIdMarker": request.get("UploadIdMarker", ""),
            "Prefix": spell(prefix),
            "MaxUploads": limit,
            "IsTruncated": len(rest) > limit,
            "Uploads": [_listed_upload(upload, bucket, spell(upload.key)) for upload in uploads],
            "CommonPrefixes": [{"Prefix": spell(name)} for name, upload in page if upload is None],
        }
        if len(rest) > limit and page:
            name, last = page[-1]
            response |= {"NextKeyMarker": spell(name), "NextUploadIdMarker": last.id if last else ""}
        return response | {name: spell(request[name]) for name in ("Delimiter", "EncodingType") if name in request}


def _entries(uploads: list[Upload], prefix: str, delimiter: str) -> list[tuple[str, Upload | None]]:
    """What a list shows: uploads under their key, and common prefixes (without an upload), once each."""
    entries: dict[tuple[str, str], tuple[str, Upload | None]] = {}
    for upload in uploads:
        if not upload.key.startswith(prefix):
            continue
        at = upload.key.find(delimiter, len(prefix)) if delimiter else -1
        if at >= 0:
            common = upload.key[: at + len(delimiter)]
            entries[common, ""] = (common, None)
        else:
            entries[upload.key, upload.id] = (upload.key, upload)
    return list(entries.values())


def _is_after(entry: tuple[str, Upload | None], request: dict[str, Any]) -> bool:
    """Whether an entry follows the markers; without an upload id, the marker's key as a whole has been seen."""
    key, upload_id = request.get("KeyMarker", "").encode(), request.get("UploadIdMarker", "")
    name, upload = entry[0].encode(), entry[1]
    if not key or name > key:
        return True
    return name == key and upload is not None and bool(upload_id) and upload.id > upload_id


def _listed(part: Piece, algorithm: str) -> dict[str, Any]:
    return {
        "PartNumber": part.number,
        "LastModified": part.modified,
        "ETag": f'"{part.etag}"',
        "Size": part.size,
        f"Checksum{algorithm}": part.checksum,
    }


def _listed_upload(upload: Upload, bucket: Bucket, key: str) -> dict[str, Any]:
    return {
        "UploadId": upload.id,
        "Key": key,
        "Initiated": upload.initiated,
        "StorageClass": upload.about["storage_class"],
        "Owner": owner(bucket.account),
        "Initiator": _initiator(upload),
        "ChecksumAlgorithm": upload.about["checksum"]["algorithm"],
        "ChecksumType": upload.about["checksum"]["type"],
    }


def _initiator(upload: Upload) -> dict[str, str]:
    return {"ID": upload.initiator, "DisplayName": upload.initiator.rpartition("/")[2]}


def _limit(asked: int, name: str) -> int:
    if asked < 0:
        raise invalid_argument(f"Argument {name} must be an integer between 0 and 2147483647", name, asked)
    return min(asked, LARGEST_PAGE)
