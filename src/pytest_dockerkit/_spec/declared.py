"""The images that a project declares: `[tool.pytest_dockerkit.images]` in its `pyproject.toml`."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from pytest_dockerkit._names import did_you_mean, nearest
from pytest_dockerkit._spec.image import ImageSpec, check_reference
from pytest_dockerkit._values import FrozenMapping
from pytest_dockerkit.errors import SpecError

#: An image of this name is not built, but taken from where the environment says.
VARIABLE = "DOCKERKIT_IMAGE_"

#: Names whose variables are those of the plugin's options.
_OPTIONS = ("registry", "push")

_KEYS = tuple(each.name for each in fields(ImageSpec))
_ALIASES = {"args": "build_args"}

_EXAMPLES = {
    "build": '"path/to/context"',
    "dockerfile": '"docker/web.Dockerfile"',
    "dockerfile_text": '"FROM busybox"',
    "target": '"stage"',
    "build_args": '{ VERSION = "1" }',
    "build_secrets": '{ npm = "NPM_TOKEN" } (a variable of the environment), or { npm = { file = "path" } }',
    "platform": '"linux/arm64"',
    "labels": '{ key = "value" }',
    "tags": '["shop/api:dev"]',
    "cache_from": '["registry.example.com/shop/api"]',
    "cache_to": '["type=inline"]',
    "pull": '"always"',
    "ssh": '"default"',
}
_TEXTS = ("build", "dockerfile", "dockerfile_text", "target", "platform", "pull", "ssh")
_LISTS = ("tags", "cache_from", "cache_to")
_TABLES = ("build_args", "build_secrets", "labels")


@dataclass(frozen=True)
class GivenImage:
    """A declared image that is not built: the environment says where it is.

    Attributes:
        reference: the image that is taken in its place.
        variable: the environment variable that says so.
        tags: the names that the declared image has beside its own.
    """

    reference: str
    variable: str
    tags: tuple[str, ...] = ()


DeclaredImage = ImageSpec | GivenImage
Declared = Mapping[str, DeclaredImage]


def read_images(text: str, path: Path, environment: Mapping[str, str] | None = None) -> Declared:
    """Read the table; paths in it are relative to the file.

    Args:
        text: the file's text.
        path: the file.
        environment: `DOCKERKIT_IMAGE_<NAME>` in it names an image to take in place of building one.

    Raises:
        SpecError: the table is wrong.
    """
    environment = environment or {}
    variables: dict[str, str] = {}
    images: dict[str, DeclaredImage] = {}
    for name, given in _table(text, path).items():
        try:
            _check_name(name)
            _check_variable(name, variables.setdefault(variable(name), name), environment)
            images[name] = _image(name, given, path.parent, environment)
        except SpecError as failure:
            failure.what = f"{path}: image {name!r}: {failure.what}"
            raise failure.with_traceback(None) from None
    _check_tags(images, path)
    _check_circles(images, path)
    return FrozenMapping(images)


def variable(name: str) -> str:
    """Give the environment variable that says where a declared image is."""
    return VARIABLE + re.sub(r"[^A-Z0-9]", "_", name.upper())


def find(images: Declared, reference: str) -> str | None:
    """Find the declared image that a reference means: by its name, with or without `:latest`, or by a tag of its own.

    Args:
        images: those that there are.
        reference: what is looked for.

    Returns:
        the image's name; None if it is none of them.
    """
    plain = reference.removesuffix(":latest")
    if plain in images:
        return plain
    return next((name for name, each in images.items() if plain in _short(each.tags)), None)


def stands_on(images: Declared, name: str) -> tuple[str, ...]:
    """Give the names of the declared images that one is built from, each once."""
    image = images[name]
    if isinstance(image, GivenImage):
        return ()
    bases = image.stages().base_images(image.target)
    return tuple(dict.fromkeys(found for base in bases if (found := find(images, base)) is not None))


def with_bases(images: Declared, names: Iterable[str]) -> tuple[str, ...]:
    """Give these images and all that they stand on, what is to be built first before the others."""
    ordered: dict[str, None] = {}

    def add(name: str) -> None:
        if name not in ordered:
            for base in stands_on(images, name):
                add(base)
            ordered[name] = None

    for each in names:
        add(each)
    return tuple(ordered)


def check_declared(images: Declared, name: str) -> str:
    """Take the name of a declared image.

    Raises:
        SpecError: there is none of that name.
    """
    if name in images:
        return name
    raise SpecError(
        "the project declares no image of this name",
        saw=f"{name!r}; declared: {', '.join(images) or 'none'}",
        mend=did_you_mean(name, images) if images else "[tool.pytest_dockerkit.images] in pyproject.toml",
    )


def _table(text: str, path: Path) -> Mapping[str, Any]:
    try:
        tools = tomllib.loads(text).get("tool", {})
    except tomllib.TOMLDecodeError as failure:
        raise SpecError(f"{path} is not TOML", saw=str(failure), mend="correct the file") from None
    if "pytest-dockerkit" in tools:
        raise SpecError(
            f"{path}: the images stand in a table of another name",
            saw="[tool.pytest-dockerkit]",
            mend="[tool.pytest_dockerkit], with an underscore",
        )
    ours = tools.get("pytest_dockerkit", {})
    for key, value in (ours if isinstance(ours, dict) else {}).items():
        if key != "images":
            raise SpecError(
                f"{path}: [tool.pytest_dockerkit] has a key that there is not",
                saw=f"{key} = {_shown(value)}",
                mend="did you mean 'images'?"
                if nearest(key, ["images"])
                else "images; what pytest reads, such as dockerkit_pull, goes into pytest's own table",
            )
    images = ours.get("images", {}) if isinstance(ours, dict) else ours
    if not isinstance(images, dict):
        raise SpecError(
            f"{path}: [tool.pytest_dockerkit.images] has to be a table of images",
            saw=_shown(images),
            mend='api = { target = "api" }, or [tool.pytest_dockerkit.images.api]',
        )
    return images


def _check_name(name: str) -> None:
    """Hold a name against what may stand in a `FROM`, without a tag."""
    try:
        check_reference("name", name)
        right = ":" not in name.rpartition("/")[2] and "@" not in name and not re.fullmatch("[a-f0-9]{12,64}", name)
    except SpecError:
        right = False
    if not right or name == "scratch":
        raise SpecError(
            "this cannot be the name of an image",
            saw=f"{name!r}",
            mend='one without a tag, such as "api" or "shop/api": lower case, no image id, not "scratch"',
        )
    if name in _OPTIONS:
        raise SpecError(
            "this name is taken",
            saw=f"{variable(name)} is a setting of the plugin's own",
            mend=f'another name, such as "{name}-image"',
        )


def _check_variable(name: str, other: str, environment: Mapping[str, str]) -> None:
    """Refuse a variable that means two images; as long as it is not set, it means none."""
    if other != name and environment.get(variable(name)):
        raise SpecError(
            f"{variable(name)} is set, and means another image as well",
            saw=f"images {other!r} and {name!r}",
            mend="rename one of them",
        )


def _image(name: str, given: object, base: Path, environment: Mapping[str, str]) -> DeclaredImage:
    if not isinstance(given, dict):
        raise SpecError(
            "an image has to be a table",
            saw=f"{name} = {_shown(given)}",
            mend=f'{name} = {{ target = "…" }}, or {{}}',
        )
    spec = ImageSpec(**{"build": ".", **_fields(name, given)})
    if reference := environment.get(variable(name)):
        # What it would be built from need not be there.
        return GivenImage(check_reference(variable(name), reference), variable(name), tuple(spec.tags))
    return spec.anchored(base)


def _fields(name: str, given: Mapping[str, object]) -> dict[str, Any]:
    taken: dict[str, Any] = {}
    for key, value in given.items():
        field = _ALIASES.get(key, key)
        if field not in _KEYS:
            raise SpecError(
                f"{key!r} is no key of an image",
                saw=f"{key} = {_shown(value)}",
                mend=f'did you mean an image? a name with a dot is quoted: images."{name}.{key}"'
                if isinstance(value, dict) and nearest(key, (*_KEYS, *_ALIASES)) is None
                else did_you_mean(key, (*_KEYS, *_ALIASES)),
            )
        if field in taken:
            raise SpecError("one key is given by both of its names", saw=", ".join(given), mend=f"{field} alone")
        taken[field] = _checked(key, field, value)
    return taken


def _checked(key: str, field: str, value: object) -> object:
    """Hold a value against its type in TOML's words; what it says is for `ImageSpec` to check."""
    if field == "build_secrets" and isinstance(value, dict):
        return {secret: _secret(f"{key}.{secret}", each) for secret, each in value.items()}
    if field in _TABLES and isinstance(value, dict):
        for inner, each in value.items():
            if isinstance(each, bool) or not isinstance(each, str | int | float):
                raise _wrong_type(f"{key}.{inner}", each, f'a string, such as {inner} = "…"')
        return value
    is_list = isinstance(value, list) and all(isinstance(each, str) for each in value)
    if (field in _TEXTS and isinstance(value, str)) or (field in _LISTS and is_list):
        return value
    raise _wrong_type(key, value, f"{key} = {_EXAMPLES[field]}")


