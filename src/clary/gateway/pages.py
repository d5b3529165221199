"""The server's own pages under `/_clary/`. They need no credentials; Host and Origin are checked before."""

from __future__ import annotations

import hmac
import os
from collections.abc import Awaitable, Callable

import orjson

from clary import __version__
from clary.core.errors import AccessDeniedException, ServiceError
from clary.core.service import Platform
from clary.gateway.administration import TOKEN_HEADER
from clary.gateway.metrics import Metrics
from clary.gateway.wire import RequestParts, WireResponse


class Pages:
    """Health, metrics and, where the configuration allows it, the reset."""

    def __init__(self, platform: Platform, metrics: Metrics):
        self._config = platform.config
        self._metrics = metrics
        self._reset: Callable[[], Awaitable[None]] | None = None
        self._token = ""

    def mount_reset(self, reset: Callable[[], Awaitable[None]], token: str) -> None:
        """Offer the wipe. In strict mode, which others may reach, it asks for the token in `server.json`."""
        self._reset, self._token = reset, token

    async def answer(self, request: RequestParts) -> WireResponse:
        """Raises `ServiceError`."""
        page = (request.method, request.path)
        if page == ("GET", "/_clary/health"):
            facts = {"status": "ok", "version": __version__, "pid": os.getpid(), "auth": self._config.auth}
            return _page(orjson.dumps(facts), "application/json")
        if page == ("GET", "/_clary/metrics"):
            return _page(self._metrics.text().encode(), "text/plain; version=0.0.4")
        if page == ("POST", "/_clary/reset") and self._reset is not None:
            self._check_token(request.headers.get(TOKEN_HEADER, ""))
            await self._reset()
            return _page(b"{}", "application/json")
        raise ServiceError(f"there is no page {request.method} {request.path}", code="NotFound", status=404)

    def _check_token(self, token: str) -> None:
        if self._config.auth == "strict" and not hmac.compare_digest(token.encode("latin-1"), self._token.encode()):
            raise AccessDeniedException(f"in strict mode the reset asks for {TOKEN_HEADER}, the token of server.json")


def _page(body: bytes, content_type: str) -> WireResponse:
    return WireResponse(200, {"content-type": content_type, "content-length": str(len(body))}, body)
