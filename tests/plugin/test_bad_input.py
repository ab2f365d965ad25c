"""Bad input: three lines, what, saw and mend, without a frame of the plugin's. What only looks bad works."""

from __future__ import annotations

import re
import socket
import textwrap
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.plugin.conftest import Outcome, Suite

NOWHERE = "unix:///nonexistent/docker.sock"

MARKER_CASES = {
    "an unknown keyword": (
        '"busybox:stable", comand="true"',
        """
        comand= is no keyword here
          saw:  comand='true'
          mend: did you mean 'command'?
        """,
    ),
    "an unknown keyword of what is built": (
        'build=".", dockerfiel="Dockerfile.multi"',
        """
        dockerfiel= is no keyword here
          saw:  dockerfiel='Dockerfile.multi'
          mend: did you mean 'dockerfile'?
        """,
    ),
    "a wrong type": (
        '"busybox:stable", ports=3080',
        """
        ports= is of the wrong type
          saw:  ports=3080 (int)
          mend: ports=[3080], ports=["53/udp"] or ports=["8080:80"]
        """,
    ),
    "a wrong type of a flag": (
        '"busybox:stable", read_only="yes"',
        """
        read_only= is of the wrong type
          saw:  read_only='yes' (str)
          mend: read_only=True or read_only=False
        """,
    ),
    "a wrong value": (
        '"busybox:stable", timeout="soon"',
        """
        timeout= is not a duration
          saw:  timeout='soon' (str)
          mend: a number of seconds, or a text such as "30s", "1m30s" or "250ms"
        """,
    ),
    "an image of the wrong type": (
        "7",
        """
        image= is of the wrong type
          saw:  image=7 (int)
          mend: image="redis:7", an ImageSpec or an image fixture
        """,
    ),
    "an image with a space in its name": (
        '"Redis 7"',
        """
        image= is not an image reference
          saw:  image='Redis 7'
          mend: [registry/]name[:tag] in lower case, such as "redis:7"; a Dockerfile goes into build=
        """,
    ),
    "an image in upper case": (
        '"Größe/Redis:7"',
        """
        image= is not an image reference
          saw:  image='Größe/Redis:7'
          mend: [registry/]name[:tag] in lower case, such as "redis:7"; a Dockerfile goes into build=
        """,
    ),
    "no image": (
        "ports=[80]",
        """
        no image is given
          saw:  keywords: ports
          mend: an image such as "redis:7", or build=
        """,
    ),
    "two images": (
        '"busybox:stable", "redis:7"',
        """
        the container marker takes one image
          saw:  'busybox:stable', 'redis:7'
          mend: one marker for each container
        """,
    ),
    "an image twice": (
        '"busybox:stable", image="redis:7"',
        """
        the image is given twice
          saw:  'busybox:stable' and image='redis:7'
          mend: give one of them
        """,
    ),
    "an image and a context": (
        '"busybox:stable", build="."',
        """
        an image to be used and one to be built are both given
          saw:  image 'busybox:stable' and build='.'
          mend: give one of them
        """,
    ),
    "a missing context": (
        'build="ap"',
        """
        the build context does not exist
          saw:  build='ap', which is {here}/ap
          mend: did you mean 'app'? relative paths start from {here}
        """,
    ),
    "a context that is a file": (
        'build="app/Dockerfile"',
        """
        the build context is not a directory
          saw:  build='app/Dockerfile', which is {here}/app/Dockerfile
          mend: relative paths start from {here}
        """,
    ),
    "a missing Dockerfile": (
        'build="app", dockerfile="Dockerfile.mutli"',
        """
        the Dockerfile does not exist
          saw:  {here}/app/Dockerfile.mutli (dockerfile= starts from the context); there: Dockerfile, Dockerfile.multi
          mend: did you mean 'Dockerfile.multi'?
        """,
    ),
    "a missing Dockerfile where there is none": (
        'build="empty"',
        """
        the Dockerfile does not exist
          saw:  {here}/empty/Dockerfile (dockerfile= starts from the context); there: none
          mend: write one, or dockerfile=
        """,
    ),
    "a missing target": (
        'build="app", dockerfile="Dockerfile.multi", target="api-biuld"',
        """
        target 'api-biuld' is no stage of {here}/app/Dockerfile.multi
          saw:  stages: base, client-build, api-build
          mend: did you mean 'api-build'?
        """,
    ),
    "a target where no stage has a name": (
        'build="app", target="api"',
        """
        target 'api' is no stage of {here}/app/Dockerfile
          saw:  stages: none has a name
          mend: name a stage with FROM … AS, or drop target=
        """,
    ),
    "a memory cap under the minimum": (
        '"busybox:stable", memory="5m"',
        """
        memory cap is below the engine's minimum of 6 MiB
          saw:  memory='5m', which is 5 MiB
          mend: memory="6m" or more
        """,
    ),
    "a memory cap of zero": (
        '"busybox:stable", memory=0',
        """
        memory cap is below the engine's minimum of 6 MiB
          saw:  memory=0, which is 0 bytes
          mend: memory="6m" or more
        """,
    ),
    "a relative path of a volume": (
        '"busybox:stable", volumes=["./dta:/data"]',
        """
        volumes= mounts a path that does not exist at /data
          saw:  {here}/dta
          mend: create it, or correct the path; relative paths start from the file that says them
        """,
    ),
    "a relative path of a file": (
        '"busybox:stable", files={"/etc/app.toml": Path("app.toml")}',
        """
        files= names a file that does not exist
          saw:  {here}/app.toml
          mend: relative paths start from {here}
        """,
    ),
    "a relative path of variables": (
        '"busybox:stable", env_file="app.env"',
        """
        env_file= names a file that does not exist
          saw:  {here}/app.env
          mend: relative paths start from {here}
        """,
    ),
    "a name with a space": (
        '"busybox:stable", name="my db"',
        """
        name= cannot be a DNS name, and other containers find this one by it
          saw:  name='my db'
          mend: name="my-db": letters, digits, ".", "_" and "-", at most 63
        """,
    ),
    "a name in unicode": (
        '"busybox:stable", name="café"',
        """
        name= cannot be a DNS name, and other containers find this one by it
          saw:  name='café'
          mend: name="cafe": letters, digits, ".", "_" and "-", at most 63
        """,
    ),
    "an env that is no mapping": (
        '"busybox:stable", env=["A=1"]',
        """
        env= is of the wrong type
          saw:  env=['A=1'] (list)
          mend: env={{"NAME": "value"}}
        """,
    ),
    "an env name with an equals sign": (
        '"busybox:stable", env={"A=B": "1"}',
        """
        env= has a name with '=' in it
          saw:  'A=B'
          mend: env={{"NAME": "value"}}
        """,
    ),
    "an env value of the wrong type": (
        '"busybox:stable", env={"DEBUG": True}',
        """
        env['DEBUG'] must be a text or a number
          saw:  True (bool)
          mend: env={{"NAME": "value"}}
        """,
    ),
    "an unknown scope": (
        '"busybox:stable", scope="modul"',
        """
        scope= is not one of its values
          saw:  'modul'
          mend: one of: 'session', 'package', 'module', 'class', 'function'
        """,
    ),
    "the host's network with ports": (
        '"busybox:stable", network="host", ports=[80]',
        """
        host networking publishes no ports
          saw:  network='host' with ports=[80]
          mend: drop ports=: the service answers on its own port of the host; or use a bridge network
        """,
    ),
    "an unknown network": (
        '"busybox:stable", network="isolatd"',
        """
        network= is not a network that is known
          saw:  network='isolatd'
          mend: did you mean 'isolated'? Or external("isolatd") for one that exists on the engine
        """,
    ),
    "an unknown dependency": (
        '"busybox:stable", depends_on=["api"]',
        """
        container 'container' depends on 'api', which the test does not have
          saw:  depends_on=['api']
          mend: add @pytest.mark.container(…, name="api")
        """,
    ),
    "a dependency on itself": (
        '"busybox:stable", name="db", depends_on=["db"]',
        """
        containers depend on each other in a circle
          saw:  db → db
          mend: drop one of the depends_on=
        """,
    ),
}

