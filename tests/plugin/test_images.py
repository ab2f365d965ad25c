"""Images: what they say of themselves, what is in them, what they do when run, and when they are built anew."""

from __future__ import annotations

import os
import uuid
from typing import TYPE_CHECKING, Any

import pytest

from pytest_dockerkit import Image, ImageSpec
from pytest_dockerkit._names import new_run_id
from pytest_dockerkit._runtime import ledger
from pytest_dockerkit._runtime.session import Session
from pytest_dockerkit._runtime.settings import Settings
from pytest_dockerkit.errors import (
    BuildError,
    ContainerError,
    ContainerFileError,
    ExecTimeoutError,
    SpecError,
)
from tests.plugin.listeners import Deaf

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import docker

    from pytest_dockerkit import Kit
    from tests.plugin.conftest import Suite

BASE = "busybox:stable"


class Runs:
    """Builds each image in a run of its own, so that only the engine can remember; removes them at the end."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.notes: list[tuple[str, str]] = []
        self.images: dict[str, None] = {}

    def build(self, spec: ImageSpec | None = None, **fields: Any) -> Image:
        """Build an image, and note what the run's ledger says of it."""
        session = Session(Settings(state_dir=self.root / "state"), new_run_id(), "main", Deaf())
        try:
            wanted = spec if spec is not None else ImageSpec(**fields)
            image = session.images.get(wanted.anchored(self.root))
            self.images[image.reference] = None
            lines = ledger.read(session.directory)
            self.notes = [(line["what"], line["name"]) for line in lines if line["do"] == "note"]
        finally:
            session.undo_all()
            session.forget()
            session.close()
        return image

    def is_built(self, **fields: Any) -> bool:
        """Whether a builder had to be called for it."""
        image = self.build(**fields)
        assert [what for what, _ in self.notes][-1] == ("cached" if image.cached else "built")
        return not image.cached


@pytest.fixture
def runs(tmp_path: Path, docker_client: docker.DockerClient) -> Iterator[Runs]:
    made = Runs(tmp_path)
    yield made
    for name in made.images:
        docker_client.images.remove(name, force=True)


@pytest.fixture
def context(tmp_path: Path) -> Path:
    """A context whose content no other test has."""
    root = tmp_path / "my app"
    root.mkdir()
    (root / "unique").write_text(uuid.uuid4().hex, encoding="utf-8")
    return root


def write(root: Path, **files: str) -> None:
    for name, text in files.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


# What it says of itself


def test_what_an_image_says_of_itself(
    runs: Runs, dockerkit: Kit, context: Path, docker_client: docker.DockerClient
) -> None:
    (context / "Dockerfile").write_text(
        f"""FROM {BASE}
COPY unique /srv/unique
ENV GREETING="hello you" EMPTY= EQUALS=a=b
WORKDIR /srv
USER nobody
EXPOSE 8080 53/udp
VOLUME /data
LABEL one="first label" two=2
STOPSIGNAL SIGINT
HEALTHCHECK CMD test -e /srv/unique
ENTRYPOINT ["sh", "-c"]
CMD ["echo $GREETING"]
""",
        encoding="utf-8",
    )
    tag = f"dockerkit-test-{uuid.uuid4().hex[:8]}:a"
    runs.images[tag] = None
    image = runs.build(build=context, tags=[tag], labels={"three": "given"})
    told = docker_client.images.get(image.id).attrs
    assert image.id == told["Id"]
    assert set(image.tags) == set(told["RepoTags"]) == {tag, image.reference}
    assert image.digest is None
    assert image.size_bytes == told["Size"] > 0
    assert list(image.layers) == told["RootFS"]["Layers"]
    assert not image.cached
    assert image.reference == f"pytest-dockerkit:{image.fingerprint}"[: len(image.reference)]
    config = image.config
    assert config.user == "nobody"
    wanted = {"GREETING": "hello you", "EMPTY": "", "EQUALS": "a=b"}
    assert {key: config.env[key] for key in wanted} == wanted
    assert (config.entrypoint, config.cmd) == (("sh", "-c"), ("echo $GREETING",))
    assert config.workdir == "/srv"
    assert set(config.exposed_ports) == {"8080/tcp", "53/udp"}
    labels = {"one": "first label", "two": "2", "three": "given", "pytest.dockerkit.fingerprint": image.fingerprint}
    assert labels.items() <= config.labels.items()
    assert config.healthcheck == ("CMD-SHELL", "test -e /srv/unique")
    assert config.volumes == ("/data",)
    assert config.stop_signal == "SIGINT"
    # The handle of a run that goes on; that of another run's has no engine any more.
    handle = dockerkit.build(image.reference)
    assert handle.history.index(next(each for each in handle.history if "COPY" in each)) < len(handle.history) - 1
    assert 'CMD ["echo $GREETING"]' in handle.history[-1]
    assert handle.fingerprint == image.fingerprint
    assert handle.cached
    assert repr(handle) == f"<Image {image.reference} {image.id[7:19]}>"


