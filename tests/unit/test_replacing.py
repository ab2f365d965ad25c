"""Other images in a Dockerfile's text: put where its own stand, and nowhere else."""

from __future__ import annotations

import random

import pytest

from pytest_dockerkit._spec.dockerfile import parse
from pytest_dockerkit._spec.instructions import read
from pytest_dockerkit._spec.replacing import with_images
from tests.unit.test_instructions_oracle import CORPUS, mutated

NEW = "registry.test:5000/new@sha256:0123"


@pytest.mark.parametrize(
    ("text", "after"),
    [
        ("FROM old", f"FROM {NEW}"),
        ("FROM old\n", f"FROM {NEW}\n"),
        ("from\told\tAS\tb # c\n", "from\told\tAS\tb # c\n"),
        ("from\told\tas\tb\n", f"from\t{NEW}\tas\tb\n"),
        ("  FROM --platform=$X   old   AS b  \r\n", f"  FROM --platform=$X   {NEW}   AS b  \r\n"),
        ("\ufeff# escape=`\nFROM old\n", f"\ufeff# escape=`\nFROM {NEW}\n"),
        ("FROM 'old'\n", f"FROM {NEW}\n"),
        ("ARG V=old\nFROM $V\n", f"ARG V=old\nFROM {NEW}\n"),
        ("ARG V=o\nFROM ${V}ld AS b\n", f"ARG V=o\nFROM {NEW} AS b\n"),
        ("FROM ${V:-old}\n", f"FROM {NEW}\n"),
        ("FROM \\\n  # old\n\n old \\\n AS b\n", f"FROM \\\n  # old\n\n {NEW} \\\n AS b\n"),
        ("FROM o\\\nl\\\nd AS b\n", f"FROM \\\n\\\n{NEW} AS b\n"),
        ("FROM o\\\nld\nRUN x\n", f"FROM \\\n{NEW}\nRUN x\n"),
        ("FROM old\nFROM older\nFROM old:1\nFROM x/old\n", f"FROM {NEW}\nFROM older\nFROM old:1\nFROM x/old\n"),
        ("FROM a\nCOPY --from=old x y\n", f"FROM a\nCOPY --from={NEW} x y\n"),
        ("FROM a\nCOPY --chown=old --from=old old y\n", f"FROM a\nCOPY --chown=old --from={NEW} old y\n"),
        ("FROM a\nADD --from=old x y\n", f"FROM a\nADD --from={NEW} x y\n"),
        ('FROM a\nCOPY --from="old" ["old", "y"]\n', f'FROM a\nCOPY --from={NEW} ["old", "y"]\n'),
        ("FROM a\nCOPY \"--from=old\" x y\n", "FROM a\nCOPY \"--from=old\" x y\n"),
        ('FROM a\nCOPY --"from=old" x y\n', f'FROM a\nCOPY --"from={NEW}" x y\n'),
        ('FROM a\nCOPY --"from=o"ld x y\n', f'FROM a\nCOPY --"from={NEW}" x y\n'),
        ("FROM a\nCOPY --from=o\\\nld x y\n", f"FROM a\nCOPY --from=\\\n{NEW} x y\n"),
        ("FROM a\nCOPY --from=o\\l\\d x y\n", f"FROM a\nCOPY --from={NEW} x y\n"),
        ("FROM a\nCOPY x --from=old y\n", "FROM a\nCOPY x --from=old y\n"),
        ("FROM a\nRUN --mount=from=old,target=/x old\n", f"FROM a\nRUN --mount=from={NEW},target=/x old\n"),
        (
            "FROM a\nRUN --mount=type=bind,source=old,from=old,target=/x --mount=target=/y,from=old x\n",
            f"FROM a\nRUN --mount=type=bind,source=old,from={NEW},target=/x --mount=target=/y,from={NEW} x\n",
        ),
        (
            'FROM a\nRUN --mount=\\"target=/x,y\\",\\"from=old\\",ro x\n',
            f'FROM a\nRUN --mount=\\"target=/x,y\\",\\"from={NEW}\\",ro x\n',
        ),
        ('FROM a\nRUN --mount="from=o"l\'d,t\'arget=/x x\n', f'FROM a\nRUN --mount="from={NEW}"\',t\'arget=/x x\n'),
        ("FROM a\nRUN cp --from=old\n", "FROM a\nRUN cp --from=old\n"),
        ("FROM a\nRUN echo --mount=from=old\n", "FROM a\nRUN echo --mount=from=old\n"),
        ("FROM a\nRUN <<E\nFROM old\nE\nFROM old\n", f"FROM a\nRUN <<E\nFROM old\nE\nFROM {NEW}\n"),
        # A stage that has the name is meant.
        ("FROM a AS old\nFROM old\nCOPY --from=OLD x y\n", "FROM a AS old\nFROM old\nCOPY --from=OLD x y\n"),
        ("FROM old AS old\nFROM old\n", f"FROM {NEW} AS old\nFROM old\n"),
        ("FROM a\nCOPY --from=old x y\nFROM b AS old\n", f"FROM a\nCOPY --from={NEW} x y\nFROM b AS old\n"),
        # What a trigger takes is taken where it is pulled.
        ("FROM a\nONBUILD COPY --from=old x y\n", "FROM a\nONBUILD COPY --from=old x y\n"),
        (
            "FROM a AS b\nONBUILD COPY --from=old x y\nFROM b\nFROM b\n",
            f"FROM a AS b\nONBUILD COPY --from={NEW} x y\nFROM b\nFROM b\n",
        ),
        # What only the builder knows stays.
        ("FROM old-$TARGETARCH\n", "FROM old-$TARGETARCH\n"),
    ],
)  # fmt: skip
def test_an_image_is_put_in_place_of_another(text: str, after: str) -> None:
    assert with_images(text, {"old": NEW}, {}) == after
    assert after.count("\n") == text.count("\n")