STACK_CASES = {
    "one name twice": (
        ['"busybox:stable"', '"redis:7"'],
        """
        two container markers of one test are both named 'container'
          saw:  images 'busybox:stable' and 'redis:7'
          mend: give each a name of its own: @pytest.mark.container(…, name="db")
        """,
    ),
    "a dependency with a slip in it": (
        ['"busybox:stable", name="store"', '"busybox:stable", name="api", depends_on=["stroe"]'],
        """
        container 'api' depends on 'stroe', which the test does not have
          saw:  depends_on=['stroe']
          mend: did you mean 'store'?
        """,
    ),
    "a circle": (
        ['"busybox:stable", name="db", depends_on=["api"]', '"busybox:stable", name="api", depends_on=["db"]'],
        """
        containers depend on each other in a circle
          saw:  db → api → db
          mend: drop one of the depends_on=
        """,
    ),
    "a dependency that lives shorter": (
        ['"busybox:stable", name="db"', '"busybox:stable", name="api", depends_on=["db"], scope="session"'],
        """
        container 'api' lives longer than 'db', which it depends on
          saw:  scope='session' depends on scope='function'
          mend: scope="session" for 'db' too
        """,
    ),
}


def told_at_collection(suite: Suite, markers: list[str], error: str) -> Outcome:
    """Run a test with wrong markers where no engine is, and look for the error that names the test."""
    stack = "\n".join(f"@pytest.mark.container({each})" for each in markers)
    suite.write(
        {"test_inner.py": f"import pytest\nfrom pathlib import Path\n\n{stack}\ndef test_it(containers): pass\n"}
    )
    outcome = suite.run_files().ended(errors=1)
    what, _, rest = textwrap.dedent(error).strip("\n").format(here=suite.path).partition("\n")
    return outcome.says(f"test_inner.py::test_it: @pytest.mark.container: {what}\n{rest}")


