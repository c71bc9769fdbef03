#!/bin/sh
# Runs the backends' conformance suite inside a backend's newest image, without a network:
# conformance_in_image.sh BACKEND [cpu|cuda]. Build it first: lem images build BACKEND. IMAGE names
# another than the newest. openai is run in vLLM's (lem images build vllm), on CPUs, against the server there.
# LEM_CONFORMANCE_RECORD=FILE keeps what was run, on which hardware and how it went; in lem/verified/ it is what `lem images list` shows.
set -eu
cd "$(dirname "$0")/.."
backend=$1 variant=${2:-cpu}
VENV=${VENV:-.venv}
TOOLS=$PWD/build/test-tools
made=$backend suite=$backend/test_backend.py
if [ "$backend" = openai ]; then
    [ "$variant" = cpu ] || {
        echo "conformance: the suite of openai is for CPUs; fix: $0 openai cpu" >&2
        exit 3
    }
    made=vllm suite=openai/test_vllm_server.py
fi

image=${IMAGE:-$(docker image ls --filter "label=org.lem.backend=$made" \
    --filter "label=org.lem.variant=$variant" --format '{{.ID}}' | head -n 1)}
[ -n "$image" ] || {
    echo "conformance: no $variant image of $made; fix: lem images build $made" >&2
    exit 3
}
# The image has the engine and the agent: its own lem is tested, not the clone's. What the tests need beside them is pure Python and comes
# along in a folder, so that the image under test stays as it is; so does the model.
rm -rf "$TOOLS" && mkdir -p "$TOOLS"
"$VENV/bin/python" -m pip freeze --all |
    grep -E '^(pytest|pytest-timeout|pluggy|iniconfig|packaging|Pygments)==' >build/test-tools.txt
"$VENV/bin/python" -m pip install -qq --disable-pip-version-check --no-deps --target "$TOOLS" \
    --requirement build/test-tools.txt
model=$("$VENV/bin/python" -c 'from tests.backends.models import smollm2; print(smollm2())')

set --
if [ "$variant" = cuda ]; then
    gpus=${LEM_CONFORMANCE_GPUS:-0}
    set -- --gpus "\"device=$gpus\"" --env LEM_CONFORMANCE_GPUS="$gpus"
fi
# An engine's image may have another transformers than the one that converts the model.
converted=${XDG_CACHE_HOME:-$HOME/.cache}/lem/test-models/smollm2-transformers/model
case $backend in
    tensorrt_llm | sglang)
        [ ! -d "$converted" ] || set -- "$@" --volume "$converted:/model:ro" --env LEM_TEST_SAFETENSORS=/model
        ;;
esac
# vLLM's processes, where its core is one, share more memory than the 64 MiB that a container has by default.
[ "$backend" != openai ] || set -- "$@" --shm-size 1g
record=${LEM_CONFORMANCE_RECORD:-}
kept=
if [ -n "$record" ]; then
    # The image's user is nobody in particular.
    kept=$(mktemp -d) && chmod 777 "$kept"
    set -- "$@" --volume "$kept:/kept" --env LEM_CONFORMANCE_RECORD=/kept/record.json
fi
status=0
docker run --rm --network none --read-only --tmpfs /tmp:exec,size=8g "$@" \
    --volume "$PWD/tests:/suite/tests:ro" --volume "$PWD/pyproject.toml:/suite/pyproject.toml:ro" \
    --volume "$TOOLS:/tools:ro" --volume "$model:/model.gguf:ro" \
    --env HOME=/tmp --env PYTHONPATH=/tools --env LEM_TEST_GGUF=/model.gguf --env HF_HUB_OFFLINE=1 \
    --env PYTHONDONTWRITEBYTECODE=1 --env OMP_NUM_THREADS="${OMP_NUM_THREADS:-2}" \
    --workdir /suite --entrypoint python3 "$image" \
    -m pytest -p no:cacheprovider "tests/backends/$suite" -k TestReal || status=$?
if [ -n "$kept" ]; then
    [ ! -f "$kept/record.json" ] || cp "$kept/record.json" "$record"
    rm -rf "$kept"
fi
exit "$status"