def _secret(key: str, value: object) -> str | Path:
    if isinstance(value, str):
        return value
    if isinstance(value, dict) and len(value) == 1:
        [(kind, place)] = value.items()
        if kind in ("env", "file") and isinstance(place, str) and place:
            return place if kind == "env" else Path(place)
    # The value is not repeated: it may be the secret itself.
    raise SpecError(
        f"{key} does not say where the secret is", saw=f"{key} = {_kind(value)}", mend=_EXAMPLES["build_secrets"]
    )


def _wrong_type(key: str, value: object, example: str) -> SpecError:
    kind = f" ({_kind(value)})" if isinstance(value, str | int | float) else ""
    return SpecError(f"{key} is of the wrong type", saw=f"{key} = {_shown(value)}{kind}", mend=example)


def _check_tags(images: Declared, path: Path) -> None:
    """Refuse a name that means two images."""
    known = {name: name for name in images}
    for name, each in images.items():
        for tag in _short(each.tags):
            if (other := known.setdefault(tag, name)) != name:
                raise SpecError(
                    f"{path}: image {name!r}: a tag means another declared image as well",
                    saw=f"{tag!r} is a name of {other!r}",
                    mend="give each name to one of them",
                )


def _check_circles(images: Declared, path: Path) -> None:
    """Refuse images that stand on each other."""
    done: set[str] = set()

    def look(name: str, above: tuple[str, ...]) -> None:
        if name in above:
            circle = (*above[above.index(name) :], name)
            alone = len(circle) == 2
            raise SpecError(
                f"{path}: image {name!r}: " + ("it stands on itself" if alone else "images stand on each other"),
                saw=" → ".join(circle),
                mend=f"rename it, or write the registry's image with its tag, such as {name}:1"
                if alone
                else "let one of them stand on something else",
            )
        if name not in done:
            for base in stands_on(images, name):
                look(base, (*above, name))
            done.add(name)

    for each in images:
        look(each, ())


def _short(references: Iterable[str]) -> Iterator[str]:
    return (each.removesuffix(":latest") for each in references)


def _shown(value: object) -> str:
    """Write a value as TOML does; of a table or an array only what it is, as it may hold anything."""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str | int | float) else _kind(value)


def _kind(value: object) -> str:
    kinds: tuple[tuple[type, str], ...] = (
        (bool, "a boolean"),
        (int, "an integer"),
        (float, "a float"),
        (str, "a string"),
        (list, "an array"),
        (dict, "a table"),
    )
    return next((kind for cls, kind in kinds if isinstance(value, cls)), "a date or a time")
