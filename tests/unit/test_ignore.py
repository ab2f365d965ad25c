"""Ignore files: what a line means, which paths the rules exclude, and what is refused.

Whether Docker has it so is held against real builds, in tests/plugin/test_ignore_cases.py.
"""

from __future__ import annotations

import itertools
import random

import pytest

from pytest_dockerkit._spec.ignore import IgnoreRules
from tests.unit.refusals import refusal


def rules(*lines: str) -> IgnoreRules:
    return IgnoreRules.read("\n".join(lines), "x/.dockerignore")


def left(text: str, *paths: str) -> list[str]:
    found = IgnoreRules.read(text, "x/.dockerignore")
    return [path for path in paths if not found.excludes(path)]


@pytest.mark.parametrize(
    ("pattern", "excluded", "kept"),
    [
        # Without signs: the path, and all below it.
        ("a", ["a", "a/b", "a/b/c"], ["ab", "b/a", "A", "a.txt"]),
        ("a/b", ["a/b", "a/b/c"], ["a", "a/bc", "c/a/b"]),
        ("a.txt", ["a.txt"], ["axtxt", "a.txt.bak"]),
        ("a+(b)|$", ["a+(b)|$"], ["aab", "a"]),
        ("^a", ["^a"], ["a"]),
        ("größe", ["größe"], ["gro\u0308ße"]),
        # Cleaned.
        ("/a", ["a", "a/b"], ["b/a"]),
        ("a/", ["a", "a/b"], []),
        ("//a//b//", ["a/b"], ["a"]),
        ("./a/./b", ["a/b"], ["a"]),
        ("a/../b", ["b"], ["a", "a/b"]),
        ("*/../b", ["b"], ["a/b"]),
        ("../a", [], ["a"]),
        ("/../a", ["a"], []),
        (".", [], ["a", ".a"]),
        ("/", [], ["a"]),
        ("..", [], ["a", "..a"]),
        ("/ a", ["a"], [" a"]),
        # One star and question marks stop at slashes.
        ("*", ["a", ".a", "a/b"], []),
        ("*.py", ["a.py", ".py", "x.py/y"], ["a.pyc", "d/a.py"]),
        ("a*", ["a", "ab", "a/b"], ["ba", "b/a"]),
        ("a*c", ["ac", "abc", "a.c"], ["a/c", "abcd"]),
        ("*/a", ["x/a", "x/a/b"], ["a", "x/y/a"]),
        ("*/*", ["a/b", "a/b/c"], ["a"]),
        ("a/*", ["a/b", "a/b/c"], ["a", "b"]),
        ("?", ["a", "é"], ["ab", ""]),
        ("a?c", ["abc", "a.c"], ["ac", "a/c"]),
        # Two stars do not.
        ("**", ["a", "a/b", ".a/b/c"], []),
        ("**/", ["a", "a/b"], []),
        ("**/a", ["a", "b/a", "c/b/a", "b/a/x"], ["ba", "ab"]),
        ("**a", ["a", "ba", "c/ba", "c/b/a"], ["ab"]),
        ("**/a/b", ["a/b", "x/a/b"], ["xa/b", "a/x/b"]),
        ("a/**", ["a/b", "a/b/c"], ["a", "ab"]),
        ("a**", ["a", "ab", "ab/c"], ["ba"]),
        ("a/**/b", ["a/b", "a/x/b", "a/x/y/b"], ["a", "ab", "a/xb"]),
        ("a**b", ["ab", "a/b", "ax/b", "ax/y/b"], ["axb"]),
        ("**/*.py", ["a.py", "d/a.py", "d/e/.py"], ["a.pyc"]),
        ("**/[ab]", ["a", "d/b"], ["d/c"]),
        ("**/a?", ["ab", "d/a1"], ["a", "d/a"]),
        ("**/a/**", ["a/b", "x/a/b"], ["a", "x/a"]),
        ("**/**/a", ["a", "x/a"], ["xa"]),
        ("***", ["a", "a/b"], []),
        ("*/**", ["a/b"], ["a"]),
        ("**/.*", [".a", "x/.a", ".a/b"], ["a", "x/a.b"]),
        # Classes.
        ("[ab]c", ["ac", "bc"], ["cc", "abc"]),
        ("[a-c]", ["a", "b", "c"], ["d", "-"]),
        ("[^a-c]x", ["dx", "-x"], ["ax", "x"]),
        ("a[^b]c", ["axc", "a/c"], ["abc"]),
        ("a[/]c", ["a/c"], ["a"]),
        ("[!a]", ["!", "a"], ["b"]),
        ("[a\\]]", ["a", "]"], ["\\"]),
        ("[\\-a]", ["-", "a"], ["b"]),
        ("[\\^a]", ["^", "a"], ["b"]),
        ("[a^]", ["^", "a"], ["b"]),
        ("[.]", ["."], ["a"]),
        ("[a&&b~~[]", ["&", "~", "["], ["&&"]),
        ("[[:digit:]x]", ["1", "x"], [":", "d"]),
        ("[[:^digit:]]", ["a", "é"], ["1"]),
        ("[\\d_]", ["1", "_"], ["d"]),
        ("[\\D]", ["d", "é"], ["1"]),
        ("[\\x41\\102\\t]", ["A", "B", "\t"], ["x", "t"]),
        ("[а-я]", ["ж"], ["a"]),  # noqa: RUF001  - these are other letters
        # What becomes of signs within them: they are put in as they are outside.
        ("[*]", ["]", "[]", "/^]"], ["*"]),
        ("[?]", ["[]", "/]"], ["?"]),
        ("[**]", ["*", "("], ["]", "a"]),
        ("*]", ["]", "a]"], ["a"]),
        # Escapes.
        ("\\*", ["*"], ["a"]),
        ("a\\?", ["a?"], ["ab"]),
        ("\\[a]", ["[a]"], ["a"]),
        ("\\!a", ["!a"], ["a"]),
        ("\\#a", ["#a"], ["a"]),
        ("a\\ b", ["a b"], ["a\\ b"]),
        ("a\\\\b", ["a\\b"], ["ab"]),
        ("a\\/b", ["a/b"], ["a\\", "a"]),
        ("\\a", ["\a"], ["a"]),
        ("a\\d", ["a1"], ["ad"]),
        ("\\w\\W", ["a-"], ["ab", "é-"]),
        ("\\s", [" ", "\f"], ["s", "\v"]),
        ("\\x41\\101\\0", ["AA\0"], ["x41"]),
        ("\\pL\\PL", ["é1"], ["éé", "11", "pL"]),
        ("\\ps", ["+", "€"], ["s"]),
        ("\\Aa\\bb?\\B\\z", [], ["ab", "a"]),
        ("a\\b*", ["a", "a.b"], ["ab", "a1"]),
        ("\\Qa^b\\Ec*", ["a^bc", "a^bcd"], ["abc"]),
        ("\\Qa.b\\E", ["a\\.b"], ["a.b"]),
        ("\\Qa*", ["a[^/]*$", "a[^/]*$b"], ["ab", "a*"]),
        # Signs of expressions that are not escaped, where a pattern becomes one.
        ("*.{a,b}", ["x.{a,b}"], ["x.a"]),
        ("*a{2}", ["xaa", "aaa"], ["a", "a{2}"]),
        ("*a{2,}b", ["aab", "aaaab"], ["ab"]),
        ("*a{0}b", ["b", "xb"], ["a"]),
        ("*{2,x}", ["a{2,x}"], ["aa"]),
        ("*(a)+", ["x(a)+"], ["xa"]),
        ("a*|b", ["a", "axx/y", "b", "x/y/b"], ["xa", "b1"]),
        ("^a*", ["a", "ab"], ["^a", "b"]),
        ("a^*", [], ["a^", "a"]),
        ("*$", ["a$"], ["a"]),
        # Line ends in names.
        ("a?b", ["a\nb"], []),
        ("**b", ["a\nb", "a\n/b"], []),
        ("**/*b", ["a\nb", "a/\nb"], ["a\n/b"]),
        ("a*", ["a\n", "a\n/b"], ["\na"]),
        ("*a", ["a"], ["a\n"]),
        # Names that are not UTF-8.
        ("?", ["\udcff"], ["\udcff\udcff"]),
        ("[^a]", ["\udcff"], []),
        ("a\udcff", [], ["a\udcff", "a"]),
        ("a\udcff*", ["a\udcff", "a\udcfe", "a\ufffd"], ["a", "aé"]),
        ("a[^\udcff]", ["ab"], ["a\udcff"]),
    ],
)
def test_a_pattern_excludes(pattern: str, excluded: list[str], kept: list[str]) -> None:
    found = rules(pattern)
    assert ([path for path in excluded if not found.excludes(path)], list(filter(found.excludes, kept))) == ([], [])


