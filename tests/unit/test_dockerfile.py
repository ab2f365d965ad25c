"""What is read of a Dockerfile: its stages, and what they stand on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pytest_dockerkit import ImageSpec
from pytest_dockerkit._engine.builders.needs import beyond_classic
from pytest_dockerkit._spec.dockerfile import parse, without_unneeded_stages
from tests.unit.refusals import refusal


def bases(text: str, **build_args: str) -> list[str]:
    return [stage.base for stage in parse(text, build_args).stages]


STAGES: list[tuple[str, str, list[Any]]] = [
    ("one", "FROM a", [("a", None, 1)]),
    ("named", "FROM a AS b\nRUN x\nFROM c\n", [("a", "b", 1), ("c", None, 3)]),
    ("lower case", "from a as b\n", [("a", "b", 1)]),
    ("tabs", "FROM\ta\tAS\tb\n\tFROM c\n", [("a", "b", 1), ("c", None, 2)]),
    (
        "platform",
        "FROM --platform=$BUILDPLATFORM a AS b\nFROM --platform=linux/arm64   c\n",
        [("a", "b", 1), ("c", None, 2)],
    ),
    ("DOS lines", "FROM a AS b\r\nRUN x \\\r\n y\r\nFROM c\r\n", [("a", "b", 1), ("c", None, 4)]),
    ("byte order mark", "\ufeffFROM a\n", [("a", None, 1)]),
    ("a form feed ends no line", "FROM a\nRUN x\x0cFROM b\nLABEL x=\u2028FROM b\n", [("a", None, 1)]),
    ("nothing", "", []),
    ("comments", "# FROM a\n  # FROM b\n", []),
    ("malformed", "FROM a # comment\n", []),
    # Continuation lines.
    ("continued", "FROM a \\\n AS \\\n  b\nFROM c", [("a", "b", 1), ("c", None, 4)]),
    ("continued in a word", "FROM busy\\\nbox AS x\n", [("busybox", "x", 1)]),
    ("continued, not a stage", "FROM a\nRUN x \\\nFROM b\n", [("a", None, 1)]),
    ("blank after the escape", "FROM a\nRUN x \\ \t\n  FROM z\nFROM b\n", [("a", None, 1), ("b", None, 4)]),
    ("comment within", "FROM a\nRUN x \\\n # FROM c\n# y \\\n  FROM z\nFROM d\n", [("a", None, 1), ("d", None, 6)]),
    ("empty line within", "FROM a\nRUN x \\\n\n  FROM z\nFROM d\n", [("a", None, 1), ("d", None, 5)]),
    ("escaped escape", "FROM a\nRUN x \\\\\nFROM b\n", [("a", None, 1), ("b", None, 3)]),
    ("continued at the end", "FROM a\nRUN x \\", [("a", None, 1)]),
    # The escape directive.
    ("escape", "# escape=`\nFROM a\nCOPY x c:\\\nRUN y `\n  FROM z\nFROM b\n", [("a", None, 2), ("b", None, 6)]),
    (
        "escape after syntax",
        "# syntax=docker/dockerfile:1\n#ESCAPE = `\nFROM a\nRUN x \\\nFROM b\n",
        [("a", None, 3), ("b", None, 5)],
    ),
    ("escape too late", "# hello\n# escape=`\nFROM a\nRUN x \\\n  FROM b\n", [("a", None, 3)]),
    (
        "escape after another comment's name",
        "# key=value\n# escape=`\nFROM a\nRUN x \\\n  FROM b\n",
        [("a", None, 3)],
    ),
    ("escape after an empty line", "\n# escape=`\nFROM a\nRUN x \\\n  FROM b\n", [("a", None, 3)]),
    # Heredocs.
    ("heredoc", "FROM a\nRUN <<EOF\nFROM x\nEOF\nFROM b\n", [("a", None, 1), ("b", None, 5)]),
    (
        "two heredocs",
        "FROM a\nCOPY <<A <<-B /x/\nFROM q\nA\n\tFROM z\n\tB\nFROM b\n",
        [("a", None, 1), ("b", None, 7)],
    ),
    (
        "quoted heredoc",
        "FROM a\nRUN <<'E' cat\nFROM q\nE\nRUN <<\"F\"\nFROM q\nF\nFROM b\n",
        [("a", None, 1), ("b", None, 8)],
    ),
    ("numbered heredoc", "FROM a\nRUN python 3<<E\nFROM q\nE\nFROM b\n", [("a", None, 1), ("b", None, 5)]),
    (
        "any word ends a heredoc",
        "FROM a\nADD <<my-file.txt /x\nFROM q\nmy-file.txt\nFROM b\n",
        [("a", None, 1), ("b", None, 5)],
    ),
    ("an indented word ends none", "FROM a\nRUN <<E\n  E\nFROM q\nE\nFROM b\n", [("a", None, 1), ("b", None, 6)]),
    (
        "heredoc after a continuation",
        "FROM a\nRUN x && \\\n <<E\nFROM q\nE\nFROM b\n",
        [("a", None, 1), ("b", None, 6)],
    ),
    ("no continuation within a heredoc", "FROM a\nRUN <<E\nx \\\nE\nFROM b\n", [("a", None, 1), ("b", None, 5)]),
    ("DOS heredoc", "FROM a\r\nRUN <<E\r\nFROM q\r\nE\r\nFROM b\r\n", [("a", None, 1), ("b", None, 5)]),
    ("here string", "FROM a\nRUN cat <<<x\nFROM b\n", [("a", None, 1), ("b", None, 3)]),
    ("quoted, no heredoc", "FROM a\nRUN echo \"1 <<EOF\" '2 <<EOF'\nFROM b\n", [("a", None, 1), ("b", None, 3)]),
    ("shift, no heredoc", "FROM a\nRUN echo $((1<<X))\nFROM b\n", [("a", None, 1), ("b", None, 3)]),
    ("no heredoc elsewhere", "FROM a\nLABEL x=<<E\nFROM b\n", [("a", None, 1), ("b", None, 3)]),
    ("a heredoc's word apart", "FROM a\nRUN cat << EOF\nFROM q\nEOF\nFROM b\n", [("a", None, 1), ("b", None, 5)]),
    ("no heredoc in a JSON list", 'FROM a\nRUN ["cat", "<<E"]\nFROM b\n', [("a", None, 1), ("b", None, 3)]),
    ("no heredoc behind an open quote", "FROM a\nRUN echo it's <<E\nFROM b\n", [("a", None, 1), ("b", None, 3)]),
    (
        "a heredoc behind a shell's variable",
        "FROM a\nRUN x ${y:=z} <<E\nFROM q\nE\nFROM b\n",
        [("a", None, 1), ("b", None, 5)],
    ),
    ("heredoc of a trigger", "FROM a\nONBUILD RUN <<E\nFROM q\nE\nFROM b\n", [("a", None, 1), ("b", None, 5)]),
    ("open heredoc", "FROM a\nRUN <<E\nFROM b\n", [("a", None, 1)]),
]


@pytest.mark.parametrize(("text", "stages"), [each[1:] for each in STAGES], ids=[each[0] for each in STAGES])
def test_the_stages_are_found(text: str, stages: list[Any]) -> None:
    assert [(stage.base, stage.name, stage.line) for stage in parse(text).stages] == stages


@pytest.mark.parametrize(
    ("head", "base", "means"),
    [
        ("ARG V=1", "a:$V", "a:1"),
        ("ARG V=1", "a:${V}", "a:1"),
        ("ARG V=1", "a:$Vx", "a:"),
        ("ARG V", "a:$V", "a:"),
        ("ARG V='1'", "a:$V", "a:1"),
        ('ARG V="1"', "a:$V", "a:1"),
        ("ARG V=1 W=2", "a:$V$W", "a:12"),
        ("ARG V=1\nARG W=${V}2", "a:$W", "a:12"),
        ("ARG V=1\narg V=2", "a:$V", "a:2"),
        ("", "${V:-b}", "b"),
        ("", "${V-b}", "b"),
        ("ARG V=", "${V:-b}", "b"),
        ("ARG V=", "x${V-b}", "x"),
        ("ARG V=1", "${V:-b}", "1"),
        ("ARG V=1", "${V:+b}", "b"),
        ("ARG V=1", "x${W:+b}", "x"),
        ("", "${V:-reg.test:5000/a:1}", "reg.test:5000/a:1"),
        ("ARG W=w", "${V:-$W}", "w"),
        ("ARG W=w", "${V:-${W:-c}}", "w"),
        ("", "${V:-${W:-c}}", "c"),
        ("ARG V=1", "${V:-${W:-c}}", "1"),
        ("", "build-$TARGETARCH", "build-$TARGETARCH"),
        ("", "build-${TARGETOS}${TARGETVARIANT}", "build-${TARGETOS}${TARGETVARIANT}"),
        ("ARG TARGETARCH=arm64", "build-$TARGETARCH", "build-arm64"),
        ("", "'a:1'", "a:1"),
        ('ARG V="1 2" W=3', "a:$W", "a:3"),
        ("ARG V=a\\ b W=3", "a:$W", "a:3"),
        ("ARG V=1", "a\\$V", "a$V"),
        ("ARG V=1", "a:${V#1}", "a:${V#1}"),
        ("ARG V=1", "a:${V/1/2}", "a:${V/1/2}"),
        ("ARG V=1", "a:${V", "a:${V"),
        ("", "${V:?unset}", "${V:?unset}"),
    ],
)
def test_variables_are_put_into_a_base(head: str, base: str, means: str) -> None:
    assert bases(f"{head}\nFROM {base}\n") == [means]


def test_build_args_win_over_defaults_of_args_that_are_declared() -> None:
    text = "ARG V=1\nARG W\nFROM a:$V-$W-${X:-x}\n"
    assert bases(text, V="9", W="8", X="7") == ["a:9-8-x"]
    assert bases("ARG V=1\nFROM a\nARG V=2\nFROM b:$V\n") == ["a", "b:1"]


SOURCES: list[tuple[str, tuple[str, ...]]] = [
    ("COPY --from=b x y", ("b",)),
    ("copy --from=b x y", ("b",)),
    ("COPY\t--from=b x y", ("b",)),
    ("COPY --chown=1:1 --from=busybox:1 x y", ("busybox:1",)),
    ('COPY --from=b ["x", "y"]', ("b",)),
    ('COPY --from="b" x y', ("b",)),
    ("COPY \\\n  --from=b x y", ("b",)),
    ("COPY --from=$V x y", ("z",)),
    ("COPY --from=0 x y", ("0",)),
    ("ADD --from=b x y", ("b",)),
    ("COPY x --from=b y", ()),
    ("COPY x y", ()),
    ("COPY --from= x y", ()),
    ("COPY --from=b\\ c x y", ("b c",)),
    ("COPY -- --from=b x", ()),
    ('RUN --mount=type=bind,\\"source=a,from=c\\",from=b,target=/x cmd', ("b",)),
    ("RUN --mount=TYPE=bind,FROM=b,target=/x cmd", ("b",)),
    ("RUN --mount=type=bind,from=,target=/x cmd", ()),
    ("RUN --mount=type=bind,from=b,target=/x --mount=type=cache,target=/y,from=c cmd", ("b", "c")),
    ("RUN --mount=from=b,target=/x cmd", ("b",)),
    ("RUN --network=none --mount=type=bind,target=/x,from='b' cmd", ("b",)),
    ("RUN --mount=type=bind,source=from=b,target=/x cmd", ()),
    ("RUN --mount=type=secret,id=from cmd", ()),
    ("RUN echo --mount=from=b", ()),
    ("RUN cp --from=b", ()),
    ("LABEL x=--from=b", ()),
    ("ONBUILD COPY --from=b x y", ()),
]


@pytest.mark.parametrize(("instruction", "sources"), SOURCES, ids=[each[0] for each in SOURCES])
def test_what_a_stage_copies_and_mounts_from_is_found(instruction: str, sources: tuple[str, ...]) -> None:
    assert parse(f"ARG V=z\nFROM a\n{instruction}\n").stages[0].takes_from == sources


SHOP = """\
ARG BASE=busybox:stable
FROM $BASE AS base
FROM base AS data
FROM redis:7 AS unused
COPY --from=alpine:3 /x /y
FROM Base AS client
COPY --from=DATA /x /y
FROM scratch AS api
RUN --mount=type=bind,from=client,target=/x true
COPY --from=nginx:1 /a /b
FROM api
"""


@pytest.mark.parametrize(
    ("target", "needed", "images"),
    [
        ("base", ["base"], ("busybox:stable",)),
        ("BASE", ["base"], ("busybox:stable",)),
        ("data", ["base", "data"], ("busybox:stable",)),
        ("unused", ["unused"], ("redis:7", "alpine:3")),
        ("client", ["base", "data", "client"], ("busybox:stable",)),
        ("api", ["base", "data", "client", "api"], ("busybox:stable", "nginx:1")),
        ("4", ["base", "data", "client", "api"], ("busybox:stable", "nginx:1")),
        ("5", ["base", "data", "client", "api", None], ("busybox:stable", "nginx:1")),
        (None, ["base", "data", "client", "api", None], ("busybox:stable", "nginx:1")),
    ],
)
def test_only_what_a_target_reaches_is_needed(
    target: str | None, needed: list[str | None], images: tuple[str, ...]
) -> None:
    shop = parse(SHOP)
    assert [stage.name for stage in shop.needed(target)] == needed
    assert shop.base_images(target) == images
    if target not in ("4", "5"):
        shop.check_target(target, "Dockerfile")


def test_a_stage_sees_only_those_before_it() -> None:
    assert parse("FROM busybox AS busybox\nFROM busybox\n").base_images(None) == ("busybox",)
    assert parse("FROM b AS a\nFROM c AS b\n").base_images("a") == ("b",)
    assert parse("FROM a AS a\nCOPY --from=a x y\n").base_images(None) == ("a",)
    assert parse("FROM x\nFROM y\nCOPY --from=0 a b\n").base_images(None) == ("x", "y")


def test_a_name_that_is_given_twice_means_the_last() -> None:
    text = "FROM a AS x\nFROM b AS X\nFROM c AS y\nCOPY --from=x p q\nFROM x\n"
    assert parse(text).base_images("y") == ("b", "c")
    assert parse(text).base_images(None) == ("b",)


@pytest.mark.parametrize("number", ["0", "00", "+0"])
def test_a_number_is_written_in_more_than_one_way(number: str) -> None:
    assert parse(f"FROM a\nFROM b\nCOPY --from={number} p q\n").base_images(None) == ("a", "b")


def test_a_stage_takes_what_the_triggers_below_it_take() -> None:
    text = "FROM a AS below\nONBUILD COPY --from=b x y\nFROM below AS out\nFROM out\n"
    assert parse(text).base_images("below") == ("a",)
    assert parse(text).base_images("out") == ("a", "b")
    assert [stage.takes_from for stage in parse(text).stages] == [(), ("b",), ()]


@pytest.mark.parametrize(
    ("text", "target", "mend"),
    [
        ("FROM a AS one\nFROM b AS two\n", "0", "target='one'"),
        ("FROM a\nFROM b\n", "1", "name it: FROM b AS …"),
    ],
)
def test_a_target_is_named_and_not_numbered(text: str, target: str, mend: str) -> None:
    assert refusal(lambda: parse(text).check_target(target, "Dockerfile")).endswith(f"\n  mend: {mend}")


def test_a_platform_s_variable_may_mean_any_earlier_stage() -> None:
    found = parse("FROM a AS build-arm64\nFROM b AS build-amd64\nFROM build-$TARGETARCH AS out\nFROM c\n")
    assert [stage.index for stage in found.needed("out")] == [0, 1, 2]
    assert [each for each in found.base_images("out") if "$" not in each] == ["a", "b"]


@pytest.mark.parametrize(
    ("target", "mend"),
    [
        ("dta", "did you mean 'data'?"),
        ("6", "one of: api, base, client, data, unused"),
        ("-1", "one of: api, base, client, data, unused"),
        ("²", "one of: api, base, client, data, unused"),
        ("٣", "one of: api, base, client, data, unused"),
        ("9" * 5000, "one of: api, base, client, data, unused"),
    ],
    ids=lambda each: each[:20],
)
def test_a_target_that_is_no_stage_is_refused(target: str, mend: str) -> None:
    assert refusal(lambda: parse(SHOP).check_target(target, "Dockerfile.multi")) == (
        f"target {target!r} is no stage of Dockerfile.multi\n"
        "  saw:  stages: base, data, unused, client, api\n"
        f"  mend: {mend}"
    )
    assert parse(SHOP).stage(target) is None


@pytest.mark.parametrize("target", ["base", "unused", "client", "api", None])
def test_unneeded_stages_are_blanked_line_by_line(target: str | None) -> None:
    before, after = SHOP.split("\n"), without_unneeded_stages(SHOP, target).split("\n")
    assert len(after) == len(before)
    assert all(line in ("", old) for old, line in zip(before, after, strict=True))
    kept = [stage.name for stage in parse("\n".join(after)).stages]
    assert kept == [stage.name for stage in parse(SHOP).needed(target)]
    assert after[0] == "ARG BASE=busybox:stable"


def test_directives_and_args_before_the_stages_stay() -> None:
    text = "# escape=`\nARG V=1\n# hello\nFROM x:$V AS a\nRUN <<E\nFROM q\nE\nFROM y AS b\nRUN 1\n"
    assert without_unneeded_stages(text, "b") == "# escape=`\nARG V=1\n# hello\n\n\n\n\nFROM y AS b\nRUN 1\n"
    assert without_unneeded_stages("FROM x AS a\nFROM y", None) == "\nFROM y"


def test_an_empty_stage_holds_a_place_where_stages_go_by_their_numbers() -> None:
    text = "FROM x\nFROM y \\\n AS b\nRUN 1\n\nFROM z AS c\nCOPY --from=0 p q\n"
    blanked = "FROM x\nFROM scratch\n\n\n\nFROM z AS c\nCOPY --from=0 p q\n"
    assert without_unneeded_stages(text, "c") == blanked
    assert parse(blanked).base_images("c") == parse(text).base_images("c") == ("x", "z")


def test_build_args_say_which_stages_are_needed() -> None:
    text = "ARG KIND=dev\nFROM x AS dev\nFROM y AS prod\nFROM $KIND AS out\n"
    assert without_unneeded_stages(text, "out") == "ARG KIND=dev\nFROM x AS dev\n\nFROM $KIND AS out\n"
    assert (
        without_unneeded_stages(text, "out", {"KIND": "prod"})
        == "ARG KIND=dev\n\nFROM y AS prod\nFROM $KIND AS out\n"
    )


@pytest.mark.parametrize(
    ("instruction", "needs"),
    [
        ("RUN --mount=type=cache,target=/x true", True),
        ("RUN \\\n  --mount=type=cache,target=/x true", True),
        ("RUN --network=none true", True),
        ("RUN <<E\ntrue\nE", True),
        ("COPY <<E /x\ntrue\nE", True),
        ("COPY --chmod=755 a b", True),
        ("COPY --link a b", True),
        ("ADD --checksum=sha256:0 a b", True),
        ("COPY --chown=1 --from=a b c", False),
        ("RUN echo --mount=x --link", False),
        ("RUN cat <<<x", False),
        ('COPY ["<<E", "/x"]', False),
        ("COPY -- a b", False),
        ("RUN apt-get install --no-install-recommends x", False),
        ("HEALTHCHECK --interval=1s CMD true", False),
        ("# RUN --mount=x", False),
    ],
)
def test_what_only_buildkit_understands_is_found(instruction: str, *, needs: bool) -> None:
    assert (beyond_classic(f"FROM busybox\n{instruction}\n", {}) is not None) is needs


def test_a_dockerfile_keeps_its_line_ends(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_bytes(b"FROM a\r\nCOPY <<E /x\r\ny\rz\r\nE\r\n")
    assert ImageSpec(build=".").anchored(tmp_path).text() == "FROM a\r\nCOPY <<E /x\r\ny\rz\r\nE\r\n"
