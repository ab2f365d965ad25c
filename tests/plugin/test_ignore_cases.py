"""Ignore files, held against real builds: what the command line puts into an image is what we say a build gets.

No case says what it expects. The installed command line builds from the directory, and decides.
"""

from __future__ import annotations

import io
import json
import os
import random
import re
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from pytest_dockerkit import ImageSpec
from pytest_dockerkit._engine.context import read_context
from pytest_dockerkit._engine.walk import walk
from pytest_dockerkit._spec.ignore import IgnoreRules
from pytest_dockerkit.errors import SpecError
from tests.plugin.ignore_files import (
    BYTES_CASES,
    BYTES_NAMES,
    CASES,
    ODD_CASES,
    ODD_NAMES,
    OLD,
    PLACES,
    REFUSED,
    TREE,
)

DOCKERFILE = "FROM scratch\nCOPY . /ctx/\n"

_WHERE_BUILDX_IS = '{{range .ClientInfo.Plugins}}{{if eq .Name "buildx"}}{{.Path}}{{end}}{{end}}'


@dataclass(frozen=True)
class CommandLine:
    """A `docker` that builds with BuildKit.

    Attributes:
        build: the arguments that begin a build.
        environment: what it runs with.
        configuration: the text of its config.json, in place of the user's.
        today: whether it has the rules of today; older ones treat some cases otherwise.
    """

    build: tuple[str, ...]
    environment: dict[str, str]
    configuration: str
    today: bool

    def image(self, context: Path, dockerfile: Path) -> dict[str, str] | str:
        """Build, and give the paths below /ctx, each with its kind, or what the build says when it fails."""
        command = (*self.build, "--output", "type=tar,dest=-", "--file", str(dockerfile), str(context))
        # BuildKit knows who sends by this directory. From one that it knows it takes only what has changed in a
        # context, and older engines have sometimes kept what another ignore file had left out.
        with tempfile.TemporaryDirectory() as config:
            Path(config, "config.json").write_text(self.configuration, encoding="utf-8")
            environment = self.environment | {"DOCKER_CONFIG": config}
            done = subprocess.run(command, env=environment, capture_output=True, check=False)
        return contents(done.stdout) if done.returncode == 0 else done.stderr.decode()


def contents(archive: bytes) -> dict[str, str]:
    kinds = {tarfile.REGTYPE: "file", tarfile.LNKTYPE: "file", tarfile.DIRTYPE: "directory", tarfile.SYMTYPE: "link"}
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        return {each.name[4:]: kinds[each.type] for each in tar if each.name.startswith("ctx/")}


@pytest.fixture(scope="session")
def command_line() -> CommandLine:
    """The best that this machine has. The classic builder has rules of its own, and decides nothing."""
    config = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker")
    plugins = [str(config / "cli-plugins")]
    if (config / "config.json").is_file():
        plugins += json.loads((config / "config.json").read_text(encoding="utf-8")).get("cliPluginsExtraDirs", [])
    found = sorted(_command_lines(json.dumps({"cliPluginsExtraDirs": plugins})), key=lambda each: not each.today)
    if not found:
        pytest.skip("no docker command line here has BuildKit")
    return found[0]


def _command_lines(configuration: str) -> Iterator[CommandLine]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("BUILDX_")}
    environment |= {"DOCKER_BUILDKIT": "1"}

    def said(*command: str) -> str:
        with tempfile.TemporaryDirectory() as config:
            Path(config, "config.json").write_text(configuration, encoding="utf-8")
            own = environment | {"DOCKER_CONFIG": config}
            return subprocess.run(command, env=own, capture_output=True, check=False, text=True).stdout.strip()

    for program in filter(None, (shutil.which("docker", path=folder) for folder in os.get_exec_path())):
        if match := re.search(r"\bv?(\d+)\.(\d+)\.\d", said(program, "buildx", "version")):
            # Its rules have been the same since 0.8. Source: its vendored tonistiigi/fsutil, filter.go.
            today = (int(match[1]), int(match[2])) >= (0, 8)
            # Run by itself it takes half the time: docker looks at all its plugins first.
            plugin = said(program, "info", "--format", _WHERE_BUILDX_IS)
            build = (plugin, "build") if plugin else (program, "buildx", "build")
            yield CommandLine(build, environment, configuration, today)
            continue
        match = re.match(r"(\d+)\.", said(program, "version", "--format", "{{.Client.Version}}"))
        if match and int(match[1]) < 23:
            # Those have BuildKit built in.
            yield CommandLine((program, "build"), environment, configuration, today=False)


