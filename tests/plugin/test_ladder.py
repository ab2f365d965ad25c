"""Which way a request is built, and what becomes of the command line: real programs, watched by one of ours."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from filelock import FileLock

from pytest_dockerkit import (
    BuildError,
    CapabilityError,
    DockerkitError,
    EngineError,
    ImageNotFoundError,
    ImageSpec,
    LockError,
    Secret,
)
from pytest_dockerkit._engine.builders import tools
from pytest_dockerkit._names import new_run_id
from pytest_dockerkit._poll import Look, until_ready
from pytest_dockerkit._runtime.locks import image_lock
from pytest_dockerkit._runtime.session import Session
from pytest_dockerkit._runtime.settings import Settings
from tests.plugin.listeners import Deaf
from tests.plugin.rungs import BASE, Bench, write_docker_config

if TYPE_CHECKING:
    from tests.plugin.conftest import Suite

TO_INSTALL = "install docker-buildx-plugin (Docker's own packages) or docker-buildx (Debian, Ubuntu, Homebrew)"
ADDED = "a Dockerfile from outside of the context, while an instruction takes all of the context"


class Watched:
    """The command line with a program before it that notes each call."""

    def __init__(self, directory: Path, real: tools.Tool) -> None:
        self.directory = directory
        self.real = real
        self.script = directory / Path(real.argv[0]).name
        directory.mkdir()
        (directory / "note.py").write_text(
            "import json, os, sys\n"
            f"with open({str(directory / 'calls.jsonl')!r}, 'a') as file:\n"
            "    file.write(json.dumps([sys.argv[1:], dict(os.environ)]) + chr(10))\n",
            encoding="utf-8",
        )
        self.does('exec "$REAL" "$@"')

    def does(self, body: str) -> None:
        """Let it do something of our own when it is to build; it tells its version as ever."""
        self.script.write_text(
            f'#!/bin/sh\nREAL={self.real.argv[0]}\n{sys.executable} -I {self.directory}/note.py "$@"\n'
            f'case "$*" in *--progress=plain*) ;; *) exec "$REAL" "$@" ;; esac\n{body}\n',
            encoding="utf-8",
        )
        self.script.chmod(0o755)

    @property
    def calls(self) -> list[tuple[list[str], dict[str, str]]]:
        """The arguments and the environment of each call."""
        path = self.directory / "calls.jsonl"
        return [tuple(json.loads(line)) for line in path.read_text().splitlines()] if path.exists() else []

    @property
    def builds(self) -> list[tuple[list[str], dict[str, str]]]:
        """Those that were to build."""
        return [each for each in self.calls if "--progress=plain" in each[0]]


@pytest.fixture
def watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Watched:
    found = tools.find_tool()
    if found.tool is None:
        pytest.skip(f"no command line builds here: {found.saw}")
    made = Watched(tmp_path / "bin", found.tool)
    monkeypatch.setenv("PATH", f"{made.directory}{os.pathsep}{os.environ['PATH']}")
    for name in ("BUILDX_BUILDER", "DOCKER_DEFAULT_PLATFORM", "SOURCE_DATE_EPOCH"):
        monkeypatch.delenv(name, raising=False)
    return made


@pytest.fixture
def no_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "nothing").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "nothing"))
    monkeypatch.setattr(tools, "_PLUGIN_DIRECTORIES", ())
    tools._find.cache_clear()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """The whole ladder."""
    made = Bench("auto", tmp_path)
    yield made
    made.end()


@pytest.fixture
def private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory for temporary files."""
    path = tmp_path / "temporary"
    path.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(path))
    return path


def by_buildkit(bench: Bench, image: str) -> bool:
    return any("buildkit" in (each["Comment"] or each["CreatedBy"]) for each in bench.client.api.history(image))


# Which one


def test_the_command_line_comes_first(bench: Bench, watched: Watched) -> None:
    image = bench.build(f"FROM {BASE}\nMARK\nCOPY unique /\n")
    assert by_buildkit(bench, image)
    [(arguments, environment)] = watched.builds
    assert arguments[-2:] == ["--file=Dockerfile", "-"]
    builder = f"--builder={environment.get('DOCKER_CONTEXT', 'default')}"
    assert [each for each in arguments if each.startswith("--builder")] == [builder] * watched.real.buildx
    assert environment["DOCKER_BUILDKIT"] == "1"
    assert (environment.get("DOCKER_HOST"), environment.get("DOCKER_CONTEXT")) in (
        (bench.daemon.facts.host, None),
        (None, "default"),
    )


