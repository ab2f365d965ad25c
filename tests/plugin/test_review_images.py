"""Images: what changes between two requests, or during one, is seen."""

from __future__ import annotations

import threading
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from pytest_dockerkit import Image, ImageSpec
from pytest_dockerkit._engine.images import platform_of
from pytest_dockerkit._names import new_run_id
from pytest_dockerkit._runtime import ledger
from pytest_dockerkit._runtime.session import Session
from pytest_dockerkit._runtime.settings import Settings
from pytest_dockerkit.errors import ImageNotFoundError
from tests.plugin.listeners import Deaf

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import docker

    from pytest_dockerkit._engine.base import Builder
    from pytest_dockerkit._engine.build_request import BuildRequest

BASE = "busybox:stable"


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

    name = "meddling"

    def __init__(self, builder: Builder, meddle: Callable[[], object]) -> None:
        self.builder = builder
        self.meddle = meddle

    def lacks(self, request: BuildRequest) -> str | None:
        return self.builder.lacks(request)

    def build(self, request: BuildRequest) -> None:
        self.meddle()
        self.builder.build(request)


class Site(ThreadingHTTPServer):
    """Serves one content under every path."""

    daemon_threads = True
    content = b""

    def __init__(self, address: str) -> None:
        super().__init__((address, 0), _Page)


class _Page(BaseHTTPRequestHandler):
    timeout = 10
    server: Site

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.server.content)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(self.server.content)

    def do_HEAD(self) -> None:
        self.do_GET()

    def log_message(self, *_: object) -> None: ...


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
    for image_id in ids & {each["Id"] for each in docker_client.api.images()}:
        docker_client.images.remove(image_id, force=True)


@pytest.fixture
def context(tmp_path: Path) -> Path:
    """A context whose content no other test has."""
    root = tmp_path / "app"
    root.mkdir()
    (root / "unique").write_text(uuid.uuid4().hex, encoding="utf-8")
    (root / "Dockerfile").write_text(f"FROM {BASE} AS web\nCOPY unique /unique\n", encoding="utf-8")
    return root


def text_of(image: Image, path: str = "/unique") -> str:
    return image.file(path).read_text()


# Between two requests


def test_a_file_that_changes_between_two_tests_is_seen(run: Callable[..., Run], context: Path) -> None:
    """Also one of the same size; an unchanged one is the same image, which is told once."""
    here = run()
    first = here.build(build=context)
    assert here.build(build=context) is first
    (context / "unique").write_text(changed := uuid.uuid4().hex, encoding="utf-8")
    second = here.build(build=context)
    assert text_of(second) == changed
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
    (context / "unique").write_text(changed := uuid.uuid4().hex, encoding="utf-8")
    here.build(build=context, tags=[tag])
    assert text_of(here.build(**above)) == changed
    (context / "unique").write_text(text, encoding="utf-8")
    again = here.build(build=context, tags=[tag])
    assert (again.id, docker_client.images.get(tag).id) == (first.id, first.id)
    assert text_of(here.build(**above)) == text


def test_a_rebuild_runs_every_instruction_once_in_a_run(run: Callable[..., Run], context: Path) -> None:
    (context / "Dockerfile").write_text(
        f"FROM {BASE}\nCOPY unique /unique\nRUN cat /proc/sys/kernel/random/uuid > /id\n", encoding="utf-8"
    )
    first = run().build(build=context)
    anew = run(rebuild=True)
    second = anew.build(build=context)
    assert not second.cached
    assert second.fingerprint == first.fingerprint
    assert text_of(second, "/id") != text_of(first, "/id")
    assert anew.build(build=context) is second
    assert anew.notes == [("built", second.reference)]