@pytest.mark.parametrize(
    ("text", "remaining"),
    [
        ("", "a b c"),
        ("\n  \n\t\n\r\n", "a b c"),
        ("a\nb", "c"),
        ("a\r\nb\r\n", "c"),
        ("  a  \n\tb\t\n", "c"),
        ("\u00a0a\u2003\n\x85b\u3000\n", "c"),
        ("# a\n#b\n#\n", "a b c"),
        ("  # a\n", "a b c"),
        ("a # b\n", "a b c"),
        ("\ufeffa\n", "b c"),
        ("\ufeff# a\n", "a b c"),
        ("b\n\ufeffa\n", "a c"),
        ("b\n\ufeffa*\n", "c"),
        ("a\x1fé\nb\n", "a c"),
        ("a\n" + "x" * 65535, "b c"),
        # Taken back.
        ("*\n!a", "a"),
        ("!a\n*", ""),
        ("*\n!a\na", ""),
        ("*\n! a \n!\tb", "a b"),
        ("*\n!/a\n!./b/", "a b"),
        ("*\n/!a\n./!b", "a b"),
        ("*\n!!a\n!.\n!..", ""),
        ("*\n!?\nb", "a c"),
        ("*\n!\\a", ""),
    ],
)
def test_lines_are_read_as_docker_reads_them(text: str, remaining: str) -> None:
    assert left(text, "a", "b", "c") == remaining.split()


