#!/bin/sh
# Pushes the newest CPU image of a backend: push_image.sh BACKEND NAME VERSION.
# Prints `digest=sha256:…`, the form that a workflow's output takes.
set -eu
backend=$1 name=$2 version=$3

image=$(docker image ls --filter "label=org.lem.backend=$backend" --filter label=org.lem.variant=cpu \
    --format '{{.ID}}' | head -n 1)
[ -n "$image" ] || {
    echo "push_image: no image of $backend; fix: lem images build $backend" >&2
    exit 3
}
docker tag "$image" "$name:$version-cpu"
docker push --quiet "$name:$version-cpu" >&2
docker image inspect --format '{{range .RepoDigests}}{{println .}}{{end}}' "$name:$version-cpu" |
    sed -n "s|^$name@|digest=|p" | head -n 1
