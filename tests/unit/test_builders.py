"""Which builder a build goes to, and what each of them lacks."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_dockerkit import CapabilityError, EngineError, Secret
from pytest_dockerkit._engine.base import EngineFacts
from pytest_dockerkit._engine.build_request import BuildRequest
from pytest_dockerkit._engine.builders import Ladder, build_with, needs, tools
from pytest_dockerkit._engine.builders.command import NotUsableError
from pytest_dockerkit._engine.builders.hiding import hidden
from pytest_dockerkit._engine.builders.masks import Mask
from pytest_dockerkit._engine.builders.post import _message
from pytest_dockerkit._engine.context import BuildContext
from pytest_dockerkit._engine.walk import Member

if TYPE_CHECKING:
    from collections.abc import Mapping

OLD = EngineFacts("unix:///x", "20.10.24", (1, 41), "linux", podman=False, arch="amd64")
NEW = replace(OLD, version="28.5.2", api=(1, 51))


def request(text: str = "FROM busybox\n", *, shown: bool = False, **fields: Any) -> BuildRequest:
    context = BuildContext(Path("/x"), (), text, "Dockerfile", added=shown, shown=shown)
    given: dict[str, Any] = {"target": None, "args": {}, "labels": {}, "tags": [], "platform": None, **fields}
    return BuildRequest(title="api", context=context, by_hand="docker build api", **given)


# The ladder


class Rung:
    def __init__(
        self, name: str, absent: str | None = None, lacking: str | None = None, *, fails: bool = False
    ) -> None:
        self.name = name
        self.absent = absent
        self.lacking = lacking
        self.fails = fails
        self.chosen = False
        self.asked: list[BuildRequest] = []

    def lacks(self, request: BuildRequest) -> str | None:
        assert request
        assert self.absent is None
        return self.lacking

    def build(self, request: BuildRequest) -> None:
        self.asked.append(request)
        if self.fails:
            raise NotUsableError("`docker build` cannot be used", saw="no way", mend="look")


def test_the_first_rung_that_is_there_and_lacks_nothing_builds() -> None:
    rungs = [Rung("one", absent="not here"), Rung("two", lacking="ssh="), Rung("three"), Rung("four")]
    ladder = Ladder(rungs, OLD)
    assert (ladder.name, ladder.lacks(request())) == ("auto", None)
    ladder.build(wanted := request())
    assert [each.asked for each in rungs] == [[], [], [wanted], []]


def test_one_that_cannot_begin_is_passed_over_from_then_on() -> None:
    rungs = [Rung("one", fails=True), Rung("two")]
    ladder = Ladder(rungs, OLD)
    for _ in range(3):
        ladder.build(request())
    assert [len(each.asked) for each in rungs] == [1, 3]


@pytest.mark.parametrize("chosen", [True, False])
def test_one_that_was_chosen_is_not(chosen: bool) -> None:
    rungs = [Rung("one", fails=True), Rung("two")]
    rungs[0].chosen = chosen
    ladder = Ladder(rungs if chosen else rungs[:1], OLD)
    for _ in range(2):
        with pytest.raises(EngineError) as caught:
            ladder.build(request())
        assert type(caught.value) is EngineError
    assert rungs[1].asked == []


@pytest.mark.parametrize(
    ("facts", "lacking", "mend"),
    [
        (
            OLD,
            "ssh=",
            "install docker-buildx-plugin (Docker's own packages) or docker-buildx (Debian, Ubuntu, Homebrew)",
        ),
        (OLD, "heredocs", "use Docker 23.0 or newer, or begin the Dockerfile with `# syntax=docker/dockerfile:1`"),
        (replace(OLD, podman=True), "ssh=", "use an engine with BuildKit: Docker 18.09 or newer"),
    ],
)
def test_what_no_rung_can_is_refused_with_a_way_out(facts: EngineFacts, lacking: str, mend: str) -> None:
    ladder = Ladder([Rung("one", absent="not here"), Rung("two", lacking=lacking)], facts)
    assert ladder.lacks(request()) == lacking
    with pytest.raises(CapabilityError) as caught:
        ladder.build(request())
    assert str(caught.value) == (
        f"api cannot be built here: no builder serves {lacking}\n"
        "  saw:  one: not here\n"
        f"        two: lacks {lacking}\n"
        f"  mend: {mend}"
    )


def test_the_one_rung_that_was_chosen_is_named() -> None:
    ladder = Ladder([Rung("two", lacking="ssh=")], NEW)
    assert ladder.name == "two"
    with pytest.raises(CapabilityError) as caught:
        ladder.build(request())
    assert caught.value.what == "api cannot be built as --dockerkit-builder=two says: it lacks ssh="
    assert caught.value.mend.endswith(" or drop --dockerkit-builder=two")


def test_a_builder_of_a_plugin_is_asked_what_it_lacks() -> None:
    theirs = Rung("theirs", lacking="tags=")
    with pytest.raises(CapabilityError) as caught:
        build_with(theirs, request())
    assert caught.value.what == "api cannot be built with theirs: it lacks tags="
    assert theirs.asked == []
    theirs.lacking = None
    build_with(theirs, request())
    assert len(theirs.asked) == 1


# What is needed


@pytest.mark.parametrize(
    ("text", "args", "lacking"),
    [
        ("FROM a\nRUN true --mount=x\nCOPY --chown=1 --from=a b c\nRUN cat <<<x", {}, None),
        ("FROM --platform=linux/arm64 a\nHEALTHCHECK --interval=3s CMD true", {}, None),
        ("FROM a\nRUN \\\n --mount=type=cache,target=/x true", {}, "RUN --mount"),
        ("FROM a\nRUN --network=none true", {}, "RUN --network"),
        ("FROM a\nCOPY --link b c", {}, "COPY --link"),
        ("FROM a\nADD --checksum=sha256:x b c", {}, "ADD --checksum"),
        ("FROM a\nCOPY --chmmod=1 b c", {}, None),
        ("FROM a\nCOPY <<E /x\ntext\nE", {}, "heredocs"),
        ("FROM a\nARG X TARGETARCH\nRUN true", {}, "ARG TARGETARCH"),
        ("FROM a\nARG TARGETARCH=amd64\nRUN true", {}, "ARG TARGETARCH"),
        ("FROM a\nARG TARGETARCH\nRUN true", {"TARGETARCH": "x"}, None),
        ("FROM --platform=$BUILDPLATFORM a", {}, "ARG BUILDPLATFORM"),
        ("FROM a-${TARGETOS}", {}, "ARG TARGETOS"),
        ("FROM a\nENV TARGETOS=x\nRUN echo $TARGETOS", {}, None),
    ],
)
def test_what_the_classic_builder_does_not_have(text: str, args: Mapping[str, str], lacking: str | None) -> None:
    assert needs.beyond_classic(text, args) == lacking


def test_only_the_stages_that_the_target_reaches_need_anything() -> None:
    text = "FROM a AS one\nRUN --mount=type=cache,target=/x true\nFROM a AS two\nRUN true\n"
    assert needs.beyond_classic(needs.needed_text(request(text, target="two")), {}) is None
    assert needs.beyond_classic(needs.needed_text(request(text, target="one")), {}) == "RUN --mount"


@pytest.mark.parametrize(
    ("text", "facts", "lacks"),
    [
        ("FROM a\nRUN <<E\ntrue\nE\n", OLD, True),
        ("FROM a\nRUN <<E\ntrue\nE\n", NEW, False),
        ("# syntax=docker/dockerfile:1\nFROM a\nRUN <<E\ntrue\nE\n", OLD, False),
        ("FROM a\nRUN echo <<<x 1<2\n", OLD, False),
    ],
)
def test_heredocs_come_with_the_engine_or_with_a_frontend(text: str, facts: EngineFacts, lacks: bool) -> None:
    assert needs.lacks_heredocs(text, facts) is lacks


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("RUN --mount=type=secret,id=x true", "secret"),
        ("RUN --mount=id=x,type=ssh --mount=type=cache,target=/a true", "ssh"),
        ("RUN --mount=type=cache,target=/type=ssh true", None),
        ("RUN echo --mount=type=secret", None),
    ],
)
def test_mounts_whose_content_the_client_has(text: str, kind: str | None) -> None:
    assert needs.mount_of_session(f"FROM a\n{text}\n") == (kind and f"RUN --mount=type={kind}")


@pytest.mark.parametrize(
    ("text", "image"),
    [
        ("# syntax=docker/dockerfile:1\nFROM a", "docker/dockerfile:1"),
        ("# escape=`\n#syntax = a/b:c with=this\nFROM a", "a/b:c"),
        ("# a comment\n# syntax=x\nFROM a", None),
        ("FROM a\n# syntax=x\n", None),
    ],
)
def test_the_image_that_reads_the_dockerfile(text: str, image: str | None) -> None:
    assert needs.frontend(text) == image


@pytest.mark.parametrize(
    ("platform", "text", "lacks"),
    [
        (None, "FROM scratch", False),
        ("linux/amd64", "FROM scratch", False),
        ("linux/x86_64", "FROM scratch", False),
        ("linux/arm64", "FROM scratch", True),
        ("linux/arm64", "FROM a", False),
        ("linux/arm64", "FROM scratch AS unneeded\nFROM a", False),
    ],
)
def test_nothing_can_be_made_for_another_machine_by_the_classic_builder(
    platform: str | None, text: str, lacks: bool
) -> None:
    assert needs.scratch_elsewhere(request(text, platform=platform), OLD) is lacks


@pytest.mark.parametrize(
    ("fields", "lacking"),
    [
        ({"cache_from": ("a:b", "type=registry,ref=c:d")}, None),
        ({"cache_from": ("type=local,src=/x",)}, "cache_from=type=local"),
        ({"cache_to": ("type=inline",)}, None),
        ({"cache_to": ("type=inline", "type=gha,mode=max")}, "cache_to=type=gha"),
        ({"cache_to": ("registry.example.com/a:b",)}, "cache_to=type=registry"),
    ],
)
def test_caches_that_a_request_to_the_engine_can_name(fields: dict[str, Any], lacking: str | None) -> None:
    assert needs.cache_beyond_references(request(**fields)) == lacking


def test_an_inline_cache_is_a_build_arg_to_the_engine() -> None:
    assert needs.with_inline_cache(request(args={"A": "b"})) == {"A": "b"}
    asked = request(args={"A": "b"}, cache_to=("type=inline",))
    assert needs.with_inline_cache(asked) == {"A": "b", "BUILDKIT_INLINE_CACHE": "1"}
    given = ("a:b", "type=registry,ref=c:d", "type=local,src=/x")
    assert list(needs.cache_references(given)) == ["a:b", "c:d"]


@pytest.mark.parametrize(
    ("fields", "lacking"),
    [
        ({"labels": {"a.b/c-d": "x = y\n"}, "args": {"A": "= "}}, None),
        ({"labels": {"a b": ""}}, "labels= with a key that has blanks or '=' in it"),
        ({"args": {"a=b": "c"}}, "build_args= with a key that has blanks or '=' in it"),
    ],
)
def test_keys_that_a_command_line_would_cut(fields: dict[str, Any], lacking: str | None) -> None:
    assert needs.beyond_a_command(request(**fields)) == lacking


# A Dockerfile that is not seen


def a_context(root: Path, *names: str, dockerfile: str = "FROM a\n", **fields: Any) -> BuildContext:
    members = tuple(Member(name, (root / name).lstat()) for name in names)
    return BuildContext(root, members, dockerfile, fields.pop("name", ".x.Dockerfile"), **fields)


def test_a_dockerfile_that_nobody_copies_needs_no_hiding(tmp_path: Path) -> None:
    context = a_context(tmp_path, added=True, shown=False)
    assert hidden(context, "FROM b\n") == (context, False)
    own = a_context(tmp_path, name="Dockerfile", added=False)
    assert hidden(own, "FROM a\n") == (own, False)


def test_without_an_ignore_file_one_of_ours_hides_it(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM a\n", encoding="utf-8")
    own = a_context(tmp_path, "Dockerfile", name="Dockerfile", added=False)
    # The one in the context stays as it is, and what is sent is another.
    found = hidden(own, "\n")
    assert found is not None
    assert found.ignore_file
    assert found.context.added
    assert found.context.dockerfile_name.startswith(".dockerkit.")


@pytest.mark.parametrize(
    ("rules", "name"),
    [
        ("# nothing\n", None),
        ("node_modules\n", "node_modules"),
        ("a\nnode_modules\n", "node_modules"),
        ("**/*.pyc\n", "dockerkit.pyc"),
        ("b/out\n", "b/out"),
        ("c/out\n", None),
        ("x*\n!xdocker*\n", None),
        ("*\n!a\n!b\n", ".dockerkit.[0-9a-f]{12}.Dockerfile"),
    ],
)
def test_beside_an_ignore_file_it_gets_a_name_that_is_ignored(tmp_path: Path, rules: str, name: str | None) -> None:
    (tmp_path / ".dockerignore").write_text(rules, encoding="utf-8")
    (tmp_path / "a").touch()
    (tmp_path / "b").mkdir()
    found = hidden(a_context(tmp_path, ".dockerignore", "a", "b", added=True, shown=True), "FROM a\n")
    if name is None:
        assert found is None
    else:
        assert found is not None
        assert not found.ignore_file
        assert re.fullmatch(name, found.context.dockerfile_name)


# Secrets


@pytest.mark.parametrize(
    ("value", "said", "shown"),
    [
        ("token", "the token is token", "the *** is ***"),
        ("token\n", "a token.", "a ***."),
        ("first\nsecond\r\n  third  ", "third second first", "*** *** ***"),
        ("{\n  key\n}", "{ key }", "{ *** }"),
        ("abc\nabcdef", "abcdef", "***"),
        (b"\xff\x00x", "\udcff\x00x is raw", "*** is raw"),
        ("", "nothing", "nothing"),
        ("a", "a b a", "*** b ***"),
    ],
)
def test_a_secret_is_covered_whole_and_line_by_line(value: str | bytes, said: str, shown: str) -> None:
    assert Mask({"x": Secret("x", value)})(said) == shown


def test_a_variable_that_holds_a_secret_is_known() -> None:
    mask = Mask({"x": Secret("x", "token\n"), "y": Secret("y", "")})
    assert [mask.hides(each) for each in ("token", "token\n", "a token", "")] == [True, True, False, False]


# The command line


def a_program(directory: Path, name: str, **answers: str) -> Path:
    """Write a program that answers to its arguments, and fails at all others."""
    directory.mkdir(exist_ok=True)
    cases = "".join(f"  {words.replace('_', ' ')!r}) echo {said!r} ;;\n" for words, said in answers.items())
    path = directory / name
    path.write_text(f'#!/bin/sh\ncase "$*" in\n{cases}  *) exit 1 ;;\nesac\n', encoding="utf-8")
    path.chmod(0o755)
    return path


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Directories that are all of PATH."""
    monkeypatch.setattr(tools, "_PLUGIN_DIRECTORIES", ())
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "config"))
    found = [tmp_path / name for name in ("one", "two", "three")]
    monkeypatch.setenv("PATH", os.pathsep.join(map(str, found)))
    return found


