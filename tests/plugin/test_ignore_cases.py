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
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from pytest_dockerkit import ImageSpec
from pytest_dockerkit._engine.context import read_context
from pytest_dockerkit._engine.walk import walk
from pytest_dockerkit._spec.ignore import IgnoreRules
from pytest_dockerkit.errors import SpecError

DOCKERFILE = "FROM scratch\nCOPY . /ctx/\n"

#: The context of the cases: a path that ends with a slash is an empty directory, `a -> b` is a link.
TREE = r"""
    .dockerignore.bak  .env  .git/HEAD  .git/objects/ab/cdef  .github/workflows/ci.yml
    README.md  README-secret.md  LICENSE  Makefile  a  a.b  ab  abc  b  a1  a-1  a_1  A  1.2.whl
    a.txt  b.txt  foo  foo.bar/x  foobar/x  foo1/bar  foo2/bar  foo2/baz
    src/__init__.py  src/app.py  src/app.pyc  src/__pycache__/app.pyc  src/pkg/mod.py  src/pkg/mod.pyc
    src/pkg/deep/down/x.py  src/pkg/deep/down/x.txt  src/pkg/__pycache__/mod.pyc  src/pkg/temp
    docs/index.md  docs/api/index.md  docs/api/keep.md  docs/api/v1/keep.md  docs/img/logo.png
    node_modules/left/index.js  packages/web/node_modules/right/index.js  packages/web/src/index.js
    packages/web/dist/app.js  packages/api/dist/app.js  packages/api/dist/keep/app.js
    build/keep  build/out/keep  build/out/drop  build/out/deep/keep  logs/today.log  logs/old/1.log  x.log
    empty/  empties/one/  empties/two/three/  hollow/README.md
    a/b/c/d/e/f
    link.txt -> a.txt  dangling -> nowhere  links/up -> ../src  links/abs -> /etc  dirlink -> src
"""

#: Names that not every file system and terminal likes.
ODD_NAMES = (
    "with space", "with space.txt", " leading", "trailing ", "#hash", "#hash.txt", "!bang", "!bang.txt", "[x]", "[x].txt",
    "x", "x.txt", "star*", "star", "what?", "whats", "{a,b}", "a,b", "a|b", "(paren)", "plus+", "plus", "pluss", "$dollar",
    "^caret", "caret", "back\\slash", "backslash", "back1slash", "back/slash", "tilde~", "am&&p", "semi;", "quote'\"",
    "größe.txt", "gro\u0308ße.txt", "日本/語.txt", "☃", "é", "e", "new\nline", "tab\tbed", "a-b", "a]", "-", "--x", "%41",
    "dots..", "...", "..x", ".x", "x..y", "CON", "ÿ", "ſ", "K", "k", "\u2028", "\x1b[1m", "\u00a0nbsp", "\x1ffs",
)  # fmt: skip


@dataclass(frozen=True)
class CommandLine:
    """A `docker` that builds.

    Attributes:
        build: the arguments that begin a build.
        environment: what it runs with; a configuration of its own above all.
        rules: which it follows: `today`, or `old` ones, that treat some cases otherwise.
        buildkit: whether it has BuildKit.
    """

    build: tuple[str, ...]
    environment: dict[str, str]
    rules: str
    buildkit: bool

    def image(self, context: Path, *options: str) -> dict[str, str] | None:
        """Build, and give the paths below /ctx, each with its kind; None if it is refused."""
        if self.buildkit:
            output = self._run(*self.build, "--output", "type=tar,dest=-", *options, str(context))
            return None if output is None else contents(output)
        program = self.build[0]
        image = self._run(*self.build, "--quiet", *options, str(context))
        if image is None:
            return None
        container = self._run(program, "create", image.decode().strip(), "none")
        assert container is not None
        try:
            output = self._run(program, "export", container.decode().strip())
        finally:
            self._run(program, "rm", container.decode().strip())
            self._run(program, "rmi", image.decode().strip())
        assert output is not None
        return contents(output)

    def _run(self, *command: str) -> bytes | None:
        done = subprocess.run(command, env=self.environment, capture_output=True, check=False)
        return done.stdout if done.returncode == 0 else None


def contents(archive: bytes) -> dict[str, str]:
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        members = {each.name.rstrip("/"): each for each in tar}
    kinds = {tarfile.REGTYPE: "file", tarfile.DIRTYPE: "directory", tarfile.SYMTYPE: "link", tarfile.LNKTYPE: "file"}
    return {name[4:]: kinds[each.type] for name, each in members.items() if name.startswith("ctx/")}


