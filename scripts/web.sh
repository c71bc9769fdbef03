#!/bin/sh
# Builds the pages' scripts and styles from web/ into lem/web/assets. Needs Node 20.19 or later.
#
#   scripts/web.sh                 install, check, build, and hold the sizes against their budgets
#   scripts/web.sh --check         the same, but exit 1 where what is committed is not what this gives
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
if [ "${1:-}" = --check ]; then
    built=$(mktemp -d)
    trap 'rm -rf "$built"' EXIT
    "$PYTHON" scripts/chart_style.py | diff - web/src/style/charts.css >/dev/null || {
        echo "web: web/src/style/charts.css is not what lem/charts/theme.py says; fix: make web" >&2
        exit 1
    }
    sh scripts/web.sh types --check
    cd web
    npm run --silent check
    npm run --silent build -- --outDir "$built" --logLevel warn
    diff -r "$built" ../lem/web/assets >&2 || {
        echo "web: lem/web/assets is not what web/ gives; fix: make web" >&2
        exit 1
    }
    npm run --silent size
    exit
fi
"$PYTHON" scripts/chart_style.py >web/src/style/charts.css
cd web
npm run --silent check
npm run --silent build
npm run --silent size
