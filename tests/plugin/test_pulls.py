"""Pulling, against a real registry: when, from where, how often, and what is told when it cannot be."""

from __future__ import annotations

import base64
import json
import uuid
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from pytest_dockerkit import Image, ImageSpec
from pytest_dockerkit._engine.registry import read_answer, refused
from pytest_dockerkit._names import new_run_id
from pytest_dockerkit._runtime import ledger
from pytest_dockerkit._runtime.locking import lock
from pytest_dockerkit._runtime.session import Session
from pytest_dockerkit._runtime.settings import Settings
from pytest_dockerkit._spec import lockfile
from pytest_dockerkit.errors import ImageNotFoundError, SpecError
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
    forget,
    proxied,
    running,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import docker

    from pytest_dockerkit._engine.base import Progress
    from tests.plugin.conftest import Suite

pytestmark = pytest.mark.skipif(PROGRAM is None, reason=WHY_SKIPPED)

#: Another platform than that of any engine that the tests run on.
FOREIGN = "linux/s390x"


class Run:
    """One process of a run; its pauses are noted and not waited for."""

    def __init__(self, root: Path, run_id: str | None = None, **settings: Any) -> None:
        self.session = Session(Settings(state_dir=root / "state", **settings), run_id or new_run_id(), "main", Deaf())
        self.pauses: list[float] = []
        self.session.images.pulls.registries.pause = self.pauses.append

    def get(self, reference: str, pull: str | None = None, platform: str | None = None) -> Image:
        return self.session.images.get(reference, pull=pull, platform=platform)

    def refused(self, reference: str, pull: str | None = None, platform: str | None = None) -> ImageNotFoundError:
        with pytest.raises(ImageNotFoundError) as caught:
            self.get(reference, pull, platform)
        return caught.value

    @property
    def pulled(self) -> list[str]:
        """What the ledger says was pulled."""
        lines = ledger.read(self.session.directory)
        return [line["name"] for line in lines if line["do"] == "note" and line["what"] == "pulled"]


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Callable[..., Run]]:
    """Begins runs of one process each."""
    with ExitStack() as stack:

        def begin(**settings: Any) -> Run:
            made = Run(tmp_path, **settings)
            stack.callback(made.session.close)
            return made

        yield begin


@pytest.fixture
def second(tmp_path: Path) -> Iterator[Registry]:
    """Another registry."""
    with running(tmp_path / "second") as made:
        yield made


@pytest.fixture
def hub_name() -> Iterator[str]:
    """A name of Docker Hub's that it does not have."""
    name = f"dockerkit-test-{uuid.uuid4().hex[:12]}"
    yield name
    forget(name)


@pytest.fixture(autouse=True)
def _docker_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is logged in anywhere."""
    configure(tmp_path, monkeypatch, {})


def unique() -> str:
    return uuid.uuid4().hex


def inspected(client: docker.DockerClient, reference: str) -> dict[str, Any]:
    found: dict[str, Any] = client.api.inspect_image(reference)  # type: ignore[no-untyped-call]
    return found


def tags(image: Image) -> list[str]:
    """Give its tags, without the names by digest that containerd's image store lists among them."""
    return sorted(tag for tag in image.tags if "@" not in tag)


def own_store(client: docker.DockerClient) -> bool:
    """Whether it has Docker's own image store, whose requests can be counted; containerd's repeats them by itself."""
    return "io.containerd" not in json.dumps(client.info().get("DriverStatus"))


# Policies


def test_missing_pulls_what_is_not_there(run: Callable[..., Run], proxy: Proxy) -> None:
    name = f"{proxy.address}/some/app:1"
    digest = proxy.registry.put("some/app:1", unique())
    first = run()
    image = first.get(name)
    assert (image.cached, image.reference, image.digest) == (False, name, digest)
    assert image.tags == (name,)
    assert first.pulled == [name]
    asked = len(proxy.seen)
    assert first.get(name) is image
    second = run()
    assert second.get(name).id == image.id
    assert second.get(name).cached
    assert len(proxy.seen) == asked


def test_always_asks_each_time_and_takes_what_is_new(
    run: Callable[..., Run], proxy: Proxy, docker_client: docker.DockerClient
) -> None:
    name = f"{proxy.address}/app:1"
    proxy.registry.put("app:1", unique())
    old = run().get(name, pull="always")
    proxy.registry.put("app:1", unique())
    assert run().get(name).id == old.id
    new = run(pull="always").get(name)
    assert new.id != old.id
    assert new.tags == (name,)
    docker_client.images.remove(old.id, force=True)


