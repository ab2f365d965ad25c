"""The image registry, against a real one: a fleet builds once, and nothing that is wrong with it fails a test."""

from __future__ import annotations

import json
import uuid
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from pytest_dockerkit import Image, ImageSpec
from pytest_dockerkit._names import FINGERPRINT_LABEL, new_run_id
from pytest_dockerkit._runtime import ledger
from pytest_dockerkit._runtime.session import Session
from pytest_dockerkit._runtime.settings import Settings
from tests.plugin.listeners import Deaf
from tests.plugin.registry import (
    AUTH,
    PASSWORD,
    PROGRAM,
    USER,
    WHY_SKIPPED,
    Proxy,
    Registry,
    configure,
    running,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import docker

    from tests.plugin.conftest import Suite

pytestmark = pytest.mark.skipif(PROGRAM is None, reason=WHY_SKIPPED)


class Machine:
    """A run on a machine of its own: it shares the others' engine, but none of the images that are built here."""

    def __init__(self, state_dir: Path, run_id: str, process: str, settings: dict[str, Any]) -> None:
        self.session = Session(Settings(state_dir=state_dir, **settings), run_id, process, Deaf())
        self.pauses: list[float] = []
        self.session.images.pulls.registries.pause = self.pauses.append
        self.names: list[str] = []

    def build(self, spec: ImageSpec) -> Image:
        image = self.session.images.get(spec)
        self.names.append(image.reference)
        return image

    def forget(self) -> None:
        """Remove the images that were built here."""
        for name in self.names:
            self.session.engine.images.remove(name)

    def noted(self, what: str) -> list[str]:
        lines = ledger.read(self.session.directory)
        return list(dict.fromkeys(line["name"] for line in lines if line["do"] == "note" and line["what"] == what))

    @property
    def warnings(self) -> list[str]:
        return self.noted("warning")


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Callable[..., Machine]]:
    """Starts runs."""
    with ExitStack() as stack:

        def begin(run_id: str | None = None, process: str = "main", **settings: Any) -> Machine:
            made = Machine(tmp_path / "state", run_id or new_run_id(), process, settings)
            stack.callback(made.session.close)
            stack.callback(made.forget)
            return made

        yield begin


@pytest.fixture
def spec() -> ImageSpec:
    return new_spec()


def new_spec() -> ImageSpec:
    """An image that nobody has built before."""
    text = f"FROM busybox:stable\nRUN echo {uuid.uuid4().hex} >/made\nCMD cat /made\n"
    return ImageSpec(dockerfile_text=text)


