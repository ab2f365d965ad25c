"""Images: what changes between two requests, or during one, is seen."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import pytest

from pytest_dockerkit import Image, ImageSpec
from pytest_dockerkit._names import new_run_id
from pytest_dockerkit._runtime import ledger
from pytest_dockerkit._runtime.session import Session
from pytest_dockerkit._runtime.settings import Settings
from pytest_dockerkit.errors import BuildError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import docker

    from pytest_dockerkit import ContainerSpec
    from pytest_dockerkit._engine.base import Builder, BuildRequest

BASE = "busybox:stable"


class Deaf:
    """A listener that lets everything pass."""

    def wanted(self, spec: ContainerSpec) -> ContainerSpec:
        return spec

    def ready(self, container: object) -> None: ...

    def failed(self, spec: object, error: object) -> None: ...


class Run:
    """One process of a run, whose images are removed at the end."""

    def __init__(self, root: Path, **settings: Any) -> None:
        self.root = root
        self.session = Session(Settings(state_dir=root / "state", **settings), new_run_id(), "main", Deaf())
        self.ids: dict[str, None] = {}

    def build(self, **fields: Any) -> Image:
        image = self.session.images.get(ImageSpec(**fields).anchored(self.root))
        self.ids[image.id] = None
        return image

    @property
    def notes(self) -> list[tuple[str, str]]:
        """What the ledger says of images."""
        lines = ledger.read(self.session.directory)
        return [(line["what"], line["name"]) for line in lines if line["do"] == "note"]

    @property
    def left(self) -> list[ledger.Entry]:
        """What the run still has to remove."""
        return ledger.open_entries(ledger.read(self.session.directory))

    def end(self) -> None:
        self.session.undo_all()
        self.session.forget()
        self.session.close()


class Meddling:
    """The real builder, after something has happened to the files."""

    def __init__(self, builder: Builder, meddle: Callable[[], object]) -> None:
        self.builder = builder
        self.meddle = meddle

    def build(self, request: BuildRequest) -> None:
        self.meddle()
        self.builder.build(request)


@pytest.fixture
def run(tmp_path: Path, docker_client: docker.DockerClient) -> Iterator[Callable[..., Run]]:
    """Begins runs of one process each."""
    runs: list[Run] = []

    def begin(**settings: Any) -> Run:
        runs.append(Run(tmp_path, **settings))
        return runs[-1]

    yield begin
    for each in runs:
        each.end()
    ids = {image_id for each in runs for image_id in each.ids}
    for image in docker_client.images.list():
        if image.id in ids:
            docker_client.images.remove(image.id, force=True)


@pytest.fixture
def context(tmp_path: Path) -> Path:
    """A context whose content no other test has."""
    root = tmp_path / "app"
    root.mkdir()
    (root / "unique").write_text(uuid.uuid4().hex, encoding="utf-8")
    (root / "Dockerfile").write_text(f"FROM {BASE}\nCOPY unique /unique\n", encoding="utf-8")
    return root


def text_of(image: Image, path: str = "/unique") -> str:
    return image.file(path).read_text()


# Between two requests


def test_a_file_that_changes_between_two_tests_is_seen(run: Callable[..., Run], context: Path) -> None:
    """Also one of the same size; an unchanged one is the same image, which is told once."""
    here = run()
    first = here.build(build=context)
    assert here.build(build=context) is first
    (context / "unique").write_text("y" * 32, encoding="utf-8")
    second = here.build(build=context)
    assert text_of(second) == "y" * 32
    assert here.notes == [("built", first.reference), ("built", second.reference)]
    assert here.left == []


def test_an_image_that_was_removed_between_two_tests_is_built_again(
    run: Callable[..., Run], context: Path, docker_client: docker.DockerClient
) -> None:
    here = run()
    first = here.build(build=context)
    docker_client.images.remove(first.reference)
    second = here.build(build=context)
    assert not second.cached
    assert docker_client.images.get(second.reference).id == second.id
    assert here.notes == [("built", first.reference)] * 2


def test_a_tag_follows_what_was_asked_for_last(
    run: Callable[..., Run], context: Path, docker_client: docker.DockerClient
) -> None:
    """And so does an image that stands on the tag."""
    tag = f"dockerkit-test-{uuid.uuid4().hex[:8]}:base"
    here = run()
    text = (context / "unique").read_text(encoding="utf-8")
    above = {"dockerfile_text": f"FROM {tag}\nLABEL above=it\n"}
    first = here.build(build=context, tags=[tag])
    assert text_of(here.build(**above)) == text
    (context / "unique").write_text("changed", encoding="utf-8")
    here.build(build=context, tags=[tag])
    assert text_of(here.build(**above)) == "changed"
    (context / "unique").write_text(text, encoding="utf-8")
    again = here.build(build=context, tags=[tag])
    assert (again.id, docker_client.images.get(tag).id) == (first.id, first.id)
    assert text_of(here.build(**above)) == text


# During one


def test_a_file_that_changes_during_a_build_poisons_no_cache(
    run: Callable[..., Run], context: Path, docker_client: docker.DockerClient
) -> None:
    """It is built once more; under the first state's name there is nothing."""
    here = run()
    original = (context / "unique").read_text(encoding="utf-8")
    changes = iter(["changed"])
    engine = here.session.engine
    real = engine.builder

    def meddle() -> None:
        for change in changes:
            (context / "unique").write_text(change, encoding="utf-8")

    engine.builder = Meddling(real, meddle)
    image = here.build(build=context)
    assert text_of(image) == "changed"
    assert here.notes == [("built", image.reference)]
    assert here.left == []
    assert image.tags == (image.reference,)
    (context / "unique").write_text(original, encoding="utf-8")
    other = here.build(build=context)
    assert (other.cached, text_of(other)) == (False, original)


def test_files_that_change_during_each_build_are_told(
    run: Callable[..., Run], context: Path, docker_client: docker.DockerClient
) -> None:
    here = run()
    engine = here.session.engine
    engine.builder = Meddling(
        engine.builder, lambda: (context / "unique").write_text(uuid.uuid4().hex, encoding="utf-8")
    )
    with pytest.raises(BuildError) as caught:
        here.build(build=context, target="0")
    assert str(caught.value) == (
        "the files of app (target 0) change while it is built\n"
        "  saw:  others after each of two builds than before it\n"
        "  mend: find what writes into the context, or leave those files out with a .dockerignore"
    )
    assert here.notes == []
    assert here.left == []
    run_id = here.session.run_id
    assert [each for image in docker_client.images.list() for each in image.tags if run_id in each] == []
