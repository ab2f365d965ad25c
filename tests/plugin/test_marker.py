"""The marker: where it may stand, for how long its containers live, and which of them are one."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

    from tests.plugin.conftest import Suite

#: Stays until it is killed; quick to start, since it has no network of its own.
STAYS = 'image="busybox:stable", command="sleep 600", network="none"'

NOWHERE = "unix:///nonexistent/docker.sock"


def test_markers_stand_on_modules_classes_and_functions(suite: Suite) -> None:
    """A test has those of all three, and `containers` has them by name."""
    outcome = suite.run(
        f"""
        import pytest

        pytestmark = pytest.mark.container({STAYS}, name="of-module", scope="module")

        @pytest.mark.container({STAYS}, name="of-class", scope="class")
        class TestAll:
            @pytest.mark.container({STAYS}, name="of-function")
            def test_three(self, containers):
                assert list(containers) == ["of-module", "of-class", "of-function"]
                assert {{each.status for each in containers.values()}} == {{"running"}}

            def test_two(self, containers):
                assert list(containers) == ["of-module", "of-class"]

        def test_one(container):
            assert container.alias == "of-module"
            assert container.labels["pytest.dockerkit.name"] == "of-module"
        """
    )
    outcome.ended(passed=3)
    assert outcome.names == ["of-module", "of-class", "of-function"]


def test_each_scope_instance_has_a_container_of_its_own(suite: Suite) -> None:
    """Classes and modules do not share theirs; where there is no class, its container lives for one test."""
    suite.write(
        {
            "marks.py": f"""
            import pytest

            SCOPES = ("session", "package", "module", "class", "function")
            MARKS = [pytest.mark.container({STAYS}, name=each, scope=each) for each in SCOPES]
            """,
            "conftest.py": "",
            "one/__init__.py": "",
            "one/test_classes.py": """
            from marks import MARKS

            pytestmark = MARKS
            seen = {}

            class TestFirst:
                def test_first(self, containers):
                    seen.update(containers)

                def test_second(self, containers):
                    new = {name for name in containers if containers[name] is not seen[name]}
                    assert new == {"function"}

            class TestSecond:
                def test_third(self, containers):
                    new = {name for name in containers if containers[name] is not seen[name]}
                    assert new == {"function", "class"}
            """,
            "two/__init__.py": "",
            "two/test_other.py": """
            from marks import MARKS

            pytestmark = MARKS

            def test_fourth(containers):
                from one.test_classes import seen
                new = {name for name in containers if containers[name] is not seen[name]}
                assert new == {"function", "class", "module", "package"}
            """,
        }
    )
    outcome = suite.run_files().ended(passed=4)
    assert Counter(outcome.names) == {"function": 4, "class": 3, "module": 2, "package": 2, "session": 1}


def test_a_container_is_gone_at_the_end_of_its_scope(suite: Suite) -> None:
    """Behind the next test, those of the function and of the class go; that of the module runs."""
    suite.run(
        f"""
        import docker
        import pytest
        from pytest_dockerkit._poll import Look, until_ready

        pytestmark = pytest.mark.container({STAYS}, name="of-module", scope="module")
        seen = {{}}

        @pytest.mark.container({STAYS}, name="of-class", scope="class")
        class TestOne:
            @pytest.mark.container({STAYS}, name="of-function")
            def test_first(self, containers):
                seen.update({{name: each.id for name, each in containers.items()}})

            def test_second(self, docker_client):
                await_living(docker_client, {{"of-class", "of-module"}})

        def test_third(docker_client):
            await_living(docker_client, {{"of-module"}})

        def await_living(client, names):
            assert until_ready(lambda: Look(living(client) == names), timeout_s=60).ready

        def living(client):
            ids = {{each["Id"] for each in client.api.containers(all=True)}}
            return {{name for name, id in seen.items() if id in ids}}
        """
    ).ended(passed=3)


def test_equal_specs_of_one_scope_are_one_container(suite: Suite) -> None:
    """Another spec, or another name, is another container; how a number is written makes no difference."""
    outcome = suite.run(
        f"""
        import pytest

        seen = {{}}

        @pytest.mark.container({STAYS}, scope="session", env={{"A": 1, "B": 2}}, cpus=1)
        def test_first(container):
            seen["first"] = container

        @pytest.mark.container({STAYS}, scope="session", env={{"B": "2", "A": "1"}}, cpus=1.0)
        def test_equal(container):
            assert container is seen["first"]

        @pytest.mark.container({STAYS}, scope="session", env={{"A": 2}})
        def test_different(container):
            assert container is not seen["first"]

        @pytest.mark.container({STAYS}, scope="session", env={{"A": 1, "B": 2}}, cpus=1, name="other")
        def test_other_name(container):
            assert container is not seen["first"]

        @pytest.mark.container({STAYS}, scope="module", env={{"A": 1, "B": 2}}, cpus=1)
        def test_other_scope(container):
            assert container is not seen["first"]
        """
    )
    outcome.ended(passed=5)
    assert outcome.names == ["container", "container", "other", "container"]


def test_an_equal_marker_twice_on_one_test_is_one_container(suite: Suite) -> None:
    outcome = suite.run(
        f"""
        import pytest

        pytestmark = pytest.mark.container({STAYS})

        @pytest.mark.container({STAYS})
        def test_one(container):
            pass
        """
    )
    outcome.ended(passed=1)
    assert outcome.names == ["container"]


def test_equal_specs_of_different_modules_are_one_session_container(suite: Suite) -> None:
    """Relative paths count by where they lead, not by how they are written."""
    suite.write(
        {
            "conftest.py": "",
            "data/value": "hello",
            "test_above.py": """
            import pytest
            from pathlib import Path

            @pytest.mark.container("busybox:stable", command="sleep 600", files={"/value": Path("data/value")},
                                   scope="session", network="none")
            def test_above(container):
                assert container.read_file("/value") == "hello"
            """,
            "sub/test_below.py": """
            import pytest
            from pathlib import Path

            @pytest.mark.container("busybox:stable", command=["sleep", "600"],
                                   files={"/value": Path("../data/value")}, scope="session", network="none")
            def test_below(container):
                assert container.read_file("/value") == "hello"
            """,
        }
    )
    outcome = suite.run_files().ended(passed=2)
    assert outcome.names == ["container"]


def test_a_base_class_brings_its_marker_with_paths_of_its_own_file(suite: Suite) -> None:
    """So does a test function that is imported; a subclass in another directory changes nothing."""
    suite.write(
        {
            "conftest.py": "",
            "lib/value": "of the library",
            "lib/__init__.py": "",
            "lib/base.py": """
            import pytest
            from pathlib import Path

            mark = pytest.mark.container("busybox:stable", command="sleep 600", files={"/value": Path("value")},
                                         network="none")

            @mark
            class Base:
                def test_inherited(self, container):
                    assert container.read_file("/value") == "of the library"

            @mark
            def test_shared(container):
                assert container.read_file("/value") == "of the library"
            """,
            "tests/value": "of the tests",
            "tests/test_here.py": """
            import pytest
            from pathlib import Path
            from lib.base import Base, test_shared

            class TestHere(Base):
                def test_own(self, container):
                    assert container.read_file("/value") == "of the library"

            @pytest.mark.container("busybox:stable", command="sleep 600", files={"/value": Path("value")},
                                   name="mine", network="none")
            class TestBoth(Base):
                def test_two(self, containers):
                    assert containers["container"].read_file("/value") == "of the library"
                    assert containers["mine"].read_file("/value") == "of the tests"

                test_inherited = None
            """,
        }
    )
    suite.run_files("tests").ended(passed=4)


def test_params_carry_markers_of_their_own(suite: Suite) -> None:
    """Each case has its own container, a case without a marker has none, and paths start from the file."""
    suite.write({"ctx/Dockerfile": 'FROM busybox:stable\nENV CASE=built\nCMD ["sleep", "600"]\n'})
    outcome = suite.run(
        f"""
        import pytest

        CASES = [
            pytest.param("one", marks=pytest.mark.container({STAYS}, env={{"CASE": "one"}})),
            pytest.param("built", marks=pytest.mark.container(build="ctx", network="none")),
            pytest.param(None),
        ]

        @pytest.mark.parametrize("case", CASES)
        def test_case(case, containers):
            found = [each.exec(["sh", "-c", "echo $CASE"]).stdout.strip() for each in containers.values()]
            assert found == ([case] if case else [])
        """
    )
    outcome.ended(passed=3)
    assert len(outcome.containers) == 2


def test_stacked_markers_start_what_is_depended_on_first(suite: Suite) -> None:
    """Whatever the order of the decorators is; each finds the others by name, and knows their state."""
    outcome = suite.run(
        """
        import pytest
        from pytest_dockerkit import probes

        @pytest.mark.container("busybox:stable", name="web", depends_on=["api", "db"], command="sleep 600")
        @pytest.mark.container("busybox:stable", name="api", depends_on=["db"], command="sleep 600")
        @pytest.mark.container("busybox:stable", name="db", command="sh -c 'echo up; sleep 600'",
                               wait=probes.log("up"))
        def test_stack(containers):
            assert set(containers) == {"web", "api", "db"}
            with pytest.raises(KeyError):
                containers["cache"]
            for name in ("api", "db"):
                containers["web"].exec(["ping", "-c", "1", name], check=True)
            containers["db"].exec(["ping", "-c", "1", "web"], check=True)
            assert len({each.network.name for each in containers.values()}) == 1
        """
    )
    outcome.ended(passed=1)
    assert outcome.names == ["db", "api", "web"]


def test_markers_without_dependencies_start_from_the_top(suite: Suite) -> None:
    outcome = suite.run(
        f"""
        import pytest

        @pytest.mark.container({STAYS}, name="zulu")
        @pytest.mark.container({STAYS}, name="alpha")
        @pytest.mark.container({STAYS}, name="mike", scope="module")
        def test_order(containers):
            pass
        """
    )
    outcome.ended(passed=1)
    # What lives longer comes first, as with fixtures.
    assert outcome.names == ["mike", "zulu", "alpha"]


def test_a_marker_may_depend_on_a_container_fixture(suite: Suite) -> None:
    """It is set up first, though the test does not ask for it, and both find each other by name."""
    outcome = suite.run(
        """
        import pytest

        @pytest.mark.container("busybox:stable", name="api", command="sleep 600", depends_on=["db"])
        def test_api(container, request):
            container.exec(["ping", "-c", "1", "db"], check=True)
            request.getfixturevalue("db").exec(["ping", "-c", "1", "api"], check=True)
        """,
        conftest="""
        from pytest_dockerkit import container_fixture

        db = container_fixture("busybox:stable", command="sleep 600", scope="session")
        """,
    )
    outcome.ended(passed=1)
    assert outcome.names == ["db", "api"]


def test_a_shared_container_meets_the_others_of_each_test(suite: Suite) -> None:
    """Two tests share a session container, each beside others of its own; those of different tests never meet."""
    outcome = suite.run(
        """
        import pytest

        def stays(name, **more):
            return pytest.mark.container("busybox:stable", command="sleep 600", name=name, **more)

        seen = {}

        @stays("db", scope="session")
        @stays("api", scope="session")
        def test_first(containers):
            containers["api"].exec(["ping", "-c", "1", "db"], check=True)
            seen.update(containers)

        @stays("db", scope="session")
        @stays("worker", scope="session")
        def test_second(containers):
            assert containers["db"] is seen["db"]
            containers["worker"].exec(["ping", "-c", "1", "db"], check=True)
            containers["db"].exec(["ping", "-c", "1", "worker"], check=True)
            assert containers["worker"].exec(["ping", "-c", "1", "api"]).exit_code != 0
        """
    )
    outcome.ended(passed=2)
    assert outcome.names == ["db", "api", "worker"]


def test_a_marker_without_a_fixture_starts_its_container(suite: Suite) -> None:
    outcome = suite.run(
        f"""
        import pytest

        @pytest.mark.container({STAYS})
        def test_plain(docker_client):
            pass

        @pytest.mark.container({STAYS}, name="for-class")
        class TestMarked:
            def test_in_class(self):
                pass
        """
    )
    outcome.ended(passed=2)
    assert outcome.names == ["container", "for-class"]


def test_the_image_fixture_starts_no_container(suite: Suite) -> None:
    """It gives the image of the marker, built for its target or found; only `image.run` starts one."""
    suite.write({"Dockerfile": "FROM busybox:stable AS one\nENV STAGE=one\nFROM one AS two\nENV STAGE=two\n"})
    outcome = suite.run(
        """
        import pytest

        @pytest.mark.container(build=".", target="one")
        def test_built(image):
            assert image.config.env["STAGE"] == "one"

        @pytest.mark.container("busybox:stable")
        def test_found(image):
            assert "busybox:stable" in image.tags
            assert image.cached
        """
    )
    outcome.ended(passed=2)
    assert outcome.containers == []


def test_the_image_and_its_container_can_be_had_together(suite: Suite) -> None:
    outcome = suite.run(
        f"""
        import pytest

        @pytest.mark.container({STAYS})
        def test_both(image, container):
            assert container.image.id == image.id
        """
    )
    outcome.ended(passed=1)
    assert len(outcome.containers) == 1


def test_a_wide_container_that_fails_is_told_to_each_test_and_started_once(suite: Suite) -> None:
    outcome = suite.run(
        """
        import pytest
        from pytest_dockerkit import probes

        pytestmark = pytest.mark.container("busybox:stable", command="sh -c 'echo broken; exit 3'",
                                           wait=probes.log("never"), scope="module", network="none")

        def test_first(container):
            pass

        def test_second(containers):
            pass

        def test_third():
            pass
        """,
        conftest="""
        starts = []

        def pytest_dockerkit_container_failed(spec, error):
            starts.append(error)

        def pytest_terminal_summary(terminalreporter):
            terminalreporter.write_line(f"{len(starts)} failed")
        """,
    )
    outcome.result.assert_outcomes(errors=3)
    outcome.says(
        """
        container 'container' has ended before it was ready
          saw:  exit code 3
          mend: read its log below, and correct its command, env or files
          last lines of its log (container):
            broken
        """,
        times=3,
    ).says("1 failed")


def test_collection_contacts_no_engine(suite: Suite, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor does a run of tests that need no container, beside others that do."""
    monkeypatch.setenv("DOCKER_HOST", NOWHERE)
    source = f"""
        import pytest

        @pytest.mark.container({STAYS}, scope="session")
        def test_marked(container):
            pass

        def test_plain():
            pass
        """
    outcome = suite.run(source, "--collect-only", "--dockerkit-pull=always")
    assert outcome.result.ret == 0
    assert "2 tests collected" in outcome.text
    suite.run(source, "-k", "plain").ended(passed=1, deselected=1)


