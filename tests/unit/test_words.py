"""Words of a Dockerfile: quotes, escapes, variables. What is expected here is what BuildKit's own lexer gives."""

from __future__ import annotations

import pytest

from pytest_dockerkit._spec.words import UNKNOWN, BadWordError, expand, name_words, shell_words

KNOWN = {"A": "a", "EMPTY": "", "TWO": "x y"}


@pytest.mark.parametrize(
    ("word", "found"),
    [
        ("", ""),
        ("x", "x"),
        ("'x y'", "x y"),
        ('"x y"', "x y"),
        ("x'y'\"z\"", "xyz"),
        ("'$A'", "$A"),
        ('"$A"', "a"),
        ("'\\'", "\\"),
        ("\\$A", "$A"),
        ("\\x\\\\", "x\\"),
        ('"\\x\\"\\$\\\\"', '\\x"$\\'),
        ("x\\", "x"),
        ("$", "$"),
        ("$$A", "A"),
        ("$A$A", "aa"),
        ("$AB", ""),
        ("${A}B", "aB"),
        ("$A-B", "a-B"),
        ("$TWO", "x y"),
        ("$1A", "A"),
        ("${A:-x}${EMPTY:-x}${NONE:-x}", "axx"),
        ("${A-x}${EMPTY-x}${NONE-x}", "ax"),
        ("${A:+x}${EMPTY:+x}${NONE:+x}", "x"),
        ("${A+x}${EMPTY+x}${NONE+x}", "xx"),
        ("${A:?x}${EMPTY?x}", "a"),
        ("${NONE:-${NONE:-$A}}", "a"),
        ("${NONE:-'}'\\}}", "}}"),
        ("${NONE:-}", ""),
    ],
)
def test_quotes_go_and_variables_are_put_in(word: str, found: str) -> None:
    assert expand(word, KNOWN.get) == (found, True)


@pytest.mark.parametrize(
    "word",
    [
        *("'x", '"x', "${", "${A", "${}", "${:-x}", "${{A}}", "${A:x}", "${A^^}", "${A:-x"),
        *("${NONE:?x}", "${EMPTY:?}", "${NONE?x}"),
    ],
)
def test_a_word_that_no_builder_takes_is_refused(word: str) -> None:
    with pytest.raises(BadWordError):
        expand(word, KNOWN.get)


@pytest.mark.parametrize(
    ("word", "found", "settled"),
    [
        ("$B", "$B", False),
        ("x$A${B}y", "xa${B}y", False),
        ("${B:-$A}", "${B:-$A}", False),
        ("${A:-$B}", "a", True),
        ("${A:+$B}", "$B", False),
        ("${A#x}", "${A#x}", False),
        ("${A##x}${A%x}${A%%x}", "${A##x}${A%x}${A%%x}", False),
        ("${A/x/y}${A//x/y}", "${A/x/y}${A//x/y}", False),
        ("'$B'\\$B", "$B$B", True),
    ],
)
def test_what_is_not_known_stays_as_it_was_written(word: str, found: str, *, settled: bool) -> None:
    assert expand(word, lambda name: KNOWN.get(name, UNKNOWN)) == (found, settled)


def test_another_character_may_be_the_escape() -> None:
    assert expand("x`$A\\$A", KNOWN.get, "`") == ("x$A\\a", True)


@pytest.mark.parametrize(
    ("rest", "words"),
    [
        ("", []),
        ("a", ["a"]),
        (" a \t b\xa0c\u2003", ["a", "b", "c"]),
        ("a='b c' d=\"e f\"", ["a='b c'", 'd="e f"']),
        ("a=b\\ c", ["a=b\\ c"]),
        ('a="b \\" c"', ['a="b \\" c"']),
        ("a='b \\' c", ["a='b \\'", "c"]),
        ("a='b c", ["a='b c"]),
        ("a\\", ["a"]),
        ("'' a", ["''", "a"]),
        ("\\", []),
    ],
)
def test_names_and_values_are_split_at_white_space_outside_of_quotes(rest: str, words: list[str]) -> None:
    assert name_words(rest) == words


@pytest.mark.parametrize(
    ("line", "raw", "words"),
    [
        ("a 'b c' \"d e\" f\\ g", True, ["a", "'b c'", '"d e"', "f\\ g"]),
        ("a 'b c' \"d e\" f\\ g", False, ["a", "b c", "d e", "f g"]),
        ("cat <<EOF", True, ["cat", "<<EOF"]),
        ("cat << EOF", True, ["cat", "<< EOF"]),
        ("${x:-a b}", True, ["${x:-a", "b}"]),
        ("${x:=a} $$ $(b)", True, ["${x:=a}", "$$", "$(b)"]),
        ("it's", True, []),
        ("'' \"\"", False, []),
    ],
)
def test_a_line_is_split_as_a_shell_does(line: str, words: list[str], *, raw: bool) -> None:
    assert shell_words(line, raw=raw) == words