def test_an_image_that_says_nothing(dockerkit: Kit, runs: Runs, context: Path) -> None:
    image = runs.build(build=context, dockerfile_text="FROM scratch\nCOPY unique /only\n")
    config = image.config
    assert (config.user, config.entrypoint, config.cmd, config.exposed_ports) == ("", (), (), ())
    assert (config.healthcheck, config.volumes, config.stop_signal) == (None, (), None)
    assert dockerkit.build(BASE).fingerprint is None


# What is in it


def test_files_of_an_image_without_a_shell(dockerkit: Kit, runs: Runs, context: Path) -> None:
    """Nothing of the image is run; links are described and not followed."""
    write(context, app__static="#!static\n", app__sub__deep__ü="deep ☕", app__sub__b="b")
    (context / "app/static").chmod(0o751)
    (context / "app/link").symlink_to("sub/b")
    (context / "app/empty").mkdir()
    runs.images[
        (reference := runs.build(build=context, dockerfile_text="FROM scratch\nCOPY app /app\n").reference)
    ] = None
    image = dockerkit.build(reference)
    found = image.file("/app/static")
    assert (found.path, found.exists, found.mode, found.uid, found.gid) == ("/app/static", True, 0o751, 0, 0)
    assert (found.size_bytes, found.link_target, found.is_dir) == (9, None, False)
    assert found.read_bytes() == b"#!static\n"
    assert image.file("/app/sub/deep/ü").read_text() == "deep ☕"
    link = image.file("/app/link")
    assert (link.exists, link.link_target) == (True, "sub/b")
    directory = image.file("/app/sub")
    assert (directory.is_dir, directory.link_target) == (True, None)
    missing = image.file("/app/nothing")
    assert (missing.exists, missing.mode, missing.size_bytes) == (False, 0, 0)
    for each, why in ((missing, "does not exist"), (directory, "is no regular file"), (link, "is no regular file")):
        with pytest.raises(ContainerFileError) as caught:
            each.read_bytes()
        assert str(caught.value) == (
            f"{each.path} cannot be read\n  saw:  it {why}\n  mend: image.files('/some/dir/*') lists what is there"
        )

    def paths(pattern: str) -> list[str]:
        return [each.path for each in image.files(pattern)]

    assert paths("/app/*") == ["/app/empty", "/app/link", "/app/static", "/app/sub"]
    assert paths("/app/s*") == ["/app/static", "/app/sub"]
    assert paths("/app/**/*") == [
        "/app/empty",
        "/app/link",
        "/app/static",
        "/app/sub",
        "/app/sub/b",
        "/app/sub/deep",
        "/app/sub/deep/ü",
    ]
    assert paths("/app/sub/[a-c]") == ["/app/sub/b"]
    assert paths("/*/static") == ["/app/static"]
    assert paths("/app/static") == ["/app/static"]
    assert paths("/nothing/*") == []
    assert [each.read_text() for each in image.files("/app/sub/?")] == ["b"]
    for call in (image.file, image.files):
        with pytest.raises(SpecError):
            call("app")


# What it does


def test_an_image_is_run_to_its_end(
    request: pytest.FixtureRequest, dockerkit: Kit, docker_client: docker.DockerClient
) -> None:
    """With fields of a spec; nothing is left of it."""
    image = dockerkit.build(BASE)
    result = image.run(
        ["sh", "-c", 'echo "$GREETING $(id -u)"; cat /etc/given; printf "\\377" >&2; echo oh >&2; exit 3'],
        env={"GREETING": "käse"},
        user=1234,
        files={"/etc/given": "a file\n"},
        labels={"dockerkit-test": (mine := uuid.uuid4().hex)},
    )
    assert (result.exit_code, result.stdout) == (3, "käse 1234\na file\n")
    assert (result.stderr, result.stderr_bytes) == ("\N{REPLACEMENT CHARACTER}oh\n", b"\xffoh\n")
    assert result.seconds > 0
    assert image.run("echo 'a text'").stdout == "a text\n"
    assert docker_client.containers.list(all=True, filters={"label": f"dockerkit-test={mine}"}) == []


