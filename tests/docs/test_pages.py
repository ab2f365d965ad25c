"""What the pages show is true: their code compiles, and their suites pass."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from tests.docs.pages import PAGES, SHOP, blocks

if TYPE_CHECKING:
    from pathlib import Path

    from tests.docs.pages import Block
    from tests.plugin.conftest import Suite

WITH_SUITES = [page for page in PAGES if any(block.is_suite for block in blocks(page))]


@pytest.mark.parametrize("page", PAGES)
def test_its_python_compiles(page: str) -> None:
    for block in blocks(page):
        if block.language == "python":
            # Blank lines above, so that an error names the line of the page.
            compile("\n" * (block.line - 1) + block.text, page, "exec")


@pytest.mark.parametrize("page", WITH_SUITES)
def test_its_suites_pass(page: str, suite: Suite) -> None:
    for root, count in _write_suites(page, suite.path).items():
        suite.run_files("--import-mode=importlib", f"--rootdir={root}", str(root)).ended(passed=count)


def _write_suites(page: str, directory: Path) -> dict[Path, int]:
    """Write each suite of a page into a directory of its own, and count the tests.

    Returns:
        the number of tests by root directory: one for each copy of the shop, which declares its images there, and
        one for all others.
    """
    conftest: Block | None = None
    counts: dict[Path, int] = {}
    for block in blocks(page):
        if block.is_conftest:
            conftest = block
        if not block.is_suite:
            continue
        root = directory / (f"shop_{block.line}" if block.in_shop else "plain")
        place = root / ("tests" if block.in_shop else f"line_{block.line}")
        if block.in_shop:
            shutil.copytree(SHOP, root, ignore=shutil.ignore_patterns("tests", "__pycache__", "pytest.ini"))
        place.mkdir(parents=True)
        (place / "test_page.py").write_text(block.text, encoding="utf-8")
        if conftest is not None and conftest.in_shop == block.in_shop:
            (place / "conftest.py").write_text(conftest.text, encoding="utf-8")
        counts[root] = counts.get(root, 0) + block.tests
    return counts
