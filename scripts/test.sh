#!/bin/sh
# Everything that must hold: format, lint, types, floors, docs, workflows, tests with containers.
#
# What a test needs and this machine lacks is set up where that is possible; otherwise it is named
# in the summary with the way to get it. Under CI=true a missing component is a failure.
#
# TESTS narrows pytest (for example TESTS="tests/meters -k rapl"), JUNIT names its XML report.
set -u
cd "$(dirname "$0")/.."
VENV=${VENV:-.venv}
PATH=$(pwd)/$VENV/bin:$PATH
JUNIT=${JUNIT:-build/junit.xml}
export PATH
failed=
missing=

step() { # step NAME COMMAND...
    name=$1
    shift
    printf '== %s\n' "$name"
    "$@" || failed="$failed
  $name"
}

prepare_docker() {
    [ -S /var/run/docker.sock ] || [ "$(id -u)" = 0 ] || [ -n "${DOCKER_HOST:-}" ] || return 1
    scripts/docker-testbed.sh status >/dev/null 2>&1 && return 0
    # Only what this script starts does it stop.
    [ "${LEM_KEEP_DOCKER:-}" = 1 ] || trap 'scripts/docker-testbed.sh stop' EXIT
    scripts/docker-testbed.sh start
}

scripts/environment.sh dev engines || exit 3
python -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation \
    tests/plugins/lem_tick || exit 3

selection=
if ! prepare_docker; then
    missing="$missing
  Docker: the tests marked docker did not run; fix: sudo scripts/docker-testbed.sh"
    selection='not docker'
fi

step "format" ruff format --check .
step "lint" ruff check .
step "types" mypy
step "floors" lint-imports --no-cache
step "workflows" check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
step "citation" check-jsonschema --builtin-schema vendor.citation-file-format CITATION.cff
step "docs" mkdocs build --strict --quiet --site-dir build/site

mkdir -p build
# Two workers: the runs under test are real ones, and more of them would starve a small machine. A
# file stays with one worker, so that its images and models are made once.
# shellcheck disable=SC2086 # TESTS holds several arguments
step "tests" env OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}" pytest -n "${WORKERS:-2}" --dist loadfile \
    --junitxml "$JUNIT" ${selection:+-m "$selection"} ${TESTS:-} >build/pytest.log 2>&1 &
tests=$!
tail -f --pid=$tests build/pytest.log 2>/dev/null
wait $tests

printf '== summary\n'
[ -z "$missing" ] || printf 'missing here:%s\n' "$missing"
[ -z "$failed" ] || printf 'failed:%s\n' "$failed"
if [ -n "$missing" ] && [ "${CI:-}" = true ]; then failed="$failed missing"; fi
tail -n 1 build/pytest.log
[ -z "$failed" ]
