"""Pushing images: refused with the way around it."""

from __future__ import annotations

from clary.core.errors import NotImplementedByClary
from clary.core.service import Context, operation


class Uploads:
    @operation("PutImage")
    def put_image(self, ctx: Context, request: dict) -> dict:
        raise _no_registry()

    @operation("InitiateLayerUpload")
    def initiate_layer_upload(self, ctx: Context, request: dict) -> dict:
        raise _no_registry()

    @operation("UploadLayerPart")
    def upload_layer_part(self, ctx: Context, request: dict) -> dict:
        raise _no_registry()

    @operation("CompleteLayerUpload")
    def complete_layer_upload(self, ctx: Context, request: dict) -> dict:
        raise _no_registry()


def _no_registry() -> NotImplementedByClary:
    return NotImplementedByClary(
        "Clary has no image registry, so images cannot be pushed; the built-in images run without one (see `clary services`)"
    )
