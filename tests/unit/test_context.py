"""Build contexts: what goes to the engine, and what its fingerprint is made of."""

from __future__ import annotations

import os
import socket
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pytest_dockerkit import ImageSpec
from pytest_dockerkit._engine.context import BuildContext, archive, fingerprint, read_context
from pytest_dockerkit._engine.hashes import FileHashes
from pytest_dockerkit._spec.settled import BaseFacts
from tests.unit.refusals import refusal

DOCKERFILE = "FROM busybox AS a\nCOPY . /x\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A context with a file of each kind."""
    context = tmp_path.resolve() / "the context"
    for name in ("a.txt", "ü x/größe 1", "sub/deep/b.txt", "sub/c.log", "d.log", ".hidden"):
        path = context / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name, encoding="utf-8")
    (context / "empty").mkdir()
    (context / "link").symlink_to("a.txt")
    (context / "dangling").symlink_to("/no/such")
    (context / "dirlink").symlink_to("sub")
    (context / "Dockerfile").write_text(DOCKERFILE, encoding="utf-8")
    for each in (context, *context.rglob("*")):
        if not each.is_symlink():
            each.chmod(0o755 if each.is_dir() else 0o644)
    return context


ALL = (
    ".hidden", "Dockerfile", "a.txt", "d.log", "dangling", "dirlink", "empty", "link", "sub", "sub/c.log", "sub/deep",
    "sub/deep/b.txt", "ü x", "ü x/größe 1",
)  # fmt: skip


def spec(root: Path | None, **fields: Any) -> ImageSpec:
    return ImageSpec(build=root, **fields).anchored(Path("/"))


def members(root: Path, *ignored: str, **fields: Any) -> tuple[str, ...]:
    (root / ".dockerignore").write_text("\n".join(ignored), encoding="utf-8")
    return tuple(each for each in read_context(spec(root, **fields)).paths if each != ".dockerignore")


def packed(context: BuildContext, **options: Any) -> dict[str, tarfile.TarInfo]:
    with archive(context, **({"hide_added": False} | options)) as file, tarfile.open(fileobj=file) as tar:
        first, *found = tar.getmembers()
    assert (first.name, first.type, first.mode) == (".", tarfile.DIRTYPE, 0o755)
    by_name = {each.name: each for each in found}
    assert len(by_name) == len(found)
    return by_name


def content(context: BuildContext, name: str, **options: Any) -> bytes:
    with archive(context, **({"hide_added": False} | options)) as file, tarfile.open(fileobj=file) as tar:
        member = tar.extractfile(name)
        assert member is not None
        return member.read()


def test_without_an_ignore_file_everything_belongs_to_it(root: Path) -> None:
    context = read_context(spec(root))
    assert context.paths == ALL
    assert context == BuildContext(root, context.members, DOCKERFILE, "Dockerfile", added=False, written=DOCKERFILE)


@pytest.mark.parametrize(
    ("ignored", "gone"),
    [
        ((), set()),
        (("# a.txt", "", "   "), set()),
        (("a.txt",), {"a.txt"}),
        (("  a.txt  ",), {"a.txt"}),
        (("/a.txt",), {"a.txt"}),
        (("./a.txt",), {"a.txt"}),
        (("x/../a.txt",), {"a.txt"}),
        (("*.log",), {"d.log"}),
        (("**/*.log",), {"d.log", "sub/c.log"}),
        (("sub",), {"sub", "sub/c.log", "sub/deep", "sub/deep/b.txt"}),
        (("sub/",), {"sub", "sub/c.log", "sub/deep", "sub/deep/b.txt"}),
        (("sub/*",), {"sub/c.log", "sub/deep", "sub/deep/b.txt"}),
        (("?.txt",), {"a.txt"}),
        (("[ab].txt",), {"a.txt"}),
        (("ü x",), {"ü x", "ü x/größe 1"}),
        (("no-such", "b.txt"), set()),
        (("**/*.log", "!sub/c.log"), {"d.log"}),
        (("!d.log", "*.log"), {"d.log"}),
        (("sub", "!sub/deep/b.txt"), {"sub/c.log"}),
        (("empty", "dirlink", "link"), {"empty", "dirlink", "link"}),
    ],
)
def test_the_ignore_file_leaves_out_what_docker_leaves_out(
    ignored: tuple[str, ...], gone: set[str], root: Path
) -> None:
    left = set(ALL) - set(members(root, *ignored))
    # A directory that is itself ignored, but holds something that is not, may be sent or be made on the way.
    assert left - {"sub", "sub/deep"} == gone - {"sub", "sub/deep"}


