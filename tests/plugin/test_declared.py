"""Images that a project declares: named in a suite, built once, each after what it stands on."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING

import pytest

from pytest_dockerkit._names import new_run_id
from pytest_dockerkit._runtime import ledger
from pytest_dockerkit._runtime.matrix import build_all
from pytest_dockerkit._runtime.session import Session
from pytest_dockerkit._runtime.settings import Settings, declared_images
from tests.plugin.listeners import Deaf
from tests.plugin.matrix import matrix

if TYPE_CHECKING:
    from tests.plugin.conftest import Suite
    from tests.plugin.matrix import Matrix

__all__ = ["matrix"]

BASE = "FROM busybox:stable\nRUN echo base > /base"


def test_an_image_is_named_wherever_one_can_be(suite: Suite, matrix: Matrix) -> None:
    """In markers, factories and the kit; whoever asks, it is built once."""
    matrix.declare(api=BASE)
    outcome = suite.run(
        """
        import pytest
        from pytest_dockerkit import ContainerSpec, container_fixture, image_fixture

        running = container_fixture("api", command="sleep 60", network="none")
        built = image_fixture("api")
        each = image_fixture(params=["api", "api:latest"])

        @pytest.mark.container("api", command="sleep 60", network="none")
        def test_marker(container, image):
            assert container.exec(["cat", "/base"]).stdout == "base\\n"
            assert container.image.id == image.id

        @pytest.mark.container(image="api", command="sleep 60", network="none")
        def test_marker_by_keyword(container, built):
            assert container.image.id == built.id
            assert built.config.labels["name"] == "api"

        def test_factory(running, each):
            assert running.image.id == each.id

        def test_kit(dockerkit, built):
            spec = ContainerSpec(image="api", command="sleep 60", network="none")
            with dockerkit.run(spec) as container:
                assert (container.image.id, container.alias) == (built.id, "api")
            assert dockerkit.build("api").id == built.id
        """
    )
    outcome.ended(passed=5)
    assert "images: 1 built, 0 from cache, " in outcome.text
    assert matrix.built() == ["api"]


def test_an_image_stands_on_another_that_is_declared(suite: Suite, matrix: Matrix) -> None:
    """In FROM, COPY --from and RUN --mount; a name shadows what a registry may have."""
    matrix.declare(
        redis=BASE,
        shop_tools="FROM redis:latest\nRUN echo tools > /tools",
        api="FROM busybox:stable\nCOPY --from=shop/tools /base /tools /",
        web="FROM shop/tools AS from\nFROM busybox:stable\nRUN --mount=type=bind,from=from cat /base > /web || true",
    )
    outcome = suite.run(
        """
        import pytest

        @pytest.mark.container("api")
        def test_api(image):
            assert image.file("/base").read_text() == "base\\n"
            assert image.file("/tools").read_text() == "tools\\n"
        """
    )
    outcome.ended(passed=1)
    assert matrix.built() == ["api", "redis", "shop_tools"]


def test_a_base_that_has_changed_makes_another_image(suite: Suite, matrix: Matrix) -> None:
    source = """
        import pytest

        @pytest.mark.container("api")
        def test_api(image):
            print("says", image.file("/base").read_text())
        """
    matrix.declare(base=BASE, api="FROM base\nRUN true")
    assert "says base" in suite.run(source, "-s").ended(passed=1).text
    assert "images: 0 built" in suite.run(source).ended(passed=1).text
    matrix.declare(base=BASE.replace("echo base", "echo other"), api="FROM base\nRUN true")
    assert "says other" in suite.run(source, "-s").ended(passed=1).text
    assert matrix.built() == ["api", "api", "base", "base"]


def test_the_environment_names_an_image_to_take_in_place_of_building(
    suite: Suite, matrix: Matrix, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where a CI job tests what another has built; those that stand on it do so too."""
    monkeypatch.setenv("DOCKERKIT_IMAGE_SHOP_BASE", "busybox:stable")
    matrix.declare(shop_base=BASE, api="FROM shop/base\nRUN test ! -e /base")
    outcome = suite.run(
        """
        from pytest_dockerkit import image_fixture

        base = image_fixture("shop/base")
        api = image_fixture("api")
        hub = image_fixture("busybox:stable")

        def test_it(base, api, hub):
            assert base.id == hub.id
            assert api.layers[:len(base.layers)] == base.layers
        """
    )
    outcome.ended(passed=1)
    outcome.says("dockerkit: image shop/base is busybox:stable (DOCKERKIT_IMAGE_SHOP_BASE)")
    assert matrix.built() == ["api"]


