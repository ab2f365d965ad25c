#!/bin/sh
# Makes sure that the tests find a registry of images: `docker-registry` in PATH, else the program of Debian's or
# Ubuntu's package, unpacked below .venv/registry. Nothing is installed, no service is started, and what the machine
# knows of packages stays as it is; this needs no root.
#
# It never fails: where there is no such program, it says so, and the tests that need one are skipped.
set -u
cd "$(dirname "$0")/.." || exit
program=.venv/registry/usr/bin/docker-registry
package=docker-registry

without() { # WHY
  echo "registry: tests that need $package are skipped: $1"
  exit 0
}

command -v $package >/dev/null && exit 0
$program --version >/dev/null 2>&1 && exit 0
for tool in apt-get dpkg-deb; do
  command -v $tool >/dev/null || without "it is not in PATH, and there is no $tool to get it with; install it yourself"
done

mkdir -p .venv
new=$(mktemp -d "$PWD/.venv/registry-XXXXXX") || without "no directory can be made in .venv"
trap 'rm -rf "$new"' EXIT
trap 'exit 1' HUP INT TERM
log=$new/log

apt() {
  apt-get -qq -o APT::Sandbox::User= -o Acquire::Retries=2 -o Acquire::http::Timeout=20 "$@" \
    >>"$log" 2>&1 </dev/null
}

# The machine's own lists may not be there, or be too old: then the file that they name is gone.
own_lists() {
  mkdir -p "$new/lists/partial" "$new/cache/archives/partial"
  set -- -o "Dir::State::Lists=$new/lists" -o "Dir::Cache=$new/cache" -o Acquire::Languages=none "$@"
  apt "$@" update && apt "$@" download $package
}
(cd "$new" && { apt download $package || own_lists; }) ||
  without "apt-get cannot download it: $(grep '^E:' "$log" | tail -n 1)"
mkdir "$new/root"
dpkg-deb -x "$new"/$package*.deb "$new/root" || without "its package cannot be unpacked"
"$new/root/usr/bin/docker-registry" --version >/dev/null 2>&1 || without "the program of its package does not run here"

# Two callers at once: what the other has unpacked is as good.
[ ! -e .venv/registry ] || mv .venv/registry "$new/old" 2>/dev/null
mv -T "$new/root" .venv/registry 2>/dev/null || $program --version >/dev/null 2>&1 || without "it cannot be put into .venv"
echo "registry: unpacked $($program --version | sed 's/.* //') to .venv/registry, for the tests"