@pytest.mark.parametrize(
    ("text", "remaining"),
    [
        ("d\n!d/a", "d/a"),
        ("d/*\n!d/a", "d d/a"),
        ("*\n!d/e", "d/e d/e/f d/e/g"),
        ("*\n!d\nd/e", "d d/a"),
        ("*\n!d\nd/e\n!d/e/f", "d d/a d/e/f"),
        ("**\n!**/f", "d/e/f"),
        ("d\n!**/f", "d/e/f"),
        ("d\n!d/**", "d/a d/e d/e/f d/e/g"),
        ("d\n!d/*", "d/a d/e d/e/f d/e/g"),
        ("d\n!*/a", "d/a"),
        ("d\n!d/e/?", "d/e/f d/e/g"),
        ("!d\nd\n", ""),
        # A rule that has nothing to change for a directory has nothing to say of what is in it.
        ("d/*\n!d", "d"),
        ("d/**\n!d", "d"),
        ("d/e/f\n!d", "d d/a d/e d/e/g"),
        ("d\n!d\nd/e", "d d/a"),
        # Docker does not look into a directory where no rule that takes back begins with its path.
        ("d/e\n!d/*/**", "d d/a"),
        ("d/e\n!d/e/**", "d d/a d/e/f d/e/g"),
        ("d/e\n!d/?/**", "d d/a d/e/f d/e/g"),
    ],
)
def test_what_is_taken_back(text: str, remaining: str) -> None:
    assert left(text, "d", "d/a", "d/e", "d/e/f", "d/e/g") == remaining.split()


@pytest.mark.parametrize(
    ("text", "entered"),
    [
        ("d", []),
        ("d\n!a", []),
        ("d\n!d", ["d"]),
        ("d\n!d/e", ["d"]),
        ("d\n!d/*", ["d"]),
        ("d\n!d/**", ["d"]),
        ("d\n!dd/e", []),
        ("d\n!d*", ["d"]),
        ("d\n!*/e", ["d"]),
        ("d\n!x\\-", ["d"]),
        ("!d/e\n*", ["d"]),
        ("d/e", ["d"]),
    ],
)
def test_a_directory_is_entered_if_something_in_it_may_be_left(text: str, entered: list[str]) -> None:
    _, inside = IgnoreRules.read(text, "").top.enter("d")
    assert ([] if inside is None else ["d"]) == entered


def test_where_nothing_new_matches_the_rules_stay_the_same() -> None:
    top = rules("a", "!b", "**/c").top
    _, inside = top.enter("x")
    assert inside is top


@pytest.mark.parametrize("seed", range(20))
def test_a_directory_and_a_file_of_one_name_are_excluded_alike(seed: int) -> None:
    rng = random.Random(seed)
    words = ("a", "b", "*", "**", "a*", "?b", "[ab]")
    lines = [rng.choice(("", "!")) + "/".join(rng.choices(words, k=rng.randint(1, 3))) for _ in range(6)]
    found = rules(*lines)
    for depth in (1, 2, 3):
        for parts in itertools.product(("a", "b", "ab"), repeat=depth):
            inside = found.top
            for at in range(1, depth):
                _, below = inside.enter("/".join(parts[:at]))
                if below is None:
                    break
                inside = below
            else:
                path = "/".join(parts)
                assert inside.enter(path)[0] == inside.excludes(path) == found.excludes(path), lines


def test_equal_rules_are_equal() -> None:
    assert rules("a", "!b/") == rules("# of ours", "/a", "", "! b") != rules("a", "b")
    assert hash(rules("a")) == hash(rules("a"))
    assert IgnoreRules() == rules()


