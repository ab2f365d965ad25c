"""What a build takes of its context, seen at real builds: without the rest it gives the same files."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import re
import tarfile
import uuid
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import docker
import pytest

from pytest_dockerkit._spec.dockerfile import parse, without_unneeded_stages
from pytest_dockerkit._spec.uses import BaseFacts, Uses, context_uses

#: A context: contents of files, None for a directory, and where links lead to.
Tree = Mapping[str, str | bytes | None]

LINK = "-> "
BASE = "busybox:stable"


def packed(tree: Tree) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        first = tarfile.TarInfo("./")
        first.type, first.mode = tarfile.DIRTYPE, 0o755
        tar.addfile(first)
        for name, content in tree.items():
            info = tarfile.TarInfo(name)
            info.mode = 0o755 if content is None or name.endswith(".sh") else 0o644
            data = b""
            if content is None:
                info.type = tarfile.DIRTYPE
            elif isinstance(content, str) and content.startswith(LINK):
                info.type, info.linkname = tarfile.SYMTYPE, content.removeprefix(LINK)
            else:
                data = content.encode() if isinstance(content, str) else content
                info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


TREE: Tree = {
    ".hidden": "hidden",
    "a.txt": "a",
    "b.txt": "b",
    "c.md": "c",
    "run.sh": "run",
    "with space.txt": "space",
    "[x].txt": "brackets",
    "star*r": "star",
    "back\\slash": "backslash",
    "ünïcode": "unicode",
    "dir": None,
    "dir/one.txt": "one",
    "dir/two.md": "two",
    "dir/sub": None,
    "dir/sub/deep.txt": "deep",
    "dir/sub/deeper": None,
    "dir/sub/deeper/x.txt": "x",
    "dir/out": LINK + "../other",
    "dir/near": LINK + "one.txt",
    "other": None,
    "other/o.txt": "o",
    "other/back": LINK + "../dir/sub",
    "empty": None,
    "only": None,
    "only/readme.md": "no text here",
    "to-dir": LINK + "dir",
    "to-to-dir": LINK + "to-dir",
    "to-file": LINK + "a.txt",
    "to-root-dir": LINK + "/dir/sub",
    "to-above": LINK + "../../../other",
    "to-self": LINK + "to-self",
    "to-nothing": LINK + "nowhere",
    "packed.tar": packed({"in-tar.txt": "in tar"}),
    "to-packed": LINK + "packed.tar",
}


@dataclass(frozen=True)
class Case:
    """A Dockerfile, which is built from the whole tree and from what it uses of it.

    Attributes:
        text: the Dockerfile, without its first line if that is `FROM scratch`.
        args: the build args.
        target: the stage.
        fails: whether it cannot be built; None where that depends on the builder.
        classic: whether the classic builder is asked too.
        links: whether the tree has any; behind them, a class that may match a slash takes the whole context.
    """

    text: str
    args: Mapping[str, str] = field(default_factory=dict)
    target: str | None = None
    fails: bool | None = False
    classic: bool = False
    links: bool = True

    @property
    def dockerfile(self) -> str:
        """The whole Dockerfile."""
        return self.text if "FROM " in self.text else f"FROM scratch\n{self.text}\n"


CASES = [
    # Plain paths.
    Case("COPY a.txt /\nCOPY ../b.txt c\\.md /x/"),
    Case("COPY /a.txt ./b.txt dir/../c.md /x/"),
    Case("COPY dir /x"),
    Case("COPY dir/ dir/sub/ /x/", classic=True),
    Case("COPY ./dir/./sub/. /x"),
    Case("COPY 'a.txt' \"b.txt\" /x/"),
    Case(
        'COPY back\\\\slash star\\*r ünïcode /x/\nCOPY ["with space.txt", "dir//sub/deep.txt", "empty", "/x/"]',
        classic=True,
    ),
    Case("COPY nowhere /x/", fails=True),
    Case("COPY A.TXT /x/", fails=True),
    Case("COPY a.txt nowhere /x/", fails=True),
    Case("copy --chown=1:2 run.sh \\\n  # a comment\n\n  a.txt /x/"),
    Case("COPY --from= a.txt /x/"),
    Case("ADD packed.tar a.txt /x/"),
    # Wildcards.
    Case("COPY *.txt /x/"),
    Case("COPY dir/* /x/", classic=True),
    Case("COPY d*/*.txt /x/"),
    Case("COPY */*/deep.* /x/"),
    Case("COPY **/o.txt /x/"),
    Case("COPY [ab].txt [^a-c]*.sh /x/", links=False),
    Case("COPY [[]x].txt star[*]r ?.md .h* /x/\nADD *.tar /x/", classic=True),
    Case("COPY dir[.-0]one.txt a[^q]txt /x/", classic=True, links=False),
    Case("COPY a.txt only/*.txt /x/"),
    Case("COPY a.txt nowhere/*.txt /x/", fails=True),
    Case("COPY a.txt a.txt/*.txt /x/"),
    # Links.
    Case("COPY to-dir /x/\nCOPY to-file /x/"),
    Case("COPY to-to-dir/one.txt to-to-dir/sub /x/", classic=True),
    Case("COPY to-to-dir/[n-o]* /x/"),
    Case("COPY to-dir/*.txt /x/"),
    Case("COPY to-* /x/", fails=True),
    Case("COPY to-[dfr]* /x/", classic=True),
    Case("COPY to-root-dir/deep.txt to-above/o.txt /x/"),
    Case("COPY dir/out/o.txt dir/near /x/"),
    Case("COPY other/back/deeper /x/", classic=True),
    # BuildKit 0.8 loses its way on these.
    Case("COPY dir/out/back/deeper /x/", fails=None, classic=True),
    Case("COPY to-dir/out/back/*.txt /x/", fails=None),
    Case("COPY to-self /x/", fails=True),
    Case("COPY to-nothing /x/", fails=True),
    Case("COPY */near /x/", classic=True),
    Case("ADD to-packed /x/", classic=True),
    # Stages.
    Case(
        "FROM scratch AS a\nCOPY a.txt /\nFROM scratch\nCOPY --from=a / /x/\nFROM scratch AS no\nCOPY b.txt /",
        target="no",
    ),
    Case(
        "FROM scratch AS a\nCOPY a.txt /\nFROM scratch AS no\nCOPY b.txt /\n"
        "FROM scratch\nCOPY --from=A / /x/\nCOPY c.md /",
        classic=True,
    ),
    Case("FROM scratch\nCOPY a.txt /\nFROM scratch\nCOPY b.txt /\nFROM scratch\nCOPY --from=0 / /x/", classic=True),
    Case("FROM scratch AS a\nCOPY a.txt /\nFROM scratch AS b\nCOPY b.txt /\nFROM a\nCOPY c.md /"),
    Case(
        "ARG KIND=a\nFROM scratch AS a\nCOPY a.txt /\nFROM scratch AS b\nCOPY b.txt /\nFROM $KIND",
        args={"KIND": "b"},
    ),
    # Variables.
    Case("ARG NAME=a\nCOPY $NAME.txt ${NAME}.txt /x/"),
    Case("ARG NAME=a\nCOPY ${NAME}.txt /x/", args={"NAME": "b"}),
    Case("ARG NAME=\nCOPY ${NAME:-b}.txt /x/"),
    Case("ENV WHERE=dir NAME='one.txt'\nCOPY $WHERE/$NAME /x/", classic=True),
    Case("ARG NAME=a\nENV NAME=$NAME\nCOPY $NAME.txt /x/", args={"NAME": "b"}),
    Case('ENV WHERE dir/sub\nCOPY ["$WHERE", "/x/"]', classic=True),
    Case("ARG WHERE=dir\nFROM scratch AS a\nARG WHERE\nENV THERE=$WHERE/sub\nFROM a\nCOPY $THERE /x/"),
    Case(f"FROM {BASE}\nARG NAME=a\nCOPY $NAME.txt /x/"),
    # What only BuildKit does.
    Case(f"FROM {BASE}\nRUN --mount=type=bind,source=dir,target=/m cp -r /m/sub /x"),
    Case(f"FROM {BASE}\nRUN --mount=source=to-dir/sub,target=/m --mount=type=tmpfs,target=/t cp -r /m /x"),
    Case(f"FROM {BASE}\nRUN --mount=target=/m,src=/a.txt cp /m /x"),
    Case("COPY --chmod=700 a.txt /x/"),
]

#: What newer builders do: those that do not are seen by their answer.
NEWER = [
    Case("COPY --link a.txt dir /x/"),
    Case("COPY --chmod=u+x --link dir/*.txt /x/"),
    Case("COPY <<A <<'B' c.md /x/\n$HOME\nA\nCOPY b.txt /\nB"),
    Case("ADD <<EOF a.txt /x/\nCOPY b.txt /\nEOF"),
    Case(f"FROM {BASE}\nRUN --mount=source=dir,target=/m <<EOF\ncp -r /m/sub /x\nEOF"),
    Case("COPY --exclude=*.md dir /x/"),
    Case("COPY --parents dir/sub/deep.txt a.txt /x/"),
    Case("COPY --parents **/*.txt /x/"),
    Case("COPY --parents dir/**/x.txt /x/"),
    Case("COPY --parents dir/./sub/*.txt /x/"),
    Case("COPY --parents dir/./nowhere*/a /x/"),
    Case("COPY --parents dir/** /x/"),
    Case("COPY --parents ./dir/*/ /x/"),
    Case("COPY --parents to-dir/./*.txt to-dir /x/"),
    Case("COPY --parents --exclude=**/deep.txt d?r/[^o]* /x/"),
    Case("ARG NAME=a.txt\nCOPY ${NAME%.txt}.txt /x/"),
]


@pytest.fixture(scope="module")
def client() -> Iterator[docker.DockerClient]:
    with contextlib.closing(docker.from_env()) as found:
        yield found


class Builder:
    """Builds, and looks at what came of it."""

    def __init__(self, client: docker.DockerClient, version: str) -> None:
        self._api = client.api
        self._version = version
        self._name = f"{uuid.uuid4().hex}.Dockerfile"

    def files(self, case: Case, tree: Tree) -> dict[str, object] | str:
        """Give the files of the image that a case makes of a tree, or why it makes none."""
        # The same files would else be the same image, which is removed while another test looks at it.
        text = case.dockerfile
        if self._version == "1":
            text = without_unneeded_stages(text, case.target, case.args)
        image = self._build(case, {**tree, self._name: f"{text}\nLABEL run={uuid.uuid4()}\n"})
        if not image.startswith("sha256:"):
            return image
        try:
            return self._layers(image)
        finally:
            self._api.remove_image(image, force=True)

    def _build(self, case: Case, tree: Tree) -> str:
        params = {"version": self._version, "dockerfile": self._name, "buildargs": json.dumps(dict(case.args))}
        response = self._api.post(
            f"{self._api.base_url}/v{self._api.api_version}/build",
            params={**params, "rm": "1", "forcerm": "1", "nocache": "1", "target": case.target or ""},
            data=packed(tree),
            headers={"Content-Type": "application/x-tar"},
        )
        image = ""
        for line in response.text.splitlines():
            said: dict[str, Any] = json.loads(line) if line.startswith("{") else {"error": line}
            if error := said.get("error") or said.get("message"):
                return str(error)
            if isinstance(said.get("aux"), dict):
                image = said["aux"].get("ID", image)
        return image

    def _layers(self, image: str) -> dict[str, object]:
        """Give what `docker save` has, one layer over the other; no case removes a file."""
        found: dict[str, object] = {}
        saved = io.BytesIO(b"".join(self._api.get_image(image)))
        with tarfile.open(fileobj=saved) as tar:
            manifest = json.loads(_content(tar, tar.getmember("manifest.json")))
            for layer in manifest[0]["Layers"]:
                with tarfile.open(fileobj=io.BytesIO(_content(tar, tar.getmember(layer)))) as files:
                    found |= {
                        info.name: (info.type, info.mode, info.uid, info.gid, info.linkname, _digest(files, info))
                        for info in files
                        if info.name.rpartition("/")[2] != self._name
                    }
        return found


def _content(tar: tarfile.TarFile, info: tarfile.TarInfo) -> bytes:
    file = tar.extractfile(info)
    assert file is not None
    return file.read()


def _digest(tar: tarfile.TarFile, info: tarfile.TarInfo) -> str | None:
    return hashlib.sha256(_content(tar, info)).hexdigest() if info.isreg() else None


def used(case: Case, client: docker.DockerClient, tree: Tree) -> Uses:
    """Give what a case uses of a tree, with what its links lead to."""
    bases = {}
    for name in parse(case.dockerfile, case.args).base_images(case.target):
        config = client.images.get(name).attrs["Config"]
        names = frozenset(each.partition("=")[0] for each in config["Env"] or ())
        bases[name] = BaseFacts(names, onbuild=bool(config.get("OnBuild")))
    links = {
        name: content.removeprefix(LINK)
        for name, content in tree.items()
        if isinstance(content, str) and content.startswith(LINK)
    }
    return context_uses(case.dockerfile, case.target, case.args, bases).through(links)


def pruned(tree: Tree, uses: Uses) -> Tree:
    """Leave out of a tree what is not used; what is used stays with the directories that it lies in."""
    kept = [name for name in tree if uses.takes(name)]
    above = {name[:at] for name in kept for at in range(len(name)) if name[at] == "/"}
    return {name: content for name, content in tree.items() if name in above or name in kept}


#: Links that lead nowhere; a source that is one fails.
DEAD = ("to-self", "to-nothing")


def tree_for(case: Case) -> Tree:
    """Give the tree that a case is built from; dead links are in it where a case is to fail."""
    return {
        name: content
        for name, content in TREE.items()
        if (case.fails or name not in DEAD) and (case.links or not str(content).startswith(LINK))
    }


def same(case: Case, builder: Builder, tree: Tree, less: Tree) -> dict[str, object] | str:
    """Build from both trees, see that they give the same, and give what that is."""
    with ThreadPoolExecutor(2) as pool:
        whole, part = pool.map(lambda each: builder.files(case, each), (tree, less))
    # Why it fails may be said in other words.
    assert (isinstance(whole, str) and isinstance(part, str)) or whole == part
    return whole


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.text[:60])
def test_what_is_not_used_makes_no_difference(case: Case, client: docker.DockerClient) -> None:
    tree = tree_for(case)
    less = pruned(tree, used(case, client, tree))
    assert len(less) < len(tree)
    found = same(case, Builder(client, "2"), tree, less)
    assert case.fails in (isinstance(found, str), None), found


@pytest.mark.parametrize("case", NEWER, ids=lambda case: case.text[:60])
def test_nor_does_it_where_newer_builders_are(case: Case, client: docker.DockerClient) -> None:
    tree = tree_for(case)
    less = pruned(tree, used(case, client, tree))
    found = same(case, Builder(client, "2"), tree, less)
    if isinstance(found, str):
        assert OLDER.search(found), found
        pytest.skip(f"the engine's BuildKit is older: {found}")


#: How an older BuildKit refuses what it does not know.
OLDER = re.compile(
    r"unknown flag|unknown instruction|unsupported modifier|missing ':' in substitution", re.IGNORECASE
)


@pytest.mark.parametrize("case", [case for case in CASES if case.classic], ids=lambda case: case.text[:60])
def test_nor_does_it_with_the_classic_builder(case: Case, client: docker.DockerClient) -> None:
    tree = tree_for(case)
    less = pruned(tree, used(case, client, tree))
    assert isinstance(same(case, Builder(client, "1"), tree, less), dict)


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        ("COPY dir /x", "dir/sub/deeper/x.txt"),
        ("COPY d*/*.txt /x/", "dir/one.txt"),
        ("COPY to-dir/*.txt /x/", "dir/one.txt"),
        ("COPY to-root-dir /x/", "to-root-dir"),
        (f"FROM {BASE}\nRUN --mount=type=bind,source=dir,target=/m cp -r /m/sub /x", "dir/sub/deep.txt"),
        ("FROM scratch AS a\nCOPY a.txt /\nFROM scratch\nCOPY --from=a / /x/", "a.txt"),
    ],
)
def test_what_is_used_makes_one(text: str, missing: str, client: docker.DockerClient) -> None:
    case, builder = Case(text), Builder(client, "2")
    tree = tree_for(case)
    uses = used(case, client, tree)
    assert uses.takes(missing)
    whole = builder.files(case, tree)
    assert isinstance(whole, dict)
    assert builder.files(case, {name: content for name, content in tree.items() if name != missing}) != whole