@pytest.fixture
def site(docker_client: docker.DockerClient) -> Iterator[Site]:
    """A web server at an address of this machine that a build reaches."""
    configs = docker_client.networks.get("bridge").attrs["IPAM"]["Config"]
    served = Site(next(each["Gateway"] for each in configs if "." in each.get("Gateway", "")))
    thread = threading.Thread(target=served.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield served
    served.shutdown()
    thread.join()
    served.server_close()


@pytest.mark.parametrize("variable", [False, True])
def test_what_lies_at_a_url_is_looked_at_in_each_run(
    run: Callable[..., Run], context: Path, site: Site, variable: bool
) -> None:
    """By the builder; what has not changed is the same image, and from the cache."""
    url = f"http://{site.server_address[0]!s}:{site.server_port}/file"
    line = f"ENV SITE={url}\nADD $SITE /added\n" if variable else f"ADD {url} /added\n"
    (context / "Dockerfile").write_text(f"FROM {BASE}\nCOPY unique /unique\n{line}", encoding="utf-8")
    site.content = b"first"
    here = run()
    first = here.build(build=context)
    assert (first.cached, text_of(first, "/added")) == (False, "first")
    assert here.build(build=context) is first
    assert here.notes == [("built", first.reference)]
    there = run()
    same = there.build(build=context)
    assert (same.cached, same.id) == (True, first.id)
    assert there.notes == [("cached", first.reference)]
    site.content = b"second"
    third = run().build(build=context)
    assert (third.cached, text_of(third, "/added")) == (False, "second")


# For another platform


def test_an_image_for_another_platform_is_not_taken(
    run: Callable[..., Run], docker_client: docker.DockerClient
) -> None:
    """Neither to run nor as a base; it would have to be pulled."""
    here = run()
    told = docker_client.images.get(BASE).attrs
    has = f"{told['Os']}/{told['Architecture']}"
    other = "linux/s390x"
    with pytest.raises(ImageNotFoundError) as caught:
        here.session.images.get(BASE, platform=other, pull="never")
    assert str(caught.value) == (
        f"the image {BASE} is on the engine for {has} alone, and pulling is switched off\n"
        "  saw:  pull='never' with platform='linux/s390x'\n"
        f"  mend: docker pull --platform {other} {BASE}, or pull='missing' (--dockerkit-pull=missing)"
    )
    with pytest.raises(ImageNotFoundError) as caught:
        here.build(dockerfile_text=f"FROM --platform={other} {BASE}\n", pull="never")
    assert caught.value.what == f"the image {BASE} is on the engine for {has} alone, and pulling is switched off"
    unique = uuid.uuid4().hex
    assert here.session.images.get(BASE, platform=has, pull="never").id == told["Id"]
    assert (
        here.build(dockerfile_text=f"FROM --platform={has} {BASE}\nLABEL a={unique}\n").config.labels["a"] == unique
    )


def test_one_that_cannot_be_pulled_for_the_platform_is_told(run: Callable[..., Run], context: Path) -> None:
    """It has a name that no registry gives."""
    here = run()
    name = f"127.0.0.1:1/dockerkit-{uuid.uuid4().hex[:8]}:a"
    image = here.build(build=context, tags=[name])
    has = platform_of(image._facts)
    with pytest.raises(ImageNotFoundError) as caught:
        here.session.images.get(name, platform="linux/s390x")
    assert caught.value.what == (
        f"the image {name} is on the engine for {has} alone, and cannot be pulled for linux/s390x"
    )
    assert caught.value.mend == (
        "another platform, or none, takes the one that is there; else correct the registry's name, or see whether "
        "the engine reaches it"
    )


# During one


def test_a_file_that_changes_during_a_build_poisons_no_cache(
    run: Callable[..., Run], context: Path, docker_client: docker.DockerClient
) -> None:
    """It is built once more; under the first state's name there is nothing."""
    here = run()
    original = (context / "unique").read_text(encoding="utf-8")
    changed = uuid.uuid4().hex
    changes = iter([changed])
    engine = here.session.engine
    real = engine.builder

    def meddle() -> None:
        for change in changes:
            (context / "unique").write_text(change, encoding="utf-8")

    engine.builder = Meddling(real, meddle)
    image = here.build(build=context)
    assert text_of(image) == changed
    assert here.notes == [("built", image.reference)]
    assert here.left == []
    assert image.tags == (image.reference,)
    (context / "unique").write_text(original, encoding="utf-8")
    other = here.build(build=context)
    assert (other.cached, text_of(other)) == (False, original)


def test_a_context_that_never_rests_is_built_for_this_process_alone(
    run: Callable[..., Run], context: Path, docker_client: docker.DockerClient
) -> None:
    """Twice at most, however often it is asked for; nothing of it stays for the next run."""
    here = run()
    engine = here.session.engine
    builds: list[int] = []

    def meddle() -> None:
        builds.append(1)
        (context / "unique").write_text(uuid.uuid4().hex, encoding="utf-8")

    engine.builder = Meddling(engine.builder, meddle)
    image = here.build(build=context)
    assert here.build(build=context) is image
    assert len(builds) == 2
    here.session.undo_all()
    tags = [tag for each in docker_client.api.images() for tag in each["RepoTags"] or ()]
    assert [tag for tag in tags if here.session.run_id in tag] == []
