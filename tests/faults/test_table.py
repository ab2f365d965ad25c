"""The table of the faults: each row has a test, and each test of a fault a row."""

from __future__ import annotations

import re
from pathlib import Path

from tests.faults.test_engine_faults import CALLS

TESTS = Path(__file__).parents[1]
PAGE = TESTS.parent / "docs/reference/faults.md"


def rows() -> list[list[str]]:
    """Give the cells of all rows that have a test."""
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines if line.startswith("| ")]
    return [each for each in cells if each[0] != "What happens" and set(each[0]) != {"-"}]


def functions(path: Path) -> set[str]:
    return set(re.findall(r"(?m)^def (test_\w+)", path.read_text(encoding="utf-8")))


def test_each_row_is_whole_and_its_test_is_there() -> None:
    assert rows()
    for cells in rows():
        assert len(cells) == 4, cells
        assert all(cells), cells
        path, _, name = cells[-1].strip("` ").partition("::")
        assert name in functions(TESTS / path), cells[-1]


def test_each_test_of_a_fault_has_a_row() -> None:
    named = {cells[-1].strip("` ") for cells in rows()}
    tests = {
        f"faults/{path.name}::{name}"
        for path in Path(__file__).parent.glob("test_*.py")
        if path != Path(__file__)
        for name in functions(path)
    }
    assert tests - named == set()


def test_each_call_is_named() -> None:
    said = " ".join(PAGE.read_text(encoding="utf-8").split())
    listed = re.search(r"The calls: ([^.]+)\.", said)
    assert listed is not None
    assert listed[1].split(", ") == [*CALLS]