@pytest.fixture(scope="session")
def command_line(tmp_path_factory: pytest.TempPathFactory) -> CommandLine:
    """The best that this machine has; without any, the cases are skipped."""
    config = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker")
    plugins = [str(config / "cli-plugins")]
    if (config / "config.json").is_file():
        plugins += json.loads((config / "config.json").read_text(encoding="utf-8")).get("cliPluginsExtraDirs", [])
    own = tmp_path_factory.mktemp("docker-config")
    (own / "config.json").write_text(json.dumps({"cliPluginsExtraDirs": plugins}), encoding="utf-8")
    environment = {key: value for key, value in os.environ.items() if not key.startswith("BUILDX_")}
    environment |= {"DOCKER_CONFIG": str(own), "DOCKER_BUILDKIT": "1"}
    found = sorted(_command_lines(environment), key=lambda each: (each.rules == "old", not each.buildkit))
    if not found:
        pytest.skip("this machine has no docker command line")
    return found[0]


def _command_lines(environment: dict[str, str]) -> Iterator[CommandLine]:
    for folder in os.get_exec_path():
        program = shutil.which("docker", path=folder)
        if program is None:
            continue
        if match := re.search(rb"v?(\d+)\.(\d+)\.", _said(environment, program, "buildx", "version")):
            # buildx 0.8 was the first with the rules that hold since. Source: its vendored tonistiigi/fsutil.
            rules = "today" if (int(match[1]), int(match[2])) >= (0, 8) else "old"
            yield CommandLine((program, "buildx", "build"), environment, rules, buildkit=True)
        elif match := re.match(rb"(\d+)\.", _said(environment, program, "version", "--format", "{{.Client.Version}}")):
            builtin = int(match[1]) < 23
            # Without it, a newer one refuses to build as long as it is told to use BuildKit.
            classic = environment | {"DOCKER_BUILDKIT": "0"}
            yield CommandLine((program, "build"), environment if builtin else classic, "old", buildkit=builtin)


def _said(environment: dict[str, str], *command: str) -> bytes:
    return subprocess.run(command, env=environment, capture_output=True, check=False).stdout


def plant(root: Path, paths: Iterator[str] | tuple[str, ...]) -> None:
    for path in paths:
        name, _, target = path.partition(" -> ")
        place = root / name
        if name.endswith("/"):
            place.mkdir(parents=True)
            continue
        if any(parent.is_file() for parent in place.parents) or place.is_dir():
            # In a list of names, one may be the directory of another.
            continue
        place.parent.mkdir(parents=True, exist_ok=True)
        if target:
            place.symlink_to(target)
        else:
            place.write_text(name, encoding="utf-8", errors="surrogateescape")


def tree(root: Path) -> Path:
    plant(root, tuple(re.split(r"\s{2,}", TREE.strip())))
    (root / "Dockerfile").write_text(DOCKERFILE, encoding="utf-8")
    return root


def ours(root: Path, text: str) -> dict[str, str] | None:
    """What we say that the image has; None if we refuse the ignore file."""
    try:
        rules = IgnoreRules.read(text, ".dockerignore")
    except SpecError:
        return None
    return {path: _kind(root / path) for path, _ in walk(root, rules, None).members}


def _kind(path: Path) -> str:
    return "link" if path.is_symlink() else "directory" if path.is_dir() else "file"


def ignore(root: Path, text: str) -> None:
    (root / ".dockerignore").write_bytes(text.encode(errors="surrogateescape"))


