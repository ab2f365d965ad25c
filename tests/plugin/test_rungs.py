"""The same cases on every way to build that this machine has, and the table of what each can do.

Each feature is a row of the table in docs/reference/builders.md. What a cell says is tried: what is served is built
and looked at; what is not is refused, and says why.
"""

from __future__ import annotations

import platform
import re
import subprocess
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pytest_dockerkit import BuildError, CapabilityError, Secret
from pytest_dockerkit._engine.builders.tools import find_tool
from tests.plugin.registry import AUTH, PROGRAM, WHY_SKIPPED, Registry
from tests.plugin.rungs import ASK_AGENT, BASE, PYTHON, RUNGS, Bench, Entry, write_docker_config

PAGE = Path(__file__).parents[2] / "docs/reference/builders.md"

OTHER = "linux/s390x"

#: Gives another line each time that it is run.
RANDOM = "cat /proc/sys/kernel/random/uuid > /id"


@pytest.fixture(params=RUNGS)
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    made = Bench(request.param, tmp_path)
    if made.absent is not None:
        made.end()
        pytest.skip(f"{request.param}: {made.absent}")
    yield made
    made.end()


@contextmanager
def a_registry(bench: Bench) -> Iterator[Registry]:
    """Give a registry that the engine reaches."""
    registry = Registry(bench.root / uuid.uuid4().hex)
    try:
        yield registry
    finally:
        registry.end()


def push(bench: Bench, reference: str) -> None:
    """Push an image; the engine tells of a failure in its stream alone."""
    told = list(bench.client.api.push(reference, stream=True, decode=True))
    assert not [each for each in told if "error" in each], told


@dataclass(frozen=True)
class Feature:
    """A row of the table.

    Attributes:
        title: its first cell.
        cells: what is said of each rung.
        check: asks for it with the function that it is given, and looks at what that returns.
        lacks: what a rung that cannot says of it.
        needs_registry: whether it is shown with a registry.
    """

    title: str
    cells: tuple[str, ...]
    check: Callable[[Bench], object]
    lacks: str
    needs_registry: bool


FEATURES: dict[str, Feature] = {}

Check = Callable[[Bench], object]


def feature(title: str, cells: str, lacks: str = "", *, registry: bool = False) -> Callable[[Check], Check]:
    """Make a row out of a check."""

    def add(check: Check) -> Check:
        parts = tuple(each.strip() for each in cells.split("|"))
        FEATURES[check.__name__] = Feature(title, parts, check, lacks, registry)
        return check

    return add


def serves(bench: Bench, cell: str) -> bool:
    """Tell whether a rung is to serve a feature here, for what its cell says."""
    tool = find_tool().tool
    buildx = tool is not None and tool.buildx
    return {
        "yes": True,
        "no": False,
        "Docker 23": bench.daemon.facts.api >= (1, 42),
        "with the plugin ¹": buildx and bench.has_containerd_images,
        "yes ²": not bench.has_containerd_images,
    }[cell]


@feature("a target, and no stage that it does not need", "yes | yes | yes")
def target(bench: Bench) -> None:
    image = bench.build(
        f"FROM {BASE} AS base\nMARK\nFROM base AS broken\nRUN exit 3\n"
        "FROM base AS made\nCOPY unique /made\n"
        "FROM base AS api\nCOPY --from=made /made /api\nFROM broken AS last\n",
        target="api",
    )
    assert bench.text(image, "/api") == bench.unique
    assert "made" not in bench.files(image)


@feature("`build_args=`", "yes | yes | yes")
def build_args(bench: Bench) -> None:
    image = bench.build(
        "ARG TAG=none\nFROM busybox:$TAG\nMARK\nARG WHO=nobody\nARG EMPTY=full\nCOPY unique /\n"
        'RUN printf %s "$WHO|$EMPTY" > /who\n',
        build_args={"TAG": BASE.partition(":")[2], "WHO": "you & 'me' = \"ü\"\n--x", "EMPTY": ""},
    )
    assert bench.text(image, "/who") == "you & 'me' = \"ü\"\n--x|"


