#!/bin/sh
# From a clone to a table of results: the environment, then configs/quickstart.yaml to its end.
#
# LAUNCHER=docker|process overrides the choice; PYTHON and VENV are those of environment.sh.
set -eu
cd "$(dirname "$0")/.."
VENV=${VENV:-.venv}

scripts/environment.sh
launcher=${LAUNCHER:-$("$VENV/bin/python" scripts/choose_launcher.py)}
if [ "$launcher" = process ]; then
    scripts/environment.sh engines
fi
exec "$VENV/bin/lem" campaign run configs/quickstart.yaml --launcher "$launcher"
