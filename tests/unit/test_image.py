"""Images: references, what is built, and the paths that it names."""

from __future__ import annotations

import dataclasses
import pickle
from pathlib import Path
from typing import Any

import pytest

from pytest_dockerkit import ImageSpec, Secret
from pytest_dockerkit._spec.image import check_image, check_reference
from pytest_dockerkit._spec.refs import FixtureRef, ImageHandle
from tests.unit.refusals import refusal


@pytest.mark.parametrize(
    "reference",
    [
        "redis",
        "redis:7-alpine",
        "library/redis:latest",
        "a/b/c/d:x",
        "x--y/a__b/a.b:1_2.3-4",
        "localhost:5000/x",
        "LOCALHOST:5000/x",
        "registry.example.com/team/app:1",
        "127.0.0.1:5000/x",
        "redis@sha256:" + "0" * 64,
        "redis:7@sha256:" + "0" * 64,
        "sha256:" + "a" * 64,
        "a" * 64,
        "0123456789ab",
        "x:" + "a" * 128,
    ],
)
def test_a_reference_is_taken_as_it_is(reference: str) -> None:
    assert check_image(reference) == reference


@pytest.mark.parametrize(
    ("reference", "better"),
    [
        ("Redis", "redis"),
        ("Redis:7", "redis:7"),
        ("ghcr.io/Team/app", "ghcr.io/team/app"),
        (" redis ", "redis"),
        ("redis:7\n", "redis:7"),
        ("", "redis:7"),
        ("x:", "redis:7"),
        (":7", "redis:7"),
        ("x y", "redis:7"),
        ("-x", "redis:7"),
        ("x..y", "redis:7"),
        ("x___y", "redis:7"),
        ("a//b", "redis:7"),
        ("http://x/y", "redis:7"),
        ("./app", "redis:7"),
        ("/app", "redis:7"),
        (".", "redis:7"),
        (r"C:\app", "redis:7"),
        ("FROM busybox", "redis:7"),
        ("größe", "redis:7"),
        ("x@sha256:12", "redis:7"),
        ("x:" + "a" * 129, "redis:7"),
        ("A" * 5000 + "!", "redis:7"),
    ],
    ids=lambda each: each[:20],
)
def test_a_reference_that_no_engine_takes_is_refused(reference: str, better: str) -> None:
    assert refusal(lambda: check_reference("image", reference)) == (
        "image= is not an image reference\n"
        f"  saw:  image={reference!r}\n"
        f'  mend: [registry/]name[:tag] in lower case, such as "{better}"; a Dockerfile goes into build='
    )


def test_specs_handles_and_fixtures_are_images() -> None:
    for each in (ImageSpec(build="."), ImageHandle(), FixtureRef(None, lambda: "api_image")):
        assert check_image(each) is each


@pytest.mark.parametrize("value", [None, 5, True, b"redis", ["redis"], Path("redis")])
def test_what_is_no_image_is_refused(value: object) -> None:
    assert refusal(lambda: check_image(value)) == (
        f"image= is of the wrong type\n  saw:  image={value!r} ({type(value).__name__})\n"
        '  mend: image="redis:7", an ImageSpec or an image fixture'
    )


def test_a_spec_is_a_frozen_value() -> None:
    fields: dict[str, Any] = {"build_args": {"V": 1, "W": "2"}, "labels": {"a": "b"}, "target": "api"}
    spec = ImageSpec(build=".", tags=["app:1"], cache_from=["app:0"], **fields)
    again = ImageSpec(build=".", tags=("app:1",), cache_from=("app:0",), **fields)
    assert spec == again
    assert hash(spec) == hash(again)
    assert pickle.loads(pickle.dumps(spec)) == spec
    assert spec.build_args == {"V": "1", "W": "2"}
    assert dataclasses.replace(spec, target=None).target is None
    with pytest.raises(dataclasses.FrozenInstanceError):
        spec.target = "x"  # type: ignore[misc]  # that is what is tested
    with pytest.raises(TypeError):
        ImageSpec(".")  # type: ignore[call-arg]  # keywords only


