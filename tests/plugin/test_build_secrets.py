"""Build secrets and ssh: what a build may read is nowhere afterwards, and nowhere else meanwhile."""

from __future__ import annotations

import gzip
import io
import json
import os
import re
import stat
import subprocess
import tarfile
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import docker
import pytest

from pytest_dockerkit import BuildError, Image, ImageSpec, Progress, Secret, SpecError
from pytest_dockerkit._engine.builders import tools
from pytest_dockerkit._names import new_run_id
from pytest_dockerkit._poll import Look, until_ready
from pytest_dockerkit._runtime.session import Session
from pytest_dockerkit._runtime.settings import Settings
from tests.plugin.listeners import Deaf
from tests.plugin.rungs import ASK_AGENT, BASE, PYTHON, Bench

if TYPE_CHECKING:
    from tests.plugin.conftest import Suite

pytestmark = pytest.mark.skipif(tools.find_tool().tool is None, reason=f"needs buildx: {tools.find_tool().saw}")

#: Uses a secret as programs do, and keeps what is allowed: that it was there.
USES = "RUN --mount=type=secret,id=npm test -s /run/secrets/npm && wc -c < /run/secrets/npm > /length"


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench("buildx", tmp_path)
    yield made
    made.end()


@pytest.fixture
def token() -> str:
    """A secret of two lines, as keys have several."""
    return f"first-{uuid.uuid4().hex}\nsecond {uuid.uuid4().hex}"


def halves(token: str) -> list[bytes]:
    return [line.encode() for line in token.split("\n")]


def assert_nowhere(token: str, content: bytes | str, what: object) -> None:
    raw = content.encode(errors="surrogateescape") if isinstance(content, str) else content
    assert [half for half in halves(token) if half in raw] == [], what


def saved(image: str) -> Iterator[tuple[str, bytes]]:
    """Give all that `docker save` writes, layers unpacked."""
    client = docker.from_env()
    try:
        packed = io.BytesIO(b"".join(client.images.get(image).save()))
        api: Any = client.api
        yield "history", json.dumps(api.history(image)).encode()
        yield "inspect", json.dumps(api.inspect_image(image)).encode()
    finally:
        client.close()
    with tarfile.open(fileobj=packed) as archive:
        for member in archive:
            file = archive.extractfile(member) if member.isreg() else None
            content = b"" if file is None else file.read()
            yield member.name, gzip.decompress(content) if content.startswith(b"\x1f\x8b") else content


# Afterwards


