"""The command line: images built side by side, digests written down, and everything wrong told with exit code 2."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

from pytest_dockerkit._spec import lockfile
from tests.plugin import registry as registries
from tests.plugin.matrix import matrix

if TYPE_CHECKING:
    from tests.plugin.conftest import Suite
    from tests.plugin.matrix import Matrix
    from tests.plugin.registry import Registry

__all__ = ["matrix"]

BASE = "FROM busybox:stable\nRUN echo base > /base"
NOWHERE = "unix:///nonexistent/docker.sock"

Ran = subprocess.CompletedProcess[str]
Run = Callable[..., Ran]


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "pytest_dockerkit.cli", *arguments]


@pytest.fixture
def dockerkit_cli(suite: Suite) -> Run:
    """Runs a command in the project's directory, with pipes for its output."""

    def run(*arguments: str, code: int = 0, **environment: str) -> Ran:
        ran = subprocess.run(
            command(*arguments),
            cwd=suite.path,
            env=os.environ | environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == code, ran.stdout + ran.stderr
        assert list(suite.path.glob("state/pytest-dockerkit/runs/*")) == []
        # Nothing that moves a cursor, or colours.
        assert all(each.isprintable() or each == "\n" for each in ran.stdout + ran.stderr)
        return ran

    return run


def rows(ran: Ran) -> dict[str, str]:
    """Give what has become of each image, as the table has it."""
    head, *lines = ran.stdout.splitlines()
    assert head.split() == ["image", "seconds", "size", "reference"]
    return {line.split()[0]: line.split()[1] for line in lines}


# dockerkit build


def test_all_images_are_built_and_the_tests_find_them(dockerkit_cli: Run, matrix: Matrix, suite: Suite) -> None:
    matrix.declare(api="FROM base\nRUN true", base=BASE, shop_web=BASE + "\nRUN false || true")
    first = dockerkit_cli("build")
    assert rows(first) == {"base": "built", "api": "built", "shop/web": "built"}
    assert sorted(line.split(" (")[0] for line in first.stderr.splitlines()) == [
        "api: built",
        "base: built",
        "shop/web: built",
    ]
    assert matrix.built() == ["api", "base", "shop_web"]
    assert set(rows(dockerkit_cli("build")).values()) == {"cached"}
    outcome = suite.run(
        """
        import pytest

        @pytest.mark.container("api")
        def test_api(image): ...

        @pytest.mark.container("shop/web")
        def test_web(image): ...
        """
    )
    outcome.ended(passed=2)
    assert "images: 0 built, " in outcome.text


def test_those_that_are_named_are_built_with_what_they_stand_on(dockerkit_cli: Run, matrix: Matrix) -> None:
    matrix.declare(base=BASE, api="FROM base\nRUN true", web="FROM base\nRUN true", top="FROM api")
    assert rows(dockerkit_cli("build", "api")) == {"base": "built", "api": "built"}
    assert matrix.built() == ["api", "base"]


def test_quiet_prints_the_references_alone(dockerkit_cli: Run, matrix: Matrix) -> None:
    """In the order of the names, for `$(dockerkit build --quiet api)`."""
    matrix.declare(base=BASE, api="FROM base\nRUN true", web="FROM base\nRUN false")
    ran = dockerkit_cli("build", "-q", "api", "base")
    references = [line.rpartition("  ")[2] for line in dockerkit_cli("build", "api").stdout.splitlines()[1:]]
    assert ran.stdout.splitlines() == references[::-1]
    assert ran.stderr == ""
    failed = dockerkit_cli("build", "-q", "web", "api", code=1)
    assert failed.stdout.splitlines() == references[1:]
    assert failed.stderr.startswith("\nweb: building ")


def test_one_that_fails_stops_those_alone_that_stand_on_it(dockerkit_cli: Run, matrix: Matrix) -> None:
    matrix.declare(
        base="FROM busybox:stable\nRUN echo it is broken && exit 3", api="FROM base", top="FROM api", web=BASE
    )
    ran = dockerkit_cli("build", code=1)
    assert rows(ran) == {"base": "failed", "api": "skipped", "top": "skipped", "web": "built"}
    assert "top    skipped                   it stands on base\n" in ran.stdout
    assert "api: skipped, since it stands on base\n" in ran.stderr
    # As pytest would show it.
    assert "\n\nbase: building base failed at " in ran.stderr
    assert "\n  saw:  " in ran.stderr
    assert "it is broken" in ran.stderr
    assert matrix.built() == ["web"]


def test_two_at_once_build_each_image_once(matrix: Matrix, suite: Suite) -> None:
    matrix.declare(base=BASE, **{f"image{number}": f"FROM base\nRUN echo {number}" for number in range(3)})
    started = [
        subprocess.Popen(
            command("build", "--progress=off"),
            cwd=suite.path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    hows: list[str] = []
    for each in started:
        stdout, stderr = each.communicate()
        assert (each.returncode, stderr) == (0, "")
        hows += rows(subprocess.CompletedProcess([], 0, stdout, "")).values()
    assert sorted(hows) == ["built"] * 4 + ["cached"] * 4
    assert matrix.built() == ["base", "image0", "image1", "image2"]


def test_a_rebuild_builds_once_more(dockerkit_cli: Run, matrix: Matrix) -> None:
    matrix.declare(base=BASE, api="FROM base\nRUN cat /proc/sys/kernel/random/uuid > /id")
    dockerkit_cli("build")
    assert rows(dockerkit_cli("build", "--rebuild")) == {"base": "built", "api": "built"}


def test_an_image_that_the_environment_names_is_not_built(dockerkit_cli: Run, matrix: Matrix) -> None:
    matrix.declare(base=BASE, api="FROM base\nRUN test ! -e /base")
    ran = dockerkit_cli("build", DOCKERKIT_IMAGE_BASE="busybox:stable")
    assert rows(ran) == {"base": "cached", "api": "built"}
    assert ran.stdout.splitlines()[1].endswith("  busybox:stable")


@pytest.mark.parametrize("ends", ["SIGINT", "SIGTERM"])
def test_an_interruption_leaves_nothing(matrix: Matrix, suite: Suite, ends: str) -> None:
    """Neither of what was built, nor of what was about to be."""
    matrix.declare(
        one="FROM busybox:stable\nRUN sleep 301", two="FROM busybox:stable\nRUN sleep 302", three="FROM one\nRUN true"
    )
    # A job in the background ignores Ctrl-C, and what it starts does so too.
    script = "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler);"
    script += "from pytest_dockerkit.cli import main; sys.exit(main(['build', '--progress=plain']))"
    with subprocess.Popen(
        [sys.executable, "-c", script], cwd=suite.path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as building:
        assert building.stderr is not None
        said = building.stderr.readline()
        assert said.startswith(("building one: ", "building two: "))
        building.send_signal(getattr(signal, ends))
        stdout, stderr = building.communicate()
    assert building.returncode == 130, stderr
    assert stdout == ""
    assert stderr.splitlines()[-1] == "interrupted"
    assert "Traceback" not in stderr
    assert list(suite.path.glob("state/pytest-dockerkit/runs/*")) == []
    assert matrix.built() == []


def test_no_conftest_is_loaded(dockerkit_cli: Run, matrix: Matrix, suite: Suite) -> None:
    """Nor does it matter what plugins pytest would want: they need not be there where images are built."""
    matrix.declare(base=BASE, ini='addopts = "--cov=shop -n 4 -p shop.plugin"\nfilterwarnings = "error"')
    suite.write({"conftest.py": "import no_such_module"})
    assert rows(dockerkit_cli("build")) == {"base": "built"}


# Where its settings come from


@pytest.mark.parametrize("place", ["option", "environment", "ini", "addopts", "PYTEST_ADDOPTS"])
def test_a_setting_has_its_places_as_in_pytest(dockerkit_cli: Run, matrix: Matrix, place: str) -> None:
    """The command line wins over the environment, and that over the ini file."""
    engine = {name: f"unix:///nonexistent/{name}.sock" for name in ("option", "environment", "ini", "addopts")}
    ini = f'dockerkit_host = "{engine["ini"]}"\n'
    if place == "addopts":
        ini += f'addopts = "-k x --dockerkit-host {engine["addopts"]}"\n'
    environment = {} if place == "ini" else {"DOCKERKIT_HOST": engine["environment"]}
    if place == "PYTEST_ADDOPTS":
        environment["PYTEST_ADDOPTS"] = f"--dockerkit-host={engine['addopts']}"
        place = "addopts"
    matrix.declare(base=BASE, ini=ini)
    arguments = ["--host", engine["option"]] if place == "option" else []
    ran = dockerkit_cli("build", *arguments, code=1, **environment)
    assert ran.stderr.startswith(f"no Docker engine answers at {engine[place]}\n  saw:  ")
    assert ran.stdout == ""


@pytest.mark.parametrize(
    "arguments",
    [
        ("-C", "app", "build"),
        ("build", "-C", "app"),
        ("-c", "app/pytest.ini", "build"),
        ("build", "-capp/pytest.ini"),
    ],
)
def test_a_project_may_be_elsewhere(dockerkit_cli: Run, suite: Suite, arguments: tuple[str, ...]) -> None:
    suite.write({"app/pytest.ini": f"[pytest]\ndockerkit_host = {NOWHERE}", "app/Dockerfile": "FROM busybox:stable"})
    suite.write({"app/pyproject.toml": "[tool.pytest_dockerkit.images]\napi = {}"})
    assert dockerkit_cli(*arguments, code=1).stderr.startswith(f"no Docker engine answers at {NOWHERE}\n")


# What is wrong


@pytest.mark.parametrize(
    ("arguments", "sentences"),
    [
        (
            ["biuld"],
            (
                "dockerkit: 'biuld' is no command\n  saw:  there are: build, lock, list, prune, doctor, help\n"
                "  mend: did you mean 'build'?"
            ),
        ),
        ([], "dockerkit: no command is given\n  mend: see dockerkit --help"),
        (
            ["build", "apy"],
            (
                "the project declares no image of this name\n  saw:  'apy'; declared: api, base\n"
                "  mend: did you mean 'api'?"
            ),
        ),
        (
            ["build", "--rebiuld"],
            (
                "dockerkit build: --rebiuld is no argument of this command\n  saw:  build --rebiuld\n"
                "  mend: did you mean '--rebuild'?"
            ),
        ),
        (
            ["build", "--pull=alwys"],
            (
                "dockerkit build: 'alwys' is no --pull\n  saw:  there are: missing, always, never, locked\n"
                "  mend: did you mean 'always'?"
            ),
        ),
        (
            ["build", "--push"],
            (
                "there is nowhere to push to\n  saw:  --push without an image registry\n"
                "  mend: --image-registry=registry.example.com/ci, or dockerkit_image_registry in the ini file"
            ),
        ),
        (
            ["build", "--host"],
            "dockerkit build: argument --host: expected one argument\n  mend: see dockerkit build --help",
        ),
        (
            ["-C", "nowhere", "build"],
            (
                "-C names no directory to go to\n  saw:  [Errno 2] No such file or directory: 'nowhere'\n"
                "  mend: another one"
            ),
        ),
        (
            ["lock", "nowhere"],
            (
                "pytest cannot collect the tests\n  saw:  no tests collected in *\n"
                "        ERROR: file or directory not found: nowhere\n  mend: see pytest --collect-only"
            ),
        ),
    ],
)
def test_a_wrong_use_is_told(dockerkit_cli: Run, matrix: Matrix, arguments: list[str], sentences: str) -> None:
    matrix.declare(api=BASE, base=BASE)
    ran = dockerkit_cli(*arguments, code=2)
    begin, _, end = sentences.partition("*")
    assert ran.stderr.startswith(begin)
    assert ran.stderr.endswith(f"{end}\n")
    assert "*" in sentences or ran.stderr == f"{sentences}\n"
    assert ran.stdout == ""


def test_a_project_without_images_is_told(dockerkit_cli: Run, suite: Suite) -> None:
    assert dockerkit_cli("build", code=2).stderr == (
        "the project declares no images\n"
        f"  saw:  no [tool.pytest_dockerkit.images] in {suite.path}/pyproject.toml\n"
        '  mend: there: [tool.pytest_dockerkit.images], and below it a line such as: api = { target = "api" }\n'
    )


@pytest.mark.parametrize("command_name", ["build", "lock"])
def test_a_wrong_table_or_setting_is_told(dockerkit_cli: Run, suite: Suite, command_name: str) -> None:
    suite.write({"pyproject.toml": "[tool.pytest_dockerkit.images]\napi = 1\n"})
    assert dockerkit_cli(command_name, code=2).stderr == (
        f"{suite.path}/pyproject.toml: image 'api': an image has to be a table\n"
        "  saw:  api = 1\n"
        '  mend: api = { target = "…" }, or {}\n'
    )
    suite.write({"pyproject.toml": "[tool.pytest_dockerkit.images"})
    told = dockerkit_cli(command_name, code=2).stderr
    assert told.startswith(f"{suite.path}/pyproject.toml: Expected ']' at the end of a table declaration")
    suite.write({"pyproject.toml": ""})
    assert dockerkit_cli(command_name, code=2, DOCKERKIT_PULL="alwys").stderr == (
        "dockerkit_pull is 'alwys', and has to be one of: missing, always, never, locked\n"
    )


def test_it_tells_its_version_and_what_it_can_do(dockerkit_cli: Run) -> None:
    assert dockerkit_cli("--version").stdout.startswith("pytest-dockerkit ")
    for arguments in (["help"], ["--help"]):
        assert "build the images that the project declares" in dockerkit_cli(*arguments).stdout
    for arguments in (["help", "build"], ["build", "--help"]):
        assert dockerkit_cli(*arguments).stdout.startswith("usage: dockerkit build ")


def test_a_reader_that_has_had_enough_is_no_error(suite: Suite) -> None:
    """As with `| head`."""
    reads, writes = os.pipe()
    os.close(reads)
    ran = subprocess.run(command("--version"), cwd=suite.path, stdout=writes, stderr=subprocess.PIPE, check=False)
    os.close(writes)
    assert (ran.returncode, ran.stderr) == (1, b"")


def test_the_door_is_light() -> None:
    script = "import sys, pytest_dockerkit.cli; print(sorted({'docker', 'requests', 'pytest'} & {*sys.modules}))"
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout == "[]\n"


# With a registry


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """A registry that has some images."""
    if registries.PROGRAM is None:
        pytest.skip(registries.WHY_SKIPPED)
    with registries.running(tmp_path_factory.mktemp("registry") / "it") as running:
        yield running


def test_images_are_pushed_and_another_machine_pulls_them(
    dockerkit_cli: Run, matrix: Matrix, registry: Registry
) -> None:
    """Also those that were on the engine before. An engine without the images is as good as another machine."""
    matrix.declare(base=BASE, api="FROM base\nRUN true")
    place = f"--image-registry={registry.address}/ci"
    dockerkit_cli("build", "base", place)
    assert registry.tags("ci") == []
    pushed = dockerkit_cli("build", place, "--push")
    assert rows(pushed) == {"base": "cached", "api": "built"}
    assert registry.tags("ci") == sorted(line.rpartition(":")[2] for line in pushed.stdout.splitlines()[1:])
    matrix.remove()
    assert rows(dockerkit_cli("build", place)) == {"base": "pulled", "api": "pulled"}
    assert matrix.built() == ["api", "base"]


def test_what_is_not_pushed_is_a_failure_where_that_was_asked_for(
    dockerkit_cli: Run, matrix: Matrix, suite: Suite
) -> None:
    """Not where the ini file allows it: there it is a cache, and some may not write to it."""
    matrix.declare(base=BASE, ini='dockerkit_image_registry = "127.0.0.1:1/ci"\ndockerkit_image_push = "always"')
    for arguments, code in (((), 0), (("--push",), 1)):
        ran = dockerkit_cli("build", *arguments, code=code)
        assert "\nthe image registry 127.0.0.1:1/ci " in ran.stderr
        assert len(rows(ran)) == 1


# dockerkit lock


def test_the_digests_of_all_that_tests_name_are_written_down(
    dockerkit_cli: Run, suite: Suite, registry: Registry
) -> None:
    """Of markers, factories and Dockerfiles, as far as their targets reach; not of what the project builds."""
    names = ("marked", "left-out", "made", "chosen", "mapped", "base", "copied", "tagged", "in-class")
    digests = {f"{registry.address}/{name}:1": registry.put(f"{name}:1", name) for name in names}
    suite.write(
        {
            "pyproject.toml": f"""
                [tool.pytest.ini_options]
                addopts = "-m 'not slow' --strict-markers"
                markers = ["slow"]
                [tool.pytest_dockerkit.images]
                api = {{ dockerfile_text = "FROM {registry.address}/base:1" }}
                web = {{ dockerfile_text = "FROM api" }}
                """,
            "app/Dockerfile": f"""
                FROM {registry.address}/gone:1 AS unused
                FROM scratch AS web
                COPY --from={registry.address}/copied:1 / /
                FROM unused
                """,
            "conftest.py": f"""
                import pytest
                from pytest_dockerkit import ContainerSpec, container_fixture, image_fixture

                made = container_fixture("{registry.address}/made:1")
                chosen = image_fixture(params=["api", pytest.param("{registry.address}/chosen:1", id="it")])
                mapped = container_fixture(network="none", params=[{{"image": "{registry.address}/mapped:1"}}])
                built = image_fixture(build="app", target="web", tags=["{registry.address}/built:1"])
                above = image_fixture("{registry.address}/built:1")

                @container_fixture
                def at_run_time():
                    raise AssertionError("is not run")
                """,
            "tests/test_it.py": f"""
                import pytest

                pytestmark = pytest.mark.container("{registry.address}/marked:1", name="a")

                @pytest.mark.container("api", name="b")
                def test_it(containers):
                    raise AssertionError("is not run")

                @pytest.mark.slow
                @pytest.mark.container("{registry.address}/left-out:1")
                def test_left_out(): ...

                @pytest.mark.container(dockerfile_text="FROM {registry.address}/tagged:1")
                @pytest.mark.container("{registry.address}/marked@sha256:{64 * "0"}", name="by-digest")
                class TestIt:
                    @pytest.mark.container("{registry.address}/in-class:1", name="c")
                    def test_it(self): ...
                """,
        }
    )
    missing = dockerkit_cli("lock", "--check", code=1)
    assert missing.stderr.splitlines() == [
        f"{name} is missing ({who})"
        for name, who in sorted(
            {
                f"{registry.address}/{name}:1": who
                for name, who in {
                    "base": "the declared image 'api'",
                    "marked": "tests/test_it.py::test_it",
                    "left-out": "tests/test_it.py::test_left_out",
                    "tagged": "tests/test_it.py::TestIt::test_it",
                    "in-class": "tests/test_it.py::TestIt::test_it",
                    "made": f"{suite.path}/conftest.py:5",
                    "chosen": f"{suite.path}/conftest.py:6",
                    "mapped": f"{suite.path}/conftest.py:7",
                    "copied": f"{suite.path}/conftest.py:8",
                }.items()
            }.items()
        )
    ]
    path = suite.path / "dockerkit.lock"
    assert not path.exists()
    ran = dockerkit_cli("lock")
    assert (ran.stdout.splitlines()[-1], ran.stderr) == (f"{path}: 9 images, written", "")
    assert dict(lockfile.read(path).digests) == digests
    assert dockerkit_cli("lock", "--check").stdout == f"{path}: 9 of 9 images\n"


def test_what_no_registry_gives_is_told_and_the_rest_is_written(
    dockerkit_cli: Run, suite: Suite, registry: Registry
) -> None:
    there = f"{registry.address}/there:1"
    digest = registry.put("there:1", "there")
    suite.write(
        {
            "test_it.py": f"""
                import pytest

                @pytest.mark.container("{there}", name="a")
                @pytest.mark.container("{registry.address}/gone:1", name="b")
                def test_it(): ...
                """
        }
    )
    ran = dockerkit_cli("lock", code=1)
    assert ran.stdout.splitlines() == [f"{there} {digest} (new)", f"{suite.path}/dockerkit.lock: 1 images, written"]
    assert ran.stderr.startswith(
        f"\ntest_it.py::test_it: no registry gives the digest of {registry.address}/gone:1\n  saw:  "
    )
    moved = registry.put("there:1", "there, and another")
    ran = dockerkit_cli("lock", code=1)
    assert ran.stdout.splitlines()[0] == f"{there} {moved} (was {digest})"
    assert dict(lockfile.read(suite.path / "dockerkit.lock").digests) == {there: moved}


def test_what_other_tests_use_stays_in_the_file(dockerkit_cli: Run, suite: Suite, registry: Registry) -> None:
    """Where only some are named, and where some cannot be collected; a later run over all takes out the rest."""
    for name in ("one", "two"):
        registry.put(f"{name}:1", name)
        test = f"import pytest\n\n@pytest.mark.container('{registry.address}/{name}:1')\ndef test_it(): ...\n"
        suite.write({f"test_{name}.py": test})
    path = suite.path / "dockerkit.lock"

    def locked() -> list[str]:
        return [name.removeprefix(f"{registry.address}/") for name in lockfile.read(path).digests]

    dockerkit_cli("lock", "test_one.py")
    assert locked() == ["one:1"]
    dockerkit_cli("lock", "test_two.py")
    assert locked() == ["one:1", "two:1"]
    suite.write({"test_one.py": "import no_such_module\n"})
    ran = dockerkit_cli("lock", code=1)
    assert ran.stderr.startswith("test_one.py cannot be collected\n")
    assert "No module named 'no_such_module'" in ran.stderr
    assert locked() == ["one:1", "two:1"]
    suite.write({"test_one.py": "def test_it(): ...\n"})
    assert f"{registry.address}/one:1 is not used any more" in dockerkit_cli("lock", "--check").stdout
    dockerkit_cli("lock")
    assert locked() == ["two:1"]