@pytest.fixture
def app(suite: Suite, monkeypatch: pytest.MonkeyPatch) -> Suite:
    """A project with two Dockerfiles, on a machine where no engine answers."""
    monkeypatch.setenv("DOCKER_HOST", NOWHERE)
    multi = "FROM busybox AS base\nFROM base AS client-build\nFROM base AS api-build\n"
    suite.write({"app/Dockerfile": "FROM busybox\n", "app/Dockerfile.multi": multi, "empty/readme": ""})
    return suite


@pytest.mark.parametrize("case", MARKER_CASES)
def test_a_wrong_marker_is_told_at_collection(app: Suite, case: str) -> None:
    """It names the test, what was given, and what is right; no engine is needed for it."""
    marker, error = MARKER_CASES[case]
    told_at_collection(app, [marker], error)


@pytest.mark.parametrize("case", STACK_CASES)
def test_wrong_markers_of_one_test_are_told_at_collection(app: Suite, case: str) -> None:
    markers, error = STACK_CASES[case]
    told_at_collection(app, markers, error)


def test_a_marker_that_outlives_a_fixture_is_told_at_collection(app: Suite) -> None:
    """Its network or its dependency would be gone, or be another, for the tests to come."""
    outcome = app.run(
        """
        import pytest
        from pytest_dockerkit import container_fixture, network_fixture

        net = network_fixture()
        db = container_fixture("busybox:stable", scope="module")

        @pytest.mark.container("busybox:stable", network=[net], scope="class")
        def test_network(container): pass

        @pytest.mark.container("busybox:stable", depends_on=["db"], scope="session", name="api")
        def test_dependency(container): pass

        @pytest.mark.container("busybox:stable", depends_on=[db], network=net)
        def test_right(container): pass
        """
    )
    outcome.ended(errors=1)
    places = [f"test_inner.py::test_{name}: @pytest.mark.container" for name in ("network", "dependency")]
    outcome.says(
        f"""
        {places[0]}: container 'container' lives longer than the fixture 'net', which it needs
          saw:  scope='class' needs scope='function'
          mend: scope="class" for 'net' too

        {places[1]}: container 'api' lives longer than the fixture 'db', which it needs
          saw:  scope='session' needs scope='module'
          mend: scope="session" for 'db' too
        """
    )


