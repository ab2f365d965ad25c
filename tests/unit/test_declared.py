"""`[tool.pytest_dockerkit.images]`: what is read, and what is refused."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING

import pytest

from pytest_dockerkit import ImageSpec, _options
from pytest_dockerkit._runtime.settings import declared_images
from pytest_dockerkit._spec import declared
from pytest_dockerkit._spec.declared import GivenImage
from tests.unit.refusals import refusal

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_dockerkit._spec.declared import Declared

MULTI = "FROM busybox:stable AS base\nFROM base AS api-build\nFROM base AS web-build\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with two Dockerfiles."""
    (tmp_path / "Dockerfile").write_text("FROM busybox:stable\n", encoding="utf-8")
    (tmp_path / "docker").mkdir()
    (tmp_path / "docker/multi.Dockerfile").write_text(MULTI, encoding="utf-8")
    return tmp_path


def images_of(project: Path, table: str, **environment: str) -> Declared:
    (project / "pyproject.toml").write_text(table, encoding="utf-8")
    return declared_images(project, environment)


def spec_of(project: Path, table: str) -> ImageSpec:
    image = images_of(project, f"[tool.pytest_dockerkit.images.it]\n{table}")["it"]
    assert isinstance(image, ImageSpec)
    return image


# What is read


def test_an_empty_table_builds_the_dockerfile_beside_it(project: Path) -> None:
    spec = spec_of(project, "")
    assert spec == ImageSpec(build=project, dockerfile=project / "Dockerfile")


def test_paths_start_from_the_file_and_the_dockerfile_from_its_context(project: Path) -> None:
    (project / "app").mkdir()
    table = 'build = "app"\ndockerfile = "../docker/multi.Dockerfile"\ntarget = "api-build"'
    spec = spec_of(project, table)
    assert spec == ImageSpec(
        build=project / "app", dockerfile=project / "docker/multi.Dockerfile", target="api-build"
    )


def test_every_field_of_an_image_is_a_key(project: Path) -> None:
    spec = spec_of(
        project,
        """
        build = "docker"
        dockerfile_text = "FROM busybox:stable AS it"
        target = "it"
        args = { VERSION = "1", DEPTH = 2 }
        build_secrets = { token = "TOKEN", npm = { file = "npmrc" }, pip = { env = "PIP" } }
        platform = "linux/amd64"
        labels = { a = "b" }
        tags = ["shop/it:dev"]
        cache_from = ["shop/it:cache"]
        cache_to = ["type=inline"]
        pull = "always"
        ssh = "default"
        """,
    )
    assert spec == ImageSpec(
        build=project / "docker",
        dockerfile_text="FROM busybox:stable AS it",
        target="it",
        build_args={"VERSION": "1", "DEPTH": "2"},
        build_secrets={"token": "TOKEN", "npm": project / "npmrc", "pip": "PIP"},
        platform="linux/amd64",
        labels={"a": "b"},
        tags=("shop/it:dev",),
        cache_from=("shop/it:cache",),
        cache_to=("type=inline",),
        pull="always",
        ssh="default",
    )


def test_each_field_has_a_type_and_an_example() -> None:
    groups = (*declared._TEXTS, *declared._LISTS, *declared._TABLES)
    assert sorted(groups) == sorted(declared._EXAMPLES) == sorted(each.name for each in fields(ImageSpec))


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "[project]\nname = 'x'\ndependencies = ['pytest-dockerkit']\n",
        "[tool.pytest_dockerkit]\n",
        "not = = toml",
    ],
)
def test_a_project_without_the_table_declares_nothing(tmp_path: Path, text: str | None) -> None:
    """Whatever else is wrong with the file is for others to say."""
    if text is not None:
        (tmp_path / "pyproject.toml").write_text(text, encoding="utf-8")
    assert dict(declared_images(tmp_path)) == {}


