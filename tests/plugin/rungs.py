"""A bench on which the same requests are built by each of the ways that there are."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
import tempfile
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from filelock import FileLock

from pytest_dockerkit import ImageSpec, Progress, Secret
from pytest_dockerkit._engine.build_request import BuildRequest
from pytest_dockerkit._engine.context import read_context
from pytest_dockerkit._engine.daemon import Daemon
from pytest_dockerkit._spec.settled import BaseFacts

RUNGS = ("buildx", "buildkit", "classic")
BASE = "busybox:stable"
PYTHON = "python:3-slim"

#: A program that asks the ssh agent how many keys it has.
ASK_AGENT = (
    "import os, socket; s = socket.socket(socket.AF_UNIX); s.connect(os.environ['SSH_AUTH_SOCK']); "
    "s.sendall(bytes([0, 0, 0, 1, 11])); print(int.from_bytes(s.recv(9, socket.MSG_WAITALL)[5:9], 'big'))"
)

#: What Docker puts into each container beside its image.
_DOCKERS = (".dockerenv", "dev", "etc/hosts", "etc/hostname", "etc/resolv.conf", "etc/mtab", "proc", "sys")


class Entry(NamedTuple):
    """What an image has under a path: all but times."""

    kind: str
    mode: str
    owner: tuple[int, int]
    leads_to: str
    content: str


def write_docker_config(directory: Path, **said: Any) -> None:
    """Write a docker configuration that finds the plugins which the user's own finds."""
    own = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker") / "config.json"
    given = json.loads(own.read_text(encoding="utf-8")) if own.is_file() else {}
    plugins = {key: each for key, each in given.items() if key == "cliPluginsExtraDirs"}
    directory.mkdir()
    (directory / "config.json").write_text(json.dumps({**plugins, **said}), encoding="utf-8")


