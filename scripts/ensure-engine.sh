#!/bin/sh
# Makes sure that a Docker engine answers. Says nothing where one does already: $DOCKER_HOST, the active
# docker context or one of the usual sockets. Otherwise, as root on Debian or Ubuntu, installs the
# distribution's docker.io, starts dockerd and prints one line.
#
# An engine that is there is never stopped or reconfigured. Safe to call twice at once.
set -u
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
export PATH

here=$(cd "$(dirname "$0")" && pwd)
socket=/var/run/docker.sock
pidfile=/var/run/docker.pid
containerd_pidfile=/var/run/docker/containerd/containerd.pid
log=/var/log/pytest-dockerkit-dockerd.log
lock=/run/pytest-dockerkit-engine.lock
lock_timeout_s=600
start_timeout_s=60

fail() { # WHAT SAW MEND
  printf 'ensure-engine: %s\n  saw:  %s\n  mend: %s\n' "$1" "$2" "$3" >&2
  exit 1
}

fail_with_log() { # WHAT SAW MEND
  tail -n 15 "$log" >&2
  fail "$1" "$2, and the lines above in $log" "$3"
}

has() { command -v "$1" >/dev/null 2>&1; }

# The system's own python first: one put in PATH by a version manager may not start without a HOME.
for python in /usr/bin/python3 python3 ''; do
  [ -z "$python" ] || ! "$python" -c 'import http.client' 2>/dev/null || break
done
[ "$python" ] || fail "can't look for an engine" "no complete python3 in $PATH" "install python3"

answers() { saw=$("$python" "$here/engine.py" 2>&1 </dev/null); }

runs() { # PIDFILE NAME: is that program running, and not a zombie?
  pid=$(cat "$1" 2>/dev/null) && [ "$pid" ] || return 1
  case $(sed -n 's/^Name:.//p;s/^State:.//p' "/proc/$pid/status" 2>/dev/null | xargs) in
    "$2 Z"*) return 1 ;;
    "$2 "*) return 0 ;;
    *) return 1 ;;
  esac
}

known() { apt-cache show "$1" 2>/dev/null | grep -q '^Package:'; }

apt() {
  DEBIAN_FRONTEND=noninteractive apt-get -qq -y -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 "$@" \
    >>"$log" 2>&1 </dev/null 9>&-
}

missing() { # the packages to install
  has dockerd || echo docker.io
  has docker || ! known docker-cli || echo docker-cli # a package of its own since Debian 13
  has iptables || echo iptables
}

install_packages() {
  known docker.io || apt update
  packages=$(missing | xargs)
  [ "$packages" ] || return 0
  # Lists that are there may be too old: then the files they name are gone.
  # shellcheck disable=SC2086 # a list of words
  apt install --no-install-recommends $packages ||
    { apt update && apt install --no-install-recommends $packages; } ||
    fail_with_log "can't install $packages" "apt-get failed" "install them yourself"
  how="installed $packages, "
}

start() {
  # A pid file of a killed engine stops the next one as soon as another process has that number.
  runs "$containerd_pidfile" containerd || rm -f "$containerd_pidfile"
  rm -f "$pidfile"
  # Services of a swarm then start from images that are here without asking a registry first.
  DOCKER_SERVICE_PREFER_OFFLINE_IMAGE=1 setsid nohup dockerd >>"$log" 2>&1 </dev/null 9>&- &
  child=$!
}

wait_until_it_answers() {
  tries=0
  until answers; do
    tries=$((tries + 1))
    runs "$pidfile" dockerd || kill -0 "${child:-none}" 2>/dev/null || [ $tries -lt 5 ] ||
      fail_with_log "dockerd ended before it answered" "no process" "mend what the log names, then try again"
    [ $(($(date +%s) - begin)) -lt $start_timeout_s ] ||
      fail_with_log "dockerd has not answered within $start_timeout_s s" "$saw" \
        "see what dockerd $(cat "$pidfile" 2>/dev/null) does; set DOCKER_HOST if it listens elsewhere"
    sleep 0.2
  done
}

answers && exit 0
[ -z "${DOCKER_HOST:-}" ] ||
  fail "the engine in DOCKER_HOST does not answer" "$saw" "start it, correct DOCKER_HOST, or unset it to have one started here"
[ "$(id -u)" = 0 ] ||
  fail "no Docker engine answers, and only root can start one" "$saw" \
    "start yours, join the group of its socket, set DOCKER_HOST, or run this as root"
# shellcheck disable=SC1091
id=$(. /etc/os-release 2>/dev/null && echo "$ID")
case $id in
  debian | ubuntu) ;;
  *) fail "no Docker engine answers, and this script installs one on Debian and Ubuntu only" \
    "system ${id:-unknown}; $saw" "install and start Docker in your system's way" ;;
esac

# One caller installs and starts; the others wait here, and then find it running.
exec 9>"$lock"
flock -w $lock_timeout_s 9 ||
  fail "another call is still installing or starting an engine" "$lock held for $lock_timeout_s s" \
    "see who holds it (fuser $lock), end that, try again"
answers && exit 0

how=''
if ! has dockerd || ! has iptables; then install_packages; fi
if runs "$pidfile" dockerd; then
  how="${how}waited for dockerd $pid" # the package's own script may have started it
else
  start
  how="${how}started dockerd"
fi
begin=$(date +%s)
wait_until_it_answers
echo "ensure-engine: $how; it answers at unix://$socket, log $log"
