"""Patterns of paths, as Go's filepath.Match has them."""

from __future__ import annotations

import re

import pytest

from pytest_dockerkit._spec import patterns


@pytest.mark.parametrize(
    ("pattern", "matches", "others"),
    [
        ("a", ["a"], ["b", "a/b", "aa", "A"]),
        ("*", ["a", ".a", "a b", "a\nb", ""], ["a/b"]),
        ("*.txt", [".txt", "a.txt"], ["a.txt.md", "a/b.txt", "atxt"]),
        ("a*b*c", ["abc", "axbxc", "abcbc"], ["ab/c", "ac"]),
        ("a**b", ["ab", "axb"], ["a/b"]),
        ("?", ["a", "é"], ["", "ab", "/"]),
        ("a/?/c", ["a/b/c"], ["a/bb/c", "a/c"]),
        ("[a-c]", ["a", "b", "c"], ["d", "-", ""]),
        ("[^a-c]", ["d", "/", "^"], ["a", ""]),
        ("[abc^]", ["a", "^"], ["d"]),
        ("[!a]", ["a", "!"], ["b"]),
        ("[a\\-c]", ["a", "-", "c"], ["b", "\\"]),
        ("[\\]]", ["]"], ["\\"]),
        ("[[]x]", ["[x]"], ["x"]),
        ("[*?]", ["*", "?"], ["a"]),
        ("[.-0]", [".", "/", "0"], ["1"]),
        ("[c-a]", [], ["a", "b", "c"]),
        ("[^c-a]", ["a", "/"], [""]),
        ("\\*\\?\\[\\a", ["*?[a"], ["x?[a", "\\*?[a"]),
        ("a]", ["a]"], ["a"]),
        ("a+(b)|{c}.$^", ["a+(b)|{c}.$^"], ["aab"]),
        ("**/a", ["a", "b/a", "b/c/a"], ["ba", "a/b"]),
        ("a/**/b", ["a/b", "a/c/b", "a/c/d/b"], ["ab", "b", "a/bc"]),
    ],
)
def test_a_pattern_matches_what_go_matches(pattern: str, matches: list[str], others: list[str]) -> None:
    found = re.compile(patterns.regex(pattern))
    assert [name for name in [*matches, *others] if found.fullmatch(name)] == matches


@pytest.mark.parametrize(
    "pattern", ["[", "[a", "[^", "[^]", "[]", "[]a]", "[a-]", "[-a]", "[^-a]", "[a\\", "a\\", "a/[/b", "[a-b-c]"]
)
def test_a_malformed_pattern_is_refused(pattern: str) -> None:
    with pytest.raises(patterns.PatternError):
        patterns.regex(pattern)


@pytest.mark.parametrize("path", ["a", "a b", "*", "[a]", "a\\b", "?", "a/b*"])
def test_a_literal_means_itself_alone(path: str) -> None:
    assert re.fullmatch(patterns.regex(patterns.literal(path)), path)
    assert not re.fullmatch(patterns.regex(patterns.literal(path)), path.replace("*", "x").replace("?", "x") + "x")


@pytest.mark.parametrize(
    ("pattern", "path", "left"),
    [
        ("a/b/c", "a", {("b", "c")}),
        ("a/b/c", "a/b/c", {()}),
        ("a/b", "a/b/c", set()),
        ("a/b", "b", set()),
        ("*/b", "a", {("b",)}),
        ("**/b", "a", {("**", "b")}),
        ("**/b", "b", {("**", "b"), ()}),
        # A class may match a slash.
        ("a[^q]b/c", "a", {("**", "c")}),
        ("[ab]/c", "a", {("c",)}),
    ],
)
def test_what_is_left_of_a_pattern_behind_a_path(pattern: str, path: str, left: set[tuple[str, ...]]) -> None:
    assert patterns.remainders(pattern, path) == left
    leads = re.compile(patterns.leading(pattern), re.DOTALL).fullmatch(path) is not None
    assert leads is bool(left)


@pytest.mark.parametrize(
    ("pattern", "directory"),
    [
        ("a", None),
        ("a/b", None),
        ("*", None),
        ("a/*", "a"),
        ("a/b/*/c", "a/b"),
        ("a/**/b", "a"),
        ("a\\*/b/*", "a*/b"),
    ],
)
def test_the_directory_that_wildcards_are_looked_for_in(pattern: str, directory: str | None) -> None:
    assert patterns.first_directory(pattern) == directory
