"""What several tests share: who reaches it, who is told when it fails, and that it ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.plugin.conftest import Suite

STAYS = '"busybox:stable", command=["sleep", "1000"]'
CONFTEST = f"""
    from pytest_dockerkit import container_fixture

    db = container_fixture({STAYS}, scope="session")
"""


@pytest.mark.parametrize("need", ['"db"', "db"], ids=["by name", "by fixture"])
def test_a_dependency_of_the_session_is_found_by_every_test(suite: Suite, need: str) -> None:
    """Also by those after the first, for which it is not started."""
    suite.run(
        f"""
        import pytest
        from pytest_dockerkit import container_fixture

        db = container_fixture({STAYS}, scope="session")

        @pytest.mark.parametrize("number", range(2))
        @pytest.mark.container({STAYS}, name="api", depends_on=[{need}])
        def test_it(container, number):
            assert container.exec(["nslookup", "db"]).exit_code == 0
        """
    ).ended(passed=2)


def test_what_a_shared_fixture_stands_on_is_found_by_every_test(suite: Suite) -> None:
    suite.run(
        f"""
        import pytest
        from pytest_dockerkit import container_fixture

        db = container_fixture({STAYS}, scope="session")
        api = container_fixture({STAYS}, scope="session", depends_on=["db"])

        @pytest.mark.parametrize("number", range(2))
        @pytest.mark.container({STAYS}, name="client")
        def test_it(container, api, number):
            assert container.exec(["nslookup", "api"]).exit_code == 0
            assert container.exec(["nslookup", "db"]).exit_code == 0
        """
    ).ended(passed=2)


def test_a_parametrised_fixture_makes_another_container_each_time(suite: Suite) -> None:
    outcome = suite.run(
        """
        import pytest
        from pytest_dockerkit import image_fixture

        image = image_fixture(params=[
            {"dockerfile_text": "FROM busybox:stable\\nENV WHO=one\\n"},
            {"dockerfile_text": "FROM busybox:stable\\nENV WHO=two\\n"},
        ], ids=["one", "two"])

        @pytest.mark.container(image, command=["sleep", "1000"], scope="session")
        def test_it(container, image, request):
            assert container.exec(["sh", "-c", "echo $WHO"]).stdout.strip() in request.node.name
        """
    )
    outcome.ended(passed=2)
    assert len(outcome.containers) == 2


def test_a_shared_container_that_a_test_has_removed_is_made_anew(suite: Suite) -> None:
    outcome = suite.run(
        f"""
        import pytest

        pytestmark = pytest.mark.container({STAYS}, scope="session")

        def test_one(container):
            container.remove()

        def test_two(container):
            assert container.status == "running"
        """
    )
    outcome.ended(passed=2)
    assert len(outcome.containers) == 2


def test_a_hook_that_raises_fails_its_test_and_leaves_nothing(suite: Suite) -> None:
    suite.run(
        f"""
        import pytest

        @pytest.mark.container({STAYS})
        def test_one(container): pass

        def test_two(docker_client, request):
            label = "pytest.dockerkit.name=container"
            run = [each for each in docker_client.api.containers(filters={{"label": label}})
                   if request.config.dockerkit_run in str(each)]
            assert run == []
        """,
        conftest="""
        def pytest_dockerkit_container_ready(container):
            import _pytest.config
            container.seen
            run = container.labels["pytest.dockerkit.run"]
            CONFIG[0].dockerkit_run = run
            raise ValueError("not today")

        CONFIG = []

        def pytest_configure(config):
            config.dockerkit_run = "none"
            CONFIG.append(config)
        """,
    ).ended(passed=1, errors=1)


def test_the_end_is_clean_though_another_plugin_fails_there(suite: Suite) -> None:
    outcome = suite.run(
        f"def test_one(dockerkit):\n    dockerkit.run({STAYS})\n",
        conftest="""
        def pytest_sessionfinish():
            raise ValueError("no luck at the end")
        """,
        subprocess=True,
    )
    assert "no luck at the end" in outcome.text


def test_a_test_that_changes_its_home_does_not_hide_what_it_leaves(suite: Suite) -> None:
    """The controller finds the ledger of a worker that has died."""
    outcome = suite.run(
        f"""
        import os
        import pytest

        @pytest.fixture(autouse=True)
        def home(monkeypatch, tmp_path):
            monkeypatch.setenv("HOME", str(tmp_path))
            monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

        @pytest.mark.container({STAYS})
        def test_one(container):
            os._exit(3)
        """,
        "-n1",
        "--max-worker-restart=0",
        subprocess=True,
    )
    assert "all removed, images kept" in outcome.text


def test_a_marker_that_a_plugin_adds_counts(suite: Suite) -> None:
    outcome = suite.run(
        "def test_one(): pass\n",
        conftest=f"""
        import pytest

        def pytest_collection_modifyitems(items):
            for item in items:
                item.add_marker(pytest.mark.container({STAYS}))
        """,
    )
    outcome.ended(passed=1)
    assert len(outcome.containers) == 1


def test_names_of_the_kit_are_free_again_when_their_container_is_gone(suite: Suite) -> None:
    suite.run(
        f"""
        def test_one(dockerkit):
            for _ in range(2):
                with dockerkit.run({STAYS}) as one, dockerkit.run({STAYS}) as two:
                    assert (one.alias, two.alias) == ("busybox", "busybox-2")
        """
    ).ended(passed=1)


def test_threads_of_one_test_share_its_network(suite: Suite) -> None:
    suite.run(
        f"""
        from concurrent.futures import ThreadPoolExecutor

        def test_one(dockerkit):
            with ThreadPoolExecutor(3) as pool:
                made = [pool.submit(dockerkit.run, {STAYS}, name=f"c{{number}}") for number in range(3)]
            networks = {{each.result().network.name for each in made}}
            assert len(networks) == 1
        """
    ).ended(passed=1)
