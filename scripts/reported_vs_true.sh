#!/bin/sh
# Reported against true joules, lem beside other tools: measures, writes docs/reported-vs-true.md.
#
# The other tools get an environment of their own in build/peers, from requirements/peers.txt (about
# 1 GB). Takes about 20 minutes; REPEATS=N changes how often each piece of work is measured (default
# 20). STUDY=N adds what concerns lem alone: commands in real time, the study in virtual time with N
# traces in each cell, the faults (an hour at 1000). Where it isn't asked for their figures are kept.
set -eu
cd "$(dirname "$0")/.."
VENV=${VENV:-.venv}
PEERS=$PWD/build/peers
PYTHON=$VENV/bin/python

scripts/environment.sh dev
stamp=$(sha256sum <requirements/peers.txt)
if [ "$(cat "$PEERS/.stamp" 2>/dev/null)" != "$stamp" ]; then
    "$PYTHON" -m venv --clear "$PEERS"
    "$PEERS/bin/python" -m pip install -qq --disable-pip-version-check --require-hashes \
        -r requirements/peers.txt
    echo "$stamp" >"$PEERS/.stamp"
fi

mkdir -p docs/data
"$PYTHON" -m bench.meters.head_to_head "$PEERS/bin/python" docs/data/reported-vs-true.csv \
    --repeats "${REPEATS:-20}"
"$PYTHON" -m bench.meters.cost "$PEERS/bin/python" docs/data/meter-cost.csv
if [ -n "${STUDY:-}" ]; then
    rm -f docs/data/real-time.csv
    for kind in "" --decay; do
        # shellcheck disable=SC2086 # the empty one is no argument
        "$PYTHON" -m bench.meters.real_time --runs 60 $kind --out docs/data/real-time.csv
    done
    "$PYTHON" -m bench.meters.study --traces "$STUDY" --out docs/data/isolated-study.csv
    "$PYTHON" -m bench.meters.fault_matrix --out docs/data/faults.csv
fi
"$PEERS/bin/python" bench/meters/plot.py
"$PYTHON" -m bench.meters.publish
