"""The server's own pages under `/_clary/`. They need no credentials; Host and Origin are checked before."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import orjson

from clary import __version__
from clary.core.errors import ServiceError
from clary.core.service import Platform
from clary.gateway.metrics import Metrics
from clary.gateway.wire import WireResponse

if TYPE_CHECKING:
    pass


class Pages:
    """Health, metrics and, where the configuration allows it, the reset."""

    def __init__(self, platform: Platform, metrics: Metrics):
        self._platform = platform
        self._metrics = metrics

    async def answer(self, method: str, path: str) -> WireResponse:
        if (method, path) == ("GET", "/_clary/health"):
            facts = {"status": "ok", "version": __version__, "pid": os.getpid(), "auth": self._platform.config.auth}
            return _page(orjson.dumps(facts), "application/json")
        if (method, path) == ("GET", "/_clary/metrics"):
            return _page(self._metrics.text().encode(), "text/plain; version=0.0.4")
        raise ServiceError(f"there is no page {method} {path}", code="NotFound", status=404)


def _page(body: bytes, content_type: str) -> WireResponse:
    return WireResponse(200, {"content-type": content_type, "content-length": str(len(body))}, body)