def test_a_run_without_a_command_is_the_images_own(dockerkit: Kit, runs: Runs) -> None:
    text = (
        f'FROM {BASE}\nLABEL x={uuid.uuid4()}\nHEALTHCHECK CMD false\nENTRYPOINT ["echo", "own"]\nCMD ["command"]\n'
    )
    image = dockerkit.build(runs.build(dockerfile_text=text).reference)
    assert image.run().stdout == "own command\n"
    assert image.run(["other"]).stdout == "own other\n"
    assert image.run(["-c", "exit 4"], entrypoint=["sh"]).exit_code == 4


def test_a_run_that_does_not_end_and_one_that_cannot_begin(
    dockerkit: Kit, docker_client: docker.DockerClient
) -> None:
    image = dockerkit.build(BASE)
    mine = uuid.uuid4().hex
    with pytest.raises(ExecTimeoutError) as caught:
        image.run(
            ["sh", "-c", "echo begun; sleep 1000"], timeout="750ms", name="long", labels={"dockerkit-test": mine}
        )
    assert str(caught.value) == (
        f"a container of {BASE} has not ended after 0.75 s\n"
        "  saw:  command ['sh', '-c', 'echo begun; sleep 1000']\n"
        "  mend: raise timeout=, or give it a command that ends\n"
        "  last lines of its log (long):\n"
        "    begun"
    )
    with pytest.raises(ContainerError) as refused:
        image.run(["no-such-program"], labels={"dockerkit-test": mine})
    assert refused.value.what == "the container's program 'no-such-program' cannot be run"
    with pytest.raises(SpecError) as wrong:
        image.run(["true"], memroy="64m")
    assert str(wrong.value) == ("memroy= is no keyword here\n  saw:  memroy='64m'\n  mend: did you mean 'memory'?")
    assert docker_client.containers.list(all=True, filters={"label": f"dockerkit-test={mine}"}) == []


# When it is built


def test_an_unchanged_image_is_built_once(runs: Runs, context: Path) -> None:
    """For all runs: only the engine remembers. Times and owners do not count; content and modes do."""
    write(
        context, Dockerfile=f"FROM {BASE}\nARG WHO=you\nCOPY . /app\nRUN echo $WHO > /who\n", code="1", sub__code="1"
    )
    first = runs.build(build=context)
    assert runs.notes == [("built", first.reference)]
    again = runs.build(build=context)
    assert runs.notes == [("cached", first.reference)]
    assert (again.id, again.fingerprint) == (first.id, first.fingerprint)
    os.utime(context / "code", (1, 1))
    (context / "code").touch()
    assert not runs.is_built(build=context)
    assert not runs.is_built(build="my app")
    write(context, sub__code="2")
    assert runs.is_built(build=context)
    write(context, sub__code="1")
    assert not runs.is_built(build=context)
    (context / "code").chmod(0o755)
    assert runs.is_built(build=context)
    (context / "code").chmod(0o644)
    (context / "code").rename(context / "other")
    assert runs.is_built(build=context)
    (context / "other").rename(context / "code")
    (context / "empty").mkdir()
    assert runs.is_built(build=context)
    (context / "empty").rmdir()
    assert not runs.is_built(build=context)


def test_what_else_makes_another_image(runs: Runs, context: Path) -> None:
    write(context, Dockerfile=f"FROM {BASE}\nARG WHO=you\nCOPY unique /\nRUN echo $WHO > /who\n")
    plain = runs.build(build=context)
    assert runs.is_built(build=context, build_args={"WHO": "me"})
    assert not runs.is_built(build=context, build_args={"WHO": "me"})
    assert runs.is_built(build=context, labels={"a": "b"})
    write(context, Dockerfile=f"FROM {BASE}\nARG WHO=you\nCOPY unique /\nRUN echo $WHO >> /who\n")
    changed = runs.build(build=context)
    assert not changed.cached
    assert changed.fingerprint != plain.fingerprint