def test_each_wrong_marker_of_a_module_is_told(app: Suite) -> None:
    """Not only the first; one that several tests share is told for each of them."""
    outcome = app.run(
        """
        import pytest

        @pytest.mark.container("busybox:stable", cpu=1)
        def test_first(): pass

        @pytest.mark.container("busybox:stable", cpus=0)
        @pytest.mark.parametrize("case", [1, 2])
        def test_second(case): pass
        """
    )
    outcome.ended(errors=1)
    outcome.says(
        """
        test_inner.py::test_first: @pytest.mark.container: cpu= is no keyword here
          saw:  cpu=1
          mend: did you mean 'cpus'?
        """
    )
    for case in (1, 2):
        outcome.says(
            f"""
            test_inner.py::test_second[{case}]: @pytest.mark.container: cpus= must be above zero
              saw:  cpus=0
              mend: cpus=0.5
            """
        )


def test_relative_paths_of_a_marker_start_from_its_file(suite: Suite) -> None:
    """Not from the directory that pytest is run in, nor from that of its configuration."""
    suite.write(
        {
            "Dockerfile": "FROM nosuch.example/of-root\n",
            "deep/tests/test_below.py": """
            import pytest
            from pathlib import Path

            @pytest.mark.container(build="../app", dockerfile="../docker/Dockerfile", env_file="my.env",
                                   files={"/inside": Path("my.env")}, volumes=["./data:/data:ro"], network="none")
            def test_it(container):
                told = container.exec(["sh", "-c", "cat /copied /inside /data/file; echo $FROM_FILE"]).stdout
                assert told == "of the app\\nFROM_FILE=yes\\nof the data\\nyes\\n"
            """,
            "deep/tests/my.env": "FROM_FILE=yes\n",
            "deep/tests/data/file": "of the data\n",
            "deep/app/copied": "of the app\n",
            "deep/docker/Dockerfile": 'FROM busybox:stable\nCOPY copied /copied\nCMD ["sleep", "600"]\n',
        }
    )
    suite.run_files().ended(passed=1)


def test_values_with_braces_quotes_and_newlines_reach_the_container(suite: Suite) -> None:
    """As they are, on every way: environment, labels, command, files, exec; unicode and spaces in paths too."""
    dockerfile = 'FROM busybox:stable\nCOPY ["ä ö", "/ä ö"]\n'
    suite.write({"größe und maß/Dockerfile ü": dockerfile, "größe und maß/ä ö": "ü"})
    suite.run(
        r"""
        import pytest

        VALUES = {
            "BRACES": '{"key": "${HOME} {{x}}"}', "QUOTES": "\"double\" 'single' `back`",
            "LINES": "one\ntwo\n\tthree", "BACKSLASH": "a\\b\\n", "EQUALS": "a=b=c",
            "DOLLAR": "$HOME $$ %s %(x)s", "UNICODE": "größe ☃", "EMPTY": "", "SPACES": "  around  ",
        }

        @pytest.mark.container(build="größe und maß", dockerfile="Dockerfile ü", env=VALUES, labels=VALUES,
                               command=["sh", "-c", 'sleep 600', *VALUES.values()], network="none",
                               files={"/etc/my file ü": VALUES["LINES"]})
        def test_it(container):
            for name, value in VALUES.items():
                assert container.exec(["sh", "-c", f'printf %s "${name}"']).stdout == value
                assert container.exec(["printf", "%s", value]).stdout == value
                assert container.labels[name] == value
            assert container.inspect()["Config"]["Cmd"][3:] == list(VALUES.values())
            assert container.read_file("/etc/my file ü") == VALUES["LINES"]
            assert container.read_file("/ä ö") == "ü"
        """
    ).ended(passed=1)