SSH = 'ssh="default" for the agent that runs, or the path of a key or of an agent\'s socket'

WRONG = [
    (
        {},
        (
            "there is nothing to build from\n  saw:  neither build= nor dockerfile_text=\n"
            '  mend: build="path/to/context", or dockerfile_text="FROM …"'
        ),
    ),
    (
        {"dockerfile": "Dockerfile.multi"},
        (
            "there is nothing to build from\n  saw:  neither build= nor dockerfile_text=\n"
            '  mend: build="path/to/context", or dockerfile_text="FROM …"'
        ),
    ),
    ({"build": ""}, "build= is of the wrong type\n  saw:  build='' (str)\n  mend: build=\"some/path\""),
    ({"build": b"."}, "build= is of the wrong type\n  saw:  build=b'.' (bytes)\n  mend: build=\"some/path\""),
    ({"build": True}, 'build= is of the wrong type\n  saw:  build=True (bool)\n  mend: build="some/path"'),
    (
        {"build": ".", "dockerfile": None},
        'dockerfile= is of the wrong type\n  saw:  dockerfile=None (NoneType)\n  mend: dockerfile="some/path"',
    ),
    (
        {"dockerfile_text": "  "},
        (
            "dockerfile_text= is of the wrong type\n  saw:  dockerfile_text='  ' (str)\n"
            '  mend: dockerfile_text="FROM busybox\\n…"'
        ),
    ),
    (
        {"dockerfile_text": "FROM x", "dockerfile": "D"},
        (
            "dockerfile= and dockerfile_text= are both given\n  saw:  dockerfile='D' and a text of 6 characters\n"
            "  mend: give one of them"
        ),
    ),
    ({"build": ".", "target": ""}, "target= is of the wrong type\n  saw:  target='' (str)\n  mend: target=\"…\""),
    ({"build": ".", "target": 0}, 'target= is of the wrong type\n  saw:  target=0 (int)\n  mend: target="…"'),
    ({"build": ".", "platform": 5}, 'platform= is of the wrong type\n  saw:  platform=5 (int)\n  mend: platform="…"'),
    ({"build": ".", "ssh": True}, f"ssh= is of the wrong type\n  saw:  ssh=True (bool)\n  mend: {SSH}"),
    ({"build": ".", "ssh": "a=/b"}, f"ssh= takes one key or agent, without an id\n  saw:  'a=/b'\n  mend: {SSH}"),
    (
        {"build": ".", "build_secrets": {"a,b": "TOKEN"}},
        (
            "build_secrets= has an id that no mount can name\n  saw:  'a,b'\n"
            '  mend: letters, digits and "_.-/", as in RUN --mount=type=secret,id=npm'
        ),
    ),
    (
        {"build": ".", "build_secrets": {"npm": "ghp-0123456789"}},
        (
            "build_secrets['npm'] is no name of an environment variable\n  saw:  a text of 14 characters\n"
            '  mend: build_secrets={"npm": Secret("npm", token)}, a Path, or the name of an environment variable; '
            "a text is never the secret itself"
        ),
    ),
    (
        {"build": ".", "build_args": ["A"]},
        'build_args= is of the wrong type\n  saw:  build_args=[\'A\'] (list)\n  mend: build_args={"KEY": "value"}',
    ),
    (
        {"build": ".", "build_args": None},
        'build_args= is of the wrong type\n  saw:  build_args=None (NoneType)\n  mend: build_args={"KEY": "value"}',
    ),
    (
        {"build": ".", "build_args": {"DEBUG": True}},
        'build_args[\'DEBUG\'] must be a text or a number\n  saw:  True (bool)\n  mend: build_args={"KEY": "value"}',
    ),
    (
        {"build": ".", "labels": {"pytest.dockerkit.fingerprint": "x"}},
        "labels= holds a label of the plugin's own\n  saw:  pytest.dockerkit.fingerprint\n  mend: drop it",
    ),
    ({"build": ".", "tags": "app:1"}, "tags= is of the wrong type\n  saw:  tags='app:1' (str)\n  mend: tags=[\"…\"]"),
    (
        {"build": ".", "tags": ["App:1"]},
        (
            "tags= is not an image reference\n  saw:  tags='App:1'\n"
            '  mend: [registry/]name[:tag] in lower case, such as "app:1"; a Dockerfile goes into build='
        ),
    ),
    (
        {"build": ".", "cache_from": [None]},
        'cache_from= is of the wrong type\n  saw:  cache_from=None (NoneType)\n  mend: cache_from=["…"]',
    ),
    (
        {"build": ".", "pull": "sometimes"},
        "pull= is not one of its values\n  saw:  'sometimes'\n  mend: one of: 'missing', 'always', 'never'",
    ),
]