@pytest.mark.parametrize("policy", ["missing", "never", "always"])
def test_a_tag_that_is_moved_means_what_it_means_now(
    run: Callable[..., Run], proxy: Proxy, docker_client: docker.DockerClient, policy: str
) -> None:
    """As by somebody's `docker build -t` while tests run."""
    name = f"{proxy.address}/app:1"
    for tag in ("1", "2"):
        proxy.registry.put(f"app:{tag}", unique())
    here = run()
    other = here.get(f"{proxy.address}/app:2")
    here.get(name)
    old = here.get(name, policy)
    asked = len(proxy.seen)
    assert here.get(name, policy) is old
    docker_client.api.tag(other.id, f"{proxy.address}/app", "1")
    new = here.get(name, policy)
    assert (new.id, new.reference) == (other.id, name)
    assert here.get(name, policy) is new
    assert len(proxy.seen) == asked


def test_one_that_was_removed_is_pulled_again(
    run: Callable[..., Run], registry: Registry, docker_client: docker.DockerClient
) -> None:
    name = f"{registry.address}/app:1"
    registry.put("app:1", unique())
    here = run()
    for policy in ("missing", "always"):
        image = here.get(name, policy)
        docker_client.images.remove(image.id, force=True)
        assert here.get(name, policy).id == image.id
        assert inspected(docker_client, name)["Id"] == image.id


def test_a_locked_image_is_looked_at_again(
    run: Callable[..., Run], registry: Registry, tmp_path: Path, docker_client: docker.DockerClient
) -> None:
    name = f"{registry.address}/app:1"
    lockfile.write(tmp_path / "lock", {name: registry.put("app:1", unique())})
    here = run(pull="locked", lock_file=tmp_path / "lock")
    image = here.get(name)
    assert here.get(name) is image
    docker_client.images.remove(image.id, force=True)
    assert here.get(name).id == image.id
    assert inspected(docker_client, image.reference)["Id"] == image.id


def test_never_asks_nobody(run: Callable[..., Run], proxy: Proxy) -> None:
    name = f"{proxy.address}/app:1"
    proxy.registry.put("app:1", unique())
    error = run().refused(name, pull="never")
    assert str(error) == (
        f"the image {name} is not on the engine, and pulling is switched off\n"
        "  saw:  pull='never'\n"
        f"  mend: docker pull {name}, or pull='missing' (--dockerkit-pull=missing)"
    )
    assert proxy.seen == []


def test_an_id_cannot_be_pulled(run: Callable[..., Run], proxy: Proxy) -> None:
    name = f"{proxy.address}/app:1"
    proxy.registry.put("app:1", unique())
    image = run().get(name)
    assert run().get(image.id).id == image.id
    error = run().refused("sha256:" + "0" * 64)
    assert str(error) == (
        f"the image sha256:{'0' * 64} is not on the engine\n"
        "  saw:  an id, by which nothing can be pulled\n"
        "  mend: name it as its registry does: name:tag, or name@sha256:… with its digest there"
    )


# What the registry answers


def test_one_that_does_not_exist(run: Callable[..., Run], registry: Registry) -> None:
    name = f"{registry.address}/app:2"
    registry.put("app:1", unique())
    here = run()
    error = here.refused(name)
    assert error.what == f"the image {name} is not on the engine and cannot be pulled"
    assert "not found" in error.saw
    assert error.mend == "correct the name or the tag; or load or build it first"
    assert here.pauses == []


def test_one_that_is_private(run: Callable[..., Run], tmp_path: Path) -> None:
    with running(tmp_path / "private", auth=True) as registry:
        registry.put("app:1", unique())
        here = run()
        error = here.refused(f"{registry.address}/app:1")
    assert "no basic auth credentials" in error.saw
    assert error.mend == (
        "log in with `docker login` if it is private; else correct the name: of what does not exist, registries say "
        "the same"
    )
    assert here.pauses == []


def test_a_registry_that_nobody_runs(run: Callable[..., Run]) -> None:
    here = run()
    error = here.refused("127.0.0.1:1/app:1")
    assert "connection refused" in error.saw
    assert (
        error.mend == "correct the registry's name, or see whether the engine reaches it; or load or build it first"
    )
    assert here.pauses == []


def test_one_that_is_not_made_for_the_platform(run: Callable[..., Run], registry: Registry) -> None:
    name = f"{registry.address}/app:1"
    registry.put("app:1", unique(), platforms=("linux/amd64", "linux/arm64"))
    error = run().refused(name, platform=FOREIGN)
    assert f"no matching manifest for {FOREIGN}" in error.saw
    assert error.mend == "another platform, or none; or an image that is made for it"


def test_an_image_of_the_project_was_meant(run: Callable[..., Run], tmp_path: Path) -> None:
    spec = ImageSpec(dockerfile_text="FROM scratch\n").anchored(tmp_path)
    here = run(images={"api-server": spec, "worker": spec}, pull="never")
    for written in ("api-servr", "apiserver:latest"):
        error = here.refused(written)
        assert error.mend.startswith("did you mean 'api-server'? else docker pull ")
    for other in ("redis:7", "127.0.0.1:1/api-server:1"):
        assert "did you mean" not in here.refused(other).mend


