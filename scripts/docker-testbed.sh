#!/bin/sh
# Makes this machine able to run the Docker tests: an engine that answers, and the base image.
#
#   scripts/docker-testbed.sh          start what is missing (may be run again at any time)
#   scripts/docker-testbed.sh stop     stop the engine that this script started (no other)
#   scripts/docker-testbed.sh status   exit 0 where the tests could run now
#
# Debian and Ubuntu, as root where something must be installed or started. With a reachable
# registry the official base image is pulled; without one, the same image is made from Debian's
# own packages.
set -eu

BASE_IMAGE=${LEM_TEST_BASE_IMAGE:-python:3.11-slim-bookworm}
MIRROR=${LEM_DEBIAN_MIRROR:-https://deb.debian.org/debian}
PULL_TIMEOUT_S=${LEM_PULL_TIMEOUT_S:-120}
STATE=${LEM_DOCKER_TESTBED_STATE:-/var/tmp/lem-docker-testbed}
# More arguments for dockerd, such as another --data-root.
DOCKERD_ARGS=${LEM_DOCKERD_ARGS:-}

say() { echo "docker-testbed: $*" >&2; }
fail() {
    say "$1"
    [ $# -lt 2 ] || say "fix: $2"
    exit 3
}
have() { command -v "$1" >/dev/null 2>&1; }
answers() { have docker && docker version --format '{{.Server.Version}}' >/dev/null 2>&1; }
has_base() { docker image inspect "$BASE_IMAGE" >/dev/null 2>&1; }

need() { # need COMMAND PACKAGE...
    wanted=$1
    shift
    have "$wanted" && return 0
    [ "$(id -u)" = 0 ] || fail "$wanted is missing" "sudo apt-get install -y $*"
    have apt-get || fail "$wanted is missing and there is no apt-get" "install $* by hand"
    say "installing $*"
    if ! apt_install "$@"; then
        apt-get update -qq >&2 && apt_install "$@" ||
            fail "$* could not be installed" "see the messages of apt-get above"
    fi
}
apt_install() {
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >&2
}

# Anybody may make folders in /var/tmp: one that is not ours could lead what root writes elsewhere.
own_state() { [ -O "$STATE" ] && [ ! -L "$STATE" ]; }
trust_state() {
    own_state || fail "$STATE is not this user's own folder" \
        "remove it, or name another in LEM_DOCKER_TESTBED_STATE"
}

# Whether the process in the pid file is an engine that lives (a dead one may wait to be reaped).
mine_runs() {
    [ -f "$STATE/dockerd.pid" ] || return 1
    status=/proc/$(cat "$STATE/dockerd.pid")/status
    grep -q '^Name:[[:space:]]*dockerd$' "$status" 2>/dev/null &&
        ! grep -q '^State:[[:space:]]*Z' "$status"
}

launch_engine() {
    # One that was killed leaves its pid file, and the next would refuse to start.
    mine_runs || rm -f "$STATE/dockerd.pid"
    # Its own session, so that it outlives the shell that runs the tests.
    # shellcheck disable=SC2086
    setsid dockerd --pidfile "$STATE/dockerd.pid" $DOCKERD_ARGS \
        >>"$STATE/dockerd.log" 2>&1 </dev/null &
}

start_engine() {
    answers && return 0
    if have docker && docker version 2>&1 | grep -qi 'permission denied'; then
        fail "a Docker engine runs, but this user may not use it" \
            'sudo usermod -aG docker $USER; newgrp docker'
    fi
    need dockerd docker.io
    need docker docker.io
    need iptables iptables
    [ "$(id -u)" = 0 ] || fail "no Docker engine answers" "sudo systemctl start docker"
    mkdir -p "$STATE"
    trust_state
    say "starting dockerd (log: $STATE/dockerd.log)"
    launch_engine
    waited=0
    until answers; do
        waited=$((waited + 1))
        [ $waited -le 60 ] || {
            tail -n 20 "$STATE/dockerd.log" >&2
            fail "dockerd did not answer within 60 s" "see $STATE/dockerd.log"
        }
        # After one that was killed, the first attempt may meet what is left of it, and end.
        [ $((waited % 10)) != 0 ] || mine_runs || launch_engine
        sleep 1
    done
    say "the engine answers"
}

stop_engine() {
    [ ! -e "$STATE" ] || trust_state
    if ! mine_runs; then
        rm -f "$STATE/dockerd.pid"
        say "no engine of mine is running"
        return 0
    fi
    kill "$(cat "$STATE/dockerd.pid")"
    waited=0
    while mine_runs; do
        waited=$((waited + 1))
        [ $waited -le 60 ] || fail "dockerd did not end within 60 s" "see $STATE/dockerd.log"
        sleep 1
    done
    rm -f "$STATE/dockerd.pid"
    say "stopped"
}

make_base() {
    has_base && return 0
    say "pulling $BASE_IMAGE"
    if timeout "$PULL_TIMEOUT_S" docker pull --quiet "$BASE_IMAGE" >&2; then return 0; fi
    [ "$BASE_IMAGE" = python:3.11-slim-bookworm ] ||
        fail "$BASE_IMAGE cannot be pulled" "check the name and the connection to the registry"
    say "no registry; making $BASE_IMAGE from Debian's packages (about a minute)"
    need debootstrap debootstrap
    [ -f /usr/share/keyrings/debian-archive-keyring.gpg ] || apt_install debian-archive-keyring
    [ "$(id -u)" = 0 ] || fail "debootstrap needs root" "sudo scripts/docker-testbed.sh"
    place=$(mktemp -d "${TMPDIR:-/var/tmp}/lem-base.XXXXXX")
    trap 'rm -rf "$place"' EXIT
    rootfs=$place/root
    mkdir "$rootfs"
    trap 'exit 130' INT TERM
    debootstrap --variant=minbase --include=ca-certificates,python3,python3-pip,python3-venv \
        bookworm "$rootfs" "$MIRROR" >"$place/log" 2>&1 || {
        tail -n 20 "$place/log" >&2
        fail "debootstrap failed" "see the lines above; another mirror: LEM_DEBIAN_MIRROR"
    }
    # Where this machine trusts a certificate authority of its own, pip in a build must too.
    if [ -d /usr/local/share/ca-certificates ]; then
        find /usr/local/share/ca-certificates -name '*.crt' \
            -exec cp {} "$rootfs/usr/local/share/ca-certificates/" \;
    fi
    chroot "$rootfs" update-ca-certificates >/dev/null 2>&1
    rm -rf "$rootfs"/var/cache/apt/archives/*.deb "$rootfs"/var/lib/apt/lists/*
    # Debian's pip refuses to install beside apt's packages; the official image's doesn't.
    tar -C "$rootfs" --numeric-owner -c . |
        docker import -c 'ENV PIP_BREAK_SYSTEM_PACKAGES=1' -c 'ENV LANG=C.UTF-8' \
            -c 'CMD ["python3"]' - "$BASE_IMAGE" >/dev/null
    say "made $BASE_IMAGE"
}

case ${1:-start} in
start)
    # Two test runs at once must not both start an engine.
    mkdir -p "$STATE" 2>/dev/null || true
    if have flock && own_state && [ "${LEM_DOCKER_TESTBED_LOCKED:-}" != 1 ]; then
        LEM_DOCKER_TESTBED_LOCKED=1 exec flock -o "$STATE/lock" "$0" start
    fi
    start_engine
    make_base
    say "ready: engine $(docker version --format '{{.Server.Version}}'), image $BASE_IMAGE"
    ;;
stop) stop_engine ;;
status)
    answers || fail "no Docker engine answers" "scripts/docker-testbed.sh"
    has_base || fail "$BASE_IMAGE is missing" "scripts/docker-testbed.sh"
    ;;
*) fail "unknown: $1" "one of start, stop, status" ;;
esac
