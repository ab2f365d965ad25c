"""What was printed, out of the frames that the engine puts it in."""

from __future__ import annotations

import pytest

from pytest_dockerkit._engine.streams import HEADER, payloads

PRINTED = [b"one\n", b"", b"two", bytes(300), b"\x01\x00\x00\x00"]
FRAMES = b"".join(HEADER.pack(1 + number % 2, len(each)) + each for number, each in enumerate(PRINTED))


@pytest.mark.parametrize("length", [1, 2, 7, 8, 9, 100, 1000])
def test_frames_begin_and_end_anywhere(length: int) -> None:
    pieces = [FRAMES[at : at + length] for at in range(0, len(FRAMES), length)]
    assert list(payloads(pieces)) == PRINTED


@pytest.mark.parametrize("cut", [1, 7, 8, 10])
def test_a_cut_within_a_frame_is_no_end(cut: int) -> None:
    given = payloads([FRAMES[:cut]])
    with pytest.raises(ConnectionError, match="the connection ended within a frame"):
        list(given)


def test_nothing_is_the_end() -> None:
    assert list(payloads([])) == []
