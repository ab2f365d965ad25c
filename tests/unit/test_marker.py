"""What the marker was given, as a request."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pytest_dockerkit import ContainerSpec, ImageSpec
from pytest_dockerkit._spec.keywords import spec_fields
from pytest_dockerkit._spec.marker import BUILD_KEYWORDS, SCOPES, ContainerRequest, read_marker
from tests.unit.refusals import refusal


def read(base: Path, *args: Any, **kwargs: Any) -> ContainerRequest:
    return read_marker(args, kwargs, base)


@pytest.fixture
def context(tmp_path: Path) -> Path:
    """A directory with a Dockerfile of the two stages `a` and `b`."""
    (tmp_path / "Dockerfile").write_text("ARG V=1\nFROM busybox AS a\nFROM busybox AS b\n", encoding="utf-8")
    return tmp_path.resolve()


def test_an_image_is_named_by_position_or_keyword(tmp_path: Path) -> None:
    wanted = ContainerRequest("container", ContainerSpec(image="redis:7", ports=[6379]), "function")
    assert read(tmp_path, "redis:7", ports=[6379]) == wanted
    assert read(tmp_path, image="redis:7", ports=[6379]) == wanted


def test_name_and_scope_are_taken(tmp_path: Path) -> None:
    request = read(tmp_path, "redis", name="db", scope="session", depends_on=["a", "b"])
    assert (request.name, request.scope, request.needs) == ("db", "session", ("a", "b"))
    assert request.spec.name == "db"
    assert [read(tmp_path, "redis", scope=scope).scope for scope in SCOPES] == list(SCOPES)


def test_what_is_to_be_built_and_how_it_is_to_run_stand_side_by_side(context: Path) -> None:
    request = read(
        context,
        build=".",
        target="a",
        build_args={"V": "2"},
        tags=["x:1"],
        cpus=0.5,
        platform="linux/amd64",
        pull="never",
    )
    built = ImageSpec(
        build=context,
        dockerfile=context / "Dockerfile",
        target="a",
        build_args={"V": "2"},
        tags=["x:1"],
        platform="linux/amd64",
        pull="never",
    )
    assert request.spec == ContainerSpec(image=built, cpus=0.5, platform="linux/amd64", pull="never")


def test_a_text_is_built_without_a_context(tmp_path: Path) -> None:
    assert read(tmp_path, dockerfile_text="FROM busybox").spec.image == ImageSpec(dockerfile_text="FROM busybox")


def test_a_spec_of_an_image_is_anchored(context: Path) -> None:
    image = read(context, ImageSpec(build=".", target="b")).spec.image
    assert image == ImageSpec(build=context, dockerfile=context / "Dockerfile", target="b")


def test_a_spec_of_a_container_is_the_base_of_the_keywords(tmp_path: Path) -> None:
    base = ContainerSpec(image="redis:7", name="db", ports=[6379], memory="64m")
    assert read(tmp_path, base) == ContainerRequest("db", base, "function")
    request = read(tmp_path, base, memory="32m", name="cache", scope="module")
    assert request.spec == ContainerSpec(image="redis:7", name="cache", ports=[6379], memory="32m")
    assert (request.name, request.scope) == ("cache", "module")


@pytest.mark.parametrize("keyword", [*spec_fields(), *BUILD_KEYWORDS, "scope", "per_worker"])
def test_a_keyword_with_a_slip_is_refused_with_the_right_one(keyword: str, tmp_path: Path) -> None:
    slipped = keyword[:-1] + "_" + keyword[-1]
    assert refusal(lambda: read(tmp_path, "redis", **{slipped: 1})) == (
        f"{slipped}= is no keyword here\n  saw:  {slipped}=1\n  mend: did you mean {keyword!r}?"
    )


def test_a_keyword_that_is_like_none_is_refused_with_all(tmp_path: Path) -> None:
    known = sorted([*spec_fields(), *BUILD_KEYWORDS, "scope", "per_worker"])
    assert refusal(lambda: read(tmp_path, "redis", zzzz=None)) == (
        f"zzzz= is no keyword here\n  saw:  zzzz=None\n  mend: one of: {', '.join(known)}"
    )


def test_each_worker_may_have_one_of_its_own(tmp_path: Path) -> None:
    assert not read(tmp_path, "redis").per_worker
    assert read(tmp_path, "redis", per_worker=True).per_worker
    assert refusal(lambda: read(tmp_path, "redis", per_worker="yes")).startswith("per_worker= ")


@pytest.mark.parametrize("scope", ["sessoin", "Session", "", None, 5, ["session"]])
def test_a_scope_is_pytest_s(scope: Any, tmp_path: Path) -> None:
    assert refusal(lambda: read(tmp_path, "redis", scope=scope)) == (
        f"scope= is not one of its values\n  saw:  {scope!r}\n"
        "  mend: one of: 'session', 'package', 'module', 'class', 'function'"
    )


def test_one_image_is_given(tmp_path: Path) -> None:
    assert refusal(lambda: read(tmp_path)) == (
        'no image is given\n  saw:  keywords: none\n  mend: an image such as "redis:7", or build='
    )
    assert refusal(lambda: read(tmp_path, "redis", "nginx")) == (
        "the container marker takes one image\n  saw:  'redis', 'nginx'\n  mend: one marker for each container"
    )
    assert refusal(lambda: read(tmp_path, "redis", image="nginx")) == (
        "the image is given twice\n  saw:  'redis' and image='nginx'\n  mend: give one of them"
    )


@pytest.mark.parametrize(
    ("image", "named"),
    [
        ("redis", "'redis'"),
        (ImageSpec(build="."), "of type ImageSpec"),
        (ContainerSpec(image="redis"), "of type ContainerSpec"),
    ],
    ids=["reference", "ImageSpec", "ContainerSpec"],
)
def test_an_image_is_used_or_built(image: Any, named: str, tmp_path: Path) -> None:
    assert refusal(lambda: read(tmp_path, image, build=".", target="a")) == (
        "an image to be used and one to be built are both given\n"
        f"  saw:  image {named} and build='.', target='a'\n"
        "  mend: give one of them"
    )


@pytest.mark.parametrize("image", [None, 5, True, b"redis", ["redis"]])
def test_what_is_no_image_is_refused(image: Any, tmp_path: Path) -> None:
    assert refusal(lambda: read(tmp_path, image)) == (
        f"image= is of the wrong type\n  saw:  image={image!r} ({type(image).__name__})\n"
        '  mend: image="redis:7", an ImageSpec or an image fixture'
    )


def test_errors_of_the_specs_come_through(context: Path) -> None:
    assert refusal(lambda: read(context, "redis", memory="1m")).startswith("memory cap is below")
    assert refusal(lambda: read(context, build="no")).startswith("the build context does not exist")
    assert refusal(lambda: read(context, build=".", target="c")).startswith("target 'c' is no stage of")
    assert refusal(lambda: read(context, build=None)).startswith("there is nothing to build from")
    assert refusal(lambda: read(context, target="a")).startswith("there is nothing to build from")
