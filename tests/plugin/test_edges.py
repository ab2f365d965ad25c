"""What the engine would do silently wrong is told, or set right."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_dockerkit import ContainerSpec, ImageSpec, NetworkSpec
from pytest_dockerkit.errors import ContainerFileError, SpecError

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_dockerkit import Kit

SLEEP = ["sleep", "1000"]


def test_files_for_a_tmpfs_are_refused_when_the_spec_is_made() -> None:
    with pytest.raises(SpecError) as caught:
        ContainerSpec(image="busybox:stable", tmpfs=["/run"], files={"/run/app/x": "x"})
    assert str(caught.value) == (
        "files= cannot be copied into a tmpfs, which is empty when the container starts\n"
        "  saw:  files={'/run/app/x': …} below tmpfs='/run'\n"
        "  mend: another path, or an exec() that writes it once the container runs"
    )


def test_files_of_a_tmpfs_cannot_be_copied_and_the_way_that_works_is_told(dockerkit: Kit, tmp_path: Path) -> None:
    with dockerkit.run("busybox:stable", command=SLEEP, tmpfs=["/scratch"]) as container:
        container.exec(["tee", "/scratch/x"], stdin="by exec", check=True)
        for attempt in (
            lambda: container.read_file("/scratch/x"),
            lambda: container.write_file("/scratch/x", "lost"),
            lambda: container.copy_out("/scratch/x", tmp_path),
        ):
            with pytest.raises(ContainerFileError) as caught:
                attempt()
            assert str(caught.value) == (
                "/scratch/x lies in a tmpfs, which only the container itself can see\n"
                "  saw:  tmpfs='/scratch'\n"
                "  mend: container.exec([\"cat\", '/scratch/x']) to read it, "
                "exec([\"tee\", '/scratch/x'], stdin=…) to write it"
            )
        assert container.exec(["cat", "/scratch/x"]).stdout == "by exec"


def test_files_go_into_what_is_mounted_under_a_read_only_root(dockerkit: Kit) -> None:
    """And the container's image stays the one that was asked for."""
    spec = ContainerSpec(
        image="busybox:stable",
        command=SLEEP,
        read_only=True,
        volumes=["data:/data"],
        files={"/etc/app.conf": "in the root", "/data/seed": "in the volume"},
    )
    with dockerkit.run(spec) as container:
        assert container.read_file("/etc/app.conf") == "in the root"
        assert container.exec(["cat", "/data/seed"]).stdout == "in the volume"
        assert container.image.reference == "busybox:stable"


def test_an_image_shows_no_files_of_the_engines_own(dockerkit: Kit) -> None:
    image = dockerkit.build(ImageSpec(dockerfile_text='FROM scratch\nCMD ["/never-started"]\nLABEL edges=yes\n'))
    assert not image.file("/.dockerenv").exists
    assert not image.file("/etc/hostname").exists
    assert [each.path for each in image.files("/etc/*")] == []


def test_a_dependency_that_the_test_does_not_have_is_told(dockerkit: Kit) -> None:
    with pytest.raises(SpecError) as caught:
        dockerkit.run("busybox:stable", command=SLEEP, depends_on=["db"])
    assert str(caught.value) == (
        "a container of the kit depends on 'db', which the test does not have yet\n"
        "  saw:  running: none\n"
        "  mend: run that one first, or give its container: depends_on=[db]"
    )
    with (
        dockerkit.run("busybox:stable", command=SLEEP, name="db"),
        dockerkit.run("busybox:stable", command=SLEEP, depends_on=["db"]) as api,
    ):
        assert api.exec(["nslookup", "db"]).exit_code == 0


def test_a_file_that_is_no_text_is_told(dockerkit: Kit) -> None:
    with dockerkit.run("busybox:stable", command=SLEEP, files={"/etc/raw": b"\xff\xfe"}) as container:
        assert container.read_bytes("/etc/raw") == b"\xff\xfe"
        with pytest.raises(ContainerFileError) as caught:
            container.read_file("/etc/raw")
    assert str(caught.value) == (
        "/etc/raw is no UTF-8 text\n"
        "  saw:  'utf-8' codec can't decode byte 0xff in position 0: invalid start byte\n"
        "  mend: container.read_bytes('/etc/raw')"
    )


def test_a_volume_of_the_run_can_be_named(dockerkit: Kit) -> None:
    with dockerkit.volume() as volume:
        with dockerkit.run("busybox:stable", command=SLEEP, volumes={"/data": volume}) as one:
            one.write_file("/data/x", "kept")
        with dockerkit.run("busybox:stable", command=SLEEP, volumes=[f"{volume.name}:/data"]) as two:
            assert two.read_file("/data/x") == "kept"


def test_the_kit_takes_a_spec_or_its_fields_and_not_both(dockerkit: Kit) -> None:
    with pytest.raises(SpecError) as caught:
        dockerkit.network(NetworkSpec(), internal=True)
    assert caught.value.what == "a NetworkSpec or its fields can be given"
    with pytest.raises(SpecError) as caught:
        dockerkit.volume("data")  # type: ignore[arg-type]  # what people try
    assert caught.value.saw == "'data'"
    with pytest.raises(SpecError) as caught:
        dockerkit.network(intrnal=True)
    assert caught.value.mend == "did you mean 'internal'?"
    assert (
        dockerkit.build(dockerfile_text="FROM busybox:stable\nLABEL edges=fields\n").config.labels["edges"]
        == "fields"
    )


def test_a_run_that_ends_at_once_has_taken_some_time(dockerkit: Kit) -> None:
    assert dockerkit.build("busybox:stable").run(["true"], network="none").seconds > 0
