"""What of its context a build uses: never less than it takes, and the whole where it cannot be known."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from pytest_dockerkit._spec.uses import WHOLE, BaseFacts, Uses, context_uses

PLAIN = BaseFacts(frozenset({"PATH"}), onbuild=False)
BASES = {"a": PLAIN, "b": PLAIN, "c": BaseFacts(frozenset({"PATH", "HOME", "X"}), onbuild=False)}


def patterns(text: str, target: str | None = None, **build_args: str) -> tuple[str, ...] | None:
    return context_uses(text, target, build_args, BASES).patterns


SOURCES: list[tuple[str, tuple[str, ...] | None]] = [
    # Paths.
    ("COPY x /y", ("x",)),
    ("copy x /y", ("x",)),
    ("ADD x /y", ("x",)),
    ("COPY x y z/", ("x", "y")),
    ("COPY\tx\ty\tz/", ("x", "y")),
    ("COPY x x z/", ("x",)),
    ("COPY /x ./y /z/", ("x", "y")),
    ("COPY x/ y/. /z/", ("x", "y")),
    ("COPY x//y ./x/./z /w/", ("x/y", "x/z")),
    ("COPY ../x a/../b a/../../c /z/", ("x", "b", "c")),
    ("COPY . /y", None),
    ("COPY / /y", None),
    ("COPY ./ /y", None),
    ("COPY .. /y", None),
    ("COPY a/.. /y", None),
    ("COPY x . /y", None),
    ("COPY .x /y", (".x",)),
    ("COPY ünï /y", ("ünï",)),
    # Words.
    ("COPY 'x' \"y\" z\\ w /v/", ("x", "y", "z", "w")),
    ("COPY 'x y' /z", None),
    ('COPY ["x y", "z", "/w/"]', ("x y", "z")),
    ('COPY ["\'x y\'", "/w/"]', ("x y",)),
    ('COPY [ "x" , "/w/" ]', ("x",)),
    ('COPY ["x", 1]', None),
    ('COPY ["xx","/w/"] y', None),
    ('COPY ["xx", "/w/"', None),
    ("COPY x \\\n  y \\\n\n  # z\n  /w/", ("x", "y")),
    ("COPY x\xa0y /z", ("x\xa0y",)),
    ("COPY x", None),
    ("COPY", None),
    # Wildcards.
    ("COPY *.txt /y", ("*.txt",)),
    ("COPY x/*/z?[a-c] /y", ("x/*/z?[a-c]",)),
    ("COPY * /y", ("*",)),
    ("COPY ** /y", ("*",)),
    ("COPY x/**/y /z", ("x/*/y",)),
    ("COPY x\\*y /z", ("x*y",)),
    ("COPY x[*]y /z", ("x[*]y",)),
    ("COPY x\\\\*y /z", ("x\\\\\\*y", "x\\*y")),
    ("COPY x\\\\y/*.z /w", ("x\\\\y/*.z", "x\\y/*.z")),
    ("COPY [x /y", None),
    ("COPY []x] /y", None),
    ("COPY [^-x] /y", None),
    # Flags.
    ("COPY --link --chmod=755 --chown=1:1 x /y", ("x",)),
    ("COPY --exclude=*.md --exclude=z x /y", ("x",)),
    ("ADD --checksum=sha256:0 --keep-git-dir=true --unpack=false x /y", ("x",)),
    ("COPY --from=b x /y", ()),
    ("COPY --from=0 x /y", ()),
    ("COPY --from= x /y", ("x",)),
    ("COPY -- --x /y", ("--x",)),
    ("COPY --newest x /y", None),
    ("COPY --link=$X x /y", ("x",)),
    # Parents.
    ("COPY --parents x/y z /w/", ("x/y", "z")),
    ("COPY --parents=true x/y /w/", ("x/y",)),
    ("COPY --parents=false x/**/y /w/", ("x/*/y",)),
    ("COPY --parents x/./y/z /w/", ("x/y/z",)),
    ("COPY --parents x/./. /w/", ("x",)),
    ("COPY --parents ./x/./y*/z /w/", ("x/y*/z",)),
    ("COPY --parents x/**/y /w/", ("x/**/y",)),
    ("COPY --parents **/y.json /w/", ("**/y.json",)),
    ("COPY --parents x/** /w/", ("x",)),
    ("COPY --parents x/**.txt /w/", ("x/**/*.txt",)),
    ("COPY --parents x/a**b/c /w/", ("x/a*",)),
    ("COPY --parents x/[a]/c /w/", ("x",)),
    ("COPY --parents ** /w/", None),
    ("COPY --parents . /w/", None),
    ("COPY --parents x/./../y /w/", None),
    ("COPY --parents !x /w/", None),
    # Not of the context.
    ("ADD https://x.test/y http://x.test/z /w/", ()),
    ("ADD https://x.test/y.git ssh://git@x.test/y git://x.test/z /w/", ()),
    ("ADD https://x.test/y x /w/", ("x",)),
    ("COPY <<EOF /x\nCOPY y /z\nEOF", ()),
    ("COPY <<A <<-'B' x /y/\nA\n\tCOPY z /w\n\tB", ("x",)),
    ("RUN cp x y", ()),
    ("RUN <<EOF\nCOPY x y\nEOF", ()),
    ('LABEL x=y\nWORKDIR /x\nCMD ["x"]\nHEALTHCHECK --interval=1s CMD x\nONBUILD COPY . /x', ()),
    ("NONSENSE x", None),
    ("FROM a AS", None),
    # Mounts.
    ("RUN --mount=type=bind,source=x,target=/y z", ("x",)),
    ("RUN --mount=src=./x/../y,target=/y z", ("y",)),
    ("RUN --mount=target=/y,SOURCE=/x/ z", ("x",)),
    ("RUN --mount=source=x*,target=/y z", ("x\\*",)),
    ("RUN --mount=type=bind,target=/y z", None),
    ("RUN --mount=type=bind,source=.,target=/y z", None),
    ("RUN --mount=type=bind,source=x/..,target=/y z", None),
    ("RUN --mount=type=bind,from=b,target=/y z", ()),
    ("RUN --mount=type=bind,from=,source=x,target=/y z", ("x",)),
    ("RUN --mount=type=cache,target=/y z", ()),
    ("RUN --mount=type=cache,source=x,target=/y z", ()),
    ("RUN --mount=type=tmpfs,target=/y --mount=type=secret,id=y --mount=type=ssh z", ()),
    ("RUN --mount=type=new,target=/y z", None),
    ("RUN --mount=type=$X,target=/y z", None),
    ("RUN --mount=source=x,target=/y --mount=type=bind,source=z,target=/z,rw w", ("x", "z")),
    ('RUN --mount=type=bind,\\"source=x,y\\",target=/z w', ("x,y",)),
    ("RUN --mount=source=x\\\\y,target=/z w", None),
    ("RUN --network=none --security=insecure x", ()),
    ("RUN --newest=x y", None),
]


@pytest.mark.parametrize(("text", "found"), SOURCES, ids=[each[0] for each in SOURCES])
def test_the_sources_of_a_stage_are_used(text: str, found: tuple[str, ...] | None) -> None:
    assert patterns(f"FROM a\n{text}\n") == found


VARIABLES: list[tuple[str, tuple[str, ...] | None]] = [
    ("ARG V=x\nCOPY $V ${V}y /z/", ("x", "xy")),
    ("ARG V='x y'\nCOPY $V /z/", ("x y",)),
    ("ARG V=x W=z\nCOPY $V/$W /z/", ("x/z",)),
    ("ARG V=x\nARG W=$V/y\nCOPY $W /z/", ("x/y",)),
    ("ARG V=x\nCOPY ${V:-y} ${V:+z} ${V-w} /v/", ("x", "z")),
    ("ARG V=\nCOPY ${V:-y} /z/", ("y",)),
    ("ARG V=x\nCOPY ${W:+y} /z/", None),
    ("ARG V=x\nCOPY \\$V '$V' /z/", ("$V",)),
    ("ARG V=*.txt\nCOPY $V /z/", ("*.txt",)),
    ("ARG V=.\nCOPY $V /z/", None),
    ("ARG V=\nCOPY $V /z/", None),
    ("ARG V=x\nCOPY x /z/$V", ("x",)),
    ("COPY x /z/$V", ("x",)),
    ("ARG V=https://x.test\nADD $V/y /z/", ()),
    ("ARG V=x\nRUN --mount=source=$V,target=/y z", ("$V", "x")),
    ("ENV V=x\nCOPY $V /z/", ("x",)),
    ("ENV V x y\nCOPY $V /z/", ("x y",)),
    ('ENV V=x W="y z"\nCOPY $V/$W /z/', ("x/y z",)),
    ("ENV V=x\nENV V=y W=$V\nCOPY $W /z/", ("x",)),
    ("ARG V=x\nENV V=$V/y\nCOPY $V /z/", ("x/y",)),
    ("ARG V=x\nENV W=$V\nCOPY $W /z/", ("x",)),
    # The builders do not agree, or only they know.
    ("COPY $V /z/", None),
    ("COPY x $V /z/", None),
    ("ARG V\nCOPY $V /z/", None),
    ("ARG V\nCOPY ${V:-x} /z/", None),
    ("COPY $V /z/\nARG V=x", None),
    ("ENV V=$W\nCOPY $V /z/", None),
    ("ENV V=x\nARG V=y\nCOPY $V /z/", None),
    ("ENV V=x\nARG V=x\nCOPY $V /z/", ("x",)),
    ("ENV V=x\nARG V\nCOPY $V /z/", ("x",)),
    ("ARG V=x\nARG V\nCOPY $V /z/", None),
    ("ARG V=x W=$V\nCOPY $W /z/", None),
    ("ARG V=x\nARG V=$V/y\nCOPY $V /z/", ("x/y",)),
    ("ARG PATH=x\nCOPY $PATH /z/", None),
    ("ARG TARGETARCH=x\nCOPY $TARGETARCH /z/", None),
    ("ARG TARGETPLATFORM\nCOPY $TARGETPLATFORM /z/", None),
    ("ARG V=$TARGETARCH\nCOPY $V /z/", None),
    ("ARG V=x\nCOPY ${V#y} /z/", None),
    ("ARG V=x\nCOPY ${V%y} /z/", None),
    ("ARG V=x\nCOPY ${V/x/y} /z/", None),
    ("ARG V=x\nCOPY ${V /z/", None),
    ("ARG V=x\nCOPY \"$V /z/", None),
    ("ENV $V=x W=y\nCOPY $W /z/", None),
    ("ARG $V=x W=y\nCOPY $W /z/", None),
    ("ENV V\nCOPY x /z/", None),
    ("ENV V=x y\nCOPY x /z/", None),
    ("ARG V=x\nCOPY $1 /z/", None),
]  # fmt: skip


@pytest.mark.parametrize(("text", "found"), VARIABLES, ids=[each[0] for each in VARIABLES])
def test_variables_count_where_their_values_are_known(text: str, found: tuple[str, ...] | None) -> None:
    assert patterns(f"FROM a\n{text}\n") == found


def test_build_args_win_over_defaults() -> None:
    text = "ARG OUTER=x\nFROM a\nARG V=y\nARG OUTER\nCOPY $V $OUTER /z/\n"
    assert patterns(text) == ("y", "x")
    assert patterns(text, V="w", OUTER="v") == ("w", "v")
    assert patterns("FROM a\nCOPY $V /z/\n", V="w") is None
    assert patterns("ARG V=x\nFROM a\nCOPY $V /z/\n") is None
    assert patterns("ARG V=$TARGETARCH\nFROM a\nARG V\nCOPY $V /z/\n") is None
    assert patterns("FROM a\nENV V=x\nARG V=y\nCOPY $V /z/\n", V="x") == ("x",)


def test_what_the_image_sets_is_not_known() -> None:
    assert patterns("FROM c\nARG X=y\nCOPY $X /z/\n") is None
    assert patterns("FROM c\nENV X=y\nCOPY $X /z/\n") == ("y",)
    assert patterns("FROM c\nARG Y=y\nCOPY $Y /z/\n") == ("y",)
    assert patterns("FROM c AS d\nFROM d\nARG X=y\nCOPY $X /z/\n") is None
    assert patterns("FROM scratch\nARG X=y\nCOPY $X /z/\n") == ("y",)


def test_what_a_stage_sets_holds_for_those_that_stand_on_it() -> None:
    below = "FROM a AS below\nENV V=x\nARG W=y\nFROM below\n"
    assert patterns(f"{below}COPY $V /z/\n") == ("x",)
    assert patterns(f"{below}COPY $W /z/\n") is None
    assert patterns(f"{below}ARG W=w\nCOPY $W /z/\n") == ("w",)
    assert patterns(f"{below}ARG V=w\nCOPY $V /z/\n") is None
    assert patterns("FROM a AS below\nENV V=x\nFROM a\nCOPY $V /z/\n") is None
    assert patterns("FROM a AS below\nCOPY $V /z/\nENV V=x\nFROM below\n") is None


def test_an_image_that_is_not_known_may_do_anything() -> None:
    text = "FROM elsewhere\nCOPY x /y\n"
    assert context_uses(text, None, {}, {}) == WHOLE
    assert context_uses(text, None, {}, {"elsewhere": PLAIN}) == Uses(("x",))
    assert context_uses(text, None, {}, {"elsewhere": BaseFacts(frozenset(), onbuild=True)}) == WHOLE
    assert context_uses("FROM a-$TARGETARCH\nCOPY x /y\n", None, {}, BASES) == WHOLE
    # It is copied from, and so does nothing of its own.
    assert context_uses("FROM a\nCOPY --from=elsewhere x /y\nCOPY z /w\n", None, {}, BASES) == Uses(("z",))


def test_triggers_of_a_stage_may_take_anything() -> None:
    text = "FROM a AS below\nONBUILD COPY x /y\nCOPY z /w\nFROM below AS out\nCOPY v /u\nFROM a AS aside\nCOPY t /s\n"
    assert patterns(text, "below") == ("z",)
    assert patterns(text, "out") is None
    assert patterns(text, "aside") == ("t",)
    assert patterns(f"{text}FROM a\nCOPY --from=below /x /y\n") == ("z",)


STAGES = """\
ARG KIND=one
FROM a AS base
COPY base.txt /
FROM base AS one
COPY one.txt /
FROM b AS two
COPY two.txt /
RUN --mount=from=One,target=/x true
FROM a AS Three
COPY three.txt /
COPY --from=TWO /x /y
FROM $KIND AS four
COPY --from=4 /x /y
"""


@pytest.mark.parametrize(
    ("target", "args", "found"),
    [
        ("base", {}, ("base.txt",)),
        ("one", {}, ("base.txt", "one.txt")),
        ("two", {}, ("base.txt", "one.txt", "two.txt")),
        ("three", {}, ("base.txt", "one.txt", "two.txt", "three.txt")),
        ("four", {}, ("base.txt", "one.txt")),
        ("FOUR", {"KIND": "base"}, ("base.txt",)),
        (None, {"KIND": "b"}, ()),
        ("none", {}, None),
    ],
)
def test_only_stages_that_are_reached_count(
    target: str | None, args: Mapping[str, str], found: tuple[str, ...] | None
) -> None:
    assert patterns(STAGES, target, **args) == found


@pytest.mark.parametrize(
    ("head", "whole"),
    [
        ("# syntax=docker/dockerfile:1", False),
        ("#syntax = docker.io/docker/dockerfile-upstream:1.7-labs some more", False),
        ("# syntax=registry.test:5000/mirror/docker/dockerfile@sha256:0", False),
        ("# SYNTAX=docker/dockerfile", False),
        ("#!/usr/bin/env tool\n# syntax=docker/dockerfile:1", False),
        ("# hello\n# syntax=someone/else", False),
        ("# syntax=someone/else", True),
        ("# syntax=someone/docker/dockerfile-not", True),
        ("# escape=`\n# syntax=someone/else", True),
        ("#!/usr/bin/env tool\n# syntax=someone/else", True),
        ("// syntax=someone/else", True),
        ("\ufeff# syntax=someone/else", True),
    ],
)
def test_another_builder_may_take_anything(head: str, whole: bool) -> None:
    assert (patterns(f"{head}\nFROM a\nCOPY x /y\n") is None) is whole


def test_build_args_may_name_another_builder() -> None:
    assert patterns("FROM a\nCOPY x /y\n", BUILDKIT_SYNTAX="someone/else") is None
    assert patterns("# syntax=someone/else\nFROM a\nCOPY x /y\n", BUILDKIT_SYNTAX="docker/dockerfile:1") == ("x",)
    assert patterns('{"syntax": "someone/else"}') is None


def test_the_escape_of_a_dockerfile_is_heeded() -> None:
    assert patterns("# escape=`\nFROM a\nCOPY x\\y z`\n  w /v/\n") == ("x\\\\y", "x\\y", "z", "w")
    assert patterns("# escape=`\nFROM a\nCOPY x `\n  y /z/\n") == ("x", "y")
    assert patterns("# escape=`\nFROM a\nCOPY x`$y /z/\n") == ("x$y",)


def test_what_is_used_is_what_matches_and_what_lies_below() -> None:
    uses = Uses(("x", "y/*.txt", "z/*/w"))
    assert [uses.takes(path) for path in ("x", "x/y", "x/y/z", "xy", "y", "y/a.txt", "y/a.md", "y/b/a.txt")] == [
        True, True, True, False, True, True, False, False,
    ]  # fmt: skip
    assert [uses.takes(path) for path in ("z", "z/a", "z/a/w", "z/a/w/b", "z/w")] == [True, False, True, True, False]
    assert [uses.names(path) for path in ("x", "x/y", "y", "y/a.txt", "z/a/w", "z/a/w/b")] == [
        True, False, False, True, True, False,
    ]  # fmt: skip
    assert [uses.leads_to(path) for path in ("x", "x/y", "y", "y/a", "y/a.txt", "z", "z/a", "z/a/b", "a")] == [
        True, False, True, False, True, True, True, False, False,
    ]  # fmt: skip


@pytest.mark.parametrize("path", ["x", "x/y", ".", "x\ny"])
def test_the_whole_context_is_used(path: str) -> None:
    assert WHOLE.takes(path)
    assert WHOLE.names(path)
    assert WHOLE.leads_to(path)


@pytest.mark.parametrize("path", ["x", "x/y", "."])
def test_nothing_is_used(path: str) -> None:
    assert not Uses(()).takes(path)
    assert not Uses(()).names(path)
    assert not Uses(()).leads_to(path)


def test_any_depth_is_used() -> None:
    uses = Uses(("**/x.json", "y/**/z"))
    assert [uses.takes(path) for path in ("x.json", "a/x.json", "a/b/x.json", "a/x.json/b", "ax.json")] == [
        True, True, True, True, False,
    ]  # fmt: skip
    assert [uses.takes(path) for path in ("y", "y/z", "y/a/b/z", "yz", "z")] == [True, True, True, False, False]
    assert uses.leads_to("a/b/c")
    assert not uses.names("a/b/c")


LINKS = {
    "to-dir": "dir",
    "to-file": "file",
    "twice": "to-dir",
    "dir/up": "../other",
    "abs": "/dir/sub",
    "out": "../../../other",
    "self": "self",
    "grows": "grows/more",
    "back": "dir/../other",
    "root": ".",
}


@pytest.mark.parametrize(
    ("patterns", "more"),
    [
        (("file",), ()),
        (("to-file",), ("file",)),
        (("to-dir",), ("dir",)),
        (("to-dir/x",), ("to-dir", "dir/x")),
        (("twice/*.txt",), ("twice", "to-dir/*.txt", "to-dir", "dir/*.txt")),
        (("dir/*",), ("dir/up", "other")),
        (("dir",), ()),
        (("dir/up/x",), ("dir/up", "other/x")),
        (("twice/up/x",), ("twice", "to-dir/up/x", "to-dir", "dir/up/x", "dir/up", "other/x")),
        (("abs/x", "out/x"), ("abs", "dir/sub/x", "out", "other/x")),
        (("self",), ()),
        (("self/x",), ("self",)),
        (("*/up",), ("dir/up", "other")),
    ],
)
def test_links_that_are_sources_are_followed(patterns: tuple[str, ...], more: tuple[str, ...]) -> None:
    links = {name: target for name, target in LINKS.items() if name not in ("grows", "back", "root")}
    if patterns == ("*/up",):
        links = {"dir/up": "../other"}
    found = Uses(patterns).through(links).patterns
    assert found is not None
    assert set(found) == {*patterns, *more}


def test_links_that_may_lead_anywhere_take_the_whole() -> None:
    assert Uses(("grows/x",)).through(LINKS) == WHOLE
    assert Uses(("back",)).through(LINKS) == WHOLE
    assert Uses(("root",)).through(LINKS) == WHOLE
    assert Uses(("root/file",)).through(LINKS) == Uses(("root/file", "file", "root"))
    assert WHOLE.through(LINKS) == WHOLE
    assert Uses(("x",)).through({}) == Uses(("x",))


def test_a_class_may_match_a_slash() -> None:
    """Go's filepath.Match has it so, and the builders with it."""
    uses = Uses(("a[^q]b", "c[.-0]d"))
    assert uses.takes("a/b")
    assert uses.takes("axb/c")
    assert uses.takes("c/d")
    assert uses.leads_to("a")
    assert uses.leads_to("c")
    assert uses.through({"x": "y"}) == WHOLE
    assert Uses(("a/[^q]",)).through({"b": "a"}) == Uses(("a/[^q]",))
    assert not uses.takes("a/q")
