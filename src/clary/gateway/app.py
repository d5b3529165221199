"""The ASGI application: the steps of a request, in order.

host and origin -> detect -> body -> authenticate -> parse -> validate -> authorize -> dispatch -> serialize -> metrics
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
import zlib
from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from clary.core.errors import ServiceError
from clary.core.identifiers import request_id
from clary.core.service import Context, Platform
from clary.gateway import wire
from clary.gateway.administration import Administration
from clary.gateway.auth.authenticate import Authenticator, Caller
from clary.gateway.auth.authorizer import Authorizer
from clary.gateway.auth.claim import AuthenticationFailed
from clary.gateway.auth.keys import Keys
from clary.gateway.auth.origin import Origins
from clary.gateway.auth.refusals import Reason, refusal
from clary.gateway.body import Receive, RequestTooLarge, StreamedBody
from clary.gateway.dispatch import Dispatcher
from clary.gateway.metrics import Metrics
from clary.gateway.pages import Pages
from clary.gateway.wire.detect import signing_name

if TYPE_CHECKING:
    from botocore.model import OperationModel

log = logging.getLogger("clary.gateway")

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

BODY_LIMIT = 16 * 1024 * 1024
"""Bytes of a body that is read whole. (Objects and parts are streamed and have S3's own limits.)"""
INVOCATION_LIMIT = 6_291_456
"""InvokeEndpoint's limit, from the service model."""
_INVOCATION = re.compile(r"/endpoints/([^/]+)/invocations")


class Gateway:
    """One server's application; `open` it before the first request."""

    def __init__(self, platform: Platform):
        config = platform.config
        self._platform = platform
        self._keys = Keys(platform.resources)
        self._origins = Origins(config)
        self._authenticator = Authenticator(config, self._keys)
        self._authorizer = Authorizer(platform)
        self._dispatcher = Dispatcher(platform, self._authorizer)
        self._metrics = Metrics()
        self._pages = Pages(platform, self._metrics, self._authenticator)
        self.administration = Administration(platform)
        platform.call = self._dispatcher.call
        platform.extensions |= {"authorizer": self._authorizer, "credentials": self._keys}

    async def open(self) -> tuple[str, str] | None:
        """Load what requests need. The root key (id, secret) when this start made it."""
        return await self._keys.open(strict=self._platform.config.auth == "strict")

    def forget_identities(self) -> None:
        """IAM has changed: keys and policies are read anew."""
        self._keys.forget()
        self._authorizer.forget()

    def forget_everything(self) -> None:
        """All rows are gone: services are built anew, as after a start."""
        self.forget_identities()
        self._dispatcher.unmount()

    def mount_reset(self, reset: Callable[[], Awaitable[None]]) -> None:
        self._pages.mount_reset(reset, self.administration.token)

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        started, id_ = time.perf_counter(), request_id()
        request = _request_of(scope)
        exchange = Exchange(request, StreamedBody(receive, request.headers), id_, scope["scheme"] == "https")
        self._metrics.in_flight += 1
        try:
            response = await self._respond(exchange)
            if not await exchange.body.settle():
                response.headers["connection"] = "close"
            await _send(response, request.method, receive, send)
        finally:
            self._metrics.in_flight -= 1
        self._metrics.record(*exchange.measured_as, response.status, time.perf_counter() - started)

    async def _respond(self, exchange: Exchange) -> wire.WireResponse:
        """The answer, also when something goes wrong; what is not the caller's mistake is logged here, once."""
        try:
            return await self._steps(exchange)
        except AuthenticationFailed as failure:
            return self._error(exchange, failure.worded_for(exchange.route.protocol))
        except ServiceError as error:
            return self._error(exchange, error)
        except Exception as error:
            route = exchange.route
            log.exception("request %s: %s.%s failed", exchange.id, route.service, route.operation)
            return wire.serialize_error(route, error, exchange.id)

    def _error(self, exchange: Exchange, error: ServiceError) -> wire.WireResponse:
        route = exchange.route
        message = " ".join(error.message.split())  # what a client sent must not look like lines of the log
        log.info("request %s: %s.%s: %s %s: %s", exchange.id, route.service, route.operation, error.status, error.code, message)
        return wire.serialize_error(route, error, exchange.id)

    async def _steps(self, exchange: Exchange) -> wire.WireResponse:
        request = exchange.request
        self._origins.check(request.headers)
        if request.path.startswith("/_clary/"):
            exchange.route = wire.Route("clary", "page", "json", request.method, request.path)
            exchange.measured_as = ("clary", "page")
            if self.administration.has(request):
                return await self.administration.answer(request, await exchange.body.whole(BODY_LIMIT))
            return await self._pages.answer(request)
        if (invocation := _invocation(request)) is not None:
            return await self._invoke(exchange, invocation)
        if wire.reads_form(request):
            request.body = await exchange.body.whole(BODY_LIMIT)
        exchange.route = wire.detect(request)
        if exchange.route.operation == "PostObject":
            return await self._post_form(exchange)
        caller = await self._authenticate(exchange)
        return await self._operate(exchange, caller)

    async def _authenticate(self, exchange: Exchange) -> Caller:
        """Who calls. All but S3 sign the bytes of the body, so it is read first; S3's are streamed and signed by hash."""
        request, route = exchange.request, exchange.route
        if route.service != "s3" and not request.body:
            request.body = await exchange.body.whole(BODY_LIMIT)
        caller = self._authenticator.authenticate(request, route)
        exchange.body.signatures = caller.signatures
        return caller

    async def _operate(self, exchange: Exchange, caller: Caller) -> wire.WireResponse:
        request, route = exchange.request, exchange.route
        model = wire.load_operation(route)
        exchange.measured_as = (route.service, route.operation)
        handler = self._dispatcher.handler(route.service, route.operation)
        if caller.identity.kind == "anonymous" and not getattr(handler, "__clary_anonymous__", False):
            raise refusal(Reason.MISSING, route.protocol, "The request is not signed; sign it with any key pair of this server")
        if route.service == "s3":
            request.body = exchange.body if wire.streams_body(model) else await self._document(exchange, model)
        else:
            _decompress(request)
        parameters = wire.parse(model, route, request)
        wire.validate(model, parameters)
        ctx = self._context(exchange, caller)
        result = await self._dispatcher.run(handler, ctx, parameters)
        return wire.serialize(model, route, result, exchange.id)

    async def _document(self, exchange: Exchange, model: OperationModel) -> bytes:
        """The body of an S3 request that is not an upload, compared with its checksum where the operation has one."""
        body = await exchange.body.whole(BODY_LIMIT)
        if "requestAlgorithmMember" in (model.http_checksum or {}):
            from clary.services.s3.checksums import check_document

            check_document(exchange.request.headers, body, exchange.body.trailers)
        return body

    async def _post_form(self, exchange: Exchange) -> wire.WireResponse:
        """A browser's upload, which no service model has: its form says who signed, then S3 takes it as a PutObject."""
        from clary.services.s3.forms import read_form
        from clary.services.s3.post import post_object

        exchange.measured_as = ("s3", "PostObject")
        form = await read_form(exchange.request.headers["content-type"], exchange.body)
        caller = self._authenticator.authenticate_form(form.fields)
        if caller.identity.kind == "anonymous":
            raise refusal(Reason.MISSING, "rest-xml", "The form is not signed; unsigned uploads are not allowed")
        bucket = unquote(exchange.route.path.strip("/"))
        answer = await post_object(self._context(exchange, caller), bucket, form)
        headers = {"x-amz-request-id": exchange.id, "content-length": str(len(answer.body))} | answer.headers
        return wire.WireResponse(answer.status, headers, answer.body)

    def _context(self, exchange: Exchange, caller: Caller) -> Context:
        route = exchange.route
        return Context(
            self._platform,
            route.service,
            route.operation,
            caller.identity,
            caller.region,
            exchange.id,
            exchange.request.headers,
            exchange.secure,
        )

    async def _invoke(self, exchange: Exchange, endpoint: str) -> wire.WireResponse:
        """The fast path of InvokeEndpoint: no model, no parsing; the data plane takes headers and body as they are."""
        request = exchange.request
        exchange.route = wire.Route("sagemaker-runtime", "InvokeEndpoint", "rest-json", "POST", request.path)
        exchange.measured_as = ("sagemaker-runtime", "InvokeEndpoint")
        try:
            request.body = await exchange.body.whole(INVOCATION_LIMIT)
        except RequestTooLarge as error:
            raise ServiceError(error.message, code="ValidationError", status=400) from None
        caller = self._authenticator.authenticate(request, exchange.route)
        if caller.identity.kind == "anonymous":
            raise refusal(Reason.MISSING, "rest-json", "The request is not signed; sign it with any key pair of this server")
        ctx = self._context(exchange, caller)
        self._authorizer.authorize(ctx, {"EndpointName": endpoint})
        data_plane = self._platform.extensions.get("endpoints")
        if data_plane is None:
            raise ServiceError("The server is still starting", code="ServiceUnavailable", status=503)
        status, headers, body = await data_plane.invoke(ctx.scope, caller.identity, endpoint, request.headers, request.body)
        headers = {"x-amzn-requestid": exchange.id, "content-length": str(len(body))} | headers
        return wire.WireResponse(status, headers, body)


class Exchange:
    """One request on its way through the steps.

    `measured_as` is (service, operation) once they are known to exist: metrics must not grow with what clients make up.
    """

    __slots__ = ("body", "id", "measured_as", "request", "route", "secure")

    def __init__(self, request: wire.RequestParts, body: StreamedBody, id_: str, secure: bool):
        self.request = request
        self.body = body
        self.id = id_
        self.secure = secure
        self.route = wire.Route("", "", "json", request.method, request.path)
        self.measured_as = ("unknown", "unknown")


def _request_of(scope: MutableMapping[str, Any]) -> wire.RequestParts:
    """A header that is sent several times holds its values joined with a comma."""
    headers: dict[str, str] = {}
    for name_bytes, value_bytes in scope["headers"]:
        name, value = name_bytes.decode("latin-1"), value_bytes.decode("latin-1")
        headers[name] = f"{headers[name]},{value}" if name in headers else value
    query = wire.parse_query(scope["query_string"].decode("latin-1")) if scope["query_string"] else []
    return wire.RequestParts(scope["method"], scope["raw_path"].decode("latin-1"), query, headers)


def _invocation(request: wire.RequestParts) -> str | None:
    """The endpoint's name when this is InvokeEndpoint (and not an object of a bucket called `endpoints`)."""
    if request.method != "POST" or (match := _INVOCATION.fullmatch(request.path)) is None:
        return None
    return None if signing_name(request) == "s3" else unquote(match[1])


def _decompress(request: wire.RequestParts) -> None:
    """Clients compress large metric posts. Raises `ServiceError` for what is not gzip or unpacks to more than the limit."""
    if request.headers.get("content-encoding") != "gzip" or not isinstance(request.body, bytes):
        return
    unpacker = zlib.decompressobj(wbits=31)
    try:
        request.body = unpacker.decompress(request.body, BODY_LIMIT)
    except zlib.error as error:
        raise ServiceError(f"the body is not gzip: {error}", code="SerializationException", status=400) from None
    if unpacker.unconsumed_tail:
        raise RequestTooLarge(BODY_LIMIT)


async def _send(response: wire.WireResponse, method: str, receive: Receive, send: Send) -> None:
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in response.headers.items()]
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    if isinstance(response.body, bytes):
        await send({"type": "http.response.body", "body": response.body})
    else:
        await _send_stream(response.body, method, receive, send)


async def _send_stream(body: Any, method: str, receive: Receive, send: Send) -> None:
    """Pieces as they come, until the end or until the client has gone."""
    gone = asyncio.create_task(_disconnected(receive))
    try:
        if method != "HEAD":
            async for piece in body:
                if gone.done():
                    return
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body"})
    finally:
        gone.cancel()
        if (close := getattr(body, "aclose", None)) is not None:
            await close()


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