# What passes


_LIMIT = '{"errors":[{"code":"TOOMANYREQUESTS","message":"You have reached your pull rate limit."}]}'


@pytest.mark.parametrize(
    ("status", "body"),
    [(429, _LIMIT), (429, "slow down"), (500, "{}"), (502, "<html>"), (503, "later"), (504, ""), (None, "")],
)
def test_what_passes_is_asked_for_again(
    run: Callable[..., Run], proxy: Proxy, docker_client: docker.DockerClient, status: int | None, body: str
) -> None:
    name = f"{proxy.address}/app:1"
    proxy.registry.put("app:1", unique())
    here = run()

    def pause(seconds: float) -> None:
        here.pauses.append(seconds)
        if len(here.pauses) == 2:
            proxy.faults.clear()

    here.session.images.pulls.registries.pause = pause
    proxy.fails("manifests/1", 1000, status, body)
    assert here.get(name).tags == (name,)
    assert len(here.pauses) == 2
    assert here.pauses[1] > here.pauses[0]
    if own_store(docker_client):
        # It greets the registry once for each time that it is to pull.
        assert proxy.count("GET /v2/$") == 3


def test_it_is_asked_five_times_at_most_in_all_processes_of_a_run(
    run: Callable[..., Run], proxy: Proxy, docker_client: docker.DockerClient
) -> None:
    name = f"{proxy.address}/app:1"
    proxy.registry.put("app:1", unique())
    proxy.fails("manifests/1", 1000, 429, _LIMIT)
    here = run()
    error = here.refused(name)
    assert error.what == f"the image {name} is not on the engine and cannot be pulled (tried 5 times)"
    assert "429" in error.saw or "rate limit" in error.saw
    assert error.mend == (
        "log in with `docker login`, which raises the limit; name a mirror with dockerkit_mirrors; or wait"
    )
    assert len(here.pauses) == 4
    if own_store(docker_client):
        assert proxy.count("GET /v2/$") == 5
    asked = len(proxy.seen)
    again, other = run(run_id=here.session.run_id), run()
    assert str(again.refused(name)) == str(here.refused(name)) == str(error)
    assert len(proxy.seen) == asked
    proxy.faults.clear()
    assert other.get(name).tags == (name,)
    # It is on the engine now.
    assert here.get(name).cached


@pytest.mark.parametrize("status", [401, 403, 404])
def test_what_does_not_pass_is_asked_for_once(
    run: Callable[..., Run], proxy: Proxy, docker_client: docker.DockerClient, status: int
) -> None:
    proxy.registry.put("app:1", unique())
    proxy.fails("manifests/1", 1000, status, "{}")
    here = run()
    assert "tried" not in here.refused(f"{proxy.address}/app:1").what
    assert here.pauses == []
    if own_store(docker_client):
        assert proxy.count("GET /v2/$") == 1


# Mirrors


def test_a_mirror_is_asked_in_place_of_the_registry(run: Callable[..., Run], proxy: Proxy, hub_name: str) -> None:
    """The image has the name that it was asked for by, and no tag of the mirror's."""
    digest = proxy.registry.put(f"hub/library/{hub_name}:7", unique())
    here = run(mirrors=(("docker.io", f"{proxy.address}/hub"),))
    image = here.get(f"{hub_name}:7")
    assert (image.reference, image.cached, image.digest) == (f"{hub_name}:7", False, digest)
    assert tags(image) == [f"{hub_name}:7"]
    assert here.pulled == [f"{hub_name}:7"]
    asked = len(proxy.seen)
    assert run(mirrors=here.session.settings.mirrors).get(f"docker.io/library/{hub_name}:7").id == image.id
    assert len(proxy.seen) == asked


def test_mirrors_are_asked_in_order_and_then_the_registry(
    run: Callable[..., Run], registry: Registry, second: Registry, tmp_path: Path
) -> None:
    with running(tmp_path / "third") as third, proxied(second) as front, proxied(third) as back:
        mirrors = (
            (registry.address, f"{front.address}/a"),
            ("docker.io", "127.0.0.1:1"),
            (registry.address, back.address),
        )
        second.put("a/both:1", unique())
        third.put("both:1", unique())
        third.put("last:1", unique())
        registry.put("own:1", unique())
        here = run(mirrors=mirrors)
        for name in ("both", "last", "own"):
            assert tags(here.get(f"{registry.address}/{name}:1")) == [f"{registry.address}/{name}:1"]
        asked = [(bool(front.count(f"a/{name}/")), bool(back.count(f"/{name}/"))) for name in ("both", "last", "own")]
        assert asked == [(True, False), (True, True), (True, True)]