#: Ignore files for the tree, by what is in them that matters.
CASES = {
    # What a line is.
    "nothing": "",
    "only-a-newline": "\n",
    "blank-lines": "\n\n  \n\t\na.txt\n\n",
    "no-newline-at-the-end": "a.txt\nb.txt",
    "comments": "# a.txt\n#b.txt\n#\n",
    "a-comment-that-is-indented-is-a-pattern": "  # a.txt\nb.txt\n",
    "no-comment-behind-a-pattern": "a.txt # and why\nb.txt\n",
    "spaces-around": "  a.txt  \n\tb.txt\t\n",
    "carriage-returns": "a.txt\r\nb.txt\r\n\r\n# x\r\nsrc/pkg\r\n",
    "a-carriage-return-alone-ends-no-line": "a.txt\rb.txt\n",
    "byte-order-mark": "\ufeffa.txt\nb.txt\n",
    "byte-order-mark-before-a-comment": "\ufeff# a.txt\nb.txt\n",
    "byte-order-mark-further-down": "a.txt\n\ufeffb.txt\n\ufefffo*\n",
    "other-spaces": "\u00a0a.txt\u2003\n\u3000b.txt\u0085\n",
    "a-form-feed-and-others": "\x0ca.txt\x0b\n\x1fb.txt\x1f\n",
    "the-same-twice": "a.txt\na.txt\n",
    "not-utf-8": "caf\udce9.txt\na.txt\nsrc\udce9*\n",
    "as-long-as-it-may-be": "a.txt\n" + "x" * 65535 + "\n",
    # Where a pattern begins, and how it is cleaned.
    "slash-in-front": "/a.txt\n/src/pkg\n",
    "slashes-in-front": "//a.txt\n///src\n",
    "slash-behind": "src/\ndocs/api/\na.txt/\n",
    "slashes-within": "src//pkg///deep\n",
    "dot-slash": "./a.txt\n./src/./pkg\n",
    "dot": ".\n",
    "dot-with-slash": "./\n",
    "slash": "/\n",
    "slash-dot": "/.\n",
    "dots-that-lead-out": "../a.txt\n..\n/../b.txt\n",
    "dots-within": "src/../a.txt\nsrc/pkg/../app.py\n",
    "dots-behind-a-star": "*/../a.txt\n",
    "space-behind-the-slash": "/ a.txt\n",
    "a-directory-and-all-below": "src\n",
    "only-what-stands-there": "index.md\nkeep\n",
    "a-path": "docs/api/keep.md\nsrc/pkg/deep\n",
    "what-is-not-there": "nothing\nno/such/thing\nsrc/app.py/below\n",
    "capitals": "A.TXT\nSRC\nreadme.md\n",
    "dot-files": ".git\n.env\n",
    "the-dockerfile": "Dockerfile\n",
    "the-ignore-file": ".dockerignore\n",
    "both-of-them": "Dockerfile*\n.dockerignore*\n",
    "links": "link.txt\nlinks/up\ndangling\n",
    "through-a-link": "dirlink/app.py\nlinks/up/pkg\n",
    "empty-directories": "empty\nempties/one\n",
    # Stars and question marks.
    "star": "*\n",
    "star-and-suffix": "*.txt\n",
    "star-and-prefix": "foo*\n",
    "star-in-the-middle": "a*c\nREADME*md\n",
    "star-needs-no-character": "a*\nfoo*bar\n",
    "star-takes-dot-files": "*ignore*\n*env\n",
    "star-stops-at-a-slash": "src*py\n*/app.py\n",
    "star-slash-star": "*/*\n",
    "star-slash-star-slash-star": "*/*/*\n",
    "star-behind-a-directory": "src/*\n",
    "star-slash": "*/\n",
    "stars-in-two-parts": "packages/*/dist/*.js\n",
    "star-dot-star": "*.*\n",
    "question-mark": "?\n",
    "question-marks": "???\n?.txt\nsrc?app.py\n",
    "question-mark-takes-a-dot": "?env\n?git\n",
    "two-stars": "**\n",
    "two-stars-slash": "**/\n",
    "two-stars-in-front": "**/keep\n**/__pycache__\n",
    "two-stars-in-front-without-a-slash": "**.py\n**keep\n",
    "two-stars-and-star": "**/*.py\n",
    "two-stars-and-question-mark": "**/?.txt\n",
    "two-stars-and-class": "**/[ab].txt\n",
    "two-stars-behind": "src/**\ndocs/api/**\n",
    "two-stars-behind-with-slash": "src/**/\n",
    "two-stars-behind-without-a-slash": "src**\nfoo**\n",
    "two-stars-in-the-middle": "src/**/x.py\ndocs/**/keep.md\n",
    "two-stars-in-the-middle-without-a-slash": "src**x.py\nd**md\n",
    "two-stars-twice": "**/src/**\n**/dist/**/app.js\n",
    "two-stars-after-each-other": "**/**/keep\n**/**\n",
    "three-stars": "***/keep\n***.py\n",
    "four-stars": "****\n",
    "star-slash-two-stars": "*/**\n",
    "two-stars-slash-star": "**/*\n",
    "two-stars-and-a-path": "**/pkg/deep\n**/api/keep.md\n",
    "two-stars-and-dots": "**/.*\n",
    "slash-two-stars": "/**/keep\n",
    "dot-two-stars": "./**/keep\n",
    # Classes and escapes.
    "class": "[ab].txt\n",
    "class-with-a-range": "[a-c]\nfoo[0-9]\n",
    "class-with-more": "[0-9A-F_]\na[-_1]\n",
    "class-negated": "[^a].txt\na[^1]\n",
    "class-negated-takes-a-slash": "src[^x]app.py\nempty[^x]\n",
    "class-with-a-slash": "src[/]app.py\n",
    "no-negation-with-an-exclamation-mark": "[!a].txt\n[!x]\n",
    "class-with-a-closing-bracket": "a[\\]b]\n",
    "class-with-a-star": "x[*]log\n[*]\n",
    "class-with-a-question-mark": "a[?]\n",
    "class-with-a-dot": "a[.]txt\n",
    "class-by-name": "[[:alpha:]]\na[[:digit:]]\n[[:^lower:]]\n",
    "class-with-escapes": "[\\a-c]\n[\\-a]\na[\\d]\n",
    "a-closing-bracket-alone": "a]\n*]\n",
    "capitals-or-not": "[Rr][Ee][Aa][Dd][Mm][Ee].md\n",
    "escapes": "\\a.txt\nb\\.txt\n",
    "escaped-star": "foo\\*\n\\*\n",
    "escaped-letters": "fo\\x6f\na\\d\n\\w\n",
    "escaped-hash": "\\#hash\n",
    "escaped-slash": "src\\/app.py\n",
    "quoted-for-go": "\\Qa.txt\\E\nfo\\Qo1*\n",
    "braces-are-none": "{a,b}.txt\n*.{txt,log}\n",
    "braces-repeat": "fo{2}?\n*.l{1}og\n",
    "a-bar-is-a-choice-behind-a-star": "*/app|x.log\n",
    "signs-of-expressions": "a.+\n(a)*\n$*\n^a\n^a*\n+*\n",
    # Taking back.
    "take-back": "*.md\n!README.md\n",
    "take-back-and-exclude-again": "*.md\n!README*.md\nREADME-secret.md\n",
    "take-back-before": "!README.md\n*.md\n",
    "take-back-in-a-directory": "docs\n!docs/index.md\n",
    "take-back-deep-in-a-directory": "src\n!src/pkg/deep/down/x.py\n",
    "take-back-a-directory": "packages\n!packages/web\n",
    "take-back-a-directory-and-exclude-in-it": "packages\n!packages/web\npackages/web/dist\n",
    "take-back-with-a-slash-behind": "docs/\n!docs/api/\n",
    "take-back-with-a-slash-in-front": "docs\n!/docs/index.md\n",
    "take-back-with-spaces": "docs\n! docs/index.md\n  !  docs/img  \n",
    "take-back-what-is-not-there": "docs\n!docs/nothing\n",
    "take-back-what-is-not-excluded": "!src\n!nothing\na.txt\n",
    "take-back-with-a-star": "docs/api\n!docs/api/*.md\n",
    "take-back-with-a-star-above": "docs\n!*/index.md\n",
    "take-back-all-that-is-in-it": "docs\n!docs/*\n",
    "take-back-all-that-is-below": "docs\n!docs/**\n",
    "take-back-all-below-a-star": "docs/api\n!docs/*/**\n",
    "take-back-with-two-stars": "**\n!**/keep\n",
    "take-back-with-two-stars-in-a-directory": "build\n!build/**/keep\n",
    "take-back-with-two-stars-below-another": "node_modules\nbuild\n!**/keep\n",
    "take-back-with-a-question-mark": "src\n!src/pkg/deep/down/x.??\n",
    "take-back-with-a-class": "docs\n!docs/[ai]*\n",
    "take-back-with-an-escape": "docs\n!docs/\\index.md\n",
    "all-but-one": "*\n!src\n",
    "all-but-some": "*\n!src\n!docs/api\n!Makefile\n",
    "all-but-some-with-two-stars": "**\n!src/**\n!docs/index.md\n",
    "all-but-one-kind": "*\n!**/*.py\n",
    "all-but-one-kind-with-two-stars": "**\n!**/*.py\n",
    "all-but-one-without-some-of-it": "*\n!src\n**/__pycache__\n**/*.pyc\n",
    "all-but-one-file": "*\n!a.txt\n",
    "all-but-one-file-below": "*\n!src/pkg/deep/down/x.txt\n",
    "all-but-the-context": "*\n!.\n",
    "all-but-nothing": "*\n!nothing\n",
    "all-but-out-of-it": "*\n!../src\n",
    "all-in-it-then-the-directory": "src/*\n!src\n",
    "all-below-then-the-directory": "src/**\n!src\n",
    "the-directory-then-all-in-it": "src\n!src\nsrc/*\n",
    "again-and-again": "*\n!src\nsrc/pkg\n!src/pkg/deep\nsrc/pkg/deep/down/x.txt\n",
    "a-link-taken-back": "*\n!links/up\n!dirlink\n",
    "through-a-link-taken-back": "*\n!dirlink/app.py\n",
    "an-empty-directory-taken-back": "*\n!empty\n!empties/two/three\n",
    "the-dockerfile-taken-back": "*\n!Dockerfile\n",
    "two-exclamation-marks": "*\n!!bang\n",
    "an-exclamation-mark-behind-a-slash": "*\n/!src\n",
    "an-exclamation-mark-behind-a-dot": "*\n./!src\n",
    "an-exclamation-mark-escaped": "\\!bang\n",
    "hollow": "hollow/README.md\nempties\n!empties/one\n",
    # What people write.
    "python": "# Byte-compiled\n**/__pycache__/\n**/*.py[cod]\n*$py.class\n.env\n.venv\n/build/\ndist/\n*.egg-info/\n.git\n",
    "node": "node_modules\n**/node_modules\nnpm-debug.log*\n.git*\n.env*\n!.env.example\ndist\n**/dist\n!packages/api/dist\n",
    "visual-studio": "**/.git\n**/[Bb]in\n**/[Oo]bj\n**/*.*proj.user\n**/[Bb]uild\nLICENSE\nREADME.md\n!**/.gitignore\n!.git/HEAD\n",
    "git-like-but-it-is-not-git": "keep\n/keep\nbuild/out/\nlogs/*.log\n*.log\n",
    "rust": "/target\n**/target\n!src/**\n*.pdb\n",
    "allow-list": "**\n!/src/**/*.py\n!/docs\n**/__pycache__\n/docs/img\n",
}

