"""What builders print, and what is made of it: steps, places in the Dockerfile, errors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pytest_dockerkit import CapabilityError, Progress
from pytest_dockerkit._engine.build_request import BuildRequest
from pytest_dockerkit._engine.builders.failure import Failure, cleaned, failed, last_lines
from pytest_dockerkit._engine.builders.places import Place, place_of_line, place_of_number, place_of_step
from pytest_dockerkit._engine.builders.plain import Plain
from pytest_dockerkit._engine.buildkit import progress_of
from pytest_dockerkit._engine.context import BuildContext
from pytest_dockerkit._engine.walk import Member

#: What `docker build --progress=plain` of 20.10 prints, and buildx of 0.29 with Docker 28, shortened.
OLD = """\
#1 [internal] load remote build context
#1 sha256:09039be68b997b27337bc410f40ff45a2459ca82b8e00ca7ddfc9ccb3db581d6
#1 DONE 0.0s

#4 [base 2/2] RUN echo base
#4 sha256:e041addde5c0f7ec6263737ecd6b929f2506632f84f9f47ae06951c9eff2c1bc
#4 0.161 base
#4 DONE 1.6s

#7 [other 1/1] RUN sleep 1
#7 sha256:25296ec82b20972bef1bc79d3838a04856f8bd631db133c4d6939911c8f7b47d
#7 ...

#6 [api 2/2] RUN echo ok;     echo "second" >&2;     exit 3
#6 sha256:04c97184bd0ad3863b932c1f4163bea99289aea9a958d1a3290ecff36a6ca893
#6 0.207 ok
#6 0.208
#6 0.208 second
#6 ERROR: executor failed running [/bin/sh -c echo ok]: exit code: 3

#7 [other 1/1] RUN sleep 1
#7 sha256:25296ec82b20972bef1bc79d3838a04856f8bd631db133c4d6939911c8f7b47d
#7 CANCELED
------
 > [api 2/2] RUN echo ok;     echo "second" >&2;     exit 3:
#6 0.208 second
------
executor failed running [/bin/sh -c echo ok]: exit code: 3
"""
NEW = """\
#0 building with "default" instance using docker driver

#5 [base 2/2] RUN echo base
#5 CACHED

#8 [api 2/2] RUN echo ok;     exit 3
#8 0.182 ok
#8 0.182 see x.py:12
#8 ERROR: process "/bin/sh -c echo ok;     exit 3" did not complete successfully: exit code: 3
------
 > [api 2/2] RUN echo ok;     exit 3:
0.182 ok
0.182 see x.py:12
------
Dockerfile:8
--------------------
   7 |         printf 'a' >&2
   8 | >>> RUN echo ok; \\
   9 | >>>     exit 3
--------------------
ERROR: failed to build: failed to solve: process "/bin/sh -c echo ok;     exit 3" did not complete successfully
"""
SYNTAX = """\
#0 building with "default" instance using docker driver

#2 copy /context /
#2 DONE 0.0s
Dockerfile:3
--------------------
   3 | >>> RNU echo b