def test_unittest_classes_have_their_markers_carried_out(suite: Suite) -> None:
    """`unittest.TestCase` takes no fixtures as arguments, but usefixtures and autouse fixtures work on it."""
    outcome = suite.run(
        f"""
        import unittest
        import pytest

        @pytest.mark.container({STAYS}, scope="class")
        class TestOld(unittest.TestCase):
            @pytest.fixture(autouse=True)
            def take(self, container):
                self.container = container

            def test_first(self):
                self.assertEqual(self.container.status, "running")

            def test_second(self):
                self.assertEqual(self.container.exec("echo hello").stdout, "hello\\n")

        @pytest.mark.container({STAYS}, name="unseen")
        @pytest.mark.usefixtures("containers")
        class TestUsing(unittest.TestCase):
            def test_it(self):
                pass
        """
    )
    outcome.ended(passed=3)
    assert outcome.names == ["container", "unseen"]


def test_a_parametrised_test_has_its_marker_for_each_case(suite: Suite) -> None:
    """A function container for each case; a session container for all of them."""
    outcome = suite.run(
        f"""
        import pytest

        @pytest.mark.container({STAYS}, name="own")
        @pytest.mark.container({STAYS}, name="shared", scope="session")
        @pytest.mark.parametrize("case", [1, 2])
        def test_case(containers, case):
            assert set(containers) == {{"own", "shared"}}
        """
    )
    outcome.ended(passed=2)
    assert Counter(outcome.names) == {"own": 2, "shared": 1}


def test_a_spec_as_the_markers_image_is_completed_by_keywords(suite: Suite) -> None:
    outcome = suite.run(
        """
        import pytest
        from pytest_dockerkit import ContainerSpec, ImageSpec

        SPEC = ContainerSpec(image="busybox:stable", command="sleep 600", env={"A": "spec"}, network="none")
        BUILT = ImageSpec(dockerfile_text='FROM busybox:stable\\nCMD ["sleep", "600"]')

        @pytest.mark.container(SPEC, memory="32m", name="both")
        @pytest.mark.container(BUILT, network="none", name="built")
        def test_it(containers):
            assert containers["both"].exec(["sh", "-c", "echo $A"]).stdout == "spec\\n"
            assert containers["both"].limits.memory_bytes == 32 * 1024**2
            assert containers["built"].status == "running"
        """
    )
    outcome.ended(passed=1)


def test_the_marker_is_listed_and_survives_strict_markers(suite: Suite) -> None:
    outcome = suite.run("", "--markers", "--strict-markers")
    assert "@pytest.mark.container(image, *, build=, target=" in outcome.text
