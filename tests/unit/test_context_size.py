"""Contexts that are too large: what makes them so, and the lines that mend it."""

from __future__ import annotations

import pytest

from pytest_dockerkit._engine.context_size import LARGE_BYTES, LARGE_FILES, large_context

MB = 1_000_000


def files(place: str, count: int, size: int) -> list[tuple[str, int]]:
    """Give files of one size in a directory."""
    return [(f"{place}/{number}.dat", size) for number in range(count)]


def told(*members: tuple[str, int]) -> str:
    large = large_context(members)
    assert large is not None
    return large.told("app")


@pytest.mark.parametrize(
    "members",
    [
        [],
        [("data.bin", LARGE_BYTES)],
        files("src", LARGE_FILES, 1),
        files("node_modules", 100, 1),
    ],
    ids=["empty", "bytes", "files", "small"],
)
def test_a_context_up_to_the_limits_is_not_large(members: list[tuple[str, int]]) -> None:
    assert large_context(members) is None


def test_what_tools_leave_is_named_with_the_lines_that_keep_it_out() -> None:
    members = [*files("src", 41, 1000), *files("node_modules/left/pad", 12_000, 23_000), *files(".git/x", 10, 2 * MB)]
    assert told(*members) == (
        "large context: app is 296 MB in 12,051 files: node_modules 276 MB in 12,000 files, .git 20 MB in 10 files; "
        "in .dockerignore: node_modules, .git"
    )


def test_only_what_there_is_too_much_of_is_told() -> None:
    few, small = files(".venv", 3, 50 * MB), files(".tox", 10_001, 10)
    assert told(*few) == "large context: app is 150 MB in 3 files: .venv 150 MB; in .dockerignore: .venv"
    assert told(*small) == ("large context: app is 100 kB in 10,001 files: .tox 10,001 files; in .dockerignore: .tox")


def test_places_of_one_name_are_one_line() -> None:
    members = [each for package in "abc" for each in files(f"packages/{package}/node_modules/x", 2, 25 * MB)]
    assert told(*members) == (
        "large context: app is 150 MB in 6 files: **/node_modules 150 MB; in .dockerignore: **/node_modules"
    )


def test_one_place_below_another_keeps_its_path() -> None:
    members = files("web/app/node_modules/x/node_modules/y", 2, 75 * MB)
    assert told(*members).endswith(": web/app/node_modules 150 MB; in .dockerignore: web/app/node_modules")


def test_other_places_are_as_deep_as_they_explain_it() -> None:
    """What an image may need is told with that proviso."""
    members = [*files("data/fixtures/big", 2, 70 * MB), *files("data/fixtures/small", 5, MB), *files("data", 3, MB)]
    assert told(*members).endswith(
        ": data/fixtures/big 140 MB; in .dockerignore, if the image does without: data/fixtures/big"
    )
    members = [*files("data/left", 2, 40 * MB), *files("data/right", 2, 35 * MB)]
    assert told(*members).endswith(": data 150 MB; in .dockerignore, if the image does without: data")


def test_a_file_is_named_that_is_most_of_it() -> None:
    members = [("backup/dump.sql", 310 * MB), *files("src", 20, 1000)]
    assert told(*members) == (
        "large context: app is 310 MB in 21 files: backup/dump.sql 310 MB; "
        "in .dockerignore, if the image does without: backup/dump.sql"
    )


def test_what_was_built_may_be_wanted() -> None:
    members = [*files(".git", 2, 100 * MB), *files("target", 1, 60 * MB), ("assets/film.mp4", 40 * MB)]
    assert told(*members) == (
        "large context: app is 300 MB in 4 files: .git 200 MB, target 60 MB, assets/film.mp4 40 MB; "
        "in .dockerignore: .git; and if the image does without: target, assets/film.mp4"
    )


def test_at_most_three_places_are_named_the_worst_first() -> None:
    members = [each for at, place in enumerate("abcde") for each in files(place, 1, (20 + at) * MB)]
    large = large_context(members)
    assert large is not None
    assert [part.path for part in large.parts] == ["e/0.dat", "d/0.dat", "c/0.dat"]


def test_nothing_is_named_where_it_is_spread_evenly() -> None:
    members = [each for place in range(200) for each in files(f"d{place}", 100, 10)]
    assert told(*members) == (
        "large context: app is 200 kB in 20,000 files; what no COPY needs belongs into .dockerignore"
    )


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("plain name.bin", "plain name.bin"),
        ("a*b?[c].bin", r"a\*b\?\[c\].bin"),
        ("C++ (copy).bin", r"C\+\+ \(copy\).bin"),
        ("!odd", r"\!odd"),
        ("#odd", r"\#odd"),
        ("in!side#.bin", "in!side#.bin"),
        (" at the ends ", "?at the ends?"),
    ],
)
def test_a_line_means_the_path_and_nothing_else(path: str, line: str) -> None:
    large = large_context([(path, 200 * MB)])
    assert large is not None
    assert [part.ignore for part in large.parts] == [line]


def test_the_ignore_file_that_counts_is_named() -> None:
    large = large_context(files(".git", 2, 100 * MB))
    assert large is not None
    assert large.told("app", "api.Dockerfile.dockerignore").endswith("; in api.Dockerfile.dockerignore: .git")
