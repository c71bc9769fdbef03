#!/bin/sh
# What a container costs: configs/container-overhead.yaml with the same wheels in and outside of it.
#
#   scripts/container_overhead.sh               run it, or go on with it (up to half an hour)
#   scripts/container_overhead.sh --dry-run     whatever is given goes to `lem campaign run`
#
# The process arm gets an environment of its own, from the lock files and the image's requirements.
# PYTHON should be the same Python as the image's (Debian 12's, python3.11, by default): where it is
# not, the comparison says so. OUT is the folder of results, VENV that of the environment.
set -eu
cd "$(dirname "$0")/.."
OUT=${OUT:-results/container-overhead}
VENV=${VENV:-build/container-overhead}
export VENV
if [ -z "${PYTHON:-}" ] && [ "$(/usr/bin/python3 -c 'import sys; print(*sys.version_info[:2])' 2>/dev/null)" = "3 11" ]; then
    # Not one that a version manager put first on the path: that is another build.
    PYTHON=/usr/bin/python3
fi
[ -z "${PYTHON:-}" ] || export PYTHON

scripts/environment.sh
# The image's own requirements, so that the engine is the same wheel.
"$VENV/bin/python" -m pip install -qq --disable-pip-version-check \
    -r images/llama_cpp/requirements.txt
exec "$VENV/bin/lem" campaign run configs/container-overhead.yaml --out "$OUT" "$@"
