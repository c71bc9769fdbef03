#!/bin/sh
# Builds the pages' scripts and styles from web/ into lem/web/assets. Needs Node 20.19 or later.
#
#   scripts/web.sh                 install, check, build, and hold sizes against their budgets
#   scripts/web.sh types           write web/src/api/types.ts from the server's description
#   scripts/web.sh types --check   exit 1 where it is not what the server says
set -eu
cd "$(dirname "$0")/.."
PYTHON=${VENV:-.venv}/bin/python

command -v npm >/dev/null 2>&1 || {
    echo "web: there is no npm here" >&2
    echo "fix: install Node.js 20.19 or later (nodejs.org); lem itself runs without it" >&2
    exit 3
}
# Where the lock file is as it was when they were installed, packages are left alone.
if ! cmp -s web/package-lock.json web/node_modules/.lem-lock; then
    (cd web && npm ci --no-audit --no-fund)
    cp web/package-lock.json web/node_modules/.lem-lock
fi
if [ "${1:-}" = types ]; then
    description=$(mktemp)
    trap 'rm -f "$description"' EXIT
    "$PYTHON" scripts/openapi.py >"$description"
    (cd web && node scripts/types.mjs "$description" ${2:+"$2"})
    exit
fi
cd web
npm run --silent check
npm run --silent build
npm run --silent size
