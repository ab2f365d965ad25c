"""Reading the code blocks of the pages.

A comment above a block says what is special about it; it is not seen in the finished page:

    <!-- docs: conftest.py -->          a conftest.py for the suites below it on the page
    <!-- docs: in examples/shop -->     runs in a copy of the shop, in its directory of tests
    <!-- docs: 6 tests -->              how many its functions are, where they are parametrised
    <!-- docs: not run: WHY -->         is compiled and not run

Several are parted by ";".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
SHOP = ROOT / "examples/shop"
PAGES = tuple(
    str(path.relative_to(ROOT))
    for path in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md")))
)

_BLOCK = re.compile(
    r"(?:^<!-- docs: (?P<words>[^\n]*) -->\n)?^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)
_TEST = re.compile(r"^\s*def test_", re.MULTILINE)
_COUNT = re.compile(r"(\d+) tests")
_KNOWN = re.compile(rf"conftest\.py|in examples/shop|{_COUNT.pattern}|not run: .+")


@dataclass(frozen=True)
class Block:
    """A code block of a page.

    Attributes:
        page: the page's path in the repository.
        line: the line of its first line of code, from 1.
        language: what is said after the three backticks.
        text: the code.
        words: what the comment above it says.
    """

    page: str
    line: int
    language: str
    text: str
    words: tuple[str, ...]

    @property
    def is_conftest(self) -> bool:
        """Whether it is for the suites below it."""
        return "conftest.py" in self.words

    @property
    def is_suite(self) -> bool:
        """Whether it is to be run."""
        excused = any(each.startswith("not run: ") for each in self.words)
        return self.language == "python" and _TEST.search(self.text) is not None and not excused

    @property
    def tests(self) -> int:
        """How many tests it has."""
        said = [int(match[1]) for each in self.words if (match := _COUNT.fullmatch(each))]
        return said[0] if said else len(_TEST.findall(self.text))

    @property
    def in_shop(self) -> bool:
        """Whether it stands in the shop's directory of tests."""
        return "in examples/shop" in self.words


def blocks(page: str) -> list[Block]:
    """Give the code blocks of a page.

    Raises:
        ValueError: a comment says something that is not known, or stands above no block.
    """
    text = (ROOT / page).read_text(encoding="utf-8")
    found = []
    for match in _BLOCK.finditer(text):
        words = tuple(each.strip() for each in (match["words"] or "").split(";") if each.strip())
        line = text.count("\n", 0, match.start("text")) + 1
        if unknown := [each for each in words if not _KNOWN.fullmatch(each)]:
            raise ValueError(f"{page}:{line}: {unknown}")
        found.append(Block(page, line, match["language"], match["text"], words))
    if text.count("<!-- docs:") != sum(bool(block.words) for block in found):
        raise ValueError(f"{page}: a comment stands above no block")
    return found
