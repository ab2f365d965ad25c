"""Fixture factories, the kit, the raw client and the hooks."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

import docker

if TYPE_CHECKING:
    import pytest

    from tests.plugin.conftest import Suite

#: Stays until it is killed; quick to start, since it has no network of its own.
STAYS = '"busybox:stable", command="sleep 600", network="none"'


def test_fixtures_are_passed_to_each_other_as_objects(suite: Suite) -> None:
    """Images, networks, volumes and dependencies; what is needed is set up first, and found by name."""
    suite.write(
        {"app/Dockerfile": 'FROM busybox:stable AS base\nENV STAGE=api\nFROM base AS api\nCMD ["sleep", "600"]\n'}
    )
    outcome = suite.run(
        """
        from pytest_dockerkit import Image, Network, Volume

        def test_stack(api, db, backend, api_image, data, docker_client):
            assert isinstance(api_image, Image) and api.image is api_image
            assert isinstance(backend, Network) and api.networks == (backend,) and db.network is backend
            assert isinstance(data, Volume)
            assert backend.internal and docker_client.networks.get(backend.id).attrs["Internal"]
            api.exec(["ping", "-c", "1", "db"], check=True)
            db.exec(["ping", "-c", "1", "api"], check=True)
            db.exec(["sh", "-c", "echo kept > /data/file"], check=True)
            assert api.read_file("/seen/file") == "kept\\n"
        """,
        conftest="""
        from pytest_dockerkit import container_fixture, image_fixture, network_fixture, volume_fixture

        backend = network_fixture(internal=True, scope="session")
        data = volume_fixture(scope="session", labels={"for": "data"})
        api_image = image_fixture(build="app", target="api", scope="session")
        api = container_fixture(api_image, network=backend, depends_on=["db"],
                                volumes={"/seen": data}, scope="session")
        db = container_fixture("busybox:stable", command="sleep 600", network=[backend],
                               volumes={"/data": data}, scope="session")
        web = container_fixture("busybox:stable", depends_on=[api])
        """,
    )
    outcome.ended(passed=1)
    assert outcome.names == ["db", "api"]


def test_a_dependency_is_set_up_first_though_nobody_asks_for_it(suite: Suite) -> None:
    outcome = suite.run(
        f"""
        from pytest_dockerkit import container_fixture

        web = container_fixture({STAYS}, depends_on=["api"])
        db = container_fixture({STAYS})
        api = container_fixture({STAYS}, depends_on=[db])

        def test_web(web):
            assert web.status == "running"
        """
    )
    outcome.ended(passed=1)
    assert outcome.names == ["db", "api", "web"]


def test_a_function_decides_the_spec_from_other_fixtures(suite: Suite) -> None:
    """With and without parentheses; it may ask for `request`, and its paths start from its own file."""
    suite.write({"sub/value": "beside the function"})
    outcome = suite.run(
        """
        def test_worker(worker, plain, db):
            assert worker.exec(["sh", "-c", "echo $DB $ASKED_BY $WORD"]).stdout == "db worker hello\\n"
            assert worker.read_file("/value") == "beside the function"
            assert plain.status == "running"
        """,
        conftest="""
        import pytest
        from pytest_dockerkit import ContainerSpec, Image, RunningContainer, container_fixture, image_fixture
        from sub.specs import worker

        base = image_fixture("busybox:stable")
        db = container_fixture("busybox:stable", command="sleep 600", network="none", scope="session")

        @pytest.fixture(scope="session")
        def word():
            return "hello"

        @container_fixture
        def plain(base: Image) -> ContainerSpec:
            return ContainerSpec(image=base, command="sleep 600", network="none")
        """
        + suite_file(suite),
    )
    outcome.ended(passed=1)
    assert sorted(outcome.names) == ["db", "plain", "worker"]


def suite_file(suite: Suite) -> str:
    suite.write(
        {
            "sub/__init__.py": "",
            "sub/specs.py": """
            from pathlib import Path
            import pytest
            from pytest_dockerkit import ContainerSpec, RunningContainer, container_fixture

            @container_fixture(scope="session")
            def worker(db: RunningContainer, word: str, request: pytest.FixtureRequest) -> ContainerSpec:
                return ContainerSpec(image="busybox:stable", command="sleep 600", network="none",
                                     files={"/value": Path("value")},
                                     env={"DB": db.alias, "ASKED_BY": request.fixturename, "WORD": word})
            """,
        }
    )
    return ""


def test_each_scope_instance_has_a_container_of_its_own(suite: Suite) -> None:
    suite.write(
        {
            "conftest.py": f"""
            from pytest_dockerkit import container_fixture

            of_session = container_fixture({STAYS}, scope="session", autouse=True)
            of_package = container_fixture({STAYS}, scope="package", autouse=True)
            of_module = container_fixture({STAYS}, scope="module", autouse=True)
            of_class = container_fixture({STAYS}, scope="class", autouse=True)
            of_function = container_fixture({STAYS}, scope=lambda fixture_name, config: "function", autouse=True)
            """,
            "one/__init__.py": "",
            "one/test_classes.py": """
            class TestFirst:
                def test_first(self): pass
                def test_second(self): pass

            class TestSecond:
                def test_third(self): pass
            """,
            "two/__init__.py": "",
            "two/test_other.py": "def test_fourth(): pass",
        }
    )
    outcome = suite.run_files().ended(passed=4)
    assert Counter(outcome.names) == {
        "of_function": 4,
        "of_class": 3,
        "of_module": 2,
        # The fixture's package is that of its conftest.py, which is none: once for the session.
        "of_package": 1,
        "of_session": 1,
    }


def test_params_run_the_tests_once_with_each(suite: Suite) -> None:
    """An image, a mapping of fields or a spec takes the place of what is given; ids name them."""
    outcome = suite.run(
        """
        from pytest_dockerkit import ContainerSpec, container_fixture

        box = container_fixture(
            command="sleep 600", network="none", env={"CASE": "default"},
            params=["busybox:stable", {"image": "busybox:stable", "env": {"CASE": "mapping"}},
                    ContainerSpec(image="busybox:stable", env={"CASE": "spec"})],
            ids=["image", "fields", "spec"],
        )

        def test_box(box, request):
            wanted = {"image": "default", "fields": "mapping", "spec": "default"}
            assert box.exec(["sh", "-c", "echo $CASE"]).stdout.strip() == wanted[request.node.callspec.id]
        """,
        "-v",
    )
    outcome.ended(passed=3)
    outcome.result.stdout.fnmatch_lines(["*test_box[[]image] PASSED*", "*[[]fields] PASSED*", "*[[]spec] PASSED*"])


def test_images_are_parametrised_too(suite: Suite) -> None:
    """What stands on a parametrised image is had once with each."""
    outcome = suite.run(
        """
        import pytest
        from pytest_dockerkit import ImageSpec, container_fixture, image_fixture

        base = image_fixture(params=["busybox:stable", {"dockerfile_text": "FROM busybox:stable\\nENV A=built"}],
                             ids=["found", "built"])
        box = container_fixture(base, command="sleep 600", network="none")

        def test_box(box, base):
            assert box.image is base
            assert base.config.env.get("A") in (None, "built")

        @pytest.mark.parametrize("box", [{"env": {"B": "indirect"}}], indirect=True)
        def test_indirect(box, base):
            assert box.exec(["sh", "-c", "echo $B"]).stdout == "indirect\\n"
        """,
        "-v",
    )
    outcome.ended(passed=4)
    assert len({each["Image"] for each in outcome.containers}) == 2


def test_a_conftest_below_overrides_a_fixture(suite: Suite) -> None:
    """By its name; what depends on it gets the nearer one, and the overriding one may ask for the other."""
    suite.write(
        {
            "conftest.py": f"""
            from pytest_dockerkit import container_fixture

            db = container_fixture({STAYS}, env={{"FROM": "above"}})
            api = container_fixture({STAYS}, depends_on=[db])
            """,
            "test_above.py": """
            def test_above(api, db):
                assert db.exec(["sh", "-c", "echo $FROM"]).stdout == "above\\n"
            """,
            "sub/conftest.py": """
            from pytest_dockerkit import ContainerSpec, container_fixture

            @container_fixture
            def db(db):
                return ContainerSpec(image=db.image, command="sleep 600", network="none",
                                     env={"FROM": "below " + db.alias})
            """,
            "sub/test_below.py": """
            def test_below(api, db):
                assert db.exec(["sh", "-c", "echo $FROM"]).stdout == "below db\\n"
            """,
        }
    )
    outcome = suite.run_files().ended(passed=2)
    assert Counter(outcome.names) == {"db": 3, "api": 2}


def test_autouse_fixtures_reach_every_test(suite: Suite) -> None:
    outcome = suite.run(
        f"""
        from pytest_dockerkit import container_fixture, network_fixture, volume_fixture, image_fixture

        db = container_fixture({STAYS}, scope="module", autouse=True)
        net = network_fixture(scope="module", autouse=True)
        data = volume_fixture(scope="module", autouse=True)
        base = image_fixture("busybox:stable", autouse=True)

        def test_one(request):
            assert {{"db", "net", "data", "base"}} <= set(request.fixturenames)

        def test_two(docker_client, db):
            run = "pytest.dockerkit.run=" + db.labels["pytest.dockerkit.run"]
            assert len(docker_client.networks.list(filters={{"label": run}})) == 1
            assert len(docker_client.volumes.list(filters={{"label": run}})) == 1
        """
    )
    outcome.ended(passed=2)
    assert outcome.names == ["db"]
    outcome.says("1 container, 1 network, 1 volume; all removed, images kept")


def test_a_class_body_may_hold_fixtures(suite: Suite) -> None:
    """They are for its tests, find each other there, and are inherited."""
    outcome = suite.run(
        f"""
        from pytest_dockerkit import ContainerSpec, container_fixture, image_fixture

        class Base:
            base = image_fixture("busybox:stable", scope="class")
            box = container_fixture(base, command="sleep 600", network="none", scope="class")

            @container_fixture
            def other(self, box):
                return ContainerSpec(image=box.image, command="sleep 600", network="none")

        class TestOne(Base):
            def test_box(self, box):
                assert box.alias == "box"

            def test_again(self, box):
                assert box.status == "running"

        class TestTwo(Base):
            box = container_fixture({STAYS}, env={{"A": "own"}})

            def test_box(self, box):
                assert box.exec(["sh", "-c", "echo $A"]).stdout == "own\\n"
        """
    )
    outcome.ended(passed=3)
    assert outcome.names == ["box", "box"]


def test_a_decorated_method_of_a_class_is_a_fixture(suite: Suite) -> None:
    """As with pytest's own, its first parameter is the test's instance."""
    outcome = suite.run(
        """
        from pytest_dockerkit import ContainerSpec, container_fixture

        class TestIt:
            word = "of the class"

            @container_fixture
            def box(self, request):
                return ContainerSpec(image="busybox:stable", command="sleep 600", network="none",
                                     env={"WORD": self.word, "NAME": request.fixturename})

            def test_box(self, box):
                assert box.exec(["sh", "-c", "echo $NAME $WORD"]).stdout == "box of the class\\n"
        """
    )
    outcome.ended(passed=1)


def test_fixtures_may_be_imported_from_another_module(suite: Suite) -> None:
    """Under another name as well; paths start from the module that made them."""
    suite.write(
        {
            "lib/__init__.py": "",
            "lib/value": "of the library",
            "lib/services.py": """
            from pathlib import Path
            from pytest_dockerkit import container_fixture, image_fixture, network_fixture

            backend = network_fixture(scope="session")
            base = image_fixture("busybox:stable")
            db = container_fixture(base, command="sleep 600", network=backend, scope="session",
                                   files={"/value": Path("value")})
            """,
            "conftest.py": "from lib.services import backend, base, db\n",
        }
    )
    outcome = suite.run(
        """
        from lib.services import db as store
        from pytest_dockerkit import container_fixture

        web = container_fixture("busybox:stable", command="sleep 600", network="none", depends_on=[store])

        def test_it(web, store, backend):
            assert store.read_file("/value") == "of the library"
            assert store.network is backend
        """
    )
    outcome.ended(passed=1)
    assert outcome.names == ["store", "web"]


def test_a_fixture_without_a_name_in_reach_is_told(suite: Suite) -> None:
    outcome = suite.run(
        """
        from pytest_dockerkit import container_fixture, network_fixture

        web = container_fixture("busybox:stable", network=network_fixture())

        def test_it(web):
            pass
        """
    )
    outcome.ended(errors=1)
    place = suite.path / "test_inner.py"
    outcome.says(
        f"""
        a fixture was given that has no name where it is used
          saw:  network_fixture(…), given to another in {place}
          mend: import it into the module, or assign it to a name there
        """
    )


def test_names_make_aliases(suite: Suite) -> None:
    """A fixture's name is its container's DNS name, unless `name=` gives one; unicode is spelt out."""
    outcome = suite.run(
        f"""
        from pytest_dockerkit import container_fixture

        my_db = container_fixture({STAYS})
        named = container_fixture({STAYS}, name="db.example")
        größe = container_fixture({STAYS})

        def test_it(my_db, named, größe):
            assert [my_db.alias, named.alias, größe.alias] == ["my_db", "db.example", "groe"]
        """
    )
    outcome.ended(passed=1)


def test_the_kit_makes_what_a_test_decides_at_run_time(suite: Suite) -> None:
    """All is there until the end of the session, or of its with-block, and then it is gone."""
    suite.write({"ctx/Dockerfile": "FROM busybox:stable\nENV A=built\n"})
    outcome = suite.run(
        """
        from pathlib import Path
        import docker
        import pytest
        from pytest_dockerkit import ContainerSpec, ImageSpec, NetworkSpec
        from pytest_dockerkit.errors import SpecError

        kept = []

        def test_run(dockerkit, docker_client):
            image = dockerkit.build(ImageSpec(build="ctx"))
            network = dockerkit.network(NetworkSpec(internal=True))
            volume = dockerkit.volume(name="data")
            one = dockerkit.run(ContainerSpec(image=image, name="one", command="sleep 600", network=network,
                                              volumes={"/data": volume}))
            two = dockerkit.run(image, command="sleep 600", network=network, files={"/f": Path("ctx/Dockerfile")})
            assert two.read_file("/f").startswith("FROM busybox")
            two.exec(["ping", "-c", "1", "one"], check=True)
            one.exec(["ping", "-c", "1", two.alias], check=True)
            kept[:] = [one, two, network, volume]

        def test_still_there(dockerkit, docker_client):
            one, two, network, volume = kept
            assert one.status == two.status == "running"
            assert network.inspect() and volume.inspect()
            two.remove()
            with pytest.raises(docker.errors.NotFound):
                docker_client.containers.get(two.id)

        def test_blocks(dockerkit, docker_client):
            with dockerkit.network() as network, dockerkit.volume() as volume:
                with dockerkit.run("busybox:stable", command="sleep 600", network=network,
                                   volumes={"/data": volume}) as container:
                    assert container.status == "running"
                with pytest.raises(docker.errors.NotFound):
                    docker_client.containers.get(container.id)
                assert network.inspect() and volume.inspect()
            assert network.inspect() == volume.inspect() == {}

        def test_a_block_that_fails_is_left_clean(dockerkit, docker_client):
            with pytest.raises(ZeroDivisionError):
                with dockerkit.run("busybox:stable", command="sleep 600", network="none") as container:
                    1 / 0
            with pytest.raises(docker.errors.NotFound):
                docker_client.containers.get(container.id)

        def test_numbered_names(dockerkit):
            both = [dockerkit.run("busybox:stable", command="sleep 600") for _ in range(2)]
            assert [each.alias for each in both] == ["busybox", "busybox-2"]
            both[0].exec(["ping", "-c", "1", "busybox-2"], check=True)
            with pytest.raises(SpecError, match="comand= is no keyword here"):
                dockerkit.run("busybox:stable", comand="sleep 600")
        """
    )
    outcome.ended(passed=5)
    assert outcome.names == ["one", "container", "busybox", "busybox", "busybox", "busybox-2"]


def test_the_kit_adds_fields_to_a_spec(suite: Suite) -> None:
    suite.run(
        """
        from pytest_dockerkit import ContainerSpec

        def test_it(dockerkit):
            spec = ContainerSpec(image="busybox:stable", command="sleep 600", network="none", memory="32m")
            with dockerkit.run(spec, cpus=0.5) as container:
                assert (container.limits.cpus, container.limits.memory_bytes) == (0.5, 32 * 1024**2)
        """
    ).ended(passed=1)


def test_containers_of_fixtures_markers_and_the_kit_meet_in_one_test(suite: Suite) -> None:
    """Whatever made them and however long they live, the containers of one test reach each other by name."""
    outcome = suite.run(
        """
        import pytest
        from pytest_dockerkit import container_fixture

        db = container_fixture("busybox:stable", command="sleep 600", scope="session")

        @pytest.mark.container("busybox:stable", command="sleep 600", name="api")
        def test_it(db, container, dockerkit):
            extra = dockerkit.run("busybox:stable", command="sleep 600", name="extra")
            everyone = {"db": db, "api": container, "extra": extra}
            for each in everyone.values():
                for name in everyone:
                    each.exec(["ping", "-c", "1", name], check=True)
        """
    )
    outcome.ended(passed=1)


def test_the_raw_client_is_docker_pys(suite: Suite) -> None:
    outcome = suite.run(
        f"""
        import docker
        from pytest_dockerkit import container_fixture

        box = container_fixture({STAYS})

        def test_it(docker_client, box):
            assert isinstance(docker_client, docker.DockerClient)
            assert docker_client.containers.get(box.id).name == box.name
            assert box.docker.id == box.id
        """
    )
    outcome.ended(passed=1)


def test_hooks_replace_hear_and_are_told_of_failures(suite: Suite) -> None:
    """A spec is replaced before anything is made; ready and failed come once for each container."""
    outcome = suite.run(
        """
        import pytest
        from pytest_dockerkit import probes
        from pytest_dockerkit.errors import ContainerExitedError

        def test_it(dockerkit, docker_client):
            with dockerkit.run("busybox:stable", name="kept", command="sleep 600", network="none") as container:
                assert container.spec.labels["team"] == container.labels["team"] == "shop"
            with pytest.raises(ContainerExitedError):
                dockerkit.run("busybox:stable", name="broken", command="false", network="none",
                              wait=probes.log("never"))
        """,
        conftest="""
        import dataclasses

        heard = []

        def pytest_dockerkit_container_spec(spec):
            if spec.name == "kept":
                return dataclasses.replace(spec, labels={"team": "shop"})

        def pytest_dockerkit_container_ready(container):
            heard.append(f"{container.alias} is {container.status}")

        def pytest_dockerkit_container_failed(spec, error):
            heard.append(f"{spec.name} failed with {type(error).__name__}: {error.saw}")

        def pytest_terminal_summary(terminalreporter):
            for line in heard:
                terminalreporter.write_line(line)
        """,
    )
    outcome.ended(passed=1)
    outcome.says(
        """
        kept is running
        broken failed with ContainerExitedError: exit code 1
        """
    )


def test_a_network_may_be_removed_before_its_scope_ends(suite: Suite) -> None:
    outcome = suite.run(
        """
        from pytest_dockerkit import network_fixture

        net = network_fixture(labels={"for": "net"})

        def test_it(net):
            assert net.inspect()["Labels"]["for"] == "net"
            net.remove()
            assert net.inspect() == {}
            net.remove()
        """
    )
    outcome.ended(passed=1)


def test_images_stay_for_the_next_run(suite: Suite, request: pytest.FixtureRequest) -> None:
    """They are the cache: a second run builds nothing, and says so."""
    client = docker.from_env()
    request.addfinalizer(client.close)
    suite.write({"ctx/Dockerfile": f"FROM busybox:stable\nENV PLACE={suite.path}\n"})
    source = """
        from pytest_dockerkit import image_fixture

        base = image_fixture(build="ctx")

        def test_it(base):
            print("image", base.tags[0])
        """
    first = suite.run(source, "-s").ended(passed=1)
    found = re.search(r"image (pytest-dockerkit:\w+)", first.text)
    assert found is not None
    request.addfinalizer(lambda: client.images.remove(found[1]))
    first.says("images: 1 built, 0 from cache; all removed, images kept")
    suite.run(source).ended(passed=1).says("images: 0 built, 1 from cache; all removed, images kept")


def test_dependencies_by_name_are_told_when_they_are_wrong(suite: Suite) -> None:
    """A name that no fixture has, with the nearest, and a circle."""
    outcome = suite.run(
        f"""
        from pytest_dockerkit import container_fixture

        db = container_fixture({STAYS})
        api = container_fixture({STAYS}, depends_on=["dbb"])
        left = container_fixture({STAYS}, depends_on=["right"])
        right = container_fixture({STAYS}, depends_on=["left"])

        def test_unknown(api):
            pass

        def test_circle(left):
            pass
        """
    )
    outcome.ended(errors=2)
    outcome.says(
        """
        container 'api' depends on 'dbb', which is no fixture here
          saw:  depends_on='dbb'
          mend: did you mean 'db'?
        """
    )
    outcome.says(
        """
        containers depend on each other in a circle
          saw:  left → right → left
          mend: drop one of the depends_on=
        """
    )


def test_fixtures_are_listed_where_they_are_written(suite: Suite) -> None:
    """`pytest --fixtures` names file and line, and the docstring of a function."""
    listed = suite.run(
        f"""
        from pytest_dockerkit import ContainerSpec, container_fixture, network_fixture

        net = network_fixture()
        db = container_fixture({STAYS})

        @container_fixture
        def worker(db):
            "Does the work."
            return ContainerSpec(image="busybox:stable")

        def test_it(worker, net):
            pass
        """,
        "--fixtures",
    ).result.stdout
    listed.fnmatch_lines(
        [
            "*fixtures defined from test_inner*",
            "net -- test_inner.py:4",
            "    Made with network_fixture().",
            "db -- test_inner.py:5",
            "    Made with container_fixture().",
            "worker -- test_inner.py:7",
            "    Does the work.",
        ]
    )
    suite.run_files("--fixtures-per-test").result.stdout.fnmatch_lines(["worker -- test_inner.py:7"])


def test_markers_take_fixtures_as_well(suite: Suite) -> None:
    """Images, networks, volumes and dependencies, as objects."""
    outcome = suite.run(
        """
        import pytest
        from pytest_dockerkit import container_fixture, image_fixture, network_fixture, volume_fixture

        base = image_fixture(dockerfile_text="FROM busybox:stable\\nENV A=built")
        backend = network_fixture(internal=True, scope="module")
        data = volume_fixture(scope="module")
        db = container_fixture(base, command="sleep 600", network=backend, volumes={"/data": data}, scope="module")

        @pytest.mark.container(base, command="sleep 600", network=[backend], volumes={"/data": data},
                               depends_on=[db], scope="module")
        def test_it(container, backend, base, request):
            assert container.image is base and container.networks == (backend,)
            container.exec(["sh", "-c", "ping -c 1 db && echo $A > /data/file"], check=True)
            assert request.getfixturevalue("db").read_file("/data/file") == "built\\n"
        """
    )
    outcome.ended(passed=1)
    assert outcome.names == ["db", "container"]