class Bench:
    """Builds, and removes at its end what it has built.

    Attributes:
        rung: what builds.
        root: a directory of the test's own.
        context: a context in it whose content no other test has.
        unique: that content.
        told: what was heard of the builds.
        made: the names of the images, in the order in which they were asked for.
    """

    def __init__(self, rung: str, root: Path, mark: str | None = None, **engine: str) -> None:
        self.rung = rung
        self.root = root
        self.daemon = Daemon(**engine, builder=rung)
        self.context = root / "my app"
        self.context.mkdir(exist_ok=True)
        self.unique = uuid.uuid4().hex
        self.told: list[Progress] = []
        self.made: list[str] = []
        self._mark = f"dockerkit-test={mark or uuid.uuid4().hex}"
        self.write({"unique": self.unique})

    @property
    def absent(self) -> str | None:
        """Why the rung cannot be used on this machine."""
        return self.daemon.builder._rungs[0].absent  # type: ignore[attr-defined,no-any-return]

    @property
    def client(self) -> Any:
        return self.daemon.client

    def write(self, files: Mapping[str, str]) -> None:
        """Write files of the context."""
        for name, text in files.items():
            path = self.context / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")

    def request(
        self, text: str | None = None, /, *, secrets: Mapping[str, Secret] | None = None, **fields: Any
    ) -> BuildRequest:
        """Ask for a build of the context.

        Args:
            text: what to write into its Dockerfile. A line `MARK` is one by which what a failing build leaves is
                found.
            secrets: the build secrets.
            **fields: those of `ImageSpec`, and those of `BuildRequest` that it does not have.
        """
        if text is not None:
            self.write({"Dockerfile": self.marked(text)})
        own = {key: fields.pop(key) for key in ("nocache", "dockerfile_title", "tell") if key in fields}
        spec = ImageSpec(build=self.context, **fields).anchored(self.root)
        request = BuildRequest(
            title="my app" + (f" (target {spec.target})" if spec.target else ""),
            context=read_context(spec, dict.fromkeys((BASE, PYTHON), BaseFacts(frozenset(), onbuild=False))),
            target=spec.target,
            args=spec.build_args,
            secrets=secrets or {},
            ssh=None if spec.ssh is None else str(spec.ssh),
            labels=spec.labels,
            tags=[f"dockerkit-test:{uuid.uuid4().hex}", *spec.tags],
            platform=spec.platform,
            cache_from=spec.cache_from,
            cache_to=spec.cache_to,
            by_hand=f"docker build '{self.context}'",
            tell=self.told.append,
        )
        return replace(request, **own)

    def marked(self, text: str) -> str:
        """Put the mark in."""
        return text.replace("\nMARK\n", f"\nLABEL {self._mark}\n")

    def build(self, text: str | None = None, /, **fields: Any) -> str:
        """Build, and give the image's name."""
        request = self.request(text, **fields)
        self.made += request.tags
        self.daemon.builder.build(request)
        return request.tags[0]

    def config(self, image: str) -> dict[str, Any]:
        """Give what the image says of how it is run: all that is set."""
        told = self.client.api.inspect_image(image)
        config = {key: value for key, value in told["Config"].items() if value}
        for key in ("Image", "Hostname", "Domainname", "ArgsEscaped"):
            config.pop(key, None)
        config["Labels"] = {key: each for key, each in config.get("Labels", {}).items() if key not in self._mark}
        return {**config, "Os": told["Os"], "Architecture": told["Architecture"]}

    def files(self, image: str, below: str = "") -> dict[str, Entry]:
        """Give all that is in an image, by its path, also where it has no shell."""
        container = self.client.api.create_container(image, ["none"], labels={"dockerkit-test": "1"})
        try:
            packed = io.BytesIO(b"".join(self.client.api.export(container["Id"])))
        finally:
            self.client.api.remove_container(container["Id"], force=True, v=True)
        found: dict[str, Entry] = {}
        with tarfile.open(fileobj=packed) as archive:
            for each in archive:
                path = each.name.strip("/")
                if path.startswith(_DOCKERS) or not path.startswith(below):
                    continue
                file = archive.extractfile(each) if each.isreg() else None
                content = "" if file is None else hashlib.sha256(file.read()).hexdigest()
                kind = {tarfile.LNKTYPE: "link", tarfile.SYMTYPE: "symlink", tarfile.DIRTYPE: "directory"}
                found[path] = Entry(
                    kind.get(each.type, "file"),
                    f"{each.mode & 0o7777:o}",
                    (each.uid, each.gid),
                    each.linkname,
                    content,
                )
        return found

    def text(self, image: str, path: str) -> str:
        """Read a file of an image."""
        container = self.client.api.create_container(image, ["none"], labels={"dockerkit-test": "1"})
        try:
            pieces, _ = self.client.api.get_archive(container["Id"], path)
            with tarfile.open(fileobj=io.BytesIO(b"".join(pieces))) as archive:
                [member] = archive
                file = archive.extractfile(member)
                assert file is not None
                return file.read().decode()
        finally:
            self.client.api.remove_container(container["Id"], force=True, v=True)

    def forget(self, image: str) -> None:
        """Let the engine forget an image, and the layers of its instructions that name the unique content."""
        self.client.api.remove_image(image, force=True)
        with self.undisturbed():
            self._prune()

    @contextmanager
    def undisturbed(self) -> Iterator[None]:
        """Let no other test forget anything meanwhile: the engine may then run what it would have had."""
        with FileLock(Path(tempfile.gettempdir()) / "pytest-dockerkit-prune.lock"):
            yield

    def _prune(self) -> None:
        while found := [each for each in self._layers() if self.unique in each["Description"]]:
            pruned = [self.client.api.prune_builds(filters={"id": each["ID"]}, all=True) for each in found]
            assert any(each.get("CachesDeleted") for each in pruned), found

    def _layers(self) -> list[dict[str, Any]]:
        api = self.client.api
        # Of those alone: what else there is may go while the engine counts it.
        answer = api._get(api._url("/system/df"), params={"type": "build-cache"})
        return api._result(answer, json=True)["BuildCache"] or []

    @property
    def has_containerd_images(self) -> bool:
        """Whether the engine keeps its images in containerd's store."""
        return "io.containerd.snapshotter" in str(self.client.info()["DriverStatus"])

    def end(self) -> None:
        """Remove the images, and the layers that failing builds of the classic builder have left."""
        for name in self.made:
            if self.daemon.images.find(name) is not None:
                self.daemon.images.remove(name)
        while found := self.client.images.list(all=True, filters={"label": self._mark}):
            parents = {each.attrs["Parent"] for each in found}
            for each in found:
                if each.id not in parents:
                    self.client.images.remove(str(each.id), force=True)
        self.daemon.close()