@feature("`labels=`, `tags=`", "yes | yes | yes")
def labels_and_tags(bench: Bench) -> None:
    tag = f"dockerkit-test-{uuid.uuid4().hex}:also"
    labels = {"a": "b", 'my.own-key/"quoted"': "two\nlines $x = 'y'", "empty": ""}
    image = bench.build(f"FROM {BASE}\nMARK\nLABEL own=1\nCOPY unique /\n", labels=labels, tags=[tag])
    told = bench.client.api.inspect_image(image)
    assert told["Id"] == bench.client.api.inspect_image(tag)["Id"]
    assert {**labels, "own": "1"}.items() <= told["Config"]["Labels"].items()


@feature("`.dockerignore`, `<Dockerfile>.dockerignore`", "yes | yes | yes")
def ignore_files(bench: Bench) -> None:
    text = f"FROM {BASE}\nMARK\nCOPY . /app\n"
    bench.write({"keep/a": "a", "keep/b": "b", "logs/x": "1", ".dockerignore": "logs\nkeep/*\n!keep/a\n"})
    kept = {"app/.dockerignore", "app/Dockerfile", "app/keep", "app/keep/a", "app/unique"}
    assert set(bench.files(bench.build(text), "app/")) == kept
    bench.write({"Dockerfile.dockerignore": "*\n!unique\n!Dockerfile\n"})
    assert set(bench.files(bench.build(text), "app/")) == {"app/unique", "app/Dockerfile"}


@feature(
    "a Dockerfile that is ignored, elsewhere or a text, with `COPY . .`: it is not in the image",
    "yes | no | yes",
    "a Dockerfile from outside of the context, while an instruction takes all of the context",
)
def added_dockerfile(bench: Bench) -> None:
    text = bench.marked(f"FROM {BASE}\nMARK\nCOPY . /app\n")
    (bench.root / "elsewhere.Dockerfile").write_text(text, encoding="utf-8")
    bench.write({"sub/x": "x", "Dockerfile": text, ".dockerignore": "# a comment\nDockerfile\n"})
    kept = {"app/sub", "app/sub/x", "app/unique", "app/.dockerignore"}
    assert set(bench.files(bench.build(dockerfile="../elsewhere.Dockerfile"), "app/")) == kept
    assert set(bench.files(bench.build(dockerfile_text=text), "app/")) == kept
    assert set(bench.files(bench.build(), "app/")) == kept
    bench.write({".dockerignore": "Dockerfile\n.dockerignore\n"})
    assert set(bench.files(bench.build(), "app/")) == kept - {"app/.dockerignore"}


@feature("modes, links, empty directories, names with spaces and of other scripts", "yes | yes | yes")
def files(bench: Bench) -> None:
    bench.write({"bin/run me": "#!/bin/sh", "größe/日本語.txt": "ü", "-dash": "-", "*star": "*", "a'b\"c": ""})
    (bench.context / "bin/run me").chmod(0o751)
    (bench.context / "unique").chmod(0o600)
    (bench.context / "empty").mkdir(mode=0o700)
    (bench.context / "link").symlink_to("bin/run me")
    (bench.context / "dangling").symlink_to("/no/where")
    (bench.context / "bin/up").symlink_to("..")
    (bench.context / "hard").hardlink_to(bench.context / "unique")
    (bench.context / "read only").mkdir()
    (bench.context / "read only/x").write_text("x", encoding="utf-8")
    (bench.context / "read only").chmod(0o555)
    try:
        found = bench.files(bench.build(f"FROM {BASE}\nMARK\nCOPY . /app\n"), "app/")
    finally:
        (bench.context / "read only").chmod(0o755)
    assert {path.removeprefix("app/"): (each.kind, each.mode, each.leads_to) for path, each in found.items()} == {
        "Dockerfile": ("file", "644", ""),
        "unique": ("file", "600", ""),
        "hard": ("file", "600", ""),
        "empty": ("directory", "700", ""),
        "bin": ("directory", "755", ""),
        "bin/run me": ("file", "751", ""),
        "bin/up": ("symlink", "777", ".."),
        "link": ("symlink", "777", "bin/run me"),
        "dangling": ("symlink", "777", "/no/where"),
        "größe": ("directory", "755", ""),
        "größe/日本語.txt": ("file", "644", ""),
        "-dash": ("file", "644", ""),
        "*star": ("file", "644", ""),
        "a'b\"c": ("file", "644", ""),
        "read only": ("directory", "555", ""),
        "read only/x": ("file", "644", ""),
    }
    assert {each.owner for each in found.values()} == {(0, 0)}


