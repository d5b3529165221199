"""Images: look-ups over the built-in ones."""

from __future__ import annotations

from typing import Any

from clary.core.errors import ServiceError
from clary.core.service import Context, operation
from clary.services.ecr.builtin_images import MANIFEST_TYPE, Image, image_with, repositories
from clary.services.ecr.repositories import InvalidParameterException, describe, is_recorded


class ImageNotFoundException(ServiceError):
    code = "ImageNotFoundException"
    status = 400


class Images:
    @operation("ListImages")
    def list_images(self, ctx: Context, request: dict) -> dict:
        found = [{"imageDigest": image.digest, "imageTag": tag} for image in _images(ctx, request) for tag in image.tags]
        page, more = _page(found, request, default_limit=100)
        return {"imageIds": page} | more

    @operation("DescribeImages")
    def describe_images(self, ctx: Context, request: dict) -> dict:
        """The images that are named, or all, in pages. Raises ImageNotFoundException."""
        if "imageIds" in request:
            return {"imageDetails": [_described(ctx, request, _named(ctx, request, image)) for image in request["imageIds"]]}
        page, more = _page([_described(ctx, request, image) for image in _images(ctx, request)], request, default_limit=100)
        return {"imageDetails": page} | more

    @operation("BatchGetImage")
    def batch_get_image(self, ctx: Context, request: dict) -> dict:
        registry = describe(ctx, request, request["repositoryName"])["registryId"]
        images, failures = [], []
        for wanted in request["imageIds"]:
            if not wanted:
                failures.append(
                    _failure(wanted, "MissingDigestAndTag", "Invalid request parameters: both tag and digest missing")
                )
            elif image := _find(ctx, request, wanted):
                images.append(
                    {
                        "registryId": registry,
                        "repositoryName": request["repositoryName"],
                        "imageId": {"imageDigest": image.digest} | wanted,
                        "imageManifest": image.manifest,
                        "imageManifestMediaType": MANIFEST_TYPE,
                    }
                )
            else:
                failures.append(_failure(wanted, "ImageNotFound", "Requested image not found"))
        return {"images": images, "failures": failures}


def _images(ctx: Context, request: dict) -> tuple[Image, ...]:
    """Every image of the repository that the request names; a recorded repository has none."""
    describe(ctx, request, request["repositoryName"])
    untagged = request.get("filter", {}).get("tagStatus") == "UNTAGGED"
    return () if untagged or is_recorded(ctx, request) else repositories()[request["repositoryName"]]


def _find(ctx: Context, request: dict, wanted: dict[str, str]) -> Image | None:
    if is_recorded(ctx, request):
        return None
    return image_with(request["repositoryName"], tag=wanted.get("imageTag", ""), digest=wanted.get("imageDigest", ""))


def _named(ctx: Context, request: dict, wanted: dict[str, str]) -> Image:
    name = describe(ctx, request, request["repositoryName"])["repositoryName"]
    image = _find(ctx, request, wanted) if wanted else None
    if image is None:
        raise ImageNotFoundException(f"The image with imageId {wanted} does not exist within the repository with name '{name}'")
    return image


def _described(ctx: Context, request: dict, image: Image) -> dict[str, Any]:
    return {
        "registryId": request.get("registryId", ctx.account),
        "repositoryName": request["repositoryName"],
        "imageDigest": image.digest,
        "imageTags": list(image.tags),
        "imageSizeInBytes": image.size,
        "imageManifestMediaType": MANIFEST_TYPE,
    }


def _page(found: list, request: dict, default_limit: int) -> tuple[list, dict[str, str]]:
    """A page, whose token is the number of what came before it."""
    token = request.get("nextToken", "0")
    if not (token.isascii() and token.isdigit() and len(token) < 10):
        raise InvalidParameterException("Invalid pagination token")
    first, limit = int(token), request.get("maxResults", default_limit)
    end = first + limit
    return found[first:end], {"nextToken": str(end)} if end < len(found) else {}


def _failure(wanted: dict[str, str], code: str, reason: str) -> dict[str, Any]:
    return {"imageId": wanted, "failureCode": code, "failureReason": reason}
