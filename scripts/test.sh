#!/usr/bin/env bash
# Everything that must hold: format, lint, types, floors, docs, workflows, advisories, tests with
# containers and PostgreSQL.
#
# What a test needs and this machine lacks is set up where that is possible; otherwise it is named
# in the summary with the way to get it. Under CI=true a missing component is a failure.
#
#   TESTS="tests/meters -k rapl"   narrows pytest
#   JUNIT=FILE                     where its XML report goes (default build/junit.xml)
#   WORKERS=N                      how many pytest processes (default 2)
#   CHECKS=only|none               the checks without the tests, or the reverse
#   CONTAINERS=no                  leave the tests marked docker out on purpose
set -uo pipefail
cd "$(dirname "$0")/.." || exit
VENV=${VENV:-.venv}
export PATH=$PWD/$VENV/bin:$PATH
failed=()
missing=()
unknown=()
untried=()

step() { # step NAME COMMAND...
    local name=$1
    shift
    printf '== %s\n' "$name"
    "$@" || failed+=("$name")
}

checks() {
    step "format" ruff format --check --quiet .
    step "lint" ruff check --quiet .
    step "types" mypy
    step "floors" lint-imports --no-cache
    step "documents" scripts/generate.sh --check
    front_end
    step "workflows" check-jsonschema --builtin-schema vendor.github-workflows \
        .github/workflows/*.yml
    step "citation" check-jsonschema --builtin-schema vendor.citation-file-format CITATION.cff
    # With --quiet, --strict would not see the warnings.
    step "site" mkdocs build --strict --site-dir build/site
    advisories
}

# What is built is committed: without Node.js everything works but this comparison.
front_end() {
    if command -v npm >/dev/null 2>&1; then
        step "front end" scripts/web.sh --check
    else
        missing+=("Node.js: the front end was not compared with its sources; fix: install Node.js 20.19 or later")
    fi
}

# Advisories come from a service on the network, and change without any change here: where it does
# not answer, the summary says so, and nothing fails, not even under CI=true.
advisories() {
    echo "== advisories"
    python scripts/audit.py requirements/dev.txt requirements/engines.txt
    case $? in
        0) ;;
        4) unknown+=("advisories: no service answered for every locked package") ;;
        *) failed+=("advisories") ;;
    esac
}

prepare_postgres() {
    [ -n "${LEM_POSTGRES_BIN:-}" ] && return 0
    command -v initdb >/dev/null 2>&1 && return 0
    ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 && return 0
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1 || return
    echo "test: installing PostgreSQL (its programs alone; each test makes its own cluster)"
    # Debian's package would make and start a cluster of its own.
    mkdir -p /etc/postgresql-common/createcluster.d
    echo "create_main_cluster = false" >/etc/postgresql-common/createcluster.d/lem-tests.conf
    apt_install postgresql || { apt-get update -qq && apt_install postgresql; }
}

prepare_compose() {
    docker compose version >/dev/null 2>&1 && return 0
    command -v docker-compose >/dev/null 2>&1 && return 0
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1 || return
    apt_install docker-compose || { apt-get update -qq && apt_install docker-compose; }
}

apt_install() {
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

prepare_docker() {
    scripts/docker-testbed.sh status >/dev/null 2>&1 && return 0
    # Only the engine that this started is stopped at the end.
    [ "$(id -u)" != 0 ] || trap 'scripts/docker-testbed.sh stop' EXIT
    scripts/docker-testbed.sh start
}

prepare_browser() {
    [ -n "${LEM_CHROMIUM:-}" ] || command -v chromium >/dev/null 2>&1 ||
        command -v chromium-browser >/dev/null 2>&1 || command -v google-chrome >/dev/null 2>&1 ||
        { [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1 &&
            { apt_install chromium || { apt-get update -qq && apt_install chromium; }; }; }
}

# Slurm and Charliecloud run on this machine, as root, for as long as a test takes.
prepare_slurm() {
    command -v slurmctld >/dev/null 2>&1 && command -v munged >/dev/null 2>&1 && return 0
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1 || return
    echo "test: installing Slurm (each test file starts a cluster of its own and ends it)"
    # Debian's packages would start services of their own, which nothing here needs.
    apt_quiet slurm-wlm munge
}

# … and a registry, from which images come where there is no Docker.
prepare_charliecloud() {
    command -v ch-run >/dev/null 2>&1 && command -v skopeo >/dev/null 2>&1 &&
        command -v docker-registry >/dev/null 2>&1 && return 0
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1 || return
    apt_quiet charliecloud-runtime skopeo docker-registry
}

apt_quiet() { apt_install "$@" || { apt-get update -qq && apt_install "$@"; }; }

# axe-core, which looks at the pages for faults of accessibility, comes with the front end's packages.
prepare_axe() {
    [ -f web/node_modules/axe-core/axe.min.js ] && return 0
    command -v npm >/dev/null 2>&1 && npm ci --prefix web --no-audit --no-fund --silent
}

prepare_harness() {
    local here
    for here in "${LEM_HARNESS_PYTHON:-}" "$VENV/bin/python" build/harness/bin/python; do
        [ -x "$here" ] && "$here" -P -c 'import lm_eval' 2>/dev/null || continue
        export LEM_HARNESS_PYTHON=$here
        return 0
    done
    # An environment of its own: it brings much that nothing else here needs.
    python -m venv build/harness && build/harness/bin/pip install -qq lm_eval==0.4.13 || return
    export LEM_HARNESS_PYTHON=$PWD/build/harness/bin/python
}

tests() {
    local selection=() narrowed=() without=()
    eval "narrowed=(${TESTS:-})" # so that quotes in it count: TESTS="-k 'nvml or rapl'"
    if [ "${CONTAINERS:-}" = no ]; then
        echo "test: without the tests marked docker, as asked"
        without+=(docker)
    elif ! prepare_docker; then
        missing+=("Docker: the tests marked docker were left out; fix: sudo scripts/docker-testbed.sh")
        without+=(docker)
    elif ! prepare_compose; then
        missing+=("Docker Compose: the tests of compose/ were left out; fix: apt-get install docker-compose")
    fi
    if ! prepare_postgres; then
        missing+=("PostgreSQL: its half of the archive's tests was left out; fix: apt-get install postgresql")
    fi
    if ! prepare_browser; then
        missing+=("Chromium: the tests of the pages in a browser were left out; fix: apt-get install chromium")
    elif ! prepare_axe; then
        missing+=("axe-core: a part of the browser's tests was left out; fix: npm ci --prefix web (Node 20 or newer)")
    fi
    if ! prepare_slurm; then
        missing+=("Slurm: the tests marked slurm were left out; fix: apt-get install slurm-wlm munge, and run as root")
        without+=(slurm)
    fi
    if ! prepare_charliecloud; then
        missing+=("Charliecloud: its tests were left out; fix: apt-get install charliecloud-runtime skopeo docker-registry")
    fi
    # No package of Debian 12: nothing fails where it is not here, but the summary says so.
    command -v apptainer >/dev/null 2>&1 ||
        untried+=("Apptainer: not installed; its command lines alone were checked (https://apptainer.org)")
    if ! prepare_harness; then
        missing+=("lm-evaluation-harness: the tests marked harness were left out; fix: pip install lm_eval")
        without+=(harness)
    fi
    if [ ${#without[@]} -gt 0 ]; then
        local none
        none=$(printf ' or %s' "${without[@]}")
        selection=(-m "not (${none# or })")
    fi
    # Two workers: the runs under test are real ones, and more of them would starve a small machine.
    # A file stays with one worker, so that its images and models are made once.
    step "tests" logged env OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}" \
        pytest -n "${WORKERS:-2}" --dist loadfile --junitxml "${JUNIT:-build/junit.xml}" \
        "${selection[@]}" "${narrowed[@]}"
}

logged() { "$@" 2>&1 | tee build/pytest.log; }

mkdir -p build
: >build/pytest.log
case ${CHECKS:-both} in
    only)
        scripts/environment.sh dev || exit
        checks
        ;;
    none | both)
        scripts/environment.sh dev engines || exit
        [ ! -d tests/plugins/lem_tick ] || python -m pip install -qq --disable-pip-version-check \
            --no-deps --no-build-isolation tests/plugins/lem_tick || exit
        [ "${CHECKS:-both}" = none ] || checks
        tests
        ;;
    *)
        echo "test: CHECKS is one of only, none, both" >&2
        exit 2
        ;;
esac

echo "== summary"
[ ${#missing[@]} = 0 ] || printf 'missing here: %s\n' "${missing[@]}"
[ ${#unknown[@]} = 0 ] || printf 'not looked up: %s\n' "${unknown[@]}"
[ ${#untried[@]} = 0 ] || printf 'not tried here: %s\n' "${untried[@]}"
[ ${#failed[@]} = 0 ] || printf 'failed: %s\n' "${failed[@]}"
[ ! -s build/pytest.log ] || tail -n 1 build/pytest.log
[ ${#failed[@]} = 0 ] && { [ ${#missing[@]} = 0 ] || [ "${CI:-}" != true ]; }
