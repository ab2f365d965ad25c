"""Hooks: each states its contract under the same four headings."""

from __future__ import annotations

import inspect
import re

import pytest

from pytest_dockerkit import hookspecs

HOOKS = [name for name in vars(hookspecs) if name.startswith("pytest_dockerkit_")]


def test_the_hooks_are_these() -> None:
    assert set(HOOKS) >= {
        "pytest_dockerkit_container_spec",
        "pytest_dockerkit_container_ready",
        "pytest_dockerkit_container_failed",
    }


@pytest.mark.parametrize("name", HOOKS)
def test_each_states_when_xdist_return_and_raise(name: str) -> None:
    hook = getattr(hookspecs, name)
    doc = inspect.getdoc(hook)
    assert doc is not None
    summary, _, contract = doc.partition("\n\n")
    assert re.fullmatch(r"[A-Z][^\n]*\.", summary)
    assert re.findall(r"^([A-Za-z]+):", contract, re.MULTILINE) == ["When", "xdist", "Return", "Raise"]
    assert hasattr(hook, "pytest_spec")
    assert "return" in inspect.get_annotations(hook)