BROKEN_CLASS = "has a '[' that begins no class, which is not empty, ends, and has '-' only between two characters"


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("!", "has nothing behind its '!'"),
        ("!  ", "has nothing behind its '!'"),
        ("!/", "has nothing behind its '!'"),
        ("/!", "has nothing behind its '!'"),
        ("[", BROKEN_CLASS),
        ("a[", BROKEN_CLASS),
        ("a[b", BROKEN_CLASS),
        ("[]", BROKEN_CLASS),
        ("[]a]", BROKEN_CLASS),
        ("[^]", BROKEN_CLASS),
        ("[^]a]", BROKEN_CLASS),
        ("[-a]", BROKEN_CLASS),
        ("[a-]", BROKEN_CLASS),
        ("[a-b-c]", BROKEN_CLASS),
        ("[a\\]", BROKEN_CLASS),
        ("!**/[a-]", BROKEN_CLASS),
        (".*[-a]", BROKEN_CLASS),
        ("?*[-a]", BROKEN_CLASS),
        ("[--9]*[-a]", BROKEN_CLASS),
        ("[^a]*[-a]", BROKEN_CLASS),
        ("a\\", "ends with a backslash"),
        ("src\\Lib", "has '\\L', and a backslash may not stand before that"),
        ("src\\pkg", "has '\\pk', and a backslash may not stand before that"),
        ("\\é", "has '\\é', and a backslash may not stand before that"),
        ("\\8", "has '\\8', and a backslash may not stand before that"),
        ("\\1", "has '\\1', and a backslash may not stand before that"),
        ("\\x4", "has '\\x', and a backslash may not stand before that"),
        ("[\\b]", "has '\\b', and a backslash may not stand before that"),
        ("[a-\\d]", "has '\\d', and a backslash may not stand before that"),
        ("[Local-Only]", "has the range 'l-O', which ends before it begins"),
        ("[a-*]", "has the range 'a-[', which ends before it begins"),
        ("*[b-a]", "has the range 'b-a', which ends before it begins"),
        ("[[:letter:]]", "has '[:letter:]', which is no class of Go's expressions"),
        ("a*[b", "has a class that does not end, as Docker reads it"),
        ("[[:alpha:]", "has a class that does not end, as Docker reads it"),
        ("*a{3,2}", "has '{3,2}', which Docker takes for a number of repeats, and a wrong one"),
        ("*a{1001}", "has '{1001}', which Docker takes for a number of repeats, and a wrong one"),
        ("*{2}", "has '{2}' where Docker finds nothing that it could repeat"),
        ("*|{2}", "has '{2}' where Docker finds nothing that it could repeat"),
        ("**/{2}*", "has '{2}' where Docker finds nothing that it could repeat"),
    ],
)
def test_a_pattern_that_docker_refuses_is_refused(line: str, why: str) -> None:
    assert refusal(lambda: rules("# a", "ok", f"  {line} ")) == (
        "an ignore file has a pattern that Docker refuses\n"
        f"  saw:  x/.dockerignore, line 3: {line.strip()!r} {why}\n"
        "  mend: '/' between directories, and '\\[' or '\\\\' for a '[' or a backslash that is meant so"
    )


@pytest.mark.parametrize("line", ["a*[-b]", "[a]*[-b]", "??*[-b]", "a]b", "[^^]", "**/{2}", "a{3,2}", "(", "a+|"])
def test_what_docker_does_not_look_at_is_not_refused(line: str) -> None:
    rules(line)


def test_control_characters_are_refused_where_docker_cannot_send_them() -> None:
    assert refusal(lambda: rules("b", "a\rb")) == (
        "an ignore file has a line that Docker refuses\n"
        "  saw:  x/.dockerignore, line 2: 'a\\rb' has a control character\n"
        "  mend: lines that end with '\\n' or '\\r\\n', and no other such characters but tabs"
    )
    assert not rules("b\tc", "# \x1b").excludes("b")
    assert rules("b\x1fc", "é").excludes("b\x1fc")


def test_a_line_has_an_end() -> None:
    assert refusal(lambda: rules("a", "é" * 32768)) == (
        "an ignore file has a line that Docker refuses\n"
        "  saw:  x/.dockerignore, line 2: longer than 65535 bytes\n"
        "  mend: a pattern on each line"
    )


def test_a_long_line_is_not_shown_whole() -> None:
    assert f"line 1: '[{'x' * 99}' has" in refusal(lambda: rules("[" + "x" * 1000))