--------------------
ERROR: failed to build: failed to solve: dockerfile parse error on line 3: unknown instruction: RNU
"""


def heard(text: str) -> tuple[Plain, list[Progress]]:
    told: list[Progress] = []
    plain = Plain(told.append, lambda said: said.replace("hidden", "***"))
    for line in text.split("\n"):
        plain.hear(line)
    return plain, told


# What the command line prints


def test_the_output_of_an_old_command_line() -> None:
    plain, told = heard(OLD)
    assert plain.began
    assert plain.failed_step == '[api 2/2] RUN echo ok;     echo "second" >&2;     exit 3'
    assert plain.failed_output == "ok\n\nsecond\n"
    assert plain.reason == "executor failed running [/bin/sh -c echo ok]: exit code: 3"
    assert plain.line is None
    assert told == [
        Progress("[internal] load remote build context"),
        Progress("[base 2/2] RUN echo base", 2, 2),
        Progress("[other 1/1] RUN sleep 1", 1, 1),
        Progress('[api 2/2] RUN echo ok; echo "second" >&2; exit 3', 2, 2),
    ]


def test_the_output_of_a_new_command_line_names_the_line() -> None:
    """An output that looks as if it did is none."""
    plain, _ = heard(NEW)
    assert plain.failed_output == "ok\nsee x.py:12\n"
    assert plain.line == 8
    assert plain.reason.startswith('process "/bin/sh -c')


def test_a_mistake_in_the_dockerfile_is_no_step() -> None:
    plain, _ = heard(SYNTAX)
    assert (plain.failed_step, plain.failed_output, plain.line) == ("", "", 3)
    assert plain.reason.startswith("ERROR: failed to build: failed to solve: dockerfile parse error on line 3")


def test_a_command_that_cannot_begin_says_why() -> None:
    plain, told = heard("ERROR: no builder\nLook here\n")
    assert (plain.began, told, plain.reason.strip()) == (False, [], "ERROR: no builder\nLook here")


def test_a_cache_that_cannot_be_had_and_a_step_that_was_cancelled_are_no_cause() -> None:
    plain, _ = heard(
        "#1 importing cache manifest from x\n#1 ERROR: not found\n#2 [1/1] RUN a\n#2 ERROR: context canceled\n"
        "#3 [2/2] RUN b\n#3 ERROR: exit code: 1\n"
    )
    assert (plain.failed_step, plain.reason) == ("[2/2] RUN b", "exit code: 1")


def test_what_is_to_be_covered_is_covered_before_it_is_kept() -> None:
    plain, told = heard("#1 [1/1] RUN hidden\n#1 0.1 a hidden\n#1 ERROR: is hidden\n------\nno hidden\n")
    assert told == [Progress("[1/1] RUN ***", 1, 1)]
    assert (plain.failed_step, plain.failed_output, plain.reason) == ("[1/1] RUN ***", "a ***\n", "is ***")
    assert heard("all hidden")[0].reason == "all ***"


def test_of_an_endless_output_the_end_is_kept() -> None:
    plain, _ = heard("#1 [1/1] RUN yes\n" + "#1 0.1 yes\n" * 20000 + "#1 0.1 no\n#1 ERROR: x\n")
    assert len(plain.failed_output) == 64 * 1024
    assert plain.failed_output.endswith("yes\nno\n")


@pytest.mark.parametrize(
    ("step", "number", "total"),
    [
        ("[2/5] RUN make", 2, 5),
        ("[api  2/12] RUN make", 2, 12),
        ("[linux/arm64 api 2/5] RUN [1/2] x", 2, 5),
        ("[internal] load metadata for docker.io/library/busybox:1/2", None, None),
        ("exporting to image", None, None),
    ],
)
def test_a_step_tells_its_number(step: str, number: int | None, total: int | None) -> None:
    assert progress_of(step)[1:3] == (number, total)


# Places

DOCKERFILE = """\
# syntax=docker/dockerfile:1
ARG TAG=1
FROM redis:$TAG AS base
RUN echo one \\
    # between
    && echo two
COPY a b

FROM base AS Api
ENV X=1
RUN true
WORKDIR /x
RUN true
COPY --from=base \\
  a b
