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
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from pytest_dockerkit import ImageSpec
from pytest_dockerkit._engine.context import read_context
from pytest_dockerkit._engine.walk import walk
from pytest_dockerkit._spec.ignore import IgnoreRules
from pytest_dockerkit.errors import SpecError

_WHERE_BUILDX_IS = '{{range .ClientInfo.Plugins}}{{if eq .Name "buildx"}}{{.Path}}{{end}}{{end}}'

DOCKERFILE = "FROM scratch\nCOPY . /ctx/\n"

#: The paths of the tree that most cases are tried on: one that ends with a slash is a directory, `a -> b` is a link.
TREE = """
    Dockerfile  .dockerignore  .dockerignore.bak  .env  .git/HEAD  .git/objects/ab/cdef  .github/workflows/ci.yml
    README.md  README-secret.md  LICENSE  Makefile  a  a.b  ab  abc  b  a1  a-1  a_1  A  1.2.whl
    a.txt  b.txt  foo  foo.bar/x  foobar/x  foo1/bar  foo2/bar  foo2/baz  a-b  a+b
    src/__init__.py  src/app.py  src/app.pyc  src/__pycache__/app.pyc  src/pkg/mod.py  src/pkg/mod.pyc
    src/pkg/deep/down/x.py  src/pkg/deep/down/x.txt  src/pkg/__pycache__/mod.pyc  src/pkg/temp
    docs/index.md  docs/api/index.md  docs/api/keep.md  docs/api/v1/keep.md  docs/img/logo.png
    node_modules/left/index.js  packages/web/node_modules/right/index.js  packages/web/src/index.js
    packages/web/dist/app.js  packages/api/dist/app.js  packages/api/dist/keep/app.js
    build/keep  build/out/keep  build/out/drop  build/out/deep/keep  logs/today.log  logs/old/1.log  x.log
    empty/  empties/one/  empties/two/three/  hollow/README.md  c/d/e/f
    link.txt -> a.txt  dangling -> nowhere  links/up -> ../src  links/abs -> /etc  dirlink -> src
"""

#: Names that not every shell and file system likes, and names that a wrong reading takes for them.
ODD_NAMES = (
    "with space", "with space.txt", " leading", "trailing ", "#hash", "#hash.txt", "hash", "!bang",
    "!bang.txt", "bang", "[x]", "[x].txt", "x", "x.txt", "star*", "star", "start", "what?", "whats",
    "{a,b}", "a,b", "a|b", "a", "b", "(paren)", "paren", "plus+", "plus", "pluss", "$dollar", "dollar",
    "^caret", "caret", "back\\slash", "backslash", "back1slash", "back lash", "back/slash", "tilde~",
    "am&&p", "quote'\"", "größe.txt", "gro\u0308ße.txt", "日本/語.txt", "日本語", "☃", "é", "e", "É", "ſ", "s",  # noqa: RUF001
    "K", "k", "new\nline", "dir\nline/line", "tab\tbed", "a]", "-", "--x", "%41", "A", "dots..", "...",
    "..x", ".x", "x..y", "\u2028", "\x1b[1m", "\x1fcontrol", "\u00a0nbsp", "nbsp", "café",
)  # fmt: skip


@dataclass(frozen=True)
class CommandLine:
    """A `docker` that builds with BuildKit.

    Attributes:
        build: the arguments that begin a build.
        environment: what it runs with; a configuration of its own above all.
        today: whether it has the rules of today; older ones treat some cases otherwise.
    """

    build: tuple[str, ...]
    environment: dict[str, str]
    today: bool

    def image(self, context: Path, dockerfile: Path) -> dict[str, str] | str:
        """Build, and give the paths below /ctx, each with its kind, or what the build says when it fails."""
        command = (*self.build, "--output", "type=tar,dest=-", "--file", str(dockerfile), str(context))
        done = subprocess.run(command, env=self.environment, capture_output=True, check=False)
        return contents(done.stdout) if done.returncode == 0 else done.stderr.decode()


def contents(archive: bytes) -> dict[str, str]:
    kinds = {tarfile.REGTYPE: "file", tarfile.LNKTYPE: "file", tarfile.DIRTYPE: "directory", tarfile.SYMTYPE: "link"}
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        return {each.name[4:]: kinds[each.type] for each in tar if each.name.startswith("ctx/")}