def needs_todays_rules(case: str, command_line: CommandLine) -> None:
    if case in OLD and not command_line.today:
        pytest.skip("this command line has the rules of before buildx 0.8")


def plant(root: Path, paths: Iterable[str]) -> Path:
    """Make a tree; a path that is below a file, or is there already, is passed over."""
    root.mkdir()
    for path in paths:
        name, _, target = path.partition(" -> ")
        place = root / name
        if os.path.lexists(place) or any(parent.is_file() or parent.is_symlink() for parent in place.parents):
            continue
        if name.endswith("/"):
            place.mkdir(parents=True)
            continue
        place.parent.mkdir(parents=True, exist_ok=True)
        if target:
            place.symlink_to(target)
        else:
            place.touch()
    return root


@pytest.fixture(scope="session")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = plant(tmp_path_factory.mktemp("tree") / "the context", re.split(r"\s{2,}", TREE.strip()))
    # Nobody asks this one: each case brings its own, which goes before it.
    (root / ".dockerignore").write_text("*\n", encoding="utf-8")
    return root


@pytest.fixture(scope="session")
def odd_tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return plant(tmp_path_factory.mktemp("tree") / "odd", ODD_NAMES)


def ours(root: Path, text: str) -> dict[str, str] | None:
    """Say what the image has; None if the ignore file is refused."""
    try:
        rules = IgnoreRules.read(text, ".dockerignore")
    except SpecError:
        return None
    return {path: kind(root / path) for path, _ in walk(root, rules, None).members}


def kind(path: Path) -> str:
    return "link" if path.is_symlink() else "directory" if path.is_dir() else "file"


def built(command_line: CommandLine, root: Path, text: str, beside: Path) -> dict[str, str] | str:
    """Build from a context, with an ignore file that lies elsewhere, so that many builds can have it at a time."""
    dockerfile = beside / "Dockerfile"
    dockerfile.write_text(DOCKERFILE, encoding="utf-8")
    (beside / "Dockerfile.dockerignore").write_bytes(text.encode(errors="surrogateescape"))
    return command_line.image(root, dockerfile)


def assert_refused(image: dict[str, str] | str) -> None:
    """See that a build failed, and for what it found in the ignore file."""
    assert isinstance(image, str)
    assert re.search("illegal exclusion|syntax error in pattern|PROTOCOL_ERROR|non-printable|token too long", image)


@pytest.mark.parametrize("case", CASES)
def test_an_image_has_what_the_rules_leave(case: str, command_line: CommandLine, tree: Path, tmp_path: Path) -> None:
    needs_todays_rules(case, command_line)
    found = ours(tree, CASES[case])
    assert found is not None
    assert built(command_line, tree, CASES[case], tmp_path) == found


@pytest.mark.parametrize("case", ODD_CASES)
def test_whatever_the_names(case: str, command_line: CommandLine, odd_tree: Path, tmp_path: Path) -> None:
    needs_todays_rules(case, command_line)
    found = ours(odd_tree, ODD_CASES[case])
    assert found is not None
    assert built(command_line, odd_tree, ODD_CASES[case], tmp_path) == found


@pytest.mark.parametrize("case", BYTES_CASES)
def test_names_that_are_not_utf_8(case: str, command_line: CommandLine, tmp_path: Path) -> None:
    needs_todays_rules(case, command_line)
    root = plant(tmp_path / "bytes", BYTES_NAMES)
    if "invalid UTF-8" in built(command_line, root, "", tmp_path):
        pytest.skip("this engine takes no names that are not UTF-8")
    assert built(command_line, root, BYTES_CASES[case], tmp_path) == ours(root, BYTES_CASES[case])


@pytest.mark.parametrize("case", REFUSED)
def test_what_a_build_refuses_is_refused(case: str, command_line: CommandLine, tree: Path, tmp_path: Path) -> None:
    needs_todays_rules(case, command_line)
    assert ours(tree, REFUSED[case]) is None
    assert_refused(built(command_line, tree, REFUSED[case], tmp_path))


