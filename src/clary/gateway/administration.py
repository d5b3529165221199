"""Pages for the owner of the data directory: `clary bucket mount` and `clary backup`.

They can read any folder of this machine, so they ask for the token in `server.json`, which only the owner can read.
"""

from __future__ import annotations

import hmac
import secrets
from pathlib import Path
from typing import Any

import orjson

from clary.core.errors import AccessDeniedException, ServiceError, ValidationException
from clary.core.identifiers import DEFAULT_ACCOUNT
from clary.core.service import Platform
from clary.gateway.backup import backup
from clary.gateway.wire import RequestParts, WireResponse

TOKEN_HEADER = "x-clary-token"


class Administration:
    """`token` is made at every start."""

    def __init__(self, platform: Platform):
        self._platform = platform
        self.token = secrets.token_hex(16)
        self._pages = {"/_clary/mounts": self._mount, "/_clary/backup": self._backup}

    def has(self, request: RequestParts) -> bool:
        return request.method == "POST" and request.path in self._pages

    async def answer(self, request: RequestParts, body: bytes) -> WireResponse:
        """Raises `ServiceError`."""
        if not hmac.compare_digest(request.headers.get(TOKEN_HEADER, "").encode("latin-1"), self.token.encode()):
            raise AccessDeniedException("this page needs the token of server.json in the data directory; use the clary command")
        try:
            wanted = orjson.loads(body)
            page = await self._pages[request.path](wanted)
        except (orjson.JSONDecodeError, KeyError, TypeError) as error:
            raise ValidationException(f"the request is not what {request.path} takes: {error}") from None
        except ValueError as error:
            raise ValidationException(str(error)) from None
        except OSError as error:
            raise ServiceError(f"{error.strerror}: {error.filename}", code="StorageError", status=507) from None
        content = orjson.dumps(page)
        return WireResponse(200, {"content-type": "application/json", "content-length": str(len(content))}, content)

    async def _mount(self, wanted: dict[str, Any]) -> dict[str, Any]:
        from clary.services.s3.mounts import mount

        account, region = wanted.get("Account") or DEFAULT_ACCOUNT, wanted.get("Region") or self._platform.config.region
        return await mount(self._platform, wanted["Bucket"], wanted["Directory"], account, region)

    async def _backup(self, wanted: dict[str, Any]) -> dict[str, Any]:
        return {"Bytes": await backup(self._platform, Path(wanted["Directory"]))}