def test_the_files_of_a_context_are_not_looked_at(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the Dockerfile is: what is large takes no time before it is asked for."""
    for name in ("os.listdir", "os.scandir", "os.walk"):
        monkeypatch.setattr(name, lambda *_, **__: pytest.fail("a directory is listed"))
    assert spec_of(project, "").build == project


@pytest.mark.parametrize("name", ["api", "shop/api", "my.api", "a-b_c", "ghcr.io/shop/api", "localhost:5000/api"])
def test_a_name_may_be_that_of_an_image_without_a_tag(project: Path, name: str) -> None:
    assert list(images_of(project, f'[tool.pytest_dockerkit.images]\n"{name}" = {{}}')) == [name]


# What one stands on

STACK = """
[tool.pytest_dockerkit.images]
base = { tags = ["shop/base:dev"] }
tools = { dockerfile_text = "FROM base:latest" }
api = { dockerfile_text = "FROM tools AS one\\nFROM shop/base:dev\\nCOPY --from=one /a /b" }
web = { dockerfile_text = "FROM busybox:stable\\nRUN --mount=type=bind,from=base true" }
other = { dockerfile_text = "FROM base:2" }
"""


def test_an_image_stands_on_those_that_its_dockerfile_names(project: Path) -> None:
    """By name, by name:latest and by a tag; in FROM, COPY and RUN --mount. Another tag is another image."""
    images = images_of(project, STACK)
    stands = {name: declared.stands_on(images, name) for name in images}
    assert stands == {"base": (), "tools": ("base",), "api": ("tools", "base"), "web": ("base",), "other": ()}
    assert declared.with_bases(images, ["web", "api"]) == ("base", "web", "tools", "api")
    assert declared.with_bases(images, ["other"]) == ("other",)


def test_only_the_stages_of_the_target_count(project: Path) -> None:
    images = images_of(
        project,
        "[tool.pytest_dockerkit.images]\nbase = {}\n"
        'it = { target = "one", dockerfile_text = "FROM busybox AS one\\nFROM base AS two" }',
    )
    assert declared.stands_on(images, "it") == ()


@pytest.mark.parametrize(
    ("reference", "name"),
    [
        ("base", "base"),
        ("base:latest", "base"),
        ("shop/base:dev", "base"),
        ("base:dev", None),
        ("shop/base", None),
        ("redis", None),
    ],
)
def test_a_reference_means_a_declared_image(project: Path, reference: str, name: str | None) -> None:
    assert declared.find(images_of(project, STACK), reference) == name


def test_a_tag_without_a_version_is_the_latest(project: Path) -> None:
    images = images_of(project, '[tool.pytest_dockerkit.images]\nit = { tags = ["shop/it", "other:latest"] }')
    found = [declared.find(images, each) for each in ("shop/it", "shop/it:latest", "other", "other:latest", "it:1")]
    assert found == ["it", "it", "it", "it", None]


# What the environment says


def test_the_environment_names_an_image_in_place_of_one_to_be_built(project: Path) -> None:
    """Then what it is built from need not be there, and it stands on nothing."""
    table = '[tool.pytest_dockerkit.images]\nbase = {}\n"shop/api.v1" = { build = "gone", tags = ["it:dev"] }'
    images = images_of(project, table, DOCKERKIT_IMAGE_SHOP_API_V1="ghcr.io/shop/api:3f2a", DOCKERKIT_IMAGE_BASE="")
    assert images["shop/api.v1"] == GivenImage("ghcr.io/shop/api:3f2a", "DOCKERKIT_IMAGE_SHOP_API_V1", ("it:dev",))
    assert isinstance(images["base"], ImageSpec)
    assert declared.find(images, "it:dev") == "shop/api.v1"
    assert declared.stands_on(images, "shop/api.v1") == ()


def test_no_name_has_the_variable_of_an_option() -> None:
    options = [name.removeprefix("image-") for name, *_ in _options.OPTIONS if name.startswith("image-")]
    assert sorted(options) == sorted(declared._OPTIONS)


# What is refused


@pytest.mark.parametrize(
    ("table", "sentences"),
    [
        (
            'dockerfiel = "Dockerfile"',
            (
                "'dockerfiel' is no key of an image\n"
                '  saw:  dockerfiel = "Dockerfile"\n'
                "  mend: did you mean 'dockerfile'?"
            ),
        ),
        (
            'target = "api-biuld"\ndockerfile = "docker/multi.Dockerfile"',
            (
                "target 'api-biuld' is no stage of {project}/docker/multi.Dockerfile\n"
                "  saw:  stages: base, api-build, web-build\n"
                "  mend: did you mean 'api-build'?"
            ),
        ),
        (
            'dockerfile = "Dockerfil"',
            (
                "the Dockerfile does not exist\n"
                "  saw:  {project}/Dockerfil (dockerfile= starts from the context); there: Dockerfile\n"
                "  mend: did you mean 'Dockerfile'?"
            ),
        ),
        (
            'build = "dokcer"',
            (
                "the build context does not exist\n"
                "  saw:  build='dokcer', which is {project}/dokcer\n"
                "  mend: did you mean 'docker'? relative paths start from {project}"
            ),
        ),
        (
            "target = 1",
            'target is of the wrong type\n  saw:  target = 1 (an integer)\n  mend: target = "stage"',
        ),
        (
            'args = ["VERSION=1"]',
            'args is of the wrong type\n  saw:  args = an array\n  mend: args = {{ VERSION = "1" }}',
        ),
        (
            "args = { DEBUG = true }",
            (
                "args.DEBUG is of the wrong type\n"
                "  saw:  args.DEBUG = true (a boolean)\n"
                '  mend: a string, such as DEBUG = "…"'
            ),
        ),
        (
            "labels.day = 2024-01-01",
            (
                "labels.day is of the wrong type\n"
                "  saw:  labels.day = a date or a time\n"
                '  mend: a string, such as day = "…"'
            ),
        ),
        (
            'tags = "shop/api"',
            'tags is of the wrong type\n  saw:  tags = "shop/api" (a string)\n  mend: tags = ["shop/api:dev"]',
        ),
        (
            'tags = ["shop/API"]',
            (
                "tags= is not an image reference\n"
                "  saw:  tags='shop/API'\n"
                '  mend: [registry/]name[:tag] in lower case, such as "shop/api"; a Dockerfile goes into build='
            ),
        ),
        (
            'pull = "alway"',
            "pull= is not one of its values\n  saw:  'alway'\n  mend: one of: 'missing', 'always', 'never'",
        ),
        (
            'args = { A = "1" }\nbuild_args = { B = "2" }',
            "one key is given by both of its names\n  saw:  args, build_args\n  mend: build_args alone",
        ),
        (
            'build_secrets = { npm = { path = "hunter2" } }',
            (
                "build_secrets.npm does not say where the secret is\n"
                "  saw:  build_secrets.npm = a table\n"
                '  mend: {{ npm = "NPM_TOKEN" }} (a variable of the environment), or {{ npm = {{ file = "path" }} }}'
            ),
        ),
    ],
)
def test_a_wrong_key_or_value_is_refused(project: Path, table: str, sentences: str) -> None:
    """With the file, the image, the key, what was given and the nearest right one."""
    path = project / "pyproject.toml"
    assert refusal(lambda: spec_of(project, table)) == f"{path}: image 'it': " + sentences.format(project=project)


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        (
            "[tool.pytest_dockerkit]\nimage = { api = {} }",
            (
                "[tool.pytest_dockerkit] has a key that there is not\n  saw:  image = a table\n"
                "  mend: did you mean 'images'?"
            ),
        ),
        (
            '[tool.pytest_dockerkit]\npull = "never"',
            (
                '[tool.pytest_dockerkit] has a key that there is not\n  saw:  pull = "never"\n'
                "  mend: images; what pytest reads, such as dockerkit_pull, goes into pytest's own table"
            ),
        ),
        (
            '[tool.pytest_dockerkit]\nimages = ["api"]',
            (
                "[tool.pytest_dockerkit.images] has to be a table of images\n  saw:  an array\n"
                '  mend: api = { target = "api" }, or [tool.pytest_dockerkit.images.api]'
            ),
        ),
        (
            '[tool]\npytest_dockerkit = "api"',
            (
                '[tool.pytest_dockerkit.images] has to be a table of images\n  saw:  "api"\n'
                '  mend: api = { target = "api" }, or [tool.pytest_dockerkit.images.api]'
            ),
        ),
        (
            "[tool.pytest-dockerkit.images.api]\n",
            (
                "the images stand in a table of another name\n  saw:  [tool.pytest-dockerkit]\n"
                "  mend: [tool.pytest_dockerkit], with an underscore"
            ),
        ),
        (
            '[tool.pytest_dockerkit.images]\napi = "Dockerfile"',
            (
                "image 'api': an image has to be a table\n  saw:  api = \"Dockerfile\"\n"
                '  mend: api = { target = "…" }, or {}'
            ),
        ),
        (
            "[tool.pytest_dockerkit.images.my.api]\n",
            (
                "image 'my': 'api' is no key of an image\n  saw:  api = a table\n"
                '  mend: did you mean an image? a name with a dot is quoted: images."my.api"'
            ),
        ),
        (
            "[tool.pytest_dockerkit.images]\nregistry = {}",
            (
                "image 'registry': this name is taken\n"
                "  saw:  DOCKERKIT_IMAGE_REGISTRY is a setting of the plugin's own\n"
                '  mend: another name, such as "registry-image"'
            ),
        ),
        (
            (
                '[tool.pytest_dockerkit.images]\na = { dockerfile_text = "FROM b" }\n'
                'b = { dockerfile_text = "FROM scratch\\nCOPY --from=c / /" }\n'
                'c = { dockerfile_text = "FROM a:latest" }'
            ),
            (
                "image 'a': images stand on each other\n  saw:  a → b → c → a\n"
                "  mend: let one of them stand on something else"
            ),
        ),
        (
            '[tool.pytest_dockerkit.images]\nredis = { dockerfile_text = "FROM redis" }',
            (
                "image 'redis': it stands on itself\n  saw:  redis → redis\n"
                "  mend: rename it, or write the registry's image with its tag, such as redis:1"
            ),
        ),
        (
            "[tool.pytest_dockerkit.images]\na = { tags = ['b:latest'] }\nb = {}",
            (
                "image 'a': a tag means another declared image as well\n  saw:  'b' is a name of 'b'\n"
                "  mend: give each name to one of them"
            ),
        ),
    ],
)
def test_a_wrong_table_is_refused(project: Path, text: str, sentences: str) -> None:
    assert refusal(lambda: images_of(project, text)) == f"{project / 'pyproject.toml'}: {sentences}"


@pytest.mark.parametrize(
    "name", ["api:dev", "API", "api build", "", "a@sha256:" + 64 * "0", "abcdef012345", "scratch"]
)
def test_a_name_that_cannot_stand_in_from_is_refused(project: Path, name: str) -> None:
    assert refusal(lambda: images_of(project, f'[tool.pytest_dockerkit.images]\n"{name}" = {{}}')) == (
        f"{project / 'pyproject.toml'}: image {name!r}: this cannot be the name of an image\n"
        f"  saw:  {name!r}\n"
        '  mend: one without a tag, such as "api" or "shop/api": lower case, no image id, not "scratch"'
    )


def test_a_variable_that_means_two_images_is_refused_when_it_is_set(project: Path) -> None:
    table = '[tool.pytest_dockerkit.images]\nmy-api = {}\n"my.api" = {}'
    assert list(images_of(project, table)) == ["my-api", "my.api"]
    assert refusal(lambda: images_of(project, table, DOCKERKIT_IMAGE_MY_API="api:1")) == (
        f"{project / 'pyproject.toml'}: image 'my.api': "
        "DOCKERKIT_IMAGE_MY_API is set, and means another image as well\n"
        "  saw:  images 'my-api' and 'my.api'\n"
        "  mend: rename one of them"
    )


def test_a_variable_that_is_no_reference_is_refused(project: Path) -> None:
    table = "[tool.pytest_dockerkit.images]\napi = {}"
    assert refusal(lambda: images_of(project, table, DOCKERKIT_IMAGE_API="api:1 ")) == (
        f"{project / 'pyproject.toml'}: image 'api': DOCKERKIT_IMAGE_API= is not an image reference\n"
        "  saw:  DOCKERKIT_IMAGE_API='api:1 '\n"
        '  mend: [registry/]name[:tag] in lower case, such as "api:1"; a Dockerfile goes into build='
    )


def test_a_file_that_is_no_toml_is_refused(project: Path) -> None:
    path = project / "pyproject.toml"
    assert refusal(lambda: images_of(project, "[tool.pytest_dockerkit.images\n")) == (
        f"{path} is not TOML\n"
        "  saw:  Expected ']' at the end of a table declaration (at line 1, column 30)\n"
        "  mend: correct the file"
    )
    path.write_bytes(b"[tool.pytest_dockerkit.images]\n# \xff\n")
    assert refusal(lambda: declared_images(project)) == (
        f"{path} is not TOML\n"
        "  saw:  'utf-8' codec can't decode byte 0xff in position 33: invalid start byte\n"
        "  mend: write it in UTF-8"
    )