def test_its_bytes_are_nowhere(suite: Suite, tmp_path: Path, token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Given in three ways; in the image, in what we keep, and in what pytest prints."""
    kept = tmp_path / "kept" / "npmrc"
    kept.parent.mkdir()
    kept.write_text(token, encoding="utf-8")
    monkeypatch.setenv("DOCKERKIT_TEST_TOKEN", token)
    text = f"FROM {BASE}\nLABEL x=MARK\nCOPY app /\n{USES}\n"
    suite.write({"app/file": uuid.uuid4().hex, "Dockerfile": text})
    ways = ("'DOCKERKIT_TEST_TOKEN'", f"Path({str(kept)!r})", f"Secret('npm', Path({str(kept)!r}).read_text())")
    outcome = suite.run(
        f"""
        import os
        import uuid
        from pathlib import Path

        import pytest
        from pytest_dockerkit import ImageSpec, Secret

        @pytest.mark.parametrize("given", [{", ".join(ways)}], ids=["variable", "path", "secret"])
        def test_image(dockerkit, given):
            text = Path("Dockerfile").read_text().replace("MARK", uuid.uuid4().hex)
            spec = ImageSpec(build=".", dockerfile_text=text, build_secrets={{"npm": given}})
            image = dockerkit.build(spec)
            print(f"reference={{image.reference}};", spec, image, vars(image))
            assert image.file("/length").read_text() == "{len(token)}\\n"
            state = Path(os.environ["XDG_CACHE_HOME"])
            with Path("seen").open("ab") as seen:
                for path in state.rglob("*"):
                    if path.is_file():
                        seen.write(path.read_bytes())
        """,
        "-v",
        "-rA",
        "--setup-show",
        "--showlocals",
        "--log-level=DEBUG",
    )
    outcome.ended(passed=3)
    assert "build_secrets={'npm': …}" in outcome.text
    assert_nowhere(token, outcome.text, "output")
    seen = (suite.path / "seen").read_bytes()
    assert b"pytest-dockerkit:" in seen
    assert_nowhere(token, seen, "state")
    references = re.findall(r"reference=(\S+);", outcome.text)
    assert len(set(references)) == 3
    for reference in references:
        for name, content in saved(reference):
            assert_nowhere(token, content, (reference, name))
    for path in suite.path.rglob("*"):
        if path.is_file():
            assert_nowhere(token, path.read_bytes(), path)


@pytest.mark.parametrize("prints", ["cat /run/secrets/npm", "set -x; : $(cat /run/secrets/npm)", "base"])
def test_an_instruction_that_prints_it_shows_nothing(suite: Suite, token: str, prints: str) -> None:
    """Neither in the error of a build that fails, nor in what is told as it goes."""
    if prints == "base":
        prints = (
            "printf '\\033[31m%s\\033[0m\\n' \"$(head -1 /run/secrets/npm)\"; tail -n 1 /run/secrets/npm | cut -c1-"
        )
    suite.write(
        {"app/Dockerfile": f"FROM {BASE}\nLABEL x={uuid.uuid4()}\nRUN --mount=type=secret,id=npm {prints}; exit 5\n"}
    )
    suite.environment["DOCKERKIT_TEST_TOKEN"] = token
    os.environ["DOCKERKIT_TEST_TOKEN"] = token
    try:
        outcome = suite.run(
            """
            import pytest

            @pytest.mark.container(build="app", build_secrets={"npm": "DOCKERKIT_TEST_TOKEN"})
            def test_image(image): ...
            """,
            "-vv",
            "--setup-show",
            "--showlocals",
            "--dockerkit-progress=plain",
            "-o",
            "console_output_style=classic",
        )
    finally:
        del os.environ["DOCKERKIT_TEST_TOKEN"]
    outcome.ended(errors=1)
    assert_nowhere(token, outcome.text, outcome.text)
    assert "***" in outcome.text
    assert "exit code: 5" in outcome.text
    assert "docker build --secret id=npm,env=DOCKERKIT_TEST_TOKEN" in outcome.text


# Meanwhile


class Looks:
    """Looks around while a build goes on."""

    def __init__(self, temporary: Path) -> None:
        self.temporary = temporary
        self.told: list[str] = []
        self.seen: list[tuple[str, bytes]] = []
        self.modes: list[str] = []

    def __call__(self, progress: Progress) -> None:
        self.told.append(progress.step)
        for path in self.temporary.rglob("*"):
            self.modes.append(f"{stat.S_IMODE(path.stat().st_mode):o}")
            if path.is_file():
                self.seen.append((str(path), path.read_bytes()))
        for pid in _below(os.getpid()):
            for name in ("cmdline", "environ"):
                # It may have ended since.
                with suppress(OSError):
                    self.seen.append((f"{pid} {name}", (Path("/proc") / pid / name).read_bytes()))


def _below(pid: int) -> list[str]:
    """Give the processes that one has started, and those that they have started."""
    parents: dict[str, str] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            said = path.read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        parents[path.parent.name] = said.rpartition(")")[2].split()[1]
    found: list[str] = []
    waiting = [str(pid)]
    while waiting:
        parent = waiting.pop()
        children = [child for child, of in parents.items() if of == parent]
        found += children
        waiting += children
    return found


@pytest.fixture
def looks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Looks:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    return Looks(tmp_path / "temporary")


def test_no_process_and_no_file_shows_it(
    bench: Bench, looks: Looks, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not though it came from a variable of the environment, which the command would inherit."""
    monkeypatch.setenv("DOCKERKIT_TEST_TOKEN", token)
    monkeypatch.setenv("DOCKERKIT_TEST_OTHER", "other")
    image = bench.build(
        f"FROM {BASE}\nMARK\nCOPY unique /\n{USES}\nRUN --mount=type=secret,id=npm cat /run/secrets/npm\n",
        secrets={"npm": Secret("npm", token)},
        tell=looks,
    )
    assert bench.text(image, "/length") == f"{len(token)}\n"
    commands = [content for name, content in looks.seen if name.endswith("cmdline")]
    assert any(b"--secret=id=npm,src=" in each for each in commands)
    assert any(b"DOCKERKIT_TEST_OTHER=other" in content for name, content in looks.seen if "environ" in name)
    for name, content in looks.seen:
        assert_nowhere(token, content, name)
    assert_nowhere(token, "\n".join(looks.told), "progress")
    if hasattr(os, "memfd_create"):
        assert looks.modes == []


def test_where_there_are_no_files_in_memory_it_is_in_one_for_this_user_alone(
    bench: Bench, looks: Looks, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Removed afterwards, also of a build that has failed."""
    monkeypatch.delattr(os, "memfd_create", raising=False)
    # Unique: whether the step is in BuildKit's cache depends on the files before it alone, not on labels and secrets.
    image = bench.build(
        f"FROM {BASE}\nMARK\nCOPY unique /\n{USES}\n", secrets={"npm": Secret("npm", token)}, tell=looks
    )
    assert bench.text(image, "/length") == f"{len(token)}\n"
    assert set(looks.modes) == {"700", "600"}
    with pytest.raises(BuildError):
        bench.build(f"FROM {BASE}\nMARK\nCOPY unique /\n{USES}; exit 1\n", secrets={"npm": Secret("npm", token)})
    assert list(looks.temporary.iterdir()) == []


# When it is looked up


def build(root: Path, **fields: Any) -> Image:
    session = Session(Settings(state_dir=root / "state"), new_run_id(), "main", Deaf())
    try:
        image = session.images.get(ImageSpec(build=root / "app", **fields).anchored(root))
        if not fields.get("build_secrets"):
            session.engine.images.remove(image.reference)
        return image
    finally:
        session.undo_all()
        session.forget()
        session.close()


@pytest.fixture
def app(tmp_path: Path) -> Path:
    (tmp_path / "app").mkdir()
    (tmp_path / "app/Dockerfile").write_text(f"FROM {BASE}\nWORKDIR /{uuid.uuid4()}\n{USES}\n", encoding="utf-8")
    return tmp_path


def test_another_secret_is_no_other_image_and_none_is_needed_for_one_that_is_there(app: Path) -> None:
    (app / "npmrc").write_text("one", encoding="utf-8")
    first = build(app, build_secrets={"npm": Path("npmrc")})
    assert not first.cached
    (app / "npmrc").write_text("another", encoding="utf-8")
    assert build(app, build_secrets={"npm": Path("npmrc")}).id == first.id
    (app / "npmrc").unlink()
    again = build(app, build_secrets={"npm": Path("npmrc")})
    assert (again.cached, again.id) == (True, first.id)
    client = docker.from_env()
    client.images.remove(first.reference)
    client.close()


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (
            Path("npmrc"),
            (
                "the file of the build secret 'npm' cannot be read\n"
                "  saw:  {root}/npmrc: No such file or directory\n"
                "  mend: write the secret there, readable for the user who runs the tests"
            ),
        ),
        (
            "DOCKERKIT_TEST_NOT_SET",
            (
                "the environment variable DOCKERKIT_TEST_NOT_SET is not set, which holds the build secret 'npm'\n"
                "  saw:  build_secrets['npm']='DOCKERKIT_TEST_NOT_SET'\n"
                "  mend: export DOCKERKIT_TEST_NOT_SET, or give the secret as a Path or as Secret('npm', …)"
            ),
        ),
        (
            "npm_Zx81aQ77PfLm20vbTT61Kw",
            (
                "an environment variable is not set, which is to hold the build secret 'npm'\n"
                "  saw:  build_secrets['npm'] is a text of 26 characters, which is no usual name of a variable\n"
                "  mend: a text is the name of a variable, never the secret itself: Secret('npm', …) holds one"
            ),
        ),
        (
            Secret("npm", b"x" * 512001),
            (
                "the build secret 'npm' is too large\n"
                "  saw:  512001 bytes\n"
                "  mend: at most 512000; a larger file belongs into the context or behind a URL"
            ),
        ),
    ],
    ids=["path", "variable", "token", "size"],
)
def test_one_that_cannot_be_had_is_told_before_the_build(app: Path, given: str | Path | Secret, text: str) -> None:
    """A token that was given in place of a variable's name is not repeated."""
    with pytest.raises(SpecError) as caught:
        build(app, build_secrets={"npm": given})
    assert str(caught.value) == text.replace("{root}", str(app))


# ssh


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "the key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)
    return path


@pytest.fixture
def agent(tmp_path: Path, key: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    # A path of a socket may be of about a hundred characters.
    with tempfile.TemporaryDirectory() as directory:
        socket = Path(directory) / "agent"
        running = subprocess.Popen(["ssh-agent", "-D", "-a", socket], stdout=subprocess.DEVNULL)
        assert until_ready(lambda: Look(socket.exists()), timeout_s=30).ready
        monkeypatch.setenv("SSH_AUTH_SOCK", str(socket))
        subprocess.run(["ssh-add", "-q", key], check=True)
        yield
        running.terminate()
        running.wait()


@pytest.mark.parametrize("given", ["default", "the key"])
def test_a_build_reaches_the_agent_or_the_key(bench: Bench, agent: None, key: Path, given: str) -> None:
    image = bench.build(
        f'FROM {PYTHON}\nMARK\nCOPY unique /\nRUN --mount=type=ssh python -c "{ASK_AGENT}" > /keys\n', ssh=given
    )
    assert bench.text(image, "/keys") == "1\n"
    private = "".join(key.read_text(encoding="utf-8").splitlines()[1:-1])
    for name, content in saved(image):
        assert private.encode() not in content.replace(b"\n", b""), name


def test_an_agent_that_does_not_run_and_a_key_that_is_not_there(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    with pytest.raises(SpecError) as caught:
        bench.build(f"FROM {BASE}\n", ssh="default")
    assert str(caught.value) == (
        "no ssh agent runs\n"
        '  saw:  ssh="default", and SSH_AUTH_SOCK is not set\n'
        '  mend: start one (`eval "$(ssh-agent)" && ssh-add`), or name a key: ssh="path/of/the/key"'
    )
    with pytest.raises(SpecError) as caught:
        bench.build(f"FROM {BASE}\n", ssh=Path("nothing"))
    assert str(caught.value) == (
        "the key or socket of ssh= does not exist\n"
        f"  saw:  ssh='{bench.root}/nothing'\n"
        '  mend: correct the path, or ssh="default" for the agent that runs'
    )
