"""Bodies as they come in: what the gateway does with clients that do not finish."""

from __future__ import annotations

import asyncio

import pytest

from clary.gateway import body
from clary.gateway.body import RequestTimeout, StreamedBody


def test_a_client_that_stops_in_the_middle_of_its_body_is_cut(monkeypatch):
    monkeypatch.setattr(body, "STALLED_SECONDS", 0.05)
    messages = [{"type": "http.request", "body": b"half", "more_body": True}]

    async def receive():
        return messages.pop() if messages else await asyncio.Event().wait()

    async def read() -> list[bytes]:
        stream = StreamedBody(receive, {"content-length": "8"})
        seen = []
        with pytest.raises(RequestTimeout) as error:
            seen.extend([piece async for piece in stream])
        assert (error.value.code, error.value.status) == ("RequestTimeout", 400)
        messages.append({"type": "http.disconnect"})
        return [*seen, await stream.settle()]

    assert asyncio.run(read()) == [True]