@feature("`platform=`", "yes | yes | yes", registry=True)
def platforms(bench: Bench) -> None:
    """That of the engine, and another, whose base was pulled before, as the plugin does."""
    own = f"{bench.daemon.facts.os}/{bench.daemon.facts.arch}"
    image = bench.build(f"FROM {BASE}\nMARK\nCOPY unique /\nRUN true\n", platform=own)
    assert bench.client.api.inspect_image(image)["Architecture"] == bench.daemon.facts.arch
    with a_registry(bench) as registry:
        base = f"{registry.address}/arm:1"
        registry.put("arm:1", bench.unique, platforms=(OTHER,))
        bench.made.append(base)
        bench.daemon.images.pull(base, OTHER)
        image = bench.build(f"FROM {base}\nMARK\nCOPY unique /\n", platform=OTHER)
    assert bench.client.api.inspect_image(image)["Architecture"] == "s390x"


@feature(
    "`platform=` of another kind of machine, `FROM scratch`", "yes | yes | no", "platform= of another kind of machine"
)
def platform_of_scratch(bench: Bench) -> None:
    image = bench.build("FROM scratch\nMARK\nCOPY unique /\n", platform=OTHER)
    assert bench.client.api.inspect_image(image)["Architecture"] == "s390x"


@feature("`--dockerkit-rebuild`", "yes | yes | yes")
def rebuild(bench: Bench) -> None:
    text = f"FROM {BASE}\nMARK\nRUN {RANDOM} # {bench.unique}\n"
    with bench.undisturbed():
        first = bench.text(bench.build(text), "/id")
        assert bench.text(bench.build(text), "/id") == first
        assert bench.text(bench.build(text, nocache=True), "/id") != first


@feature("what failed: its line, its stage, its last lines", "yes | yes | yes")
def failures(bench: Bench) -> None:
    text = f"FROM {BASE} AS base\nMARK\nFROM base AS api\nCOPY unique /\n\n# why\nRUN echo said && \\\n  exit 3\n"
    with pytest.raises(BuildError) as caught:
        bench.build(text, target="api")
    assert caught.value.what == (
        "building my app (target api) failed at Dockerfile:7 in stage api: RUN echo said && exit 3"
    )
    assert caught.value.saw.startswith("said\n")
    assert caught.value.mend == f"correct the Dockerfile; by hand: docker build '{bench.context}'"


@feature("progress: the step, and its number of how many", "yes | yes | yes")
def progress(bench: Bench) -> None:
    bench.build(f"FROM {BASE} AS base\nMARK\nFROM base AS api\nCOPY unique /\nRUN true # {bench.unique}\n")
    told = next(each for each in bench.told if "RUN" in each.step)
    assert re.fullmatch(rf"\[api \d/\d\] RUN true # {bench.unique}", told.step)
    assert told.number == told.total


@feature("`cache_from=` an image", "yes | yes | yes ²", registry=True)
def cache_from(bench: Bench) -> None:
    """One that another machine has pushed; without it the instruction is run once more."""
    _cache_from_image(bench)


