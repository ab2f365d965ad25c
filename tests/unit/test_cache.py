"""Entries of `cache_from=` and `cache_to=`: as buildx writes them, and refused early where they are wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_dockerkit import ImageSpec
from pytest_dockerkit._spec.cache import anchored, attributes
from tests.unit.refusals import refusal

FROM = 'cache_from=["registry.example.com/app:cache"], or ["type=local,src=path"]'
TO = 'cache_to=["type=inline"], ["type=registry,ref=registry.example.com/app:cache"] or ["type=local,dest=path"]'


@pytest.mark.parametrize(
    ("field", "entry"),
    [
        ("cache_from", "registry.example.com:5000/app:cache"),
        ("cache_from", "type=registry,ref=app:cache"),
        ("cache_from", "type=local,src=/x"),
        ("cache_from", 'type=local,"src=/a, b"'),
        ("cache_from", "type=gha,scope=x"),
        ("cache_from", "type=somethingquitenew,a=b"),
        ("cache_to", "type=inline"),
        ("cache_to", "TYPE=registry,ref=app:cache,mode=max"),
        ("cache_to", "type=local,dest=x,mode=max"),
        ("cache_to", "app:cache"),
    ],
)
def test_what_buildx_takes_is_taken(field: str, entry: str) -> None:
    assert getattr(ImageSpec(build=".", **{field: [entry]}), field) == (entry,)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("field", "entry", "what", "mend"),
    [
        ("cache_from", "Not A Reference", "cache_from= is not an image reference", None),
        ("cache_from", "a:b,c:d", "cache_from= has several references in one entry", "an entry of the list for each"),
        ("cache_from", "type=registry,app", "cache_from= is malformed", FROM),
        ("cache_from", "=x", "cache_from= is malformed", FROM),
        ("cache_from", 'type=local,"src=/x', "cache_from= is malformed", FROM),
        ("cache_from", "type=local\nsrc=x", "cache_from= is malformed", FROM),
        ("cache_to", "ref=app:cache", "cache_to= says no type", TO),
        ("cache_to", "type=,ref=x", "cache_to= says no type", TO),
        ("cache_to", "type=registy,ref=x", "cache_to= is of a type that there is not", "did you mean 'registry'?"),
        ("cache_from", "type=registry", "cache_from= of type=registry needs ref=", FROM),
        ("cache_from", "type=registry,ref=A B", "cache_from= is not an image reference", None),
        ("cache_from", "type=local,dest=x", "cache_from= of type=local needs src=", FROM),
        ("cache_to", "type=local,src=x", "cache_to= of type=local needs dest=", TO),
        (
            "cache_from",
            "type=inline",
            "an inline cache is in the image, and is taken from there",
            'the image\'s reference: cache_from=["registry.example.com/app:1"]',
        ),
    ],
)
def test_what_it_does_not_is_refused(field: str, entry: str, what: str, mend: str | None) -> None:
    text = refusal(lambda: ImageSpec(build=".", **{field: [entry]}))  # type: ignore[arg-type]
    assert text.startswith(f"{what}\n  saw:  ")
    assert mend is None or text.endswith(f"\n  mend: {mend}")


def test_what_an_entry_says() -> None:
    assert attributes("app:cache") == {"type": "registry", "ref": "app:cache"}
    assert attributes("Type=local,src=/a=b") == {"type": "local", "src": "/a=b"}


@pytest.mark.parametrize(
    ("field", "entry", "found"),
    [
        ("cache_from", "type=local,src=kept,mode=max", "type=local,src=/base/kept,mode=max"),
        ("cache_to", "type=local,dest=../kept", "type=local,dest=/kept"),
        ("cache_to", "type=local,dest=/there", "type=local,dest=/there"),
        ("cache_to", 'type=local,"dest=a, b"', 'type=local,"dest=/base/a, b"'),
        ("cache_from", "app:cache", "app:cache"),
        ("cache_from", "type=registry,ref=app:cache", "type=registry,ref=app:cache"),
    ],
)
def test_paths_start_from_the_file_that_says_them(field: str, entry: str, found: str) -> None:
    assert anchored(field, entry, Path("/base")) == found