@pytest.fixture(scope="session")
def command_line(tmp_path_factory: pytest.TempPathFactory) -> CommandLine:
    """The best that this machine has. The classic builder has rules of its own, and decides nothing."""
    config = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker")
    plugins = [str(config / "cli-plugins")]
    if (config / "config.json").is_file():
        plugins += json.loads((config / "config.json").read_text(encoding="utf-8")).get("cliPluginsExtraDirs", [])
    own = tmp_path_factory.mktemp("docker-config")
    (own / "config.json").write_text(json.dumps({"cliPluginsExtraDirs": plugins}), encoding="utf-8")
    environment = {key: value for key, value in os.environ.items() if not key.startswith("BUILDX_")}
    environment |= {"DOCKER_CONFIG": str(own), "DOCKER_BUILDKIT": "1"}
    found = sorted(_command_lines(environment), key=lambda each: not each.today)
    if not found:
        pytest.skip("no docker command line here has BuildKit")
    return found[0]


def _command_lines(environment: dict[str, str]) -> Iterator[CommandLine]:
    def said(*command: str) -> str:
        done = subprocess.run(command, env=environment, capture_output=True, check=False, text=True)
        return done.stdout.strip()

    for program in filter(None, (shutil.which("docker", path=folder) for folder in os.get_exec_path())):
        if match := re.search(r"\bv?(\d+)\.(\d+)\.\d", said(program, "buildx", "version")):
            # Its rules have been the same since 0.8. Source: its vendored tonistiigi/fsutil, filter.go.
            today = (int(match[1]), int(match[2])) >= (0, 8)
            # Run by itself it takes half the time: docker looks at all its plugins first.
            plugin = said(program, "info", "--format", _WHERE_BUILDX_IS)
            yield CommandLine((plugin, "build") if plugin else (program, "buildx", "build"), environment, today)
            continue
        match = re.match(r"(\d+)\.", said(program, "version", "--format", "{{.Client.Version}}"))
        if match and int(match[1]) < 23:
            # Those have BuildKit built in.
            yield CommandLine((program, "build"), environment, today=False)


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


