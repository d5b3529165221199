"""The one calling convention: an operation is a method that takes a context and a request and returns a response.

A resource is a class; its operations are methods marked with `@operation`. A service lists its resource classes;
`operations_of` turns instances of them into the table that the gateway dispatches from.

    class Buckets:
        def __init__(self, platform: Platform): ...

        @operation("CreateBucket")
        async def create_bucket(self, ctx: Context, request: dict) -> dict: ...

**Request** and **response** are dictionaries in botocore's own shape: members by their model names, timestamps as aware
datetimes (epoch numbers are accepted in responses), blobs as bytes. A streaming input member (`PutObject.Body`) is an
async iterator of bytes; a streaming output member may be bytes or an async iterator of bytes. Absent members are absent,
never None. A response may set `ResponseMetadata: {"HTTPStatusCode": 206, "HTTPHeaders": {...}}`, which botocore uses
for the same thing.

Handlers run on the server's event loop. A plain method may read the resource store (microseconds); whatever waits is
`async`. Nothing in a handler blocks: files and hashing of large bodies go through `asyncio.to_thread`.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from clary.core.identifiers import Scope

if TYPE_CHECKING:
    from clary.core.clock import Clock
    from clary.core.config import Config
    from clary.storage.blobs import BlobStore
    from clary.storage.journal import Journal
    from clary.storage.resources import ResourceStore

Handler = Callable[["Context", dict[str, Any]], dict[str, Any] | Awaitable[dict[str, Any] | None] | None]


@dataclass(frozen=True, slots=True)
class Identity:
    """Who calls: the answer of authentication.

    `kind` is `root`, `user`, `role` (an assumed role; `arn` is then the `sts` assumed-role ARN and `role_arn` the IAM one),
    `service` (the server itself, for its own loops) or `anonymous` (unsigned; allowed only where an operation says so).
    """

    account: str
    arn: str
    kind: str = "root"
    access_key: str = ""
    user_id: str = ""
    role_arn: str = ""


@dataclass(slots=True)
class Platform:
    """What resource classes and control loops stand on; built once by the server."""

    config: Config
    clock: Clock
    resources: ResourceStore
    blobs: BlobStore
    journal: Journal
    call: Callable[..., Awaitable[dict[str, Any]]]
    """`await call(service, operation, request, scope=..., identity=...)`: an operation, dispatched in process."""
    wake: Callable[[str], None]
    """`wake("training")`: tell a control loop to look again now."""
    extensions: dict[str, Any] = field(default_factory=dict)
    """Parts with a life of their own that services reach by name: `endpoints` (the hosting data plane), ..."""


@dataclass(slots=True)
class Context:
    """One request: who asks, where, and the way to other services."""

    platform: Platform
    service: str
    operation: str
    identity: Identity
    region: str
    request_id: str
    headers: dict[str, str] = field(default_factory=dict)
    """Request headers, lower-case names."""
    secure: bool = False
    """Whether the request came over TLS."""

    @property
    def account(self) -> str:
        return self.identity.account

    @property
    def scope(self) -> Scope:
        return Scope(self.identity.account, self.region)

    async def call(self, service: str, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        """Another service's operation with the caller's identity and region; raises `ServiceError` as a client would see it."""
        return await self.platform.call(service, operation, request, scope=self.scope, identity=self.identity)


def operation(name: str, *, anonymous: bool = False) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Mark a method as the implementation of the API operation `name`.

    `anonymous`: unsigned requests reach the method too, with `ctx.identity.kind == "anonymous"`; it decides about them.
    """

    def mark(method: Callable[..., Any]) -> Callable[..., Any]:
        method.__clary_operation__ = name  # type: ignore[attr-defined]
        method.__clary_anonymous__ = anonymous  # type: ignore[attr-defined]
        return method

    return mark


def operations_of(resources: Iterable[object]) -> dict[str, Handler]:
    """Operation name -> bound method, over all resource instances of a service. A name implemented twice is an error."""
    table: dict[str, Handler] = {}
    for resource in resources:
        for _, method in inspect.getmembers(resource, inspect.ismethod):
            name = getattr(method, "__clary_operation__", None)
            if name is None:
                continue
            if name in table:
                raise ValueError(f"operation {name} is implemented twice")
            table[name] = method
    return table
