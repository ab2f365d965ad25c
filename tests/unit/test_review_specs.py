"""Specs: what their messages keep to themselves, and numbers and Dockerfiles at their edges."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pytest_dockerkit import ContainerSpec, ImageSpec
from pytest_dockerkit._engine.images import is_for, platform_of
from pytest_dockerkit._runtime.builds import _platform, by_hand
from pytest_dockerkit._spec.dockerfile import parse
from pytest_dockerkit._spec.env_file import read_env_file
from pytest_dockerkit._spec.keywords import make_spec
from pytest_dockerkit._spec.marker import container_from
from tests.unit.refusals import refusal

# What is kept to itself


@pytest.mark.parametrize(
    ("line", "saw"),
    [
        ("export API_KEY=hunter2", "line 2: 'export API_KEY' before its '='"),
        ("=hunter2", "line 2: '' before its '='"),
        ("the second line of hunter2", "line 2, which has no '='"),
    ],
)
def test_of_a_wrong_line_of_an_env_file_no_value_is_shown(line: str, saw: str, tmp_path: Path) -> None:
    path = tmp_path / "app.env"
    path.write_text(f"OK=1\n{line}\n", encoding="utf-8")
    assert refusal(lambda: read_env_file(path)) == (
        f"env_file= has a line without a name\n  saw:  {path}, {saw}\n  mend: NAME=value"
    )


@pytest.mark.parametrize("value", [b"hunter2", ["hunter2"]])
def test_a_variable_of_the_wrong_type_is_not_shown(value: Any) -> None:
    assert refusal(lambda: ContainerSpec(image="redis:7", env={"KEY": value})) == (
        "env['KEY'] must be a text or a number\n"
        f"  saw:  of type {type(value).__name__}\n"
        '  mend: env={"NAME": "value"}'
    )


def test_a_variable_with_a_nul_is_not_shown() -> None:
    assert refusal(lambda: ContainerSpec(image="redis:7", env={"KEY": "hunter2\0x"})) == (
        "env['KEY'] has a NUL in it\n  saw:  a NUL after 7 of 9 characters\n  mend: a text that ends where its NUL is"
    )


def test_a_misspelt_mapping_is_not_shown() -> None:
    assert refusal(lambda: make_spec({"image": "redis:7", "secret": {"t": "hunter2"}})) == (
        "secret= is no keyword here\n  saw:  secret= of type dict\n  mend: did you mean 'secrets'?"
    )


def test_the_keywords_of_a_build_that_is_too_much_are_named_without_secrets() -> None:
    given = {
        "image": "redis:7",
        "build": ".",
        "build_secrets": {"npm": "hunter2"},
        "build_args": {"TOKEN": "hunter2"},
    }
    assert refusal(lambda: container_from(given)) == (
        "an image to be used and one to be built are both given\n"
        "  saw:  image 'redis:7' and build='.', build_secrets= of type dict, build_args= of type dict\n"
        "  mend: give one of them"
    )


def test_the_command_to_build_by_hand_has_the_names_of_build_args_alone() -> None:
    spec = ImageSpec(build="api", target="web", build_args={"TOKEN": "hunter2"})
    assert by_hand(spec) == "docker build --target web --build-arg TOKEN -f Dockerfile api"


def test_a_spec_shows_the_names_of_its_variables_alone() -> None:
    image = ImageSpec(build="api", build_args={"TOKEN": "hunter2"})
    spec = ContainerSpec(image=image, env={"KEY": "hunter2", "USER": "me"}, labels={"a": "b"})
    assert "hunter2" not in repr(spec)
    assert repr(spec).startswith("ContainerSpec(image=ImageSpec(build='api', dockerfile='Dockerfile', ")
    for shown in ("build_args={'TOKEN': …}", "env={'KEY': …, 'USER': …}", "labels={'a': 'b'}"):
        assert shown in repr(spec)


# Dockerfiles


@pytest.mark.parametrize(
    ("line", "remote"),
    [
        ("ADD https://example.com/x /x", True),
        ("ADD --chown=1:1 http://example.com/x /x", True),
        ('ADD ["a", "https://example.com/x", "/x"]', True),
        ("ADD git@example.com:a/b.git /x", True),
        ("ADD https://example.com/a/b.git#main /x", True),
        ("ADD $URL /x", True),
        ("ARG URL=https://example.com\nADD $URL/x /x", True),
        ("ARG URL=a/b\nADD $URL /x", False),
        ("ARG URL=a/b\nENV URL=https://example.com/x\nADD $URL /x", True),
        ("ADD a/b /x", False),
        ("ADD a/$NAME /x", False),
        ("ADD a@b /x", False),
        ("COPY https://example.com/x /x", False),
        ("RUN wget https://example.com/x", False),
    ],
)
def test_what_is_added_from_elsewhere_is_found(line: str, remote: bool) -> None:
    found = parse(f"FROM busybox AS a\n{line}\nFROM busybox AS b\nFROM a AS c\n")
    assert (found.adds_remote("a"), found.adds_remote("b"), found.adds_remote("c")) == (remote, False, remote)


@pytest.mark.parametrize(
    ("line", "source"),
    [
        ("ARG SRC=a\nCOPY --from=$SRC x y", "a"),
        ("ARG GIVEN\nCOPY --from=$GIVEN x y", "given"),
        ("ARG V=${SRC}\nCOPY --from=$V x y", "${SRC}"),
        ("COPY --from=$OTHER x y", "$OTHER"),
        ("COPY --from=${OTHER:-a} x y", "${OTHER:-a}"),
        ("RUN --mount=from=$OTHER,target=/x true", "$OTHER"),
        ("ARG SRC=a\nENV SRC=b\nCOPY --from=$SRC x y", "$SRC"),
    ],
)
def test_a_variable_of_a_stage_is_put_in_or_may_mean_any_stage(line: str, source: str) -> None:
    found = parse(f"FROM one AS a\nFROM two AS b\nFROM three AS c\n{line}\n", {"GIVEN": "given"})
    assert found.stages[2].takes_from == (source,)
    assert ["one" in found.base_images("c"), "two" in found.base_images("c")] == (
        [True, True] if "$" in source else [source == "a", False]
    )


def test_a_variable_ends_with_its_stage() -> None:
    found = parse("FROM one AS a\nARG SRC=a\nFROM two AS b\nCOPY --from=$SRC x y\n")
    assert found.stages[1].takes_from == ("$SRC",)


@pytest.mark.parametrize(
    ("said", "means"),
    [
        ("", "linux/s390x"),
        ("--platform=linux/arm64", "linux/arm64"),
        ("--platform=$KIND", "linux/arm/v7"),
        ("--platform=$BUILDPLATFORM", "linux/amd64"),
        ("--platform=${TARGETPLATFORM}", "linux/s390x"),
    ],
)
def test_the_platform_of_a_base_is_its_own(said: str, means: str | None) -> None:
    text = f"ARG KIND=linux/arm/v7\nFROM {said} one AS a\nFROM a\nCOPY --from=two x y\n"
    spec = ImageSpec(dockerfile_text=text, platform="linux/s390x")
    assert [(name, _platform(platform, spec, "linux/amd64")) for name, platform in spec.stages().bases(None)] == [
        ("one", means),
        ("two", "linux/s390x"),
    ]


@pytest.mark.parametrize(
    ("has", "wanted", "fits"),
    [
        ("linux/amd64", "linux/amd64", True),
        ("linux/amd64", "Linux/x86_64", True),
        ("linux/amd64", "linux", True),
        ("linux/amd64", "amd64", True),
        ("linux/amd64", "arm64", False),
        ("linux/amd64", "linux/arm64", False),
        ("linux/amd64", "windows/amd64", False),
        ("linux/arm64/v8", "linux/arm64", True),
        ("linux/arm64", "linux/aarch64/v8", True),
        ("linux/arm/v7", "linux/arm/v7", True),
        ("linux/arm/v6", "linux/arm/v7", False),
    ],
)
def test_which_image_is_for_which_platform(has: str, wanted: str, fits: bool) -> None:
    facts = dict(zip(("Os", "Architecture", "Variant"), has.split("/"), strict=False))
    assert platform_of(facts) == has
    assert is_for(facts, wanted) is fits


def test_a_dockerfile_is_read_once_for_the_same_arguments() -> None:
    """Also one of three thousand tests, each of which names it."""
    text = "ARG KIND=a\nFROM one AS a\nFROM two AS b\nFROM $KIND\n"
    found = parse(text, {"KIND": "b"})
    assert parse(text, {"KIND": "b"}) is found
    assert ImageSpec(dockerfile_text=text, build_args={"KIND": "b"}).stages() is found
    assert found.base_images(None) == ("two",)
    assert parse(text).base_images(None) == ("one",)


# Numbers


@pytest.mark.parametrize("exponent", [400, 5000])
def test_a_number_beyond_all_floats_is_refused(exponent: int) -> None:
    assert refusal(lambda: ContainerSpec(image="redis:7", cpus=10**exponent)) == (
        "cpus= is too large\n  saw:  cpus= beyond 1e308\n  mend: cpus=0.5"
    )
