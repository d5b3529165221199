"""ECR look-ups: the repositories of the built-in images, and repositories that are recorded. No registry is behind them."""

from __future__ import annotations

from clary.core.service import Platform
from clary.services.ecr.authorization import Authorization
from clary.services.ecr.images import Images
from clary.services.ecr.repositories import Repositories
from clary.services.ecr.uploads import Uploads


def resources(platform: Platform) -> list[object]:
    return [Authorization(), Images(), Repositories(), Uploads()]
