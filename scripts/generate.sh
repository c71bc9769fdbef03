#!/bin/sh
# Writes what the docs take from the code: docs/schema/*.json and the tables in the pages.
#
#   scripts/generate.sh            write them
#   scripts/generate.sh --check    exit 1 where they are not what the code says
set -eu
cd "$(dirname "$0")/.."
PYTHON=${VENV:-.venv}/bin/python

if [ "${1:-}" = --check ]; then
    exec "$PYTHON" -m pytest -q -p no:xdist tests/project/test_generated.py
fi
"$PYTHON" -m lem.contract.schema docs/schema
"$PYTHON" scripts/tables.py docs/records.md docs/commands.md docs/backends.md docs/trust.md
"$PYTHON" -m coverage_study.replication docs/trust.md