#: Those that older command lines, or the classic builder, treat otherwise.
OLD = set[str]()

#: Ignore files that are refused.
REFUSED = {
    "an-exclamation-mark-alone": "a.txt\n!\n",
    "an-exclamation-mark-and-spaces": "a.txt\n!  \n",
    "an-exclamation-mark-and-a-slash": "!/\n",
    "a-slash-and-an-exclamation-mark": "/!\n",
    "a-class-that-does-not-end": "a[b\n",
    "a-class-that-is-empty": "a[]\n",
    "a-class-that-begins-with-a-closing-bracket": "[]a]\n",
    "a-class-that-is-empty-and-negated": "[^]\n",
    "a-dash-in-front": "[-a]\n",
    "a-dash-behind": "[a-]\n",
    "a-range-the-wrong-way-round": "[Local-Only]\n",
    "a-backslash-at-the-end": "a\\\n",
    "a-backslash-between-directories": "src\\Lib\n",
    "a-backslash-before-a-letter-of-another-script": "\\é\n",
    "a-class-that-nobody-knows": "[[:letter:]]\n",
    "a-star-in-a-range": "[+-*]\n",
    "repeats-the-wrong-way-round": "*a{3,2}\n",
    "repeats-of-repeats": "*{2}\n",
    "too-long": "a.txt\n" + "x" * 65536 + "\n",
}


@pytest.mark.parametrize("case", CASES)
def test_an_image_has_what_the_rules_leave(case: str, command_line: CommandLine, tmp_path: Path) -> None:
    if command_line.rules == "old" and case in OLD:
        pytest.skip("this command line has the rules of before buildx 0.8")
    context = tree(tmp_path / "context")
    ignore(context, CASES[case])
    found = ours(context, CASES[case])
    assert found is not None
    assert command_line.image(context) == found


@pytest.mark.parametrize("case", REFUSED)
def test_what_a_build_refuses_is_refused(case: str, command_line: CommandLine, tmp_path: Path) -> None:
    context = tree(tmp_path / "context")
    ignore(context, REFUSED[case])
    assert command_line.image(context) is None
    assert ours(context, REFUSED[case]) is None