def test_build_args_say_which_image_is_meant() -> None:
    text = "ARG V=a\nFROM $V\nARG W=b\nCOPY --from=$W x y\n"
    replaced = {"a": "A:1", "b": "B:1", "c": "C:1"}
    assert with_images(text, replaced, {}) == "ARG V=a\nFROM A:1\nARG W=b\nCOPY --from=B:1 x y\n"
    assert with_images(text, replaced, {"V": "c", "W": "a"}) == "ARG V=a\nFROM C:1\nARG W=b\nCOPY --from=A:1 x y\n"


def test_what_is_read_afterwards_has_the_new_images() -> None:
    text = (
        "# escape=`\nARG V=b\nFROM a AS one\nRUN --mount=from=b,target=/x `\n  # c\n  x\n"
        "FROM ${V}\nCOPY --from=one x y\nCOPY --from=c:1 x y\nFROM d\n"
    )
    replaced = {"a": "x/a:2", "b": "x/b:2", "c:1": "x/c:2", "d": "x/d:2"}
    before, after = parse(text), parse(with_images(text, replaced, {}))
    assert [(each.line, each.name) for each in before.stages] == [(each.line, each.name) for each in after.stages]
    assert [(each.base, *each.takes_from) for each in after.stages] == [
        tuple(replaced.get(name, name) for name in (each.base, *each.takes_from)) for each in before.stages
    ]


def test_nothing_to_replace_leaves_the_text_alone() -> None:
    text = "FROM a\r\nRUN x \\\n"
    assert with_images(text, {}, {}) == text
    assert with_images(text, {"b": NEW}, {}) == text
    assert with_images("", {"b": NEW}, {}) == ""


@pytest.mark.parametrize("seed", range(20))
def test_only_the_images_change_in_spoiled_texts(seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(100):
        text = mutated(chance.choice(CORPUS), chance)
        before = parse(text)
        images = {name for stage in before.stages for name in (stage.base, *stage.takes_from) if "$" not in name}
        replaced = {name: f"registry.test/new:{number}" for number, name in enumerate(sorted(images))}
        after_text = with_images(text, replaced, {})
        after = parse(after_text)
        assert after_text.count("\n") == text.count("\n")
        assert [(each.line, each.last_line, each.keyword) for each in read(after_text).instructions] == [
            (each.line, each.last_line, each.keyword) for each in read(text).instructions
        ], text
        assert [(each.base, *each.takes_from) for each in after.stages] == [
            tuple(
                name if before.earlier(name, each) else replaced.get(name, name)
                for name in (each.base, *each.takes_from)
            )
            for each in before.stages
        ], text