#: Ignore files for the tree, by what is in them that matters. Lines that do not touch each other stand together.
CASES = {
    # What a line is.
    "nothing": "",
    "blank-lines": "\n\n  \n\t\na.txt\n\nb.txt",
    "comments-and-what-is-none": "# a.txt\n#b.txt\n#\n  # ab\nabc # and why\nfoo\n",
    "spaces-around": "  a.txt  \n\tb.txt\t\n",
    "carriage-returns": "\ufeffa.txt\r\nb.txt\r\n\r\n# x\r\nsrc/pkg\r\n",
    "byte-order-mark-before-a-comment": "\ufeff# a.txt\nb.txt\n",
    "byte-order-mark-further-down": "a.txt\n\ufeffb.txt\n\ufefffo*\n",
    "other-spaces": "\u00a0a.txt\u2003\n\u3000b.txt\u0085\n\x0cfoo\x0b\n",
    "as-long-as-it-may-be": "a.txt\n" + "x" * 65535 + "\n",
    # How it is cleaned.
    "slashes-and-dots": "/a.txt\n//b.txt\nsrc/pkg/\n./foo\nfoo1/./bar\ndocs//api\n/ LICENSE\nlogs/../a1\nx.log/\n",
    "slash-or-dot-alone": ".\n./\n/\n/.\n//\n..\n",
    "dots-that-lead-out": "../a.txt\n/../b.txt\nsrc/../../foo\n",
    "dots-behind-a-star": "*/../a.txt\nsrc/pkg/**/../app.py\n",
    # Without signs.
    "a-directory-and-all-below": "src\n",
    "only-what-stands-there": "index.md\nkeep\ndocs/api/keep.md\nsrc/pkg/deep\nnothing\nsrc/app.py/below\n",
    "capitals-and-dots": "A.TXT\nSRC\nreadme.md\n.git\n.env\n",
    "the-dockerfile": "Dockerfile\n",
    "the-ignore-file": ".dockerignore\n",
    "both-of-them": "Dockerfile*\n.dockerignore*\n",
    "links-and-empty-directories": "link.txt\nlinks/up\ndangling\nempty\nempties/one\n",
    "through-a-link": "dirlink/app.py\nlinks/up/pkg\n",
    # Stars and question marks.
    "star": "*\n",
    "star-slash": "*/\n",
    "star-dot-star": "*.*\n",
    "star-and-prefix-or-suffix": "*.txt\nfoo*\na*c\nREADME*md\n*ignore*\n",
    "star-stops-at-a-slash": "src*py\n*/app.py\nfoo*bar\n",
    "star-slash-star": "*/*\n",
    "star-slash-star-slash-star": "*/*/*\n",
    "star-behind-a-directory": "src/*\npackages/*/dist/*.js\n",
    "question-mark": "?\n",
    "question-marks": "???\n?.txt\nsrc?app.py\n?env\n",
    "two-stars": "**\n",
    "two-stars-slash": "**/\n",
    "two-stars-in-front": "**/keep\n**/__pycache__\n**/pkg/deep\n**.md\n",
    "two-stars-and-other-signs": "**/*.py\n**/?.txt\n**/[ab]\n",
    "two-stars-behind": "src/**\ndocs/api/**/\n",
    "two-stars-behind-without-a-slash": "src**\nfoo**\n",
    "two-stars-in-the-middle": "src/**/x.py\ndocs/**/keep.md\nb**drop\n",
    "two-stars-twice": "**/src/**\n**/dist/**/app.js\n",
    "two-stars-after-each-other": "**/**/keep\n",
    "two-stars-after-each-other-alone": "**/**\n",
    "three-stars": "***/keep\n***.py\n",
    "four-stars": "****\n",
    "star-slash-two-stars": "*/**\n",
    "two-stars-slash-star": "**/*\n",
    "two-stars-and-dots": "**/.*\n./**/keep\n/**/dist\n",
    # Classes and escapes.
    "classes": "[ab].txt\nfoo[0-9]\n[0-9A-F_]\n[Rr][Ee][Aa][Dd][Mm][Ee].md\n",
    "class-negated": "[^a].txt\na[^1]\n",
    "class-that-takes-a-slash": "src[^x]app.py\nempty[^x]\nsrc[/]app.pyc\n",
    "no-negation-with-an-exclamation-mark": "[!a].txt\n[!x]\n",
    "class-with-other-signs": "x[*]log\na[?]\nb[.]txt\na[\\]b]\na[\\-_1]\n*]\n",
    "class-with-a-range-from-a-sign-to-a-star": "[+-*]\na[+-*]b\n",
    "class-by-name": "[[:upper:]]\na[[:digit:]]\n*[[:^alnum:]]env\n",
    "class-with-escapes": "[\\a-c]\na[\\d]\nfoo[\\x31]\n",
    "escapes": "\\a.txt\nb\\.txt\nfoo\\*\n\\*\nsrc\\/app.py\n",
    "escapes-of-expressions": "fo\\x6f\na\\d\n\\W*\n",
    "quoted-as-in-expressions": "\\Qa.txt\\E\nfo\\Qo1*\n",
    "braces": "{a,b}.txt\n*.{md,log}\nfo{2}?\nLI*C{1}ENSE\n",
    "a-bar-is-a-choice-behind-a-star": "*/app|x.log\n",
    "signs-of-expressions": "a.+\n(a)*\n$*\n^a\n^a*\n+*\na+b\n",
    # Taking back.
    "take-back": "*.md\n!README.md\n",
    "take-back-and-exclude-again": "*.md\n!README*.md\nREADME-secret.md\n",
    "take-back-before": "!README.md\n*.md\n",
    "take-back-in-a-directory": "docs\n!docs/index.md\n",
    "take-back-deep-in-a-directory": "src\n!src/pkg/deep/down/x.py\n",
    "take-back-a-directory-and-exclude-in-it": "packages\n!packages/web\npackages/web/dist\n",
    "take-back-with-slashes": "docs/\n!/docs/api/\n",
    "take-back-with-spaces": "docs\n! docs/index.md\n  !  docs/img  \n",
    "take-back-what-is-not-there": "docs\n!docs/nothing\n",
    "take-back-what-is-not-excluded": "!src\n!nothing\na.txt\n",
    "take-back-with-a-star": "docs/api\n!docs/api/*.md\n",
    "take-back-with-a-star-above": "docs\n!*/index.md\n",
    "take-back-all-that-is-in-it": "docs\n!docs/*\n",
    "take-back-all-that-is-below": "docs\n!docs/**\n",
    "take-back-all-below-a-star": "docs/api\n!docs/*/**\n",
    "take-back-with-two-stars": "**\n!**/keep\n",
    "take-back-with-two-stars-below-a-directory": "node_modules\nbuild\n!build/**/keep\n",
    "take-back-with-a-question-mark": "src\n!src/pkg/deep/down/x.??\n",
    "take-back-with-a-class": "docs\n!docs/[ai]*\n",
    "take-back-with-an-escape": "docs\n!docs/index\\.md\n",
    "all-but-one": "*\n!src\n",
    "all-but-some": "*\n!src\n!docs/api\n!Makefile\n",
    "all-but-some-with-two-stars": "**\n!src/**\n!docs/index.md\n",
    "all-but-one-kind": "*\n!**/*.py\n",
    "all-but-one-without-some-of-it": "*\n!src\n**/__pycache__\n**/*.pyc\n",
    "all-but-one-file": "*\n!a.txt\n",
    "all-but-one-file-below": "*\n!src/pkg/deep/down/x.txt\n",
    "all-but-the-context": "*\n!.\n",
    "all-but-nothing": "*\n!nothing\n!../src\n",
    "all-in-it-then-the-directory": "src/*\n!src\n",
    "all-below-then-the-directory": "src/**\n!src\n",
    "the-directory-then-all-in-it": "src\n!src\nsrc/*\n",
    "again-and-again": "*\n!src\nsrc/pkg\n!src/pkg/deep\nsrc/pkg/deep/down/x.txt\n",
    "a-link-taken-back": "*\n!links/up\n!dirlink/app.py\n",
    "an-empty-directory-taken-back": "*\n!empty\n!empties/two/three\n",
    "the-dockerfile-taken-back": "*\n!Dockerfile\n",
    "two-exclamation-marks": "*\n!!src\n",
    "an-exclamation-mark-behind-a-slash-or-dot": "*\n/!src\n./!docs/img\n",
    "a-directory-that-is-left-empty": "hollow/README.md\nempties\n!empties/one\n",
    # What people write.
    "python": "# Byte-compiled\n**/__pycache__/\n**/*.py[cod]\n*$py.class\n.env\n/build/\ndist/\n*.egg-info/\n.git\n",
    "node": "node_modules\n**/node_modules\nnpm-*.log*\n.git*\n.env*\n!.env.example\n**/dist\n!packages/api/dist\n",
    "dot-net": "**/.git\n**/[Bb]in\n**/[Oo]bj\n**/*.*proj.user\n**/[Bb]uild\nLICENSE\n!**/.gitignore\n!.git/HEAD\n",
    "as-git-would-have-it": "keep\n/keep\nbuild/out/\nlogs/*.log\n*.log\n",
    "rust": "/target\n**/target\n!src/**\n*.pdb\n",
    "a-list-of-what-is-allowed": "**\n!/src/**/*.py\n!/docs\n**/__pycache__\n/docs/img\n",
}