def _cache_from_image(bench: Bench, *, used: bool = True) -> None:
    with a_registry(bench) as registry:
        reference = f"{registry.address}/app:cache"
        text = f"FROM {BASE}\nMARK\nRUN {RANDOM} # {bench.unique}\n"
        inline = [] if bench.rung == "classic" else ["type=inline"]
        first = bench.build(text, cache_to=inline, tags=[reference])
        written = bench.text(first, "/id")
        push(bench, reference)
        for name in (reference, first):
            bench.forget(name)
        second = bench.build(text)
        assert bench.text(second, "/id") != written
        bench.forget(second)
        # What is not there is no failure; BuildKit looks for it again and again, for seconds.
        for entries in ([f"{registry.address}/app:none", reference], [f"type=registry,ref={reference}"]):
            again = bench.build(text, cache_from=entries)
            assert (bench.text(again, "/id") == written) is used
            bench.forget(again)
            if bench.daemon.images.find(reference):
                bench.forget(reference)


@feature('`cache_to=["type=inline"]`', "yes | yes | no", "cache_to=", registry=True)
def cache_inline(bench: Bench) -> None:
    """That it is of use is shown by the row above, where it is what the cache is taken from."""
    bench.build(f"FROM {BASE}\nMARK\n", cache_to=["type=inline"])


@feature(
    "`cache_to=`, `cache_from=` of `type=registry`",
    "with the plugin ¹ | no | no",
    "cache_to=",
    registry=True,
)
def cache_registry(bench: Bench) -> None:
    with a_registry(bench) as registry:
        place = f"type=registry,ref={registry.address}/cache:1"
        _cache_round_trip(bench, f"{place},mode=max", place)


@feature("`cache_to=`, `cache_from=` of `type=local`", "with the plugin ¹ | no | no", "cache_")
def cache_local(bench: Bench) -> None:
    _cache_round_trip(bench, "type=local,dest=kept,mode=max", "type=local,src=kept")
    assert (bench.root / "kept/index.json").is_file()


def _cache_round_trip(bench: Bench, there: str, back: str) -> None:
    text = f"FROM {BASE}\nMARK\nRUN {RANDOM} # {bench.unique}\n"
    first = bench.build(text, cache_to=[there])
    written = bench.text(first, "/id")
    bench.forget(first)
    again = bench.build(text, cache_from=[back])
    assert bench.text(again, "/id") == written


@feature("`build_secrets=`, `RUN --mount=type=secret`", "yes | no | no", "build_secrets=")
def build_secrets(bench: Bench) -> None:
    value = f"a token\nof two lines {uuid.uuid4().hex}\n"
    image = bench.build(
        f"FROM {BASE}\nMARK\nCOPY unique /\n"
        "RUN --mount=type=secret,id=npm --mount=type=secret,id=a.b/c-d,target=/x,mode=0444 \\\n"
        "  wc -c < /run/secrets/npm > /npm; wc -c < /x > /bytes\n",
        secrets={"npm": Secret("npm", value), "a.b/c-d": Secret("raw", b"\xff\x00\n")},
    )
    assert (bench.text(image, "/npm"), bench.text(image, "/bytes")) == (f"{len(value)}\n", "3\n")
    assert not {"run/secrets/npm", "x"} & {path for path, each in bench.files(image).items() if each.content != EMPTY}


EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@feature("`ssh=`, `RUN --mount=type=ssh`", "yes | no | no", "ssh=")
def ssh(bench: Bench) -> None:
    key = bench.root / "the key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    image = bench.build(
        f'FROM {PYTHON}\nMARK\nCOPY unique /\nRUN --mount=type=ssh python -c "{ASK_AGENT}" > /keys\n', ssh="the key"
    )
    assert bench.text(image, "/keys") == "1\n"