RUN <<END
false
END
FROM scratch
COPY a /
"""


@pytest.mark.parametrize(
    ("step", "line", "stage"),
    [
        ("[base 2/3] RUN echo one     && echo two", 4, "base"),
        ("[base 3/3] COPY a b", 7, "base"),
        ("[base 1/3] FROM docker.io/library/redis:1", 3, "base"),
        ("[api 1/5] RUN true", 11, "api"),
        ("[api 3/5] RUN true", 13, "api"),
        ("[linux/arm64 api 4/5] COPY --from=base   a b", 14, "api"),
        ("[api 5/5] RUN <<END (false)", 16, "api"),
        ("[stage-2 1/1] COPY a /", 20, "stage-2"),
        ("[internal] load metadata for docker.io/library/redis:7", 3, "base"),
        ("[internal] load metadata for docker.io/library/other:7", None, None),
        ("[nowhere 1/1] ADD x y", None, None),
        ("exporting to image", None, None),
    ],
)
def test_a_step_of_buildkit_has_its_place(step: str, line: int | None, stage: str | None) -> None:
    place = place_of_step(DOCKERFILE, step)
    assert (place and place.line, place and place.stage) == (line, stage)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("RUN echo $WHO ${AND:-x}!", "RUN echo you & me!"),
        ('RUN ["a", "$b"]', 'RUN ["a", "c"]'),
        ("run  make", "RUN make"),
    ],
)
def test_an_instruction_is_known_by_its_text_with_the_variables_put_in(written: str, said: str) -> None:
    text = f"FROM a\nRUN other\nRUN another\n{written}\nRUN last\n"
    # The number is wrong: releases count in different ways.
    place = place_of_step(text, f"[2/5] {said}")
    assert place is not None
    assert (place.line, place.stage) == (4, "")


@pytest.mark.parametrize(
    ("image", "line"),
    [("docker.io/library/redis:7", 1), ("docker.io/library/busybox:latest", 2), ("127.0.0.1:5000/a/b:c", 3)],
)
def test_an_image_that_is_looked_for_has_its_place(image: str, line: int) -> None:
    text = "FROM redis:7 AS one\nFROM busybox\nFROM --platform=linux/arm64 127.0.0.1:5000/a/b:c\n"
    place = place_of_step(text, f"[internal] load metadata for {image}")
    assert place is not None
    assert place.line == line


def test_the_classic_builder_counts_all_instructions() -> None:
    places = [place_of_number(DOCKERFILE, number) for number in range(1, 13)]
    assert [each and each.line for each in places] == [2, 3, 4, 7, 9, 10, 11, 12, 13, 14, 16, 19]
    assert place_of_number(DOCKERFILE, 0) is place_of_number(DOCKERFILE, 14) is None


def test_a_line_is_of_the_instruction_that_began_before_it() -> None:
    assert place_of_line(DOCKERFILE, 6) == Place(4, "base", "RUN echo one && echo two")
    assert place_of_line(DOCKERFILE, 1) is None


# Lines


@pytest.mark.parametrize(
    ("line", "plain"),
    [
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("\x1b[38;5;12mblue\x1b[K", "blue"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x07", "link"),
        ("10%\r20%\r30%\r", "30%"),
        ("crlf\r", "crlf"),
        ("a\x00\x08b\tc  ", "ab\tc"),
        ("\x1b[2K\r", ""),
    ],
)
def test_a_line_is_what_a_terminal_would_show(line: str, plain: str) -> None:
    assert cleaned(line) == plain


def test_of_many_lines_the_last_are_given_and_of_long_ones_both_ends() -> None:
    found = last_lines("\n".join([*map(str, range(30)), "", "x" * 600 + "end"]))
    assert found[:-1] == [str(number) for number in range(11, 30)]
    assert found[-1].startswith("xxx")
    assert " … " in found[-1]
    assert found[-1].endswith("xend")
    assert len(found[-1]) < 520
    assert last_lines("a\u2028b\x0cc\n") == ["a\u2028bc"]


# The error


def request(tmp_path: Path | None = None, members: tuple[str, ...] = (), **fields: Any) -> BuildRequest:
    found = tuple(Member(name, Path(__file__).lstat()) for name in members)
    context = BuildContext(
        tmp_path, found, "FROM a\nCOPY src/app.py x/*.txt /\nRUN make\n", "docker/Dockerfile", added=False
    )
    given: dict[str, Any] = {"target": None, "args": {}, "labels": {}, "tags": [], "platform": None, **fields}
    return BuildRequest(title="api (target web)", context=context, by_hand="docker build api", **given)


def test_a_failure_tells_the_place_the_last_lines_and_the_cause() -> None:
    place = Place(3, "web", "RUN make")
    error = failed(request(), Failure("exit code: 2\n", "[web 2/2] RUN make", "one\n\ntwo  \n", place))
    assert str(error) == (
        "building api (target web) failed at docker/Dockerfile:3 in stage web: RUN make\n"
        "  saw:  one\n"
        "        two\n"
        "        exit code: 2\n"
        "  mend: correct the Dockerfile; by hand: docker build api"
    )


def test_a_failure_without_a_place_tells_the_step_and_one_without_a_step_the_cause() -> None:
    assert failed(request(), Failure("no", "exporting  to image")).what.endswith(" failed at exporting  to image")
    error = failed(request(), Failure("ERROR: failed to build: failed to solve: no such thing\n"))
    assert (error.what, error.saw) == ("building api (target web) failed", "no such thing")
    assert failed(request(), Failure("")).saw == "it gave no reason"


def test_a_long_instruction_and_a_long_cause_are_shortened() -> None:
    error = failed(request(), Failure("x" * 1000, place=Place(3, "", "RUN " + "y" * 1000)))
    assert len(error.what) < 200
    assert len(error.saw) < 520


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (
            "failed to solve with frontend dockerfile.v0: failed to create LLB definition: parse error line 3",
            "parse error line 3",
        ),
        (
            'failed to compute cache key: failed to calculate checksum of ref 92cb::p9v: "/src/x.py": not found',
            '"/src/x.py": not found',
        ),
        (
            "failed to walk /var/lib/docker/buildkit-mount12/dist: lstat /var/lib/docker/buildkit-mount12/dist",
            "failed to walk /dist: lstat /dist",
        ),
    ],
)
def test_what_stands_before_the_cause_is_left_out(said: str, shown: str) -> None:
    assert failed(request(), Failure(said)).saw == shown


@pytest.mark.parametrize("said", ["secret tok not found: not found", "failed to solve: secret tok: not found"])
def test_a_secret_that_was_not_given_is_named(said: str) -> None:
    """As Docker 20.10 and 28.5 say it of `RUN --mount=type=secret,id=tok,required=true`."""
    assert failed(request(), Failure(said)).mend.startswith('give it: build_secrets={"tok": …}')


def test_a_mistake_is_found_by_its_line() -> None:
    error = failed(request(), Failure("dockerfile parse error on line 3: no"))
    assert error.what == "building api (target web) failed at docker/Dockerfile:3: RUN make"


@pytest.mark.parametrize(
    ("said", "there", "members", "hint", "mend"),
    [
        ('"/src/app.py": not found', [], [], "", "correct the Dockerfile"),
        ('"/src/app.py": not found', ["src/app.pyx"], [], "", "did you mean 'app.pyx'? correct the Dockerfile"),
        (
            "lstat /src: no such file or directory",
            ["src/app.py"],
            [],
            "src/app.py is in the context's directory, but its ignore file leaves it out",
            "let the ignore file keep 'src/app.py'",
        ),
        ("stat src/app.py: file does not exist", ["src/app.py"], ["src/app.py"], "", "correct the Dockerfile"),
        ("no", ["src/app.py"], [], "", "correct the Dockerfile"),
    ],
)
def test_why_a_file_is_not_there(
    tmp_path: Path, said: str, there: list[str], members: list[str], hint: str, mend: str
) -> None:
    for name in there:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    place = Place(2, "", "COPY src/app.py x/*.txt /")
    error = failed(request(tmp_path, tuple(members)), Failure(said, place=place))
    assert error.saw.split("\n")[1:] == [hint] * bool(hint)
    assert error.mend == f"{mend}; by hand: docker build api"


@pytest.mark.parametrize(
    ("said", "mend"),
    [
        ("a: no active sessions", "what the build pulls needs a login"),
        ("write x: no space left on device", "free space where the engine keeps its data"),
    ],
)
def test_what_is_not_the_dockerfiles_fault(said: str, mend: str) -> None:
    assert failed(request(), Failure(said)).mend.startswith(mend)


@pytest.mark.parametrize(
    "said",
    [
        "ERROR: Cache export is not supported for the docker driver.\nSwitch to a different driver",
        "cache export feature is currently not supported for docker driver. Please switch",
    ],
)
def test_an_engine_that_cannot_keep_layers_elsewhere(said: str) -> None:
    error = failed(request(cache_to=("type=local,dest=/x",)), Failure(said))
    assert type(error) is CapabilityError
    assert error.what == "api (target web): this engine cannot keep layers elsewhere"
    assert error.saw.startswith("cache_to=type=local,dest=/x\n")
    assert "containerd-snapshotter" in error.mend
    assert "BUILDX_BUILDER" in error.mend
