"""What is made before the tests ask for it: what, when, never more than is asked for, and who is told of failures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_dockerkit._runtime import ledger

if TYPE_CHECKING:
    from pathlib import Path

    from tests.plugin.conftest import Outcome, Suite

STAYS = 'command=["sleep", "1000"]'
#: Notes, from inside of the inner run, which containers there are each time a test begins.
WITNESS = """
    import json
    from pathlib import Path

    import docker
    import pytest

    SEEN = Path(__file__).with_name("witness.jsonl")

    def living(config):
        from pytest_dockerkit import _run
        label = f"pytest.dockerkit.run={_run.run_id(config)}"
        client = docker.from_env()
        try:
            found = client.api.containers(all=True, filters={"label": label})
            return sorted(each["Labels"]["pytest.dockerkit.name"] for each in found)
        finally:
            client.close()

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_call(item):
        if "settled" in item.keywords:
            from pytest_dockerkit._poll import Look, until_ready
            wanted = sorted(item.get_closest_marker("settled").args)
            assert until_ready(lambda: Look(living(item.config) == wanted), timeout_s=60).ready, living(item.config)

    def pytest_configure(config):
        config.addinivalue_line("markers", "settled(*names): the containers that there are in the end, while it runs")
"""


@pytest.fixture(params=["on", "off"])
def prefetch(request: pytest.FixtureRequest) -> str:
    """Both ways: no test can tell whether its containers were made ahead."""
    return f"--dockerkit-prefetch={request.param}"


def started(outcome: Outcome) -> int:
    return len(outcome.containers)


def ledger_lines(suite: Suite) -> list[dict[str, str]]:
    """Give what the run has written of what it has made, from a copy that its conftest has kept."""
    path = suite.path / "ledger-copy.jsonl"
    return list(ledger.read(path.parent, path.stem))


KEEP_LEDGER = """
    import shutil
    import pytest

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(session):
        from pathlib import Path
        from pytest_dockerkit import _run, _summary
        finish = _summary.finish

        def copy(runtime, **options):
            if runtime.has_made_anything:
                text = "".join(path.read_text() for path in sorted(runtime.directory.glob("*.jsonl")))
                Path(__file__).with_name("ledger-copy.jsonl").write_text(text)
            return finish(runtime, **options)

        _summary.finish = copy
        try:
            return (yield)
        finally:
            _summary.finish = finish