def test_without_it_buildkit_is_asked_over_the_api(bench: Bench, no_command_line: None) -> None:
    assert by_buildkit(bench, bench.build(f"FROM {BASE}\nMARK\nRUN --mount=type=tmpfs,target=/x true\n"))
    # And the classic builder for what that would show to the build.
    text = bench.marked(f"FROM {BASE}\nMARK\nCOPY . /app\n")
    (bench.context / "Dockerfile").unlink()
    image = bench.build(dockerfile_text=text)
    assert not by_buildkit(bench, image)
    assert set(bench.files(image, "app/")) == {"app/unique"}


def test_what_nothing_here_can_is_refused_at_once(bench: Bench, no_command_line: None) -> None:
    """With what each lacks, and what there is to install."""
    request = bench.request(f"FROM {BASE}\n", secrets={"npm": Secret("npm", "x")})
    assert bench.daemon.builder.lacks(request) == "build_secrets="
    with pytest.raises(CapabilityError) as caught:
        bench.daemon.builder.build(request)
    assert str(caught.value) == (
        "my app cannot be built here: no builder serves build_secrets=\n"
        "  saw:  buildx: neither docker nor docker-buildx in PATH\n"
        "        buildkit: lacks build_secrets=\n"
        "        classic: lacks build_secrets=\n"
        f"  mend: {TO_INSTALL}"
    )
    text = f"FROM {BASE}\nCOPY . /app\nRUN --mount=type=cache,target=/x true\n"
    with pytest.raises(CapabilityError) as caught:
        bench.build(dockerfile_text=text)
    assert str(caught.value) == (
        f"my app cannot be built here: no builder serves {ADDED}\n"
        "  saw:  buildx: neither docker nor docker-buildx in PATH\n"
        f"        buildkit: lacks {ADDED}\n"
        "        classic: lacks RUN --mount\n"
        f"  mend: keep the Dockerfile in the context and out of its ignore file, or {TO_INSTALL}"
    )
    assert bench.told == []


@pytest.mark.parametrize("text", ["RUN --mount=type=secret,id=x true", "RUN --mount=type=ssh true"])
def test_a_mount_that_asks_the_client_needs_the_command_line(bench: Bench, no_command_line: None, text: str) -> None:
    """Also where nothing is given: over the API there is nobody to ask."""
    request = bench.request(f"FROM {BASE}\n{text}\n")
    assert bench.daemon.builder.lacks(request) == text.partition(",")[0].removesuffix(" true")


def test_a_chosen_rung_is_taken_or_refused(tmp_path: Path, no_command_line: None) -> None:
    bench = Bench("buildx", tmp_path)
    try:
        with pytest.raises(CapabilityError) as caught:
            bench.build(f"FROM {BASE}\n")
    finally:
        bench.end()
    assert str(caught.value) == (
        "my app cannot be built as --dockerkit-builder=buildx says: it is not there\n"
        "  saw:  buildx: neither docker nor docker-buildx in PATH\n"
        f"  mend: {TO_INSTALL} or drop --dockerkit-builder=buildx"
    )


def test_a_command_line_that_cannot_begin_is_passed_over_once(bench: Bench, watched: Watched) -> None:
    """As one that is not let to the engine."""
    watched.does("echo 'ERROR: Cannot connect to the Docker daemon' >&2; exit 1")
    for _ in range(2):
        bench.build(f"FROM {BASE}\nMARK\nCOPY unique /\n")
    assert len(watched.builds) == 1
    request = bench.request(f"FROM {BASE}\n", secrets={"npm": Secret("npm", "x")})
    with pytest.raises(CapabilityError) as caught:
        bench.daemon.builder.build(request)
    assert "buildx: Cannot connect to the Docker daemon\n" in caught.value.saw