def test_all_answers_are_told(run: Callable[..., Run], registry: Registry, second: Registry) -> None:
    here = run(mirrors=((registry.address, f"{second.address}/a"),))
    error = here.refused(f"{registry.address}/app:1")
    first, last = error.saw.splitlines()
    assert first.startswith(f"{second.address}/a/app:1: ")
    assert last.startswith(f"{registry.address}/app:1: ")
    assert "manifest unknown" in first
    assert error.mend == "correct the name or the tag; or load or build it first"


def test_a_mirror_that_fails_keeps_nobody_waiting(
    run: Callable[..., Run], registry: Registry, second: Registry
) -> None:
    registry.put("app:1", unique())
    with proxied(second) as mirror:
        mirror.fails("", 1000, 503)
        here = run(mirrors=((registry.address, mirror.address), (registry.address, "127.0.0.1:1")))
        assert here.get(f"{registry.address}/app:1").cached is False
        assert here.pauses == []
        # Where the registry does not have it either, the mirror may have it in a moment.
        assert here.refused(f"{registry.address}/other:1").what.endswith("(tried 5 times)")


def test_a_tag_of_the_users_is_not_moved(
    run: Callable[..., Run], registry: Registry, second: Registry, docker_client: docker.DockerClient
) -> None:
    """Neither that by which it is asked for, nor that of the mirror."""
    for tag in ("mine", "new"):
        second.put(f"app:{tag}", unique())
    mine = run().get(f"{second.address}/app:mine")
    docker_client.api.tag(mine.id, f"{registry.address}/app", "mine")
    docker_client.api.tag(mine.id, f"{second.address}/app", "new")
    here = run(mirrors=((registry.address, second.address),))
    assert here.get(f"{registry.address}/app:mine").id == mine.id
    new = here.get(f"{registry.address}/app:new")
    assert new.id != mine.id
    assert inspected(docker_client, f"{second.address}/app:new")["Id"] == mine.id
    assert run(mirrors=here.session.settings.mirrors, pull="always").get(f"{registry.address}/app:mine").id == mine.id