@feature("`RUN --mount=type=cache`, `bind`, `tmpfs`", "yes | yes | no", "RUN --mount")
def mounts(bench: Bench) -> None:
    image = bench.build(
        f"FROM {BASE} AS other\nMARK\nRUN echo other > /file\nFROM {BASE}\nMARK\n"
        "RUN --mount=type=bind,source=unique,target=/mnt/unique \\\n"
        "    --mount=type=bind,from=other,source=/file,target=/o \\\n"
        f"    --mount=type=cache,target=/cache,id={bench.unique} --mount=type=tmpfs,target=/tmp \\\n"
        "    cat /mnt/unique /o > /seen; echo kept > /cache/x; touch /tmp/gone\n"
        f"RUN --mount=type=cache,target=/cache,id={bench.unique} cat /cache/x >> /seen\n"
    )
    assert bench.text(image, "/seen") == f"{bench.unique}other\nkept\n"
    assert not {"cache/x", "tmp/gone"} & set(bench.files(image))


@feature("`COPY --chmod`", "yes | yes | no", "COPY --chmod")
def copy_chmod(bench: Bench) -> None:
    image = bench.build(f"FROM {BASE}\nMARK\nCOPY --chmod=711 unique /mine\n")
    assert bench.files(image, "mine")["mine"].mode == "711"


@feature("`ARG TARGETARCH` and the like, set by the builder", "yes | yes | no", "ARG BUILDPLATFORM")
def platform_args(bench: Bench) -> None:
    image = bench.build(
        f"FROM --platform=$BUILDPLATFORM {BASE}\nMARK\nARG TARGETARCH\nCOPY unique /\nRUN echo $TARGETARCH > /arch\n"
    )
    machine = {"x86_64": "amd64", "aarch64": "arm64"}
    assert bench.text(image, "/arch").strip() == machine.get(platform.machine(), platform.machine())


@feature("heredocs", "Docker 23 | Docker 23 | no", "heredocs")
def heredocs(bench: Bench) -> None:
    image = bench.build(f"FROM {BASE}\nMARK\nCOPY unique /\nRUN <<END\necho one > /said\necho two >> /said\nEND\n")
    assert bench.text(image, "/said") == "one\ntwo\n"


# The cells


@pytest.mark.parametrize("name", FEATURES)
def test_a_cell_of_the_table_is_true(bench: Bench, name: str) -> None:
    row = FEATURES[name]
    cell = row.cells[RUNGS.index(bench.rung)]
    if row.needs_registry and PROGRAM is None:
        pytest.skip(WHY_SKIPPED)
    if serves(bench, cell):
        row.check(bench)
        return
    if cell == "yes ²":
        # It is built without.
        _cache_from_image(bench, used=False)
        return
    with pytest.raises(CapabilityError) as caught:
        row.check(bench)
    if cell.startswith("with the plugin") and "lacks" not in caught.value.what:
        # The command line can, and the engine's answer says that it cannot.
        assert caught.value.what == "my app: this engine cannot keep layers elsewhere"
        return
    assert caught.value.what.startswith(
        f"my app cannot be built as --dockerkit-builder={bench.rung} says: it lacks {row.lacks}"
    )
    assert f"{bench.rung}: lacks {row.lacks}" in caught.value.saw
    assert caught.value.mend.endswith(f"or drop --dockerkit-builder={bench.rung}")
    assert bench.told == []