def test_an_image_that_cannot_be_pulled(suite: Suite) -> None:
    outcome = suite.run(
        """
        import pytest

        @pytest.mark.container("registry.invalid/some/image:1")
        def test_it(container): pass
        """
    )
    outcome.ended(errors=1)
    # What the engine says goes by its version and by the resolver's address.
    said = next(line for line in outcome.result.outlines if line.startswith("  saw:  "))
    assert re.search("registry.invalid.*no such host", said)
    outcome.says(
        f"""
        the image registry.invalid/some/image:1 is not on the engine and cannot be pulled
        {said}
          mend: correct the registry's name, or see whether the engine reaches it; or load or build it first
        """
    )


def test_pulling_that_is_switched_off(suite: Suite) -> None:
    """In the marker, or for the whole run; an image that is there is used all the same."""
    outcome = suite.run(
        """
        import pytest

        @pytest.mark.container("registry.invalid/some/image:1", pull="never")
        def test_marker(container): pass

        @pytest.mark.container("registry.invalid/other/image:1")
        def test_run(container): pass

        @pytest.mark.container("busybox:stable", command="sleep 600", network="none")
        def test_there(container): pass
        """,
        "--dockerkit-pull=never",
    )
    outcome.ended(errors=2, passed=1)
    for name in ("some", "other"):
        outcome.says(
            f"""
            the image registry.invalid/{name}/image:1 is not on the engine, and pulling is switched off
              saw:  pull='never'
              mend: docker pull registry.invalid/{name}/image:1, or pull='missing' (--dockerkit-pull=missing)
            """
        )


def test_a_base_image_that_cannot_be_pulled(suite: Suite) -> None:
    suite.write({"Dockerfile": "FROM registry.invalid/some/base:1\n"})
    outcome = suite.run(
        """
        import pytest

        @pytest.mark.container(build=".", pull="never")
        def test_it(container): pass
        """
    )
    outcome.ended(errors=1)
    outcome.says(
        """
        the image registry.invalid/some/base:1 is not on the engine, and pulling is switched off
          saw:  pull='never'
          mend: docker pull registry.invalid/some/base:1, or pull='missing' (--dockerkit-pull=missing)
        """
    )


def test_an_instruction_that_fails(suite: Suite) -> None:
    """The error has the instruction, the last lines of its output, and the command to try it by hand."""
    suite.write({"app/Dockerfile": "FROM busybox:stable AS api\nRUN echo this is why && exit 4\n"})
    outcome = suite.run(
        """
        import pytest

        @pytest.mark.container(build="app", target="api")
        def test_it(container): pass
        """
    )
    outcome.ended(errors=1)
    place = suite.path / "app"
    outcome.result.stdout.fnmatch_lines(
        [
            "building app (target api) failed at *RUN echo this is why && exit 4",
            "  saw:  this is why",
            "        *exit code: 4",
            f"  mend: correct the Dockerfile; by hand: docker build --target api -f {place}/Dockerfile {place}",
        ],
        consecutive=True,
    )
    assert "pytest_dockerkit/" not in outcome.text


def test_a_port_that_is_taken(suite: Suite) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        outcome = suite.run(
            f"""
            import pytest

            @pytest.mark.container("busybox:stable", command="sleep 600", ports=["{port}:80"], network="bridge")
            def test_it(container): pass
            """
        )
    outcome.ended(errors=1)
    said = next(line for line in outcome.result.outlines if line.startswith("  saw:  "))
    assert f"127.0.0.1:{port}" in said
    assert said.endswith("address already in use")
    outcome.says(
        f"""
        the host port 127.0.0.1:{port} is taken
        {said}
          mend: free it, or name only the container's port (ports=[80]) and let the engine choose a free one
        """
    )