def test_another_base_image_is_another_image(runs: Runs, context: Path, docker_client: docker.DockerClient) -> None:
    """Under the same name; one that the target does not stand on changes nothing."""
    base = f"dockerkit-test-{uuid.uuid4().hex[:8]}:base"
    runs.images[base] = None
    write(context, Dockerfile=f"FROM {base} AS needed\nCOPY unique /\nFROM {base} AS other\nFROM {BASE} AS apart\n")

    def new_base() -> None:
        runs.build(dockerfile_text=f"FROM {BASE}\nLABEL x={uuid.uuid4()}\n", tags=[base])

    new_base()
    assert runs.is_built(build=context, target="needed")
    assert runs.is_built(build=context, target="apart")
    assert not runs.is_built(build=context, target="needed")
    new_base()
    assert runs.is_built(build=context, target="needed")
    assert not runs.is_built(build=context, target="apart")


def test_a_second_suite_builds_nothing_and_says_so(
    suite: Suite, runs: Runs, docker_client: docker.DockerClient
) -> None:
    unique = uuid.uuid4().hex
    suite.write({"app/Dockerfile": f"FROM {BASE}\nCOPY unique /\n", "app/unique": unique})
    source = f"""
        import pytest

        @pytest.mark.container(build="app")
        def test_image(image):
            assert image.file("/unique").read_text() == "{unique}"
            print(f"reference={{image.reference}};")
    """
    first = suite.run(source, "-s").ended(passed=1)
    runs.images[first.text.partition("reference=")[2].partition(";")[0]] = None
    second = suite.run(source, "-s").ended(passed=1)
    assert "images: 1 built, 0 from cache" in first.text
    assert "images: 0 built, 1 from cache" in second.text


# What is built, and from what


def test_targets_arguments_and_stages_that_are_not_needed(runs: Runs, context: Path, dockerkit: Kit) -> None:
    """A stage that nothing needs would fail; where BuildKit builds, it is not even begun."""
    write(
        context,
        Dockerfile=f"""ARG TAG=none
FROM {BASE.partition(":")[0]}:$TAG AS base
ARG WHO=nobody
RUN echo $WHO > /who
FROM base AS broken
RUN exit 3
FROM base AS client-build
COPY unique /built
FROM base AS api-build
COPY --from=client-build /built /from-client
FROM broken AS last
""",
    )
    image = runs.build(build=context, target="api-build", build_args={"TAG": BASE.partition(":")[2], "WHO": "me"})
    assert runs.notes == [("built", image.reference)]
    handle = dockerkit.build(image.reference)
    assert handle.file("/who").read_text() == "me\n"
    assert handle.file("/from-client").read_text() == (context / "unique").read_text(encoding="utf-8")
    assert not handle.file("/built").exists
    assert any("buildkit" in step for step in handle.history)


@pytest.mark.parametrize("how", ["outside", "ignored", "text"])
def test_a_dockerfile_that_is_not_in_the_context_is_not_in_the_image(
    runs: Runs, context: Path, dockerkit: Kit, how: str
) -> None:
    """`COPY . .` brings what the context has, and a stage that is not needed is not built there either."""
    # A layer that no other build has: where two share one, the removal of the one image breaks the other's build.
    own = f"LABEL own={uuid.uuid4().hex}"
    text = f"FROM {BASE} AS broken\nRUN exit 3\nFROM {BASE} AS api\n{own}\nWORKDIR /app\nCOPY . .\n"
    write(context, sub__x="x")
    fields: dict[str, Any] = {"build": context, "target": "api"}
    if how == "outside":
        write(context.parent, docker__Dockerfile=text)
        fields["dockerfile"] = "../docker/Dockerfile"
    elif how == "ignored":
        write(context, Dockerfile=text)
        (context / ".dockerignore").write_text("Dockerfile\n.dockerignore\n", encoding="utf-8")
    else:
        fields["dockerfile_text"] = text
    image = dockerkit.build(runs.build(**fields).reference)
    assert [each.path for each in image.files("/app/**/*")] == ["/app/sub", "/app/sub/x", "/app/unique"]
    assert not runs.is_built(**fields)


