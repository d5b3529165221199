from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clary.compute.hosting import frames
from clary.compute.hosting.frames import Frame, FrameError, FrameReader

frame = st.builds(
    Frame,
    id=st.integers(0, 2**32 - 1),
    code=st.integers(0, 2**16 - 1),
    headers=st.dictionaries(st.text(), st.text(), max_size=3),
    body=st.binary(max_size=300),
)


@given(st.lists(frame, max_size=5), st.data())
def test_frames_come_out_as_they_went_in_however_the_stream_is_cut(sent, data):
    stream = b"".join(frames.encode(*one) for one in sent)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    reader = FrameReader()
    received = []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        received += reader.feed(stream[start:end])
    assert received == sent


@given(st.binary(max_size=200))
def test_bytes_that_are_no_frames_are_refused_or_wait_for_more(stream):
    try:
        for one in FrameReader().feed(stream):
            assert isinstance(one.headers, dict)
    except FrameError:
        pass


@pytest.mark.parametrize("size", [0, 9, frames.MAX_FRAME_BYTES + 1, 2**32 - 1])
def test_a_size_that_cannot_be_is_refused_before_it_is_waited_for(size):
    with pytest.raises(FrameError):
        FrameReader().feed(struct.pack("<IIHI", size, 1, 200, 0))