def test_a_program_that_is_not_in_the_image(suite: Suite) -> None:
    outcome = suite.run(
        """
        import pytest

        @pytest.mark.container("busybox:stable", command="no-such-program", network="none")
        def test_it(container): pass
        """
    )
    outcome.ended(errors=1)
    said = next(line for line in outcome.result.outlines if line.startswith("  saw:  "))
    outcome.says(
        f"""
        the container's program 'no-such-program' cannot be run
        {said}
          mend: correct command= or entrypoint=; it has to be in the image, and in its PATH or absolute
        """
    )


MANY_WAYS = """
    import pytest
    from pytest_dockerkit import container_fixture

    db = container_fixture("busybox:stable", scope="session")

    @pytest.mark.container("busybox:stable")
    def test_marker(container): pass

    @pytest.mark.container("busybox:stable", scope="module")
    def test_image(image): pass

    def test_fixture(db): pass

    def test_client(docker_client): pass

    def test_kit(dockerkit):
        dockerkit.run("busybox:stable")

    def test_plain():
        import gc
        # What was left open would be told here, as an error: warnings are errors in this run.
        gc.collect()
    """


def test_no_engine_fails_what_needs_one(suite: Suite, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test is told; the others pass."""
    monkeypatch.setenv("DOCKER_HOST", NOWHERE)
    outcome = suite.run(MANY_WAYS).ended(errors=4, failed=1, passed=1)
    mend = "start it (`docker info` should answer), or name another: --dockerkit-host, DOCKER_HOST (from DOCKER_HOST)"
    outcome.says(
        f"""
        no Docker engine answers at {NOWHERE}
          saw:  FileNotFoundError: [Errno 2] No such file or directory
          mend: {mend}
        """,
        times=4,
    )
    outcome.says(
        f"""
        pytest_dockerkit.errors.EngineUnavailableError: no Docker engine answers at {NOWHERE}
          saw:  FileNotFoundError: [Errno 2] No such file or directory
          mend: {mend}
        """
    )


@pytest.mark.parametrize("way", ["option", "ini", "environment"])
def test_no_engine_skips_where_that_is_wanted(suite: Suite, monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    args = {"option": ["--dockerkit-missing-engine=skip"], "ini": ["-o", "dockerkit_missing_engine=skip"]}.get(
        way, []
    )
    if way == "environment":
        monkeypatch.setenv("DOCKERKIT_MISSING_ENGINE", "skip")
    outcome = suite.run(MANY_WAYS, "-rs", f"--dockerkit-host={NOWHERE}", *args).ended(skipped=5, passed=1)
    assert f"no Docker engine answers at {NOWHERE}" in outcome.text
    assert "SKIPPED [1] test_inner.py:7: no Docker engine answers at" in outcome.text
    assert "pytest_dockerkit/" not in outcome.text


def test_an_engine_that_is_wrongly_named(suite: Suite) -> None:
    outcome = suite.run("def test_it(docker_client): pass", "--dockerkit-context=nosuch").ended(errors=1)
    outcome.says(
        """
        the docker context 'nosuch' cannot be used
          saw:  no such context
          mend: `docker context ls` lists them
        """
    )


def test_several_markers_where_one_is_wanted(suite: Suite) -> None:
    outcome = suite.run(
        """
        import pytest

        @pytest.mark.container("busybox:stable", name="api")
        @pytest.mark.container("busybox:stable", name="db")
        @pytest.mark.parametrize("wanted", ["container", "image"])
        def test_it(request, wanted): request.getfixturevalue(wanted)

        @pytest.mark.container("busybox:stable", name="api")
        @pytest.mark.container("busybox:stable", name="db")
        def test_direct(container): pass
        """,
        "-k",
        "direct",
    )
    outcome.ended(errors=1, deselected=2)
    outcome.says(
        """
        the fixture 'container' is for tests with one container marker
          saw:  test_inner.py::test_direct has 2: api, db
          mend: ask for the fixture containers, and take containers["api"]
        """
    )
    assert outcome.containers == []


@pytest.mark.parametrize("fixture", ["container", "image"])
def test_no_marker_where_one_is_wanted(suite: Suite, fixture: str) -> None:
    outcome = suite.run(f"def test_it({fixture}): pass").ended(errors=1)
    outcome.says(
        f"""
        the fixture '{fixture}' needs a container marker
          saw:  test_inner.py::test_it has none
          mend: @pytest.mark.container("redis:7") on the test, its class or its module
        """
    )


OPTION_ERRORS = {
    "pull": "dockerkit_pull is 'alwys', and has to be one of: missing, always, never, locked",
    "missing_engine": "dockerkit_missing_engine is 'alwys', and has to be one of: fail, skip",
    "missing_capability": "dockerkit_missing_capability is 'alwys', and has to be one of: fail, skip",
}


@pytest.mark.parametrize("name", OPTION_ERRORS)
def test_a_wrong_option_is_told_before_anything_runs(
    suite: Suite, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """On the command line, in the ini file, and in the environment."""
    option = f"--dockerkit-{name.replace('_', '-')}"
    suite.write({"test_inner.py": "def test_it(): pass\n"})
    told = suite.run_files(f"{option}=alwys")
    assert told.result.ret == pytest.ExitCode.USAGE_ERROR
    assert f"error: argument {option}: invalid choice: 'alwys' (choose from " in told.text
    suite.write({"pytest.ini": f"[pytest]\ndockerkit_{name} = alwys\n"})
    told = suite.run_files()
    assert told.result.ret == pytest.ExitCode.USAGE_ERROR
    told.says(f"ERROR: {OPTION_ERRORS[name]}")
    suite.write({"pytest.ini": "[pytest]\n"})
    monkeypatch.setenv(f"DOCKERKIT_{name.upper()}", "alwys")
    told = suite.run_files()
    assert told.result.ret == pytest.ExitCode.USAGE_ERROR
    told.says(f"ERROR: {OPTION_ERRORS[name]}")


def test_a_factory_with_a_wrong_keyword_is_told_where_it_stands(suite: Suite) -> None:
    """With the user's line alone; in a conftest.py as well as in a test module."""
    for call, error in {
        'container_fixture("busybox", prots=[80])': "prots= is no keyword here|prots=[80]|did you mean 'ports'?",
        'image_fixture(biuld=".")': "biuld= is no keyword here|biuld='.'|did you mean 'build'?",
        "network_fixture(intrenal=True)": "intrenal= is no keyword here|intrenal=True|did you mean 'internal'?",
        'volume_fixture(drivr="local")': "drivr= is no keyword here|drivr='local'|did you mean 'driver'?",
        'container_fixture("busybox:stable", memory="1m")': "memory cap is below the engine's minimum of 6 MiB|"
        "memory='1m', which is 1 MiB|memory=\"6m\" or more",
    }.items():
        what, saw, mend = error.split("|")
        told = suite.run(f"from pytest_dockerkit import *\nthing = {call}\n").ended(errors=1)
        told.says(f"pytest_dockerkit.errors.SpecError: {what}\n  saw:  {saw}\n  mend: {mend}")
        told.says(f"test_inner.py:2: in <module>\n    thing = {call}\n{' ' * 12}{'^' * len(call)}")
    suite.write({"conftest.py": "from pytest_dockerkit import *\ndb = container_fixture('busybox', prots=[80])\n"})
    told = suite.run_files(subprocess=True)
    assert told.result.ret == pytest.ExitCode.USAGE_ERROR
    told.says(
        """
        pytest_dockerkit.errors.SpecError: prots= is no keyword here
          saw:  prots=[80]
          mend: did you mean 'ports'?
        """
    )


def test_wrong_params_of_a_factory_are_told(suite: Suite) -> None:
    outcome = suite.run(
        """
        from pytest_dockerkit import container_fixture

        db = container_fixture("busybox:stable", params=[{"prots": [80]}])

        def test_it(db): pass
        """
    )
    outcome.ended(errors=1)
    outcome.says(
        """
        prots= is no keyword here
          saw:  prots=[80]
          mend: did you mean 'ports'?
        """
    )


def test_a_fixture_function_that_returns_no_spec(suite: Suite) -> None:
    """Or raises: then the user's own line is shown."""
    outcome = suite.run(
        """
        from pytest_dockerkit import ContainerSpec, container_fixture

        @container_fixture
        def db():
            ContainerSpec(image="busybox:stable")

        @container_fixture
        def wrong():
            return ContainerSpec(image="busybox:stable", cpus=0)

        def test_nothing(db): pass

        def test_wrong(wrong): pass
        """
    )
    outcome.ended(errors=2)
    outcome.says(
        """
        the container fixture 'db' did not return a ContainerSpec
          saw:  None (NoneType)
          mend: return ContainerSpec(image=…)
        """
    )
    outcome.says(
        """
        pytest_dockerkit.errors.SpecError: cpus= must be above zero
          saw:  cpus=0
          mend: cpus=0.5
        """
    )
    outcome.says('>       return ContainerSpec(image="busybox:stable", cpus=0)')


def test_a_wrong_spec_in_the_body_of_a_test_shows_its_line(suite: Suite) -> None:
    """The spec by itself, the kit with fields, and the kit with something else."""
    outcome = suite.run(
        """
        from pytest_dockerkit import ContainerSpec, HealthCheck, ImageSpec, NetworkSpec

        def test_spec():
            ContainerSpec(image="busybox:stable", memory="1m")

        def test_kit(dockerkit):
            dockerkit.run("busybox:stable", prots=[80])

        def test_build(dockerkit):
            dockerkit.build(ImageSpec(build="nowhere"))

        def test_port(dockerkit):
            with dockerkit.run("busybox:stable", command="sleep 600", network="none") as box:
                box.url(80)
        """
    )
    outcome.ended(failed=4)
    outcome.says(
        """
        pytest_dockerkit.errors.SpecError: memory cap is below the engine's minimum of 6 MiB
          saw:  memory='1m', which is 1 MiB
          mend: memory="6m" or more
        """
    )
    outcome.says('>       ContainerSpec(image="busybox:stable", memory="1m")')
    outcome.says(
        """
        pytest_dockerkit.errors.SpecError: prots= is no keyword here
          saw:  prots=[80]
          mend: did you mean 'ports'?
        """
    )
    outcome.says(
        f"""
        pytest_dockerkit.errors.SpecError: the build context does not exist
          saw:  build='nowhere', which is {suite.path}/nowhere
          mend: relative paths start from {suite.path}
        """
    )
    outcome.says(
        """
        pytest_dockerkit.errors.PortNotPublishedError: container 'busybox' does not publish port 80/tcp
          saw:  published: none; status running
          mend: ports=[80]
        """
    )


def test_names_of_tests_and_files_with_spaces_and_unicode(suite: Suite) -> None:
    """They are no part of any name on the engine that could be refused."""
    suite.write(
        {
            "größe und maß/test_ü.py": """
            import pytest

            @pytest.mark.parametrize("case", ["a b/c:d", "größe ☃", "{}'\\""])
            @pytest.mark.container("busybox:stable", command="sleep 600", scope="module")
            def test_größe(container, case): pass

            @pytest.mark.container("busybox:stable", command="sleep 600", volumes=["data:/data"])
            class TestMaß:
                def test_ä(self): pass
            """
        }
    )
    suite.run_files().ended(passed=4)
