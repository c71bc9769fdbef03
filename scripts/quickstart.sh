#!/bin/sh
# From a clone to a table of results and a report: the environment, then configs/quickstart.yaml to
# its end.
#
# LAUNCHER=docker|process overrides the choice; PYTHON and VENV are those of environment.sh.
set -eu
cd "$(dirname "$0")/.."
VENV=${VENV:-.venv}

scripts/environment.sh
if [ -n "${LAUNCHER:-}" ]; then
    chosen=$LAUNCHER
    set -- --launcher "$LAUNCHER"
else
    chosen=$("$VENV/bin/python" scripts/choose_launcher.py)
    # A campaign that was begun has its launcher in its lock, and `auto` means docker if it can.
    [ "$chosen" = docker ] || [ -e results/quickstart/campaign.lock.json ] ||
        set -- --launcher "$chosen"
fi
if [ "$chosen" = process ]; then
    scripts/environment.sh engines
fi
status=0
"$VENV/bin/lem" campaign run configs/quickstart.yaml "$@" || status=$?
# Also where some experiments failed (1): it says which, and why.
if [ "$status" -le 1 ]; then
    "$VENV/bin/lem" results report results/quickstart
fi
exit "$status"
