"""The examples pass by themselves, and the README shows what it prints."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING

from tests.docs.pages import ROOT, blocks

if TYPE_CHECKING:
    import pytest


def test_the_shop_passes_and_the_readme_shows_it(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(pytester.path / "state"))
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    # As in the Makefile; from the top of the repository, so that the paths are the same.
    options = ("-v", "-p", "no:randomly", "-p", "no:cacheprovider", "-c", "examples/shop/pytest.ini", "examples/shop")
    monkeypatch.chdir(ROOT)
    result = pytester.run(sys.executable, "-B", "-m", "pytest", *options)
    assert result.ret == 0, result.stdout.str()
    printed = _passed(result.stdout.str())
    shown = next(block.text for block in blocks("README.md") if "PASSED" in block.text)
    assert _passed(shown) == printed
    # They are built side by side, and told in the order in which they were there.
    assert sorted(_images(shown)) == sorted(_images(result.stdout.str()))
    ended = re.compile(r"images: \d built, \d from cache, (\d+ containers, \d networks; all removed, images kept)")
    summary = ended.search(result.stdout.str())
    assert summary is not None
    assert summary[1] in shown
    assert list((pytester.path / "state/pytest-dockerkit/runs").iterdir()) == []


def test_each_network_is_shown(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a machine lacks is skipped there, and told."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(pytester.path / "state"))
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    monkeypatch.chdir(ROOT)
    options = ("-p", "no:cacheprovider", "-c", "examples/networks/pytest.ini", "examples/networks")
    result = pytester.run(sys.executable, "-B", "-m", "pytest", *options)
    outcomes = result.parseoutcomes()
    assert (result.ret, outcomes["passed"] + outcomes.get("skipped", 0)) == (0, 11), result.stdout.str()
    assert outcomes["passed"] >= 8
    skips = [line for line in result.outlines if line.startswith("SKIPPED")]
    assert all(re.search("the kernel of the engine's machine has no|need a swarm", line) for line in skips)


def _images(text: str) -> list[str]:
    found = re.findall(r"^(?:built|cached) +(\S+) .*MB$", text, re.MULTILINE)
    assert found
    return found


def _passed(text: str) -> list[str]:
    return re.findall(r"^(?:.*/)?(tests/\S+::\S+) PASSED", text, re.MULTILINE)