def test_a_negation_keeps_what_is_below_an_ignored_directory(root: Path) -> None:
    kept = members(root, "*", "!Dockerfile", "!sub/deep")
    assert {"Dockerfile", "sub/deep/b.txt"} <= set(kept) <= {"Dockerfile", "sub", "sub/deep", "sub/deep/b.txt"}


def test_a_dockerfile_s_own_ignore_file_goes_first(root: Path) -> None:
    (root / "Dockerfile.dockerignore").write_text("a.txt\n", encoding="utf-8")
    assert "a.txt" not in members(root, "d.log")
    assert "d.log" in members(root, "d.log")
    (root / "Other").write_text(DOCKERFILE, encoding="utf-8")
    assert "d.log" not in members(root, "d.log", dockerfile="Other")
    assert "d.log" not in members(root, "d.log", dockerfile_text=DOCKERFILE)


def test_an_ignore_file_may_begin_with_a_byte_order_mark_and_have_dos_lines(root: Path) -> None:
    (root / ".dockerignore").write_bytes("\ufeffa.txt\r\nd.log\r\n".encode())
    left = set(ALL) - set(read_context(spec(root)).paths)
    assert left == {"a.txt", "d.log"}


def test_an_ignore_file_that_is_no_text_is_refused(root: Path) -> None:
    (root / ".dockerignore").write_bytes(b"\xff")
    assert refusal(lambda: read_context(spec(root))) == (
        "the ignore file of the context cannot be read\n"
        f"  saw:  {root}/.dockerignore: 'utf-8' codec can't decode byte 0xff in position 0: invalid start byte\n"
        "  mend: a readable UTF-8 file"
    )


def test_what_cannot_be_sent_is_left_out(root: Path) -> None:
    os.mkfifo(root / "pipe")
    with socket.socket(socket.AF_UNIX) as listening:
        directory = os.open(root, os.O_RDONLY)
        try:
            # By a short name: the path of a socket has a limit.
            listening.bind(f"/proc/self/fd/{directory}/socket")
        finally:
            os.close(directory)
    assert read_context(spec(root)).paths == ALL


def test_the_archive_holds_the_files_and_nobody_s_name_or_time(root: Path) -> None:
    (root / "a.txt").chmod(0o750)
    found = packed(read_context(spec(root)))
    assert set(found) == set(ALL)
    assert {(each.uid, each.gid, each.uname, each.gname, each.mtime) for each in found.values()} == {
        (0, 0, "", "", 0)
    }
    assert found["a.txt"].mode == 0o750
    assert found["empty"].isdir()
    links = {name: each.linkname for name, each in found.items() if each.issym()}
    assert links == {"link": "a.txt", "dangling": "/no/such", "dirlink": "sub"}
    assert content(read_context(spec(root)), "ü x/größe 1") == "ü x/größe 1".encode()
    assert content(read_context(spec(root)), "Dockerfile") == DOCKERFILE.encode()


def test_the_archive_is_one_within_its_first_bytes(tmp_path: Path) -> None:
    """BuildKit looks at 1024 of them; a name that is long, or not ASCII, takes more."""
    (tmp_path / ("ü" * 100)).touch()
    with archive(read_context(spec(tmp_path, dockerfile_text=DOCKERFILE)), hide_added=False) as file:
        first = file.read(1024)
    assert tarfile.TarInfo.frombuf(first[:512], "utf-8", "strict").isdir()


def test_a_second_name_of_a_file_is_a_file(root: Path) -> None:
    (root / "other name").hardlink_to(root / "a.txt")
    context = read_context(spec(root))
    assert packed(context)["other name"].isreg()
    assert content(context, "other name") == content(context, "a.txt") == b"a.txt"


def test_a_name_that_is_no_text_is_kept(root: Path) -> None:
    name = os.fsdecode(b"not-utf-8-\xff")
    (root / name).write_bytes(b"x")
    context = read_context(spec(root))
    assert name in context.paths
    assert name in packed(context)
    assert len(take(root)) == 64


def test_another_dockerfile_can_be_sent_in_its_place(root: Path) -> None:
    context = read_context(spec(root))
    assert content(context, "Dockerfile", dockerfile="FROM x\n") == b"FROM x\n"
    assert set(packed(context, dockerfile="FROM x\n")) == set(ALL)


