"""What of a Dockerfile counts for a target: all that a builder heeds, and nothing else."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pytest_dockerkit._spec.counts import what_counts
from pytest_dockerkit._spec.settled import BaseFacts


def counted(text: str, target: str | None = None, **build_args: str) -> str:
    return json.dumps(what_counts(text, target, build_args))


TEXT = """\
# syntax=docker/dockerfile:1
# escape=\\
ARG BASE=busybox
FROM $BASE AS base
ARG WORD=hello
RUN echo $WORD \\
    there
COPY <<EOF /x
# a line
EOF
FROM alpine AS unused
RUN echo unused
FROM base AS out
COPY --from=base /x /y
"""


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("RUN echo unused", "RUN echo other"),
        ("FROM alpine AS unused", "# FROM\nFROM debian AS unused\nCOPY . .\n"),
        ("ARG WORD", "\n# a comment\n\nARG WORD"),
        ("hello", "hello  "),
        ("    there", "# a comment\n\n    there"),
        ("$WORD \\\n    there", "$WORD     there"),
        ("RUN echo $WORD", "run   echo $WORD"),
        ("ARG BASE=busybox", "# a comment\nARG BASE=busybox"),
        ("EOF\nFROM", "EOF\n\n\nFROM"),
        ("FROM base AS out", "\tFROM base AS out"),
    ],
)
def test_what_no_builder_heeds_does_not_count(old: str, new: str) -> None:
    assert TEXT.replace(old, new) != TEXT
    assert counted(TEXT.replace(old, new), "out") == counted(TEXT, "out")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("dockerfile:1", "dockerfile:1.7"),
        ("escape=\\", "escape=`"),
        ("ARG BASE=busybox", "ARG BASE=alpine"),
        ("ARG BASE=busybox", "ARG BASE=busybox\nARG OTHER"),
        ("FROM $BASE AS base", "FROM --platform=linux/arm64 $BASE AS base"),
        ("hello", "bye"),
        ("    there", "   there"),
        ("# a line", "# another line"),
        ("# a line", "# a line "),
        ("# a line\n", "# a line\r\n"),
        ("# a line\n", "# a line\n\n"),
        ("<<EOF", "<<'EOF'"),
        ("<<EOF", "<<-EOF"),
        ("COPY --from=base /x /y", "COPY --from=base /x /y\nCOPY --from=unused /x /y"),
        ("COPY --from=base /x /y", "COPY --from=base /x /y\nLABEL a=b"),
        ("FROM alpine AS unused\nRUN echo unused\nFROM base AS out", "FROM base AS out"),
    ],
)
def test_what_a_builder_heeds_counts(old: str, new: str) -> None:
    assert old in TEXT
    before, after = counted(TEXT, "out"), counted(TEXT.replace(old, new), "out")
    # The last leaves out a stage that is not reached.
    assert (after == before) is new.startswith("FROM base AS out")


def test_the_target_says_which_stages_count() -> None:
    assert counted(TEXT, "out") == counted(TEXT) == counted(TEXT, "OUT")
    assert counted(TEXT, "base") != counted(TEXT, "out")
    assert counted(f"{TEXT}FROM out\n", "out") == counted(TEXT)
    assert counted(TEXT, "none") != counted(TEXT, "nothing")


def test_a_number_means_the_stage_that_it_names() -> None:
    text = "FROM a\nRUN x\nFROM b\nRUN y\nFROM c\nCOPY --from=1 /x /y\n"
    assert counted(text) == counted(text.replace("FROM a\nRUN x", "FROM d"))
    assert counted(text) != counted(f"FROM z\n{text}")
    # It means another stage now, and all the lines that count are the same.
    swapped = "FROM b\nRUN y\nFROM a\nRUN x\nFROM c\nCOPY --from=0 /x /y\n"
    assert counted(text.replace("=1", "=0")) != counted(swapped.replace("=0", "=1"))


def test_a_name_that_becomes_a_stage_counts() -> None:
    text = "FROM a AS one\nFROM b AS two\nCOPY --from=three /x /y\n"
    assert counted(text) != counted(text.replace("AS one", "AS three"))
    assert counted("FROM a AS x\nFROM x") != counted("FROM a AS y\nFROM x")


@pytest.mark.parametrize(
    ("args", "counts"),
    [
        ({"WORD": "bye"}, True),
        ({"BASE": "alpine"}, True),
        ({"BUILDKIT_INLINE_CACHE": "1"}, True),
        ({"SOURCE_DATE_EPOCH": "0"}, True),
        ({"TARGETARCH": "arm64"}, True),
        ({"OTHER": "x"}, False),
        ({"word": "x"}, False),
        ({"HTTP_PROXY": "x"}, False),
    ],
)
def test_build_args_count_where_something_declares_them(args: dict[str, str], *, counts: bool) -> None:
    assert (counted(TEXT, "out", **args) != counted(TEXT, "out")) is counts


def test_build_args_of_other_stages_do_not_count() -> None:
    text = "FROM a AS one\nARG X\nFROM b AS two\nARG Y\n"
    assert counted(text, "one", X="1", Y="1") == counted(text, "one", X="1", Y="2")
    assert counted(text, "one", X="1", Y="1") != counted(text, "one", X="2", Y="1")
    assert counted("FROM a\nARG $N=1\n", None, X="1") != counted("FROM a\nARG $N=1\n", None, X="2")


def test_build_args_of_triggers_count_where_they_are_pulled() -> None:
    text = "FROM a AS one\nONBUILD ARG X\nFROM one AS two\n"
    assert counted(text, "one", X="1") == counted(text, "one", X="2")
    assert counted(text, "two", X="1") != counted(text, "two", X="2")


@pytest.mark.parametrize(
    ("facts", "counts"),
    [
        (None, False),
        ({}, True),
        ({"a": BaseFacts(frozenset(), onbuild=False)}, False),
        ({"a": BaseFacts(frozenset(), onbuild=True)}, True),
    ],
)
def test_an_image_s_own_triggers_may_use_any_build_arg(facts: Any, *, counts: bool) -> None:
    text = "FROM a AS one\nFROM scratch AS two\nFROM one\nCOPY --from=two x y\n"
    assert (what_counts(text, None, {"X": "1"}, facts) != what_counts(text, None, {}, facts)) is counts


def test_the_target_s_name_counts_where_it_is_asked_for() -> None:
    text = "FROM a AS one\nARG TARGETSTAGE\nFROM one AS two\n"
    assert counted(text, "two") == counted(text)
    assert counted("FROM a AS two\nFROM two AS three", "two") == counted("FROM a AS two", "two")
    assert counted(text, "one") != counted(text.replace("one", "six"), "six")


def test_of_what_another_builder_reads_all_counts() -> None:
    text = "# syntax=someone/else\nFROM a\n# a comment\n"
    assert counted(text) != counted(text.replace("a comment", "another"))
    assert counted(text, "x") != counted(text, "y")
    assert counted(text, X="1") != counted(text, X="2")