#: Ignore files for the odd names.
ODD_CASES = {
    "spaces": "with space\nwith\\ space.txt\n?leading\ntrailing?\n",
    "spaces-that-are-trimmed": " leading\ntrailing \n\u00a0nbsp\n",
    "hash": "\\#hash\n[#]hash.txt\n#*\n",
    "hash-behind-a-slash": "/#hash\n./#hash.txt\n",
    "hash-behind-an-exclamation-mark": "*\n!#hash\n!!bang\n!?bang.txt\n",
    "bang": "\\!bang\n[!]bang.txt\n",
    "signs-that-are-escaped": "\\[x\\]\n[[]x[\\]].txt\nstar\\*\nwhat\\?\n\\^caret*\nback\\\\slash\n",
    "signs-that-are-not": "[x]\n[x].txt\nstar*\nwhat?\n^caret*\nback\\slash\n",
    "no-signs-of-ours": "{a,b}\na|b\n(paren)\nplus+\n$dollar\n^caret\n-\n...\n..x\nx..y\n%41\nquote'\"\nam&&p\n",
    "no-signs-of-ours-with-stars": "(paren*\nplus+*\n$doll*\na|b*\n%4?\n[&&]\n",
    "a-slash-or-not": "back?lash\nback[^x]slash\n",
    "letters-of-more-bytes": "gr?ße.txt\n[é]\n[☀-☄]\n日本\n",
    "letters-of-two-parts": "gro\u0308ße.txt\n日*\n",
    "classes-of-letters": "\\pL\n[[:^ascii:]]\n",
    "classes-of-others": "\\PL\n\\pP\n\\W\n\\S?\n",
    "other-cases": "É\nſ\nK\n",  # noqa: RUF001
    "new-lines": "new?line\ndir*\n",
    "new-lines-and-two-stars": "**line\nd**ne\n",
    "new-lines-and-stars-below-two-stars": "**/l*ne\nnew**\n",
    "what-control-characters-are": "tab?bed\n?[[]1m\n?control\n",
    "percent-with-an-accent": "%41\nÉ\n+\nplus+\n?nbsp\n\u2028\n",
}

