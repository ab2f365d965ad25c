"""A secret has no text form, and does not leave its process."""

from __future__ import annotations

import copy
import json
import pickle
from typing import Any

import pytest

from pytest_dockerkit import ContainerSpec, ImageSpec, Secret
from tests.unit.refusals import refusal

HIDDEN = "kept-from-view"


@pytest.mark.parametrize("value", [HIDDEN, HIDDEN.encode(), "", b"\xff\0", "ü"])
def test_reveal_gives_it_out_as_it_was(value: str | bytes) -> None:
    assert Secret("token", value).reveal() == value


@pytest.mark.parametrize("show", [str, repr, "{}".format, "{!s:>3}".format, ascii, lambda each: f"{[each]}"])
def test_no_text_of_it_holds_the_value(show: Any) -> None:
    shown = show(Secret("token", HIDDEN))
    assert HIDDEN not in shown
    assert "Secret('token')" in shown


def test_what_holds_it_does_not_show_it_either() -> None:
    container = ContainerSpec(image="busybox", secrets={"token": HIDDEN})
    image = ImageSpec(build=".", build_secrets={"token": Secret("token", HIDDEN)})
    assert HIDDEN not in f"{container} {image} {container!r} {image!r}"
    assert not hasattr(Secret("token", HIDDEN), "__dict__")


@pytest.mark.parametrize("copier", [pickle.dumps, copy.copy, copy.deepcopy])
def test_it_can_be_neither_pickled_nor_copied(copier: Any) -> None:
    with pytest.raises(TypeError, match=r"^Secret\('token'\) cannot be pickled: it would leave this process$"):
        copier(Secret("token", HIDDEN))
    with pytest.raises(TypeError):
        json.dumps(Secret("token", HIDDEN))


def test_equal_secrets_make_equal_specs() -> None:
    assert Secret("a", "x") == Secret("a", "x") == Secret("a", b"x")
    assert Secret("a", "x") != Secret("a", "y")
    assert Secret("a", "x") != Secret("b", "x")
    assert Secret("a", "x") != "x"
    assert hash(Secret("a", "x")) == hash(Secret("a", "x"))
    assert ContainerSpec(image="i", secrets={"a": "x"}) == ContainerSpec(image="i", secrets={"a": Secret("a", "x")})


@pytest.mark.parametrize(
    "value", [None, 5, [HIDDEN], bytearray(HIDDEN, "ascii")], ids=lambda each: type(each).__name__
)
def test_a_value_of_the_wrong_type_is_not_repeated(value: Any) -> None:
    said = refusal(lambda: Secret("token", value))
    assert HIDDEN not in said
    assert said == (
        f"value= is of the wrong type\n  saw:  value={type(value)!r} (type)\n"
        '  mend: Secret("registry-token", os.environ["TOKEN"])'
    )


@pytest.mark.parametrize("name", ["", " ", None, 5])
def test_it_has_a_name(name: Any) -> None:
    said = refusal(lambda: Secret(name, HIDDEN))
    assert HIDDEN not in said
    assert said.startswith(f"name= is of the wrong type\n  saw:  name={name!r} ({type(name).__name__})\n")