@pytest.fixture(autouse=True)
def _docker_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is logged in anywhere."""
    configure(tmp_path, monkeypatch, {})


def nothing_is_left(machine: Machine, client: docker.DockerClient, place: str) -> bool:
    """Whether the names that the registry needs are gone from the engine, and from the ledger."""
    tags = [tag for image in client.api.images() for tag in image.get("RepoTags") or ()]
    lines = ledger.read(machine.session.directory)
    return not any(tag.startswith(place) for tag in tags) and ledger.open_entries(lines) == []


# A fleet


def test_two_machines_build_once(
    machine: Callable[..., Machine], proxy: Proxy, spec: ImageSpec, docker_client: docker.DockerClient
) -> None:
    place = f"{proxy.address}/ci/images"
    first = machine(image_registry=place, image_push=True)
    built = first.build(spec)
    output = built.run().stdout
    assert first.noted("built") == [built.reference]
    assert proxy.registry.tags("ci/images") == [str(built.fingerprint)[:32]]
    assert nothing_is_left(first, docker_client, place)
    first.forget()
    second = machine(image_registry=place)
    taken = second.build(spec)
    assert (second.noted("built"), second.noted("pulled")) == ([], [taken.reference])
    assert (taken.reference, taken.fingerprint) == (built.reference, built.fingerprint)
    assert (taken.cached, taken.title) == (False, built.title)
    assert taken.run().stdout == output
    assert nothing_is_left(second, docker_client, place)
    assert first.warnings == second.warnings == []


def test_nothing_is_asked_for_what_is_on_the_engine(
    machine: Callable[..., Machine], proxy: Proxy, spec: ImageSpec
) -> None:
    machine().build(spec)
    again = machine(image_registry=f"{proxy.address}/ci", image_push=True)
    assert again.build(spec).cached
    assert again.build(spec).cached
    assert proxy.seen == []


def test_nothing_is_pushed_where_that_is_not_allowed(
    machine: Callable[..., Machine], proxy: Proxy, spec: ImageSpec
) -> None:
    here = machine(image_registry=f"{proxy.address}/ci")
    here.build(spec)
    assert len(here.noted("built")) == 1
    assert proxy.count("^(?:POST|PUT|PATCH)") == 0
    assert here.warnings == []


def test_a_rebuild_asks_for_nothing_and_pushes(
    machine: Callable[..., Machine], proxy: Proxy, spec: ImageSpec
) -> None:
    place = f"{proxy.address}/ci"
    first = machine(image_registry=place, image_push=True)
    # By its id, since the next build takes its name.
    first.names.append(first.build(spec).id)
    pushed, asked = proxy.count("PUT .*/manifests/"), proxy.count("GET .*/blobs/")
    here = machine(image_registry=place, image_push=True, rebuild=True)
    here.build(spec)
    assert len(here.noted("built")) == 1
    assert proxy.count("PUT .*/manifests/") == pushed + 1
    assert proxy.count("GET .*/blobs/") == asked


# What is not taken


def test_another_image_of_that_name_is_not_taken(
    machine: Callable[..., Machine], registry: Registry, spec: ImageSpec, docker_client: docker.DockerClient
) -> None:
    place = f"{registry.address}/ci"
    first = machine()
    built = first.build(spec)
    first.forget()
    tag = str(built.fingerprint)[:32]
    registry.put(f"ci:{tag}", "something else", labels={FINGERPRINT_LABEL: tag + "0" * 32})
    second = machine(image_registry=place, image_push=True)
    assert second.build(spec).fingerprint == built.fingerprint
    assert second.noted("built") == [built.reference]
    assert second.warnings == [
        f"{place}:{tag} is another image than its name says, and was not taken: its fingerprint is {tag}{'0' * 32}"
    ]
    assert nothing_is_left(second, docker_client, place)
    # What was pushed over it is taken.
    second.forget()
    third = machine(image_registry=place)
    third.build(spec)
    assert (third.noted("built"), third.warnings) == ([], [])


def test_one_for_other_processors_is_not_taken(
    machine: Callable[..., Machine], registry: Registry, spec: ImageSpec, docker_client: docker.DockerClient
) -> None:
    place = f"{registry.address}/ci"
    first = machine()
    fingerprint = str(first.build(spec).fingerprint)
    first.forget()
    registry.put(f"ci:{fingerprint[:32]}", "x", labels={FINGERPRINT_LABEL: fingerprint}, platforms=("linux/s390x",))
    second = machine(image_registry=place)
    second.build(spec)
    assert len(second.noted("built")) == 1
    own = docker_client.version()["Arch"]
    assert second.warnings == [f"{place}:{fingerprint[:32]} is for linux/s390x, and was not taken for linux/{own}"]
    assert nothing_is_left(second, docker_client, place)


# What goes wrong


def test_one_that_nobody_runs_is_told_once_in_a_run(machine: Callable[..., Machine]) -> None:
    first = machine(image_registry="127.0.0.1:1/ci", image_push=True)
    other = machine(first.session.run_id, "gw1", image_registry="127.0.0.1:1/ci", image_push=True)
    for here in (first, other, first):
        here.build(new_spec())
    assert len(first.noted("built")) == 3
    [warning] = first.warnings
    assert warning.startswith("the image registry 127.0.0.1:1/ci gives no images in this run: ")
    assert "connection refused" in warning
    assert warning.endswith("; correct the registry's name, or see whether the engine reaches it")
    assert first.pauses == other.pauses == []


def test_one_that_is_private_is_told(machine: Callable[..., Machine], tmp_path: Path) -> None:
    """With pushes allowed by the push: some registries deny what does not exist yet."""
    with running(tmp_path / "private", auth=True) as registry:
        place = f"{registry.address}/ci"
        for push, word in ((False, "gives"), (True, "takes")):
            here = machine(image_registry=place, image_push=push)
            for _ in range(2):
                here.build(new_spec())
            assert len(here.noted("built")) == 2
            [warning] = here.warnings
            assert warning.startswith(f"the image registry {place} {word} no images in this run: ")
            assert "no basic auth credentials; log in with `docker login` if it is private" in warning


def test_one_that_takes_none_still_gives(
    machine: Callable[..., Machine], proxy: Proxy, docker_client: docker.DockerClient
) -> None:
    place = f"{proxy.address}/ci"
    known = new_spec()
    first = machine(image_registry=place, image_push=True)
    first.build(known)
    first.forget()
    denied = '{"errors":[{"code":"DENIED","message":"access is denied"}]}'
    proxy.fails("^(?:POST|PUT|PATCH)", 1000, 403, denied)
    second = machine(image_registry=place, image_push=True)
    second.build(new_spec())
    refused = proxy.count("^(?:POST|PUT|PATCH)")
    second.build(new_spec())
    second.build(known)
    assert (len(second.noted("built")), len(second.noted("pulled"))) == (2, 1)
    [warning] = second.warnings
    assert warning.startswith(f"the image registry {place} takes no images in this run: ")
    assert "denied" in warning
    assert proxy.count("^(?:POST|PUT|PATCH)") == refused
    assert nothing_is_left(second, docker_client, place)


def test_a_push_that_fails_at_the_end_is_told(
    machine: Callable[..., Machine], proxy: Proxy, spec: ImageSpec, docker_client: docker.DockerClient
) -> None:
    place = f"{proxy.address}/ci"
    proxy.fails("^PUT .*/manifests/", 1000, 503)
    here = machine(image_registry=place, image_push=True)
    here.build(spec)
    [warning] = here.warnings
    assert "takes no images" in warning
    assert "503 Service Unavailable; try again later" in warning
    assert len(here.pauses) == 4
    assert nothing_is_left(here, docker_client, place)


def test_what_passes_is_asked_for_again(machine: Callable[..., Machine], proxy: Proxy, spec: ImageSpec) -> None:
    place = f"{proxy.address}/ci"
    proxy.fails("^PUT .*/manifests/", 2, 500)
    first = machine(image_registry=place, image_push=True)
    first.build(spec)
    first.forget()
    # An engine with containerd's store asks once more by itself.
    assert len(first.pauses) in (1, 2)
    proxy.fails("/manifests/", 2, 503)
    second = machine(image_registry=place)
    second.build(spec)
    assert len(second.noted("pulled")) == 1
    assert first.warnings == second.warnings == []


# Credentials


@pytest.mark.parametrize("kind", ["auths", "credHelpers", "credsStore"])
def test_credentials(
    machine: Callable[..., Machine], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spec: ImageSpec, kind: str
) -> None:
    with running(tmp_path / "private", auth=True) as registry:
        place = f"{registry.address}/ci"
        name = "dockerkit-test"
        program = tmp_path / "some bin" / f"docker-credential-{name}"
        program.parent.mkdir()
        program.write_text(
            f"#!/bin/sh\necho '{json.dumps({'Username': USER, 'Secret': PASSWORD})}'\n", encoding="utf-8"
        )
        program.chmod(0o755)
        monkeypatch.setenv("PATH", str(program.parent), prepend=":")
        contents: dict[str, object] = {
            "auths": {registry.address: {"auth": AUTH}},
            "credHelpers": {registry.address: name},
            "credsStore": name,
        }
        configure(tmp_path, monkeypatch, {kind: contents[kind]})
        first = machine(image_registry=place, image_push=True)
        first.build(spec)
        assert len(registry.tags("ci")) == 1
        first.forget()
        second = machine(image_registry=place)
        second.build(spec)
        assert len(second.noted("pulled")) == 1
        assert first.warnings == second.warnings == []


def test_a_helper_that_is_not_there_fails_no_test(
    machine: Callable[..., Machine], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spec: ImageSpec
) -> None:
    configure(tmp_path, monkeypatch, {"credHelpers": {"127.0.0.1:1": "dockerkit-nowhere"}})
    here = machine(image_registry="127.0.0.1:1/ci")
    here.build(spec)
    [warning] = here.warnings
    assert "docker-credential-dockerkit-nowhere not installed" in warning
    assert "install that credential helper" in warning


# Within pytest


_SUITE = """
import pytest