@pytest.mark.parametrize(("fields", "text"), WRONG, ids=lambda each: str(each)[:30])
def test_a_wrong_field_is_refused(fields: dict[str, Any], text: str) -> None:
    assert refusal(lambda: ImageSpec(**fields)) == text


@pytest.mark.parametrize("secrets", ["hidden-value", {"npm": b"hidden-value"}, {5: "hidden-value"}, ["hidden-value"]])
def test_a_wrong_build_secret_is_not_repeated(secrets: Any) -> None:
    said = refusal(lambda: ImageSpec(build=".", build_secrets=secrets))
    assert "hidden-value" not in said
    assert said.startswith("build_secrets= is of the wrong type\n")
    assert said.endswith(
        '  mend: build_secrets={"npm": Secret("npm", token)}, a Path, or the name of an environment variable'
    )


def test_paths_start_from_the_file_that_says_them(tmp_path: Path) -> None:
    context = tmp_path / "größe 1"
    context.mkdir()
    (context / "Dockerfile.multi").write_text("FROM busybox AS api\n", encoding="utf-8")
    secret = Secret("b", "x")
    spec = ImageSpec(
        build="größe 1",
        dockerfile="Dockerfile.multi",
        target="API",
        build_secrets={"a": Path("token"), "b": secret, "c": "TOKEN"},
    ).anchored(tmp_path)
    assert spec.context == context.resolve()
    assert spec.dockerfile == context.resolve() / "Dockerfile.multi"
    assert spec.build_secrets == {"a": tmp_path / "token", "b": secret, "c": "TOKEN"}
    assert spec.anchored(Path("/elsewhere")) == spec


def test_the_dockerfile_may_lie_outside_of_the_context(tmp_path: Path) -> None:
    (tmp_path / "api").mkdir()
    (tmp_path / "Dockerfile").write_text("FROM busybox\n", encoding="utf-8")
    spec = ImageSpec(build="api", dockerfile="../Dockerfile").anchored(tmp_path)
    assert spec.dockerfile == tmp_path.resolve() / "Dockerfile"


def test_a_text_needs_no_context(tmp_path: Path) -> None:
    spec = ImageSpec(dockerfile_text="FROM busybox AS a\n").anchored(tmp_path)
    assert (spec.context, spec.text(), spec.where) == (None, "FROM busybox AS a\n", "dockerfile_text=")


def test_a_byte_order_mark_and_dos_lines_are_read(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_bytes(b"\xef\xbb\xbfFROM busybox AS api\r\nRUN true \\\r\n  && true\r\n")
    assert ImageSpec(build=".", target="api").anchored(tmp_path).stages().stages[0].base == "busybox"


def test_a_context_that_is_not_there_is_refused_with_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "backend").mkdir()
    (tmp_path / "file").touch()
    base = tmp_path.resolve()
    assert refusal(lambda: ImageSpec(build="backnd").anchored(base)) == (
        "the build context does not exist\n"
        f"  saw:  build='backnd', which is {base}/backnd\n"
        f"  mend: did you mean 'backend'? relative paths start from {base}"
    )
    assert refusal(lambda: ImageSpec(build="no/such").anchored(base)) == (
        "the build context does not exist\n"
        f"  saw:  build='no/such', which is {base}/no/such\n"
        f"  mend: relative paths start from {base}"
    )
    assert refusal(lambda: ImageSpec(build="file").anchored(base)).startswith(
        f"the build context is not a directory\n  saw:  build='file', which is {base}/file\n"
    )