@pytest.mark.parametrize("kind", ["outside", "ignored", "text"])
def test_a_dockerfile_that_is_not_in_the_context_is_added(kind: str, root: Path) -> None:
    fields: dict[str, Any] = {}
    if kind == "outside":
        (root.parent / "Dockerfile.multi").write_text(DOCKERFILE, encoding="utf-8")
        fields["dockerfile"] = "../Dockerfile.multi"
    elif kind == "ignored":
        (root / ".dockerignore").write_text("Dockerfile\n", encoding="utf-8")
    else:
        fields["dockerfile_text"] = DOCKERFILE
    context = read_context(spec(root, **fields))
    assert (context.added, context.dockerfile) == (True, DOCKERFILE)
    assert context.dockerfile_name not in context.paths
    assert context.dockerfile_name.startswith(".dockerkit.")
    assert set(packed(context)) == {*context.paths, context.dockerfile_name}
    assert content(context, context.dockerfile_name) == DOCKERFILE.encode()
    hidden = packed(context, hide_added=True)
    assert set(hidden) == {*context.paths, context.dockerfile_name, ".dockerignore"}
    names = content(context, ".dockerignore", hide_added=True).decode().splitlines()
    assert context.dockerfile_name in names


def test_a_text_without_a_context_is_the_whole_archive() -> None:
    context = read_context(spec(None, dockerfile_text="FROM busybox\n"))
    assert (context.root, context.members, context.added) == (None, (), True)
    assert set(packed(context)) == {context.dockerfile_name}


def test_a_dockerfile_in_a_directory_or_behind_a_link_is_found(root: Path) -> None:
    (root / "sub/Dockerfile").write_text(DOCKERFILE, encoding="utf-8")
    assert read_context(spec(root, dockerfile="sub/Dockerfile")).dockerfile_name == "sub/Dockerfile"
    (root / "Dockerfile.link").symlink_to("sub/Dockerfile")
    assert read_context(spec(root, dockerfile="Dockerfile.link")).dockerfile_name == "sub/Dockerfile"


#: What is known of the image that they stand on.
FACTS = {"busybox": BaseFacts(frozenset({"PATH"}), onbuild=False)}


def take(root: Path, bases: dict[str, str] | None = None, **fields: Any) -> str:
    made = spec(root, **fields)
    hashes = FileHashes(root, None)
    platform = made.platform or "linux/amd64"
    return fingerprint(made, read_context(made, FACTS), bases or {}, FACTS, hashes=hashes, platform=platform)


