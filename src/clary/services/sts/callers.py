"""Who calls, and whose a key is."""

from __future__ import annotations

from typing import Any

from clary.core.errors import ServiceError
from clary.core.identifiers import account_in, account_of_access_key
from clary.core.service import Context, Platform, operation


class Callers:
    def __init__(self, platform: Platform):
        self._platform = platform

    @operation("GetCallerIdentity")
    def get_caller_identity(self, ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
        """In open mode an unregistered key is a session of the default role, so that SDKs find an execution role."""
        return {"UserId": ctx.identity.user_id, "Account": ctx.account, "Arn": ctx.identity.arn}

    @operation("GetAccessKeyInfo")
    def get_access_key_info(self, ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
        """The account that the key id carries; in open mode also of keys that this server did not make."""
        key = request["AccessKeyId"]
        account = account_in(key)
        if account is None and self._platform.config.auth == "strict":
            raise ServiceError(f"The access key id {key} is not one of this server", code="ValidationError", status=400)
        return {"Account": account or account_of_access_key(key)}
