"""Session credentials: of a role that is assumed, or of the caller for a limited time."""

from __future__ import annotations

from typing import Any

from clary.core.errors import ServiceError, refuse_unenforced
from clary.core.service import Context, Platform, operation

DEFAULT_ROLE_SECONDS = 3600
DEFAULT_SESSION_SECONDS = 43200
ROOT_SESSION_SECONDS = 3600
CHAINED_SECONDS = 3600
"""The longest session of a role that another role's session assumes."""


class Sessions:
    def __init__(self, platform: Platform):
        self._platform = platform

    @operation("AssumeRole")
    async def assume_role(self, ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
        """In strict mode the role's trust policy decides; in open mode any role may be assumed, whether it exists or not."""
        refuse_unenforced(request, "Policy", "PolicyArns", "Tags", "TransitiveTagKeys", "SourceIdentity", "ProvidedContexts")
        refuse_unenforced(request, "SerialNumber", "TokenCode")
        role_arn, name = request["RoleArn"], request["RoleSessionName"]
        longest = self._platform.extensions["authorizer"].assume_role(ctx, role_arn, request.get("ExternalId"))
        seconds = request.get("DurationSeconds", DEFAULT_ROLE_SECONDS)
        if ctx.identity.kind == "role" and self._platform.config.auth == "strict":
            longest = min(longest, CHAINED_SECONDS)
        if seconds > longest:
            raise _too_long(f"the MaxSessionDuration set for this role ({longest})")
        keys = self._platform.extensions["credentials"]
        identity = keys.session_of_role(role_arn, name)
        return {
            "Credentials": keys.issue_session(identity, seconds),
            "AssumedRoleUser": {"AssumedRoleId": identity.user_id, "Arn": identity.arn},
        }

    @operation("GetSessionToken")
    def get_session_token(self, ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
        """Temporary keys of the user or root that calls."""
        refuse_unenforced(request, "SerialNumber", "TokenCode")
        if ctx.identity.access_key.startswith("ASIA") and self._platform.config.auth == "strict":  # else they would never end
            raise ServiceError("Cannot call GetSessionToken with session credentials", code="AccessDenied", status=403)
        seconds = request.get("DurationSeconds", DEFAULT_SESSION_SECONDS)
        if ctx.identity.kind == "root":
            seconds = min(seconds, ROOT_SESSION_SECONDS)
        return {"Credentials": self._platform.extensions["credentials"].issue_session(ctx.identity, seconds)}


def _too_long(limit: str) -> ServiceError:
    return ServiceError(f"The requested DurationSeconds exceeds {limit}.", code="ValidationError", status=400)
