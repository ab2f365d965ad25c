#!/usr/bin/env python3
"""Make sure that the base images of the tests and examples exist.

An image the engine has is used as it is. Else it is pulled. Where no registry is in reach, it is made
from the distribution's own packages, one line is printed, and the label `pytest.dockerkit.base` tells
that it is a substitute, and of which package.

Needs an engine that answers (see ensure-engine.sh), no docker program, and no root.
"""

from __future__ import annotations

import argparse
import fcntl
import http.client
import io
import json
import os
import posixpath
import re
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING
from urllib.parse import quote, urlencode

import engine

if TYPE_CHECKING:
    from collections.abc import Iterator

#: How long a registry may be silent, in seconds: before its first word and between two of them.
PULL_SILENCE_S = 20.0
#: How long the engine may be silent while it imports or builds, in seconds.
IMPORT_SILENCE_S = 300.0
#: How long it may take to say whether it has an image, in seconds.
LOOK_TIMEOUT_S = 30.0
#: How long to wait for another call of this script, in seconds. All three images take about 15.
LOCK_TIMEOUT_S = 600.0

LABEL = "pytest.dockerkit.base"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

#: In the closure only for maintainer scripts, which are never run.
NOT_UNPACKED = re.compile(
    r"adduser|debconf|dpkg|gcc-.*-base|init-system-helpers|lsb-base|passwd|perl.*|sysvinit-utils|tar|usrmerge"
    r"|lib(audit|cap-ng|file-find|gdbm|number|pam|perl|semanage|sepol|text-glob).*"
)
NOT_COPIED = re.compile(r"usr/share/(bug|doc|info|lintian|locale|man)/.")
#: Top directories that are links into /usr, as on every merged system.
MERGED = re.compile(r"^(bin|sbin|lib|lib32|lib64|libx32)(?=/|$)")

