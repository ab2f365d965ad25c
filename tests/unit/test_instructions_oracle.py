"""Our reader of instructions against BuildKit's own, which PyPI's `dockerfile` has compiled into it."""

from __future__ import annotations

import importlib.util
import json
import random
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pytest_dockerkit._spec.instructions import Instruction, half_a_list, read
from pytest_dockerkit._spec.settled import pairs
from pytest_dockerkit._spec.words import name_words

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("dockerfile") is None, reason="BuildKit's parser has no wheel for this platform"
)

#: Answers each line with what BuildKit's parser gives for a text, or null where it refuses it. It has a process of
#: its own: Go's runtime brings threads along, over which other tests would stumble that fork.
PARSER = """
import json
import sys

import dockerfile

for line in sys.stdin:
    try:
        found = [
            [
                (each.cmd or "").upper(),
                (each.sub_cmd or "").upper(),
                each.start_line,
                each.end_line,
                each.flags,
                each.value,
                [[heredoc.name, heredoc.content] for heredoc in each.heredocs],
            ]
            for each in dockerfile.parse_string(json.loads(line))
        ]
    except dockerfile.GoParseError:
        found = None
    print(json.dumps(found), flush=True)
"""

CORPUS = [
    # Lines and their continuation.
    "FROM a",
    "from a as b\ncopy x y\n",
    "FROM a\n\n\n  RUN x\n\tRUN y\n",
    "FROM\ta\tAS\tb",
    "FROM a\nRUN x \\\n  y\nRUN z",
    "FROM a\nRUN x \\ \t\n  y\n",
    "FROM a\nRUN x\\\ny\n",
    "FROM a\nRUN x \\\\\nRUN y\n",
    "FROM a\nRUN x \\\\\\\nRUN y\n",
    "FROM a\nRUN x \\\n\\\n\\\n y\n",
    "\\\nFROM a\n",
    "FROM a\nRUN x \\\n# a comment\n  # another \\\n  y\n",
    "FROM a\nRUN x \\\n\n   \n  y\n",
    "FROM a\nRUN x \\\n #\n",
    "FROM a\nRUN x \\",
    "FROM a\nRUN x # no comment\n",
    "# a comment \\\nFROM a\n",
    "  # a comment\n  FROM a\n",
    "FROM a\r\nRUN x \\\r\n  y\r\nCOPY a b\r\n",
    "\ufeffFROM a\nRUN x\n",
    "FROM a\nRUN x\x0cFROM b\nRUN x=\u2028y\n",
    "FROM a\nRUN\u00a0x\n\u00a0RUN y\u00a0\n",
    "FROM a\nRUN x\x1c\n\x1fRUN y\n",
    "FROM a\nRUN\n",
    "FROM a\nNONSENSE x --y z\n",
    # Directives.
    "# escape=`\nFROM a\nCOPY x c:\\\nRUN y `\n  z\n",
    "# syntax=docker/dockerfile:1\n# escape=`\nFROM a\nRUN x `\n y\n",
    "#ESCAPE = ` \nFROM a\nRUN x `\n y\n",
    "# hello\n# escape=`\nFROM a\nRUN x \\\n y\n",
    "\n# escape=`\nFROM a\nRUN x \\\n y\n",
    "  # escape=`\nFROM a\nRUN x `\n y\n",
    "# escape=\\\nFROM a\nRUN x \\\n y\n",
    "FROM a\n# escape=`\nRUN x `\nRUN y\n",
    # Flags.
    "FROM --platform=$BUILDPLATFORM a AS b\n",
    "FROM a\nCOPY --from=b --chown=1:1 --chmod=0755 --link x y\n",
    "FROM a\nCOPY --from=\"b\" --chown='1' x y\n",
    'FROM a\nCOPY --from=b" c"d x y\n',
    "FROM a\nCOPY --from=b\\ c x y\n",
    "FROM a\nCOPY \\\n  --from=b \\\n  x y\n",
    "FROM a\nCOPY --fr\\\nom=b x y\n",
    "FROM a\nCOPY -- --x y\n",
    "FROM a\nCOPY --from=b -- x y\n",
    "FROM a\nCOPY - -x --y z\n",
    "FROM a\nCOPY --from=b\n",
    "FROM a\nRUN --mount=type=bind,source=a,target=/b --network=none cmd --flag\n",
    'FROM a\nRUN --mount=type=bind,\\"source=a,b\\",target=/b cmd\n',
    "FROM a\nHEALTHCHECK --interval=1s --timeout=2s CMD x --y\n",
    'FROM a\nHEALTHCHECK CMD ["a", "b"]\nHEALTHCHECK NONE\n',
    # JSON.
    'FROM a\nCOPY ["a b", "c"]\nADD  [ "x" , "y" ]\n',
    'FROM a\nCOPY --from=b ["a b", "c"]\n',
    "FROM a\nCOPY ['a', 'b']\n",
    'FROM a\nRUN ["a", "b c"]\nCMD ["x"]\nENTRYPOINT []\nSHELL ["p", "-c"]\n',
    'FROM a\nRUN [ "a" = b ]\nRUN [ -d x ]\n',
    'FROM a\nRUN ["a", \\\n "b"]\n',
    'FROM a\nCOPY ["\\u0061", "b\\"c"]\n',
    'FROM a\nVOLUME ["/a", "/b"]\nVOLUME /c /d\n',
    "FROM a\nRUN [NaN]\nRUN [\n",
    # Heredocs.
    "FROM a\nRUN <<EOF\nx\n  y \\\n# z\n\nEOF\nRUN w\n",
    "FROM a\nCOPY <<A <<-B /x/\nq\nA\n\tz\n\tB\nRUN w\n",
    "FROM a\nRUN <<'E' cat\nq\nE\nRUN <<\"F\"\nq\nF\n",
    "FROM a\nRUN python 3<<E\nq\nE\n",
    "FROM a\nADD <<my-file.txt /x\nq\nmy-file.txt\n",
    "FROM a\nRUN <<E\n  E\nE \nE\n",
    "FROM a\nRUN x && \\\n <<E\nq\nE\n",
    "FROM a\r\nRUN <<E\r\nq\r\nE\r\nRUN x\r\n",
    "FROM a\nRUN cat <<<x\nRUN echo $((1<<X))\nRUN a<<b\n",
    "FROM a\nRUN echo \"1 <<EOF\" '2 <<EOF'\n",
    "FROM a\nRUN echo it's <<EOF\nRUN x\n",
    "FROM a\nRUN echo \\<<EOF\nRUN x\n",
    "FROM a\nRUN echo ${x:-<<E}\nRUN y\n",
    "FROM a\nRUN echo ${x:-a <<E b}\nq\nE\nRUN y\n",
    'FROM a\nCOPY ["<<E", "/x"]\nRUN y\n',
    "FROM a\nLABEL x=<<E\nCMD cat <<E\nRUN y\n",
    "FROM a\nONBUILD COPY <<E /x\nq\nE\nONBUILD RUN x\n",
    'FROM a\nRUN <<"a b"\nq\na b\nRUN x\n',
    "FROM a\nRUN <<E\\F\nq\nEF\nRUN x\n",
    "FROM a\nRUN <<E <<E\n1\nE\n2\nE\nRUN x\n",
    "# escape=`\nFROM a\nRUN <<E `\n x\nq\nE\n",
    # Names and values.
    "FROM a\nENV a=b c=\"d e\" f\\ g=h i='j k'\n",
    "FROM a\nENV a b c\nENV a   b  c\n",
    'FROM a\nENV a="b \\" c" d=\\\ne\n',
    "FROM a\nENV a= b=\"\" c=''\n",
    "# escape=`\nFROM a\nENV a=b` c d=\\e\n",
    "ARG a\nARG b=c d\nFROM a\nARG e=\"f g\" h='i j' k=\\ l\n",
    'FROM a\nLABEL a=b "c d"=e\nLABEL x y z\n',
    # The rest.
    "FROM a\nUSER  x y \nWORKDIR /a b\nSTOPSIGNAL 9\nMAINTAINER a b\nEXPOSE 1 2/udp\n",
    "FROM a\nONBUILD COPY --from=b x y\nONBUILD   RUN z\nonbuild env a=b\n",
    "FROM a\nCMD x y\nENTRYPOINT  x\n",
]

