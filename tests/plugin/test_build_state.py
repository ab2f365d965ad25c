"""What an image is called after has to be what it was built from, whatever happens meanwhile."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_dockerkit import BuildError, BuildRequest, ImageSpec, SpecError
from pytest_dockerkit._engine import context, walk
from pytest_dockerkit._names import new_run_id
from pytest_dockerkit._runtime import builds
from pytest_dockerkit._runtime.session import Session
from pytest_dockerkit._runtime.settings import Settings
from tests.plugin.listeners import Deaf

if TYPE_CHECKING:
    import docker

BASE = "busybox:stable"


@pytest.fixture
def sessions(tmp_path: Path) -> Iterator[list[Session]]:
    made: list[Session] = []
    yield made
    for session in made:
        session.undo_all()
        session.close()


@pytest.fixture
def session(sessions: list[Session], tmp_path: Path) -> Session:
    return begin(sessions, tmp_path)


def begin(sessions: list[Session], tmp_path: Path) -> Session:
    session = Session(Settings(state_dir=tmp_path / "state"), new_run_id(), "main", Deaf())
    sessions.append(session)
    return session


@pytest.fixture
def project(tmp_path: Path) -> Path:
    directory = tmp_path / "the project"
    directory.mkdir()
    (directory / "unique").write_text(uuid.uuid4().hex, encoding="utf-8")
    (directory / "Dockerfile").write_text(f"FROM {BASE}\nCOPY . /app\n", encoding="utf-8")
    return directory


def spec(project: Path) -> ImageSpec:
    return ImageSpec(build=project).anchored(project)


def test_a_change_there_and_back_during_a_build_is_seen(
    session: Session, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `git stash` and `git stash pop` make it: what was sent was neither."""
    file = project / "unique"
    original = file.read_text(encoding="utf-8")
    build, times = session.build, []

    def meddle(request: BuildRequest) -> None:
        times.append(1)
        if len(times) == 1:
            file.write_text("changed", encoding="utf-8")
            build(request)
            file.write_text(original, encoding="utf-8")
        else:
            build(request)

    monkeypatch.setattr(session, "build", meddle)
    image = session.images.get(spec(project))
    assert len(times) == 2
    assert image.file("/app/unique").read_text() == original


def test_a_base_that_moves_meanwhile_is_another(
    sessions: list[Session], tmp_path: Path, project: Path, docker_client: docker.DockerClient
) -> None:
    """Somebody builds the base anew by hand, while tests run."""
    session = begin(sessions, tmp_path)
    name = f"dockerkit-test-{uuid.uuid4().hex[:8]}:dev"
    made = [session.images.get(ImageSpec(dockerfile_text=f"FROM {BASE}\nLABEL x={uuid.uuid4().hex}\n")) for _ in "ab"]
    (project / "Dockerfile").write_text(f"FROM {name}\nCOPY unique /\n", encoding="utf-8")
    try:
        docker_client.images.get(made[0].id).tag(name)
        first = session.images.get(spec(project))
        docker_client.images.get(made[1].id).tag(name)
        second = session.images.get(spec(project))
        assert (first.cached, second.cached) == (False, False)
        assert second.config.labels["x"] == made[1].config.labels["x"]
        docker_client.images.get(made[0].id).tag(name)
        assert begin(sessions, tmp_path).images.get(spec(project)).id == first.id
    finally:
        docker_client.images.remove(name)


def test_a_name_that_somebody_has_given_to_another_image_is_not_believed(
    sessions: list[Session], tmp_path: Path, project: Path, docker_client: docker.DockerClient
) -> None:
    image = begin(sessions, tmp_path).images.get(spec(project))
    docker_client.images.remove(image.reference)
    docker_client.images.get(BASE).tag(image.reference)
    again = begin(sessions, tmp_path).images.get(spec(project))
    assert again.fingerprint == image.fingerprint
    assert again.file("/app/unique").exists


def test_a_file_that_vanishes_is_looked_past(
    session: Session, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Test runs write and remove caches in the contexts that they build from."""
    vanishing = iter(["one", "two"])

    def meddle(*args: object) -> object:
        name = next(vanishing, None)
        if name is None:
            return walk.walk(*args)  # type: ignore[arg-type]
        (project / name).touch()
        found = walk.walk(*args)  # type: ignore[arg-type]
        (project / name).unlink()
        return found

    monkeypatch.setattr(context, "walk", meddle)
    assert session.images.get(spec(project)).file("/app/unique").exists


def test_files_that_always_vanish_are_told(session: Session, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: object) -> object:
        raise context.ContextMovedError("a/__pycache__")

    monkeypatch.setattr(builds, "read_context", gone)
    with pytest.raises(SpecError) as caught:
        session.images.get(spec(project))
    assert str(caught.value) == (
        "files of the build context vanish while they are read\n"
        f"  saw:  a/__pycache__ in {project}\n"
        "  mend: name in the ignore file what is written there while tests run, such as **/__pycache__"
    )


def test_a_build_that_has_failed_is_not_made_again_in_the_run(
    session: Session, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of forty tests would wait for it, and hear the same; one that is mended is built."""
    text = f"FROM {BASE}\nCOPY unique /\nRUN echo once; exit 3\n"
    (project / "Dockerfile").write_text(text, encoding="utf-8")
    build, times = session.build, []

    def count(request: BuildRequest) -> None:
        times.append(1)
        build(request)

    monkeypatch.setattr(session, "build", count)
    told = []
    for _ in range(3):
        with pytest.raises(BuildError) as caught:
            session.images.get(spec(project))
        told.append(str(caught.value))
    assert len(times) == 1
    assert len(set(told)) == 1
    assert "Dockerfile:3: RUN echo once; exit 3" in told[0]
    assert [line for line in session.ledger.path.read_text().splitlines() if '"make"' in line] != []
    (project / "Dockerfile").write_text(text.replace("exit 3", "exit 0"), encoding="utf-8")
    session.images.get(spec(project))
    assert len(times) == 2


def test_an_image_for_one_platform_in_a_container_for_another_is_refused(session: Session, project: Path) -> None:
    wanted = ImageSpec(build=project, platform="linux/amd64").anchored(project)
    with pytest.raises(SpecError) as caught:
        session.images.get(wanted, platform="linux/arm64")
    assert str(caught.value) == (
        "an image is built for one platform and wanted for another\n"
        "  saw:  platform='linux/amd64' of the image, platform='linux/arm64' of the container\n"
        "  mend: say it once, or the same in both places"
    )
