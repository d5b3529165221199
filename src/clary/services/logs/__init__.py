"""CloudWatch Logs: groups, streams, events. Queries, subscriptions, exports and metric filters are not built."""

from __future__ import annotations

from clary.core.service import Platform
from clary.services.logs.filtering import Filtering
from clary.services.logs.log_events import LogEvents
from clary.services.logs.log_groups import LogGroups
from clary.services.logs.log_streams import LogStreamOperations
from clary.services.logs.tags import Tags


def resources(platform: Platform) -> list[object]:
    return [LogGroups(platform), LogStreamOperations(platform), LogEvents(platform), Filtering(platform), Tags()]