def test_a_dockerfile_that_is_not_there_is_refused_with_those_that_are(tmp_path: Path) -> None:
    base = tmp_path.resolve()
    assert refusal(lambda: ImageSpec(build=".").anchored(base)) == (
        "the Dockerfile does not exist\n"
        f"  saw:  {base}/Dockerfile (dockerfile= starts from the context); there: none\n"
        "  mend: write one, or dockerfile="
    )
    for name in ("api.dockerfile", "Dockerfile.multi"):
        (base / name).touch()
    assert refusal(lambda: ImageSpec(build=".", dockerfile="Dockerfile.mlti").anchored(base)) == (
        "the Dockerfile does not exist\n"
        f"  saw:  {base}/Dockerfile.mlti (dockerfile= starts from the context);"
        " there: Dockerfile.multi, api.dockerfile\n"
        "  mend: did you mean 'Dockerfile.multi'?"
    )


def test_a_target_that_is_no_stage_is_refused_with_those_that_are(tmp_path: Path) -> None:
    base = tmp_path.resolve()
    (base / "Dockerfile").write_text(
        "FROM busybox AS api-build\nFROM busybox AS web\nFROM busybox\n", encoding="utf-8"
    )
    assert refusal(lambda: ImageSpec(build=".", target="api-bild").anchored(base)) == (
        f"target 'api-bild' is no stage of {base}/Dockerfile\n"
        "  saw:  stages: api-build, web\n"
        "  mend: did you mean 'api-build'?"
    )
    assert refusal(lambda: ImageSpec(build=".", target="7").anchored(base)) == (
        f"target '7' is no stage of {base}/Dockerfile\n  saw:  stages: api-build, web\n  mend: one of: api-build, web"
    )
    assert refusal(lambda: ImageSpec(dockerfile_text="FROM x", target="api").anchored(base)) == (
        "target 'api' is no stage of dockerfile_text=\n"
        "  saw:  stages: none has a name\n"
        "  mend: name a stage with FROM … AS, or drop target="
    )


def test_a_dockerfile_without_a_stage_or_that_is_no_text_is_refused(tmp_path: Path) -> None:
    base = tmp_path.resolve()
    (base / "Dockerfile").write_text("# FROM busybox\n", encoding="utf-8")
    assert refusal(lambda: ImageSpec(build=".").anchored(base)) == (
        f"the Dockerfile has no FROM\n  saw:  {base}/Dockerfile\n  mend: begin it with FROM, after comments and ARGs"
    )
    (base / "Dockerfile").write_bytes(b"FROM \xff\n")
    assert refusal(lambda: ImageSpec(build=".").anchored(base)) == (
        "the Dockerfile cannot be read\n"
        f"  saw:  {base}/Dockerfile: 'utf-8' codec can't decode byte 0xff in position 5: invalid start byte\n"
        "  mend: a readable UTF-8 file"
    )


@pytest.mark.parametrize("path", ["x" * 5000, "a\0b", "~no-such-user/x"], ids=["long", "nul", "home"])
def test_a_path_that_cannot_be_is_refused(path: str, tmp_path: Path) -> None:
    assert refusal(lambda: ImageSpec(build=path).anchored(tmp_path)).startswith("build= is a path that cannot be\n")
    said = refusal(lambda: ImageSpec(build=".", dockerfile=path).anchored(tmp_path))
    assert said.startswith("dockerfile= is a path that cannot be\n")
