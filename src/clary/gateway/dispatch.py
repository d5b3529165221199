"""Operations to handlers: services are imported on their first call; over HTTP and in process the same way."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import AsyncIterator
from typing import Any

from clary.core.errors import NotImplementedByClary
from clary.core.identifiers import Scope, request_id
from clary.core.service import Context, Handler, Identity, Platform, operations_of
from clary.gateway.auth.authorizer import Authorizer
from clary.services import MOUNTED

_STREAMED = {("s3", "PutObject"), ("s3", "UploadPart")}


class Dispatcher:
    """The operation tables of the mounted services, and the calls into them."""

    def __init__(self, platform: Platform, authorizer: Authorizer):
        self._platform = platform
        self._authorizer = authorizer
        self._tables: dict[str, dict[str, Handler]] = {}

    def handler(self, service: str, operation: str) -> Handler:
        """The method behind an operation. Raises `NotImplementedByClary` with its name."""
        table = self._tables.get(service)
        if table is None:
            table = self._tables[service] = self._mount(service)
        handler = table.get(operation)
        if handler is None:
            raise NotImplementedByClary(f"{operation} of {service} is not implemented by Clary yet")
        return handler

    def _mount(self, service: str) -> dict[str, Handler]:
        if service not in MOUNTED:
            return {}
        return operations_of(importlib.import_module(MOUNTED[service]).resources(self._platform))

    def unmount(self) -> None:
        """Build services again on their next call."""
        self._tables.clear()

    async def run(self, handler: Handler, ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
        """Authorize, then call."""
        self._authorizer.authorize(ctx, request)
        answer = handler(ctx, request)
        if inspect.isawaitable(answer):
            answer = await answer
        return answer or {}

    async def call(
        self, service: str, operation: str, request: dict[str, Any], *, scope: Scope, identity: Identity | None = None
    ) -> dict[str, Any]:
        """An operation, in process: `Platform.call`. Without an identity the caller is the server itself."""
        if identity is None:
            identity = Identity(scope.account, f"arn:aws:iam::{scope.account}:root", "service")
        ctx = Context(self._platform, service, operation, identity, scope.region, request_id())
        body = request.get("Body")
        if isinstance(body, bytes) and (service, operation) in _STREAMED:
            request = request | {"Body": _stream(body)}
        return await self.run(self.handler(service, operation), ctx, request)


async def _stream(body: bytes) -> AsyncIterator[bytes]:
    yield body