@pytest.mark.container(build="app")
def test_it(image):
    assert image.title == "app"
"""


def test_a_fleet_of_pytest_runs(
    suite: Suite, registry: Registry, monkeypatch: pytest.MonkeyPatch, docker_client: docker.DockerClient
) -> None:
    """The options reach it; the second run has no image of the first, as on another machine."""
    suite.write(
        {
            "app/Dockerfile": f"FROM scratch\nLABEL one={uuid.uuid4().hex}\nCOPY Dockerfile /\n",
            "pytest.ini": f"[pytest]\ndockerkit_image_registry = {registry.address}/ci\n",
        }
    )
    first = suite.run(_SUITE, "--dockerkit-image-push=always").ended(passed=1)
    assert "images: 1 built, 0 from cache" in first.text
    [tag] = registry.tags("ci")
    try:
        docker_client.images.remove(f"pytest-dockerkit:{tag}", force=True)
        second = suite.run(_SUITE).ended(passed=1)
        assert "1 pulled" in second.text
        assert "built" not in second.text
    finally:
        docker_client.images.remove(f"pytest-dockerkit:{tag}", force=True)


def test_what_goes_wrong_is_told_at_the_end_and_fails_nothing(
    suite: Suite, docker_client: docker.DockerClient
) -> None:
    one, two = uuid.uuid4().hex, uuid.uuid4().hex
    outcome = suite.run(
        f"""
        import pytest

        @pytest.mark.parametrize("text", ["{one}", "{two}"])
        def test_it(dockerkit, text):
            from pytest_dockerkit import ImageSpec

            image = dockerkit.build(ImageSpec(dockerfile_text=f"FROM busybox:stable\\nLABEL one={{text}}\\n"))
            print("made", image.reference)
        """,
        "--dockerkit-image-registry=127.0.0.1:1/ci",
        "-rP",
    )
    for line in outcome.result.outlines:
        if line.startswith("made "):
            docker_client.images.remove(line.split()[1], force=True)
    outcome.ended(passed=2)
    assert outcome.text.count("the image registry 127.0.0.1:1/ci gives no images in this run: ") == 1