#: Names that are not UTF-8, and ignore files for them.
BYTES_NAMES = ("\udcff\udcfe.bin", "caf\udce9", "caf\u00e9", "cafe", "caf\ufffd")
BYTES_CASES = {
    "not-utf-8": "caf\udce9\n??.bin\n",
    "not-utf-8-with-a-star": "caf\udce9*\n",
    "not-utf-8-in-a-class": "caf[^\u00e9]\n\udcff?.bin\n",
}

#: Ignore files that are refused.
REFUSED = {
    "an-exclamation-mark-alone": "a.txt\n!\n",
    "an-exclamation-mark-and-a-slash": "! /\n",
    "a-slash-and-an-exclamation-mark": "/!\n",
    "a-class-that-does-not-end": "a[b\n",
    "a-class-that-is-empty": "[]a]\n",
    "a-dash-in-front": "[-a]\n",
    "a-dash-behind": "[a-]\n",
    "a-range-the-wrong-way-round": "[Local-Only]\n",
    "a-range-to-a-star": "[a-*]\n",
    "a-backslash-at-the-end": "a\\\n",
    "a-backslash-between-directories": "src\\Lib\n",
    "a-backslash-before-another-letter": "\\é\n",
    "a-class-that-nobody-knows": "[[:letter:]]\n",
    "repeats-the-wrong-way-round": "*a{3,2}\n",
    "repeats-of-repeats": "*{2}\n",
    "a-carriage-return-within": "a.txt\rb.txt\n",
    "a-control-character": "a.txt\nb\x1f*\n",
    "a-line-that-is-too-long": "a.txt\n" + "x" * 65536 + "\n",
}

#: Where ignore files lie: the Dockerfile, as seen from the context, and the files with what is in them.
PLACES: dict[str, tuple[str, dict[str, str]]] = {
    "none": ("Dockerfile", {}),
    "in-the-context": ("Dockerfile", {".dockerignore": "a\n"}),
    "of-the-dockerfile": ("Dockerfile", {"Dockerfile.dockerignore": "b\n"}),
    "of-the-dockerfile-first": ("Dockerfile", {".dockerignore": "a\n", "Dockerfile.dockerignore": "b\n"}),
    "of-the-dockerfile-empty": ("Dockerfile", {".dockerignore": "a\n", "Dockerfile.dockerignore": ""}),
    "of-the-dockerfile-comments": ("Dockerfile", {".dockerignore": "a\n", "Dockerfile.dockerignore": "# b\n\n"}),
    "of-another-dockerfile": ("Dockerfile", {".dockerignore": "a\n", "Other.dockerignore": "b\n"}),
    "of-a-dockerfile-below": (
        "docker/My file",
        {".dockerignore": "a\n", "docker/My file.dockerignore": "b\ndocker\n"},
    ),
    "below-without-its-own": ("docker/My file", {".dockerignore": "a\n", "docker/.dockerignore": "b\n"}),
    "of-a-dockerfile-outside": ("../My file", {".dockerignore": "a\n", "../My file.dockerignore": "b\n"}),
    "outside-without-its-own": ("../My file", {".dockerignore": "a\n", "../.dockerignore": "b\n"}),
    "names-the-dockerfile": ("Dockerfile", {".dockerignore": "Dockerfile\n"}),
    "names-all-but-the-dockerfile": ("Dockerfile", {".dockerignore": "*\n!Dockerfile\n"}),
    "names-itself": ("Dockerfile", {".dockerignore": ".dockerignore\n"}),
    "names-itself-as-the-dockerfile-s": ("Dockerfile", {"Dockerfile.dockerignore": "Dockerfile*\na\n"}),
    "names-everything": ("Dockerfile", {".dockerignore": "**\n"}),
}

#: Those that older command lines treat otherwise.
OLD = frozenset(
    [
        "byte-order-mark-further-down",
        "two-stars-in-front",
        "signs-of-expressions",
        "take-back-what-is-not-there",
        "take-back-with-a-star-above",
        "take-back-with-two-stars",
        "take-back-with-two-stars-below-a-directory",
        "all-but-one-kind",
        "all-in-it-then-the-directory",
        "all-below-then-the-directory",
        "dot-net",
        "a-list-of-what-is-allowed",
        "no-signs-of-ours",
        "no-signs-of-ours-with-stars",
        "new-lines-and-two-stars",
        "new-lines-and-stars-below-two-stars",
        "percent-with-an-accent",
        "not-utf-8",
    ]
)


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
