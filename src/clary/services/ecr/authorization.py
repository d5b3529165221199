"""GetAuthorizationToken: what `docker login` is given. No registry listens yet, so the token opens nothing."""

from __future__ import annotations

import base64
import secrets

from clary.core.service import Context, operation

_LIFETIME_SECONDS = 12 * 3600


class Authorization:
    @operation("GetAuthorizationToken")
    def get_authorization_token(self, ctx: Context, request: dict) -> dict:
        """The endpoint is this server, never the real registry: a client that logs in does not leave the machine."""
        scheme = "https" if ctx.secure else "http"
        endpoint = f"{scheme}://{ctx.headers.get('host', 'localhost')}"
        data = {"expiresAt": ctx.platform.clock.now() + _LIFETIME_SECONDS, "proxyEndpoint": endpoint}
        registries = request.get("registryIds", [ctx.account])
        return {"authorizationData": [data | {"authorizationToken": _token()} for _ in registries]}


def _token() -> str:
    return base64.b64encode(f"AWS:{secrets.token_urlsafe(96)}".encode()).decode()
