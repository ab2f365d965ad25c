"""Trees and ignore files, for the tests that hold our reading of them against real builds."""

from __future__ import annotations

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
