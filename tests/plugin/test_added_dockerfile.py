"""A Dockerfile that is no part of the context is no part of the image."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_dockerkit import ImageSpec

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_dockerkit import Kit

TEXT = "FROM busybox:stable\nCOPY . /app\n"


@pytest.mark.parametrize("where", ["text", "outside", "ignored"])
def test_copying_the_whole_context_shows_no_dockerfile(where: str, dockerkit: Kit, tmp_path: Path) -> None:
    context = tmp_path / "context"
    context.mkdir()
    (context / "app.txt").write_text("app")
    if where == "text":
        spec = ImageSpec(build=context, dockerfile_text=TEXT)
    elif where == "outside":
        (tmp_path / "Dockerfile").write_text(TEXT)
        spec = ImageSpec(build=context, dockerfile="../Dockerfile")
    else:
        (context / "Dockerfile").write_text(TEXT)
        (context / ".dockerignore").write_text("Dockerfile\n.dockerignore\n")
        spec = ImageSpec(build=context)
    assert [file.path for file in dockerkit.build(spec).files("/app/*")] == ["/app/app.txt"]