#: What mutations put in.
PIECES = [
    *("\\\n", " \\\n", "\n", "\r\n", " ", "\t", "\\", "\\\\", "`", "#", "# c\n", "\n#\n", "'", '"', "$", "${", "}"),
    *(
        "<<",
        "<<E",
        "<<-E",
        "\nE\n",
        "E",
        "[",
        "]",
        '["a", "b"]',
        ",",
        "--",
        " --from=b ",
        " --mount=from=c,target=/x ",
    ),
    *("=", "a", "x y", "\u00e9", "\u2003", "\x0b"),
    *("\nCOPY a b\n", "\nRUN x\n", "\nFROM b\n", "\nENV a=b\n", "\nONBUILD "),
]


Parser = Callable[[str], list[list[Any]] | None]


@pytest.fixture(scope="module")
def theirs() -> Iterator[Parser]:
    """What BuildKit's parser gives for a text; None where it refuses it."""
    with subprocess.Popen(
        [sys.executable, "-c", PARSER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        asked, answers = process.stdin, process.stdout

        def ask(text: str) -> list[list[Any]] | None:
            asked.write(json.dumps(text) + "\n")
            asked.flush()
            found = json.loads(answers.readline())
            return found if found is None else [_comparable(each) for each in found]

        yield ask


def _comparable(command: list[Any]) -> list[Any]:
    # What follows the flags of an instruction that is not known, or is another's, is not kept apart there.
    return [*command[:5], command[5] if command[0] in KEYWORDS else None, command[6]]


def ours(text: str) -> list[list[Any]]:
    """What our reader gives."""
    return [
        [
            each.keyword,
            each.triggered.keyword if each.triggered else "",
            each.line,
            each.last_line,
            [flag.word for flag in each.flags],
            _words(each),
            # It does not give those of an `ONBUILD`, but reads over them.
            [[heredoc.name, heredoc.body] for heredoc in each.heredocs if not each.triggered],
        ]
        for each in read(text).instructions
    ]


WORDS = {"FROM", "COPY", "ADD", "EXPOSE", "VOLUME"}
LISTS = {"RUN", "CMD", "ENTRYPOINT", "SHELL"}
TEXTS = {"USER", "WORKDIR", "STOPSIGNAL", "MAINTAINER"}
PAIRS = {"ENV", "LABEL"}
KEYWORDS = WORDS | LISTS | TEXTS | PAIRS | {"ARG"}


def _words(each: Instruction) -> list[str] | None:
    if each.keyword in WORDS:
        return each.words
    if each.keyword in PAIRS:
        return [part for pair in pairs(each) for part in pair]
    if each.keyword == "ARG":
        return name_words(each.rest, each.escape)
    if each.keyword in LISTS and each.as_json is not None:
        return each.as_json
    if each.keyword in LISTS | TEXTS:
        return [each.rest] if each.rest else []
    return None


def mutated(text: str, chance: random.Random) -> str:
    """Spoil a text in one to four places."""
    for _ in range(chance.randint(1, 4)):
        at = chance.randint(0, len(text))
        end = min(len(text), at + chance.choice([0, 0, 0, 1, 1, 2, 5]))
        text = text[:at] + chance.choice(["", *PIECES]) + text[end:]
    return text


def comparable(text: str) -> bool:
    """Tell whether the parser that `dockerfile` has is the newest one's equal for a text.

    It is of BuildKit 0.12. `<< EOF` began no heredoc then, nor was `${x#y}` known; what followed a JSON list was
    passed over; the escape directive did not hold for flags; less white space was allowed before a directive.
    Flags it reads byte by byte, as BuildKit still does: what is not ASCII in them is broken there, and no build
    goes well with it.
    """
    escape = next((value for name, value in read(text).directives if name == "escape"), "\\")
    return not re.search(r"(?m)^\s*#[ \t]*[\x0b\u2003]", text) and not any(
        re.search(r"<<-?\s|\$\{\w*:?[#%/]", each.text)
        or ("--" in each.text and (not each.text.isascii() or (escape == "`" and re.search(r"[`\\]", each.text))))
        or half_a_list(each.rest)
        or half_a_list(each.triggered.rest if each.triggered else "")
        for each in read(text).instructions
    )


@pytest.mark.parametrize("text", CORPUS)
def test_a_text_is_read_as_buildkit_reads_it(text: str, theirs: Parser) -> None:
    assert ours(text) == theirs(text)


@pytest.mark.parametrize("seed", range(40))
def test_spoiled_texts_are_read_as_buildkit_reads_them(seed: int, theirs: Parser) -> None:
    chance = random.Random(seed)
    read_by_both = 0
    for _ in range(200):
        text = mutated(chance.choice(CORPUS), chance)
        wanted = theirs(text)
        if wanted is None:
            # What BuildKit refuses we may read as we like, but read.
            read(text)
        elif comparable(text):
            read_by_both += 1
            assert ours(text) == wanted, repr(text)
    assert read_by_both > 50
