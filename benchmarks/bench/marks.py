"""A pytest plugin that writes down when what happened, for the timeline."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

_FILE = Path(os.environ["BENCH_MARKS"])
_WORKER = os.environ.get("PYTEST_XDIST_WORKER", "")


def _mark(what: str) -> None:
    line = json.dumps({"at": time.monotonic(), "what": what, "worker": _WORKER}) + "\n"
    with _FILE.open("a", encoding="utf-8") as file:
        file.write(line)


@pytest.hookimpl(tryfirst=True)
def pytest_configure() -> None:
    _mark("pytest has read its configuration")


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    _mark("collected")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    _mark(f"{item.name}: setup")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> None:
    _mark(f"{item.name}: test")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> None:
    _mark(f"{item.name}: teardown")


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish() -> None:
    _mark("the session finishes")


@pytest.hookimpl(trylast=True)
def pytest_unconfigure() -> None:
    _mark("the end")
