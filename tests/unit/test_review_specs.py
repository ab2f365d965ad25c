"""Specs: what their messages keep to themselves, and numbers and Dockerfiles at their edges."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pytest_dockerkit import ContainerSpec, ImageSpec
from pytest_dockerkit._runtime.store import _by_hand
from pytest_dockerkit._spec.container import make_spec
from pytest_dockerkit._spec.env_file import read_env_file
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
    assert _by_hand(spec) == "docker build --target web --build-arg TOKEN -f Dockerfile api"


def test_a_spec_shows_the_names_of_its_variables_alone() -> None:
    image = ImageSpec(build="api", build_args={"TOKEN": "hunter2"})
    spec = ContainerSpec(image=image, env={"KEY": "hunter2", "USER": "me"}, labels={"a": "b"})
    assert "hunter2" not in repr(spec)
    assert repr(spec).startswith("ContainerSpec(image=ImageSpec(build='api', dockerfile='Dockerfile', ")
    for shown in ("build_args={'TOKEN': …}", "env={'KEY': …, 'USER': …}", "labels={'a': 'b'}"):
        assert shown in repr(spec)
