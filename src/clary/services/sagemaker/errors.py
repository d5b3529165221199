"""Messages that SageMaker words the same way for several resources."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from clary.core.errors import ValidationException


def require(request: Mapping[str, Any], members: Collection[str], path: str = "") -> None:
    """Refuse a request without `members`, which the service demands although newer models no longer say so.

    Raises ValidationException in the wording of the service's own validation.
    """
    missing = [member for member in members if member not in request]
    if not missing:
        return
    findings = [
        f"Value null at '{path}{_camel(member)}' failed to satisfy constraint: Member must not be null" for member in missing
    ]
    plural = "s" if len(findings) > 1 else ""
    raise ValidationException(f"{len(findings)} validation error{plural} detected: {'; '.join(findings)}")


def _camel(member: str) -> str:
    return member[0].lower() + member[1:]