def random_paths(rng: random.Random) -> list[str]:
    names = ("a", "b", "ab", "a.b", "a.txt", "b.txt", ".a", "a b", "ü", "keep")
    depths = rng.choices((1, 2, 3, 4), (2, 4, 3, 2), k=30)
    ends = rng.choices(("", "/", " -> a", " -> ../b"), (14, 2, 1, 1), k=30)
    return ["/".join(rng.choices(names, k=depth)) + end for depth, end in zip(depths, ends, strict=True)]


def random_rules(rng: random.Random, paths: list[str], *, today: bool) -> str:
    """Write an ignore file whose patterns have to do with the paths.

    Older command lines know less of parents that are excluded or taken back: for them only files are taken back,
    by their names, and from patterns that they read as newer ones do.
    """
    wild = ["*", "?", "**", "*b", "a*", "*.txt", "[a-b]", "[^a]", "**.txt", "a?", "\\a", "[ab]*", ".*", "..", "."]
    plain = [path.partition(" -> ")[0].rstrip("/") for path in paths]
    takes_back = rng.random() < 0.7
    if not today:
        wild = [each for each in wild if each != "**.txt" and not (takes_back and "**" in each)]
    lines: list[str] = []
    for _ in range(rng.randint(1, 6)):
        back = takes_back and bool(lines) and rng.random() < 0.45
        path = rng.choice(plain)
        if today or not back:
            parts = path.split("/")[: rng.randint(1, 4)]
            path = "/".join(rng.choice(wild) if rng.random() < 0.5 else part for part in parts)
        elif any(other.startswith(f"{path}/") for other in plain):
            continue
        line = rng.choice(("", "", "", "/", "./")) + path + rng.choice(("", "", "", "/"))
        lines.append(f"{'!' if back else ''}{rng.choice(('', '', ' '))}{line}{rng.choice(('', '', ' ', chr(13)))}")
    return "\n".join(lines)


@pytest.mark.parametrize("place", PLACES)
def test_the_ignore_file_that_counts(place: str, command_line: CommandLine, tmp_path: Path) -> None:
    root = plant(tmp_path / "the context", ("a", "b", "sub/a", "sub/b"))
    name, ignore_files = PLACES[place]
    for path, text in {name: DOCKERFILE, **ignore_files}.items():
        (root / path).parent.mkdir(exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")
    assert command_line.image(root, root / name) == as_context(root, name)


def test_an_ignore_file_behind_a_link(command_line: CommandLine, tmp_path: Path) -> None:
    root = plant(tmp_path / "context", ("a", "b", "rules/mine"))
    (root / "Dockerfile").write_text(DOCKERFILE, encoding="utf-8")
    (root / "rules/mine").write_text("a\n", encoding="utf-8")
    (root / ".dockerignore").symlink_to("rules/mine")
    assert command_line.image(root, root / "Dockerfile") == as_context(root, "Dockerfile")


def test_a_directory_is_no_ignore_file(command_line: CommandLine, tmp_path: Path) -> None:
    root = plant(tmp_path / "context", ("a", "b", ".dockerignore/a"))
    (root / "Dockerfile").write_text(DOCKERFILE, encoding="utf-8")
    assert command_line.image(root, root / "Dockerfile") == as_context(root, "Dockerfile")


def test_a_context_behind_a_link(command_line: CommandLine, tmp_path: Path) -> None:
    root = plant(tmp_path / "context", ("a", "b", "sub/a"))
    (root / "Dockerfile").write_text(DOCKERFILE, encoding="utf-8")
    (root / ".dockerignore").write_text("a\n", encoding="utf-8")
    (tmp_path / "link").symlink_to("context")
    assert command_line.image(tmp_path / "link", root / "Dockerfile") == as_context(tmp_path / "link", "Dockerfile")


def as_context(root: Path, dockerfile: str) -> dict[str, str]:
    """Say what the image has, as a build of ours finds it."""
    context = read_context(ImageSpec(build=root, dockerfile=dockerfile).anchored(Path("/")))
    return {member.path: kind(root / member.path) for member in context.members}


@pytest.mark.parametrize("seed", range(40))
def test_an_image_has_what_random_rules_leave(seed: int, command_line: CommandLine, tmp_path: Path) -> None:
    rng = random.Random(seed)
    paths = random_paths(rng)
    root = plant(tmp_path / "context", paths)
    text = random_rules(rng, paths, today=command_line.today)
    found, image = ours(root, text), built(command_line, root, text, tmp_path)
    if found is None:
        assert_refused(image)
    else:
        assert image == found, text
