"""The server's own pages under `/_clary/`. Health and metrics need no credentials; Host and Origin are checked before."""

from __future__ import annotations

import hmac
import os
from collections.abc import Awaitable, Callable

import orjson

from clary import __version__
from clary.core.errors import AccessDeniedException, ServiceError
from clary.core.service import Platform
from clary.gateway.administration import TOKEN_HEADER
from clary.gateway.auth.authenticate import Authenticator
from clary.gateway.metrics import Metrics
from clary.gateway.wire import RequestParts, Route, WireResponse

_RESET = Route("clary", "Reset", "json", "POST", "/_clary/reset")


class Pages:
    """Health, metrics and, where the configuration allows it, the reset."""

    def __init__(self, platform: Platform, metrics: Metrics, authenticator: Authenticator):
        self._config = platform.config
        self._authenticator = authenticator
        self._metrics = metrics
        self._reset: Callable[[], Awaitable[None]] | None = None
        self._token = ""

    def mount_reset(self, reset: Callable[[], Awaitable[None]], token: str) -> None:
        """Offer the wipe to whoever has the token of `server.json`; in open mode also to whoever signs, as for other calls."""
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
            self._check_right_to_reset(request)
            await self._reset()
            return _page(b"{}", "application/json")
        raise ServiceError(f"there is no page {request.method} {request.path}", code="NotFound", status=404)

    def _check_right_to_reset(self, request: RequestParts) -> None:
        token = request.headers.get(TOKEN_HEADER, "")
        if hmac.compare_digest(token.encode("latin-1"), self._token.encode()):
            return
        if self._config.auth == "strict":
            raise AccessDeniedException(f"in strict mode the reset asks for {TOKEN_HEADER}, the token of server.json")
        if self._authenticator.authenticate(request, _RESET).identity.kind == "anonymous":
            raise AccessDeniedException(f"sign the request with any key pair, or send {TOKEN_HEADER}, the token of server.json")


def _page(body: bytes, content_type: str) -> WireResponse:
    return WireResponse(200, {"content-type": content_type, "content-length": str(len(body))}, body)