#: Who owns what a service writes; the uid that most published images use.
SERVICE_UID = 999
PASSWD = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/bin/false\n"
GROUP = "root:x:0:\nnogroup:x:65534:\n"


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How to make an image from packages; the first of them gives it its name and version."""

    packages: tuple[str, ...]
    changes: tuple[str, ...]
    links: tuple[tuple[str, str], ...] = ()
    directories: tuple[str, ...] = ()
    run: str = ""
    passwd: str = PASSWD
    group: str = GROUP
    applets: bool = False


RECIPES = {
    "busybox:stable": Recipe(
        packages=("busybox-static",),
        changes=('CMD ["sh"]',),
        applets=True,
    ),
    "python:3-slim": Recipe(
        packages=("python3", "dash", "coreutils", "libc-bin"),
        changes=('CMD ["python3"]', "ENV LANG=C.UTF-8"),
        links=(("usr/bin/python", "python3"),),
        # What the package's own script would do: saves 0.1 to 0.2 s at each start of a program.
        run="python3 -m compileall -q -j0 /usr/lib/python3*",
    ),
    "redis:latest": Recipe(
        packages=("redis-server", "dash", "coreutils", "libc-bin"),
        changes=(
            'CMD ["redis-server", "--bind", "0.0.0.0", "--protected-mode", "no"]',
            "EXPOSE 6379",
            "WORKDIR /data",
        ),
        directories=("data",),
        passwd=PASSWD + f"redis:x:{SERVICE_UID}:{SERVICE_UID}::/data:/bin/false\n",
        group=GROUP + f"redis:x:{SERVICE_UID}:\n",
    ),
}


class ImageError(RuntimeError):
    """What went wrong, what was seen, and how to mend it."""

    def __init__(self, what: str, *, saw: str, mend: str) -> None:
        super().__init__(f"{what}\n  saw:  {saw}\n  mend: {mend}")


class AttemptError(RuntimeError):
    """One way to an image did not work; the text is what was seen."""


class SilenceError(AttemptError):
    """The other side said nothing for too long."""


class Images:
    """The few requests to an engine that are needed here."""

    def __init__(self, url: str) -> None:
        self._url = url

    def has(self, name: str) -> bool:
        """Whether the engine has this image."""
        with self._request(LOOK_TIMEOUT_S, "GET", f"/images/{quote(name)}/json") as answer:
            if answer.status in (http.client.OK, http.client.NOT_FOUND):
                return answer.status == http.client.OK
            raise AttemptError(f"the engine answered HTTP {answer.status} to a look at {name}")

    def pull(self, name: str) -> None:
        """Take it from a registry."""
        repository, tag = name.split(":")
        self._post(PULL_SILENCE_S, "/images/create", [("fromImage", repository), ("tag", tag)])

    def load(self, tar: Path, changes: list[str]) -> str:
        """Make an image without a name of a root file system; its id."""
        query = [("fromSrc", "-"), *(("changes", change) for change in changes)]
        return self._post(IMPORT_SILENCE_S, "/images/create", query, tar)

    def tag(self, image_id: str, name: str) -> None:
        """Give it a name."""
        repository, tag = name.split(":")
        self._post(LOOK_TIMEOUT_S, f"/images/{image_id}/tag", [("repo", repository), ("tag", tag)])

    def build(self, context: Path, name: str) -> None:
        """Build a context and give the result a name."""
        self._post(IMPORT_SILENCE_S, "/build", [("t", name), ("forcerm", "1"), ("networkmode", "none")], context)

    def _post(self, silence_s: float, path: str, query: list[tuple[str, str]], body: Path | None = None) -> str:
        """Follow the engine's report to its end; the last status in it."""
        status = ""
        with self._request(silence_s, "POST", f"{path}?{urlencode(query)}", body) as answer:
            if answer.status not in (http.client.OK, http.client.CREATED):
                raise AttemptError(json.loads(answer.read()).get("message", f"HTTP {answer.status}"))
            for line in answer:
                report = json.loads(line) if line.strip() else {}
                if error := report.get("error"):
                    raise AttemptError(error)
                status = report.get("status", status)
        return status

    @contextmanager
    def _request(
        self, silence_s: float, method: str, path: str, body: Path | None = None
    ) -> Iterator[http.client.HTTPResponse]:
        try:
            connection = engine.connect(self._url, silence_s)
            try:
                with (body or Path(os.devnull)).open("rb") as content:
                    size = str(body.stat().st_size if body else 0)
                    headers = {"Content-Type": "application/x-tar", "Content-Length": size}
                    connection.request(method, path, content, headers)
                    yield connection.getresponse()
            finally:
                connection.close()
        except TimeoutError:
            raise SilenceError(f"nothing heard for {silence_s:g} s") from None
        except (OSError, http.client.HTTPException, ValueError) as failure:
            raise AttemptError(f"{type(failure).__name__}: {failure}") from failure