def test_many_processes_build_each_image_once(suite: Suite, matrix: Matrix) -> None:
    matrix.declare(base=BASE, one="FROM base\nRUN echo 1 > /1", two="FROM base\nRUN echo 2 > /2")
    outcome = suite.run(
        """
        import pytest

        @pytest.mark.parametrize("number", range(4))
        @pytest.mark.container("one")
        def test_one(image, number): ...

        @pytest.mark.parametrize("number", range(4))
        @pytest.mark.container("two")
        def test_two(image, number): ...
        """,
        *("-n", "2"),
        subprocess=True,
    )
    outcome.ended(passed=8)
    assert matrix.built() == ["base", "one", "two"]
    assert "images: 3 built, 0 from cache" in outcome.text


def test_eight_side_by_side_on_one_base_build_it_once(matrix: Matrix) -> None:
    names = [f"image{number}" for number in range(8)]
    matrix.declare(base=BASE, **{name: f"FROM base\nRUN echo {name} > /name" for name in names})
    settings = Settings(state_dir=matrix.path / "state", images=declared_images(matrix.path, {}))
    session = Session(settings, new_run_id(), "main", Deaf())
    try:
        results = build_all(session, names)
        assert {name: each.how for name, each in results.items()} == dict.fromkeys(["base", *names], "built")
        notes = [line["what"] for line in ledger.read(session.directory) if line["do"] == "note"]
        assert notes.count("built") == 9
        for name in names:
            image = results[name].image
            assert image is not None
            assert image.file("/name").read_text() == f"{name}\n"
            assert image.file("/base").read_text() == "base\n"
    finally:
        session.undo_all()
        session.forget()
        session.close()
    assert matrix.built() == ["base", *names]


# What is wrong is told before anything is collected


@pytest.mark.parametrize("workers", [(), ("-n", "1")])
def test_a_wrong_table_is_told_at_once(suite: Suite, workers: tuple[str, ...]) -> None:
    suite.write({"Dockerfile": "FROM busybox:stable AS api-build", "test_it.py": "def test_it(): ..."})
    suite.write({"pyproject.toml": '[tool.pytest_dockerkit.images]\napi = { target = "api-biuld" }'})
    outcome = suite.run_files(*workers)
    assert outcome.result.ret == pytest.ExitCode.USAGE_ERROR
    outcome.says(
        f"""
        ERROR: {suite.path}/pyproject.toml: image 'api': target 'api-biuld' is no stage of {suite.path}/Dockerfile
          saw:  stages: api-build
          mend: did you mean 'api-build'?
        """
    )


@pytest.mark.parametrize("ini", ["", "pytest.ini"])
def test_a_file_that_is_no_toml_is_told_at_once(suite: Suite, ini: str) -> None:
    """By pytest, where the file is its own; else by us."""
    suite.write({"pyproject.toml": "[tool.pytest_dockerkit.images\n", "test_it.py": "def test_it(): ..."})
    suite.write({ini: "[pytest]\n"} if ini else {})
    outcome = suite.run_files()
    assert outcome.result.ret == pytest.ExitCode.USAGE_ERROR
    assert f"{suite.path}/pyproject.toml" in outcome.text
    assert "Expected ']' at the end of a table declaration (at line 1, column 30)" in outcome.text


def test_the_table_is_that_of_the_directory_where_pytest_has_its_root(suite: Suite) -> None:
    """As with a pytest.ini in a directory below."""
    suite.write(
        {
            "pyproject.toml": "[tool.pytest_dockerkit.images]\nwrong = 1\n",
            "app/pytest.ini": "[pytest]\n",
            "app/test_it.py": "def test_it(): ...",
        }
    )
    suite.run_files("app").ended(passed=1)


def test_a_project_without_a_table_pays_nothing_for_it(pytester: pytest.Pytester) -> None:
    """Neither what reads it nor a parser for TOML is loaded."""
    script = """
        import sys
        from pathlib import Path
        from pytest_dockerkit._runtime.settings import declared_images

        Path("pyproject.toml").write_text("[project]\\ndependencies = ['pytest-dockerkit']\\n")
        assert not declared_images(Path.cwd())
        print(sorted(each for each in sys.modules if each in ("tomllib", "pytest_dockerkit._spec.declared")))
        """
    ran = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], cwd=pytester.path, capture_output=True, text=True, check=True
    )
    assert ran.stdout == "[]\n"
