"""May the caller do this? In `strict` mode the policies of the caller decide; in `open` mode everybody may."""

from __future__ import annotations

from typing import Any

from clary.core.service import Context, Platform


class Authorizer:
    """`platform.extensions["authorizer"]`."""

    def __init__(self, platform: Platform):
        self._platform = platform
        self._strict = platform.config.auth == "strict"

    def authorize(self, ctx: Context, request: dict[str, Any]) -> None:
        """Raises AccessDenied when the caller's policies do not allow the operation of `ctx` on what `request` names."""

    def check(self, ctx: Context, action: str, resource: str) -> None:
        """Raises AccessDenied."""

    def pass_role(self, ctx: Context, role_arn: str, service_principal: str) -> None:
        """Raises."""