def test_an_engine_that_tells_no_digests_leaves_the_tags_of_a_mirror_too(
    run: Callable[..., Run],
    registry: Registry,
    second: Registry,
    docker_client: docker.DockerClient,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As Podman, which is asked by the tag: one that was not there goes, one of the user's is as it was."""

    def unsupported(reference: str) -> str:
        raise refused(read_answer("Not Found", 404))

    second.put("app:one", unique())
    second.put("app:two", unique())
    mine = run().get(f"{second.address}/app:one")
    docker_client.api.tag(mine.id, f"{second.address}/app", "two")
    docker_client.api.remove_image(f"{second.address}/app:one")
    here = run(mirrors=((registry.address, second.address),))
    monkeypatch.setattr(here.session.engine.images, "registry_digest", unsupported)
    names = sorted([f"{registry.address}/app:one", f"{second.address}/app:two"])
    assert tags(here.get(f"{registry.address}/app:one")) == names
    assert tags(here.get(f"{registry.address}/app:two")) == [f"{registry.address}/app:two"]
    assert inspected(docker_client, f"{second.address}/app:two")["Id"] == mine.id


def test_a_base_image_comes_from_a_mirror(
    run: Callable[..., Run], registry: Registry, hub_name: str, docker_client: docker.DockerClient
) -> None:
    registry.put(f"library/{hub_name}:1", unique())
    here = run(mirrors=(("docker.io", registry.address),))
    image = here.session.images.get(ImageSpec(dockerfile_text=f"FROM {hub_name}:1\nLABEL one={unique()}\n"))
    try:
        base = here.get(f"{hub_name}:1")
        assert image.layers[: len(base.layers)] == base.layers
        assert here.pulled == [f"{hub_name}:1"]
    finally:
        docker_client.images.remove(image.id, force=True)


# Platforms


def test_another_platform_moves_no_tag(
    run: Callable[..., Run], proxy: Proxy, docker_client: docker.DockerClient
) -> None:
    name = f"{proxy.address}/app:1"
    proxy.registry.put("app:1", unique(), platforms=("linux/amd64", "linux/arm64", FOREIGN))
    own = run().get(name)
    try:
        foreign = run().get(name, platform=FOREIGN)
        if own_store(docker_client):
            assert foreign.id != own.id
            assert inspected(docker_client, foreign.reference)["Architecture"] == "s390x"
        assert foreign.title == name
        assert inspected(docker_client, name)["Id"] == own.id
        assert run().get(name).digest == own.digest
        asked = len(proxy.seen)
        again = run().get(name, platform=FOREIGN)
        assert (again.id, again.cached) == (foreign.id, True)
        assert len(proxy.seen) == asked
    finally:
        docker_client.images.remove(foreign.reference, force=True)


@pytest.mark.parametrize("policy", ["missing", "always"])
def test_another_platform_is_pulled_by_its_digest(
    run: Callable[..., Run],
    registry: Registry,
    docker_client: docker.DockerClient,
    monkeypatch: pytest.MonkeyPatch,
    policy: str,
) -> None:
    """There is no moment at which the tag means another image."""
    name = f"{registry.address}/app:1"
    registry.put("app:mine", unique())
    registry.put("app:1", unique(), platforms=("linux/amd64", FOREIGN))
    here = run()
    mine = here.get(f"{registry.address}/app:mine")
    docker_client.api.tag(mine.id, f"{registry.address}/app", "1")
    images = here.session.engine.images
    pull, pulled = images.pull, []

    def noted(reference: str, *args: Any) -> None:
        pulled.append(reference)
        pull(reference, *args)

    monkeypatch.setattr(images, "pull", noted)
    foreign = here.get(name, policy, FOREIGN)
    try:
        assert foreign.id != mine.id
        assert here.get(name, policy, FOREIGN) is foreign
        if own_store(docker_client):
            assert inspected(docker_client, foreign.reference)["Architecture"] == "s390x"
            assert pulled == [f"{registry.address}/app@{foreign.digest}"]
        assert inspected(docker_client, name)["Id"] == mine.id
    finally:
        docker_client.images.remove(foreign.reference, force=True)


@pytest.mark.parametrize("digests", [False, True])
def test_a_pull_for_another_platform_that_is_interrupted_leaves_the_tag(
    run: Callable[..., Run],
    registry: Registry,
    docker_client: docker.DockerClient,
    monkeypatch: pytest.MonkeyPatch,
    *,
    digests: bool,
) -> None:
    """Where it has to be by the tag: the engine holds the digest for the platform that is there, or tells none."""
    name = f"{registry.address}/app:1"
    mark = {"dockerkit-test": unique()}
    registry.put("app:1", unique(), platforms=("linux/amd64", FOREIGN), labels=mark)
    here = run()
    own = here.get(name)
    images = here.session.engine.images
    pull = images.pull
    moved = []

    def unsupported(reference: str) -> str:
        raise refused(read_answer("Not Found", 404))

    def interrupted(reference: str, *args: Any) -> None:
        pull(reference, *args)
        if "@" not in reference:
            moved.append(inspected(docker_client, name)["Id"])
            raise KeyboardInterrupt

    monkeypatch.setattr(images, "pull", interrupted)
    if not digests:
        monkeypatch.setattr(images, "registry_digest", unsupported)
    try:
        with pytest.raises(KeyboardInterrupt):
            here.get(name, platform=FOREIGN)
        assert len(moved) == 1
        if own_store(docker_client):
            assert moved != [own.id]
        assert inspected(docker_client, name)["Id"] == own.id
        assert here.get(name) is own
    finally:
        docker_client.images.prune({"dangling": True, "label": [f"{key}={each}" for key, each in mark.items()]})


# The lock file


def locked(path: Path, **digests: str) -> Path:
    lockfile.write(path, {key.replace("__", "/"): each for key, each in digests.items()})
    return path


def test_a_locked_image_stays_the_same_though_its_tag_moves(
    run: Callable[..., Run], proxy: Proxy, tmp_path: Path, docker_client: docker.DockerClient
) -> None:
    name = f"{proxy.address}/app"
    path = tmp_path / "dockerkit.lock"
    old = proxy.registry.put("app:1", unique())
    assert lock(run(lock_file=path).session, [f"{name}:1"]).write(path)
    proxy.registry.put("app:1", unique())
    users = run().get(f"{name}:1")
    image = run(pull="locked", lock_file=path).get(f"{name}:1")
    assert (image.reference, image.title, image.digest) == (f"{name}@{old}", f"{name}:1", old)
    assert image.id != users.id
    assert inspected(docker_client, f"{name}:1")["Id"] == users.id
    asked = len(proxy.seen)
    again = run(pull="locked", lock_file=path)
    for policy in (None, "missing", "never", "always"):
        assert again.get(f"{name}:1", pull=policy).id == image.id
    assert again.pulled == []
    assert len(proxy.seen) == asked


def test_what_the_engine_has_by_its_tag_is_taken_by_its_digest(
    run: Callable[..., Run], proxy: Proxy, tmp_path: Path
) -> None:
    name = f"{proxy.address}/app"
    digest = proxy.registry.put("app:1", unique())
    here = run().get(f"{name}:1")
    lockfile.write(tmp_path / "lock", {f"{name}:1": digest})
    asked = len(proxy.seen)
    image = run(pull="locked", lock_file=tmp_path / "lock").get(f"{name}:1")
    assert (image.id, image.cached, image.reference) == (here.id, True, f"{name}@{digest}")
    assert len(proxy.seen) == asked


def test_one_that_is_not_in_the_lock_file(run: Callable[..., Run], proxy: Proxy, tmp_path: Path) -> None:
    """Though it is on the engine, whatever its own policy."""
    name = f"{proxy.address}/app:1"
    path = tmp_path / "dockerkit.lock"
    proxy.registry.put("app:1", unique())
    run().get(name)
    asked = len(proxy.seen)
    mend = "dockerkit lock, which writes down the digests of all images"
    here = run(pull="locked", lock_file=path)
    assert str(here.refused(name)) == (
        f"the image {name} is not in the lock file\n  saw:  {path} does not exist\n  mend: {mend}"
    )
    lockfile.write(path, {"redis:7": "sha256:" + "0" * 64})
    for policy in (None, "missing", "always", "never"):
        assert str(run(pull="locked", lock_file=path).refused(name, pull=policy)) == (
            f"the image {name} is not in the lock file\n  saw:  {path}, which has 1 images\n  mend: {mend}"
        )
    assert len(proxy.seen) == asked


def test_a_lock_file_that_makes_no_sense(run: Callable[..., Run], tmp_path: Path) -> None:
    path = tmp_path / "dockerkit.lock"
    path.write_text('version = 1\n[images]\n"redis:7" = "sha256:12\n', encoding="utf-8")
    with pytest.raises(SpecError, match="at line 3, column 23"):
        run(pull="locked", lock_file=path).get("redis:7")


def test_a_locked_image_that_nobody_has_any_more(run: Callable[..., Run], registry: Registry, tmp_path: Path) -> None:
    name, digest = f"{registry.address}/app:1", "sha256:" + "0" * 64
    registry.put("app:1", unique())
    lockfile.write(tmp_path / "lock", {name: digest})
    here = run(pull="locked", lock_file=tmp_path / "lock")
    assert here.refused(name).what == f"the image {name}@{digest} is not on the engine and cannot be pulled"
    assert here.refused(name, pull="never").what == (
        f"the image {name}@{digest} is not on the engine, and pulling is switched off"
    )


def test_a_reference_with_a_digest_is_its_own_lock(run: Callable[..., Run], proxy: Proxy, tmp_path: Path) -> None:
    name = f"{proxy.address}/app"
    digest = proxy.registry.put("app:1", unique())
    lockfile.write(tmp_path / "lock", {})
    here = run(pull="locked", lock_file=tmp_path / "lock")
    image = here.get(f"{name}:1@{digest}")
    assert (image.reference, image.title, image.digest) == (f"{name}@{digest}", f"{name}:1@{digest}", digest)
    assert tags(image) == []
    assert run().get(f"{name}@{digest}").id == image.id


def test_what_the_plugin_has_built_needs_no_lock(
    run: Callable[..., Run], hub_name: str, tmp_path: Path, docker_client: docker.DockerClient
) -> None:
    here = run(pull="locked", lock_file=tmp_path / "dockerkit.lock")
    built = here.session.images.get(
        ImageSpec(dockerfile_text=f"FROM scratch\nLABEL one={unique()}\n", tags=[f"{hub_name}:dev"])
    )
    try:
        assert here.get(f"{hub_name}:dev").id == here.get(built.reference).id == here.get(built.id).id == built.id
    finally:
        docker_client.images.remove(built.id, force=True)


def test_a_locked_image_comes_from_a_mirror(
    run: Callable[..., Run], proxy: Proxy, hub_name: str, tmp_path: Path, docker_client: docker.DockerClient
) -> None:
    """By a name of the mirror's, which a Dockerfile can name as well; it is found again without the mirror."""
    digest = proxy.registry.put(f"hub/library/{hub_name}:7", unique(), platforms=("linux/amd64", "linux/arm64"))
    settings = {"mirrors": (("docker.io", f"{proxy.address}/hub"),), "lock_file": tmp_path / "dockerkit.lock"}
    assert lock(run(**settings).session, [hub_name + ":7"]).digests == {f"{hub_name}:7": digest}
    lockfile.write(tmp_path / "dockerkit.lock", {f"{hub_name}:7": digest})
    image = run(pull="locked", **settings).get(f"{hub_name}:7")
    assert (image.reference, image.title) == (f"{proxy.address}/hub/library/{hub_name}@{digest}", f"{hub_name}:7")
    assert image.digest == digest
    asked = len(proxy.seen)
    assert run(pull="locked", **settings).get(f"{hub_name}:7").cached
    assert len(proxy.seen) == asked
    assert inspected(docker_client, image.reference)["Id"] == image.id


@pytest.mark.parametrize("mirrored", [False, True])
def test_a_locked_base_image(
    run: Callable[..., Run],
    registry: Registry,
    hub_name: str,
    tmp_path: Path,
    docker_client: docker.DockerClient,
    *,
    mirrored: bool,
) -> None:
    """The image stands on what is locked, though the tag means another one by now, here and at the registry."""
    name = f"{hub_name}:1" if mirrored else f"{registry.address}/app:1"
    there = f"hub/library/{hub_name}:1" if mirrored else "app:1"
    digest = registry.put(there, unique())
    lockfile.write(tmp_path / "lock", {name: digest})
    settings = {"mirrors": (("docker.io", f"{registry.address}/hub"),), "lock_file": tmp_path / "lock"}
    registry.put(there, unique())
    moved = run(**settings).get(name)
    text = f"FROM {name} AS base\nLABEL one={unique()}\nFROM base\nCOPY --from={name} /content /copied\n"
    image = run(pull="locked", **settings).session.images.get(ImageSpec(dockerfile_text=text))
    try:
        base = run(pull="locked", **settings).get(name)
        assert base.digest == digest
        assert image.layers[: len(base.layers)] == base.layers != moved.layers
        assert image.file("/copied").read_text() == base.file("/content").read_text()
        assert inspected(docker_client, name)["Id"] == moved.id
    finally:
        docker_client.images.remove(image.id, force=True)


def test_a_locked_image_for_another_platform(
    run: Callable[..., Run], registry: Registry, tmp_path: Path, docker_client: docker.DockerClient
) -> None:
    name = f"{registry.address}/app:1"
    mark = {"dockerkit-test": unique()}
    digest = registry.put("app:1", unique(), platforms=("linux/amd64", FOREIGN), labels=mark)
    lockfile.write(tmp_path / "lock", {name: digest})
    here = run(pull="locked", lock_file=tmp_path / "lock")
    image = here.get(name, platform=FOREIGN)
    assert image.digest == digest
    if own_store(docker_client):
        assert inspected(docker_client, image.id)["Architecture"] == "s390x"
        # It has room for one platform of a digest, which is told.
        error = here.refused(name, platform="linux/amd64")
        assert "annot overwrite digest" in error.saw
        assert error.what == (
            f"the image {name}@{digest} is on the engine for linux/s390x alone, and cannot be pulled for linux/amd64"
        )
        # What it has pulled before it said so.
        docker_client.images.prune({"dangling": True, "label": [f"{key}={each}" for key, each in mark.items()]})


# Locking


def test_locking(run: Callable[..., Run], registry: Registry, tmp_path: Path) -> None:
    """One that no registry gives is told, and keeps the digest that it had; the others get theirs."""
    at = registry.address
    first = registry.put("a/b:1", unique())
    index = registry.put("multi:latest", unique(), platforms=("linux/amd64", "linux/arm64"))
    path = tmp_path / "dockerkit.lock"
    kept = "sha256:" + "0" * 64
    lockfile.write(path, {f"{at}/gone:1": kept, f"{at}/unused:1": kept, f"{at}/a/b:1": kept})
    told: dict[str, object] = {}
    here = run(lock_file=path)
    references = [
        f"{at}/multi",
        f"{at}/a/b:1",
        f"{at}/gone:1",
        f"{at}/never:1",
        f"{at}/a/b:1",
        f"{at}/x@{kept}",
        kept,
    ]
    found = lock(here.session, references, tell=told.__setitem__)
    assert found.digests == {f"{at}/a/b:1": first, f"{at}/gone:1": kept, f"{at}/multi:latest": index}
    assert found.before[f"{at}/unused:1"] == kept
    assert list(found.failed) == [f"{at}/gone:1", f"{at}/never:1"]
    assert found.failed[f"{at}/gone:1"].what == f"no registry gives the digest of {at}/gone:1"
    assert "manifest unknown" in found.failed[f"{at}/gone:1"].saw
    assert told == {**found.digests, **found.failed}
    assert found.write(path)
    assert not found.write(path)
    assert lockfile.read(path).digests == found.digests
    # Nothing is pulled for it.
    assert here.session.engine.images.find(f"{at}/a/b:1") is None


def test_locking_asks_again_and_with_credentials(
    run: Callable[..., Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running(tmp_path / "private", auth=True) as registry, proxied(registry) as proxy:
        configure(tmp_path, monkeypatch, {"auths": {proxy.address: {"auth": AUTH}}})
        digest = registry.put("app:1", unique())
        proxy.fails("manifests/1", 2, 503)
        here = run()
        assert lock(here.session, [f"{proxy.address}/app:1"]).digests == {f"{proxy.address}/app:1": digest}
        assert len(here.pauses) == 1


# Credentials


def helper(directory: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> str:
    """Put a credential helper into PATH, and give its name."""
    directory.mkdir()
    path = directory / "docker-credential-dockerkit-test"
    path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    path.chmod(0o755)
    monkeypatch.setenv("PATH", str(directory), prepend=":")
    return "dockerkit-test"


def test_credentials_of_the_docker_config_file(
    run: Callable[..., Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running(tmp_path / "private", auth=True) as registry:
        registry.put("app:1", unique())
        configure(tmp_path, monkeypatch, {"auths": {registry.address: {"auth": AUTH}}})
        assert run().get(f"{registry.address}/app:1").tags == (f"{registry.address}/app:1",)
        wrong = base64.b64encode(f"{USER}:wrong".encode()).decode()
        configure(tmp_path, monkeypatch, {"auths": {registry.address: {"auth": wrong}}})
        registry.put("app:2", unique())
        here = run()
        error = here.refused(f"{registry.address}/app:2")
        assert error.mend.startswith("log in with `docker login` if it is private")
        assert "wrong" not in str(error)
        assert here.pauses == []


@pytest.mark.parametrize("key", ["credHelpers", "credsStore"])
def test_credentials_of_a_helper(
    run: Callable[..., Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    answer = json.dumps({"Username": USER, "Secret": PASSWORD})
    name = helper(
        tmp_path / "bin with spaces", monkeypatch, f'cat >>"$0.asked"\necho >>"$0.asked"\necho \'{answer}\''
    )
    with running(tmp_path / "private", auth=True) as registry:
        registry.put("app:1", unique())
        configure(tmp_path, monkeypatch, {key: name if key == "credsStore" else {registry.address: name}})
        assert run().get(f"{registry.address}/app:1").tags == (f"{registry.address}/app:1",)
        asked = (tmp_path / "bin with spaces/docker-credential-dockerkit-test.asked").read_text(encoding="utf-8")
        assert registry.address in asked.split()


@pytest.mark.parametrize("installed", [False, True])
def test_a_helper_that_does_not_help(
    run: Callable[..., Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, installed: bool
) -> None:
    name = "dockerkit-nowhere"
    if installed:
        name = helper(tmp_path / "bin", monkeypatch, "echo the key ring is locked; exit 1")
    configure(tmp_path, monkeypatch, {"credsStore": name})
    error = run().refused("127.0.0.1:1/app:1")
    assert ("the key ring is locked" if installed else f"docker-credential-{name} not installed") in error.saw
    assert error.mend == (
        "install that credential helper; or take it out of the docker config file (credsStore, credHelpers)"
    )


# Progress


def test_the_bytes_of_a_pull_are_told(
    run: Callable[..., Run], registry: Registry, docker_client: docker.DockerClient
) -> None:
    # Hex digits, of which half is left when it is packed.
    content = "".join(unique() for _ in range(200_000))
    registry.put("big:1", content)
    told: list[Progress] = []
    run().session.engine.images.pull(f"{registry.address}/big:1", None, told.append)
    assert (told[-1].number, told[-1].total) == (1, 1)
    moved = [(each.done_bytes, each.total_bytes) for each in told if each.done_bytes is not None]
    if not own_store(docker_client):
        # Containerd's is looked at ten times a second, and is done before.
        return
    assert all(0 <= done <= total for done, total in moved if total is not None)
    assert moved[-1][0] == moved[-1][1]
    assert (moved[-1][1] or 0) > len(content) // 3


# Within pytest


def test_settings_reach_the_pulls(suite: Suite, registry: Registry, hub_name: str) -> None:
    digest = registry.put(f"hub/library/{hub_name}:7", unique())
    lockfile.write(suite.path / "dockerkit.lock", {f"{hub_name}:7": digest})
    suite.write({"pytest.ini": f"[pytest]\ndockerkit_mirrors = docker.io={registry.address}/hub\n"})
    suite.run(
        f"""
        import pytest

        @pytest.mark.container("{hub_name}:7")
        def test_it(image):
            assert image.reference == "{registry.address}/hub/library/{hub_name}@{digest}"

        @pytest.mark.container("{hub_name}:8")
        def test_another(image): pass
        """,
        "--dockerkit-pull=locked",
    ).ended(passed=1, errors=1).says(
        f"""
        the image {hub_name}:8 is not in the lock file
          saw:  {suite.path}/dockerkit.lock, which has 1 images
          mend: dockerkit lock, which writes down the digests of all images
        """
    )


@pytest.mark.parametrize(
    ("setting", "error"),
    [
        (
            "dockerkit_mirrors = docker.io=https://a.example",
            (
                "ERROR: dockerkit_mirrors: what stands behind the '=' of 'docker.io=https://a.example' does not "
                "begin with the host of a registry\n  saw:  'https://a.example'\n  mend: a.example, without https://"
            ),
        ),
        (
            "dockerkit_image_registry = a.example/CI",
            (
                "ERROR: dockerkit_image_registry cannot be the beginning of an image's name\n"
                "  saw:  'a.example/CI'\n  mend: lower case, no tag: a.example/ci"
            ),
        ),
    ],
)
def test_a_wrong_setting_is_told_before_anything_runs(suite: Suite, setting: str, error: str) -> None:
    suite.write({"pytest.ini": f"[pytest]\n{setting}\n"})
    outcome = suite.run("def test_it(): pass")
    assert outcome.result.ret == pytest.ExitCode.USAGE_ERROR
    assert error in outcome.text
