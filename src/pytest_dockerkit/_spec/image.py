"""Images: what is to be built, and from what."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_dockerkit._names import FINGERPRINT_LABEL, nearest
from pytest_dockerkit._spec import cache, checks
from pytest_dockerkit._spec.refs import FixtureRef, ImageHandle
from pytest_dockerkit._spec.secret import Secret, masked_repr
from pytest_dockerkit._values import FrozenMapping
from pytest_dockerkit.errors import SpecError, without_our_frames

if TYPE_CHECKING:
    from pytest_dockerkit._spec.dockerfile import Dockerfile

PULL_POLICIES = ("missing", "always", "never")

#: A reference as the engine takes it: [host[:port]/]path[:tag][@digest].
#: Source: distribution/reference, regexp.go; the path is lower case.
_REFERENCE = re.compile(
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::\d+)?/)?"
    r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*"
    r"(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(?:@[a-z0-9]+:[a-f0-9]{32,})?"
    r"|(?:sha256:)?[a-f0-9]{12,64}"
)

#: `ssh=` of this value is the agent that `SSH_AUTH_SOCK` names.
SSH_AGENT = "default"

#: What can stand in `RUN --mount=type=secret,id=…`, where commas, quotes and blanks part the words.
_MOUNT_ID = r"[A-Za-z0-9_][A-Za-z0-9_./-]*"
_VARIABLE_NAME = r"[A-Za-z_][A-Za-z0-9_]*"


@dataclass(frozen=True, kw_only=True, repr=False)
class ImageSpec:
    """An image to be built from a Dockerfile.

    Attributes:
        build: the context directory. A relative path starts from the file that says it. None is an empty
            context, for a `dockerfile_text` that copies nothing.
        dockerfile: the Dockerfile, relative to the context, as in Compose; it may lie outside of it.
        dockerfile_text: the Dockerfile's own text, in place of a file.
        target: the stage to build; None builds the last.
        build_args: values for the Dockerfile's `ARG`s.
        build_secrets: what `RUN --mount=type=secret` may read while it builds, by its id: a `Secret`, the `Path` of a
            file, or as a text the name of an environment variable. Read when a build is really made.
        platform: such as "linux/arm64"; None is the engine's own.
        labels: labels beside the plugin's own.
        tags: further names for the image.
        cache_from: where layers may be taken from: an image, or as buildx writes it, `type=local,src=path`.
        cache_to: where layers are kept for other machines: `type=inline`, `type=registry,ref=…`,
            `type=local,dest=path`.
        pull: when base images are pulled: `missing` (or what the run's option says), `always` or `never`.
        ssh: what `RUN --mount=type=ssh` may use: "default" is the agent that runs, else the path of a key or of an
            agent's socket.

    Raises:
        SpecError: a value has the wrong type or contradicts another.
    """

    build: str | Path | None = None
    dockerfile: str | Path = "Dockerfile"
    dockerfile_text: str | None = None
    target: str | None = None
    build_args: Mapping[str, str] = field(default_factory=FrozenMapping)
    build_secrets: Mapping[str, Secret | Path | str] = field(default_factory=FrozenMapping)
    platform: str | None = None
    labels: Mapping[str, str] = field(default_factory=FrozenMapping)
    tags: Sequence[str] = ()
    cache_from: Sequence[str] = ()
    cache_to: Sequence[str] = ()
    pull: str = "missing"
    ssh: str | Path | None = None

    @without_our_frames
    def __post_init__(self) -> None:
        self._check_source()
        for name in ("target", "platform"):
            if getattr(self, name) is not None:
                checks.text(name, getattr(self, name), f'{name}="…"')
        for name in ("build_args", "labels"):
            taken = checks.text_mapping(name, getattr(self, name), f'{name}={{"KEY": "value"}}')
            object.__setattr__(self, name, taken)
        if FINGERPRINT_LABEL in self.labels:
            raise SpecError("labels= holds a label of the plugin's own", saw=FINGERPRINT_LABEL, mend="drop it")
        for name in ("tags", "cache_from", "cache_to"):
            object.__setattr__(self, name, checks.texts(name, getattr(self, name), f'{name}=["…"]'))
        for tag in self.tags:
            check_reference("tags", tag)
        for name in ("cache_from", "cache_to"):
            for entry in getattr(self, name):
                cache.check_entry(name, entry, check_reference)
        object.__setattr__(self, "build_secrets", _secrets(self.build_secrets))
        if self.ssh is not None:
            _check_ssh(self.ssh)
        checks.one_of("pull", self.pull, PULL_POLICIES)

    def __repr__(self) -> str:
        return masked_repr(self, "build_args", "build_secrets")

    def _check_source(self) -> None:
        if self.build is not None:
            checks.path("build", self.build)
        checks.path("dockerfile", self.dockerfile)
        if self.dockerfile_text is not None:
            checks.text("dockerfile_text", self.dockerfile_text, 'dockerfile_text="FROM busybox\\n…"')
            if self.dockerfile != "Dockerfile":
                raise SpecError(
                    "dockerfile= and dockerfile_text= are both given",
                    saw=f"dockerfile={str(self.dockerfile)!r} and a text of {len(self.dockerfile_text)} characters",
                    mend="give one of them",
                )
        elif self.build is None:
            raise SpecError(
                "there is nothing to build from",
                saw="neither build= nor dockerfile_text=",
                mend='build="path/to/context", or dockerfile_text="FROM …"',
            )

    @property
    def context(self) -> Path | None:
        """The context directory as a path; None is an empty one."""
        return None if self.build is None else Path(self.build)

    @property
    def where(self) -> str:
        """What to call the Dockerfile in a message."""
        return "dockerfile_text=" if self.dockerfile_text is not None else str(self.dockerfile)

    def anchored(self, base: Path) -> ImageSpec:
        """Make the paths absolute, and refuse what is not there.

        Args:
            base: where relative paths start.

        Raises:
            SpecError: there is no such context, Dockerfile or target.
        """
        context = None if self.build is None else _existing_directory(base, Path(self.build))
        dockerfile = self.dockerfile
        if self.dockerfile_text is None:
            assert context is not None  # noqa: S101  - _check_source has seen to it
            dockerfile = _existing_dockerfile(context, Path(self.dockerfile))
        spec = replace(
            self,
            build=context,
            dockerfile=dockerfile,
            # Whether they are there matters once it is built: an image that is there already needs none.
            build_secrets={
                key: checks.resolved("build_secrets", base, each) if isinstance(each, Path) else each
                for key, each in self.build_secrets.items()
            },
            cache_from=tuple(cache.anchored("cache_from", each, base) for each in self.cache_from),
            cache_to=tuple(cache.anchored("cache_to", each, base) for each in self.cache_to),
            ssh=None if self.ssh is None else _anchored_ssh(base, self.ssh),
        )
        spec.stages().check_target(self.target, spec.where)
        return spec

    def text(self) -> str:
        """Give the Dockerfile's text; the spec must be anchored.

        Raises:
            SpecError: the file is no text.
        """
        if self.dockerfile_text is not None:
            return self.dockerfile_text
        try:
            # With its own line ends: in a heredoc they are a part of the file that it makes.
            with Path(self.dockerfile).open(encoding="utf-8", newline="") as file:
                return file.read()
        except (OSError, UnicodeDecodeError) as failure:
            raise SpecError(
                "the Dockerfile cannot be read",
                saw=f"{self.dockerfile}: {failure}",
                mend="a readable UTF-8 file",
            ) from None

    def stages(self, text: str | None = None) -> Dockerfile:
        """Read the Dockerfile's stages; the spec must be anchored.

        Args:
            text: what was read of it before; None reads it.

        Raises:
            SpecError: it cannot be read, or has no stage.
        """
        # 10 ms with all that it takes to read one, and most containers are of an image that is there.
        from pytest_dockerkit._spec.dockerfile import parse

        found = parse(self.text() if text is None else text, self.build_args)
        if not found.stages:
            raise SpecError(
                "the Dockerfile has no FROM",
                saw=self.where,
                mend="begin it with FROM, after comments and ARGs",
            )
        return found


ImageRequest = str | ImageSpec | ImageHandle | FixtureRef


def check_image(value: object) -> ImageRequest:
    """Take a reference, a spec, an image or the fixture of one.

    Raises:
        SpecError: it is none of them.
    """
    if isinstance(value, ImageSpec | ImageHandle | FixtureRef):
        return value
    if isinstance(value, str):
        return check_reference("image", value)
    raise checks.wrong_type("image", value, 'image="redis:7", an ImageSpec or an image fixture')


def check_reference(field_name: str, value: str) -> str:
    """Refuse a reference that no engine takes.

    Raises:
        SpecError: it is malformed.
    """
    if _REFERENCE.fullmatch(value):
        return value
    lower = value.strip().lower()
    better = lower if _REFERENCE.fullmatch(lower) else "redis:7"
    raise SpecError(
        f"{field_name}= is not an image reference",
        saw=f"{field_name}={value!r}",
        mend=f'[registry/]name[:tag] in lower case, such as "{better}"; a Dockerfile goes into build=',
    )


def _secrets(value: object) -> FrozenMapping[str, Secret | Path | str]:
    example = 'build_secrets={"npm": Secret("npm", token)}, a Path, or the name of an environment variable'
    if not isinstance(value, Mapping):
        raise checks.wrong_type("build_secrets", type(value), example)
    for key, each in value.items():
        # The value is not repeated in the message: it may be the secret itself.
        if not isinstance(key, str) or not isinstance(each, Secret | Path | str):
            raise SpecError("build_secrets= is of the wrong type", saw=f"{type(each).__name__}", mend=example)
        if not re.fullmatch(_MOUNT_ID, key):
            raise SpecError(
                "build_secrets= has an id that no mount can name",
                saw=repr(key),
                mend='letters, digits and "_.-/", as in RUN --mount=type=secret,id=npm',
            )
        if isinstance(each, str) and not re.fullmatch(_VARIABLE_NAME, each):
            raise SpecError(
                f"build_secrets[{key!r}] is no name of an environment variable",
                saw=f"a text of {len(each)} characters",
                mend=f"{example}; a text is never the secret itself",
            )
    return FrozenMapping(value)


def _check_ssh(value: object) -> None:
    example = 'ssh="default" for the agent that runs, or the path of a key or of an agent\'s socket'
    if not isinstance(value, Path):
        checks.text("ssh", value, example)
    # `--ssh id=path,path`: there is no way to write them otherwise.
    if "," in str(value) or "=" in str(value):
        raise SpecError("ssh= takes one key or agent, without an id", saw=repr(str(value)), mend=example)


def _anchored_ssh(base: Path, ssh: str | Path) -> str:
    return ssh if isinstance(ssh, str) and ssh == SSH_AGENT else str(checks.resolved("ssh", base, Path(ssh)))


def _existing_directory(base: Path, build: Path) -> Path:
    context = checks.resolved("build", base, build)
    if context.is_dir():
        return context
    what = "the build context is not a directory" if context.exists() else "the build context does not exist"
    raise SpecError(
        what,
        saw=f"build={str(build)!r}, which is {context}",
        mend=_relative_hint(base, context),
    )


def _existing_dockerfile(context: Path, dockerfile: Path) -> Path:
    path = checks.resolved("dockerfile", context, dockerfile)
    if path.is_file():
        return path
    there = sorted(each.name for each in context.iterdir() if "dockerfile" in each.name.lower())
    mend = f"did you mean {nearest(dockerfile.name, there) or there[0]!r}?" if there else "write one, or dockerfile="
    raise SpecError(
        "the Dockerfile does not exist",
        saw=f"{path} (dockerfile= starts from the context); there: {', '.join(there) or 'none'}",
        mend=mend,
    )


def _relative_hint(base: Path, context: Path) -> str:
    if not context.parent.is_dir():
        return f"relative paths start from {base}"
    names = [each.name for each in context.parent.iterdir() if each.is_dir()]
    best = nearest(context.name, names)
    hint = f"did you mean {best!r}? " if best else ""
    return f"{hint}relative paths start from {base}"
