#!/bin/sh
# Makes or completes the local environment from the lock files, and is quick when nothing changed.
#
#   scripts/environment.sh                  the lem command
#   scripts/environment.sh dev              … and what tests, checks and docs need
#   scripts/environment.sh engines          … and the inference engines, for the process launcher
#
# PYTHON chooses the interpreter, VENV the folder (default .venv), LEM_TORCH=cpu|cuda the build of
# PyTorch (default: cuda where an NVIDIA driver answers).
set -eu
cd "$(dirname "$0")/.."
VENV=${VENV:-.venv}
CPU_INDEX=https://download.pytorch.org/whl/cpu
GIGABYTE=1048576 # in df's blocks of 1 KiB

say() { echo "environment: $*" >&2; }
fail() {
    say "$1"
    say "fix: $2"
    exit 3
}

suits() { # suits PYTHON: 3.11 or later
    command -v "$1" >/dev/null 2>&1 &&
        "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

find_python() {
    for candidate in ${PYTHON:-python3 python3.13 python3.12 python3.11}; do
        if suits "$candidate"; then
            echo "$candidate"
            return 0
        fi
    done
    fail "no Python 3.11 or later here${PYTHON:+ ($PYTHON is not one)}" \
        "sudo apt-get install -y python3 python3-venv (Debian 12, Ubuntu 24.04), or PYTHON=/path/to/python3.12 make …"
}

make_venv() {
    [ -x "$VENV/bin/python" ] && "$VENV/bin/python" -m pip --version >/dev/null 2>&1 && return 0
    python=$(find_python)
    # Debian and Ubuntu ship the venv module without ensurepip until python3-venv is installed.
    "$python" -c 'import ensurepip, venv' >/dev/null 2>&1 ||
        fail "$python cannot make virtual environments (no ensurepip)" \
            "sudo apt-get install -y python3-venv"
    room 1
    say "making $VENV with $("$python" --version 2>&1)"
    "$python" -m venv --clear "$VENV"
}

room() { # room GIGABYTES
    free=$(df -Pk . | awk 'NR == 2 { print $4 }')
    [ "$free" -ge $(($1 * GIGABYTE)) ] ||
        fail "less than $1 GB free in $(pwd)" "make room on that disk, or clone to a larger one"
}

install() { # install WHAT PIP-ARGUMENT...
    what=$1
    shift
    say "installing $what"
    "$VENV/bin/python" -m pip install -qq --disable-pip-version-check "$@" ||
        fail "$what could not be installed" \
            "see pip's message above; a package index must be reachable (pip config list shows which)"
}

# A stamp holds the hash of what it was made from, so that a changed lock file installs again.
stamp_of() { cat "$@" | sha256sum | cut -d ' ' -f 1; }
is_current() { [ "$(cat "$VENV/.lem-$1" 2>/dev/null)" = "$2" ]; }

install_lem() { # install_lem host|dev
    if is_current dev "$(stamp_of pyproject.toml requirements/dev.txt)"; then return 0; fi
    stamp=$(stamp_of pyproject.toml "requirements/$1.txt")
    if is_current "$1" "$stamp"; then return 0; fi
    install "what requirements/$1.txt locks" --require-hashes -r "requirements/$1.txt"
    install "lem" --no-deps --no-build-isolation --editable .
    echo "$stamp" >"$VENV/.lem-$1"
}

torch_build() {
    if [ -n "${LEM_TORCH:-}" ]; then
        echo "$LEM_TORCH"
    elif command -v nvidia-smi >/dev/null 2>&1 && nvidia-smi -L >/dev/null 2>&1; then
        echo cuda
    else
        echo cpu
    fi
}

install_torch() { # install_torch cpu|cuda
    version=$(sed -n 's/^torch==//p' requirements/torch.txt)
    if [ "$1" = cuda ]; then
        room 12
        install "PyTorch $version for CUDA (several GB)" "torch==$version"
        return 0
    fi
    room 4
    say "installing PyTorch $version for CPU"
    # A machine may bring its own CPU build (pip's find-links or index). Elsewhere PyPI's build for
    # Linux is the CUDA one, several GB that are of no use here.
    "$VENV/bin/python" -m pip install -qq --disable-pip-version-check "torch==$version+cpu" \
        >/dev/null 2>&1 ||
        install "PyTorch $version from $CPU_INDEX" --index-url "$CPU_INDEX" "torch==$version"
}

install_engines() {
    build=$(torch_build)
    stamp="$build $(stamp_of requirements/torch.txt requirements/engines.txt)"
    if is_current engines "$stamp"; then return 0; fi
    install_torch "$build"
    # The lock is whole but for PyTorch, which is there already.
    install "what requirements/engines.txt locks" --no-deps --require-hashes \
        -r requirements/engines.txt
    echo "$stamp" >"$VENV/.lem-engines"
}

host=host
engines=
for part in "$@"; do
    case $part in
        dev) host=dev ;;
        engines) engines=yes ;;
        *) fail "unknown part $part" "scripts/environment.sh [dev] [engines]" ;;
    esac
done

make_venv
install_lem "$host"
[ -z "$engines" ] || install_engines
