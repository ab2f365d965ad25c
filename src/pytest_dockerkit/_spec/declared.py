"""The images that a project declares: `[tool.pytest_dockerkit.images]` in its `pyproject.toml`."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path

from pytest_dockerkit._spec.image import ImageSpec
from pytest_dockerkit._values import FrozenMapping


def read_images(text: str, path: Path) -> Mapping[str, ImageSpec]:
    """Read the table; paths in it are relative to the file.

    Args:
        text: the file's text.
        path: the file.

    Raises:
        SpecError: the table is wrong.
    """
    table = tomllib.loads(text).get("tool", {}).get("pytest_dockerkit", {}).get("images", {})
    return FrozenMapping({name: _image(fields, path.parent) for name, fields in table.items()})


def _image(fields: Mapping[str, object], base: Path) -> ImageSpec:
    given = dict(fields)
    if "args" in given:
        given["build_args"] = given.pop("args")
    return ImageSpec(**{"build": ".", **given}).anchored(base)  # type: ignore[arg-type]
