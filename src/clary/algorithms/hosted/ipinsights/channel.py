"""A channel of events, in blocks that are shuffled as a whole."""

from __future__ import annotations

from collections.abc import Iterator

from clary.algorithms.embeddings import events
from clary.algorithms.embeddings.events import Events
from clary.algorithms.hosted.errors import CustomerError
from clary.algorithms.hosted.job import TrainingJob
from clary.formats.channel import data_files
from clary.formats.errors import FormatError

BLOCK_EVENTS = 1 << 22
"""50 MB. A channel of fewer events is parsed once and kept for all epochs."""


class EventChannel:
    """The events of channel `name`. Each call of `blocks` gives all of them."""

    def __init__(self, job: TrainingJob, name: str, block_events: int = BLOCK_EVENTS):
        """Raises `CustomerError` for a content type or an input mode that IP Insights does not read."""
        media_type = job.content_type(name)[0]
        if media_type not in ("", "text/csv", "csv"):
            raise CustomerError(f"Channel {name}: content type {media_type} is not supported by ipinsights; use text/csv")
        if job.input_mode(name) == "Pipe":
            raise CustomerError(f"Channel {name}: Pipe mode is not supported by ipinsights; use File or FastFile mode")
        job.require_files(name)
        self._name = name
        self._directory = job.opt_ml / "input" / "data" / name
        self._block_events = block_events
        self._kept: Events | None = None

    def blocks(self) -> Iterator[Events]:
        """All events in blocks of about `block_events`. Raises `CustomerError` that names the file and row of a mistake."""
        if self._kept is not None:
            yield self._kept
            return
        parts: list[Events] = []
        blocks = 0
        for part in self._read():
            parts.append(part)
            if sum(map(len, parts)) >= self._block_events:
                yield events.join(parts)
                parts, blocks = [], blocks + 1
        if not parts and not blocks:
            raise CustomerError(f"No data in {self._name} channel: its files hold no events")
        if parts:
            last = events.join(parts)
            self._kept = None if blocks else last
            yield last

    def _read(self) -> Iterator[Events]:
        for path in data_files(self._directory):
            source = path.name if path == self._directory else str(path.relative_to(self._directory))
            try:
                with path.open("rb") as stream:
                    yield from (part for part in events.read(stream, source) if len(part))
            except FormatError as error:
                raise CustomerError(f"Unable to read data channel '{self._name}': {error}") from error