class Packages:
    """The distribution's packages, fetched without touching the machine's own apt state."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        (folder / "archives").mkdir()
        (folder / "lists/partial").mkdir(parents=True)
        (folder / "status").touch()
        self._options = {
            "Dir::State::status": str(folder / "status"),
            "Dir::Cache": str(folder),
            "Dir::Cache::pkgcache": "pkgcache.bin",  # container images often turn it off
            "Dir::Cache::srcpkgcache": "srcpkgcache.bin",
            "Debug::NoLocking": "1",
            "APT::Sandbox::User": "root",
            "APT::Install-Recommends": "0",
            "Acquire::Retries": "3",
        }

    def fetch(self, names: tuple[str, ...]) -> tuple[str, list[Path]]:
        """The version of the first, and the files of all with what they depend on."""
        try:
            return self._fetch(names)
        except AttemptError:
            # No package lists on this machine, or lists too old to be true: use fresh private ones.
            if "Dir::State::lists" in self._options:
                raise
            self._options["Dir::State::lists"] = str(self._folder / "lists")
            self._apt("update")
            return self._fetch(names)

    def _fetch(self, names: tuple[str, ...]) -> tuple[str, list[Path]]:
        plan = self._apt("install", "--simulate", *names)
        versions = dict(re.findall(r"^Inst (\S+) \((\S+)", plan, re.MULTILINE))
        wanted = {name: version for name, version in versions.items() if not NOT_UNPACKED.fullmatch(name)}
        folder = Path(tempfile.mkdtemp(dir=self._folder))
        self._apt("download", *(f"{name}={version}" for name, version in wanted.items()), folder=folder)
        return versions[names[0]], sorted(folder.glob("*.deb"))

    def _apt(self, *arguments: str, folder: Path | None = None) -> str:
        options = [f"-o{name}={value}" for name, value in self._options.items()]
        return run("apt-get", "-qq", *options, *arguments, folder=folder)


def run(*command: str, folder: Path | None = None) -> str:
    """What the program prints."""
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env={**os.environ, "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=True,
        )
    except OSError as failure:
        raise AttemptError(f"{command[0]}: {failure.strerror}") from failure
    except subprocess.CalledProcessError as failure:
        last = failure.stderr.strip().splitlines()[-1:] or ["no message"]
        raise AttemptError(f"{command[0]}: {last[0]}") from failure
    return done.stdout


@dataclass
class RootFs:
    """A root file system, written straight into a tar: owners stay as packaged, without being root."""

    tar: tarfile.TarFile
    _names: set[str] = field(default_factory=set)

    def add(self, info: tarfile.TarInfo, content: IO[bytes] | None = None) -> None:
        """Write it, unless there is one of that name: the first wins."""
        if info.name not in self._names:
            self._names.add(info.name)
            self.tar.addfile(info, content)

    def directory(self, name: str, mode: int = 0o755, owner: int = 0) -> None:
        """Write a directory."""
        info = tarfile.TarInfo(name)
        info.type, info.mode, info.uid, info.gid = tarfile.DIRTYPE, mode, owner, owner
        self.add(info)

    def link(self, name: str, target: str) -> None:
        """Write a symbolic link."""
        info = tarfile.TarInfo(name)
        info.type, info.linkname, info.mode = tarfile.SYMTYPE, target, 0o777
        self.add(info)

    def text(self, name: str, text: str) -> None:
        """Write a small file."""
        info = tarfile.TarInfo(name)
        info.size = len(text.encode())
        self.add(info, io.BytesIO(text.encode()))

    def package(self, deb: Path) -> None:
        """Write what is in a package."""
        command = ["dpkg-deb", "--fsys-tarfile", str(deb)]
        with (
            subprocess.Popen(command, stdout=subprocess.PIPE) as unpack,
            tarfile.open(fileobj=unpack.stdout, mode="r|") as files,
        ):
            for info in files:
                info.name = _merged(info.name)
                if info.islnk():
                    info.linkname = _merged(info.linkname)
                if info.name and not NOT_COPIED.match(info.name):
                    self.add(info, files.extractfile(info) if info.isreg() else None)
        if unpack.returncode:
            raise AttemptError(f"dpkg-deb can't unpack {deb.name}")


def _merged(name: str) -> str:
    """`./bin/ls` of a package as `usr/bin/ls` of the image; nothing for the root itself."""
    return MERGED.sub(r"usr/\1", posixpath.normpath("/" + name)[1:])


def write_root(root: RootFs, recipe: Recipe, debs: list[Path], folder: Path) -> None:
    """Our own few files first, so that they win; then the packages."""
    root.text("etc/passwd", recipe.passwd)
    root.text("etc/group", recipe.group)
    root.text("etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n")
    for name in ("dev", "etc", "home", "proc", "root", "run", "sys", "usr", "var"):
        root.directory(name)
    for name in ("tmp", "var/tmp"):
        root.directory(name, 0o1777)
    for name in recipe.directories:
        root.directory(name, owner=SERVICE_UID)
    for name, target in recipe.links:
        root.link(name, target)
    if recipe.applets:
        write_busybox(root, debs[0], folder)
        return
    for name in ("bin", "sbin", "lib", "lib64"):
        root.directory(f"usr/{name}")
        root.link(name, f"usr/{name}")
    for deb in debs:
        root.package(deb)


def write_busybox(root: RootFs, deb: Path, folder: Path) -> None:
    """The program, and a link to it for each thing it can do."""
    run("dpkg-deb", "-x", str(deb), str(folder))
    program = next(folder.glob("**/bin/busybox"))
    for name in ("bin", "sbin", "usr/bin", "usr/sbin"):
        root.directory(name)
    info = root.tar.gettarinfo(program, "bin/busybox")
    info.uid = info.gid = 0
    info.uname = info.gname = ""
    with program.open("rb") as content:
        root.add(info, content)
    for applet in run(str(program), "--list").split():
        root.link(f"bin/{applet}", "busybox")


def make(images: Images, name: str, packages: Packages, folder: Path) -> str:
    """Make a substitute; what it was made from."""
    recipe = RECIPES[name]
    version, debs = packages.fetch(recipe.packages)
    made_from = f"{recipe.packages[0]} {version}"
    file = folder / "root.tar"
    with tarfile.open(file, "w", format=tarfile.GNU_FORMAT) as tar:
        write_root(RootFs(tar), recipe, debs, folder)
    changes = [*recipe.changes, f'ENV PATH="{PATH}"', f'LABEL {LABEL}="{made_from}"']
    image_id = images.load(file, changes)
    if recipe.run:
        context = folder / "context.tar"
        with tarfile.open(context, "w") as tar:
            RootFs(tar).text("Dockerfile", f"FROM {image_id}\nRUN {recipe.run}\n")
        images.build(context, name)
    else:
        images.tag(image_id, name)
    return made_from


@contextmanager
def only_one() -> Iterator[None]:
    """One call at a time; the others then find the images there."""
    file = Path(tempfile.gettempdir()) / f"pytest-dockerkit-base-images-{os.getuid()}.lock"
    deadline = time.monotonic() + LOCK_TIMEOUT_S
    # Left in place: unlinking a held lock would let a third caller lock another file of that name.
    with os.fdopen(os.open(file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)) as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise ImageError(
                        "another call is still making base images",
                        saw=f"{file} held for {LOCK_TIMEOUT_S:g} s",
                        mend=f"see who holds it (fuser {file}), end that, try again",
                    ) from None
                time.sleep(0.1)
            else:
                break
        yield


def provide(images: Images, names: list[str]) -> None:
    """Pull or make each of these that is still missing, and say so."""
    not_pulled: AttemptError | None = None
    with tempfile.TemporaryDirectory(prefix="base-images-") as scratch:
        packages = Packages(Path(scratch))
        for name in names:
            if images.has(name):
                continue
            # A registry that was silent once is not waited for again.
            if not isinstance(not_pulled, SilenceError):
                try:
                    images.pull(name)
                except AttemptError as failure:
                    not_pulled = failure
                else:
                    print(f"pulled {name}", flush=True)
                    continue
            try:
                made_from = make(images, name, packages, Path(tempfile.mkdtemp(dir=scratch)))
            except (AttemptError, OSError, tarfile.TarError) as failure:
                raise ImageError(
                    f"{name} is missing, and can be neither pulled nor made",
                    saw=f"pull: {not_pulled}; packages: {failure}",
                    mend=f"load {name} into the engine, or let it reach a registry that has it",
                ) from failure
            print(f"made {name} from {made_from}", flush=True)


def ensure(names: list[str]) -> None:
    """Find the engine and what it lacks; provide that."""
    url, saw = engine.find()
    if url is None:
        raise ImageError(
            "no Docker engine answers",
            saw=saw,
            mend="run ensure-engine.sh, start yours, or correct DOCKER_HOST",
        )
    images = Images(url)
    try:
        if missing := [name for name in names if not images.has(name)]:
            with only_one():
                provide(images, missing)
    except AttemptError as failure:
        raise ImageError(
            "the engine can't be asked for its images",
            saw=f"{url}: {failure}",
            mend="set DOCKER_HOST to a unix:// or tcp:// address of an engine that works",
        ) from failure


def main() -> int:
    """The program."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"default: {' '.join(RECIPES)}")
    names = parser.parse_args().names or list(RECIPES)
    if unknown := [name for name in names if name not in RECIPES]:
        parser.error(f"no recipe for {', '.join(unknown)}; there are {', '.join(RECIPES)}")
    # As an exception, so that temporary files are removed then too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        ensure(names)
    except ImageError as failure:
        print(f"base-images: {failure}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
