#!/bin/sh
# Runs the backends' conformance suite inside a backend's newest image, without a network:
# conformance_in_image.sh BACKEND [cpu|cuda]. Build it first: lem images build BACKEND.
set -eu
cd "$(dirname "$0")/.."
backend=$1 variant=${2:-cpu}
VENV=${VENV:-.venv}
TOOLS=$PWD/build/test-tools

image=$(docker image ls --filter "label=org.lem.backend=$backend" \
    --filter "label=org.lem.variant=$variant" --format '{{.ID}}' | head -n 1)
[ -n "$image" ] || {
    echo "conformance: no $variant image of $backend; fix: lem images build $backend" >&2
    exit 3
}
# The image has the engine and the agent. What the tests need beside them is pure Python and comes
# along in a folder, so that the image under test stays as it is.
rm -rf "$TOOLS" && mkdir -p "$TOOLS"
"$VENV/bin/python" -m pip install -qq --disable-pip-version-check --no-deps --target "$TOOLS" \
    --constraint requirements/dev.txt pytest pytest-timeout pluggy iniconfig packaging pygments \
    hypothesis sortedcontainers attrs

set --
[ "$variant" != cuda ] || set -- --gpus all
docker run --rm --network none "$@" \
    --volume "$PWD:/clone:ro" --volume "$TOOLS:/tools:ro" --workdir /clone \
    --tmpfs /tmp:exec,size=8g --env HOME=/tmp --env PYTHONPATH=/tools \
    --env OMP_NUM_THREADS="${OMP_NUM_THREADS:-2}" --entrypoint python3 "$image" \
    -m pytest -p no:cacheprovider tests/backends/test_conformance.py -k "$backend"