@pytest.mark.parametrize("how", ["rung", "builder"])
def test_one_that_was_chosen_is_not_passed_over(
    tmp_path: Path, watched: Watched, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    watched.does("echo 'ERROR: no builder \"mine\" found'; exit 1")
    if how == "builder":
        monkeypatch.setenv("BUILDX_BUILDER", "mine")
    bench = Bench("buildx" if how == "rung" else "auto", tmp_path)
    try:
        with pytest.raises(EngineError) as caught:
            bench.build(f"FROM {BASE}\n")
    finally:
        bench.end()
    assert type(caught.value) is EngineError
    assert caught.value.saw == 'no builder "mine" found'
    [(arguments, _)] = watched.builds
    assert how == "rung" or not [each for each in arguments if each.startswith("--builder")]


def test_an_image_that_is_there_starts_no_process(tmp_path: Path, watched: Watched) -> None:
    """Nothing is looked for, and no version is asked, before a build is needed; then once in a process."""
    (tmp_path / "Dockerfile").write_text(f"FROM {BASE}\nLABEL x={uuid.uuid4()}\n", encoding="utf-8")
    spec = ImageSpec(build=tmp_path).anchored(tmp_path)

    def images(count: int) -> list[bool]:
        session = Session(Settings(state_dir=tmp_path / "state"), new_run_id(), "main", Deaf())
        try:
            found = [session.images.get(spec) for _ in range(count)]
            if watched.calls and count == 1:
                session.engine.images.remove(found[0].reference)
            return [each.cached for each in found]
        finally:
            session.undo_all()
            session.forget()
            session.close()

    assert images(2) == [False, False]
    asked = len(watched.calls)
    assert len(watched.builds) == 1
    assert images(1) == [True]
    assert len(watched.calls) == asked
    assert images(1) == [False]
    assert len(watched.calls) == asked + 1


def test_a_frontend_that_cannot_be_pulled_is_told(tmp_path: Path) -> None:
    """BuildKit would ask a session for its credentials; over the API there is none."""
    bench = Bench("buildkit", tmp_path)
    try:
        if bench.absent:
            pytest.skip(bench.absent)
        with pytest.raises(ImageNotFoundError) as caught:
            bench.build(f"# syntax=127.0.0.1:1/docker/dockerfile:1 and=more\nFROM {BASE}\n")
    finally:
        bench.end()
    assert caught.value.what == (
        "the image 127.0.0.1:1/docker/dockerfile:1, which is to read the Dockerfile, is not on the engine and cannot "
        "be pulled"
    )


# The engine that it talks to


@pytest.mark.parametrize("how", ["host", "variable", "context", "active context", "usual socket"])
def test_the_command_line_is_led_to_the_same_engine(
    bench: Bench, tmp_path: Path, watched: Watched, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """Whatever the environment says by the time of the build."""
    here = bench.daemon.facts.host
    config = _docker_config(tmp_path / "config", {} if how == "usual socket" else {"currentContext": "mine"}, here)
    monkeypatch.setenv("DOCKER_CONFIG", str(config))
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT"):
        monkeypatch.delenv(name, raising=False)
    fields: dict[str, str] = {}
    if how == "host":
        fields["host"] = here
    elif how == "context":
        fields["context"] = "mine"
    elif how == "variable":
        monkeypatch.setenv("DOCKER_HOST", here)
    elif how == "usual socket" and here != "unix:///var/run/docker.sock":
        pytest.skip("the engine is elsewhere")
    led = Bench("buildx", tmp_path, **fields)
    try:
        monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
        monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
        image = led.build(f"FROM {BASE}\nMARK\nCOPY unique /\n")
        assert led.text(image, "/unique") == led.unique
    finally:
        led.end()


def _docker_config(config: Path, said: dict[str, str], host: str) -> Path:
    """Write a docker configuration with a context."""
    write_docker_config(config, **said)
    context = config / "contexts/meta" / hashlib.sha256(b"mine").hexdigest()
    context.mkdir(parents=True)
    meta = {"Name": "mine", "Metadata": {}, "Endpoints": {"docker": {"Host": host, "SkipTLSVerify": False}}}
    (context / "meta.json").write_text(json.dumps(meta), encoding="utf-8")
    return config


def test_what_would_make_another_image_is_kept_from_it(
    bench: Bench, watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_DEFAULT_PLATFORM", "linux/s390x")
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")
    image = bench.build("FROM scratch\nMARK\nCOPY unique /\n")
    assert bench.client.api.inspect_image(image)["Architecture"] == bench.daemon.facts.arch
    assert "SOURCE_DATE_EPOCH" not in watched.builds[0][1]


def test_a_build_arg_is_not_in_the_list_of_processes(bench: Bench, watched: Watched) -> None:
    """But what the command itself reads stays its own: it would not find its way with another's."""
    given = {
        "TOKEN": (token := uuid.uuid4().hex),
        "EMPTY": "",
        "HOME": "/home/app",
        "PATH": "/nowhere",
        "DOCKER_CONFIG": "/nowhere",
        "UID": "4711",
        "my_proxy": "http://127.0.0.1:1",
        "with-dash": "x",
    }
    asks = "".join(f"ARG {key}=other\n" for key in given if key not in ("with-dash", "PATH"))
    image = bench.build(
        f"FROM {BASE}\nMARK\n{asks}COPY unique /\n"
        'RUN echo "$TOKEN|$EMPTY|$HOME|$DOCKER_CONFIG|$UID|$my_proxy" > /seen\n',
        build_args=given,
    )
    assert bench.text(image, "/seen") == f"{token}||/home/app|/nowhere|4711|http://127.0.0.1:1\n"
    [(arguments, environment)] = watched.builds
    assert token not in "".join(arguments)
    told = {each for each in arguments if each.startswith("--build-arg=")}
    hidden = {f"--build-arg={key}" for key in ("TOKEN", "EMPTY")}
    assert told == hidden | {
        f"--build-arg={key}={each}" for key, each in given.items() if key not in ("TOKEN", "EMPTY")
    }
    assert (environment["TOKEN"], environment["EMPTY"]) == (token, "")
    assert environment["PATH"] == os.environ["PATH"]
    assert "/nowhere" not in environment.values()


def test_a_build_arg_is_not_told_of_a_request(bench: Bench) -> None:
    request = bench.request(f"FROM {BASE}\n", build_args={"TOKEN": "hunter2"})
    assert "args=['TOKEN']" in repr(request)
    assert "hunter2" not in repr(request)


# Where the state is kept


def test_a_directory_for_the_state_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "locks").write_text("", encoding="utf-8")
    for state, name in ((tmp_path, "locks"), (tmp_path / "locks/state", "hashes")):
        with pytest.raises(DockerkitError) as caught:
            Settings(state_dir=state).directory(name)
        assert caught.value.what == "the directory for the plugin's state cannot be made"
        assert str(tmp_path / "locks") in caught.value.saw
        assert "XDG_CACHE_HOME" in caught.value.mend


@pytest.mark.parametrize(
    "failure", [OSError(errno.ENOLCK, "No locks available"), NotImplementedError("no flock here")]
)
def test_a_lock_that_cannot_be_taken_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    def acquire(_: FileLock, **_how: object) -> None:
        raise failure

    monkeypatch.setattr(FileLock, "acquire", acquire)
    with pytest.raises(LockError) as caught, image_lock(Settings(state_dir=tmp_path), "x"):
        pytest.fail("the block is not entered")
    assert caught.value.saw == f"lock {tmp_path}/locks/x.lock: {failure}"
    assert "XDG_CACHE_HOME" in caught.value.mend


def test_a_directory_in_the_place_of_a_lock_is_told(tmp_path: Path) -> None:
    (tmp_path / "locks/x.lock").mkdir(parents=True)
    with pytest.raises(LockError, match="cannot be taken"), image_lock(Settings(state_dir=tmp_path), "x"):
        pytest.fail("the block is not entered")


def test_an_error_under_a_lock_is_its_own(tmp_path: Path) -> None:
    with pytest.raises(PermissionError, match="own"), image_lock(Settings(state_dir=tmp_path), "x"):
        raise PermissionError("own")
    with image_lock(Settings(state_dir=tmp_path), "x"):
        pass


# Its end


@pytest.mark.parametrize("fails", [False, True])
def test_nothing_is_left_of_a_context_in_a_directory(
    bench: Bench, watched: Watched, private: Path, *, fails: bool
) -> None:
    """The Dockerfile lies beside it, for this user alone; directories that may not be written to go as well."""
    watched.does(f'ls -la {private} {private}/* > {watched.directory}/seen; exec "$REAL" "$@"')
    (bench.context / "closed/in").mkdir(parents=True)
    (bench.context / "closed/in").chmod(0o555)
    (bench.context / "closed").chmod(0o555)
    text = bench.marked(f"FROM {BASE}\nMARK\nCOPY . /app\nRUN exit {int(fails)}\n")
    try:
        if fails:
            with pytest.raises(BuildError):
                bench.build(dockerfile_text=text)
        else:
            bench.build(dockerfile_text=text)
    finally:
        (bench.context / "closed").chmod(0o755)
        (bench.context / "closed/in").chmod(0o755)
    seen = (watched.directory / "seen").read_text(encoding="utf-8")
    assert re.search(r"^drwx------ .* dockerkit-context-", seen, re.MULTILINE)
    assert list(private.iterdir()) == []


def test_a_command_that_is_killed_is_told(bench: Bench, watched: Watched) -> None:
    watched.does("echo '#1 [internal] load remote build context'; echo '#2 [1/2] FROM x'; kill -9 $$")
    with pytest.raises(EngineError) as caught:
        bench.build(f"FROM {BASE}\n")
    assert caught.value.what == (
        f"building my app was ended from outside: `{watched.script} {' '.join(watched.real.argv[1:])}` was killed"
    )
    assert caught.value.saw == "signal 9, while at [1/2] FROM x"


def test_one_that_we_have_ended_is_not_followed_by_another_way(bench: Bench, watched: Watched) -> None:
    """A command that clears up ends with a code of its own, as if it could not be used."""
    began = watched.directory / "began"
    watched.does(f"trap 'echo \"ERROR: context canceled\"; exit 1' TERM; touch {began}; sleep 1000 & wait")
    request = bench.request(f"FROM {BASE}\nMARK\n")
    bench.made += request.tags
    with ThreadPoolExecutor(1) as threads:
        built = threads.submit(bench.daemon.builder.build, request)
        try:
            assert until_ready(lambda: Look(began.exists()), timeout_s=60).ready
        finally:
            bench.daemon.close()
        with pytest.raises(EngineError, match="no build begins any more"):
            built.result(60)
    assert bench.daemon.images.find(request.tags[0]) is None


def test_a_build_that_buildkit_cancels_by_itself_is_begun_again(bench: Bench, watched: Watched) -> None:
    """Of two with steps in common, the end of one may take along what the other has just joined."""
    watched.does(
        'mkdir "$(dirname "$0")/first" 2>/dev/null || exec "$REAL" "$@"; '
        "echo '#1 [1/2] FROM x'; echo 'ERROR: failed to solve: Canceled: context canceled'; exit 1"
    )
    bench.build(f"FROM {BASE}\nMARK\n")
    assert len(watched.builds) == 2


def test_an_engine_that_goes_away_is_told(bench: Bench, watched: Watched) -> None:
    watched.does(
        "echo '#1 [1/2] FROM x'; echo 'ERROR: rpc error: code = Unavailable desc = transport is closing'; exit 1"
    )
    with pytest.raises(EngineError) as caught:
        bench.build(f"FROM {BASE}\n")
    assert caught.value.what == "the engine went away while it was to build my app"


@pytest.mark.parametrize("stubborn", [False, True])
def test_ctrl_c_ends_the_command_with_all_that_it_has_started(
    suite: Suite, tmp_path: Path, watched: Watched, *, stubborn: bool
) -> None:
    """And the instruction that the engine runs; also one that would rather go on is ended.

    Nothing is left in the directory for temporary files.
    """
    seconds = str(uuid.uuid4().int)[:9]
    if stubborn:
        watched.does(f"trap '' TERM INT; echo '#1 [1/2] FROM x'; sleep {seconds} & wait; wait")
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    text = f"FROM {BASE}\nCOPY . /app\nRUN sleep {seconds}\n"
    suite.write(
        {
            "app/file": "x",
            "test_inner.py": f"""
            import pytest

            @pytest.mark.container(build="app", dockerfile_text={text!r})
            def test_image(image): ...
            """,
        }
    )
    # A job in the background ignores Ctrl-C, and what it starts does so too.
    script = (
        "import signal, sys, pytest; signal.signal(signal.SIGINT, signal.default_int_handler);"
        "sys.exit(pytest.main(['-p', 'no:cacheprovider', '-p', 'no:randomly']))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=suite.path,
        env={**os.environ, "TMPDIR": str(temporary)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as child:
        assert until_ready(lambda: Look(_runs(seconds)), timeout_s=60).ready
        child.send_signal(signal.SIGINT)
        said, _ = child.communicate(timeout=60)
    assert "KeyboardInterrupt" in said
    # The engine ends what it runs once it has heard that nobody waits for it.
    assert until_ready(lambda: Look(not _runs(seconds)), timeout_s=60).ready
    assert list(temporary.iterdir()) == []


def _runs(seconds: str) -> bool:
    """Tell whether `sleep` of so many seconds runs anywhere on this machine."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            if path.read_bytes() == f"sleep\0{seconds}\0".encode():
                return True
    return False


# Somebody else's builder

WRAPS = """
import dataclasses
from pathlib import Path

class Noting:
    name = "noting"

    def __init__(self, builder):
        self.builder = builder

    def lacks(self, request):
        return "target=" if request.target else self.builder.lacks(request)

    def build(self, request):
        with Path("built").open("a") as file:
            file.write(f"{request.title}\\n")
        self.builder.build(dataclasses.replace(request, labels={**request.labels, "noted": "yes"}))

def pytest_dockerkit_builder(config, builder):
    assert builder.name == config.getoption("dockerkit_builder")
    return Noting(builder)
"""


def test_a_plugin_may_build_in_its_own_way(suite: Suite) -> None:
    """It is asked when the first image has to be built, and builds all."""
    images = [f"FROM {BASE} AS base\nLABEL x={uuid.uuid4()}\n" for _ in range(3)]
    outcome = suite.run(
        f"""
        import pytest
        from pathlib import Path

        def test_nothing_was_asked_for():
            assert not Path("built").exists()

        @pytest.mark.parametrize("text", {images[:2]!r})
        def test_it_is_built(dockerkit, text):
            from pytest_dockerkit import ImageSpec
            assert dockerkit.build(ImageSpec(dockerfile_text=text)).config.labels["noted"] == "yes"
            assert dockerkit.build(ImageSpec(dockerfile_text=text)).config.labels["noted"] == "yes"

        @pytest.mark.container(dockerfile_text={images[2]!r}, target="base")
        def test_it_lacks_something(image): ...
        """,
        "--dockerkit-builder=buildkit",
        conftest=WRAPS,
    )
    outcome.ended(passed=3, errors=1)
    assert (suite.path / "built").read_text(encoding="utf-8") == "dockerfile_text\n" * 2
    assert "dockerfile_text (target base) cannot be built with noting: it lacks target=" in outcome.text


def test_without_an_answer_the_plugin_builds(suite: Suite) -> None:
    suite.run(
        f"""
        import pytest

        @pytest.mark.container(dockerfile_text="FROM {BASE}\\nLABEL x={uuid.uuid4()}\\n")
        def test_image(image):
            assert not image.cached
        """,
        conftest="def pytest_dockerkit_builder(): ...",
    ).ended(passed=1)


def test_a_builder_that_there_is_not(suite: Suite) -> None:
    outcome = suite.run("def test_nothing(): ...", "--dockerkit-builder=kaniko")
    assert "invalid choice: 'kaniko'" in outcome.text


def test_files_of_one_size_in_two_contexts_are_told_apart(bench: Bench, watched: Watched) -> None:
    """Where a context goes to the command line as a directory: it sends only what seems to have changed."""
    text = bench.marked(f"FROM {BASE}\nMARK\nCOPY . /app\n")
    for content in ("one", "two"):
        bench.write({"same": content})
        assert bench.text(bench.build(dockerfile_text=text), "/app/same") == content
    assert len(watched.builds) == 2