BUILDX = "github.com/docker/buildx v0.12.1 30feaa1"


def test_every_docker_in_path_is_looked_at_and_buildx_is_best(path: list[Path]) -> None:
    a_program(path[0], "docker", **{"--version": "Docker version 20.10.24+dfsg1, build 297e128"})
    best = a_program(
        path[1], "docker", **{"--version": "Docker version 28.2.2, build e6534b4", "buildx_version": BUILDX}
    )
    a_program(path[2], "docker-buildx", version=BUILDX)
    assert tools.find_tool().tool == ((str(best), "buildx", "build"), True, "0.12.1")


def test_then_a_client_that_has_it_built_in(path: list[Path]) -> None:
    a_program(path[0], "docker", **{"--version": "Docker version 28.2.2, build e6534b4"})
    a_program(path[1], "docker", **{"--version": "podman version 4.3.1", "buildx_version": "buildah 1.28.2"})
    older = a_program(path[2], "docker", **{"--version": "Docker version 20.10.24+dfsg1, build 297e128"})
    a_program(path[2], "docker-buildx", version=BUILDX)
    assert tools.find_tool().tool == ((str(older), "build"), False, "20.10.24+dfsg1")


@pytest.mark.parametrize("place", ["PATH", "plugins"])
def test_then_buildx_by_itself(path: list[Path], tmp_path: Path, place: str) -> None:
    a_program(path[0], "docker", **{"--version": "Docker version 18.09.1, build 4c52b90"})
    if place == "plugins":
        (tmp_path / "config").mkdir()
    alone = a_program(
        path[1] if place == "PATH" else tmp_path / "config/cli-plugins", "docker-buildx", version=BUILDX
    )
    assert tools.find_tool().tool == ((str(alone), "build"), True, "0.12.1")


def test_what_was_looked_at_is_told(path: list[Path]) -> None:
    assert tools.find_tool() == (None, "neither docker nor docker-buildx in PATH")
    first = a_program(path[0], "docker", **{"--version": "Docker version 28.2.2, build e6534b4"})
    second = a_program(path[1], "docker", **{"--version": "podman version 4.3.1"})
    tools._find.cache_clear()
    assert tools.find_tool() == (None, f"{first} 28.2.2, without buildx; {second} is no command line of Docker's")


def test_it_is_looked_for_once(path: list[Path]) -> None:
    program = a_program(path[0], "docker", buildx_version=BUILDX)
    found = tools.find_tool()
    program.unlink()
    assert tools.find_tool() is found


# The engine


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
