"""STS: who calls, and session credentials."""

from __future__ import annotations

from clary.core.service import Platform


def resources(platform: Platform) -> list[object]:
    """The service's resource classes."""
    from clary.services.sts.callers import Callers
    from clary.services.sts.sessions import Sessions

    return [Callers(platform), Sessions(platform)]