"""


def made(suite: Suite, kind: str) -> int:
    """Count what the run has made of a kind, whoever was given it."""
    return len([line for line in ledger_lines(suite) if line["do"] == "make" and line.get("kind") == kind])


def test_the_container_of_the_next_test_is_made_while_this_one_runs(suite: Suite) -> None:
    suite.run(
        f"""
        import pytest

        @pytest.mark.settled("one", "two", "three")
        @pytest.mark.container("busybox:stable", name="one", {STAYS})
        def test_one(container): pass

        @pytest.mark.container("busybox:stable", name="two", {STAYS})
        def test_two(container):
            assert container.status == "running"

        @pytest.mark.container("busybox:stable", name="three", {STAYS})
        def test_three(container): pass
        """,
        conftest=WITNESS,
    ).ended(passed=3)


def test_what_the_session_needs_is_there_before_its_test(suite: Suite) -> None:
    """Fixtures of factories with what they stand on, and markers."""
    suite.run(
        f"""
        import pytest

        @pytest.mark.settled("api", "db", "marked")
        def test_nothing(): pass

        def test_fixtures(api, db):
            assert api.exec(["nslookup", "db"]).exit_code == 0
            assert api.network is db.network

        @pytest.mark.container("busybox:stable", name="marked", scope="session", {STAYS})
        def test_marker(container): pass
        """,
        conftest=WITNESS
        + f"""
    from pytest_dockerkit import container_fixture, network_fixture

    backend = network_fixture(internal=True, scope="session")
    db = container_fixture("busybox:stable", network=backend, scope="session", {STAYS})
    api = container_fixture("busybox:stable", network=backend, depends_on=[db], scope="session", {STAYS})
    """,
    ).ended(passed=3)


@pytest.mark.parametrize(
    ("mark", "args"),
    [
        ("@pytest.mark.skip", ()),
        ("@pytest.mark.skipif(True, reason='no')", ()),
        ("@pytest.mark.skipif('True', reason='no')", ()),
        ("@pytest.mark.xfail(run=False)", ()),
        ("", ("-k", "test_plain")),
        ("", ("--deselect", "test_inner.py::test_it")),
        ("", ("--collect-only",)),
        ("", ("--setup-plan",)),
    ],
    ids=["skip", "skipif", "condition", "xfail", "k", "deselect", "collect-only", "setup-plan"],
)
def test_what_no_selected_test_needs_is_not_made(suite: Suite, mark: str, args: tuple[str, ...]) -> None:
    suite.run(
        f"""
        import pytest

        def test_plain(): pass

        {mark}
        @pytest.mark.container("busybox:stable", name="one", {STAYS})
        @pytest.mark.container("busybox:stable", name="two", scope="session", {STAYS})
        def test_it(containers): pass

        {mark}
        def test_fixture(db): pass
        """
        if not args or args[0] != "--deselect"
        else f"""
        import pytest

        def test_plain(): pass

        @pytest.mark.container("busybox:stable", scope="session", {STAYS})
        def test_it(container): pass
        """,
        *args,
        conftest=KEEP_LEDGER
        + f"""
    from pytest_dockerkit import container_fixture

    db = container_fixture("busybox:stable", scope="session", {STAYS})
    """,
    )
    assert ledger_lines(suite) == []


def test_each_container_is_made_once(suite: Suite, prefetch: str) -> None:
    outcome = suite.run(
        f"""
        import pytest

        @pytest.mark.container("busybox:stable", name="own", {STAYS})
        @pytest.mark.container("busybox:stable", name="of-class", scope="class", {STAYS})
        class TestIt:
            @pytest.mark.parametrize("number", range(3))
            def test_it(self, containers, number, db): pass

        @pytest.mark.container("busybox:stable", name="own", {STAYS})
        @pytest.mark.parametrize("number", range(4))
        def test_alone(container, number): pass
        """,
        prefetch,
        conftest=KEEP_LEDGER
        + f"""
    from pytest_dockerkit import container_fixture

    db = container_fixture("busybox:stable", scope="session", {STAYS})
    """,
    )
    outcome.ended(passed=7)
    assert sorted(outcome.names) == ["db", "of-class", *["own"] * 7]
    assert made(suite, "container") == 9


def test_what_the_first_test_of_a_scope_has_made_is_not_made_again(suite: Suite, prefetch: str) -> None:
    """Nothing could be made ahead of the first test; what it has made is there for the next."""
    outcome = suite.run(
        f"""
        import pytest
        from pytest_dockerkit import container_fixture, network_fixture, volume_fixture

        net = network_fixture(scope="module")
        data = volume_fixture(scope="module")
        db = container_fixture("busybox:stable", network=net, volumes={{"/data": data}}, scope="module", {STAYS})
        cache = container_fixture("busybox:stable", scope="module", {STAYS})

        @pytest.mark.container("busybox:stable", name="marked", scope="module", {STAYS})
        @pytest.mark.parametrize("number", range(3))
        def test_it(container, db, number): pass

        @pytest.mark.parametrize("number", range(2))
        def test_cache(cache, number): pass
        """,
        prefetch,
        conftest=KEEP_LEDGER,
    )
    outcome.ended(passed=5)
    assert sorted(outcome.names) == ["cache", "db", "marked"]
    assert made(suite, "container") == 3
    assert made(suite, "volume") == 1


def test_a_failure_in_the_background_is_that_of_the_tests_that_need_it(suite: Suite, prefetch: str) -> None:
    outcome = suite.run(
        f"""
        import pytest

        def test_first(): pass

        @pytest.mark.container("busybox:stable", name="broken", scope="session", ports=[80], command=["false"])
        @pytest.mark.parametrize("number", range(2))
        def test_broken(container, number): pass

        @pytest.mark.container("busybox:stable", name="own", ports=[80], command=["sh", "-c", "exit 3"])
        def test_own(container): pass

        @pytest.mark.container("busybox:stable", name="fine", {STAYS})
        def test_fine(container): pass
        """,
        prefetch,
        conftest=KEEP_LEDGER
        + """
    def pytest_dockerkit_container_failed(spec, error):
        import threading
        assert threading.current_thread() is threading.main_thread()
        print(f"told of {spec.name}: {type(error).__name__}")
    """,
    )
    outcome.ended(passed=2, errors=3)
    assert made(suite, "container") == 3
    assert "container 'broken' has ended before it was ready" in outcome.text
    assert "told of own: ContainerExitedError" in outcome.text


def test_with_x_nothing_is_left_of_what_was_made_ahead(suite: Suite) -> None:
    suite.run(
        f"""
        import pytest

        @pytest.mark.container("busybox:stable", name="own", {STAYS})
        def test_fails(container):
            assert False

        @pytest.mark.container("busybox:stable", name="own", {STAYS})
        @pytest.mark.parametrize("number", range(4))
        def test_never(container, number, db): pass
        """,
        "-x",
        conftest=f"""
        from pytest_dockerkit import container_fixture

        db = container_fixture("busybox:stable", scope="session", {STAYS})
        """,
    ).ended(failed=1)


def test_an_interruption_leaves_nothing_of_what_was_made_ahead(suite: Suite) -> None:
    suite.run(
        f"""
        import pytest

        @pytest.mark.container("busybox:stable", name="own", {STAYS})
        def test_interrupted(container):
            raise KeyboardInterrupt

        @pytest.mark.container("busybox:stable", name="own", {STAYS})
        @pytest.mark.parametrize("number", range(4))
        def test_never(container, number, db): pass
        """,
        conftest=f"""
        from pytest_dockerkit import container_fixture

        db = container_fixture("busybox:stable", scope="session", {STAYS})
        """,
        subprocess=True,
    )


def test_what_would_be_noticed_is_not_made_ahead(suite: Suite, tmp_path: Path) -> None:
    """A fixed port, a directory of the host, a container of the session that it has to know, the kit in the test."""
    suite.run(
        f"""
        import pytest
        from pytest_dockerkit import probes

        RUNS = probes.running()

        @pytest.mark.settled("db")
        def test_first(): pass

        @pytest.mark.container("busybox:stable", name="fixed", ports=["127.0.0.1:38991:80"], wait=RUNS, {STAYS})
        def test_fixed(container): pass

        @pytest.mark.settled("db", "fixed2")
        @pytest.mark.container("busybox:stable", name="fixed2", ports=["127.0.0.1:38991:80"], wait=RUNS, {STAYS})
        def test_fixed_again(container): pass

        @pytest.mark.container("busybox:stable", name="mounted", volumes={{"/data": {str(tmp_path)!r}}}, {STAYS})
        def test_mounted(container): pass

        @pytest.mark.container("busybox:stable", name="api", {STAYS})
        def test_with_session(container, db):
            assert container.exec(["nslookup", "db"]).exit_code == 0

        @pytest.mark.container("busybox:stable", name="kit", {STAYS})
        def test_with_kit(container, dockerkit): pass
        """,
        conftest=WITNESS
        + f"""
    from pytest_dockerkit import container_fixture

    db = container_fixture("busybox:stable", scope="session", {STAYS})
    """,
    ).ended(passed=6)


def test_files_that_a_fixture_writes_first_are_those_that_the_container_has(suite: Suite, prefetch: str) -> None:
    """What was made with other files is not taken."""
    outcome = suite.run(
        f"""
        import pytest
        from pathlib import Path

        HERE = Path(__file__).parent
        (HERE / "app.toml").write_text("as collected")

        @pytest.fixture(autouse=True)
        def config(request):
            (HERE / "app.toml").write_text(request.node.name)

        @pytest.mark.container("busybox:stable", files={{"/app.toml": HERE / "app.toml"}}, {STAYS})
        @pytest.mark.parametrize("number", range(4))
        def test_it(container, number, request):
            assert container.exec(["cat", "/app.toml"]).stdout == request.node.name
        """,
        prefetch,
    )
    outcome.ended(passed=4)


def test_a_context_that_changes_before_the_test_is_that_which_it_gets(suite: Suite, prefetch: str) -> None:
    outcome = suite.run(
        f"""
        import pytest
        from pathlib import Path

        HERE = Path(__file__).parent

        @pytest.fixture(scope="session", autouse=True)
        def compiled():
            (HERE / "app" / "who").write_text("compiled")

        @pytest.mark.container(build="app", scope="session", {STAYS})
        def test_it(container):
            assert container.exec(["cat", "/who"]).stdout == "compiled"
        """,
        prefetch,
        conftest="""
        from pathlib import Path

        app = Path(__file__).parent / "app"
        app.mkdir(exist_ok=True)
        (app / "who").write_text("not yet")
        (app / "Dockerfile").write_text("FROM busybox:stable\\nCOPY who /who\\n")
        """,
    )
    outcome.ended(passed=1)


def test_hooks_of_others_are_told_in_the_tests_own_thread(suite: Suite, prefetch: str) -> None:
    suite.run(
        f"""
        import pytest
        import conftest

        @pytest.mark.container("busybox:stable", name="own", {STAYS})
        @pytest.mark.parametrize("number", range(3))
        def test_it(container, number):
            assert container.labels["by"] == "hook"
            assert conftest.READY[-1] == container.id
            assert len(conftest.READY) == number + 1
        """,
        prefetch,
        conftest="""
        import dataclasses
        import threading

        READY = []

        def pytest_dockerkit_container_spec(spec):
            return dataclasses.replace(spec, labels={"by": "hook"})

        def pytest_dockerkit_container_ready(container):
            assert threading.current_thread() is threading.main_thread()
            READY.append(container.id)
        """,
    ).ended(passed=3)


def test_a_parametrised_fixture_has_each_of_its_containers(suite: Suite, prefetch: str) -> None:
    outcome = suite.run(
        """
        def test_it(cache, request):
            assert cache.exec(["sh", "-c", "echo $WHO"]).stdout.strip() in request.node.name
        """,
        prefetch,
        conftest="""
        from pytest_dockerkit import container_fixture

        cache = container_fixture(
            "busybox:stable", command=["sleep", "1000"], scope="session",
            params=[{"env": {"WHO": "one"}}, {"env": {"WHO": "two"}}], ids=["one", "two"],
        )
        """,
    )
    outcome.ended(passed=2)
    assert started(outcome) == 2


def test_a_failing_test_shows_the_whole_log_of_a_container_that_was_made_ahead(suite: Suite) -> None:
    outcome = suite.run(
        """
        import pytest
        from pytest_dockerkit import probes

        @pytest.mark.parametrize("number", range(2))
        @pytest.mark.container("busybox:stable", command=["sh", "-c", "echo begun; exec sleep 1000"],
                               wait=probes.log("begun"))
        def test_it(container, number):
            assert number == 0
        """
    )
    outcome.ended(passed=1, failed=1)
    assert "\nbegun\n" in outcome.text


def test_a_child_of_a_fork_gets_its_own_and_removes_it(suite: Suite) -> None:
    """It has none of the threads: neither does it wait for what they make, nor leave them what is to be removed."""
    outcome = suite.run(
        f"""
        import pytest

        @pytest.mark.container("busybox:stable", name="own", {STAYS})
        @pytest.mark.parametrize("number", range(4))
        def test_it(container, number):
            assert container.exec(["true"]).exit_code == 0
        """,
        conftest="""
        import os
        import pytest
        from _pytest.runner import runtestprotocol

        @pytest.hookimpl(tryfirst=True)
        def pytest_runtest_protocol(item, nextitem):
            if item.name == "test_it[0]":
                return None
            child = os.fork()
            if child == 0:
                reports = runtestprotocol(item, nextitem=nextitem, log=False)
                os._exit(0 if all(each.passed for each in reports) else 1)
            _, status = os.waitpid(child, 0)
            print(f"child ended with {status}")
            return True
        """,
        subprocess=True,
    )
    outcome.ended(passed=1)


def test_one_that_has_ended_since_it_was_ready_is_made_anew(suite: Suite) -> None:
    """Its life is as long as if it had been started for the test."""
    suite.run(
        f"""
        import pytest
        from pytest_dockerkit import probes

        @pytest.mark.settled("first", "second")
        @pytest.mark.container("busybox:stable", name="first", {STAYS})
        def test_first(container, docker_client):
            from pytest_dockerkit._poll import Look, until_ready
            label = f"pytest.dockerkit.run={{container.labels['pytest.dockerkit.run']}}"
            names = dict(label=[label, "pytest.dockerkit.name=second"], status="exited")
            ended = lambda: Look(bool(docker_client.api.containers(all=True, filters=names)))
            assert until_ready(ended, timeout_s=60).ready

        @pytest.mark.container("busybox:stable", name="second", command=["sleep", "3"], wait=probes.running())
        def test_second(container):
            assert container.status == "running"
        """,
        conftest=WITNESS,
    ).ended(passed=2)


def test_containers_that_are_gone_are_let_go(suite: Suite, prefetch: str) -> None:
    """Tests and their reports stay as long as the session; a handle has 20 kB of what the engine said."""
    outcome = suite.run(
        f"""
        import pytest

        @pytest.mark.container("busybox:stable", {STAYS})
        @pytest.mark.parametrize("number", range(6))
        def test_it(container, number): pass
        """,
        prefetch,
        conftest="""
        import gc

        def pytest_sessionfinish():
            from pytest_dockerkit import RunningContainer

            gc.collect()
            print("still there:", sum(type(each) is RunningContainer for each in gc.get_objects()))
        """,
        # In this process pytester holds on to all that hooks were given.
        subprocess=True,
    ).ended(passed=6)
    assert "still there: 1" in outcome.text
