"""Which builder a build goes to, and what is said of one that failed."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_dockerkit._engine.base import BuildRequest, EngineFacts
from pytest_dockerkit._engine.builders import _failure, _message, _needs_classic
from pytest_dockerkit._engine.context import BuildContext


def request(text: str, *, added: bool = True) -> BuildRequest:
    name = ".dockerkit.3e9dc887e2ff.Dockerfile" if added else "Dockerfile"
    return BuildRequest(
        title="api (target web)",
        context=BuildContext(Path("/x"), (), f"FROM busybox\n{text}\n", name, added=added),
        target="web",
        args={},
        labels={},
        tags=[],
        platform=None,
        cache_from=[],
        by_hand="docker build api",
    )


@pytest.mark.parametrize("text", ["COPY . .", "ADD . /x", 'COPY [".", "/x"]', "COPY * /x", "COPY \\\n . /x"])
def test_an_added_dockerfile_that_a_stage_would_copy_goes_to_the_classic_builder(text: str) -> None:
    assert _needs_classic(request(text))
    assert not _needs_classic(request(text, added=False))


@pytest.mark.parametrize("text", ["COPY a .", "COPY --from=b . .", "RUN ls", "# COPY . ."])
def test_one_that_no_stage_copies_goes_to_buildkit(text: str) -> None:
    assert not _needs_classic(request(text))


@pytest.mark.parametrize(
    "text",
    ["RUN --mount=type=cache,target=/x true", "RUN \\\n --mount=type=cache,target=/x true", "RUN <<E\ntrue\nE"],
)
def test_what_only_buildkit_understands_goes_to_buildkit(text: str) -> None:
    assert not _needs_classic(request(f"COPY . .\n{text}"))


def test_words_of_a_command_that_look_like_flags_do_not_decide() -> None:
    assert _needs_classic(request("COPY . .\nRUN cmd --mount=x --network=host && cat <<<x"))


def test_a_failure_tells_the_step_its_last_lines_and_the_cause() -> None:
    output = "".join(f"line {number}  \n\n" for number in range(30))
    error = _failure(request(""), "RUN make", output, "exit code: 2\n")
    assert error.what == "building api (target web) failed at RUN make"
    assert error.saw == "\n".join([*(f"line {number}" for number in range(10, 30)), "exit code: 2"])
    assert error.mend == "correct the Dockerfile; by hand: docker build api"


def test_a_failure_before_any_step_tells_the_cause_alone() -> None:
    assert str(_failure(request(""), "", "", "no such file")) == (
        "building api (target web) failed\n"
        "  saw:  no such file\n"
        "  mend: correct the Dockerfile; by hand: docker build api"
    )


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ('{"message": "no"}', "no"),
        ('{"error": "no"}', '{"error": "no"}'),
        ("<html>", "<html>"),
        ("[]", "[]"),
        ("null", "null"),
        ("", ""),
    ],
)
def test_an_answer_that_is_not_the_engine_s_json_is_shown_as_it_is(answer: str, said: str) -> None:
    assert _message(answer) == said


@pytest.mark.parametrize(
    ("api", "os", "podman", "buildkit", "start_interval"),
    [
        ((1, 38), "linux", False, False, False),
        ((1, 39), "linux", False, True, False),
        ((1, 43), "linux", False, True, False),
        ((1, 44), "linux", False, True, True),
        ((2, 0), "linux", False, True, True),
        ((1, 44), "windows", False, False, True),
        ((1, 44), "linux", True, False, False),
    ],
)
def test_what_an_engine_can_do_follows_from_what_it_says_of_itself(
    api: tuple[int, int], os: str, *, podman: bool, buildkit: bool, start_interval: bool
) -> None:
    facts = EngineFacts("unix:///run/x.sock", "1", api, os, podman)
    assert (facts.buildkit, facts.start_interval) == (buildkit, start_interval)


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("unix:///var/run/docker.sock", True),
        ("npipe:////./pipe/docker", True),
        ("tcp://127.0.0.1:1", False),
        ("", False),
    ],
)
def test_an_engine_behind_a_socket_of_this_machine_is_local(host: str, *, local: bool) -> None:
    assert EngineFacts(host, "1", (1, 41), "linux", podman=False).local is local
