"""A project with a matrix of images, whose contents no other test has."""

from __future__ import annotations

import contextlib
import uuid
from typing import TYPE_CHECKING

import docker
import docker.errors
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from docker.models.images import Image

_LABEL = "dockerkit-test"


class Matrix:
    """Writes the tables of a project, and finds what was built of them.

    Attributes:
        path: the project's directory.
        unique: a word that no other test has.
    """

    def __init__(self, path: Path, client: docker.DockerClient) -> None:
        self.path = path
        self.unique = uuid.uuid4().hex
        self._client = client

    def declare(self, *, ini: str = "", **images: str) -> None:
        """Write the table.

        Args:
            ini: lines of pytest's own table.
            **images: Dockerfiles by name; an underscore is a slash in a name. Each gets a label of its own.
        """
        lines = [f"[tool.pytest.ini_options]\n{ini}\n[tool.pytest_dockerkit.images]"]
        (self.path / "images").mkdir(exist_ok=True)
        for name, text in images.items():
            (self.path / "images" / f"{name}.Dockerfile").write_text(
                f"{text}\nLABEL {_LABEL}={self.unique} name={name}\n", encoding="utf-8"
            )
            lines.append(f'"{name.replace("_", "/")}" = {{ build = "images", dockerfile = "{name}.Dockerfile" }}')
        (self.path / "pyproject.toml").write_text("\n".join(lines) + "\n", encoding="utf-8")

    def built(self) -> list[str]:
        """Give the names of the images that are on the engine, each as often as there are images of it."""
        return sorted(each.labels["name"] for each in self._images())

    def remove(self) -> None:
        """Remove what was built."""
        for image in self._images():
            with contextlib.suppress(docker.errors.ImageNotFound):
                self._client.images.remove(str(image.id), force=True)

    def _images(self) -> list[Image]:
        return list(self._client.images.list(filters={"label": f"{_LABEL}={self.unique}"}))


@pytest.fixture
def matrix(pytester: pytest.Pytester, docker_client: docker.DockerClient) -> Iterator[Matrix]:
    """A project in the directory of the inner suite; what is built of it is removed at the end."""
    made = Matrix(pytester.path, docker_client)
    yield made
    made.remove()