def rewrite(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def swap(one: Path, two: Path) -> None:
    first, second = one.read_bytes(), two.read_bytes()
    one.write_bytes(second)
    two.write_bytes(first)


def relink(path: Path, target: str) -> None:
    path.unlink()
    path.symlink_to(target)


CHANGES: dict[str, Callable[[Path], object]] = {
    "content": lambda root: rewrite(root / "a.txt", "b.txt"),
    "content deep below": lambda root: rewrite(root / "sub/deep/b.txt", "x"),
    "mode": lambda root: (root / "a.txt").chmod(0o755),
    "mode of a directory": lambda root: (root / "sub").chmod(0o700),
    "setuid": lambda root: (root / "a.txt").chmod(0o4644),
    "target of a link": lambda root: relink(root / "link", "d.log"),
    "a file in place of a link": lambda root: (root / "d.log").replace(root / "link"),
    "a new file": lambda root: (root / "new").touch(),
    "a new empty directory": lambda root: (root / "sub/new").mkdir(),
    "an empty directory gone": lambda root: (root / "empty").rmdir(),
    "a file gone": lambda root: (root / "a.txt").unlink(),
    "another name": lambda root: (root / "a.txt").rename(root / "b.txt"),
    "another case": lambda root: (root / "a.txt").rename(root / "A.txt"),
    "a swap of two contents": lambda root: swap(root / "a.txt", root / "d.log"),
    "the Dockerfile": lambda root: rewrite(root / "Dockerfile", DOCKERFILE + "# more\n"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_of_the_context_changes_the_fingerprint(change: str, root: Path) -> None:
    before = take(root)
    CHANGES[change](root)
    assert take(root) != before


KEEPS: dict[str, Callable[[Path], object]] = {
    "nothing": lambda root: root.exists(),
    "a time": lambda root: os.utime(root / "a.txt", (1, 1)),
    "a directory's time": lambda root: os.utime(root / "sub", (1, 1)),
    "the same content again": lambda root: rewrite(root / "a.txt", "a.txt"),
    "a file that is ignored": lambda root: rewrite(root / "ignored", "changed"),
    "another place": lambda root: root.rename(root.with_name("moved")),
}


@pytest.mark.parametrize("change", KEEPS)
def test_what_does_not_go_into_the_image_keeps_the_fingerprint(change: str, root: Path) -> None:
    rewrite(root / ".dockerignore", "ignored\n")
    rewrite(root / "ignored", "x")
    before = take(root)
    KEEPS[change](root)
    assert take(root if root.exists() else root.with_name("moved")) == before


def test_what_else_goes_into_the_image_is_in_the_fingerprint(root: Path) -> None:
    rewrite(root / "Dockerfile", "ARG A\n" + DOCKERFILE + "FROM a\nARG B\nRUN touch /x/y\n")
    different = [
        take(root),
        take(root, target="a"),
        take(root, build_args={"A": "1"}),
        take(root, build_args={"A": "2"}),
        take(root, build_args={"B": "2"}),
        take(root, labels={"A": "1"}),
        take(root, platform="linux/arm64"),
        take(root, {"busybox": "sha256:1"}),
        take(root, {"busybox": "sha256:2"}),
    ]
    assert len(set(different)) == len(different)
    assert take(root, build_args={"A": "1", "B": "2"}) == take(root, build_args={"B": "2", "A": "1"})


def test_what_does_not_change_the_image_is_not_in_the_fingerprint(root: Path) -> None:
    same = [
        take(root, tags=["app:1"], pull="never", cache_from=["app:0"], cache_to=["type=inline"]),
        take(root, build_args={"NOBODY_DECLARES_IT": "1"}),
        take(root, target="a"),
        take(root, build_secrets={"npm": "NPM_TOKEN"}, ssh="default"),
    ]
    assert set(same) == {take(root)}


# Of the context only what the target uses

STAGES = """
FROM busybox AS tools
COPY sub/c.log /
FROM busybox AS web
COPY ["a.txt", "ü x/", "/web/"]
FROM busybox AS last
COPY --from=tools /c.log /
RUN --mount=type=bind,source=sub/deep,target=/mnt touch /x
"""


@pytest.fixture
def staged(root: Path) -> Path:
    """A context whose Dockerfile has several stages."""
    rewrite(root / "Dockerfile", STAGES)
    return root


@pytest.mark.parametrize(
    ("target", "paths"),
    [
        ("tools", ("sub", "sub/c.log")),
        ("web", ("a.txt", "ü x", "ü x/größe 1")),
        ("last", ("sub", "sub/c.log", "sub/deep", "sub/deep/b.txt")),
        (None, ("sub", "sub/c.log", "sub/deep", "sub/deep/b.txt")),
    ],
)
def test_only_what_the_target_uses_is_sent(target: str | None, paths: tuple[str, ...], staged: Path) -> None:
    context = read_context(spec(staged, target=target), FACTS)
    assert context.paths == paths
    assert set(packed(context)) == {*paths, "Dockerfile"}
    # It is there for the builder, and no instruction can find it.
    assert (context.added, context.shown, context.dockerfile_name) == (True, False, "Dockerfile")


@pytest.mark.parametrize(
    ("target", "path", "changes"),
    [
        ("web", "a.txt", True),
        ("web", "sub/c.log", False),
        ("web", "d.log", False),
        ("last", "sub/c.log", True),
        ("last", "a.txt", False),
        ("last", "sub/deep/b.txt", True),
        ("tools", "sub/deep/b.txt", False),
    ],
)
def test_only_what_the_target_uses_counts(target: str, path: str, changes: bool, staged: Path) -> None:
    before = take(staged, target=target)
    rewrite(staged / path, "changed")
    assert (take(staged, target=target) != before) == changes


def test_a_comment_and_another_stage_change_nothing(staged: Path) -> None:
    before = take(staged, target="web")
    rewrite(staged / "Dockerfile", "# a word\n" + STAGES.replace("touch /x", "touch /y # or so"))
    assert take(staged, target="web") == before
    assert take(staged, target="last") != before


def test_a_base_image_that_may_do_anything_makes_everything_count(staged: Path) -> None:
    onbuild = {"busybox": BaseFacts(frozenset(), onbuild=True)}
    assert read_context(spec(staged, target="web"), onbuild).paths == ALL


def test_a_source_that_is_a_link_takes_what_it_leads_to(staged: Path) -> None:
    rewrite(staged / "Dockerfile", "FROM busybox\nCOPY link dirlink/c.log /x/\n")
    found = set(read_context(spec(staged), FACTS).paths)
    assert {"a.txt", "dirlink", "link", "sub", "sub/c.log"} <= found <= set(ALL) - {"d.log", ".hidden", "empty"}
    before = take(staged)
    rewrite(staged / "a.txt", "changed")
    assert take(staged) != before


def test_another_image_is_put_into_the_dockerfile_that_is_sent(root: Path) -> None:
    """The file itself stays what the build copies."""
    context = read_context(spec(root), FACTS, {"busybox": "busybox@sha256:1"})
    assert context.dockerfile == "FROM busybox@sha256:1 AS a\nCOPY . /x\n"
    assert (context.added, context.shown) == (True, True)
    assert content(context, "Dockerfile") == DOCKERFILE.encode()
    assert content(context, context.dockerfile_name).startswith(b"FROM busybox@sha256:1 AS a")