@pytest.mark.parametrize("own", [False, True])
def test_what_is_ignored_is_neither_sent_nor_counted(runs: Runs, context: Path, dockerkit: Kit, own: bool) -> None:
    """By the context's `.dockerignore`, or by the Dockerfile's own, which wins."""
    text = f"FROM {BASE}\nCOPY . /app\n"
    write(context, multi=text, keep__a="a", keep__b="b", logs__x="1")
    rules = "# a comment\nlogs\nkeep/*\n!keep/a\n*ignore\nmulti\n"
    (context / ".dockerignore").write_text("keep/a\n" if own else rules, encoding="utf-8")
    if own:
        (context / "multi.dockerignore").write_text(rules, encoding="utf-8")
    image = dockerkit.build(runs.build(build=context, dockerfile="multi").reference)
    paths = {each.path for each in image.files("/app/**/*")}
    assert {"/app/unique", "/app/keep/a"} <= paths
    assert not paths & {"/app/logs", "/app/logs/x", "/app/keep/b", "/app/multi", "/app/multi.dockerignore"}
    write(context, logs__x="2", keep__b="c")
    assert not runs.is_built(build=context, dockerfile="multi")
    write(context, keep__a="changed")
    assert runs.is_built(build=context, dockerfile="multi")


def test_a_text_alone_is_enough(runs: Runs, dockerkit: Kit) -> None:
    unique = uuid.uuid4().hex
    image = runs.build(dockerfile_text=f"FROM {BASE}\nRUN echo {unique} > /unique\n")
    assert runs.notes == [("built", image.reference)]
    assert dockerkit.build(image.reference).file("/unique").read_text() == f"{unique}\n"


def test_further_names_also_for_what_was_built_before(
    runs: Runs, context: Path, docker_client: docker.DockerClient
) -> None:
    write(context, Dockerfile=f"FROM {BASE}\nCOPY unique /\n")
    names = [f"dockerkit-test-{uuid.uuid4().hex[:8]}:{number}" for number in range(2)]
    runs.images.update(dict.fromkeys(names))
    first = runs.build(build=context, tags=names[:1])
    assert not first.cached
    second = runs.build(build=context, tags=names[1:])
    assert second.cached
    assert set(second.tags) == {second.reference, *names}
    assert {docker_client.images.get(name).id for name in names} == {first.id}


@pytest.fixture
def half_built(docker_client: docker.DockerClient) -> Iterator[str]:
    """An instruction that marks the layers which the classic builder keeps of a build that has failed."""
    mark = f"dockerkit-test={uuid.uuid4().hex}"
    yield f"LABEL {mark}"
    while found := docker_client.images.list(all=True, filters={"label": mark}):
        parents = {each.attrs["Parent"] for each in found}
        for each in found:
            if each.id not in parents:
                docker_client.images.remove(str(each.id))


def test_a_failing_instruction_is_told(runs: Runs, context: Path, half_built: str) -> None:
    """Where it stands, what it has printed, and how to see it by hand; on each builder in test_build_failures."""
    run = "RUN echo said; echo 'why it failed' >&2; exit 3"
    text = f"FROM {BASE} AS base\n{half_built}\nCOPY . /app\n{run}\n"
    write(context.parent, docker__Dockerfile=text)
    fields: dict[str, Any] = {
        "build": context,
        "dockerfile": "../docker/Dockerfile",
        "target": "base",
        "build_args": {"WHO": "you & me"},
    }
    with pytest.raises(BuildError) as caught:
        runs.build(**fields)
    where = "../docker/Dockerfile:4 in stage base"
    assert caught.value.what == f"building my app (target base) failed at {where}: {run}"
    lines = caught.value.saw.splitlines()
    assert sorted(line for line in lines if line in ("said", "why it failed")) == ["said", "why it failed"]
    # The engine's own words, which differ from release to release.
    assert "3" in lines[-1]
    assert caught.value.mend == (
        "correct the Dockerfile; by hand: docker build --target base --build-arg WHO "
        f"-f {context.parent}/docker/Dockerfile '{context}'"
    )


def test_a_file_that_the_context_does_not_have_is_told(runs: Runs, context: Path) -> None:
    write(context, Dockerfile=f"FROM {BASE}\nCOPY no-such-file /\n")
    with pytest.raises(BuildError) as caught:
        runs.build(build=context)
    assert caught.value.what.startswith("building my app failed at ")
    assert "COPY no-such-file /" in caught.value.what
    assert "no-such-file" in caught.value.saw
    assert caught.value.mend == (
        f"correct the Dockerfile; by hand: docker build -f '{context}/Dockerfile' '{context}'"
    )
