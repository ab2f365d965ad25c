"""A pattern is counted in a text that comes in pieces as in the whole."""

from __future__ import annotations

import random
import re

import pytest

from pytest_dockerkit._runtime.log_watch import after, count_in
from pytest_dockerkit._runtime.matches import Matches

PATTERNS = [
    "ready",
    "^ready$",
    r"ready to accept \w+\.",
    r"\bready\b",
    r"(?<=not )ready",
    "ready(?! yet)",
    r"^one\n\s+two\n",
    "(?s)begin.{0,40}?end",
    r"\Aready",
    "☕+",
    "\N{REPLACEMENT CHARACTER}",
    "",
    "$",
    "nowhere",
]
WORDS = [
    "ready",
    "ready\n",
    "not ready",
    " yet",
    "one\n  two\n",
    "begin",
    "end",
    "☕",
    "☕☕\n",
    "\n",
    "x" * 50,
    "\xff",
]


def text_of(seed: int, words: int) -> bytes:
    chosen = random.Random(seed).choices(WORDS, k=words)
    return b"".join(b"\xff" if word == "\xff" else word.encode() for word in chosen)


def pieces_of(text: bytes, seed: int, longest: int) -> list[bytes]:
    random_ = random.Random(seed)
    pieces = []
    while text:
        length = random_.randint(1, longest)
        pieces.append(text[:length])
        text = text[length:]
    return pieces


@pytest.mark.parametrize("pattern", PATTERNS)
def test_as_re_does_it_in_the_whole(pattern: str) -> None:
    """Wherever the pieces begin and end, within a letter as well."""
    for seed in range(20):
        text = text_of(seed, words=60)
        matches = Matches(pattern)
        for piece in pieces_of(text, seed, longest=20):
            matches.feed(piece)
        assert matches.count == len(re.findall(pattern, text.decode(errors="replace"), re.MULTILINE)), seed


@pytest.mark.parametrize("pattern", PATTERNS[:11])
def test_also_where_the_beginning_was_forgotten(pattern: str) -> None:
    for seed in range(20):
        text = text_of(seed, words=3000)
        matches = Matches(pattern, reach=200)
        for piece in pieces_of(text, seed, longest=300):
            matches.feed(piece)
            if seed % 2:
                assert matches.count >= 0
        assert matches.count == len(re.findall(pattern, text.decode(errors="replace"), re.MULTILINE)), seed


@pytest.mark.parametrize("pattern", ["nowhere", "(?s)a.*", "a", "a+"])
def test_of_a_long_text_only_a_part_is_kept(pattern: str) -> None:
    matches = Matches(pattern, reach=1000)
    for _ in range(1000):
        matches.feed(b"a" * 500)
        assert len(matches._text) + sum(map(len, matches._new)) < 8000


def test_what_has_passed_already_is_left_out() -> None:
    pieces = [b"abc", b"", b"def", b"ghi"]
    for passed in range(10):
        assert b"".join(after(pieces, passed)) == b"abcdefghi"[passed:]
    assert list(after(pieces, 4)) == [b"ef", b"ghi"]


def test_a_log_that_is_read_once() -> None:
    assert count_in([b"re", b"ady\nready", b"\n"], "^ready$") == 2