def test_the_page_says_what_is_tried_here() -> None:
    rows = re.findall(r"^\| (.+?) \| (.+?) \| (.+?) \| (.+?) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    told = [(title, tuple(cells)) for title, *cells in rows if title not in ("", "---", "Feature")]
    assert told == [(each.title, each.cells) for each in FEATURES.values()]


# The same image, whichever way

RICH = f"""FROM {BASE} AS made
MARK
WORKDIR /work/deep
COPY sub ./sub
RUN mkdir out && echo made > out/file && chmod 640 out/file && ln -s file out/link
FROM {BASE} AS unneeded
RUN exit 1
FROM {BASE}
MARK
ENV GREETING="hello you" EMPTY=
WORKDIR /srv/app
COPY --from=made --chown=1000:1001 /work/deep/out ./out
COPY . .
ADD packed.tar /unpacked/
ADD sub/ /added/
RUN echo "$GREETING" > said && mkdir -p a/b && chmod 1777 a
USER nobody
VOLUME /data
EXPOSE 8080 53/udp
STOPSIGNAL SIGINT
HEALTHCHECK --interval=7s CMD test -e /srv/app/said
ENTRYPOINT ["sh", "-c"]
CMD ["echo $GREETING"]
ONBUILD RUN true
LABEL "a b"="c"
"""


@pytest.mark.parametrize("ignored", ["", "node_modules\n", "Dockerfile\n", "Dockerfile\n.dockerignore\n"])
def test_the_same_request_gives_the_same_content_on_each_rung(tmp_path: Path, ignored: str) -> None:
    """Files with their modes, owners, links and contents, and the configuration; also of an added Dockerfile."""
    mark = uuid.uuid4().hex
    seen: dict[str, tuple[dict[str, Entry], dict[str, Any]]] = {}
    for rung in RUNGS:
        bench = Bench(rung, tmp_path, mark)
        # As all others have it.
        bench.write({"unique": "x", "sub/deep/ü x": "1", ".hidden": "2", "Dockerfile": bench.marked(RICH)})
        (bench.context / "sub/deep/ü x").chmod(0o755)
        if not (bench.context / "sub/link").is_symlink():
            (bench.context / "sub/link").symlink_to("deep/ü x")
            (bench.context / "sub/empty").mkdir()
            subprocess.run(["tar", "-C", bench.context, "-cf", bench.context / "packed.tar", ".hidden"], check=True)
        bench.write({".dockerignore": ignored} if ignored else {})
        fields: dict[str, Any] = {"labels": {"given": "1"}, "build_args": {"unused": "1"}}
        try:
            if bench.absent is None and bench.daemon.builder.lacks(bench.request(**fields)) is None:
                image = bench.build(**fields)
                seen[rung] = bench.files(image), bench.config(image)
        finally:
            bench.end()
    assert len(seen) > 1
    (_, first), *others = seen.items()
    for _, other in others:
        assert other[1] == first[1]
        assert (
            {path: each for path, each in other[0].items() if first[0].get(path) != each}
            == {path: each for path, each in first[0].items() if other[0].get(path) != each}
            == {}
        )


# Logins


@pytest.mark.parametrize("rung", RUNGS)
def test_a_base_that_needs_a_login(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rung: str) -> None:
    """By the docker configuration; BuildKit cannot ask for it over the API, where the plugin pulls bases before."""
    if PROGRAM is None:
        pytest.skip(WHY_SKIPPED)
    registry = Registry(tmp_path / "registry", auth=True)
    write_docker_config(tmp_path / "config", auths={registry.address: {"auth": AUTH}})
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "config"))
    bench = Bench(rung, tmp_path)
    try:
        if bench.absent is not None:
            pytest.skip(f"{rung}: {bench.absent}")
        registry.put("base:1", bench.unique, platforms=(f"linux/{bench.daemon.facts.arch}",))
        bench.made.append(f"{registry.address}/base:1")
        text = f"FROM {registry.address}/base:1\nMARK\nCOPY unique /\n"
        if rung == "buildkit":
            with pytest.raises(BuildError) as caught:
                bench.build(text)
            assert caught.value.what.startswith("building my app failed at Dockerfile:1: FROM ")
            assert caught.value.mend.startswith(
                "what the build pulls needs a login, which BuildKit over the Engine API "
            )
            bench.daemon.images.pull(f"{registry.address}/base:1")
        assert bench.unique in bench.text(bench.build(text), "/content")
    finally:
        bench.end()
        registry.end()
