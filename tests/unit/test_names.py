"""Names: ours are unique and fit, the users' are checked, the nearest one is found."""

from __future__ import annotations

import re

import pytest

from pytest_dockerkit._names import check_alias, did_you_mean, nearest, new_run_id, object_name, slug
from tests.unit.refusals import refusal


def test_run_ids_are_12_hex_digits_and_differ() -> None:
    ids = {new_run_id() for _ in range(50)}
    assert len(ids) == 50
    assert all(re.fullmatch(r"[0-9a-f]{12}", each) for each in ids)


def test_object_names_of_one_alias_differ_and_tell_run_and_alias() -> None:
    names = {object_name("abc123", "db") for _ in range(20)}
    assert len(names) == 20
    assert all(re.fullmatch(r"dockerkit-abc123-db-[0-9a-f]{6}", each) for each in names)


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("redis:7-alpine", "redis-7-alpine"),
        ("My API", "my-api"),
        ("Größe", "groe"),
        ("naïve café", "naive-cafe"),
        ("日本", "image"),
        ("", "image"),
        ("---", "image"),
        ("-a-", "a"),
        ("a" * 100, "a" * 40),
        ("a" * 39 + " b", "a" * 39),
        ("../../etc", "etc"),
    ],
)
def test_a_slug_is_fit_for_an_alias(text: str, made: str) -> None:
    assert slug(text) == made
    assert check_alias("name", slug(text)) == made


@pytest.mark.parametrize("name", ["db", "DB", "a", "0", "a_b.c-d", "x" * 63])
def test_an_alias_is_taken_as_it_is(name: str) -> None:
    assert check_alias("name", name) == name


@pytest.mark.parametrize(
    ("name", "better"),
    [
        ("", "image"),
        ("d b", "d-b"),
        ("-x", "x"),
        (".x", "x"),
        ("_x", "x"),
        ("ü", "u"),
        ("db\n", "db"),
        ("a/b", "a-b"),
        ("a\0b", "a-b"),
        ("x" * 64, "x" * 40),
    ],
)
def test_a_name_that_no_other_container_could_look_up_is_refused(name: str, better: str) -> None:
    assert refusal(lambda: check_alias("name", name)) == (
        "name= cannot be a DNS name, and other containers find this one by it\n"
        f"  saw:  name={name!r}\n"
        f'  mend: name="{better}": letters, digits, ".", "_" and "-", at most 63'
    )


@pytest.mark.parametrize("name", [None, 5, True, b"db", ["db"]])
def test_a_name_is_a_text(name: object) -> None:
    assert (
        refusal(lambda: check_alias("name", name))
        == f'name= must be a text\n  saw:  name={name!r}\n  mend: name="db"'
    )


def test_the_nearest_word_is_found_if_any_is_like_it() -> None:
    assert nearest("prts", ["ports", "pids", "pull"]) == "ports"
    assert nearest("zzz", ["ports"]) is None
    assert nearest("ports", []) is None
    assert did_you_mean("prts", {"ports", "pids"}) == "did you mean 'ports'?"
    assert did_you_mean("zzz", ["b", "a"]) == "one of: a, b"
