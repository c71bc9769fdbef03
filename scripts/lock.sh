#!/bin/sh
# Renews requirements/*.txt from pyproject.toml. Needs uv (https://docs.astral.sh/uv/).
#
#   scripts/lock.sh             newest versions that pyproject.toml allows
#   scripts/lock.sh --keep      keep what is locked as far as it still fits
#
# The files hold versions and hashes alone, for Python 3.11 and later on every platform; where
# packages come from is the installing machine's business.
set -eu
cd "$(dirname "$0")/.."
UV=${UV:-uv}
command -v "$UV" >/dev/null 2>&1 || {
    echo "lock: uv is missing; fix: pip install uv" >&2
    exit 3
}

[ "${1:-}" = --keep ] || rm -f requirements/host.txt requirements/dev.txt requirements/engines.txt \
    requirements/server.txt requirements/peers.txt

compile() { # compile OUTPUT SOURCE...
    output=$1
    shift
    "$UV" pip compile --quiet --universal --python-version 3.11 --generate-hashes \
        --no-emit-index-url --no-emit-find-links --no-annotate --custom-compile-command scripts/lock.sh \
        --output-file "requirements/$output" "$@"
}

# One resolution for all four, the largest first, so that they never disagree on a version.
compile dev.txt pyproject.toml requirements/build.in --extra dev --extra docs
compile host.txt pyproject.toml requirements/build.in --constraint requirements/dev.txt
compile server.txt pyproject.toml requirements/build.in --extra server \
    --constraint requirements/dev.txt
compile engines.txt pyproject.toml --extra transformers --extra llama_cpp \
    --constraint requirements/dev.txt --override requirements/without-torch.in
# What lem is compared with lives apart.
compile peers.txt requirements/peers.in
